/* test_cache_db - the store itself: putting, finding, deleting, walking, limits, and when it must refuse to open. */
#include "t/unit/cache_unit.h"

#include <sys/resource.h>
#include <unistd.h>

static void
put_text(struct cache_db *db, const char *key, const char *value, int64_t end_s)
{
	struct cache_db_item item = { span_cstr(key), span_cstr(value), end_s };

	assert_int_equal(cache_db_put(db, &item, 1, NULL, NULL), RC_OK);
}

static size_t
delete_text(struct cache_db *db, const char *key)
{
	struct cache_key k = { .n = strlen(key) };
	size_t n;

	memcpy(k.b, key, k.n);
	assert_int_equal(cache_db_delete_keys(db, &k, 1, &n), RC_OK);
	return n;
}

struct some {
	struct cache_key key[CACHE_DB_STEP_MAX];
	size_t n;
};

static bool
collect(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct some *s = arg;

	(void)value, (void)end_s;
	s->key[s->n].n = key.n;
	memcpy(s->key[s->n++].b, key.p, key.n);
	return true;
}

/* The first entries that begin with prefix, as many as one transaction may delete. */
static size_t
delete_some(struct cache_db *db, struct span prefix)
{
	struct cache_key cursor = { .n = 0 };
	struct some s = { .n = 0 };
	size_t n;
	enum rc rc = cache_db_walk(db, prefix, &cursor, CACHE_DB_STEP_MAX, collect, &s);

	assert_true(rc == RC_OK || rc == RC_NONE);
	assert_int_equal(cache_db_delete_keys(db, s.key, s.n, &n), RC_OK);
	assert_int_equal(n, s.n);
	return n;
}

static void
assert_text(struct cache_db *db, const char *key, const char *want)
{
	char buf[256];
	size_t n = 0;
	enum rc rc = cache_db_get(db, span_cstr(key), buf, sizeof buf, &n);

	assert_int_equal(rc, want == NULL ? RC_NONE : RC_OK);
	if (want != NULL)
		assert_span(span_of(buf, n), want);
}

static void
test_put_get_delete(void **state)
{
	struct cache_db *db = unit_writer();
	char buf[4];
	size_t n;

	(void)state;
	assert_text(db, "a", NULL);
	put_text(db, "a", "one", 100);
	put_text(db, "b", "two", 50);
	assert_text(db, "a", "one");
	put_text(db, "a", "three", 10);
	assert_text(db, "a", "three");
	assert_text(db, "b", "two");
	assert_int_equal(unit_entries(db), 2);
	assert_int_equal(cache_db_get(db, SPAN("a"), buf, 4, &n), RC_LIMIT);
	assert_int_equal(n, 5);
	assert_int_equal(cache_db_get(db, SPAN("b"), buf, 3, &n), RC_OK);
	assert_int_equal(cache_db_get(db, SPAN(""), buf, 3, &n), RC_NONE);
	assert_int_equal(delete_text(db, "a"), 1);
	assert_int_equal(delete_text(db, "a"), 0);
	assert_text(db, "a", NULL);
	assert_int_equal(cache_db_counters(db)->inserted, 2);
	assert_int_equal(cache_db_counters(db)->replaced, 1);
	assert_int_equal(cache_db_counters(db)->deleted, 1);
	assert_int_equal(cache_db_drop_all(db), RC_OK);
	assert_text(db, "b", NULL);
	assert_int_equal(unit_entries(db), 0);
	cache_db_close(&db);
	assert_null(db);
	cache_db_close(&db);
}

static bool
keeps_shorter(void *arg, struct span key, struct span old_value, struct span new_value)
{
	++*(int *)arg;
	assert_span(key, "a");
	return old_value.n < new_value.n;
}

static void
test_keeps(void **state)
{
	struct cache_db *db = unit_writer();
	struct cache_db_item items[] = { { SPAN("a"), SPAN("long"), 5 }, { SPAN("a"), SPAN("s"), 5 }, { SPAN("a"), SPAN("longer"), 5 } };
	int asked = 0;

	(void)state;
	assert_int_equal(cache_db_put(db, items, 3, keeps_shorter, &asked), RC_OK);
	assert_int_equal(asked, 2);
	assert_text(db, "a", "s");
	assert_int_equal(cache_db_counters(db)->kept, 1);
	cache_db_close(&db);
}

static void
forget(const char *text)
{
	(void)text;
}

static void
test_limits(void **state)
{
	static uint8_t big[CACHE_VALUE_MAX + 1], buf[CACHE_VALUE_MAX];
	static char key[CACHE_KEY_MAX + 1];
	struct cache_db *db = unit_writer();
	struct cache_db_item many[CACHE_DB_BATCH_MAX + 1];
	size_t n;

	(void)state;
	memset(key, 'k', sizeof key);
	memset(big, 'v', sizeof big);
	for (size_t over = 0; over < 2; over++) {
		struct span k = exact_n(key, CACHE_KEY_MAX + over), v = exact_n(big, CACHE_VALUE_MAX + over);
		struct cache_db_item long_key = { k, SPAN("x"), 1 }, long_value = { SPAN("v"), v, 1 };

		assert_int_equal(cache_db_put(db, &long_key, 1, NULL, NULL), RC_OK);
		assert_int_equal(cache_db_get(db, k, buf, sizeof buf, &n), over ? RC_NONE : RC_OK);
		assert_int_equal(cache_db_put(db, &long_value, 1, NULL, NULL), RC_OK);
		assert_int_equal(cache_db_get(db, SPAN("v"), buf, sizeof buf, &n), RC_OK);
		assert_int_equal(n, CACHE_VALUE_MAX);
		assert_int_equal(cache_db_counters(db)->refused, 2 * over);
		exact_free(k);
		exact_free(v);
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct cache_db_item){ SPAN("m"), SPAN("m"), 1 };
	many[0].key = SPAN("");
	many[1].value = SPAN("");
	assert_int_equal(cache_db_put(db, many, CACHE_DB_BATCH_MAX, NULL, NULL), RC_OK);
	assert_int_equal(cache_db_counters(db)->refused, 4);
	check_sink = forget;
	assert_int_equal(cache_db_put(db, many, CACHE_DB_BATCH_MAX + 1, NULL, NULL), RC_FAULT);
	cache_db_close(&db);
}

static void
test_delete_ended_in_order(void **state)
{
	struct cache_db *db = unit_writer();
	char key[16];
	size_t n;

	(void)state;
	/* 120 entries in the same second, then later ones, one of them beyond what a filing number holds. */
	for (int i = 0; i < 120; i++) {
		snprintf(key, sizeof key, "same%d", i);
		put_text(db, key, "x", 1000);
	}
	put_text(db, "late", "x", 1001);
	put_text(db, "never", "x", INT64_MAX);
	put_text(db, "before", "x", -5);
	put_text(db, "moved", "x", 1);
	put_text(db, "moved", "x", 2000);
	assert_int_equal(cache_db_delete_ended(db, 999, 50, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_text(db, "before", NULL);
	assert_int_equal(cache_db_delete_ended(db, 1000, 1000, &n), RC_OK);
	assert_int_equal(n, CACHE_DB_STEP_MAX);
	assert_int_equal(cache_db_delete_ended(db, 1000, 50, &n), RC_OK);
	assert_int_equal(n, 50);
	assert_int_equal(cache_db_delete_ended(db, 1000, 50, &n), RC_OK);
	assert_int_equal(n, 20);
	assert_int_equal(unit_entries(db), 3);
	assert_int_equal(cache_db_delete_ended(db, INT64_MAX, 1, &n), RC_OK);
	assert_text(db, "late", NULL);
	assert_text(db, "moved", "x");
	assert_int_equal(cache_db_delete_ended(db, INT64_MAX, 1, &n), RC_OK);
	assert_text(db, "moved", NULL);
	assert_text(db, "never", "x");
	assert_int_equal(cache_db_delete_ended(db, INT64_MAX, 50, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(cache_db_delete_ended(db, INT64_MAX, 50, &n), RC_OK);
	assert_int_equal(n, 0);
	cache_db_close(&db);
}

static void
put_name(struct cache_db *db, const char *text)
{
	struct dns_name name;
	struct cache_key k;
	struct cache_db_item item = { .value = SPAN("x"), .end_s = 5 };

	assert_int_equal(dns_name_from_text(span_cstr(text), &name), RC_OK);
	assert_int_equal(cache_key_dns(&name, DNS_A, &k), RC_OK);
	item.key = cache_key_span(&k);
	assert_int_equal(cache_db_put(db, &item, 1, NULL, NULL), RC_OK);
	assert_int_equal(cache_key_result(CACHE_R_SPF, 1, 2, &(struct ip){ .is_set = false }, &name, &k), RC_OK);
	item.key = cache_key_span(&k);
	assert_int_equal(cache_db_put(db, &item, 1, NULL, NULL), RC_OK);
}

static void
test_flush_a_zone(void **state)
{
	struct cache_db *db = unit_writer();
	struct dns_name zone;
	struct cache_key prefix;
	char text[64];
	size_t n, total = 0;

	(void)state;
	put_name(db, "example.org");
	put_name(db, "example.organic");
	put_name(db, "example-x.org");
	put_name(db, "org");
	for (int i = 0; i < 120; i++) {
		snprintf(text, sizeof text, "h%d.a.example.org", i);
		put_name(db, text);
	}
	assert_int_equal(dns_name_from_text(SPAN("example.org"), &zone), RC_OK);
	assert_int_equal(cache_key_zone(CACHE_DNS, &zone, &prefix), RC_OK);
	do {
		n = delete_some(db, cache_key_span(&prefix));
		total += n;
	} while (n == CACHE_DB_STEP_MAX);
	assert_int_equal(total, 121);
	assert_int_equal(unit_entries(db), 3 + 124);
	assert_int_equal(cache_key_zone(CACHE_RESULT, &zone, &prefix), RC_OK);
	for (total = 0; (n = delete_some(db, cache_key_span(&prefix))) > 0; total += n)
		;
	assert_int_equal(total, 121);
	/* Nothing is left in the index of ends, either. */
	assert_int_equal(cache_db_delete_ended(db, 5, 50, &n), RC_OK);
	assert_int_equal(n, 6);
	put_name(db, "example.com");
	assert_int_equal(delete_some(db, SPAN("")), 2);
	cache_db_close(&db);
}

struct seen {
	unsigned n, stop_after;
	char last[64];
};

static bool
see(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct seen *s = arg;

	assert_true(key.n < sizeof s->last);
	assert_true(s->n == 0 || strncmp(s->last, key.p, key.n) < 0);
	memcpy(s->last, key.p, key.n);
	s->last[key.n] = '\0';
	assert_span(value, "value");
	assert_true(end_s == 77);
	return ++s->n != s->stop_after;
}

static void
test_walk_in_steps(void **state)
{
	struct cache_db *db = unit_writer();
	struct cache_key cursor = { .n = 0 };
	struct seen s = { 0 };
	char key[16];
	enum rc rc;

	(void)state;
	assert_int_equal(cache_db_walk(db, SPAN(""), &cursor, 10, see, &s), RC_NONE);
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "%c%02d", i % 2 ? 'o' : 'e', i);
		put_text(db, key, "value", 77);
	}
	while ((rc = cache_db_walk(db, SPAN(""), &cursor, 7, see, &s)) == RC_OK)
		;
	assert_int_equal(rc, RC_NONE);
	assert_int_equal(s.n, 100);
	/* Below a prefix, with an entry deleted under the cursor and one put behind it. */
	s = (struct seen){ .stop_after = 5 };
	cursor.n = 0;
	assert_int_equal(cache_db_walk(db, SPAN("o"), &cursor, 50, see, &s), RC_OK);
	assert_string_equal(s.last, "o09");
	assert_span(cache_key_span(&cursor), "o09");
	assert_int_equal(delete_text(db, "o09"), 1);
	put_text(db, "o10", "value", 77);
	assert_int_equal(cache_db_walk(db, SPAN("o"), &cursor, 1, see, &s), RC_OK);
	assert_string_equal(s.last, "o10");
	assert_int_equal(cache_db_walk(db, SPAN("o"), &cursor, 1000, see, &s), RC_NONE);
	assert_int_equal(s.n, 51);
	cursor.n = 0;
	assert_int_equal(cache_db_walk(db, SPAN("x"), &cursor, 10, see, &s), RC_NONE);
	cache_db_close(&db);
}

/* ---- the map is full ------------------------------------------------------------------------ */

static void
test_map_full(void **state)
{
	bool is_new, is_bad;
	struct cache_db *db = unit_writer_sized(CACHE_DB_MAP_MIN, &is_new);
	const struct cache_db_counters *c = cache_db_counters(db);
	struct cache_db_stats st;
	unsigned version;

	(void)state;
	for (unsigned at = 0; at < 20000; at += 50) {
		assert_int_equal(unit_put(db, at, 50, 1, NULL), RC_OK);
		assert_int_equal(unit_get(db, at + 49, &version, &is_bad), RC_OK);
	}
	assert_true(c->dropped_all > 0 && c->evicted > 0);
	assert_int_equal(c->write_errors, 0);
	assert_int_equal(cache_db_stats(db, &st), RC_OK);
	assert_true(st.file_bytes <= CACHE_DB_MAP_MIN && st.used_bytes <= st.file_bytes && st.entries > 0);
	assert_false(cache_db_is_damaged(db));
	cache_db_close(&db);
	db = unit_writer_sized(CACHE_DB_MAP_MIN, &is_new);
	assert_false(is_new);
	cache_db_close(&db);
}

static int ready[2];

static bool
hang(void *arg, struct span key, struct span value, int64_t end_s)
{
	(void)arg, (void)key, (void)value, (void)end_s;
	(void)!write(ready[1], "r", 1);
	while (pause() != 0)
		;
	return false;
}

/* A reader that stops in the middle of a look-up. */
static int
hanging_reader(void *arg)
{
	struct cache_db *db = unit_reader();
	struct cache_key cursor = { .n = 0 };

	(void)arg;
	return cache_db_walk(db, SPAN(""), &cursor, 1, hang, NULL) == RC_OK;
}

/* It keeps old pages from being used again: batches are lost, but nothing is dropped for it; when it is gone, all is well. */
static void
test_reader_holds_pages_back(void **state)
{
	bool is_new, is_bad;
	struct cache_db *db = unit_writer_sized(CACHE_DB_MAP_MIN, &is_new);
	const struct cache_db_counters *c;
	unsigned version;
	char byte, who[32];
	pid_t pid;
	enum rc rc = RC_OK;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	unit_fill(db, 500, 1);
	cache_db_close(&db);
	pid = unit_start(hanging_reader, NULL);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	db = unit_writer_sized(CACHE_DB_MAP_MIN, &is_new);
	assert_false(is_new);
	c = cache_db_counters(db);
	for (unsigned i = 0; i < 1000 && rc == RC_OK; i++)
		rc = unit_put(db, i % 10 * 50, 50, 2, NULL);
	assert_int_equal(rc, RC_TEMP);
	assert_int_equal(c->dropped_all, 0);
	assert_true(c->write_errors > 0);
	assert_non_null(strstr(cache_db_error(db), "MAP_FULL"));
	snprintf(who, sizeof who, "process %d ", (int)pid);
	assert_non_null(strstr(cache_db_error(db), who));
	assert_int_equal(unit_get(db, 400, &version, &is_bad), RC_OK);
	assert_int_equal(cache_db_check_readers(db), 0);
	kill(pid, SIGKILL);
	assert_int_equal(unit_wait(pid), 1000 + SIGKILL);
	assert_int_equal(cache_db_check_readers(db), 1);
	assert_int_equal(c->dead_readers, 1);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(unit_put(db, i % 10 * 50, 50, 3, NULL), RC_OK);
	assert_int_equal(c->dropped_all, 0);
	close(ready[0]);
	close(ready[1]);
	cache_db_close(&db);
}

static int
write_on_a_full_disk(void *arg)
{
	struct rlimit limit = { 400 * KIB, 400 * KIB };
	struct cache_db *db = unit_writer();
	unsigned version, at = 0;
	bool is_bad;

	(void)arg;
	unit_fill(db, 100, 1);
	signal(SIGXFSZ, SIG_IGN);
	REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	while (at < 10000 && unit_put(db, at, 50, 2, NULL) == RC_OK)
		at += 50;
	REQUIRE(at < 10000 && cache_db_counters(db)->write_errors == 1);
	REQUIRE(cache_db_error(db)[0] != '\0');
	/* What was there before is there, and reading goes on. */
	REQUIRE(unit_get(db, at - 1, &version, &is_bad) == RC_OK && version == 2);
	cache_db_close(&db);
	return 0;
}

static void
test_disk_full(void **state)
{
	struct cache_db *db;
	bool is_new, is_bad;
	unsigned version;

	(void)state;
	assert_int_equal(unit_run(write_on_a_full_disk, NULL), 0);
	db = unit_writer_sized(16 * MIB, &is_new);
	assert_false(is_new);
	assert_int_equal(unit_get(db, 50, &version, &is_bad), RC_OK);
	unit_fill(db, 1000, 3);
	cache_db_close(&db);
}

/* ---- reader slots --------------------------------------------------------------------------- */

struct nested {
	struct cache_db *db;
	unsigned depth, reached;
	enum rc at_the_end;
};

/* A look-up inside a look-up: each has a slot of its own. */
static bool
look_deeper(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct nested *n = arg;
	struct cache_key cursor = { .n = 0 };
	enum rc rc;

	(void)key, (void)value, (void)end_s;
	n->reached++;
	rc = cache_db_walk(n->db, SPAN(""), &cursor, 1, look_deeper, n);
	if (rc == RC_LIMIT)
		n->at_the_end = rc;
	return false;
}

static void
test_slots_of_a_process(void **state)
{
	struct cache_db *db = unit_writer();
	struct cache_key cursor = { .n = 0 };
	struct nested n = { .db = db };

	(void)state;
	put_text(db, "a", "x", 1);
	assert_int_equal(cache_db_walk(db, SPAN(""), &cursor, 1, look_deeper, &n), RC_OK);
	assert_int_equal(n.reached, CACHE_DB_SLOTS);
	assert_int_equal(n.at_the_end, RC_LIMIT);
	assert_int_equal(cache_db_counters(db)->busy, 1);
	assert_text(db, "a", "x");
	cache_db_close(&db);
}

/* Fewer slots in the file than look-ups want: a miss, and no harm. */
static void
test_slots_of_the_file(void **state)
{
	struct cache_key cursor = { .n = 0 };
	struct nested n = { 0 };
	struct cache_db_stats st;
	char why[512];
	bool is_new;

	(void)state;
	assert_int_equal(cache_db_open_writer(unit_path, 16 * MIB, 4, &n.db, &is_new, why, sizeof why), RC_OK);
	put_text(n.db, "a", "x", 1);
	assert_int_equal(cache_db_walk(n.db, SPAN(""), &cursor, 1, look_deeper, &n), RC_OK);
	assert_int_equal(n.at_the_end, RC_LIMIT);
	assert_int_equal(n.reached, 4);
	assert_int_equal(cache_db_counters(n.db)->busy, 1);
	assert_false(cache_db_is_damaged(n.db));
	assert_text(n.db, "a", "x");
	assert_int_equal(cache_db_stats(n.db, &st), RC_OK);
	assert_int_equal(st.readers_max, 4);
	cache_db_close(&n.db);
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum rc
try_writer(const char *path, uint64_t bytes, char *why, size_t size)
{
	struct cache_db *db;
	bool is_new;
	enum rc rc = cache_db_open_writer(path, bytes, 16, &db, &is_new, why, size);

	if (rc == RC_OK)
		cache_db_close(&db);
	else
		assert_null(db);
	return rc;
}

static void
test_map_size_limits(void **state)
{
	static const struct {
		uint64_t bytes;
		enum rc want;
	} cases[] = {
		{ 0, RC_TEMP }, { MIB - 64 * KIB, RC_TEMP }, { MIB, RC_OK }, { MIB + 1, RC_TEMP }, { MIB + 64 * KIB, RC_OK },
		{ ((uint64_t)1 << 42) + 64 * KIB, RC_TEMP }, { UINT64_MAX, RC_TEMP },
	};
	char why[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		why[0] = '\0';
		assert_int_equal(try_writer(unit_path, cases[i].bytes, why, sizeof why), cases[i].want);
		assert_true(why[0] != '\0');
	}
}

static void
test_folder(void **state)
{
	struct cache_db *db;
	char path[128], why[512];

	(void)state;
	snprintf(path, sizeof path, "%s/none/cache", unit_folder);
	assert_int_equal(try_writer(path, MIB, why, sizeof why), RC_TEMP);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(cache_db_open_reader(path, &db, why, sizeof why), RC_NONE);
	assert_int_equal(try_writer("relative", MIB, why, sizeof why), RC_TEMP);
	assert_int_equal(try_writer("/tmp/", MIB, why, sizeof why), RC_TEMP);
	/* Others may write there. */
	assert_int_equal(chmod(unit_folder, 0770), 0);
	assert_int_equal(try_writer(unit_path, MIB, why, sizeof why), RC_TEMP);
	assert_non_null(strstr(why, "others"));
	assert_int_equal(chmod(unit_folder, 01777), 0);
	assert_int_equal(try_writer(unit_path, MIB, why, sizeof why), RC_TEMP);
	assert_int_equal(chmod(unit_folder, 0755), 0);
	assert_int_equal(try_writer(unit_path, MIB, why, sizeof why), RC_OK);
	/* A file where the folder should be. */
	snprintf(path, sizeof path, "%s.writer/cache", unit_path);
	assert_int_equal(try_writer(path, MIB, why, sizeof why), RC_TEMP);
}

static int
second_writer(void *arg)
{
	char why[512];
	struct cache_db *db;
	bool is_new;

	(void)arg;
	REQUIRE(cache_db_open_writer(unit_path, 16 * MIB, 16, &db, &is_new, why, sizeof why) == RC_TEMP);
	return strstr(why, "another process writes") != NULL ? 0 : 1;
}

static void
test_one_writer(void **state)
{
	struct cache_db *db = unit_writer();

	(void)state;
	assert_int_equal(unit_run(second_writer, NULL), 0);
	cache_db_close(&db);
	db = unit_writer();
	cache_db_close(&db);
}

static int
writer_that_dies(void *arg)
{
	struct cache_db *db = unit_writer();

	(void)arg;
	unit_fill(db, 300, 1);
	raise(SIGKILL);
	return 1;
}

static void
edit_state(void (*edit)(struct cache_file_state *s))
{
	struct cache_file_state s;
	char why[512];

	assert_int_equal(cache_file_state_read(unit_path, &s, why, sizeof why), RC_OK);
	edit(&s);
	assert_int_equal(cache_file_state_write(unit_path, &s, why, sizeof why), RC_OK);
}

static void
edit_nothing(struct cache_file_state *s)
{
	assert_false(s->is_clean);
}

static void
edit_clean_reboot(struct cache_file_state *s)
{
	s->is_clean = true;
	snprintf(s->boot, sizeof s->boot, "another-boot");
}

static void
edit_crash(struct cache_file_state *s)
{
	snprintf(s->boot, sizeof s->boot, "another-boot");
}

static void
edit_format(struct cache_file_state *s)
{
	s->is_clean = true;
	snprintf(s->format, sizeof s->format, "f1-lmdb0.9.11-64");
}

/* After which end of the last writer its file is used again. */
static void
test_warm_or_cold(void **state)
{
	static const struct {
		const char *name;
		void (*edit)(struct cache_file_state *s);
		bool is_new;
	} cases[] = {
		{ "killed", edit_nothing, false }, { "clean reboot", edit_clean_reboot, false }, { "crash of the host", edit_crash, true },
		{ "another version", edit_format, true },
	};
	bool is_new, is_bad;
	struct cache_db *db;
	unsigned version;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(unit_run(writer_that_dies, NULL), 1000 + SIGKILL);
		edit_state(cases[i].edit);
		db = unit_writer_sized(16 * MIB, &is_new);
		if (is_new != cases[i].is_new)
			fail_msg("%s: %d", cases[i].name, is_new);
		assert_int_equal(unit_get(db, 299, &version, &is_bad), is_new ? RC_NONE : RC_OK);
		cache_db_close(&db);
	}
	db = unit_writer_sized(8 * MIB, &is_new);
	assert_true(is_new);
	cache_db_condemn(db);
	cache_db_close(&db);
	db = unit_writer_sized(8 * MIB, &is_new);
	assert_true(is_new);
	cache_db_close(&db);
	db = unit_writer_sized(8 * MIB, &is_new);
	assert_false(is_new);
	cache_db_close(&db);
}

static void
write_file(const char *file, const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A state file that says nothing, or nonsense, is as good as none; the generations go on. */
static void
test_state_file_damaged(void **state)
{
	static const char *const texts[] = {
		"", "\n", "enma-cache 2\n", "enma-cache 1\nformat f1\ngeneration 1\nmap 1\nboot x\nclean 1",
		"enma-cache 1\nformat ../../etc/passwd\ngeneration 1\nmap 1\nboot x\nclean 1\n",
		"enma-cache 1\nformat f1\ngeneration 0\nmap 1\nboot x\nclean 1\n",
		"enma-cache 1\nformat f1\ngeneration 99999999999999999999\nmap 1\nboot x\nclean 1\n",
		"enma-cache 1\nformat f1\ngeneration 1\nmap 1\nboot x\nclean 2\n",
		"enma-cache 1\nformat f1\ngeneration 1\nmap 1\nboot x\nclean 1\nmore\n",
	};
	struct cache_file_state s;
	struct cache_db *db;
	char why[512], file[128];
	bool is_new;

	(void)state;
	snprintf(file, sizeof file, "%s.state", unit_path);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		write_file(file, texts[i]);
		assert_int_equal(cache_file_state_read(unit_path, &s, why, sizeof why), RC_SYNTAX);
		assert_int_equal(cache_db_open_reader(unit_path, &db, why, sizeof why), RC_TEMP);
		db = unit_writer_sized(MIB, &is_new);
		assert_true(is_new);
		cache_db_close(&db);
		assert_int_equal(cache_file_state_read(unit_path, &s, why, sizeof why), RC_OK);
		assert_int_equal(s.generation, i + 1);
		assert_true(s.is_clean);
	}
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(try_writer(unit_path, MIB, why, sizeof why), RC_TEMP);
}

static void
test_not_our_file(void **state)
{
	char why[512], other[128];
	struct cache_db *db;
	bool is_new;

	(void)state;
	snprintf(other, sizeof other, "%s/other", unit_folder);
	for (int way = 0; way < 5; way++) {
		char *file;

		db = unit_writer_sized(MIB, &is_new);
		assert_true(is_new);
		unit_fill(db, 10, 1);
		cache_db_close(&db);
		file = unit_file("");
		if (way == 0) {
			assert_int_equal(chmod(file, 0640), 0);
		} else if (way == 1) {
			assert_int_equal(rename(file, other), 0);
			assert_int_equal(symlink(other, file), 0);
		} else if (way == 2) {
			assert_int_equal(unlink(file), 0);
			assert_int_equal(mkdir(file, 0700), 0);
		} else if (way == 3) {
			assert_int_equal(unlink(file), 0);
			assert_int_equal(mkfifo(file, 0600), 0);
		} else {
			assert_int_equal(unlink(file), 0);
		}
		assert_int_equal(cache_db_open_reader(unit_path, &db, why, sizeof why), way == 4 ? RC_NONE : RC_TEMP);
		assert_true(why[0] != '\0');
	}
	db = unit_writer_sized(MIB, &is_new);
	assert_true(is_new);
	cache_db_close(&db);
}

static int
reader_of_an_old_generation(void *arg)
{
	struct cache_db *db = unit_reader();
	unsigned version;
	bool is_bad;
	char byte;

	REQUIRE(!cache_db_is_outdated(db));
	REQUIRE(write(((int *)arg)[1], "r", 1) == 1);
	REQUIRE(read(((int *)arg)[2], &byte, 1) == 1);
	REQUIRE(cache_db_is_outdated(db));
	REQUIRE(unit_get(db, 5, &version, &is_bad) == RC_OK && version == 1);
	cache_db_close(&db);
	return 0;
}

/* A reader keeps its generation's file; it goes when nobody has it open. */
static void
test_generations_and_leftovers(void **state)
{
	int to_us[2], to_child[2], fds[3];
	char old[CACHE_FILE_NAME_MAX], temporary[128], byte;
	struct cache_db *db = unit_writer();
	bool is_new;
	pid_t pid;

	(void)state;
	unit_fill(db, 10, 1);
	cache_db_close(&db);
	snprintf(old, sizeof old, "%s", unit_file(""));
	snprintf(temporary, sizeof temporary, "%s.state.aBcDeF", unit_path);
	write_file(temporary, "");
	assert_int_equal(pipe(to_us), 0);
	assert_int_equal(pipe(to_child), 0);
	fds[1] = to_us[1];
	fds[2] = to_child[0];
	pid = unit_start(reader_of_an_old_generation, fds);
	assert_int_equal(read(to_us[0], &byte, 1), 1);
	db = unit_writer_sized(8 * MIB, &is_new);
	assert_true(is_new);
	assert_int_equal(cache_db_remove_others(db), 1);
	assert_int_equal(access(temporary, F_OK), -1);
	assert_int_equal(access(old, F_OK), 0);
	assert_int_equal(write(to_child[1], "g", 1), 1);
	assert_int_equal(unit_wait(pid), 0);
	assert_int_equal(cache_db_remove_others(db), 2);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(cache_db_remove_others(db), 0);
	unit_fill(db, 10, 2);
	cache_db_close(&db);
	for (int i = 0; i < 2; i++) {
		close(to_us[i]);
		close(to_child[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_put_get_delete),
		cache_test(test_keeps),
		cache_test(test_limits),
		cache_test(test_delete_ended_in_order),
		cache_test(test_flush_a_zone),
		cache_test(test_walk_in_steps),
		cache_test(test_map_full),
		cache_test(test_reader_holds_pages_back),
		cache_test(test_disk_full),
		cache_test(test_slots_of_a_process),
		cache_test(test_slots_of_the_file),
		cache_test(test_map_size_limits),
		cache_test(test_folder),
		cache_test(test_one_writer),
		cache_test(test_warm_or_cold),
		cache_test(test_state_file_damaged),
		cache_test(test_not_our_file),
		cache_test(test_generations_and_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
