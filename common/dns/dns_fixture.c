/*
 * dns_fixture - the dns_source over a zone; see dns_fixture.h.
 *
 * A CNAME of the zone may lead out of it.  Then, if there is a next source, a request of our own (a relay) carries the rest of the
 * question there; the asker's request points to it, so that cancelling reaches it.  The zone itself never changes, only that
 * pointer needs the lock.
 */
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"
#include "common/dns/dns_fixture.h"
#include "common/dns/zone.h"

enum { BATCH = 64 };                    /* requests passed on together */

struct fixture {
	struct dns_source source;       /* first: the casts rely on it */
	struct zone *zone;
	struct dns_source *next;
	pthread_mutex_t lock;           /* guards dns_req.own of relayed requests, the list of relays and their refs */
	pthread_cond_t all_done;
	struct relay *relays;
};

struct relay {
	struct dns_req req;             /* first */
	struct dns_req *asker;
	struct fixture *fixture;
	uint32_t ttl_s;                 /* least of the CNAMEs in the zone */
	unsigned refs;
	bool is_cancelled;              /* by fixture_destroy() */
	struct relay *before, *after;
};

struct batch {
	struct dns_req *v[BATCH];
	size_t n;
};

static void
relay_unref(struct relay *relay)
{
	struct fixture *f = relay->fixture;

	pthread_mutex_lock(&f->lock);
	if (--relay->refs > 0) {
		relay = NULL;
	} else {
		*(relay->before != NULL ? &relay->before->after : &f->relays) = relay->after;
		if (relay->after != NULL)
			relay->after->before = relay->before;
		if (f->relays == NULL)
			pthread_cond_broadcast(&f->all_done);
	}
	pthread_mutex_unlock(&f->lock);
	free(relay);
}

/* The same answer, with the TTL of the way that led to it. */
static const struct dns_answer *
with_ttl(const struct dns_answer *a, uint32_t ttl_s)
{
	struct answer_make m;
	size_t names = 0, text = 0;

	if (a->ttl_s <= ttl_s)
		return dns_answer_ref(a);
	for (size_t i = 0; i < a->rr_count; i++) {
		names += a->rr[i].name != NULL;
		text += a->rr[i].text.n;
	}
	m = answer_make(a->status, a->rr_count, names, text);
	if (m.a == NULL)
		return dns_answer_ref(a);
	for (size_t i = 0; i < a->rr_count; i++) {
		struct dns_rr *rr = answer_make_rr(&m, a->rr[i].ttl_s);
		char *copy = answer_make_text(&m, a->rr[i].text.n);
		struct dns_name *name = a->rr[i].name != NULL ? answer_make_name(&m) : NULL;

		*rr = a->rr[i];
		if (name != NULL)
			*name = *rr->name;
		rr->name = name;
		if (!span_is_null(rr->text)) {
			memcpy(copy, rr->text.p, rr->text.n);
			rr->text.p = copy;
		}
	}
	m.a->is_secure = a->is_secure;
	m.a->is_from_cache = a->is_from_cache;
	m.a->elapsed_us = a->elapsed_us;
	m.a->ttl_s = ttl_s;
	memcpy(m.a->why, a->why, sizeof m.a->why);
	return m.a;
}

static void
relay_done(struct dns_req *req)
{
	struct relay *relay = (struct relay *)req;
	struct dns_req *asker = relay->asker;

	asker->answer = with_ttl(req->answer, relay->ttl_s);
	dns_answer_unref(req->answer);
	pthread_mutex_lock(&relay->fixture->lock);
	asker->own = NULL;
	pthread_mutex_unlock(&relay->fixture->lock);
	asker->done(asker);
	relay_unref(relay);
}

static struct dns_req *
relay_create(struct fixture *f, struct dns_req *asker, const struct dns_name *name, uint32_t ttl_s)
{
	struct relay *relay = xcalloc(1, sizeof *relay);

	relay->req.name = *name;
	relay->req.type = asker->type;
	relay->req.done = relay_done;
	relay->asker = asker;
	relay->fixture = f;
	relay->ttl_s = ttl_s;
	relay->refs = 1;
	pthread_mutex_lock(&f->lock);
	relay->after = f->relays;
	if (f->relays != NULL)
		f->relays->before = relay;
	f->relays = relay;
	asker->source = &f->source;
	asker->own = relay;
	pthread_mutex_unlock(&f->lock);
	return &relay->req;
}

static void
pass_on(struct fixture *f, struct batch *b, struct dns_req *req)
{
	if (req != NULL)
		b->v[b->n++] = req;
	if (b->n == BATCH || (req == NULL && b->n > 0)) {
		size_t n = b->n;

		b->n = 0;
		f->next->ask(f->next, b->v, n);
	}
}

/* Answers from the zone, or gives what the next source has to be asked. */
static struct dns_req *
answer_or_pass(struct fixture *f, struct dns_req *req)
{
	const int64_t start_us = clock_mono_us();
	struct dns_name end;
	uint32_t ttl_s;
	struct dns_answer *a = zone_follow(f->zone, &req->name, req->type, &end, &ttl_s);

	req->source = &f->source;
	req->own = NULL;
	if (a == NULL && f->next != NULL) {
		if (ttl_s != UINT32_MAX)
			return relay_create(f, req, &end, ttl_s);
		req->source = NULL;     /* the next source's from here */
		return req;
	}
	if (a == NULL)
		a = answer_status(DNS_NXDOMAIN, MIN((uint32_t)ZONE_NEGATIVE_TTL_S, ttl_s), NULL);
	a->is_from_cache = true;
	a->elapsed_us = (uint32_t)(clock_mono_us() - start_us);
	req->answer = a;
	req->done(req);
	return NULL;
}

static void
fixture_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	struct fixture *f = (struct fixture *)src;
	struct batch b = { .n = 0 };

	for (size_t i = 0; i < n; i++) {
		struct dns_req *rest = answer_or_pass(f, reqs[i]);

		if (rest != NULL)
			pass_on(f, &b, rest);
	}
	pass_on(f, &b, NULL);
}

static void
fixture_cancel(struct dns_source *src, struct dns_req *req)
{
	struct fixture *f = (struct fixture *)src;
	struct relay *relay;

	if (req->source != src) {
		if (f->next != NULL)
			f->next->cancel(f->next, req);
		return;
	}
	pthread_mutex_lock(&f->lock);
	relay = req->own;
	if (relay != NULL)
		relay->refs++;
	pthread_mutex_unlock(&f->lock);
	if (relay != NULL) {
		f->next->cancel(f->next, &relay->req);
		relay_unref(relay);
	}
}

/* One that was not cancelled yet, with a reference; the lock is held. */
static struct relay *
pick_relay(struct fixture *f)
{
	struct relay *relay = f->relays;

	while (relay != NULL && relay->is_cancelled)
		relay = relay->after;
	if (relay != NULL) {
		relay->is_cancelled = true;
		relay->refs++;
	}
	return relay;
}

static void
fixture_destroy(struct dns_source *src)
{
	struct fixture *f = (struct fixture *)src;
	struct relay *relay;

	pthread_mutex_lock(&f->lock);
	while ((relay = pick_relay(f)) != NULL) {
		pthread_mutex_unlock(&f->lock);
		f->next->cancel(f->next, &relay->req);
		relay_unref(relay);
		pthread_mutex_lock(&f->lock);
	}
	while (f->relays != NULL)
		pthread_cond_wait(&f->all_done, &f->lock);
	pthread_mutex_unlock(&f->lock);
	pthread_cond_destroy(&f->all_done);
	pthread_mutex_destroy(&f->lock);
	zone_destroy(&f->zone);
	free(f);
}

struct dns_source *
dns_fixture_create(struct zone *z, struct dns_source *next)
{
	struct fixture *f = xcalloc(1, sizeof *f);

	f->source = (struct dns_source){ .ask = fixture_ask, .cancel = fixture_cancel, .destroy = fixture_destroy };
	f->zone = z;
	f->next = next;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->all_done, NULL);
	return &f->source;
}
