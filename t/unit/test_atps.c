/* atps: names that are asked, records, several signatures and authors; base32. */
#include "t/unit/spf_unit.h"

#include "common/auth/atps.h"
#include "common/base/b32.h"

enum { BUDGET = 100 };

static void
test_base32(void **state)
{
	/* RFC 4648 section 10, without padding */
	static const struct { const char *in, *want; } rows[] = {
		{ "", "" }, { "f", "my" }, { "fo", "mzxq" }, { "foo", "mzxw6" }, { "foob", "mzxw6yq" }, { "fooba", "mzxw6ytb" },
		{ "foobar", "mzxw6ytboi" }, { "\xff\xff\xff\xff\xff\xff", "7777777774" },
	};
	struct buf b = buf_heap(100);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		buf_clear(&b);
		b32_encode(&b, s);
		exact_free(s);
		assert_span(buf_text(&b), rows[i].want);
	}
	buf_clear(&b);
	b32_encode(&b, SPAN("\0\0\0\0\0\0"));
	assert_span(buf_text(&b), "aaaaaaaaaa");
	buf_fini(&b);
}

static void
expect_name(const char *signer, const char *atps, const char *atpsh, enum atps_reason want, const char *name_want)
{
	struct span s = exact(signer), t = exact(atps), h = exact(atpsh);
	struct dns_name name, wanted;
	enum atps_reason got;
	struct arena a;

	arena_init(&a, 1 * KIB, MIB);
	got = atps_query_name(&a, s, t, h, &name);
	if (got != want)
		fail_msg("%s %s %s: %s", signer, atps, atpsh, atps_reason_text(got));
	if (got == ATPS_R_AUTHORIZED) {
		assert_int_equal(dns_name_from_text(span_cstr(name_want), &wanted), RC_OK);
		if (!dns_name_eq(&name, &wanted))
			fail_msg("%s %s %s: another name", signer, atps, atpsh);
	}
	arena_fini(&a);
	exact_free(s);
	exact_free(t);
	exact_free(h);
}

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define LONG L63 "." L63 "." L63 ".example"

static void
test_names(void **state)
{
	(void)state;
	/* RFC 6541 appendix A */
	expect_name("one.example.net", "example.com", "sha1", ATPS_R_AUTHORIZED, "QSP4I4D24CRHOPDZ3O3ZIU2KSGS3X6Z6._atps.example.com");
	expect_name("Two.EXAMPLE.net", "Example.com", "SHA1", ATPS_R_AUTHORIZED, "ZTZGRRV3F45A4U6HLDKBF3ZCOW4V2AJX._atps.example.com");
	expect_name("one.example.net", "example.com", "sha256", ATPS_R_AUTHORIZED, "sqwhepkqyg5kriog6f7lpedttnoif7dqusvco2pchsh3qugxakha._atps.example.com");
	expect_name("One.example.net", "example.com", "none", ATPS_R_AUTHORIZED, "one.example.net._atps.example.com");
	expect_name("one.example.net", "example.com", "", ATPS_R_HASH, NULL);
	expect_name("one.example.net", "example.com", "md5", ATPS_R_HASH, NULL);
	expect_name("one.example.net", "example.com", "sha1 ", ATPS_R_HASH, NULL);
	expect_name("one.example.net", "example.com", "sha512", ATPS_R_HASH, NULL);
	expect_name("one.example.net", LONG, "sha1", ATPS_R_AUTHORIZED, "qsp4i4d24crhopdz3o3ziu2ksgs3x6z6._atps." LONG);
	expect_name(LONG, "example.com", "none", ATPS_R_AUTHORIZED, LONG "._atps.example.com");
	expect_name(LONG, LONG, "none", ATPS_R_NAME, NULL);
}

static void
test_records(void **state)
{
	static const struct { const char *in; bool want; } rows[] = {
		{ "v=ATPS1", true }, { "v=ATPS1;", true }, { "v=ATPS1; d=one.example.net", true }, { "v=ATPS1; d=ONE.example.NET.", true },
		{ "d=one.example.net; v = ATPS1", true }, { "v=ATPS1; x=y", true }, { "v=ATPS1; d=two.example.net", false },
		{ "v=ATPS1; d=", false }, { "v=ATPS1; d=example.com", false }, { "v=atps1", false }, { "v=ATPS2", false }, { "v=ATPS1x", false },
		{ "d=one.example.net", false }, { "", false }, { "v", false }, { "v=ATPS1; v=ATPS1", false }, { "v=ATPS1; ;", false }, { "junk", false },
		{ "v=ATPS1; x=\x01", false },
	};
	char *text = xmalloc(ATPS_RECORD_MAX + 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);

		if (atps_record_is_valid(s, SPAN("one.example.net")) != rows[i].want)
			fail_msg("\"%s\"", rows[i].in);
		exact_free(s);
	}
	memset(text, 'x', ATPS_RECORD_MAX + 1);
	memcpy(text, "v=ATPS1;n=", 10);
	assert_true(atps_record_is_valid(span_of(text, ATPS_RECORD_MAX), SPAN("x")));
	assert_false(atps_record_is_valid(span_of(text, ATPS_RECORD_MAX + 1), SPAN("x")));
	free(text);
}

static struct atps_outcome
run(struct bed *bed, const struct atps_signature *sigs, size_t n, struct atps_author *authors, size_t author_count)
{
	struct atps_outcome out;

	while (atps_check(&bed->arena, &bed->questions, sigs, n, authors, author_count, &out) == RC_WAIT) {
		size_t before = bed->asked;

		bed_carry(bed, &bed->questions);
		if (bed->asked == before)
			fail_msg("waits for nothing");
	}
	return out;
}

static const char zone[] =
    "qsp4i4d24crhopdz3o3ziu2ksgs3x6z6._atps.example.com TXT \"v=ATPS1; d=one.example.net\"\n"
    "esp.example._atps.example.com TXT \"junk\"\nesp.example._atps.example.com TXT \"v=ATPS1\"\n"
    "junk.example._atps.example.com TXT \"junk\"\nother.example._atps.example.com TXT \"v=ATPS1; d=esp.example\"\n"
    "temp.example._atps.example.com SERVFAIL\nempty.example._atps.example.com A 192.0.2.1\n"
    "esp.example._atps.b.example TXT \"v=ATPS1\"\n";

#define SIG(d, atps, h) { SPAN(d), SPAN(atps), SPAN(h) }

static void
test_one_signature(void **state)
{
	static const struct { struct atps_signature sig; enum atps_reason want; unsigned questions; } rows[] = {
		{ SIG("one.example.net", "example.com", "sha1"), ATPS_R_AUTHORIZED, 1 },
		{ SIG("One.Example.NET", "EXAMPLE.com", "SHA1"), ATPS_R_AUTHORIZED, 1 },
		{ SIG("two.example.net", "example.com", "sha1"), ATPS_R_NOT_AUTHORIZED, 1 },
		{ SIG("one.example.net", "example.com", "sha256"), ATPS_R_NOT_AUTHORIZED, 1 },
		{ SIG("esp.example", "example.com", "none"), ATPS_R_AUTHORIZED, 1 },
		{ SIG("junk.example", "example.com", "none"), ATPS_R_BAD_RECORD, 1 },
		{ SIG("other.example", "example.com", "none"), ATPS_R_BAD_RECORD, 1 },
		{ SIG("empty.example", "example.com", "none"), ATPS_R_NOT_AUTHORIZED, 1 },
		{ SIG("temp.example", "example.com", "none"), ATPS_R_DNS, 1 },
		{ SIG("esp.example", "example.com", "md5"), ATPS_R_HASH, 0 },
		{ { SPAN("esp.example"), SPAN("example.com"), SPAN_NULL }, ATPS_R_HASH, 0 },
		{ { SPAN("esp.example"), SPAN_NULL, SPAN("none") }, ATPS_R_NO_SIGNATURE, 0 },
		{ SIG("esp.example", "other.example", "none"), ATPS_R_OTHER_DOMAIN, 0 },
		{ SIG("esp.example", "com", "none"), ATPS_R_OTHER_DOMAIN, 0 },
		{ SIG("esp.example", "sub.example.com", "none"), ATPS_R_OTHER_DOMAIN, 0 },
		{ SIG("esp.example", "", "none"), ATPS_R_OTHER_DOMAIN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct atps_author author = { .domain = SPAN("example.com"), .is_authorized = true };
		struct atps_outcome out;
		struct bed bed;

		bed_init(&bed, zone, BUDGET);
		out = run(&bed, &rows[i].sig, 1, &author, 1);
		if (out.reason != rows[i].want || author.is_authorized != (out.result == ATPS_PASS) || bed.questions.n != rows[i].questions)
			fail_msg("row %zu: %s (%s), %zu questions", i, atps_result_name(out.result), atps_reason_text(out.reason), bed.questions.n);
		assert_int_equal(out.signature, rows[i].want == ATPS_R_NO_SIGNATURE ? 1 : 0);
		bed_fini(&bed);
	}
}

static void
test_several(void **state)
{
	static const struct atps_signature sigs[] = {
		SIG("esp.example", "stranger.example", "none"), SIG("two.example.net", "example.com", "sha1"), SIG("temp.example", "example.com", "none"),
		SIG("esp.example", "b.example", "none"), SIG("esp.example", "example.com", "none"),
	};
	struct atps_author authors[] = { { .domain = SPAN("example.com") }, { .domain = SPAN_NULL }, { .domain = SPAN("b.example") }, { .domain = SPAN("c.example") } };
	struct atps_outcome out;
	struct bed bed;

	(void)state;
	bed_init(&bed, zone, BUDGET);
	out = run(&bed, sigs, 2, authors, ARRAY_LEN(authors));
	assert_int_equal(out.result, ATPS_FAIL);
	out = run(&bed, sigs, 3, authors, ARRAY_LEN(authors));
	assert_int_equal(out.result, ATPS_TEMPERROR);
	assert_int_equal(out.signature, 2);
	assert_int_equal(out.dns_status, DNS_SERVFAIL);
	out = run(&bed, sigs, 4, authors, ARRAY_LEN(authors));
	assert_int_equal(out.result, ATPS_PASS);
	assert_int_equal(out.signature, 3);
	assert_true(!authors[0].is_authorized && !authors[1].is_authorized && authors[2].is_authorized && !authors[3].is_authorized);
	out = run(&bed, sigs, 5, authors, ARRAY_LEN(authors));
	assert_true(authors[0].is_authorized && authors[2].is_authorized);
	bed_fini(&bed);
	bed_init(&bed, zone, BUDGET);
	out = run(&bed, sigs, 5, authors, ARRAY_LEN(authors));
	assert_int_equal(bed.rounds, 1);                /* together */
	assert_int_equal(bed.questions.n, 4);
	out = run(&bed, sigs, 0, authors, ARRAY_LEN(authors));
	assert_int_equal(out.result, ATPS_NONE);
	assert_false(authors[0].is_authorized);
	authors[0].domain = SPAN("a..b");               /* equal, but no name that could be asked */
	out = run(&bed, &(struct atps_signature)SIG("esp.example", "a..b", "none"), 1, authors, 1);
	assert_int_equal(out.reason, ATPS_R_OTHER_DOMAIN);
	out = run(&bed, sigs, 5, authors, 0);
	assert_int_equal(out.reason, ATPS_R_OTHER_DOMAIN);
	bed_fini(&bed);
}

static void
test_signature_count(void **state)
{
	struct atps_signature sigs[2 * ATPS_SIGNATURES_MAX + 1];
	struct atps_author author = { .domain = SPAN("example.com") };
	struct atps_outcome out;
	struct bed bed;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sigs); i++)    /* those without atps= do not count */
		sigs[i] = (struct atps_signature){ SPAN("two.example.net"), i % 2 == 0 ? SPAN("example.com") : SPAN_NULL, SPAN("sha1") };
	sigs[2 * ATPS_SIGNATURES_MAX] = (struct atps_signature)SIG("esp.example", "example.com", "none");
	bed_init(&bed, zone, BUDGET);
	out = run(&bed, sigs, ARRAY_LEN(sigs), &author, 1);
	assert_int_equal(out.result, ATPS_FAIL);
	sigs[0].atps = SPAN_NULL;
	out = run(&bed, sigs, ARRAY_LEN(sigs), &author, 1);
	assert_int_equal(out.result, ATPS_PASS);
	bed_fini(&bed);
}

static void
test_deadline_and_ceiling(void **state)
{
	static const struct atps_signature sigs[] = { SIG("one.example.net", "example.com", "sha1"), SIG("esp.example", "example.com", "none") };
	struct atps_author author = { .domain = SPAN("example.com") };
	struct atps_outcome out;
	bool was_hit = true;
	struct bed bed;
	uint64_t fail_at;

	(void)state;
	bed_init(&bed, zone, BUDGET);
	assert_int_equal(atps_check(&bed.arena, &bed.questions, sigs, 2, &author, 1, &out), RC_WAIT);
	questions_close(&bed.questions);
	assert_int_equal(atps_check(&bed.arena, &bed.questions, sigs, 2, &author, 1, &out), RC_OK);
	assert_int_equal(out.result, ATPS_TEMPERROR);
	assert_int_equal(out.dns_status, DNS_TIMEOUT);
	bed_fini(&bed);
	for (fail_at = 1; was_hit; fail_at++) {
		bed_init(&bed, zone, BUDGET);
		bed.arena.fail_at = fail_at;
		out = run(&bed, sigs, 1, &author, 1);
		was_hit = bed.arena.count >= fail_at;
		if (out.result != ATPS_PASS && (!was_hit || out.result != ATPS_TEMPERROR))
			fail_msg("allocation %u: %s", (unsigned)fail_at, atps_result_name(out.result));
		assert_int_equal(author.is_authorized, out.result == ATPS_PASS);
		bed_fini(&bed);
	}
	assert_true(fail_at > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base32),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_one_signature),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_signature_count),
		cmocka_unit_test(test_deadline_and_ceiling),
	};

	return cmocka_run_group_tests_name("atps", tests, NULL, NULL);
}
