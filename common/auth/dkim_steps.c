/*
 * dkim_steps - what a signature goes through until it has its result; see dkim.c for the order and dkim_int.h.
 */
#include "common/auth/dkim_int.h"

void
dkim_finish(struct dkim *d, size_t i, enum dkim_reason reason, const char *detail)
{
	dkim_end(&d->v[i], reason, detail);
	d->attempts[i].step = DKIM_STEP_END;
}

bool
dkim_is_refused_sha1(const struct dkim *d, size_t i)
{
	return d->v[i].hash == CRYPTO_SHA1 && !d->options->accept_sha1;
}

static void
check_times(struct dkim *d, size_t i, int64_t now_s)
{
	const struct dkim_options *o = d->options;
	const struct dkim_signature *s = &d->v[i];

	if (!o->accept_expired && s->x >= 0 && s->x < now_s && now_s - s->x > o->clock_skew_s)
		dkim_finish(d, i, DKIM_R_EXPIRED, NULL);
	else if (!o->accept_future && s->t > now_s && s->t - MAX(now_s, 0) > o->clock_skew_s)
		dkim_finish(d, i, DKIM_R_FUTURE, NULL);
	else
		d->attempts[i].step = DKIM_STEP_KEY;
}

static void
check_key(struct dkim *d, size_t i, struct questions *q)
{
	struct dkim_attempt *at = &d->attempts[i];
	const struct dns_answer *answer = questions_want(q, &at->key_name, DNS_TXT, false);
	enum dkim_reason reason;
	const char *why = NULL;

	if (answer == NULL)
		return;
	at->found = arena_new(d->arena, struct dkim_found);
	if (at->found == NULL) {
		dkim_finish(d, i, DKIM_R_MEMORY, NULL);
		return;
	}
	reason = dkim_find_keys(d->arena, d->options, answer, &d->v[i], at->found, &why);
	if (reason != DKIM_R_GOOD) {
		dkim_finish(d, i, reason, why);
		return;
	}
	d->v[i].key_bits = crypto_key_bits(at->found->v[0].key);
	d->v[i].is_testing = at->found->v[0].is_testing;
	at->step = DKIM_STEP_BODY;
	if (dkim_is_refused_sha1(d, i))
		dkim_finish(d, i, DKIM_R_SHA1, NULL);
}

static bool
is_body_good(struct dkim *d, size_t i)
{
	struct dkim_signature *s = &d->v[i];
	const struct dkim_attempt *at = &d->attempts[i];
	const struct crypto_digest *digest;
	uint64_t bytes;

	digest = dkim_body_get(&d->body, s->body_canon, s->hash, s->l, &bytes);
	if (digest == NULL) {
		dkim_finish(d, i, DKIM_R_BODY_LENGTH, NULL);
		return false;
	}
	s->has_unsigned_body = s->l >= 0 && (uint64_t)s->l < bytes;
	if (at->bh.n == digest->n && crypto_equal(at->bh.p, digest->b, digest->n))
		return true;
	dkim_finish(d, i, DKIM_R_BODY_HASH, NULL);
	return false;
}

static void
hash_sink(void *arg, const char *p, size_t n)
{
	crypto_hash_update(arg, p, n);
}

void
dkim_feed_header(struct dkim *d, size_t i, canon_sink_fn *sink, void *arg)
{
	const struct dkim_attempt *at = &d->attempts[i];
	const struct dkim_header_parts parts = {
		.block = d->headers, .names = &d->names, .own = d->v[i].field, .h = at->h, .b_from = at->b_from, .b_n = at->b_n,
		.canon = d->v[i].header_canon,
	};

	dkim_header_feed(&parts, sink, arg);
}

static void
check_signature(struct dkim *d, size_t i)
{
	struct dkim_signature *s = &d->v[i];
	const struct dkim_attempt *at = &d->attempts[i];
	struct crypto_hash **hash = &d->hash[s->hash];
	struct crypto_digest digest;

	if (*hash == NULL)
		*hash = crypto_hash_create(s->hash);
	dkim_feed_header(d, i, hash_sink, *hash);
	crypto_hash_final(*hash, &digest);
	for (size_t k = 0; k < at->found->n; k++) {
		if (!crypto_verify(at->found->v[k].key, s->hash, &digest, at->b))
			continue;
		s->key_bits = crypto_key_bits(at->found->v[k].key);
		s->is_testing = at->found->v[k].is_testing;
		dkim_finish(d, i, s->has_unsigned_body && d->options->l_tag == DKIM_L_POLICY ? DKIM_R_UNSIGNED_BODY : DKIM_R_GOOD, NULL);
		return;
	}
	dkim_finish(d, i, DKIM_R_SIGNATURE, NULL);
}

void
dkim_advance(struct dkim *d, size_t i, struct questions *q, int64_t now_s)
{
	struct dkim_attempt *at = &d->attempts[i];

	if (at->step == DKIM_STEP_TIMES)
		check_times(d, i, now_s);
	if (at->step == DKIM_STEP_KEY)
		check_key(d, i, q);
	if (at->step == DKIM_STEP_BODY && d->body.has_ended && is_body_good(d, i))
		check_signature(d, i);
}
