/*
 * board - one child's page of counters, beats and sessions in shared memory.
 *
 * One memfd per child slot, made and sealed against resizing by the supervisor, mapped by that child (read-write) and the supervisor.  The
 * child is the only writer of everything in it; relaxed atomics, no locks, no pointers.  The supervisor treats the contents as untrusted:
 * counters are only added, texts are bounded and escaped when printed, indices are checked.  When a child ends, its counters
 * are added to the retired totals, so totals never go backwards, also after a crash.
 *
 * Adding a counter: one line in BOARD_COUNTERS (name, help); `enmactl stats`, --json and the manual take it from there.
 * owner: lead
 */
#ifndef ENMA_IPC_BOARD_H
#define ENMA_IPC_BOARD_H

#include <stdatomic.h>

#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

/* X(identifier, "name in enmactl stats", "help") */
#define BOARD_COUNTERS(X) \
	X(CONNECTIONS, "connections", "milter sessions begun") \
	X(CONNECTIONS_OVERLOAD, "connections.overload", "sessions answered with worker.on_overload because the worker was full") \
	X(CONNECTIONS_EXCLUDED, "connections.excluded", "sessions of clients in common.exclusion_addresses") \
	X(MESSAGES, "messages", "messages that reached their end") \
	X(MESSAGES_ABORTED, "messages.aborted", "messages given up by the client or the MTA") \
	X(MESSAGES_EXCLUDED, "messages.excluded", "messages not evaluated (excluded address, authenticated client)") \
	X(MESSAGES_OVER_LIMIT, "messages.over_limit", "messages beyond message.max_headers or message.max_header_bytes") \
	X(ACTION_ACCEPT, "action.accept", "messages let through") \
	X(ACTION_REJECT, "action.reject", "messages refused for good") \
	X(ACTION_TEMPFAIL, "action.tempfail", "messages refused for now") \
	X(INTERNAL_ERRORS, "internal_errors", "messages that enma itself could not evaluate") \
	X(AUTHRES_REMOVED, "authres.removed", "forged Authentication-Results fields removed") \
	X(AUTHRES_KEPT, "authres.kept", "Authentication-Results fields of others seen and kept") \
	X(SPF_NONE, "spf.mailfrom.none", "SPF results of MAIL FROM") \
	X(SPF_NEUTRAL, "spf.mailfrom.neutral", "") \
	X(SPF_PASS, "spf.mailfrom.pass", "") \
	X(SPF_FAIL, "spf.mailfrom.fail", "") \
	X(SPF_SOFTFAIL, "spf.mailfrom.softfail", "") \
	X(SPF_TEMPERROR, "spf.mailfrom.temperror", "") \
	X(SPF_PERMERROR, "spf.mailfrom.permerror", "") \
	X(HELO_NONE, "spf.helo.none", "SPF results of HELO") \
	X(HELO_NEUTRAL, "spf.helo.neutral", "") \
	X(HELO_PASS, "spf.helo.pass", "") \
	X(HELO_FAIL, "spf.helo.fail", "") \
	X(HELO_SOFTFAIL, "spf.helo.softfail", "") \
	X(HELO_TEMPERROR, "spf.helo.temperror", "") \
	X(HELO_PERMERROR, "spf.helo.permerror", "") \
	X(DNS_QUESTIONS, "dns.questions", "DNS questions asked by messages") \
	X(DNS_ANSWERS, "dns.answers", "answers received in time") \
	X(DNS_TIMEOUTS, "dns.timeouts", "questions without an answer at the message's deadline") \
	X(DNS_BUDGET_SPENT, "dns.budget_spent", "messages that spent resolver.max_questions")

enum board_counter {
#define BOARD_ENUM(id, name, help) BOARD_##id,
	BOARD_COUNTERS(BOARD_ENUM)
#undef BOARD_ENUM
	BOARD_COUNTER_COUNT
};
const char *board_counter_name(enum board_counter c);
const char *board_counter_help(enum board_counter c);   /* "" means: as the one before */

/* Latency histograms: bucket i counts durations in [2^i, 2^(i+1)) microseconds; the last one everything longer. */
enum { BOARD_BUCKETS = 28 };
enum board_histogram { BOARD_H_MESSAGE, BOARD_H_DNS_WAIT, BOARD_H_EOM, BOARD_HISTOGRAM_COUNT };
const char *board_histogram_name(enum board_histogram h);       /* "message" "dns_wait" "eom" */

enum board_phase {
	BOARD_P_FREE, BOARD_P_CONNECT, BOARD_P_HELO, BOARD_P_ENVELOPE, BOARD_P_HEADER, BOARD_P_BODY, BOARD_P_EOM, BOARD_P_IDLE,
};
const char *board_phase_name(enum board_phase p);

enum { BOARD_MAGIC = 0x424f4152, BOARD_VERSION = 1, BOARD_QID_MAX = 24, BOARD_SESSIONS_MAX = 100000 };

/* One session in progress.  in_callback: a callback is running now since since_ms (stuck detection). */
struct board_session {
	_Atomic uint32_t phase;
	_Atomic uint32_t in_callback;
	_Atomic int64_t since_ms;               /* clock_mono_ms of the last change */
	char qid[BOARD_QID_MAX];                /* may be torn; bounded and escaped when read */
};

struct board {
	uint32_t magic, version;
	uint32_t session_count;                 /* slots that follow */
	uint32_t pad;
	_Atomic int64_t beat_ms;                /* renewed by the watch thread after it took the locks that sessions take */
	_Atomic uint32_t sessions;              /* open now */
	_Atomic uint32_t is_draining;
	_Atomic uint64_t counter[BOARD_COUNTER_COUNT];
	_Atomic uint64_t histogram[BOARD_HISTOGRAM_COUNT][BOARD_BUCKETS];
	_Atomic uint64_t histogram_sum_us[BOARD_HISTOGRAM_COUNT];
	struct board_session session[];
};

/* Supervisor: a new sealed memfd for one child with room for `sessions` slots, mapped.  RC_OK or RC_TEMP. */
NODISCARD enum rc board_create(uint32_t sessions, int *fd_out, struct board **out, size_t *size_out);
/* Child: maps PROCFD_BOARD; RC_SYNTAX when it is not a board. */
NODISCARD enum rc board_attach(int fd, struct board **out, size_t *size_out);
void board_detach(struct board **b, size_t size);

static inline void
board_add(struct board *b, enum board_counter c, uint64_t n)
{
	if (b != NULL)
		atomic_fetch_add_explicit(&b->counter[c], n, memory_order_relaxed);
}
void board_record_us(struct board *b, enum board_histogram h, uint64_t us);

#endif
