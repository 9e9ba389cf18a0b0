/*
 * status - frames between the supervisor and a child, over PROCFD_STATUS (SOCK_SEQPACKET: one frame, one packet).
 *
 * Neither side trusts the other: a frame of another size, magic, version or generation, or an unknown kind, is logged and ignored.
 * Fields are in host order: both ends are the same program on the same host.
 * owner: lead
 */
#ifndef ENMA_IPC_STATUS_H
#define ENMA_IPC_STATUS_H

#include "common/base/defs.h"
#include "common/base/rc.h"

enum status_kind {
	/* child -> supervisor */
	STATUS_READY = 1,       /* configuration, resolver and listener are good; value unused */
	STATUS_RETIRING = 2,    /* wants to be replaced; serves until DRAIN, so that its successor is there first; value: enum status_why */
	STATUS_FAILED = 3,      /* cannot start; text says why in one line; value: exit code that enma itself
	                         * should end with if this was its start (69 something it needs is missing, 75 try
	                         * later, 78 configuration; anything else means the child's exit code); exits next */
	STATUS_FLUSHED = 4,     /* worker: what STATUS_FLUSH asked for is done; value: its number */
	/* supervisor -> child */
	STATUS_DRAIN = 16,      /* stop accepting, finish, exit; value: seconds until it must be over */
	STATUS_LOG_REOPEN = 17, /* carries a new descriptor for PROCFD_LOG (SCM_RIGHTS) */
	STATUS_FLUSH = 18,      /* worker: forget what this process has cached itself (libunbound's answers), do not offer answers to questions
	                         * that are under way; then answer STATUS_FLUSHED.  value: a number to answer with */
	STATUS_REQUEST = 19,    /* cache: a request of a control client, without "cache " (doc/CONTROL.md); carries the client's socket, which
	                         * is the cache process's from then on: it writes the whole answer.  text: the words, one blank between them */
	STATUS_CHILD_DIED = 20, /* cache: a process that reads the cache has died: free its reader slots; value: its pid */
};
enum status_why { STATUS_WHY_SESSIONS = 1, STATUS_WHY_RSS = 2, STATUS_WHY_ORPHAN = 3 };

enum { STATUS_MAGIC = 0x454e4d41, STATUS_VERSION = 1, STATUS_TEXT_MAX = 1280 /* a name with all bytes escaped fits */ };

struct status_frame {
	uint32_t magic;
	uint16_t version, kind;
	uint64_t generation;
	int64_t value;
	char text[STATUS_TEXT_MAX];     /* NUL-terminated */
};

/* fd_to_pass: -1 for none.  RC_OK; RC_TEMP (EAGAIN: the other side does not read); RC_NONE (the other side is gone). Never blocks, never
 * raises SIGPIPE. */
NODISCARD enum rc status_send(int fd, enum status_kind kind, uint64_t generation, int64_t value, const char *text, int fd_to_pass);
/* RC_OK: *out is checked (magic, version, size, text terminated).  RC_NONE: EOF.  RC_TEMP: nothing there now.  RC_SYNTAX: a bad frame was
 * read and dropped; why gives a reason.  *fd_out: a descriptor that came along, or -1 (the caller closes it). */
NODISCARD enum rc status_receive(int fd, struct status_frame *out, int *fd_out, const char **why_out);

#endif
