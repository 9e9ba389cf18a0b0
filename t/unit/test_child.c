/* child: how the end of a process is told. */
#include "t/unit/unit.h"

#include "cache/cache_guard.h"
#include "master/child.h"

static void
test_print_end(void **state)
{
	static const struct {
		int wait_status;
		const char *want;
	} cases[] = {
		{ 0, "has left" },
		{ 3 << 8, "ended with exit code 3" },
		{ 70 << 8, "ended with exit code 70 (gave itself up)" },
		{ 75 << 8, "ended with exit code 75 (could not start)" },
		{ 78 << 8, "ended with exit code 78 (cannot work with this configuration)" },
		{ CACHE_GUARD_EXIT << 8, "ended with exit code 87 (met a damaged cache file)" },
		{ 9, "was killed by signal 9 (SIGKILL)" },
		{ 11 | 0x80, "was killed by signal 11 (SIGSEGV), core dumped" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = buf_heap(KIB);

		child_print_end(cases[i].wait_status, &b);
		assert_span(buf_text(&b), cases[i].want);
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_print_end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
