/* fuzz_dkim_key - any TXT record where a key belongs: a key that comes out of it is one that may be used. */
#include "common/auth/dkim_key.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use(const struct crypto_key *key, enum crypto_key_kind kind)
{
	struct crypto_digest digest;
	unsigned bits = crypto_key_bits(key);

	REQUIRE(crypto_key_kind(key) == kind);
	REQUIRE(kind == CRYPTO_RSA ? bits >= CRYPTO_RSA_BITS_MIN && bits <= CRYPTO_RSA_BITS_MAX : bits == 256);
	crypto_hash_of(CRYPTO_SHA256, SPAN("x"), &digest);
	REQUIRE(!crypto_verify(key, CRYPTO_SHA256, &digest, SPAN("no signature")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dkim_signature s = { .hash = CRYPTO_SHA256, .i = SPAN("joe@example.org"), .domain = SPAN("example.org"), .i_domain = SPAN("example.org") };
	const struct dkim_options o = { .rfc4871_compatible = true };
	struct dkim_key_record r;
	struct crypto_key *key;
	const char *why = NULL;
	struct arena a;

	if (dkim_key_parse(span_of((const char *)data, size), &r, &why) != DKIM_R_GOOD) {
		REQUIRE(why != NULL);
		return 0;
	}
	REQUIRE(r.p.p != NULL && size <= DKIM_KEY_RECORD_MAX);
	(void)dkim_key_permits(&r, &s, &o);
	arena_init(&a, 1 * KIB, 64 * KIB);
	if (dkim_key_decode(&a, &r, &key, &why) == DKIM_R_GOOD)
		use(key, r.kind);
	else
		REQUIRE(key == NULL);
	crypto_key_unref(key);
	arena_fini(&a);
	return 0;
}
