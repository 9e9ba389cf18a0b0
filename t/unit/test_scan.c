/* scan: the cursor's primitives, at the end of their text, at their limits, and in linear time. */
#include "t/unit/unit.h"

#include <time.h>

#include "common/base/utf8.h"
#include "common/mail/scan.h"

static double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
test_fws(void **state)
{
	static const struct { const char *in; size_t want; } rows[] = {
		{ "", 0 }, { " ", 1 }, { " \t x", 3 }, { "x", 0 },
		{ "\r\n x", 3 }, { "\n\tx", 2 }, { " \r\n \r\n x", 7 }, { " \n\n x", 1 },
		{ "\r\nx", 0 }, { "\r\n", 0 }, { "\n", 0 }, { "\r", 0 }, { "\r x", 0 }, { "\r\r\n x", 0 }, { " \r\n", 1 }, { "\v", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].in);
		struct scan s = scan_of(text);

		if (scan_fws(&s) != rows[i].want || s.at != rows[i].want)
			fail_msg("row %zu: took %zu", i, s.at);
		exact_free(text);
	}
}

static void
test_cfws(void **state)
{
	static const struct { const char *in; size_t depth; enum rc rc; size_t at; } rows[] = {
		{ "", 3, RC_NONE, 0 }, { "x", 3, RC_NONE, 0 }, { ") x", 3, RC_NONE, 0 },
		{ " x", 3, RC_OK, 1 }, { "(c)x", 3, RC_OK, 3 }, { " (a)(b)\r\n (c) x", 3, RC_OK, 14 },
		{ "(a(b(c)d)e)x", 3, RC_OK, 11 }, { "(((())))x", 3, RC_LIMIT, 4 }, { "((((", 4, RC_SYNTAX, 4 },
		{ "()x", 0, RC_LIMIT, 1 }, { "()x", 1, RC_OK, 2 }, { "(())x", 1, RC_LIMIT, 2 },
		{ "(\\)\\(\\\\)x", 3, RC_OK, 8 }, { "(\\", 3, RC_SYNTAX, 2 }, { "(\\\t)x", 3, RC_OK, 4 },
		{ "(\"quote)x", 3, RC_OK, 8 }, { "(", 3, RC_SYNTAX, 1 }, { "(a", 3, RC_SYNTAX, 2 },
		{ "(\r\nx)", 3, RC_SYNTAX, 1 }, { "(\x01)", 3, RC_SYNTAX, 1 }, { "(\x7f)", 3, RC_SYNTAX, 1 },
		{ "(\xc3\xa4)x", 3, RC_OK, 4 }, { "(\xc3)x", 3, RC_SYNTAX, 1 }, { "(\\\xc3\xa4)x", 3, RC_OK, 5 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].in);
		struct scan s = scan_of(text);
		enum rc rc = scan_cfws(&s, rows[i].depth);

		if (rc != rows[i].rc || s.at != rows[i].at)
			fail_msg("row %zu: %s at %zu", i, rc_name(rc), s.at);
		exact_free(text);
	}
}

static void
test_cfws_is_linear(void **state)
{
	enum { N = 4 * MIB };
	char *text = xmalloc(N);
	struct scan s = scan_of(span_of(text, N));
	double start;

	(void)state;
	memset(text, '(', N);
	memset(text + N / 2, ')', N / 2);
	start = cpu_s();
	assert_int_equal(scan_cfws(&s, N), RC_OK);
	assert_true(scan_at_end(&s));
	s.at = 0;
	text[N - 1] = 'x';
	assert_int_equal(scan_cfws(&s, N), RC_SYNTAX);
	s.at = 0;
	assert_int_equal(scan_cfws(&s, 32), RC_LIMIT);
	assert_int_equal(s.at, 33);
	/* A quadratic reading of 4 MiB would take hours. */
	assert_true(cpu_s() - start < 20);
	free(text);
}

static void
test_utf8_every_two_bytes(void **state)
{
	uint32_t c;
	unsigned i, j;

	(void)state;
	for (i = 0; i < 256; i++) {
		for (j = 0; j < 256; j++) {
			uint8_t b[2] = { (uint8_t)i, (uint8_t)j };
			struct span s = exact_n(b, 2);
			size_t want = i < 0x80 ? 1 : i >= 0xc2 && i < 0xe0 && j >= 0x80 && j < 0xc0 ? 2 : 0;

			if (utf8_first(s, &c) != want)
				fail_msg("%02x %02x", i, j);
			if (want == 2)
				assert_int_equal(c, (i & 0x1f) << 6 | (j & 0x3f));
			exact_free(s);
		}
	}
}

static void
test_utf8_edges(void **state)
{
	static const struct { const char *in; size_t n; uint32_t c; } rows[] = {
		{ "", 0, 0 }, { "\xe0\xa0\x80", 3, 0x800 }, { "\xe0\x9f\xbf", 0, 0 }, { "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xed\xa0\x80", 0, 0 }, { "\xee\x80\x80", 3, 0xe000 }, { "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf0\x8f\xbf\xbf", 0, 0 }, { "\xf4\x8f\xbf\xbf", 4, 0x10ffff }, { "\xf4\x90\x80\x80", 0, 0 },
		{ "\xe3\x81", 0, 0 }, { "\xf0\x9f\x92", 0, 0 }, { "\xe3\x28\x81", 0, 0 }, { "\xe3\x81\x28", 0, 0 },
	};
	uint32_t c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		if (utf8_first(s, &c) != rows[i].n || (rows[i].n > 0 && c != rows[i].c))
			fail_msg("row %zu", i);
		exact_free(s);
	}
}

static void
test_showable(void **state)
{
	(void)state;
	assert_true(utf8_is_showable(' ') && utf8_is_showable('~') && utf8_is_showable(0xa0) && utf8_is_showable(0x4f8b));
	assert_false(utf8_is_showable(0) || utf8_is_showable(0x1f) || utf8_is_showable(0x7f) || utf8_is_showable(0x85) || utf8_is_showable(0x9f));
	assert_false(utf8_is_showable(0x2028) || utf8_is_showable(0x2029) || utf8_is_showable(0x202e) || utf8_is_showable(0x2066));
	assert_false(utf8_is_showable(0x2069) || utf8_is_showable(0x200e) || utf8_is_showable(0x200f) || utf8_is_showable(0x061c));
	assert_true(utf8_is_showable(0x2027) && utf8_is_showable(0x202f) && utf8_is_showable(0x2065) && utf8_is_showable(0x206a));
}

typedef enum rc (*take_fn)(struct scan *, struct span *);

static void
test_words(void **state)
{
	static const struct { take_fn take; const char *in; enum rc rc; const char *want; } rows[] = {
		{ scan_token, "a.b-c;x", RC_OK, "a.b-c" }, { scan_token, "", RC_NONE, "" }, { scan_token, "=x", RC_NONE, "" },
		{ scan_token, "a/b", RC_OK, "a" }, { scan_token, "\xc3\xa4x y", RC_OK, "\xc3\xa4x" }, { scan_token, "a\xc3", RC_SYNTAX, "" },
		{ scan_token, "a\x01", RC_OK, "a" }, { scan_token, "a\x7f", RC_OK, "a" },
		{ scan_atoms, "a/b=c..d@x", RC_OK, "a/b=c..d" }, { scan_atoms, ";", RC_NONE, "" },
		{ scan_dot_atom, "a.b@x", RC_OK, "a.b" }, { scan_dot_atom, "a..b", RC_SYNTAX, "" }, { scan_dot_atom, ".a", RC_SYNTAX, "" },
		{ scan_dot_atom, "a.", RC_SYNTAX, "" },
		{ scan_keyword, "spf=pass", RC_OK, "spf" }, { scan_keyword, "x-a-1 ", RC_OK, "x-a-1" }, { scan_keyword, "spf-=x", RC_SYNTAX, "" },
		{ scan_keyword, "_", RC_NONE, "" }, { scan_keyword, "\xc3\xa4", RC_NONE, "" }, { scan_keyword, "", RC_NONE, "" },
		{ scan_domain, "a.b_c-d.e;", RC_OK, "a.b_c-d.e" }, { scan_domain, "a..b", RC_OK, "a" }, { scan_domain, "a.", RC_OK, "a" },
		{ scan_domain, ".a", RC_NONE, "" }, { scan_domain, "", RC_NONE, "" }, { scan_domain, "\xc3", RC_SYNTAX, "" },
		{ scan_domain, "a.\xc3", RC_OK, "a" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].in), got = SPAN_NULL;
		struct scan s = scan_of(text);
		enum rc rc = rows[i].take(&s, &got);

		if (rc != rows[i].rc || s.at != strlen(rows[i].want) || (rc == RC_OK && !span_eq(got, span_cstr(rows[i].want))))
			fail_msg("row %zu: %s at %zu", i, rc_name(rc), s.at);
		exact_free(text);
	}
}

static void
test_digits(void **state)
{
	uint64_t v = 99;
	struct scan s = scan_of(SPAN("0041x"));

	(void)state;
	assert_int_equal(scan_digits(&s, 41, &v), RC_OK);
	assert_int_equal(v, 41);
	assert_int_equal(s.at, 4);
	assert_int_equal(scan_digits(&s, 41, &v), RC_NONE);
	s.at = 0;
	assert_int_equal(scan_digits(&s, 40, &v), RC_LIMIT);
	assert_int_equal(s.at, 0);
	s = scan_of(SPAN("99999999999999999999999999"));
	assert_int_equal(scan_digits(&s, UINT64_MAX, &v), RC_LIMIT);
}

static void
test_quoted(void **state)
{
	static const struct { const char *in; bool in_field; enum rc rc; size_t at; const char *want; } rows[] = {
		{ "\"\"x", true, RC_OK, 2, "" }, { "\"a b\"", true, RC_OK, 5, "a b" }, { "x", true, RC_NONE, 0, "" }, { "", true, RC_NONE, 0, "" },
		{ "\"a\\\"\\\\\\b\"x", true, RC_OK, 9, "a\"\\b" }, { "\"a\r\n\tb\"", true, RC_OK, 7, "a\tb" }, { "\"a \n b\"", true, RC_OK, 7, "a  b" },
		{ "\"a\tb\"", false, RC_SYNTAX, 0, NULL }, { "\"a\r\n b\"", false, RC_SYNTAX, 0, NULL }, { "\"a b\"", false, RC_OK, 5, "a b" },
		{ "\"\\\xc3\xa4\"", true, RC_OK, 5, "\xc3\xa4" }, { "\"\\\xc3\xa4\"", false, RC_SYNTAX, 0, NULL },
		{ "\"\xc3\xa4\"", false, RC_OK, 4, "\xc3\xa4" }, { "\"\xc3\"", true, RC_SYNTAX, 0, NULL },
		{ "\"", true, RC_SYNTAX, 0, NULL }, { "\"a", true, RC_SYNTAX, 0, NULL }, { "\"a\\", true, RC_SYNTAX, 0, NULL },
		{ "\"a\\\"", true, RC_SYNTAX, 0, NULL }, { "\"a\rb\"", true, RC_SYNTAX, 0, NULL }, { "\"a\nb\"", true, RC_SYNTAX, 0, NULL },
		{ "\"\x01\"", true, RC_SYNTAX, 0, NULL }, { "\"\x7f\"", true, RC_SYNTAX, 0, NULL }, { "\"(;)\"", true, RC_OK, 5, "(;)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].in);
		struct scan s = scan_of(text);
		struct buf b = buf_heap(100);
		enum rc rc = scan_quoted(&s, rows[i].in_field, &b);

		if (rc != rows[i].rc || s.at != rows[i].at)
			fail_msg("row %zu: %s at %zu", i, rc_name(rc), s.at);
		if (rc == RC_OK)
			assert_span(buf_text(&b), rows[i].want);
		s.at = 0;
		assert_int_equal(scan_quoted(&s, rows[i].in_field, NULL), rows[i].rc);
		buf_fini(&b);
		exact_free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fws),
		cmocka_unit_test(test_cfws),
		cmocka_unit_test(test_cfws_is_linear),
		cmocka_unit_test(test_utf8_every_two_bytes),
		cmocka_unit_test(test_utf8_edges),
		cmocka_unit_test(test_showable),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_digits),
		cmocka_unit_test(test_quoted),
	};

	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
