/*
 * crypto - OpenSSL's one door: hashes, public keys, signature checks.
 *
 * Algorithms are fetched once per process, at the first use: never before a fork.  Hashes belong to one thread at a time; keys are
 * immutable, reference counted and shared by threads.  What the library itself cannot do (no memory) aborts like xalloc.
 */
#ifndef ENMA_BASE_CRYPTO_H
#define ENMA_BASE_CRYPTO_H

#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum crypto_hash_alg { CRYPTO_SHA1, CRYPTO_SHA256 };
enum crypto_key_kind { CRYPTO_RSA, CRYPTO_ED25519 };

enum {
	CRYPTO_DIGEST_MAX = 32,         /* SHA-1: 20, SHA-256: 32 */
	CRYPTO_RSA_BITS_MAX = 8192,     /* longer ones are refused unverified: their cost grows with the cube */
	CRYPTO_RSA_BITS_MIN = 256,      /* below that it is no key; what counts as safe is policy */
	CRYPTO_RSA_E_BYTES_MAX = 4,     /* public exponents are 3 .. 2^32-1 and odd: another known way to burn CPU */
	CRYPTO_ED25519_BYTES = 32,
	CRYPTO_ED25519_SIG_BYTES = 64,
};

struct crypto_digest {
	uint8_t n;
	uint8_t b[CRYPTO_DIGEST_MAX];
};

struct crypto_hash;
NODISCARD struct crypto_hash *crypto_hash_create(enum crypto_hash_alg alg);     /* never NULL; ready for update */
void crypto_hash_update(struct crypto_hash *h, const void *p, size_t n);
/* The digest of everything since create or the last final; the hash is ready for the next one. */
void crypto_hash_final(struct crypto_hash *h, struct crypto_digest *out);
/* The digest of what has come so far; the hash goes on. */
void crypto_hash_peek(const struct crypto_hash *h, struct crypto_digest *out);
void crypto_hash_destroy(struct crypto_hash **h);
/* All at once. */
void crypto_hash_of(enum crypto_hash_alg alg, struct span bytes, struct crypto_digest *out);

struct crypto_key;
/* n, e: big-endian, leading zeros allowed.  RC_OK; RC_LIMIT: longer than CRYPTO_RSA_BITS_MAX or CRYPTO_RSA_E_BYTES_MAX; RC_SYNTAX: no
 * possible key (short, even, e < 3 ...). */
NODISCARD enum rc crypto_key_rsa(struct span n, struct span e, struct crypto_key **out);
/* RC_SYNTAX: not CRYPTO_ED25519_BYTES. */
NODISCARD enum rc crypto_key_ed25519(struct span raw, struct crypto_key **out);
struct crypto_key *crypto_key_ref(struct crypto_key *k);
void crypto_key_unref(struct crypto_key *k);            /* NULL allowed */
enum crypto_key_kind crypto_key_kind(const struct crypto_key *k);
unsigned crypto_key_bits(const struct crypto_key *k);   /* of the modulus; 256 for Ed25519 */

/* RSA: PKCS#1 v1.5 over the digest (RFC 8017 section 8.2; its algorithm name must match alg).  Ed25519: over the digest's bytes as the message
 * (RFC 8463 section 3).  True: the signature is good. */
bool crypto_verify(const struct crypto_key *k, enum crypto_hash_alg alg, const struct crypto_digest *digest, struct span signature);

/* In constant time. */
bool crypto_equal(const void *a, const void *b, size_t n);

#endif
