/* fdio: whole reads and writes, seals, descriptors on the road, files. */
#include "t/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/fdio.h"

static char folder[] = "/tmp/test_fdio.XXXXXX";

static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || chmod(folder, 0755) != 0;
}

static int
remove_folder(void **state)
{
	char *cmd = xasprintf("chmod -R u+rwx %s && rm -rf %s", folder, folder);
	int rc = system(cmd);

	(void)state;
	free(cmd);
	return rc;
}

static char *
path_of(const char *name)
{
	static char path[8][256];
	static unsigned at;
	char *p = path[at++ % 8];

	snprintf(p, sizeof path[0], "%s/%s", folder, name);
	return p;
}

static void
put(const char *path, const char *text)
{
	char why[FDIO_WHY_MAX];

	if (fdio_write_file(path, span_cstr(text), 0644, why, sizeof why) != RC_OK)
		fail_msg("%s", why);
}

static int
open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_full(void **state)
{
	char in[100000], out[100000];
	int p[2];
	pid_t pid;

	(void)state;
	memset(in, 'x', sizeof in);
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		_exit(fdio_write_full(p[1], span_of(in, sizeof in)) == RC_OK ? 0 : 1);
	}
	close(p[1]);
	assert_int_equal(fdio_read_full(p[0], out, sizeof out - 1), RC_OK);     /* more than a pipe holds */
	assert_memory_equal(in, out, sizeof out - 1);
	assert_int_equal(fdio_read_full(p[0], out, 2), RC_SYNTAX);              /* one byte is left */
	assert_int_equal(fdio_read_full(p[0], out, 2), RC_NONE);
	assert_int_equal(fdio_read_full(p[0], out, 0), RC_OK);
	waitpid(pid, NULL, 0);
	close(p[0]);
	assert_int_equal(fdio_read_full(-1, out, 1), RC_TEMP);
	assert_int_equal(fdio_write_full(-1, SPAN("x")), RC_TEMP);
	assert_int_equal(fdio_write_full(-1, SPAN("")), RC_OK);
}

static void
test_flags(void **state)
{
	int fd = open("/dev/null", O_RDWR), none = -1;

	(void)state;
	assert_true(fdio_set_cloexec(fd, true) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	assert_true(fdio_set_cloexec(fd, false) && fcntl(fd, F_GETFD) == 0);
	assert_true(fdio_set_nonblock(fd, true) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
	assert_true(fdio_set_nonblock(fd, false) && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
	fdio_close(&fd);
	assert_int_equal(fd, -1);
	fdio_close(&none);
	assert_false(fdio_set_cloexec(-1, true) || fdio_set_nonblock(-1, true));
}

static void
test_memfd(void **state)
{
	char got[5];
	int fd;
	char *map;

	(void)state;
	assert_int_equal(fdio_memfd_sealed("t", SPAN("12345"), &fd), RC_OK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fdio_read_full(fd, got, 5), RC_OK);
	assert_memory_equal(got, "12345", 5);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_true(fdio_has_seals(fd, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
	assert_ptr_equal(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	fdio_close(&fd);

	assert_int_equal(fdio_memfd_shared("t", 4096, &fd), RC_OK);
	assert_false(fdio_has_seals(fd, F_SEAL_WRITE));
	assert_true(fdio_has_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW));
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_equal(ftruncate(fd, 8192), -1);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	map[4095] = 'x';
	munmap(map, 4096);
	fdio_close(&fd);
	assert_int_equal(fdio_memfd_shared("t", SIZE_MAX, &fd), RC_TEMP);
	assert_int_equal(fd, -1);
	assert_false(fdio_has_seals(0, F_SEAL_WRITE));
}

static void
test_pass_fd(void **state)
{
	char got[16];
	size_t n;
	int s[2], fd, file, before;

	(void)state;
	before = open_fds();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	assert_int_equal(fdio_receive(s[1], got, sizeof got, &n, &fd), RC_TEMP);
	assert_int_equal(fdio_memfd_sealed("t", SPAN("hello"), &file), RC_OK);
	assert_int_equal(fdio_send(s[0], SPAN("frame"), file), RC_OK);
	assert_int_equal(fdio_send(s[0], SPAN("plain"), -1), RC_OK);
	assert_int_equal(fdio_receive(s[1], got, 5, &n, &fd), RC_OK);           /* at the limit */
	assert_int_equal(n, 5);
	assert_memory_equal(got, "frame", 5);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	assert_int_equal(pread(fd, got, 5, 0), 5);
	assert_memory_equal(got, "hello", 5);
	fdio_close(&fd);
	assert_int_equal(fdio_receive(s[1], got, sizeof got, &n, &fd), RC_OK);
	assert_true(n == 5 && fd == -1);
	/* One byte too long: dropped, and its descriptor does not leak. */
	assert_int_equal(fdio_send(s[0], SPAN("frame"), file), RC_OK);
	assert_int_equal(fdio_receive(s[1], got, 4, &n, &fd), RC_LIMIT);
	assert_true(n == 0 && fd == -1);
	/* Several descriptors in one message: the first is kept, the others are closed. */
	{
		union { struct cmsghdr align; char b[CMSG_SPACE(3 * sizeof(int))]; } c = { .b = { 0 } };
		char byte = 'x';
		struct iovec iov = { &byte, 1 };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.b, .msg_controllen = sizeof c.b };
		int fds[3] = { file, file, file };

		c.align.cmsg_level = SOL_SOCKET;
		c.align.cmsg_type = SCM_RIGHTS;
		c.align.cmsg_len = CMSG_LEN(sizeof fds);
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof fds);
		assert_int_equal(sendmsg(s[0], &m, 0), 1);
		assert_int_equal(fdio_receive(s[1], got, sizeof got, &n, &fd), RC_OK);
		assert_true(fd >= 0);
		fdio_close(&fd);
		assert_int_equal(open_fds(), before + 3);
	}
	while (fdio_send(s[0], SPAN("fill"), -1) == RC_OK)
		;
	assert_int_equal(fdio_send(s[0], SPAN("fill"), -1), RC_TEMP);
	close(s[1]);
	assert_int_equal(fdio_send(s[0], SPAN("gone"), -1), RC_NONE);           /* and no SIGPIPE */
	assert_int_equal(fdio_receive(s[0], got, sizeof got, &n, &fd), RC_NONE);
	close(s[0]);
	close(file);
	assert_int_equal(open_fds(), before);
}

static enum rc
read_of(const char *path, size_t max, char *why)
{
	struct buf b = buf_heap(1 * MIB);
	enum rc rc = fdio_read_file(path, max, &b, why, FDIO_WHY_MAX);

	buf_fini(&b);
	return rc;
}

static void
test_read_file(void **state)
{
	char why[FDIO_WHY_MAX], *big = path_of("big"), *five = path_of("five"), *fifo = path_of("fifo");
	struct buf b = buf_heap(1 * MIB);
	int fd;

	(void)state;
	put(five, "12345");
	assert_int_equal(fdio_read_file(five, 5, &b, why, sizeof why), RC_OK);
	assert_span(buf_text(&b), "12345");
	assert_int_equal(read_of(five, 4, why), RC_LIMIT);
	assert_non_null(strstr(why, "larger than the limit of 4 bytes"));
	assert_int_equal(read_of("/dev/null", 0, why), RC_OK);
	assert_int_equal(read_of("/proc/self/status", 10, why), RC_LIMIT);      /* fstat says 0 bytes */
	assert_int_equal(read_of("/proc/self/status", 100000, why), RC_OK);
	/* A gigabyte is refused before it is read. */
	fd = open(big, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
	close(fd);
	assert_int_equal(read_of(big, 64 * MIB, why), RC_LIMIT);
	assert_int_equal(read_of(big, (size_t)2 << 30, why), RC_LIMIT);         /* the buffer's own ceiling */
	assert_int_equal(read_of(folder, 100, why), RC_TEMP);
	assert_non_null(strstr(why, "is a directory"));
	assert_int_equal(mkfifo(fifo, 0644), 0);
	assert_int_equal(read_of(fifo, 100, why), RC_TEMP);
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(read_of(path_of("missing"), 100, why), RC_NONE);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(read_of(path_of("no/such/file"), 100, why), RC_NONE);
	assert_non_null(strstr(why, path_of("no")));
	assert_null(strstr(why, path_of("no/such:")));
	assert_int_equal(read_of(path_of("five/x"), 100, why), RC_NONE);
	assert_non_null(strstr(why, "is not a directory"));
	assert_int_equal(read_of("", 100, why), RC_NONE);
	buf_fini(&b);
}

/* As a plain user: the message names the part of the path that denies. */
static void
as_nobody(void)
{
	char why[FDIO_WHY_MAX];

	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		_exit(10);
	if (read_of(path_of("closed/deep/file"), 100, why) != RC_TEMP || strstr(why, "may not enter the directory") == NULL)
		_exit(11);
	if (strstr(why, path_of("closed (mode 0000")) == NULL)
		_exit(12);
	if (read_of(path_of("secret"), 100, why) != RC_TEMP || strstr(why, "Permission denied") == NULL)
		_exit(13);
	if (fdio_write_file(path_of("closed/x"), SPAN(""), 0644, why, sizeof why) != RC_TEMP || strstr(why, "may not enter") == NULL)
		_exit(14);
	_exit(0);
}

static void
test_denied(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(path_of("closed"), 0755), 0);
	assert_int_equal(mkdir(path_of("closed/deep"), 0755), 0);
	put(path_of("closed/deep/file"), "x");
	put(path_of("secret"), "x");
	assert_int_equal(chmod(path_of("secret"), 0), 0);
	assert_int_equal(chmod(path_of("closed"), 0), 0);
	pid = fork();
	if (pid == 0)
		as_nobody();
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_write_file(void **state)
{
	char why[FDIO_WHY_MAX], long_path[5000], *path = path_of("pid");
	struct stat st;
	struct buf b = buf_heap(1000);
	mode_t mask = umask(077);

	(void)state;
	put(path, "first\n");
	put(path, "2\n");
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fdio_read_file(path, 100, &b, why, sizeof why), RC_OK);
	assert_span(buf_text(&b), "2\n");
	assert_int_equal(fdio_write_file(path_of("none/pid"), SPAN("x"), 0644, why, sizeof why), RC_TEMP);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(fdio_write_file(folder, SPAN("x"), 0644, why, sizeof why), RC_TEMP);    /* a folder is in the way */
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	assert_int_equal(fdio_write_file(long_path, SPAN("x"), 0644, why, sizeof why), RC_TEMP);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_pass_fd),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_write_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
