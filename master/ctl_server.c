/* ctl_server - the supervisor's end of the control socket; see ctl_server.h. */
#include "master/ctl_server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"

enum { PEER_GROUPS_MAX = 1024 };

enum client_state { CLIENT_FREE, CLIENT_READS, CLIENT_WAITS, CLIENT_WRITES };

struct ctl_client {
	struct ctl_server *server;
	enum client_state state;
	int fd;
	uint64_t ticket;
	int64_t deadline_ms;            /* INT64_MAX while it waits for its answer */
	size_t in_n;
	char in[CTL_LINE_MAX + 2];      /* a line of the longest kind with CR LF, so one byte more shows */
	struct buf out;
	size_t out_sent;
	char who[64];
};

struct ctl_server {
	struct loop *loop;
	struct listener *listener;
	struct listen_rules rules;
	uid_t milter_uid;
	ctl_fn fn;
	void *arg;
	uint64_t tickets;
	bool is_paused;                 /* all places are taken: the listener is not watched */
	struct ctl_client client[CTL_CLIENTS_MAX];
};

static void on_listener(void *arg, uint32_t events);

static void
client_close(struct ctl_client *c)
{
	struct ctl_server *s = c->server;

	loop_remove(s->loop, c->fd);
	fdio_close(&c->fd);
	buf_fini(&c->out);
	c->state = CLIENT_FREE;
	if (s->is_paused) {
		s->is_paused = false;
		loop_change(s->loop, listen_fd(s->listener), EPOLLIN);
	}
}

static void
client_write(struct ctl_client *c)
{
	while (c->out_sent < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + c->out_sent, c->out.n - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0)
			break;
		c->out_sent += (size_t)n;
	}
	client_close(c);
}

void
ctl_ok(struct ctl_client *c)
{
	buf_str(&c->out, "ok\n");
}

/* One line of text as data: bytes that would end it or confuse a terminal do not pass. */
static void
put_clean(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		buf_byte(b, ch < 0x20 || ch == 0x7f ? (ch == '\t' ? '\t' : '?') : (char)ch);
	}
}

void
ctl_err(struct ctl_client *c, const char *code, const char *fmt, ...)
{
	char text[KIB];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_fmt(&c->out, "err %s ", code);
	put_clean(&c->out, span_cstr(text));
	buf_byte(&c->out, '\n');
}

void
ctl_line_span(struct ctl_client *c, struct span line)
{
	if (line.n > 0 && line.p[0] == '.')
		buf_byte(&c->out, '.');
	put_clean(&c->out, line);
	buf_byte(&c->out, '\n');
}

void
ctl_line(struct ctl_client *c, const char *fmt, ...)
{
	char text[4 * KIB];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_line_span(c, span_cstr(text));
}

void
ctl_lines(struct ctl_client *c, struct span text)
{
	struct span line;

	while (span_split(&text, '\n', &line))
		if (line.n > 0 || !span_is_null(text))  /* a final LF does not begin another line */
			ctl_line_span(c, line);
}

void
ctl_end(struct ctl_client *c)
{
	buf_str(&c->out, ".\n");
	if (!buf_ok(&c->out)) {
		buf_clear(&c->out);
		ctl_err(c, "limit", "the answer is longer than %d bytes", CTL_ANSWER_MAX);
		buf_str(&c->out, ".\n");
	}
	c->state = CLIENT_WRITES;
	c->deadline_ms = clock_mono_ms() + CTL_TIMEOUT_MS;
	loop_change(c->server->loop, c->fd, EPOLLOUT);
}

uint64_t
ctl_defer(struct ctl_client *c)
{
	c->state = CLIENT_WAITS;
	c->deadline_ms = INT64_MAX;
	loop_change(c->server->loop, c->fd, 0);
	return c->ticket;
}

struct ctl_client *
ctl_find(struct ctl_server *s, uint64_t ticket)
{
	for (size_t i = 0; s != NULL && i < CTL_CLIENTS_MAX; i++)
		if (s->client[i].state == CLIENT_WAITS && s->client[i].ticket == ticket)
			return &s->client[i];
	return NULL;
}

int
ctl_socket(const struct ctl_client *c)
{
	return c->fd;
}

void
ctl_forget(struct ctl_client *c)
{
	client_close(c);
}

const char *
ctl_who(const struct ctl_client *c)
{
	return c->who;
}

static void
client_request(struct ctl_client *c, size_t line_len)
{
	struct ctl_request r;
	const char *why;
	enum rc rc = ctl_request_parse(span_of(c->in, line_len), &r, &why);

	if (rc != RC_OK) {
		ctl_err(c, rc == RC_LIMIT ? "limit" : "syntax", "%s", why);
		ctl_end(c);
		return;
	}
	c->server->fn(c->server->arg, c, &r);
}

static void
client_read(struct ctl_client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - c->in_n, MSG_DONTWAIT);
	size_t end;

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(c);
		return;
	}
	c->in_n += (size_t)n;
	end = span_find(span_of(c->in, c->in_n), '\n');
	if (end < c->in_n)
		client_request(c, end);
	else if (c->in_n == sizeof(c->in)) {
		ctl_err(c, "limit", "a request has at most %d bytes", CTL_LINE_MAX);
		ctl_end(c);
	}
}

static void
on_client(void *arg, uint32_t events)
{
	struct ctl_client *c = arg;

	switch (c->state) {
	case CLIENT_READS:
		client_read(c);
		break;
	case CLIENT_WAITS:
		if (events & (EPOLLHUP | EPOLLERR))
			client_close(c);
		break;
	case CLIENT_WRITES:
		client_write(c);
		break;
	case CLIENT_FREE:
		break;
	}
}

static bool
is_in_group(int fd, gid_t primary, gid_t wanted)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (primary == wanted)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(gid_t); i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* The kernel checked the mode of the socket file at connect; this says it again for whatever came by another way (a folder that was moved, a mode
 * that changed meanwhile), and knows milter.user. */
static bool
may_ask(const struct ctl_server *s, int fd, const struct ucred *peer)
{
	if (peer->uid == 0 || peer->uid == geteuid() || peer->uid == s->milter_uid)
		return true;
	if (s->rules.mode & 0002)
		return true;
	return (s->rules.mode & 0020) && is_in_group(fd, peer->gid, s->rules.gid);
}

static struct ctl_client *
free_client(struct ctl_server *s)
{
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++)
		if (s->client[i].state == CLIENT_FREE)
			return &s->client[i];
	return NULL;
}

static void
client_open(struct ctl_server *s, struct ctl_client *c, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);

	if (loop_add(s->loop, fd, EPOLLIN, on_client, c) != RC_OK) {
		close(fd);
		return;
	}
	c->server = s;
	c->state = CLIENT_READS;
	c->fd = fd;
	c->ticket = ++s->tickets;
	c->deadline_ms = clock_mono_ms() + CTL_TIMEOUT_MS;
	c->in_n = c->out_sent = 0;
	c->out = buf_heap(CTL_ANSWER_MAX);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		peer.uid = (uid_t)-1;
	snprintf(c->who, sizeof(c->who), "pid %d, uid %u", (int)peer.pid, (unsigned)peer.uid);
	if (!may_ask(s, fd, &peer)) {
		log_warn("control: a request of %s was refused", c->who);
		ctl_err(c, "denied", "uid %u may not control this enma (control.mode, control.group)", (unsigned)peer.uid);
		ctl_end(c);
	}
}

static void
on_listener(void *arg, uint32_t events UNUSED)
{
	struct ctl_server *s = arg;
	struct ctl_client *c = free_client(s);
	int fd;

	if (c == NULL) {
		s->is_paused = true;
		loop_change(s->loop, listen_fd(s->listener), 0);
		return;
	}
	fd = accept4(listen_fd(s->listener), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		client_open(s, c, fd);
}

enum rc
ctl_server_open(struct loop *loop, const struct sockspec *spec, const struct listen_rules *rules, uid_t milter_uid, int64_t patience_ms,
                ctl_fn fn, void *arg, struct ctl_server **out, char *why, size_t size)
{
	struct listener *l;
	struct ctl_server *s;

	*out = NULL;
	if (listen_open(spec, rules, patience_ms, &l, why, size) != RC_OK)
		return RC_TEMP;
	s = xcalloc(1, sizeof(*s));
	*s = (struct ctl_server){ .loop = loop, .listener = l, .rules = *rules, .milter_uid = milter_uid, .fn = fn, .arg = arg };
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++)
		s->client[i].fd = -1;
	if (loop_add(loop, listen_fd(l), EPOLLIN, on_listener, s) != RC_OK) {
		snprintf(why, size, "cannot watch the control socket");
		ctl_server_close(&s);
		return RC_TEMP;
	}
	*out = s;
	return RC_OK;
}

void
ctl_server_close(struct ctl_server **sp)
{
	struct ctl_server *s = *sp;

	if (s == NULL)
		return;
	for (size_t i = 0; i < CTL_CLIENTS_MAX; i++)
		if (s->client[i].state != CLIENT_FREE)
			client_close(&s->client[i]);
	loop_remove(s->loop, listen_fd(s->listener));
	listen_close(&s->listener);
	free(s);
	*sp = NULL;
}

int64_t
ctl_server_tick(struct ctl_server *s, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; s != NULL && i < CTL_CLIENTS_MAX; i++) {
		struct ctl_client *c = &s->client[i];

		if (c->state == CLIENT_FREE)
			continue;
		if (c->deadline_ms > now_ms)
			next = MIN(next, c->deadline_ms);
		else if (c->state == CLIENT_READS) {
			ctl_err(c, "timeout", "no request came within %d seconds", CTL_TIMEOUT_MS / 1000);
			ctl_end(c);
			client_write(c);
			if (c->state != CLIENT_FREE)
				client_close(c);
		} else
			client_close(c);
	}
	return next;
}

void
ctl_server_flush(struct ctl_server *s, int ms)
{
	int64_t until = clock_mono_ms() + ms;

	for (size_t i = 0; s != NULL && i < CTL_CLIENTS_MAX; i++) {
		struct ctl_client *c = &s->client[i];
		struct pollfd p = { c->fd, POLLOUT, 0 };
		int64_t left;

		while (c->state == CLIENT_WRITES && (left = until - clock_mono_ms()) > 0 && poll(&p, 1, (int)left) > 0)
			client_write(c);
	}
}
