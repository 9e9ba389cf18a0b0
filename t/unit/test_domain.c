/* domain: syntax, normal form, comparison. */
#include "t/unit/unit.h"

#include "common/base/domain.h"

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define N253 L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"

static void
test_valid(void **state)
{
	static const struct { const char *in; unsigned labels; bool want; } rows[] = {
		{ "example.org", 2, true }, { "example.org.", 2, true }, { "example.org", 3, false }, { "a.b.c", 3, true },
		{ "localhost", 1, true }, { "localhost", 2, false }, { "localhost.", 2, false },
		{ "", 0, false }, { "", 1, false }, { ".", 0, false }, { "..", 1, false }, { "example..org", 1, false },
		{ ".example.org", 1, false }, { "example.org..", 1, false },
		{ "_spf.example.org", 2, true }, { "a_b.example", 2, true }, { "x--y.example", 2, true },
		{ "-a.example", 2, false }, { "a-.example", 2, false }, { "a.-example", 2, false },
		{ "192.0.2.1", 1, false }, { "1.2.3.4.in-addr.arpa", 2, true }, { "example.1", 1, false }, { "example.1a", 1, true },
		{ "7", 1, false }, { "7.example", 2, true },
		{ "a b.example", 1, false }, { "a\\.b.example", 1, false }, { "a@b.example", 1, false }, { "a/b.example", 1, false },
		{ "ex\xc3\xa4mple.org", 1, false }, { "[192.0.2.1]", 1, false }, { "a\tb.example", 1, false },
		{ L63 ".example", 2, true }, { L63 "a.example", 2, false },
		{ N253, 4, true }, { N253 ".", 4, true }, { N253 "z", 4, false },
	};
	size_t i;

	(void)state;
	assert_int_equal(strlen(L63), DOMAIN_LABEL_MAX);
	assert_int_equal(strlen(N253), DOMAIN_MAX);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		if (domain_is_valid(s, rows[i].labels) != rows[i].want)
			fail_msg("\"%s\" with %u labels", rows[i].in, rows[i].labels);
		exact_free(s);
	}
	assert_false(domain_is_valid(SPAN("a.example\0"), 1));
	assert_false(domain_is_valid(SPAN("a\0.example"), 1));
	assert_false(domain_is_valid(SPAN_NULL, 0));
}

static void
test_normalize(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "Example.ORG", "example.org" },
		{ "example.org.", "example.org" },
		{ "localhost", "localhost" },
		{ "XN--Strae-oqa.example", "xn--strae-oqa.example" },
		{ "stra\xc3\x9f" "e.example", "xn--strae-oqa.example" },              /* non-transitional: sharp s stays */
		{ "B\xc3\x9c" "CHER.example", "xn--bcher-kva.example" },              /* mapped to lower case */
		{ "Bu\xcc\x88" "cher.example", "xn--bcher-kva.example" },             /* composed (NFC) */
		{ "b\xc3\xbc" "cher.EXAMPLE.", "xn--bcher-kva.example" },
		{ "\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah" },
		{ "\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah" },  /* ideographic stop */
		{ "\xef\xbd\x85xample.org", "example.org" },                          /* full-width e */
		{ "_dmarc.b\xc3\xbc" "cher.example", "_dmarc.xn--bcher-kva.example" },
		{ "", NULL }, { ".", NULL }, { "a..b", NULL }, { "a b", NULL }, { "192.0.2.1", NULL },
		{ "b\xc3\xbc" "cher..example", NULL },
		{ "b\xc3\xbc" "cher example", NULL },
		{ "\xef\xbc\x91.\xef\xbc\x92", NULL },                                /* full-width digits are digits */
		{ "example.org..", NULL }, { "example.org.\xe3\x80\x82", NULL },       /* two dots at the end, also as an ideographic full stop */
		{ "b\xc3.example", NULL },                                            /* cut UTF-8 */
		{ "\xff\xfe.example", NULL }, { "\xed\xa0\x80.example", NULL },       /* no UTF-8, surrogate */
		{ "a\xe2\x80\x8b" "b\xc2\xad.\xe2\x80\xae" "example", NULL },         /* right-to-left override */
	};
	struct arena a;
	size_t i;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in), out;
		enum rc rc = domain_normalize(&a, s, &out);

		exact_free(s);
		if (rc != (rows[i].want ? RC_OK : RC_SYNTAX))
			fail_msg("\"%s\": %s, \"%.*s\"", rows[i].in, rc_name(rc), SPAN_ARGS(out));
		if (rc == RC_OK)
			assert_span(out, rows[i].want);
		else
			assert_true(span_is_null(out));
	}
	arena_fini(&a);
}

static void
test_normalize_limits(void **state)
{
	struct arena a;
	struct span s, out;
	char *long_name = xmalloc(100000);
	size_t i;

	(void)state;
	arena_init(&a, 0, 16);
	assert_int_equal(domain_normalize(&a, SPAN("mail.example.org"), &out), RC_LIMIT);
	assert_int_equal(domain_normalize(&a, SPAN("b\xc3\xbc" "cher.example"), &out), RC_LIMIT);
	arena_fini(&a);
	arena_init(&a, 256, 64 * KIB);
	assert_int_equal(domain_normalize(&a, SPAN("b\xc3\xbc\0.example"), &out), RC_SYNTAX);
	s = exact(N253);
	assert_int_equal(domain_normalize(&a, s, &out), RC_OK);
	assert_int_equal(out.n, DOMAIN_MAX);
	exact_free(s);
	/* U-labels: 59 times one letter is 63 bytes and more as an A-label; whatever libidn2 says, never over the limits. */
	for (i = 0; i + 1 < 100000; i += 2)
		memcpy(long_name + i, "\xc3\xbc", 2);
	for (i = 2; i <= 100000; i += i < 2000 ? 2 : 7000) {
		s = exact_n(long_name, i);
		if (domain_normalize(&a, s, &out) == RC_OK)
			assert_true(out.n <= DOMAIN_LABEL_MAX && domain_is_valid(out, 1));
		else
			assert_true(i > 20);
		exact_free(s);
	}
	arena_fini(&a);
	free(long_name);
}

static void
test_relations(void **state)
{
	static const struct { const char *name, *parent; bool below, equal; } rows[] = {
		{ "example.org", "example.org", true, true },
		{ "EXAMPLE.org.", "example.ORG", true, true },
		{ "mail.example.org", "example.org.", true, false },
		{ "a.b.example.org", "example.org", true, false },
		{ "badexample.org", "example.org", false, false },
		{ "example.org", "mail.example.org", false, false },
		{ "example.org", "org", true, false },
		{ "example.org", "", false, false },
		{ "example.org", ".", false, false },
		{ ".example.org", "example.org", true, false },
		{ "", "example.org", false, false },
		{ "", "", false, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span name = exact(rows[i].name), parent = exact(rows[i].parent);

		if (domain_is_at_or_below(name, parent) != rows[i].below || domain_eq(name, parent) != rows[i].equal)
			fail_msg("%s, %s", rows[i].name, rows[i].parent);
		exact_free(name);
		exact_free(parent);
	}
	assert_int_equal(domain_label_count(SPAN("")), 0);
	assert_int_equal(domain_label_count(SPAN(".")), 0);
	assert_int_equal(domain_label_count(SPAN("org")), 1);
	assert_int_equal(domain_label_count(SPAN("a.b.c.")), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_normalize_limits),
		cmocka_unit_test(test_relations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
