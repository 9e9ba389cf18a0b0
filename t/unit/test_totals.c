/* totals: counters of workers that cannot be trusted never make a sum go backwards or wrap. */
#include "t/unit/unit.h"

#include <unistd.h>

#include "master/totals.h"

static struct board *board;
static size_t board_bytes;

static int
setup(void **state)
{
	int fd;

	(void)state;
	if (board_create(0, &fd, &board, &board_bytes) != RC_OK)
		return -1;
	close(fd);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	board_detach(&board, board_bytes);
	return 0;
}

static void
test_never_backwards(void **state)
{
	static struct totals seen, sum;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&sum, 0, sizeof(sum));
	board_add(board, BOARD_MESSAGES, 10);
	board_record_us(board, BOARD_H_EOM, 5);
	totals_observe(&seen, board);
	assert_true(seen.counter[BOARD_MESSAGES] == 10);
	atomic_store(&board->counter[BOARD_MESSAGES], 3);
	atomic_store(&board->histogram[BOARD_H_EOM][2], 0);
	totals_observe(&seen, board);
	assert_true(seen.counter[BOARD_MESSAGES] == 10);
	assert_true(seen.histogram[BOARD_H_EOM][2] == 1 && seen.histogram_sum_us[BOARD_H_EOM] == 5);
	board_add(board, BOARD_MESSAGES, 8);
	totals_observe(&seen, board);
	assert_true(seen.counter[BOARD_MESSAGES] == 11);
	totals_add(&sum, &seen);
	totals_add(&sum, &seen);
	assert_true(sum.counter[BOARD_MESSAGES] == 22);
	assert_true(sum.histogram[BOARD_H_EOM][2] == 2 && sum.histogram_sum_us[BOARD_H_EOM] == 10);
}

static void
test_never_wraps(void **state)
{
	static struct totals seen, sum;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	memset(&sum, 0, sizeof(sum));
	atomic_store(&board->counter[BOARD_CONNECTIONS], UINT64_MAX - 1);
	totals_observe(&seen, board);
	totals_add(&sum, &seen);
	sum.counter[BOARD_MESSAGES] = 7;
	assert_true(sum.counter[BOARD_CONNECTIONS] == UINT64_MAX - 1);
	totals_add(&sum, &seen);
	assert_true(sum.counter[BOARD_CONNECTIONS] == UINT64_MAX);
	totals_add(&sum, &seen);
	assert_true(sum.counter[BOARD_CONNECTIONS] == UINT64_MAX);
	assert_true(sum.counter[BOARD_MESSAGES] == 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_never_backwards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_wraps, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
