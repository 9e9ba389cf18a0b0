/* authres, printing: folding, limits, and that nothing from outside is ever raw. */
#include "t/unit/unit.h"

#include <signal.h>
#include <stdio.h>

#include "common/mail/authres.h"

#define NAME "Authentication-Results:"

static struct authres_item
item_of(const char *method, const char *result, const char *name, struct span value)
{
	return (struct authres_item){ .method = method, .result = result, .prop = { { "smtp", name, value } }, .prop_count = 1 };
}

static size_t
width(struct span line)
{
	size_t i, n = 0;

	for (i = 0; i < line.n; i++)
		n += line.p[i] == '\t' ? 8 : 1;
	return n;
}

/* A line that is too wide must be one that cannot be broken: it has one word. */
static void
check_width(struct span line, bool is_first)
{
	struct span text;

	if (width(line) < AUTHRES_LINE)
		return;
	text = is_first ? span_from(line, strlen(NAME)) : line;
	text = span_trim(text);
	if (span_find(text, ' ') != text.n)
		fail_msg("could be folded: \"%.*s\"", SPAN_ARGS(line));
}

static void
check_line(struct span line, bool is_first)
{
	size_t i;

	assert_in_range(line.n, 1, AUTHRES_LINE_MAX);
	assert_true(is_first || line.p[0] == ' ' || line.p[0] == '\t');
	assert_int_not_equal(span_trim(line).n, 0);
	assert_int_not_equal(line.p[line.n - 1], ' ');
	for (i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if ((c < 0x20 && !(c == '\t' && i == 0)) || c == 0x7f)
			fail_msg("byte %02x in \"%.*s\"", c, SPAN_ARGS(line));
	}
	check_width(line, is_first);
}

/* What every printed value must be like. */
static void
check_field(struct span value)
{
	struct buf whole = buf_heap(64 * KIB);
	struct span rest, line;
	bool is_first = true;

	assert_in_range(value.n, 1, AUTHRES_FIELD_MAX - strlen(NAME));
	assert_int_equal(value.p[0], ' ');
	buf_str(&whole, NAME);
	buf_span(&whole, value);
	for (rest = buf_text(&whole); span_split(&rest, '\n', &line); is_first = false)
		check_line(line, is_first);
	buf_fini(&whole);
}

static void
test_layout(void **state)
{
	struct buf b = buf_heap(64 * KIB);
	struct authres_item items[3] = {
		item_of("spf", "pass", "mailfrom", SPAN("user@example.org")),
		item_of("spf", "none", "helo", SPAN("mx.example.org")),
		item_of("x-long", "fail", "mailfrom", SPAN("somebody-with-a-long-name@mail.department.example.org")),
	};

	(void)state;
	items[0].comment = SPAN("matched ip4:192.0.2.0/24");
	items[2].reason = SPAN("the reason is long enough to need a second line, and it says \"so\"");
	items[2].prop[1] = (struct authres_prop){ "smtp", "remote-ip", SPAN("2001:db8::1") };
	items[2].prop_count = 2;
	assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), items, 3), RC_OK);
	assert_span(buf_text(&b),
	    " mx.example.jp;\n"
	    "\tspf=pass (matched ip4:192.0.2.0/24) smtp.mailfrom=user@example.org;\n"
	    "\tspf=none smtp.helo=mx.example.org;\n"
	    "\tx-long=fail reason=\"the reason is long enough to need a second line,\n"
	    " and it says \\\"so\\\"\"\n"
	    "\tsmtp.mailfrom=somebody-with-a-long-name@mail.department.example.org\n"
	    "\tsmtp.remote-ip=\"2001:db8::1\"");
	check_field(buf_text(&b));
	buf_clear(&b);
	assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), NULL, 0), RC_OK);
	assert_span(buf_text(&b), " mx.example.jp; none");
	buf_clear(&b);
	assert_int_equal(authres_print(&b, SPAN("my \"id\""), items, 0), RC_OK);
	assert_span(buf_text(&b), " \"my \\\"id\\\"\"; none");
	buf_fini(&b);
}

static void
test_values(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "example.org", "example.org" }, { "user@example.org", "user@example.org" }, { "192.0.2.1", "192.0.2.1" },
		{ "SRS0=a/b=c=example.org=u@fwd.example", "SRS0=a/b=c=example.org=u@fwd.example" },
		{ "root@localhost", "root@localhost" }, { "a_b.example", "a_b.example" }, { "x!y", "x!y" },
		{ "\xe7\x94\xa8@\xe4\xbe\x8b.jp", "\xe7\x94\xa8@\xe4\xbe\x8b.jp" }, { "\xe4\xbe\x8b.jp", "\xe4\xbe\x8b.jp" },
		{ "\xe4\xbe\x8b!", "\"\xe4\xbe\x8b!\"" },
		{ "", "\"\"" }, { " ", "\" \"" }, { "a b", "\"a b\"" }, { "2001:db8::1", "\"2001:db8::1\"" }, { "[192.0.2.1]", "\"[192.0.2.1]\"" },
		{ "u@[192.0.2.1]", "\"u@[192.0.2.1]\"" }, { "a/b", "\"a/b\"" }, { "a=b", "\"a=b\"" }, { "a@b@c", "\"a@b@c\"" }, { "@a", "\"@a\"" },
		{ "a@", "\"a@\"" }, { "a..b@c", "\"a..b@c\"" }, { "u@c.", "\"u@c.\"" }, { "\"u v\"@c", "\"\\\"u v\\\"@c\"" },
		/* attacks */
		{ "legit'a.attack", "legit'a.attack" },
		{ "example.net(.example.com", "\"example.net(.example.com\"" },
		{ "legit\"=(.attack", "\"legit\\\"=(.attack\"" },
		{ "any@legit(a.attack", "\"any@legit(a.attack\"" },
		{ "any@legit'@any.attack", "\"any@legit'@any.attack\"" },
		{ "a;dmarc=pass header.from=legit@attack", "\"a;dmarc=pass header.from=legit@attack\"" },
		{ "\"a;dmarc=pass header.from=legit\"@attack", "\"\\\"a;dmarc=pass header.from=legit\\\"@attack\"" },
		{ "x\" \r\nDKIM-Signature: y; dmarc=pass", "\"x\\\" ??DKIM-Signature: y; dmarc=pass\"" },
		{ "x\n dkim=pass", "\"x? dkim=pass\"" }, { "x\\", "\"x\\\\\"" }, { "x\\\"; dkim=pass (", "\"x\\\\\\\"; dkim=pass (\"" },
		{ "a\tb", "\"a?b\"" }, { "a\x7f", "\"a?\"" }, { "a\x1b[31m", "\"a?[31m\"" },
		{ "a\xff", "\"a?\"" }, { "a\xe4\xbe", "\"a??\"" }, { "\xc0\xaf", "\"??\"" }, { "\xed\xa0\x80", "\"???\"" },
		{ "a\xc2\x85" "b", "\"a?b\"" }, { "a\xe2\x80\xa8" "b", "\"a?b\"" },
		{ "moc.kcatta\xe2\x80\xae@legit", "\"moc.kcatta?@legit\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);
		struct buf b = buf_heap(1 * KIB);

		authres_print_value(&b, s);
		assert_span(buf_text(&b), rows[i].want);
		buf_fini(&b);
		exact_free(s);
	}
}

static void
test_comments(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "matched ip4:192.0.2.0/24", "(matched ip4:192.0.2.0/24)" },
		{ "x); dmarc=pass (", "(x], dmarc=pass [)" }, { "\\", "(/)" }, { "\\)", "(/])" }, { "\"", "(')" },
		{ "((((", "([[[[)" }, { "a\r\nb", "(a??b)" }, { "\xe4\xbe\x8b\xff", "(\xe4\xbe\x8b?)" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);
		struct buf b = buf_heap(1 * KIB);

		fieldout_comment(&b, s);
		assert_span(buf_text(&b), rows[i].want);
		buf_fini(&b);
		exact_free(s);
	}
}

/* ---- round trip ---- */

/* Pieces of which hostile values are made, with what must become of them, character by character. */
struct piece { const char *bytes; size_t n; const char *shown[4]; };
static const struct piece pieces[] = {
	{ "a", 1, { "a" } }, { "Z", 1, { "Z" } }, { "7", 1, { "7" } }, { ".", 1, { "." } }, { "-", 1, { "-" } }, { "@", 1, { "@" } },
	{ " ", 1, { " " } }, { "  ", 2, { " ", " " } }, { "\t", 1, { "?" } }, { "\r\n ", 3, { "?", "?", " " } }, { "\0", 1, { "?" } },
	{ "\"", 1, { "\"" } }, { "\\", 1, { "\\" } }, { ";", 1, { ";" } }, { "(", 1, { "(" } }, { ")", 1, { ")" } }, { "=", 1, { "=" } },
	{ "/", 1, { "/" } }, { ",", 1, { "," } }, { ":", 1, { ":" } }, { "\x1b", 1, { "?" } }, { "\x7f", 1, { "?" } },
	{ "\xff", 1, { "?" } }, { "\x80", 1, { "?" } }, { "\xe4\xbe.", 3, { "?", "?", "." } }, { "\xed\xa0\x80", 3, { "?", "?", "?" } },
	{ "\xc2\x9b", 2, { "?" } }, { "\xe2\x80\xae", 3, { "?" } },
	/* those that are shown as UTF-8 stand last */
	{ "\xc3\xa4", 2, { "\xc3\xa4" } }, { "\xe4\xbe\x8b", 3, { "\xe4\xbe\x8b" } }, { "\xf0\x9f\x92\xa9", 4, { "\xf0\x9f\x92\xa9" } },
};
enum { WORD_PIECES = 6, ASCII_PIECES = ARRAY_LEN(pieces) - 3 };

static uint32_t seed = 20240229;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* A random value and what a reader must get. */
struct sample {
	char in[4096], want[4096];
	size_t in_n, want_n, cut_n;     /* cut_n: how much of want may stay if it has to be cut */
};

static void
draw_sample(struct sample *s, size_t piece_count, uint32_t kinds)
{
	size_t i, j;

	s->in_n = s->want_n = s->cut_n = 0;
	for (i = 0; i < piece_count; i++) {
		const struct piece *p = &pieces[draw(kinds)];

		memcpy(s->in + s->in_n, p->bytes, p->n);
		s->in_n += p->n;
		for (j = 0; j < 4 && p->shown[j] != NULL; j++) {
			memcpy(s->want + s->want_n, p->shown[j], strlen(p->shown[j]));
			s->want_n += strlen(p->shown[j]);
			if (s->want_n <= AUTHRES_VALUE_MAX - 3)
				s->cut_n = s->want_n;
		}
	}
	if (s->want_n > AUTHRES_VALUE_MAX) {
		memcpy(s->want + s->cut_n, "...", 3);
		s->want_n = s->cut_n + 3;
	}
}

static void
expect_span(struct span got, struct span want)
{
	if (!span_eq(got, want))
		fail_msg("got \"%.*s\", want \"%.*s\"", SPAN_ARGS(got), SPAN_ARGS(want));
}

/* Prints the sample as identifier, reason, comment and two values, and reads all of it back. */
static void
round_trip(const struct sample *s)
{
	struct span in = exact_n(s->in, s->in_n), want = span_of(s->want, s->want_n);
	struct authres_item items[2] = { item_of("spf", "fail", "mailfrom", in), item_of("x-a", "none", "helo", in) };
	struct buf b = buf_heap(64 * KIB);
	struct authres_parsed *p;
	struct arena a;

	items[0].comment = items[0].reason = in;
	items[1].prop[1] = items[1].prop[0];
	items[1].prop_count = 2;
	assert_int_equal(authres_print(&b, in, items, 2), RC_OK);
	check_field(buf_text(&b));
	arena_init(&a, 4 * KIB, 1 * MIB);
	if (authres_parse(&a, buf_text(&b), &p) != RC_OK)
		fail_msg("not a field: %s", buf_text(&b).p);
	expect_span(p->id, want);
	assert_int_equal(p->item_count, 2);
	assert_int_equal(p->item[0].prop_count, 1);
	assert_int_equal(p->item[1].prop_count, 2);
	expect_span(p->item[0].reason, want);
	expect_span(p->item[0].prop[0].value, want);
	expect_span(p->item[1].prop[1].value, want);
	assert_span(p->item[1].result, "none");
	arena_fini(&a);
	buf_fini(&b);
	exact_free(in);
}

static void
test_round_trip(void **state)
{
	struct sample s;
	int i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		draw_sample(&s, draw(12), ARRAY_LEN(pieces));
		round_trip(&s);
		draw_sample(&s, draw(10), WORD_PIECES); /* words, addresses */
		round_trip(&s);
	}
	for (i = 0; i < 1000; i++) {
		draw_sample(&s, 60 + draw(400), ARRAY_LEN(pieces));
		round_trip(&s);
	}
}

static void
test_every_byte(void **state)
{
	struct sample s;
	unsigned c;

	(void)state;
	for (c = 0; c < 256; c++) {
		s.in_n = s.want_n = 15;
		memcpy(s.in, "a#b@example.org", 15);
		s.in[1] = (char)c;
		memcpy(s.want, s.in, 15);
		if (c < 0x20 || c >= 0x7f)
			s.want[1] = '?';
		round_trip(&s);
		s.in_n = s.want_n = 1;
		s.in[0] = (char)c;
		s.want[0] = c < 0x20 || c >= 0x7f ? '?' : (char)c;
		round_trip(&s);
	}
}

/* Values of n bytes of one character that is `width` bytes wide. */
static void
expect_cut(const char *c, size_t n)
{
	size_t each = strlen(c), keep = n;
	struct sample s;
	char *big = xmalloc(n);
	struct buf b = buf_heap(4 * KIB);
	size_t i;

	for (i = 0; i < n; i++)
		big[i] = c[i % each];
	if (n <= AUTHRES_VALUE_MAX) {
		memcpy(s.in, big, n);
		memcpy(s.want, big, n);
		s.in_n = s.want_n = n;
		round_trip(&s);
	} else {
		keep = (AUTHRES_VALUE_MAX - 3) / each * each;
		authres_print_value(&b, span_of(big, n));
		assert_int_equal(b.n, keep + 5);        /* quotes and "..." */
		assert_memory_equal(b.p + 1, big, keep);
		assert_memory_equal(b.p + 1 + keep, "...\"", 4);
	}
	buf_fini(&b);
	free(big);
}

static void
test_cut_values(void **state)
{
	(void)state;
	expect_cut("x", AUTHRES_VALUE_MAX);
	expect_cut("x", AUTHRES_VALUE_MAX + 1);
	expect_cut("x", 64 * KIB);
	expect_cut("\xc3\xa4", AUTHRES_VALUE_MAX);
	expect_cut("\xc3\xa4", AUTHRES_VALUE_MAX + 2);
	expect_cut("\xe4\xbe\x8b", AUTHRES_VALUE_MAX / 3 * 3);
	expect_cut("\xe4\xbe\x8b", AUTHRES_VALUE_MAX / 3 * 3 + 3);
	expect_cut("\xf0\x9f\x92\xa9", AUTHRES_VALUE_MAX);
	expect_cut("\xf0\x9f\x92\xa9", AUTHRES_VALUE_MAX + 4);
	expect_cut("\xf0\x9f\x92\xa9", 64 * KIB);
}

/* A cut address must not look like a whole one: "...@legit.example" of "...@legit.example.attack". */
static void
test_cut_never_makes_another_address(void **state)
{
	char text[400];
	size_t at;

	(void)state;
	for (at = 200; at < 330; at++) {
		struct buf b = buf_heap(4 * KIB);

		memset(text, 'x', sizeof(text));
		memcpy(text + at, "@legit.example.attack.example", 29);
		memset(text + at + 29, 'y', sizeof(text) - at - 29);
		authres_print_value(&b, span_of(text, sizeof(text)));
		assert_int_equal(b.p[0], '"');
		assert_memory_equal(b.p + b.n - 4, "...\"", 4);
		buf_fini(&b);
	}
}

static void
test_64k_of_everything(void **state)
{
	static const char *const units[] = { "x", " ", "\"", "\\", "\xff", "\xe4\xbe\x8b", "(", "\r\n", "x ", "\xe4\xbe" };
	char *big = xmalloc(64 * KIB);
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(units); i++) {
		struct span in = span_of(big, 64 * KIB);
		struct authres_item items[8];
		struct buf b = buf_heap(64 * KIB);
		struct authres_parsed *p;
		struct arena a;

		for (j = 0; j < in.n; j++)
			big[j] = units[i][j % strlen(units[i])];
		for (j = 0; j < ARRAY_LEN(items); j++) {
			items[j] = item_of("spf", "pass", "mailfrom", in);
			items[j].comment = items[j].reason = in;
		}
		assert_int_equal(authres_print(&b, in, items, ARRAY_LEN(items)), RC_OK);
		check_field(buf_text(&b));
		arena_init(&a, 4 * KIB, 1 * MIB);
		assert_int_equal(authres_parse(&a, buf_text(&b), &p), RC_OK);
		assert_true(p->item_count >= 3);
		arena_fini(&a);
		buf_fini(&b);
	}
	free(big);
}

/* ---- the field's ceiling ---- */

static void
test_field_limit(void **state)
{
	char value[300];
	struct authres_item items[30];
	size_t i, n, last_whole = 0, parsed_n;

	(void)state;
	memset(value, 'x', sizeof(value));
	for (i = 0; i < ARRAY_LEN(items); i++)
		items[i] = item_of("spf", "pass", "mailfrom", span_of(value, 290));
	for (n = 1; n <= sizeof(value); n++) {
		struct buf b = buf_heap(AUTHRES_FIELD_MAX);
		struct authres_parsed *p;
		struct arena a;

		items[25].prop[0].value = span_of(value, n);
		assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), items, 26), RC_OK);
		check_field(buf_text(&b));
		arena_init(&a, 4 * KIB, 1 * MIB);
		assert_int_equal(authres_parse(&a, buf_text(&b), &p), RC_OK);
		parsed_n = p->item_count;
		arena_fini(&a);
		if (parsed_n == 26) {
			assert_int_equal(last_whole, n - 1);
			last_whole = n;
		} else {
			assert_int_equal(parsed_n, 25);
			assert_memory_equal(b.p + b.n - 19, " (1 result left out)" + 1, 19);
		}
		buf_fini(&b);
	}
	assert_in_range(last_whole, 10, 290);
}

/* One item that does not fit does not take those behind it along. */
static void
test_items_behind_a_dropped_one(void **state)
{
	char value[AUTHRES_VALUE_MAX];
	struct authres_item items[40];
	struct buf b = buf_heap(AUTHRES_FIELD_MAX);
	struct authres_parsed *p;
	struct arena a;
	size_t i;

	(void)state;
	memset(value, '"', sizeof(value));
	for (i = 0; i < ARRAY_LEN(items); i++)
		items[i] = item_of("spf", "pass", "mailfrom", span_of(value, sizeof(value)));
	items[39] = item_of("x-last", "pass", "helo", SPAN("h"));
	assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), items, ARRAY_LEN(items)), RC_OK);
	check_field(buf_text(&b));
	arena_init(&a, 4 * KIB, 1 * MIB);
	assert_int_equal(authres_parse(&a, buf_text(&b), &p), RC_OK);
	assert_in_range(p->item_count, 10, 20);
	assert_span(p->item[p->item_count - 1].method, "x-last");
	assert_non_null(strstr(buf_text(&b).p, " results left out)"));
	arena_fini(&a);
	buf_fini(&b);
}

static void
test_small_buffer(void **state)
{
	struct authres_item item = item_of("spf", "pass", "mailfrom", SPAN("user@example.org"));
	struct buf whole = buf_heap(4 * KIB);
	size_t room;

	(void)state;
	assert_int_equal(authres_print(&whole, SPAN("mx.example.jp"), &item, 1), RC_OK);
	for (room = 0; room <= whole.n; room++) {
		struct buf b = buf_heap(room);

		assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), &item, 1), room == whole.n ? RC_OK : RC_LIMIT);
		buf_fini(&b);
	}
	buf_fini(&whole);
}

/* ---- another parser ---- */

/* Reads "HEX-FIELD HEX-VALUE" lines; the field must have one result with that value.  That module predates RFC 8601: it knows no
 * UTF-8, and leaves quoted pairs and line ends inside quoted strings to its caller. */
static const char script[] =
    "import re\n"
    "import sys\n"
    "import authres\n"
    "n = 0\n"
    "for line in sys.stdin:\n"
    "    field, want = [bytes.fromhex(x).decode('utf-8') for x in line.rstrip('\\n').split(' ')]\n"
    "    field = field.replace('\\n', '\\r\\n')\n"
    "    h = authres.AuthenticationResultsHeader.parse('Authentication-Results:' + field)\n"
    "    r = h.results\n"
    "    assert h.authserv_id == 'mx.example.jp', (field, h.authserv_id)\n"
    "    assert len(r) == 1 and len(r[0].properties) == 1, field\n"
    "    assert (r[0].method, r[0].result) == ('spf', 'pass'), field\n"
    "    got = re.sub(r'\\\\(.)', r'\\1', str(r[0].properties[0].value).replace('\\r\\n', ''))\n"
    "    assert got == want, (field, got, want)\n"
    "    n += 1\n"
    "assert n == 3000, n\n";

static const char *
find_python(void)
{
	static const char *const names[] = { "/usr/bin/python3", "python3" };
	char command[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(command, sizeof(command), "%s -c 'import authres' >/dev/null 2>&1", names[i]);
		if (system(command) == 0)
			return names[i];
	}
	return NULL;
}

static void
put_hex(FILE *f, struct span s)
{
	for (; s.n > 0; s = span_from(s, 1))
		fprintf(f, "%02x", (unsigned char)s.p[0]);
}

static void
feed(FILE *f)
{
	struct authres_item item;
	struct sample s;
	int i;

	for (i = 0; i < 3000; i++) {
		struct buf b = buf_heap(64 * KIB);

		do {
			draw_sample(&s, 1 + draw(20), i % 2 ? WORD_PIECES : ASCII_PIECES);
		} while (s.want_n == 0);
		item = item_of("spf", "pass", "mailfrom", span_of(s.in, s.in_n));
		item.reason = i % 3 ? item.prop[0].value : SPAN_NULL;
		item.comment = item.prop[0].value;
		assert_int_equal(authres_print(&b, SPAN("mx.example.jp"), &item, 1), RC_OK);
		put_hex(f, buf_text(&b));
		fputc(' ', f);
		put_hex(f, span_of(s.want, s.want_n));
		fputc('\n', f);
		buf_fini(&b);
	}
}

static void
test_read_by_python(void **state)
{
	const char *python = find_python();
	char command[128];
	FILE *f;

	(void)state;
	if (python == NULL) {
		print_message("skipped: Python's module authres is not installed (Debian: python3-authres)\n");
		skip();
	}
	/* The module may die early; that is for pclose() to report. */
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(setenv("AUTHRES_SCRIPT", script, 1), 0);
	snprintf(command, sizeof(command), "%s -c \"$AUTHRES_SCRIPT\"", python);
	f = popen(command, "w");
	assert_non_null(f);
	feed(f);
	assert_int_equal(pclose(f), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_comments),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_cut_values),
		cmocka_unit_test(test_cut_never_makes_another_address),
		cmocka_unit_test(test_64k_of_everything),
		cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_items_behind_a_dropped_one),
		cmocka_unit_test(test_small_buffer),
		cmocka_unit_test(test_read_by_python),
	};

	return cmocka_run_group_tests_name("authres_print", tests, NULL, NULL);
}
