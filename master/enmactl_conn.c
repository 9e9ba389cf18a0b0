/* enmactl_conn - talk to the supervisor over its control socket (doc/CONTROL.md). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "common/ipc/ctlproto.h"
#include "master/enmactl.h"

enum {
	ANSWER_MAX = 8 * MIB,
	LINE_MAX_BYTES = 512 * KIB,     /* of a streamed answer: an entry of 60 KiB with all bytes escaped fits */
	PIECE = 16 * KIB,
	GONE_POLL_MS = 50,
};

static void
find_peer(struct connection *c)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid <= 0)
		return;
	c->pid = peer.pid;
	c->pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

enum rc
connection_open(const char *path, struct connection *out, char *why, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int err;

	*out = (struct connection){ -1, -1, 0 };
	if (strlen(path) >= sizeof(sa.sun_path)) {
		snprintf(why, size, "the path %s is too long for a socket", path);
		return RC_TEMP;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (out->fd < 0) {
		snprintf(why, size, "cannot make a socket: %s", strerror(errno));
		return RC_TEMP;
	}
	if (connect(out->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0) {
		find_peer(out);
		return RC_OK;
	}
	err = errno;
	connection_close(out);
	if (err == ENOENT || err == ECONNREFUSED || err == ENOTDIR)
		return RC_NONE;
	snprintf(why, size, "cannot connect to %s: %s%s", path, strerror(err),
	         err == EACCES ? " (control.mode and control.group say who may)" : "");
	return RC_TEMP;
}

void
connection_close(struct connection *c)
{
	fdio_close(&c->fd);
	fdio_close(&c->pidfd);
}

static bool
has_end(struct span s)
{
	return (s.n == 2 && memcmp(s.p, ".\n", 2) == 0) || (s.n >= 3 && memcmp(s.p + s.n - 3, "\n.\n", 3) == 0);
}

/* Until the lone dot, or the end. */
static enum rc
receive(int fd, int timeout_ms, struct buf *out, char *why, size_t size)
{
	int64_t until = clock_mono_ms() + timeout_ms;
	struct pollfd p = { fd, POLLIN, 0 };
	char piece[PIECE];

	while (!has_end(span_of(out->p, out->n))) {
		int64_t left = until - clock_mono_ms();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			snprintf(why, size, "enma does not answer (waited %d s)", timeout_ms / 1000);
			return RC_TEMP;
		}
		n = recv(fd, piece, sizeof(piece), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			snprintf(why, size, "enma closed the connection in the middle of its answer");
			return RC_TEMP;
		}
		buf_span(out, span_of(piece, (size_t)n));
		if (!buf_ok(out)) {
			snprintf(why, size, "the answer is too long");
			return RC_TEMP;
		}
	}
	return RC_OK;
}

/* Undoes the doubled dots in place and leaves the last line (the lone dot) out. */
static struct span
undo_dots(char *p, size_t n)
{
	size_t r = 0, w = 0;
	bool at_line_start = true;

	n -= 2;
	while (r < n) {
		if (at_line_start && p[r] == '.')
			r++;
		if (r >= n)
			break;
		at_line_start = p[r] == '\n';
		p[w++] = p[r++];
	}
	return span_of(p, w);
}

static enum rc
parse_head(struct answer *a, struct span head, char *why, size_t size)
{
	struct span word;

	if (span_eq(head, SPAN("ok"))) {
		a->is_ok = true;
		return RC_OK;
	}
	if (!span_split(&head, ' ', &word) || !span_eq(word, SPAN("err")) || !span_split(&head, ' ', &word)) {
		snprintf(why, size, "what answers there is not enma");
		return RC_TEMP;
	}
	snprintf(a->code, sizeof(a->code), "%.*s", SPAN_ARGS(word));
	a->text = span_is_null(head) ? SPAN("") : head;
	return RC_OK;
}

static enum rc
parse(struct answer *a, char *why, size_t size)
{
	struct span all = buf_text(&a->bytes);
	size_t end = span_find(all, '\n');

	a->data = undo_dots(a->bytes.p + end + 1, a->bytes.n - end - 1);
	return parse_head(a, span_sub(all, 0, end), why, size);
}

/* A refusal may be there already, and the other end closed: then its answer is still to be read.  So only the length can fail. */
static enum rc
put_request(const struct connection *c, const char *request, char *why, size_t size)
{
	char line[CTL_LINE_MAX + 1];
	int n = snprintf(line, sizeof(line), "ENMA1 %s\n", request);

	if (n < 0 || (size_t)n >= sizeof(line)) {
		snprintf(why, size, "the request is too long");
		return RC_TEMP;
	}
	(void)!send(c->fd, line, (size_t)n, MSG_NOSIGNAL);
	return RC_OK;
}

enum rc
connection_ask(struct connection *c, const char *request, int timeout_ms, struct answer *out, char *why, size_t size)
{
	enum rc rc;

	*out = (struct answer){ .bytes = buf_heap(ANSWER_MAX) };
	if ((rc = put_request(c, request, why, size)) != RC_OK)
		return rc;
	if ((rc = receive(c->fd, timeout_ms, &out->bytes, why, size)) != RC_OK)
		return rc;
	if (out->bytes.n <= 2) {
		snprintf(why, size, "what answers there is not enma");
		return RC_TEMP;
	}
	return parse(out, why, size);
}

/* ---- answers of any size ---------------------------------------------------------------------------------------- */

struct stream {
	connection_line_fn *fn;
	void *arg;
	struct answer *head;
	bool has_head;
	size_t n;
	char bytes[LINE_MAX_BYTES];
};

/* RC_OK: go on; RC_NONE: fn wants no more; RC_LIMIT: that was the lone dot; RC_TEMP: not enma. */
static enum rc
stream_line(struct stream *s, struct span line, char *why, size_t size)
{
	if (!s->has_head) {
		s->has_head = true;
		buf_span(&s->head->bytes, line);
		return parse_head(s->head, buf_text(&s->head->bytes), why, size);
	}
	if (span_eq(line, SPAN(".")))
		return RC_LIMIT;
	if (line.n > 0 && line.p[0] == '.')
		line = span_from(line, 1);
	return !s->head->is_ok || s->fn(s->arg, line) ? RC_OK : RC_NONE;
}

/* All whole lines of what is there; the rest moves to the front. */
static enum rc
stream_lines(struct stream *s, char *why, size_t size)
{
	struct span rest = span_of(s->bytes, s->n);
	enum rc rc = RC_OK;
	size_t end;

	while (rc == RC_OK && (end = span_find(rest, '\n')) < rest.n) {
		rc = stream_line(s, span_sub(rest, 0, end), why, size);
		rest = span_from(rest, end + 1);
	}
	memmove(s->bytes, rest.p, rest.n);
	s->n = rest.n;
	if (rc == RC_OK && s->n == sizeof(s->bytes)) {
		snprintf(why, size, "a line of the answer is too long");
		return RC_TEMP;
	}
	return rc;
}

static enum rc
stream_receive(int fd, int idle_ms, struct stream *s, char *why, size_t size)
{
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;
	int got;

	do
		got = poll(&p, 1, idle_ms);
	while (got < 0 && errno == EINTR);
	if (got == 0) {
		snprintf(why, size, "enma does not go on with its answer (waited %d s)", idle_ms / 1000);
		return RC_TEMP;
	}
	n = recv(fd, s->bytes + s->n, sizeof(s->bytes) - s->n, 0);
	if (n < 0 && errno == EINTR)
		return RC_OK;
	if (n <= 0) {
		snprintf(why, size, "enma closed the connection in the middle of its answer");
		return RC_TEMP;
	}
	s->n += (size_t)n;
	return stream_lines(s, why, size);
}

enum rc
connection_stream(struct connection *c, const char *request, int idle_ms, connection_line_fn *fn, void *arg, struct answer *head_out,
                  char *why, size_t size)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	enum rc rc;

	*head_out = (struct answer){ .bytes = buf_heap(LINE_MAX_BYTES + 1) };
	s->fn = fn;
	s->arg = arg;
	s->head = head_out;
	rc = put_request(c, request, why, size);
	while (rc == RC_OK)
		rc = stream_receive(c->fd, idle_ms, s, why, size);
	free(s);
	return rc == RC_LIMIT ? RC_OK : rc;
}

void
answer_fini(struct answer *a)
{
	buf_fini(&a->bytes);
}

/* Without a pidfd: the process is gone when its number is, or when its socket does not answer any more. */
static bool
is_there(const struct connection *c, const char *path)
{
	struct connection probe;
	char why[FDIO_WHY_MAX];
	bool answers;

	if (c->pid > 0)
		return kill(c->pid, 0) == 0 || errno == EPERM;
	answers = connection_open(path, &probe, why, sizeof(why)) != RC_NONE;
	connection_close(&probe);
	return answers;
}

bool
connection_wait_gone(const struct connection *c, const char *path, int timeout_ms)
{
	int64_t until = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
	struct pollfd p = { c->pidfd, POLLIN, 0 };

	for (;;) {
		int64_t left = until - clock_mono_ms();

		if (c->pidfd >= 0) {
			if (poll(&p, 1, (int)MIN(MAX(left, (int64_t)0), (int64_t)60000)) > 0)
				return true;
		} else {
			if (!is_there(c, path))
				return true;
			poll(NULL, 0, GONE_POLL_MS);
		}
		if (clock_mono_ms() >= until)
			return false;
	}
}
