/* psl: rules, wildcards, exceptions, names that are none, lists that are none. */
#include "t/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/domain.h"
#include "common/base/psl.h"

static const char rules[] = "// a comment\ncom\nexample\nco.example\n*.wild\n!city.wild\n*.deep.example\nxn--p1ai\nprivate.com\n";

static struct psl_list *
open_text(const char *text)
{
	char path[] = "/tmp/test-psl-XXXXXX";
	struct psl_list *list = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	assert_int_equal(psl_list_open(path, &list), *text != '\0' ? RC_OK : RC_NONE);
	unlink(path);
	return list;
}

static void
test_rules(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "a.com", "a.com" }, { "x.y.a.com", "a.com" }, { "a.com.", "a.com" }, { "com", "com" }, { "com.", "com" },
		{ "a.co.example", "a.co.example" }, { "b.a.co.example", "a.co.example" }, { "co.example", "co.example" }, { "x.example", "x.example" },
		{ "wild", "wild" }, { "a.wild", "a.wild" }, { "b.a.wild", "b.a.wild" }, { "c.b.a.wild", "b.a.wild" },
		{ "city.wild", "city.wild" }, { "a.city.wild", "city.wild" },
		{ "b.a.deep.example", "b.a.deep.example" }, { "a.private.com", "a.private.com" }, { "private.com", "private.com" },
		{ "a.xn--p1ai", "a.xn--p1ai" }, { "b.a.xn--p1ai", "a.xn--p1ai" },
		{ "unlisted", "unlisted" }, { "a.unlisted", "a.unlisted" }, { "b.a.unlisted", "a.unlisted" },
		{ "xcom", "xcom" }, { "_dmarc.a.com", "a.com" },
	};
	struct psl_list *list = open_text(rules);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in), got = psl_org_domain(list, s);

		assert_true(got.p >= s.p && got.p + got.n <= s.p + s.n);
		assert_span(got, rows[i].want);
		exact_free(s);
	}
	psl_list_close(&list);
	psl_list_close(&list);
}

static void
test_not_names(void **state)
{
	static const char *const rows[] = { "", ".", "..", "a..com", ".com", "a b.com", "192.0.2.1", "[192.0.2.1]", "-a.com", "\xc3\xa4.com" };
	struct psl_list *list = open_text(rules);
	struct span nul = exact_n("a\0b.com", 7);
	char longest[DOMAIN_MAX + 3];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_null(psl_org_domain(list, span_cstr(rows[i])).p);
	assert_null(psl_org_domain(list, SPAN_NULL).p);
	assert_null(psl_org_domain(list, nul).p);
	exact_free(nul);
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 2 ? '.' : 'a';
	assert_span(psl_org_domain(list, span_of(longest, DOMAIN_MAX)), "a.a");
	assert_span(psl_org_domain(list, span_of(longest, DOMAIN_MAX + 1)), "a.a");        /* a final dot */
	assert_null(psl_org_domain(list, span_of(longest, DOMAIN_MAX + 2)).p);
	psl_list_close(&list);
}

static void
test_lists(void **state)
{
	struct psl_list *list = open_text("");

	(void)state;
	assert_null(list);
	assert_int_equal(psl_list_open("/nonexistent/list", &list), RC_NONE);
	assert_null(list);
	psl_list_close(&list);
	/* What the system has: any list knows these. */
	assert_int_equal(psl_list_open(NULL, &list), RC_OK);
	assert_span(psl_org_domain(list, SPAN("a.b.example.com")), "example.com");
	assert_span(psl_org_domain(list, SPAN("a.example.co.uk")), "example.co.uk");
	assert_span(psl_org_domain(list, SPAN("a.b.c.ck")), "b.c.ck");
	assert_span(psl_org_domain(list, SPAN("a.www.ck")), "www.ck");
	psl_list_close(&list);
	assert_null(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_not_names),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
