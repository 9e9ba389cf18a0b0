/* spf_record: the grammar of RFC 7208 section 12, term by term. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/auth/spf_int.h"
#include "common/base/buf.h"

static void
test_version(void **state)
{
	static const struct { const char *in; bool want; } rows[] = {
		{ "v=spf1", true }, { "v=spf1 ", true }, { "v=spf1 -all", true }, { "V=SPF1 -all", true }, { "v=spf1  ", true },
		{ "v=spf1 \x80", true },
		{ "", false }, { "v", false }, { "v=spf", false }, { "v=spf10", false }, { "v=spf1-all", false }, { "v=spf1\t-all", false },
		{ "v=spf2", false }, { "spf2.0/mfrom -all", false }, { "spf2.", false }, { " v=spf1", false }, { "v = spf1", false },
		{ "v=spf1.", false }, { "\"v=spf1 -all\"", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		if (spf_record_is_version1(s) != rows[i].want)
			fail_msg("\"%s\"", rows[i].in);
		exact_free(s);
	}
}

static enum rc
parse(const char *text, struct spf_record *record, struct spf_error *error, struct span *keep)
{
	*keep = exact(text);
	return spf_record_parse(*keep, record, error);
}

static void
test_accepts(void **state)
{
	static const char *const rows[] = {
		"v=spf1", "v=spf1 ", "v=spf1     ", "v=spf1 all", "v=spf1 -all", "v=spf1 ~ALL", "v=spf1 ?aLL  +all ",
		"v=spf1 a", "v=spf1 a/0", "v=spf1 a/32", "v=spf1 a//0", "v=spf1 a//128", "v=spf1 a/24//64", "v=spf1 A/9//9",
		"v=spf1 a:example.org", "v=spf1 a:example.org.", "v=spf1 a:example.org/24", "v=spf1 a:example.org//64",
		"v=spf1 a:example.org./24//64", "v=spf1 a:foo:bar/baz.example.org", "v=spf1 a:a/b.example/1//2",
		"v=spf1 a:%{d}", "v=spf1 a:%{d}/24//64", "v=spf1 a:%{D4R.-+,/_=}", "v=spf1 a:x%%", "v=spf1 a:x%_", "v=spf1 a:x%-",
		"v=spf1 a:a.example.xn--zckzah", "v=spf1 a:a.1-2", "v=spf1 a:a.1a", "v=spf1 a:a.a1", "v=spf1 a:.com",
		"v=spf1 a:_x..com", "v=spf1 a:!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~.com",
		"v=spf1 mx", "v=spf1 mx/24", "v=spf1 -mx:example.org//64", "v=spf1 ptr", "v=spf1 ptr:example.org",
		"v=spf1 ip4:0.0.0.0", "v=spf1 ip4:255.255.255.255/32", "v=spf1 ip4:10.0.0.0/0", "v=spf1 IP4:1.2.3.4/9",
		"v=spf1 ip6:::", "v=spf1 ip6:::1", "v=spf1 ip6:2001:db8::/32", "v=spf1 ip6:::1.2.3.4/128", "v=spf1 ip6:::/0",
		"v=spf1 ip6:1:2:3:4:5:6:7:8/100",
		"v=spf1 include:example.org", "v=spf1 ?include:%{d}", "v=spf1 exists:%{ir}.%{l1r-}._spf.%{d}", "v=spf1 exists:a.b",
		"v=spf1 redirect=example.org", "v=spf1 REDIRECT=%{d2}", "v=spf1 exp=a.example.org -all",
		"v=spf1 redirect=a.b exp=c.d", "v=spf1 exp=c.d redirect=a.b ?all",
		"v=spf1 foo=", "v=spf1 foo=bar", "v=spf1 foo=bar foo=bar", "v=spf1 moo.cow-far_out=man:dog/cat", "v=spf1 x=%{d}%%%{t}",
		"v=spf1 a=b", "v=spf1 all=b mx=", "v=spf1 match_subdomains=yes", "v=spf1 x==", "v=spf1 x=-all",
		"v=spf1 a:%{d127}", "v=spf1 a:%{d128}", "v=spf1 exists:%{d2147483648}", "v=spf1 exists:%{d99999999999999999999999}",
		"v=spf1 exists:%{d01}", "v=spf1 exists:%{d1r}.x", "v=spf1 exists:%{d128r-+,/_=}",
	};
	struct spf_record record;
	struct spf_error error;
	struct span keep;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (parse(rows[i], &record, &error, &keep) != RC_OK)
			fail_msg("\"%s\": %s", rows[i], error.why);
		exact_free(keep);
	}
}

static void
test_refuses(void **state)
{
	/* The record, and the term that is named. */
	static const struct { const char *in, *term; } rows[] = {
		{ "v=spf1 moo", "moo" }, { "v=spf1 ip4:192.0.2.1 -all moo", "moo" }, { "v=spf1 -", "-" }, { "v=spf1 +", "+" },
		{ "v=spf1 --all", "--all" }, { "v=spf1 =all", "=all" }, { "v=spf1 1up=foo", "1up=foo" }, { "v=spf1 -all.", "-all." },
		{ "v=spf1 all:x.y", "all:x.y" }, { "v=spf1 all/8", "all/8" }, { "v=spf1 \tall", "\tall" }, { "v=spf1 all\t", "all\t" },
		{ "v=spf1 a:example.org\rptr", "a:example.org\rptr" }, { "v=spf1 ip4:192.0.2.5\n", "ip4:192.0.2.5\n" },
		{ "v=spf1 include", "include" }, { "v=spf1 include:", "include:" }, { "v=spf1 include:a.b/24", "include:a.b/24" },
		{ "v=spf1 include=a.b include=c.d include", "include" }, { "v=spf1 include/24", "include/24" },
		{ "v=spf1 a:", "a:" }, { "v=spf1 a/", "a/" }, { "v=spf1 a//", "a//" }, { "v=spf1 a/33", "a/33" }, { "v=spf1 a/032", "a/032" },
		{ "v=spf1 a/00", "a/00" }, { "v=spf1 a//129", "a//129" }, { "v=spf1 a//064", "a//064" }, { "v=spf1 a/24/64", "a/24/64" },
		{ "v=spf1 a//64/24", "a//64/24" }, { "v=spf1 a///64", "a///64" }, { "v=spf1 a/99999999999999999999", "a/99999999999999999999" },
		{ "v=spf1 a/+1", "a/+1" }, { "v=spf1 a:/24", "a:/24" },
		{ "v=spf1 a:museum", "a:museum" }, { "v=spf1 a:museum.", "a:museum." }, { "v=spf1 a:foo-bar", "a:foo-bar" },
		{ "v=spf1 a:.", "a:." }, { "v=spf1 a:a..", "a:a.." }, { "v=spf1 a:abc.123", "a:abc.123" }, { "v=spf1 a:x.-com", "a:x.-com" },
		{ "v=spf1 a:x.com-", "a:x.com-" }, { "v=spf1 a:x.c_m", "a:x.c_m" }, { "v=spf1 a:111.222.33.44", "a:111.222.33.44" },
		{ "v=spf1 a:example.com:8080", "a:example.com:8080" }, { "v=spf1 a:%{d}com", "a:%{d}com" }, { "v=spf1 a:%{d}.1", "a:%{d}.1" },
		{ "v=spf1 a.b", "a.b" }, { "v=spf1 aa", "aa" }, { "v=spf1 mx:", "mx:" }, { "v=spf1 ptr/0", "ptr/0" }, { "v=spf1 ptr:", "ptr:" },
		{ "v=spf1 -ptr:domain-spec", "-ptr:domain-spec" },
		{ "v=spf1 ip4", "ip4" }, { "v=spf1 ip4:", "ip4:" }, { "v=spf1 ip4:1.2.3", "ip4:1.2.3" }, { "v=spf1 ip4:1.2.3.4/33", "ip4:1.2.3.4/33" },
		{ "v=spf1 ip4:1.2.3.4//32", "ip4:1.2.3.4//32" }, { "v=spf1 ip4:1.2.3.4:80", "ip4:1.2.3.4:80" }, { "v=spf1 ip4:01.2.3.4", "ip4:01.2.3.4" },
		{ "v=spf1 ip4:1.2.3.256", "ip4:1.2.3.256" }, { "v=spf1 ip4:1.2.3.4/", "ip4:1.2.3.4/" }, { "v=spf1 ip4:::1", "ip4:::1" },
		{ "v=spf1 ip4/24", "ip4/24" }, { "v=spf1 ip4:%{i}", "ip4:%{i}" },
		{ "v=spf1 ip6", "ip6" }, { "v=spf1 ip6:", "ip6:" }, { "v=spf1 ip6:1.2.3.4", "ip6:1.2.3.4" }, { "v=spf1 ip6:::1/129", "ip6:::1/129" },
		{ "v=spf1 ip6:::1//33", "ip6:::1//33" }, { "v=spf1 ip6::CAFE::BABE", "ip6::CAFE::BABE" }, { "v=spf1 ip6:[::1]", "ip6:[::1]" },
		{ "v=spf1 ip6:fe80::1%eth0", "ip6:fe80::1%eth0" },
		{ "v=spf1 exists", "exists" }, { "v=spf1 exists:", "exists:" }, { "v=spf1 exists:a.b/24", "exists:a.b/24" },
		{ "v=spf1 redirect=", "redirect=" }, { "v=spf1 redirect=-all ?all", "redirect=-all" }, { "v=spf1 redirect:a.b", "redirect:a.b" },
		{ "v=spf1 redirect", "redirect" }, { "v=spf1 redirect=a.b redirect=c.d", "redirect=c.d" }, { "v=spf1 exp=a.b -all EXP=a.b", "EXP=a.b" },
		{ "v=spf1 exp= -all", "exp=" }, { "v=spf1 exp=-all", "exp=-all" }, { "v=spf1 +exp=a.b", "+exp=a.b" }, { "v=spf1 -foo=x", "-foo=x" },
		{ "v=spf1 moo.cow/far_out=man:dog/cat", "moo.cow/far_out=man:dog/cat" }, { "v=spf1 moo.cow:far=man", "moo.cow:far=man" },
		{ "v=spf1 exists:%(ir).example", "exists:%(ir).example" }, { "v=spf1 exists:foo%.example", "exists:foo%.example" },
		{ "v=spf1 a:%{a}.example", "a:%{a}.example" }, { "v=spf1 a:%{", "a:%{" }, { "v=spf1 a:%", "a:%" }, { "v=spf1 a:%{}", "a:%{}" },
		{ "v=spf1 a:%{d", "a:%{d" }, { "v=spf1 a:%{d0}", "a:%{d0}" }, { "v=spf1 a:%{d00r}", "a:%{d00r}" }, { "v=spf1 a:%{dr1}", "a:%{dr1}" },
		{ "v=spf1 a:%{d-r}", "a:%{d-r}" }, { "v=spf1 a:%{d!}", "a:%{d!}" }, { "v=spf1 a:%{dd}", "a:%{dd}" }, { "v=spf1 a:%{1d}", "a:%{1d}" },
		{ "v=spf1 a:%{c}.example", "a:%{c}.example" }, { "v=spf1 a:%{R}.example", "a:%{R}.example" }, { "v=spf1 exp=%{t}.example", "exp=%{t}.example" },
		{ "v=spf1 foo=%abc", "foo=%abc" }, { "v=spf1 foo=%{x}", "foo=%{x}" }, { "v=spf1 \x80""all", "\x80""all" },
		{ "v=spf1 foo=\xc3\xa9", "foo=\xc3\xa9" }, { "v=spf1 a:\xc3\xa9.example", "a:\xc3\xa9.example" }, { "v=spf1 a:b\x7f.com", "a:b\x7f.com" },
	};
	struct spf_record record;
	struct spf_error error;
	struct span keep;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (parse(rows[i].in, &record, &error, &keep) != RC_SYNTAX)
			fail_msg("accepted \"%s\"", rows[i].in);
		assert_span(error.term, rows[i].term);
		assert_non_null(error.why);
		assert_int_equal(error.reason, SPF_R_SYNTAX);
		exact_free(keep);
	}
}

static void
test_nul(void **state)
{
	static const char in[] = "v=spf1 a:foo.example.com\0";
	struct span s = exact_n(in, sizeof in - 1);
	struct spf_record record;
	struct spf_error error;

	(void)state;
	assert_int_equal(spf_record_parse(s, &record, &error), RC_SYNTAX);
	exact_free(s);
}

static void
test_terms(void **state)
{
	static const struct {
		const char *term;
		enum spf_kind kind;
		enum spf_result result;
		const char *spec;               /* NULL: absent */
		unsigned bits4, bits6;
	} rows[] = {
		{ "all", SPF_ALL, SPF_PASS, NULL, 32, 128 },
		{ "-ALL", SPF_ALL, SPF_FAIL, NULL, 32, 128 },
		{ "~a", SPF_A, SPF_SOFTFAIL, NULL, 32, 128 },
		{ "?A:Example.org/8", SPF_A, SPF_NEUTRAL, "Example.org", 8, 128 },
		{ "a:x.org//64", SPF_A, SPF_PASS, "x.org", 32, 64 },
		{ "a/0//0", SPF_A, SPF_PASS, NULL, 0, 0 },
		{ "+mx:%{d}/31//127", SPF_MX, SPF_PASS, "%{d}", 31, 127 },
		{ "mx:a/b.com/7", SPF_MX, SPF_PASS, "a/b.com", 7, 128 },
		{ "ptr", SPF_PTR, SPF_PASS, NULL, 32, 128 },
		{ "ptr:x.org", SPF_PTR, SPF_PASS, "x.org", 32, 128 },
		{ "ip4:192.0.2.0/24", SPF_IP4, SPF_PASS, NULL, 24, 128 },
		{ "-ip6:2001:db8::/32", SPF_IP6, SPF_FAIL, NULL, 32, 32 },
		{ "include:x.org", SPF_INCLUDE, SPF_PASS, "x.org", 32, 128 },
		{ "exists:%{i}.x.org", SPF_EXISTS, SPF_PASS, "%{i}.x.org", 32, 128 },
		{ "redirect=x.org", SPF_REDIRECT, SPF_PASS, "x.org", 32, 128 },
		{ "Exp=x.org", SPF_EXP, SPF_PASS, "x.org", 32, 128 },
		{ "foo=", SPF_UNKNOWN_MODIFIER, SPF_PASS, "", 32, 128 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].term), rest = s;
		struct spf_term t;
		const char *why;

		assert_int_equal(spf_term_next(&rest, &t, &why), RC_OK);
		assert_span(t.text, rows[i].term);
		assert_int_equal(t.kind, rows[i].kind);
		assert_int_equal(t.result, rows[i].result);
		assert_int_equal(t.bits4, rows[i].bits4);
		assert_int_equal(t.bits6, rows[i].bits6);
		if (rows[i].spec == NULL)
			assert_null(t.spec.p);
		else
			assert_span(t.spec, rows[i].spec);
		assert_int_equal(spf_term_next(&rest, &t, &why), RC_NONE);
		exact_free(s);
	}
}

static void
test_whole(void **state)
{
	struct spf_record record;
	struct spf_error error;
	struct span keep;

	(void)state;
	assert_int_equal(parse("v=spf1 exp=e.example a redirect=r.example", &record, &error, &keep), RC_OK);
	assert_span(record.redirect, "r.example");
	assert_span(record.redirect_text, "redirect=r.example");
	assert_span(record.exp, "e.example");
	assert_false(record.has_all);
	exact_free(keep);
	assert_int_equal(parse("v=spf1 redirect=r.example ?all", &record, &error, &keep), RC_OK);
	assert_true(record.has_all);
	assert_null(record.exp.p);
	exact_free(keep);
}

/* A record of n bytes, and one of n terms. */
static void
test_limits(void **state)
{
	struct buf b = buf_heap(MIB);
	struct spf_record record;
	struct spf_error error;

	(void)state;
	buf_str(&b, "v=spf1 x=");
	while (b.n < SPF_RECORD_MAX)
		buf_byte(&b, 'x');
	assert_int_equal(spf_record_parse(buf_text(&b), &record, &error), RC_OK);
	buf_byte(&b, 'x');
	assert_int_equal(spf_record_parse(buf_text(&b), &record, &error), RC_SYNTAX);
	assert_int_equal(error.reason, SPF_R_RECORD_SIZE);

	buf_clear(&b);
	buf_str(&b, "v=spf1");
	for (int i = 0; i < SPF_TERMS_MAX; i++)
		buf_str(&b, " ip4:1.2.3.4");
	assert_int_equal(spf_record_parse(buf_text(&b), &record, &error), RC_OK);
	buf_str(&b, " a");
	assert_int_equal(spf_record_parse(buf_text(&b), &record, &error), RC_SYNTAX);
	assert_int_equal(error.reason, SPF_R_RECORD_SIZE);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("spf_record", tests, NULL, NULL);
}
