/*
 * der_unit - writes the DER that spki_read() reads, the one way there is; for tests and the fuzz target.
 */
#ifndef ENMA_T_DER_UNIT_H
#define ENMA_T_DER_UNIT_H

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/spki.h"

enum { DER_MAX = 128 * KIB };

#define OID_RSA SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_ED25519 SPAN("\x2b\x65\x70")

/* Tag, length in the fewest bytes, content. */
UNUSED static void
der_put(struct buf *b, char tag, struct span content)
{
	buf_byte(b, tag);
	if (content.n >= 0x10000)
		buf_fmt(b, "\x83%c%c%c", (int)(content.n >> 16), (int)(content.n >> 8 & 255), (int)(content.n & 255));
	else if (content.n >= 0x100)
		buf_fmt(b, "\x82%c%c", (int)(content.n >> 8), (int)(content.n & 255));
	else if (content.n >= 0x80)
		buf_fmt(b, "\x81%c", (int)content.n);
	else
		buf_byte(b, (char)content.n);
	buf_span(b, content);
	REQUIRE(buf_ok(b));
}

/* A positive number without leading zeros. */
UNUSED static void
der_put_positive(struct buf *b, struct span number)
{
	struct buf content = buf_heap(DER_MAX);

	if ((number.p[0] & 0x80) != 0)
		buf_byte(&content, 0);
	buf_span(&content, number);
	der_put(b, 0x02, buf_text(&content));
	buf_fini(&content);
}

/* RSAPublicKey. */
UNUSED static void
der_put_rsa(struct buf *b, struct span n, struct span e)
{
	struct buf fields = buf_heap(DER_MAX);

	der_put_positive(&fields, n);
	der_put_positive(&fields, e);
	der_put(b, 0x30, buf_text(&fields));
	buf_fini(&fields);
}

/* SubjectPublicKeyInfo of any parts: parameters are the bytes behind the OID, unused the first byte of the bit string. */
UNUSED static void
der_put_info(struct buf *b, struct span oid, struct span parameters, char unused, struct span key)
{
	struct buf algorithm = buf_heap(DER_MAX), bits = buf_heap(DER_MAX), fields = buf_heap(DER_MAX);

	der_put(&algorithm, 0x06, oid);
	buf_span(&algorithm, parameters);
	buf_byte(&bits, unused);
	buf_span(&bits, key);
	der_put(&fields, 0x30, buf_text(&algorithm));
	der_put(&fields, 0x03, buf_text(&bits));
	der_put(b, 0x30, buf_text(&fields));
	buf_fini(&algorithm);
	buf_fini(&bits);
	buf_fini(&fields);
}

/* What was read, written again. */
UNUSED static void
der_put_spki(struct buf *b, const struct spki *k, bool has_null)
{
	struct buf key = buf_heap(DER_MAX);

	if (k->kind == CRYPTO_ED25519) {
		der_put_info(b, OID_ED25519, SPAN(""), 0, k->raw);
	} else {
		der_put_rsa(&key, k->n, k->e);
		if (k->is_pkcs1)
			buf_span(b, buf_text(&key));
		else
			der_put_info(b, OID_RSA, has_null ? SPAN("\x05\0") : SPAN(""), 0, buf_text(&key));
	}
	buf_fini(&key);
}

/* Whether der is one of the two encodings (parameters NULL or absent) of what was read from it. */
UNUSED static bool
der_is_encoding_of(struct span der, const struct spki *k)
{
	bool is_same = false;

	for (int has_null = 0; has_null < 2; has_null++) {
		struct buf b = buf_heap(DER_MAX);

		der_put_spki(&b, k, has_null);
		is_same |= span_eq(buf_text(&b), der);
		buf_fini(&b);
	}
	return is_same;
}

#endif
