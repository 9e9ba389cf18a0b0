/* addr: every form of an address field, and every attack on it. */
#include "t/unit/unit.h"

#include <time.h>

#include "common/base/buf.h"
#include "common/mail/addr.h"

enum { CEILING = 4 * MIB };

/* want: "display|local|domain|ascii_domain" joined by " ; ", an absent part is "-"; groups begin with "G ".  NULL: refused, `why` says how. */
struct row {
	const char *in, *want, *why;
};

static void
put_part(struct buf *b, struct span s)
{
	if (span_is_null(s))
		buf_str(b, "-");
	else
		buf_span(b, s);
}

static struct span
shown(const struct addr_list *l, struct buf *b)
{
	buf_clear(b);
	if (l->has_groups)
		buf_str(b, "G ");
	for (size_t i = 0; i < l->n; i++) {
		const struct addr_mailbox *m = &l->v[i];

		buf_str(b, i > 0 ? " ; " : "");
		put_part(b, m->display);
		buf_str(b, "|");
		put_part(b, m->local);
		buf_str(b, "|");
		put_part(b, m->domain);
		buf_str(b, "|");
		put_part(b, m->ascii_domain);
	}
	return buf_text(b);
}

static void
check_refused(const struct row *r, enum rc rc, const struct addr_list *l, const char *why, size_t at, size_t n)
{
	if (rc != RC_SYNTAX || l->n != 0 || l->v != NULL || l->has_groups)
		fail_msg("\"%s\": %s, want it refused", r->in, rc_name(rc));
	if (strcmp(why, r->why) != 0)
		fail_msg("\"%s\": refused because \"%s\", want \"%s\"", r->in, why, r->why);
	assert_true(at <= n);
}

static void
run_row(const struct row *r, struct span text)
{
	struct buf b = buf_heap(64 * KIB);
	struct addr_list l;
	const char *why;
	struct arena a;
	size_t at, n = text.n;
	enum rc rc;

	arena_init(&a, 1 * KIB, CEILING);
	rc = addr_parse(&a, text, &l, &why, &at);
	exact_free(text);               /* the result does not need it */
	if (r->want == NULL) {
		check_refused(r, rc, &l, why, at, n);
	} else {
		if (rc != RC_OK)
			fail_msg("\"%s\": %s at %zu, %s", r->in, rc_name(rc), at, why);
		if (!span_eq(shown(&l, &b), span_cstr(r->want)))
			fail_msg("\"%s\": got \"%s\", want \"%s\"", r->in, b.p, r->want);
		assert_null(why);
	}
	arena_fini(&a);
	buf_fini(&b);
}

static void
run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_row(&rows[i], exact(rows[i].in));
}

static void
test_forms(void **state)
{
	static const struct row rows[] = {
		{ "user@example.org", "-|user|example.org|example.org", NULL },
		{ " user@example.org", "-|user|example.org|example.org", NULL },
		{ "<User@Example.ORG>", "-|User|Example.ORG|example.org", NULL },
		{ "Joe <user@example.org>", "Joe|user|example.org|example.org", NULL },
		{ "Joe<user@example.org>", "Joe|user|example.org|example.org", NULL },
		{ "\"\" <user@example.org>", "|user|example.org|example.org", NULL },
		{ "\"Joe\"Q\"P\" <user@example.org>", "JoeQP|user|example.org|example.org", NULL },
		{ "\"J \\\"x\\\" \\\\\"\tQ <user@example.org>", "J \"x\" \\ Q|user|example.org|example.org", NULL },
		{ "J. R. R. T <u@e.example>", "J. R. R. T|u|e.example|e.example", NULL },
		{ "J.R.R.T <u@e.example>", "J.R.R.T|u|e.example|e.example", NULL },
		{ "a (c) b <u@e.example>", "a b|u|e.example|e.example", NULL },
		{ "a(c)b <u@e.example>", "a b|u|e.example|e.example", NULL },
		{ ".a <u@e.example>", NULL, "name begins with a dot" },
		{ "<a.b.c@e.example>", "-|a.b.c|e.example|e.example", NULL },
		{ "<a..b.@e.example>", "-|a..b.|e.example|e.example", NULL },
		{ "<.a@e.example>", "-|.a|e.example|e.example", NULL },
		{ "a . b@e.example", "-|a.b|e.example|e.example", NULL },
		{ "a.\"b c\".d@e.example", "-|a.b c.d|e.example|e.example", NULL },
		{ "a\"b\"@e.example", NULL, "words before '@'" },
		{ "\"a\"b@e.example", NULL, "words before '@'" },
		{ "a b@e.example", NULL, "words before '@'" },
		{ "Joe <a b@e.example>", NULL, "words before '@'" },
		{ "a(c)b@e.example", NULL, "words before '@'" },
		{ "@e.example", NULL, "no local part" },
		{ "<@e.example>", NULL, "bad route" },
		{ ".@e.example", NULL, "no local part" },
		{ "..(c).@e.example", NULL, "no local part" },
		{ "\"\"@e.example", "-||e.example|e.example", NULL },
		{ "!#$%&'*+-/=?^_`{|}~@e.example", "-|!#$%&'*+-/=?^_`{|}~|e.example|e.example", NULL },
		{ "u@localhost", "-|u|localhost|localhost", NULL },
		{ "u@_a.example", "-|u|_a.example|_a.example", NULL },
		{ "u@example.org.", "-|u|example.org.|example.org", NULL },
		{ "u@example.org..", NULL, "empty label in domain" },
		{ "u@.example.org", NULL, "empty label in domain" },
		{ "u@a..b", NULL, "empty label in domain" },
		{ "u@.", NULL, "empty label in domain" },
		{ "u@", NULL, "no domain" },
		{ "u@ ", NULL, "no domain" },
		{ "<u@>", NULL, "no domain" },
		{ "u@\"e.example\"", NULL, "no domain" },
		{ "u@-a.example", "-|u|-a.example|-", NULL },
		{ "u@a$b.example", "-|u|a$b.example|-", NULL },
		{ "u@192.0.2.1", "-|u|192.0.2.1|-", NULL },
		{ "u@[192.0.2.1]", "-|u|[192.0.2.1]|-", NULL },
		{ "u@[IPv6:2001:db8::1] (c)", "-|u|[IPv6:2001:db8::1]|-", NULL },
		{ "u@[]", NULL, "bad address literal" },
		{ "u@[192.0.2.1", NULL, "bad address literal" },
		{ "u@[a@b]", NULL, "bad address literal" },
		{ "u@[a\\]b]", NULL, "bad address literal" },
		{ "u@[192.0.2.1].example", NULL, "no ',' between addresses" },
		/* lists */
		{ "a@b, c@d", "-|a|b|b ; -|c|d|d", NULL },
		{ "a@b,c@d", "-|a|b|b ; -|c|d|d", NULL },
		{ ",a@b,,c@d, ,", "-|a|b|b ; -|c|d|d", NULL },
		{ "\"Doe, John\" <a@b>, Doe <c@d>", "Doe, John|a|b|b ; Doe|c|d|d", NULL },
		{ "Doe, John <a@b>", NULL, "words without an address" },
		{ "a@b;c@d", NULL, "no ',' between addresses" },
		{ "a@b c@d", NULL, "no ',' between addresses" },
		{ "", NULL, "no address" },
		{ " ", NULL, "no address" },
		{ "(c)", NULL, "no address" },
		{ ", ,", NULL, "no address" },
		/* what is left over */
		{ "<a@b>x", NULL, "no ',' between addresses" },
		{ "<a@b> x", NULL, "no ',' between addresses" },
		{ "<a@b><c@d>", NULL, "no ',' between addresses" },
		{ "<a@b>,<c@d", NULL, "'<' without '>'" },
		{ "<a@b>>", NULL, "no ',' between addresses" },
		{ "<<a@b>>", NULL, "no address between '<' and '>'" },
		{ "a@b (c", NULL, "bad comment" },
		{ "a@b c)", NULL, "no ',' between addresses" },
		{ "a@b)", NULL, "no ',' between addresses" },
		{ "<>", NULL, "no address between '<' and '>'" },
		{ "Joe <>", NULL, "no address between '<' and '>'" },
		{ "Joe <joe>", NULL, "no '@' in address" },
		{ "joe", NULL, "words without an address" },
		{ "\"a@b\"", NULL, "words without an address" },
		{ "a@b <a@b>", NULL, "no ',' between addresses" },
		{ "[x] y <a@b>", NULL, "unexpected character" },
		{ ">", NULL, "unexpected character" },
		{ ":", NULL, "unexpected character" },
		{ ";", NULL, "unexpected character" },
		{ "\\a@b", NULL, "unexpected character" },
		{ "\"a", NULL, "bad quoted string" },
		{ "\"a\\\"@b", NULL, "bad quoted string" },
		{ "\"a\" \"b <a@b>", NULL, "bad quoted string" },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_comments_and_folds(void **state)
{
	static const struct row rows[] = {
		{ "(a)u(b)@(c)e(d).(e)example(f)", "-|u|e.example|e.example", NULL },
		{ "(a)J(b)Q(c)<(d)u(e)@(f)e(g).(h)example(i)>(j)", "J Q|u|e.example|e.example", NULL },
		{ "u@e.example (Joe <evil@attack.example>)", "-|u|e.example|e.example", NULL },
		{ "(evil@attack.example) u@e.example", "-|u|e.example|e.example", NULL },
		{ "(\\) evil@attack.example) u@e.example", "-|u|e.example|e.example", NULL },
		{ "(a(b)c) u@e.example", "-|u|e.example|e.example", NULL },
		{ "(a(b c) u@e.example", NULL, "bad comment" },
		{ "u@e.example(\\", NULL, "bad comment" },
		{ "\r\n u@e.example", "-|u|e.example|e.example", NULL },
		{ "Joe\r\n\tQ\r\n <u@e.example>\r\n ", "Joe Q|u|e.example|e.example", NULL },
		{ "\"Joe\r\n Q\" <u@e.example>", "Joe Q|u|e.example|e.example", NULL },
		{ "\"Joe\r\n\tQ\" <u@e.example>", "Joe\tQ|u|e.example|e.example", NULL },
		{ "(a\r\n b) u\r\n @\r\n e.example", "-|u|e.example|e.example", NULL },
		{ "u@e.\r\n example", "-|u|e.example|e.example", NULL },
		{ "u@e.example\n (x)", "-|u|e.example|e.example", NULL },
		{ "u@e.example\r\n", NULL, "no ',' between addresses" },
		{ "u@e.example\r", NULL, "no ',' between addresses" },
		{ "u@e.example\n", NULL, "no ',' between addresses" },
		{ "u@e.example\r (x)", NULL, "no ',' between addresses" },
		{ "u@e.example\n\n (x)", NULL, "no ',' between addresses" },
		{ "u@e.example\r\nc@d", NULL, "no ',' between addresses" },
		{ "a\rb@c", NULL, "words without an address" },
		{ "\ra@c", NULL, "unexpected character" },
		{ "\"a\rb\"@c", NULL, "bad quoted string" },
		{ "\"a\r\nb\"@c", NULL, "bad quoted string" },
		{ "\"a\\\r\n b\"@c", NULL, "bad quoted string" },
		{ "(a\rb) a@c", NULL, "bad comment" },
		{ "(a\nb) a@c", NULL, "bad comment" },
		{ "a\x7f@c", NULL, "words without an address" },
		{ "a\x01@c", NULL, "words without an address" },
		{ "\"\x01\" <a@c>", NULL, "bad quoted string" },
		{ "\"\\\x7f\" <a@c>", NULL, "bad quoted string" },
		{ "(\x1b) a@c", NULL, "bad comment" },
		{ "a@c\x0b", NULL, "no ',' between addresses" },
		{ "\"a\tb\"@c", "-|a\tb|c|c", NULL },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* The published ways to make two readers see two authors; those with several fields are given one by one, what to do about several is not the parser's matter. */
static void
test_attacks(void **state)
{
	static const struct row rows[] = {
		{ " legit@legit.example", "-|legit|legit.example|legit.example", NULL },                                /* a1, a8 - a13 */
		{ " <first@attack.example>", "-|first|attack.example|attack.example", NULL },
		{ " <(any@legit.example>", NULL, "bad comment" },                                                       /* a2 */
		{ " <u@legit.example'a.attack.example>", "-|u|legit.example'a.attack.example|-", NULL },                /* a4 */
		{ " <any@legit.example(a.attack.example>", NULL, "bad comment" },                                       /* a5 */
		{ " <any@legit.example'@any.attack.example>", NULL, "'<' without '>'" },                                /* a6 */
		{ " <@legit.example,@any.com:'any@attack.example>", "-|'any|attack.example|attack.example", NULL },     /* a7 */
		{ " <first@attack.example>, <admin@legit.example>",                                                     /* a14 */
		  "-|first|attack.example|attack.example ; -|admin|legit.example|legit.example", NULL },
		{ " =?utf-8?b?PGFkbWluQGxlZ2l0Pg==?=,<second@attack.example>", NULL, "words without an address" },      /* a15 */
		{ " =?utf-8?b?PGFkbWluQGxlZ2l0Pg==?= <second@attack.example>",
		  "=?utf-8?b?PGFkbWluQGxlZ2l0Pg==?=|second|attack.example|attack.example", NULL },
		{ " <@attack.example,@any.com:admin@legit.example>", "-|admin|legit.example|legit.example", NULL },     /* a16 */
		{ " <admin@legit.example>\\,<second@attack.example>", NULL, "no ',' between addresses" },               /* a17 */
		{ " admin@legit.example,<second@attack.example>",                                                       /* a18 */
		  "-|admin|legit.example|legit.example ; -|second|attack.example|attack.example", NULL },
		{ " <any@attack.example>admin@legit.example", NULL, "no ',' between addresses" },                       /* a19 */
		{ " attacker@example.org, admin@example.org",                                                           /* c1 - c3 */
		  "-|attacker|example.org|example.org ; -|admin|example.org|example.org", NULL },
		{ " admin@example.org", "-|admin|example.org|example.org", NULL },
		/* beside the list */
		{ " \"'X, Y' via Z\" <s@g.example>", "'X, Y' via Z|s|g.example|g.example", NULL },
		{ " \"\\\"Acme, Inc.\\\"\" <o@r.example>", "\"Acme, Inc.\"|o|r.example|r.example", NULL },
		{ " \"Someone <s@junk>\"@mydomain.example", "-|Someone <s@junk>|mydomain.example|mydomain.example", NULL },
		{ " a@b@c", NULL, "no ',' between addresses" },
		{ " <a@b@c>", NULL, "'<' without '>'" },
		{ " g:;", "G ", NULL },
		{ " =?utf-8?q?a=40legit.example?=@attack.example", "-|=?utf-8?q?a=40legit.example?=|attack.example|attack.example", NULL },
		{ " a@=?utf-8?q?legit.example?=", "-|a|=?utf-8?q?legit.example?=|-", NULL },
		{ " \"admin@legit.example\" <x@attack.example>", "admin@legit.example|x|attack.example|attack.example", NULL },
		{ " admin@legit.example <x@attack.example>", NULL, "no ',' between addresses" },
		{ " admin@legit.example:x@attack.example", NULL, "no ',' between addresses" },
		{ " admin@legit.example;", NULL, "no ',' between addresses" },
		{ " <admin@legit.example> <x@attack.example>", NULL, "no ',' between addresses" },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_routes(void **state)
{
	static const struct row rows[] = {
		{ "<@a:u@d>", "-|u|d|d", NULL },
		{ "Joe <@a.example , (c) @b.example : u @ d>", "Joe|u|d|d", NULL },
		{ "<@[192.0.2.1]:u@d>", "-|u|d|d", NULL },
		{ "@a:u@d", NULL, "no local part" },
		{ "<@a,b:u@d>", NULL, "bad route" },
		{ "<@a,:u@d>", NULL, "bad route" },
		{ "<@a u@d>", NULL, "bad route" },
		{ "<@a:>", NULL, "no address between '<' and '>'" },
		{ "<@a:@b:u@d>", NULL, "no local part" },
		{ "<@:u@d>", NULL, "no domain" },
		{ "<@a:u>", NULL, "no '@' in address" },
		{ "<@a(:u@d>", NULL, "bad comment" },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

/* RFC 5322 appendix A, and RFC 6854. */
static void
test_groups_and_examples(void **state)
{
	static const struct row rows[] = {
		{ " John Doe <jdoe@machine.example>", "John Doe|jdoe|machine.example|machine.example", NULL },
		{ " Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
		  "Mary Smith|mary|x.test|x.test ; -|jdoe|example.org|example.org ; Who?|one|y.test|y.test", NULL },
		{ " \"Joe Q. Public\" <john.q.public@example.com>", "Joe Q. Public|john.q.public|example.com|example.com", NULL },
		{ " <boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
		  "-|boss|nil.test|nil.test ; Giant; \"Big\" Box|sysservices|example.net|example.net", NULL },
		{ " A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
		  "G Ed Jones|c|a.test|a.test ; -|joe|where.test|where.test ; John|jdoe|one.test|one.test", NULL },
		{ " Undisclosed recipients:;", "G ", NULL },
		{ " Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete|silly.test|silly.test", NULL },
		{ "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  John "
		  "<jdoe@one.test> (my dear friend); (the end of the group)",
		  "G Chris Jones|c|public.example|public.example ; -|joe|example.org|example.org ; John|jdoe|one.test|one.test", NULL },
		{ "(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", "G ", NULL },
		{ " Joe Q. Public <john.q.public@example.com>", "Joe Q. Public|john.q.public|example.com|example.com", NULL },
		{ " Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
		  "Mary Smith|mary|example.net|example.net ; -|jdoe|test.example|test.example", NULL },
		{ "John Doe <jdoe@machine(comment).  example>", "John Doe|jdoe|machine.example|machine.example", NULL },
		{ "Managing Partners:ben@example.com,carol@example.com;", "G -|ben|example.com|example.com ; -|carol|example.com|example.com", NULL },
		{ "a@b, g: c@d;, h: ;, e@f", "G -|a|b|b ; -|c|d|d ; -|e|f|f", NULL },
		{ "g:,c@d,,;", "G -|c|d|d", NULL },
		{ "\"x:y\": c@d;", "G -|c|d|d", NULL },
		{ "g.h: c@d;", "G -|c|d|d", NULL },
		{ "g: c@d", NULL, "group without ';'" },
		{ "g:", NULL, "unexpected character" },
		{ "g: c@d;;", NULL, "no ',' between addresses" },
		{ "g: c@d; e@f", NULL, "no ',' between addresses" },
		{ "g: h: c@d;;", NULL, "words without an address" },
		{ "g: c@d e@f;", NULL, "no ',' between addresses" },
		{ ":;", NULL, "unexpected character" },
		{ "g:x;", NULL, "words without an address" },
		{ ".g:;", NULL, "name begins with a dot" },
		{ "<a@b>:;", NULL, "no ',' between addresses" },
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_utf8(void **state)
{
	static const struct row rows[] = {
		{ "\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe3\x81\x88.jp", "-|\xe7\x94\xa8\xe6\x88\xb7|\xe4\xbe\x8b\xe3\x81\x88.jp|xn--r8jz45g.jp", NULL },
		{ "\xe4\xbd\x90\xe8\x97\xa4 <u@B\xc3\x9c" "CHER.example>",
		  "\xe4\xbd\x90\xe8\x97\xa4|u|B\xc3\x9c" "CHER.example|xn--bcher-kva.example", NULL },
		{ "\"\xe4\xbd\x90 \xe8\x97\xa4\" <u@e.example>", "\xe4\xbd\x90 \xe8\x97\xa4|u|e.example|e.example", NULL },
		{ "(\xe4\xbd\x90) u@e.example", "-|u|e.example|e.example", NULL },
		{ "u@XN--BCHER-KVA.example", "-|u|XN--BCHER-KVA.example|xn--bcher-kva.example", NULL },
		{ "u@\xef\xbd\x85.example", "-|u|\xef\xbd\x85.example|e.example", NULL },                /* fullwidth letter */
		{ "u@e\xe3\x80\x82" "example", "-|u|e\xe3\x80\x82" "example|e.example", NULL },          /* ideographic full stop */
		{ "a\xef\xbc\xa0" "b.example", NULL, "words without an address" },                        /* fullwidth '@' is no '@' */
		{ "u@a\xef\xbc\xa0" "b.example", "-|u|a\xef\xbc\xa0" "b.example|-", NULL },
		{ "u@\xf0\x9f\x92\xa9.example", "-|u|\xf0\x9f\x92\xa9.example|-", NULL },                /* no letter: not in IDNA 2008 */
		{ "\xc3@e.example", NULL, "invalid UTF-8" },
		{ "\x93\xfa\x96\x7b <u@e.example>", NULL, "invalid UTF-8" },
		{ "J\xfcrgen <u@e.example>", NULL, "invalid UTF-8" },
		{ "u@ex\xc3", NULL, "invalid UTF-8" },
		{ "u@a.\xc3", NULL, "invalid UTF-8" },
		{ "u@\xed\xa0\x80", NULL, "invalid UTF-8" },
		{ "\xc0\xaf@e.example", NULL, "invalid UTF-8" },
		{ "\"\xff\" <u@e.example>", NULL, "bad quoted string" },
		{ "\"\\\xff\" <u@e.example>", NULL, "bad quoted string" },
		{ "(\xff) u@e.example", NULL, "bad comment" },
		{ "u\xe2\x80\xae@e.example", NULL, "character that cannot be shown" },
		{ "\"\xc2\x85\"@e.example", NULL, "character that cannot be shown" },
		{ "u@a\xe2\x80\xae.example", NULL, "character that cannot be shown" },
		{ "A\xe2\x80\x8f <u@e.example>", "A\xe2\x80\x8f|u|e.example|e.example", NULL },          /* a name may */
	};

	(void)state;
	run_rows(rows, ARRAY_LEN(rows));
}

static void
test_nul(void **state)
{
#define ROW(lit, why) { { lit, sizeof(lit) - 1 }, why }
	static const struct { struct span in; const char *why; } rows[] = {
		ROW("\0", "unexpected character"), ROW("a\0@b", "words without an address"), ROW("a@b\0", "no ',' between addresses"),
		ROW("a@legit.example\0.attack", "no ',' between addresses"), ROW("\"a\0\" <a@b>", "bad quoted string"),
		ROW("\"\\\0\" <a@b>", "bad quoted string"), ROW("(\0) a@b", "bad comment"), ROW("(\\\0) a@b", "bad comment"),
		ROW("a@[1\0]", "bad address literal"), ROW("<a@b\0>", "'<' without '>'"), ROW("g:\0;", "unexpected character"),
	};
#undef ROW
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct row r = { rows[i].in.p, NULL, rows[i].why };

		run_row(&r, exact_n(rows[i].in.p, rows[i].in.n));
	}
}

static void
test_where_it_is_wrong(void **state)
{
	static const struct { const char *in; size_t at; } rows[] = {
		{ "a@b x", 4 }, { "", 0 }, { "ok@b, a b@c", 6 }, { "a@b..c", 2 }, { "Joe <>", 5 }, { "a@b, \"x", 5 }, { "a@b, (x", 7 }, { "g: a@b", 6 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct addr_list l;
		const char *why;
		struct arena a;
		size_t at;

		arena_init(&a, 1 * KIB, CEILING);
		assert_int_equal(addr_parse(&a, span_cstr(rows[i].in), &l, &why, &at), RC_SYNTAX);
		if (at != rows[i].at)
			fail_msg("\"%s\": %s at %zu, want %zu", rows[i].in, why, at, rows[i].at);
		arena_fini(&a);
	}
}

/* ---- limits ---- */
/* before, n times each, behind */
static enum rc
parse_repeated(const char *before, const char *each, size_t n, const char *behind, const char **why_out, struct addr_list *out)
{
	struct buf b = buf_heap(4 * MIB);
	struct span text;
	struct arena a;
	size_t at;
	enum rc rc;

	buf_str(&b, before);
	for (size_t i = 0; i < n; i++)
		buf_str(&b, each);
	buf_str(&b, behind);
	text = buf_text(&b);
	text = exact_n(text.p, text.n);
	arena_init(&a, 1 * KIB, CEILING);
	rc = addr_parse(&a, text, out, why_out, &at);
	assert_true(at <= text.n);
	arena_fini(&a);
	exact_free(text);
	buf_fini(&b);
	return rc;
}

#define assert_refused(rc, want, reason) do { \
	assert_int_equal(rc, want); \
	assert_string_equal(why, reason); \
	} while (0)

static void
test_depth(void **state)
{
	struct addr_list l;
	const char *why;
	char close[ADDR_COMMENT_DEPTH + 5] = ")";

	(void)state;
	memset(close, ')', ADDR_COMMENT_DEPTH);
	memcpy(close + ADDR_COMMENT_DEPTH, "a@b", 4);
	assert_int_equal(parse_repeated("", "(", ADDR_COMMENT_DEPTH, close, &why, &l), RC_OK);
	assert_int_equal(l.n, 1);
	assert_refused(parse_repeated("(", "(", ADDR_COMMENT_DEPTH, close, &why, &l), RC_SYNTAX, "comments are nested too deep");
	assert_refused(parse_repeated("a@b", "(", 60000, "", &why, &l), RC_SYNTAX, "comments are nested too deep");
	assert_refused(parse_repeated("", "(", 100000, "", &why, &l), RC_LIMIT, "field is too long");
	/* beside each other they are not nested */
	assert_int_equal(parse_repeated("a@b", "()", 30000, "", &why, &l), RC_OK);
}

static void
test_field_length(void **state)
{
	struct addr_list l;
	const char *why;

	(void)state;
	assert_int_equal(parse_repeated("a@b", " ", ADDR_FIELD_MAX - 3, "", &why, &l), RC_OK);
	assert_refused(parse_repeated("a@b", " ", ADDR_FIELD_MAX - 2, "", &why, &l), RC_LIMIT, "field is too long");
	assert_int_equal(parse_repeated("\"", "x", ADDR_FIELD_MAX - 7, "\" <a@b", &why, &l), RC_SYNTAX);
	assert_int_equal(parse_repeated("\"", "x", ADDR_FIELD_MAX - 8, "\" <a@b>", &why, &l), RC_OK);
}

static void
test_list_length(void **state)
{
	struct addr_list l;
	const char *why;

	(void)state;
	assert_int_equal(parse_repeated("", "a@b,", ADDR_LIST_MAX, "", &why, &l), RC_OK);
	assert_int_equal(l.n, ADDR_LIST_MAX);
	assert_refused(parse_repeated("", "a@b,", ADDR_LIST_MAX, "c@d", &why, &l), RC_LIMIT, "too many addresses");
	assert_refused(parse_repeated("g:", "a@b,", ADDR_LIST_MAX, "c@d;", &why, &l), RC_LIMIT, "too many addresses");
	assert_int_equal(parse_repeated("", "g:a@b;,", ADDR_LIST_MAX, "", &why, &l), RC_OK);
}

static void
test_local_length(void **state)
{
	struct addr_list l;
	const char *why;

	(void)state;
	assert_int_equal(parse_repeated("", "x", ADDR_LOCAL_MAX, "@b", &why, &l), RC_OK);
	assert_refused(parse_repeated("", "x", ADDR_LOCAL_MAX + 1, "@b", &why, &l), RC_LIMIT, "local part is too long");
	assert_int_equal(parse_repeated("\"", "\\x", ADDR_LOCAL_MAX, "\"@b", &why, &l), RC_OK);
	assert_refused(parse_repeated("\"", "\\x", ADDR_LOCAL_MAX + 1, "\"@b", &why, &l), RC_LIMIT, "local part is too long");
}

/* Shapes that make careless parsers slow.  A field of full size takes well under a millisecond; the bound leaves room for sanitizers on a busy machine, not for squares. */
static void
test_linear_time(void **state)
{
	static const struct { const char *before, *each, *behind; enum rc rc; } rows[] = {
		{ "", "\"", "", RC_SYNTAX }, { "", "\"\"", "", RC_SYNTAX }, { "", "\"\"", "<a@b>", RC_OK }, { "", "(\"", "", RC_SYNTAX },
		{ "", "\"(", "", RC_SYNTAX }, { "", "<", "", RC_SYNTAX }, { "", "a ", "<a@b>", RC_OK }, { "", "a.", "b@c", RC_LIMIT },
		{ "", "a . ", "b@c", RC_LIMIT }, { "a@", "b.", "c", RC_OK }, { "a@", "b . ", "c", RC_OK }, { "<", "@a,", "@b:c@d>", RC_OK },
		{ "<", "@a,", "", RC_SYNTAX }, { "", ",", "a@b", RC_OK }, { "", "g:;", "", RC_SYNTAX }, { "", "g:;,", "", RC_OK }, { "g:", ",", ";", RC_OK },
		{ "", "()", "", RC_SYNTAX }, { "", "()(", "", RC_SYNTAX }, { "\"", "\\\"", "", RC_SYNTAX }, { "", "\r\n ", "a@b", RC_OK },
		{ "a@b", "\r\n ", "", RC_OK }, { "\"", "\r\n ", "\" <a@b>", RC_OK }, { "", "\xc3\xa4", "", RC_SYNTAX }, { "a@", "\xc3\xa4", "", RC_OK },
		{ "a@", "\xc3\xa4.", "b", RC_OK }, { "", "=?", "", RC_SYNTAX }, { "a@[", ":", "]", RC_OK }, { "", ".", "@b", RC_SYNTAX },
	};
	struct timespec from, to;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_t each = strlen(rows[i].each);
		struct addr_list l;
		const char *why;
		enum rc rc = parse_repeated(rows[i].before, rows[i].each, (ADDR_FIELD_MAX - 10) / each, rows[i].behind, &why, &l);

		if (rc != rows[i].rc)
			fail_msg("\"%s\" \"%s\"... \"%s\": %s (%s), want %s", rows[i].before, rows[i].each, rows[i].behind, rc_name(rc),
			    why != NULL ? why : "", rc_name(rows[i].rc));
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_true(to.tv_sec - from.tv_sec < 3);
}

static void
test_arena_ceiling(void **state)
{
	static const char in[] = "\"A \\\"b\" Q <\"x y\".z@B\xc3\xbc" "cher.example>, g: c@d, e@[192.0.2.1];, f@g, h@i";
	enum rc rc = RC_LIMIT;
	uint64_t fail_at;

	(void)state;
	for (fail_at = 1; rc == RC_LIMIT; fail_at++) {
		struct addr_list l;
		const char *why;
		struct arena a;
		size_t at;

		arena_init(&a, 256, CEILING);
		a.fail_at = fail_at;
		rc = addr_parse(&a, span_cstr(in), &l, &why, &at);
		if (rc == RC_LIMIT) {
			assert_ptr_equal(why, addr_no_memory);
			assert_int_equal(l.n, 0);
		}
		arena_fini(&a);
	}
	assert_int_equal(rc, RC_OK);
	assert_true(fail_at > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_comments_and_folds),
		cmocka_unit_test(test_attacks),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_groups_and_examples),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_where_it_is_wrong),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_field_length),
		cmocka_unit_test(test_list_length),
		cmocka_unit_test(test_local_length),
		cmocka_unit_test(test_linear_time),
		cmocka_unit_test(test_arena_ceiling),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
