/*
 * dkim_sig - see dkim_sig.h.
 *
 * First everything is read that can be read, so that reports name the signature whatever is wrong with it; then it is judged, in the order of
 * RFC 6376 section 6.1.1.
 */
#include "common/auth/dkim_sig.h"

#include "common/auth/dkim_int.h"
#include "common/base/b64.h"

/* A bh= that decodes to more is of the wrong length, whatever it is. */
enum { BH_ROOM = 4 * CRYPTO_DIGEST_MAX };

enum rc
dkim_parse_refuse(struct dkim_parse *p, enum dkim_reason reason, const char *detail)
{
	dkim_end(p->out, reason, detail);
	return reason == DKIM_R_MEMORY ? RC_LIMIT : RC_SYNTAX;
}

/* ---- reading ---- */

/* A value that may be shown: without blanks inside. */
static struct span
one_word(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (dkim_is_fws(s.p[i]))
			return SPAN_NULL;
	return s;
}

/* Up to DKIM_B_START_MAX characters of b=, as they are written but without FWS. */
static struct span
b_start_in(struct arena *a, struct span b)
{
	char *p = arena_alloc(a, DKIM_B_START_MAX);
	size_t n = 0;

	for (size_t i = 0; i < b.n && n < DKIM_B_START_MAX && p != NULL; i++)
		if (!dkim_is_fws(b.p[i]))
			p[n++] = b.p[i];
	return span_of(p, p != NULL ? n : 0);
}

/* The value of b= with the blanks around it, which goes with it (section 3.7). */
static void
find_cut(struct dkim_parse *p, struct span b)
{
	size_t from = (size_t)(b.p - p->value.p), end = from + b.n;

	while (from > 0 && dkim_is_fws(p->value.p[from - 1]))
		from--;
	while (end < p->value.n && dkim_is_fws(p->value.p[end]))
		end++;
	p->sig->b_from = from;
	p->sig->b_n = end - from;
}

static enum rc
read_all(struct dkim_parse *p)
{
	const struct taglist *t = &p->sig->tags;
	struct dkim_signature *out = p->out;
	struct span b = taglist_get(t, SPAN("b"));

	out->d = one_word(taglist_get(t, SPAN("d")));
	out->s = one_word(taglist_get(t, SPAN("s")));
	out->a = one_word(taglist_get(t, SPAN("a")));
	p->sig->h = taglist_get(t, SPAN("h"));
	if (span_is_null(b))
		return RC_OK;
	find_cut(p, b);
	p->sig->b_text = b_start_in(p->arena, b);
	if (span_is_null(p->sig->b_text))
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	out->b_start = span_sub(p->sig->b_text, 0, DKIM_B_START_MIN);
	return RC_OK;
}

/* ---- v= a= and what must be there ---- */

static enum rc
check_version(struct dkim_parse *p)
{
	struct span v = taglist_get(&p->sig->tags, SPAN("v"));

	if (p->flavour == DKIM_SIG_ARC)
		return RC_OK;
	if (span_is_null(v))
		return dkim_parse_refuse(p, DKIM_R_VERSION, "no v=");
	return span_eq(v, SPAN("1")) ? RC_OK : dkim_parse_refuse(p, DKIM_R_VERSION, "v=");
}

static enum rc
check_presence(struct dkim_parse *p)
{
	static const struct {
		struct span name;
		const char *missing;
	} needed[] = {
		{ { "a", 1 }, "no a=" }, { { "b", 1 }, "no b=" }, { { "bh", 2 }, "no bh=" }, { { "d", 1 }, "no d=" }, { { "h", 1 }, "no h=" },
		{ { "s", 1 }, "no s=" },
	};

	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (span_is_null(taglist_get(&p->sig->tags, needed[i].name)))
			return dkim_parse_refuse(p, DKIM_R_MISSING_TAG, needed[i].missing);
	return RC_OK;
}

static enum rc
check_algorithm(struct dkim_parse *p)
{
	static const struct {
		struct span name;
		enum crypto_key_kind kind;
		enum crypto_hash_alg hash;
	} known[] = {
		{ { "rsa-sha256", 10 }, CRYPTO_RSA, CRYPTO_SHA256 },
		{ { "ed25519-sha256", 14 }, CRYPTO_ED25519, CRYPTO_SHA256 },
		{ { "rsa-sha1", 8 }, CRYPTO_RSA, CRYPTO_SHA1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (span_eq(p->out->a, known[i].name)) {
			p->out->kind = known[i].kind;
			p->out->hash = known[i].hash;
			return RC_OK;
		}
	}
	return dkim_parse_refuse(p, DKIM_R_UNKNOWN_ALGORITHM, NULL);
}

/* Other ways to get a key than DNS may be tried first; when none is known here, the signature says nothing (section 3.5).  Plain "dns" was written
 * by signers of the drafts before RFC 4871. */
static enum rc
check_query(struct dkim_parse *p)
{
	struct span rest = taglist_get(&p->sig->tags, SPAN("q")), item;

	if (span_is_null(rest))
		return RC_OK;
	while (taglist_item(&rest, &item))
		if (span_eq_nocase(item, SPAN("dns/txt")) || span_eq_nocase(item, SPAN("dns")))
			return RC_OK;
	return dkim_parse_refuse(p, DKIM_R_UNKNOWN_QUERY, NULL);
}

/* ---- h= ---- */

/* A field name (RFC 5322 section 3.6.8); ';' cannot be there, ':' neither. */
static bool
is_field_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static enum rc
check_fields(struct dkim_parse *p)
{
	struct span rest = p->sig->h, name;
	bool has_from = false;

	p->sig->h_count = 0;
	while (taglist_item(&rest, &name)) {
		if (!is_field_name(name))
			return dkim_parse_refuse(p, DKIM_R_SYNTAX, "h=");
		if (p->sig->h_count == DKIM_H_NAMES_MAX)
			return dkim_parse_refuse(p, DKIM_R_SYNTAX, "too many names in h=");
		p->sig->h_count++;
		has_from |= span_eq_nocase(name, SPAN("from"));
	}
	return has_from || p->flavour == DKIM_SIG_ARC ? RC_OK : dkim_parse_refuse(p, DKIM_R_FROM_NOT_SIGNED, NULL);
}

/* ---- numbers and c= ---- */

/* -1: not there.  What does not fit is kept as the greatest, not as something else. */
static bool
take_number(const struct dkim_parse *p, struct span name, size_t digits_max, int64_t *out)
{
	struct span text = taglist_get(&p->sig->tags, name);
	uint64_t v;

	*out = -1;
	if (span_is_null(text))
		return true;
	for (size_t i = 0; i < text.n; i++)
		if (!ascii_is_digit((unsigned char)text.p[i]))
			return false;
	if (text.n == 0 || text.n > digits_max)
		return false;
	*out = span_to_uint(text, INT64_MAX, &v) ? (int64_t)v : INT64_MAX;
	return true;
}

static enum rc
check_numbers(struct dkim_parse *p)
{
	enum { DIGITS_MAX = 76 };       /* section 3.5, l=; the others have no more */
	struct dkim_signature *out = p->out;

	if (!take_number(p, SPAN("l"), DIGITS_MAX, &out->l))
		return dkim_parse_refuse(p, DKIM_R_SYNTAX, "l=");
	if (!take_number(p, SPAN("t"), DIGITS_MAX, &out->t))
		return dkim_parse_refuse(p, DKIM_R_SYNTAX, "t=");
	if (!take_number(p, SPAN("x"), DIGITS_MAX, &out->x))
		return dkim_parse_refuse(p, DKIM_R_SYNTAX, "x=");
	if (out->t >= 0 && out->x >= 0 && out->x <= out->t)
		return dkim_parse_refuse(p, DKIM_R_TIMES, NULL);
	return RC_OK;
}

static bool
take_canon(struct span name, enum canon *out)
{
	*out = span_eq(name, SPAN("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
	return *out == CANON_RELAXED || span_eq(name, SPAN("simple"));
}

/* "relaxed" alone is relaxed/simple (section 3.5). */
static enum rc
check_canon(struct dkim_parse *p)
{
	struct span c = taglist_get(&p->sig->tags, SPAN("c")), body;
	size_t slash = span_find(c, '/');

	p->out->header_canon = p->out->body_canon = CANON_SIMPLE;
	if (span_is_null(c))
		return RC_OK;
	body = slash < c.n ? span_from(c, slash + 1) : SPAN("simple");
	if (!take_canon(span_sub(c, 0, slash), &p->out->header_canon) || !take_canon(body, &p->out->body_canon))
		return dkim_parse_refuse(p, DKIM_R_SYNTAX, "c=");
	return RC_OK;
}

/* ---- b= bh= ---- */

/* RC_LIMIT: the text is too long for max bytes, or the arena is at its ceiling. */
static bool
is_too_long(struct span text, size_t max)
{
	size_t chars = 0;

	for (size_t i = 0; i < text.n; i++)
		chars += !dkim_is_fws(text.p[i]) && text.p[i] != '=';
	return chars / 4 * 3 + chars % 4 * 3 / 4 > max;
}

static enum rc
check_bytes(struct dkim_parse *p)
{
	struct span b = taglist_get(&p->sig->tags, SPAN("b")), bh = taglist_get(&p->sig->tags, SPAN("bh"));
	size_t want = p->out->hash == CRYPTO_SHA1 ? 20 : 32;
	enum rc rc = b64_decode(p->arena, bh, BH_ROOM, &p->sig->bh);

	if (rc == RC_SYNTAX)
		return dkim_parse_refuse(p, DKIM_R_SYNTAX, "bh=");
	if (rc == RC_LIMIT && !is_too_long(bh, BH_ROOM))
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	if (rc != RC_OK || p->sig->bh.n != want)
		return dkim_parse_refuse(p, DKIM_R_HASH_LENGTH, NULL);
	rc = b64_decode(p->arena, b, DKIM_SIGNATURE_MAX, &p->sig->b);
	if (rc == RC_LIMIT && !is_too_long(b, DKIM_SIGNATURE_MAX))
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	return rc == RC_OK && p->sig->b.n > 0 ? RC_OK : dkim_parse_refuse(p, DKIM_R_SYNTAX, "b=");
}

enum rc
dkim_sig_parse(struct arena *a, struct span value, enum dkim_sig_flavour flavour, struct dkim_sig *sig, struct dkim_signature *out)
{
	static enum rc (*const steps[])(struct dkim_parse *p) = {
		read_all, check_version, check_presence, check_algorithm, dkim_parse_domain, dkim_parse_identity, check_fields, check_numbers, check_canon,
		check_query, check_bytes,
	};
	struct dkim_parse p = { .arena = a, .value = value, .flavour = flavour, .sig = sig, .out = out };
	const char *why = NULL;
	enum rc rc;

	sig->tags.n = 0;
	out->l = out->t = out->x = -1;
	if (value.n > DKIM_FIELD_MAX)
		return dkim_parse_refuse(&p, DKIM_R_SYNTAX, "longer than 64 KiB");
	if (taglist_parse(value, &sig->tags, &why) != RC_OK)
		return dkim_parse_refuse(&p, DKIM_R_SYNTAX, why);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if ((rc = steps[i](&p)) != RC_OK)
			return rc;
	out->is_parsed = true;
	return RC_OK;
}
