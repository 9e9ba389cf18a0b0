/*
 * worker - the role of a process that serves one milter socket: what it finds at its start is written in common/ipc/procfd.h.
 *
 * Threads: the first one watches (watch.h); libmilter's run on a second and its own; libunbound has one.  HUP, INT and TERM are ignored: a
 * worker goes when the supervisor says so or is gone itself, and libmilter must not see them (it would freeze sessions).
 */
#ifndef ENMA_WORKER_WORKER_H
#define ENMA_WORKER_WORKER_H

#include "common/base/defs.h"
#include "common/ipc/procfd.h"

/* Does not return but by the exit codes of procfd.h. */
int worker_main(const struct role_args *args);

#endif
