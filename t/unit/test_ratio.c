/* ratio: windows over totals that are sampled now and then. */
#include "t/unit/unit.h"

#include "master/ratio.h"

enum { MINUTE = 60000, START = 5000000 };

static struct ratio_sample
window(const struct ratio *r, uint64_t hits, uint64_t lookups, int64_t ms, int64_t now)
{
	struct ratio_sample w;

	ratio_window(r, hits, lookups, ms, now, &w);
	return w;
}

static void
test_before_the_first_sample(void **state)
{
	struct ratio r;
	struct ratio_sample w;

	(void)state;
	ratio_init(&r, START);
	assert_true(ratio_due(&r) == START + RATIO_STEP_MS);
	w = window(&r, 3, 4, MINUTE, START + 1);
	assert_true(w.at_ms == START && w.hits == 3 && w.lookups == 4);
}

static void
test_a_sample_is_taken_when_it_is_due_only(void **state)
{
	struct ratio r;

	(void)state;
	ratio_init(&r, START);
	ratio_sample(&r, 1, 1, START + RATIO_STEP_MS - 1);
	assert_true(r.n == 1);
	ratio_sample(&r, 1, 1, START + RATIO_STEP_MS);
	assert_true(r.n == 2 && ratio_due(&r) == START + 2 * RATIO_STEP_MS);
	ratio_sample(&r, 9, 9, START + RATIO_STEP_MS);
	assert_true(r.n == 2 && r.ring[r.newest].hits == 1);
}

/* One hit and two look-ups each second, for an hour: each window is as long as its name says, or one step longer. */
static void
test_windows_of_a_steady_stream(void **state)
{
	static const struct {
		int64_t ms;
		uint64_t least;
	} cases[] = { { MINUTE, 60 }, { 5 * MINUTE, 300 }, { 15 * MINUTE, 900 } };
	struct ratio r;
	uint64_t s;

	(void)state;
	ratio_init(&r, START);
	for (s = 1; s <= 3600; s++)
		ratio_sample(&r, s, 2 * s, START + (int64_t)s * 1000);
	assert_true(r.n == RATIO_SAMPLES);
	for (s = 3600; s < 3600 + RATIO_STEP_MS / 1000; s++) {
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			struct ratio_sample w = window(&r, s, 2 * s, cases[i].ms, START + (int64_t)s * 1000);

			assert_true(w.hits >= cases[i].least && w.hits < cases[i].least + RATIO_STEP_MS / 1000);
			assert_true(w.lookups == 2 * w.hits);
		}
	}
}

/* Younger than the window: from the beginning; one step older: not any more. */
static void
test_at_the_edge_of_a_window(void **state)
{
	struct ratio r;
	int64_t t = START;

	(void)state;
	ratio_init(&r, START);
	for (uint64_t i = 1; i <= 6; i++)
		ratio_sample(&r, i, i, t += RATIO_STEP_MS);
	assert_true(window(&r, 6, 6, MINUTE, t - 1).hits == 6);
	assert_true(window(&r, 6, 6, MINUTE, t).hits == 6);
	assert_true(window(&r, 6, 6, MINUTE, t + RATIO_STEP_MS - 1).hits == 6);
	assert_true(window(&r, 6, 6, MINUTE, t + RATIO_STEP_MS).hits == 5);
}

/* The supervisor was stopped for a day: what came meanwhile is in one sample, and all of it is older than any window soon. */
static void
test_a_pause(void **state)
{
	struct ratio r;
	int64_t t = START + 1440 * MINUTE;

	(void)state;
	ratio_init(&r, START);
	ratio_sample(&r, 100, 200, t);
	assert_true(r.n == 2);
	assert_true(window(&r, 101, 202, MINUTE, t + 1000).hits == 101);
	ratio_sample(&r, 101, 202, t + RATIO_STEP_MS);
	assert_true(window(&r, 101, 202, MINUTE, t + MINUTE).hits == 1);
}

static void
test_totals_that_go_backwards(void **state)
{
	struct ratio r;
	struct ratio_sample w;

	(void)state;
	ratio_init(&r, START);
	ratio_sample(&r, 10, 20, START + RATIO_STEP_MS);
	w = window(&r, 9, 21, RATIO_STEP_MS, START + 2 * RATIO_STEP_MS);
	assert_true(w.hits == 0 && w.lookups == 0);
	w = window(&r, 11, 19, RATIO_STEP_MS, START + 2 * RATIO_STEP_MS);
	assert_true(w.hits == 0 && w.lookups == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_the_first_sample),
		cmocka_unit_test(test_a_sample_is_taken_when_it_is_due_only),
		cmocka_unit_test(test_windows_of_a_steady_stream),
		cmocka_unit_test(test_at_the_edge_of_a_window),
		cmocka_unit_test(test_a_pause),
		cmocka_unit_test(test_totals_that_go_backwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
