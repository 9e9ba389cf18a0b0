/*
 * cache_source - the shared cache in front of a source; see cache_source.h.
 *
 * cache_source_flight.c: questions under way; cache_source_watch.c: the thread; cache_source_cut.c: RFC 8020.
 */
#include "cache/cache_source.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/cache_source_int.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"

enum { STACK_SIZE = 512 * KIB };

/* ---- asking ------------------------------------------------------------------------------------------------ */

/* What can be said at once; NULL: nothing. */
static const struct dns_answer *
known(struct source *s, const struct dns_req *req, uint64_t hash)
{
	const struct dns_answer *a;
	int64_t now_s = clock_wall_s();

	if (cache_get_dns(s->o.cache, &req->name, req->type, CACHE_LOOK, now_s, &a) == RC_OK)
		return a;
	if (s->o.nxdomain_cut && (a = cut_find(s, &req->name, now_s)) != NULL) {
		board_add(s->o.board, BOARD_CACHE_NXDOMAIN_CUT, 1);
		return a;
	}
	return source_failed_lately(s, hash) ? source_stale(s, req) : NULL;
}

/* Without a file nobody would see another one's answer. */
static enum claim
claim(struct source *s, const struct flight *f)
{
	if (s->o.claims == NULL || !cache_is_open(s->o.cache) || f->begun_ms < s->alone_until_ms)
		return CLAIM_NONE;
	return claims_take(s->o.claims, f->claim, s->me, f->begun_ms);
}

/* A new flight for a question that nobody of this process asks; with the lock held.  NULL: another process asks. */
static struct flight *
begin(struct source *s, struct dns_req *req, uint64_t hash, uint64_t claim_hash, uint64_t epoch)
{
	struct flight *f = flight_new(s, req, hash, claim_hash, epoch);
	enum claim got = claim(s, f);

	flight_join(f, req);
	f->has_claim = got == CLAIM_MINE;
	if (got != CLAIM_OTHERS) {
		f->state = FLIGHT_ASKED;
		return f;
	}
	f->state = FLIGHT_WAITING;
	f->poll_ms = f->begun_ms + CACHE_SOURCE_POLL_MS;
	TAILQ_INSERT_TAIL(&s->waiting, f, link);
	source_wake_at(s, f->poll_ms);
	board_add(s->o.board, BOARD_CACHE_WAITED, 1);
	return NULL;
}

/* Between our look and our claim another process may have finished. */
static bool
is_there_meanwhile(struct source *s, struct flight *f)
{
	const struct dns_answer *a;

	if (!f->has_claim ||
	    cache_get_dns(s->o.cache, &f->req.name, f->req.type, CACHE_LOOK_AGAIN, clock_wall_s(), &a) != RC_OK)
		return false;
	claims_release(s->o.claims, f->claim, s->me);
	(void)flight_answer(f, a);
	dns_answer_unref(a);
	pthread_mutex_lock(&s->lock);
	flight_unref(f);
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* The flight that has to be asked for this request; NULL: it is answered, or it waits. */
static struct flight *
take_up(struct source *s, struct dns_req *req)
{
	uint64_t epoch = cache_epoch(s->o.cache), claim_hash, hash = source_hash(s, req, &claim_hash);
	const struct dns_answer *a;
	struct flight *f;

	req->source = &s->source;
	req->own = NULL;
	req->answer = NULL;
	if ((a = known(s, req, hash)) != NULL) {
		req_give(req, a);
		return NULL;
	}
	pthread_mutex_lock(&s->lock);
	f = flight_find(s, req, hash, epoch);
	if (f != NULL) {
		flight_join(f, req);
		board_add(s->o.board, BOARD_CACHE_MERGED, 1);
		f = NULL;
	} else {
		f = begin(s, req, hash, claim_hash, epoch);
	}
	pthread_mutex_unlock(&s->lock);
	return f != NULL && !is_there_meanwhile(s, f) ? f : NULL;
}

static void
source_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	enum { BATCH = 64 };
	struct source *s = (struct source *)src;
	struct flight *v[BATCH];
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		struct flight *f = take_up(s, reqs[i]);

		if (f != NULL)
			v[count++] = f;
		if (count == BATCH || (i + 1 == n && count > 0)) {
			flight_ask(s, v, count);
			count = 0;
		}
	}
}

/* ---- giving up --------------------------------------------------------------------------------------------- */

/* Nobody waits for it any more: it is not asked, or no longer.  With the lock held, and a reference if it is to be cancelled (true). */
static bool
abandon(struct flight *f)
{
	bool is_asked = f->state == FLIGHT_ASKED;

	flight_hide(f);
	if (is_asked) {
		f->refs++;
		return true;
	}
	if (f->state == FLIGHT_WAITING) {
		f->state = FLIGHT_OVER;
		flight_unref(f);
	}
	return false;
}

static void
cancel_flight(struct source *s, struct flight *f)
{
	s->o.next->cancel(s->o.next, &f->req);
	pthread_mutex_lock(&s->lock);
	flight_unref(f);
	pthread_mutex_unlock(&s->lock);
}

static void
source_cancel(struct dns_source *src, struct dns_req *req)
{
	struct source *s = (struct source *)src;
	struct flight *f = NULL;
	bool was_waiting, must_cancel = false;

	pthread_mutex_lock(&s->lock);
	was_waiting = req->own != NULL;
	if (was_waiting) {
		f = ((struct waiter *)req->own)->flight;
		must_cancel = flight_leave(req) && abandon(f);
	}
	pthread_mutex_unlock(&s->lock);
	if (was_waiting)
		req_give(req, dns_answer_status(DNS_CANCELLED, 0, NULL));
	if (must_cancel)
		cancel_flight(s, f);
}

void
cache_source_flush(struct dns_source *src)
{
	struct source *s = (struct source *)src;

	pthread_mutex_lock(&s->lock);
	memset(s->failed, 0, sizeof s->failed);
	pthread_mutex_unlock(&s->lock);
	cache_flush(s->o.cache, clock_wall_s());
}

/* ---- beginning and end ------------------------------------------------------------------------------------- */

/* Any one that is listed; NULL: none. */
static struct flight *
any_flight(struct source *s)
{
	for (size_t i = 0; i < SOURCE_BUCKETS; i++)
		if (!LIST_EMPTY(&s->bucket[i]))
			return LIST_FIRST(&s->bucket[i]);
	return NULL;
}

static void
end_flights(struct source *s)
{
	const struct dns_answer *a = dns_answer_status(DNS_CANCELLED, 0, "the cache is closed");
	struct flight *f;

	pthread_mutex_lock(&s->lock);
	while ((f = any_flight(s)) != NULL) {
		struct waiters list;
		bool must_cancel;

		flight_take(f, &list);
		must_cancel = abandon(f);
		pthread_mutex_unlock(&s->lock);
		waiters_give(&list, a);
		if (must_cancel)
			cancel_flight(s, f);
		pthread_mutex_lock(&s->lock);
	}
	while ((f = TAILQ_FIRST(&s->settling)) != NULL) {
		TAILQ_REMOVE(&s->settling, f, link);
		claims_release(s->o.claims, f->claim, s->me);
		flight_unref(f);
	}
	while (s->count > 0)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	dns_answer_unref(a);
}

static void
source_destroy(struct dns_source *src)
{
	struct source *s = (struct source *)src;

	pthread_mutex_lock(&s->lock);
	s->is_stopping = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	end_flights(s);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Signals belong to the process's other threads. */
static void
start_thread(struct source *s)
{
	pthread_attr_t attr;
	sigset_t all, before;

	sigfillset(&all);
	REQUIRE(pthread_attr_init(&attr) == 0);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	REQUIRE(pthread_create(&s->thread, &attr, source_watch, s) == 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

struct dns_source *
cache_source_create(const struct cache_source_options *o)
{
	struct source *s = xcalloc(1, sizeof *s);
	pthread_condattr_t attr;

	s->source = (struct dns_source){ .ask = source_ask, .cancel = source_cancel, .destroy = source_destroy };
	s->o = *o;
	s->me = getpid();
	s->wake_ms = INT64_MAX;
	siphash_key_make(&s->key);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->young);
	TAILQ_INIT(&s->settling);
	REQUIRE(pthread_mutex_init(&s->lock, NULL) == 0);
	REQUIRE(pthread_condattr_init(&attr) == 0);
	REQUIRE(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	REQUIRE(pthread_cond_init(&s->changed, &attr) == 0);
	pthread_condattr_destroy(&attr);
	start_thread(s);
	return &s->source;
}
