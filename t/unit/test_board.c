/* board: layout in shared memory, sealing, refusal of what is no board, histogram buckets. */
#include "t/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ipc/board.h"

static void
test_two_sides_see_one_page(void **state)
{
	struct board *sup, *child;
	size_t n, m;
	int fd;

	(void)state;
	assert_int_equal(board_create(3, &fd, &sup, &n), RC_OK);
	assert_int_equal(board_attach(fd, &child, &m), RC_OK);
	assert_int_equal(n, m);
	assert_int_equal(child->session_count, 3);
	board_add(child, BOARD_MESSAGES, 2);
	board_add(child, BOARD_MESSAGES, 3);
	board_add(NULL, BOARD_MESSAGES, 3);
	assert_int_equal(atomic_load(&sup->counter[BOARD_MESSAGES]), 5);
	memcpy(child->session[2].qid, "4Xq1", 5);
	assert_string_equal(sup->session[2].qid, "4Xq1");
	board_detach(&child, m);
	assert_null(child);
	board_detach(&child, m);
	board_detach(&sup, n);
	close(fd);
}

static void
test_size_is_sealed(void **state)
{
	struct board *b;
	size_t n;
	int fd;

	(void)state;
	assert_int_equal(board_create(1, &fd, &b, &n), RC_OK);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)n + 1), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	board_detach(&b, n);
	close(fd);
}

static void
test_session_limit(void **state)
{
	struct board *b;
	size_t n;
	int fd;

	(void)state;
	assert_int_equal(board_create(BOARD_SESSIONS_MAX, &fd, &b, &n), RC_OK);
	board_detach(&b, n);
	close(fd);
	assert_int_equal(board_create(BOARD_SESSIONS_MAX + 1, &fd, &b, &n), RC_LIMIT);
	assert_int_equal(fd, -1);
	assert_null(b);
	assert_int_equal(board_create(0, &fd, &b, &n), RC_OK);
	board_detach(&b, n);
	close(fd);
}

static void
refused(const struct board *head, size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct board *b;
	size_t n;

	assert_true(fd >= 0);
	if (head != NULL)
		assert_int_equal(write(fd, head, sizeof(*head)), sizeof(*head));
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(board_attach(fd, &b, &n), RC_SYNTAX);
	assert_null(b);
	close(fd);
}

static void
test_attach_refuses(void **state)
{
	struct board *head = xcalloc(1, sizeof(*head));
	size_t one = sizeof(*head) + sizeof(struct board_session);
	struct board *b;
	size_t n;
	int p[2];

	(void)state;
	head->magic = BOARD_MAGIC;
	head->version = BOARD_VERSION;
	head->session_count = 1;
	refused(NULL, 0);
	refused(NULL, 100);
	refused(NULL, one);                             /* zeros: no magic */
	refused(head, one - 1);
	refused(head, one + 1);
	refused(head, sizeof(*head));
	head->version++;
	refused(head, one);
	head->version--;
	head->session_count = UINT32_MAX;
	refused(head, one);
	head->session_count = BOARD_SESSIONS_MAX + 1;
	refused(head, sizeof(*head) + (size_t)(BOARD_SESSIONS_MAX + 1) * sizeof(struct board_session));
	assert_int_equal(pipe(p), 0);
	assert_int_equal(board_attach(p[0], &b, &n), RC_SYNTAX);
	close(p[0]);
	close(p[1]);
	assert_int_equal(board_attach(-1, &b, &n), RC_SYNTAX);
	free(head);
}

static void
test_histogram_buckets(void **state)
{
	static const struct { uint64_t us; unsigned bucket; } rows[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 7, 2 }, { 8, 3 }, { 1023, 9 }, { 1024, 10 },
		{ (1ull << 27) - 1, 26 }, { 1ull << 27, 27 }, { 1ull << 28, 27 }, { UINT64_MAX, 27 },
	};
	struct board *b;
	size_t n;
	int fd;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(board_create(0, &fd, &b, &n), RC_OK);
		board_record_us(b, BOARD_H_EOM, rows[i].us);
		assert_int_equal(atomic_load(&b->histogram[BOARD_H_EOM][rows[i].bucket]), 1);
		assert_true(atomic_load(&b->histogram_sum_us[BOARD_H_EOM]) == rows[i].us);
		board_record_us(b, BOARD_HISTOGRAM_COUNT, 1);
		board_record_us(NULL, BOARD_H_EOM, 1);
		board_detach(&b, n);
		close(fd);
	}
}

static void
test_names(void **state)
{
	(void)state;
	for (int i = 0; i < BOARD_COUNTER_COUNT; i++) {
		const char *name = board_counter_name((enum board_counter)i);

		assert_true(strlen(name) > 1);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz._"), strlen(name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, board_counter_name((enum board_counter)j));
		assert_non_null(board_counter_help((enum board_counter)i));
	}
	assert_string_equal(board_counter_name(BOARD_MESSAGES), "messages");
	assert_string_equal(board_counter_name(BOARD_COUNTER_COUNT), "?");
	assert_string_equal(board_counter_help(BOARD_COUNTER_COUNT), "");
	assert_string_equal(board_histogram_name(BOARD_H_DNS_WAIT), "dns_wait");
	assert_string_equal(board_histogram_name(BOARD_HISTOGRAM_COUNT), "?");
	assert_string_equal(board_phase_name(BOARD_P_FREE), "free");
	assert_string_equal(board_phase_name(BOARD_P_IDLE), "idle");
	assert_string_equal(board_phase_name((enum board_phase)8), "?");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_sides_see_one_page),
		cmocka_unit_test(test_size_is_sealed),
		cmocka_unit_test(test_session_limit),
		cmocka_unit_test(test_attach_refuses),
		cmocka_unit_test(test_histogram_buckets),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
