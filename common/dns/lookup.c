/*
 * lookup - carries the questions of one message to a dns_source; see lookup.h.
 *
 * What a source may still touch belongs to a box: the requests of one message, the lock, the condition.  The session holds one
 * reference to it, every request that is under way another; whoever drops the last one frees it.  So a message may end while
 * answers are under way, and a session may begin the next one with a new box.
 */
#include "common/dns/lookup.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"

struct box;

struct item {
	struct dns_req req;             /* first: done() casts */
	struct box *box;
	size_t index;                   /* of the question */
	bool is_done;
	struct item *next_done;
};

/* The requests of one lookup_send(). */
struct parcel {
	struct parcel *next;
	size_t n;
	struct item items[];
};

struct box {
	pthread_mutex_t lock;           /* everything below, and is_done and next_done of the items */
	pthread_cond_t all_done;
	size_t refs;
	size_t outstanding;
	bool is_abandoned;
	struct item *done;              /* not collected yet */
	struct parcel *parcels;         /* the session's thread only, until the box is freed */
};

struct lookup {
	struct dns_source *source;
	struct box *box;                /* NULL: nothing asked yet */
	struct lookup_stats stats;
	bool is_late;                   /* a deadline has passed and is counted */
};

struct lookup *
lookup_create(struct dns_source *source)
{
	struct lookup *l = xcalloc(1, sizeof *l);

	l->source = source;
	return l;
}

static struct box *
box_create(void)
{
	struct box *box = xcalloc(1, sizeof *box);
	pthread_condattr_t attr;

	REQUIRE(pthread_mutex_init(&box->lock, NULL) == 0);
	REQUIRE(pthread_condattr_init(&attr) == 0);
	REQUIRE(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	REQUIRE(pthread_cond_init(&box->all_done, &attr) == 0);
	pthread_condattr_destroy(&attr);
	box->refs = 1;
	return box;
}

static void
box_free(struct box *box)
{
	while (box->done != NULL) {
		dns_answer_unref(box->done->req.answer);
		box->done = box->done->next_done;
	}
	while (box->parcels != NULL) {
		struct parcel *parcel = box->parcels;

		box->parcels = parcel->next;
		free(parcel);
	}
	pthread_cond_destroy(&box->all_done);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

/* Any thread; nothing of the request is touched after the reference is gone. */
static void
on_done(struct dns_req *req)
{
	struct item *item = (struct item *)req;
	struct box *box = item->box;
	bool is_last;

	pthread_mutex_lock(&box->lock);
	item->is_done = true;
	if (box->is_abandoned) {
		dns_answer_unref(req->answer);
		req->answer = NULL;
	} else {
		item->next_done = box->done;
		box->done = item;
	}
	if (--box->outstanding == 0)
		pthread_cond_signal(&box->all_done);
	is_last = --box->refs == 0;
	pthread_mutex_unlock(&box->lock);
	if (is_last)
		box_free(box);
}

static struct parcel *
parcel_create(struct box *box, struct questions *q)
{
	struct parcel *parcel = xcalloc(1, sizeof *parcel + q->new_count * sizeof parcel->items[0]);
	const size_t n = q->new_count;

	for (size_t at = questions_next_new(q, 0); at < q->n && parcel->n < n; at = questions_next_new(q, at + 1)) {
		struct item *item = &parcel->items[parcel->n++];

		item->req.name = q->v[at]->name;
		item->req.type = q->v[at]->type;
		item->req.done = on_done;
		item->box = box;
		item->index = at;
		questions_mark_sent(q, at);
	}
	parcel->next = box->parcels;
	box->parcels = parcel;
	return parcel;
}

void
lookup_send(struct lookup *l, struct questions *q)
{
	struct dns_req **reqs;
	struct parcel *parcel;
	size_t n;

	if (q->new_count == 0)
		return;
	if (l->box == NULL)
		l->box = box_create();
	parcel = parcel_create(l->box, q);
	n = parcel->n;
	pthread_mutex_lock(&l->box->lock);
	l->box->refs += n;
	l->box->outstanding += n;
	pthread_mutex_unlock(&l->box->lock);
	l->stats.asked += (uint32_t)n;
	reqs = xcalloc(n, sizeof(struct dns_req *));
	for (size_t i = 0; i < n; i++)
		reqs[i] = &parcel->items[i].req;
	l->source->ask(l->source, reqs, n);
	free(reqs);
}

static void
count_answer(struct lookup_stats *s, const struct dns_answer *a)
{
	s->answered++;
	s->from_cache += a->is_from_cache;
	s->stale += a->is_stale;
	s->timeouts += a->status == DNS_TIMEOUT;
	s->slowest_us = MAX(s->slowest_us, a->elapsed_us);
}

void
lookup_collect(struct lookup *l, struct questions *q)
{
	struct item *done;

	if (l->box == NULL)
		return;
	pthread_mutex_lock(&l->box->lock);
	done = l->box->done;
	l->box->done = NULL;
	pthread_mutex_unlock(&l->box->lock);
	for (; done != NULL; done = done->next_done) {
		const struct dns_answer *answer = done->req.answer;

		done->req.answer = NULL;
		count_answer(&l->stats, answer);
		questions_answer(q, done->index, answer);
	}
}

/* Until nothing is outstanding, or the deadline. */
static void
wait_for_box(struct box *box, int64_t deadline_ms)
{
	const struct timespec until = clock_mono_at(deadline_ms);
	int failed = 0;

	pthread_mutex_lock(&box->lock);
	while (box->outstanding > 0 && failed == 0)
		failed = pthread_cond_timedwait(&box->all_done, &box->lock, &until);
	pthread_mutex_unlock(&box->lock);
}

enum rc
lookup_wait(struct lookup *l, struct questions *q, int64_t deadline_ms)
{
	const int64_t start_us = clock_mono_us();

	if (q->sent_count > 0 && l->box != NULL) {
		wait_for_box(l->box, deadline_ms);
		l->stats.wait_us += (uint64_t)(clock_mono_us() - start_us);
	}
	lookup_collect(l, q);
	if (q->sent_count == 0)
		return RC_OK;
	if (!l->is_late)
		l->stats.timeouts += (uint32_t)q->sent_count;
	l->is_late = true;
	return RC_TEMP;
}

static bool
is_outstanding(struct box *box, const struct item *item)
{
	bool is_done;

	pthread_mutex_lock(&box->lock);
	is_done = item->is_done;
	pthread_mutex_unlock(&box->lock);
	return !is_done;
}

void
lookup_abandon(struct lookup *l)
{
	struct box *box = l->box;
	bool is_last;

	l->box = NULL;
	l->stats = (struct lookup_stats){ 0 };
	l->is_late = false;
	if (box == NULL)
		return;
	pthread_mutex_lock(&box->lock);
	box->is_abandoned = true;
	pthread_mutex_unlock(&box->lock);
	/* done() may come inside cancel() or just before: the requests live as long as our reference */
	for (struct parcel *parcel = box->parcels; parcel != NULL; parcel = parcel->next)
		for (size_t i = 0; i < parcel->n; i++)
			if (is_outstanding(box, &parcel->items[i]))
				l->source->cancel(l->source, &parcel->items[i].req);
	pthread_mutex_lock(&box->lock);
	is_last = --box->refs == 0;
	pthread_mutex_unlock(&box->lock);
	if (is_last)
		box_free(box);
}

void
lookup_destroy(struct lookup **l)
{
	if (*l == NULL)
		return;
	lookup_abandon(*l);
	free(*l);
	*l = NULL;
}

struct lookup_stats
lookup_stats(const struct lookup *l)
{
	return l->stats;
}
