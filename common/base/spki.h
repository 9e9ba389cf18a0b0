/*
 * spki - what a public key in DER says, read by a bounded parser of our own (parsing it in OpenSSL costs twenty times as much, and accepts much
 * more than mail needs).
 *
 * SubjectPublicKeyInfo (RFC 5280 section 4.1) with rsaEncryption (RFC 8017) or Ed25519 (RFC 8410), and the bare RSAPublicKey of PKCS#1, which
 * RFC 6376 asked for and some publish.
 */
#ifndef ENMA_BASE_SPKI_H
#define ENMA_BASE_SPKI_H

#include "common/base/crypto.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct spki {
	enum crypto_key_kind kind;
	struct span n, e;               /* RSA: big-endian without leading zeros */
	struct span raw;                /* Ed25519: 32 bytes */
	bool is_pkcs1;
};

/* Spans point into der.  RC_SYNTAX: not such a key; *why_out is a short constant text.  Lengths must be minimal, nothing may be left over, an RSA AlgorithmIdentifier's
 * parameters are NULL or absent. */
NODISCARD enum rc spki_read(struct span der, struct spki *out, const char **why_out);

#endif
