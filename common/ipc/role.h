/*
 * role - what every child of the supervisor does first: take over what procfd.h promises, and say why it cannot.
 *
 *	role_begin(&r, args, "enma: cache", "cache");           configuration, log, board, signals
 *	... files that only root may open ...
 *	role_drop(&r);                                          milter.user, for good
 *	... set up ...
 *	role_ready(&r);
 *
 * One thread until role_begin() returned.
 */
#ifndef ENMA_IPC_ROLE_H
#define ENMA_IPC_ROLE_H

#include "common/conf/snapshot.h"
#include "common/ipc/board.h"
#include "common/ipc/procfd.h"
#include "common/ipc/status.h"

struct role {
	const struct role_args *args;
	struct snapshot *snapshot;      /* lives as long as the process */
	const struct conf *conf;
	struct board *board;
	size_t board_size;
};

/* HUP, INT, TERM, USR1, USR2 and PIPE are ignored: a child goes when the supervisor says so, or is gone itself.  process: the kernel's name
 * for us; label: in log lines.  Does not return when something is missing. */
void role_begin(struct role *r, const struct role_args *args, const char *process, const char *label);
/* Becomes milter.user, for good (privs.h), goes to milter.chdir, sets the umask.  Does not return on failure. */
void role_drop(struct role *r);
/* Tells the supervisor. */
void role_ready(const struct role *r);

/* One line to the supervisor, which logs it and acts by the exit code (status.h); then the end. */
NORETURN void role_give_up(const struct role *r, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* RC_SYNTAX: EX_CONFIG, anything else EX_TEMPFAIL. */
int role_exit_code(enum rc rc);

/* Before threads are made that must not be interrupted by anything but their own faults; and back. */
void role_block_signals(bool block);

#endif
