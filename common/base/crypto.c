/* crypto - see crypto.h. */
#include "common/base/crypto.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"

enum {
	ALGS = 2,
	IDLE_MAX = 2,                   /* contexts a key keeps for the next check; one more thread at once makes its own */
	BLOCK = 64,                     /* of both hashes */
	GATHER = 32 * BLOCK,
	RSA_BYTES_MAX = CRYPTO_RSA_BITS_MAX / 8,
};

/* Short pieces are gathered, and the library gets whole blocks: each call with less costs as much as a block or two. */
struct crypto_hash {
	EVP_MD_CTX *ctx;
	size_t n;
	uint8_t room[GATHER];
};

struct crypto_key {
	atomic_uint refs;
	enum crypto_key_kind kind;
	unsigned bits;
	EVP_PKEY *pkey;
	/* RSA: contexts that are ready for another signature with that hash.  Making one costs a fifth of a check, and its counts of references
	 * are where threads would meet. */
	_Atomic(EVP_PKEY_CTX *) idle[ALGS][IDLE_MAX];
};

static const struct {
	const char *name;
	size_t bytes;
} algs[ALGS] = {
	[CRYPTO_SHA1] = { "SHA1", 20 },
	[CRYPTO_SHA256] = { "SHA256", 32 },
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched[ALGS];           /* for the rest of the process */

static void
fetch_all(void)
{
	/* Without the library's clean-up at exit: it would take the ground away from threads that are still at work then. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
	for (size_t i = 0; i < ALGS; i++) {
		fetched[i] = EVP_MD_fetch(NULL, algs[i].name, NULL);
		REQUIRE(fetched[i] != NULL);
	}
}

static const EVP_MD *
md_of(enum crypto_hash_alg alg)
{
	REQUIRE(pthread_once(&once, fetch_all) == 0);
	return fetched[alg];
}

struct crypto_hash *
crypto_hash_create(enum crypto_hash_alg alg)
{
	struct crypto_hash *h = xmalloc(sizeof *h);

	h->n = 0;
	h->ctx = EVP_MD_CTX_new();
	REQUIRE(h->ctx != NULL);
	REQUIRE(EVP_DigestInit_ex2(h->ctx, md_of(alg), NULL) == 1);
	return h;
}

static void
gather(struct crypto_hash *h, const uint8_t *p, size_t n)
{
	if (n > 0)
		memcpy(h->room + h->n, p, n);
	h->n += n;
}

/* What was gathered goes to the library. */
static void
pass_on(struct crypto_hash *h)
{
	REQUIRE(EVP_DigestUpdate(h->ctx, h->room, h->n) == 1);
	h->n = 0;
}

void
crypto_hash_update(struct crypto_hash *h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t part;

	if (n >= GATHER - h->n) {
		part = h->n == 0 ? 0 : GATHER - h->n;
		gather(h, p, part);
		p += part;
		n -= part;
		pass_on(h);
		part = n / BLOCK * BLOCK;
		REQUIRE(EVP_DigestUpdate(h->ctx, p, part) == 1);
		p += part;
		n -= part;
	}
	gather(h, p, n);
}

void
crypto_hash_final(struct crypto_hash *h, struct crypto_digest *out)
{
	unsigned n = 0;

	pass_on(h);
	*out = (struct crypto_digest){ 0 };
	REQUIRE(EVP_DigestFinal_ex(h->ctx, out->b, &n) == 1 && n <= CRYPTO_DIGEST_MAX);
	out->n = (uint8_t)n;
	REQUIRE(EVP_DigestInit_ex2(h->ctx, NULL, NULL) == 1);
}

void
crypto_hash_peek(const struct crypto_hash *h, struct crypto_digest *out)
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	unsigned n = 0;

	*out = (struct crypto_digest){ 0 };
	REQUIRE(copy != NULL && EVP_MD_CTX_copy_ex(copy, h->ctx) == 1);
	REQUIRE(EVP_DigestUpdate(copy, h->room, h->n) == 1);
	REQUIRE(EVP_DigestFinal_ex(copy, out->b, &n) == 1 && n <= CRYPTO_DIGEST_MAX);
	EVP_MD_CTX_free(copy);
	out->n = (uint8_t)n;
}

void
crypto_hash_destroy(struct crypto_hash **h)
{
	if (*h == NULL)
		return;
	EVP_MD_CTX_free((*h)->ctx);
	free(*h);
	*h = NULL;
}

void
crypto_hash_of(enum crypto_hash_alg alg, struct span bytes, struct crypto_digest *out)
{
	unsigned n = 0;

	*out = (struct crypto_digest){ 0 };
	REQUIRE(EVP_Digest(bytes.p, bytes.n, out->b, &n, md_of(alg), NULL) == 1 && n <= CRYPTO_DIGEST_MAX);
	out->n = (uint8_t)n;
}

/* The key is the library's from here on. */
static struct crypto_key *
key_create(enum crypto_key_kind kind, unsigned bits, EVP_PKEY *pkey)
{
	struct crypto_key *k = xcalloc(1, sizeof *k);

	atomic_init(&k->refs, 1);
	k->kind = kind;
	k->bits = bits;
	k->pkey = pkey;
	return k;
}

static struct span
without_zeros(struct span s)
{
	while (s.n > 0 && s.p[0] == 0)
		s = span_from(s, 1);
	return s;
}

/* Of a number without leading zeros. */
static unsigned
bits_of(struct span s)
{
	unsigned bits = 0;

	if (s.n == 0)
		return 0;
	for (unsigned char top = (unsigned char)s.p[0]; top != 0; top >>= 1)
		bits++;
	return bits + (unsigned)(s.n - 1) * 8;
}

static bool
is_odd(struct span s)
{
	return s.n > 0 && (s.p[s.n - 1] & 1) != 0;
}

/* The machine's byte order, which is how numbers are handed to the library. */
static void
to_native(struct span s, uint8_t *to)
{
	for (size_t i = 0; i < s.n; i++) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
		to[i] = (uint8_t)s.p[s.n - 1 - i];
#else
		to[i] = (uint8_t)s.p[i];
#endif
	}
}

/* NULL when the library wants no such key. */
static EVP_PKEY *
rsa_from(struct span n, struct span e)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	uint8_t native_n[RSA_BYTES_MAX], native_e[CRYPTO_RSA_E_BYTES_MAX];
	EVP_PKEY *pkey = NULL;
	OSSL_PARAM params[3];

	REQUIRE(ctx != NULL && n.n <= sizeof native_n && e.n <= sizeof native_e);
	to_native(n, native_n);
	to_native(e, native_e);
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, native_n, n.n);
	params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, native_e, e.n);
	params[2] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
		ERR_clear_error();
	}
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

enum rc
crypto_key_rsa(struct span n, struct span e, struct crypto_key **out)
{
	EVP_PKEY *pkey;
	unsigned bits;

	*out = NULL;
	n = without_zeros(n);
	e = without_zeros(e);
	if (n.n > RSA_BYTES_MAX || e.n > CRYPTO_RSA_E_BYTES_MAX)
		return RC_LIMIT;
	bits = bits_of(n);
	if (bits < CRYPTO_RSA_BITS_MIN || !is_odd(n) || !is_odd(e) || (e.n == 1 && e.p[0] == 1))
		return RC_SYNTAX;
	(void)md_of(CRYPTO_SHA256);             /* the library is set up as we want it */
	if ((pkey = rsa_from(n, e)) == NULL)
		return RC_SYNTAX;
	*out = key_create(CRYPTO_RSA, bits, pkey);
	return RC_OK;
}

enum rc
crypto_key_ed25519(struct span raw, struct crypto_key **out)
{
	EVP_PKEY *pkey;

	*out = NULL;
	if (raw.n != CRYPTO_ED25519_BYTES)
		return RC_SYNTAX;
	(void)md_of(CRYPTO_SHA256);
	pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, (const unsigned char *)raw.p, raw.n);
	if (pkey == NULL) {
		ERR_clear_error();
		return RC_SYNTAX;
	}
	*out = key_create(CRYPTO_ED25519, 8 * CRYPTO_ED25519_BYTES, pkey);
	return RC_OK;
}

struct crypto_key *
crypto_key_ref(struct crypto_key *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void
crypto_key_unref(struct crypto_key *k)
{
	if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < ALGS; i++)
		for (size_t j = 0; j < IDLE_MAX; j++)
			EVP_PKEY_CTX_free(atomic_load(&k->idle[i][j]));
	EVP_PKEY_free(k->pkey);
	free(k);
}

enum crypto_key_kind
crypto_key_kind(const struct crypto_key *k)
{
	return k->kind;
}

unsigned
crypto_key_bits(const struct crypto_key *k)
{
	return k->bits;
}

/* A context for one check, the calling thread's alone; NULL when the library wants no such check. */
static EVP_PKEY_CTX *
context_take(struct crypto_key *k, enum crypto_hash_alg alg)
{
	EVP_PKEY_CTX *ctx;

	for (size_t i = 0; i < IDLE_MAX; i++)
		if ((ctx = atomic_exchange(&k->idle[alg][i], NULL)) != NULL)
			return ctx;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	REQUIRE(ctx != NULL);
	if (EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, md_of(alg)) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static void
context_give(struct crypto_key *k, enum crypto_hash_alg alg, EVP_PKEY_CTX *ctx)
{
	for (size_t i = 0; i < IDLE_MAX && ctx != NULL; i++) {
		EVP_PKEY_CTX *none = NULL;

		if (atomic_compare_exchange_strong(&k->idle[alg][i], &none, ctx))
			return;
	}
	EVP_PKEY_CTX_free(ctx);
}

static bool
verify_rsa(struct crypto_key *k, enum crypto_hash_alg alg, const struct crypto_digest *digest, struct span signature)
{
	EVP_PKEY_CTX *ctx;
	bool is_good;

	/* RFC 8017 section 8.2.2 step 1 */
	if (signature.n != (k->bits + 7) / 8 || (ctx = context_take(k, alg)) == NULL)
		return false;
	is_good = EVP_PKEY_verify(ctx, (const unsigned char *)signature.p, signature.n, digest->b, digest->n) == 1;
	context_give(k, alg, ctx);
	return is_good;
}

static bool
verify_ed25519(const struct crypto_key *k, const struct crypto_digest *digest, struct span signature)
{
	EVP_MD_CTX *ctx;
	bool is_good;

	if (signature.n != CRYPTO_ED25519_SIG_BYTES)
		return false;
	ctx = EVP_MD_CTX_new();
	REQUIRE(ctx != NULL);
	is_good = EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k->pkey, NULL) == 1 &&
	    EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n, digest->b, digest->n) == 1;
	EVP_MD_CTX_free(ctx);
	return is_good;
}

bool
crypto_verify(const struct crypto_key *k, enum crypto_hash_alg alg, const struct crypto_digest *digest, struct span signature)
{
	/* What is written to is the store of contexts alone, and that atomically. */
	struct crypto_key *key = (struct crypto_key *)k;
	bool is_good;

	if (FAILS_CHECK(digest->n == algs[alg].bytes))
		return false;
	is_good = k->kind == CRYPTO_RSA ? verify_rsa(key, alg, digest, signature) : verify_ed25519(k, digest, signature);
	if (!is_good)
		ERR_clear_error();
	return is_good;
}

bool
crypto_equal(const void *a, const void *b, size_t n)
{
	return n == 0 || CRYPTO_memcmp(a, b, n) == 0;
}
