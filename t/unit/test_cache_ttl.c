/* test_cache_ttl - how long entries live, with the time as a table. */
#include "t/unit/unit.h"

#include "cache/cache_ttl.h"

static const struct cache_ttl_rules rules = { .min_s = 5, .max_s = 86400, .max_negative_s = 3600, .failure_s = 10, .stale_s = 100 };

static void
test_answers(void **state)
{
	static const struct {
		enum dns_status status;
		uint32_t ttl, want;
	} cases[] = {
		{ DNS_OK, 0, 5 }, { DNS_OK, 4, 5 }, { DNS_OK, 5, 5 }, { DNS_OK, 6, 6 }, { DNS_OK, 86399, 86399 },
		{ DNS_OK, 86400, 86400 }, { DNS_OK, 86401, 86400 }, { DNS_OK, UINT32_MAX, 86400 },
		{ DNS_NODATA, 0, 0 }, { DNS_NODATA, 1, 5 }, { DNS_NODATA, 3600, 3600 }, { DNS_NODATA, 3601, 3600 },
		{ DNS_NXDOMAIN, 0, 0 }, { DNS_NXDOMAIN, 60, 60 }, { DNS_NXDOMAIN, UINT32_MAX, 3600 },
		{ DNS_SERVFAIL, 0, 10 }, { DNS_SERVFAIL, 86400, 10 }, { DNS_TIMEOUT, 0, 10 }, { DNS_BOGUS, 0, 10 }, { DNS_MALFORMED, 0, 10 },
		{ DNS_LIMIT, 60, 0 }, { DNS_CANCELLED, 60, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(cache_ttl_answer(&rules, cases[i].status, cases[i].ttl), cases[i].want);
}

/* No setting makes failures live for longer than 30 seconds, or anything for longer than a week. */
static void
test_hard_limits(void **state)
{
	struct cache_ttl_rules r = { .min_s = 0, .max_s = UINT32_MAX, .max_negative_s = UINT32_MAX, .failure_s = UINT32_MAX };

	(void)state;
	assert_int_equal(cache_ttl_answer(&r, DNS_SERVFAIL, 0), 30);
	assert_int_equal(cache_ttl_answer(&r, DNS_OK, UINT32_MAX), 7 * 86400);
	assert_int_equal(cache_ttl_answer(&r, DNS_NXDOMAIN, UINT32_MAX), 7 * 86400);
	assert_int_equal(cache_ttl_result(&r, UINT32_MAX), 7 * 86400);
	r.failure_s = 30;
	assert_int_equal(cache_ttl_answer(&r, DNS_TIMEOUT, 0), 30);
	r.failure_s = 0;
	assert_int_equal(cache_ttl_answer(&r, DNS_TIMEOUT, 0), 0);
	/* Crossed settings: the upper limit wins. */
	r = (struct cache_ttl_rules){ .min_s = 100, .max_s = 50, .max_negative_s = 20 };
	assert_int_equal(cache_ttl_answer(&r, DNS_OK, 1), 50);
	assert_int_equal(cache_ttl_answer(&r, DNS_NODATA, 1), 20);
}

static void
test_results(void **state)
{
	(void)state;
	assert_int_equal(cache_ttl_result(&rules, 0), 0);
	assert_int_equal(cache_ttl_result(&rules, 1), 5);
	assert_int_equal(cache_ttl_result(&rules, 300), 300);
	assert_int_equal(cache_ttl_result(&rules, 3601), 3600);
}

static void
test_age(void **state)
{
	static const struct {
		int64_t stored;
		uint32_t life, stale;
		bool may_be_stale;
		int64_t now;
		enum cache_age want;
		uint32_t left;
	} cases[] = {
		{ 1000, 60, 0, true, 1000, CACHE_FRESH, 60 },
		{ 1000, 60, 0, true, 1059, CACHE_FRESH, 1 },
		{ 1000, 60, 0, true, 1060, CACHE_EXPIRED, 0 },
		{ 1000, 60, 0, true, 999, CACHE_EXPIRED, 0 },           /* the clock was set back */
		{ 1000, 60, 100, true, 999, CACHE_EXPIRED, 0 },
		{ 1000, 60, 100, true, 1059, CACHE_FRESH, 1 },
		{ 1000, 60, 100, true, 1060, CACHE_STALE, 0 },
		{ 1000, 60, 100, true, 1159, CACHE_STALE, 0 },
		{ 1000, 60, 100, true, 1160, CACHE_EXPIRED, 0 },
		{ 1000, 60, 100, false, 1060, CACHE_EXPIRED, 0 },
		{ 0, 60, 0, true, INT64_MAX, CACHE_EXPIRED, 0 },
		{ INT64_MIN, 60, 0, true, INT64_MAX, CACHE_EXPIRED, 0 },
		{ INT64_MAX, 60, UINT32_MAX, true, INT64_MAX, CACHE_FRESH, 60 },
		{ 0, UINT32_MAX, UINT32_MAX, true, (int64_t)2 * UINT32_MAX - 1, CACHE_STALE, 0 },
		{ 0, UINT32_MAX, UINT32_MAX, true, (int64_t)2 * UINT32_MAX, CACHE_EXPIRED, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t left = 77;

		assert_int_equal(cache_ttl_age(cases[i].stored, cases[i].life, cases[i].stale, cases[i].may_be_stale, cases[i].now, &left),
		                 cases[i].want);
		assert_int_equal(left, cases[i].left);
	}
}

/* The end is the first second in which an entry is expired. */
static void
test_end(void **state)
{
	(void)state;
	for (int may = 0; may < 2; may++)
		for (uint32_t stale = 0; stale < 200; stale += 100) {
			int64_t end = cache_ttl_end(1000, 60, stale, may);
			uint32_t left;

			assert_int_not_equal(cache_ttl_age(1000, 60, stale, may, end - 1, &left), CACHE_EXPIRED);
			assert_int_equal(cache_ttl_age(1000, 60, stale, may, end, &left), CACHE_EXPIRED);
		}
	assert_true(cache_ttl_end(INT64_MAX - 1, 60, 0, false) == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_hard_limits),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
