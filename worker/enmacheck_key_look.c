/*
 * enmacheck_key_look - mistakes in a key record, named so that they can be corrected; see enmacheck_dkim.h.
 *
 * First the text: what came of copying it into a zone or a form.  Then what p= holds.  Then what the tags say.
 */
#include "worker/enmacheck_dkim.h"

#include "common/base/b64.h"
#include "common/base/log.h"
#include "common/base/spki.h"

enum {
	RSA_BITS_ADVISED = 2048,        /* RFC 8301 section 3.2 */
	RSA_BITS_EVERYWHERE = 4096,     /* what every verifier can check, by the same */
	TXT_STRING_MAX = 255,
};

static bool
has_text(struct span s, const char *needle)
{
	return memmem(s.p, s.n, needle, strlen(needle)) != NULL;
}

static unsigned
count_text(struct span s, const char *needle)
{
	size_t n = strlen(needle);
	unsigned count = 0;

	for (size_t i = 0; i + n <= s.n; i++)
		count += memcmp(s.p + i, needle, n) == 0;
	return count;
}

/* ---- the text ---- */

static bool
is_other_record(struct span s)
{
	return span_starts_nocase(s, SPAN("v=spf1")) || span_starts_nocase(s, SPAN("v=DMARC1"));
}

static void
look_at_bytes(struct key_record *r)
{
	for (size_t i = 0; i < r->text.n; i++) {
		unsigned char c = (unsigned char)r->text.p[i];

		if (ascii_is_print(c) || c == '\t' || c == '\r' || c == '\n')
			continue;
		remark(&r->remarks, r->reason != DKIM_R_GOOD, "byte %zu is \\x%02X, not printable ASCII: was the record copied from a word processor?", i + 1, c);
		return;
	}
}

static void
look_at_text(struct key_record *r)
{
	struct span s = r->text;

	if (s.n == 0)
		remark(&r->remarks, true, "the record is empty");
	if (is_other_record(s))
		remark(&r->remarks, true, "this is an SPF or DMARC record, no key");
	if (span_find(s, '"') < s.n)
		remark(&r->remarks, true, "quotes are part of the record: in a form for DNS records they are not written, in a zone file they stand around "
		    "each string and never inside");
	if (has_text(s, "\\;"))
		remark(&r->remarks, true, "a backslash is part of the record: inside of quotes a semicolon is written without one");
	if (count_text(s, "v=DKIM1") > 1)
		remark(&r->remarks, true, "\"v=DKIM1\" is there twice: two records in one, or a form that adds it by itself");
	if (has_text(s, "-----BEGIN") || has_text(s, "-----END"))
		remark(&r->remarks, true, "the line \"-----BEGIN ...\" or \"-----END ...\" of the key file is part of the record: only "
		    "what stands between them belongs into p=");
	look_at_bytes(r);
}

/* ---- tags ---- */

static bool
is_known_tag(struct span name)
{
	static const char *const known[] = { "v", "g", "h", "k", "n", "p", "s", "t" };

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (span_eq(name, span_cstr(known[i])))
			return true;
	return false;
}

/* "k=rsa p=...": a semicolon was forgotten. */
static void
look_at_value(struct key_record *r, const struct tag *t)
{
	static const char *const next[] = { " k=", " p=", " t=", " s=", " h=", "\tp=", "\tk=" };

	if (span_eq(t->name, SPAN("n")))
		return;
	for (size_t i = 0; i < ARRAY_LEN(next); i++) {
		if (!has_text(t->value, next[i]))
			continue;
		remark(&r->remarks, true, "a semicolon is missing behind %s=: \"%s\" is part of its value", log_str(t->name), next[i] + 1);
		return;
	}
}

static void
look_at_tags(struct key_record *r)
{
	struct taglist t;
	const char *why = NULL;

	if (taglist_parse(r->text, &t, &why) != RC_OK) {
		remark(&r->remarks, true, "not a list of tag=value; ...: %s (in or behind tag %zu)", why, t.n + 1);
		return;
	}
	for (size_t i = 0; i < t.n; i++) {
		struct tag *tag = &t.v[i];
		unsigned char low = tag->name.n == 1 ? ascii_lower((unsigned char)tag->name.p[0]) : 0;

		look_at_value(r, tag);
		if (is_known_tag(tag->name))
			continue;
		if (is_known_tag(span_of((const char *)&low, 1)))
			remark(&r->remarks, true, "%s= is another tag than %c=: names of tags are small letters", log_str(tag->name), low);
		else
			remark(&r->remarks, false, "%s= is not known and has no influence", log_str(tag->name));
	}
	if (taglist_find(&t, SPAN("v")) == t.n && r->reason == DKIM_R_GOOD)
		remark(&r->remarks, false, "there is no v=DKIM1 (allowed, but recommended)");
	if (span_is_null(taglist_get(&t, SPAN("p"))))
		remark(&r->remarks, true, "there is no p=: no key");
}

/* ---- what p= holds ---- */

/* DER: the length of the header of an element of that type, 0: it is something else. */
static size_t
der_enter(struct span s, unsigned char type, size_t *length_out)
{
	size_t octets, length = 0;

	if (s.n < 2 || (unsigned char)s.p[0] != type)
		return 0;
	octets = (unsigned char)s.p[1];
	*length_out = octets;
	if (octets < 0x80)
		return 2;
	octets &= 0x7f;
	if (octets == 0 || octets > 3 || s.n < 2 + octets)
		return 0;
	for (size_t i = 0; i < octets; i++)
		length = length << 8 | (unsigned char)s.p[2 + i];
	*length_out = length;
	return 2 + octets;
}

/* PKCS#1 and PKCS#8 private keys begin with a version of 0 or 1, in one byte; the ones for curves with 1. */
static bool
is_private_key(struct span inner)
{
	return inner.n > 3 && inner.p[0] == 0x02 && inner.p[1] == 0x01 && (inner.p[2] == 0 || inner.p[2] == 1);
}

static void
look_at_der(struct key_record *r, struct span der)
{
	static const char ec_oid[] = "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
	size_t length = 0, head = der_enter(der, 0x30, &length);
	struct span inner = span_from(der, head);

	if (der.n == CRYPTO_ED25519_BYTES && r->parsed.kind == CRYPTO_RSA) {
		remark(&r->remarks, true, "p= holds 32 bytes, as an Ed25519 key has them, but k= says RSA: k=ed25519 is missing");
		return;
	}
	if (der.n == CRYPTO_ED25519_BYTES && r->parsed.kind == CRYPTO_ED25519)
		return;
	if (head == 0) {
		remark(&r->remarks, true, "p= holds %zu bytes that are no key", der.n);
		return;
	}
	if (is_private_key(inner))
		remark(&r->remarks, true, "this is the PRIVATE key: everybody can sign with it now; remove it at once, and make a new pair");
	else if (length > inner.n)
		remark(&r->remarks, true, "the key is cut off: %zu of its %zu bytes are there", der.n, length + head);
	else if (memmem(der.p, der.n, ec_oid, sizeof ec_oid - 1) != NULL)
		remark(&r->remarks, true, "p= holds a key for ECDSA, which DKIM does not know: use RSA or Ed25519");
	else if (der_enter(inner, 0x30, &length) > 0 && span_starts(span_from(inner, der_enter(inner, 0x30, &length)), SPAN("\xa0\x03\x02\x01")))
		remark(&r->remarks, true, "p= holds a certificate, not a public key");
	else if (r->reason != DKIM_R_GOOD)
		remark(&r->remarks, true, "p=: %s", r->why != NULL ? r->why : dkim_reason_text(r->reason));
	else if (r->parsed.kind == CRYPTO_ED25519)
		remark(&r->remarks, false, "p= holds the key with its DER frame, not the bare 32 bytes of RFC 8463: other verifiers will not take it");
}

/* The first character that base64 does not have. */
static bool
find_bad_char(struct span p, size_t *at_out)
{
	for (size_t i = 0; i < p.n; i++) {
		unsigned char c = (unsigned char)p.p[i];

		if (ascii_is_alnum(c) || c == '+' || c == '/' || c == '=' || ascii_is_wsp(c) || c == '\r' || c == '\n')
			continue;
		*at_out = i;
		return true;
	}
	return false;
}

static void
look_at_base64(struct key_record *r, struct span p)
{
	size_t at, chars = 0;

	for (size_t i = 0; i < p.n; i++)
		chars += !ascii_is_wsp((unsigned char)p.p[i]) && p.p[i] != '\r' && p.p[i] != '\n';
	if (find_bad_char(p, &at)) {
		remark(&r->remarks, true, "p= is not base64: character %zu is \"%s\"%s", at + 1, log_str(span_sub(p, at, 1)),
		    p.p[at] == '-' || p.p[at] == '_' ? " (of the alphabet for web addresses)" : "");
	} else if (chars % 4 != 0) {
		remark(&r->remarks, true, "p= is not base64: %zu characters, not a multiple of 4: some are missing at the end, or the padding \"=\"", chars);
	} else {
		remark(&r->remarks, true, "p= is not base64: padding in the middle, or bits left over at the end");
	}
}

/* p= also of a record that is refused before it is read. */
static struct span
find_p(const struct key_record *r)
{
	struct taglist t;

	if (!span_is_null(r->parsed.p) || r->text.n > DKIM_KEY_RECORD_MAX)
		return r->parsed.p;
	return taglist_parse(r->text, &t, NULL) == RC_OK ? taglist_get(&t, SPAN("p")) : SPAN_NULL;
}

static void
look_at_key(struct key_record *r, struct arena *a)
{
	struct span bytes, p = find_p(r);

	if (p.p == NULL || r->reason == DKIM_R_MEMORY)
		return;
	if (p.n == 0) {
		remark(&r->remarks, true, "p= is empty: the key is revoked");
		return;
	}
	for (size_t i = 0; i < p.n; i++) {
		if (ascii_is_wsp((unsigned char)p.p[i])) {
			remark(&r->remarks, false, "there are blanks inside of p= (allowed, but some verifiers stumble over them): often from joining strings");
			break;
		}
	}
	if (b64_decode(a, p, DKIM_KEY_RECORD_MAX, &bytes) != RC_OK)
		look_at_base64(r, p);
	else
		look_at_der(r, bytes);
}

/* ---- what it permits ---- */

static void
look_at_bits(struct key_record *r, unsigned min_bits)
{
	if (r->key == NULL || r->parsed.kind != CRYPTO_RSA)
		return;
	if (r->bits < min_bits)
		remark(&r->remarks, true, "%u bits are too short: signatures are not accepted below %u (dkim.min_rsa_bits)", r->bits, min_bits);
	else if (r->bits < RSA_BITS_ADVISED)
		remark(&r->remarks, false, "%u bits are accepted, %d are recommended (RFC 8301)", r->bits, RSA_BITS_ADVISED);
	if (r->bits > RSA_BITS_EVERYWHERE)
		remark(&r->remarks, false, "not every verifier can check more than %d bits", RSA_BITS_EVERYWHERE);
}

static void
look_at_permissions(struct key_record *r)
{
	const struct dkim_key_record *p = &r->parsed;

	if (span_is_null(p->p))
		return;
	if (!p->allows_sha256)
		remark(&r->remarks, true, "h= does not allow sha256: %s", p->allows_sha1 ? "rsa-sha1 is not accepted any more (RFC 8301)" : "no known hash");
	if (!p->allows_email)
		remark(&r->remarks, true, "s= does not allow email: neither \"email\" nor \"*\"");
	if (p->is_testing)
		remark(&r->remarks, false, "t=y: the domain is testing DKIM, verifiers must not trust or distrust because of it");
	if (p->is_strict)
		remark(&r->remarks, false, "t=s: the domain of i= must be d= itself, not a subdomain");
	if (!span_is_null(p->g))
		remark(&r->remarks, p->g.n == 0 && p->has_version, "g= is obsolete (RFC 6376); verifiers that heed it take the key for local parts like \"%s\"%s",
		    log_str(p->g), p->g.n == 0 && p->has_version ? ", which is none at all" : "");
	if (p->notes.n > 0)
		remark(&r->remarks, false, "n=: %s", log_str(p->notes));
	if (r->text.n > TXT_STRING_MAX)
		remark(&r->remarks, false, "the record is %zu bytes long: in DNS it is %zu or more strings, which are joined without anything between", r->text.n,
		    (r->text.n + TXT_STRING_MAX - 1) / TXT_STRING_MAX);
}

static bool
has_problem(const struct remarks *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].is_problem)
			return true;
	return false;
}

void
key_look(struct key_record *r, unsigned min_bits, struct arena *a)
{
	look_at_text(r);
	if (r->text.n > 0 && !is_other_record(r->text))
		look_at_tags(r);
	look_at_key(r, a);
	look_at_bits(r, min_bits);
	look_at_permissions(r);
	if (r->reason != DKIM_R_GOOD && !has_problem(&r->remarks))
		remark(&r->remarks, true, "%s%s%s", dkim_reason_text(r->reason), r->why != NULL ? ": " : "", r->why != NULL ? r->why : "");
}
