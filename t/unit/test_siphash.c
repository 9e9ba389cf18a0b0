/* test_siphash - the keyed hash: its authors' published values, every length, and that the key matters. */
#include "t/unit/unit.h"

#include "common/base/siphash.h"

static const struct siphash_key counting = { { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) } };

static void
test_published_values(void **state)
{
	static const struct { size_t n; uint64_t want; } rows[] = {
		{ 0, UINT64_C(0x726fdb47dd0e0e31) }, { 1, UINT64_C(0x74f839c593dc67fd) }, { 15, UINT64_C(0xa129ca6149be45e5) },
	};
	char bytes[15];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact_n(bytes, rows[i].n);

		assert_true(siphash(&counting, s) == rows[i].want);
		exact_free(s);
	}
}

/* No two of all prefixes meet, and no byte is left out. */
static void
test_every_byte_counts(void **state)
{
	uint64_t seen[65];
	char bytes[64];

	(void)state;
	memset(bytes, 0, sizeof bytes);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		struct span s = exact_n(bytes, n);

		seen[n] = siphash(&counting, s);
		for (size_t i = 0; i < n; i++)
			assert_true(seen[i] != seen[n]);
		exact_free(s);
	}
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (char)0x80;
		assert_true(siphash(&counting, span_of(bytes, sizeof bytes)) != seen[sizeof bytes]);
		bytes[i] = 0;
	}
}

static void
test_keys_differ(void **state)
{
	struct siphash_key a, b;

	(void)state;
	siphash_key_make(&a);
	siphash_key_make(&b);
	assert_memory_not_equal(&a, &b, sizeof a);
	assert_true(siphash(&a, SPAN("example.org")) != siphash(&b, SPAN("example.org")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_values),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_keys_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
