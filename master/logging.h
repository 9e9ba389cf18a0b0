/*
 * logging - where the supervisor's log goes, and the log file that children share.
 */
#ifndef ENMA_MASTER_LOGGING_H
#define ENMA_MASTER_LOGGING_H

#include "common/base/rc.h"
#include "common/conf/conf.h"

/* Opens the file of log.target (made with mode 0640, its folder, too).  RC_OK; RC_NONE: the target is no file; RC_TEMP with one line in why.
 * *fd_out is -1 in the last two. */
NODISCARD enum rc logging_open_file(const struct conf *c, int *fd_out, char *why, size_t size);
/* The log goes where c says from here on; fd is of logging_open_file() and stays the caller's. */
void logging_use(const struct conf *c, int fd);
bool logging_uses_output(const struct conf *c); /* standard output or error is the target, whatever becomes of it */
bool logging_is_on_stderr(const struct conf *c);        /* lines for the log appear on standard error now */

#endif
