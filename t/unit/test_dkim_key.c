/* dkim_key: records and keys. */
#include "t/unit/unit.h"

#include "common/auth/dkim_key.h"

#define RSA1024 "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" \
    "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
/* The same as PKCS#1: what follows the algorithm. */
#define PKCS1 "MIGJAoGBAOQeU5CgFPNZGIazlXo2k/eJ1jpaTTxrmqF1HrDLlt04pvaMtCJj8nXoliLRC/H9vJjMI1vdb3XLcW60AIN/PBD8EL97/y4GwJH7LPUvGP48vqUe+owqszesbiGy" \
    "1PlCO8c70/OjFnJVgvMF87YR4Lcincb7aSvI5MgpP6X8rjDdAgMBAAE="
#define ED "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ED_SPKI "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static const struct {
	const char *name, *record;
	enum dkim_reason parse, decode;
	unsigned bits;
} rows[] = {
	{ "the least", "p=" RSA1024, DKIM_R_GOOD, DKIM_R_GOOD, 1024 },
	{ "as usual", "v=DKIM1; k=rsa; p=" RSA1024 ";", DKIM_R_GOOD, DKIM_R_GOOD, 1024 },
	{ "blanks in p=", "v=DKIM1; p= MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB iQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\t"
	  "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB ", DKIM_R_GOOD, DKIM_R_GOOD, 1024 },
	{ "PKCS#1", "p=" PKCS1, DKIM_R_GOOD, DKIM_R_GOOD, 1024 },
	{ "ed25519", "k=ed25519; p=" ED, DKIM_R_GOOD, DKIM_R_GOOD, 256 },
	{ "ed25519 as SubjectPublicKeyInfo", "k=ed25519; p=" ED_SPKI, DKIM_R_GOOD, DKIM_R_GOOD, 256 },
	{ "ed25519 of 31 bytes", "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==", DKIM_R_GOOD, DKIM_R_KEY_SYNTAX, 0 },
	{ "ed25519 said to be rsa", "k=rsa; p=" ED_SPKI, DKIM_R_GOOD, DKIM_R_KEY_TYPE, 0 },
	{ "rsa said to be ed25519", "k=ed25519; p=" RSA1024, DKIM_R_GOOD, DKIM_R_KEY_TYPE, 0 },
	{ "revoked", "v=DKIM1; p=", DKIM_R_GOOD, DKIM_R_KEY_REVOKED, 0 },
	{ "revoked, with blanks", "v=DKIM1; p= ; ", DKIM_R_GOOD, DKIM_R_KEY_REVOKED, 0 },
	{ "something behind the key", "p=" RSA1024 "AAAA", DKIM_R_GOOD, DKIM_R_KEY_SYNTAX, 0 },
	{ "no base64", "p=M!", DKIM_R_GOOD, DKIM_R_KEY_SYNTAX, 0 },
	{ "no p=", "v=DKIM1; k=rsa", DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "P= is not p=", "v=DKIM1; P=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "v=dkim1", "v=dkim1; p=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "v= empty", "v=; p=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "v= second", "k=rsa; v=DKIM1; p=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "k= empty", "k=; p=" RSA1024, DKIM_R_KEY_TYPE, DKIM_R_GOOD, 0 },
	{ "p= twice", "p=" ED "; p=" ED, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "t without a value", "k=rsa; t; p=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "nothing", "", DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
	{ "two semicolons", "v=DKIM1;; p=" RSA1024, DKIM_R_KEY_SYNTAX, DKIM_R_GOOD, 0 },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].record);
		struct dkim_key_record r;
		struct crypto_key *key = NULL;
		const char *why = NULL;
		enum dkim_reason got = dkim_key_parse(text, &r, &why);
		struct arena a;

		if (got != rows[i].parse || (why != NULL) != (got != DKIM_R_GOOD))
			fail_msg("%s: %s (%s)", rows[i].name, dkim_reason_text(got), why != NULL ? why : "");
		arena_init(&a, 1 * KIB, 64 * KIB);
		if (got == DKIM_R_GOOD) {
			got = dkim_key_decode(&a, &r, &key, &why);
			if (got != rows[i].decode || (key != NULL) != (got == DKIM_R_GOOD))
				fail_msg("%s: decoding: %s (%s)", rows[i].name, dkim_reason_text(got), why != NULL ? why : "");
		}
		if (key != NULL)
			assert_int_equal(crypto_key_bits(key), rows[i].bits);
		crypto_key_unref(key);
		arena_fini(&a);
		exact_free(text);
	}
}

static void
test_members(void **state)
{
	struct dkim_key_record r;

	(void)state;
	assert_int_equal(dkim_key_parse(SPAN("v=DKIM1; g=jo*; n=for people; h=sha1:x; s=email; t=y : s:zz; k=ed25519; p=AAAA"), &r, NULL), DKIM_R_GOOD);
	assert_span(r.g, "jo*");
	assert_span(r.notes, "for people");
	assert_span(r.p, "AAAA");
	assert_true(r.has_version && r.allows_sha1 && !r.allows_sha256 && r.allows_email && r.is_testing && r.is_strict);
	assert_int_equal(r.kind, CRYPTO_ED25519);
	assert_int_equal(dkim_key_parse(SPAN("p="), &r, NULL), DKIM_R_GOOD);
	assert_true(!r.has_version && r.allows_sha1 && r.allows_sha256 && r.allows_email && !r.is_testing && !r.is_strict);
	assert_non_null(r.p.p);
	assert_null(r.g.p);
	assert_int_equal(dkim_key_parse(SPAN("h=; s=; t=; p="), &r, NULL), DKIM_R_GOOD);
	assert_true(!r.allows_sha1 && !r.allows_sha256 && !r.allows_email && !r.is_testing && !r.is_strict);
}

/* M17: as long as TXT can be. */
static void
test_limit(void **state)
{
	static const size_t sizes[] = { DKIM_KEY_RECORD_MAX, DKIM_KEY_RECORD_MAX + 1, 65000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		char *p = xmalloc(sizes[i]);
		struct dkim_key_record r;
		struct span text;

		memset(p, 'A', sizes[i]);
		memcpy(p, "p=", 2);
		text = exact_n(p, sizes[i]);
		assert_int_equal(dkim_key_parse(text, &r, NULL), i == 0 ? DKIM_R_GOOD : DKIM_R_KEY_SYNTAX);
		exact_free(text);
		free(p);
	}
}

/* A record that ends in the middle of a character. */
static void
test_utf8_tail(void **state)
{
	struct span text = exact("v=DKIM1; p=; n=\xe3\x81");
	struct dkim_key_record r;

	(void)state;
	assert_int_equal(dkim_key_parse(text, &r, NULL), DKIM_R_KEY_SYNTAX);
	exact_free(text);
}

static void
test_permits(void **state)
{
	static const struct {
		const char *record;
		struct dkim_signature s;
		bool compatible;
		enum dkim_reason want;
	} cases[] = {
		{ "p=", { .kind = CRYPTO_RSA, .hash = CRYPTO_SHA256 }, false, DKIM_R_GOOD },
		{ "k=ed25519; p=", { .kind = CRYPTO_RSA, .hash = CRYPTO_SHA256 }, false, DKIM_R_KEY_TYPE },
		{ "h=sha256; p=", { .kind = CRYPTO_RSA, .hash = CRYPTO_SHA1 }, false, DKIM_R_KEY_HASH },
		{ "h=sha256; p=", { .kind = CRYPTO_RSA, .hash = CRYPTO_SHA256 }, false, DKIM_R_GOOD },
		{ "s=tlsrpt; p=", { .kind = CRYPTO_RSA, .hash = CRYPTO_SHA256 }, false, DKIM_R_KEY_SERVICE },
		{ "t=s; p=", { .hash = CRYPTO_SHA256, .domain = { "a.b", 3 }, .i_domain = { "x.a.b", 5 } }, false, DKIM_R_KEY_IDENTITY },
		{ "t=s; p=", { .hash = CRYPTO_SHA256, .domain = { "a.b", 3 }, .i_domain = { "a.b", 3 } }, false, DKIM_R_GOOD },
		{ "g=a*c; p=", { .hash = CRYPTO_SHA256, .i = { "abc@d", 5 } }, true, DKIM_R_GOOD },
		{ "g=a*c; p=", { .hash = CRYPTO_SHA256, .i = { "ac@d", 4 } }, true, DKIM_R_GOOD },
		{ "g=ab*bc; p=", { .hash = CRYPTO_SHA256, .i = { "abc@d", 5 } }, true, DKIM_R_KEY_IDENTITY },
		{ "g=a*c; p=", { .hash = CRYPTO_SHA256, .i = { "@d", 2 } }, true, DKIM_R_KEY_IDENTITY },
		{ "g=*; p=", { .hash = CRYPTO_SHA256, .i = { "@d", 2 } }, true, DKIM_R_GOOD },
		{ "g=abc; p=", { .hash = CRYPTO_SHA256, .i = { "abcd@d", 6 } }, true, DKIM_R_KEY_IDENTITY },
		{ "g=abc; p=", { .hash = CRYPTO_SHA256, .i = { "abcd@d", 6 } }, false, DKIM_R_GOOD },
		{ "v=DKIM1; g=; p=", { .hash = CRYPTO_SHA256, .i = { "@d", 2 } }, true, DKIM_R_KEY_IDENTITY },
		{ "g=; p=", { .hash = CRYPTO_SHA256, .i = { "@d", 2 } }, true, DKIM_R_GOOD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct dkim_options o = { .rfc4871_compatible = cases[i].compatible };
		struct dkim_key_record r;

		assert_int_equal(dkim_key_parse(span_cstr(cases[i].record), &r, NULL), DKIM_R_GOOD);
		if (dkim_key_permits(&r, &cases[i].s, &o) != cases[i].want)
			fail_msg("case %zu (%s)", i, cases[i].record);
	}
}

static void
test_no_memory(void **state)
{
	struct crypto_key *key;
	struct dkim_key_record r;
	struct arena a;

	(void)state;
	assert_int_equal(dkim_key_parse(SPAN("p=" RSA1024), &r, NULL), DKIM_R_GOOD);
	arena_init(&a, 1 * KIB, 64);
	assert_int_equal(dkim_key_decode(&a, &r, &key, NULL), DKIM_R_MEMORY);
	assert_null(key);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_members), cmocka_unit_test(test_limit), cmocka_unit_test(test_utf8_tail),
		cmocka_unit_test(test_permits), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
