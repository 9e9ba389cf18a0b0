/* test_cache_source - merged, waited for, stale, cut, flushed, cancelled: with a next source that answers when it is told to. */
#include "t/unit/cache_unit.h"

#include <pthread.h>
#include <sys/socket.h>

#include "cache/cache_feed.h"
#include "cache/cache_source.h"
#include "common/base/clock.h"
#include "common/ipc/claims.h"

enum { FAR_MS = 30000, STALE_S = 1000, ASKED_MAX = 4096 };

/* ---- a source that is answered by hand ---------------------------------------------------------------------- */

struct manual {
	struct dns_source source;       /* first */
	pthread_mutex_t lock;
	struct dns_req *asked[ASKED_MAX];
	size_t n, cancelled;
};

static void
manual_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	struct manual *m = (struct manual *)src;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < n; i++) {
		REQUIRE(m->n < ASKED_MAX);
		m->asked[m->n++] = reqs[i];
	}
	pthread_mutex_unlock(&m->lock);
}

static struct dns_req *
manual_take(struct manual *m, struct dns_req *req)
{
	struct dns_req *found = NULL;

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->n && found == NULL; i++)
		if (m->asked[i] != NULL && (req == NULL || m->asked[i] == req)) {
			found = m->asked[i];
			m->asked[i] = NULL;
		}
	pthread_mutex_unlock(&m->lock);
	return found;
}

static void
manual_cancel(struct dns_source *src, struct dns_req *req)
{
	struct manual *m = (struct manual *)src;

	if (manual_take(m, req) == NULL)
		return;
	pthread_mutex_lock(&m->lock);
	m->cancelled++;
	pthread_mutex_unlock(&m->lock);
	req->answer = dns_answer_status(DNS_CANCELLED, 0, NULL);
	req->done(req);
}

static size_t
manual_count(struct manual *m)
{
	size_t n;

	pthread_mutex_lock(&m->lock);
	n = m->n;
	pthread_mutex_unlock(&m->lock);
	return n;
}

/* Answers the oldest question; false: there is none. */
static bool
manual_answer(struct manual *m, const struct dns_answer *a)
{
	struct dns_req *req = manual_take(m, NULL);

	if (req == NULL)
		return false;
	req->answer = a;
	req->done(req);
	return true;
}

/* ---- the other side: a writer in a child, as there is one per host --------------------------------------------- */

static struct manual next;
static struct cache *cache;
static struct claims *claims;
static struct board *board;
static size_t board_bytes;
static struct dns_source *source;
static int feed[2], claims_fd;
static pid_t writer;

static const struct cache_ttl_rules rules = { .min_s = 1, .max_s = 86400, .max_negative_s = 3600, .failure_s = 10, .stale_s = STALE_S };

/* Stores what comes until the feed is closed. */
static int
write_offers(void *arg)
{
	static uint8_t buf[CACHE_FEED_MAX];
	struct cache_db *db = unit_writer();
	int64_t now_s;
	enum rc rc;

	(void)arg;
	close(feed[0]);
	for (;;) {
		struct cache_feed_rules keep = { .stale_s = STALE_S, .now_s = now_s = clock_wall_s() };
		struct cache_db_item item;
		struct cache_offer o;

		rc = cache_feed_receive(feed[1], buf, sizeof buf, &o);
		if (rc == RC_NONE)
			break;
		if (rc == RC_TEMP) {
			usleep(500);
			continue;
		}
		REQUIRE(rc == RC_OK && cache_feed_accept(&o, STALE_S, now_s, &item) == RC_OK);
		REQUIRE(cache_db_put(db, &item, 1, cache_feed_keeps, &keep) == RC_OK);
	}
	cache_db_close(&db);
	return 0;
}

static void
begin(uint32_t stale_s, bool nxdomain_cut)
{
	struct cache_source_options o = {
		.cache = cache, .claims = claims, .board = board, .next = &next.source, .stale_s = stale_s, .nxdomain_cut = nxdomain_cut,
	};

	source = cache_source_create(&o);
}

static int
setup(void **state)
{
	char why[512];
	bool is_changed;
	int fd;

	if (unit_setup(state) != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, feed) != 0 ||
	    claims_create(&claims_fd, &claims) != RC_OK || board_create(0, &fd, &board, &board_bytes) != RC_OK)
		return -1;
	close(fd);
	memset(&next, 0, sizeof next);
	next.source = (struct dns_source){ .ask = manual_ask, .cancel = manual_cancel };
	pthread_mutex_init(&next.lock, NULL);
	writer = unit_start(write_offers, NULL);
	cache = cache_create(unit_path, feed[0], &rules, board);
	while (cache_refresh(cache, &is_changed, why, sizeof why) != RC_OK)
		usleep(1000);
	return 0;
}

static int
teardown(void **state)
{
	if (source != NULL)
		source->destroy(source);
	source = NULL;
	cache_destroy(&cache);
	close(feed[0]);
	close(feed[1]);
	assert_int_equal(unit_wait(writer), 0);
	claims_detach(&claims);
	close(claims_fd);
	board_detach(&board, board_bytes);
	pthread_mutex_destroy(&next.lock);
	return unit_teardown(state);
}

static uint64_t
counted(enum board_counter c)
{
	return atomic_load(&board->counter[c]);
}

/* ---- askers ------------------------------------------------------------------------------------------------ */

struct asker {
	struct dns_req req;             /* first */
	_Atomic bool is_done;
};

static void
on_done(struct dns_req *req)
{
	atomic_store(&((struct asker *)req)->is_done, true);
}

static void
ask(struct asker *a, const char *name, uint16_t type)
{
	struct dns_req *reqs[] = { &a->req };

	*a = (struct asker){ .req = { .type = type, .done = on_done } };
	REQUIRE(dns_name_from_text(span_cstr(name), &a->req.name) == RC_OK);
	source->ask(source, reqs, 1);
}

static bool
is_done_within(struct asker *a, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	while (!atomic_load(&a->is_done) && clock_mono_ms() < until)
		usleep(500);
	return atomic_load(&a->is_done);
}

static void
expect(struct asker *a, enum dns_status status, bool is_stale)
{
	assert_true(is_done_within(a, FAR_MS));
	assert_int_equal(a->req.answer->status, status);
	assert_int_equal(a->req.answer->is_stale, is_stale);
	dns_answer_unref(a->req.answer);
}

static const struct dns_answer *
txt(const char *text, uint32_t ttl_s)
{
	size_t n = strlen(text);
	struct answer_make m = answer_make(DNS_OK, 1, 0, n);
	struct dns_rr *rr = answer_make_rr(&m, ttl_s);
	char *copy = answer_make_text(&m, n);

	memcpy(copy, text, n);
	rr->text = span_of(copy, n);
	m.a->ttl_s = ttl_s;
	return m.a;
}

/* Until everybody can see it. */
static void
wait_stored(const char *name, uint16_t type)
{
	const struct dns_answer *a = NULL;
	struct dns_name n;

	REQUIRE(dns_name_from_text(span_cstr(name), &n) == RC_OK);
	while (cache_get_dns(cache, &n, type, CACHE_LOOK_STALE, clock_wall_s(), &a) != RC_OK)
		usleep(500);
	dns_answer_unref(a);
}

static uint64_t
claim_of(const char *name, uint16_t type)
{
	struct dns_name n;
	struct cache_key k;

	REQUIRE(dns_name_from_text(span_cstr(name), &n) == RC_OK && cache_key_dns(&n, type, &k) == RC_OK);
	return claims_hash(claims, cache_key_span(&k));
}

/* An answer learnt by somebody else. */
static void
offer(const char *name, uint32_t ttl_s)
{
	const struct dns_answer *a = txt("theirs", ttl_s);
	struct dns_name n;

	REQUIRE(dns_name_from_text(span_cstr(name), &n) == RC_OK);
	assert_true(cache_offer_dns(cache, &n, DNS_TXT, a, cache_epoch(cache), clock_wall_s()));
	dns_answer_unref(a);
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static void
test_miss_merge_hit(void **state)
{
	struct asker a[100];

	(void)state;
	begin(0, false);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		ask(&a[i], "example.org", DNS_TXT);
	assert_int_equal(manual_count(&next), 1);
	assert_int_equal(counted(BOARD_CACHE_MERGED), ARRAY_LEN(a) - 1);
	assert_true(claims_is_others(claims, claim_of("example.org", DNS_TXT), 1, clock_mono_ms()));
	assert_true(manual_answer(&next, txt("x", 300)));
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		expect(&a[i], DNS_OK, false);
	wait_stored("example.org", DNS_TXT);
	ask(&a[0], "EXAMPLE.org", DNS_TXT);
	assert_true(atomic_load(&a[0].is_done));        /* inside ask() */
	assert_true(a[0].req.answer->is_from_cache);
	expect(&a[0], DNS_OK, false);
	assert_int_equal(manual_count(&next), 1);
	/* the claim ends soon after */
	while (claims_is_others(claims, claim_of("example.org", DNS_TXT), 1, clock_mono_ms()))
		usleep(1000);
	/* another type is another question */
	ask(&a[0], "example.org", DNS_A);
	assert_int_equal(manual_count(&next), 2);
	assert_true(manual_answer(&next, dns_answer_status(DNS_NODATA, 60, NULL)));
	expect(&a[0], DNS_NODATA, false);
}

static void
test_waits_for_another_process(void **state)
{
	struct asker a, b;

	(void)state;
	begin(0, false);
	assert_int_equal(claims_take(claims, claim_of("theirs.example", DNS_TXT), 1, clock_mono_ms()), CLAIM_MINE);
	ask(&a, "theirs.example", DNS_TXT);
	ask(&b, "theirs.example", DNS_TXT);
	assert_int_equal(counted(BOARD_CACHE_WAITED), 1);
	assert_false(is_done_within(&a, 100));
	offer("theirs.example", 300);
	expect(&a, DNS_OK, false);
	expect(&b, DNS_OK, false);
	assert_int_equal(manual_count(&next), 0);
}

/* The other one is gone, or silent: a short wait, then we ask. */
static void
test_other_process_fails(void **state)
{
	struct asker a;
	int64_t begun;

	(void)state;
	begin(0, false);
	assert_int_equal(claims_take(claims, claim_of("gone.example", DNS_TXT), 1, clock_mono_ms()), CLAIM_MINE);
	ask(&a, "gone.example", DNS_TXT);
	claims_release_all(claims, 1);
	while (manual_count(&next) < 1)
		usleep(500);
	assert_true(manual_answer(&next, txt("x", 300)));
	expect(&a, DNS_OK, false);
	assert_int_equal(claims_take(claims, claim_of("stopped.example", DNS_TXT), 1, clock_mono_ms()), CLAIM_MINE);
	begun = clock_mono_ms();
	ask(&a, "stopped.example", DNS_TXT);
	while (manual_count(&next) < 2)
		usleep(500);
	assert_true(clock_mono_ms() - begun >= CACHE_SOURCE_WAIT_MS - 200);
	assert_true(manual_answer(&next, txt("x", 300)));
	expect(&a, DNS_OK, false);
}

/* Nobody writes what others learn (disk full, no cache process): then waiting is no use, for a while. */
static void
test_stops_waiting_in_vain(void **state)
{
	struct asker a;
	char name[32];

	(void)state;
	begin(0, false);
	for (unsigned i = 0; i <= CACHE_SOURCE_IN_VAIN_MAX; i++) {
		int64_t begun = clock_mono_ms();

		snprintf(name, sizeof name, "n%u.example", i);
		assert_int_equal(claims_take(claims, claim_of(name, DNS_TXT), 1, begun), CLAIM_MINE);
		ask(&a, name, DNS_TXT);
		if (i == CACHE_SOURCE_IN_VAIN_MAX)
			assert_int_equal(manual_count(&next), i + 1);   /* at once, inside ask() */
		claims_release_all(claims, 1);
		while (manual_count(&next) < i + 1)
			usleep(500);
		assert_true(i == CACHE_SOURCE_IN_VAIN_MAX || clock_mono_ms() - begun >= CACHE_SOURCE_SETTLE_MS);
		assert_true(manual_answer(&next, txt("x", 300)));
		expect(&a, DNS_OK, false);
	}
	assert_int_equal(counted(BOARD_CACHE_WAITED), CACHE_SOURCE_IN_VAIN_MAX);
}

static void
test_cancel(void **state)
{
	struct asker a, b, c;

	(void)state;
	begin(0, false);
	ask(&a, "example.org", DNS_TXT);
	ask(&b, "example.org", DNS_TXT);
	source->cancel(source, &a.req);
	expect(&a, DNS_CANCELLED, false);
	assert_int_equal(next.cancelled, 0);            /* b waits on */
	source->cancel(source, &b.req);
	expect(&b, DNS_CANCELLED, false);
	assert_int_equal(next.cancelled, 1);
	source->cancel(source, &b.req);                 /* harmless */
	assert_false(claims_is_others(claims, claim_of("example.org", DNS_TXT), 1, clock_mono_ms()));
	/* one that waits for another process */
	assert_int_equal(claims_take(claims, claim_of("theirs.example", DNS_TXT), 1, clock_mono_ms()), CLAIM_MINE);
	ask(&c, "theirs.example", DNS_TXT);
	source->cancel(source, &c.req);
	expect(&c, DNS_CANCELLED, false);
	assert_int_equal(manual_count(&next), 1);
	/* and the end with some of both kinds under way */
	ask(&a, "example.org", DNS_TXT);
	ask(&b, "theirs.example", DNS_TXT);
	source->destroy(source);
	source = NULL;
	expect(&a, DNS_CANCELLED, false);
	expect(&b, DNS_CANCELLED, false);
}

static void
store_ended(const char *name)
{
	offer(name, 1);
	wait_stored(name, DNS_TXT);
	usleep(2100000);        /* its second, and the rest of this one: the cache counts whole seconds of the wall clock */
}

static void
test_stale(void **state)
{
	static const enum dns_status heal[] = { DNS_SERVFAIL, DNS_TIMEOUT, DNS_MALFORMED };
	struct asker a, b;
	int64_t begun;
	char name[64];

	(void)state;
	begin(STALE_S, false);
	for (size_t i = 0; i < ARRAY_LEN(heal); i++) {
		snprintf(name, sizeof name, "heal%zu.example", i);
		offer(name, 1);
	}
	offer("bogus.example", 1);
	offer("slow.example", 1);
	store_ended("last.example");
	for (size_t i = 0; i < ARRAY_LEN(heal); i++) {
		snprintf(name, sizeof name, "heal%zu.example", i);
		ask(&a, name, DNS_TXT);
		assert_int_equal(manual_count(&next), i + 1);
		assert_true(manual_answer(&next, dns_answer_status(heal[i], 0, NULL)));
		expect(&a, DNS_OK, true);
		/* it failed lately: at once, and not asked again */
		ask(&b, name, DNS_TXT);
		assert_true(atomic_load(&b.is_done));
		expect(&b, DNS_OK, true);
		assert_int_equal(manual_count(&next), i + 1);
	}
	ask(&a, "bogus.example", DNS_TXT);
	assert_true(manual_answer(&next, dns_answer_status(DNS_BOGUS, 0, "forged")));
	expect(&a, DNS_BOGUS, false);
	ask(&a, "nothing.example", DNS_TXT);
	assert_true(manual_answer(&next, dns_answer_status(DNS_SERVFAIL, 0, NULL)));
	expect(&a, DNS_SERVFAIL, false);
	/* no answer in time: the old one now, the new one for those who come later */
	begun = clock_mono_ms();
	ask(&a, "slow.example", DNS_TXT);
	expect(&a, DNS_OK, true);
	assert_true(clock_mono_ms() - begun >= CACHE_SOURCE_STALE_MS - 100);
	assert_true(manual_answer(&next, txt("new", 300)));
	for (bool is_new = false; !is_new; usleep(1000)) {
		ask(&a, "slow.example", DNS_TXT);
		assert_true(is_done_within(&a, FAR_MS));
		is_new = !a.req.answer->is_stale;
		dns_answer_unref(a.req.answer);
	}
	assert_true(counted(BOARD_CACHE_STALE_TXT) >= 7);
}

static void
test_no_stale_when_off(void **state)
{
	struct asker a;

	(void)state;
	begin(0, false);
	store_ended("old.example");
	ask(&a, "old.example", DNS_TXT);
	assert_true(manual_answer(&next, dns_answer_status(DNS_SERVFAIL, 0, NULL)));
	expect(&a, DNS_SERVFAIL, false);
}

static void
test_nxdomain_cut(void **state)
{
	struct dns_answer *alias = answer_status(DNS_NXDOMAIN, 300, NULL);
	struct asker a;

	(void)state;
	begin(0, true);
	ask(&a, "no.example", DNS_TXT);
	assert_true(manual_answer(&next, dns_answer_status(DNS_NXDOMAIN, 300, NULL)));
	expect(&a, DNS_NXDOMAIN, false);
	wait_stored("no.example", 0);
	ask(&a, "deep.er.no.example", DNS_A);
	assert_true(atomic_load(&a.is_done));
	expect(&a, DNS_NXDOMAIN, false);
	ask(&a, "no.example", DNS_MX);
	expect(&a, DNS_NXDOMAIN, false);
	assert_int_equal(counted(BOARD_CACHE_NXDOMAIN_CUT), 2);
	/* beside it, and above: asked */
	ask(&a, "yesno.example", DNS_A);
	assert_true(manual_answer(&next, dns_answer_status(DNS_SERVFAIL, 0, NULL)));
	expect(&a, DNS_SERVFAIL, false);
	/* a failure cuts nothing, nor does a name that CNAMEs led to */
	ask(&a, "below.yesno.example", DNS_A);
	assert_true(manual_answer(&next, dns_answer_status(DNS_NODATA, 300, NULL)));
	expect(&a, DNS_NODATA, false);
	alias->is_alias = true;
	ask(&a, "www.example", DNS_TXT);
	assert_true(manual_answer(&next, alias));
	expect(&a, DNS_NXDOMAIN, false);
	wait_stored("www.example", DNS_TXT);
	ask(&a, "below.www.example", DNS_TXT);
	assert_true(manual_answer(&next, txt("x", 300)));
	expect(&a, DNS_OK, false);
	/* more names above than are looked at: those nearest to the root count */
	ask(&a, "a.b.c.d.e.f.g.h.i.j.k.l.m.no.example", DNS_A);
	expect(&a, DNS_NXDOMAIN, false);
	assert_int_equal(manual_count(&next), 5);
}

static void
test_cut_is_off_by_default(void **state)
{
	struct asker a;

	(void)state;
	begin(0, false);
	ask(&a, "no.example", DNS_TXT);
	assert_true(manual_answer(&next, dns_answer_status(DNS_NXDOMAIN, 300, NULL)));
	expect(&a, DNS_NXDOMAIN, false);
	wait_stored("no.example", DNS_TXT);
	ask(&a, "deep.no.example", DNS_TXT);
	assert_int_equal(manual_count(&next), 2);
	assert_true(manual_answer(&next, txt("x", 300)));
	expect(&a, DNS_OK, false);
}

/* What was under way before a flush is not stored, and not joined by what comes after it. */
static void
test_flush(void **state)
{
	struct asker before, after;
	uint64_t offered;

	(void)state;
	begin(0, false);
	ask(&before, "example.org", DNS_TXT);
	cache_source_flush(source);
	ask(&after, "example.org", DNS_TXT);
	assert_int_equal(manual_count(&next), 2);
	offered = counted(BOARD_CACHE_OFFERED_TXT);
	assert_true(manual_answer(&next, txt("old", 300)));
	expect(&before, DNS_OK, false);
	assert_false(atomic_load(&after.is_done));
	assert_int_equal(counted(BOARD_CACHE_OFFERED_TXT), offered);
	assert_true(manual_answer(&next, txt("new", 300)));
	expect(&after, DNS_OK, false);
	assert_int_equal(counted(BOARD_CACHE_OFFERED_TXT), offered + 1);
}

/* ---- many threads ------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 3000 };
static _Atomic bool is_over;

static void *
answer_all(void *arg)
{
	(void)arg;
	while (!atomic_load(&is_over)) {
		const struct dns_answer *a = txt("x", 300);

		if (!manual_answer(&next, a)) {
			dns_answer_unref(a);
			usleep(50);
		}
		pthread_mutex_lock(&next.lock);
		while (next.n > 0 && next.asked[next.n - 1] == NULL)
			next.n--;
		pthread_mutex_unlock(&next.lock);
	}
	return NULL;
}

static void *
ask_many(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	struct asker a;
	char name[64];

	for (int i = 0; i < ROUNDS; i++) {
		seed = seed * 1103515245u + 12345u;
		snprintf(name, sizeof name, "n%u.example", seed >> 16 & 255);
		ask(&a, name, DNS_TXT);
		if (seed >> 28 == 0)
			source->cancel(source, &a.req);
		if (seed >> 24 == 7)
			cache_source_flush(source);
		REQUIRE(is_done_within(&a, FAR_MS));
		REQUIRE(a.req.answer->status == DNS_OK || a.req.answer->status == DNS_CANCELLED);
		dns_answer_unref(a.req.answer);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	unsigned seed[THREADS];
	pthread_t thread[THREADS], server;

	(void)state;
	begin(STALE_S, false);
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&server, NULL, answer_all, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		seed[i] = i + 1;
		assert_int_equal(pthread_create(&thread[i], NULL, ask_many, &seed[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	atomic_store(&is_over, true);
	assert_int_equal(pthread_join(server, NULL), 0);
}

#define source_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		source_test(test_miss_merge_hit),
		source_test(test_waits_for_another_process),
		source_test(test_other_process_fails),
		source_test(test_stops_waiting_in_vain),
		source_test(test_cancel),
		source_test(test_stale),
		source_test(test_no_stale_when_off),
		source_test(test_nxdomain_cut),
		source_test(test_cut_is_off_by_default),
		source_test(test_flush),
		source_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
