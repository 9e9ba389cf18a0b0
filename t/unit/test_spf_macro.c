/* spf_macro: grammar of macro-strings, every letter, transformer and delimiter, and lengths. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/auth/spf_int.h"
#include "common/base/buf.h"
#include "common/base/domain.h"

static struct arena arena;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena, 4 * KIB, MIB);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

/* The example of RFC 7208 section 7.4. */
static struct spf_values
values_of(const char *ip_text)
{
	struct spf_values v = {
		.sender = SPAN("strong-bad@email.example.com"), .local = SPAN("strong-bad"), .sender_domain = SPAN("email.example.com"),
		.domain = SPAN("email.example.com"), .helo = SPAN("mx.example.org"), .receiver = SPAN("mail.example.jp"),
		.validated = SPAN("unknown"),
	};
	struct ip ip;

	assert_int_equal(ip_parse(span_cstr(ip_text), &ip), RC_OK);
	spf_values_init(&v, &ip, 1700000000);
	return v;
}

static void
expect_name(const struct spf_values *v, const char *text, const char *want)
{
	struct span s = exact(text), out;

	assert_int_equal(spf_macro_name(&arena, s, v, &out), RC_OK);
	if (!span_eq(out, span_cstr(want)))
		fail_msg("%s: got \"%.*s\", want \"%s\"", text, SPAN_ARGS(out), want);
	exact_free(s);
}

static void
test_rfc_examples(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "%{s}", "strong-bad@email.example.com" }, { "%{o}", "email.example.com" }, { "%{d}", "email.example.com" },
		{ "%{d4}", "email.example.com" }, { "%{d3}", "email.example.com" }, { "%{d2}", "example.com" }, { "%{d1}", "com" },
		{ "%{dr}", "com.example.email" }, { "%{d2r}", "example.email" }, { "%{l}", "strong-bad" }, { "%{l-}", "strong.bad" },
		{ "%{lr}", "strong-bad" }, { "%{lr-}", "bad.strong" }, { "%{l1r-}", "strong" },
		{ "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
		{ "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
		{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
		{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
		{ "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
		{ "%{h}", "mx.example.org" }, { "%{p}.x", "unknown.x" }, { "%{i}", "192.0.2.3" }, { "%{i1}.x", "3.x" },
		{ "%{i2r}.x", "0.192.x" }, { "%{i3r}.x", "2.0.192.x" }, { "%{I}.x", "192.0.2.3.x" },
		{ "a%%b%_c%-d.x", "a%b c%20d.x" }, { "x.example.", "x.example" }, { "%{d}.", "email.example.com" },
		{ "%{d2147483648}", "email.example.com" }, { "%{d99999999999999999999999999r}", "com.example.email" },
		{ "%{d1r}", "email" }, { "%{d1r}.x", "email.x" }, { "%{D1R}.x", "email.x" },
		{ "%{d128r-+,/_=}", "email.example.com" }, { "%{l1-}", "bad" }, { "%{l2-}", "strong.bad" }, { "%{l9r-}", "bad.strong" },
		{ "%{S}", "strong-bad%40email.example.com" },
	};
	struct spf_values v = values_of("192.0.2.3");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_name(&v, rows[i].text, rows[i].want);
}

static void
test_v6(void **state)
{
	struct spf_values v = values_of("2001:db8::cb01");

	(void)state;
	expect_name(&v, "%{ir}.%{v}._spf.%{d2}",
	    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com");
	expect_name(&v, "%{i}.x", "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1.x");
	expect_name(&v, "%{i4}.x", "c.b.0.1.x");
	v = values_of("::ffff:192.0.2.3");
	expect_name(&v, "%{ir}.%{v}.x", "3.2.0.192.in-addr.x");
}

/* Empty parts stay (section 7.3); any listed delimiter splits. */
static void
test_split(void **state)
{
	static const struct { const char *local, *text, *want; } rows[] = {
		{ "a..b", "%{lr}", "b..a" }, { ".a.", "%{lr}", ".a." }, { "a.b.", "%{l2}", "b." }, { ".a.b", "%{l3}", ".a.b" },
		{ "..", "%{lr}", ".." }, { "..", "%{l1}", "" }, { "..", "%{l1r}", "" }, { "..", "%{l2}", "." },
		{ "foo-bar+zip+quux", "%{l2r+-}", "bar.foo" }, { "foo-bar+zip+quux", "%{l+-}", "foo.bar.zip.quux" },
		{ "foo-bar+zip+quux", "%{l2+-}", "zip.quux" }, { "foo-bar+zip+quux", "%{l+}", "foo-bar.zip.quux" },
		{ "a.b-c", "%{lr-}", "c.a.b" }, { "a.b-c", "%{l1-}", "c" }, { "a.b-c", "%{l2r.-}", "b.a" },
		{ "a,b/c_d=e", "%{l,/_=}", "a.b.c.d.e" }, { "a,b/c_d=e", "%{lr,/_=}", "e.d.c.b.a" }, { "--", "%{lr-}", ".." },
		{ "x", "%{l1r}", "x" }, { "", "%{l}x", "x" }, { "", "%{lr}x", "x" }, { "", "%{l5r-}x", "x" },
		{ "~jack&jill=up-a_b3.c", "%{L}", "~jack%26jill%3Dup-a_b3.c" }, { "a b", "%{L}", "a%20b" }, { "a%b", "%{L}", "a%25b" },
		{ "\x80\xff", "%{L}", "%80%FF" }, { "a&b", "%{LR}", "a%26b" }, { "a&b-c&d", "%{LR-}", "c%26d.a%26b" },
		{ "a&b-c&d", "%{L1-}", "c%26d" }, { "%{d}", "%{l}", "%{d}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct spf_values v = values_of("192.0.2.3");

		char guarded[128], want[128];

		/* One final dot is the root's, so it is guarded here. */
		v.local = exact(rows[i].local);
		snprintf(guarded, sizeof guarded, "%s!", rows[i].text);
		snprintf(want, sizeof want, "%s!", rows[i].want);
		expect_name(&v, guarded, want);
		exact_free(v.local);
	}
}

static void
test_absent_values(void **state)
{
	static const char *const texts[] = { "%{s}!", "%{l1r-}!", "%{h2}!", "%{hr}!", "%{H9R+}!", "%{o}!", "%{p}!", "%{d}!" };
	struct spf_values v = values_of("192.0.2.3");

	(void)state;
	v.sender = v.local = v.helo = v.sender_domain = v.validated = v.domain = SPAN_NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		expect_name(&v, texts[i], "!");
}

static void
test_check(void **state)
{
	static const struct { const char *text; bool domain, ignored, explanation; } rows[] = {
		{ "", false, true, true }, { "a.b", true, true, true }, { "ab", false, true, true }, { "a b", false, false, true },
		{ "%{d}", true, true, true }, { "%{c}", false, true, true }, { "%{R}", false, true, true }, { "%{t}.a.b", false, true, true },
		{ "%", false, false, false }, { "%{", false, false, false }, { "%{d", false, false, false }, { "%{}", false, false, false },
		{ "a%", false, false, false }, { "%%", true, true, true }, { "%_", true, true, true }, { "%-", true, true, true },
		{ "%%%", false, false, false }, { "%a", false, false, false }, { "% ", false, false, false }, { "%{x}", false, false, false },
		{ "%{s2@}", false, false, false }, { "%{d0}", false, false, false }, { "%{d000}", false, false, false }, { "%{d001}", true, true, true },
		{ "%{d r}", false, false, false }, { "%{d-+}", true, true, true }, { "%{drr}", false, false, false }, { "%{d1r-1}", false, false, false },
		{ "\x80", false, false, false }, { "a\tb", false, false, false }, { "a\nb", false, false, false }, { "\x7f", false, false, false },
		{ "%{d}a", false, true, true }, { "%{d}.a", true, true, true }, { "%{d}.a.", true, true, true }, { "%{d}.1", false, true, true },
		{ "See http://%{d}/why.html?s=%{S}&i=%{I}", false, false, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].text);

		if ((spf_macro_check(s, SPF_TEXT_DOMAIN) == NULL) != rows[i].domain)
			fail_msg("domain \"%s\"", rows[i].text);
		if ((spf_macro_check(s, SPF_TEXT_IGNORED) == NULL) != rows[i].ignored)
			fail_msg("ignored \"%s\"", rows[i].text);
		if ((spf_macro_check(s, SPF_TEXT_EXPLANATION) == NULL) != rows[i].explanation)
			fail_msg("explanation \"%s\"", rows[i].text);
		exact_free(s);
	}
}

static void
test_letters(void **state)
{
	(void)state;
	assert_int_equal(spf_macro_letters(SPAN("a.b")), 0);
	assert_int_equal(spf_macro_letters(SPAN("%%{d}")), 0);
	assert_int_equal(spf_macro_letters(SPAN("%{d}%{D2r}.%{i}")), SPF_LETTER('d') | SPF_LETTER('i'));
	assert_true(spf_macro_is_literal(SPAN("a.b")));
	assert_false(spf_macro_is_literal(SPAN("a%-.b")));
}

/* n bytes of labels of 9 and a dot, the first label made to fit. */
static struct span
long_name(size_t n)
{
	char *p = xmalloc(n);

	for (size_t i = 0; i < n; i++)
		p[n - 1 - i] = i % 10 == 9 ? '.' : (char)('a' + i / 10 % 26);
	return span_of(p, n);
}

/* Section 7.3: over 253 bytes, labels go from the left until it fits. */
static void
test_truncation(void **state)
{
	static const struct { size_t in, out; } rows[] = {
		{ 252, 252 }, { 253, 253 }, { 254, 249 }, { 255, 249 }, { 256, 249 }, { 257, 249 }, { 258, 249 }, { 260 + 253, 249 }, { 5000, 249 },
		{ 258 + 256, 249 },
	};
	struct spf_values v = values_of("192.0.2.3");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span name = long_name(rows[i].in), out;

		v.domain = name;
		assert_int_equal(spf_macro_name(&arena, SPAN("%{d}"), &v, &out), RC_OK);
		if (!span_eq(out, span_from(name, rows[i].in - rows[i].out)))
			fail_msg("%zu: got %zu bytes", rows[i].in, out.n);
		/* A final dot does not count. */
		assert_int_equal(spf_macro_name(&arena, SPAN("%{d}."), &v, &out), RC_OK);
		if (!span_eq(out, span_from(name, rows[i].in - rows[i].out)))
			fail_msg("%zu with a dot: got %zu bytes", rows[i].in, out.n);
		exact_free(name);
	}
}

/* A border that falls exactly on a dot keeps all 253; one label longer than a name leaves nothing to ask for. */
static void
test_truncation_border(void **state)
{
	struct spf_values v = values_of("192.0.2.3");
	struct span name = long_name(253), out;
	char huge[400];

	(void)state;
	v.domain = name;
	assert_int_equal(spf_macro_name(&arena, SPAN("x.%{d}"), &v, &out), RC_OK);
	assert_true(span_eq(out, name));
	assert_int_equal(spf_macro_name(&arena, SPAN("xxxxxxxxxxxxxxxxxxxxxx.y.%{d}."), &v, &out), RC_OK);
	assert_true(span_eq(out, name));
	exact_free(name);
	memset(huge, 'x', sizeof huge);
	v.domain = span_of(huge, sizeof huge);
	assert_int_equal(spf_macro_name(&arena, SPAN("%{d}"), &v, &out), RC_OK);
	assert_int_equal(out.n, 0);
	v.domain = span_of(huge, 300);
	assert_int_equal(spf_macro_name(&arena, SPAN("%{d}.example.org"), &v, &out), RC_OK);
	assert_span(out, "example.org");
}

/* Thousands of macros: work and memory stay in bounds, and the right end is there. */
static void
test_flood(void **state)
{
	struct buf b = buf_heap(MIB);
	struct spf_values v = values_of("2001:db8::1");
	struct span out;

	(void)state;
	while (b.n < SPF_RECORD_MAX - 20)
		buf_str(&b, "%{S}%{Lr-}");
	buf_str(&b, ".%{d}");
	assert_null(spf_macro_check(buf_text(&b), SPF_TEXT_DOMAIN));
	assert_int_equal(spf_macro_name(&arena, buf_text(&b), &v, &out), RC_OK);
	assert_true(out.n <= DOMAIN_MAX);
	assert_true(span_ends_nocase(out, SPAN(".email.example.com")));
	assert_int_equal(spf_macro_explanation(&arena, buf_text(&b), &v, &out), RC_OK);
	assert_int_equal(out.n, SPF_EXPLANATION_MAX);
	assert_true(arena.used < 16 * KIB);
	buf_fini(&b);
}

static void
test_explanation(void **state)
{
	struct spf_values v = values_of("2001:db8::cb01");
	struct span out;
	struct buf b = buf_heap(KIB);

	(void)state;
	assert_int_equal(spf_macro_explanation(&arena, SPAN("%{c} at %{t} by %{r}: %{S}%_%%."), &v, &out), RC_OK);
	assert_span(out, "2001:db8::cb01 at 1700000000 by mail.example.jp: strong-bad%40email.example.com %.");
	v.local = SPAN("a\r\nb\x80\xc3\xa9\x7f");
	assert_int_equal(spf_macro_explanation(&arena, SPAN("%{l}"), &v, &out), RC_OK);
	assert_span(out, "a??b????");
	assert_int_equal(spf_macro_explanation(&arena, SPAN(""), &v, &out), RC_OK);
	assert_int_equal(out.n, 0);

	while (b.n < SPF_EXPLANATION_MAX)
		buf_byte(&b, 'x');
	assert_int_equal(spf_macro_explanation(&arena, buf_text(&b), &v, &out), RC_OK);
	assert_true(span_eq(out, buf_text(&b)));
	buf_str(&b, "y%{s}");
	assert_int_equal(spf_macro_explanation(&arena, buf_text(&b), &v, &out), RC_OK);
	assert_int_equal(out.n, SPF_EXPLANATION_MAX);
	assert_int_equal(out.p[SPF_EXPLANATION_MAX - 1], 'x');
	buf_fini(&b);
}

static void
test_arena_ceiling(void **state)
{
	struct spf_values v = values_of("192.0.2.3");
	struct span out;

	(void)state;
	arena.fail_at = arena.count + 1;
	assert_int_equal(spf_macro_name(&arena, SPAN("%{d}"), &v, &out), RC_LIMIT);
	assert_int_equal(spf_macro_explanation(&arena, SPAN("%{d}"), &v, &out), RC_LIMIT);
	arena.fail_at = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rfc_examples, setup, teardown),
		cmocka_unit_test_setup_teardown(test_v6, setup, teardown),
		cmocka_unit_test_setup_teardown(test_split, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_values, setup, teardown),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_letters),
		cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncation_border, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explanation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arena_ceiling, setup, teardown),
	};

	return cmocka_run_group_tests_name("spf_macro", tests, NULL, NULL);
}
