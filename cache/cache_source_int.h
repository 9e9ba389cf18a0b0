/*
 * cache_source_int - what the files of cache_source share, and nobody else.
 *
 * A flight is a question that is not answered yet: of another process (WAITING), or asked of the next source (ASKED).  Those who wait for it hang
 * on it.  One lock guards everything; done(), the next source and the cache are called without it.
 *
 * References to a flight: one from its making until it is OVER (WAITING) or its answer came (ASKED); one for whoever uses it without the
 * lock; one while its claim settles.
 */
#ifndef ENMA_CACHE_CACHE_SOURCE_INT_H
#define ENMA_CACHE_CACHE_SOURCE_INT_H

#include <pthread.h>
#include <sys/queue.h>

#include "cache/cache_key.h"
#include "cache/cache_source.h"
#include "common/base/siphash.h"

enum {
	SOURCE_BUCKETS = 4096,
	SOURCE_FAILED = 4096,           /* questions that failed lately; those that meet in a slot push each other out */
	SOURCE_POLL_MAX_MS = 50,        /* who waits for long is looked up less often */
	SOURCE_CUT_TYPE = 0,            /* entries "this name does not exist" stand at its name under a type that nobody asks for */
};

struct flight;

/* An asker that hangs on a flight; dns_req.own points to it, changed under the lock. */
struct waiter {
	struct dns_req *req;
	struct flight *flight;
	TAILQ_ENTRY(waiter) link;
};
TAILQ_HEAD(waiters, waiter);

enum flight_state { FLIGHT_WAITING, FLIGHT_ASKED, FLIGHT_OVER };

struct flight {
	struct dns_req req;             /* to the next source; first: done() casts */
	struct source *source;
	uint64_t hash, claim;           /* of the question; of its claim */
	uint64_t epoch;
	struct waiters waiters;
	unsigned refs;
	enum flight_state state;
	bool is_listed, is_young;       /* in its bucket; in the list of those that may still need a stale answer */
	bool has_claim;
	int64_t begun_ms, poll_ms;      /* poll_ms: WAITING: when to look next; OVER: when its claim is released */
	int64_t settle_ms;              /* WAITING: until when to wait after the claim was gone; 0: it is not gone */
	LIST_ENTRY(flight) bucket;
	TAILQ_ENTRY(flight) young, link;        /* link: waiting or settling */
};
TAILQ_HEAD(flights, flight);

struct source {
	struct dns_source source;       /* first: the casts rely on it */
	struct cache_source_options o;
	struct siphash_key key;
	pid_t me;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;         /* for the thread, and for destroy() when the last flight is gone */
	bool is_stopping;
	int64_t wake_ms;                /* until when the thread sleeps; INT64_MAX: until it is needed */
	size_t count;                   /* of flights that exist */
	unsigned in_vain;               /* waits for other processes, in a row, that ended without their answer in the cache */
	int64_t alone_until_ms;         /* until then nobody is waited for: the cache seems not to be written */
	struct flights waiting, young, settling;
	LIST_HEAD(bucket, flight) bucket[SOURCE_BUCKETS];
	struct { uint64_t hash; int64_t until_ms; } failed[SOURCE_FAILED];
};

/* ---- cache_source_flight.c: with the lock held, unless it says otherwise ---- */

uint64_t source_hash(const struct source *s, const struct dns_req *req, uint64_t *claim_out);  /* without the lock */
struct flight *flight_find(struct source *s, const struct dns_req *req, uint64_t hash, uint64_t epoch);
struct flight *flight_new(struct source *s, const struct dns_req *req, uint64_t hash, uint64_t claim, uint64_t epoch);
void flight_join(struct flight *f, struct dns_req *req);
/* The asker leaves; true: it was the last one. */
bool flight_leave(struct dns_req *req);
/* Nobody joins it any more. */
void flight_hide(struct flight *f);
/* Moves all who wait to *out: for waiters_give(). */
void flight_take(struct flight *f, struct waiters *out);
void flight_unref(struct flight *f);

/* These without the lock. */
void waiters_give(struct waiters *w, const struct dns_answer *a);
void req_give(struct dns_req *req, const struct dns_answer *a);        /* takes over the reference */
/* The answer for all who wait; false: it was over already. */
bool flight_answer(struct flight *f, const struct dns_answer *a);
/* It is ASKED: asks. */
void flight_ask(struct source *s, struct flight **f, size_t n);
/* NULL: there is none.  The caller's reference. */
const struct dns_answer *source_stale(struct source *s, const struct dns_req *req);
void source_note_failed(struct source *s, uint64_t hash);
bool source_failed_lately(struct source *s, uint64_t hash);

/* ---- cache_source_watch.c ---- */

void *source_watch(void *source);
/* With the lock held: the thread looks again at ms. */
void source_wake_at(struct source *s, int64_t ms);

/* ---- cache_source_cut.c: without the lock ---- */

/* NXDOMAIN, because the name or one above is known not to exist; NULL: nothing is known. */
const struct dns_answer *cut_find(struct source *s, const struct dns_name *name, int64_t now_s);
void cut_offer(struct source *s, const struct dns_name *name, const struct dns_answer *a, uint64_t epoch, int64_t now_s);

#endif
