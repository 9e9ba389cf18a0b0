/*
 * sig - signals as events: blocked, and read from a descriptor.
 */
#ifndef ENMA_MASTER_SIG_H
#define ENMA_MASTER_SIG_H

#include <sys/types.h>

#include "common/base/defs.h"
#include "common/base/rc.h"

struct sig_event {
	int signal;
	pid_t from_pid;         /* 0: the kernel */
	uid_t from_uid;
};

/* Blocks HUP, INT, TERM, USR1, USR2, CHLD and opens the descriptor; ignores PIPE.  A disposition "ignored" that was inherited (nohup) is
 * undone first, because ignored signals never reach the descriptor. */
NODISCARD enum rc sig_open(int *fd_out);
/* The next event; false when there is none. */
bool sig_read(int fd, struct sig_event *out);
/* In a forked child before exec: everything as a fresh program expects it. */
void sig_restore(void);
const char *sig_name(int signal);       /* "SIGSEGV"; "signal" for one without a name */

#endif
