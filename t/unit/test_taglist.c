/* taglist: what is a list of tags and what is not. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/mail/taglist.h"

static const struct row {
	const char *name, *text;
	enum rc want;
	const char *tags;               /* "name=value|name=value" */
} rows[] = {
	{ "one", "v=1", RC_OK, "v=1" },
	{ "several", "v=1; a=rsa-sha256;d=example.org", RC_OK, "v=1|a=rsa-sha256|d=example.org" },
	{ "a semicolon at the end", "v=1;", RC_OK, "v=1" },
	{ "a semicolon and blanks at the end", "v=1; \t ", RC_OK, "v=1" },
	{ "two semicolons at the end", "v=1;;", RC_SYNTAX, NULL },
	{ "two semicolons with a blank", "v=1; ;", RC_SYNTAX, NULL },
	{ "a semicolon in front", ";v=1", RC_SYNTAX, NULL },
	{ "nothing", "", RC_SYNTAX, NULL },
	{ "blanks alone", "  \t", RC_SYNTAX, NULL },
	{ "empty value", "p=; q=1", RC_OK, "p=|q=1" },
	{ "empty value at the end", "q=1; p=", RC_OK, "q=1|p=" },
	{ "empty value of blanks", "p= \t ;q=1", RC_OK, "p=|q=1" },
	{ "blanks everywhere", " \tv \t= \t1 \t; a = x y ", RC_OK, "v=1|a=x y" },
	{ "a fold around everything", "\r\n v\r\n =\r\n 1\r\n ;\r\n\ta=x\r\n y", RC_OK, "v=1|a=x\r\n y" },
	{ "folds with LF alone", "v\n =\n\t1", RC_OK, "v=1" },
	{ "a line end that folds nothing", "v=1\r\na=2", RC_SYNTAX, NULL },
	{ "a CR alone", "v=1\ra=2", RC_SYNTAX, NULL },
	{ "a line end at the end", "v=1\r\n", RC_SYNTAX, NULL },
	{ "equal signs in a value", "b=abc==; c=a=b", RC_OK, "b=abc==|c=a=b" },
	{ "no equal sign", "v=1; t; p=x", RC_SYNTAX, NULL },
	{ "no name", "=1", RC_SYNTAX, NULL },
	{ "a digit in front of a name", "1v=1", RC_SYNTAX, NULL },
	{ "an underscore in front of a name", "_v=1", RC_SYNTAX, NULL },
	{ "digits and underscores in a name", "a1_b=1", RC_OK, "a1_b=1" },
	{ "a dash in a name", "a-b=1", RC_SYNTAX, NULL },
	{ "a blank in a name", "a b=1", RC_SYNTAX, NULL },
	{ "the same twice", "d=a; d=b", RC_SYNTAX, NULL },
	{ "the same twice, with equal values", "d=a; s=x; d=a", RC_SYNTAX, NULL },
	{ "the same in another case is another", "b=1; B=2", RC_OK, "b=1|B=2" },
	{ "one the beginning of the other", "b=1; bh=2", RC_OK, "b=1|bh=2" },
	{ "UTF-8 in a value", "d=b\xc3\xbc" "cher.example", RC_OK, "d=b\xc3\xbc" "cher.example" },
	{ "UTF-8 in a name", "\xc3\xbc=1", RC_SYNTAX, NULL },
	{ "broken UTF-8", "n=\xc3", RC_SYNTAX, NULL },
	{ "broken UTF-8 in the middle", "n=\xe3\x81; p=x", RC_SYNTAX, NULL },
	{ "overlong UTF-8", "n=\xc0\xbb", RC_SYNTAX, NULL },
	{ "a control byte", "n=\x01", RC_SYNTAX, NULL },
	{ "DEL", "n=\x7f", RC_SYNTAX, NULL },
	{ "printable to both ends", "n=!~", RC_OK, "n=!~" },
};

static void
expect(const struct row *r, const struct taglist *t)
{
	char got[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < t->n; i++) {
		assert_non_null(t->v[i].value.p);
		at += (size_t)snprintf(got + at, sizeof got - at, "%s%.*s=%.*s", i > 0 ? "|" : "", SPAN_ARGS(t->v[i].name), SPAN_ARGS(t->v[i].value));
	}
	if (strcmp(got, r->tags) != 0)
		fail_msg("%s: got \"%s\", want \"%s\"", r->name, got, r->tags);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].text);
		const char *why = NULL;
		struct taglist t;
		enum rc rc = taglist_parse(text, &t, &why);

		if (rc != rows[i].want)
			fail_msg("%s: got %s (%s)", rows[i].name, rc_name(rc), why != NULL ? why : "");
		assert_int_equal(rc != RC_OK, why != NULL);
		if (rc == RC_OK)
			expect(&rows[i], &t);
		exact_free(text);
	}
}

static void
test_nul(void **state)
{
	struct span text = exact_n("d=a\0b", 5);
	struct taglist t;

	(void)state;
	assert_int_equal(taglist_parse(text, &t, NULL), RC_SYNTAX);
	exact_free(text);
}

static enum rc
parse_many(size_t n, struct taglist *t)
{
	char text[8 * (TAGLIST_MAX + 2)];
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "t%zu=%zu;", i, i % 10);
	return taglist_parse(span_of(text, at), t, NULL);
}

static void
test_limit(void **state)
{
	struct taglist t;

	(void)state;
	assert_int_equal(parse_many(TAGLIST_MAX, &t), RC_OK);
	assert_int_equal(t.n, TAGLIST_MAX);
	assert_int_equal(parse_many(TAGLIST_MAX + 1, &t), RC_LIMIT);
}

static void
test_get(void **state)
{
	struct taglist t;

	(void)state;
	assert_int_equal(taglist_parse(SPAN("v=1; p=; B=x"), &t, NULL), RC_OK);
	assert_span(taglist_get(&t, SPAN("v")), "1");
	assert_non_null(taglist_get(&t, SPAN("p")).p);
	assert_int_equal(taglist_get(&t, SPAN("p")).n, 0);
	assert_null(taglist_get(&t, SPAN("b")).p);
	assert_int_equal(taglist_find(&t, SPAN("B")), 2);
	assert_int_equal(taglist_find(&t, SPAN("")), t.n);
}

static void
test_items(void **state)
{
	struct span rest = SPAN("from : to:\r\n subject::date "), item;

	(void)state;
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "from");
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "to");
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "subject");
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "");
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "date");
	assert_false(taglist_item(&rest, &item));
	rest = SPAN("");
	assert_true(taglist_item(&rest, &item));
	assert_span(item, "");
	assert_false(taglist_item(&rest, &item));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_nul), cmocka_unit_test(test_limit), cmocka_unit_test(test_get),
		cmocka_unit_test(test_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
