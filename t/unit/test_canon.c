/* canon: the examples of RFC 6376 and RFC 4870's words, and the streaming form beside an obvious one over every split of many small bodies. */
#include "t/unit/unit.h"

#include <openssl/evp.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/mail/canon.h"

enum { OUT_MAX = 64 * KIB, EXHAUSTIVE = 7, EMBEDDED = 4 };

static const enum canon kinds[] = { CANON_SIMPLE, CANON_RELAXED, CANON_NOFWS };

struct out {
	size_t n, calls;
	char b[OUT_MAX];
};
static struct out got, want;

static void
put(struct out *o, const char *p, size_t n)
{
	REQUIRE(n <= sizeof o->b - o->n);
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

static void
sink(void *arg, const char *p, size_t n)
{
	struct out *o = arg;

	o->calls++;
	put(o, p, n);
}

static bool
is_out(const struct out *o, const char *text, size_t n)
{
	return o->n == n && memcmp(o->b, text, n) == 0;
}

static void
say_difference(const char *what, enum canon c, struct span in)
{
	fail_msg("%s %s of \"%.*s\" (%zu bytes): got \"%.*s\", want \"%.*s\"", what, canon_name(c), SPAN_ARGS(in), in.n,
	    (int)got.n, got.b, (int)want.n, want.b);
}

/* ---- the obvious form ---- */

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* One line or one unfolded side of a field; how its start is handled differs. */
static void
ref_line(enum canon c, struct span line)
{
	while (c == CANON_RELAXED && line.n > 0 && is_wsp(line.p[line.n - 1]))
		line.n--;
	for (size_t i = 0; i < line.n; i++) {
		char b = line.p[i];

		if (c == CANON_NOFWS && (is_wsp(b) || b == '\r' || b == '\n'))
			continue;
		if (c == CANON_RELAXED && is_wsp(b) && i > 0 && is_wsp(line.p[i - 1]))
			continue;
		put(&want, c == CANON_RELAXED && is_wsp(b) ? " " : &b, 1);
	}
}

static size_t
find_crlf(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == '\r' && s.p[i + 1] == '\n')
			return i;
	return s.n;
}

static bool
ref_body(enum canon c, struct span s)
{
	bool is_empty;

	want.n = 0;
	while (s.n > 0) {
		size_t end = find_crlf(s);

		ref_line(c, span_sub(s, 0, end));
		put(&want, "\r\n", 2);
		s = span_from(s, end + 2);
	}
	while (want.n >= 2 && memcmp(want.b + want.n - 2, "\r\n", 2) == 0)
		want.n -= 2;
	is_empty = want.n == 0;
	if (!is_empty || c == CANON_SIMPLE)
		put(&want, "\r\n", 2);
	return is_empty;
}

static struct span
unfold(struct span s, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (i + 2 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n' && is_wsp(s.p[i + 2]))
			i++;
		else
			to[n++] = s.p[i];
	}
	return span_of(to, n);
}

static void
ref_header(enum canon c, struct span name, struct span value, bool with_crlf)
{
	char room[OUT_MAX];

	want.n = 0;
	ref_line(c, c == CANON_RELAXED ? unfold(name, room) : name);
	for (size_t i = 0; c == CANON_RELAXED && i < want.n; i++)
		want.b[i] = (char)ascii_lower((unsigned char)want.b[i]);
	put(&want, ":", 1);
	if (c == CANON_RELAXED)
		for (value = unfold(value, room); value.n > 0 && is_wsp(value.p[0]);)
			value = span_from(value, 1);
	ref_line(c, value);
	if (with_crlf)
		put(&want, "\r\n", 2);
}

/* ---- the streaming form beside it ---- */

static void
run_body(enum canon c, struct span s, size_t at, size_t at2)
{
	struct canon_body b;

	got.n = got.calls = 0;
	canon_body_init(&b, c, sink, &got);
	canon_body_feed(&b, span_sub(s, 0, at));
	canon_body_feed(&b, span_sub(s, at, at2 - at));
	canon_body_feed(&b, span_from(s, at2));
	REQUIRE(b.in_bytes == s.n && b.out_bytes == got.n);
	REQUIRE(canon_body_is_empty(&b) == ref_body(c, s));
	canon_body_end(&b);
	REQUIRE(b.out_bytes == got.n);
	if (!is_out(&got, want.b, want.n))
		say_difference("body", c, s);
}

static void
run_all_splits(struct span s)
{
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		for (size_t at = 0; at <= s.n; at++)
			run_body(kinds[k], s, at, s.n);
}

static const char letters[] = "a \t\r\n";

/* The number'th text of n letters. */
static void
spell(size_t number, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++, number /= 5)
		to[i] = letters[number % 5];
}

static size_t
spellings(size_t n)
{
	return n == 0 ? 1 : 5 * spellings(n - 1);
}

static void
test_body_exhaustive(void **state)
{
	struct span s;

	(void)state;
	for (size_t n = 0; n <= EXHAUSTIVE; n++) {
		char *text = xmalloc(n);

		for (size_t number = 0; number < spellings(n); number++) {
			spell(number, n, text);
			s = span_of(text, n);
			run_all_splits(s);
		}
		free(text);
	}
}

/* In the middle of a long text, at each place of a vector: the fast path meets the same things. */
static void
test_body_embedded(void **state)
{
	enum { BEFORE = 17, AFTER = 35 };
	struct span s;

	(void)state;
	for (size_t before = 0; before <= BEFORE; before++) {
		size_t n = before + EMBEDDED + AFTER;
		char *text = xmalloc(n);

		for (size_t number = 0; number < spellings(EMBEDDED); number++) {
			memset(text, 'x', n);
			spell(number, EMBEDDED, text + before);
			s = span_of(text, n);
			for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
				for (size_t at = before; at <= before + EMBEDDED; at++)
					run_body(kinds[k], s, at, n);
		}
		free(text);
	}
}

/* The same before a long end that is all line ends and blanks: none of it may go out. */
static void
test_body_long_end(void **state)
{
	static const char *const ends[] = { "\r\n", "\r\n\t", "\r\n ", " \r\n", " \r\n\r\n\t" };
	enum { BEFORE = 40, AFTER = 90 };
	char text[BEFORE + EMBEDDED + AFTER];

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
		for (size_t i = 0, n = strlen(ends[k]); i < AFTER; i++)
			text[BEFORE + EMBEDDED + i] = ends[k][i % n];
		memset(text, 'x', BEFORE);
		for (size_t number = 0; number < spellings(EMBEDDED); number++) {
			spell(number, EMBEDDED, text + BEFORE);
			for (size_t c = 0; c < ARRAY_LEN(kinds); c++)
				for (size_t cut = 0; cut < 3; cut++)
					run_body(kinds[c], span_of(text, sizeof text - cut), BEFORE + EMBEDDED + 40 * (cut > 0), sizeof text - cut);
		}
	}
}

/* Long texts of every mixture, cut twice: a generator of our own, so that a failure comes back. */
static void
test_body_random(void **state)
{
	static const char soup[] = "aaaaaaaaaa    \t\r\n";
	uint64_t x = 88172645463325252u;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = round % 200, dense = round % 7, at, at2;
		char *text = xmalloc(n);

		for (size_t i = 0; i < n; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			text[i] = x >> 60 < dense ? soup[(x >> 8) % (sizeof soup - 1)] : 'b';
			if (text[i] == '\r' && i + 1 < n && (x >> 20 & 3) != 0)
				text[++i] = '\n';
		}
		at = (size_t)(x >> 16) % (n + 1);
		at2 = at + (size_t)(x >> 32) % (n - at + 1);
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			run_body(kinds[k], span_of(text, n), at, at2);
		free(text);
	}
}

static void
test_body_bytes(void **state)
{
	char all[4 * 256];

	(void)state;
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)(i % 256);
	run_all_splits(span_of(all, sizeof all));       /* NUL and eight bits are bytes like others */
}

/* Written by hand: what the obvious form itself is held to. */
static void
test_body_examples(void **state)
{
	static const struct { enum canon c; const char *in, *out; } rows[] = {
		/* RFC 6376 section 3.4.5 */
		{ CANON_RELAXED, " C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n" },
		{ CANON_SIMPLE, " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n" },
		{ CANON_NOFWS, " C \r\nD \t E\r\n\r\n\r\n", "C\r\nDE\r\n" },
		/* empty ones */
		{ CANON_SIMPLE, "", "\r\n" }, { CANON_RELAXED, "", "" }, { CANON_NOFWS, "", "" },
		{ CANON_SIMPLE, "\r\n\r\n\r\n", "\r\n" }, { CANON_RELAXED, "\r\n\r\n\r\n", "" }, { CANON_NOFWS, "\r\n\r\n", "" },
		{ CANON_SIMPLE, " \r\n", " \r\n" }, { CANON_RELAXED, " \r\n\t \r\n", "" }, { CANON_NOFWS, " \r\n\t", "" },
		{ CANON_RELAXED, " ", "" }, { CANON_SIMPLE, " ", " \r\n" },
		/* the last line has no end */
		{ CANON_SIMPLE, "a", "a\r\n" }, { CANON_RELAXED, "a ", "a\r\n" }, { CANON_NOFWS, "a ", "a\r\n" },
		{ CANON_SIMPLE, "a\r", "a\r\r\n" }, { CANON_RELAXED, "a\r", "a\r\r\n" }, { CANON_NOFWS, "a\r", "a\r\n" },
		{ CANON_SIMPLE, "a\r\n\r", "a\r\n\r\r\n" }, { CANON_RELAXED, "a \r\n \r", "a\r\n \r\r\n" },
		/* CR and LF alone are no line ends */
		{ CANON_SIMPLE, "a\n\n\n", "a\n\n\n\r\n" }, { CANON_RELAXED, "a \n \n", "a \n \n\r\n" }, { CANON_NOFWS, "a \n\n", "a\r\n" },
		{ CANON_SIMPLE, "\n", "\n\r\n" }, { CANON_RELAXED, "\n", "\n\r\n" }, { CANON_NOFWS, "\n", "" },
		{ CANON_SIMPLE, "a\rb\r\r\n", "a\rb\r\r\n" }, { CANON_RELAXED, "a \r b\r\r\n", "a \r b\r\r\n" },
		/* empty lines inside stay */
		{ CANON_SIMPLE, "\r\n\r\na\r\n\r\nb", "\r\n\r\na\r\n\r\nb\r\n" }, { CANON_RELAXED, " \r\na\r\n\t\r\nb", "\r\na\r\n\r\nb\r\n" },
		{ CANON_NOFWS, " \r\na\r\n\t\r\nb", "\r\na\r\n\r\nb\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span in = exact(rows[i].in);

		for (size_t at = 0; at <= in.n; at++) {
			run_body(rows[i].c, in, at, in.n);
			if (!is_out(&got, rows[i].out, strlen(rows[i].out)))
				fail_msg("row %zu: got \"%.*s\"", i, (int)got.n, got.b);
		}
		exact_free(in);
	}
}

/* RFC 6376 sections 3.4.3 and 3.4.4 give these hashes of a body without content. */
static void
test_empty_hashes(void **state)
{
	static const struct { enum canon c; const char *alg, *hash; } rows[] = {
		{ CANON_SIMPLE, "SHA1", "uoq1oCgLlTqpdDX/iUbLy7J1Wic=" },
		{ CANON_SIMPLE, "SHA256", "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=" },
		{ CANON_RELAXED, "SHA1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=" },
		{ CANON_RELAXED, "SHA256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
	};
	unsigned char digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		run_body(rows[i].c, SPAN("\r\n\r\n"), 1, 3);
		assert_int_equal(EVP_Digest(got.b, got.n, digest, &n, EVP_get_digestbyname(rows[i].alg), NULL), 1);
		EVP_EncodeBlock(text, digest, (int)n);
		assert_string_equal((char *)text, rows[i].hash);
	}
}

/* The state is constant in size: any number of empty lines waits, and none is lost or made up. */
static void
test_many_lines(void **state)
{
	enum { LINES = 20000 };
	struct canon_body b;

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		got.n = 0;
		canon_body_init(&b, kinds[k], sink, &got);
		canon_body_feed(&b, SPAN("a"));
		for (size_t i = 0; i < LINES; i++)
			canon_body_feed(&b, SPAN("\r\n"));
		assert_int_equal(got.n, 1);
		canon_body_feed(&b, SPAN("b"));
		assert_int_equal(got.n, 2 + 2 * LINES);
		assert_int_equal(got.b[got.n - 1], 'b');
		for (size_t i = 1; i + 1 < got.n; i++)
			assert_int_equal(got.b[i], i % 2 == 1 ? '\r' : '\n');
		for (size_t i = 0; i < LINES; i++)
			canon_body_feed(&b, SPAN("\r\n"));
		canon_body_end(&b);
		assert_int_equal(got.n, 2 + 2 * LINES + 2);
	}
}

/* Ordinary text goes to the sink in one piece, not word by word. */
static void
test_long_pieces(void **state)
{
	char text[4096];
	size_t n = 0;

	(void)state;
	while (n + 19 <= sizeof text) {
		memcpy(text + n, "one two\r\n\r\nthree.\r\n", 19);
		n += 19;
	}
	run_body(CANON_RELAXED, span_of(text, n), n, n);
	assert_in_range(got.calls, 1, 2);
	run_body(CANON_SIMPLE, span_of(text, n), n, n);
	assert_in_range(got.calls, 1, 2);
}

static void
run_header(enum canon c, struct span name, struct span value)
{
	for (int with_crlf = 0; with_crlf < 2; with_crlf++) {
		got.n = 0;
		canon_header(c, name, value, with_crlf, sink, &got);
		ref_header(c, name, value, with_crlf);
		if (!is_out(&got, want.b, want.n))
			say_difference("field", c, value);
	}
}

static void
test_header_examples(void **state)
{
	static const struct { enum canon c; const char *name, *value, *out; } rows[] = {
		/* RFC 6376 section 3.4.5 */
		{ CANON_RELAXED, "A", " X", "a:X\r\n" },
		{ CANON_RELAXED, "B ", " Y\t\r\n\tZ  ", "b:Y Z\r\n" },
		{ CANON_SIMPLE, "A", " X", "A: X\r\n" },
		{ CANON_SIMPLE, "B ", " Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  \r\n" },
		{ CANON_NOFWS, "B ", " Y\t\r\n\tZ  ", "B:YZ\r\n" },
		{ CANON_RELAXED, "SUBJect", " AbC", "subject:AbC\r\n" },
		/* a tab first, a fold first, nothing at all */
		{ CANON_SIMPLE, "H", "\tv", "H:\tv\r\n" }, { CANON_SIMPLE, "H", "\r\n v", "H:\r\n v\r\n" }, { CANON_SIMPLE, "H", "", "H:\r\n" },
		{ CANON_RELAXED, "H", "\tv", "h:v\r\n" }, { CANON_RELAXED, "H", "\r\n v", "h:v\r\n" }, { CANON_RELAXED, "H", "", "h:\r\n" },
		{ CANON_RELAXED, "H", " \r\n \t", "h:\r\n" }, { CANON_NOFWS, "H", "\r\n v", "H:v\r\n" },
		{ CANON_RELAXED, "H", " a\r\n b \r\n\t c", "h:a b c\r\n" },
		/* what is no fold stays */
		{ CANON_RELAXED, "H", " a\r\nb\rc\nd", "h:a\r\nb\rc\nd\r\n" }, { CANON_RELAXED, "H", " a \r\n", "h:a \r\n\r\n" },
		{ CANON_NOFWS, "H", " a\r\nb\rc\nd", "H:abcd\r\n" },
		/* a folded name */
		{ CANON_RELAXED, "From\r\n ", " a", "from:a\r\n" },
		{ CANON_RELAXED, "\xc3\x84-NAME-THAT-IS-LONGER-THAN-THE-ROOM-IN-WHICH-LETTERS-BECOME-SMALL-ONES-ONE-AFTER-ANOTHER", "",
		  "\xc3\x84-name-that-is-longer-than-the-room-in-which-letters-become-small-ones-one-after-another:\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span name = exact(rows[i].name), value = exact(rows[i].value);

		run_header(rows[i].c, name, value);
		if (!is_out(&got, rows[i].out, strlen(rows[i].out)))
			fail_msg("row %zu: got \"%.*s\"", i, (int)got.n, got.b);
		exact_free(name);
		exact_free(value);
	}
}

/* Every small value, and every cut of it. */
static void
test_header_exhaustive(void **state)
{
	char joined[8], named[8];

	(void)state;
	for (size_t n = 0; n <= 6; n++) {
		char *text = xmalloc(n);
		struct span s = span_of(text, n);

		for (size_t number = 0; number < spellings(n); number++) {
			spell(number, n, text);
			for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
				run_header(kinds[k], SPAN("Ab"), s);
				named[0] = 'A';         /* no name begins with a blank: that is a continued line */
				memcpy(named + 1, text, n);
				run_header(kinds[k], span_of(named, n + 1), SPAN(" x"));
			}
			for (size_t from = 0; n <= 5 && from <= n; from++) {
				for (size_t cut = 0; cut <= n - from; cut++) {
					memcpy(joined, text, from);
					memcpy(joined + from, text + from + cut, n - from - cut);
					for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
						got.n = 0;
						canon_header_cut(kinds[k], SPAN("Ab"), s, from, cut, sink, &got);
						ref_header(kinds[k], SPAN("Ab"), span_of(joined, n - cut), false);
						if (!is_out(&got, want.b, want.n))
							say_difference("cut", kinds[k], s);
					}
				}
			}
		}
		free(text);
	}
}

static void
test_header_cut(void **state)
{
	static const struct { enum canon c; const char *before, *cut, *after, *out; } rows[] = {
		{ CANON_RELAXED, " a=1; b=", "\r\n Zm9v\r\n YmFy", "; d=e", "dkim-signature:a=1; b=; d=e" },
		{ CANON_RELAXED, " a=1; b=", "\r\n Zm9v\r\n YmFy", "", "dkim-signature:a=1; b=" },
		{ CANON_SIMPLE, " a=1; b=", "Zm9v\r\n ", ";\r\n\td=e", "DKIM-Signature: a=1; b=;\r\n\td=e" },
		{ CANON_RELAXED, "b=", "Zm9v", "", "dkim-signature:b=" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *text = xasprintf("%s%s%s", rows[i].before, rows[i].cut, rows[i].after);
		struct span value = exact(text);

		got.n = 0;
		canon_header_cut(rows[i].c, SPAN("DKIM-Signature"), value, strlen(rows[i].before), strlen(rows[i].cut), sink, &got);
		if (!is_out(&got, rows[i].out, strlen(rows[i].out)))
			fail_msg("row %zu: got \"%.*s\"", i, (int)got.n, got.b);
		exact_free(value);
		free(text);
	}
	/* Past the end there is nothing to cut. */
	got.n = 0;
	canon_header_cut(CANON_SIMPLE, SPAN("a"), SPAN("b"), 5, SIZE_MAX, sink, &got);
	assert_true(is_out(&got, "a:b", 3));
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(canon_name(CANON_SIMPLE), "simple");
	assert_string_equal(canon_name(CANON_RELAXED), "relaxed");
	assert_string_equal(canon_name(CANON_NOFWS), "nofws");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body_examples),
		cmocka_unit_test(test_empty_hashes),
		cmocka_unit_test(test_body_exhaustive),
		cmocka_unit_test(test_body_embedded),
		cmocka_unit_test(test_body_long_end),
		cmocka_unit_test(test_body_random),
		cmocka_unit_test(test_body_bytes),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_long_pieces),
		cmocka_unit_test(test_header_examples),
		cmocka_unit_test(test_header_exhaustive),
		cmocka_unit_test(test_header_cut),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("canon", tests, NULL, NULL);
}
