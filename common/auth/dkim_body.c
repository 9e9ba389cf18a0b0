/*
 * dkim_body - the hashes of the body; see dkim_int.h.
 *
 * However many signatures there are, the body is brought into each canonical form at most once and goes through each hash algorithm at most once per
 * form: a signature with l= takes the digest as it is when that many bytes have come.
 */
#include "common/auth/dkim_int.h"
#include "common/base/check.h"

enum { FORMS = 2, ALGS = 2 };

static void
stream_feed(struct dkim_body_stream *s, const char *p, size_t n)
{
	while (n > 0 && s->next < s->n) {
		struct dkim_body_cut *cut = &s->cuts[s->next];
		size_t step = (size_t)MIN((uint64_t)n, cut->l - s->fed);

		crypto_hash_update(s->hash, p, step);
		s->fed += step;
		p += step;
		n -= step;
		if (s->fed == cut->l) {
			crypto_hash_peek(s->hash, &cut->digest);
			cut->is_done = true;
			s->next++;
		}
	}
}

static void
stream_finish(struct dkim_body_stream *s)
{
	for (; s->next < s->n; s->next++) {
		struct dkim_body_cut *cut = &s->cuts[s->next];

		if (cut->l != UINT64_MAX && cut->l != s->fed)
			continue;
		crypto_hash_peek(s->hash, &cut->digest);
		cut->is_done = true;
	}
}

/* The sink of a canonical form. */
static void
form_take(void *arg, const char *p, size_t n)
{
	struct dkim_body_form *f = arg;

	for (size_t i = 0; i < ALGS; i++)
		stream_feed(&f->stream[i], p, n);
	if (f->stream[0].body->show != NULL && f->stream[0].body->show->body != NULL)
		f->stream[0].body->show->body(f->stream[0].body->show->arg, f->canon.kind, p, n);
}

static void
destroy_hashes(void *arg)
{
	struct dkim_body *b = arg;

	for (size_t i = 0; i < FORMS * ALGS; i++)
		crypto_hash_destroy(&b->form[i / ALGS].stream[i % ALGS].hash);
}

static size_t
form_index(enum canon c)
{
	return c == CANON_RELAXED;
}

enum rc
dkim_body_init(struct dkim_body *b, struct arena *a, size_t signature_count)
{
	struct dkim_body_cut *cuts = arena_array(a, struct dkim_body_cut, FORMS * ALGS * signature_count);

	*b = (struct dkim_body){ .has_ended = false };
	if (cuts == NULL || !arena_on_reset(a, destroy_hashes, b))
		return RC_LIMIT;
	for (size_t i = 0; i < FORMS * ALGS; i++) {
		struct dkim_body_stream *s = &b->form[i / ALGS].stream[i % ALGS];

		s->body = b;
		s->alg = i % ALGS == 0 ? CRYPTO_SHA1 : CRYPTO_SHA256;
		s->cuts = cuts + i * signature_count;
	}
	canon_body_init(&b->form[0].canon, CANON_SIMPLE, form_take, &b->form[0]);
	canon_body_init(&b->form[1].canon, CANON_RELAXED, form_take, &b->form[1]);
	return RC_OK;
}

void
dkim_body_want(struct dkim_body *b, enum canon c, enum crypto_hash_alg alg, int64_t l)
{
	struct dkim_body_form *f = &b->form[form_index(c)];
	struct dkim_body_stream *s = &f->stream[alg];
	uint64_t wanted = l < 0 ? UINT64_MAX : (uint64_t)l;
	size_t at = s->n;

	if (FAILS_CHECK(!b->has_begun))
		return;
	f->is_needed = true;
	if (s->hash == NULL)
		s->hash = crypto_hash_create(alg);
	while (at > 0 && s->cuts[at - 1].l > wanted)
		at--;
	if (at > 0 && s->cuts[at - 1].l == wanted)
		return;
	memmove(&s->cuts[at + 1], &s->cuts[at], (s->n - at) * sizeof s->cuts[0]);
	s->cuts[at] = (struct dkim_body_cut){ .l = wanted };
	s->n++;
}

void
dkim_body_feed(struct dkim_body *b, struct span piece)
{
	b->has_begun = true;
	for (size_t i = 0; i < FORMS; i++)
		if (b->form[i].is_needed && piece.n > 0)
			canon_body_feed(&b->form[i].canon, piece);
}

void
dkim_body_finish(struct dkim_body *b)
{
	b->has_begun = b->has_ended = true;
	for (size_t i = 0; i < FORMS; i++) {
		if (!b->form[i].is_needed)
			continue;
		canon_body_end(&b->form[i].canon);
		for (size_t j = 0; j < ALGS; j++)
			stream_finish(&b->form[i].stream[j]);
	}
}

const struct crypto_digest *
dkim_body_get(const struct dkim_body *b, enum canon c, enum crypto_hash_alg alg, int64_t l, uint64_t *bytes_out)
{
	const struct dkim_body_form *f = &b->form[form_index(c)];
	const struct dkim_body_stream *s = &f->stream[alg];
	uint64_t wanted = l < 0 ? UINT64_MAX : (uint64_t)l;

	*bytes_out = f->canon.out_bytes;
	for (size_t i = 0; i < s->n; i++)
		if (s->cuts[i].l == wanted)
			return s->cuts[i].is_done ? &s->cuts[i].digest : NULL;
	return NULL;
}
