/* cache_source_watch - the thread that looks after what waits; see cache_source.h.  Asleep while nothing does. */
#include "cache/cache_source_int.h"
#include "common/base/clock.h"

enum { BATCH = 64 };                    /* flights that are looked up between two times under the lock */

void
source_wake_at(struct source *s, int64_t ms)
{
	if (ms >= s->wake_ms)
		return;
	s->wake_ms = ms;
	pthread_cond_broadcast(&s->changed);
}

/* ---- claims whose answers have had their time to become visible -------------------------------------------- */

static int64_t
release_settled(struct source *s, int64_t now_ms)
{
	struct flight *f;

	while ((f = TAILQ_FIRST(&s->settling)) != NULL && f->poll_ms <= now_ms) {
		TAILQ_REMOVE(&s->settling, f, link);
		claims_release(s->o.claims, f->claim, s->me);
		flight_unref(f);
	}
	return f != NULL ? f->poll_ms : INT64_MAX;
}

/* ---- stale answers for those who have waited long enough ---------------------------------------------------- */

/* The question goes on; its answer warms the cache. */
static void
give_stale(struct source *s, struct flight *f)
{
	const struct dns_answer *a;
	struct waiters list;

	f->refs++;
	pthread_mutex_unlock(&s->lock);
	a = source_stale(s, &f->req);
	if (a != NULL)
		source_note_failed(s, f->hash);
	pthread_mutex_lock(&s->lock);
	if (a != NULL) {
		flight_take(f, &list);
		pthread_mutex_unlock(&s->lock);
		waiters_give(&list, a);
		dns_answer_unref(a);
		pthread_mutex_lock(&s->lock);
	}
	flight_unref(f);
}

static int64_t
look_for_stale(struct source *s, int64_t now_ms)
{
	struct flight *f;

	while ((f = TAILQ_FIRST(&s->young)) != NULL && f->begun_ms + CACHE_SOURCE_STALE_MS <= now_ms) {
		TAILQ_REMOVE(&s->young, f, young);
		f->is_young = false;
		if (!TAILQ_EMPTY(&f->waiters))
			give_stale(s, f);
	}
	return f != NULL ? f->begun_ms + CACHE_SOURCE_STALE_MS : INT64_MAX;
}

/* ---- questions that another process asks ---------------------------------------------------------------------- */

/* Without the lock. */
static bool
is_answered(struct source *s, struct flight *f)
{
	const struct dns_answer *a;
	bool is_first;

	if (cache_get_dns(s->o.cache, &f->req.name, f->req.type, CACHE_LOOK_AGAIN, clock_wall_s(), &a) != RC_OK)
		return false;
	is_first = flight_answer(f, a);
	dns_answer_unref(a);
	if (is_first) {
		pthread_mutex_lock(&s->lock);
		s->in_vain = 0;
		flight_unref(f);
		pthread_mutex_unlock(&s->lock);
	}
	return true;
}

/* True: no use in waiting any longer. */
static bool
is_our_turn(struct source *s, struct flight *f, int64_t now_ms)
{
	if (now_ms - f->begun_ms >= CACHE_SOURCE_WAIT_MS)
		return true;
	if (claims_is_others(s->o.claims, f->claim, s->me, now_ms)) {
		f->settle_ms = 0;
		return false;
	}
	if (f->settle_ms == 0)
		f->settle_ms = now_ms + CACHE_SOURCE_SETTLE_MS;
	return now_ms >= f->settle_ms;
}

static void
ask_ourselves(struct source *s, struct flight *f, int64_t now_ms)
{
	enum claim claim = claims_take(s->o.claims, f->claim, s->me, now_ms);

	/* A third one was quicker. */
	if (claim == CLAIM_OTHERS && now_ms - f->begun_ms < CACHE_SOURCE_WAIT_MS)
		return;
	pthread_mutex_lock(&s->lock);
	if (f->state != FLIGHT_WAITING) {
		pthread_mutex_unlock(&s->lock);
		if (claim == CLAIM_MINE)
			claims_release(s->o.claims, f->claim, s->me);
		return;
	}
	TAILQ_REMOVE(&s->waiting, f, link);
	f->state = FLIGHT_ASKED;
	f->has_claim = claim == CLAIM_MINE;
	if (++s->in_vain >= CACHE_SOURCE_IN_VAIN_MAX) {
		s->alone_until_ms = now_ms + CACHE_SOURCE_ALONE_MS;
		s->in_vain = 0;
	}
	pthread_mutex_unlock(&s->lock);
	flight_ask(s, &f, 1);
}

/* Without the lock; we hold a reference. */
static void
look_after(struct source *s, struct flight *f)
{
	int64_t now_ms = clock_mono_ms();

	if (!is_answered(s, f) && is_our_turn(s, f, now_ms))
		ask_ourselves(s, f, now_ms);
}

/* Those whose time has come, each with a reference; *due_out: when the next one's comes. */
static size_t
take_due(struct source *s, int64_t now_ms, struct flight *due[BATCH], int64_t *due_out)
{
	struct flight *f;
	size_t n = 0;

	*due_out = INT64_MAX;
	TAILQ_FOREACH(f, &s->waiting, link) {
		if (f->poll_ms <= now_ms && n < BATCH) {
			f->poll_ms = now_ms + MIN(MAX((now_ms - f->begun_ms) / 8, (int64_t)CACHE_SOURCE_POLL_MS), (int64_t)SOURCE_POLL_MAX_MS);
			f->refs++;
			due[n++] = f;
		}
		*due_out = MIN(*due_out, f->poll_ms);
	}
	return n;
}

static int64_t
look_after_waiting(struct source *s, int64_t now_ms)
{
	struct flight *due[BATCH];
	int64_t next_ms;
	size_t n;

	do {
		n = take_due(s, now_ms, due, &next_ms);
		pthread_mutex_unlock(&s->lock);
		for (size_t i = 0; i < n; i++)
			look_after(s, due[i]);
		pthread_mutex_lock(&s->lock);
		for (size_t i = 0; i < n; i++)
			flight_unref(due[i]);
	} while (n == BATCH);
	return next_ms;
}

/* ---- the thread ------------------------------------------------------------------------------------------- */

static void
sleep_until(struct source *s, int64_t ms)
{
	const struct timespec until = clock_mono_at(ms == INT64_MAX ? 0 : ms);

	if (ms == INT64_MAX)
		pthread_cond_wait(&s->changed, &s->lock);
	else
		(void)pthread_cond_timedwait(&s->changed, &s->lock, &until);
}

void *
source_watch(void *arg)
{
	struct source *s = arg;

	(void)pthread_setname_np(pthread_self(), "cache");
	pthread_mutex_lock(&s->lock);
	while (!s->is_stopping) {
		int64_t now_ms = clock_mono_ms(), due_ms;

		/* What comes while the lock is open sets it lower. */
		s->wake_ms = INT64_MAX;
		due_ms = release_settled(s, now_ms);
		due_ms = MIN(due_ms, look_for_stale(s, now_ms));
		due_ms = MIN(due_ms, look_after_waiting(s, now_ms));
		s->wake_ms = MIN(s->wake_ms, due_ms);
		if (s->wake_ms != INT64_MAX)
			s->wake_ms = MAX(s->wake_ms, now_ms + CACHE_SOURCE_POLL_MS);
		while (!s->is_stopping && s->wake_ms > clock_mono_ms())
			sleep_until(s, s->wake_ms);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}
