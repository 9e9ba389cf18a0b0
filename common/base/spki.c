/* spki - see spki.h. */
#include "common/base/spki.h"

enum {
	TAG_INTEGER = 0x02, TAG_BIT_STRING = 0x03, TAG_NULL = 0x05, TAG_OID = 0x06, TAG_SEQUENCE = 0x30,
	LONG_FORM = 0x80,
	LENGTH_BYTES_MAX = 3,           /* 16 MiB: more than any DNS answer can hold */
};

/* 1.2.840.113549.1.1.1 (RFC 8017 appendix C) and 1.3.101.112 (RFC 8410 section 3). */
static const struct span oid_rsa = { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9 };
static const struct span oid_ed25519 = { "\x2b\x65\x70", 3 };

static bool
is_next(struct span rest, unsigned char tag)
{
	return rest.n > 0 && (unsigned char)rest.p[0] == tag;
}

/* The length behind a tag, off *rest; X.690 section 10.1: definite, in as few bytes as possible. */
static bool
take_length(struct span *rest, size_t *n_out)
{
	unsigned bytes;
	size_t n = 0;

	if (rest->n == 0)
		return false;
	bytes = (unsigned char)rest->p[0];
	*rest = span_from(*rest, 1);
	if (bytes < LONG_FORM) {
		*n_out = bytes;
		return true;
	}
	bytes -= LONG_FORM;
	if (bytes == 0 || bytes > LENGTH_BYTES_MAX || bytes > rest->n || rest->p[0] == 0)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | (unsigned char)rest->p[i];
	*rest = span_from(*rest, bytes);
	*n_out = n;
	return n >= LONG_FORM;
}

/* The contents of the next element, which must have this tag, off *rest. */
static bool
take(struct span *rest, unsigned char tag, struct span *content_out)
{
	size_t n;

	if (!is_next(*rest, tag))
		return false;
	*rest = span_from(*rest, 1);
	if (!take_length(rest, &n) || n > rest->n)
		return false;
	*content_out = span_sub(*rest, 0, n);
	*rest = span_from(*rest, n);
	return true;
}

/* An INTEGER above zero, without the byte that only keeps it from being negative. */
static bool
take_positive(struct span *rest, struct span *out)
{
	struct span v;
	bool is_high;

	if (!take(rest, TAG_INTEGER, &v) || v.n == 0 || (v.p[0] & 0x80) != 0)
		return false;
	if (v.p[0] == 0) {
		is_high = v.n > 1 && (v.p[1] & 0x80) != 0;
		if (!is_high)
			return false;
		v = span_from(v, 1);
	}
	*out = v;
	return true;
}

static bool
is_rsa_public_key(struct span fields, struct spki *out)
{
	out->kind = CRYPTO_RSA;
	return take_positive(&fields, &out->n) && take_positive(&fields, &out->e) && fields.n == 0;
}

/* AlgorithmIdentifier: the kind; its parameters are as the kind wants them. */
static const char *
read_algorithm(struct span *fields, enum crypto_key_kind *kind_out)
{
	struct span algorithm, oid, none;

	if (!take(fields, TAG_SEQUENCE, &algorithm) || !take(&algorithm, TAG_OID, &oid))
		return "no algorithm identifier";
	if (span_eq(oid, oid_rsa)) {
		*kind_out = CRYPTO_RSA;
		if (algorithm.n > 0 && (!take(&algorithm, TAG_NULL, &none) || none.n > 0))
			return "bad parameters of the algorithm";
	} else if (span_eq(oid, oid_ed25519)) {
		*kind_out = CRYPTO_ED25519;
	} else {
		return "neither RSA nor Ed25519";
	}
	return algorithm.n == 0 ? NULL : "bad parameters of the algorithm";
}

static const char *
read_info(struct span fields, struct spki *out)
{
	const char *why = read_algorithm(&fields, &out->kind);
	struct span key, inner;

	if (why != NULL)
		return why;
	/* The first byte of a BIT STRING counts unused bits of the last one. */
	if (!take(&fields, TAG_BIT_STRING, &key) || fields.n > 0 || key.n < 1 || key.p[0] != 0)
		return "no bit string with the key";
	key = span_from(key, 1);
	if (out->kind == CRYPTO_ED25519) {
		out->raw = key;
		return key.n == CRYPTO_ED25519_BYTES ? NULL : "not an Ed25519 key's length";
	}
	if (!take(&key, TAG_SEQUENCE, &inner) || key.n > 0 || !is_rsa_public_key(inner, out))
		return "not an RSA key inside";
	return NULL;
}

enum rc
spki_read(struct span der, struct spki *out, const char **why_out)
{
	struct span rest = der, fields;

	*out = (struct spki){ 0 };
	if (!take(&rest, TAG_SEQUENCE, &fields)) {
		*why_out = "not DER, or cut short";
	} else if (rest.n > 0) {
		*why_out = "bytes behind the key";
	} else if (is_next(fields, TAG_INTEGER)) {
		out->is_pkcs1 = true;
		*why_out = is_rsa_public_key(fields, out) ? NULL : "not an RSA key";
	} else {
		*why_out = read_info(fields, out);
	}
	return *why_out == NULL ? RC_OK : RC_SYNTAX;
}
