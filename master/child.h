/*
 * child - one child process: start it, listen to it, tell it to go, bury it.
 *
 * Mechanism only: the supervise files decide.  A child's words and its board are not trusted.
 */
#ifndef ENMA_MASTER_CHILD_H
#define ENMA_MASTER_CHILD_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/ipc/board.h"
#include "common/ipc/status.h"
#include "master/totals.h"

enum child_role { CHILD_WORKER, CHILD_CACHE };
enum child_state { CHILD_STARTING, CHILD_READY, CHILD_RETIRING };

enum { CHILD_NAME_MAX = 32 };

struct slot;

struct child {
	struct child *next;             /* the supervisor's list */
	struct slot *slot;              /* whose place it holds; NULL: detached, on its way out */
	void *owner;                    /* for the loop's function */
	pid_t pid;
	enum child_role role;
	char name[CHILD_NAME_MAX];      /* "worker 3", "the cache process": how log lines call it */
	unsigned number, group;
	uint64_t generation;            /* cache: running number of cache processes */
	enum child_state state;
	bool was_ready;
	int status_fd;                  /* -1 after its end was seen */
	struct board *board;
	size_t board_size;
	uint32_t session_count;         /* slots on the board, as we made it */
	struct totals seen;
	int64_t started_ms, ready_ms;
	int64_t beat;                   /* last value on the board */
	int64_t beat_changed_ms;        /* when we saw it change, by our own clock */
	bool is_stuck;
	bool awaits_successor;          /* RETIRING by its own wish, still serving: told to drain when its successor is READY */
	int64_t drain_until_ms;         /* RETIRING: when its time is over */
	int next_signal;                /* 0: none is planned */
	int64_t signal_at_ms;
	int64_t flush_sent, flush_done; /* worker: numbers of the last STATUS_FLUSH and STATUS_FLUSHED; 0: none */
	int failed_code;                /* of its STATUS_FAILED frame; 0: none came */
	char failed_text[STATUS_TEXT_MAX];
};

struct child_plan {
	const char *exe;                /* "/proc/self/exe" */
	enum child_role role;
	uint64_t generation;
	unsigned number, group;
	int conf_fd, listen_fd, log_fd, feed_fd, claims_fd;     /* -1: /dev/null in its place */
	uint32_t session_count;
};

/* Once, before any other descriptor is opened: keeps the numbers of procfd.h free in the supervisor, so that a forked child can put
 * descriptors there without overwriting one that it still needs.  Closes what was inherited above 2. */
NODISCARD enum rc child_reserve(void);

/* RC_TEMP with a reason: no memory, no process ... */
NODISCARD enum rc child_spawn(const struct child_plan *plan, int64_t now_ms, struct child **out, char *why, size_t size);
/* Frees what the supervisor holds of it; the process must be reaped. */
void child_destroy(struct child **c);

void child_plan_signal(struct child *c, int sig, int64_t at_ms);

/* Open sessions that it admits to (bounded); 0 without a board. */
unsigned child_sessions(const struct child *c);
/* Reads the beat; true when it changed since the last look. */
bool child_beats(struct child *c, int64_t now_ms);
/* "4Xq1..., 4Xq2... and 3 more": queue ids in progress, escaped; nothing when there are none. */
void child_print_work(const struct child *c, struct buf *out);
/* "was killed by signal 11 (SIGSEGV)", "ended with exit code 70 (gave itself up)", "has left". */
void child_print_end(int wait_status, struct buf *out);
const char *child_state_name(const struct child *c);

#endif
