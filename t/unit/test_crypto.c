/* crypto: what OpenSSL signs is good, everything else is not; a key is every thread's. */
#include "t/unit/unit.h"

#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "common/base/check.h"
#include "common/base/crypto.h"

enum { SIGNATURE_MAX = 1024 };

static char said[200];

static void
note_check(const char *text)
{
	snprintf(said, sizeof said, "%s", text);
}

/* ---- hashes ---- */

static void
assert_digest(const struct crypto_digest *d, const char *hex)
{
	char got[2 * CRYPTO_DIGEST_MAX + 1] = "";

	for (size_t i = 0; i < d->n; i++)
		snprintf(got + 2 * i, 3, "%02x", d->b[i]);
	assert_string_equal(got, hex);
}

/* The examples of FIPS 180. */
static void
test_hash_known(void **state)
{
	static const struct { enum crypto_hash_alg alg; const char *text, *hex; } rows[] = {
		{ CRYPTO_SHA1, "", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
		{ CRYPTO_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
		{ CRYPTO_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ CRYPTO_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ CRYPTO_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct crypto_hash *h = crypto_hash_create(rows[i].alg);
		struct span text = exact(rows[i].text);
		struct crypto_digest d;

		crypto_hash_of(rows[i].alg, text, &d);
		assert_digest(&d, rows[i].hex);
		for (int again = 0; again < 2; again++) {       /* ready for the next one */
			crypto_hash_update(h, text.p, text.n);
			crypto_hash_final(h, &d);
			assert_digest(&d, rows[i].hex);
		}
		exact_free(text);
		crypto_hash_destroy(&h);
		assert_null(h);
		crypto_hash_destroy(&h);
	}
	crypto_hash_of(CRYPTO_SHA1, SPAN_NULL, &(struct crypto_digest){ 0 });
}

/* Pieces of every size, around the room in which short ones are gathered too, are as good as the whole. */
static void
test_hash_pieces(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 1000, 2047, 2048, 2049, 2111, 2112, 2113, 4095, 4096, 4097, 6000, 20000 };
	struct crypto_hash *h = crypto_hash_create(CRYPTO_SHA256);
	struct crypto_digest whole, parts;
	uint64_t x = 88172645463325252u;
	char *text = xmalloc(60001);

	(void)state;
	for (size_t i = 0; i < 60001; i++)
		text[i] = (char)(i * 31 ^ i >> 8);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(sizes); j++) {
			for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
				crypto_hash_update(h, text, sizes[i]);
				crypto_hash_update(h, text + sizes[i], sizes[j]);
				crypto_hash_update(h, text + sizes[i] + sizes[j], sizes[k]);
				crypto_hash_final(h, &parts);
				crypto_hash_of(CRYPTO_SHA256, span_of(text, sizes[i] + sizes[j] + sizes[k]), &whole);
				assert_true(whole.n == parts.n && crypto_equal(whole.b, parts.b, whole.n));
			}
		}
	}
	crypto_hash_of(CRYPTO_SHA256, span_of(text, 60001), &whole);
	for (unsigned round = 0; round < 200; round++) {
		for (size_t at = 0, n; at < 60001; at += n) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			n = MIN((size_t)(x % (x >> 60 < 12 ? 90 : 5000)), 60001 - at);
			crypto_hash_update(h, text + at, n);
		}
		crypto_hash_final(h, &parts);
		assert_memory_equal(whole.b, parts.b, whole.n);
	}
	crypto_hash_destroy(&h);
	free(text);
}

/* ---- keys and signatures ---- */

struct pair {
	EVP_PKEY *pkey;
	struct span n, e;               /* RSA, big-endian */
};

static struct span
number_of(EVP_PKEY *pkey, const char *name)
{
	unsigned char bytes[1024];
	struct span copy;
	BIGNUM *bn = NULL;

	REQUIRE(EVP_PKEY_get_bn_param(pkey, name, &bn) == 1);
	copy = exact_n(bytes, (size_t)BN_bn2bin(bn, bytes));
	BN_free(bn);
	return copy;
}

static struct pair
pair_rsa(unsigned bits)
{
	struct pair p = { .pkey = EVP_RSA_gen(bits) };

	REQUIRE(p.pkey != NULL);
	p.n = number_of(p.pkey, OSSL_PKEY_PARAM_RSA_N);
	p.e = number_of(p.pkey, OSSL_PKEY_PARAM_RSA_E);
	return p;
}

static void
pair_fini(struct pair *p)
{
	EVP_PKEY_free(p->pkey);
	exact_free(p->n);
	exact_free(p->e);
}

static struct span
sign_rsa(EVP_PKEY *pkey, int padding, const EVP_MD *md, const struct crypto_digest *d)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	unsigned char bytes[SIGNATURE_MAX];
	size_t n = sizeof bytes;

	REQUIRE(EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1);
	REQUIRE(md == NULL || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1);
	REQUIRE(EVP_PKEY_sign(ctx, bytes, &n, d->b, d->n) == 1);
	EVP_PKEY_CTX_free(ctx);
	return exact_n(bytes, n);
}

static struct span
sign_ed25519(EVP_PKEY *pkey, const struct crypto_digest *d)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char bytes[SIGNATURE_MAX];
	size_t n = sizeof bytes;

	REQUIRE(EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, pkey, NULL) == 1);
	REQUIRE(EVP_DigestSign(ctx, bytes, &n, d->b, d->n) == 1);
	EVP_MD_CTX_free(ctx);
	return exact_n(bytes, n);
}

/* A good signature, and everything near it, in turns: a failure leaves nothing behind, in the key or in the library. */
static void
check_near_misses(const struct crypto_key *k, enum crypto_hash_alg alg, const struct crypto_digest *d, struct span good)
{
	struct crypto_digest other = *d;
	char *bent = xmalloc(good.n);
	struct span s;

	assert_true(crypto_verify(k, alg, d, good));
	memcpy(bent, good.p, good.n);
	for (size_t i = 0; i < good.n; i++) {
		bent[i] ^= (char)(1 << i % 8);
		assert_false(crypto_verify(k, alg, d, span_of(bent, good.n)));
		assert_int_equal(ERR_peek_error(), 0);
		bent[i] = good.p[i];
	}
	assert_true(crypto_verify(k, alg, d, span_of(bent, good.n)));
	for (size_t i = 0; i < d->n; i++) {
		other.b[i] ^= 1;
		assert_false(crypto_verify(k, alg, &other, good));
		other.b[i] ^= 1;
	}
	for (size_t n = 0; n < good.n; n += n < 3 || n > good.n - 3 ? 1 : good.n - n - 2) {
		s = exact_n(good.p, n);
		assert_false(crypto_verify(k, alg, d, s));
		exact_free(s);
	}
	assert_false(crypto_verify(k, alg, d, SPAN_NULL));
	free(bent);
	bent = xcalloc(good.n + 2, 1);
	memcpy(bent, good.p, good.n);                   /* a byte behind it */
	assert_false(crypto_verify(k, alg, d, span_of(bent, good.n + 1)));
	memset(bent, 0, good.n);
	memcpy(bent + 1, good.p, good.n);               /* a zero before it */
	assert_false(crypto_verify(k, alg, d, span_of(bent, good.n + 1)));
	memset(bent, 0, good.n);
	assert_false(crypto_verify(k, alg, d, span_of(bent, good.n)));
	memset(bent, 0xff, good.n);
	assert_false(crypto_verify(k, alg, d, span_of(bent, good.n)));
	assert_int_equal(ERR_peek_error(), 0);
	assert_true(crypto_verify(k, alg, d, good));
	free(bent);
}

static void
test_rsa(void **state)
{
	static const unsigned sizes[] = { 1024, 1031, 2048, 4096 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct pair p = pair_rsa(sizes[i]);
		struct crypto_digest d256, d1;
		struct crypto_key *k;
		struct span s256, s1, raw, pss;

		crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d256);
		crypto_hash_of(CRYPTO_SHA1, SPAN("text"), &d1);
		assert_int_equal(crypto_key_rsa(p.n, p.e, &k), RC_OK);
		assert_int_equal(crypto_key_kind(k), CRYPTO_RSA);
		assert_int_equal(crypto_key_bits(k), sizes[i]);
		s256 = sign_rsa(p.pkey, RSA_PKCS1_PADDING, EVP_sha256(), &d256);
		s1 = sign_rsa(p.pkey, RSA_PKCS1_PADDING, EVP_sha1(), &d1);
		raw = sign_rsa(p.pkey, RSA_PKCS1_PADDING, NULL, &d256);         /* without the algorithm's name */
		pss = sign_rsa(p.pkey, RSA_PKCS1_PSS_PADDING, EVP_sha256(), &d256);
		check_near_misses(k, CRYPTO_SHA256, &d256, s256);
		check_near_misses(k, CRYPTO_SHA1, &d1, s1);
		assert_false(crypto_verify(k, CRYPTO_SHA256, &d256, s1));
		assert_false(crypto_verify(k, CRYPTO_SHA1, &d1, s256));
		assert_false(crypto_verify(k, CRYPTO_SHA256, &d256, raw));
		assert_false(crypto_verify(k, CRYPTO_SHA256, &d256, pss));
		exact_free(s256);
		exact_free(s1);
		exact_free(raw);
		exact_free(pss);
		crypto_key_unref(k);
		pair_fini(&p);
	}
}

static void
test_other_key(void **state)
{
	struct pair one = pair_rsa(1024), two = pair_rsa(1024);
	struct crypto_digest d;
	struct crypto_key *k;
	struct span s;

	(void)state;
	crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d);
	s = sign_rsa(one.pkey, RSA_PKCS1_PADDING, EVP_sha256(), &d);
	assert_int_equal(crypto_key_rsa(two.n, two.e, &k), RC_OK);
	assert_false(crypto_verify(k, CRYPTO_SHA256, &d, s));
	crypto_key_unref(k);
	assert_int_equal(crypto_key_rsa(one.n, SPAN("\x03"), &k), RC_OK);
	assert_false(crypto_verify(k, CRYPTO_SHA256, &d, s));
	crypto_key_unref(k);
	exact_free(s);
	pair_fini(&one);
	pair_fini(&two);
}

/* A modulus of so many bits with an odd (even) last byte, with zeros before it. */
static struct span
modulus(size_t bits, bool is_even, size_t zeros)
{
	size_t n = zeros + (bits + 7) / 8;
	char *p = xcalloc(n, 1);

	for (size_t i = zeros + 1; i < n; i++)
		p[i] = (char)(i * 7 + 1);
	if (n > zeros)
		p[n - 1] = is_even ? 0x5a : 0x5b;
	if (bits > 0)
		p[zeros] = (char)((1 << (bits - 1) % 8) | (n == zeros + 1));
	return span_of(p, n);
}

static void
test_rsa_limits(void **state)
{
	static const struct span e3 = { "\x03", 1 }, f4 = { "\x01\x00\x01", 3 };
	struct span long_e = modulus(2048, false, 0);
	const struct { const char *name; size_t bits; bool is_even; size_t zeros; struct span e; enum rc want; } rows[] = {
		{ "8192", 8192, false, 0, f4, RC_OK }, { "8193", 8193, false, 0, f4, RC_LIMIT }, { "8192 with zeros before", 8192, false, 9, f4, RC_OK },
		{ "16384", 16384, false, 0, f4, RC_LIMIT }, { "64 KiB", 524288, false, 0, f4, RC_LIMIT },
		{ "256", 256, false, 0, f4, RC_OK }, { "255", 255, false, 0, f4, RC_SYNTAX }, { "255 with zeros before", 255, false, 300, f4, RC_SYNTAX },
		{ "8", 8, false, 0, f4, RC_SYNTAX }, { "no n", 0, false, 0, f4, RC_SYNTAX }, { "n is zero", 0, false, 64, f4, RC_SYNTAX },
		{ "n is even", 1024, true, 0, f4, RC_SYNTAX },
		{ "e = 3", 1024, false, 0, e3, RC_OK }, { "e = 3 with zeros before", 1024, false, 0, SPAN("\0\0\0\0\0\x03"), RC_OK },
		{ "e of 4 bytes", 1024, false, 0, SPAN("\xff\xff\xff\xff"), RC_OK }, { "e of 5 bytes", 1024, false, 0, SPAN("\x01\0\0\0\x01"), RC_LIMIT },
		{ "e of 256 bytes", 1024, false, 0, long_e, RC_LIMIT },
		{ "e = 1", 1024, false, 0, SPAN("\x01"), RC_SYNTAX }, { "e = 0", 1024, false, 0, SPAN("\0"), RC_SYNTAX }, { "no e", 1024, false, 0, SPAN(""), RC_SYNTAX },
		{ "e = 2", 1024, false, 0, SPAN("\x02"), RC_SYNTAX }, { "e = 65536", 1024, false, 0, SPAN("\x01\0\0"), RC_SYNTAX },
		{ "e = 257", 1024, false, 0, SPAN("\x01\x01"), RC_OK },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span n = modulus(rows[i].bits, rows[i].is_even, rows[i].zeros), e = exact_n(rows[i].e.p, rows[i].e.n);
		struct crypto_key *k = (void *)&n;
		struct crypto_digest d;
		char *s;

		if (crypto_key_rsa(n, e, &k) != rows[i].want)
			fail_msg("%s: wrong answer", rows[i].name);
		if (rows[i].want == RC_OK) {
			/* A key, but no signature's: any bytes are a miss, also where the modulus is too short for a digest. */
			assert_int_equal(crypto_key_bits(k), rows[i].bits);
			s = xcalloc((rows[i].bits + 7) / 8, 1);
			s[(rows[i].bits + 7) / 8 - 1] = 2;
			crypto_hash_of(CRYPTO_SHA256, SPAN("x"), &d);
			assert_false(crypto_verify(k, CRYPTO_SHA256, &d, span_of(s, (rows[i].bits + 7) / 8)));
			assert_int_equal(ERR_peek_error(), 0);
			free(s);
			crypto_key_unref(k);
		} else {
			assert_null(k);
		}
		exact_free(n);
		exact_free(e);
	}
	exact_free(long_e);
}

static void
test_ed25519(void **state)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	unsigned char raw[CRYPTO_ED25519_BYTES + 1] = { 0 };
	size_t n = CRYPTO_ED25519_BYTES;
	struct crypto_digest d256, d1;
	struct crypto_key *k = (void *)raw;
	struct span s;

	(void)state;
	assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, raw, &n), 1);
	assert_int_equal(crypto_key_ed25519(span_of((char *)raw, 31), &k), RC_SYNTAX);
	assert_null(k);
	assert_int_equal(crypto_key_ed25519(span_of((char *)raw, 33), &k), RC_SYNTAX);
	assert_int_equal(crypto_key_ed25519(SPAN(""), &k), RC_SYNTAX);
	assert_int_equal(crypto_key_ed25519(span_of((char *)raw, 32), &k), RC_OK);
	assert_int_equal(crypto_key_kind(k), CRYPTO_ED25519);
	assert_int_equal(crypto_key_bits(k), 256);
	crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d256);
	crypto_hash_of(CRYPTO_SHA1, SPAN("text"), &d1);
	s = sign_ed25519(pkey, &d256);
	check_near_misses(k, CRYPTO_SHA256, &d256, s);
	assert_false(crypto_verify(k, CRYPTO_SHA1, &d1, s));
	exact_free(s);
	crypto_key_unref(k);
	EVP_PKEY_free(pkey);
}

/* Bytes that are no point, or one of small order, verify nothing here. */
static void
test_ed25519_odd_keys(void **state)
{
	char sig[CRYPTO_ED25519_SIG_BYTES] = { 0 }, raw[CRYPTO_ED25519_BYTES];
	struct crypto_digest d;
	struct crypto_key *k;

	(void)state;
	crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d);
	for (unsigned fill = 0; fill < 256; fill += 51) {
		memset(raw, (int)fill, sizeof raw);
		if (crypto_key_ed25519(span_of(raw, sizeof raw), &k) != RC_OK)
			continue;
		memset(sig, 0x42, sizeof sig);
		assert_false(crypto_verify(k, CRYPTO_SHA256, &d, span_of(sig, sizeof sig)));
		assert_int_equal(ERR_peek_error(), 0);
		crypto_key_unref(k);
	}
}

/* A digest of another hash is our mistake: said once, and never a pass. */
static void
test_wrong_digest(void **state)
{
	struct pair p = pair_rsa(1024);
	struct crypto_digest d;
	struct crypto_key *k;
	struct span s;

	(void)state;
	check_sink = note_check;
	said[0] = '\0';
	crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d);
	s = sign_rsa(p.pkey, RSA_PKCS1_PADDING, EVP_sha256(), &d);
	assert_int_equal(crypto_key_rsa(p.n, p.e, &k), RC_OK);
	assert_false(crypto_verify(k, CRYPTO_SHA1, &d, s));
	assert_non_null(strstr(said, "digest->n"));
	assert_true(crypto_verify(k, CRYPTO_SHA256, &d, s));
	exact_free(s);
	crypto_key_unref(k);
	pair_fini(&p);
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(crypto_equal("abc", "abc", 3));
	assert_false(crypto_equal("abc", "abd", 3));
	assert_false(crypto_equal("abc", "bbc", 3));
	assert_true(crypto_equal("abc", "abd", 2));
	assert_true(crypto_equal(NULL, NULL, 0));
}

/* ---- threads ---- */

enum { THREADS = 4, FRESH_KEYS = 40, CHECKS = 20 };

struct team {
	pthread_barrier_t start;
	const struct crypto_digest *digest;
	struct span good, bad;
	struct crypto_key *key;
};

/* All begin at once with a key that was never used; the last one lets it go. */
static void *
member(void *arg)
{
	struct team *t = arg;
	struct crypto_key *k = crypto_key_ref(t->key);
	uintptr_t wrong = 0;

	pthread_barrier_wait(&t->start);
	for (unsigned i = 0; i < CHECKS; i++) {
		wrong += !crypto_verify(k, CRYPTO_SHA256, t->digest, t->good);
		wrong += crypto_verify(k, CRYPTO_SHA256, t->digest, t->bad);
	}
	wrong += ERR_peek_error() != 0;
	crypto_key_unref(k);
	return (void *)wrong;
}

static void
run_team(struct team *t)
{
	pthread_t id[THREADS];
	void *wrong;

	REQUIRE(pthread_barrier_init(&t->start, NULL, THREADS) == 0);
	for (size_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&id[i], NULL, member, t) == 0);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(id[i], &wrong);
		assert_null(wrong);
	}
	pthread_barrier_destroy(&t->start);
	crypto_key_unref(t->key);
}

static void *
hash_first(void *arg)
{
	struct crypto_digest d;

	pthread_barrier_wait(arg);
	crypto_hash_of(CRYPTO_SHA256, SPAN("abc"), &d);
	return (void *)(uintptr_t)(d.n != 32 || d.b[0] != 0xba);
}

/* The first of all tests: several threads set the library up at once. */
static void
test_first_use(void **state)
{
	pthread_barrier_t start;
	pthread_t id[THREADS];
	void *wrong;

	(void)state;
	REQUIRE(pthread_barrier_init(&start, NULL, THREADS) == 0);
	for (size_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&id[i], NULL, hash_first, &start) == 0);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(id[i], &wrong);
		assert_null(wrong);
	}
	pthread_barrier_destroy(&start);
}

static void
test_threads(void **state)
{
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct pair p = pair_rsa(1024);
	struct crypto_digest d, other;
	unsigned char raw[CRYPTO_ED25519_BYTES];
	struct team rsa = { .digest = &d }, ed25519 = { .digest = &d };
	size_t n = sizeof raw;

	(void)state;
	crypto_hash_of(CRYPTO_SHA256, SPAN("text"), &d);
	crypto_hash_of(CRYPTO_SHA256, SPAN("other"), &other);
	rsa.good = sign_rsa(p.pkey, RSA_PKCS1_PADDING, EVP_sha256(), &d);
	rsa.bad = sign_rsa(p.pkey, RSA_PKCS1_PADDING, EVP_sha256(), &other);
	ed25519.good = sign_ed25519(ed, &d);
	ed25519.bad = sign_ed25519(ed, &other);
	assert_int_equal(EVP_PKEY_get_raw_public_key(ed, raw, &n), 1);
	for (unsigned i = 0; i < FRESH_KEYS; i++) {
		assert_int_equal(crypto_key_rsa(p.n, p.e, &rsa.key), RC_OK);
		run_team(&rsa);
		if (i % 8 == 0) {
			assert_int_equal(crypto_key_ed25519(span_of((char *)raw, n), &ed25519.key), RC_OK);
			run_team(&ed25519);
		}
	}
	exact_free(rsa.good);
	exact_free(rsa.bad);
	exact_free(ed25519.good);
	exact_free(ed25519.bad);
	EVP_PKEY_free(ed);
	pair_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_use),
		cmocka_unit_test(test_hash_known),
		cmocka_unit_test(test_hash_pieces),
		cmocka_unit_test(test_rsa),
		cmocka_unit_test(test_other_key),
		cmocka_unit_test(test_rsa_limits),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_ed25519_odd_keys),
		cmocka_unit_test(test_wrong_digest),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
