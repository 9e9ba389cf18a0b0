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

/*
 * What the cache counts, for each class of entries: DNS answers by type, and results.  The first six are a worker's, the others the cache process's.
 * The counters of one class stand together, in this order: BOARD_CACHE(class, event) names one.
 */
#define BOARD_CACHE_ONE(X, C, c) \
	X(CACHE_HITS_##C, "cache.hits." c, "look-ups answered from the cache, by class of entries") \
	X(CACHE_STALE_##C, "cache.stale." c, "look-ups answered with an expired entry (cache.serve_stale), by class") \
	X(CACHE_MISSES_##C, "cache.misses." c, "look-ups that found nothing, by class") \
	X(CACHE_EXPIRED_##C, "cache.expired." c, "look-ups that found an entry which had ended, by class") \
	X(CACHE_OFFERED_##C, "cache.offered." c, "answers handed to the cache process, by class") \
	X(CACHE_DROPPED_##C, "cache.dropped." c, "answers not handed over because the cache process was behind, by class") \
	X(CACHE_INSERTED_##C, "cache.inserted." c, "entries stored, by class") \
	X(CACHE_DELETED_##C, "cache.deleted." c, "entries that had ended and were deleted, by class") \
	X(CACHE_EVICTED_##C, "cache.evicted." c, "entries deleted before their end to make room, by class")
#define BOARD_CACHE_ALL(X) \
	BOARD_CACHE_ONE(X, A, "a") BOARD_CACHE_ONE(X, AAAA, "aaaa") BOARD_CACHE_ONE(X, MX, "mx") BOARD_CACHE_ONE(X, PTR, "ptr") \
	BOARD_CACHE_ONE(X, TXT, "txt") BOARD_CACHE_ONE(X, OTHER, "other") BOARD_CACHE_ONE(X, SPF, "spf") BOARD_CACHE_ONE(X, RESULT, "result")
/* OTHER: answers of other types; RESULT: results of other mechanisms than SPF. */
enum board_cache_class { BOARD_C_A, BOARD_C_AAAA, BOARD_C_MX, BOARD_C_PTR, BOARD_C_TXT, BOARD_C_OTHER, BOARD_C_SPF, BOARD_C_RESULT, BOARD_C_COUNT };
enum board_cache_event {
	BOARD_E_HITS, BOARD_E_STALE, BOARD_E_MISSES, BOARD_E_EXPIRED, BOARD_E_OFFERED, BOARD_E_DROPPED, BOARD_E_INSERTED, BOARD_E_DELETED,
	BOARD_E_EVICTED, BOARD_E_COUNT
};
#define BOARD_CACHE(class, event) ((enum board_counter)(BOARD_CACHE_HITS_A + (int)(class) * BOARD_E_COUNT + (int)(event)))

/* X(identifier, "name in enmactl stats", "help"): set by the cache process, may go up and down. */
#define BOARD_GAUGES(X) \
	X(CACHE_ENTRIES, "cache.entries", "entries in the cache") \
	X(CACHE_MAP_BYTES, "cache.map_bytes", "cache.size") \
	X(CACHE_USED_BYTES, "cache.used_bytes", "bytes of the map that entries use") \
	X(CACHE_FILE_BYTES, "cache.file_bytes", "bytes of the file on disk") \
	X(CACHE_READERS, "cache.readers", "reader slots used so far") \
	X(CACHE_READERS_MAX, "cache.readers_max", "reader slots there are") \
	X(CACHE_GENERATION, "cache.generation", "running number of the cache file")
enum board_gauge {
#define BOARD_GAUGE_ENUM(id, name, help) BOARD_G_##id,
	BOARD_GAUGES(BOARD_GAUGE_ENUM)
#undef BOARD_GAUGE_ENUM
	BOARD_GAUGE_COUNT
};

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
	X(DKIM_NONE, "dkim.none", "DKIM results: one for each signature that was looked at, none for a message without") \
	X(DKIM_PASS, "dkim.pass", "") \
	X(DKIM_FAIL, "dkim.fail", "") \
	X(DKIM_POLICY, "dkim.policy", "") \
	X(DKIM_NEUTRAL, "dkim.neutral", "") \
	X(DKIM_TEMPERROR, "dkim.temperror", "") \
	X(DKIM_PERMERROR, "dkim.permerror", "") \
	X(DKIM_SIGNATURES, "dkim.signatures", "DKIM-Signature fields of evaluated messages") \
	X(DKIM_OVER_LIMIT, "dkim.over_limit", "DKIM-Signature fields that were not looked at (dkim.signheader_limit)") \
	X(DOMAINKEYS_NONE, "domainkeys.none", "DomainKeys results") \
	X(DOMAINKEYS_PASS, "domainkeys.pass", "") \
	X(DOMAINKEYS_FAIL, "domainkeys.fail", "") \
	X(DOMAINKEYS_POLICY, "domainkeys.policy", "") \
	X(DOMAINKEYS_NEUTRAL, "domainkeys.neutral", "") \
	X(DOMAINKEYS_TEMPERROR, "domainkeys.temperror", "") \
	X(DOMAINKEYS_PERMERROR, "domainkeys.permerror", "") \
	X(ADSP_NONE, "adsp.none", "DKIM ADSP results") \
	X(ADSP_PASS, "adsp.pass", "") \
	X(ADSP_UNKNOWN, "adsp.unknown", "") \
	X(ADSP_FAIL, "adsp.fail", "") \
	X(ADSP_DISCARD, "adsp.discard", "") \
	X(ADSP_NXDOMAIN, "adsp.nxdomain", "") \
	X(ADSP_TEMPERROR, "adsp.temperror", "") \
	X(ADSP_PERMERROR, "adsp.permerror", "") \
	X(DNS_QUESTIONS, "dns.questions", "DNS questions asked by messages") \
	X(DNS_ANSWERS, "dns.answers", "answers received in time") \
	X(DNS_TIMEOUTS, "dns.timeouts", "questions without an answer at the message's deadline") \
	X(DNS_BUDGET_SPENT, "dns.budget_spent", "messages that spent resolver.max_questions") \
	X(DNS_STALE, "dns.stale", "answers used although they had expired, because no new one was to be had (cache.serve_stale)") \
	BOARD_CACHE_ALL(X) \
	X(CACHE_MERGED, "cache.merged", "questions that joined an equal one under way in the same worker") \
	X(CACHE_WAITED, "cache.waited", "questions that waited for an equal one under way in another worker") \
	X(CACHE_NXDOMAIN_CUT, "cache.nxdomain_cut", "questions answered because a name above does not exist (cache.nxdomain_cut)") \
	X(CACHE_BUSY, "cache.busy", "look-ups that found no free reader slot") \
	X(CACHE_DAMAGED, "cache.damaged", "look-ups that met a damaged entry or file") \
	X(CACHE_OFFERS_BAD, "cache.offers.bad", "offers that the cache process refused: damaged, late or from a wrong clock") \
	X(CACHE_OFFERS_KEPT, "cache.offers.kept", "offers not stored because what was there is better") \
	X(CACHE_OFFERS_LOST, "cache.offers.lost", "offers that could not be stored: no cache file, or it cannot be written") \
	X(CACHE_WRITE_ERRORS, "cache.write_errors", "batches of offers that could not be written") \
	X(CACHE_GC_RUNS, "cache.gc.runs", "times that room had to be made for new entries") \
	X(CACHE_GC_ERRORS, "cache.gc.errors", "steps of making room that failed") \
	X(CACHE_DROPPED_ALL, "cache.dropped_all", "times that all entries were dropped because the map was full") \
	X(CACHE_NEW_FILES, "cache.new_files", "new cache files begun: none there, not trusted, or damaged") \
	X(CACHE_READERS_DEAD, "cache.readers.dead", "reader slots of dead processes that were freed") \
	X(CACHE_FLUSHES, "cache.flushes", "enmactl cache flush, flush-zone and flush-negative") \
	X(CACHE_PURGES, "cache.purges", "enmactl cache purge")

enum board_counter {
#define BOARD_ENUM(id, name, help) BOARD_##id,
	BOARD_COUNTERS(BOARD_ENUM)
#undef BOARD_ENUM
	BOARD_COUNTER_COUNT
};
const char *board_counter_name(enum board_counter c);
const char *board_counter_help(enum board_counter c);   /* "" means: as the one before */

const char *board_gauge_name(enum board_gauge g);
const char *board_gauge_help(enum board_gauge g);

/* Latency histograms: bucket i counts durations in [2^i, 2^(i+1)) microseconds; the last one everything longer. */
enum { BOARD_BUCKETS = 28 };
enum board_histogram { BOARD_H_MESSAGE, BOARD_H_DNS_WAIT, BOARD_H_EOM, BOARD_HISTOGRAM_COUNT };
const char *board_histogram_name(enum board_histogram h);       /* "message" "dns_wait" "eom" */

enum board_phase {
	BOARD_P_FREE, BOARD_P_CONNECT, BOARD_P_HELO, BOARD_P_ENVELOPE, BOARD_P_HEADER, BOARD_P_BODY, BOARD_P_EOM, BOARD_P_IDLE,
};
const char *board_phase_name(enum board_phase p);

enum { BOARD_MAGIC = 0x424f4152, BOARD_VERSION = 3, BOARD_QID_MAX = 24, BOARD_SESSIONS_MAX = 100000 };

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
	_Atomic uint64_t gauge[BOARD_GAUGE_COUNT];
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
