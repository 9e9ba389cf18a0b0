/* status - frames between the supervisor and a child; see status.h. */
#include "common/ipc/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for a few descriptors more than the protocol passes: what does not fit is closed by the kernel, what fits by us. */
enum { PASSED_FD_MAX = 4 };

union control {
	char bytes[CMSG_SPACE(sizeof(int) * PASSED_FD_MAX)];
	struct cmsghdr align;
};

static void
attach_fd(struct msghdr *m, union control *c, int fd)
{
	struct cmsghdr *h;

	memset(c, 0, sizeof(*c));
	m->msg_control = c->bytes;
	m->msg_controllen = CMSG_SPACE(sizeof(int));
	h = CMSG_FIRSTHDR(m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
}

enum rc
status_send(int fd, enum status_kind kind, uint64_t generation, int64_t value, const char *text, int fd_to_pass)
{
	struct status_frame f;
	struct iovec iov = { &f, sizeof(f) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	memset(&f, 0, sizeof(f));
	f.magic = STATUS_MAGIC;
	f.version = STATUS_VERSION;
	f.kind = (uint16_t)kind;
	f.generation = generation;
	f.value = value;
	if (text != NULL)
		snprintf(f.text, sizeof(f.text), "%s", text);
	if (fd_to_pass >= 0)
		attach_fd(&m, &control, fd_to_pass);
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(f))
		return RC_OK;
	/* ENOBUFS and ETOOMANYREFS pass by themselves, as does a full queue. */
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS))
		return RC_TEMP;
	return RC_NONE;
}

/* Keeps the first descriptor that came along and closes all others. */
static int
take_fds(struct msghdr *m)
{
	int kept = -1;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS || h->cmsg_len < CMSG_LEN(0))
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
	}
	return kept;
}

static const char *
frame_fault(const struct status_frame *f, size_t n, int flags)
{
	if (n != sizeof(*f) || (flags & MSG_TRUNC))
		return "a frame of the wrong size";
	if (f->magic != STATUS_MAGIC)
		return "a frame without the magic number";
	if (f->version != STATUS_VERSION)
		return "a frame of another version";
	if (memchr(f->text, '\0', sizeof(f->text)) == NULL)
		return "a frame whose text does not end";
	switch ((enum status_kind)f->kind) {
	case STATUS_READY:
	case STATUS_RETIRING:
	case STATUS_FAILED:
	case STATUS_DRAIN:
	case STATUS_LOG_REOPEN:
	case STATUS_FLUSHED:
	case STATUS_FLUSH:
	case STATUS_REQUEST:
	case STATUS_CHILD_DIED:
		return NULL;
	}
	return "a frame of an unknown kind";
}

enum rc
status_receive(int fd, struct status_frame *out, int *fd_out, const char **why_out)
{
	struct iovec iov = { out, sizeof(*out) };
	union control control;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	ssize_t n;

	*fd_out = -1;
	*why_out = "";
	memset(out, 0, sizeof(*out));
	do
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? RC_TEMP : RC_NONE;
	*fd_out = take_fds(&m);
	/* An empty packet and the end of the stream look alike: both mean that this child is not to be listened to. */
	if (n == 0 && *fd_out < 0)
		return RC_NONE;
	*why_out = frame_fault(out, (size_t)n, m.msg_flags);
	if (*why_out == NULL) {
		*why_out = "";
		return RC_OK;
	}
	if (*fd_out >= 0)
		close(*fd_out);
	*fd_out = -1;
	return RC_SYNTAX;
}
