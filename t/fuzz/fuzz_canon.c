/*
 * fuzz_canon - any body in pieces gives what the whole gives, and canonical text is its own canonical form; any field stays within what it was.
 *
 * The first three bytes say how large the pieces are and where a field's name ends; the rest is the text.
 */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"
#include "common/mail/canon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct out {
	size_t n, room;
	char *p;
};

static void
sink(void *arg, const char *p, size_t n)
{
	struct out *o = arg;

	REQUIRE(n > 0 && n <= o->room - o->n);
	memcpy(o->p + o->n, p, n);
	o->n += n;
}

/* A field's parts may be empty. */
static void
field_sink(void *arg, const char *p, size_t n)
{
	if (n > 0)
		sink(arg, p, n);
}

static struct out
out_for(struct span s)
{
	return (struct out){ .room = s.n + 8, .p = xmalloc(s.n + 8) };
}

/* Pieces of step[0], step[1], step[0] ... bytes, each from a block of its own. */
static struct out
run_body(enum canon c, struct span s, const size_t step[2])
{
	struct out o = out_for(s);
	struct canon_body b;
	size_t whole = s.n;
	bool is_empty;

	canon_body_init(&b, c, sink, &o);
	for (unsigned i = 0; s.n > 0; i++) {
		size_t n = MIN(MAX(step[i % 2], (size_t)1), s.n);
		char *piece = xmalloc(n);

		memcpy(piece, s.p, n);
		canon_body_feed(&b, span_of(piece, n));
		free(piece);
		s = span_from(s, n);
	}
	REQUIRE(b.in_bytes == whole);
	is_empty = canon_body_is_empty(&b);
	canon_body_end(&b);
	REQUIRE(b.out_bytes == o.n && is_empty == (o.n == (c == CANON_SIMPLE ? 2 : 0)));
	return o;
}

static void
check_body(enum canon c, struct span s, const size_t step[2])
{
	static const size_t all[2] = { SIZE_MAX, SIZE_MAX };
	struct out whole = run_body(c, s, all), parts = run_body(c, s, step);
	struct out again = run_body(c, span_of(whole.p, whole.n), step);

	REQUIRE(whole.n == parts.n && memcmp(whole.p, parts.p, whole.n) == 0);
	REQUIRE(whole.n == again.n && memcmp(whole.p, again.p, whole.n) == 0);
	REQUIRE(whole.n == 0 || (whole.n >= 2 && memcmp(whole.p + whole.n - 2, "\r\n", 2) == 0));
	free(whole.p);
	free(parts.p);
	free(again.p);
}

/* With nothing cut out, canon_header_cut() is canon_header(). */
static void
check_field(enum canon c, struct span s, size_t name, size_t from)
{
	struct out one = out_for(s), two = out_for(s);

	canon_header(c, span_sub(s, 0, name), span_from(s, name), false, field_sink, &one);
	canon_header_cut(c, span_sub(s, 0, name), span_from(s, name), from, 0, field_sink, &two);
	REQUIRE(one.n == two.n && memcmp(one.p, two.p, one.n) == 0);
	two.n = 0;
	canon_header_cut(c, span_sub(s, 0, name), span_from(s, name), from, name, field_sink, &two);
	REQUIRE(two.n <= s.n + 1);
	free(one.p);
	free(two.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum canon kinds[] = { CANON_SIMPLE, CANON_RELAXED, CANON_NOFWS };
	struct span s;
	size_t step[2];

	if (size < 3)
		return 0;
	s = span_of((const char *)data + 3, size - 3);
	step[0] = data[0];
	step[1] = data[1];
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		check_body(kinds[k], s, step);
		check_field(kinds[k], s, data[2], data[1]);
	}
	return 0;
}
