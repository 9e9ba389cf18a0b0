/* cache_source_flight - questions that are not answered yet, and those who wait for them; see cache_source_int.h. */
#include <stdlib.h>

#include "cache/cache_source_int.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"

uint64_t
source_hash(const struct source *s, const struct dns_req *req, uint64_t *claim_out)
{
	struct cache_key key;

	/* D keys always fit. */
	REQUIRE(cache_key_dns(&req->name, req->type, &key) == RC_OK);
	*claim_out = s->o.claims != NULL ? claims_hash(s->o.claims, cache_key_span(&key)) : 0;
	return siphash(&s->key, cache_key_span(&key));
}

/* ---- with the lock ---------------------------------------------------------------------------------------- */

struct flight *
flight_find(struct source *s, const struct dns_req *req, uint64_t hash, uint64_t epoch)
{
	struct flight *f;

	LIST_FOREACH(f, &s->bucket[hash % SOURCE_BUCKETS], bucket)
		if (f->hash == hash && f->epoch == epoch && f->req.type == req->type && dns_name_eq(&f->req.name, &req->name))
			return f;
	return NULL;
}

struct flight *
flight_new(struct source *s, const struct dns_req *req, uint64_t hash, uint64_t claim, uint64_t epoch)
{
	struct flight *f = xcalloc(1, sizeof *f);

	f->req.name = req->name;
	f->req.type = req->type;
	f->source = s;
	f->hash = hash;
	f->claim = claim;
	f->epoch = epoch;
	f->refs = 1;
	f->begun_ms = clock_mono_ms();
	TAILQ_INIT(&f->waiters);
	LIST_INSERT_HEAD(&s->bucket[hash % SOURCE_BUCKETS], f, bucket);
	f->is_listed = true;
	if (s->o.stale_s > 0) {
		TAILQ_INSERT_TAIL(&s->young, f, young);
		f->is_young = true;
		source_wake_at(s, f->begun_ms + CACHE_SOURCE_STALE_MS);
	}
	s->count++;
	return f;
}

void
flight_join(struct flight *f, struct dns_req *req)
{
	struct waiter *w = xcalloc(1, sizeof *w);

	w->req = req;
	w->flight = f;
	req->own = w;
	TAILQ_INSERT_TAIL(&f->waiters, w, link);
}

bool
flight_leave(struct dns_req *req)
{
	struct waiter *w = req->own;
	struct flight *f = w->flight;

	TAILQ_REMOVE(&f->waiters, w, link);
	free(w);
	req->own = NULL;
	return TAILQ_EMPTY(&f->waiters);
}

void
flight_hide(struct flight *f)
{
	if (f->is_listed)
		LIST_REMOVE(f, bucket);
	if (f->is_young)
		TAILQ_REMOVE(&f->source->young, f, young);
	if (f->state == FLIGHT_WAITING)
		TAILQ_REMOVE(&f->source->waiting, f, link);
	f->is_listed = f->is_young = false;
}

void
flight_take(struct flight *f, struct waiters *out)
{
	struct waiter *w;

	TAILQ_INIT(out);
	TAILQ_CONCAT(out, &f->waiters, link);
	/* From here on cancel() does not find them. */
	TAILQ_FOREACH(w, out, link)
		w->req->own = NULL;
}

void
flight_unref(struct flight *f)
{
	if (--f->refs > 0)
		return;
	if (--f->source->count == 0)
		pthread_cond_broadcast(&f->source->changed);
	free(f);
}

/* ---- without it ------------------------------------------------------------------------------------------- */

void
req_give(struct dns_req *req, const struct dns_answer *a)
{
	req->answer = a;
	req->done(req);
}

void
waiters_give(struct waiters *list, const struct dns_answer *a)
{
	struct waiter *w;

	while ((w = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, w, link);
		req_give(w->req, dns_answer_ref(a));
		free(w);
	}
}

bool
flight_answer(struct flight *f, const struct dns_answer *a)
{
	struct source *s = f->source;
	struct waiters list;

	pthread_mutex_lock(&s->lock);
	if (f->state == FLIGHT_OVER) {
		pthread_mutex_unlock(&s->lock);
		return false;
	}
	flight_hide(f);
	f->state = FLIGHT_OVER;
	flight_take(f, &list);
	pthread_mutex_unlock(&s->lock);
	waiters_give(&list, a);
	return true;
}

const struct dns_answer *
source_stale(struct source *s, const struct dns_req *req)
{
	const struct dns_answer *a;

	if (s->o.stale_s == 0 || cache_get_dns(s->o.cache, &req->name, req->type, CACHE_LOOK_STALE, clock_wall_s(), &a) != RC_OK)
		return NULL;
	return a;
}

void
source_note_failed(struct source *s, uint64_t hash)
{
	pthread_mutex_lock(&s->lock);
	s->failed[hash % SOURCE_FAILED].hash = hash;
	s->failed[hash % SOURCE_FAILED].until_ms = clock_mono_ms() + CACHE_SOURCE_FAILED_S * 1000;
	pthread_mutex_unlock(&s->lock);
}

bool
source_failed_lately(struct source *s, uint64_t hash)
{
	bool has_failed;

	if (s->o.stale_s == 0)
		return false;
	pthread_mutex_lock(&s->lock);
	has_failed = s->failed[hash % SOURCE_FAILED].hash == hash && s->failed[hash % SOURCE_FAILED].until_ms > clock_mono_ms();
	pthread_mutex_unlock(&s->lock);
	return has_failed;
}

/* Instead of a failure that may heal: what was true before.  NULL: nothing, or it is no such failure. */
static const struct dns_answer *
instead_of(struct flight *f, const struct dns_answer *a)
{
	const struct dns_answer *stale;

	if (f->source->o.stale_s == 0 || !dns_status_is_temporary(a->status) || a->status == DNS_BOGUS || a->status == DNS_CANCELLED)
		return NULL;
	if ((stale = source_stale(f->source, &f->req)) != NULL)
		source_note_failed(f->source, f->hash);
	return stale;
}

/* With the lock held.  Others go on waiting until they can see what was offered. */
static void
end_claim(struct flight *f, bool is_offered)
{
	struct source *s = f->source;

	if (!f->has_claim)
		return;
	if (!is_offered || s->is_stopping) {
		claims_release(s->o.claims, f->claim, s->me);
		return;
	}
	f->refs++;
	f->poll_ms = clock_mono_ms() + CACHE_SOURCE_SETTLE_MS;
	TAILQ_INSERT_TAIL(&s->settling, f, link);
	source_wake_at(s, f->poll_ms);
}

/* The next source's answer.  Order: offered, given to all who wait, then the claim ends; it is kept until the offer can be seen. */
static void
on_answer(struct dns_req *req)
{
	struct flight *f = (struct flight *)req;
	struct source *s = f->source;
	const struct dns_answer *a = req->answer, *stale;
	int64_t now_s = clock_wall_s();
	bool is_sent = cache_offer_dns(s->o.cache, &req->name, req->type, a, f->epoch, now_s);

	cut_offer(s, &req->name, a, f->epoch, now_s);
	stale = instead_of(f, a);
	(void)flight_answer(f, stale != NULL ? stale : a);
	dns_answer_unref(stale);
	dns_answer_unref(a);
	pthread_mutex_lock(&s->lock);
	end_claim(f, is_sent);
	flight_unref(f);
	pthread_mutex_unlock(&s->lock);
}

void
flight_ask(struct source *s, struct flight **f, size_t n)
{
	enum { BATCH = 64 };
	struct dns_req *reqs[BATCH];

	for (size_t at = 0, part; at < n; at += part) {
		part = MIN(n - at, (size_t)BATCH);
		for (size_t i = 0; i < part; i++) {
			reqs[i] = &f[at + i]->req;
			reqs[i]->done = on_answer;
		}
		s->o.next->ask(s->o.next, reqs, part);
	}
}
