/*
 * supervise - the supervisor: what should run, what does run, and what to do about the difference.
 *
 * One thread around one loop: signals, frames and ends of children, control requests, and a tick for everything that has a time.  All
 * decisions are made here; child.c, listen.c, reload.c and the others carry them out.
 */
#ifndef ENMA_MASTER_SUPERVISE_H
#define ENMA_MASTER_SUPERVISE_H

#include "master/options.h"

/* From the configuration to the last child's end.  Returns the exit code: 0 stopped as asked; 78 configuration, 69 something that it needs is
 * missing, 75 try later, 70 the workers died before they were ready. */
int supervise_run(const struct master_options *o);
/* `enma -T`: everything that can be checked without touching a socket, all errors on standard output.  0 or 78. */
int supervise_check(const struct master_options *o);

#endif
