/* test_cache_gc - what goes first, where it stops, and a map that stays below its limit. */
#include "t/unit/cache_unit.h"

#include "cache/cache_gc.h"

static void
test_decision(void **state)
{
	static const struct {
		uint64_t used, entries;
		bool want;
	} steps[] = {
		{ 0, 0, false }, { 79, 1000, false }, { 80, 1000, true }, { 75, 950, true }, { 70, 900, true },
		{ 69, 890, false },                             /* done: room enough */
		{ 80, 999, false }, { 89, 999, false },         /* holes are being filled */
		{ 90, 999, true },                              /* too full in any case: 999 - 124 = 875 is the goal */
		{ 85, 876, true }, { 85, 875, false },          /* done: an eighth is gone */
		{ 85, 998, false }, { 85, 999, true },
		{ 85, 875, false },
		{ 95, 875, true }, { 95, 766, true },        /* goal reached, too full still: the next run */
	};
	struct cache_gc gc = { .is_running = false };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct cache_db_stats st = { .map_bytes = 100 * MIB, .used_bytes = steps[i].used * MIB, .entries = steps[i].entries };

		if (cache_gc_must_evict(&gc, &st) != steps[i].want)
			fail_msg("step %zu", i);
	}
	/* A map without entries: nothing to evict, however full it says it is. */
	gc = (struct cache_gc){ .is_running = false };
	assert_false(cache_gc_must_evict(&gc, &(struct cache_db_stats){ .map_bytes = 100, .used_bytes = 100 }));
}

/* Ends are UNIT_NOW + 300 + i % 1000: see unit_put(). */
static void
test_expired_go_at_once(void **state)
{
	struct cache_db *db = unit_writer();
	struct cache_gc gc = { .is_running = false };
	unsigned version, left = 0;
	bool is_bad;
	size_t n;

	(void)state;
	unit_fill(db, 500, 1);
	assert_int_equal(cache_gc_step(&gc, db, UNIT_NOW + 299, &n), RC_NONE);
	assert_int_equal(cache_gc_step(&gc, db, UNIT_NOW + 300, &n), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(unit_get(db, 0, &version, &is_bad), RC_NONE);
	assert_int_equal(unit_get(db, 1, &version, &is_bad), RC_OK);
	assert_int_equal(cache_gc_step(&gc, db, UNIT_NOW + 300 + 199, &n), RC_OK);
	assert_int_equal(n, CACHE_DB_STEP_MAX);
	while (cache_gc_step(&gc, db, UNIT_NOW + 300 + 199, &n) == RC_OK)
		assert_true(n > 0 && n <= CACHE_DB_STEP_MAX);
	assert_int_equal(gc.expired, 200);
	assert_int_equal(gc.evicted, 0);
	for (unsigned i = 0; i < 500; i++)
		left += unit_get(db, i, &version, &is_bad) == RC_OK;
	assert_int_equal(left, 300);
	assert_int_equal(unit_get(db, 200, &version, &is_bad), RC_OK);
	cache_db_close(&db);
}

static bool
note_end(void *arg, struct span key, struct span value, int64_t end_s)
{
	int64_t *least = arg;

	(void)key, (void)value;
	*least = MIN(*least, end_s);
	return true;
}

/* What is evicted ends before everything that stays. */
static void
test_soonest_go_first(void **state)
{
	bool is_new;
	struct cache_db *db = unit_writer_sized(8 * MIB, &is_new);
	struct cache_key cursor = { .n = 0 };
	struct cache_gc gc = { .is_running = false };
	struct cache_db_stats st;
	int64_t least = INT64_MAX;
	uint64_t before, sooner = 0, same = 0;
	unsigned at = 0;
	size_t n;

	(void)state;
	do {
		assert_int_equal(unit_put(db, at, 10, 1, NULL), RC_OK);
		at += 10;
		assert_int_equal(cache_db_stats(db, &st), RC_OK);
	} while (st.used_bytes < st.map_bytes / 100 * CACHE_GC_FROM);
	before = st.entries;
	while (cache_gc_step(&gc, db, UNIT_NOW, &n) == RC_OK)
		assert_true(n <= CACHE_DB_STEP_MAX);
	assert_int_equal(gc.expired, 0);
	assert_int_equal(gc.runs, 1);
	assert_int_equal(before - gc.evicted, unit_entries(db));
	assert_true(gc.evicted >= before / CACHE_GC_SHARE && gc.evicted <= before / CACHE_GC_SHARE + CACHE_DB_STEP_MAX);
	while (cache_db_walk(db, SPAN(""), &cursor, 200, note_end, &least) == RC_OK)
		;
	for (at = 0; at < before; at++) {
		sooner += UNIT_NOW + 300 + at % 1000 < least;
		same += UNIT_NOW + 300 + at % 1000 == least;
	}
	assert_true(sooner <= gc.evicted && gc.evicted < sooner + same);
	cache_db_close(&db);
}

/* Four times more than fits: the map stays below its limit, nothing is ever dropped as a whole, no batch is lost. */
static void
test_holds_the_limit(void **state)
{
	bool is_new;
	struct cache_db *db = unit_writer_sized(16 * MIB, &is_new);
	struct cache_gc gc = { .is_running = false };
	struct cache_db_stats st = { 0 };
	uint64_t most = 0, fewest = UINT64_MAX;
	size_t n;

	(void)state;
	for (unsigned at = 0; at < 150000; at += 50) {
		assert_int_equal(unit_put(db, at, 50, 1, NULL), RC_OK);
		while (cache_gc_step(&gc, db, UNIT_NOW, &n) == RC_OK)
			;
		assert_int_equal(cache_db_stats(db, &st), RC_OK);
		most = MAX(most, st.used_bytes);
		if (gc.runs > 1)
			fewest = MIN(fewest, st.entries);
	}
	assert_int_equal(cache_db_counters(db)->dropped_all, 0);
	assert_int_equal(cache_db_counters(db)->write_errors, 0);
	assert_int_equal(gc.failures, 0);
	assert_true(gc.runs > 2 && gc.evicted > 50000);
	assert_true(most < st.map_bytes / 100 * 92);
	/* It is a cache all the time: never less than half of what it can hold. */
	assert_true(fewest > 12000);
	cache_db_close(&db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decision),
		cache_test(test_expired_go_at_once),
		cache_test(test_soonest_go_first),
		cache_test(test_holds_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
