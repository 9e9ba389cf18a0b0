/*
 * dkim - life, order and results of the verifier; see dkim.h.
 *
 * A signature goes through these steps, and what it fails first is its result, whatever arrives first:
 *	its text, what policy says about it, its times, its key and what that permits, the hash of the body, the signature itself, l=.
 * A step is done once: after dkim_run() said RC_WAIT, the next run goes on where the signature stands.
 */
#include "common/auth/dkim.h"

#include "common/auth/dkim_int.h"
#include "common/mail/taglist.h"

/* ---- creation ---- */

static void
destroy_hashes(void *arg)
{
	struct dkim *d = arg;

	for (size_t i = 0; i < ARRAY_LEN(d->hash); i++)
		crypto_hash_destroy(&d->hash[i]);
}

static bool
names_field(struct span h, struct span wanted)
{
	struct span name;

	while (taglist_item(&h, &name))
		if (span_eq_nocase(name, wanted))
			return true;
	return false;
}

/* A field that must be signed, is there, and is not named by h=. */
static bool
misses_field(const struct dkim *d, struct span h)
{
	const struct dkim_options *o = d->options;

	for (size_t i = 0; i < o->must_be_signed_count; i++)
		if (!names_field(h, o->must_be_signed[i]) && header_find_last(d->headers, o->must_be_signed[i], d->headers->n) < d->headers->n)
			return true;
	return false;
}

/* What can be said without time, keys and body. */
static void
judge_early(struct dkim *d, size_t i)
{
	struct dkim_signature *s = &d->v[i];

	if (d->headers->is_incomplete)
		dkim_finish(d, i, DKIM_R_INCOMPLETE, NULL);
	else if (misses_field(d, d->attempts[i].h))
		dkim_finish(d, i, DKIM_R_NOT_SIGNED, NULL);
	else if (!dkim_is_refused_sha1(d, i))
		dkim_body_want(&d->body, s->body_canon, s->hash, s->l);
}

static void
parse_one(struct dkim *d, size_t i, struct dkim_sig *sig)
{
	struct dkim_attempt *at = &d->attempts[i];

	if (dkim_sig_parse(d->arena, d->headers->v[d->v[i].field].value, DKIM_SIG_DKIM, sig, &d->v[i]) != RC_OK)
		at->step = DKIM_STEP_END;
	at->b = sig->b;
	at->bh = sig->bh;
	at->h = sig->h;
	at->h_count = sig->h_count;
	at->b_text = sig->b_text;
	at->b_from = sig->b_from;
	at->b_n = sig->b_n;
	at->key_name = sig->key_name;
}

static void
parse_all(struct dkim *d, const struct span *authors, size_t author_count, struct dkim_sig *sig)
{
	for (size_t i = 0; i < d->n; i++) {
		*sig = (struct dkim_sig){ 0 };
		parse_one(d, i, sig);
		if (!span_is_null(d->v[i].domain))
			d->v[i].is_author = dkim_is_author(d->v[i].domain, authors, author_count);
		if (d->attempts[i].step != DKIM_STEP_END)
			judge_early(d, i);
	}
}

/* RFC 6008 section 4: what names a signature must not name another. */
static void
lengthen_starts(struct dkim *d)
{
	for (size_t i = 0; i < d->n; i++) {
		struct span mine = d->attempts[i].b_text;
		size_t n = d->v[i].b_start.n;

		for (size_t j = 0; j < d->n; j++)
			while (j != i && n < mine.n && span_starts(d->attempts[j].b_text, span_sub(mine, 0, n)))
				n++;
		if (!span_is_null(mine))
			d->v[i].b_start = span_sub(mine, 0, n);
	}
}

/* The fields that the signatures which are still to be checked name. */
static enum rc
index_names(struct dkim *d)
{
	size_t count = 0, alive = 0;
	enum rc rc;

	for (size_t i = 0; i < d->n; i++) {
		if (d->attempts[i].step == DKIM_STEP_END && d->show == NULL)
			continue;
		alive++;
		count += d->attempts[i].h_count;
	}
	if (alive == 0)
		return RC_OK;
	if ((rc = dkim_names_init(&d->names, d->arena, count)) != RC_OK)
		return rc;
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].is_parsed && (d->attempts[i].step != DKIM_STEP_END || d->show != NULL))
			dkim_names_add(&d->names, d->attempts[i].h);
	return dkim_names_index(&d->names, d->arena, d->headers);
}

struct dkim *
dkim_create(struct arena *a, const struct dkim_options *o, const struct header_block *headers, const struct span *authors, size_t author_count)
{
	struct dkim *d = arena_new(a, struct dkim);
	size_t limit = MIN(MAX(o->limit, 1u), (unsigned)DKIM_LIMIT_MAX);
	struct dkim_pick pick;
	struct dkim_sig *scratch;

	if (d == NULL || dkim_pick(a, headers, authors, author_count, limit, &pick) != RC_OK)
		return NULL;
	*d = (struct dkim){ .arena = a, .options = o, .headers = headers, .n = pick.n, .total = pick.total };
	d->described = pick.n + (pick.total > pick.n);
	if (d->n == 0)
		return d;
	d->v = arena_array(a, struct dkim_signature, d->described);
	d->attempts = arena_array(a, struct dkim_attempt, d->n);
	scratch = arena_new(a, struct dkim_sig);
	if (d->v == NULL || d->attempts == NULL || scratch == NULL || dkim_body_init(&d->body, a, d->n) != RC_OK ||
	    !arena_on_reset(a, destroy_hashes, d))
		return NULL;
	for (size_t i = 0; i < d->n; i++)
		d->v[i].field = pick.fields[i];
	parse_all(d, authors, author_count, scratch);
	lengthen_starts(d);
	if (d->described > d->n) {
		d->v[d->n] = (struct dkim_signature){ .field = pick.first_left, .l = -1, .t = -1, .x = -1 };
		dkim_end(&d->v[d->n], DKIM_R_TOO_MANY, NULL);
	}
	return d;
}

/* ---- the body ---- */

bool
dkim_wants_body(const struct dkim *d)
{
	for (size_t i = 0; i < d->n && !d->body.has_ended; i++)
		if (d->attempts[i].step != DKIM_STEP_END && !dkim_is_refused_sha1(d, i))
			return true;
	return false;
}

void
dkim_body(struct dkim *d, struct span piece)
{
	if (!d->body.has_ended && (dkim_wants_body(d) || d->show != NULL))
		dkim_body_feed(&d->body, piece);
}

void
dkim_body_end(struct dkim *d)
{
	if (!d->body.has_ended)
		dkim_body_finish(&d->body);
}

void
dkim_body_lost(struct dkim *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->attempts[i].step != DKIM_STEP_END && !dkim_is_refused_sha1(d, i))
			dkim_finish(d, i, DKIM_R_MEMORY, NULL);
	d->body.has_begun = d->body.has_ended = true;
}

/* ---- running ---- */

struct show_arg {
	const struct dkim_show *show;
	const struct dkim_signature *s;
};

static void
show_sink(void *arg, const char *p, size_t n)
{
	const struct show_arg *x = arg;

	x->show->header(x->show->arg, x->s, p, n);
}

static void
show_header(struct dkim *d, size_t i)
{
	struct show_arg x = { d->show, &d->v[i] };

	if (d->attempts[i].was_shown || d->show == NULL || d->show->header == NULL || !d->v[i].is_parsed)
		return;
	d->attempts[i].was_shown = true;
	dkim_feed_header(d, i, show_sink, &x);
}

/* Without an index nothing can be hashed. */
static bool
has_names(struct dkim *d)
{
	if (d->names.slots != NULL)
		return true;
	if (index_names(d) == RC_OK)
		return d->names.slots != NULL;
	for (size_t i = 0; i < d->n; i++)
		if (d->attempts[i].step != DKIM_STEP_END)
			dkim_finish(d, i, DKIM_R_MEMORY, NULL);
	d->names.slots = NULL;
	return false;
}

enum rc
dkim_run(struct dkim *d, struct questions *q, int64_t now_s)
{
	enum rc rc = RC_OK;

	if (!has_names(d))
		return RC_OK;
	for (size_t i = 0; i < d->n; i++) {
		dkim_advance(d, i, q, now_s);
		if (d->attempts[i].step != DKIM_STEP_END)
			rc = RC_WAIT;
		else
			show_header(d, i);
	}
	return rc;
}

const struct dkim_signature *
dkim_signatures(const struct dkim *d, size_t *n_out)
{
	*n_out = d->described;
	return d->v;
}

size_t
dkim_signature_count(const struct dkim *d)
{
	return d->total;
}

void
dkim_show(struct dkim *d, const struct dkim_show *show)
{
	if (d->body.has_begun)
		return;
	d->show = d->body.show = show;
	for (size_t i = 0; i < d->n; i++)       /* also of those that have their result already */
		if (d->v[i].is_parsed)
			dkim_body_want(&d->body, d->v[i].body_canon, d->v[i].hash, d->v[i].l);
}

bool
dkim_body_digest(const struct dkim *d, size_t index, struct crypto_digest *out, struct span *claimed_out)
{
	const struct crypto_digest *digest;
	uint64_t bytes;

	if (index >= d->n || !d->v[index].is_parsed || !d->body.has_ended)
		return false;
	digest = dkim_body_get(&d->body, d->v[index].body_canon, d->v[index].hash, d->v[index].l, &bytes);
	if (digest == NULL)
		return false;
	*out = *digest;
	*claimed_out = d->attempts[index].bh;
	return true;
}
