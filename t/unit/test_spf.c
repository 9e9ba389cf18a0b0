/* spf: check_host() of RFC 7208 over zones: results, limits, errors, order of questions, lack of memory. */
#include "t/unit/spf_unit.h"

#include <stdio.h>

#include "common/base/buf.h"

struct row {
	const char *what;
	const char *zone;               /* of example.org and friends */
	const char *ip;
	enum spf_result result;
	enum spf_reason reason;
	const char *mechanism;          /* NULL: absent */
	const char *at;                 /* NULL: not looked at */
};

static void
run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &rows[i];
		struct spf_query q = bed_query(r->ip, "user", "example.org");
		struct spf_outcome out;
		struct bed bed;

		bed_init(&bed, r->zone, 250);
		out = bed_check(&bed, &q, NULL);
		if (out.result != r->result || out.reason != r->reason)
			fail_msg("%s: got %s (%s), want %s (%s)", r->what, spf_result_name(out.result), spf_reason_text(out.reason),
			    spf_result_name(r->result), spf_reason_text(r->reason));
		if (!span_eq(out.mechanism, bed_span(r->mechanism)) || (r->at != NULL && !span_eq(out.at, span_cstr(r->at))))
			fail_msg("%s: mechanism \"%.*s\" at \"%.*s\"", r->what, SPAN_ARGS(out.mechanism), SPAN_ARGS(out.at));
		bed_fini(&bed);
	}
}

static void
test_selection(void **state)
{
	static const struct row rows[] = {
		{ "no name", "", "192.0.2.1", SPF_NONE, SPF_R_NO_DOMAIN, NULL, "example.org" },
		{ "no TXT", "example.org A 192.0.2.1", "192.0.2.1", SPF_NONE, SPF_R_NO_RECORD, NULL, "example.org" },
		{ "other TXT", "example.org TXT \"hello\"\nexample.org TXT \"spf2.0/pra -all\"\nexample.org TXT \"v=spf10\"", "192.0.2.1",
		  SPF_NONE, SPF_R_NO_RECORD, NULL, "example.org" },
		{ "one of many", "example.org TXT \"hello\"\nexample.org TXT \"v=spf1 -all\"\nexample.org TXT \"\\128\"", "192.0.2.1",
		  SPF_FAIL, SPF_R_MATCH, "-all", "example.org" },
		{ "two", "example.org TXT \"v=spf1 -all\"\nexample.org TXT \"v=spf1 +all\"", "192.0.2.1", SPF_PERMERROR, SPF_R_MANY_RECORDS,
		  NULL, "example.org" },
		{ "two, one broken", "example.org TXT \"v=spf1 -all\"\nexample.org TXT \"v=spf1 moo\"", "192.0.2.1", SPF_PERMERROR,
		  SPF_R_MANY_RECORDS, NULL, NULL },
		{ "two equal", "example.org TXT \"v=spf1 -all\"\nexample.org TXT \"v=spf1  -all\"", "192.0.2.1", SPF_PERMERROR,
		  SPF_R_MANY_RECORDS, NULL, NULL },
		{ "version alone", "example.org TXT \"v=spf1\"", "192.0.2.1", SPF_NEUTRAL, SPF_R_DEFAULT, NULL, "example.org" },
		{ "strings joined", "example.org TXT \"v=sp\" \"f1 ip4:192.\" \"0.2.1 -all\"", "192.0.2.1", SPF_PASS, SPF_R_MATCH,
		  "ip4:192.0.2.1", "example.org" },
		{ "joined without a blank", "example.org TXT \"v=spf1\" \"-all\"", "192.0.2.1", SPF_NONE, SPF_R_NO_RECORD, NULL, NULL },
		{ "through CNAME", "example.org CNAME b.example\nb.example TXT \"v=spf1 a -all\"\nb.example A 192.0.2.1", "192.0.2.1",
		  SPF_PASS, SPF_R_MATCH, "a", "example.org" },
		{ "syntax error after a match", "example.org TXT \"v=spf1 +all moo\"", "192.0.2.1", SPF_PERMERROR, SPF_R_SYNTAX, NULL,
		  "example.org" },
		{ "not ASCII", "example.org TXT \"v=spf1 +all x=\\195\\169\"", "192.0.2.1", SPF_PERMERROR, SPF_R_SYNTAX, NULL, NULL },
		{ "case", "EXAMPLE.ORG TXT \"V=Spf1 IP4:192.0.2.1 -ALL\"", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "IP4:192.0.2.1", NULL },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_mechanisms(void **state)
{
	static const struct row rows[] = {
		{ "ip4", "example.org TXT \"v=spf1 ip4:192.0.2.0/24 -all\"", "192.0.2.255", SPF_PASS, SPF_R_MATCH, "ip4:192.0.2.0/24", NULL },
		{ "ip4 beside", "example.org TXT \"v=spf1 ip4:192.0.2.0/24 -all\"", "192.0.3.0", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ip4 odd prefix", "example.org TXT \"v=spf1 ip4:192.0.2.8/29 -all\"", "192.0.2.15", SPF_PASS, SPF_R_MATCH, "ip4:192.0.2.8/29", NULL },
		{ "ip4 odd prefix beside", "example.org TXT \"v=spf1 ip4:192.0.2.8/29 -all\"", "192.0.2.16", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ip4 for v6", "example.org TXT \"v=spf1 ip4:0.0.0.0/0 -all\"", "::1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "v4-mapped client", "example.org TXT \"v=spf1 ip4:192.0.2.1 -all\"", "::ffff:192.0.2.1", SPF_PASS, SPF_R_MATCH, "ip4:192.0.2.1", NULL },
		{ "ip6", "example.org TXT \"v=spf1 ip6:2001:db8::/33 -all\"", "2001:db8:7fff::1", SPF_PASS, SPF_R_MATCH, "ip6:2001:db8::/33", NULL },
		{ "ip6 beside", "example.org TXT \"v=spf1 ip6:2001:db8::/33 -all\"", "2001:db8:8000::1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ip6 for v4", "example.org TXT \"v=spf1 ip6:::/0 -all\"", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ip6 mapped for v4", "example.org TXT \"v=spf1 ip6:::ffff:192.0.2.1 -all\"", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ip6 everything", "example.org TXT \"v=spf1 ip6:::/0 -all\"", "ffff::1", SPF_PASS, SPF_R_MATCH, "ip6:::/0", NULL },
		{ "link-local", "example.org TXT \"v=spf1 ip6:fe80::/10 -all\"", "fe80::1", SPF_PASS, SPF_R_MATCH, "ip6:fe80::/10", NULL },
		{ "softfail", "example.org TXT \"v=spf1 ~all\"", "192.0.2.1", SPF_SOFTFAIL, SPF_R_MATCH, "~all", NULL },
		{ "neutral", "example.org TXT \"v=spf1 ?all\"", "192.0.2.1", SPF_NEUTRAL, SPF_R_MATCH, "?all", NULL },
		{ "first match counts", "example.org TXT \"v=spf1 ?ip4:192.0.2.1 -ip4:192.0.2.0/24 all\"", "192.0.2.1", SPF_NEUTRAL, SPF_R_MATCH,
		  "?ip4:192.0.2.1", NULL },
		{ "a, own domain", "example.org TXT \"v=spf1 a -all\"\nexample.org A 192.0.2.1", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "a", NULL },
		{ "a, any of many", "example.org TXT \"v=spf1 a:m.example -all\"\nm.example A 192.0.2.1\nm.example A 192.0.2.2\nm.example A 192.0.2.3",
		  "192.0.2.3", SPF_PASS, SPF_R_MATCH, "a:m.example", NULL },
		{ "a with a network", "example.org TXT \"v=spf1 a:m.example/24 -all\"\nm.example A 192.0.2.1", "192.0.2.77", SPF_PASS, SPF_R_MATCH,
		  "a:m.example/24", NULL },
		{ "a, v6", "example.org TXT \"v=spf1 a:m.example//64 -all\"\nm.example AAAA 2001:db8::1\nm.example A 192.0.2.1", "2001:db8::99",
		  SPF_PASS, SPF_R_MATCH, "a:m.example//64", NULL },
		{ "a, family", "example.org TXT \"v=spf1 a:m.example//0 -all\"\nm.example AAAA 2001:db8::1", "192.0.2.1", SPF_FAIL, SPF_R_MATCH,
		  "-all", NULL },
		{ "a, impossible name", "example.org TXT \"v=spf1 a:a..example -all\"", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "mx", "example.org TXT \"v=spf1 mx -all\"\nexample.org MX 10 m1.example\nexample.org MX 20 m2.example\nm1.example A 192.0.2.1\n"
		  "m2.example A 192.0.2.2", "192.0.2.2", SPF_PASS, SPF_R_MATCH, "mx", NULL },
		{ "mx, none implied", "example.org TXT \"v=spf1 mx -all\"\nexample.org A 192.0.2.1", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "mx, null", "example.org TXT \"v=spf1 mx -all\"\nexample.org MX 0 .", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "exists", "example.org TXT \"v=spf1 exists:%{ir}.%{l}.x.example -all\"\n1.2.0.192.user.x.example A 127.0.0.2", "192.0.2.1",
		  SPF_PASS, SPF_R_MATCH, "exists:%{ir}.%{l}.x.example", NULL },
		{ "exists asks A for v6", "example.org TXT \"v=spf1 exists:x.example -all\"\nx.example A 127.0.0.2", "2001:db8::1", SPF_PASS,
		  SPF_R_MATCH, "exists:x.example", NULL },
		{ "exists, AAAA alone", "example.org TXT \"v=spf1 exists:x.example -all\"\nx.example AAAA ::1", "2001:db8::1", SPF_FAIL, SPF_R_MATCH,
		  "-all", NULL },
		{ "ptr", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR m.example.org\nm.example.org A 192.0.2.1", "192.0.2.1",
		  SPF_PASS, SPF_R_MATCH, "ptr", NULL },
		{ "ptr, not validated", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR m.example.org\nm.example.org A 192.0.2.9",
		  "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ptr, bad-example", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR m.bad-example.org\nm.bad-example.org A 192.0.2.1",
		  "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ptr, dot inside a label", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR m\\.example.org\n"
		  "m\\.example.org A 192.0.2.1", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ptr, length byte inside a label", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR m\\007example.org\n"
		  "m\\007example.org A 192.0.2.1", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ptr, v6", "example.org TXT \"v=spf1 ptr:example.net -all\"\n"
		  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR m.Example.NET\nm.example.net AAAA 2001:db8::1",
		  "2001:db8::1", SPF_PASS, SPF_R_MATCH, "ptr:example.net", NULL },
		{ "all", "example.org TXT \"v=spf1 +all\"", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "+all", NULL },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* The table of section 5.2, and section 6.1. */
static void
test_include_redirect(void **state)
{
	static const struct row rows[] = {
		{ "include pass", "example.org TXT \"v=spf1 -include:b.example ~all\"\nb.example TXT \"v=spf1 all\"", "192.0.2.1", SPF_FAIL, SPF_R_MATCH,
		  "-include:b.example", "example.org" },
		{ "include fail", "example.org TXT \"v=spf1 include:b.example ~all\"\nb.example TXT \"v=spf1 -all\"", "192.0.2.1", SPF_SOFTFAIL,
		  SPF_R_MATCH, "~all", "example.org" },
		{ "include softfail", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 ~all\"", "192.0.2.1", SPF_FAIL,
		  SPF_R_MATCH, "-all", "example.org" },
		{ "include neutral", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1\"", "192.0.2.1", SPF_FAIL, SPF_R_MATCH,
		  "-all", "example.org" },
		{ "include temperror", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example SERVFAIL", "192.0.2.1", SPF_TEMPERROR,
		  SPF_R_DNS_ERROR, "include:b.example", "b.example" },
		{ "include permerror", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 moo\"", "192.0.2.1", SPF_PERMERROR,
		  SPF_R_SYNTAX, NULL, "b.example" },
		{ "include none", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example A 192.0.2.1", "192.0.2.1", SPF_PERMERROR,
		  SPF_R_INCLUDE_NONE, "include:b.example", "example.org" },
		{ "include of nothing", "example.org TXT \"v=spf1 include:b.example -all\"", "192.0.2.1", SPF_PERMERROR, SPF_R_INCLUDE_NONE,
		  "include:b.example", "example.org" },
		{ "include of an impossible name", "example.org TXT \"v=spf1 include:b..example -all\"", "192.0.2.1", SPF_PERMERROR,
		  SPF_R_INCLUDE_NONE, "include:b..example", "example.org" },
		{ "include's all is not ours", "example.org TXT \"v=spf1 include:b.example ?all\"\nb.example TXT \"v=spf1 ip4:192.0.2.9 -all\"",
		  "192.0.2.1", SPF_NEUTRAL, SPF_R_MATCH, "?all", "example.org" },
		{ "%{d} inside an include, and after it", "example.org TXT \"v=spf1 include:b.example exists:%{d}.x.example -all\"\n"
		  "b.example TXT \"v=spf1 exists:%{d}.y.example\"\nexample.org.x.example A 127.0.0.1\nexample.org.y.example A 127.0.0.1", "192.0.2.1",
		  SPF_PASS, SPF_R_MATCH, "exists:%{d}.x.example", "example.org" },
		{ "redirect", "example.org TXT \"v=spf1 ip4:192.0.2.9 redirect=b.example\"\nb.example TXT \"v=spf1 ~all\"", "192.0.2.1", SPF_SOFTFAIL,
		  SPF_R_MATCH, "~all", "b.example" },
		{ "redirect stands anywhere", "example.org TXT \"v=spf1 redirect=b.example ip4:192.0.2.1\"\nb.example TXT \"v=spf1 -all\"", "192.0.2.1",
		  SPF_PASS, SPF_R_MATCH, "ip4:192.0.2.1", "example.org" },
		{ "redirect beside all", "example.org TXT \"v=spf1 ?all redirect=b.example\"\nb.example TXT \"v=spf1 -all\"", "192.0.2.1",
		  SPF_NEUTRAL, SPF_R_MATCH, "?all", "example.org" },
		{ "redirect to none", "example.org TXT \"v=spf1 redirect=b.example\"", "192.0.2.1", SPF_PERMERROR, SPF_R_REDIRECT_NONE,
		  "redirect=b.example", "example.org" },
		{ "redirect to an impossible name", "example.org TXT \"v=spf1 redirect=b..example\"", "192.0.2.1", SPF_PERMERROR, SPF_R_REDIRECT_NONE,
		  "redirect=b..example", "example.org" },
		{ "redirect to an error", "example.org TXT \"v=spf1 redirect=b.example\"\nb.example TIMEOUT", "192.0.2.1", SPF_TEMPERROR,
		  SPF_R_DNS_ERROR, "redirect=b.example", "b.example" },
		{ "redirect inside an include", "example.org TXT \"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 redirect=c.example\"\n"
		  "c.example TXT \"v=spf1 ip4:192.0.2.1 -all\"", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "include:b.example", "example.org" },
		{ "redirect to itself", "example.org TXT \"v=spf1 redirect=example.org\"", "192.0.2.1", SPF_PERMERROR, SPF_R_LOOKUP_LIMIT,
		  "redirect=example.org", "example.org" },
		{ "include of itself", "example.org TXT \"v=spf1 include:example.org\"", "192.0.2.1", SPF_PERMERROR, SPF_R_LOOKUP_LIMIT,
		  "include:example.org", "example.org" },
		{ "include in a ring", "example.org TXT \"v=spf1 include:b.example\"\nb.example TXT \"v=spf1 include:example.org\"", "192.0.2.1",
		  SPF_PERMERROR, SPF_R_LOOKUP_LIMIT, "include:b.example", "example.org" },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_dns_errors(void **state)
{
	static const struct row rows[] = {
		{ "first record, servfail", "example.org SERVFAIL", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, "example.org" },
		{ "first record, timeout", "example.org TIMEOUT", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, "example.org" },
		{ "first record, garbage", "example.org GARBAGE", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, "example.org" },
		{ "a", "example.org TXT \"v=spf1 a:m.example -all\"\nm.example SERVFAIL", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, "a:m.example",
		  "m.example" },
		{ "a match before the error", "example.org TXT \"v=spf1 a:k.example a:m.example -all\"\nk.example A 192.0.2.1\nm.example SERVFAIL",
		  "192.0.2.1", SPF_PASS, SPF_R_MATCH, "a:k.example", NULL },
		{ "a match after the error", "example.org TXT \"v=spf1 a:m.example ip4:192.0.2.1 -all\"\nm.example SERVFAIL", "192.0.2.1",
		  SPF_TEMPERROR, SPF_R_DNS_ERROR, "a:m.example", "m.example" },
		{ "mx", "example.org TXT \"v=spf1 mx -all\"\nexample.org MX SERVFAIL", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, "mx",
		  "example.org" },
		{ "mx host", "example.org TXT \"v=spf1 mx -all\"\nexample.org MX 1 m1.example\nexample.org MX 2 m2.example\nm1.example SERVFAIL\n"
		  "m2.example A 192.0.2.1", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR, "mx", "m1.example" },
		{ "exists", "example.org TXT \"v=spf1 exists:m.example -all\"\nm.example TIMEOUT", "192.0.2.1", SPF_TEMPERROR, SPF_R_DNS_ERROR,
		  "exists:m.example", "m.example" },
		{ "ptr", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa SERVFAIL", "192.0.2.1", SPF_FAIL, SPF_R_MATCH, "-all", NULL },
		{ "ptr name", "example.org TXT \"v=spf1 ptr -all\"\n1.2.0.192.in-addr.arpa PTR b.example.org\n1.2.0.192.in-addr.arpa PTR c.example.org\n"
		  "b.example.org TIMEOUT\nc.example.org A 192.0.2.1", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "ptr", NULL },
		{ "%{p} is unknown", "example.org TXT \"v=spf1 exists:%{p}.x.example -all\"\n1.2.0.192.in-addr.arpa SERVFAIL\n"
		  "unknown.x.example A 127.0.0.1", "192.0.2.1", SPF_PASS, SPF_R_MATCH, "exists:%{p}.x.example", NULL },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* ---- limits: at each, and one past ---- */

static struct spf_outcome
check_zone(struct bed *bed, const char *zone, const char *ip, unsigned void_limit)
{
	struct spf_query q = bed_query(ip, "user", "example.org");

	q.void_limit = void_limit;
	bed_init(bed, zone, 250);
	return bed_check(bed, &q, NULL);
}

/* n terms of one kind that do not match, then one that does. */
static void
expect_lookups(const char *term, const char *zone, unsigned n, bool is_over)
{
	struct buf b = buf_heap(64 * KIB);
	struct spf_outcome out;
	struct bed bed;

	buf_fmt(&b, "%s\nexample.org TXT \"v=spf1", zone);
	for (unsigned i = 0; i < n; i++)
		buf_fmt(&b, " %s", term);
	buf_str(&b, " ip4:192.0.2.1 -all\"\n");
	out = check_zone(&bed, buf_text(&b).p, "192.0.2.1", 100);
	if (out.result != (is_over ? SPF_PERMERROR : SPF_PASS) || out.reason != (is_over ? SPF_R_LOOKUP_LIMIT : SPF_R_MATCH))
		fail_msg("%u times %s: %s (%s)", n, term, spf_result_name(out.result), spf_reason_text(out.reason));
	if (out.lookups != n)
		fail_msg("%s: counted %u, not %u", term, out.lookups, n);
	bed_fini(&bed);
	buf_fini(&b);
}

static void
test_lookup_limit(void **state)
{
	static const char zone[] =
	    "b.example TXT \"v=spf1 -all\"\nb.example A 192.0.2.9\nb.example MX 1 b.example\n"
	    "1.2.0.192.in-addr.arpa PTR b.example\nexample.org A 192.0.2.9";
	static const char *const terms[] = { "a:b.example", "mx:b.example", "include:b.example", "ptr:b.example", "exists:none.example" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(terms); i++) {
		expect_lookups(terms[i], zone, SPF_LOOKUPS_MAX, false);
		expect_lookups(terms[i], zone, SPF_LOOKUPS_MAX + 1, true);
	}
	expect_lookups("ip4:192.0.2.77", zone, 0, false);
}

/* Terms inside includes and behind redirects count together; one past the limit inside the last. */
static void
test_lookup_limit_nested(void **state)
{
	static const struct { const char *inner; bool is_over; } rows[] = {
		{ "a a a a a a a a", false }, { "a a a a a a a a a", true },
	};
	struct spf_outcome out;
	char zone[KIB];
	struct bed bed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(zone, sizeof zone, "example.org TXT \"v=spf1 include:b.example ip4:192.0.2.9 redirect=c.example\"\n"
		    "b.example TXT \"v=spf1 %s -all\"\nb.example A 192.0.2.9\nc.example TXT \"v=spf1 all\"", rows[i].inner);
		out = check_zone(&bed, zone, "192.0.2.1", 2);
		assert_int_equal(out.result, rows[i].is_over ? SPF_PERMERROR : SPF_PASS);
		assert_int_equal(out.lookups, rows[i].is_over ? 11 : 10);
		bed_fini(&bed);
	}
}

/* A chain of includes or redirects, n deep. */
static void
test_depth(void **state)
{
	static const char *const words[] = { "include:", "redirect=" };

	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(words); w++) {
		for (unsigned n = 9; n <= 100; n += n < 11 ? 1 : 89) {
			struct buf b = buf_heap(64 * KIB);
			struct spf_outcome out;
			struct bed bed;

			buf_fmt(&b, "example.org TXT \"v=spf1 %sn1.example\"\n", words[w]);
			for (unsigned i = 1; i < n; i++)
				buf_fmt(&b, "n%u.example TXT \"v=spf1 %sn%u.example\"\n", i, words[w], i + 1);
			buf_fmt(&b, "n%u.example TXT \"v=spf1 all\"\n", n);
			out = check_zone(&bed, buf_text(&b).p, "192.0.2.1", 2);
			if (out.result != (n <= 10 ? SPF_PASS : SPF_PERMERROR))
				fail_msg("%u deep: %s", n, spf_result_name(out.result));
			assert_true(bed.asked <= 11);
			bed_fini(&bed);
			buf_fini(&b);
		}
	}
}

static void
test_mx_limit(void **state)
{
	(void)state;
	for (unsigned n = SPF_NAMES_MAX; n <= SPF_NAMES_MAX + 1; n++) {
		struct buf b = buf_heap(64 * KIB);
		struct spf_outcome out;
		struct bed bed;

		buf_str(&b, "example.org TXT \"v=spf1 mx -all\"\n");
		for (unsigned i = 1; i <= n; i++)
			buf_fmt(&b, "example.org MX %u m%u.example\nm%u.example A 192.0.2.%u\n", i, i, i, i);
		/* Also the first host: the limit is about what the record asks for, not about luck. */
		for (unsigned i = 1; i <= n; i += n - 1) {
			char ip[32];

			snprintf(ip, sizeof ip, "192.0.2.%u", i);
			out = check_zone(&bed, buf_text(&b).p, ip, 2);
			assert_int_equal(out.result, n <= SPF_NAMES_MAX ? SPF_PASS : SPF_PERMERROR);
			assert_int_equal(out.reason, n <= SPF_NAMES_MAX ? SPF_R_MATCH : SPF_R_MX_LIMIT);
			assert_span(out.mechanism, "mx");
			bed_fini(&bed);
		}
		buf_fini(&b);
	}
}

/* Only the first ten names count, the others are ignored. */
static void
test_ptr_limit(void **state)
{
	(void)state;
	for (unsigned right = 10; right <= 11; right++) {
		struct buf b = buf_heap(64 * KIB);
		struct spf_outcome out;
		struct bed bed;

		buf_str(&b, "example.org TXT \"v=spf1 ptr -all\"\n");
		for (unsigned i = 1; i <= 11; i++)
			buf_fmt(&b, "1.2.0.192.in-addr.arpa PTR p%u.example.org\np%u.example.org A 192.0.2.%u\n", i, i, i == right ? 1 : 9);
		out = check_zone(&bed, buf_text(&b).p, "192.0.2.1", 2);
		assert_int_equal(out.result, right == 10 ? SPF_PASS : SPF_FAIL);
		bed_fini(&bed);
		buf_fini(&b);
	}
}

static void
test_void_limit(void **state)
{
	static const struct { const char *record; unsigned voids; } rows[] = {
		{ "a:v1.example", 1 }, { "a:v1.example a:v2.example", 2 }, { "a:v1.example mx:v2.example exists:v3.example", 3 },
		{ "a:nodata.example exists:v1.example", 2 }, { "ptr:example.org a:v1.example", 2 },
		{ "exists:%{p}.v.example exists:%{p}.w.example", 2 },
		/* a term counts once, however many of its questions came back empty */
		{ "mx:hosts.example", 1 }, { "mx:hosts.example a:v1.example", 2 }, { "a:v1.example a:v1.example a:v1.example", 3 },
	};
	static const char rest[] =
	    "nodata.example TXT \"x\"\nhosts.example MX 1 v1.example\nhosts.example MX 2 v2.example\nhosts.example MX 3 v3.example";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char zone[KIB];

		snprintf(zone, sizeof zone, "example.org TXT \"v=spf1 %s +all\"\n%s", rows[i].record, rest);
		for (unsigned limit = 0; limit <= 4; limit++) {
			struct bed bed;
			struct spf_outcome out = check_zone(&bed, zone, "192.0.2.1", limit);
			bool is_over = rows[i].voids > limit;

			if (out.result != (is_over ? SPF_PERMERROR : SPF_PASS) || out.reason != (is_over ? SPF_R_VOID_LIMIT : SPF_R_MATCH))
				fail_msg("%s, %u allowed: %s (%s)", rows[i].record, limit, spf_result_name(out.result),
				    spf_reason_text(out.reason));
			assert_int_equal(out.voids, is_over ? limit + 1 : rows[i].voids);
			bed_fini(&bed);
		}
	}
}

/* Our own limits are temperror, never the domain's fault and never a fail. */
static void
test_budget(void **state)
{
	static const char zone[] =
	    "example.org TXT \"v=spf1 a:b1.example a:b2.example ptr -all\"\nb1.example A 192.0.2.8\nb2.example A 192.0.2.9";
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");

	(void)state;
	for (size_t budget = 0; budget <= 4; budget++) {
		struct spf_outcome out;
		struct bed bed;

		bed_init(&bed, zone, budget);
		out = bed_check(&bed, &q, NULL);
		assert_int_equal(out.result, budget < 4 ? SPF_TEMPERROR : SPF_FAIL);
		assert_int_equal(out.reason, budget < 4 ? SPF_R_QUESTION_LIMIT : SPF_R_MATCH);
		assert_true(bed.asked <= budget);
		bed_fini(&bed);
	}
}

/* The deadline: whatever is missing is temperror, also where a DNS error would be forgiven. */
static void
test_deadline(void **state)
{
	static const char *const records[] = { "a:b.example -all", "ptr -all", "exists:%{p}.x.example -all", "include:b.example -all" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++) {
		struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
		struct spf_outcome out;
		struct bed bed;
		char zone[256];

		snprintf(zone, sizeof zone, "example.org TXT \"v=spf1 %s\"", records[i]);
		bed_init(&bed, zone, 250);
		assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
		bed_carry(&bed, &bed.questions);
		assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
		questions_close(&bed.questions);
		assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_OK);
		assert_int_equal(out.result, SPF_TEMPERROR);
		assert_int_equal(out.reason, SPF_R_DNS_ERROR);
		assert_int_equal(out.dns_status, DNS_TIMEOUT);
		bed_fini(&bed);
	}
}

/* ---- explanations ---- */

static void
test_explanation(void **state)
{
	static const struct { const char *zone; enum spf_result result; const char *want; } rows[] = {
		{ "example.org TXT \"v=spf1 -all exp=e.%{d}\"\ne.example.org TXT \"%{c} is no server of %{d}, %{s}\"", SPF_FAIL,
		  "192.0.2.1 is no server of example.org, user@example.org" },
		{ "example.org TXT \"v=spf1 ~all exp=e.example\"\ne.example TXT \"x\"", SPF_SOFTFAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example SERVFAIL", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"a\"\ne.example TXT \"b\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"a\" \" b\"", SPF_FAIL, "a b" },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"%{x}\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"\\195\\169\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"a\\013\\010b\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e..example\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"from %{p}\"", SPF_FAIL, "from unknown" },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"from %{p}\"\n1.2.0.192.in-addr.arpa PTR a.example\n"
		  "1.2.0.192.in-addr.arpa PTR b.example.org\na.example A 192.0.2.1\nb.example.org A 192.0.2.1", SPF_FAIL, "from b.example.org" },
		/* the redirected record's, and only that (section 6.2) */
		{ "example.org TXT \"v=spf1 redirect=b.example exp=e.example\"\nb.example TXT \"v=spf1 -all\"\ne.example TXT \"ours\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 redirect=b.example exp=e.example\"\nb.example TXT \"v=spf1 -all exp=f.example\"\ne.example TXT \"ours\"\n"
		  "f.example TXT \"of %{d}\"", SPF_FAIL, "of b.example" },
		/* never the included record's */
		{ "example.org TXT \"v=spf1 include:b.example -all exp=e.example\"\nb.example TXT \"v=spf1 -all exp=f.example\"\ne.example TXT \"ours\"\n"
		  "f.example TXT \"theirs\"", SPF_FAIL, "ours" },
		{ "example.org TXT \"v=spf1 -include:b.example\"\nb.example TXT \"v=spf1 +all exp=f.example\"\nf.example TXT \"theirs\"", SPF_FAIL, NULL },
		/* voids are used up, and it is fetched all the same */
		{ "example.org TXT \"v=spf1 a:v1.example a:v2.example -all exp=e.example\"\ne.example TXT \"text\"", SPF_FAIL, "text" },
		{ "example.org TXT \"v=spf1 a:v1.example a:v2.example -all exp=e.example\"", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 a:v1.example a:v2.example a:m.example -all exp=e.example\"\nm.example A 192.0.2.9", SPF_FAIL, NULL },
		{ "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"%{L} \\034%{l}\\034\"", SPF_FAIL, "user \"user\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;
		struct spf_outcome out = check_zone(&bed, rows[i].zone, "192.0.2.1", 2);

		assert_int_equal(out.result, rows[i].result);
		assert_int_equal(out.voids, strstr(rows[i].zone, "a:v1.example a:v2.example") != NULL ? 2 : 0);
		if (!span_eq(out.explanation, bed_span(rows[i].want)))
			fail_msg("%s: got \"%.*s\"", rows[i].zone, SPAN_ARGS(out.explanation));
		bed_fini(&bed);
	}
}

static void
test_explanation_off(void **state)
{
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	q.wants_explanation = false;
	bed_init(&bed, "example.org TXT \"v=spf1 -all exp=e.example\"\ne.example TXT \"x\"", 250);
	out = bed_check(&bed, &q, NULL);
	assert_int_equal(out.result, SPF_FAIL);
	assert_null(out.explanation.p);
	assert_int_equal(bed.asked, 1);
	assert_false(out.depends_on_message);
	bed_fini(&bed);
}

/* ---- what is asked, and when ---- */

static bool
has_asked(const struct bed *bed, const char *name, uint16_t type)
{
	struct dns_name wire;

	assert_int_equal(dns_name_from_text(span_cstr(name), &wire), RC_OK);
	for (size_t i = 0; i < bed->questions.n; i++)
		if (bed->questions.v[i]->type == type && dns_name_eq(&bed->questions.v[i]->name, &wire))
			return true;
	return false;
}

static void
test_rounds(void **state)
{
	static const struct { const char *zone; unsigned rounds; size_t asked; } rows[] = {
		{ "example.org TXT \"v=spf1 ip4:192.0.2.1 -all\"", 1, 1 },
		{ "example.org TXT \"v=spf1 a mx:m.example -all\"\nexample.org A 192.0.2.8\nm.example MX 1 h.example\nh.example A 192.0.2.9", 3, 4 },
		/* five includes, their records, and what those ask: three rounds, not eleven */
		{ "example.org TXT \"v=spf1 include:b1.example include:b2.example include:b3.example include:b4.example include:b5.example -all\"\n"
		  "b1.example TXT \"v=spf1 a\"\nb2.example TXT \"v=spf1 a\"\nb3.example TXT \"v=spf1 a\"\nb4.example TXT \"v=spf1 a\"\n"
		  "b5.example TXT \"v=spf1 a\"\nb1.example A 192.0.2.8\nb2.example A 192.0.2.8\nb3.example A 192.0.2.8\nb4.example A 192.0.2.8\n"
		  "b5.example A 192.0.2.8", 3, 11 },
		/* all hosts of an mx, and the redirect, together */
		{ "example.org TXT \"v=spf1 mx redirect=r.example\"\nexample.org MX 1 h1.example\nexample.org MX 2 h2.example\n"
		  "example.org MX 3 h3.example\nh1.example A 192.0.2.8\nh2.example A 192.0.2.8\nh3.example A 192.0.2.8\nr.example TXT \"v=spf1 -all\"", 3, 6 },
		/* a match ends the asking ahead */
		{ "example.org TXT \"v=spf1 a:m.example ip4:192.0.2.1 include:b.example a:n.example -all\"\nm.example A 192.0.2.8", 2, 2 },
		/* a redirect that "all" cancels is not asked for */
		{ "example.org TXT \"v=spf1 a redirect=r.example ?all\"\nexample.org A 192.0.2.8", 2, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct bed bed;

		check_zone(&bed, rows[i].zone, "192.0.2.1", 2);
		if (bed.rounds != rows[i].rounds || bed.asked != rows[i].asked)
			fail_msg("%s: %u rounds, %zu questions", rows[i].zone, bed.rounds, bed.asked);
		bed_fini(&bed);
	}
}

/* Names that tell something about the message, and exists, go out only when their turn has come. */
static void
test_never_ahead(void **state)
{
	static const char zone[] =
	    "example.org TXT \"v=spf1 a:m.example exists:x.example include:%{l}.example a:%{d}.k.example ptr -all\"\nm.example A 192.0.2.1";
	struct bed bed;
	struct spf_outcome out = check_zone(&bed, zone, "192.0.2.1", 2);

	(void)state;
	assert_int_equal(out.result, SPF_PASS);
	assert_false(has_asked(&bed, "x.example", DNS_A));
	assert_false(has_asked(&bed, "user.example", DNS_TXT));
	assert_false(has_asked(&bed, "example.org.k.example", DNS_A));
	assert_false(has_asked(&bed, "1.2.0.192.in-addr.arpa", DNS_PTR));
	assert_int_equal(bed.asked, 2);
	bed_fini(&bed);
}

/* Ahead only while half of the budget is free; and the eleventh term is never asked for. */
static void
test_ahead_is_bounded(void **state)
{
	struct buf b = buf_heap(64 * KIB);
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	buf_str(&b, "example.org TXT \"v=spf1");
	for (int i = 0; i < 30; i++)
		buf_fmt(&b, " a:n%d.example", i);
	buf_str(&b, " -all\"\nexample A 192.0.2.1\n");
	bed_init(&bed, buf_text(&b).p, 250);
	assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
	bed_carry(&bed, &bed.questions);
	assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
	assert_int_equal(bed.questions.n, 1 + SPF_LOOKUPS_MAX);
	bed_fini(&bed);
	bed_init(&bed, buf_text(&b).p, 8);
	assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
	bed_carry(&bed, &bed.questions);
	assert_int_equal(spf_check(&bed.arena, &bed.questions, &q, NULL, &out), RC_WAIT);
	assert_int_equal(bed.questions.n, 4);
	bed_fini(&bed);
	buf_fini(&b);
}

/* ---- identities and other inputs ---- */

static void
test_domains(void **state)
{
	static const struct { const char *domain; bool is_asked; } rows[] = {
		{ "example.org", true }, { "EXAMPLE.ORG", true }, { "example.org.", true }, { "b\xc3\xbc" "cher.example", true }, { "_x.example", true },
		{ "", false }, { ".", false }, { "org", false }, { "org.", false }, { "[192.0.2.1]", false }, { "[IPv6:::1]", false }, { "192.0.2.1", false },
		{ "a..example", false }, { ".example.org", false }, { "legit(a.attack", false }, { "legit'a.attack", false }, { "a b.example", false },
		{ "example.net(.example.com", false }, { "a@b.example", false }, { "-a.example", false }, { "a\\.b.example", false },
		{ "a123456789012345678901234567890123456789012345678901234567890123.example", false },
		{ "a12345678901234567890123456789012345678901234567890123456789012.example", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_query q = bed_query("192.0.2.1", "user", "x.example");
		struct span domain = exact(rows[i].domain);
		struct spf_outcome out;
		struct bed bed;

		bed_init(&bed, "", 250);
		q.domain = q.sender_domain = domain;
		out = bed_check(&bed, &q, NULL);
		assert_int_equal(out.result, SPF_NONE);
		if (out.reason != (rows[i].is_asked ? SPF_R_NO_DOMAIN : SPF_R_BAD_DOMAIN) || bed.asked != rows[i].is_asked)
			fail_msg("\"%s\": %s, %zu asked", rows[i].domain, spf_reason_text(out.reason), bed.asked);
		bed_fini(&bed);
		exact_free(domain);
	}
}

static void
test_no_client(void **state)
{
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	q.client.is_set = false;
	bed_init(&bed, "example.org TXT \"v=spf1 +all\"", 250);
	out = bed_check(&bed, &q, NULL);
	assert_int_equal(out.result, SPF_NONE);
	assert_int_equal(out.reason, SPF_R_NO_CLIENT);
	assert_int_equal(bed.asked, 0);
	bed_fini(&bed);
}

/* RFC 8616 section 4. */
static void
test_international(void **state)
{
	static const char zone[] =
	    "xn--bcher-kva.example TXT \"v=spf1 -exists:%{l}.x.example -include:%{L}.y.example -exists:%{s} "
	    "exists:%{o}.z.example exists:%{h}.h.example -all redirect=%{l}.r.example\"\n"
	    "xn--bcher-kva.example.z.example NODATA\nxn--mx-xka.example.h.example A 127.0.0.1";
	struct spf_query q = bed_query("192.0.2.1", "j\xc3\xbcrgen", "B\xc3\xbc" "cher.example");
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	q.helo = SPAN("m\xc3\xbcx.example");
	bed_init(&bed, zone, 250);
	out = bed_check(&bed, &q, NULL);
	if (!has_asked(&bed, "xn--bcher-kva.example.z.example", DNS_A))
		fail_msg("%%{o} is not in A-labels");
	assert_int_equal(bed.asked, 3);         /* the record, %{o}, %{h}: nothing with the local part */
	assert_int_equal(out.lookups, 5);
	assert_true(out.depends_on_message);
	bed_fini(&bed);

	/* Skipped because of the local part is dependent on it, too. */
	q = bed_query("192.0.2.1", "j\xc3\xbcrgen", "example.org");
	bed_init(&bed, "example.org TXT \"v=spf1 exists:%{l}.x.example redirect=%{L}.r.example\"", 250);
	out = bed_check(&bed, &q, NULL);
	assert_int_equal(out.result, SPF_NEUTRAL);
	assert_true(out.depends_on_message);
	assert_int_equal(bed.asked, 1);
	bed_fini(&bed);
}

/* Names that no DNS server knows are not asked for, and count as not found. */
static void
test_unaskable(void **state)
{
	static const char *const helos[] = { "\xff.\xfe", "a.\x80.example", "localhost", "a..b", ".a.example", "", "." };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(helos); i++) {
		struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
		struct spf_outcome out;
		struct bed bed;

		q.helo = exact(helos[i]);
		bed_init(&bed, "example.org TXT \"v=spf1 a:%{h} mx:%{h} exists:%{h} ptr:%{h} ~all\"", 250);
		out = bed_check(&bed, &q, NULL);
		assert_int_equal(out.result, SPF_SOFTFAIL);
		assert_int_equal(out.lookups, 4);
		assert_int_equal(out.voids, 0);
		if (bed.asked != 1)
			fail_msg("HELO %zu: %zu questions", i, bed.asked);
		bed_fini(&bed);
		exact_free(q.helo);
	}
}

static void
test_hostile_helo(void **state)
{
	static const char *const helos[] = { "%%%%%%%%%%%%%%%%%%%%%%", "OEMCOMPUTER", "a\\.b", "\x01\x02.\x7f", "a b c", "\xff.\xfe", "..", ".", "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(helos); i++) {
		struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
		struct spf_outcome out;
		struct bed bed;

		q.helo = exact(helos[i]);
		bed_init(&bed, "example.org TXT \"v=spf1 a:%{h} a:%{H} a:%{h}.example a:%{h1r}.example ~all\"", 250);
		q.void_limit = 10;
		out = bed_check(&bed, &q, NULL);
		assert_int_equal(out.result, SPF_SOFTFAIL);
		bed_fini(&bed);
		exact_free(q.helo);
	}
}

static void
test_sender(void **state)
{
	struct spf_query q = bed_query("192.0.2.1", "", "example.org");
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, "example.org TXT \"v=spf1 exists:%{l}.%{o}.x.example -all\"\npostmaster.sender.example.x.example A 127.0.0.1", 250);
	q.sender_domain = SPAN("sender.example");
	out = bed_check(&bed, &q, NULL);
	assert_int_equal(out.result, SPF_PASS);
	bed_fini(&bed);
}

/* ---- facts for the caller ---- */

static void
test_depends(void **state)
{
	static const struct { const char *record; bool want; } rows[] = {
		{ "ip4:192.0.2.1 -all", false }, { "a:%{d}.x.example ?all", false }, { "exists:%{ir}.%{v}.%{d2} ?all", false },
		{ "exists:%{l}.example ?all", true }, { "exists:%{s} ?all", true }, { "a:%{o} ?all", true }, { "a:%{h} ?all", true },
		{ "exists:%{p}.x.example ?all", true }, { "ptr ?all", true }, { "-all exp=e.example", true }, { "ip4:192.0.2.1 exp=e.example", false },
		{ "ip4:192.0.2.1 exists:%{l}.example", false }, { "redirect=%{l}.example", true }, { "x=%{l}%{h} ?all", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_outcome out;
		struct bed bed;
		char zone[256];

		snprintf(zone, sizeof zone, "example.org TXT \"v=spf1 %s\"", rows[i].record);
		out = check_zone(&bed, zone, "192.0.2.1", 10);
		if (out.depends_on_message != rows[i].want)
			fail_msg("%s", rows[i].record);
		bed_fini(&bed);
	}
}

static void
test_ttl(void **state)
{
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	out = check_zone(&bed, "example.org 300 TXT \"v=spf1 a:a.example a:b.example -all\"\na.example 17 A 192.0.2.8\nb.example 60 A 192.0.2.1", "192.0.2.1", 2);
	assert_int_equal(out.result, SPF_PASS);
	assert_int_equal(out.ttl_s, 17);
	bed_fini(&bed);
	out = check_zone(&bed, "example.org SERVFAIL", "192.0.2.1", 2);
	assert_int_equal(out.ttl_s, 0);
	assert_int_equal(out.dns_status, DNS_SERVFAIL);
	bed_fini(&bed);
}

static void
test_detail(void **state)
{
	static const struct { const char *record, *want; } rows[] = {
		{ "moo", "'moo': unknown mechanism" },
		{ "ip4:1.2.3.4/33", "'ip4:1.2.3.4/33': IPv4 prefix length is not a number from 0 to 32" },
		{ "a:1.2.3.4", "'a:1.2.3.4': an address where a domain belongs; ip4: is for addresses" },
		{ "x\\013\\010=", "'x?" "?=': unknown mechanism" },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		  "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...': unknown mechanism" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_outcome out;
		struct bed bed;
		char zone[512];

		snprintf(zone, sizeof zone, "example.org TXT \"v=spf1 %s\"", rows[i].record);
		out = check_zone(&bed, zone, "192.0.2.1", 2);
		assert_int_equal(out.reason, SPF_R_SYNTAX);
		assert_span(out.detail, rows[i].want);
		bed_fini(&bed);
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(spf_result_name(SPF_PERMERROR), "permerror");
	for (enum spf_result r = SPF_NONE; r <= SPF_PERMERROR; r++)
		assert_true(strlen(spf_result_name(r)) > 3);
	for (enum spf_reason r = SPF_R_MATCH; r <= SPF_R_MEMORY; r++)
		assert_true(strlen(spf_reason_text(r)) > 3);
}

/* ---- trace ---- */

static unsigned begun, steps;

static void
on_begin(struct spf_trace *t)
{
	(void)t;
	begun++;
	steps = 0;
}

static void
on_step(struct spf_trace *t, unsigned depth, const char *kind, struct span text, struct span note)
{
	struct buf *b = t->arg;

	buf_fmt(b, "%u %s %.*s|%.*s\n", depth, kind, SPAN_ARGS(text), (int)MIN(span_find(note, ';'), (size_t)200), note.p ? note.p : "");
	steps++;
}

static void
test_trace(void **state)
{
	static const char zone[] =
	    "example.org TXT \"v=spf1 include:b.example a:m.example -all exp=e.example\"\nb.example TXT \"v=spf1 ip4:192.0.2.8 ?all\"\n"
	    "m.example A 192.0.2.9\nm.example A 192.0.2.10\ne.example TXT \"go away\"";
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");
	struct buf b = buf_heap(64 * KIB);
	struct spf_trace trace = { .begin = on_begin, .step = on_step, .arg = &b };
	struct spf_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, zone, 250);
	begun = 0;
	do {
		buf_clear(&b);
		if (begun > 0)
			bed_carry(&bed, &bed.questions);
	} while (spf_check(&bed.arena, &bed.questions, &q, &trace, &out) == RC_WAIT);
	assert_int_equal(begun, 4);
	assert_span(buf_text(&b),
	    "0 domain example.org|\n"
	    "0 question TXT example.org|ok: 55 bytes\n"
	    "0 record v=spf1 include:b.example a:m.example -all exp=e.example|example.org\n"
	    "0 include include:b.example|b.example\n"
	    "1 domain b.example|\n"
	    "1 question TXT b.example|ok: 25 bytes\n"
	    "1 record v=spf1 ip4:192.0.2.8 ?all|b.example\n"
	    "1 term ip4:192.0.2.8|no match\n"
	    "1 term ?all|match\n"
	    "1 result neutral|matched\n"
	    "0 term include:b.example|no match\n"
	    "0 question A m.example|ok: 192.0.2.9, 192.0.2.10\n"
	    "0 term a:m.example|no match\n"
	    "0 term -all|match\n"
	    "0 result fail|matched\n"
	    "0 question TXT e.example|ok: 7 bytes\n"
	    "0 explanation go away|example.org\n");
	bed_fini(&bed);
	buf_fini(&b);
}

/* ---- lack of memory: every allocation in turn ---- */

static void
test_faults(void **state)
{
	static const char *const zones[] = {
		"example.org TXT \"v=spf1 include:b.example a:%{d}.m.example mx exists:%{l}.x.example ptr -all exp=e.%{d}\"\n"
		"b.example TXT \"v=spf1 a:%{p}.k.example redirect=c.example\"\nc.example TXT \"v=spf1 ?all\"\nexample.org.m.example A 192.0.2.8\n"
		"example.org MX 1 h1.example\nexample.org MX 2 h2.example\nh1.example A 192.0.2.8\nh2.example A 192.0.2.8\n"
		"1.2.0.192.in-addr.arpa PTR p.example.org\np.example.org A 192.0.2.1\np.example.org.k.example A 192.0.2.8\n"
		"user.x.example A 127.0.0.1\ne.example.org TXT \"%{s} %{p}\"",
		"example.org TXT \"v=spf1 -all exp=e.%{d}\"\ne.example.org TXT \"%{s} %{p}\"\n1.2.0.192.in-addr.arpa PTR p.example.org\n"
		"p.example.org A 192.0.2.1",
		"example.org TXT \"v=spf1 moo\"",
	};
	struct spf_query q = bed_query("192.0.2.1", "user", "example.org");

	(void)state;
	q.helo = SPAN("m\xc3\xbcx.example");
	q.void_limit = 10;
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		struct buf b = buf_heap(64 * KIB);
		struct spf_trace trace = { .begin = on_begin, .step = on_step, .arg = &b };
		struct spf_outcome want, out;
		struct bed bed;
		uint64_t at = 0;
		bool has_failed = true;

		bed_init(&bed, zones[i], 250);
		want = bed_check(&bed, &q, &trace);
		bed_fini(&bed);
		while (has_failed) {
			bed_init(&bed, zones[i], 250);
			bed.arena.fail_at = ++at;
			out = bed_check(&bed, &q, &trace);
			has_failed = bed.arena.count >= at;
			if (out.result != want.result)
				assert_int_equal(out.result, SPF_TEMPERROR);
			if (out.result == SPF_TEMPERROR)
				assert_int_equal(out.reason, SPF_R_MEMORY);
			bed_fini(&bed);
		}
		assert_int_equal(out.result, want.result);
		assert_true(at > 5);
		buf_fini(&b);
	}
}

/* A record as large as DNS can carry, with as many terms as we take, over several passes. */
static void
test_large_record(void **state)
{
	struct buf b = buf_heap(256 * KIB);
	struct spf_outcome out;
	struct bed bed;
	size_t in_string = 0;

	(void)state;
	buf_str(&b, "m.example A 192.0.2.9\nexample.org TXT \"v=spf1 a:m.example");
	for (int i = 0; i < SPF_TERMS_MAX - 2; i++) {
		buf_str(&b, " ip4:198.51.100.100/32");
		if (++in_string % 10 == 0)
			buf_str(&b, "\" \"");
	}
	buf_str(&b, " -all\"\n");
	out = check_zone(&bed, buf_text(&b).p, "192.0.2.1", 2);
	assert_int_equal(out.result, SPF_FAIL);
	assert_true(bed.arena.used < 16 * KIB);         /* the record itself belongs to the answer */
	bed_fini(&bed);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_mechanisms),
		cmocka_unit_test(test_include_redirect),
		cmocka_unit_test(test_dns_errors),
		cmocka_unit_test(test_lookup_limit),
		cmocka_unit_test(test_lookup_limit_nested),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_mx_limit),
		cmocka_unit_test(test_ptr_limit),
		cmocka_unit_test(test_void_limit),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_explanation),
		cmocka_unit_test(test_explanation_off),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_never_ahead),
		cmocka_unit_test(test_ahead_is_bounded),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_no_client),
		cmocka_unit_test(test_international),
		cmocka_unit_test(test_unaskable),
		cmocka_unit_test(test_hostile_helo),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_depends),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_detail),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_large_record),
	};

	return cmocka_run_group_tests_name("spf", tests, NULL, NULL);
}
