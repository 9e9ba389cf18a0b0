/* test_dns_unbound - libunbound over the loopback to the test server: answers, silence, garbage, numbers, the end. */
#include "t/unit/dns_server.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>

#define ZONE_HEAD \
	"host.example 200 A 192.0.2.1\nhost.example 100 A 192.0.2.2\nhost.example AAAA 2001:db8::1\n" \
	"host.example MX 10 mail.example\nhost.example MX 20 host.example\n" \
	"host.example TXT \"v=spf1 \" \"-all\"\nhost.example NS ns.example\n" \
	"1.2.0.192.in-addr.arpa PTR host.example\n"

static void
test_types_and_ttls(void **state)
{
	struct dns_server s = dns_server_start(SPAN(ZONE_HEAD "neg.example 20 NXDOMAIN\nfail.example SERVFAIL\n"));
	struct dns_source *src = resolver_to(&s);
	const struct dns_answer *a;

	(void)state;
	expect(src, "host.example", DNS_A, DNS_OK, 2, 100);
	expect(src, "host.example", DNS_AAAA, DNS_OK, 1, 300);
	expect(src, "host.example", DNS_MX, DNS_OK, 2, 300);
	expect(src, "host.example", DNS_NS, DNS_OK, 1, 300);
	expect(src, "1.2.0.192.in-addr.arpa", DNS_PTR, DNS_OK, 1, 300);
	expect(src, "fail.example", DNS_A, DNS_SERVFAIL, 0, 0);
	expect(src, "nowhere.example", DNS_A, DNS_NXDOMAIN, 0, 60);
	expect(src, "neg.example", DNS_A, DNS_NXDOMAIN, 0, 20);
	expect(src, "1.2.0.192.in-addr.arpa", DNS_TXT, DNS_NODATA, 0, 60);
	a = ask(src, "HOST.example.", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_span(a->rr[0].text, "v=spf1 -all");
	assert_false(a->is_from_cache);
	assert_false(a->is_secure);
	assert_true(a->elapsed_us > 0);
	dns_answer_unref(a);
	a = ask(src, "host.example", DNS_TXT);
	assert_true(a->is_from_cache);
	dns_answer_unref(a);
	assert_int_equal(dns_server_count(&s, "host.example TXT"), 1);
	src->destroy(src);
	dns_server_stop(&s);
}

static void
test_chains(void **state)
{
	struct dns_server s = dns_server_start(SPAN(ZONE_HEAD
	    "w.example 50 CNAME x.example\nx.example 90 CNAME host.example\n"
	    "loop.example CNAME pool.example\npool.example CNAME loop.example\nself.example CNAME self.example\n"
	    "dead.example CNAME silent.test\ndangling.example 30 CNAME nothing.example\n"));
	struct dns_source *src = resolver_to(&s);

	(void)state;
	expect(src, "w.example", DNS_A, DNS_OK, 2, 50);
	expect(src, "w.example", DNS_TXT, DNS_OK, 1, 50);
	expect(src, "w.example", DNS_PTR, DNS_NODATA, 0, 50);
	expect(src, "dangling.example", DNS_A, DNS_NXDOMAIN, 0, 30);
	for (int i = 0; i < 2; i++) {
		const struct dns_answer *a = ask(src, i == 0 ? "loop.example" : "self.example", DNS_A);

		assert_true(dns_status_is_temporary(a->status));
		dns_answer_unref(a);
	}
	expect(src, "host.example", DNS_A, DNS_OK, 2, -1);
	src->destroy(src);
	dns_server_stop(&s);
}

static void
test_odd_names(void **state)
{
	static const struct dns_name names[] = {
		{ .n = 13, .w = "\3a.b\7example" }, { .n = 13, .w = "\3a\\b\7example" }, { .n = 14, .w = "\4\xc3\x9c\xff\x01\7example" },
		{ .n = 15, .w = "\5a b\"c\7example" }, { .n = 15, .w = "\5@$;#(\7example" }, { .n = 12, .w = "\2*_\7example" },
	};
	struct dns_server s = dns_server_start(SPAN(
	    "a\\.b.example A 192.0.2.0\na\\\\b.example A 192.0.2.1\n\\195\\156\\255\\001.example A 192.0.2.2\n"
	    "a\\032b\\\"c.example A 192.0.2.3\n\\@$\\;\\#\\(.example A 192.0.2.4\n*_.example A 192.0.2.5\n"));
	struct dns_source *src = resolver_to(&s);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct dns_answer *a = ask_name(src, &names[i], DNS_A);

		assert_int_equal(a->status, DNS_OK);
		assert_int_equal(a->rr[0].ip.b[15], i);
		dns_answer_unref(a);
	}
	expect(src, "a.b.example", DNS_A, DNS_NXDOMAIN, 0, 60);
	src->destroy(src);
	dns_server_stop(&s);
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONGEST L63 "." L63 "." L63 ".aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_longest_name(void **state)
{
	struct dns_server s = dns_server_start(SPAN(LONGEST " A 192.0.2.1\n"));
	struct dns_source *src = resolver_to(&s);
	struct dns_name worst = { .n = 255 };

	(void)state;
	expect(src, LONGEST, DNS_A, DNS_OK, 1, 300);
	/* every byte needs four in presentation form */
	for (size_t at = 0; at < 254; at += 64) {
		worst.w[at] = (uint8_t)MIN((size_t)63, 253 - at);
		memset(worst.w + at + 1, 0xff, worst.w[at]);
	}
	{
		const struct dns_answer *a = ask_name(src, &worst, DNS_A);

		assert_int_equal(a->status, DNS_NXDOMAIN);
		dns_answer_unref(a);
	}
	src->destroy(src);
	dns_server_stop(&s);
}

/* libunbound would answer these by itself. */
static void
test_names_libunbound_likes_to_answer(void **state)
{
	static const char *const names[] = {
		"spf.test", "x.invalid", "a.home.arpa", "x.onion", "mail.localhost", "5.0.0.127.in-addr.arpa", "9.0.0.10.in-addr.arpa",
		"1.0.168.192.in-addr.arpa",
	};
	struct buf zone = buf_heap(4 * KIB);
	struct dns_server s;
	struct dns_source *src;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		buf_fmt(&zone, "%s TXT \"x\"\n", names[i]);
	s = dns_server_start(buf_text(&zone));
	src = resolver_to(&s);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expect(src, names[i], DNS_TXT, DNS_OK, 1, 300);
	src->destroy(src);
	dns_server_stop(&s);
	buf_fini(&zone);
}

static void
test_large_answers_over_tcp(void **state)
{
	static const size_t sizes[] = { 1000, 1300, 30000, 60000 };
	struct buf zone = buf_heap(MIB);
	struct dns_server s;
	struct dns_source *src;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		buf_fmt(&zone, "big%zu.example TXT \"", i);
		for (size_t k = 0; k < sizes[i]; k++)
			buf_byte(&zone, (char)('a' + k % 26));
		buf_str(&zone, "\"\n");
	}
	s = dns_server_start(buf_text(&zone));
	src = resolver_to(&s);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const struct dns_answer *a;
		char name[32], question[64];

		snprintf(name, sizeof name, "big%zu.example", i);
		a = ask(src, name, DNS_TXT);
		assert_int_equal(a->status, DNS_OK);
		assert_int_equal(a->rr[0].text.n, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(a->rr[0].text.p[k], 'a' + k % 26);
		dns_answer_unref(a);
		snprintf(question, sizeof question, "%s TXT", name);
		assert_int_equal(dns_server_count(&s, question), sizes[i] > 1232 ? 2 : 1);
	}
	src->destroy(src);
	dns_server_stop(&s);
	buf_fini(&zone);
}

static void
test_thousand_at_once(void **state)
{
	enum { COUNT = 1000 };
	struct dns_server s = dns_server_start(SPAN("*.many.example A 192.0.2.1\nslow.example A 192.0.2.1\nslow.example DELAY 200\n"));
	struct dns_source *src = resolver_to(&s);
	static struct dns_req reqs[COUNT], *v[COUNT];
	struct waiter w;
	int64_t start;

	(void)state;
	waiter_init(&w);
	for (size_t i = 0; i < COUNT; i++) {
		char name[64];

		snprintf(name, sizeof name, "n%zu.many.example", i);
		reqs[i] = req_of(name, DNS_A, &w);
		v[i] = &reqs[i];
	}
	start = clock_mono_ms();
	src->ask(src, v, COUNT);
	assert_true(waiter_wait(&w, COUNT, FAR_MS));
	print_message("# %d questions at once answered in %d ms\n", COUNT, (int)(clock_mono_ms() - start));
	for (size_t i = 0; i < COUNT; i++) {
		assert_int_equal(reqs[i].answer->status, DNS_OK);
		dns_answer_unref(reqs[i].answer);
	}
	/* The same question in flight costs one query. */
	for (size_t i = 0; i < 50; i++)
		reqs[i] = req_of("slow.example", DNS_A, &w);
	src->ask(src, v, 50);
	assert_true(waiter_wait(&w, COUNT + 50, FAR_MS));
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(reqs[i].answer->status, DNS_OK);
		dns_answer_unref(reqs[i].answer);
	}
	assert_int_equal(dns_server_count(&s, "slow.example A"), 1);
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

/* Names that never answer: given up at a deadline; all the time, and after, other names answer. */
static void
test_silence_hurts_nobody_else(void **state)
{
	enum { SILENT = 8 };
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n*.fine.example A 192.0.2.1\n"));
	struct dns_source *src = resolver_to(&s);
	struct dns_req reqs[SILENT], *v[SILENT];
	struct waiter w;
	int64_t start, slowest = 0;
	size_t others = 0;

	(void)state;
	waiter_init(&w);
	for (size_t i = 0; i < SILENT; i++) {
		char name[64];

		snprintf(name, sizeof name, "n%zu.silent.example", i);
		reqs[i] = req_of(name, DNS_A, &w);
		v[i] = &reqs[i];
	}
	src->ask(src, v, SILENT);
	assert_false(waiter_wait(&w, 1, 300));
	start = clock_mono_ms();
	for (size_t i = 0; i < SILENT / 2; i++)
		src->cancel(src, &reqs[i]);
	assert_true(waiter_wait(&w, SILENT / 2, FAR_MS));
	assert_in_range(clock_mono_ms() - start, 0, 1000);
	for (size_t i = 0; i < SILENT / 2; i++)
		assert_int_equal(reqs[i].answer->status, DNS_CANCELLED);
	/* libunbound gives the rest up by itself after some seconds */
	for (bool is_over = false; !is_over; others++) {
		char name[64];

		is_over = waiter_wait(&w, SILENT, 50);
		snprintf(name, sizeof name, "n%zu.fine.example", others);
		start = clock_mono_ms();
		expect(src, name, DNS_A, DNS_OK, 1, 300);
		slowest = MAX(slowest, clock_mono_ms() - start);
		assert_true(others < 2000);
	}
	for (size_t i = SILENT / 2; i < SILENT; i++)
		assert_int_equal(reqs[i].answer->status, DNS_SERVFAIL);
	print_message("# silent names failed after %u ms; meanwhile %zu other questions, slowest %d ms\n",
	    reqs[SILENT - 1].answer->elapsed_us / 1000, others, (int)slowest);
	assert_true(others > 10);
	assert_in_range(slowest, 0, 1000);
	for (size_t i = 0; i < SILENT; i++)
		dns_answer_unref(reqs[i].answer);
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

/* Silence alone, with no good answer in between, must not make the server look dead: the next names answer at once. */
static void
test_server_is_not_given_up(void **state)
{
	enum { SILENT = 16 };
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n*.fine.example A 192.0.2.1\n"));
	struct dns_source *src = resolver_to(&s);
	struct dns_req reqs[SILENT], *v[SILENT];
	struct waiter w;

	(void)state;
	expect(src, "first.fine.example", DNS_A, DNS_OK, 1, 300);
	for (int round = 0; round < 2; round++) {
		waiter_init(&w);
		for (size_t i = 0; i < SILENT; i++) {
			char name[64];

			snprintf(name, sizeof name, "n%d-%zu.silent.example", round, i);
			reqs[i] = req_of(name, DNS_A, &w);
			v[i] = &reqs[i];
		}
		src->ask(src, v, SILENT);
		assert_true(waiter_wait(&w, SILENT, FAR_MS));
		for (size_t i = 0; i < SILENT; i++)
			dns_answer_unref(reqs[i].answer);
		waiter_fini(&w);
		for (int i = 0; i < 20; i++) {
			int64_t start = clock_mono_ms();
			char name[64];

			snprintf(name, sizeof name, "n%d-%d.fine.example", round, i);
			expect(src, name, DNS_A, DNS_OK, 1, 300);
			assert_in_range(clock_mono_ms() - start, 0, 1000);
		}
	}
	src->destroy(src);
	dns_server_stop(&s);
}

/* The late answer still warms the cache. */
static void
test_cancelled_question_goes_on(void **state)
{
	struct dns_server s = dns_server_start(SPAN("slow.example A 192.0.2.1\nslow.example DELAY 300\n"));
	struct dns_source *src = resolver_to(&s);
	struct dns_req req, *v[] = { &req };
	const struct dns_answer *a;
	struct waiter w;

	(void)state;
	waiter_init(&w);
	req = req_of("slow.example", DNS_A, &w);
	src->ask(src, v, 1);
	while (dns_server_count(&s, "slow.example A") == 0)
		sched_yield();
	src->cancel(src, &req);
	src->cancel(src, &req);
	assert_true(waiter_wait(&w, 1, FAR_MS));
	assert_int_equal(req.answer->status, DNS_CANCELLED);
	dns_answer_unref(req.answer);
	src->cancel(src, &req);                 /* after done() */
	/* joins the query that goes on */
	expect(src, "slow.example", DNS_A, DNS_OK, 1, 300);
	a = ask(src, "slow.example", DNS_A);
	assert_true(a->is_from_cache);
	dns_answer_unref(a);
	assert_int_equal(dns_server_count(&s, "slow.example A"), 1);
	assert_int_equal(waiter_done(&w), 1);
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

static void
test_garbage(void **state)
{
	enum { COUNT = 40 };
	struct dns_server s = dns_server_start(SPAN("*.junk.example GARBAGE\n" ZONE_HEAD));
	struct dns_source *src = resolver_to(&s);
	struct dns_req reqs[COUNT], *v[COUNT];
	size_t failed = 0;
	struct waiter w;

	(void)state;
	waiter_init(&w);
	for (size_t i = 0; i < COUNT; i++) {
		char name[64];

		snprintf(name, sizeof name, "n%zu.junk.example", i);
		reqs[i] = req_of(name, i % 2 ? DNS_A : DNS_TXT, &w);
		v[i] = &reqs[i];
	}
	src->ask(src, v, COUNT);
	assert_true(waiter_wait(&w, COUNT, FAR_MS));
	for (size_t i = 0; i < COUNT; i++) {
		failed += dns_status_is_temporary(reqs[i].answer->status);
		dns_answer_unref(reqs[i].answer);
	}
	/* a damaged packet may still be a possible one, but not often */
	assert_true(failed > COUNT / 2);
	expect(src, "host.example", DNS_A, DNS_OK, 2, 100);
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

static void
test_nobody_listens(void **state)
{
	struct dns_server s = dns_server_start(SPAN(ZONE_HEAD));
	struct dns_server gone = s;
	struct dns_source *src;

	(void)state;
	dns_server_stop(&s);
	src = resolver_to(&gone);
	expect(src, "host.example", DNS_A, DNS_SERVFAIL, 0, 0);
	src->destroy(src);
}

static void
test_two_contexts(void **state)
{
	struct dns_server one = dns_server_start(SPAN("who.example TXT \"one\"\n")),
	    two = dns_server_start(SPAN("who.example TXT \"two\"\n"));
	struct dns_source *first = resolver_to(&one), *second = resolver_to(&two);

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct dns_answer *a = ask(first, "who.example", DNS_TXT), *b = ask(second, "who.example", DNS_TXT);

		assert_span(a->rr[0].text, "one");
		assert_span(b->rr[0].text, "two");
		dns_answer_unref(a);
		dns_answer_unref(b);
	}
	first->destroy(first);
	expect(second, "who.example", DNS_TXT, DNS_OK, 1, -1);
	second->destroy(second);
	dns_server_stop(&one);
	dns_server_stop(&two);
}

static void
test_destroy_with_outstanding(void **state)
{
	enum { COUNT = 60 };

	(void)state;
	/* at once, when nothing was started yet; and with queries on their way */
	for (int round = 0; round < 8; round++) {
		struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n"));
		const char *forward = s.forward;
		struct dns_source *src = resolver_with(&(struct dns_unbound_options){
			.forward = &forward, .forward_count = 1, .in_flight_max = round < 6 ? 0 : 25 });
		struct dns_req reqs[COUNT], *v[COUNT];
		struct waiter w;

		waiter_init(&w);
		for (size_t i = 0; i < COUNT; i++) {
			char name[64];

			snprintf(name, sizeof name, "n%zu.silent.example", i % 50);
			reqs[i] = req_of(name, DNS_A, &w);
			v[i] = &reqs[i];
		}
		src->ask(src, v, COUNT - 10);
		while (round >= 2 && dns_server_count(&s, "total") < 20)
			sched_yield();
		src->ask(src, v + COUNT - 10, 10);
		for (size_t i = 0; round % 2 && i < COUNT; i += 3)
			src->cancel(src, &reqs[i]);
		src->destroy(src);
		assert_int_equal(waiter_done(&w), COUNT);
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(reqs[i].answer->status, DNS_CANCELLED);
			dns_answer_unref(reqs[i].answer);
		}
		waiter_fini(&w);
		dns_server_stop(&s);
	}
}

static void
test_outstanding_limit(void **state)
{
	enum { LIMIT = 50 };
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n" ZONE_HEAD));
	const char *forward = s.forward;
	struct dns_source *src = resolver_with(&(struct dns_unbound_options){
		.forward = &forward, .forward_count = 1, .outstanding_max = LIMIT });
	struct dns_req reqs[LIMIT + 1], *v[LIMIT + 1];
	struct waiter w;

	(void)state;
	waiter_init(&w);
	for (size_t i = 0; i <= LIMIT; i++) {
		char name[64];

		snprintf(name, sizeof name, "n%zu.silent.example", i);
		reqs[i] = req_of(name, DNS_A, &w);
		v[i] = &reqs[i];
	}
	src->ask(src, v, LIMIT);
	assert_int_equal(waiter_done(&w), 0);
	src->ask(src, v + LIMIT, 1);            /* answered inside ask() */
	assert_int_equal(waiter_done(&w), 1);
	assert_int_equal(reqs[LIMIT].answer->status, DNS_SERVFAIL);
	assert_string_equal(reqs[LIMIT].answer->why, "too many questions under way");
	dns_answer_unref(reqs[LIMIT].answer);
	/* Giving up does not make room while the queries go on: nobody can pile them up. */
	while (dns_server_count(&s, "total") < LIMIT)
		sched_yield();
	for (size_t i = 0; i < LIMIT; i++)
		src->cancel(src, &reqs[i]);
	assert_true(waiter_wait(&w, LIMIT + 1, FAR_MS));
	expect(src, "host.example", DNS_A, DNS_SERVFAIL, 0, 0);
	/* when libunbound has given them up, there is room again */
	for (int64_t until = clock_mono_ms() + FAR_MS;;) {
		const struct dns_answer *a = ask(src, "host.example", DNS_A);
		bool is_good = a->status == DNS_OK;

		dns_answer_unref(a);
		if (is_good)
			break;
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 50);
	}
	for (size_t i = 0; i < LIMIT; i++) {
		assert_int_equal(reqs[i].answer->status, DNS_CANCELLED);
		dns_answer_unref(reqs[i].answer);
	}
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

/* What does not fit into libunbound waits outside, is sent when there is room, and costs nothing when it is given up. */
static void
test_in_flight_limit(void **state)
{
	enum { LIMIT = 10 };
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n" ZONE_HEAD));
	const char *forward = s.forward;
	struct dns_source *src = resolver_with(&(struct dns_unbound_options){
		.forward = &forward, .forward_count = 1, .in_flight_max = LIMIT });
	struct dns_req reqs[LIMIT], waiting[3], *v[LIMIT], *x[] = { &waiting[0], &waiting[1], &waiting[2] };
	struct waiter w, others;

	(void)state;
	waiter_init(&w);
	waiter_init(&others);
	for (size_t i = 0; i < LIMIT; i++) {
		char name[64];

		snprintf(name, sizeof name, "n%zu.silent.example", i);
		reqs[i] = req_of(name, DNS_A, &w);
		v[i] = &reqs[i];
	}
	src->ask(src, v, LIMIT - 1);
	expect(src, "host.example", DNS_A, DNS_OK, 2, 100);     /* the last place serves */
	src->ask(src, v + LIMIT - 1, 1);
	waiting[0] = req_of("host.example", DNS_MX, &others);
	waiting[1] = req_of("host.example", DNS_TXT, &others);
	waiting[2] = req_of("host.example", DNS_AAAA, &others);
	src->ask(src, x, 3);
	while (dns_server_count(&s, "n9.silent.example A") == 0)
		sched_yield();
	assert_false(waiter_wait(&others, 1, 200));
	src->cancel(src, &waiting[1]);
	assert_true(waiter_wait(&others, 1, FAR_MS));
	assert_int_equal(waiting[1].answer->status, DNS_CANCELLED);
	assert_int_equal(waiter_done(&w), 0);
	/* libunbound gives the silent names up; then the queue moves */
	assert_true(waiter_wait(&others, 3, FAR_MS));
	assert_int_equal(waiting[0].answer->status, DNS_OK);
	assert_int_equal(waiting[2].answer->status, DNS_OK);
	assert_int_equal(dns_server_count(&s, "host.example TXT"), 0);
	assert_true(waiter_wait(&w, LIMIT, FAR_MS));
	for (size_t i = 0; i < LIMIT; i++)
		dns_answer_unref(reqs[i].answer);
	for (size_t i = 0; i < 3; i++)
		dns_answer_unref(waiting[i].answer);
	waiter_fini(&w);
	waiter_fini(&others);
	src->destroy(src);
	dns_server_stop(&s);
}

/* done() may ask again and may cancel others, on the loop thread. */
struct again {
	struct dns_req req, other;
	struct dns_source *src;
	struct waiter *w;
	int left;
};

static void
ask_again(struct dns_req *req)
{
	struct again *again = req->arg;
	struct dns_req *v[] = { req };

	dns_answer_unref(req->answer);
	if (--again->left > 0) {
		again->src->ask(again->src, v, 1);
		return;
	}
	again->src->cancel(again->src, &again->other);
	req->arg = again->w;
	waiter_note(req);
}

static void
test_asking_from_done(void **state)
{
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n" ZONE_HEAD));
	struct dns_source *src = resolver_to(&s);
	struct again again = { .src = src, .left = 100 };
	struct dns_req *v[] = { &again.other, &again.req };
	struct waiter w;

	(void)state;
	waiter_init(&w);
	again.w = &w;
	again.other = req_of("x.silent.example", DNS_A, &w);
	again.req = req_of("host.example", DNS_A, NULL);
	again.req.done = ask_again;
	again.req.arg = &again;
	src->ask(src, v, 2);
	assert_true(waiter_wait(&w, 2, FAR_MS));
	assert_int_equal(again.left, 0);
	assert_int_equal(again.other.answer->status, DNS_CANCELLED);
	dns_answer_unref(again.other.answer);
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

static void *
run_asker(void *arg)
{
	struct dns_source *src = arg;
	unsigned seed = (unsigned)(uintptr_t)pthread_self();

	for (int round = 0; round < 100; round++) {
		struct dns_req reqs[6], *v[6];
		struct waiter w;

		waiter_init(&w);
		for (size_t i = 0; i < ARRAY_LEN(reqs); i++) {
			char name[64];

			snprintf(name, sizeof name, "n%d.%s.example", rand_r(&seed) % 200, rand_r(&seed) % 10 ? "fine" : "silent");
			reqs[i] = req_of(name, DNS_A, &w);
			v[i] = &reqs[i];
		}
		src->ask(src, v, ARRAY_LEN(v));
		(void)waiter_wait(&w, ARRAY_LEN(v), rand_r(&seed) % 3);
		for (size_t i = 0; i < ARRAY_LEN(reqs); i++)
			src->cancel(src, &reqs[i]);
		if (!waiter_wait(&w, ARRAY_LEN(v), FAR_MS))
			abort();
		for (size_t i = 0; i < ARRAY_LEN(reqs); i++)
			dns_answer_unref(reqs[i].answer);
		waiter_fini(&w);
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	struct dns_server s = dns_server_start(SPAN("*.silent.example TIMEOUT\n*.fine.example A 192.0.2.1\n"));
	const char *forward = s.forward;

	(void)state;
	/* also with a libunbound that is nearly always full */
	for (size_t max = 0; max <= 20; max += 20) {
		struct dns_source *src = resolver_with(&(struct dns_unbound_options){
			.forward = &forward, .forward_count = 1, .in_flight_max = max });
		pthread_t threads[8];

		for (size_t i = 0; i < ARRAY_LEN(threads); i++)
			assert_int_equal(pthread_create(&threads[i], NULL, run_asker, src), 0);
		for (size_t i = 0; i < ARRAY_LEN(threads); i++)
			pthread_join(threads[i], NULL);
		src->destroy(src);
	}
	dns_server_stop(&s);
}

static void
note_beat(void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* The first line of /proc/self/task/TID/FILE that begins with `key`. */
static bool
task_line(const char *tid, const char *file, const char *key, char *line, int size)
{
	char *path = xasprintf("/proc/self/task/%s/%s", tid, file);
	FILE *f = fopen(path, "re");
	bool found = false;

	free(path);
	while (f != NULL && !found && fgets(line, size, f) != NULL)
		found = strncmp(line, key, strlen(key)) == 0;
	if (f != NULL)
		fclose(f);
	return found;
}

static void
test_thread_and_beat(void **state)
{
	struct dns_server s = dns_server_start(SPAN(ZONE_HEAD));
	struct dns_source *src = resolver_to(&s);
	_Atomic int beats = 0;
	struct dirent *entry;
	size_t found = 0;
	char line[256];
	DIR *dir;

	(void)state;
	dns_unbound_on_beat(src, note_beat, &beats);
	expect(src, "host.example", DNS_A, DNS_OK, 2, 100);
	dir = opendir("/proc/self/task");
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (!task_line(entry->d_name, "comm", "dns\n", line, sizeof line))
			continue;
		found++;
		assert_true(task_line(entry->d_name, "status", "SigBlk:", line, sizeof line));
		assert_true(strtoull(line + 7, NULL, 16) & (1u << (SIGTERM - 1)));
		assert_true(strtoull(line + 7, NULL, 16) & (1u << (SIGHUP - 1)));
		assert_true(strtoull(line + 7, NULL, 16) & (1u << (SIGUSR1 - 1)));
	}
	closedir(dir);
	assert_int_equal(found, 1);
	for (int64_t until = clock_mono_ms() + FAR_MS; beats < 2;) {
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, 20);
	}
	dns_unbound_on_beat(src, NULL, NULL);
	src->destroy(src);
	dns_server_stop(&s);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void
test_forwarder_syntax(void **state)
{
	static const struct { const char *text; bool is_good; } table[] = {
		{ "127.0.0.1", true }, { "127.0.0.1@53", true }, { "127.0.0.1@65535", true }, { "::1", true }, { "::1@5353", true },
		{ "fe80::1%eth0", true }, { "fe80::1%eth0@53", true },
		{ "127.0.0.1@0", false }, { "127.0.0.1@65536", false }, { "127.0.0.1@", false }, { "127.0.0.1@x", false },
		{ "127.0.0.1:53", false }, { "[::1]@53", false }, { "localhost", false }, { "", false }, { "@53", false },
		{ "127.0.0.1@53@53", false }, { "127.0.0.1%lo", false }, { "fe80::1%", false }, { "127.0.0.1 ", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct dns_unbound_options o = { .forward = &table[i].text, .forward_count = 1 };
		struct dns_source *src = NULL;
		char why[128];
		enum rc want = table[i].is_good ? RC_OK : RC_SYNTAX;

		if (dns_unbound_check(&o, why, sizeof why) != want || dns_unbound_create(&o, &src, why, sizeof why) != want)
			fail_msg("'%s': %s", table[i].text, why);
		assert_int_equal(src != NULL, table[i].is_good);
		assert_int_equal(strstr(why, "is not ADDRESS or ADDRESS@PORT") != NULL, !table[i].is_good);
		if (src != NULL)
			src->destroy(src);
	}
}

static void
test_number_of_forwarders(void **state)
{
	const char *many[33];
	char why[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "127.0.0.1@53";
	assert_int_equal(dns_unbound_check(&(struct dns_unbound_options){ .forward = many, .forward_count = 32 }, why, sizeof why), RC_OK);
	assert_int_equal(dns_unbound_check(&(struct dns_unbound_options){ .forward = many, .forward_count = 33 }, why, sizeof why),
	    RC_SYNTAX);
	assert_string_equal(why, "more than 32 forwarders");
}

/* Of several forwarders a dead one does not keep the others' answers away. */
static void
test_several_forwarders(void **state)
{
	struct dns_server dead = dns_server_start(SPAN(ZONE_HEAD)), s = dns_server_start(SPAN("*.fine.example A 192.0.2.1\n"));
	const char *forward[] = { dead.forward, s.forward };
	struct dns_source *src;

	(void)state;
	dns_server_stop(&dead);
	src = resolver_with(&(struct dns_unbound_options){ .forward = forward, .forward_count = 2 });
	for (int i = 0; i < 10; i++) {
		char name[32];

		snprintf(name, sizeof name, "n%d.fine.example", i);
		expect(src, name, DNS_A, DNS_OK, 1, 300);
	}
	src->destroy(src);
	dns_server_stop(&s);
}

static void
test_resolv_conf(void **state)
{
	static const struct { const char *text, *remark; } table[] = {
		{ "# c\nsearch x\nnameserver 127.0.0.1\nnameserver\t::1 # c\nnameserver fe80::1%lo\n", "" },
		{ "", "names no server; asking 127.0.0.1" },
		{ "search x\nnameservers 192.0.2.1\nnameserver not.an.address\nnameserver", "names no server; asking 127.0.0.1" },
		{ NULL, "No such file or directory; asking 127.0.0.1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *dir = temp_dir(), *path = xasprintf("%s/resolv.conf", dir), why[256];
		struct dns_unbound_options o = { .resolvconf = path };
		struct dns_source *src;

		if (table[i].text != NULL)
			write_file(dir, "resolv.conf", span_cstr(table[i].text));
		assert_int_equal(dns_unbound_create(&o, &src, why, sizeof why), RC_OK);
		assert_true(table[i].remark[0] != '\0' ? strstr(why, table[i].remark) != NULL : why[0] == '\0');
		src->destroy(src);
		free(path);
		remove_dir(dir);
	}
}

/* A server line that ends at the last byte looked at counts, one that ends behind it does not. */
static void
test_resolv_conf_limit(void **state)
{
	static const char line[] = "\nnameserver 127.0.0.1";

	(void)state;
	for (size_t past = 0; past <= 1; past++) {
		char *dir = temp_dir(), *path = xasprintf("%s/resolv.conf", dir), why[256];
		struct dns_unbound_options o = { .resolvconf = path };
		struct buf b = buf_heap(MIB);

		while (b.n < 64 * KIB - (sizeof line - 1) + past * sizeof line)
			buf_byte(&b, '#');
		buf_str(&b, line);
		write_file(dir, "resolv.conf", buf_text(&b));
		assert_int_equal(dns_unbound_check(&o, why, sizeof why), RC_OK);
		assert_int_equal(strstr(why, "names no server") != NULL, past);
		buf_fini(&b);
		free(path);
		remove_dir(dir);
	}
}

static void
test_recursive_starts(void **state)
{
	struct dns_source *src = resolver_with(&(struct dns_unbound_options){ .is_recursive = true });

	(void)state;
	/* answered inside libunbound, nothing leaves the host */
	expect(src, "x.invalid", DNS_A, DNS_NXDOMAIN, 0, -1);
	src->destroy(src);
}

#define DS "example. IN DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"

static void
test_trust_anchor_lines(void **state)
{
	static const struct { const char *text, *why; } table[] = {
		{ "", "" }, { "; nothing\n# nothing\n\n", "" }, { DS, "" }, { "; c\n" DS "\n" DS, "" },
		{ ". 172800 IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d ;;state=2 [ VALID ]\n", "" },
		{ "nonsense\n", "trust anchor, line 1: not a DS or DNSKEY record" },
		{ DS "# c\nexample. IN A 192.0.2.1\n" DS, "trust anchor, line 3: not a DS or DNSKEY record" },
		{ "example. IN DS 12345 13 2 xyz\n", "trust anchor, line 1: not a DS or DNSKEY record" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *forward = "127.0.0.1@1";
		struct dns_unbound_options o = { .forward = &forward, .forward_count = 1, .trust_anchor = exact(table[i].text) };
		enum rc want = table[i].why[0] == '\0' ? RC_OK : RC_SYNTAX;
		struct dns_source *src = NULL;
		char why[128];

		assert_int_equal(dns_unbound_check(&o, why, sizeof why), want);
		assert_string_equal(why, table[i].why);
		assert_int_equal(dns_unbound_create(&o, &src, why, sizeof why), want);
		assert_string_equal(why, table[i].why);
		if (src != NULL)
			src->destroy(src);
		exact_free(o.trust_anchor);
	}
}

static void
test_number_of_trust_anchors(void **state)
{
	(void)state;
	for (int count = DNS_UNBOUND_ANCHORS_MAX; count <= DNS_UNBOUND_ANCHORS_MAX + 1; count++) {
		struct buf b = buf_heap(64 * KIB);
		struct dns_unbound_options o = { .is_recursive = true };
		char why[128];

		for (int i = 0; i < count; i++)
			buf_str(&b, DS);
		o.trust_anchor = buf_text(&b);
		if (count == DNS_UNBOUND_ANCHORS_MAX) {
			assert_int_equal(dns_unbound_check(&o, why, sizeof why), RC_OK);
		} else {
			assert_int_equal(dns_unbound_check(&o, why, sizeof why), RC_SYNTAX);
			assert_string_equal(why, "more than 100 trust anchors");
		}
		buf_fini(&b);
	}
}

static void
test_trust_anchor_line_limit(void **state)
{
	(void)state;
	for (size_t past = 0; past <= 1; past++) {
		struct buf b = buf_heap(64 * KIB);
		struct dns_unbound_options o = { .is_recursive = true };
		char why[128];

		buf_str(&b, "example. IN DS 12345 13 2");
		while (b.n + 65 < 4 * KIB - 1 + past)
			buf_byte(&b, ' ');
		buf_str(&b, " 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
		assert_int_equal(b.n, 4 * KIB - 1 + past);
		o.trust_anchor = buf_text(&b);
		assert_int_equal(dns_unbound_check(&o, why, sizeof why), past ? RC_SYNTAX : RC_OK);
		buf_fini(&b);
	}
}

/* ---- flush --------------------------------------------------------------------------------------- */

static void
test_flush_forgets(void **state)
{
	struct dns_server s = dns_server_start(SPAN(ZONE_HEAD));
	struct dns_source *src = resolver_to(&s);

	(void)state;
	dns_unbound_flush(src);                 /* nothing to forget yet */
	for (long round = 1; round <= 5; round++) {
		const struct dns_answer *a = ask(src, "host.example", DNS_A);

		assert_int_equal(a->status, DNS_OK);
		assert_false(a->is_from_cache);
		dns_answer_unref(a);
		a = ask(src, "host.example", DNS_A);
		assert_true(a->is_from_cache);
		dns_answer_unref(a);
		assert_int_equal(dns_server_count(&s, "host.example A"), round);
		dns_unbound_flush(src);
	}
	src->destroy(src);
	dns_server_stop(&s);
}

static size_t
count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Questions under way end as they would have, on the context they began on. */
static void
test_flush_under_way(void **state)
{
	enum { N = 40 };
	struct buf zone = buf_heap(16 * KIB);
	struct dns_req req[N], *reqs[1];
	struct dns_source *src;
	struct dns_server s;
	struct waiter w;
	char name[64];

	(void)state;
	buf_fmt(&zone, "host.example A 192.0.2.1\n");
	for (int i = 0; i < N; i++)
		buf_fmt(&zone, "n%d.slow.example DELAY 300\nn%d.slow.example A 192.0.2.9\n", i, i);
	s = dns_server_start(buf_text(&zone));
	buf_fini(&zone);
	src = resolver_to(&s);
	waiter_init(&w);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "n%d.slow.example", i);
		req[i] = req_of(name, DNS_A, &w);
		reqs[0] = &req[i];
		src->ask(src, reqs, 1);
		dns_unbound_flush(src);
		if (i % 10 == 0)
			expect(src, "host.example", DNS_A, DNS_OK, 1, -1);
	}
	src->cancel(src, &req[N - 1]);
	assert_true(waiter_wait(&w, N, FAR_MS));
	for (int i = 0; i < N; i++) {
		assert_true(req[i].answer->status == DNS_OK || (i == N - 1 && req[i].answer->status == DNS_CANCELLED));
		dns_answer_unref(req[i].answer);
	}
	waiter_fini(&w);
	src->destroy(src);
	dns_server_stop(&s);
}

#define SILENT(n) "n" n ".silent.example TIMEOUT\n"

/* Many flushes: contexts and descriptors go again; and a destroy with former contexts under way. */
static void
test_flushes_leak_nothing(void **state)
{
	struct dns_server s = dns_server_start(SPAN("host.example A 192.0.2.1\n" SILENT("0") SILENT("1") SILENT("2") SILENT("3") SILENT("4") SILENT("5") SILENT("6") SILENT("7")));
	struct dns_source *src = resolver_to(&s);
	struct dns_req req[8], *reqs[1];
	struct waiter w;
	size_t before = 0;
	char name[64];

	(void)state;
	for (int i = 0; i < 200; i++) {
		expect(src, "host.example", DNS_A, DNS_OK, 1, -1);
		dns_unbound_flush(src);
		if (i == 20)
			before = count_fds();
	}
	expect(src, "host.example", DNS_A, DNS_OK, 1, -1);
	assert_int_equal(dns_server_count(&s, "host.example A"), 201);
	assert_true(count_fds() <= before + 4);
	waiter_init(&w);
	for (size_t i = 0; i < ARRAY_LEN(req); i++) {
		snprintf(name, sizeof name, "n%zu.silent.example", i);
		req[i] = req_of(name, DNS_A, &w);
		reqs[0] = &req[i];
		src->ask(src, reqs, 1);
		dns_unbound_flush(src);
		usleep(2000);           /* most begin before the next flush */
	}
	src->destroy(src);
	assert_int_equal(waiter_done(&w), ARRAY_LEN(req));
	for (size_t i = 0; i < ARRAY_LEN(req); i++)
		dns_answer_unref(req[i].answer);
	waiter_fini(&w);
	dns_server_stop(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types_and_ttls), cmocka_unit_test(test_chains), cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_longest_name), cmocka_unit_test(test_names_libunbound_likes_to_answer),
		cmocka_unit_test(test_large_answers_over_tcp), cmocka_unit_test(test_thousand_at_once),
		cmocka_unit_test(test_silence_hurts_nobody_else), cmocka_unit_test(test_server_is_not_given_up),
		cmocka_unit_test(test_cancelled_question_goes_on),
		cmocka_unit_test(test_garbage), cmocka_unit_test(test_nobody_listens), cmocka_unit_test(test_two_contexts),
		cmocka_unit_test(test_destroy_with_outstanding), cmocka_unit_test(test_outstanding_limit),
		cmocka_unit_test(test_in_flight_limit),
		cmocka_unit_test(test_asking_from_done), cmocka_unit_test(test_many_threads),
		cmocka_unit_test(test_thread_and_beat), cmocka_unit_test(test_forwarder_syntax),
		cmocka_unit_test(test_number_of_forwarders), cmocka_unit_test(test_several_forwarders),
		cmocka_unit_test(test_resolv_conf), cmocka_unit_test(test_resolv_conf_limit),
		cmocka_unit_test(test_recursive_starts),
		cmocka_unit_test(test_trust_anchor_lines), cmocka_unit_test(test_number_of_trust_anchors),
		cmocka_unit_test(test_trust_anchor_line_limit),
		cmocka_unit_test(test_flush_forgets),
		cmocka_unit_test(test_flush_under_way),
		cmocka_unit_test(test_flushes_leak_nothing),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("dns_unbound", tests, NULL, NULL);
}
