/* adsp: practices records, the existence of domains, several authors, order of questions. */
#include "t/unit/spf_unit.h"

#include "common/auth/adsp.h"

enum { BUDGET = 100 };

#define E "example.org MX 10 mx.example.org\n"
#define P "_adsp._domainkey.example.org "

static struct adsp_outcome
run(struct bed *bed, const struct adsp_author *authors, size_t n)
{
	struct adsp_outcome out;

	while (adsp_check(&bed->arena, &bed->questions, authors, n, &out) == RC_WAIT) {
		size_t before = bed->asked;

		bed_carry(bed, &bed->questions);
		if (bed->asked == before)
			fail_msg("waits for nothing");
	}
	return out;
}

static void
test_record_syntax(void **state)
{
	static const struct { const char *in; enum adsp_reason want; } rows[] = {
		{ "dkim=unknown", ADSP_R_UNKNOWN }, { "dkim=all", ADSP_R_ALL }, { "dkim=discardable", ADSP_R_DISCARDABLE },
		{ "dkim=all;", ADSP_R_ALL }, { "dkim = all ; x=y", ADSP_R_ALL }, { "dkim\t=\tdiscardable\t;", ADSP_R_DISCARDABLE },
		{ "dkim=ALL", ADSP_R_ALL }, { "dkim=Discardable", ADSP_R_DISCARDABLE },
		{ "dkim=except-mlist", ADSP_R_UNKNOWN }, { "dkim=x", ADSP_R_UNKNOWN }, { "dkim=alle", ADSP_R_UNKNOWN }, { "dkim=a1-2", ADSP_R_UNKNOWN },
		{ "dkim=all; t=s; unknown=1", ADSP_R_ALL },
		{ "", ADSP_R_BAD_RECORD }, { "dkim", ADSP_R_BAD_RECORD }, { "dkim=", ADSP_R_BAD_RECORD }, { "dkim=;", ADSP_R_BAD_RECORD },
		{ " dkim=all", ADSP_R_BAD_RECORD }, { "DKIM=all", ADSP_R_BAD_RECORD }, { "t=s; dkim=all", ADSP_R_BAD_RECORD },
		{ "dkim=all; dkim=all", ADSP_R_BAD_RECORD }, { "dkim=all x", ADSP_R_BAD_RECORD }, { "dkim=all;;", ADSP_R_BAD_RECORD },
		{ "dkim=all-", ADSP_R_BAD_RECORD }, { "dkim=-all", ADSP_R_BAD_RECORD }, { "dkim=1all", ADSP_R_BAD_RECORD }, { "dkim=a_b", ADSP_R_BAD_RECORD },
		{ "dkim=all\r\n ", ADSP_R_BAD_RECORD }, { "dkim=all;\n x=1", ADSP_R_BAD_RECORD }, { "dkim=all\x01", ADSP_R_BAD_RECORD },
		{ "dkimx=all", ADSP_R_BAD_RECORD }, { "dkim=all; x", ADSP_R_BAD_RECORD }, { "dkim=all; \xff=1", ADSP_R_BAD_RECORD },
		{ "v=spf1 -all", ADSP_R_BAD_RECORD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);
		enum adsp_reason got = adsp_record_parse(s);

		exact_free(s);
		if (got != rows[i].want)
			fail_msg("\"%s\": %s, want %s", rows[i].in, adsp_reason_text(got), adsp_reason_text(rows[i].want));
	}
}

static void
test_record_length(void **state)
{
	static const char head[] = "dkim=all; n=";
	char *text = xmalloc(ADSP_RECORD_MAX + 1);

	(void)state;
	memset(text, 'x', ADSP_RECORD_MAX + 1);
	memcpy(text, head, sizeof head - 1);
	assert_int_equal(adsp_record_parse(span_of(text, ADSP_RECORD_MAX)), ADSP_R_ALL);
	assert_int_equal(adsp_record_parse(span_of(text, ADSP_RECORD_MAX + 1)), ADSP_R_BAD_RECORD);
	free(text);
}

static void
test_one_author(void **state)
{
	static const struct { const char *what, *zone; enum adsp_result result; enum adsp_reason reason; enum dns_status status; } rows[] = {
		{ "unknown", E P "TXT \"dkim=unknown\"", ADSP_UNKNOWN, ADSP_R_UNKNOWN, DNS_OK },
		{ "value of the future", E P "TXT \"dkim=tomorrow\"", ADSP_UNKNOWN, ADSP_R_UNKNOWN, DNS_OK },
		{ "all", E P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "strings joined", E P "TXT \"dkim=\" \"discard\" \"able\"", ADSP_DISCARD, ADSP_R_DISCARDABLE, DNS_OK },
		{ "alias", E P "CNAME p.example\np.example TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "no record", E, ADSP_NONE, ADSP_R_NO_RECORD, DNS_OK },
		{ "no such type", E P "A 192.0.2.1", ADSP_NONE, ADSP_R_NO_RECORD, DNS_OK },
		{ "two", E P "TXT \"dkim=all\"\n" P "TXT \"dkim=all\"", ADSP_NONE, ADSP_R_MANY_RECORDS, DNS_OK },
		{ "two, one is junk", E P "TXT \"dkim=all\"\n" P "TXT \"junk\"", ADSP_NONE, ADSP_R_MANY_RECORDS, DNS_OK },
		{ "junk", E P "TXT \"v=spf1 -all\"", ADSP_NONE, ADSP_R_BAD_RECORD, DNS_OK },
		{ "SERVFAIL", E P "SERVFAIL", ADSP_TEMPERROR, ADSP_R_DNS, DNS_SERVFAIL },
		{ "TIMEOUT", E P "TIMEOUT", ADSP_TEMPERROR, ADSP_R_DNS, DNS_TIMEOUT },
		{ "GARBAGE", E P "GARBAGE", ADSP_TEMPERROR, ADSP_R_DNS, DNS_MALFORMED },
		/* section 4.3: scope */
		{ "only A", "example.org A 192.0.2.1\n" P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "only AAAA", "example.org AAAA 2001:db8::1\n" P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "null MX is an MX", "example.org MX 0 .\n" P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "nothing", "", ADSP_NXDOMAIN, ADSP_R_NO_DOMAIN, DNS_OK },
		{ "nothing in DNS, but a record", "example.org NXDOMAIN\n" P "TXT \"dkim=all\"", ADSP_NXDOMAIN, ADSP_R_NO_DOMAIN, DNS_OK },
		{ "nothing for mail", "example.org TXT \"x\"\n" P "TXT \"dkim=unknown\"", ADSP_NXDOMAIN, ADSP_R_NO_MAIL_DOMAIN, DNS_OK },
		{ "nothing for mail, record fails", "example.org TXT \"x\"\n" P "SERVFAIL", ADSP_NXDOMAIN, ADSP_R_NO_MAIL_DOMAIN, DNS_OK },
		{ "MX fails, A is there", "example.org MX SERVFAIL\nexample.org A 192.0.2.1\n" P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "MX fails, no address", "example.org MX TIMEOUT\nexample.org TXT \"x\"\n" P "TXT \"dkim=all\"", ADSP_TEMPERROR, ADSP_R_DNS, DNS_TIMEOUT },
		{ "A fails", "example.org A SERVFAIL\n" P "TXT \"dkim=all\"", ADSP_TEMPERROR, ADSP_R_DNS, DNS_SERVFAIL },
		{ "A fails, AAAA is there", "example.org A SERVFAIL\nexample.org AAAA 2001:db8::1\n" P "TXT \"dkim=all\"", ADSP_FAIL, ADSP_R_ALL, DNS_OK },
		{ "all fails", "example.org SERVFAIL\n" P "SERVFAIL", ADSP_TEMPERROR, ADSP_R_DNS, DNS_SERVFAIL },
	};
	static const struct adsp_author author = { SPAN("example.org"), false };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct adsp_outcome out;
		struct bed bed;

		bed_init(&bed, rows[i].zone, BUDGET);
		out = run(&bed, &author, 1);
		if (out.result != rows[i].result || out.reason != rows[i].reason || out.dns_status != rows[i].status || out.author != 0)
			fail_msg("%s: %s (%s, %s)", rows[i].what, adsp_result_name(out.result), adsp_reason_text(out.reason),
			    dns_status_name(out.dns_status));
		if (bed.rounds != 1)
			fail_msg("%s: %u rounds", rows[i].what, bed.rounds);    /* all questions together */
		bed_fini(&bed);
	}
}

static void
test_signed_domain_is_not_asked(void **state)
{
	static const struct adsp_author author = { SPAN("example.org"), true };
	struct adsp_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, E P "TXT \"dkim=discardable\"", BUDGET);
	out = run(&bed, &author, 1);
	assert_int_equal(out.result, ADSP_PASS);
	assert_int_equal(bed.questions.n, 0);
	bed_fini(&bed);
}

static void
test_names(void **state)
{
#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define LONG L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmn.example"
	static const struct { struct adsp_author author; enum adsp_reason want; } rows[] = {
		{ { SPAN_NULL, false }, ADSP_R_BAD_DOMAIN }, { { SPAN(""), false }, ADSP_R_BAD_DOMAIN }, { { SPAN("a..b"), false }, ADSP_R_BAD_DOMAIN },
		{ { SPAN("[192.0.2.1]"), false }, ADSP_R_BAD_DOMAIN }, { { SPAN("a\0b.example"), false }, ADSP_R_BAD_DOMAIN },
		{ { SPAN("."), false }, ADSP_R_BAD_DOMAIN }, { { SPAN("missing"), false }, ADSP_R_NO_DOMAIN },
		{ { SPAN("a.example"), false }, ADSP_R_ALL }, { { SPAN("A.Example."), false }, ADSP_R_ALL },
		{ { SPAN("b.a.example"), false }, ADSP_R_NO_DOMAIN },           /* section 3.1: no subdomains */
		{ { SPAN(LONG), false }, ADSP_R_NO_RECORD },                    /* exists; nobody could publish for it */
	};
	static const char zone[] = "a.example MX 1 mx.example\n_adsp._domainkey.a.example TXT \"dkim=all\"\n" LONG " A 192.0.2.1";

	(void)state;
	assert_true(strlen(LONG) <= 253 && strlen(LONG) + strlen("_adsp._domainkey.") > 253);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct adsp_outcome out;
		struct bed bed;

		bed_init(&bed, zone, BUDGET);
		out = run(&bed, &rows[i].author, 1);
		if (out.reason != rows[i].want)
			fail_msg("row %zu: %s", i, adsp_reason_text(out.reason));
		bed_fini(&bed);
	}
}

/* The strictest of several, wherever it stands. */
static void
test_authors(void **state)
{
	static const char zone[] =
	    "none.example MX 1 m.example\nunknown.example MX 1 m.example\nall.example MX 1 m.example\ndiscard.example MX 1 m.example\n"
	    "temp.example SERVFAIL\n_adsp._domainkey.unknown.example TXT \"dkim=unknown\"\n_adsp._domainkey.all.example TXT \"dkim=all\"\n"
	    "_adsp._domainkey.discard.example TXT \"dkim=discardable\"";
	/* from lenient to strict */
	static const struct { struct adsp_author author; enum adsp_result result; } order[] = {
		{ { SPAN("discard.example"), true }, ADSP_PASS }, { { SPAN("none.example"), false }, ADSP_NONE },
		{ { SPAN("unknown.example"), false }, ADSP_UNKNOWN }, { { SPAN_NULL, false }, ADSP_PERMERROR },
		{ { SPAN("temp.example"), false }, ADSP_TEMPERROR }, { { SPAN("all.example"), false }, ADSP_FAIL },
		{ { SPAN("missing.example"), false }, ADSP_NXDOMAIN }, { { SPAN("discard.example"), false }, ADSP_DISCARD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		for (size_t j = 0; j < ARRAY_LEN(order); j++) {
			struct adsp_author pair[2] = { order[i].author, order[j].author };
			struct adsp_outcome out;
			struct bed bed;

			bed_init(&bed, zone, BUDGET);
			out = run(&bed, pair, 2);
			if (out.result != order[MAX(i, j)].result || out.author != (j > i ? 1u : 0u))
				fail_msg("%zu, %zu: %s by %zu", i, j, adsp_result_name(out.result), out.author);
			assert_true(bed.rounds <= 1);
			bed_fini(&bed);
		}
	}
}

static void
test_author_count(void **state)
{
	struct adsp_author authors[ADSP_AUTHORS_MAX + 1];
	struct adsp_outcome out;
	struct bed bed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(authors); i++)
		authors[i] = (struct adsp_author){ .domain = SPAN("example.org") };
	bed_init(&bed, E P "TXT \"dkim=all\"", BUDGET);
	out = run(&bed, authors, 0);
	assert_int_equal(out.reason, ADSP_R_NO_AUTHOR);
	assert_int_equal(out.author, 0);
	out = run(&bed, authors, ADSP_AUTHORS_MAX + 1);
	assert_int_equal(out.reason, ADSP_R_MANY_AUTHORS);
	assert_int_equal(bed.questions.n, 0);
	out = run(&bed, authors, ADSP_AUTHORS_MAX);
	assert_int_equal(out.result, ADSP_FAIL);
	assert_int_equal(bed.questions.n, 4);           /* equal domains: once */
	bed_fini(&bed);
}

static void
test_deadline_and_budget(void **state)
{
	static const struct adsp_author author = { SPAN("example.org"), false };
	struct adsp_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, E, BUDGET);
	assert_int_equal(adsp_check(&bed.arena, &bed.questions, &author, 1, &out), RC_WAIT);
	assert_int_equal(bed.questions.n, 4);
	questions_close(&bed.questions);
	assert_int_equal(adsp_check(&bed.arena, &bed.questions, &author, 1, &out), RC_OK);
	assert_int_equal(out.result, ADSP_TEMPERROR);
	assert_int_equal(out.dns_status, DNS_TIMEOUT);
	bed_fini(&bed);
	bed_init(&bed, E, 1);                           /* the record can be asked, the domain cannot */
	out = run(&bed, &author, 1);
	assert_int_equal(out.result, ADSP_TEMPERROR);
	assert_int_equal(out.dns_status, DNS_LIMIT);
	bed_fini(&bed);
	bed_init(&bed, "example.org A 192.0.2.1\n" P "TXT \"dkim=all\"", 4);      /* addresses wait until they are needed */
	out = run(&bed, &author, 1);
	assert_int_equal(out.result, ADSP_FAIL);
	assert_int_equal(bed.rounds, 2);
	bed_fini(&bed);
}

static void
test_arena_ceiling(void **state)
{
	static const struct adsp_author authors[] = { { SPAN("example.org"), false }, { SPAN("b.example"), false } };
	bool was_hit = true;
	uint64_t fail_at;

	(void)state;
	for (fail_at = 1; was_hit; fail_at++) {
		struct adsp_outcome out;
		struct bed bed;

		bed_init(&bed, E P "TXT \"dkim=all\"\nb.example A 192.0.2.1", BUDGET);
		bed.arena.fail_at = fail_at;
		out = run(&bed, authors, ARRAY_LEN(authors));
		was_hit = bed.arena.count >= fail_at;
		if (out.result != ADSP_FAIL && (!was_hit || out.result != ADSP_TEMPERROR))
			fail_msg("allocation %u: %s", (unsigned)fail_at, adsp_result_name(out.result));
		bed_fini(&bed);
	}
	assert_true(fail_at > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_syntax),
		cmocka_unit_test(test_record_length),
		cmocka_unit_test(test_one_author),
		cmocka_unit_test(test_signed_domain_is_not_asked),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_authors),
		cmocka_unit_test(test_author_count),
		cmocka_unit_test(test_deadline_and_budget),
		cmocka_unit_test(test_arena_ceiling),
	};

	return cmocka_run_group_tests_name("adsp", tests, NULL, NULL);
}
