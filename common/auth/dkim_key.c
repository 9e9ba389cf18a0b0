/* dkim_key - see dkim_key.h. */
#include "common/auth/dkim_key.h"

#include "common/base/b64.h"
#include "common/base/domain.h"
#include "common/base/spki.h"
#include "common/mail/taglist.h"

static enum dkim_reason
refuse(const char **why_out, const char *why, enum dkim_reason reason)
{
	if (why_out != NULL)
		*why_out = why;
	return reason;
}

/* ---- the record ---- */

/* Whether a colon-separated value names the item; true when there is no such tag. */
static bool
list_has(const struct taglist *t, struct span tag, struct span wanted)
{
	struct span rest = taglist_get(t, tag), item;

	if (span_is_null(rest))
		return true;
	while (taglist_item(&rest, &item))
		if (span_eq(item, wanted))
			return true;
	return false;
}

static bool
has_flag(const struct taglist *t, struct span flag)
{
	return !span_is_null(taglist_get(t, SPAN("t"))) && list_has(t, SPAN("t"), flag);
}

/* v= is first and "DKIM1", or not there (section 3.6.1). */
static bool
is_version_good(const struct taglist *t, bool *has_version_out)
{
	size_t at = taglist_find(t, SPAN("v"));

	*has_version_out = at < t->n;
	return at == t->n || (at == 0 && span_eq(t->v[0].value, SPAN("DKIM1")));
}

static bool
take_kind(const struct taglist *t, enum crypto_key_kind *out)
{
	struct span k = taglist_get(t, SPAN("k"));

	*out = span_eq(k, SPAN("ed25519")) ? CRYPTO_ED25519 : CRYPTO_RSA;
	return span_is_null(k) || *out == CRYPTO_ED25519 || span_eq(k, SPAN("rsa"));
}

enum dkim_reason
dkim_key_parse(struct span record, struct dkim_key_record *out, const char **why_out)
{
	struct taglist t;
	const char *why = NULL;

	*out = (struct dkim_key_record){ 0 };
	if (record.n > DKIM_KEY_RECORD_MAX)
		return refuse(why_out, "the record is too long", DKIM_R_KEY_SYNTAX);
	if (taglist_parse(record, &t, &why) != RC_OK)
		return refuse(why_out, why, DKIM_R_KEY_SYNTAX);
	if (!is_version_good(&t, &out->has_version))
		return refuse(why_out, "v= is not DKIM1 or not the first tag", DKIM_R_KEY_SYNTAX);
	out->p = taglist_get(&t, SPAN("p"));
	if (span_is_null(out->p))
		return refuse(why_out, "no p=", DKIM_R_KEY_SYNTAX);
	if (!take_kind(&t, &out->kind))
		return refuse(why_out, "unknown k=", DKIM_R_KEY_TYPE);
	out->g = taglist_get(&t, SPAN("g"));
	out->notes = taglist_get(&t, SPAN("n"));
	out->allows_sha1 = list_has(&t, SPAN("h"), SPAN("sha1"));
	out->allows_sha256 = list_has(&t, SPAN("h"), SPAN("sha256"));
	out->allows_email = list_has(&t, SPAN("s"), SPAN("*")) || list_has(&t, SPAN("s"), SPAN("email"));
	out->is_testing = has_flag(&t, SPAN("y"));
	out->is_strict = has_flag(&t, SPAN("s"));
	return DKIM_R_GOOD;
}

/* ---- the key ---- */

static enum dkim_reason
make_key(const struct spki *k, struct crypto_key **out, const char **why_out)
{
	enum rc rc = k->kind == CRYPTO_RSA ? crypto_key_rsa(k->n, k->e, out) : crypto_key_ed25519(k->raw, out);

	if (rc == RC_LIMIT)
		return refuse(why_out, "the modulus or the exponent is too long", DKIM_R_KEY_LENGTH);
	return rc == RC_OK ? DKIM_R_GOOD : refuse(why_out, "p= is not a possible key", DKIM_R_KEY_SYNTAX);
}

enum dkim_reason
dkim_key_decode(struct arena *a, const struct dkim_key_record *r, struct crypto_key **out, const char **why_out)
{
	struct spki k = { .kind = CRYPTO_ED25519 };
	const char *why = NULL;
	struct span bytes;
	enum rc rc;

	*out = NULL;
	if (r->p.n == 0)
		return refuse(why_out, NULL, DKIM_R_KEY_REVOKED);
	rc = b64_decode(a, r->p, DKIM_KEY_RECORD_MAX, &bytes);
	if (rc == RC_LIMIT)             /* p= is part of a record that is not too long */
		return refuse(why_out, NULL, DKIM_R_MEMORY);
	if (rc != RC_OK)
		return refuse(why_out, "p= is not base64", DKIM_R_KEY_SYNTAX);
	if (r->kind == CRYPTO_ED25519 && bytes.n == CRYPTO_ED25519_BYTES)       /* RFC 8463 section 4.2 */
		k.raw = bytes;
	else if (spki_read(bytes, &k, &why) != RC_OK)
		return refuse(why_out, why, DKIM_R_KEY_SYNTAX);
	if (k.kind != r->kind)
		return refuse(why_out, "p= is of another type than k=", DKIM_R_KEY_TYPE);
	return make_key(&k, out, why_out);
}

/* ---- permission ---- */

/* g= (RFC 4871 section 3.6.1): a local part in which one '*' stands for anything. */
static bool
does_g_match(struct span g, struct span local)
{
	size_t star = span_find(g, '*');
	struct span head = span_sub(g, 0, star), tail = span_from(g, star + 1);

	if (star == g.n)
		return g.n > 0 && span_eq(g, local);
	return local.n >= head.n + tail.n && span_eq(span_sub(local, 0, head.n), head) && span_eq(span_from(local, local.n - tail.n), tail);
}

/* A record of DomainKeys (no v=) with an empty g= is for all addresses (RFC 6376 appendix C.1). */
static bool
does_g_allow(const struct dkim_key_record *r, const struct dkim_signature *s)
{
	if (span_is_null(r->g) || (r->g.n == 0 && !r->has_version))
		return true;
	return does_g_match(r->g, span_sub(s->i, 0, span_rfind(s->i, '@')));
}

enum dkim_reason
dkim_key_permits(const struct dkim_key_record *r, const struct dkim_signature *s, const struct dkim_options *o)
{
	if (r->kind != s->kind)
		return DKIM_R_KEY_TYPE;
	if (s->hash == CRYPTO_SHA1 ? !r->allows_sha1 : !r->allows_sha256)
		return DKIM_R_KEY_HASH;
	if (!r->allows_email)
		return DKIM_R_KEY_SERVICE;
	if (r->is_strict && !span_is_null(s->i_domain) && !domain_eq(s->i_domain, s->domain))
		return DKIM_R_KEY_IDENTITY;
	if (o->rfc4871_compatible && !does_g_allow(r, s))
		return DKIM_R_KEY_IDENTITY;
	return DKIM_R_GOOD;
}
