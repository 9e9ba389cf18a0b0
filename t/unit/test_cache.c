/* test_cache - what a worker sees: with and without a file, with and without a writer, across generations. */
#include "t/unit/cache_unit.h"

#include <pthread.h>
#include <sys/socket.h>

#include "cache/cache.h"
#include "cache/cache_feed.h"

static const struct cache_ttl_rules rules = { .min_s = 5, .max_s = 86400, .max_negative_s = 3600, .failure_s = 10, .stale_s = 1000 };

static struct board *board;
static size_t board_bytes;

static uint64_t
counted(enum board_counter c)
{
	return atomic_load(&board->counter[c]);
}

static int
setup(void **state)
{
	int fd;

	if (board_create(0, &fd, &board, &board_bytes) != RC_OK)
		return -1;
	close(fd);
	return unit_setup(state);
}

static int
teardown(void **state)
{
	board_detach(&board, board_bytes);
	return unit_teardown(state);
}

static struct dns_name
name_of(const char *text)
{
	struct dns_name name;

	REQUIRE(dns_name_from_text(span_cstr(text), &name) == RC_OK);
	return name;
}

static const struct dns_answer *
txt(size_t len)
{
	struct answer_make m = answer_make(DNS_OK, 1, 0, len);
	struct dns_rr *rr = answer_make_rr(&m, 300);
	char *text = answer_make_text(&m, len);

	memset(text, 't', len);
	rr->text = span_of(text, len);
	m.a->ttl_s = 300;
	return m.a;
}

static void
test_without_anything(void **state)
{
	struct cache *c = cache_create(unit_path, -1, &rules, board);
	struct dns_name name = name_of("example.org");
	const struct dns_answer *a = txt(40), *b;
	char why[512];
	bool is_changed;

	(void)state;
	assert_int_equal(cache_refresh(c, &is_changed, why, sizeof why), RC_NONE);
	assert_false(is_changed);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK, UNIT_NOW, &b), RC_NONE);
	assert_int_equal(counted(BOARD_CACHE_MISSES_TXT), 1);
	assert_false(cache_is_open(c));
	assert_false(cache_offer_dns(c, &name, DNS_TXT, a, 0, UNIT_NOW));
	assert_int_equal(counted(BOARD_CACHE_DROPPED_TXT), 1);
	dns_answer_unref(a);
	cache_destroy(&c);
	cache_destroy(&c);
}

/* The writer's part, in a child: what is offered is stored. */
static int
store_offers(void *arg)
{
	static uint8_t buf[CACHE_FEED_MAX];
	struct cache_feed_rules keep = { .stale_s = rules.stale_s, .now_s = UNIT_NOW };
	struct cache_db *db = unit_writer();
	struct cache_db_item item;
	struct cache_offer o;
	enum rc rc;

	while ((rc = cache_feed_receive(*(int *)arg, buf, sizeof buf, &o)) != RC_TEMP) {
		REQUIRE(rc == RC_OK && cache_feed_accept(&o, rules.stale_s, UNIT_NOW, &item) == RC_OK);
		REQUIRE(cache_db_put(db, &item, 1, cache_feed_keeps, &keep) == RC_OK);
	}
	cache_db_close(&db);
	return 0;
}

static void
test_from_offer_to_answer(void **state)
{
	static const size_t lengths[] = { 0, 40, 3000, 4096, 50000 };
	struct spf_outcome o = { .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = SPAN("mx"), .at = SPAN("example.org"), .ttl_s = 60 };
	struct dns_name name = name_of("example.org");
	const struct dns_answer *a, *b;
	struct ip ip;
	struct arena arena;
	struct cache *c;
	char text[32], why[512];
	bool is_changed;
	int fd[2], room = 1 * MIB;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
	assert_int_equal(ip_parse(SPAN("192.0.2.1"), &ip), RC_OK);
	arena_init(&arena, 256, 1 * MIB);
	c = cache_create(unit_path, fd[0], &rules, board);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct dns_name n;

		snprintf(text, sizeof text, "n%zu.example.org", i);
		n = name_of(text);
		a = txt(lengths[i]);
		assert_true(cache_offer_dns(c, &n, DNS_TXT, a, 0, UNIT_NOW));
		dns_answer_unref(a);
	}
	assert_true(cache_offer_spf(c, &ip, &name, 7, &o, 0, UNIT_NOW));
	o.depends_on_message = true;
	assert_false(cache_offer_spf(c, &ip, &name, 8, &o, 0, UNIT_NOW));
	assert_int_equal(counted(BOARD_CACHE_OFFERED_TXT), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_OFFERED_SPF), 1);
	assert_int_equal(counted(BOARD_CACHE_DROPPED_SPF), 0);
	assert_int_equal(unit_run(store_offers, &fd[1]), 0);
	assert_int_equal(cache_refresh(c, &is_changed, why, sizeof why), RC_OK);
	assert_true(is_changed);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct dns_name n;

		snprintf(text, sizeof text, "n%zu.example.org", i);
		n = name_of(text);
		assert_int_equal(cache_get_dns(c, &n, DNS_TXT, CACHE_LOOK, UNIT_NOW + 1, &b), RC_OK);
		assert_int_equal(b->rr[0].text.n, lengths[i]);
		assert_int_equal(b->ttl_s, 299);
		assert_false(b->is_stale);
		assert_true(b->is_from_cache);
		dns_answer_unref(b);
		assert_int_equal(cache_get_dns(c, &n, DNS_TXT, CACHE_LOOK, UNIT_NOW + 300, &b), RC_NONE);
		assert_int_equal(cache_get_dns(c, &n, DNS_TXT, CACHE_LOOK_STALE, UNIT_NOW + 300, &b), RC_OK);
		assert_true(b->is_stale);
		/* It would become fresh again. */
		assert_false(cache_offer_dns(c, &n, DNS_TXT, b, 0, UNIT_NOW + 300));
		dns_answer_unref(b);
		assert_int_equal(cache_get_dns(c, &n, DNS_TXT, CACHE_LOOK_AGAIN, UNIT_NOW + 300, &b), RC_NONE);
		assert_int_equal(cache_get_dns(c, &n, DNS_TXT, CACHE_LOOK_STALE, UNIT_NOW + 1300, &b), RC_NONE);
		assert_int_equal(cache_get_dns(c, &n, DNS_A, CACHE_LOOK, UNIT_NOW, &b), RC_NONE);
		assert_int_equal(cache_get_dns(c, &n, DNS_A, CACHE_LOOK_AGAIN, UNIT_NOW, &b), RC_NONE);
	}
	assert_int_equal(counted(BOARD_CACHE_OFFERED_TXT), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_HITS_TXT), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_STALE_TXT), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_EXPIRED_TXT), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_MISSES_A), ARRAY_LEN(lengths));
	assert_int_equal(counted(BOARD_CACHE_MISSES_TXT), 0);
	assert_int_equal(cache_get_spf(c, &arena, &ip, &name, 7, UNIT_NOW + 1, &o), RC_OK);
	assert_int_equal(o.result, SPF_PASS);
	assert_span(o.mechanism, "mx");
	assert_int_equal(o.ttl_s, 59);
	assert_int_equal(cache_get_spf(c, &arena, &ip, &name, 8, UNIT_NOW + 1, &o), RC_NONE);
	assert_int_equal(counted(BOARD_CACHE_HITS_SPF), 1);
	assert_int_equal(counted(BOARD_CACHE_MISSES_SPF), 1);
	assert_int_equal(cache_refresh(c, &is_changed, why, sizeof why), RC_OK);
	assert_false(is_changed);
	arena_fini(&arena);
	cache_destroy(&c);
	close(fd[0]);
	close(fd[1]);
}

/* Each type has its class; counters of two classes do not touch. */
static void
test_classes(void **state)
{
	static const struct { uint16_t type; enum board_cache_class class; } rows[] = {
		{ DNS_A, BOARD_C_A }, { DNS_AAAA, BOARD_C_AAAA }, { DNS_MX, BOARD_C_MX }, { DNS_PTR, BOARD_C_PTR }, { DNS_TXT, BOARD_C_TXT },
		{ DNS_NS, BOARD_C_OTHER }, { 0, BOARD_C_OTHER }, { 65535, BOARD_C_OTHER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(cache_class(rows[i].type), rows[i].class);
	assert_int_equal(BOARD_CACHE(BOARD_C_SPF, BOARD_E_EVICTED), BOARD_CACHE_EVICTED_SPF);
}

/* What was learnt before a flush is not offered, what was stored before it is not found until the cache process has had its time. */
static void
test_flush(void **state)
{
	struct dns_name name = name_of("example.org");
	const struct dns_answer *a = txt(40), *b;
	struct cache *c;
	uint64_t before;
	char why[512];
	bool is_changed;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	c = cache_create(unit_path, fd[0], &rules, NULL);
	before = cache_epoch(c);
	assert_true(cache_offer_dns(c, &name, DNS_TXT, a, before, UNIT_NOW));
	assert_int_equal(unit_run(store_offers, &fd[1]), 0);
	assert_int_equal(cache_refresh(c, &is_changed, why, sizeof why), RC_OK);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK, UNIT_NOW, &b), RC_OK);
	dns_answer_unref(b);
	cache_flush(c, UNIT_NOW);
	assert_false(cache_offer_dns(c, &name, DNS_TXT, a, before, UNIT_NOW));
	assert_true(cache_epoch(c) != before);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK, UNIT_NOW, &b), RC_NONE);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK_STALE, UNIT_NOW + CACHE_FLUSH_S - 1, &b), RC_NONE);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK, UNIT_NOW + CACHE_FLUSH_S, &b), RC_OK);
	dns_answer_unref(b);
	/* newer than the flush */
	cache_flush(c, UNIT_NOW - 1);
	assert_int_equal(cache_get_dns(c, &name, DNS_TXT, CACHE_LOOK, UNIT_NOW, &b), RC_OK);
	dns_answer_unref(b);
	assert_true(cache_offer_dns(c, &name, DNS_TXT, a, cache_epoch(c), UNIT_NOW));
	dns_answer_unref(a);
	cache_destroy(&c);
	close(fd[0]);
	close(fd[1]);
}

/* Makes a new file for each size it is told; started before there are threads. */
static int
make_generations(void *arg)
{
	const int *fd = arg;
	struct cache_db *db;
	uint64_t bytes;
	bool is_new;

	close(fd[3]);
	while (read(fd[0], &bytes, sizeof bytes) == sizeof bytes) {
		db = unit_writer_sized(bytes, &is_new);
		REQUIRE(is_new);
		unit_fill(db, 100, 1);
		cache_db_close(&db);
		REQUIRE(write(fd[1], "d", 1) == 1);
	}
	return 0;
}

struct looker {
	struct cache *c;
	atomic_bool is_over;
	atomic_ulong hits;
};

static void *
look_on(void *arg)
{
	struct looker *l = arg;
	const struct dns_answer *a;
	char text[32];

	for (unsigned i = 0; !atomic_load(&l->is_over); i = (i + 1) % 100) {
		struct dns_name n;

		snprintf(text, sizeof text, "n%u.z%u.example", i, i % 10);
		n = name_of(text);
		if (cache_get_dns(l->c, &n, DNS_TXT, CACHE_LOOK, UNIT_NOW, &a) != RC_OK)
			continue;
		REQUIRE(a->rr_count == 1);
		dns_answer_unref(a);
		atomic_fetch_add(&l->hits, 1);
	}
	return NULL;
}

/* New files come, are damaged and go while threads look things up. */
static void
test_generations_under_look_ups(void **state)
{
	struct looker l = { .c = cache_create(unit_path, -1, &rules, board) };
	char why[512], file[CACHE_FILE_NAME_MAX + 32];
	pthread_t thread[4];
	bool is_changed;
	int to_maker[2], to_us[2], fd[4];       /* the maker's input and output, our input and output */
	pid_t maker;
	char byte;

	(void)state;
	assert_int_equal(pipe(to_maker), 0);
	assert_int_equal(pipe(to_us), 0);
	memcpy(fd, (int[]){ to_maker[0], to_us[1], to_us[0], to_maker[1] }, sizeof fd);
	maker = unit_start(make_generations, fd);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, look_on, &l), 0);
	for (uint64_t i = 0; i < 10; i++) {
		uint64_t bytes = (16 + i % 3) * MIB;
		unsigned long hits = atomic_load(&l.hits);

		assert_int_equal(write(fd[3], &bytes, sizeof bytes), sizeof bytes);
		assert_int_equal(read(fd[2], &byte, 1), 1);
		assert_int_equal(cache_refresh(l.c, &is_changed, why, sizeof why), RC_OK);
		assert_true(is_changed);
		while (atomic_load(&l.hits) < hits + 100)
			usleep(1000);
		if (i % 2 == 1) {
			snprintf(file, sizeof file, "%s", unit_file("-damaged"));
			cache_guard_mark(file);
			assert_int_equal(cache_refresh(l.c, &is_changed, why, sizeof why), RC_TEMP);
			assert_non_null(strstr(why, "damaged"));
			assert_true(is_changed);
			assert_int_equal(cache_refresh(l.c, &is_changed, why, sizeof why), RC_TEMP);
			assert_false(is_changed);
		}
	}
	atomic_store(&l.is_over, true);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	close(fd[3]);
	assert_int_equal(unit_wait(maker), 0);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	cache_destroy(&l.c);
}

#define cache_board_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cache_board_test(test_without_anything),
		cache_board_test(test_from_offer_to_answer),
		cache_board_test(test_classes),
		cache_board_test(test_flush),
		cache_board_test(test_generations_under_look_ups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
