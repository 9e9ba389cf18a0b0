/* b64: RFC 4648's examples, what mail puts in between, and what is no base64. */
#include "t/unit/unit.h"

#include "common/base/b64.h"

static void
test_good(void **state)
{
	static const struct { const char *text, *bytes; } rows[] = {
		/* RFC 4648 section 10 */
		{ "", "" }, { "Zg==", "f" }, { "Zm8=", "fo" }, { "Zm9v", "foo" }, { "Zm9vYg==", "foob" }, { "Zm9vYmE=", "fooba" }, { "Zm9vYmFy", "foobar" },
		/* folded */
		{ " \t\r\n", "" }, { "Zm9v\r\n YmFy", "foobar" }, { " Z m\t9\nv\r", "foo" }, { "Zg= =", "f" }, { "Zg=\r\n\t= ", "f" },
		{ "+/+/", "\xfb\xff\xbf" }, { "////", "\xff\xff\xff" },
	};
	struct span out;
	struct arena a;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].text);

		assert_int_equal(b64_decode(&a, text, strlen(rows[i].bytes), &out), RC_OK);     /* max: just enough */
		assert_span(out, rows[i].bytes);
		assert_non_null(out.p);
		if (out.n > 0)
			assert_int_equal(b64_decode(&a, text, out.n - 1, &out), RC_LIMIT);
		exact_free(text);
	}
	arena_fini(&a);
}

static void
test_bad(void **state)
{
	static const char *const rows[] = {
		"Z", "Zg", "Zg=", "Zg===", "Zg====", "Zm8", "Zm8==", "Zm9v=", "Zm9v==", "Zm9vY", "=", "==", "====", "=Zg=", "Z=g=", "Zg==Zg==", "Zm8=Zm8=",
		"Zh==", "Zm9=", "Zm9vYn==",             /* bits beyond the last byte */
		"Zm9v!", "Zm9v-", "Zm9v_", "Zm9v\v", "Zm9v\x80", "Zm9v.", "Zm9v;", "\xc3\xa4==",
	};
	struct span out, text;
	struct arena a;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		text = exact(rows[i]);
		if (b64_decode(&a, text, 100, &out) != RC_SYNTAX)
			fail_msg("\"%s\" was taken", rows[i]);
		exact_free(text);
	}
	text = exact_n("Zm9v\0", 5);
	assert_int_equal(b64_decode(&a, text, 100, &out), RC_SYNTAX);
	exact_free(text);
	arena_fini(&a);
}

/* Every byte at the end of a group and alone: 64 carry bits, one pads, four are blanks. */
static void
test_every_byte(void **state)
{
	size_t good = 0, blank = 0;
	struct span out;
	struct arena a;

	(void)state;
	arena_init(&a, 1024, 64 * KIB);
	for (unsigned c = 0; c < 256; c++) {
		char text[] = { 'A', 'A', 'A', (char)c };
		struct span in = exact_n(text, sizeof text), alone = exact_n(text + 3, 1);

		good += b64_decode(&a, in, 100, &out) == RC_OK;
		blank += b64_decode(&a, alone, 100, &out) == RC_OK;
		exact_free(in);
		exact_free(alone);
	}
	assert_int_equal(good, 65);
	assert_int_equal(blank, 4);
	arena_fini(&a);
}

/* There and back, all lengths around a group, all byte values. */
static void
test_round_trip(void **state)
{
	struct span out;
	struct arena a;

	(void)state;
	arena_init(&a, 1024, 1 * MIB);
	for (size_t n = 0; n < 520; n++) {
		struct buf b = buf_heap(1024);
		struct span bytes;
		char raw[520];

		for (size_t i = 0; i < n; i++)
			raw[i] = (char)(i * 7 + n);
		bytes = exact_n(raw, n);
		b64_encode(&b, bytes);
		assert_int_equal(buf_text(&b).n, (n + 2) / 3 * 4);
		assert_int_equal(b64_decode(&a, buf_text(&b), n, &out), RC_OK);
		assert_true(span_eq(out, bytes));
		exact_free(bytes);
		buf_fini(&b);
	}
	arena_fini(&a);
}

static void
test_memory(void **state)
{
	struct span out;
	struct arena a;

	(void)state;
	arena_init(&a, 64, 64 * KIB);
	a.fail_at = 1;
	assert_int_equal(b64_decode(&a, SPAN("Zm9v"), 100, &out), RC_LIMIT);
	assert_int_equal(b64_decode(&a, SPAN("Zm9"), 100, &out), RC_SYNTAX);
	assert_int_equal(b64_decode(&a, SPAN(""), 0, &out), RC_OK);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("b64", tests, NULL, NULL);
}
