/* Slots: the cap, reuse, the board's texts, and the session that is in its callback for too long. */
#include "t/unit/unit.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "worker/slots.h"

static struct board *board;
static size_t board_size;

static struct slots *
make(uint32_t on_board, size_t capacity)
{
	int fd;

	assert_int_equal(board_create(on_board, &fd, &board, &board_size), RC_OK);
	close(fd);
	return slots_create(board, capacity);
}

static void
unmake(struct slots **s)
{
	slots_destroy(s);
	assert_null(*s);
	slots_destroy(s);
	board_detach(&board, board_size);
}

static void
test_cap(void **state UNUSED)
{
	static const struct { uint32_t on_board; size_t capacity, want; } cases[] = { { 3, 3, 3 }, { 3, 9, 3 }, { 9, 2, 2 } };

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slots *s = make(cases[i].on_board, cases[i].capacity);
		int slot[16];

		for (size_t k = 0; k < cases[i].want; k++) {
			slot[k] = slots_take(s);
			assert_in_range(slot[k], 0, cases[i].want - 1);
			for (size_t other = 0; other < k; other++)
				assert_int_not_equal(slot[k], slot[other]);
		}
		assert_int_equal(slots_take(s), SLOT_NONE);
		assert_int_equal(slots_open(s), cases[i].want + 1);
		assert_int_equal(atomic_load(&board->sessions), cases[i].want + 1);
		slots_give(s, SLOT_NONE);
		slots_give(s, slot[1]);
		assert_int_equal(slots_take(s), slot[1]);
		for (size_t k = 0; k < cases[i].want; k++)
			slots_give(s, slot[k]);
		assert_int_equal(slots_open(s), 0);
		assert_int_equal(slots_begun(s), cases[i].want + 2);
		slots_check_lock(s);
		unmake(&s);
	}
}

/* 23 bytes are kept, the 24th is for the NUL. */
static void
test_qid_is_cut(void **state UNUSED)
{
	struct slots *s = make(1, 1);
	int slot = slots_take(s);

	slots_set_qid(s, slot, SPAN("12345678901234567890123"));
	assert_string_equal(board->session[0].qid, "12345678901234567890123");
	slots_set_qid(s, slot, SPAN("123456789012345678901234"));
	assert_string_equal(board->session[0].qid, "12345678901234567890123");
	slots_set_qid(s, slot, SPAN("short"));
	assert_string_equal(board->session[0].qid, "short");
	slots_set_qid(s, SLOT_NONE, SPAN("nobody"));
	slots_give(s, slot);
	slot = slots_take(s);
	assert_string_equal(board->session[slot].qid, "");
	slots_give(s, slot);
	unmake(&s);
}

static void
test_stuck(void **state UNUSED)
{
	struct slots *s = make(3, 3);
	int a = slots_take(s), b = slots_take(s), c = slots_take(s);
	int64_t now = clock_mono_ms();
	struct slots_stuck stuck;

	slots_enter(s, a, BOARD_P_EOM);
	slots_set_qid(s, a, SPAN("4Xq1"));
	slots_enter(s, b, BOARD_P_HEADER);
	slots_leave(s, b, BOARD_P_BODY);
	slots_enter(s, SLOT_NONE, BOARD_P_EOM);
	now = atomic_load(&board->session[a].since_ms);
	assert_false(slots_find_stuck(s, now + 1000, 1000, &stuck));
	assert_true(slots_find_stuck(s, now + 1001, 1000, &stuck));
	assert_int_equal(stuck.slot, a);
	assert_int_equal(stuck.phase, BOARD_P_EOM);
	assert_int_equal(stuck.for_ms, 1001);
	assert_string_equal(stuck.qid, "4Xq1");
	/* between callbacks nobody is stuck, however long it takes */
	slots_leave(s, a, BOARD_P_IDLE);
	assert_false(slots_find_stuck(s, now + 100000000, 1000, &stuck));
	slots_give(s, a);
	slots_give(s, b);
	slots_give(s, c);
	unmake(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cap), cmocka_unit_test(test_qid_is_cut), cmocka_unit_test(test_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
