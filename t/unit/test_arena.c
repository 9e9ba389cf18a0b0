/*
 * arena: zeroed and aligned memory, the ceiling, cleanups, what reset keeps.  Runs in both builds; with ENMA_ARENA_MALLOC (the sanitizer
 * builds) an overrun of one byte must be seen.
 */
#include "t/unit/unit.h"

#include <stdalign.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/arena.h"

#define ALIGN alignof(max_align_t)

static void
test_zeroed_and_aligned(void **state)
{
	struct arena a;
	size_t n, i;
	int round;

	(void)state;
	arena_init(&a, 512, MIB);
	for (round = 0; round < 3; round++) {           /* the kept block is dirty in later rounds */
		for (n = 0; n < 200; n++) {
			char *p = arena_alloc(&a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % ALIGN, 0);
			for (i = 0; i < n; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, n);
		}
		assert_int_equal(a.count, 200u * (unsigned)(round + 1));
		arena_reset(&a);
		assert_int_equal(a.used, 0);
	}
	arena_fini(&a);
	arena_fini(&a);
}

/* Neighbours do not overlap, in one block and across blocks. */
static void
test_no_overlap(void **state)
{
	enum { N = 300 };
	unsigned char *p[N];
	struct arena a;
	int i, j;

	(void)state;
	arena_init(&a, 256, MIB);
	for (i = 0; i < N; i++) {
		p[i] = arena_array(&a, unsigned char, (size_t)(1 + i));
		assert_non_null(p[i]);
		memset(p[i], i, (size_t)(1 + i));
	}
	for (i = 0; i < N; i++) {
		for (j = 0; j <= i; j++)
			assert_int_equal(p[i][j], i & 255);
	}
	arena_fini(&a);
}

static void
test_ceiling(void **state)
{
	static const size_t firsts[] = { 0, 16, 256, 100000 };
	struct arena a;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(firsts); i++) {
		arena_init(&a, firsts[i], 64 * ALIGN);
		for (n = 0; n < 64; n++)
			assert_non_null(arena_alloc(&a, ALIGN));
		assert_null(arena_alloc(&a, 1));                /* at the ceiling: not one byte more */
		assert_null(arena_alloc(&a, 0));
		arena_reset(&a);
		assert_non_null(arena_alloc(&a, 64 * ALIGN));
		arena_reset(&a);
		assert_null(arena_alloc(&a, 64 * ALIGN + 1));
		assert_non_null(arena_alloc(&a, 64 * ALIGN));   /* a refusal costs nothing */
		arena_fini(&a);
	}
	arena_init(&a, 256, SIZE_MAX);
	assert_null(arena_alloc(&a, SIZE_MAX));                 /* no wrap while rounding up */
	assert_null(arena_alloc(&a, SIZE_MAX - ALIGN + 2));
	assert_null(arena_calloc(&a, SIZE_MAX / 2, 3));
	assert_null(arena_calloc(&a, (size_t)1 << 33, (size_t)1 << 31));
	assert_true(span_is_null(arena_copy(&a, span_of("x", SIZE_MAX))));
	assert_int_equal(a.used, 0);
	arena_fini(&a);
	arena_init(&a, 256, 0);
	assert_null(arena_alloc(&a, 1));
	arena_fini(&a);
}

static void
test_nothing_before_first_use(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 64 * KIB, MIB);
	assert_null(a.blocks);
	arena_reset(&a);
	assert_null(a.blocks);
	arena_fini(&a);
}

/* A busy connection keeps its block; what was larger goes. */
static void
test_reset_keeps_first_block(void **state)
{
	struct arena a;
	void *first;

	(void)state;
	arena_init(&a, 4 * KIB, MIB);
	first = arena_alloc(&a, 100);
	assert_non_null(arena_alloc(&a, 100 * KIB));
	arena_reset(&a);
#ifdef ENMA_ARENA_MALLOC
	assert_null(a.blocks);
	(void)first;
#else
	assert_ptr_equal(arena_alloc(&a, 100), first);
	arena_reset(&a);
	/* A first allocation over the block's size must not become the kept block. */
	arena_fini(&a);
	arena_init(&a, 256, MIB);
	assert_non_null(arena_alloc(&a, 500 * KIB));
	arena_reset(&a);
	assert_null(a.blocks);
#endif
	arena_fini(&a);
}

static void
test_copy(void **state)
{
	struct span s = exact("text"), copy;
	struct arena a;

	(void)state;
	arena_init(&a, 256, 4 * ALIGN);
	copy = arena_copy(&a, s);
	assert_span(copy, "text");
	assert_int_equal(copy.p[4], '\0');
	assert_ptr_not_equal(copy.p, s.p);
	copy = arena_copy(&a, SPAN_NULL);
	assert_true(copy.n == 0 && copy.p != NULL && copy.p[0] == '\0');
	copy = arena_copy(&a, span_of("0123456789abcdef0123456789abcdef", 2 * ALIGN - 1));      /* and the NUL: just fits */
	assert_false(span_is_null(copy));
	arena_reset(&a);
	assert_true(span_is_null(arena_copy(&a, span_of("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 4 * ALIGN))));
	exact_free(s);
	arena_fini(&a);
}

static char order[16];

static void
note(void *arg)
{
	size_t n = strlen(order);

	order[n] = *(char *)arg;
	order[n + 1] = '\0';
}

static void
test_cleanups(void **state)
{
	struct arena a;
	char *x, *y, *z;

	(void)state;
	arena_init(&a, 256, KIB);
	x = arena_new(&a, char);
	y = arena_new(&a, char);
	z = arena_new(&a, char);
	*x = 'x';
	*y = 'y';
	*z = 'z';
	order[0] = '\0';
	assert_true(arena_on_reset(&a, note, x));
	assert_true(arena_on_reset(&a, note, y));
	assert_true(arena_on_reset(&a, note, z));
	arena_reset(&a);
	assert_string_equal(order, "zyx");      /* last first, while the memory is still there */
	arena_reset(&a);
	assert_string_equal(order, "zyx");      /* once */
	x = arena_new(&a, char);
	*x = 'w';
	assert_true(arena_on_reset(&a, note, x));
	arena_fini(&a);
	assert_string_equal(order, "zyxw");
	arena_fini(&a);
	assert_string_equal(order, "zyxw");
	/* At the ceiling nothing is registered, and that is said. */
	arena_init(&a, 256, ALIGN);
	x = arena_new(&a, char);
	assert_false(arena_on_reset(&a, note, x));
	arena_fini(&a);
	assert_string_equal(order, "zyxw");
}

static void
test_fail_at(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 256, KIB);
	a.fail_at = 3;
	assert_non_null(arena_alloc(&a, 1));
	assert_non_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 1));
	arena_reset(&a);
	a.count = 0;
	a.fail_at = 0;
	assert_non_null(arena_alloc(&a, 1));
	arena_fini(&a);
}

#ifdef ENMA_ARENA_MALLOC
/* AddressSanitizer ends the child: one byte behind an allocation, and use after reset. */
static void
misuse(int which)
{
	struct arena a;
	volatile char *p;

	close(STDERR_FILENO);
	arena_init(&a, 256, KIB);
	p = arena_alloc(&a, 5);
	if (which == 1)
		arena_reset(&a);
	p[which == 0 ? 5 : 0] = 'x';
	_exit(0);
}

static void
test_overrun_is_seen(void **state)
{
	int which, status;

	(void)state;
	for (which = 0; which < 2; which++) {
		pid_t pid = fork();

		if (pid == 0)
			misuse(which);
		waitpid(pid, &status, 0);
#if defined __SANITIZE_ADDRESS__
		assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_nothing_before_first_use),
		cmocka_unit_test(test_reset_keeps_first_block),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_cleanups),
		cmocka_unit_test(test_fail_at),
#ifdef ENMA_ARENA_MALLOC
		cmocka_unit_test(test_overrun_is_seen),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
