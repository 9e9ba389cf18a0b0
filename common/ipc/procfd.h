/*
 * procfd - what a child process finds when it starts: the whole contract between the supervisor and its children.
 *
 * The supervisor (the program run as `enma`) starts children by fork and exec of itself as `enma -x ROLE`, so each has a clean heap, an
 * address layout of its own and nothing inherited by accident: every descriptor above 2 that is not in this list is
 * closed on exec.
 *
 *  fd  name            what                                                                                who has it
 *   0  standard input  /dev/null                                                                           all
 *  1,2 output          of the supervisor, or /dev/null once it is a daemon                                 all
 *   3  PROCFD_STATUS   SOCK_SEQPACKET pair: frames of status.h, both ways; EOF = the supervisor is gone    all
 *   4  PROCFD_CONF     sealed memfd: snapshot.h, one generation's configuration and files                  all
 *   5  PROCFD_BOARD    sealed memfd (size fixed): board.h, this child's slot of counters                   all
 *   6  PROCFD_LISTEN   the milter listener, O_NONBLOCK, shared with the other workers of its group         worker
 *   7  PROCFD_LOG      log file opened O_APPEND by the supervisor; /dev/null when there is none            all
 *   8  PROCFD_FEED     SOCK_SEQPACKET pair, one for the life of the supervisor: cache_feed.h               worker: offers; cache: takes
 *   9  PROCFD_CLAIMS   sealed memfd, one for the life of the supervisor: claims.h                          worker
 *
 * PROCFD_FEED and PROCFD_CLAIMS are /dev/null when cache.enabled is no.
 *
 * Command line: enma -x worker -g GENERATION -n SLOT -G GROUP
 *               enma -x cache -g GENERATION -n 0 -G 0            GENERATION: running number of cache processes, not of a configuration
 * The child drops its privileges itself (to milter.user, PROCFD_CONF) before it reads anything from outside.
 * Exit codes: 0 asked to go; 75 (EX_TEMPFAIL) could not start, may work later; 78 (EX_CONFIG) cannot work with this configuration;
 * 70 (EX_SOFTWARE) gave itself up (stuck); 87 (CACHE_GUARD_EXIT, cache_guard.h) met a damaged cache file and left its mark.
 * owner: lead
 */
#ifndef ENMA_IPC_PROCFD_H
#define ENMA_IPC_PROCFD_H

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/base/defs.h"

enum {
	PROCFD_STATUS = 3,
	PROCFD_CONF = 4,
	PROCFD_BOARD = 5,
	PROCFD_LISTEN = 6,
	PROCFD_LOG = 7,
	PROCFD_FEED = 8,
	PROCFD_CLAIMS = 9,
	PROCFD_END = 10,        /* first number not in the contract */
};

/* The command line of a role, parsed by master/main.c and handed to the role's entry: int worker_main(const struct role_args *). */
struct role_args {
	uint64_t generation;    /* -g: goes into every frame that the child sends */
	unsigned slot;          /* -n: running number of the worker in its generation, from 0 */
	unsigned group;         /* -G: index of its line in conf->milter_socket, from 0 */
};

/* What log.target "auto" means, in the supervisor and in its children alike: standard error, or syslog when descriptor 2 is /dev/null (a daemon). */
static inline bool
procfd_is_quiet(void)
{
	struct stat st;

	return fstat(2, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
}

#endif
