/* header: what comes out is what was sent; signatures select from the bottom. */
#include "t/unit/unit.h"

#include "common/mail/header.h"

static void
add(struct header_block *h, const char *name, const char *value, bool has_leading_space)
{
	struct span n = exact(name), v = exact(value);

	assert_int_equal(header_add(h, n, v, has_leading_space), RC_OK);
	exact_free(n);
	exact_free(v);
}

static void
test_values(void **state)
{
	static const struct { const char *in; bool has_leading_space; const char *out; } rows[] = {
		{ " a", true, " a" }, { "a", true, "a" }, { "a", false, " a" }, { "", true, "" }, { "", false, " " }, { "\ta", true, "\ta" },
		{ " a\n b", true, " a\r\n b" }, { " a\r\n b", true, " a\r\n b" }, { "\n a", true, "\r\n a" }, { " a\n b\n\tc\r\n d", true, " a\r\n b\r\n\tc\r\n d" },
		{ "a\n", false, " a\r\n" }, { "\n\n", true, "\r\n\r\n" }, { "a\rb", true, "a\rb" }, { "a\r\r\nb\r", true, "a\r\r\nb\r" },
		{ "\n", false, " \r\n" }, { " \xff\x01", true, " \xff\x01" },
	};
	struct header_block h;
	struct arena a;
	size_t bytes = 0;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	header_init(&h, &a);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		add(&h, "Name ", rows[i].in, rows[i].has_leading_space);
		assert_int_equal(h.n, i + 1);
		assert_span(h.v[i].name, "Name ");
		assert_span(h.v[i].value, rows[i].out);
		assert_non_null(h.v[i].value.p);
		bytes += 5 + strlen(rows[i].out);
		assert_int_equal(h.bytes, bytes);
	}
	assert_false(h.is_incomplete);
	assert_int_equal(header_add(&h, SPAN("N"), SPAN(" a\0b"), true), RC_OK);
	assert_true(span_eq(h.v[h.n - 1].value, SPAN(" a\0b")));
	arena_fini(&a);
}

static void
test_find(void **state)
{
	struct header_block h;
	struct arena a;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	header_init(&h, &a);
	assert_int_equal(header_find_last(&h, SPAN("From"), h.n), 0);
	assert_int_equal(header_count(&h, SPAN("From")), 0);
	add(&h, "From", " 0", true);
	add(&h, "Received", " 1", true);
	add(&h, "fROM ", " 2", true);
	add(&h, "FromX", " 3", true);
	add(&h, "From\t ", " 4", true);
	add(&h, "From\r\n ", " 5", true);
	add(&h, "", " 6", true);
	assert_int_equal(header_count(&h, SPAN("from")), 4);
	assert_int_equal(header_count(&h, SPAN("FROM ")), 4);
	assert_int_equal(header_count(&h, SPAN("fro")), 0);
	assert_int_equal(header_count(&h, SPAN("received")), 1);
	assert_int_equal(header_count(&h, SPAN("")), 1);
	assert_int_equal(header_find_last(&h, SPAN("from"), h.n), 5);
	assert_int_equal(header_find_last(&h, SPAN("from"), SIZE_MAX), 5);
	assert_int_equal(header_find_last(&h, SPAN("from"), 5), 4);
	assert_int_equal(header_find_last(&h, SPAN("from"), 4), 2);
	assert_int_equal(header_find_last(&h, SPAN("from"), 2), 0);
	assert_int_equal(header_find_last(&h, SPAN("from"), 0), h.n);
	assert_int_equal(header_find_last(&h, SPAN("to"), h.n), h.n);
	arena_fini(&a);
}

/* 100,000 lines: all there, in order, and the memory is in proportion. */
static void
test_many(void **state)
{
	enum { MANY = 100000, PER_FIELD = 256 };
	struct header_block h;
	struct arena a;

	(void)state;
	arena_init(&a, 4 * KIB, (size_t)MANY * PER_FIELD);
	header_init(&h, &a);
	for (size_t i = 0; i < MANY; i++) {
		char *value = xasprintf(" %zu", i);

		assert_int_equal(header_add(&h, SPAN("X"), span_cstr(value), true), RC_OK);
		free(value);
	}
	assert_int_equal(h.n, MANY);
	assert_span(h.v[0].value, " 0");
	assert_span(h.v[31].value, " 31");
	assert_span(h.v[32].value, " 32");
	assert_span(h.v[MANY - 1].value, " 99999");
	arena_fini(&a);
}

/* Whichever allocation fails: it is said, what was there stays, and nothing is half there. */
static void
test_ceiling(void **state)
{
	enum { FIELDS = 70 };
	bool has_passed = false;

	(void)state;
	for (uint64_t fail_at = 1; !has_passed; fail_at++) {
		struct header_block h;
		struct arena a;
		size_t good = 0;

		arena_init(&a, 256, 64 * KIB);
		a.fail_at = fail_at;
		header_init(&h, &a);
		while (good < FIELDS && header_add(&h, SPAN("A"), SPAN("b\n c"), false) == RC_OK)
			good++;
		assert_int_equal(h.n, good);
		assert_int_equal(h.bytes, good * 7);
		assert_int_equal(h.is_incomplete, good < FIELDS);
		for (size_t i = 0; i < good; i++)
			assert_span(h.v[i].value, " b\r\n c");
		has_passed = good == FIELDS;
		arena_fini(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
