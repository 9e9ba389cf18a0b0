/*
 * benchengine - what canonical forms, hashes and signature checks cost: prints tables.
 *
 *	benchengine [--quick]
 *
 *	1  bodies: each canonical form into nothing and into SHA-256, beside memchr() and bare SHA-256 over the same bytes
 *	2  checks of signatures with a decoded key, beside bare OpenSSL with a context that is made once, by one thread and by two
 *	3  decoding of keys, beside OpenSSL's own decoder
 * Both sides of a comparison take turns in one run, the best turn of each counts.  Exit code 1 when a bound that we promise is broken (not with
 * --quick): relaxed bodies 600 MB/s, checks 1.3 times bare OpenSSL.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "common/base/check.h"
#include "common/base/crypto.h"
#include "common/base/spki.h"
#include "common/base/xalloc.h"
#include "common/mail/canon.h"

enum {
	BODY = 2 * MIB,
	PIECE = 65535,                  /* what libmilter hands over at most */
	TURNS = 40,                     /* short ones: on a busy machine some of them run undisturbed */
	THREADS_MAX = 2,
	RELAXED_MB_MIN = 600,
};
static const double ratio_max = 1.3;

static bool is_quick, is_bad;
static volatile uint64_t kept;          /* so that no result is thought unused */

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What the calling thread has used: other programs on a busy machine do not count. */
static double
used_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
require_bound(bool holds, const char *what)
{
	if (holds || is_quick)
		return;
	is_bad = true;
	printf("  ^ broken: %s\n", what);
}

/* ---- bodies ---- */

static uint32_t
roll(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 24);
}

/* Words of 1 to 10 letters in lines of 72 bytes, an empty line now and then. */
static size_t
text_line(char *to)
{
	size_t n = 0;

	if (roll() % 12 == 0)
		return (memcpy(to, "\r\n", 2), 2);
	while (n < 70) {
		size_t word = 1 + roll() % 10;

		while (word-- > 0 && n < 70)
			to[n++] = (char)('a' + roll() % 26);
		if (n < 69)
			to[n++] = ' ';
	}
	memcpy(to + n, "\r\n", 2);
	return n + 2;
}

static size_t
base64_line(char *to)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	while (n < 76)
		to[n++] = alphabet[roll() % 64];
	memcpy(to + n, "\r\n", 2);
	return n + 2;
}

/* Indented by 0 to 20 blanks, by tabs now and then; blanks at the end of some lines. */
static size_t
html_line(char *to)
{
	size_t n = 0, indent = roll() % 21;

	memset(to, roll() % 5 == 0 ? '\t' : ' ', indent);
	n = indent;
	n += (size_t)snprintf(to + n, 64, "<td class=\"c%u\"> <a href=\"x%u\">y</a>%s</td>", roll() % 1000, roll() % 100, roll() % 2 ? "  " : " ");
	if (roll() % 8 == 0)
		to[n++] = ' ';
	memcpy(to + n, "\r\n", 2);
	return n + 2;
}

static char *
make_body(size_t (*line)(char *to))
{
	char *body = xmalloc(BODY), one[256];

	for (size_t n = 0; n < BODY;) {
		size_t part = MIN(line(one), (size_t)BODY - n);

		memcpy(body + n, one, part);
		n += part;
	}
	return body;
}

static void
null_sink(void *arg, const char *p, size_t n)
{
	uint64_t *sum = arg;

	*sum += n + (unsigned char)p[0];
}

static void
hash_sink(void *arg, const char *p, size_t n)
{
	crypto_hash_update(arg, p, n);
}

static double
time_canon(const char *body, enum canon c, canon_sink_fn *sink, void *arg)
{
	struct crypto_digest digest;
	struct canon_body b;
	double start = now_s();

	canon_body_init(&b, c, sink, arg);
	for (size_t at = 0; at < BODY; at += PIECE)
		canon_body_feed(&b, span_of(body + at, MIN((size_t)PIECE, BODY - at)));
	canon_body_end(&b);
	if (sink == hash_sink)
		crypto_hash_final(arg, &digest);
	return now_s() - start;
}

static double
time_bare_hash(const char *body, struct crypto_hash *h)
{
	struct crypto_digest digest;
	double start = now_s();

	for (size_t at = 0; at < BODY; at += PIECE)
		crypto_hash_update(h, body + at, MIN((size_t)PIECE, BODY - at));
	crypto_hash_final(h, &digest);
	return now_s() - start;
}

/* Reading every byte once, as fast as the C library can. */
static double
time_memchr(const char *body)
{
	double start = now_s();

	kept += memchr(body, 0, BODY) != NULL;
	return now_s() - start;
}

static void
bench_body(const char *name, const char *body)
{
	static const enum canon kinds[] = { CANON_SIMPLE, CANON_RELAXED, CANON_NOFWS };
	struct crypto_hash *h = crypto_hash_create(CRYPTO_SHA256);
	double to_null[3] = { 9, 9, 9 }, to_hash[3] = { 9, 9, 9 }, bare = 9, scan = 9, relaxed;
	uint64_t sum = 0;

	for (unsigned turn = 0; turn < (is_quick ? 2 : TURNS); turn++) {
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
			double null_s = time_canon(body, kinds[k], null_sink, &sum), hash_s = time_canon(body, kinds[k], hash_sink, h);

			to_null[k] = MIN(to_null[k], null_s);
			to_hash[k] = MIN(to_hash[k], hash_s);
		}
		relaxed = time_bare_hash(body, h);
		bare = MIN(bare, relaxed);
		relaxed = time_memchr(body);
		scan = MIN(scan, relaxed);
	}
	kept += sum;
	crypto_hash_destroy(&h);
	printf("%-10s %9.0f %9.0f", name, BODY / 1e6 / scan, BODY / 1e6 / bare);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
		printf("   %9.0f %6.2f", BODY / 1e6 / to_null[k], to_hash[k] / bare);
	printf("\n");
	require_bound(BODY / 1e6 / to_null[1] >= RELAXED_MB_MIN, "relaxed is slower than 600 MB/s");
}

static void
bench_bodies(void)
{
	static const struct { const char *name; size_t (*line)(char *to); } bodies[] = {
		{ "text", text_line }, { "base64", base64_line }, { "html", html_line },
	};

	printf("1  bodies of %d MiB in pieces of %d bytes: MB/s, and time with SHA-256 behind it as a multiple of bare SHA-256\n\n", BODY / MIB, PIECE);
	printf("%-10s %9s %9s   %9s %6s   %9s %6s   %9s %6s\n", "", "memchr", "sha256", "simple", "+hash", "relaxed", "+hash", "nofws", "+hash");
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		char *body = make_body(bodies[i].line);

		bench_body(bodies[i].name, body);
		free(body);
	}
}

/* ---- signature checks ---- */

struct subject {
	const char *name;
	unsigned checks;                /* in a turn */
	EVP_PKEY *pkey;
	struct crypto_key *key;
	struct crypto_digest digest;
	struct span signature, der;
};

static void
sign(struct subject *s, EVP_PKEY *pkey)
{
	EVP_MD_CTX *one_shot = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	unsigned char *to = xmalloc(1024);
	size_t n = 1024;

	if (crypto_key_kind(s->key) == CRYPTO_ED25519) {
		REQUIRE(EVP_DigestSignInit_ex(one_shot, NULL, NULL, NULL, NULL, pkey, NULL) == 1);
		REQUIRE(EVP_DigestSign(one_shot, to, &n, s->digest.b, s->digest.n) == 1);
	} else {
		REQUIRE(EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
		REQUIRE(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1);
		REQUIRE(EVP_PKEY_sign(ctx, to, &n, s->digest.b, s->digest.n) == 1);
	}
	EVP_MD_CTX_free(one_shot);
	EVP_PKEY_CTX_free(ctx);
	s->signature = span_of((char *)to, n);
}

static void
decode(struct span der, struct crypto_key **out)
{
	struct spki info;
	const char *why;

	REQUIRE(spki_read(der, &info, &why) == RC_OK);
	if (info.kind == CRYPTO_RSA)
		REQUIRE(crypto_key_rsa(info.n, info.e, out) == RC_OK);
	else
		REQUIRE(crypto_key_ed25519(info.raw, out) == RC_OK);
}

static void
make_subject(struct subject *s, EVP_PKEY *pkey)
{
	const unsigned char *p;
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);

	REQUIRE(n > 0);
	s->der = span_of((char *)der, (size_t)n);
	decode(s->der, &s->key);
	p = der;
	REQUIRE((s->pkey = d2i_PUBKEY(NULL, &p, n)) != NULL);   /* without the private half */
	crypto_hash_of(CRYPTO_SHA256, SPAN("what is signed"), &s->digest);
	sign(s, pkey);
	EVP_PKEY_free(pkey);
}

static void
drop_subject(struct subject *s)
{
	EVP_PKEY_free(s->pkey);
	crypto_key_unref(s->key);
	free((void *)(uintptr_t)s->signature.p);
	OPENSSL_free((void *)(uintptr_t)s->der.p);
}

static void *
checks_ours(void *arg)
{
	struct subject *s = arg;

	for (unsigned i = 0; i < s->checks; i++)
		REQUIRE(crypto_verify(s->key, CRYPTO_SHA256, &s->digest, s->signature));
	return NULL;
}

static void *
checks_bare(void *arg)
{
	struct subject *s = arg;
	const unsigned char *sig = (const unsigned char *)s->signature.p;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, s->pkey, NULL);
	EVP_MD_CTX *one_shot = EVP_MD_CTX_new();

	if (crypto_key_kind(s->key) == CRYPTO_RSA) {
		REQUIRE(EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
		REQUIRE(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1);
		for (unsigned i = 0; i < s->checks; i++)
			REQUIRE(EVP_PKEY_verify(ctx, sig, s->signature.n, s->digest.b, s->digest.n) == 1);
	} else {
		REQUIRE(EVP_DigestVerifyInit_ex(one_shot, NULL, NULL, NULL, NULL, s->pkey, NULL) == 1);
		for (unsigned i = 0; i < s->checks; i++)
			REQUIRE(EVP_DigestVerify(one_shot, sig, s->signature.n, s->digest.b, s->digest.n) == 1);
	}
	EVP_MD_CTX_free(one_shot);
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

/* Microseconds of the first thread's CPU for a check, while the others do the same. */
static double
time_checks(struct subject *s, void *(*run)(void *), unsigned threads)
{
	pthread_t id[THREADS_MAX];
	double start;

	for (unsigned i = 1; i < threads; i++)
		REQUIRE(pthread_create(&id[i], NULL, run, s) == 0);
	start = used_s();
	run(s);
	start = used_s() - start;
	for (unsigned i = 1; i < threads; i++)
		pthread_join(id[i], NULL);
	return start * 1e6 / s->checks;
}

static void
bench_check(struct subject *s)
{
	for (unsigned threads = 1; threads <= THREADS_MAX; threads++) {
		double ours = 1e9, bare = 1e9, us;

		for (unsigned turn = 0; turn < (is_quick ? 2 : TURNS); turn++) {
			us = time_checks(s, checks_bare, threads);
			bare = MIN(bare, us);
			us = time_checks(s, checks_ours, threads);
			ours = MIN(ours, us);
		}
		printf("%-10s %8u %10.2f %10.2f %8.2f\n", s->name, threads, bare, ours, ours / bare);
		require_bound(ours <= ratio_max * bare, "more than 1.3 times bare OpenSSL");
	}
}

static void
bench_decode(struct subject *s)
{
	double ours = 1e9, bare = 1e9, reader = 1e9, start;
	unsigned n = is_quick ? 20 : 50;

	for (unsigned turn = 0; turn < (is_quick ? 2 : TURNS); turn++) {
		start = now_s();
		for (unsigned i = 0; i < n; i++) {
			const unsigned char *p = (const unsigned char *)s->der.p;

			EVP_PKEY_free(d2i_PUBKEY(NULL, &p, (long)s->der.n));
		}
		bare = MIN(bare, (now_s() - start) * 1e6 / n);
		start = now_s();
		for (unsigned i = 0; i < n; i++) {
			struct crypto_key *k;

			decode(s->der, &k);
			crypto_key_unref(k);
		}
		ours = MIN(ours, (now_s() - start) * 1e6 / n);
		start = now_s();
		for (unsigned i = 0; i < n; i++) {
			struct spki info;
			const char *why;

			kept += spki_read(s->der, &info, &why);
		}
		reader = MIN(reader, (now_s() - start) * 1e6 / n);
	}
	printf("%-10s %10.2f %10.2f %8.2f %14.3f\n", s->name, bare, ours, ours / bare, reader);
}

int
main(int argc, char **argv)
{
	struct subject subjects[] = {
		{ .name = "RSA-1024", .checks = 500 }, { .name = "RSA-2048", .checks = 250 }, { .name = "RSA-4096", .checks = 60 },
		{ .name = "Ed25519", .checks = 50 },
	};
	static const unsigned bits[] = { 1024, 2048, 4096 };
	size_t i;

	is_quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	if (argc > 2 || (argc == 2 && !is_quick)) {
		fprintf(stderr, "usage: benchengine [--quick]\n");
		return 64;
	}
	bench_bodies();
	for (i = 0; i < ARRAY_LEN(subjects); i++) {
		make_subject(&subjects[i], i < ARRAY_LEN(bits) ? EVP_RSA_gen(bits[i]) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
		if (is_quick)
			subjects[i].checks /= 10;
	}
	printf("\n2  checks with a decoded key: microseconds of one thread's CPU\n\n%-10s %8s %10s %10s %8s\n", "", "threads", "OpenSSL", "enma", "ratio");
	for (i = 0; i < ARRAY_LEN(subjects); i++)
		bench_check(&subjects[i]);
	printf("\n3  decoding of SubjectPublicKeyInfo: microseconds\n\n%-10s %10s %10s %8s %14s\n", "", "d2i_PUBKEY", "enma", "ratio", "reading alone");
	for (i = 0; i < ARRAY_LEN(subjects); i++) {
		bench_decode(&subjects[i]);
		drop_subject(&subjects[i]);
	}
	return is_bad ? 1 : 0;
}
