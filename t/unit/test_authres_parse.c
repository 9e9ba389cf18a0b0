/* authres, parsing: the grammar of RFC 8601 production by production, damage, and limits. */
#include "t/unit/unit.h"

#include <time.h>

#include "common/mail/authres.h"

/* What was parsed as one line: id [v] { method [v] result [reason] ptype.name=[value] ... }; "<syntax>" or "<limit>". */
static void
describe_item(struct buf *b, const struct authres_parsed_item *item)
{
	size_t i;

	buf_str(b, " {");
	buf_span(b, item->method);
	if (item->method_version != 1)
		buf_fmt(b, "/%lu", (unsigned long)item->method_version);
	buf_byte(b, '=');
	buf_span(b, item->result);
	if (!span_is_null(item->reason)) {
		buf_str(b, " because [");
		buf_span(b, item->reason);
		buf_byte(b, ']');
	}
	for (i = 0; i < item->prop_count; i++) {
		buf_byte(b, ' ');
		buf_span(b, item->prop[i].ptype);
		buf_byte(b, '.');
		buf_span(b, item->prop[i].name);
		buf_str(b, "=[");
		buf_span(b, item->prop[i].value);
		buf_byte(b, ']');
	}
	buf_byte(b, '}');
}

static void
describe(struct buf *b, enum rc rc, const struct authres_parsed *p)
{
	size_t i;

	if (rc != RC_OK) {
		assert_null(p);
		buf_fmt(b, "<%s>", rc_name(rc));
		return;
	}
	buf_byte(b, '[');
	buf_span(b, p->id);
	buf_byte(b, ']');
	if (p->version != 1)
		buf_fmt(b, " v%lu", (unsigned long)p->version);
	for (i = 0; i < p->item_count; i++)
		describe_item(b, &p->item[i]);
}

struct row { const char *in, *want; };

static void
expect_rows(const struct row *rows, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct span text = exact(rows[i].in);
		struct authres_parsed *p;
		struct buf b = buf_heap(64 * KIB);
		struct arena a;
		enum rc rc;

		arena_init(&a, 4 * KIB, 1 * MIB);
		rc = authres_parse(&a, text, &p);
		describe(&b, rc, p);
		if (!span_eq(buf_text(&b), span_cstr(rows[i].want)))
			fail_msg("\"%s\"\n gives %s\n  want %s", rows[i].in, buf_text(&b).p, rows[i].want);
		arena_fini(&a);
		buf_fini(&b);
		exact_free(text);
	}
}

static void
test_grammar(void **state)
{
	static const struct row rows[] = {
		/* no-result */
		{ " example.org 1; none", "[example.org]" },
		{ "example.org;none", "[example.org]" },
		{ " example.org ; (c) NONE (c)", "[example.org]" },
		{ " example.org;\r\n none\r\n", "[example.org]" },
		/* resinfo */
		{ " example.com; spf=pass smtp.mailfrom=example.net", "[example.com] {spf=pass smtp.mailfrom=[example.net]}" },
		{ " example.com; spf=pass", "[example.com] {spf=pass}" },
		{ " example.com; spf=pass; dkim=fail", "[example.com] {spf=pass} {dkim=fail}" },
		{ " example.com;\n\tauth=pass (cram-md5) smtp.auth=sender@example.net;\n\tspf=pass smtp.mailfrom=example.net",
		  "[example.com] {auth=pass smtp.auth=[sender@example.net]} {spf=pass smtp.mailfrom=[example.net]}" },
		{ " example.com; x-new=ok; none=pass", "[example.com] {x-new=ok} {none=pass}" },
		{ " example.com; none=pass", "[example.com] {none=pass}" },
		/* comments and white space wherever they may stand */
		{ " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
		  " policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
		  "[foo.example.net] {dkim=fail policy.expired=[1362471462]}" },
		{ "(a)example.com(b);(c)spf(d)=(e)pass(f)smtp(g).(h)mailfrom(i)=(j)x(k);(l)a=b(m)",
		  "[example.com] {spf=pass smtp.mailfrom=[x]} {a=b}" },
		{ " example.com ; spf = pass smtp . mailfrom = \"a b\" ; a = b ",
		  "[example.com] {spf=pass smtp.mailfrom=[a b]} {a=b}" },
		/* versions */
		{ " example.com 2; spf=pass", "[example.com] v2 {spf=pass}" },
		{ " example.com(c)2(c); spf/3=pass", "[example.com] v2 {spf/3=pass}" },
		{ " \"example.com\" 007; spf / 08 = pass", "[example.com] v7 {spf/8=pass}" },
		{ " example.com 65535; spf/65535=pass", "[example.com] v65535 {spf/65535=pass}" },
		{ " example.com 65536; spf=pass", "<limit>" },
		{ " example.com; spf/65536=pass", "<limit>" },
		{ " example.com 99999999999999999999999999; spf=pass", "<limit>" },
		/* identifiers */
		{ " \"example.com\"; none", "[example.com]" },
		{ " \"a \\\"b\\\\ c\"; none", "[a \"b\\ c]" },
		{ " \"\"; none", "[]" },
		{ " \"a\r\n b\"; none", "[a b]" },
		{ " \xe4\xbe\x8b\xe3\x81\x88.jp; none", "[\xe4\xbe\x8b\xe3\x81\x88.jp]" },
		/* reasons */
		{ " e.com; spf=fail reason=because smtp.helo=h", "[e.com] {spf=fail because [because] smtp.helo=[h]}" },
		{ " e.com; spf=fail reason = \"no; (good)\" smtp.helo=h", "[e.com] {spf=fail because [no; (good)] smtp.helo=[h]}" },
		{ " e.com; spf=fail (x) REASON=\"\"", "[e.com] {spf=fail because []}" },
		{ " e.com; spf=fail reason.x=y", "[e.com] {spf=fail reason.x=[y]}" },
		/* property values */
		{ " e.com; a=b c.d=u@example.org", "[e.com] {a=b c.d=[u@example.org]}" },
		{ " e.com; a=b c.d=@example.org", "[e.com] {a=b c.d=[@example.org]}" },
		{ " e.com; a=b c.d=x=y/z?@example.org", "[e.com] {a=b c.d=[x=y/z?@example.org]}" },
		{ " e.com; a=b c.d=\"u v\"@example.org e.f=g", "[e.com] {a=b c.d=[\"u v\"@example.org] e.f=[g]}" },
		{ " e.com; a=b c.d=\"u\r\n v\"@example.org", "[e.com] {a=b c.d=[\"u v\"@example.org]}" },
		{ " e.com; a=b c.d= u (c) @example.org (c) ; e=f", "[e.com] {a=b c.d=[u@example.org]} {e=f}" },
		{ " e.com; a=b c.d=\"x\"e.f=\"y\"", "[e.com] {a=b c.d=[x] e.f=[y]}" },
		{ " e.com; a=b c.d=\"\"", "[e.com] {a=b c.d=[]}" },
		{ " e.com; a=b c.d=..x", "[e.com] {a=b c.d=[..x]}" },
		{ " e.com; a=b c.d=\"2001:db8::1\"", "[e.com] {a=b c.d=[2001:db8::1]}" },
		{ " e.com; a=b c.d=\xe7\x94\xa8@\xe4\xbe\x8b.jp", "[e.com] {a=b c.d=[\xe7\x94\xa8@\xe4\xbe\x8b.jp]}" },
		{ " e.com; a=b c.d=root@localhost", "[e.com] {a=b c.d=[root@localhost]}" },
		/* somebody else's first words stay one identifier */
		{ " evil, mx.example.jp; dkim=pass", "<syntax>" },
	};

	(void)state;
	expect_rows(rows, ARRAY_LEN(rows));
}

static void
test_damage(void **state)
{
	static const struct row rows[] = {
		{ "", "<syntax>" }, { " ", "<syntax>" }, { ";", "<syntax>" }, { "; none", "<syntax>" }, { " e.com", "<syntax>" },
		{ " e.com;", "<syntax>" }, { " e.com 1", "<syntax>" }, { " e.com x; none", "<syntax>" }, { " e.com/1; none", "<syntax>" },
		{ " \"e.com\"1; none", "<syntax>" }, { " e.com; none; spf=pass", "<syntax>" }, { " e.com; spf=pass; none", "<syntax>" },
		{ " e.com; none;", "<syntax>" }, { " e.com; none x", "<syntax>" }, { " e.com; spf=pass;", "<syntax>" },
		{ " e.com;; spf=pass", "<syntax>" }, { " e.com; =pass", "<syntax>" }, { " e.com; spf=", "<syntax>" }, { " e.com; spf", "<syntax>" },
		{ " e.com; spf pass", "<syntax>" }, { " e.com; spf==pass", "<syntax>" }, { " e.com; spf/=pass", "<syntax>" },
		{ " e.com; spf/x=pass", "<syntax>" }, { " e.com; spf-=pass", "<syntax>" }, { " e.com; spf=pass-", "<syntax>" },
		{ " e.com; spf=\"pass\"", "<syntax>" }, { " e.com; spf=pass,fail", "<syntax>" }, { " e.com; (null)=pass", "<syntax>" },
		{ " e.com; spf=pass smtp", "<syntax>" }, { " e.com; spf=pass smtp.", "<syntax>" }, { " e.com; spf=pass smtp.x", "<syntax>" },
		{ " e.com; spf=pass smtp.x=", "<syntax>" }, { " e.com; spf=pass smtp.x=;", "<syntax>" }, { " e.com; spf=pass smtp=x", "<syntax>" },
		{ " e.com; spf=pass smtp.x=a b", "<syntax>" }, { " e.com; spf=pass smtp.x=a/b", "<syntax>" }, { " e.com; spf=pass .x=a", "<syntax>" },
		{ " e.com; spf=pass smtp.x=a=", "<syntax>" }, { " e.com; spf=pass smtp.x=<a@b.c>", "<syntax>" },
		{ " e.com; spf=pass smtp.x=a..b@c.d", "<syntax>" }, { " e.com; spf=pass smtp.x=a@", "<syntax>" }, { " e.com; spf=pass smtp.x=a@b@c", "<syntax>" },
		{ " e.com; spf=pass smtp.x=a@[192.0.2.1]", "<syntax>" }, { " e.com; spf=pass smtp.x=a@b.", "<syntax>" },
		{ " e.com; spf=pass smtp.x=2001:db8::1", "<syntax>" }, { " e.com; spf=pass reason=", "<syntax>" },
		{ " e.com; spf=pass reason=a@b.c", "<syntax>" }, { " e.com; spf=pass smtp.x=a reason=b", "<syntax>" },
		{ " e.com; spf=pass reason=\"a\"smtp.x=a", "<syntax>" }, { " e.com; spf=pass reason=a reason=b", "<syntax>" },
		{ " e.com (; none", "<syntax>" }, { " e.com (a(b); none", "<syntax>" }, { " e.com ); none", "<syntax>" }, { " \"e.com; none", "<syntax>" },
		{ " e.com; none \"", "<syntax>" }, { " e.com; spf=pass smtp.x=\"a", "<syntax>" }, { " e.com; spf=pass smtp.x=\"a\\", "<syntax>" },
		{ " e.com\r; none", "<syntax>" }, { " e.com\n; none", "<syntax>" }, { " e.com; none\r\n\r\n", "<syntax>" }, { " e.com; none\r", "<syntax>" },
		{ " e\x01.com; none", "<syntax>" }, { " e.com\x7f; none", "<syntax>" }, { " e\xff.com; none", "<syntax>" },
		{ " e.com; spf=pass smtp.x=\xed\xa0\x80", "<syntax>" }, { " e.com (\xff); none", "<syntax>" }, { " e.com; a=b c.d=\"\x01\"", "<syntax>" },
	};

	(void)state;
	expect_rows(rows, ARRAY_LEN(rows));
}

static void
test_nul_is_damage(void **state)
{
	static const char *const text = " e.com; a=b c.d=\"x\" (y)";
	size_t at, n = strlen(text);
	struct authres_parsed *p;
	struct arena a;

	(void)state;
	arena_init(&a, 4 * KIB, 1 * MIB);
	for (at = 0; at < n; at++) {
		char copy[64];
		struct span s;

		memcpy(copy, text, n);
		copy[at] = '\0';
		s = exact_n(copy, n);
		if (authres_parse(&a, s, &p) != RC_SYNTAX)
			fail_msg("NUL at %zu", at);
		exact_free(s);
	}
	arena_fini(&a);
}

/* Every prefix of a field with everything in it: no reading past the end, and only whole items are accepted. */
static void
test_every_prefix(void **state)
{
	static const char text[] = " (c) \"e.com\" 1 ; a/2=b (d) reason=\"r\" c.d=u@e.f (e); g=h i.j=\"k\"@l.m n.o=@p.q";
	struct authres_parsed *p;
	size_t n, good = 0;
	struct arena a;

	(void)state;
	arena_init(&a, 4 * KIB, 1 * MIB);
	for (n = 0; n < sizeof(text); n++) {
		struct span s = exact_n(text, n);

		if (authres_parse(&a, s, &p) == RC_OK)
			good++;
		exact_free(s);
		arena_reset(&a);
	}
	assert_in_range(good, 15, 50);
	arena_fini(&a);
}

static enum rc
rc_of(struct buf *b, struct authres_parsed **out, struct arena *a)
{
	struct span text = exact_n(buf_text(b).p, b->n);
	enum rc rc = authres_parse(a, text, out);

	exact_free(text);
	buf_clear(b);
	return rc;
}

static void
put_times(struct buf *b, const char *s, size_t n)
{
	while (n-- > 0)
		buf_str(b, s);
}

static void
test_limits(void **state)
{
	struct buf b = buf_heap(1 * MIB);
	struct authres_parsed *p;
	struct arena a;

	(void)state;
	arena_init(&a, 4 * KIB, 4 * MIB);
	/* results */
	buf_str(&b, "e.com");
	put_times(&b, "; spf=none", AUTHRES_ITEMS_MAX);
	assert_int_equal(rc_of(&b, &p, &a), RC_OK);
	assert_int_equal(p->item_count, AUTHRES_ITEMS_MAX);
	buf_str(&b, "e.com");
	put_times(&b, "; spf=none", AUTHRES_ITEMS_MAX + 1);
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	buf_str(&b, "e.com");
	put_times(&b, "; spf=none", 5000);
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	/* properties of one result */
	buf_str(&b, "e.com; a=b");
	put_times(&b, " c.d=e", AUTHRES_ITEMS_MAX);
	buf_str(&b, "; a=b");
	put_times(&b, " c.d=e", AUTHRES_ITEMS_MAX);
	assert_int_equal(rc_of(&b, &p, &a), RC_OK);
	assert_int_equal(p->item[0].prop_count, AUTHRES_ITEMS_MAX);
	assert_int_equal(p->item[1].prop_count, AUTHRES_ITEMS_MAX);
	buf_str(&b, "e.com; a=b");
	put_times(&b, " c.d=e", AUTHRES_ITEMS_MAX + 1);
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	/* nesting of comments */
	put_times(&b, "(", AUTHRES_COMMENT_DEPTH);
	put_times(&b, ")", AUTHRES_COMMENT_DEPTH);
	buf_str(&b, "e.com; none");
	assert_int_equal(rc_of(&b, &p, &a), RC_OK);
	put_times(&b, "(", AUTHRES_COMMENT_DEPTH + 1);
	put_times(&b, ")", AUTHRES_COMMENT_DEPTH + 1);
	buf_str(&b, "e.com; none");
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	/* bytes */
	buf_str(&b, "e.com; none (");
	put_times(&b, "x", AUTHRES_PARSE_MAX - 14);
	buf_str(&b, ")");
	assert_int_equal(b.n, AUTHRES_PARSE_MAX);
	assert_int_equal(rc_of(&b, &p, &a), RC_OK);
	buf_str(&b, "e.com; none (");
	put_times(&b, "x", AUTHRES_PARSE_MAX - 13);
	buf_str(&b, ")");
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	buf_fini(&b);
	arena_fini(&a);
}

static void
test_long_quoted_strings(void **state)
{
	struct buf b = buf_heap(1 * MIB);
	struct authres_parsed *p;
	struct arena a;

	(void)state;
	arena_init(&a, 4 * KIB, 1 * MIB);
	buf_str(&b, "e.com; a=b c.d=\"");
	put_times(&b, "\\\"", 30000);
	buf_str(&b, "\"");
	assert_int_equal(rc_of(&b, &p, &a), RC_OK);
	assert_int_equal(p->item[0].prop[0].value.n, 30000);
	arena_fini(&a);
	/* The same with too little memory is a limit, not a crash. */
	arena_init(&a, 256, 8 * KIB);
	buf_str(&b, "e.com; a=b c.d=\"");
	put_times(&b, "\\\"", 30000);
	buf_str(&b, "\"");
	assert_int_equal(rc_of(&b, &p, &a), RC_LIMIT);
	assert_null(p);
	arena_fini(&a);
	buf_fini(&b);
}

static void
test_arena_fails_anywhere(void **state)
{
	static const char text[] = "\"e.com\"; a=b reason=\"r s\" c.d=u@e.f g.h=\"x\"; i=j k.l=m";
	struct authres_parsed *p;
	enum rc rc = RC_LIMIT;
	uint64_t at = 0;

	(void)state;
	while (rc == RC_LIMIT) {
		struct span s = exact(text);
		struct arena a;

		arena_init(&a, 256, 64 * KIB);
		a.fail_at = ++at;
		rc = authres_parse(&a, s, &p);
		assert_true((rc == RC_OK) == (p != NULL));
		arena_fini(&a);
		exact_free(s);
	}
	assert_int_equal(rc, RC_OK);
	assert_true(at > 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_nul_is_damage),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_long_quoted_strings),
		cmocka_unit_test(test_arena_fails_anywhere),
	};

	return cmocka_run_group_tests_name("authres_parse", tests, NULL, NULL);
}
