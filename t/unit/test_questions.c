/* test_questions - the budget, speculation, sharing and the end of a message's questions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/dns/questions.h"

struct fixture {
	struct arena arena;
	struct questions q;
};

static struct dns_name
name_of(size_t i)
{
	struct dns_name name;
	char text[32];
	int n = snprintf(text, sizeof text, "n%zu.example", i);

	if (dns_name_from_text(span_of(text, (size_t)n), &name) != RC_OK)
		abort();
	return name;
}

static void
start(struct fixture *f, size_t ceiling, size_t budget)
{
	arena_init(&f->arena, KIB, ceiling);
	questions_init(&f->q, &f->arena, budget);
}

static const struct dns_answer *
want(struct fixture *f, size_t i, bool is_speculative)
{
	struct dns_name name = name_of(i);

	return questions_want(&f->q, &name, DNS_TXT, is_speculative);
}

static void
test_budget_at_limit_and_one_past(void **state)
{
	enum { BUDGET = 20 };
	struct fixture f;

	(void)state;
	start(&f, 64 * KIB, BUDGET);
	for (size_t i = 0; i < BUDGET; i++)
		assert_null(want(&f, i, false));
	assert_int_equal(f.q.n, BUDGET);
	assert_false(f.q.is_budget_spent);
	assert_int_equal(want(&f, BUDGET, false)->status, DNS_LIMIT);
	assert_true(f.q.is_budget_spent);
	assert_int_equal(f.q.n, BUDGET);
	/* Run again: the same questions give the same picture. */
	for (size_t i = 0; i < BUDGET; i++)
		assert_null(want(&f, i, false));
	assert_int_equal(want(&f, BUDGET, false)->status, DNS_LIMIT);
	arena_fini(&f.arena);
}

static void
test_budget_zero(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 64 * KIB, 0);
	assert_null(want(&f, 1, true));
	assert_int_equal(f.q.n, 0);
	assert_false(f.q.is_budget_spent);
	assert_int_equal(want(&f, 1, false)->status, DNS_LIMIT);
	arena_fini(&f.arena);
}

static void
test_speculative_at_half(void **state)
{
	static const struct { size_t budget, noted; } table[] = { { 20, 10 }, { 21, 11 }, { 1, 1 }, { 2, 1 }, { 3, 2 } };

	(void)state;
	for (size_t t = 0; t < ARRAY_LEN(table); t++) {
		struct fixture f;

		start(&f, 64 * KIB, table[t].budget);
		for (size_t i = 0; i < table[t].noted + 5; i++)
			assert_null(want(&f, i, true));
		assert_int_equal(f.q.n, table[t].noted);        /* "less than half used" held so often */
		assert_false(f.q.is_budget_spent);              /* a refused guess is no loss */
		for (size_t i = 0; i < table[t].budget; i++)
			assert_null(want(&f, i, false));
		assert_int_equal(f.q.n, table[t].budget);
		arena_fini(&f.arena);
	}
}

static void
test_same_question_once(void **state)
{
	struct fixture f;
	struct dns_name upper;

	(void)state;
	start(&f, 64 * KIB, 10);
	assert_int_equal(dns_name_from_text(SPAN("N1.EXAMPLE."), &upper), RC_OK);
	assert_null(want(&f, 1, true));
	assert_null(want(&f, 1, false));
	assert_null(questions_want(&f.q, &upper, DNS_TXT, false));
	assert_int_equal(f.q.n, 1);
	assert_null(questions_want(&f.q, &upper, DNS_A, false));
	assert_int_equal(f.q.n, 2);
	questions_answer(&f.q, 0, dns_answer_status(DNS_NODATA, 60, NULL));
	assert_int_equal(want(&f, 1, true)->status, DNS_NODATA);
	assert_ptr_equal(want(&f, 1, true), want(&f, 1, false));
	assert_null(questions_want(&f.q, &upper, DNS_A, false));
	arena_fini(&f.arena);
}

static void
test_carrying(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 64 * KIB, 100);
	for (size_t i = 0; i < 30; i++)
		assert_null(want(&f, i, false));
	assert_int_equal(f.q.new_count, 30);
	assert_int_equal(questions_next_new(&f.q, 0), 0);
	assert_int_equal(questions_next_new(&f.q, 29), 29);
	assert_int_equal(questions_next_new(&f.q, 30), 30);
	assert_int_equal(questions_next_new(&f.q, 999), 30);
	questions_mark_sent(&f.q, 0);
	questions_mark_sent(&f.q, 1);
	assert_int_equal(questions_next_new(&f.q, 0), 2);
	assert_int_equal(f.q.new_count, 28);
	assert_int_equal(f.q.sent_count, 2);
	questions_answer(&f.q, 1, dns_answer_status(DNS_NXDOMAIN, 60, NULL));
	questions_answer(&f.q, 2, dns_answer_status(DNS_NODATA, 60, NULL));    /* never sent: a source beside the carrier */
	assert_int_equal(f.q.new_count, 27);
	assert_int_equal(f.q.sent_count, 1);
	assert_int_equal(questions_next_new(&f.q, 1), 3);
	assert_int_equal(want(&f, 1, false)->status, DNS_NXDOMAIN);
	arena_fini(&f.arena);
}

static void
test_close(void **state)
{
	struct fixture f;

	(void)state;
	start(&f, 64 * KIB, 4);
	for (size_t i = 0; i < 3; i++)
		assert_null(want(&f, i, false));
	questions_mark_sent(&f.q, 0);
	questions_mark_sent(&f.q, 1);
	questions_answer(&f.q, 1, dns_answer_status(DNS_NODATA, 60, NULL));
	questions_close(&f.q);
	assert_true(f.q.is_over);
	assert_int_equal(f.q.new_count + f.q.sent_count, 0);
	assert_int_equal(questions_next_new(&f.q, 0), f.q.n);
	assert_int_equal(want(&f, 0, false)->status, DNS_TIMEOUT);
	assert_int_equal(want(&f, 1, false)->status, DNS_NODATA);
	assert_int_equal(want(&f, 2, false)->status, DNS_TIMEOUT);
	assert_int_equal(want(&f, 77, false)->status, DNS_TIMEOUT);
	assert_int_equal(want(&f, 78, true)->status, DNS_TIMEOUT);
	assert_int_equal(f.q.n, 3);
	/* A late answer, and a second one: what was said stays. */
	questions_answer(&f.q, 0, dns_answer_status(DNS_NXDOMAIN, 60, NULL));
	questions_answer(&f.q, 1, dns_answer_status(DNS_NXDOMAIN, 60, NULL));
	questions_answer(&f.q, 99, dns_answer_status(DNS_NXDOMAIN, 60, NULL));
	assert_int_equal(want(&f, 0, false)->status, DNS_TIMEOUT);
	assert_int_equal(want(&f, 1, false)->status, DNS_NODATA);
	questions_close(&f.q);
	arena_fini(&f.arena);
}

static void
test_arena_ceiling(void **state)
{
	(void)state;
	/* The n-th allocation fails, for every n until none does. */
	for (uint64_t fail = 1;; fail++) {
		struct fixture f;
		size_t refused = 0;

		start(&f, 64 * KIB, 20);
		f.arena.fail_at = fail;
		for (size_t i = 0; i < 20; i++) {
			const struct dns_answer *a = want(&f, i, false);

			if (a != NULL) {
				assert_int_equal(a->status, DNS_LIMIT);
				refused++;
			}
		}
		assert_int_equal(f.q.n + refused, 20);
		assert_int_equal(f.q.new_count, f.q.n);
		arena_fini(&f.arena);
		if (refused == 0)
			break;
		assert_true(fail < 1000);
	}
}

static void
test_references_dropped_at_reset(void **state)
{
	const struct dns_answer *a = dns_answer_status(DNS_NODATA, 5, "kept by the test");
	struct fixture f;

	(void)state;
	start(&f, 64 * KIB, 10);
	assert_null(want(&f, 1, false));
	questions_answer(&f.q, 0, dns_answer_ref(a));
	assert_int_equal(a->refs, 2);
	arena_reset(&f.arena);
	assert_int_equal(a->refs, 1);
	/* The same arena serves the next message. */
	questions_init(&f.q, &f.arena, 10);
	assert_null(want(&f, 1, false));
	questions_answer(&f.q, 0, dns_answer_ref(a));
	questions_answer(&f.q, 0, dns_answer_ref(a));
	assert_int_equal(a->refs, 2);
	arena_fini(&f.arena);
	assert_int_equal(a->refs, 1);
	assert_string_equal(a->why, "kept by the test");
	dns_answer_unref(a);
	dns_answer_unref(NULL);
	assert_null(dns_answer_ref(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget_at_limit_and_one_past), cmocka_unit_test(test_budget_zero),
		cmocka_unit_test(test_speculative_at_half), cmocka_unit_test(test_same_question_once),
		cmocka_unit_test(test_carrying), cmocka_unit_test(test_close),
		cmocka_unit_test(test_arena_ceiling), cmocka_unit_test(test_references_dropped_at_reset),
	};

	return cmocka_run_group_tests_name("questions", tests, NULL, NULL);
}
