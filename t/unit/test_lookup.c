/* test_lookup - questions on their way: a fake source answers inside ask(), from a thread, late, or never. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/lookup.h"

enum { FAR_MS = 30000 };                /* a deadline that only a broken test reaches */

enum mode { AT_ONCE, HOLD };

/* Keeps requests in a queue until its thread is told to answer. */
struct fake {
	struct dns_source source;
	enum mode mode;
	bool is_deaf;                   /* cancel() is ignored, as a slow source might */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct dns_req *held[4096];
	size_t n;
	size_t let_go;                  /* the thread may answer so many */
	bool is_over;
	size_t asked, batches, cancelled, answered;
};

static void
answer(struct dns_req *req, enum dns_status status)
{
	req->answer = dns_answer_status(status, 60, NULL);
	req->done(req);
}

static void
fake_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	struct fake *f = (struct fake *)src;

	pthread_mutex_lock(&f->lock);
	f->asked += n;
	f->batches++;
	for (size_t i = 0; i < n && f->mode == HOLD; i++)
		f->held[f->n++] = reqs[i];
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < n && f->mode == AT_ONCE; i++)
		answer(reqs[i], DNS_NODATA);
}

static void
fake_cancel(struct dns_source *src, struct dns_req *req)
{
	struct fake *f = (struct fake *)src;
	bool found = false;

	pthread_mutex_lock(&f->lock);
	f->cancelled++;
	for (size_t i = 0; i < f->n && !f->is_deaf; i++) {
		if (f->held[i] != req)
			continue;
		f->held[i] = f->held[--f->n];
		found = true;
		break;
	}
	pthread_mutex_unlock(&f->lock);
	if (found)
		answer(req, DNS_CANCELLED);
}

static void *
fake_run(void *arg)
{
	struct fake *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->is_over) {
		struct dns_req *req;

		if (f->n == 0 || f->let_go == 0) {
			pthread_cond_wait(&f->wake, &f->lock);
			continue;
		}
		req = f->held[--f->n];
		f->let_go--;
		f->answered++;
		pthread_mutex_unlock(&f->lock);
		answer(req, DNS_NXDOMAIN);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static struct fake *
fake_create(enum mode mode)
{
	struct fake *f = xcalloc(1, sizeof *f);

	f->source = (struct dns_source){ .ask = fake_ask, .cancel = fake_cancel };
	f->mode = mode;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->wake, NULL);
	if (pthread_create(&f->thread, NULL, fake_run, f) != 0)
		abort();
	return f;
}

static void
fake_let_go(struct fake *f, size_t n)
{
	pthread_mutex_lock(&f->lock);
	f->let_go = n;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

static size_t
fake_held(struct fake *f)
{
	size_t n;

	pthread_mutex_lock(&f->lock);
	n = f->n;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void
fake_destroy(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->is_over = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	for (size_t i = 0; i < f->n; i++)
		answer(f->held[i], DNS_SERVFAIL);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->wake);
	free(f);
}

static void
want(struct questions *q, size_t i)
{
	struct dns_name name;
	char text[32];

	snprintf(text, sizeof text, "n%zu.example", i);
	if (dns_name_from_text(span_cstr(text), &name) != RC_OK)
		abort();
	(void)questions_want(q, &name, DNS_TXT, false);
}

struct message {
	struct arena arena;
	struct questions q;
};

static void
message_start(struct message *m, size_t questions)
{
	arena_init(&m->arena, KIB, MIB);
	questions_init(&m->q, &m->arena, 1000);
	for (size_t i = 0; i < questions; i++)
		want(&m->q, i);
}

static void
test_answers_inside_ask(void **state)
{
	struct fake *f = fake_create(AT_ONCE);
	struct lookup *l = lookup_create(&f->source);
	struct message m;

	(void)state;
	message_start(&m, 20);
	lookup_collect(l, &m.q);
	assert_int_equal(lookup_wait(l, &m.q, 0), RC_OK);       /* nothing sent, nothing to wait for */
	lookup_send(l, &m.q);
	assert_int_equal(f->batches, 1);
	assert_int_equal(m.q.sent_count, 20);
	assert_int_equal(lookup_wait(l, &m.q, clock_mono_ms() + FAR_MS), RC_OK);
	assert_int_equal(m.q.sent_count, 0);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(m.q.v[i]->answer->status, DNS_NODATA);
	lookup_send(l, &m.q);                   /* nothing new */
	assert_int_equal(f->asked, 20);
	want(&m.q, 100);
	lookup_send(l, &m.q);
	lookup_collect(l, &m.q);
	assert_int_equal(m.q.v[20]->answer->status, DNS_NODATA);
	assert_int_equal(lookup_stats(l).asked, 21);
	assert_int_equal(lookup_stats(l).answered, 21);
	assert_int_equal(lookup_stats(l).timeouts, 0);
	lookup_abandon(l);
	assert_int_equal(f->cancelled, 0);
	assert_int_equal(lookup_stats(l).asked, 0);
	lookup_destroy(&l);
	assert_null(l);
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);
}

static void
test_answers_from_a_thread(void **state)
{
	struct fake *f = fake_create(HOLD);
	struct lookup *l = lookup_create(&f->source);
	struct message m;

	(void)state;
	message_start(&m, 50);
	lookup_send(l, &m.q);
	fake_let_go(f, SIZE_MAX);
	assert_int_equal(lookup_wait(l, &m.q, clock_mono_ms() + FAR_MS), RC_OK);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(m.q.v[i]->answer->status, DNS_NXDOMAIN);
	assert_int_equal(lookup_stats(l).answered, 50);
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);
}

static void
test_deadline(void **state)
{
	struct fake *f = fake_create(HOLD);
	struct lookup *l = lookup_create(&f->source);
	struct message m;
	int64_t start;

	(void)state;
	message_start(&m, 10);
	lookup_send(l, &m.q);
	fake_let_go(f, 4);
	while (lookup_stats(l).answered < 4) {
		sched_yield();
		lookup_collect(l, &m.q);
	}
	start = clock_mono_ms();
	assert_int_equal(lookup_wait(l, &m.q, start + 80), RC_TEMP);
	assert_in_range(clock_mono_ms() - start, 80, FAR_MS);
	assert_int_equal(lookup_wait(l, &m.q, start), RC_TEMP);         /* long past: no waiting, nothing counted twice */
	assert_int_equal(m.q.sent_count, 6);
	assert_int_equal(lookup_stats(l).answered, 4);
	assert_int_equal(lookup_stats(l).timeouts, 6);
	assert_true(lookup_stats(l).wait_us >= 70000);
	questions_close(&m.q);
	for (size_t i = 0, timeouts = 0; i < 10; i++) {
		timeouts += m.q.v[i]->answer->status == DNS_TIMEOUT;
		assert_int_equal(i < 9 || timeouts == 6, 1);
	}
	/* an answer between the deadline and the end of the message changes nothing */
	fake_let_go(f, 1);
	while (fake_held(f) > 5)
		sched_yield();
	lookup_collect(l, &m.q);
	lookup_abandon(l);
	assert_int_equal(fake_held(f), 0);      /* cancelled */
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);
}

static void
test_late_answers_after_abandon(void **state)
{
	struct fake *f = fake_create(HOLD);
	struct lookup *l = lookup_create(&f->source);
	struct message m;

	(void)state;
	f->is_deaf = true;
	message_start(&m, 10);
	lookup_send(l, &m.q);
	lookup_abandon(l);
	assert_int_equal(f->cancelled, 10);
	arena_fini(&m.arena);
	/* the next message of the session has the same question indices */
	message_start(&m, 3);
	assert_int_equal(fake_held(f), 10);
	fake_let_go(f, 10);
	while (fake_held(f) > 0)
		sched_yield();
	lookup_collect(l, &m.q);
	assert_int_equal(m.q.new_count, 3);
	assert_int_equal(lookup_stats(l).answered, 0);
	lookup_send(l, &m.q);
	fake_let_go(f, SIZE_MAX);
	assert_int_equal(lookup_wait(l, &m.q, clock_mono_ms() + FAR_MS), RC_OK);
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);
}

static void
test_session_gone_before_answers(void **state)
{
	struct fake *f = fake_create(HOLD);
	struct lookup *l = lookup_create(&f->source);
	struct message m;

	(void)state;
	f->is_deaf = true;
	message_start(&m, 10);
	lookup_send(l, &m.q);
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);                        /* answers all of them at its own end */
}

static void
test_uncollected_answers_are_freed(void **state)
{
	struct fake *f = fake_create(AT_ONCE);
	struct lookup *l = lookup_create(&f->source);
	struct message m;

	(void)state;
	message_start(&m, 10);
	lookup_send(l, &m.q);
	lookup_destroy(&l);
	arena_fini(&m.arena);
	fake_destroy(f);
}

/* Sessions on several threads against one source: ends at random moments, for the thread sanitizer. */
static void *
run_session(void *arg)
{
	struct fake *f = arg;
	struct lookup *l = lookup_create(&f->source);
	unsigned seed = (unsigned)(uintptr_t)l;

	for (int i = 0; i < 200; i++) {
		struct message m;

		message_start(&m, (size_t)(rand_r(&seed) % 8));
		lookup_send(l, &m.q);
		if (rand_r(&seed) % 2 && lookup_wait(l, &m.q, clock_mono_ms() + rand_r(&seed) % 3) != RC_OK)
			questions_close(&m.q);
		lookup_collect(l, &m.q);
		lookup_abandon(l);
		arena_fini(&m.arena);
	}
	lookup_destroy(&l);
	return NULL;
}

static void
test_many_sessions(void **state)
{
	struct fake *f = fake_create(HOLD);
	pthread_t threads[8];

	(void)state;
	fake_let_go(f, SIZE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_session, f), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fake_held(f), 0);
	assert_true(f->answered > 0);
	fake_destroy(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_inside_ask), cmocka_unit_test(test_answers_from_a_thread),
		cmocka_unit_test(test_deadline), cmocka_unit_test(test_late_answers_after_abandon),
		cmocka_unit_test(test_session_gone_before_answers), cmocka_unit_test(test_uncollected_answers_are_freed),
		cmocka_unit_test(test_many_sessions),
	};

	return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
