/*
 * test_cache_damage - files that were cut, zeroed, overwritten or replaced, before and while they are open.
 *
 * Whatever the damage: nothing wrong is ever believed (unit_get() checks every byte), and a process that meets damage goes on or ends with
 * CACHE_GUARD_EXIT, never by a signal.
 */
#include "t/unit/cache_unit.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum {
	ENTRIES = 400, PAGE = 4096,
	/* LMDB itself copies out of bounds over garbage in a writer's heap; a sanitizer sees that before it becomes a fault. */
#if defined __SANITIZE_ADDRESS__
	SANITIZER_EXIT = 99,
#else
	SANITIZER_EXIT = 0,
#endif
};

static void
make_file(void)
{
	struct cache_db *db = unit_writer();

	unit_fill(db, ENTRIES, 1);
	cache_db_close(&db);
}

static size_t
file_bytes(const char *file)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return (size_t)st.st_size;
}

static void
overwrite(const char *file, off_t at, const void *p, size_t n)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, at), n);
	close(fd);
}

/* A copy of the whole file, to put it right again. */
static uint8_t *
save(const char *file, size_t n)
{
	uint8_t *p = xmalloc(n);
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, p, n), n);
	close(fd);
	return p;
}

static void
be_quiet(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
}

/* Opens and looks at everything that could be there: 0 all right, 10 some missed, 20 not opened. */
static int
read_all(void *arg)
{
	unsigned i, found = 0, version;
	struct cache_db_stats st;
	struct cache_db *db;
	char why[512];
	bool is_bad;

	(void)arg;
	cache_guard_install(false, NULL);
	be_quiet();
	if (cache_db_open_reader(unit_path, &db, why, sizeof why) != RC_OK)
		return 20;
	for (i = 0; i < ENTRIES; i++)
		found += unit_get(db, i, &version, &is_bad) == RC_OK;
	(void)!cache_db_stats(db, &st);
	cache_db_close(&db);
	return found == ENTRIES ? 0 : 10;
}

/* As the writer's process should: garbage lengths must not take the machine's memory. */
static void
limit_memory(void)
{
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	struct rlimit limit = { (rlim_t)256 * MIB, (rlim_t)256 * MIB };

	REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
#endif
}

static bool
touch_each(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct cache_entry_head h;

	(void)end_s;
	*(unsigned *)arg += cache_entry_head(key, value, &h) == RC_OK;
	return true;
}

/* The same for the writer: it opens, walks, puts and deletes. */
static int
write_some(void *arg)
{
	struct cache_key cursor = { .n = 0 };
	struct cache_db *db;
	char why[512];
	unsigned seen = 0;
	bool is_new;
	size_t n;

	(void)arg;
	cache_guard_install(true, NULL);
	be_quiet();
	limit_memory();
	if (cache_db_open_writer(unit_path, 16 * MIB, UNIT_READERS, &db, &is_new, why, sizeof why) != RC_OK)
		return 20;
	while (cache_db_walk(db, SPAN(""), &cursor, 100, touch_each, &seen) == RC_OK && seen < 100 * ENTRIES)
		;
	if (unit_put(db, 0, 50, 2, NULL) != RC_OK || cache_db_delete_ended(db, INT64_MAX, 50, &n) != RC_OK || cache_db_is_damaged(db))
		cache_db_condemn(db);
	cache_db_close(&db);
	return is_new ? 30 : 0;
}

static void
assert_one_of(const char *what, size_t at, int got, const int *want, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (got == want[i])
			return;
	fail_msg("%s at %zu: exit code %d", what, at, got);
}
#define assert_ends(what, at, got, ...) \
	assert_one_of((what), (at), (got), (const int[]){ __VA_ARGS__ }, sizeof (const int[]){ __VA_ARGS__ } / sizeof(int))

static void
test_sound(void **state)
{
	(void)state;
	make_file();
	assert_int_equal(unit_run(read_all, NULL), 0);
	assert_int_equal(unit_run(write_some, NULL), 0);
}

/* Cut at every page and in the middle of some: found at opening, each time; then the writer makes a new one. */
static void
test_truncated_before_opening(void **state)
{
	size_t n, at;
	char file[CACHE_FILE_NAME_MAX + 16];
	uint8_t *whole;

	(void)state;
	make_file();
	snprintf(file, sizeof file, "%s", unit_file(""));
	n = file_bytes(file);
	whole = save(file, n);
	for (at = 0; at < n; at += at < 3 * PAGE ? PAGE / 2 : PAGE) {
		assert_int_equal(truncate(file, (off_t)at), 0);
		assert_ends("cut", at, unit_run(read_all, NULL), 20);
		overwrite(file, 0, whole, n);
	}
	assert_int_equal(truncate(file, (off_t)n - 1), 0);
	assert_ends("cut", n - 1, unit_run(read_all, NULL), 20);
	assert_int_equal(unit_run(write_some, NULL), 30);
	free(whole);
}

static uint32_t noise = 12345;

static uint8_t
random_byte(void)
{
	noise = noise * 1664525u + 1013904223u;
	return (uint8_t)(noise >> 24);
}

static void
damage_page(uint8_t *page, int way)
{
	if (way == 0)
		memset(page, 0, PAGE);
	else if (way == 1)
		memset(page, 0xff, PAGE);
	else if (way == 2)
		for (size_t i = 0; i < PAGE; i++)
			page[i] = random_byte();
	else
		for (int i = 0; i < 40; i++)    /* here and there, mostly in the page's table */
			page[(random_byte() | random_byte() << 8) % (i % 2 ? 64 : PAGE)] = random_byte();
}

/* Each page in turn, in several ways. */
static void
test_pages_overwritten(void **state)
{
	uint8_t *whole, page[PAGE];
	unsigned count[2] = { 0 };
	char file[CACHE_FILE_NAME_MAX + 16];
	size_t n, at;

	(void)state;
	make_file();
	snprintf(file, sizeof file, "%s", unit_file(""));
	n = file_bytes(file);
	whole = save(file, n);
	for (int way = 0; way < 4; way++)
		for (at = 0; at < n; at += PAGE) {
			int got;

			memcpy(page, whole + at, PAGE);
			damage_page(page, way);
			overwrite(file, (off_t)at, page, PAGE);
			got = unit_run(read_all, NULL);
			/* Who ends for it says so to all others. */
			assert_true(got != CACHE_GUARD_EXIT || access(unit_file("-damaged"), F_OK) == 0);
			assert_true(got != CACHE_GUARD_EXIT || unit_run(read_all, NULL) == 20);
			assert_ends("overwritten", at, got, 0, 10, 20, CACHE_GUARD_EXIT);
			count[got != 0]++;
			overwrite(file, (off_t)at, whole, n - at);
			(void)unlink(unit_file("-damaged"));
		}
	/* Pages in use were among them, and pages that no entry needs. */
	assert_true(count[1] >= 20);
	free(whole);
}

#if !defined __SANITIZE_THREAD__
/* The writer over the same damage; afterwards, at the latest after one more start, there is a cache again. */
static void
test_writer_over_damage(void **state)
{
	uint8_t *whole, page[PAGE];
	size_t n, at;
	char file[CACHE_FILE_NAME_MAX + 16];

	(void)state;
	for (int way = 0; way < 4; way++) {
		make_file();
		snprintf(file, sizeof file, "%s", unit_file(""));
		n = file_bytes(file);
		whole = save(file, n);
		for (at = 0; at < n; at += (size_t)(3 + way) * PAGE) {
			struct cache_file_state s;
			char why[512], mark_file[CACHE_FILE_NAME_MAX + 32];
			int got;

			assert_int_equal(cache_file_state_read(unit_path, &s, why, sizeof why), RC_OK);
			memcpy(page, whole + at, PAGE);
			damage_page(page, way);
			overwrite(file, (off_t)at, page, PAGE);
			got = unit_run(write_some, NULL);
			assert_ends("writer", at, got, 0, 30, CACHE_GUARD_EXIT, SANITIZER_EXIT);
			if (got == CACHE_GUARD_EXIT)
				assert_int_equal(unit_run(write_some, NULL), 30);
			assert_int_equal(truncate(file, 0), 0);
			overwrite(file, 0, whole, n);
			snprintf(mark_file, sizeof mark_file, "%s-damaged", file);
			(void)unlink(mark_file);
			assert_int_equal(cache_file_state_write(unit_path, &s, why, sizeof why), RC_OK);
		}
		free(whole);
	}
}

#endif

/* Every byte of both headers, and a lot of random ones: refused or harmless. */
static void
test_headers(void **state)
{
	enum { HEADER = 16 + 152 };
	char file[CACHE_FILE_NAME_MAX + 16];
	uint8_t *whole;
	size_t n, refused = 0;

	(void)state;
	make_file();
	snprintf(file, sizeof file, "%s", unit_file(""));
	n = file_bytes(file);
	whole = save(file, n);
	for (size_t at = 0; at < 2 * HEADER; at++) {
		size_t where = at < HEADER ? at : PAGE + at - HEADER;
		uint8_t byte = (uint8_t)(whole[where] ^ (at % 3 == 0 ? 0xff : 1 << at % 8));
		int got;

		overwrite(file, (off_t)where, &byte, 1);
		got = unit_run(read_all, NULL);
		assert_ends("header", where, got, 0, 10, 20, CACHE_GUARD_EXIT);
		refused += got == 20;
		overwrite(file, (off_t)where, whole + where, 1);
		(void)unlink(unit_file("-damaged"));
	}
	assert_true(refused >= 40);
	for (int i = 0; i < 200; i++) {
		uint8_t page[2][HEADER];

		for (int p = 0; p < 2; p++) {
			memcpy(page[p], whole + p * PAGE, HEADER);
			for (int k = 0; k < 3; k++)
				page[p][24 + random_byte() % (HEADER - 24)] = random_byte();
			overwrite(file, p * PAGE, page[p], HEADER);
		}
		(void)unlink(unit_file("-damaged"));
		assert_ends("random headers", (size_t)i, unit_run(read_all, NULL), 0, 10, 20, CACHE_GUARD_EXIT);
	}
	free(whole);
}

/* What is read from the header is what LMDB reads. */
static void
test_header_is_lmdbs(void **state)
{
	struct cache_file_meta meta;
	struct cache_db_stats st;
	struct cache_db *db;
	char why[512];

	(void)state;
	make_file();
	assert_int_equal(cache_file_check(unit_file(""), &meta, why, sizeof why), RC_OK);
	db = unit_reader();
	assert_int_equal(cache_db_stats(db, &st), RC_OK);
	assert_int_equal(meta.page_bytes * (meta.last_page + 1), st.file_bytes);
	assert_int_equal(meta.map_bytes, 16 * MIB);
	assert_int_equal(meta.map_bytes, st.map_bytes);
	assert_true(meta.transaction >= ENTRIES / CACHE_DB_BATCH_MAX);
	cache_db_close(&db);
}

static int mark[2];

static void
leave_mark(void)
{
	(void)!write(mark[1], "m", 1);
}

/* Cut under an open reader: SIGBUS, handled. */
static int
read_while_cut(void *arg)
{
	struct cache_db *db = unit_reader();
	unsigned i, version, found = 0;
	bool is_bad;

	cache_guard_install(false, leave_mark);
	be_quiet();
	REQUIRE(unit_get(db, 1, &version, &is_bad) == RC_OK);
	REQUIRE(truncate(unit_file(""), *(const long *)arg) == 0);
	for (i = 0; i < ENTRIES; i++)
		found += unit_get(db, i, &version, &is_bad) == RC_OK;
	return found == ENTRIES ? 0 : 10;
}

static void
test_truncated_under_a_reader(void **state)
{
	static const long cuts[] = { 0, PAGE, 2 * PAGE, 8 * PAGE };
	char byte;

	(void)state;
	assert_int_equal(pipe(mark), 0);
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		make_file();
		assert_int_equal(unit_run(read_while_cut, (void *)(uintptr_t)&cuts[i]), CACHE_GUARD_EXIT);
		assert_int_equal(read(mark[0], &byte, 1), 1);
		/* A new one takes its place. */
		assert_int_equal(unit_run(write_some, NULL), 30);
	}
	close(mark[0]);
	close(mark[1]);
}

/* Overwritten under an open reader. */
static int
read_while_overwritten(void *arg)
{
	struct cache_db *db = unit_reader();
	unsigned i, version;
	uint8_t page[PAGE];
	size_t at, n = file_bytes(unit_file(""));
	int way = *(int *)arg;
	bool is_bad;

	cache_guard_install(false, NULL);
	be_quiet();
	for (at = 0; at < n; at += PAGE) {
		memset(page, 0x5a, sizeof page);
		damage_page(page, way);
		overwrite(unit_file(""), (off_t)at, page, PAGE);
		for (i = 0; i < ENTRIES; i += 7)
			(void)!unit_get(db, i, &version, &is_bad);
	}
	return cache_db_counters(db)->damaged > 0 ? 10 : 0;
}

static void
test_overwritten_under_a_reader(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		make_file();
		assert_ends("live", (size_t)way, unit_run(read_while_overwritten, &way), 0, 10, CACHE_GUARD_EXIT);
		unlink(unit_file(""));
	}
}

/* A wild write into the map ends the one who does it, and changes nothing. */
static int
write_into_the_map(void *arg)
{
	struct cache_db *db = unit_reader();
	const void *map;

	(void)arg;
	be_quiet();
	cache_guard_install(false, NULL);
	REQUIRE(cache_guard_find(unit_file(""), 16 * MIB, &map) && cache_guard_has(map));
	*(volatile char *)(uintptr_t)map = 'x';
	cache_db_close(&db);
	return 0;
}

static void
test_wild_write(void **state)
{
	(void)state;
	make_file();
	assert_int_equal(unit_run(write_into_the_map, NULL), 1000 + SIGSEGV);
	assert_int_equal(unit_run(read_all, NULL), 0);
}

/* Faults elsewhere stay what they are. */
static int
fault_elsewhere(void *arg)
{
	struct cache_db *db = unit_reader();
	volatile char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)db;
	be_quiet();
	cache_guard_install(false, NULL);
	if (*(int *)arg == SIGSEGV)
		*nowhere = 'x';
	raise(*(int *)arg);
	return 0;
}

static void
test_other_faults(void **state)
{
	int sig[] = { SIGSEGV, SIGBUS };

	(void)state;
	make_file();
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(unit_run(fault_elsewhere, &sig[i]), 1000 + sig[i]);
}

static void
test_lock_file(void **state)
{
	static uint8_t garbage[64 * KIB];
	char file[CACHE_FILE_NAME_MAX + 16];

	(void)state;
	for (size_t i = 0; i < sizeof garbage; i++)
		garbage[i] = random_byte();
	make_file();
	snprintf(file, sizeof file, "%s", unit_file("-lock"));
	overwrite(file, 0, garbage, sizeof garbage);
	assert_int_equal(unit_run(read_all, NULL), 0);
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(unit_run(write_some, NULL), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(unit_run(write_some, NULL), 0);
	/* Not a file: the writer makes a new generation. */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(unit_run(read_all, NULL), 20);
	assert_int_equal(unit_run(write_some, NULL), 30);
}

static void
test_guard_table(void **state)
{
	static char maps[CACHE_GUARD_MAPS_MAX + 1][16];

	(void)state;
	for (size_t i = 0; i <= CACHE_GUARD_MAPS_MAX; i++)
		assert_int_equal(cache_guard_add(maps[i], 16, "/nonexistent/mark"), i < CACHE_GUARD_MAPS_MAX);
	assert_true(cache_guard_has(maps[0]) && cache_guard_has(maps[0] + 15));
	assert_false(cache_guard_has(maps[CACHE_GUARD_MAPS_MAX]));
	assert_false(cache_guard_has(NULL));
	cache_guard_remove(maps[1]);
	assert_false(cache_guard_has(maps[1]));
	assert_true(cache_guard_add(maps[CACHE_GUARD_MAPS_MAX], 16, "/nonexistent/mark"));
	assert_true(cache_guard_has(maps[CACHE_GUARD_MAPS_MAX]));
	for (size_t i = 0; i <= CACHE_GUARD_MAPS_MAX; i++)
		cache_guard_remove(maps[i]);
	assert_false(cache_guard_has(maps[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cache_test(test_sound),
		cache_test(test_truncated_before_opening),
		cache_test(test_pages_overwritten),
#if !defined __SANITIZE_THREAD__        /* it gives garbage lengths their shadow first, and takes all memory there is */
		cache_test(test_writer_over_damage),
#endif
		cache_test(test_headers),
		cache_test(test_header_is_lmdbs),
		cache_test(test_truncated_under_a_reader),
		cache_test(test_overwritten_under_a_reader),
		cache_test(test_wild_write),
		cache_test(test_other_faults),
		cache_test(test_lock_file),
		cache_test(test_guard_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
