/* verdict: the words of results, their fields, and that hostile records and identities stay harmless in them. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/auth/verdict.h"
#include "common/mail/scan.h"

static struct verdict_spf
spf_of(enum spf_result result, enum spf_reason reason, const char *identity)
{
	return (struct verdict_spf){
		.is_evaluated = true, .identity = span_cstr(identity),
		.outcome = { .result = result, .reason = reason },
	};
}

static void
test_why(void **state)
{
	static const struct { enum spf_reason reason; const char *mechanism, *at, *detail, *want; } rows[] = {
		{ SPF_R_MATCH, "ip4:192.0.2.0/24", "example.org", NULL, "matched ip4:192.0.2.0/24" },
		{ SPF_R_MATCH, "ip4:192.0.2.0/24", "EXAMPLE.org.", NULL, "matched ip4:192.0.2.0/24" },
		{ SPF_R_MATCH, "-all", "_spf.example.net", NULL, "matched -all in _spf.example.net" },
		{ SPF_R_DEFAULT, NULL, "example.org", NULL, "no mechanism matched" },
		{ SPF_R_NO_RECORD, NULL, "example.org", NULL, "no SPF record" },
		{ SPF_R_SYNTAX, NULL, "example.org", "unknown mechanism \"moo\"", "syntax error in the SPF record: unknown mechanism \"moo\"" },
		{ SPF_R_SYNTAX, NULL, "b.example", "bad", "syntax error in the SPF record: bad in b.example" },
		{ SPF_R_LOOKUP_LIMIT, "include:b.example", "example.org", NULL, "more than 10 terms that need DNS: include:b.example" },
		{ SPF_R_DNS_ERROR, "include:x", "_spf.example.net", NULL, "DNS error: timeout for _spf.example.net" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct verdict_spf v = spf_of(SPF_PASS, rows[i].reason, "user@example.org");
		struct buf b = buf_heap(4 * KIB);

		v.outcome.mechanism = span_cstr(rows[i].mechanism);
		v.outcome.at = span_cstr(rows[i].at);
		v.outcome.detail = span_cstr(rows[i].detail);
		v.outcome.dns_status = DNS_TIMEOUT;
		verdict_why(&b, &v);
		assert_span(buf_text(&b), rows[i].want);
		buf_fini(&b);
	}
}

static void
test_why_of_every_reason_is_short(void **state)
{
	char big[70000];
	int reason;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (reason = SPF_R_MATCH; reason <= SPF_R_MEMORY; reason++) {
		struct verdict_spf v = spf_of(SPF_PERMERROR, (enum spf_reason)reason, "");
		struct buf b = buf_heap(4 * KIB);

		v.outcome.mechanism = v.outcome.at = v.outcome.detail = span_of(big, sizeof(big));
		verdict_why(&b, &v);
		assert_true(buf_ok(&b));
		assert_in_range(b.n, 3, 2 * VERDICT_PART_MAX + 100);
		buf_fini(&b);
	}
}

static void
expect_authres(const struct verdict *v, bool hardfail, const char *want)
{
	struct authres_item items[8];
	struct buf b = buf_heap(AUTHRES_FIELD_MAX);
	struct authres_parsed *p;
	struct arena a;
	size_t n;

	arena_init(&a, 4 * KIB, 64 * KIB);
	n = verdict_items(v, hardfail, &a, items, ARRAY_LEN(items));
	assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), items, n), RC_OK);
	assert_span(buf_text(&b), want);
	assert_int_equal(authres_parse(&a, buf_text(&b), &p), RC_OK);
	assert_int_equal(p->item_count, n);
	arena_fini(&a);
	buf_fini(&b);
}

static void
test_items(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_PASS, SPF_R_MATCH, "user@example.org") };

	(void)state;
	v.mailfrom.outcome.mechanism = SPAN("ip4:192.0.2.0/24");
	v.mailfrom.outcome.at = SPAN("example.org");
	expect_authres(&v, true, " mx.example.jp;\n\tspf=pass (matched ip4:192.0.2.0/24) smtp.mailfrom=user@example.org");
	v.helo = spf_of(SPF_NONE, SPF_R_NO_RECORD, "mx.example.org");
	expect_authres(&v, false, " mx.example.jp;\n\tspf=pass (matched ip4:192.0.2.0/24) smtp.mailfrom=user@example.org;\n"
	    "\tspf=none (no SPF record) smtp.helo=mx.example.org");
	v.mailfrom.is_evaluated = false;
	expect_authres(&v, false, " mx.example.jp;\n\tspf=none (no SPF record) smtp.helo=mx.example.org");
	v.helo.is_evaluated = false;
	expect_authres(&v, false, " mx.example.jp; none");
}

static void
test_hardfail_and_explanation(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_FAIL, SPF_R_MATCH, "user@example.org") };

	(void)state;
	v.mailfrom.outcome.mechanism = SPAN("-all");
	expect_authres(&v, false, " mx.example.jp;\n\tspf=fail (matched -all) smtp.mailfrom=user@example.org");
	expect_authres(&v, true, " mx.example.jp;\n\tspf=hardfail (matched -all) smtp.mailfrom=user@example.org");
	v.mailfrom.outcome.explanation = SPAN("See http://example.org/why");
	expect_authres(&v, false, " mx.example.jp;\n\tspf=fail (matched -all) reason=\"See http://example.org/why\"\n"
	    "\tsmtp.mailfrom=user@example.org");
	v.mailfrom.outcome.result = SPF_SOFTFAIL;       /* only a fail is explained */
	expect_authres(&v, true, " mx.example.jp;\n\tspf=softfail (matched -all) smtp.mailfrom=user@example.org");
}

static void
test_every_result_has_its_word(void **state)
{
	static const char *const words[] = { "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror" };
	int result;

	(void)state;
	for (result = SPF_NONE; result <= SPF_PERMERROR; result++) {
		struct verdict v = { .mailfrom = spf_of((enum spf_result)result, SPF_R_DEFAULT, "") };
		char want[100];

		snprintf(want, sizeof(want), " mx.example.jp;\n\tspf=%s (no mechanism matched)", words[result]);
		expect_authres(&v, false, want);
	}
}

static void
test_hostile_identities(void **state)
{
	static const struct { const char *identity, *want; } rows[] = {
		{ "any@legit(a.attack", "\"any@legit(a.attack\"" },
		{ "any@legit'@any.attack", "\"any@legit'@any.attack\"" },
		{ "(any@legit", "\"(any@legit\"" },
		{ "x\"; dmarc=pass a.b=c", "\"x\\\"; dmarc=pass a.b=c\"" },
		{ "a\r\nX: y", "\"a??X: y\"" },
		{ "[192.0.2.1]", "\"[192.0.2.1]\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct verdict v = {
			.mailfrom = spf_of(SPF_NONE, SPF_R_BAD_DOMAIN, rows[i].identity),
			.helo = spf_of(SPF_NONE, SPF_R_BAD_DOMAIN, rows[i].identity),
		};
		char want[300];

		snprintf(want, sizeof(want), " mx.example.jp;\n\tspf=none (not a domain name) smtp.mailfrom=%s;\n"
		    "\tspf=none (not a domain name) smtp.helo=%s", rows[i].want, rows[i].want);
		expect_authres(&v, false, want);
	}
}

static void
test_hostile_record(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_FAIL, SPF_R_MATCH, "u@attack.example") };

	(void)state;
	v.mailfrom.outcome.mechanism = SPAN("exists:x); dmarc=pass (\"\\\r\n");
	v.mailfrom.outcome.explanation = SPAN("x\" \r\nDKIM-Signature: a; dmarc=pass");
	expect_authres(&v, false, " mx.example.jp;\n\tspf=fail (matched exists:x], dmarc=pass ['/?" "?)\n"
	    "\treason=\"x\\\" ??DKIM-Signature: a; dmarc=pass\"\n\tsmtp.mailfrom=u@attack.example");
}

static void
test_items_at_the_arena_ceiling(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_PASS, SPF_R_MATCH, "user@example.org") };
	struct authres_item items[1];
	struct arena a;

	(void)state;
	arena_init(&a, 256, 1 * KIB);
	a.fail_at = 1;
	assert_int_equal(verdict_items(&v, false, &a, items, 1), 1);
	assert_true(span_is_null(items[0].comment));
	assert_string_equal(items[0].result, "pass");
	v.helo = v.mailfrom;
	assert_int_equal(verdict_items(&v, false, &a, items, 1), 1);
	assert_int_equal(verdict_items(&v, false, &a, items, 0), 0);
	arena_fini(&a);
}

/* ---- Received-SPF ---- */

static struct ip
ip_of(const char *text)
{
	struct ip ip = { .is_set = false };

	if (text != NULL)
		assert_int_equal(ip_parse(span_cstr(text), &ip), RC_OK);
	return ip;
}

static void
expect_received(const struct verdict *v, const char *client, const char *helo, const char *sender, const char *want)
{
	struct buf b = buf_heap(16 * KIB);
	struct ip ip = ip_of(client);

	assert_int_equal(verdict_received_spf(&b, v, &ip, span_cstr(helo), span_cstr(sender), SPAN("mx.example.jp")), RC_OK);
	assert_span(buf_text(&b), want);
	buf_fini(&b);
}

static void
test_received_spf(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_PASS, SPF_R_MATCH, "user@example.org") };

	(void)state;
	v.mailfrom.outcome.mechanism = SPAN("ip4:192.0.2.0/24");
	expect_received(&v, "192.0.2.1", "mx.example.org", "user@example.org",
	    " pass (mx.example.jp: domain of user@example.org designates\n"
	    " 192.0.2.1 as permitted sender)\n"
	    "\treceiver=mx.example.jp; identity=mailfrom; client-ip=192.0.2.1;\n"
	    "\tenvelope-from=\"user@example.org\"; helo=mx.example.org;\n"
	    "\tmechanism=\"ip4:192.0.2.0/24\";");
	v.mailfrom = spf_of(SPF_NEUTRAL, SPF_R_DEFAULT, "postmaster@h.example");
	expect_received(&v, "2001:db8::1", "h.example", "",
	    " neutral (mx.example.jp: 2001:db8::1 is neither permitted nor\n"
	    " denied by domain of postmaster@h.example)\n"
	    "\treceiver=mx.example.jp; identity=mailfrom; client-ip=\"2001:db8::1\";\n"
	    "\tenvelope-from=\"<>\"; helo=h.example; mechanism=default;");
	v.mailfrom = spf_of(SPF_SOFTFAIL, SPF_R_MATCH, "u@e.example");
	v.mailfrom.outcome.mechanism = SPAN("~all");
	expect_received(&v, "192.0.2.1", "h", "u@e.example",
	    " softfail (mx.example.jp: domain of transitioning u@e.example\n"
	    " does not designate 192.0.2.1 as permitted sender)\n"
	    "\treceiver=mx.example.jp; identity=mailfrom; client-ip=192.0.2.1;\n"
	    "\tenvelope-from=\"u@e.example\"; helo=h; mechanism=~all;");
	v.mailfrom = spf_of(SPF_PERMERROR, SPF_R_SYNTAX, "u@e.example");
	v.mailfrom.outcome.detail = SPAN("unknown mechanism");
	expect_received(&v, NULL, "", "u@e.example",
	    " permerror (mx.example.jp: domain of u@e.example: syntax error\n"
	    " in the SPF record: unknown mechanism)\n"
	    "\treceiver=mx.example.jp; identity=mailfrom;\n"
	    "\tenvelope-from=\"u@e.example\";\n"
	    "\tproblem=\"syntax error in the SPF record: unknown mechanism\";");
	v.mailfrom = spf_of(SPF_NONE, SPF_R_NO_RECORD, "u@e.example");
	expect_received(&v, "192.0.2.1", "h", "u@e.example",
	    " none (mx.example.jp: domain of u@e.example: no SPF record)\n"
	    "\treceiver=mx.example.jp; identity=mailfrom; client-ip=192.0.2.1;\n"
	    "\tenvelope-from=\"u@e.example\"; helo=h;");
}

/* What is left without comments and quoted-strings: our own words alone. */
static void
check_skeleton(struct span text)
{
	struct scan s = scan_of(text);
	struct buf out = buf_heap(16 * KIB);

	while (!scan_at_end(&s)) {
		if (scan_peek(&s) == '(')
			assert_int_equal(scan_cfws(&s, 1), RC_OK);
		else if (scan_peek(&s) == '"')
			assert_int_equal(scan_quoted(&s, true, NULL), RC_OK);
		else if (scan_fws(&s) == 0)
			buf_byte(&out, s.text.p[s.at++]);
	}
	assert_true(strstr(buf_text(&out).p, "receiver=mx;identity=mailfrom;client-ip=192.0.2.1;envelope-from=;helo=") != NULL);
	assert_int_equal(span_find(buf_text(&out), ')'), out.n);
	assert_int_equal(span_find(buf_text(&out), '\\'), out.n);
	buf_fini(&out);
}

/* Whatever comes from outside, the lines stay lines, and each comment and quote is closed. */
static void
test_received_spf_is_harmless(void **state)
{
	static const char *const evil[] = {
		"x\r\nDKIM-Signature: y", "a) ; pass (", "\"; receiver=evil; x=\"", "\\", "\xff\xfe", "((((((", "a b c d e f g h i j k l m n o p q r s t u v w x y z",
	};
	size_t i, r;

	(void)state;
	for (i = 0; i < ARRAY_LEN(evil); i++) {
		for (r = SPF_NONE; r <= SPF_PERMERROR; r++) {
			struct verdict v = { .mailfrom = spf_of((enum spf_result)r, r < 5 ? SPF_R_MATCH : SPF_R_SYNTAX, evil[i]) };
			struct buf b = buf_heap(16 * KIB);
			struct ip ip = ip_of("192.0.2.1");
			struct span rest, line;

			v.mailfrom.outcome.mechanism = v.mailfrom.outcome.detail = v.mailfrom.outcome.at = v.mailfrom.identity;
			assert_int_equal(verdict_received_spf(&b, &v, &ip, v.mailfrom.identity, v.mailfrom.identity, SPAN("mx")), RC_OK);
			for (rest = buf_text(&b); span_split(&rest, '\n', &line); ) {
				assert_in_range(line.n, 2, 600);
				assert_true(line.p[0] == ' ' || line.p[0] == '\t');
				assert_int_equal(span_find(line, '\r'), line.n);
			}
			assert_non_null(strstr(b.p, " identity=mailfrom; client-ip=192.0.2.1;"));
			assert_int_equal(b.p[b.n - 1], ';');
			check_skeleton(buf_text(&b));
			buf_fini(&b);
		}
	}
}

static void
test_received_spf_refusals(void **state)
{
	struct verdict v = { .mailfrom = spf_of(SPF_PASS, SPF_R_MATCH, "user@example.org") };
	struct ip ip = ip_of("192.0.2.1");
	struct buf b = buf_heap(40);

	(void)state;
	assert_int_equal(verdict_received_spf(&b, &v, &ip, SPAN("h"), SPAN("u@h"), SPAN("mx")), RC_LIMIT);
	buf_clear(&b);
	v.mailfrom.is_evaluated = false;
	v.helo = spf_of(SPF_PASS, SPF_R_MATCH, "h");
	assert_int_equal(verdict_received_spf(&b, &v, &ip, SPAN("h"), SPAN("u@h"), SPAN("mx")), RC_NONE);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_why_of_every_reason_is_short),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_hardfail_and_explanation),
		cmocka_unit_test(test_every_result_has_its_word),
		cmocka_unit_test(test_hostile_identities),
		cmocka_unit_test(test_hostile_record),
		cmocka_unit_test(test_items_at_the_arena_ceiling),
		cmocka_unit_test(test_received_spf),
		cmocka_unit_test(test_received_spf_is_harmless),
		cmocka_unit_test(test_received_spf_refusals),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
