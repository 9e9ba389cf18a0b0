/*
 * pidfile - one enma per pid file: a locked file with our process id.
 *
 * The lock (fcntl) counts, not the contents: a file left behind by a supervisor that was killed is taken over.
 */
#ifndef ENMA_MASTER_PIDFILE_H
#define ENMA_MASTER_PIDFILE_H

#include <sys/types.h>

#include "common/base/defs.h"
#include "common/base/rc.h"

struct pidfile {
	int fd;                 /* -1: none is held */
	char *path;
	bool was_stale;         /* a predecessor left it behind without removing it */
};

/* Path "" means no pid file.  RC_LIMIT: another process holds it; RC_TEMP: cannot be made; both with one line in why.  Call it in the
 * process that will live: a fork does not inherit the lock. */
NODISCARD enum rc pidfile_take(struct pidfile *p, const char *path, char *why, size_t size);
void pidfile_drop(struct pidfile *p);   /* removes the file if it is still ours */

#endif
