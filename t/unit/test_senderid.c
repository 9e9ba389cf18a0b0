/* senderid: check_host() with a scope (RFC 4406): record selection, names that do not exist, macros, limits, lack of memory. */
#include "t/unit/spf_unit.h"

#include <stdio.h>

#include "common/auth/senderid.h"
#include "common/auth/spf_int.h"

static struct pra
pra_of(const char *local, const char *domain)
{
	return (struct pra){ .status = PRA_FOUND, .field = PRA_SENDER, .local = span_cstr(local), .domain = span_cstr(domain) };
}

/* What comes from the PRA is wrong in the base: it must not be used. */
static struct spf_query
base_query(const char *ip)
{
	struct spf_query q = bed_query(ip, "wrong", "wrong.example");

	q.scope = SPF_SCOPE_MFROM;
	return q;
}

static void
carry_on(struct bed *bed)
{
	size_t before = bed->asked;

	bed_carry(bed, &bed->questions);
	if (bed->asked == before)
		fail_msg("waits for nothing");
	if (bed->rounds > BED_ROUNDS_MAX)
		fail_msg("does not end");
}

/* With an address. */
static struct senderid_outcome
check_pra(struct bed *bed, const struct spf_query *base, const struct pra *pra, struct spf_trace *trace)
{
	struct senderid_outcome out;

	while (senderid_check_pra(&bed->arena, &bed->questions, pra, base, trace, &out) == RC_WAIT)
		carry_on(bed);
	assert_int_equal(out.result, out.host.result);
	return out;
}

static struct spf_outcome
check_mfrom(struct bed *bed, const struct spf_query *query)
{
	struct spf_outcome out;

	while (senderid_check_mfrom(&bed->arena, &bed->questions, query, NULL, &out) == RC_WAIT)
		carry_on(bed);
	return out;
}

struct row {
	const char *what, *zone;
	enum spf_scope scope;
	enum spf_result result;
	enum spf_reason reason;
	const char *mechanism;          /* NULL: absent */
	bool is_spf2;
};

#define P SPF_SCOPE_PRA
#define M SPF_SCOPE_MFROM
#define N SPF_SCOPE_NONE

static void
check_row(const struct row *r)
{
	struct spf_query q = base_query("192.0.2.1");
	struct pra pra = pra_of("user", "example.org");
	struct spf_outcome out;
	struct bed bed;

	bed_init(&bed, r->zone, 250);
	if (r->scope == P) {
		out = check_pra(&bed, &q, &pra, NULL).host;
	} else {
		q = bed_query("192.0.2.1", "user", "example.org");
		out = r->scope == M ? check_mfrom(&bed, &q) : bed_check(&bed, &q, NULL);
	}
	if (out.result != r->result || out.reason != r->reason || out.is_spf2 != r->is_spf2)
		fail_msg("%s (scope %d): got %s (%s) spf2 %d, want %s (%s)", r->what, (int)r->scope, spf_result_name(out.result),
		    spf_reason_text(out.reason), out.is_spf2, spf_result_name(r->result), spf_reason_text(r->reason));
	if (!span_eq(out.mechanism, bed_span(r->mechanism)))
		fail_msg("%s (scope %d): mechanism \"%.*s\"", r->what, (int)r->scope, SPAN_ARGS(out.mechanism));
	bed_fini(&bed);
}

static void
run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}

#define T "example.org TXT "

/* The version section (section 3.1), and which scopes it names. */
static void
test_version(void **state)
{
	static const struct { const char *in; bool is_pra, is_mfrom; } rows[] = {
		{ "spf2.0/pra", true, false },
		{ "spf2.0/pra -all", true, false },
		{ "spf2.0/mfrom", false, true },
		{ "spf2.0/mfrom -all", false, true },
		{ "spf2.0/mfrom,pra +mx +ip4:192.168.0.100 -all", true, true },
		{ "spf2.0/pra,mfrom ?all", true, true },
		{ "SPF2.0/PRA,MFrom ?all", true, true },
		{ "spf2.0/pra,pra", true, false },
		{ "spf2.0/mfrom,pra,fubar", true, true },
		{ "spf2.0/mfrom,prattle,fubar", false, true },
		{ "spf2.0/fubar,x-y_z.1,pra", true, false },
		{ "spf2.0/prap", false, false }, { "spf2.0/apra", false, false }, { "spf2.0/pr", false, false }, { "spf2.0/fubar", false, false },
		{ "spf2.1/pra", true, false }, { "spf2.00/pra", true, false }, { "spf2.10/pra", true, false }, { "spf2.99999999999999999999999/pra", true, false },
		{ "spf2./pra", false, false }, { "spf2.0", false, false }, { "spf2.0 -all", false, false }, { "spf2.0/", false, false }, { "spf2.0/ pra", false, false },
		{ "spf2.x/pra", false, false }, { "spf2.0x/pra", false, false }, { "spf2.-1/pra", false, false }, { "spf2.0.1/pra", false, false },
		{ "spf2.0/pra,", false, false }, { "spf2.0/,pra", false, false }, { "spf2.0/pra,,mfrom", false, false }, { "spf2.0/pra, mfrom", false, false },
		{ "spf2.0/pra,1x", false, false }, { "spf2.0/pra,x!", false, false }, { "spf2.0/pra/mfrom", false, false }, { "spf2.0//pra", false, false },
		{ "spf2.0/pra\t-all", false, false }, { "spf2.0/pra-all", false, false }, { "spf2.0/pra;", false, false }, { "spf2.0/pr\xc3\xa1", false, false },
		{ "spf2/pra", false, false }, { "spf20/pra", false, false }, { "spf3.0/pra", false, false }, { "v=spf2.0/pra", false, false },
		{ " spf2.0/pra", false, false }, { "v=spf1", false, false }, { "", false, false }, { "s", false, false }, { "spf2", false, false },
		{ "spf2.", false, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		if (spf_record_is_version2(s, P) != rows[i].is_pra || spf_record_is_version2(s, M) != rows[i].is_mfrom || spf_record_is_version2(s, N))
			fail_msg("\"%s\"", rows[i].in);
		exact_free(s);
	}
	assert_false(spf_record_is_version2(SPAN("spf2.0/pra\0"), P));
}

/* Section 4.4, and the compatibility of section 3.4. */
static void
test_selection(void **state)
{
	static const struct row rows[] = {
		{ "spf1 alone", T"\"v=spf1 -all\"", P, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "spf1 alone", T"\"v=spf1 -all\"", M, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "pra alone", T"\"spf2.0/pra ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "pra alone", T"\"spf2.0/pra ~all\"", M, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "pra alone", T"\"spf2.0/pra ~all\"", N, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "mfrom alone", T"\"spf2.0/mfrom ~all\"", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "mfrom alone", T"\"spf2.0/mfrom ~all\"", M, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "both in one", T"\"spf2.0/mfrom,pra ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "both in one", T"\"spf2.0/mfrom,pra ~all\"", M, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "one each", T"\"spf2.0/mfrom ~all\"\n"T"\"spf2.0/pra ?all\"", P, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "one each", T"\"spf2.0/mfrom ~all\"\n"T"\"spf2.0/pra ?all\"", M, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "spf1 above pra", T"\"v=spf1 -all\"\n"T"\"spf2.0/pra ?all\"", P, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "spf1 below pra", T"\"spf2.0/pra ?all\"\n"T"\"v=spf1 -all\"", P, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "spf1 beside pra", T"\"spf2.0/pra ?all\"\n"T"\"v=spf1 -all\"", M, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "spf1 beside pra", T"\"spf2.0/pra ?all\"\n"T"\"v=spf1 -all\"", N, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "spf1 beside mfrom", T"\"v=spf1 -all\"\n"T"\"spf2.0/mfrom ?all\"", P, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "all three", T"\"v=spf1 -all\"\n"T"\"spf2.0/mfrom ?all\"\n"T"\"spf2.0/pra ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "all three", T"\"v=spf1 -all\"\n"T"\"spf2.0/mfrom ?all\"\n"T"\"spf2.0/pra ~all\"", M, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "all three", T"\"v=spf1 -all\"\n"T"\"spf2.0/mfrom ?all\"\n"T"\"spf2.0/pra ~all\"", N, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "two for the scope", T"\"spf2.0/pra ?all\"\n"T"\"spf2.0/mfrom,pra ?all\"", P, SPF_PERMERROR, SPF_R_MANY_RECORDS, NULL, false },
		{ "two for the other scope", T"\"spf2.0/pra ?all\"\n"T"\"spf2.0/mfrom,pra ~all\"", M, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "two for the scope, and spf1", T"\"spf2.0/pra ?all\"\n"T"\"v=spf1 -all\"\n"T"\"spf2.0/pra ~all\"", P, SPF_PERMERROR,
		  SPF_R_MANY_RECORDS, NULL, false },
		{ "minor versions do not differ", T"\"spf2.0/pra ?all\"\n"T"\"spf2.1/pra ?all\"", P, SPF_PERMERROR, SPF_R_MANY_RECORDS, NULL, false },
		{ "two spf1", T"\"v=spf1 ?all\"\n"T"\"v=spf1 -all\"", P, SPF_PERMERROR, SPF_R_MANY_RECORDS, NULL, false },
		{ "two spf1, and pra", T"\"v=spf1 ?all\"\n"T"\"spf2.0/pra ~all\"\n"T"\"v=spf1 -all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "two spf1, and mfrom", T"\"v=spf1 ?all\"\n"T"\"spf2.0/mfrom ~all\"\n"T"\"v=spf1 -all\"", P, SPF_PERMERROR, SPF_R_MANY_RECORDS, NULL, false },
		{ "a later minor version", T"\"spf2.7/pra ~all\"\n"T"\"v=spf1 -all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "version malformed", T"\"spf2./pra ~all\"\n"T"\"v=spf1 -all\"", P, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "scope missing", T"\"spf2.0 ~all\"\n"T"\"v=spf1 -all\"", P, SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "scope missing, alone", T"\"spf2.0 ~all\"", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "unknown scope", T"\"spf2.0/fubar ~all\"", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "version alone", T"\"spf2.0/pra\"", P, SPF_NEUTRAL, SPF_R_DEFAULT, NULL, true },
		{ "strings joined", T"\"spf2.\" \"0/p\" \"ra ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "a broken spf2 is not replaced", T"\"spf2.0/pra moo\"\n"T"\"v=spf1 +all\"", P, SPF_PERMERROR, SPF_R_SYNTAX, NULL, true },
		{ "a broken spf1 is not looked at", T"\"spf2.0/pra +all\"\n"T"\"v=spf1 moo\"", P, SPF_PASS, SPF_R_MATCH, "+all", true },
		{ "explicitly inconclusive", T"\"v=spf1 ip4:192.0.2.1 -all\"\n"T"\"spf2.0/pra ?all\"", P, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "other text", T"\"hello\"\n"T"\"\\128\"\n"T"\"spf2.0/pra +all\"", P, SPF_PASS, SPF_R_MATCH, "+all", true },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* Section 3.3: no positional modifier is defined; redirect and exp are global and singular. */
static void
test_modifiers(void **state)
{
	static const struct row rows[] = {
		{ "unknown, at the front", T"\"spf2.0/pra pos=1 ip4:192.0.2.1 -all\"", P, SPF_PASS, SPF_R_MATCH, "ip4:192.0.2.1", true },
		{ "unknown, behind mechanisms", T"\"spf2.0/pra ip4:192.0.2.9 pos=1 pos=2 ip4:192.0.2.1 pos=3 -all pos=4\"", P, SPF_PASS, SPF_R_MATCH,
		  "ip4:192.0.2.1", true },
		{ "redirect at the front", T"\"spf2.0/pra redirect=b.example ip4:192.0.2.9\"\nb.example TXT \"spf2.0/pra ~all\"", P, SPF_SOFTFAIL,
		  SPF_R_MATCH, "~all", true },
		{ "redirect twice", T"\"spf2.0/pra redirect=b.example redirect=b.example\"", P, SPF_PERMERROR, SPF_R_SYNTAX, NULL, true },
		{ "exp twice", T"\"spf2.0/pra exp=b.example -all exp=b.example\"", P, SPF_PERMERROR, SPF_R_SYNTAX, NULL, true },
		{ "a modifier with a qualifier", T"\"spf2.0/pra +pos=1 -all\"", P, SPF_PERMERROR, SPF_R_SYNTAX, NULL, true },
		{ "a syntax error behind a match", T"\"spf2.0/pra +all a:\"", P, SPF_PERMERROR, SPF_R_SYNTAX, NULL, true },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* The scope goes down into includes and redirects. */
static void
test_recursion(void **state)
{
	static const struct row rows[] = {
		{ "include picks by scope", T"\"spf2.0/pra include:b.example -all\"\nb.example TXT \"v=spf1 -all\"\nb.example TXT \"spf2.0/pra +all\"", P,
		  SPF_PASS, SPF_R_MATCH, "include:b.example", true },
		{ "include picks by scope, from spf1", T"\"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 -all\"\nb.example TXT \"spf2.0/pra +all\"", P,
		  SPF_PASS, SPF_R_MATCH, "include:b.example", false },
		{ "the same without a scope", T"\"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 -all\"\nb.example TXT \"spf2.0/pra +all\"", N,
		  SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "the same for mfrom", T"\"v=spf1 include:b.example -all\"\nb.example TXT \"v=spf1 -all\"\nb.example TXT \"spf2.0/pra +all\"", M,
		  SPF_FAIL, SPF_R_MATCH, "-all", false },
		{ "include falls back to spf1", T"\"spf2.0/pra include:b.example -all\"\nb.example TXT \"v=spf1 +all\"", P, SPF_PASS, SPF_R_MATCH,
		  "include:b.example", true },
		{ "include of another scope", T"\"spf2.0/pra include:b.example -all\"\nb.example TXT \"spf2.0/mfrom +all\"", P, SPF_PERMERROR,
		  SPF_R_INCLUDE_NONE, "include:b.example", true },
		{ "include of two", T"\"spf2.0/pra include:b.example -all\"\nb.example TXT \"spf2.0/pra +all\"\nb.example TXT \"spf2.0/pra +all \"", P,
		  SPF_PERMERROR, SPF_R_MANY_RECORDS, "include:b.example", true },
		{ "redirect picks by scope", T"\"v=spf1 redirect=b.example\"\nb.example TXT \"v=spf1 -all\"\nb.example TXT \"spf2.0/pra ?all\"", P, SPF_NEUTRAL,
		  SPF_R_MATCH, "?all", false },
		{ "redirect of another scope", T"\"spf2.0/pra redirect=b.example\"\nb.example TXT \"spf2.0/mfrom ?all\"", P, SPF_PERMERROR,
		  SPF_R_REDIRECT_NONE, "redirect=b.example", true },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* Section 4.3, and other answers. */
static void
test_absence(void **state)
{
	static const struct row rows[] = {
		{ "no such domain", "", P, SPF_FAIL, SPF_R_NO_DOMAIN, NULL, false },
		{ "no such domain", "", M, SPF_NONE, SPF_R_NO_DOMAIN, NULL, false },
		{ "no such domain", "", N, SPF_NONE, SPF_R_NO_DOMAIN, NULL, false },
		{ "no TXT", "example.org A 192.0.2.1", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "only a name below", "a.example.org A 192.0.2.1", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "no record", T"\"hello\"", P, SPF_NONE, SPF_R_NO_RECORD, NULL, false },
		{ "servfail", "example.org SERVFAIL", P, SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, false },
		{ "timeout", "example.org TIMEOUT", P, SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, false },
		{ "timeout", "example.org TIMEOUT", M, SPF_TEMPERROR, SPF_R_DNS_ERROR, NULL, false },
		{ "an included domain does not exist", T"\"spf2.0/pra include:b.example ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "an included domain does not exist", T"\"spf2.0/mfrom include:b.example ~all\"", M, SPF_PERMERROR, SPF_R_INCLUDE_NONE,
		  "include:b.example", true },
		{ "an included domain has no TXT", T"\"spf2.0/pra include:b.example ~all\"\nb.example A 192.0.2.1", P, SPF_PERMERROR, SPF_R_INCLUDE_NONE,
		  "include:b.example", true },
		{ "redirect to what does not exist", T"\"spf2.0/pra redirect=b.example\"", P, SPF_FAIL, SPF_R_NO_DOMAIN, NULL, true },
		{ "redirect to what does not exist", T"\"spf2.0/mfrom redirect=b.example\"", M, SPF_PERMERROR, SPF_R_REDIRECT_NONE, "redirect=b.example", true },
		{ "include with a redirect to what does not exist", T"\"spf2.0/pra include:b.example ?all\"\nb.example TXT \"spf2.0/pra redirect=c.example\"",
		  P, SPF_NEUTRAL, SPF_R_MATCH, "?all", true },
		{ "include timeout", T"\"spf2.0/pra include:b.example ?all\"\nb.example TIMEOUT", P, SPF_TEMPERROR, SPF_R_DNS_ERROR, "include:b.example", true },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* Void look-ups and terms, at the limit and one past. */
static void
test_limits(void **state)
{
	static const struct row rows[] = {
		{ "two voids by include", T"\"spf2.0/pra include:a.example include:b.example ~all\"", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "three voids by include", T"\"spf2.0/pra include:a.example include:b.example include:c.example ~all\"", P, SPF_PERMERROR, SPF_R_VOID_LIMIT,
		  "include:c.example", true },
		{ "two voids, then a mechanism's", T"\"spf2.0/pra include:a.example a:b.example mx:c.example ~all\"", P, SPF_PERMERROR, SPF_R_VOID_LIMIT,
		  "mx:c.example", true },
		{ "a void redirect", T"\"spf2.0/pra a:a.example a:b.example redirect=c.example\"", P, SPF_PERMERROR, SPF_R_VOID_LIMIT, "redirect=c.example",
		  true },
		{ "ten terms", T"\"spf2.0/pra a a a a a a a a a a ~all\"\nexample.org A 192.0.2.9", P, SPF_SOFTFAIL, SPF_R_MATCH, "~all", true },
		{ "eleven terms", T"\"spf2.0/pra a a a a a a a a a a a ~all\"\nexample.org A 192.0.2.9", P, SPF_PERMERROR, SPF_R_LOOKUP_LIMIT, "a", true },
		{ "redirect to itself", T"\"spf2.0/pra redirect=example.org\"", P, SPF_PERMERROR, SPF_R_LOOKUP_LIMIT, "redirect=example.org", true },
		{ "include of itself", T"\"spf2.0/pra include:example.org\"", P, SPF_PERMERROR, SPF_R_LOOKUP_LIMIT, "include:example.org", true },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* The first look-up never counts as void, whatever comes of it. */
static void
test_first_void(void **state)
{
	static const struct { const char *zone; enum spf_result result; } rows[] = {
		{ "", SPF_FAIL }, { "example.org A 192.0.2.1", SPF_NONE }, { T"\"spf2.0/pra include:b.example\"", SPF_PERMERROR },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_query base = base_query("192.0.2.1");
		struct pra pra = pra_of("user", "example.org");
		struct senderid_outcome out;
		struct bed bed;

		base.void_limit = 0;
		bed_init(&bed, rows[i].zone, 250);
		out = check_pra(&bed, &base, &pra, NULL);
		assert_int_equal(out.result, rows[i].result);
		assert_int_equal(out.host.voids, i == 2);
		bed_fini(&bed);
	}
}

/* The record of section 3.1's example, for both tests. */
static void
test_example(void **state)
{
	static const char zone[] = T"\"spf2.0/mfrom,pra +mx +ip4:192.168.0.100 -all\"\nexample.org MX 10 m.example.org\nm.example.org A 192.0.2.25\n";
	static const struct { const char *ip; enum spf_result result; const char *mechanism; } rows[] = {
		{ "192.0.2.25", SPF_PASS, "+mx" }, { "192.168.0.100", SPF_PASS, "+ip4:192.168.0.100" }, { "192.168.0.101", SPF_FAIL, "-all" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_query base = base_query(rows[i].ip), q = bed_query(rows[i].ip, "user", "example.org");
		struct pra pra = pra_of("user", "example.org");
		struct senderid_outcome out;
		struct bed bed;

		bed_init(&bed, zone, 250);
		out = check_pra(&bed, &base, &pra, NULL);
		assert_int_equal(out.result, rows[i].result);
		assert_span(out.host.mechanism, rows[i].mechanism);
		assert_int_equal(check_mfrom(&bed, &q).result, rows[i].result);
		assert_int_equal(bed_check(&bed, &q, NULL).result, SPF_NONE);
		bed_fini(&bed);
	}
}

/* A version section of many scopes, in a record at the limit of bytes and one past. */
static void
test_many_scopes(void **state)
{
	struct spf_record record;
	struct spf_error error;

	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct buf b = buf_heap(128 * KIB);
		struct span s;

		buf_str(&b, "spf2.0/pra");
		while (b.n < SPF_RECORD_MAX - 2)
			buf_str(&b, ",a");
		while (b.n < SPF_RECORD_MAX + over)
			buf_byte(&b, 'a');
		s = exact_n(buf_text(&b).p, buf_text(&b).n);
		assert_int_equal(s.n, SPF_RECORD_MAX + over);
		assert_true(spf_record_is_version2(s, P));
		assert_int_equal(spf_record_parse(s, &record, &error), over == 0 ? RC_OK : RC_SYNTAX);
		assert_true(over == 0 || error.reason == SPF_R_RECORD_SIZE);
		exact_free(s);
		buf_fini(&b);
	}
}

/* Macros and the explanation are about the address that is checked. */
static void
test_macros(void **state)
{
	static const char zone[] = T"\"spf2.0/pra a:%{l}.%{o}.%{d}.%{h}.x.example -all exp=e.example\"\n"
	    "e.example TXT \"%{s} from %{c} to %{r}\"\n";
	static const char found[] = T"\"spf2.0/pra a:%{l}.%{o}.%{d}.%{h}.x.example -all\"\n"
	    "user.example.org.example.org.helo.example.x.example A 192.0.2.1\n";
	struct spf_query base = base_query("192.0.2.1");
	struct pra pra = pra_of("user", "example.org");
	struct senderid_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, zone, 250);
	out = check_pra(&bed, &base, &pra, NULL);
	assert_int_equal(out.result, SPF_FAIL);
	assert_span(out.host.explanation, "user@example.org from 192.0.2.1 to mx.example.jp");
	assert_span(out.host.at, "example.org");
	bed_fini(&bed);

	bed_init(&bed, found, 250);
	out = check_pra(&bed, &base, &pra, NULL);
	assert_int_equal(out.result, SPF_PASS);
	bed_fini(&bed);

	/* An empty local part is postmaster (RFC 7208 section 4.3). */
	pra.local = SPAN("");
	bed_init(&bed, zone, 250);
	out = check_pra(&bed, &base, &pra, NULL);
	assert_span(out.host.explanation, "postmaster@example.org from 192.0.2.1 to mx.example.jp");
	bed_fini(&bed);

	/* And without the wish there is none. */
	base.wants_explanation = false;
	bed_init(&bed, zone, 250);
	out = check_pra(&bed, &base, &pra, NULL);
	assert_true(span_is_null(out.host.explanation));
	bed_fini(&bed);
}

/* Without an address nothing is asked. */
static void
test_no_address(void **state)
{
	struct spf_query base = base_query("192.0.2.1");

	(void)state;
	for (enum pra_status s = PRA_FOUND + 1; s < PRA_STATUS_COUNT; s++) {
		struct pra pra = { .status = s, .field = PRA_FROM, .index = 3 };
		bool is_ours = s == PRA_MEMORY || s == PRA_INCOMPLETE;
		struct senderid_outcome out;
		struct bed bed;

		bed_init(&bed, T"\"v=spf1 +all\"", 250);
		assert_int_equal(senderid_check_pra(&bed.arena, &bed.questions, &pra, &base, NULL, &out), RC_OK);
		assert_int_equal(out.result, is_ours ? SPF_TEMPERROR : SPF_PERMERROR);
		assert_int_equal(out.pra.status, s);
		assert_int_equal(out.pra.field, PRA_FROM);
		assert_int_equal(out.pra.index, 3);
		assert_int_equal(bed.questions.n, 0);
		assert_string_equal(senderid_text(&out), pra_status_text(s));
		bed_fini(&bed);
	}
}

static void
test_texts(void **state)
{
	struct senderid_outcome o = { .pra = { .status = PRA_FOUND } };

	(void)state;
	for (enum spf_reason r = SPF_R_MATCH; r <= SPF_R_MEMORY; r++) {
		o.host.reason = r;
		assert_string_equal(senderid_text(&o), r == SPF_R_NO_RECORD ? "no spf2.0/pra or SPF record" : spf_reason_text(r));
	}
}

/* Domains that check_host() does not take, and no client: nothing is asked. */
static void
test_unaskable(void **state)
{
	static const struct { const char *ip, *domain; enum spf_reason reason; } rows[] = {
		{ "192.0.2.1", "localhost", SPF_R_BAD_DOMAIN }, { "192.0.2.1", "", SPF_R_BAD_DOMAIN }, { "192.0.2.1", "a..example", SPF_R_BAD_DOMAIN },
		{ NULL, "example.org", SPF_R_NO_CLIENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_query base = base_query("192.0.2.1");
		struct pra pra = pra_of("user", rows[i].domain);
		struct senderid_outcome out;
		struct bed bed;

		if (rows[i].ip == NULL)
			base.client.is_set = false;
		bed_init(&bed, "", 250);
		out = check_pra(&bed, &base, &pra, NULL);
		assert_int_equal(out.result, SPF_NONE);
		assert_int_equal(out.host.reason, rows[i].reason);
		assert_int_equal(bed.asked, 0);
		bed_fini(&bed);
	}
}

/* SPF's and both variants' questions are one and the same: a domain's records are asked once per message. */
static void
test_shared_question(void **state)
{
	struct spf_query base = base_query("192.0.2.1"), q = bed_query("192.0.2.1", "user", "example.org");
	struct pra pra = pra_of("user", "example.org");
	struct bed bed;

	(void)state;
	bed_init(&bed, T"\"v=spf1 -all\"\n"T"\"spf2.0/mfrom ?all\"\n"T"\"spf2.0/pra ~all\"", 250);
	assert_int_equal(bed_check(&bed, &q, NULL).result, SPF_FAIL);
	assert_int_equal(check_mfrom(&bed, &q).result, SPF_NEUTRAL);
	assert_int_equal(check_pra(&bed, &base, &pra, NULL).result, SPF_SOFTFAIL);
	assert_int_equal(bed.asked, 1);
	assert_int_equal(q.scope, SPF_SCOPE_NONE);
	bed_fini(&bed);
}

/* The whole way: a header's PRA, and the property's name. */
static void
test_message(void **state)
{
	static const struct { const char *name, *value; } fields[] = {
		{ "Resent-From", " \"List\" <list@example.org>" }, { "Received", " by mx.example" }, { "Resent-Sender", " old@example.net" },
		{ "From", " author@example.com" },
	};
	struct spf_query base = base_query("192.0.2.1");
	struct senderid_outcome out;
	struct header_block h;
	struct pra pra;
	struct bed bed;

	(void)state;
	bed_init(&bed, T"\"spf2.0/pra ip4:192.0.2.1 -all\"", 250);
	header_init(&h, &bed.arena);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		assert_int_equal(header_add(&h, span_cstr(fields[i].name), span_cstr(fields[i].value), true), RC_OK);
	pra_select(&bed.arena, &h, &pra);
	out = check_pra(&bed, &base, &pra, NULL);
	assert_int_equal(out.result, SPF_PASS);
	assert_true(out.host.is_spf2);
	assert_string_equal(pra_field_name(out.pra.field), "resent-from");
	assert_int_equal(out.pra.index, 0);
	assert_span(out.pra.local, "list");
	assert_span(out.pra.domain, "example.org");
	bed_fini(&bed);
}

/* Every allocation in turn: lack of memory never becomes another result. */
static void
test_faults(void **state)
{
	static const char zone[] = T"\"spf2.0/pra include:b.example a:%{d}.m.example include:gone.example exists:%{l}.x.example -all exp=e.%{d}\"\n"
	    "b.example TXT \"v=spf1 redirect=c.example\"\nc.example TXT \"spf2.0/pra a:%{p}.k.example ?all\"\nexample.org.m.example A 192.0.2.8\n"
	    "1.2.0.192.in-addr.arpa PTR p.example.org\np.example.org A 192.0.2.1\nunknown.k.example A 192.0.2.8\n"
	    "user.x.example A 127.0.0.1\ne.example.org TXT \"%{s} %{p}\"";
	struct spf_query base = base_query("192.0.2.1");
	struct pra pra = pra_of("user", "example.org");
	bool has_failed = true;
	uint64_t at = 0;

	(void)state;
	base.void_limit = 10;
	base.helo = SPAN("m\xc3\xbcx.example");
	while (has_failed) {
		struct senderid_outcome out;
		struct bed bed;

		bed_init(&bed, zone, 250);
		bed.arena.fail_at = ++at;
		out = check_pra(&bed, &base, &pra, NULL);
		has_failed = bed.arena.count >= at;
		if (out.result != SPF_PASS) {
			assert_true(has_failed);
			assert_int_equal(out.result, SPF_TEMPERROR);
			assert_int_equal(out.host.reason, SPF_R_MEMORY);
		}
		bed_fini(&bed);
	}
	assert_true(at > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_modifiers),
		cmocka_unit_test(test_recursion),
		cmocka_unit_test(test_absence),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_first_void),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_many_scopes),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_no_address),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_unaskable),
		cmocka_unit_test(test_shared_question),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests_name("senderid", tests, NULL, NULL);
}
