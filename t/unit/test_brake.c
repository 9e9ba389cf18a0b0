/* brake: the two parts, with a clock of our own. */
#include "t/unit/unit.h"

#include "master/brake.h"

static void
test_before_ready_doubles_to_a_minute(void **state)
{
	static const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };
	struct brake b;
	int64_t now = 123456;

	(void)state;
	brake_init(&b, now);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		int64_t at = brake_died(&b, false, now);

		assert_int_equal(at - now, waits[i]);
		now = at + 50;
	}
	brake_ready(&b);
	assert_int_equal(brake_died(&b, false, now) - now, 1000);
}

static void
test_after_ready_at_once_while_tokens_last(void **state)
{
	struct brake b;
	int64_t now = 1000;

	(void)state;
	brake_init(&b, now);
	for (int i = 0; i < BRAKE_TOKENS; i++)
		assert_int_equal(brake_died(&b, true, now), now);
	/* One past the limit: every five seconds from here on. */
	for (int i = 1; i <= 20; i++) {
		int64_t at = brake_died(&b, true, now);

		assert_int_equal(at - now, BRAKE_REFILL_MS);
		now = at;
	}
}

static void
test_crash_soon_after_a_delayed_start(void **state)
{
	struct brake b;
	int64_t now = 0;

	(void)state;
	brake_init(&b, now);
	for (int i = 0; i < BRAKE_TOKENS; i++)
		(void)brake_died(&b, true, now);
	/* Lives for a second each time: never more than one start in five seconds. */
	for (int i = 0; i < 20; i++) {
		int64_t at = brake_died(&b, true, now);

		assert_true(at == (int64_t)(i + 1) * BRAKE_REFILL_MS);
		now = at + 1000;
	}
}

static void
test_bucket_fills_again(void **state)
{
	struct brake b;
	int64_t now = 0;

	(void)state;
	brake_init(&b, now);
	for (int i = 0; i < BRAKE_TOKENS; i++)
		(void)brake_died(&b, true, now);
	now += 3 * BRAKE_REFILL_MS + 1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(brake_died(&b, true, now), now);
	assert_true(brake_died(&b, true, now) > now);
	/* A long quiet time fills the bucket and no more. */
	now += 1000ll * BRAKE_REFILL_MS;
	for (int i = 0; i < BRAKE_TOKENS; i++)
		assert_int_equal(brake_died(&b, true, now), now);
	assert_int_equal(brake_died(&b, true, now), now + BRAKE_REFILL_MS);
}

static void
test_parts_do_not_mix(void **state)
{
	struct brake b;
	int64_t now = 77;

	(void)state;
	brake_init(&b, now);
	assert_int_equal(brake_died(&b, false, now), now + 1000);
	assert_int_equal(brake_died(&b, true, now), now);
	assert_int_equal(brake_died(&b, false, now), now + 2000);
	brake_ready(&b);
	for (int i = 1; i < BRAKE_TOKENS; i++)
		assert_int_equal(brake_died(&b, true, now), now);
	assert_int_equal(brake_died(&b, false, now), now + 1000);
}

static void
test_clock_stepped_back(void **state)
{
	struct brake b;

	(void)state;
	brake_init(&b, 1000000);
	for (int i = 0; i < BRAKE_TOKENS; i++)
		(void)brake_died(&b, true, 1000000);
	assert_int_equal(brake_died(&b, true, 500), 500 + BRAKE_REFILL_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_ready_doubles_to_a_minute),
		cmocka_unit_test(test_after_ready_at_once_while_tokens_last),
		cmocka_unit_test(test_crash_soon_after_a_delayed_start),
		cmocka_unit_test(test_bucket_fills_again),
		cmocka_unit_test(test_parts_do_not_mix),
		cmocka_unit_test(test_clock_stepped_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
