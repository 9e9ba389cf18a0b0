/* dkim_sig: the text of a signature. */
#include "t/unit/unit.h"

#include "common/auth/dkim_sig.h"
#include "common/base/buf.h"

#define BH32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define REST "; bh=" BH32 "; b=QUJD"
#define START "v=1; a=rsa-sha256; d=example.org; s=sel; "

static const struct row {
	const char *name, *text;
	enum dkim_reason want;
} rows[] = {
	{ "the least", START "h=from" REST, DKIM_R_GOOD },
	{ "blanks and folds", "v = 1;\r\n\ta = rsa-sha256; d = example.org ; s =\r\n sel;h=from :\r\n to" REST, DKIM_R_GOOD },
	{ "nothing", "", DKIM_R_SYNTAX },
	{ "no tag list", "hello", DKIM_R_SYNTAX },
	{ "a NUL's text is only text", START "n=\\0; h=from" REST, DKIM_R_GOOD },
	{ "v= anywhere", "a=rsa-sha256; v=1; d=example.org; s=sel; h=from" REST, DKIM_R_GOOD },
	{ "v=1.0", "v=1.0; a=rsa-sha256; d=example.org; s=sel; h=from" REST, DKIM_R_VERSION },
	{ "a= in capitals", "v=1; a=RSA-SHA256; d=example.org; s=sel; h=from" REST, DKIM_R_UNKNOWN_ALGORITHM },
	{ "d= empty", "v=1; a=rsa-sha256; d=; s=sel; h=from" REST, DKIM_R_DOMAIN },
	{ "d= with an empty label", "v=1; a=rsa-sha256; d=a..b; s=sel; h=from" REST, DKIM_R_DOMAIN },
	{ "d= an address", "v=1; a=rsa-sha256; d=192.0.2.1; s=sel; h=from" REST, DKIM_R_DOMAIN },
	{ "s= empty", "v=1; a=rsa-sha256; d=example.org; s=; h=from" REST, DKIM_R_DOMAIN },
	{ "s= of digits", "v=1; a=rsa-sha256; d=example.org; s=20260101; h=from" REST, DKIM_R_GOOD },
	{ "s= of several labels", "v=1; a=rsa-sha256; d=example.org; s=a.b_c.d-e; h=from" REST, DKIM_R_GOOD },
	{ "s= ends in a dot", "v=1; a=rsa-sha256; d=example.org; s=a.; h=from" REST, DKIM_R_DOMAIN },
	{ "s= with a backslash", "v=1; a=rsa-sha256; d=example.org; s=sel._domainkey.attack.\\0.any; h=from" REST, DKIM_R_DOMAIN },
	{ "s= with a label of 64",
	  "v=1; a=rsa-sha256; d=example.org; s=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; h=from" REST, DKIM_R_DOMAIN },
	{ "h= empty", START "h=" REST, DKIM_R_SYNTAX },
	{ "h= with an empty name", START "h=from::to" REST, DKIM_R_SYNTAX },
	{ "h= ends in a colon", START "h=from:" REST, DKIM_R_SYNTAX },
	{ "h= with a blank in a name", START "h=from:re ply" REST, DKIM_R_SYNTAX },
	{ "h= with 8 bits", START "h=from:\xc3\xbc" REST, DKIM_R_SYNTAX },
	{ "h= in capitals", START "h=FROM" REST, DKIM_R_GOOD },
	{ "h= with what only looks like From", START "h=from1:xfrom" REST, DKIM_R_FROM_NOT_SIGNED },
	{ "c= empty", START "c=; h=from" REST, DKIM_R_SYNTAX },
	{ "c= unknown", START "c=strict; h=from" REST, DKIM_R_SYNTAX },
	{ "c= unknown for the body", START "c=simple/nofws; h=from" REST, DKIM_R_SYNTAX },
	{ "c= nothing behind the slash", START "c=simple/; h=from" REST, DKIM_R_SYNTAX },
	{ "c= two slashes", START "c=simple/simple/simple; h=from" REST, DKIM_R_SYNTAX },
	{ "q= empty", START "q=; h=from" REST, DKIM_R_UNKNOWN_QUERY },
	{ "l= empty", START "l=; h=from" REST, DKIM_R_SYNTAX },
	{ "l= hexadecimal", START "l=0x10; h=from" REST, DKIM_R_SYNTAX },
	{ "l= of 76 digits", START "l=0000000000000000000000000000000000000000000000000000000000000000000000000005; h=from" REST, DKIM_R_GOOD },
	{ "l= of 77 digits", START "l=00000000000000000000000000000000000000000000000000000000000000000000000000005; h=from" REST, DKIM_R_SYNTAX },
	{ "x= with a blank inside", START "x=17 00; h=from" REST, DKIM_R_SYNTAX },
	{ "i= empty", START "i=; h=from" REST, DKIM_R_IDENTITY },
	{ "i= without a local part", START "i=@example.org; h=from" REST, DKIM_R_GOOD },
	{ "i= without a domain", START "i=joe@; h=from" REST, DKIM_R_IDENTITY },
	{ "i= folded", START "i=jo\r\n e@exam\r\n ple.org; h=from" REST, DKIM_R_GOOD },
	{ "i= with an '=' that encodes nothing", START "i=a=b@example.org; h=from" REST, DKIM_R_GOOD },
	{ "i= encoded all over", START "i=joe=40example=2Eorg; h=from" REST, DKIM_R_GOOD },
	{ "i= encoded, elsewhere", START "i=joe=40example=2Ecom; h=from" REST, DKIM_R_IDENTITY },
	{ "i= with a comment", START "i=joe(x)@example.org; h=from" REST, DKIM_R_IDENTITY },
	{ "i= with an open quote", START "i=\"joe@example.org; h=from" REST, DKIM_R_IDENTITY },
	{ "i= with something behind the quotes", START "i=\"joe\"x@example.org; h=from" REST, DKIM_R_IDENTITY },
	{ "i= ends in a dot", START "i=@example.org.; h=from" REST, DKIM_R_IDENTITY },
	{ "i= with a line end encoded", START "i=a=0D=0Ab@example.org; h=from" REST, DKIM_R_IDENTITY },
	{ "M14: bh= empty", START "h=from; bh=; b=QUJD", DKIM_R_HASH_LENGTH },
	{ "M14: bh= of 1", START "h=from; bh=AA==; b=QUJD", DKIM_R_HASH_LENGTH },
	{ "M14: bh= of 16", START "h=from; bh=AAAAAAAAAAAAAAAAAAAAAA==; b=QUJD", DKIM_R_HASH_LENGTH },
	{ "M14: bh= of 31", START "h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==; b=QUJD", DKIM_R_HASH_LENGTH },
	{ "M14: bh= of 33", START "h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; b=QUJD", DKIM_R_HASH_LENGTH },
	{ "M14: ed25519, bh= of 33", "v=1; a=ed25519-sha256; d=example.org; s=x; h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; b=QUJD",
	  DKIM_R_HASH_LENGTH },
	{ "bh= of 20 with sha1", "v=1; a=rsa-sha1; d=example.org; s=x; h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=QUJD", DKIM_R_GOOD },
	{ "bh= of 32 with sha1", "v=1; a=rsa-sha1; d=example.org; s=x; h=from" REST, DKIM_R_HASH_LENGTH },
	{ "bh= without padding", START "h=from; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA; b=QUJD", DKIM_R_SYNTAX },
	{ "b= with folds", START "h=from; bh=" BH32 "; b=QU\r\n JD\r\n\tQUJD", DKIM_R_GOOD },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].text);
		struct dkim_signature out = { 0 };
		struct dkim_sig sig;
		struct arena a;
		enum rc rc;

		memset(&sig, 0, sizeof sig);
		arena_init(&a, 1 * KIB, 1 * MIB);
		rc = dkim_sig_parse(&a, text, DKIM_SIG_DKIM, &sig, &out);
		if (out.reason != rows[i].want || rc != (rows[i].want == DKIM_R_GOOD ? RC_OK : RC_SYNTAX) || out.is_parsed != (rc == RC_OK))
			fail_msg("%s: %s, %s", rows[i].name, rc_name(rc), dkim_reason_text(out.reason));
		arena_fini(&a);
		exact_free(text);
	}
}

/* Where b= stands: with the blanks around its value, whatever other tags are called. */
static void
test_cut(void **state)
{
	static const struct {
		const char *text, *rest;
	} cuts[] = {
		{ START "h=from; bh=" BH32 "; b=QUJD", START "h=from; bh=" BH32 "; b=" },
		{ START "h=from; bh=" BH32 "; b= QUJD \r\n ;z=b", START "h=from; bh=" BH32 "; b=;z=b" },
		{ "b=\r\n QU\r\n JD ; " START "h=from; bh=" BH32, "b=; " START "h=from; bh=" BH32 },
		{ START "B=b=x; bb=b; h=from; bh=" BH32 "; b =QUJD==; l=1", NULL },
		{ START "B=b=x; bb=b; h=from; bh=" BH32 "; b =QUJD; l=1", START "B=b=x; bb=b; h=from; bh=" BH32 "; b =; l=1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		struct span text = exact(cuts[i].text);
		struct dkim_signature out = { 0 };
		struct buf rest = buf_heap(4 * KIB);
		struct dkim_sig sig;
		struct arena a;

		memset(&sig, 0, sizeof sig);
		arena_init(&a, 1 * KIB, 1 * MIB);
		assert_int_equal(dkim_sig_parse(&a, text, DKIM_SIG_DKIM, &sig, &out), cuts[i].rest != NULL ? RC_OK : RC_SYNTAX);
		buf_span(&rest, span_sub(text, 0, sig.b_from));
		buf_span(&rest, span_from(text, sig.b_from + sig.b_n));
		if (cuts[i].rest != NULL)
			assert_span(buf_text(&rest), cuts[i].rest);
		buf_fini(&rest);
		arena_fini(&a);
		exact_free(text);
	}
}

static void
test_members(void **state)
{
	struct dkim_signature out = { 0 };
	struct dkim_sig sig;
	struct span plain;
	struct arena a;

	(void)state;
	memset(&sig, 0, sizeof sig);
	arena_init(&a, 1 * KIB, 1 * MIB);
	assert_int_equal(dkim_sig_parse(&a, SPAN("v=1; a=ed25519-sha256; d=Example.ORG; s=Sel; c=relaxed; h=From : to:x; l=99999999999999999999; t=7; bh=" BH32
	    "; b=QUJDREVGR0hJ SktMTU5PUFFSU1RV"), DKIM_SIG_DKIM, &sig, &out), RC_OK);
	assert_int_equal(dns_name_plain(&a, &sig.key_name, &plain), RC_OK);
	assert_span(plain, "sel._domainkey.example.org");
	assert_span(out.i, "@Example.ORG");
	assert_span(out.i_domain, "example.org");
	assert_span(out.b_start, "QUJDREVG");
	assert_span(sig.b_text, "QUJDREVGR0hJSktM");
	assert_span(sig.b, "ABCDEFGHIJKLMNOPQRSTU");
	assert_span(sig.h, "From : to:x");
	assert_int_equal(sig.h_count, 3);
	assert_int_equal(sig.bh.n, 32);
	assert_true(out.kind == CRYPTO_ED25519 && out.hash == CRYPTO_SHA256);
	assert_true(out.header_canon == CANON_RELAXED && out.body_canon == CANON_SIMPLE);
	assert_true(out.l == INT64_MAX && out.t == 7 && out.x == -1);
	arena_fini(&a);
}

/* What is wrong with a signature does not make it nameless. */
static void
test_readable_though_wrong(void **state)
{
	struct dkim_signature out = { 0 };
	struct dkim_sig sig;
	struct arena a;

	(void)state;
	memset(&sig, 0, sizeof sig);
	arena_init(&a, 1 * KIB, 1 * MIB);
	assert_int_equal(dkim_sig_parse(&a, SPAN("v=9; a=x-y; d=example.org; s=a b; b=12345678901"), DKIM_SIG_DKIM, &sig, &out), RC_SYNTAX);
	assert_int_equal(out.reason, DKIM_R_VERSION);
	assert_int_equal(out.result, DKIM_PERMERROR);
	assert_span(out.d, "example.org");
	assert_span(out.a, "x-y");
	assert_null(out.s.p);
	assert_span(out.b_start, "12345678");
	assert_true(out.l == -1 && out.t == -1 && out.x == -1);
	arena_fini(&a);
}

/* ARC's: no v=, i= is a number, From is its caller's matter. */
static void
test_arc(void **state)
{
	static const char text[] = "i=1; a=rsa-sha256; d=example.org; s=sel; h=to" REST;
	struct dkim_signature out = { 0 };
	struct dkim_sig sig;
	struct arena a;

	(void)state;
	memset(&sig, 0, sizeof sig);
	arena_init(&a, 1 * KIB, 1 * MIB);
	assert_int_equal(dkim_sig_parse(&a, span_cstr(text), DKIM_SIG_ARC, &sig, &out), RC_OK);
	assert_span(taglist_get(&sig.tags, SPAN("i")), "1");
	assert_null(out.i.p);
	assert_int_equal(dkim_sig_parse(&a, span_cstr(text), DKIM_SIG_DKIM, &sig, &out), RC_SYNTAX);
	arena_fini(&a);
}

static enum dkim_reason
parse_sized(const char *before, size_t n, char fill, const char *after)
{
	size_t total = strlen(before) + n + strlen(after);
	char *p = xmalloc(total + 1);
	struct dkim_signature out = { 0 };
	struct dkim_sig *sig = xcalloc(1, sizeof *sig);
	struct arena a;
	struct span text;

	memset(p, fill, total);
	memcpy(p, before, strlen(before));
	memcpy(p + total - strlen(after), after, strlen(after));
	text = exact_n(p, total);
	arena_init(&a, 1 * KIB, 1 * MIB);
	(void)!dkim_sig_parse(&a, text, DKIM_SIG_DKIM, sig, &out);
	arena_fini(&a);
	exact_free(text);
	free(p);
	free(sig);
	return out.reason;
}

static void
test_limits(void **state)
{
	static const char z[] = START "h=from" REST "; z=", bh[] = START "h=from; b=QUJD; bh=", b[] = START "h=from; bh=" BH32 "; b=";

	(void)state;
	assert_int_equal(parse_sized(z, DKIM_FIELD_MAX - strlen(z), 'z', ""), DKIM_R_GOOD);
	assert_int_equal(parse_sized(z, DKIM_FIELD_MAX - strlen(z) + 1, 'z', ""), DKIM_R_SYNTAX);
	assert_int_equal(parse_sized(bh, 13336, 'A', ""), DKIM_R_HASH_LENGTH);
	assert_int_equal(parse_sized(b, 1364, 'A', "AA=="), DKIM_R_GOOD);       /* 1024 bytes */
	assert_int_equal(parse_sized(b, 1364, 'A', "AAA="), DKIM_R_SYNTAX);     /* 1025 */
	assert_int_equal(parse_sized(START "h=from" REST "; i=", 200, 'a', "@example.org"), DKIM_R_GOOD);
	assert_int_equal(parse_sized("v=1; a=rsa-sha256; s=sel; h=from" REST "; d=", 60000, 'a', ".example"), DKIM_R_DOMAIN);
	assert_int_equal(parse_sized("v=1; a=rsa-sha256; d=example.org; h=from" REST "; s=", 60000, 'a', ".x"), DKIM_R_DOMAIN);
}

static void
test_no_memory(void **state)
{
	struct dkim_sig *sig = xcalloc(1, sizeof *sig);

	(void)state;
	for (uint64_t at = 1;; at++) {
		struct dkim_signature out = { 0 };
		struct arena a;
		enum rc rc;

		assert_true(at < 100);
		arena_init(&a, 1 * KIB, 1 * MIB);
		a.fail_at = at;
		rc = dkim_sig_parse(&a, SPAN(START "i=x@example.org; h=from" REST), DKIM_SIG_DKIM, sig, &out);
		arena_fini(&a);
		if (rc == RC_OK)
			break;
		assert_int_equal(rc, RC_LIMIT);
		assert_int_equal(out.reason, DKIM_R_MEMORY);
		assert_false(out.is_parsed);
	}
	free(sig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_cut), cmocka_unit_test(test_members), cmocka_unit_test(test_readable_though_wrong),
		cmocka_unit_test(test_arc), cmocka_unit_test(test_limits), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
