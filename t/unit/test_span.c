/* span: slices never leave their bytes; also rc_name(), xalloc and the clock. */
#include "t/unit/unit.h"

#include <limits.h>

#include "common/base/clock.h"
#include "common/base/rc.h"
#include "common/base/span.h"

static int
sign(int v)
{
	return (v > 0) - (v < 0);
}

static void
test_compare(void **state)
{
	static const struct { const char *a, *b; bool eq, eq_nocase; int cmp; bool starts, starts_nocase, ends_nocase; } rows[] = {
		{ "", "", true, true, 0, true, true, true },
		{ "a", "", false, false, 1, true, true, true },
		{ "", "a", false, false, -1, false, false, false },
		{ "abc", "abc", true, true, 0, true, true, true },
		{ "abc", "ABC", false, true, 0, false, true, true },
		{ "abcd", "ABC", false, false, 1, false, true, false },
		{ "xabc", "ABC", false, false, 1, false, false, true },
		{ "ab", "abc", false, false, -1, false, false, false },
		{ "a[", "A{", false, false, -1, false, false, false },         /* 0x5b and 0x7b differ by 32 and are no letters */
		{ "\xc3\x84", "\xc3\xa4", false, false, -1, false, false, false },      /* ASCII only */
		{ "\xff", "a", false, false, 1, false, false, false },         /* bytes are unsigned */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span a = exact(rows[i].a), b = exact(rows[i].b);

		assert_int_equal(span_eq(a, b), rows[i].eq);
		assert_int_equal(span_eq_nocase(a, b), rows[i].eq_nocase);
		assert_int_equal(sign(span_cmp_nocase(a, b)), rows[i].cmp);
		assert_int_equal(sign(span_cmp_nocase(b, a)), -rows[i].cmp);
		assert_int_equal(span_starts(a, b), rows[i].starts);
		assert_int_equal(span_starts_nocase(a, b), rows[i].starts_nocase);
		assert_int_equal(span_ends_nocase(a, b), rows[i].ends_nocase);
		exact_free(a);
		exact_free(b);
	}
	assert_true(span_eq(SPAN_NULL, SPAN("")));
	assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
	assert_int_equal(span_cmp_nocase(SPAN("a\0b"), SPAN("a\0c")) < 0, 1);
}

static void
test_sub(void **state)
{
	static const struct { size_t from, n; const char *want; } rows[] = {
		{ 0, 0, "" }, { 0, 3, "abc" }, { 0, 4, "abc" }, { 0, SIZE_MAX, "abc" }, { 1, 1, "b" }, { 2, SIZE_MAX, "c" }, { 3, 1, "" },
		{ 4, 1, "" }, { SIZE_MAX, SIZE_MAX, "" },
	};
	struct span s = exact("abc");
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span part = span_sub(s, rows[i].from, rows[i].n);

		assert_span(part, rows[i].want);
		assert_true(part.p >= s.p && part.p + part.n <= s.p + s.n);
	}
	assert_span(span_from(s, 1), "bc");
	assert_true(span_is_null(span_sub(SPAN_NULL, 1, 1)));
	assert_true(span_is_null(span_from(SPAN_NULL, 0)));
	assert_false(span_is_null(span_from(s, 3)));            /* empty is not absent */
	exact_free(s);
}

static void
test_find_and_trim(void **state)
{
	struct span s = exact("a.b.c");

	(void)state;
	assert_int_equal(span_find(s, '.'), 1);
	assert_int_equal(span_rfind(s, '.'), 3);
	assert_int_equal(span_find(s, 'x'), 5);
	assert_int_equal(span_rfind(s, 'x'), 5);
	assert_int_equal(span_find(SPAN_NULL, 'x') + span_rfind(SPAN_NULL, 'x'), 0);
	assert_int_equal(span_find(SPAN("a\0b"), 'b'), 2);
	exact_free(s);
	assert_span(span_trim(SPAN(" \t\r\na b\n\r\t ")), "a b");
	assert_span(span_trim(SPAN(" \t\r\n")), "");
	assert_span(span_trim(SPAN("\va\f")), "\va\f");
	assert_span(span_trim(SPAN("")), "");
	assert_true(span_is_null(span_trim(SPAN_NULL)));
}

static void
test_split(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "", "<>" }, { "a", "<a>" }, { "a,", "<a><>" }, { ",a", "<><a>" }, { "a,,b", "<a><><b>" }, { ",", "<><>" }, { "a,b,c", "<a><b><c>" },
	};
	struct span none = SPAN_NULL, piece;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in), rest = s;
		char got[64] = "";
		size_t n = 0;

		while (span_split(&rest, ',', &piece)) {
			got[n++] = '<';
			memcpy(got + n, piece.p, piece.n);
			n += piece.n;
			got[n++] = '>';
		}
		got[n] = '\0';
		assert_string_equal(got, rows[i].want);
		assert_true(span_is_null(rest));
		exact_free(s);
	}
	assert_false(span_split(&none, ',', &piece));
}

static void
test_to_uint(void **state)
{
	static const struct { const char *in; uint64_t max; bool ok; uint64_t want; } rows[] = {
		{ "0", 0, true, 0 }, { "1", 0, false, 0 }, { "255", 255, true, 255 }, { "256", 255, false, 0 }, { "007", 9, true, 7 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX }, { "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999999", UINT64_MAX, false, 0 }, { "000000000000000000000000000001", 1, true, 1 },
		{ "", 9, false, 0 }, { "-1", 9, false, 0 }, { "+1", 9, false, 0 }, { " 1", 9, false, 0 }, { "1 ", 9, false, 0 }, { "0x1", 99, false, 0 },
		{ "1.0", 99, false, 0 }, { "\xb2", 99, false, 0 },
	};
	uint64_t v;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		v = 12345;
		if (span_to_uint(s, rows[i].max, &v) != rows[i].ok)
			fail_msg("\"%s\"", rows[i].in);
		assert_int_equal(v, rows[i].ok ? rows[i].want : 12345);
		exact_free(s);
	}
	assert_false(span_to_uint(SPAN("1\0"), 99, &v));
	assert_false(span_to_uint(SPAN_NULL, 99, &v));
}

static void
test_ascii(void **state)
{
	int c;

	(void)state;
	for (c = 0; c < 256; c++) {
		unsigned char b = (unsigned char)c;
		bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';

		assert_int_equal(ascii_lower(b), upper ? c + 32 : c);
		assert_int_equal(ascii_is_digit(b), digit);
		assert_int_equal(ascii_is_alpha(b), upper || lower);
		assert_int_equal(ascii_is_alnum(b), upper || lower || digit);
		assert_int_equal(ascii_is_wsp(b), c == ' ' || c == '\t');
		assert_int_equal(ascii_is_print(b), c >= 0x20 && c <= 0x7e);
	}
}

static void
test_rc_names(void **state)
{
	static const char *const want[] = { "ok", "none", "syntax", "limit", "temp", "wait", "fault" };
	int i;

	(void)state;
	for (i = RC_OK; i <= RC_FAULT; i++)
		assert_string_equal(rc_name((enum rc)i), want[i]);
	assert_string_equal(rc_name((enum rc)99), "unknown");
}

static void
test_xalloc(void **state)
{
	char *p = xcalloc(3, 5), *s;
	int i;

	(void)state;
	for (i = 0; i < 15; i++)
		assert_int_equal(p[i], 0);
	p = xrealloc(p, 100, 2);
	memset(p, 'x', 200);
	free(p);
	s = xstrndup("abcdef", 3);
	assert_string_equal(s, "abc");
	free(s);
	s = xstrndup(NULL, 0);
	assert_string_equal(s, "");
	free(s);
	s = xstrdup("");
	assert_string_equal(s, "");
	free(s);
	s = xasprintf("%d-%s", 7, "x");
	assert_string_equal(s, "7-x");
	free(s);
	free(xmalloc(0));
	free(xcalloc(0, 0));
	free(xrealloc(NULL, 0, 0));
}

static void
test_clock(void **state)
{
	int64_t a = clock_mono_us(), b = clock_mono_ms(), c = clock_mono_us();
	struct timespec t = clock_mono_at(12345678);

	(void)state;
	assert_true(a / 1000 <= b && b <= c / 1000);
	assert_true(clock_wall_s() > 1600000000);
	assert_int_equal(t.tv_sec, 12345);
	assert_int_equal(t.tv_nsec, 678000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_sub),
		cmocka_unit_test(test_find_and_trim),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_to_uint),
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_rc_names),
		cmocka_unit_test(test_xalloc),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
