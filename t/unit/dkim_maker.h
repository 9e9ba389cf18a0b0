/*
 * dkim_maker - signs messages for tests, any way they like, right or wrong.
 *
 * It shares nothing with the verifier: canonical forms are made here once more, naively, from whole texts.
 */
#ifndef ENMA_T_DKIM_MAKER_H
#define ENMA_T_DKIM_MAKER_H

#include "t/unit/unit.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/base/buf.h"

enum { MAKER_MAX = 16 * MIB };

/* Members that are NULL have a usual value. */
struct maker {
	const char *v;                  /* "v=1; " */
	const char *a;                  /* "rsa-sha256" */
	const char *c;                  /* "relaxed/relaxed"; "": no c= */
	const char *d, *s;              /* "example.org", "sel" */
	const char *h;                  /* "from:to:subject" */
	const char *extra;              /* more tags, each with "; " behind it */
	const char *bh;                 /* instead of the right one */
	const char *b;                  /* instead of the right one */
	const char *tail;               /* behind b= */
	long long l;                    /* bytes hashed; 0: all.  Says nothing in the text: that is extra's */
	bool signs_empty_body;          /* hashes nothing, for l=0 */
	bool is_folded;                 /* b= in several lines */
	EVP_PKEY *key;
};

#define MAKER_OR(m, member, usual) ((m)->member != NULL ? (m)->member : (usual))

UNUSED static char *
maker_b64(const void *p, size_t n)
{
	char *out = xmalloc(n * 2 + 8);

	out[EVP_EncodeBlock((unsigned char *)out, p, (int)n)] = '\0';
	return out;
}

UNUSED static EVP_PKEY *
maker_rsa(unsigned bits)
{
	EVP_PKEY *k = EVP_RSA_gen(bits);

	assert_non_null(k);
	return k;
}

UNUSED static EVP_PKEY *
maker_ed25519(void)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	assert_non_null(k);
	return k;
}

/* The value of p= for it; the caller frees. */
UNUSED static char *
maker_p(EVP_PKEY *key)
{
	unsigned char *der = NULL, raw[32];
	size_t raw_n = sizeof raw;
	char *p;
	int n;

	if (EVP_PKEY_get_id(key) == EVP_PKEY_ED25519) {
		assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &raw_n), 1);
		return maker_b64(raw, raw_n);
	}
	n = i2d_PUBKEY(key, &der);
	assert_true(n > 0);
	p = maker_b64(der, (size_t)n);
	OPENSSL_free(der);
	return p;
}

/* A record: prefix, then p=. */
UNUSED static char *
maker_record(const char *prefix, EVP_PKEY *key)
{
	char *p = maker_p(key), *record = xasprintf("%sp=%s", prefix, p);

	free(p);
	return record;
}

/* ---- canonical forms ---- */

static inline bool
maker_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* One field with its line end. */
UNUSED static void
maker_field(struct buf *b, struct span field, bool relaxed)
{
	size_t colon = span_find(field, ':');
	struct span name = span_sub(field, 0, colon), value = span_from(field, colon + 1);
	bool blank = false;

	if (!relaxed) {
		buf_span(b, field);
		return;
	}
	for (size_t i = 0; i < span_trim(name).n; i++)
		buf_byte(b, (char)ascii_lower((unsigned char)name.p[i]));
	buf_byte(b, ':');
	value = span_trim(value);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\r' || value.p[i] == '\n')
			continue;
		if (maker_blank(value.p[i])) {
			blank = true;
			continue;
		}
		if (blank)
			buf_byte(b, ' ');
		blank = false;
		buf_byte(b, value.p[i]);
	}
	buf_str(b, "\r\n");
}

/* A line of the body without its end. */
UNUSED static void
maker_line(struct buf *b, struct span line, bool relaxed)
{
	bool blank = false;

	for (size_t i = 0; i < line.n; i++) {
		if (relaxed && maker_blank(line.p[i])) {
			blank = true;
			continue;
		}
		if (blank)
			buf_byte(b, ' ');
		blank = false;
		buf_byte(b, line.p[i]);
	}
	buf_str(b, "\r\n");
}

UNUSED static struct span
maker_body(struct buf *b, struct span body, bool relaxed)
{
	while (body.n > 0) {
		size_t end = 0;

		while (end < body.n && !span_starts(span_from(body, end), SPAN("\r\n")))
			end++;
		maker_line(b, span_sub(body, 0, end), relaxed);
		body = span_from(body, end + 2);
	}
	while (b->n >= 4 && memcmp(b->p + b->n - 4, "\r\n\r\n", 4) == 0)
		b->n -= 2;
	if (b->n == 2 && memcmp(b->p, "\r\n", 2) == 0)
		b->n = 0;
	if (b->n == 0 && !relaxed)
		buf_str(b, "\r\n");
	return span_of(b->p != NULL ? b->p : "", b->n);
}

/* ---- fields ---- */

struct maker_fields {
	struct span v[4096];
	bool used[4096];
	size_t n;
};

UNUSED static void
maker_split(struct maker_fields *f, struct span header)
{
	*f = (struct maker_fields){ .n = 0 };
	while (header.n > 0) {
		size_t end = 0;

		do {
			end += span_find(span_from(header, end), '\n') + 1;
		} while (end < header.n && maker_blank(header.p[end]));
		assert_true(f->n < ARRAY_LEN(f->v));
		f->v[f->n++] = span_sub(header, 0, end);
		header = span_from(header, end);
	}
}

UNUSED static void
maker_take(struct maker_fields *f, struct span name, bool relaxed, struct buf *b)
{
	for (size_t i = f->n; i-- > 0;) {
		if (f->used[i] || !span_eq_nocase(span_trim(span_sub(f->v[i], 0, span_find(f->v[i], ':'))), name))
			continue;
		f->used[i] = true;
		maker_field(b, f->v[i], relaxed);
		return;
	}
}

/* ---- signing ---- */

UNUSED static const EVP_MD *
maker_md(const struct maker *m)
{
	return strstr(MAKER_OR(m, a, "rsa-sha256"), "sha1") != NULL ? EVP_sha1() : EVP_sha256();
}

UNUSED static char *
maker_bh(const struct maker *m, struct span body)
{
	const char *slash = strchr(MAKER_OR(m, c, "relaxed/relaxed"), '/');
	struct buf b = buf_heap(MAKER_MAX);
	struct span canonical = maker_body(&b, body, slash != NULL && strcmp(slash, "/relaxed") == 0);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char *out;

	if (m->l > 0)
		canonical = span_sub(canonical, 0, (size_t)m->l);
	if (m->signs_empty_body)
		canonical.n = 0;
	assert_int_equal(EVP_Digest(canonical.p, canonical.n, digest, &n, maker_md(m), NULL), 1);
	out = maker_b64(digest, n);
	buf_fini(&b);
	return out;
}

UNUSED static char *
maker_b(const struct maker *m, struct span input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char sig[2048], digest[EVP_MAX_MD_SIZE];
	bool is_ed = EVP_PKEY_get_id(m->key) == EVP_PKEY_ED25519;
	size_t n = sizeof sig;
	unsigned digest_n = 0;

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, is_ed ? NULL : maker_md(m), NULL, m->key), 1);
	if (is_ed) {
		assert_int_equal(EVP_Digest(input.p, input.n, digest, &digest_n, EVP_sha256(), NULL), 1);
		input = span_of((const char *)digest, digest_n);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, (const unsigned char *)input.p, input.n), 1);
	EVP_MD_CTX_free(ctx);
	return maker_b64(sig, n);
}

UNUSED static void
maker_put_b(const struct maker *m, const char *b, struct buf *out)
{
	for (size_t i = 0; b[i] != '\0'; i++) {
		if (m->is_folded && i % 40 == 0)
			buf_str(out, "\r\n\t ");
		buf_byte(out, b[i]);
	}
	if (m->is_folded)
		buf_str(out, " \r\n ");
}

/* "DKIM-Signature: ... CRLF" over header (fields with line ends) and body; the caller frees. */
UNUSED static char *
maker_sign(const struct maker *m, struct span header, struct span body)
{
	bool relaxed = span_starts(span_cstr(MAKER_OR(m, c, "relaxed")), SPAN("relaxed"));
	struct maker_fields *f = xmalloc(sizeof *f);
	struct buf input = buf_heap(MAKER_MAX), own = buf_heap(MAKER_MAX);
	struct span h = span_cstr(MAKER_OR(m, h, "from:to:subject")), name, text;
	char *bh = m->bh != NULL ? xstrdup(m->bh) : maker_bh(m, body), *b, *out;

	maker_split(f, header);
	while (span_split(&h, ':', &name))
		maker_take(f, span_trim(name), relaxed, &input);
	buf_fmt(&own, "DKIM-Signature: %sa=%s; ", MAKER_OR(m, v, "v=1; "), MAKER_OR(m, a, "rsa-sha256"));
	if (MAKER_OR(m, c, "relaxed/relaxed")[0] != '\0')
		buf_fmt(&own, "c=%s; ", MAKER_OR(m, c, "relaxed/relaxed"));
	buf_fmt(&own, "d=%s; s=%s;\r\n\t%sh=%s;\r\n\tbh=%s;\r\n\tb=", MAKER_OR(m, d, "example.org"), MAKER_OR(m, s, "sel"), MAKER_OR(m, extra, ""),
	    MAKER_OR(m, h, "from:to:subject"), bh);
	text = buf_text(&own);
	out = xstrndup(text.p, text.n);
	buf_str(&own, MAKER_OR(m, tail, ""));
	buf_str(&own, "\r\n");
	maker_field(&input, buf_text(&own), relaxed);
	text = buf_text(&input);
	b = m->b != NULL ? xstrdup(m->b) : maker_b(m, span_sub(text, 0, text.n - 2));
	buf_clear(&own);
	buf_str(&own, out);
	maker_put_b(m, b, &own);
	buf_str(&own, MAKER_OR(m, tail, ""));
	buf_str(&own, "\r\n");
	text = buf_text(&own);
	free(out);
	out = xstrndup(text.p, text.n);
	free(b);
	free(bh);
	free(f);
	buf_fini(&input);
	buf_fini(&own);
	return out;
}

#endif
