/* spki: keys that OpenSSL made are read as OpenSSL reads them; whatever is bent in them is refused or read as what it is. */
#include "t/unit/der_unit.h"
#include "t/unit/unit.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { KEYS = 5 };

static struct made {
	const char *name;
	unsigned bits;                  /* 0: Ed25519 */
	bool is_pkcs1;
	EVP_PKEY *pkey;
	struct span der;
} keys[KEYS] = {
	{ .name = "RSA 1024", .bits = 1024 }, { .name = "RSA 2048", .bits = 2048 }, { .name = "RSA 4096", .bits = 4096 },
	{ .name = "RSA 2048, PKCS#1", .bits = 2048, .is_pkcs1 = true }, { .name = "Ed25519" },
};

/* PKCS#1 is what is inside of the bit string; OpenSSL's "type-specific" structure of the key. */
static struct span
encode(EVP_PKEY *pkey, bool is_pkcs1)
{
	unsigned char *p = NULL;
	int n = is_pkcs1 ? i2d_PublicKey(pkey, &p) : i2d_PUBKEY(pkey, &p);
	struct span copy;

	REQUIRE(n > 0);
	copy = exact_n(p, (size_t)n);
	OPENSSL_free(p);
	return copy;
}

static int
make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		keys[i].pkey = keys[i].bits > 0 ? EVP_RSA_gen(keys[i].bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		REQUIRE(keys[i].pkey != NULL);
		keys[i].der = encode(keys[i].pkey, keys[i].is_pkcs1);
	}
	return 0;
}

static int
drop_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		EVP_PKEY_free(keys[i].pkey);
		exact_free(keys[i].der);
	}
	return 0;
}

static void
assert_number(struct span got, EVP_PKEY *pkey, const char *name)
{
	unsigned char want[1024];
	BIGNUM *bn = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(pkey, name, &bn), 1);
	assert_int_equal(got.n, BN_bn2bin(bn, want));
	assert_memory_equal(got.p, want, got.n);
	BN_free(bn);
}

static bool
is_inside(struct span part, struct span whole)
{
	return part.p >= whole.p && part.n <= whole.n && part.p + part.n <= whole.p + whole.n;
}

static void
test_keys(void **state)
{
	const char *why = "";
	unsigned char raw[32];
	size_t n = sizeof raw;
	struct spki k;

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		assert_int_equal(spki_read(keys[i].der, &k, &why), RC_OK);
		assert_null(why);
		assert_int_equal(k.is_pkcs1, keys[i].is_pkcs1);
		assert_int_equal(k.kind, keys[i].bits > 0 ? CRYPTO_RSA : CRYPTO_ED25519);
		assert_true(der_is_encoding_of(keys[i].der, &k));
		if (keys[i].bits > 0) {
			assert_number(k.n, keys[i].pkey, OSSL_PKEY_PARAM_RSA_N);
			assert_number(k.e, keys[i].pkey, OSSL_PKEY_PARAM_RSA_E);
			assert_null(k.raw.p);
		} else {
			assert_int_equal(EVP_PKEY_get_raw_public_key(keys[i].pkey, raw, &n), 1);
			assert_int_equal(k.raw.n, sizeof raw);
			assert_memory_equal(k.raw.p, raw, sizeof raw);
			assert_null(k.n.p);
		}
	}
}

/* Whatever is accepted is accepted for what it is: written again it gives the same bytes. */
static enum rc
read_bent(struct span der)
{
	const char *why = "unset";
	struct spki k;
	enum rc rc = spki_read(der, &k, &why);

	if (rc != RC_OK) {
		assert_int_equal(rc, RC_SYNTAX);
		assert_non_null(why);
		assert_true(strlen(why) > 0 && strlen(why) < 60 && strcmp(why, "unset") != 0);
		return rc;
	}
	assert_null(why);
	assert_true(der_is_encoding_of(der, &k));
	if (k.kind == CRYPTO_RSA)
		assert_true(is_inside(k.n, der) && is_inside(k.e, der));
	else
		assert_true(is_inside(k.raw, der));
	return rc;
}

static void
test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		for (size_t n = 0; n < keys[i].der.n; n++) {
			struct span cut = exact_n(keys[i].der.p, n), tail = exact_n(keys[i].der.p + 1 + n, keys[i].der.n - 1 - n);

			assert_int_equal(read_bent(cut), RC_SYNTAX);
			(void)read_bent(tail);
			exact_free(cut);
			exact_free(tail);
		}
	}
}

static void
test_every_byte(void **state)
{
	unsigned accepted = 0;

	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		struct span bent = exact_n(keys[i].der.p, keys[i].der.n);
		char *p = (char *)(uintptr_t)bent.p;

		for (size_t at = 0; at < bent.n; at++) {
			for (unsigned v = 1; v < 256; v = at < 64 ? v + 1 : v * 2) {
				p[at] = (char)((unsigned char)keys[i].der.p[at] ^ v);
				accepted += read_bent(bent) == RC_OK;
			}
			p[at] = keys[i].der.p[at];
		}
		exact_free(bent);
	}
	assert_in_range(accepted, 1000, 1000000);       /* other numbers are other keys */
}

static void
test_garbage_behind(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		char *more = xmalloc(keys[i].der.n + 1);

		memcpy(more, keys[i].der.p, keys[i].der.n);
		for (unsigned v = 0; v < 256; v++) {
			more[keys[i].der.n] = (char)v;
			assert_int_equal(read_bent(span_of(more, keys[i].der.n + 1)), RC_SYNTAX);
		}
		free(more);
	}
}

/* Both forms of RSA around the same two INTEGERs, given as DER. */
static void
check_integers(const char *name, struct span integers, enum rc want)
{
	struct buf bare = buf_heap(DER_MAX), info = buf_heap(DER_MAX);
	struct span der;

	der_put(&bare, 0x30, integers);
	der_put_info(&info, OID_RSA, SPAN("\x05\0"), 0, buf_text(&bare));
	for (int i = 0; i < 2; i++) {
		der = exact_n(buf_text(i ? &info : &bare).p, buf_text(i ? &info : &bare).n);
		if (read_bent(der) != want)
			fail_msg("%s: wrong answer", name);
		exact_free(der);
	}
	buf_fini(&bare);
	buf_fini(&info);
}

static void
test_integers(void **state)
{
	static const struct { const char *name; struct span integers; enum rc want; } rows[] = {
		{ "smallest", { "\x02\x01\x01\x02\x01\x01", 6 }, RC_OK },
		{ "sign byte", { "\x02\x02\x00\x80\x02\x01\x03", 7 }, RC_OK },
		{ "sign byte not needed", { "\x02\x02\x00\x7f\x02\x01\x03", 7 }, RC_SYNTAX },
		{ "two sign bytes", { "\x02\x03\x00\x00\x80\x02\x01\x03", 8 }, RC_SYNTAX },
		{ "negative n", { "\x02\x01\x80\x02\x01\x03", 6 }, RC_SYNTAX },
		{ "negative e", { "\x02\x01\x07\x02\x01\xff", 6 }, RC_SYNTAX },
		{ "n is zero", { "\x02\x01\x00\x02\x01\x03", 6 }, RC_SYNTAX },
		{ "e is zero", { "\x02\x01\x07\x02\x01\x00", 6 }, RC_SYNTAX },
		{ "empty n", { "\x02\x00\x02\x01\x03", 5 }, RC_SYNTAX },
		{ "empty e", { "\x02\x01\x07\x02\x00", 5 }, RC_SYNTAX },
		{ "no e", { "\x02\x01\x07", 3 }, RC_SYNTAX },
		{ "three of them", { "\x02\x01\x07\x02\x01\x03\x02\x01\x05", 9 }, RC_SYNTAX },
		{ "a private key's version first", { "\x02\x01\x00\x02\x01\x07\x02\x01\x03", 9 }, RC_SYNTAX },
		{ "e is an octet string", { "\x02\x01\x07\x04\x01\x03", 6 }, RC_SYNTAX },
		{ "length in long form", { "\x02\x81\x01\x07\x02\x01\x03", 7 }, RC_SYNTAX },
		{ "length in longer form", { "\x02\x82\x00\x01\x07\x02\x01\x03", 8 }, RC_SYNTAX },
		{ "indefinite length", { "\x02\x80\x07\x00\x00\x02\x01\x03", 8 }, RC_SYNTAX },
		{ "length of 127 bytes", { "\x02\xff\x01\x07\x02\x01\x03", 7 }, RC_SYNTAX },
		{ "length of all there is", { "\x02\x84\xff\xff\xff\xff\x07\x02\x01\x03", 10 }, RC_SYNTAX },
		{ "length of eight bytes", { "\x02\x88\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01\x03", 13 }, RC_SYNTAX },
		{ "e goes on beyond the end", { "\x02\x01\x07\x02\x02\x03", 6 }, RC_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_integers(rows[i].name, rows[i].integers, rows[i].want);
}

/* Lengths at both sides of each form; a modulus of 64 KiB is read (and refused by crypto_key_rsa()). */
static void
test_lengths(void **state)
{
	static const size_t sizes[] = { 1, 2, 0x70, 0x7e, 0x7f, 0x80, 0x81, 0xf0, 0xfe, 0xff, 0x100, 0x101, 0xff00, 0xffff, 0x10000, 0x10001 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf b = buf_heap(DER_MAX), fields = buf_heap(DER_MAX);
		char *number = xmalloc(sizes[i]);
		const char *why;
		struct spki k;

		memset(number, 0x7b, sizes[i]);
		der_put_rsa(&b, span_of(number, sizes[i]), SPAN("\x01\0\x01"));
		assert_int_equal(spki_read(buf_text(&b), &k, &why), RC_OK);
		assert_int_equal(k.n.n, sizes[i]);
		assert_int_equal(k.e.n, 3);
		der_put_positive(&fields, span_of(number, sizes[i]));
		der_put_positive(&fields, SPAN("\x01\0\x01"));
		check_integers("length", buf_text(&fields), RC_OK);
		buf_fini(&fields);
		buf_fini(&b);
		free(number);
	}
}

/* The first length of a key made one byte longer than it need be. */
static void
test_long_lengths(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++) {
		struct span der = keys[i].der;
		unsigned first = (unsigned char)der.p[1], bytes = first < 0x80 ? 0 : first - 0x80;
		char *p = xmalloc(der.n + 1);

		assert_in_range(bytes, 0, 2);
		p[0] = der.p[0];
		p[1] = (char)(0x81 + bytes);
		p[2] = bytes == 0 ? (char)first : 0;
		memcpy(p + 3, der.p + 2, der.n - 2);
		assert_int_equal(read_bent(span_of(p, der.n + 1)), RC_SYNTAX);
		free(p);
	}
}

static void
test_infos(void **state)
{
	static const struct span good = { "\x30\x06\x02\x01\x07\x02\x01\x03", 8 }, raw = { "0123456789abcdef0123456789ABCDEF", 32 };
	static const struct span none = { "", 0 }, null = { "\x05\0", 2 };
	static const struct span rsa = { "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9 }, ed25519 = { "\x2b\x65\x70", 3 };
	const struct { const char *name; struct span oid, parameters; char unused; struct span key; enum rc want; } rows[] = {
		{ "RSA", rsa, null, 0, good, RC_OK },
		{ "RSA without parameters", rsa, none, 0, good, RC_OK },
		{ "RSA, NULL with content", rsa, SPAN("\x05\x01\x00"), 0, good, RC_SYNTAX },
		{ "RSA, two NULLs", rsa, SPAN("\x05\0\x05\0"), 0, good, RC_SYNTAX },
		{ "RSA, other parameters", rsa, SPAN("\x30\0"), 0, good, RC_SYNTAX },
		{ "RSA, half a NULL", rsa, SPAN("\x05"), 0, good, RC_SYNTAX },
		{ "RSA, unused bits", rsa, null, 1, good, RC_SYNTAX },
		{ "RSA, no key", rsa, null, 0, none, RC_SYNTAX },
		{ "RSA, a bare number", rsa, null, 0, SPAN("\x02\x01\x07"), RC_SYNTAX },
		{ "RSA, bytes behind the key", rsa, null, 0, SPAN("\x30\x06\x02\x01\x07\x02\x01\x03\x00"), RC_SYNTAX },
		{ "RSA, an Ed25519 key", rsa, null, 0, raw, RC_SYNTAX },
		{ "Ed25519", ed25519, none, 0, raw, RC_OK },
		{ "Ed25519 with NULL", ed25519, null, 0, raw, RC_SYNTAX },
		{ "Ed25519, 31 bytes", ed25519, none, 0, SPAN("0123456789abcdef0123456789ABCDE"), RC_SYNTAX },
		{ "Ed25519, 33 bytes", ed25519, none, 0, SPAN("0123456789abcdef0123456789ABCDEF0"), RC_SYNTAX },
		{ "Ed25519, unused bits", ed25519, none, 7, raw, RC_SYNTAX },
		{ "Ed25519, an RSA key", ed25519, none, 0, good, RC_SYNTAX },
		{ "RSASSA-PSS", SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"), none, 0, good, RC_SYNTAX },
		{ "sha256WithRSAEncryption", SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"), null, 0, good, RC_SYNTAX },
		{ "an OID that begins like RSA", SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01"), null, 0, good, RC_SYNTAX },
		{ "an OID that goes on behind RSA", SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x00"), null, 0, good, RC_SYNTAX },
		{ "Ed448", SPAN("\x2b\x65\x71"), none, 0, raw, RC_SYNTAX },
		{ "X25519", SPAN("\x2b\x65\x6e"), none, 0, raw, RC_SYNTAX },
		{ "empty OID", SPAN(""), none, 0, raw, RC_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = buf_heap(DER_MAX);
		struct span der;

		der_put_info(&b, rows[i].oid, rows[i].parameters, rows[i].unused, rows[i].key);
		der = exact_n(buf_text(&b).p, buf_text(&b).n);
		if (read_bent(der) != rows[i].want)
			fail_msg("%s: wrong answer", rows[i].name);
		exact_free(der);
		buf_fini(&b);
	}
}

/* By hand, what the writer above cannot do. */
static void
test_shapes(void **state)
{
	static const struct { const char *name; struct span der; } rows[] = {
		{ "nothing", { "", 0 } },
		{ "a tag", { "\x30", 1 } },
		{ "an empty sequence", { "\x30\x00", 2 } },
		{ "long form without length", { "\x30\x80", 2 } },
		{ "long form cut short", { "\x30\x82\x01", 3 } },
		{ "long form with a zero first", { "\x30\x82\x00\x81", 4 } },
		{ "a set", { "\x31\x06\x02\x01\x07\x02\x01\x03", 8 } },
		{ "a sequence of an empty sequence", { "\x30\x02\x30\x00", 4 } },
		{ "no bit string", { "\x30\x07\x30\x05\x06\x03\x2b\x65\x70", 9 } },
		{ "an empty bit string", { "\x30\x09\x30\x05\x06\x03\x2b\x65\x70\x03\x00", 11 } },
		{ "algorithm is no sequence", { "\x30\x05\x06\x03\x2b\x65\x70", 7 } },
		{ "text", { "-----BEGIN PUBLIC KEY-----", 26 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span der = exact_n(rows[i].der.p, rows[i].der.n);

		if (read_bent(der) != RC_SYNTAX)
			fail_msg("%s was taken", rows[i].name);
		exact_free(der);
	}
}

/* Keys of other kinds as OpenSSL writes them, and a private one. */
static void
test_foreign(void **state)
{
	EVP_PKEY *others[] = { EVP_EC_gen("P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), EVP_PKEY_Q_keygen(NULL, NULL, "ED448") };
	unsigned char *p = NULL;
	int n = i2d_PrivateKey(keys[0].pkey, &p);
	struct span der = exact_n(p, (size_t)n);

	(void)state;
	assert_int_equal(read_bent(der), RC_SYNTAX);
	exact_free(der);
	OPENSSL_free(p);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		assert_non_null(others[i]);
		der = encode(others[i], false);
		assert_int_equal(read_bent(der), RC_SYNTAX);
		exact_free(der);
		EVP_PKEY_free(others[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_garbage_behind),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_long_lengths),
		cmocka_unit_test(test_infos),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests_name("spki", tests, make_keys, drop_keys);
}
