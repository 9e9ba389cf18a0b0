/*
 * enmacheck_guess_header - what could have happened to a header after it was signed; see enmacheck_dkim.h.
 *
 * As with bodies: each hypothesis is undone, the hash is made anew and the signature checked with the published key.  Only what verifies is reported.
 * The work is bounded by GUESS_HEADER_MAX and GUESS_HEADER_TRIES.
 */
#include "worker/enmacheck_dkim.h"

#include "common/base/log.h"

enum { FIELD_ROOM = 64 * KIB, NO_FIELD = UINT16_MAX };

/* A way to see the header, the zeroed one is as it is. */
struct form {
	enum canon canon;
	enum crypto_hash_alg alg;
	bool from_top;                  /* fields of a name are taken from the top */
	bool uses_h_names;              /* names as h= spells them */
	bool with_last_crlf;
	bool uses_lf;
	size_t left_out;                /* index + 1 of a field that was not there */
	size_t changed;                 /* index + 1 of a field that was like this; all_undo for all */
	struct span value;
	size_t (*all_undo)(char *to, struct span value);
};

struct search {
	struct guess_header *g;
	struct arena scratch;
	struct crypto_hash *hash;
	bool uses_lf;
	uint16_t same[GUESS_FIELDS_MAX];        /* for each field the first one of its name */
	uint16_t wanted[DKIM_H_NAMES_MAX];      /* the same for each name of h=; NO_FIELD */
	char room[FIELD_ROOM];
};

/* ---- hashing ---- */

static void
sink(void *arg, const char *p, size_t n)
{
	struct search *x = arg;

	if (!x->uses_lf) {
		crypto_hash_update(x->hash, p, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r')
			crypto_hash_update(x->hash, p + i, 1);
}

static struct span
value_of(struct search *x, const struct form *f, size_t i)
{
	struct span value = x->g->mail->header.v[i].value;

	if (f->changed == i + 1)
		return f->value;
	if (f->all_undo == NULL || value.n * 2 > sizeof x->room)
		return value;
	return span_of(x->room, f->all_undo(x->room, value));
}

static void
index_names(struct search *x)
{
	const struct header_block *h = &x->g->mail->header;
	struct span rest = x->g->sig->h, name;

	for (size_t i = 0; i < h->n; i++) {
		x->same[i] = (uint16_t)i;
		for (size_t k = 0; k < i && x->same[i] == i; k++)
			if (header_is(&h->v[i], span_trim(h->v[k].name)))
				x->same[i] = (uint16_t)k;
	}
	for (size_t n = 0; n < DKIM_H_NAMES_MAX && taglist_item(&rest, &name); n++) {
		x->wanted[n] = NO_FIELD;
		for (size_t i = 0; i < h->n && x->wanted[n] == NO_FIELD; i++)
			if (header_is(&h->v[i], name))
				x->wanted[n] = (uint16_t)i;
	}
}

/* The next field for the name number n of h=, never the signature's own; h->n: none. */
static size_t
take(const struct search *x, const struct form *f, size_t n, const bool *taken)
{
	size_t count = x->g->mail->header.n;

	for (size_t k = 0; k < count && x->wanted[n] != NO_FIELD; k++) {
		size_t i = f->from_top ? k : count - 1 - k;

		if (x->same[i] == x->wanted[n] && !taken[i] && i != x->g->s->field && i + 1 != f->left_out)
			return i;
	}
	return count;
}

static void
feed_own(struct search *x, const struct form *f)
{
	const struct header_field *own = &x->g->mail->header.v[x->g->s->field];
	struct dkim_signature s = { 0 };
	struct span value = own->value;
	size_t from = x->g->sig->b_from, n = x->g->sig->b_n;
	struct dkim_sig *sig;

	if (f->all_undo != NULL && (sig = arena_new(&x->scratch, struct dkim_sig)) != NULL && value.n * 2 <= sizeof x->room) {
		value = span_of(x->room, f->all_undo(x->room, value));
		if (dkim_sig_parse(&x->scratch, value, DKIM_SIG_DKIM, sig, &s) == RC_OK) {
			from = sig->b_from;
			n = sig->b_n;
		} else {
			value = own->value;
		}
	}
	canon_header_cut(f->canon, f->uses_h_names ? SPAN("DKIM-Signature") : own->name, value, from, n, sink, x);
	if (f->with_last_crlf)
		sink(x, "\r\n", 2);
}

/* Is the signature good for this header? */
static bool
fits(struct search *x, const struct form *f)
{
	const struct header_block *h = &x->g->mail->header;
	struct span rest = x->g->sig->h, name;
	struct crypto_digest digest;
	bool *taken;

	if (x->g->out->tries >= GUESS_HEADER_TRIES) {
		x->g->out->untried_why = "the search was ended: too many fields";
		return false;
	}
	x->g->out->tries++;
	arena_reset(&x->scratch);
	taken = arena_array(&x->scratch, bool, h->n);
	x->hash = crypto_hash_create(f->alg);
	x->uses_lf = f->uses_lf;
	for (size_t n = 0; taken != NULL && taglist_item(&rest, &name); n++) {
		size_t i = take(x, f, n, taken);

		if (i == h->n)
			continue;
		taken[i] = true;
		canon_header(f->canon, f->uses_h_names ? name : h->v[i].name, value_of(x, f, i), true, sink, x);
	}
	feed_own(x, f);
	crypto_hash_final(x->hash, &digest);
	crypto_hash_destroy(&x->hash);
	for (size_t k = 0; k < x->g->key->n; k++)
		if (x->g->key->v[k].key != NULL && crypto_key_kind(x->g->key->v[k].key) == x->g->s->kind &&
		    crypto_verify(x->g->key->v[k].key, f->alg, &digest, x->g->sig->b))
			return true;
	return false;
}

static struct form
as_it_is(const struct search *x)
{
	return (struct form){ .canon = x->g->s->header_canon, .alg = x->g->s->hash };
}

/* ---- what the signer did ---- */

static void
try_signer(struct search *x)
{
	struct guess_header *g = x->g;
	enum canon said = g->s->header_canon, other = said == CANON_SIMPLE ? CANON_RELAXED : CANON_SIMPLE;
	struct form f = as_it_is(x);

	f.canon = other;
	if (fits(x, &f))
		guess_add(g->out, g->arena, "other-canonicalization", "the signer's header form was %s, but c= says %s", canon_name(other), canon_name(said));
	f = as_it_is(x);
	f.alg = g->s->hash == CRYPTO_SHA1 ? CRYPTO_SHA256 : CRYPTO_SHA1;
	if (g->s->kind == CRYPTO_RSA && fits(x, &f))
		guess_add(g->out, g->arena, "other-hash", "the signer used SHA-%s, but a= says otherwise", f.alg == CRYPTO_SHA1 ? "1" : "256");
	f = as_it_is(x);
	f.from_top = true;
	if (fits(x, &f))
		guess_add(g->out, g->arena, "from-top", "the signer took fields that are there several times from the top, not from the bottom");
	f = as_it_is(x);
	f.with_last_crlf = true;
	if (fits(x, &f))
		guess_add(g->out, g->arena, "own-line-end", "the signer hashed a line end behind its own field");
	f = as_it_is(x);
	f.uses_lf = true;
	if (fits(x, &f))
		guess_add(g->out, g->arena, "lf", "the signer hashed lines that end in LF, not in CRLF");
	f = as_it_is(x);
	f.uses_h_names = true;
	if (fits(x, &f))
		guess_add(g->out, g->arena, "names", "the names of fields were written with other capitals when they were signed, as h= has them");
}

/* ---- blanks ---- */

static void
mark_signed(struct search *x, bool *is_signed)
{
	const struct header_block *h = &x->g->mail->header;
	struct form f = as_it_is(x);
	struct span rest = x->g->sig->h, name;
	size_t i;

	for (size_t n = 0; taglist_item(&rest, &name); n++)
		if ((i = take(x, &f, n, is_signed)) < h->n)
			is_signed[i] = true;
}

/* Each change on all fields, then on one. */
static void
try_blanks(struct search *x, const bool *is_signed)
{
	const struct header_block *h = &x->g->mail->header;
	char *room = arena_alloc(x->g->arena, FIELD_ROOM);

	for (size_t u = 0; u < guess_blank_count && room != NULL; u++) {
		struct form f = as_it_is(x);

		f.all_undo = guess_blanks[u].fn;
		if (fits(x, &f)) {
			guess_add(x->g->out, x->g->arena, guess_blanks[u].id, "when it was signed, each field %s", guess_blanks[u].text);
			continue;
		}
		f.all_undo = NULL;
		for (size_t i = 0; i < h->n; i++) {
			if (!is_signed[i] || h->v[i].value.n > FIELD_ROOM)
				continue;
			f.changed = i + 1;
			f.value = span_of(room, guess_blanks[u].fn(room, h->v[i].value));
			if (!span_eq(f.value, h->v[i].value) && fits(x, &f))
				guess_add(x->g->out, x->g->arena, guess_blanks[u].id, "when it was signed, field %zu (%s) %s", i + 1, log_str(h->v[i].name), guess_blanks[u].text);
		}
	}
}

/* ---- fields ---- */

static void
try_left_out(struct search *x, const bool *is_signed)
{
	const struct header_block *h = &x->g->mail->header;

	for (size_t i = 0; i < h->n; i++) {
		struct form f = as_it_is(x);

		f.left_out = i + 1;
		if (is_signed[i] && fits(x, &f))
			guess_add(x->g->out, x->g->arena, "field-added", "field %zu (%s) was added after signing; h= forbids that", i + 1, log_str(h->v[i].name));
	}
}

/* Without "[...] " at `from`; the bytes written, 0: there is none. */
static size_t
without_tag(char *to, struct span s, size_t from)
{
	size_t close = from + span_find(span_from(s, from), ']'), end = close + 1;

	if (close >= s.n)
		return 0;
	while (end < s.n && (ascii_is_wsp((unsigned char)s.p[end]) || s.p[end] == '\r' || s.p[end] == '\n'))
		end++;
	memcpy(to, s.p, from);
	memcpy(to + from, s.p + end, s.n - end);
	return from + s.n - end;
}

static void
try_list_tag(struct search *x, const bool *is_signed)
{
	const struct header_block *h = &x->g->mail->header;

	for (size_t i = 0; i < h->n; i++) {
		struct span value = h->v[i].value;
		struct form f = as_it_is(x);
		size_t from = span_find(value, '[');
		char *room;

		if (!is_signed[i] || !header_is(&h->v[i], SPAN("Subject")) || from == value.n || (room = arena_alloc(x->g->arena, value.n)) == NULL)
			continue;
		f.changed = i + 1;
		f.value = span_of(room, without_tag(room, value, from));
		if (f.value.n > 0 && fits(x, &f))
			guess_add(x->g->out, x->g->arena, "subject-tag", "\"%s\" was added to Subject after signing, as a mailing list does",
			    log_str(span_sub(value, from, span_find(span_from(value, from), ']') + 1)));
	}
}

/* Addresses whose capitals came back from a directory, for example. */
static void
try_small_letters(struct search *x, const bool *is_signed)
{
	const struct header_block *h = &x->g->mail->header;

	for (size_t i = 0; i < h->n; i++) {
		struct form f = as_it_is(x);
		char *room;

		if (!is_signed[i] || h->v[i].value.n == 0 || (room = arena_alloc(x->g->arena, h->v[i].value.n)) == NULL)
			continue;
		for (size_t k = 0; k < h->v[i].value.n; k++)
			room[k] = (char)ascii_lower((unsigned char)h->v[i].value.p[k]);
		f.changed = i + 1;
		f.value = span_of(room, h->v[i].value.n);
		if (!span_eq(f.value, h->v[i].value) && fits(x, &f))
			guess_add(x->g->out, x->g->arena, "capitals", "when it was signed, field %zu (%s) had small letters only", i + 1, log_str(h->v[i].name));
	}
}

static bool
has_key(const struct key_report *k)
{
	for (size_t i = 0; k != NULL && i < k->n; i++)
		if (k->v[i].key != NULL)
			return true;
	return false;
}

static void
try_all(struct search *x, const bool *is_signed)
{
	try_signer(x);
	try_list_tag(x, is_signed);
	try_left_out(x, is_signed);
	try_blanks(x, is_signed);
	try_small_letters(x, is_signed);
}

void
guess_header(struct guess_header *g)
{
	static struct search x;
	struct form as_is;
	bool *is_signed;

	if (!has_key(g->key))
		return;
	if (g->mail->header.bytes > GUESS_HEADER_MAX || g->mail->header.n > GUESS_FIELDS_MAX) {
		g->out->untried_why = "the header is longer than 256 KiB or 500 fields: no explanation was searched";
		return;
	}
	x.g = g;
	is_signed = arena_array(g->arena, bool, g->mail->header.n);
	if (is_signed == NULL)
		return;
	g->out->was_tried = true;
	arena_init(&x.scratch, 64 * KIB, DKIM_ARENA_MAX);
	index_names(&x);
	mark_signed(&x, is_signed);
	as_is = as_it_is(&x);
	g->out->is_good = fits(&x, &as_is);
	if (!g->out->is_good)
		try_all(&x, is_signed);
	arena_fini(&x.scratch);
}
