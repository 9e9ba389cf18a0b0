/*
 * dkim_find - from the answer to a key's question to keys that may check a signature; see dkim_int.h.
 *
 * A selector should have one record.  When it has several, their order means nothing (RFC 6376 section 3.6.2.2): each one that is of use is tried, and
 * when none is, the one that came closest says why.
 */
#include "common/auth/dkim_int.h"
#include "common/auth/dkim_keys.h"

struct search {
	struct arena *arena;
	const struct dkim_options *options;
	struct dkim_signature *s;
	struct dkim_found *found;
	enum dkim_reason reason;        /* of the closest record so far */
	const char *why;
	unsigned bits;                  /* of its key */
	bool is_testing;
};

/* How close a record came, for reports: later checks are closer. */
static unsigned
closeness(enum dkim_reason r)
{
	static const enum dkim_reason order[] = {
		DKIM_R_NO_KEY, DKIM_R_KEY_SYNTAX, DKIM_R_KEY_TYPE, DKIM_R_KEY_HASH, DKIM_R_KEY_SERVICE, DKIM_R_KEY_IDENTITY, DKIM_R_KEY_REVOKED,
		DKIM_R_KEY_LENGTH, DKIM_R_SHORT_KEY, DKIM_R_MEMORY,
	};

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		if (order[i] == r)
			return i;
	return 0;
}

static void
drop_key(void *key)
{
	crypto_key_unref(key);
}

/* The decoded key, this process's or a new one. */
static enum dkim_reason
get_key(struct search *x, const struct dkim_key_record *r, struct crypto_key **out, const char **why)
{
	struct dkim_keys *keys = x->options->keys;
	enum dkim_reason reason;

	*out = keys != NULL ? dkim_keys_get(keys, r->kind, r->p) : NULL;
	if (*out == NULL) {
		reason = dkim_key_decode(x->arena, r, out, why);
		if (reason != DKIM_R_GOOD)
			return reason;
		if (keys != NULL)
			dkim_keys_put(keys, r->kind, r->p, *out);
	}
	if (arena_on_reset(x->arena, drop_key, *out))
		return DKIM_R_GOOD;
	crypto_key_unref(*out);
	*out = NULL;
	return DKIM_R_MEMORY;
}

static enum dkim_reason
take_record(struct search *x, struct span text, const char **why, unsigned *bits, bool *is_testing)
{
	struct dkim_key_record r;
	struct crypto_key *key = NULL;
	enum dkim_reason reason = dkim_key_parse(text, &r, why);

	*is_testing = r.is_testing;
	if (reason == DKIM_R_GOOD)
		reason = dkim_key_permits(&r, x->s, x->options);
	if (reason == DKIM_R_GOOD)
		reason = get_key(x, &r, &key, why);
	if (reason != DKIM_R_GOOD)
		return reason;
	*bits = crypto_key_bits(key);
	if (r.kind == CRYPTO_RSA && *bits < x->options->min_rsa_bits)
		return DKIM_R_SHORT_KEY;
	x->found->v[x->found->n].key = key;
	x->found->v[x->found->n].is_testing = r.is_testing;
	x->found->n++;
	return DKIM_R_GOOD;
}

static void
try_record(struct search *x, struct span text)
{
	const char *why = NULL;
	unsigned bits = 0;
	bool is_testing = false;
	enum dkim_reason reason = take_record(x, text, &why, &bits, &is_testing);

	if (reason == DKIM_R_GOOD || closeness(reason) < closeness(x->reason))
		return;
	x->reason = reason;
	x->why = why;
	x->bits = bits;
	x->is_testing = is_testing;
}

enum dkim_reason
dkim_find_keys(struct arena *a, const struct dkim_options *o, const struct dns_answer *answer, struct dkim_signature *s, struct dkim_found *found,
               const char **why_out)
{
	struct search x = { .arena = a, .options = o, .s = s, .found = found, .reason = DKIM_R_NO_KEY };

	found->n = 0;
	s->is_key_secure = answer->is_secure;
	switch (answer->status) {
	case DNS_OK:
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		*why_out = answer->status == DNS_NXDOMAIN ? "no such name" : "no TXT record";
		return DKIM_R_NO_KEY;
	case DNS_BOGUS:
		return DKIM_R_BOGUS;
	default:
		*why_out = dns_status_name(answer->status);
		return DKIM_R_DNS;
	}
	for (size_t i = 0; i < answer->rr_count && i < DKIM_KEY_RECORDS_MAX; i++)
		try_record(&x, answer->rr[i].text);
	if (found->n > 0 && x.reason != DKIM_R_MEMORY)
		return DKIM_R_GOOD;
	s->key_bits = x.bits;
	s->is_testing = x.is_testing;
	*why_out = x.why;
	return x.reason;
}
