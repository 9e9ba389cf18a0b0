/* eval: which identity is checked with what, questions of both together, deadline, and the published forgery cases. */
#include "t/unit/spf_unit.h"

#include <stdio.h>

static const char zone[] =
    "example.org TXT \"v=spf1 ip4:192.0.2.1 -all exp=e.example\"\n"
    "e.example TXT \"%{s} may not use %{c}\"\n"
    "helo.example TXT \"v=spf1 a -all\"\n"
    "helo.example A 192.0.2.1\n"
    "_helo.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "xn--bcher-kva.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
    "legit.example TXT \"v=spf1 +all\"\n"
    "any.attack TXT \"v=spf1 +all\"\n"
    "helo.attack TXT \"v=spf1 +all\"\n";

struct scene {
	struct bed bed;
	struct eval_facts facts;
	struct eval_options options;
	struct eval eval;
};

/* ip, helo NULL: none. */
static void
scene_init(struct scene *s, const char *ip, const char *helo, const char *mail_from)
{
	*s = (struct scene){
		.options = { .spf = true, .spf_helo = true, .spf_explanation = true, .spf_void_limit = 2 },
		.facts = { .helo = bed_span(helo), .receiver = SPAN("mx.example.jp"), .now_s = 1700000000 },
	};
	bed_init(&s->bed, zone, 250);
	if (ip != NULL)
		s->facts.client = bed_ip(ip);
	assert_int_equal(path_parse(&s->bed.arena, span_cstr(mail_from), &s->facts.sender), RC_OK);
}

static void
scene_run(struct scene *s)
{
	eval_init(&s->eval, &s->bed.arena, &s->facts, &s->options, 250);
	while (eval_run(&s->eval) == RC_WAIT) {
		assert_true(s->eval.questions.new_count > 0);
		bed_carry(&s->bed, &s->eval.questions);
	}
}

static void
scene_fini(struct scene *s)
{
	bed_fini(&s->bed);
}

static void
test_identities(void **state)
{
	static const struct {
		const char *ip, *helo, *mail_from;
		const char *result, *identity;          /* of MAIL FROM */
		const char *helo_result;                /* NULL: not reported */
		size_t asked;
	} rows[] = {
		{ "192.0.2.1", "helo.example", "<user@example.org>", "pass", "user@example.org", "pass", 3 },
		{ "192.0.2.1", "helo.example", "user@example.org", "pass", "user@example.org", "pass", 3 },
		{ "192.0.2.9", "helo.example", "<user@example.org>", "fail", "user@example.org", "fail", 4 },
		{ "192.0.2.1", "helo.example", "<user@Example.ORG.>", "pass", "user@Example.ORG.", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<\"a b\"@example.org>", "pass", "\"a b\"@example.org", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<\"a\\\"b\"@example.org>", "pass", "\"a\\\"b\"@example.org", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<@a.example,@b.example:user@example.org>", "pass", "user@example.org", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<user@b\xc3\xbc" "cher.example>", "pass", "user@b\xc3\xbc" "cher.example", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<j\xc3\xbcrgen@example.org>", "pass", "j\xc3\xbcrgen@example.org", "pass", 3 },
		/* no local part: postmaster (RFC 7208 section 4.3); missing quotes are put */
		{ "192.0.2.1", "helo.example", "<@example.org>", "pass", "postmaster@example.org", "pass", 3 },
		{ "192.0.2.1", "helo.example", "<a b@example.org>", "pass", "\"a b\"@example.org", "pass", 3 },
		/* the null path: postmaster at HELO */
		{ "192.0.2.1", "helo.example", "<>", "pass", "postmaster@helo.example", "pass", 2 },
		{ "192.0.2.1", "helo.example", "", "pass", "postmaster@helo.example", "pass", 2 },
		{ "192.0.2.1", "unknown.example", "<>", "none", "postmaster@unknown.example", "none", 1 },
		{ "192.0.2.1", NULL, "<>", "none", "postmaster", NULL, 0 },
		{ "192.0.2.1", "[192.0.2.1]", "<>", "none", "postmaster@[192.0.2.1]", "none", 0 },
		/* HELO on its own */
		{ "192.0.2.1", NULL, "<user@example.org>", "pass", "user@example.org", NULL, 1 },
		{ "192.0.2.1", "", "<user@example.org>", "pass", "user@example.org", NULL, 1 },
		{ "192.0.2.1", "[192.0.2.1]", "<user@example.org>", "pass", "user@example.org", "none", 1 },
		{ "192.0.2.1", "[IPv6:2001:db8::1]", "<user@example.org>", "pass", "user@example.org", "none", 1 },
		{ "192.0.2.1", "192.0.2.1", "<user@example.org>", "pass", "user@example.org", "none", 1 },
		{ "192.0.2.1", "localhost", "<user@example.org>", "pass", "user@example.org", "none", 1 },
		{ "192.0.2.1", "a b.example", "<user@example.org>", "pass", "user@example.org", "none", 1 },
		{ "192.0.2.1", "_helo.example", "<user@example.org>", "pass", "user@example.org", "pass", 2 },
		{ "192.0.2.1", "b\xc3\xbc" "cher.example", "<user@example.org>", "pass", "user@example.org", "pass", 2 },
		{ "192.0.2.1", "helo.example.", "<user@example.org>", "pass", "user@example.org", "pass", 3 },
		/* no SMTP client */
		{ NULL, "helo.example", "<user@example.org>", "none", "user@example.org", NULL, 0 },
		{ NULL, "helo.example", "<>", "none", "postmaster@helo.example", NULL, 0 },
		/* no domain, or no address at all: none, and HELO's result stays HELO's */
		{ "192.0.2.1", "helo.attack", "root", "none", "root", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<user@[192.0.2.1]>", "none", "user@[192.0.2.1]", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<user@org>", "none", "user@org", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<any@mailfrom.notexist.legit>", "none", "any@mailfrom.notexist.legit", "pass", 2 },
		{ "192.0.2.1", "helo.attack", "<(any@legit.example>", "none", "(any@legit.example", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<any@legit.example(a.attack>", "none", "any@legit.example(a.attack", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<any@legit.example'@any.attack>", "none", "any@legit.example'@any.attack", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<a@b@legit.example>", "none", "a@b@legit.example", "pass", 1 },
		{ "192.0.2.1", "helo.attack", "<any@legit.example,a@any.attack>", "none", "any@legit.example,a@any.attack", "pass", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct verdict *v;
		struct scene s;

		scene_init(&s, rows[i].ip, rows[i].helo, rows[i].mail_from);
		scene_run(&s);
		v = &s.eval.verdict;
		assert_true(v->mailfrom.is_evaluated);
		if (strcmp(spf_result_name(v->mailfrom.outcome.result), rows[i].result) != 0)
			fail_msg("%s: %s", rows[i].mail_from, spf_result_name(v->mailfrom.outcome.result));
		assert_span(v->mailfrom.identity, rows[i].identity);
		if (v->helo.is_evaluated != (rows[i].helo_result != NULL))
			fail_msg("HELO %s: reported or not", rows[i].helo);
		if (v->helo.is_evaluated) {
			assert_string_equal(spf_result_name(v->helo.outcome.result), rows[i].helo_result);
			assert_span(v->helo.identity, rows[i].helo);
		}
		if (v->questions != rows[i].asked)
			fail_msg("%s, HELO %s: %u questions", rows[i].mail_from, rows[i].helo ? rows[i].helo : "-", v->questions);
		assert_false(v->is_over_budget);
		scene_fini(&s);
	}
}

/* a7: the route goes, and what is left is the attacker's own name or no address. */
static void
test_route(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "192.0.2.1", "helo.attack", "<@legit.example,@any.com:'any@any.attack>");
	scene_run(&s);
	assert_span(s.eval.verdict.mailfrom.identity, "'any@any.attack");
	assert_int_equal(s.eval.verdict.mailfrom.outcome.result, SPF_PASS);
	scene_fini(&s);
}

static void
test_local_submission(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "127.0.0.1", "localhost", "<user@example.org>");
	s.facts.is_local_submission = true;
	scene_run(&s);
	assert_int_equal(s.eval.verdict.mailfrom.outcome.result, SPF_NONE);
	assert_int_equal(s.eval.verdict.mailfrom.outcome.reason, SPF_R_NO_CLIENT);
	assert_false(s.eval.verdict.helo.is_evaluated);
	assert_int_equal(s.bed.asked, 0);
	scene_fini(&s);
}

static void
test_options(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "192.0.2.9", "helo.example", "<user@example.org>");
	s.options.spf = false;
	scene_run(&s);
	assert_false(s.eval.verdict.mailfrom.is_evaluated);
	assert_false(s.eval.verdict.helo.is_evaluated);
	assert_int_equal(s.bed.asked, 0);
	scene_fini(&s);

	scene_init(&s, "192.0.2.9", "helo.example", "<user@example.org>");
	s.options.spf_helo = false;
	scene_run(&s);
	assert_span(s.eval.verdict.mailfrom.outcome.explanation, "user@example.org may not use 192.0.2.9");
	assert_false(s.eval.verdict.helo.is_evaluated);
	scene_fini(&s);

	scene_init(&s, "192.0.2.9", "helo.example", "<user@example.org>");
	s.options.spf_explanation = false;
	scene_run(&s);
	assert_null(s.eval.verdict.mailfrom.outcome.explanation.p);
	scene_fini(&s);
}

/* The first questions of both identities leave in one batch. */
static void
test_together(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "192.0.2.1", "helo.example", "<user@example.org>");
	eval_init(&s.eval, &s.bed.arena, &s.facts, &s.options, 250);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	assert_int_equal(s.eval.questions.new_count, 2);
	bed_carry(&s.bed, &s.eval.questions);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	assert_true(s.eval.spf_mailfrom_done);
	assert_int_equal(s.eval.verdict.mailfrom.outcome.result, SPF_PASS);
	bed_carry(&s.bed, &s.eval.questions);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.bed.rounds, 2);
	/* Finished is finished. */
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.eval.verdict.helo.outcome.result, SPF_PASS);
	scene_fini(&s);
}

static void
test_close(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "192.0.2.1", "helo.example", "<user@example.org>");
	eval_init(&s.eval, &s.bed.arena, &s.facts, &s.options, 250);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	bed_carry(&s.bed, &s.eval.questions);
	assert_int_equal(eval_run(&s.eval), RC_WAIT);
	eval_close(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.eval.verdict.mailfrom.outcome.result, SPF_PASS);
	assert_int_equal(s.eval.verdict.helo.outcome.result, SPF_TEMPERROR);
	assert_int_equal(s.eval.verdict.helo.outcome.dns_status, DNS_TIMEOUT);
	scene_fini(&s);

	scene_init(&s, "192.0.2.1", "helo.example", "<user@example.org>");
	eval_init(&s.eval, &s.bed.arena, &s.facts, &s.options, 250);
	eval_close(&s.eval);
	assert_int_equal(eval_run(&s.eval), RC_OK);
	assert_int_equal(s.eval.verdict.mailfrom.outcome.result, SPF_TEMPERROR);
	scene_fini(&s);
}

static void
test_budget(void **state)
{
	struct scene s;

	(void)state;
	for (size_t budget = 0; budget <= 3; budget++) {
		scene_init(&s, "192.0.2.1", "helo.example", "<user@example.org>");
		eval_init(&s.eval, &s.bed.arena, &s.facts, &s.options, budget);
		while (eval_run(&s.eval) == RC_WAIT)
			bed_carry(&s.bed, &s.eval.questions);
		assert_int_equal(s.eval.verdict.is_over_budget, budget < 3);
		assert_int_equal(s.eval.verdict.questions, budget);
		assert_int_equal(s.eval.verdict.helo.outcome.result, budget < 3 ? SPF_TEMPERROR : SPF_PASS);
		scene_fini(&s);
	}
}

/* Every allocation fails in turn: no crash, and never a better or worse result than the truth or temperror. */
static void
test_faults(void **state)
{
	uint64_t at = 0;
	bool has_failed = true;

	(void)state;
	while (has_failed) {
		struct scene s;
		uint64_t before;

		scene_init(&s, "192.0.2.9", "helo.example", "<\"a b\"@example.org>");
		before = s.bed.arena.count;
		s.bed.arena.fail_at = before + ++at;
		scene_run(&s);
		has_failed = s.bed.arena.count >= before + at;
		for (int i = 0; i < 2; i++) {
			struct verdict_spf *v = i == 0 ? &s.eval.verdict.mailfrom : &s.eval.verdict.helo;

			if (v->outcome.result != SPF_FAIL)
				assert_int_equal(v->outcome.result, SPF_TEMPERROR);
			assert_true(has_failed || v->outcome.result == SPF_FAIL);
		}
		scene_fini(&s);
	}
	assert_true(at > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_local_submission),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}
