/* fuzz_spki - any bytes as a public key: what is accepted is the one encoding of what was read, and becomes a key within the limits. */
#include "t/unit/der_unit.h"

#include "common/base/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_key(const struct spki *k)
{
	static const char signature[CRYPTO_RSA_BITS_MAX / 8] = { 1 };
	struct crypto_key *key;
	struct crypto_digest d;
	enum rc rc = k->kind == CRYPTO_RSA ? crypto_key_rsa(k->n, k->e, &key) : crypto_key_ed25519(k->raw, &key);

	if (rc != RC_OK) {
		REQUIRE(key == NULL && k->kind == CRYPTO_RSA);
		return;
	}
	REQUIRE(crypto_key_kind(key) == k->kind && crypto_key_bits(key) <= CRYPTO_RSA_BITS_MAX);
	crypto_hash_of(CRYPTO_SHA256, k->n, &d);
	REQUIRE(!crypto_verify(key, CRYPTO_SHA256, &d, span_of(signature, (crypto_key_bits(key) + 7) / 8)));
	crypto_key_unref(key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span der = span_of((const char *)data, size);
	const char *why = NULL;
	struct spki k;

	if (size > DER_MAX / 2)
		return 0;
	if (spki_read(der, &k, &why) != RC_OK) {
		REQUIRE(why != NULL);
		return 0;
	}
	REQUIRE(why == NULL && der_is_encoding_of(der, &k));
	check_key(&k);
	return 0;
}
