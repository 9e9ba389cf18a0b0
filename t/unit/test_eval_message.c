/* eval: DKIM, DomainKeys, ADSP and ATPS of one message: who asks what and when, when it is final, what is missing is temperror. */
#include "t/unit/dkim_maker.h"
#include "t/unit/spf_unit.h"

static const char body[] = "Hello\r\n\r\nthe end\r\n";
#define BODY span_of(body, sizeof body - 1)

static EVP_PKEY *key;
static char *zone;                      /* with the keys */

struct scene {
	struct bed bed;
	struct arena kept;              /* of the header */
	struct header_block headers;
	struct dkim_options dkim;
	struct domainkeys_options domainkeys;
	struct eval_facts facts;
	struct eval_options options;
	struct eval eval;
};

static void
add_fields(struct scene *s, const char *text)
{
	struct span rest = span_cstr(text);

	while (rest.n > 0) {
		size_t n = 0, colon = span_find(rest, ':');

		do
			n += span_find(span_from(rest, n), '\n') + 1;
		while (n < rest.n && (rest.p[n] == ' ' || rest.p[n] == '\t'));
		assert_int_equal(header_add(&s->headers, span_sub(rest, 0, colon), span_sub(rest, colon + 1, n - colon - 3), true), RC_OK);
		rest = span_from(rest, n);
	}
}

/* Fields with a signature above them for each maker. */
static void
scene_init(struct scene *s, const char *fields, const struct maker *makers, size_t n)
{
	*s = (struct scene){
		.dkim = { .limit = 10, .min_rsa_bits = 1024 },
		.facts = { .receiver = SPAN("mx.example.jp"), .now_s = 1700000000 },
	};
	s->options.dkim = &s->dkim;
	bed_init(&s->bed, zone, 250);
	arena_init(&s->kept, 4 * KIB, MIB);
	header_init(&s->headers, &s->kept);
	for (size_t i = 0; i < n; i++) {
		struct maker m = makers[i];
		char *signature;

		m.key = key;
		signature = maker_sign(&m, span_cstr(fields), BODY);
		add_fields(s, signature);
		free(signature);
	}
	add_fields(s, fields);
	eval_init(&s->eval, &s->bed.arena, &s->facts, &s->options, 250);
}

static void
scene_fini(struct scene *s)
{
	bed_fini(&s->bed);
	arena_fini(&s->kept);
}

static void
scene_run(struct scene *s)
{
	for (unsigned i = 0; eval_run(&s->eval) == RC_WAIT; i++) {
		assert_true(i < BED_ROUNDS_MAX && s->eval.questions.new_count > 0);
		bed_carry(&s->bed, &s->eval.questions);
	}
}

/* All of it, in pieces. */
static void
scene_message(struct scene *s)
{
	eval_header(&s->eval, &s->headers);
	for (size_t i = 0; i < sizeof body - 1 && eval_wants_body(&s->eval); i++) {
		struct span piece = exact_n(body + i, 1);

		eval_body(&s->eval, piece);
		exact_free(piece);
	}
	eval_end(&s->eval);
	scene_run(s);
}

static bool
has_asked(const struct scene *s, const char *name, uint16_t type)
{
	struct dns_name n;

	assert_int_equal(dns_name_from_text(span_cstr(name), &n), RC_OK);
	for (size_t i = 0; i < s->eval.questions.n; i++)
		if (s->eval.questions.v[i]->type == type && dns_name_eq(&s->eval.questions.v[i]->name, &n))
			return true;
	return false;
}

static const char from[] = "From: A <a@example.org>\r\nSubject: s\r\nTo: u@example.jp\r\n";

static void
test_good(void **state UNUSED)
{
	struct scene s;
	struct verdict *v = &s.eval.verdict;

	scene_init(&s, from, (struct maker[]){ { 0 } }, 1);
	s.options.adsp = true;
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	assert_int_equal(s.eval.questions.n, 0);
	assert_false(eval_wants_body(&s.eval));
	eval_header(&s.eval, &s.headers);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	/* The key is under way before the body; an author's signature saves the questions of ADSP. */
	assert_int_equal(s.eval.questions.n, 1);
	assert_true(has_asked(&s, "sel._domainkey.example.org", DNS_TXT));
	assert_true(eval_wants_body(&s.eval));
	scene_message(&s);
	assert_int_equal(v->from, FROM_GOOD);
	assert_int_equal(v->author_count, 1);
	assert_span(v->authors[0].domain, "example.org");
	assert_int_equal(v->dkim_count, 1);
	assert_int_equal(v->dkim[0].result, DKIM_PASS);
	assert_int_equal(v->adsp.result, ADSP_PASS);
	assert_int_equal(s.bed.asked, 1);
	assert_false(eval_wants_body(&s.eval));
	scene_fini(&s);
}

/* Without a signature the header decides; ADSP's questions go out at once. */
static void
test_unsigned(void **state UNUSED)
{
	struct scene s;

	scene_init(&s, from, NULL, 0);
	eval_header(&s.eval, &s.headers);
	assert_false(eval_wants_body(&s.eval));
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_true(s.eval.verdict.is_dkim_evaluated);
	assert_int_equal(s.eval.verdict.dkim_count, 0);
	assert_int_equal(verdict_dkim_summary(&s.eval.verdict), DKIM_NONE);
	assert_false(s.eval.verdict.is_adsp_evaluated);
	scene_fini(&s);

	scene_init(&s, from, NULL, 0);
	s.options.adsp = true;
	scene_message(&s);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_DISCARD);
	scene_fini(&s);

	/* Of a stranger's signature, too, together with its key. */
	scene_init(&s, from, (struct maker[]){ { .d = "list.example" } }, 1);
	s.options.adsp = true;
	eval_header(&s.eval, &s.headers);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	assert_true(has_asked(&s, "sel._domainkey.list.example", DNS_TXT));
	assert_true(has_asked(&s, "_adsp._domainkey.example.org", DNS_TXT));
	scene_message(&s);
	assert_int_equal(s.eval.verdict.dkim[0].result, DKIM_PASS);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_DISCARD);
	scene_fini(&s);
}

static void
test_atps(void **state UNUSED)
{
	static const struct maker third = { .d = "list.example", .extra = "atps=example.org; atpsh=none; " };
	struct scene s;

	scene_init(&s, from, &third, 1);
	s.options.adsp = s.options.atps = true;
	scene_message(&s);
	assert_int_equal(s.eval.verdict.atps.result, ATPS_PASS);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_PASS);
	scene_fini(&s);
	/* Not by a signature that is broken, nor when it is not wanted. */
	scene_init(&s, from, (struct maker[]){ { .d = "list.example", .extra = "atps=example.org; atpsh=none; ", .bh = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" } }, 1);
	s.options.adsp = s.options.atps = true;
	scene_message(&s);
	assert_int_equal(s.eval.verdict.atps.result, ATPS_NONE);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_DISCARD);
	scene_fini(&s);
	scene_init(&s, from, &third, 1);
	s.options.adsp = true;
	scene_message(&s);
	assert_false(s.eval.verdict.is_atps_evaluated);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_DISCARD);
	scene_fini(&s);
}

static void
test_from(void **state UNUSED)
{
	static const struct { const char *fields; enum verdict_from from; size_t authors; enum adsp_reason adsp; } rows[] = {
		{ "From: a@example.org\r\n", FROM_GOOD, 1, ADSP_R_DISCARDABLE },
		{ "From: a@list.example, b@EXAMPLE.org\r\n", FROM_GOOD, 2, ADSP_R_DISCARDABLE },
		{ "From: a@[192.0.2.1]\r\n", FROM_GOOD, 1, ADSP_R_BAD_DOMAIN },
		{ "Subject: s\r\n", FROM_MISSING, 0, ADSP_R_NO_AUTHOR },
		{ "From: a@example.org\r\nfrom : b@example.org\r\n", FROM_SEVERAL, 0, ADSP_R_NO_AUTHOR },
		{ "From: a@example.org b\r\n", FROM_BAD, 0, ADSP_R_NO_AUTHOR },
		{ "From: nobody:;\r\n", FROM_BAD, 0, ADSP_R_NO_AUTHOR },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene s;

		scene_init(&s, rows[i].fields, NULL, 0);
		s.options.adsp = true;
		scene_message(&s);
		if (s.eval.verdict.from != rows[i].from || s.eval.verdict.author_count != rows[i].authors ||
		    s.eval.verdict.adsp.reason != rows[i].adsp)
			fail_msg("%s: %d %zu %s", rows[i].fields, s.eval.verdict.from, s.eval.verdict.author_count,
			    adsp_reason_text(s.eval.verdict.adsp.reason));
		assert_int_equal(s.eval.verdict.from_why != NULL, rows[i].from == FROM_BAD);
		scene_fini(&s);
	}
}

/* Whatever is missing: temperror, never none and never pass. */
static void
test_missing(void **state UNUSED)
{
	struct scene s;

	/* The deadline, before the header */
	scene_init(&s, from, (struct maker[]){ { 0 } }, 1);
	s.options.adsp = true;
	s.options.domainkeys = &s.domainkeys;
	eval_close(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(verdict_dkim_summary(&s.eval.verdict), DKIM_TEMPERROR);
	assert_int_equal(s.eval.verdict.dkim_lost, DKIM_R_INCOMPLETE);
	assert_int_equal(s.eval.verdict.adsp.result, ADSP_TEMPERROR);
	assert_int_equal(s.eval.verdict.domainkeys.result, DOMAINKEYS_TEMPERROR);
	scene_fini(&s);
	/* ... before the end of the body, with the key at hand */
	scene_init(&s, from, (struct maker[]){ { 0 } }, 1);
	eval_header(&s.eval, &s.headers);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	bed_carry(&s.bed, &s.eval.questions);
	eval_body(&s.eval, BODY);
	eval_close(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.eval.verdict.dkim[0].result, DKIM_TEMPERROR);
	scene_fini(&s);
	/* ... at the end, without the key */
	scene_init(&s, from, (struct maker[]){ { 0 } }, 1);
	eval_header(&s.eval, &s.headers);
	eval_body(&s.eval, BODY);
	eval_end(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	eval_close(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.eval.verdict.dkim[0].reason, DKIM_R_DNS);
	scene_fini(&s);
	/* A header that could not be kept */
	for (size_t n = 0; n <= 1; n++) {
		scene_init(&s, from, (struct maker[]){ { 0 } }, n);
		s.options.adsp = true;
		s.headers.is_incomplete = true;
		scene_message(&s);
		assert_int_equal(s.eval.verdict.from, FROM_NOT_SEEN);
		assert_int_equal(verdict_dkim_summary(&s.eval.verdict), DKIM_TEMPERROR);
		assert_int_equal(s.eval.verdict.adsp.result, ADSP_TEMPERROR);
		scene_fini(&s);
	}
	/* No question left */
	scene_init(&s, from, (struct maker[]){ { 0 } }, 1);
	eval_init(&s.eval, &s.bed.arena, &s.facts, &s.options, 0);
	scene_message(&s);
	assert_int_equal(s.eval.verdict.dkim[0].reason, DKIM_R_DNS);
	assert_true(s.eval.verdict.is_over_budget);
	scene_fini(&s);
}

/* Every allocation fails in turn: the truth or temperror. */
static void
test_faults(void **state UNUSED)
{
	bool has_failed = true;
	uint64_t at = 0;

	while (has_failed) {
		struct scene s;
		struct verdict *v = &s.eval.verdict;
		enum dkim_result r;

		scene_init(&s, from, (struct maker[]){ { 0 }, { .d = "list.example", .extra = "atps=example.org; atpsh=none; " } }, 2);
		s.options.adsp = s.options.atps = true;
		s.options.domainkeys = &s.domainkeys;
		s.bed.arena.fail_at = s.bed.arena.count + ++at;
		scene_message(&s);
		has_failed = s.bed.arena.count >= s.bed.arena.fail_at;
		r = verdict_dkim_summary(v);
		assert_true(r == DKIM_PASS || (has_failed && r == DKIM_TEMPERROR));
		assert_true(v->adsp.result == ADSP_PASS || has_failed);
		assert_true(v->domainkeys.result == DOMAINKEYS_NONE || (has_failed && v->domainkeys.result == DOMAINKEYS_TEMPERROR));
		scene_fini(&s);
	}
	assert_true(at > 10);
}

static void
test_items(void **state UNUSED)
{
	struct authres_item items[VERDICT_ITEMS_MAX];
	struct maker makers[12];
	struct scene s;
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(makers); i++)
		makers[i] = (struct maker){ .d = i == 11 ? "example.org" : "list.example" };
	scene_init(&s, from, makers, ARRAY_LEN(makers));
	s.options.adsp = true;
	s.options.domainkeys = &s.domainkeys;
	scene_message(&s);
	n = verdict_items(&s.eval.verdict, false, &s.bed.arena, items, verdict_item_room(&s.eval.verdict));
	assert_int_equal(n, 11 + 2);
	assert_span(items[0].prop[0].value, "example.org");     /* the author's first, although it stands last */
	assert_span(items[0].comment, "2048-bit key");
	assert_span(items[0].prop[1].value, "@example.org");
	assert_string_equal(items[10].result, "policy");
	assert_span(items[10].comment, "too many signatures, 2 not looked at");
	assert_string_equal(items[11].method, "domainkeys");
	assert_string_equal(items[12].method, "dkim-adsp");
	assert_span(items[12].prop[0].value, "a@example.org");
	/* No more than there is room for. */
	for (size_t max = 0; max <= n; max++)
		assert_int_equal(verdict_items(&s.eval.verdict, false, &s.bed.arena, items, max), max);
	scene_fini(&s);
}

static int
make_zone(void **state UNUSED)
{
	struct buf b = buf_heap(64 * KIB);
	char *p;

	key = maker_rsa(2048);
	p = maker_p(key);
	for (int i = 0; i < 2; i++)
		buf_fmt(&b, "sel._domainkey.%s TXT \"v=DKIM1; p=%.200s\" \"%s\"\n", i == 0 ? "example.org" : "list.example", p, p + 200);
	buf_str(&b, "_adsp._domainkey.example.org TXT \"dkim=discardable\"\nexample.org MX 10 mx.example.org\n"
	    "list.example MX 10 mx.example.org\nlist.example._atps.example.org TXT \"v=ATPS1\"\n");
	zone = xstrndup(buf_text(&b).p, buf_text(&b).n);
	buf_fini(&b);
	free(p);
	return 0;
}

static int
free_zone(void **state UNUSED)
{
	EVP_PKEY_free(key);
	free(zone);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_unsigned), cmocka_unit_test(test_atps), cmocka_unit_test(test_from),
		cmocka_unit_test(test_missing), cmocka_unit_test(test_faults), cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests_name("eval_message", tests, make_zone, free_zone);
}
