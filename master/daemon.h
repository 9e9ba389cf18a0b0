/*
 * daemon - go to the background, and tell who started us what became of it.
 *
 * The process that was started waits until the supervisor says daemon_finish(): its exit code is the outcome of the start, and what went wrong
 * stands on its standard error.  In the foreground the same functions just print.
 */
#ifndef ENMA_MASTER_DAEMON_H
#define ENMA_MASTER_DAEMON_H

#include "common/base/defs.h"
#include "common/base/span.h"

/* Returns in the new process only.  The old one exits. */
void daemon_detach(void);
/* Standard output and error become /dev/null from here on (daemon only); messages of the start still reach the terminal. */
void daemon_quiet(void);
/* One or more lines for the person who started us, each with "enma: " in front. */
void daemon_say(struct span lines);
/* The start is over.  May be called again; only the first time counts. */
void daemon_finish(int exit_code);
bool daemon_is_detached(void);

#endif
