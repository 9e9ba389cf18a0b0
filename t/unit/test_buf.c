/* buf: growth, the ceiling at and past, sticky failure, both homes. */
#include "t/unit/unit.h"

#include <limits.h>

#include "common/base/buf.h"

static void
fill(struct buf *b)
{
	buf_str(b, "n=");
	buf_uint(b, 0);
	buf_byte(b, ' ');
	buf_uint(b, UINT64_MAX);
	buf_byte(b, ' ');
	buf_int(b, INT64_MIN);
	buf_byte(b, ' ');
	buf_int(b, INT64_MAX);
	buf_int(b, -1);
	buf_span(b, SPAN_NULL);
	buf_span(b, SPAN("\0x"));
	buf_fmt(b, "%s|%05d", "f", 42);
	buf_fmt(b, "%s", "");
}

static const char filled[] = "n=0 18446744073709551615 -9223372036854775808 9223372036854775807-1\0xf|00042";

static void
test_append(void **state)
{
	struct buf heap = buf_heap(1000), in_arena;
	struct arena a;
	struct span out;

	(void)state;
	arena_init(&a, 256, 16 * KIB);
	in_arena = buf_in(&a, 1000);
	fill(&heap);
	fill(&in_arena);
	assert_int_equal(buf_done(&heap, &out), RC_OK);
	assert_int_equal(out.n, sizeof filled - 1);
	assert_memory_equal(out.p, filled, sizeof filled);      /* with the NUL behind it */
	assert_int_equal(buf_done(&in_arena, &out), RC_OK);
	assert_int_equal(out.n, sizeof filled - 1);
	assert_memory_equal(out.p, filled, sizeof filled);
	buf_fini(&heap);
	buf_fini(&heap);
	buf_fini(&in_arena);
	arena_fini(&a);
}

static void
test_empty(void **state)
{
	struct buf b = buf_heap(10);
	struct span s = buf_text(&b);

	(void)state;
	assert_true(s.n == 0 && s.p != NULL && s.p[0] == '\0' && buf_ok(&b));
	buf_fini(&b);
}

/* Each way to append, at the ceiling and one past, for ceilings around every growth step. */
static void
test_ceiling(void **state)
{
	static const size_t ceilings[] = { 1, 2, 62, 63, 64, 65, 127, 128, 129, 1000 };
	char *text = xmalloc(2000);
	struct arena a;
	struct span out;
	size_t i, n;
	int home, way;

	(void)state;
	memset(text, 'x', 2000);
	arena_init(&a, 256, MIB);
	for (i = 0; i < ARRAY_LEN(ceilings) * 2 * 3; i++) {
		size_t ceiling = ceilings[i / 6];
		struct buf b;

		home = (int)(i % 2);
		way = (int)(i / 2 % 3);
		b = home ? buf_in(&a, ceiling) : buf_heap(ceiling);
		for (n = 0; n < ceiling; n++) {
			if (way == 0)
				buf_byte(&b, 'x');
			else if (way == 1)
				buf_fmt(&b, "%c", 'x');
			else if (n == 0)
				buf_span(&b, span_of(text, ceiling));
		}
		assert_int_equal(buf_done(&b, &out), RC_OK);
		assert_int_equal(out.n, ceiling);
		assert_int_equal(out.p[ceiling], '\0');
		buf_span(&b, SPAN(""));
		assert_true(buf_ok(&b));
		if (way == 1)
			buf_fmt(&b, "%c", 'y');
		else
			buf_byte(&b, 'y');
		assert_false(buf_ok(&b));
		assert_int_equal(buf_done(&b, &out), RC_LIMIT);
		assert_int_equal(out.n, ceiling);               /* what was there stays */
		buf_span(&b, SPAN(""));
		buf_byte(&b, 'z');
		assert_int_equal(buf_done(&b, &out), RC_LIMIT); /* and failure is remembered */
		buf_clear(&b);
		assert_true(buf_ok(&b) && buf_text(&b).n == 0);
		buf_byte(&b, 'a');
		assert_span(buf_text(&b), "a");
		buf_fini(&b);
	}
	arena_fini(&a);
	free(text);
}

static void
test_absurd(void **state)
{
	struct buf b = buf_heap(SIZE_MAX), none = buf_heap(0);
	char c = 'x';

	(void)state;
	buf_byte(&b, 'a');
	buf_span(&b, span_of(&c, SIZE_MAX));                    /* must fail before it is read */
	assert_false(buf_ok(&b));
	assert_span(buf_text(&b), "a");
	buf_fini(&b);
	buf_byte(&none, 'a');
	assert_false(buf_ok(&none));
	assert_int_equal(buf_text(&none).n, 0);
	buf_fini(&none);
}

static void
test_arena_ceiling(void **state)
{
	struct arena a;
	struct buf b;
	int i;

	(void)state;
	arena_init(&a, 0, 200);
	b = buf_in(&a, 100000);
	for (i = 0; i < 1000; i++)
		buf_byte(&b, 'x');
	assert_false(buf_ok(&b));
	assert_in_range(buf_text(&b).n, 60, 200);
	arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_absurd),
		cmocka_unit_test(test_arena_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
