/*
 * enmacheck_guess_body - what could have happened to a body after it was signed; see enmacheck_dkim.h.
 *
 * A body hash tells nothing about the body, but it can be compared: each hypothesis is undone on a copy, and what then has the hash of bh= is
 * reported.  Nothing else is.  The work is bounded by GUESS_BODY_MAX, GUESS_BODY_BUDGET and GUESS_LINES_MAX.
 */
#include "worker/enmacheck_dkim.h"

#include <stdarg.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/xalloc.h"

enum {
	GUESS_TEXT_MAX = 1 * KIB,
	TOP_LINES_MAX = 20,             /* tried as put in front */
};

void
guess_add(struct guesses *g, struct arena *a, const char *id, const char *fmt, ...)
{
	char text[GUESS_TEXT_MAX];
	va_list args;

	if (g->n == GUESSES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	g->v[g->n].id = id;
	g->v[g->n].text = arena_copy(a, span_cstr(text));
	g->n += g->v[g->n].text.p != NULL;
}

/* ---- hashing ---- */

struct limited {
	struct crypto_hash *hash;
	uint64_t left;                  /* of l= */
};

static void
limited_sink(void *arg, const char *p, size_t n)
{
	struct limited *x = arg;

	n = (size_t)MIN((uint64_t)n, x->left);
	x->left -= n;
	crypto_hash_update(x->hash, p, n);
}

static bool
is_claimed(const struct guess_body *g, const struct crypto_digest *d)
{
	return g->claimed.n == d->n && memcmp(g->claimed.p, d->b, d->n) == 0;
}

/* False: the budget is spent. */
static bool
spend(struct guess_body *g, size_t n)
{
	if (g->left < n) {
		g->left = 0;
		g->out->untried_why = "the search was ended: too much to hash";
		return false;
	}
	g->left -= n;
	g->out->tries++;
	return true;
}

bool
guess_body_fits(struct guess_body *g, struct span body, enum canon c, int64_t l)
{
	struct limited x = { g->hash, l < 0 ? UINT64_MAX : (uint64_t)l };
	struct canon_body canon;
	struct crypto_digest digest;

	if (!spend(g, body.n + 1))
		return false;
	canon_body_init(&canon, c, limited_sink, &x);
	canon_body_feed(&canon, body);
	canon_body_end(&canon);
	crypto_hash_final(g->hash, &digest);
	return is_claimed(g, &digest);
}

static bool
fits_raw(struct guess_body *g, struct span bytes)
{
	struct crypto_digest digest;

	if (!spend(g, bytes.n + 1))
		return false;
	crypto_hash_of(g->s->hash, bytes, &digest);
	return is_claimed(g, &digest);
}

char *
guess_scratch(struct guess_body *g, size_t n)
{
	if (n > g->room || g->scratch == NULL) {
		g->room = MAX(n, (size_t)64 * KIB);
		g->scratch = xrealloc(g->scratch, g->room, 1);
	}
	return g->scratch;
}

/* ---- lines added at the end ---- */


static void
tail_sink(void *arg, const char *p, size_t n)
{
	buf_span(arg, span_of(p, n));
}

size_t
guess_line_length(struct span s)
{
	size_t n = span_find(s, '\n');

	return MIN(n + 1, s.n);
}

static uint64_t
count_lines(struct span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i += guess_line_length(span_from(s, i)))
		n++;
	return n;
}

/* canonical: each line of it is the canonical form of a line, so that the lines so far, but for empty ones at their end, are what a shorter body would
 * have come to. */
static uint64_t
search_tail(struct guess_body *g, struct span canonical, size_t *kept_out)
{
	uint64_t lines = count_lines(canonical), number = 0;
	struct crypto_digest digest;
	size_t line;

	for (size_t i = 0; i < canonical.n; i += line) {
		struct span text = span_from(canonical, i);

		line = guess_line_length(text);
		crypto_hash_update(g->hash, text.p, line);
		number++;
		if (lines - number > GUESS_LINES_MAX || (line == 2 && text.p[0] == '\r'))
			continue;
		crypto_hash_peek(g->hash, &digest);
		if (number == lines || !is_claimed(g, &digest))
			continue;
		crypto_hash_final(g->hash, &digest);
		*kept_out = number;
		return lines - number;
	}
	crypto_hash_final(g->hash, &digest);
	return 0;
}

uint64_t
guess_body_tail(struct guess_body *g, struct span body, enum canon c, struct span *first_out)
{
	struct buf text = buf_heap(2 * (size_t)GUESS_BODY_MAX);
	struct canon_body canon;
	struct span canonical;
	uint64_t added = 0;
	size_t kept = 0, at = 0;

	if (!spend(g, body.n + 1))
		return 0;
	canon_body_init(&canon, c, tail_sink, &text);
	canon_body_feed(&canon, body);
	canon_body_end(&canon);
	if (buf_done(&text, &canonical) == RC_OK)
		added = search_tail(g, canonical, &kept);
	if (added > 0) {                        /* lines of the body and of its canonical form are the same but for empty ones at the end */
		for (; kept > 0 && at < body.n; kept--)
			at += guess_line_length(span_from(body, at));
		while (at < body.n && span_trim(span_sub(body, at, guess_line_length(span_from(body, at)))).n == 0)
			at += guess_line_length(span_from(body, at));
		*first_out = span_trim(span_sub(body, at, guess_line_length(span_from(body, at))));
	}
	buf_fini(&text);
	return added;
}

static void
try_tail(struct guess_body *g, enum canon c)
{
	struct span first;
	uint64_t n = guess_body_tail(g, g->mail->body, c, &first);

	if (n == 0)
		return;
	guess_add(g->out, g->arena, "lines-added-at-end", "the last %llu line%s added after signing, as a mailing list or a scanner does; they begin with \"%s\"%s%s",
	    (unsigned long long)n, n == 1 ? " was" : "s were", log_str(first), c != g->s->body_canon ? "; and the signer's form was " : "",
	    c != g->s->body_canon ? canon_name(c) : "");
}

static void
try_top(struct guess_body *g)
{
	struct span rest = g->mail->body;

	for (unsigned i = 1; i <= TOP_LINES_MAX && rest.n > 0; i++) {
		rest = span_from(rest, guess_line_length(rest));
		if (rest.n == 0 || !guess_body_fits(g, rest, g->s->body_canon, g->s->l))
			continue;
		guess_add(g->out, g->arena, "lines-added-at-top", "the first %u line%s put in front after signing", i, i == 1 ? " was" : "s were");
		return;
	}
}

/* ---- what the signer did ---- */

static void
try_signer(struct guess_body *g)
{
	const struct dkim_signature *s = g->s;
	enum canon other = s->body_canon == CANON_SIMPLE ? CANON_RELAXED : CANON_SIMPLE;
	struct span body = g->mail->body;

	if (fits_raw(g, SPAN("")) || fits_raw(g, SPAN("\r\n")))
		guess_add(g->out, g->arena, "empty-body", "the signer hashed an empty body: it did not get this one, or it was added later");
	if (guess_body_fits(g, body, other, s->l))
		guess_add(g->out, g->arena, "other-canonicalization", "the signer's body form was %s, but c= says %s", canon_name(other), canon_name(s->body_canon));
	if (s->l >= 0 && guess_body_fits(g, body, s->body_canon, -1))
		guess_add(g->out, g->arena, "l-ignored", "the signer hashed the whole body, but l= says %lld bytes", (long long)s->l);
	if (fits_raw(g, body))
		guess_add(g->out, g->arena, "no-canonicalization", "the signer hashed the body as it is, in no canonical form");
}

/* Only for bodies whose line ends are plain. */
static void
try_lf(struct guess_body *g)
{
	struct span body = g->mail->body;
	char *to = guess_scratch(g, body.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++)
		if (body.p[i] != '\r' || i + 1 == body.n || body.p[i + 1] != '\n')
			to[n++] = body.p[i];
	while (n > 1 && to[n - 1] == '\n' && to[n - 2] == '\n')
		n--;
	if (fits_raw(g, span_of(to, n)))
		guess_add(g->out, g->arena, "lf", "the signer hashed lines that end in LF, not in CRLF");
}

static void
try_empty_lines(struct guess_body *g)
{
	struct span body = g->mail->body;
	char *to = guess_scratch(g, body.n + 2);

	memcpy(to, "\r\n", 2);
	if (body.n > 0)
		memcpy(to + 2, body.p, body.n);
	if (guess_body_fits(g, span_of(to, body.n + 2), g->s->body_canon, g->s->l))
		guess_add(g->out, g->arena, "empty-line-lost", "an empty line at the top of the body was lost");
	while (body.n > 2 && body.p[body.n - 1] == '\n' && body.p[body.n - 3] == '\n')
		body.n -= 2;
	if (fits_raw(g, body) || (body.n >= 2 && fits_raw(g, span_sub(body, 0, body.n - 2))))
		guess_add(g->out, g->arena, "last-line-end", "the signer handled the end of the body in its own way: empty lines there or the last line end");
}

void
guess_body(struct guess_body *g)
{
	if (g->mail->body.n > GUESS_BODY_MAX) {
		g->out->untried_why = "the body is longer than 8 MiB: no explanation was searched";
		return;
	}
	g->out->was_tried = true;
	g->left = GUESS_BODY_BUDGET;
	g->hash = crypto_hash_create(g->s->hash);
	try_signer(g);
	if (g->s->l < 0) {
		try_tail(g, g->s->body_canon);
		if (g->out->n == 0)
			try_tail(g, g->s->body_canon == CANON_SIMPLE ? CANON_RELAXED : CANON_SIMPLE);
	}
	guess_lines(g);
	try_lf(g);
	try_empty_lines(g);
	if (g->out->n == 0)
		try_top(g);
	if (g->out->n == 0)
		guess_mime(g);
	crypto_hash_destroy(&g->hash);
	free(g->scratch);
	g->scratch = NULL;
}
