/* fdio - descriptors and files; see fdio.h. */
#include "common/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/xalloc.h"

enum {
	READ_STEP = 64 * KIB,
	FDS_MAX = 16,           /* descriptors taken from one message; more do not fit and are closed by the kernel */
};

enum rc
fdio_read_full(int fd, void *p, size_t n)
{
	size_t got = 0;
	ssize_t r;

	while (got < n) {
		r = read(fd, (char *)p + got, n - got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return RC_TEMP;
		if (r == 0)
			return got == 0 ? RC_NONE : RC_SYNTAX;
		got += (size_t)r;
	}
	return RC_OK;
}

enum rc
fdio_write_full(int fd, struct span bytes)
{
	ssize_t w;

	while (bytes.n > 0) {
		w = write(fd, bytes.p, bytes.n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return RC_TEMP;
		bytes = span_from(bytes, (size_t)w);
	}
	return RC_OK;
}

static bool
set_flag(int fd, int get, int set, int flag, bool on)
{
	int old = fcntl(fd, get);

	return old >= 0 && fcntl(fd, set, on ? old | flag : old & ~flag) == 0;
}

bool
fdio_set_cloexec(int fd, bool on)
{
	return set_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

bool
fdio_set_nonblock(int fd, bool on)
{
	return set_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

void
fdio_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/* ---- sealed memory --------------------------------------------------------------------------------------- */

enum rc
fdio_memfd_shared(const char *name, size_t size, int *fd_out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	*fd_out = -1;
	if (fd < 0 || size > INT64_MAX || ftruncate(fd, (off_t)size) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
		fdio_close(&fd);
		return RC_TEMP;
	}
	*fd_out = fd;
	return RC_OK;
}

enum rc
fdio_memfd_sealed(const char *name, struct span bytes, int *fd_out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	*fd_out = -1;
	if (fd < 0 || fdio_write_full(fd, bytes) != RC_OK || lseek(fd, 0, SEEK_SET) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
		fdio_close(&fd);
		return RC_TEMP;
	}
	*fd_out = fd;
	return RC_OK;
}

bool
fdio_has_seals(int fd, int seals)
{
	int have = fcntl(fd, F_GET_SEALS);

	return have >= 0 && (have & seals) == seals;
}

/* ---- passing a descriptor -------------------------------------------------------------------------------- */

static enum rc
rc_of_socket_error(void)
{
	switch (errno) {
	case EAGAIN: case ENOBUFS: case ENOMEM: return RC_TEMP;
	case EPIPE: case ECONNRESET: case ENOTCONN: case ECONNREFUSED: return RC_NONE;
	case EMSGSIZE: return RC_LIMIT;
	default: return RC_TEMP;
	}
}

enum rc
fdio_send(int sock, struct span bytes, int fd)
{
	union { struct cmsghdr align; char b[CMSG_SPACE(sizeof(int))]; } control = { .b = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes.p, .iov_len = bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.b;
		msg.msg_controllen = sizeof control.b;
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? rc_of_socket_error() : RC_OK;
}

/* The first descriptor of the message; all others are closed. */
static int
take_fd(struct msghdr *msg)
{
	struct cmsghdr *c;
	int first = -1;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t at, n = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (at = 0; at + sizeof(int) <= n; at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
			if (first < 0)
				first = fd;
			else
				fdio_close(&fd);
		}
	}
	return first;
}

enum rc
fdio_receive(int sock, void *p, size_t size, size_t *n_out, int *fd_out)
{
	union { struct cmsghdr align; char b[CMSG_SPACE(FDS_MAX * sizeof(int))]; } control;
	struct iovec iov = { .iov_base = p, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.b, .msg_controllen = sizeof control.b };
	ssize_t n;

	*n_out = 0;
	*fd_out = -1;
	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return rc_of_socket_error();
	*fd_out = take_fd(&msg);
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		fdio_close(fd_out);
		return RC_LIMIT;
	}
	if (n == 0) {
		fdio_close(fd_out);
		return RC_NONE;
	}
	*n_out = (size_t)n;
	return RC_OK;
}

/* ---- files ----------------------------------------------------------------------------------------------- */

/* The first part of path (cut at a '/') that is missing or may not be entered; false when all of them are fine. */
static bool
find_obstacle(const char *path, char part[PATH_MAX])
{
	const char *slash = path;
	struct stat st;

	while (*slash != '\0' && (slash = strchr(slash + 1, '/')) != NULL) {
		if ((size_t)(slash - path) >= PATH_MAX)
			return false;
		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode) || faccessat(AT_FDCWD, part, X_OK, AT_EACCESS) != 0)
			return true;
	}
	return false;
}

static void
explain(const char *path, int err, const char *verb, char *why, size_t size)
{
	char part[PATH_MAX];
	struct stat st;

	if (!find_obstacle(path, part))
		snprintf(why, size, "cannot %s %s: %s", verb, path, strerror(err));
	else if (stat(part, &st) != 0)
		snprintf(why, size, "cannot %s %s: %s: %s", verb, path, part, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		snprintf(why, size, "cannot %s %s: %s is not a directory", verb, path, part);
	else
		snprintf(why, size, "cannot %s %s: user id %ld may not enter the directory %s (mode %04o, owner %ld)", verb, path,
		    (long)geteuid(), part, (unsigned)st.st_mode & 07777, (long)st.st_uid);
}

static enum rc
read_open_file(int fd, const char *path, size_t max, struct buf *out, char *why, size_t size)
{
	static const char too_large[] = "%s is larger than the limit of %zu bytes";
	size_t total = 0;
	struct stat st;
	char *step;
	ssize_t n = 0;

	if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && strcmp(path, "/dev/null") != 0)) {
		snprintf(why, size, S_ISDIR(st.st_mode) ? "%s is a directory, not a file" : "%s is not a regular file", path);
		return RC_TEMP;
	}
	if (st.st_size > 0 && (uint64_t)st.st_size > max) {
		snprintf(why, size, too_large, path, max);
		return RC_LIMIT;
	}
	step = xmalloc(READ_STEP);
	while (total <= max && ((n = read(fd, step, READ_STEP)) > 0 || (n < 0 && errno == EINTR))) {
		if (n < 0)
			continue;
		buf_span(out, span_of(step, (size_t)n));
		total += (size_t)n;
	}
	if (n < 0)
		snprintf(why, size, "cannot read %s: %s", path, strerror(errno));
	free(step);
	if (n < 0)
		return RC_TEMP;
	if (total > max || !buf_ok(out)) {      /* it grew meanwhile, or is a file without a size (/proc) */
		snprintf(why, size, too_large, path, max);
		return RC_LIMIT;
	}
	return RC_OK;
}

enum rc
fdio_read_file(const char *path, size_t max, struct buf *out, char *why, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum rc rc;

	if (fd < 0) {
		rc = errno == ENOENT || errno == ENOTDIR ? RC_NONE : RC_TEMP;
		explain(path, errno, "read", why, size);
		return rc;
	}
	rc = read_open_file(fd, path, max, out, why, size);
	fdio_close(&fd);
	return rc;
}

enum rc
fdio_write_file(const char *path, struct span bytes, mode_t mode, char *why, size_t size)
{
	char temp[PATH_MAX];
	int fd = -1, n = snprintf(temp, sizeof temp, "%s.XXXXXX", path);

	if (n < 0 || (size_t)n >= sizeof temp) {
		snprintf(why, size, "cannot write %.100s...: the path is too long", path);
		return RC_TEMP;
	}
	fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		explain(path, errno, "write", why, size);
		return RC_TEMP;
	}
	if (fdio_write_full(fd, bytes) == RC_OK && fchmod(fd, mode) == 0 && fsync(fd) == 0 && rename(temp, path) == 0) {
		fdio_close(&fd);
		return RC_OK;
	}
	explain(path, errno, "write", why, size);
	fdio_close(&fd);
	unlink(temp);
	return RC_TEMP;
}
