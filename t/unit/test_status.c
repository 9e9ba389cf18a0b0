/* status: frames between supervisor and child - round trip, refusal of everything else, descriptors that travel along. */
#include "t/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ipc/status.h"

static int pair[2];

static int
setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int
teardown(void **state)
{
	(void)state;
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static unsigned
open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_round_trip(void **state)
{
	struct status_frame f;
	const char *why;
	int fd;

	(void)state;
	assert_int_equal(status_send(pair[0], STATUS_RETIRING, UINT64_MAX, INT64_MIN, "line of text", -1), RC_OK);
	assert_int_equal(status_send(pair[0], STATUS_READY, 7, 0, NULL, -1), RC_OK);
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_OK);
	assert_int_equal(f.kind, STATUS_RETIRING);
	assert_true(f.generation == UINT64_MAX && f.value == INT64_MIN);
	assert_string_equal(f.text, "line of text");
	assert_int_equal(fd, -1);
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_OK);
	assert_int_equal(f.kind, STATUS_READY);
	assert_string_equal(f.text, "");
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_TEMP);
}

static void
test_long_text_is_cut(void **state)
{
	char text[STATUS_TEXT_MAX + 10];
	struct status_frame f;
	const char *why;
	int fd;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[STATUS_TEXT_MAX - 1] = '\0';
	assert_int_equal(status_send(pair[0], STATUS_FAILED, 1, 0, text, -1), RC_OK);
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_OK);
	assert_int_equal(strlen(f.text), STATUS_TEXT_MAX - 1);
	text[STATUS_TEXT_MAX - 1] = 'x';
	text[STATUS_TEXT_MAX] = '\0';
	assert_int_equal(status_send(pair[0], STATUS_FAILED, 1, 0, text, -1), RC_OK);
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_OK);
	assert_int_equal(strlen(f.text), STATUS_TEXT_MAX - 1);
}

static void
test_passes_a_descriptor(void **state)
{
	struct status_frame f;
	const char *why;
	int p[2], fd;
	char c = 0;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(status_send(pair[0], STATUS_LOG_REOPEN, 3, 0, NULL, p[1]), RC_OK);
	close(p[1]);
	assert_int_equal(status_receive(pair[1], &f, &fd, &why), RC_OK);
	assert_int_equal(f.kind, STATUS_LOG_REOPEN);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(fd, "!", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, '!');
	close(fd);
	close(p[0]);
}

/* Sends n bytes of a frame that is good except for what change() did. */
static void
refused(void (*change)(struct status_frame *), size_t n, const char *reason)
{
	struct status_frame f = { .magic = STATUS_MAGIC, .version = STATUS_VERSION, .kind = STATUS_READY }, got;
	char bytes[sizeof(f) + 8] = { 0 };
	const char *why;
	int fd;

	if (change != NULL)
		change(&f);
	memcpy(bytes, &f, sizeof(f));
	assert_int_equal(send(pair[0], bytes, n, 0), n);
	assert_int_equal(status_receive(pair[1], &got, &fd, &why), RC_SYNTAX);
	assert_non_null(strstr(why, reason));
	assert_int_equal(fd, -1);
	assert_int_equal(status_receive(pair[1], &got, &fd, &why), RC_TEMP);
}

static void bad_magic(struct status_frame *f) { f->magic++; }
static void bad_version(struct status_frame *f) { f->version++; }
static void bad_kind(struct status_frame *f) { f->kind = 99; }
static void zero_kind(struct status_frame *f) { f->kind = 0; }
static void bad_text(struct status_frame *f) { memset(f->text, 'x', sizeof(f->text)); }

static void
test_refuses_bad_frames(void **state)
{
	(void)state;
	refused(NULL, 1, "size");
	refused(NULL, sizeof(struct status_frame) - 1, "size");
	refused(NULL, sizeof(struct status_frame) + 1, "size");
	refused(bad_magic, sizeof(struct status_frame), "magic");
	refused(bad_version, sizeof(struct status_frame), "version");
	refused(bad_kind, sizeof(struct status_frame), "kind");
	refused(zero_kind, sizeof(struct status_frame), "kind");
	refused(bad_text, sizeof(struct status_frame), "text");
}

/* Sends a packet of n bytes with count copies of fd, by hand. */
static void
send_fds(const void *bytes, size_t n, int fd, int count)
{
	char control[CMSG_SPACE(sizeof(int) * 8)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *h;

	m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
	h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	for (int i = 0; i < count; i++)
		memcpy(CMSG_DATA(h) + (size_t)i * sizeof(int), &fd, sizeof(int));
	assert_int_equal(sendmsg(pair[0], &m, 0), n);
}

static void
test_descriptors_do_not_leak(void **state)
{
	struct status_frame good = { .magic = STATUS_MAGIC, .version = STATUS_VERSION, .kind = STATUS_READY }, got;
	unsigned before = open_fds();
	const char *why;
	int fd;

	(void)state;
	send_fds("junk", 4, pair[0], 1);
	assert_int_equal(status_receive(pair[1], &got, &fd, &why), RC_SYNTAX);
	assert_int_equal(fd, -1);
	assert_int_equal(open_fds(), before);
	send_fds(&good, sizeof(good), pair[0], 3);
	assert_int_equal(status_receive(pair[1], &got, &fd, &why), RC_OK);
	close(fd);
	assert_int_equal(open_fds(), before);
	send_fds(&good, sizeof(good), pair[0], 8);
	if (status_receive(pair[1], &got, &fd, &why) == RC_OK)
		close(fd);
	assert_int_equal(open_fds(), before);
	/* An empty packet that carries a descriptor is neither a frame nor the end. */
	send_fds("", 0, pair[0], 1);
	assert_int_equal(status_receive(pair[1], &got, &fd, &why), RC_SYNTAX);
	assert_int_equal(open_fds(), before);
}

static void
test_full_queue_and_end(void **state)
{
	struct status_frame f;
	const char *why;
	int fd, sent = 0;
	enum rc rc;

	(void)state;
	while ((rc = status_send(pair[0], STATUS_DRAIN, 1, sent, NULL, -1)) == RC_OK && sent < 100000)
		sent++;
	assert_int_equal(rc, RC_TEMP);
	assert_true(sent > 0);
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(status_send(pair[0], STATUS_DRAIN, 1, 0, NULL, -1), RC_NONE);
	assert_int_equal(status_receive(pair[0], &f, &fd, &why), RC_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_text_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_passes_a_descriptor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_bad_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptors_do_not_leak, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_queue_and_end, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
