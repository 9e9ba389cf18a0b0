/* authres, removal: every spelling of our identifier is recognised, and nobody else's. */
#include "t/unit/unit.h"

#include <time.h>

#include "common/mail/authres.h"

#define REI "\xe4\xbe\x8b\xe3\x81\x88"          /* a Japanese label; its A-label is xn--r8jz45g */

static struct authres_ids *
ids_of(const char *id)
{
	static const struct span others[] = { { "old.example.net", 15 }, { "Partner.Example.", 16 } };

	return authres_ids_create(span_cstr(id), others, ARRAY_LEN(others));
}

static void
expect_n(const struct authres_ids *ids, const char *text, size_t n, bool want)
{
	struct span value = exact_n(text, n);

	if (authres_ids_claimed(ids, value) != want)
		fail_msg("\"%.*s\" %s", SPAN_ARGS(value), want ? "is kept" : "is taken for ours");
	exact_free(value);
}

struct row { const char *value; bool is_ours; };

static void
expect_rows(const char *id, const struct row *rows, size_t n)
{
	struct authres_ids *ids = ids_of(id);
	size_t i;

	for (i = 0; i < n; i++)
		expect_n(ids, rows[i].value, strlen(rows[i].value), rows[i].is_ours);
	authres_ids_destroy(&ids);
	assert_null(ids);
	authres_ids_destroy(&ids);
}

static void
test_spellings(void **state)
{
	static const struct row rows[] = {
		/* plain, and with what RFC 8601 allows around it */
		{ " mx.example.jp; dkim=pass", true },
		{ "mx.example.jp; dkim=pass", true },
		{ "mx.example.jp;dkim=pass", true },
		{ " mx.example.jp", true },
		{ " mx.example.jp dkim=pass", true },
		{ " mx.example.jp 1; none", true },
		{ " MX.Example.JP; none", true },
		{ " mx.example.jp.; none", true },
		{ "\tmx.example.jp\t;none", true },
		/* folding */
		{ "\r\n mx.example.jp; none", true },
		{ "\n\tmx.example.jp\n\t; none", true },
		{ " mx.example.jp\r\n ;\r\n dkim=pass", true },
		{ " mx.example.jp\r\n", true },
		{ "\r\n \r\n \r\n mx.example.jp; none", true },
		/* quoting */
		{ " \"mx.example.jp\"; dkim=pass", true },
		{ " \"MX.example.jp\" 1; dkim=pass", true },
		{ " \"\\m\\x.example.jp\"; dkim=pass", true },
		{ " \"mx.example.jp.\"; dkim=pass", true },
		{ " \" mx.example.jp \"; dkim=pass", true },
		{ " \"mx.\r\nexample.jp\"; dkim=pass", false },
		{ " \"\" mx.example.jp; dkim=pass", true },
		{ " \" \" mx.example.jp; dkim=pass", true },
		/* comments */
		{ " (c) MX.EXAMPLE.JP (c) 1; dkim=pass", true },
		{ " (a(b)c) mx.example.jp; dkim=pass", true },
		{ " (\\)) mx.example.jp; dkim=pass", true },
		{ " (;) mx.example.jp; dkim=pass", true },
		{ " (\") mx.example.jp; dkim=pass", true },
		{ "(c)mx.example.jp(c);dkim=pass", true },
		{ " (c) (d)\r\n (e) \"mx.example.jp\"(f); dkim=pass", true },
		{ " (a\x01\xff z) mx.example.jp; dkim=pass", true },
		{ " mx.(c)example.jp; dkim=pass", true },
		{ " mx(a).example(b(c)).jp; dkim=pass", true },
		/* versions and other things behind it */
		{ " mx.example.jp/1; dkim=pass", true },
		{ " mx.example.jp / 1; dkim=pass", true },
		{ " mx.example.jp 999999999999999999999; dkim=pass", true },
		{ " mx.example.jp,evil; dkim=pass", true },
		{ " mx.example.jp=x; dkim=pass", true },
		/* damage */
		{ " mx.example.jp\"; dkim=pass", true },
		{ " \"mx.example.jp; dkim=pass", true },
		{ " (mx.example.jp; dkim=pass", true },
		{ " ((c) mx.example.jp; dkim=pass", true },
		{ " ) mx.example.jp; dkim=pass", true },
		/* somebody else's by RFC 5322, ours for readers whose comments do not nest or quote */
		{ " (c\\) mx.example.jp; dkim=pass) x; none", true },
		{ " ((c) mx.example.jp; dkim=pass) x; none", true },
		{ " , mx.example.jp; dkim=pass", true },
		{ " <mx.example.jp>; dkim=pass", true },
		{ "\rmx.example.jp; dkim=pass", true },
		{ "\v\fmx.example.jp\x7f; dkim=pass", true },
		/* configured ones: they and what is below them */
		{ " old.example.net; none", true },
		{ " a.b.old.example.net; none", true },
		{ " mx.partner.example; none", true },
		{ " partner.example.; none", true },
	};

	(void)state;
	expect_rows("mx.example.jp", rows, ARRAY_LEN(rows));
	expect_rows("MX.example.jp.", rows, ARRAY_LEN(rows));
	expect_rows(" mx.example.jp ", rows, ARRAY_LEN(rows));
}

static void
test_near_ids_are_kept(void **state)
{
	static const struct row rows[] = {
		{ " mx.example.jp.evil; dkim=pass", false },
		{ " mx.example.jpx; dkim=pass", false },
		{ " xmx.example.jp; dkim=pass", false },
		{ " a.mx.example.jp; dkim=pass", false },
		{ " example.jp; dkim=pass", false },
		{ " evil, mx.example.jp; dkim=pass", false },
		{ " evil mx.example.jp; dkim=pass", false },
		{ " evil; mx.example.jp; dkim=pass", false },
		{ " evil (mx.example.jp); dkim=pass", false },
		{ " (mx.example.jp) evil; dkim=pass", false },
		{ " (mx.example.jp); dkim=pass", false },
		{ " (a(b)mx.example.jp.evil) x; none", false },
		{ " ((mx.example.jp)) x; none", false },
		{ " \"evil\" mx.example.jp; dkim=pass", false },
		{ " \"evil mx.example.jp\"; dkim=pass", false },
		{ " \"mx.example.jp evil\"; dkim=pass", false },
		{ " =?utf-8?q?mx.example.jp?=; dkim=pass", false },
		{ " =?utf-8?b?bXguZXhhbXBsZS5qcA==?=; dkim=pass", false },
		{ " evil@mx.example.jp; dkim=pass", false },
		{ " mx..example.jp; dkim=pass", false },
		{ " .mx.example.jp; dkim=pass", false },
		{ " mx.example.jp..; dkim=pass", false },
		{ " mx\\.example.jp; dkim=pass", false },
		{ " mx. example.jp; dkim=pass", false },
		{ " mx.exa\xc2\xadmple.jp.evil; dkim=pass", false },
		{ "; mx.example.jp; dkim=pass", false },
		{ " ", false }, { "", false }, { ";", false }, { "\"", false }, { "(", false }, { "()", false }, { "\\", false },
		{ "\"\\", false }, { "(\\", false }, { "\"\"", false },
		{ " net; none", false }, { " example.net; none", false }, { " xold.example.net; none", false },
	};

	(void)state;
	expect_rows("mx.example.jp", rows, ARRAY_LEN(rows));
}

static void
test_idn_both_ways(void **state)
{
	static const struct row rows[] = {
		{ " " REI ".jp; none", true },
		{ " xn--r8jz45g.jp; none", true },
		{ " XN--R8JZ45G.JP; none", true },
		{ " \"" REI ".jp\"; none", true },
		{ " \"" REI ".jp.\" 1; none", true },
		{ " (c) " REI ".jp (c); none", true },
		{ " " REI "\xe3\x80\x82jp; none", true },                /* ideographic full stop */
		{ " " REI ".\xef\xbd\x8a\xef\xbd\x90; none", true },     /* full-width "jp" */
		{ " \xe4\xbe\x8b(c)\xe3\x81\x88.jp; none", true },
		{ " \xe4\xbe\x8b.jp; none", false },
		{ " " REI ".jp.evil; none", false },
		{ " x" REI ".jp; none", false },
		{ " " REI ".jp\xff; none", false },
		{ " \xff; none", false },
	};

	(void)state;
	expect_rows(REI ".jp", rows, ARRAY_LEN(rows));
	expect_rows("xn--r8jz45g.jp", rows, ARRAY_LEN(rows));
	expect_rows("XN--R8JZ45G.jp", rows, ARRAY_LEN(rows));
}

static void
test_idn_of_ascii_id(void **state)
{
	static const struct row rows[] = {
		{ " \xef\xbd\x8d\xef\xbd\x98.example.jp; none", true },  /* full-width "mx" */
		{ " mx.exa\xc2\xadmple.jp; none", true },                /* soft hyphen, which IDNA drops */
		{ " mx\xef\xbc\x8e" "example.jp; none", true },          /* full-width full stop */
		{ " mx.ex\xc3\xa4mple.jp; none", false },
	};

	(void)state;
	expect_rows("mx.example.jp", rows, ARRAY_LEN(rows));
}

static void
test_id_that_is_no_domain(void **state)
{
	static const struct row words[] = { { " \"My Id\"; none", true }, { " my id; none", false }, { " my; none", false } };
	static const struct row flat[] = {
		{ " localhost; none", true }, { " LocalHost; none", true }, { " localhost.localdomain; none", false },
	};
	static const struct row empty[] = { { " ; none", false }, { " \"\"; none", false }, { " x; none", false } };

	(void)state;
	expect_rows("my id", words, ARRAY_LEN(words));
	expect_rows("localhost", flat, ARRAY_LEN(flat));
	expect_rows("", empty, ARRAY_LEN(empty));
}

static void
test_nul(void **state)
{
	struct authres_ids *ids = ids_of("mx.example.jp");

	(void)state;
	expect_n(ids, "\0mx.example.jp; none", 20, true);
	expect_n(ids, " mx.example.jp\0.evil; none", 26, true);
	expect_n(ids, " \"mx.example.jp\0\"; none", 23, true);
	expect_n(ids, " mx\0.example.jp; none", 21, false);
	authres_ids_destroy(&ids);
}

/* The list of another server's names alone, no list at all. */
static void
test_without_others(void **state)
{
	struct authres_ids *ids = authres_ids_create(SPAN("mx.example.jp"), NULL, 0);

	(void)state;
	expect_n(ids, "mx.example.jp;", 14, true);
	expect_n(ids, "old.example.net;", 16, false);
	authres_ids_destroy(&ids);
}

static double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* n times unit, then tail; the answer must come in linear time. */
static void
expect_flood(const struct authres_ids *ids, const char *unit, size_t n, const char *tail, bool want)
{
	size_t len = strlen(unit), end = strlen(tail), i;
	char *text = xmalloc(n * len + end);
	double start = cpu_s();

	for (i = 0; i < n; i++)
		memcpy(text + i * len, unit, len);
	memcpy(text + n * len, tail, end);
	if (authres_ids_claimed(ids, span_of(text, n * len + end)) != want)
		fail_msg("%zu times \"%s\" and \"%s\"", n, unit, tail);
	if (cpu_s() - start > 5)
		fail_msg("%zu times \"%s\" takes %.1f s", n, unit, cpu_s() - start);
	free(text);
}

static void
test_floods(void **state)
{
	struct authres_ids *ids = ids_of("mx.example.jp");
	const size_t n = 1 * MIB;

	(void)state;
	expect_flood(ids, "(", n, "mx.example.jp;", true);
	expect_flood(ids, "(", n, "", false);
	expect_flood(ids, "(\\", n, "mx.example.jp;", true);
	expect_flood(ids, "()", n, "mx.example.jp;", true);
	expect_flood(ids, "(()", n, "mx.example.jp;", true);
	expect_flood(ids, "\"", n, "mx.example.jp;", true);
	expect_flood(ids, "\"", n + 1, "mx.example.jp;", true);
	expect_flood(ids, "\"\\", n, "mx.example.jp;", true);
	expect_flood(ids, "\\\"", n, "mx.example.jp;", true);
	expect_flood(ids, " ", n, "mx.example.jp;", true);
	expect_flood(ids, "\r\n ", n, "mx.example.jp;", true);
	expect_flood(ids, ",", n, "mx.example.jp;", true);
	expect_flood(ids, "a()", n, "mx.example.jp;", false);
	expect_flood(ids, "\xe3\x81\x88()", n, "mx.example.jp;", false);
	expect_flood(ids, "\xe3\x81\x88", n, ";", false);
	expect_flood(ids, "\xff", n, "mx.example.jp;", false);
	expect_flood(ids, "x", n, ";", false);
	authres_ids_destroy(&ids);
}

/* Blanks inside the quotes, more than any buffer of ours holds. */
static void
test_padded_quoted_id(void **state)
{
	struct authres_ids *ids = ids_of("mx.example.jp");
	char text[10000];

	(void)state;
	memset(text, ' ', sizeof(text));
	text[1] = '"';
	memcpy(text + 5000, "mx.example.jp", 13);
	memcpy(text + 9990, "\"; none", 7);
	expect_n(ids, text, 9997, true);
	text[9000] = 'x';
	expect_n(ids, text, 9997, false);
	authres_ids_destroy(&ids);
}

static void
test_field_name(void **state)
{
	static const struct row rows[] = {
		{ "Authentication-Results", true }, { "authentication-results", true }, { "AUTHENTICATION-RESULTS", true },
		{ "Authentication-Results ", true }, { "Authentication-Results\t \t", true }, { "Authentication-Results\r\n ", true },
		{ "X-Authentication-Results", false }, { "ARC-Authentication-Results", false }, { "Authentication-Result", false },
		{ "Authentication-Resultss", false }, { "Authentication Results", false }, { "Received-SPF", false }, { "", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span name = exact(rows[i].value);

		if (authres_is_field_name(name) != rows[i].is_ours)
			fail_msg("\"%s\"", rows[i].value);
		exact_free(name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_near_ids_are_kept),
		cmocka_unit_test(test_idn_both_ways),
		cmocka_unit_test(test_idn_of_ascii_id),
		cmocka_unit_test(test_id_that_is_no_domain),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_without_others),
		cmocka_unit_test(test_floods),
		cmocka_unit_test(test_padded_quoted_id),
		cmocka_unit_test(test_field_name),
	};

	return cmocka_run_group_tests_name("authres_ids", tests, NULL, NULL);
}
