/* policy: every setting against every trouble. */
#include "t/unit/unit.h"

#include "worker/policy.h"

static void
test_decide(void **state)
{
	static const struct {
		bool is_over_limit, has_internal_error;
		enum conf_on_trouble on_limit, on_error;
		enum action_kind want;
		const char *code, *xcode, *why;
	} rows[] = {
		{ false, false, CONF_REJECT, CONF_REJECT, ACTION_ACCEPT, NULL, NULL, "none" },
		{ false, false, CONF_ACCEPT, CONF_TEMPFAIL, ACTION_ACCEPT, NULL, NULL, "none" },
		{ true, false, CONF_REJECT, CONF_ACCEPT, ACTION_REJECT, "554", "5.6.0", "limit" },
		{ true, false, CONF_TEMPFAIL, CONF_REJECT, ACTION_TEMPFAIL, "451", "4.7.1", "limit" },
		{ true, false, CONF_ACCEPT, CONF_REJECT, ACTION_ACCEPT, NULL, NULL, "limit" },
		{ false, true, CONF_REJECT, CONF_ACCEPT, ACTION_ACCEPT, NULL, NULL, "internal_error" },
		{ false, true, CONF_ACCEPT, CONF_TEMPFAIL, ACTION_TEMPFAIL, "451", "4.3.0", "internal_error" },
		{ false, true, CONF_ACCEPT, CONF_REJECT, ACTION_REJECT, "554", "5.3.0", "internal_error" },
		/* both: the sterner setting */
		{ true, true, CONF_REJECT, CONF_TEMPFAIL, ACTION_REJECT, "554", "5.6.0", "limit" },
		{ true, true, CONF_TEMPFAIL, CONF_REJECT, ACTION_REJECT, "554", "5.3.0", "internal_error" },
		{ true, true, CONF_TEMPFAIL, CONF_TEMPFAIL, ACTION_TEMPFAIL, "451", "4.7.1", "limit" },
		{ true, true, CONF_ACCEPT, CONF_TEMPFAIL, ACTION_TEMPFAIL, "451", "4.3.0", "internal_error" },
		{ true, true, CONF_ACCEPT, CONF_ACCEPT, ACTION_ACCEPT, NULL, NULL, "limit" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf conf = { .message_on_limit = rows[i].on_limit, .worker_on_internal_error = rows[i].on_error };
		struct policy_facts facts = { .is_over_limit = rows[i].is_over_limit, .has_internal_error = rows[i].has_internal_error };
		struct action a = policy_decide(&conf, &facts);

		assert_int_equal(a.kind, rows[i].want);
		assert_string_equal(a.why, rows[i].why);
		if (rows[i].code == NULL) {
			assert_null(a.code);
			assert_null(a.xcode);
			assert_null(a.text);
			continue;
		}
		assert_string_equal(a.code, rows[i].code);
		assert_string_equal(a.xcode, rows[i].xcode);
		/* What an SMTP reply must look like: libmilter takes '%' for a format. */
		assert_int_equal(a.code[0], a.xcode[0]);
		assert_int_equal(a.code[0], a.kind == ACTION_REJECT ? '5' : '4');
		assert_null(strpbrk(a.text, "%\r\n"));
		assert_true(strlen(a.text) > 10);
	}
}

/* Results of mechanisms never change the action. */
static void
test_results_do_not_matter(void **state)
{
	struct conf conf = { .message_on_limit = CONF_REJECT, .worker_on_internal_error = CONF_TEMPFAIL };

	(void)state;
	for (enum spf_result r = SPF_NONE; r <= SPF_PERMERROR; r++) {
		struct verdict v = { .mailfrom = { .is_evaluated = true, .outcome.result = r }, .is_over_budget = true };
		struct policy_facts facts = { .verdict = &v };

		assert_int_equal(policy_decide(&conf, &facts).kind, ACTION_ACCEPT);
	}
}

/* A message that keeps a forged field passes under no setting. */
static void
test_what_cannot_be_cleaned(void **state)
{
	static const enum conf_on_trouble all[] = { CONF_ACCEPT, CONF_TEMPFAIL, CONF_REJECT };

	(void)state;
	for (size_t i = 0; i < 4 * ARRAY_LEN(all); i++) {
		struct conf conf = { .message_on_limit = all[i / 4], .worker_on_internal_error = all[i / 4] };
		struct policy_facts facts = { .cannot_be_cleaned = true, .is_over_limit = i & 1, .has_internal_error = i & 2 };
		struct action a = policy_decide(&conf, &facts);

		assert_int_not_equal(a.kind, ACTION_ACCEPT);
		if (all[i / 4] == CONF_ACCEPT) {
			assert_string_equal(a.code, "451");
			assert_string_equal(a.why, "internal_error");
		}
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(action_name(ACTION_ACCEPT), "accept");
	assert_string_equal(action_name(ACTION_REJECT), "reject");
	assert_string_equal(action_name(ACTION_TEMPFAIL), "tempfail");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_results_do_not_matter),
		cmocka_unit_test(test_what_cannot_be_cleaned),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
