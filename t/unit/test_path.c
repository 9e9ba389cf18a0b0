/* path: every form of a reverse path, and every attack on it. */
#include "t/unit/unit.h"

#include "common/mail/path.h"

#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static const char *const kind_names[] = { "null", "mailbox", "bare", "invalid" };

struct row {
	const char *in;
	enum path_kind kind;
	const char *local, *domain;
};

static const struct row rows[] = {
	/* plain */
	{ "<>", PATH_NULL, "", "" },
	{ "", PATH_NULL, "", "" },
	{ "<user@example.org>", PATH_MAILBOX, "user", "example.org" },
	{ "user@example.org", PATH_MAILBOX, "user", "example.org" },
	{ "<User.Name@Example.ORG>", PATH_MAILBOX, "User.Name", "Example.ORG" },
	{ "<user@example.org.>", PATH_MAILBOX, "user", "example.org." },
	{ "<user@localhost>", PATH_MAILBOX, "user", "localhost" },
	{ "<user@_host.example>", PATH_MAILBOX, "user", "_host.example" },
	{ "<root>", PATH_BARE, "root", "" },
	{ "root", PATH_BARE, "root", "" },
	{ "<\"a b\">", PATH_BARE, "a b", "" },
	{ "<jack&jill=up-a_b3.c@example.com>", PATH_MAILBOX, "jack&jill=up-a_b3.c", "example.com" },
	{ "<SRS0=x+y=AB=example.org=u@fwd.example>", PATH_MAILBOX, "SRS0=x+y=AB=example.org=u", "fwd.example" },
	{ "<!#$%&'*+-/=?^_`{|}~@example.org>", PATH_MAILBOX, "!#$%&'*+-/=?^_`{|}~", "example.org" },
	/* dots where carriers put them */
	{ "<a..b@example.org>", PATH_MAILBOX, "a..b", "example.org" },
	{ "<a.@example.org>", PATH_MAILBOX, "a.", "example.org" },
	{ "<.a@example.org>", PATH_MAILBOX, ".a", "example.org" },
	/* quoted local parts */
	{ "<\"a b\"@example.org>", PATH_MAILBOX, "a b", "example.org" },
	{ "<\"Macro Error\"@example.com>", PATH_MAILBOX, "Macro Error", "example.com" },
	{ "<\"a\\\"b\\\\c\"@example.org>", PATH_MAILBOX, "a\"b\\c", "example.org" },
	{ "<\"a\\b\"@example.org>", PATH_MAILBOX, "ab", "example.org" },
	{ "<\"a@b\"@example.org>", PATH_MAILBOX, "a@b", "example.org" },
	{ "<\"<a>,:;\"@example.org>", PATH_MAILBOX, "<a>,:;", "example.org" },
	{ "<\"\"@example.org>", PATH_MAILBOX, "", "example.org" },
	{ "<\"a>", PATH_INVALID, NULL, NULL },
	{ "<\"a\\\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\"b@example.org>", PATH_INVALID, NULL, NULL },
	{ "<a\"b\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\".\"b\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\tb\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\r\n b\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\\\tb\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\\\xc3\xa4\"@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"a\x7f\"@example.org>", PATH_INVALID, NULL, NULL },
	/* source routes */
	{ "<@a,@b:u@d>", PATH_MAILBOX, "u", "d" },
	{ "<@a.example:u@d.example>", PATH_MAILBOX, "u", "d.example" },
	{ "@a.example:u@d.example", PATH_MAILBOX, "u", "d.example" },
	{ "<@a:u>", PATH_BARE, "u", "" },
	{ "<@a,b:u@d>", PATH_INVALID, NULL, NULL },
	{ "<@a,@b u@d>", PATH_INVALID, NULL, NULL },
	{ "<@a:>", PATH_INVALID, NULL, NULL },
	{ "<@a>", PATH_MAILBOX, "", "a" },
	{ "<@>", PATH_INVALID, NULL, NULL },
	{ "<@a(x):u@d>", PATH_INVALID, NULL, NULL },
	/* address literals */
	{ "<u@[192.0.2.1]>", PATH_MAILBOX, "u", "[192.0.2.1]" },
	{ "<u@[IPv6:2001:db8::1]>", PATH_MAILBOX, "u", "[IPv6:2001:db8::1]" },
	{ "<u@[192.0.2.1>", PATH_INVALID, NULL, NULL },
	{ "<u@[]>", PATH_INVALID, NULL, NULL },
	{ "<u@[192.0.2.1]x>", PATH_INVALID, NULL, NULL },
	{ "<u@[192.0.2.1 ]>", PATH_INVALID, NULL, NULL },
	{ "<u@[a\\]]>", PATH_INVALID, NULL, NULL },
	{ "<u@[tag:x-1]>", PATH_MAILBOX, "u", "[tag:x-1]" },
	{ "<u@[x@legit.example]>", PATH_INVALID, NULL, NULL },
	{ "<u@[\"]>", PATH_INVALID, NULL, NULL },
	{ "<u@[\xc3\xa4]>", PATH_INVALID, NULL, NULL },
	/* internationalised */
	{ "<\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe3\x81\x88.jp>", PATH_MAILBOX, "\xe7\x94\xa8\xe6\x88\xb7", "\xe4\xbe\x8b\xe3\x81\x88.jp" },
	{ "<\"\xc3\xa4 b\"@example.org>", PATH_MAILBOX, "\xc3\xa4 b", "example.org" },
	{ "<u@\xf0\x9f\x92\xa9.example>", PATH_MAILBOX, "u", "\xf0\x9f\x92\xa9.example" },
	{ "<\xc3@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@ex\xc3>", PATH_INVALID, NULL, NULL },
	{ "<u@a.\xc3>", PATH_INVALID, NULL, NULL },
	{ "<\xc0\xaf@example.org>", PATH_INVALID, NULL, NULL },          /* overlong '/' */
	{ "<\xed\xa0\x80@example.org>", PATH_INVALID, NULL, NULL },      /* surrogate */
	{ "<\xf4\x90\x80\x80@example.org>", PATH_INVALID, NULL, NULL },  /* over U+10FFFF */
	{ "<\xfe@example.org>", PATH_INVALID, NULL, NULL },
	{ "<\"\x80\"@example.org>", PATH_INVALID, NULL, NULL },
	/* attacks: unparsable is never the null path, never another identity */
	{ "<(any@legit.example>", PATH_INVALID, NULL, NULL },            /* a2 */
	{ "<any@legit(a.attack>", PATH_INVALID, NULL, NULL },            /* a5 */
	{ "<any@legit'@any.attack>", PATH_INVALID, NULL, NULL },         /* a6 */
	{ "<@legit,@any.com:'any@attack>", PATH_MAILBOX, "'any", "attack" },     /* a7 */
	{ "<a@b@c>", PATH_INVALID, NULL, NULL },
	{ "<@example.org>", PATH_MAILBOX, "", "example.org" },           /* RFC 7208 section 4.3: postmaster */
	{ "<@@example.org>", PATH_INVALID, NULL, NULL },
	{ "<@a:@example.org>", PATH_MAILBOX, "", "example.org" },
	{ "<u@>", PATH_INVALID, NULL, NULL },
	{ "<u@.>", PATH_INVALID, NULL, NULL },
	{ "<u@a..b>", PATH_INVALID, NULL, NULL },
	{ "<u@.a>", PATH_INVALID, NULL, NULL },
	{ "<u@a..>", PATH_INVALID, NULL, NULL },
	{ "<u@a b>", PATH_INVALID, NULL, NULL },
	{ "<a b@example.org>", PATH_MAILBOX, "a b", "example.org" },
	{ "<a  b@example.org>", PATH_INVALID, NULL, NULL },
	{ "< a@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u @example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org >", PATH_INVALID, NULL, NULL },
	{ "< >", PATH_INVALID, NULL, NULL },
	{ "<", PATH_INVALID, NULL, NULL },
	{ ">", PATH_INVALID, NULL, NULL },
	{ "<<>>", PATH_INVALID, NULL, NULL },
	{ "<<u@example.org>>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org", PATH_INVALID, NULL, NULL },
	{ "u@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org>x", PATH_INVALID, NULL, NULL },
	{ "Name <u@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org> SIZE=1", PATH_INVALID, NULL, NULL },
	{ "<u@a/b>", PATH_INVALID, NULL, NULL },
	{ "<u@a\\.b>", PATH_INVALID, NULL, NULL },
	{ "<u\n@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org\r\n>", PATH_INVALID, NULL, NULL },
	{ "<u\x7f@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u(c)@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@example.org(c)>", PATH_INVALID, NULL, NULL },
	{ "<u;x@example.org>", PATH_INVALID, NULL, NULL },
	{ "<u@\"example.org\">", PATH_INVALID, NULL, NULL },
};

static void
expect_part(const struct row *row, struct span got, const char *want)
{
	if (!span_eq(got, span_cstr(want)))
		fail_msg("\"%s\": got \"%.*s\", want \"%s\"", row->in, SPAN_ARGS(got), want ? want : "");
}

static void
check(const struct row *row, struct span text)
{
	struct arena a;
	struct path p;

	arena_init(&a, 256, 64 * KIB);
	assert_int_equal(path_parse(&a, text, &p), RC_OK);
	if (p.kind != row->kind)
		fail_msg("\"%s\" is %s, want %s", row->in, kind_names[p.kind], kind_names[row->kind]);
	expect_part(row, p.local, row->local);
	expect_part(row, p.domain, row->domain);
	if (row->kind == PATH_INVALID && (p.local.p != NULL || p.domain.p != NULL))
		fail_msg("\"%s\" leaves parts behind", row->in);
	arena_fini(&a);
}

static void
test_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].in);

		check(&rows[i], text);
		exact_free(text);
	}
}

static void
test_nul_is_never_part_of_a_path(void **state)
{
	static const struct row row = { "(with a NUL)", PATH_INVALID, NULL, NULL };
#define TEXT(lit) { lit, sizeof(lit) - 1 }
	static const struct span in[] = {
		TEXT("<u\0@example.org>"), TEXT("<u@example.org\0>"), TEXT("<\"a\0b\"@example.org>"), TEXT("\0"), TEXT("<\0>"),
		TEXT("<u@legit.example\0.attack>"), TEXT("<\"a\\\0\"@example.org>"),
	};
#undef TEXT
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(in); i++) {
		struct span text = exact_n(in[i].p, in[i].n);

		check(&row, text);
		exact_free(text);
	}
}

static void
test_raw_keeps_what_was_given(void **state)
{
	struct arena a;
	struct path p;

	(void)state;
	arena_init(&a, 256, 64 * KIB);
	assert_int_equal(path_parse(&a, SPAN("<@a,@b:\"u v\"@d>"), &p), RC_OK);
	assert_span(p.raw, "@a,@b:\"u v\"@d");
	assert_int_equal(path_parse(&a, SPAN("<(any@legit>"), &p), RC_OK);
	assert_span(p.raw, "(any@legit");
	assert_int_equal(path_parse(&a, SPAN("<(any@legit"), &p), RC_OK);
	assert_span(p.raw, "<(any@legit");
	assert_int_equal(path_parse(&a, SPAN_NULL, &p), RC_OK);
	assert_int_equal(p.kind, PATH_NULL);
	arena_fini(&a);
}

/* A path of n bytes with brackets, the local part as long as it takes. */
static enum path_kind
kind_of_length(size_t n, const char *open, const char *rest)
{
	size_t head = strlen(open), tail = strlen(rest);
	char *text = xmalloc(n);
	enum path_kind kind;
	struct arena a;
	struct path p;

	assert_true(n > head + tail);
	memcpy(text, open, head);
	memset(text + head, 'x', n - head - tail);
	memcpy(text + n - tail, rest, tail);
	arena_init(&a, 256, 64 * KIB);
	assert_int_equal(path_parse(&a, span_of(text, n), &p), RC_OK);
	kind = p.kind;
	if (kind == PATH_MAILBOX)
		assert_int_equal(p.local.n, n - head - tail);
	arena_fini(&a);
	free(text);
	return kind;
}

static void
test_lengths(void **state)
{
	(void)state;
	assert_int_equal(kind_of_length(1 + 64 + 13, "<", "@example.org>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(1 + 65 + 13, "<", "@example.org>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(320, "<", "@" L63 "." L63 "." L63 ".example>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(321, "<", "@" L63 "." L63 "." L63 ".example>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(PATH_MAX_BYTES, "<", "@example.org>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(PATH_MAX_BYTES + 1, "<", "@example.org>"), PATH_INVALID);
	assert_int_equal(kind_of_length(PATH_MAX_BYTES, "<\"", "\"@example.org>"), PATH_MAILBOX);
	assert_int_equal(kind_of_length(PATH_MAX_BYTES + 1, "<\"", "\"@example.org>"), PATH_INVALID);
	assert_int_equal(kind_of_length(8 * MIB, "<", "@example.org>"), PATH_INVALID);
}

static void
test_arena_ceiling(void **state)
{
	enum rc rc = RC_LIMIT;
	struct arena a;
	struct path p;
	uint64_t at;

	(void)state;
	for (at = 1; rc == RC_LIMIT; at++) {
		arena_init(&a, 256, 64 * KIB);
		a.fail_at = at;
		rc = path_parse(&a, SPAN("<\"a \\\"b, and so on until it must grow, and further still, to be sure of it\"@example.org>"), &p);
		assert_int_equal(p.kind, rc == RC_OK ? PATH_MAILBOX : PATH_INVALID);
		arena_fini(&a);
	}
	assert_int_equal(rc, RC_OK);
	assert_true(at > 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nul_is_never_part_of_a_path),
		cmocka_unit_test(test_raw_keeps_what_was_given),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_arena_ceiling),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
