/* ctlproto: request lines, good and bad. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/ipc/ctlproto.h"

static void
test_good(void **state)
{
	static const struct { const char *in, *command; size_t args; const char *first, *last; } rows[] = {
		{ "ENMA1 status", "status", 0, NULL, NULL },
		{ "ENMA1 status\r", "status", 0, NULL, NULL },
		{ "ENMA1 config spf.auth", "config", 1, "spf.auth", "spf.auth" },
		{ "ENMA1   config   a    b  ", "config", 2, "a", "b" },
		{ "ENMA1 x 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "x", 16, "1", "16" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span in = exact(rows[i].in);
		struct ctl_request r;
		const char *why;

		if (ctl_request_parse(in, &r, &why) != RC_OK)
			fail_msg("\"%s\": %s", rows[i].in, why);
		assert_span(r.command, rows[i].command);
		assert_int_equal(r.arg_count, rows[i].args);
		if (rows[i].args > 0) {
			assert_span(r.arg[0], rows[i].first);
			assert_span(r.arg[r.arg_count - 1], rows[i].last);
		}
		exact_free(in);
	}
}

static void
bad(struct span in, const char *reason)
{
	struct span copy = exact_n(in.p, in.n);
	struct ctl_request r;
	const char *why;

	assert_int_equal(ctl_request_parse(copy, &r, &why), RC_SYNTAX);
	if (strstr(why, reason) == NULL)
		fail_msg("\"%.*s\": said \"%s\", want \"%s\"", SPAN_ARGS(in), why, reason);
	exact_free(copy);
}

static void
test_bad(void **state)
{
	(void)state;
	bad(SPAN(""), "ENMA1");
	bad(SPAN("\r"), "ENMA1");
	bad(SPAN("status"), "ENMA1");
	bad(SPAN("ENMA2 status"), "ENMA1");
	bad(SPAN("enma1 status"), "ENMA1");
	bad(SPAN(" ENMA1 status"), "ENMA1");
	bad(SPAN("ENMA1status"), "ENMA1");
	bad(SPAN("ENMA1"), "no command");
	bad(SPAN("ENMA1    "), "no command");
	bad(SPAN("ENMA1 st\tatus"), "printable");
	bad(SPAN("ENMA1 status\r\r"), "printable");
	bad(SPAN("ENMA1 status\0x"), "printable");
	bad(SPAN("ENMA1 \xc3\xa9"), "printable");
	bad(SPAN("ENMA1 \x7f"), "printable");
	bad(SPAN("ENMA1 x 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), "too many");
}

static void
test_length_limit(void **state)
{
	char line[CTL_LINE_MAX + 2];
	struct ctl_request r;
	const char *why;

	(void)state;
	memset(line, 'a', sizeof(line));
	memcpy(line, "ENMA1 ", 6);
	assert_int_equal(ctl_request_parse(span_of(line, CTL_LINE_MAX), &r, &why), RC_OK);
	assert_int_equal(r.command.n, CTL_LINE_MAX - 6);
	assert_int_equal(ctl_request_parse(span_of(line, CTL_LINE_MAX + 1), &r, &why), RC_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_length_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
