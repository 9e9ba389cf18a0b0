/* writer_client - control clients and their answers, each at its own speed; see writer_int.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "cache/writer_int.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"

enum { LEFT_OVER_READS = 16 };

void
writer_clients_init(struct writer_clients *c, struct writer_store *s, struct writer_feed *f)
{
	*c = (struct writer_clients){ .store = s, .feed = f };
	for (size_t i = 0; i < ARRAY_LEN(c->client); i++)
		c->client[i].fd = -1;
}

/* What a client still says is read first: the kernel would tell it "connection reset" and drop the end of its answer. */
static void
let_go(struct writer_client *c)
{
	char scratch[1024];

	for (int i = 0; i < LEFT_OVER_READS && recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT) > 0; i++)
		;
	fdio_close(&c->fd);
	buf_fini(&c->out);
	free(c->histogram);
	*c = (struct writer_client){ .fd = -1 };
}

void
writer_client_refuse(struct writer_client *c, const char *code, const char *text)
{
	buf_clear(&c->out);
	buf_fmt(&c->out, "err %s %s\n.\n", code, text);
	c->is_complete = true;
}

/* One too many is told so, as far as its socket takes it at once. */
static void
turn_away(int fd)
{
	static const char text[] = "err busy too many requests at once\n.\n";

	(void)!send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	fdio_close(&fd);
}

static struct writer_client *
find_free(struct writer_clients *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->client); i++)
		if (all->client[i].fd < 0)
			return &all->client[i];
	return NULL;
}

static void
begin(struct writer_clients *all, struct writer_client *c, struct span request)
{
	const char *why;

	if (writer_request_parse(request, &c->request, &why) != RC_OK || writer_request_ranges(&c->request, &c->ranges) != RC_OK) {
		writer_client_refuse(c, "syntax", why);
	} else if (all->store->db == NULL) {
		writer_client_refuse(c, "busy", "there is no cache file at the moment, see the log");
	} else if (c->request.what == WRITER_HISTOGRAM) {
		c->histogram = xcalloc(1, sizeof *c->histogram);
	} else if (c->request.what == WRITER_DUMP || c->request.what == WRITER_GET) {
		buf_str(&c->out, "ok\n");
	}
}

void
writer_clients_add(struct writer_clients *all, int fd, struct span request, int64_t now_ms)
{
	struct writer_client *c = find_free(all);

	if (c == NULL) {
		turn_away(fd);
		return;
	}
	*c = (struct writer_client){
		.fd = fd, .out = buf_heap(WRITER_CHUNK_BYTES + WRITER_LINE_MAX), .progress_ms = now_ms, .serial = all->store->serial,
		.taken = all->feed->taken, .emptied = all->feed->emptied,
	};
	begin(all, c, request);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

struct reading {
	struct writer_client *c;
	int64_t now_s;
};

static bool
is_wanted(const struct writer_request *r, struct span key)
{
	struct cache_key_parts parts;

	if (!r->has_type)
		return true;
	return cache_key_parse(key, &parts) == RC_OK && parts.kind == CACHE_DNS && parts.type == r->type;
}

/* Into the buffer, inside a read transaction: no more than a chunk and a line. */
static bool
read_entry(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct reading *r = arg;
	struct writer_client *c = r->c;

	(void)end_s;
	if (c->histogram != NULL)
		writer_histogram_add(c->histogram, key, value, r->now_s);
	else if (is_wanted(&c->request, key))
		writer_print_entry(&c->out, key, value, c->request.only_expired, r->now_s);
	return c->out.n < WRITER_CHUNK_BYTES;
}

static void
end_reading(struct writer_client *c)
{
	if (c->histogram != NULL) {
		buf_str(&c->out, "ok\n");
		writer_histogram_print(&c->out, c->histogram);
	}
	buf_str(&c->out, ".\n");
	c->is_complete = true;
}

/* One read transaction.  False: the rest cannot be had; the client sees an answer without its end. */
static bool
read_step(struct writer_store *s, struct writer_client *c, int64_t now_s)
{
	struct reading r = { .c = c, .now_s = now_s };
	enum rc rc;

	if (s->db == NULL || s->serial != c->serial)
		return false;
	if (c->range == c->ranges.n) {
		end_reading(c);
		return true;
	}
	rc = cache_db_walk(s->db, cache_key_span(&c->ranges.prefix[c->range]), &c->cursor, CACHE_DB_WALK_MAX, read_entry, &r);
	if (rc == RC_NONE) {
		c->range++;
		c->cursor.n = 0;
	}
	return (rc == RC_OK || rc == RC_NONE) && buf_ok(&c->out);
}

/* ---- sending ------------------------------------------------------------------------------------------- */

static bool
has_unsent(const struct writer_client *c)
{
	return c->sent < c->out.n;
}

/* False: the client is gone. */
static bool
send_some(struct writer_client *c, int64_t now_ms)
{
	ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS;
	c->sent += (size_t)n;
	c->progress_ms = now_ms;
	if (!has_unsent(c)) {
		buf_clear(&c->out);
		c->sent = 0;
	}
	return true;
}

static bool
step(struct writer_clients *all, struct writer_client *c, int64_t now_ms, int64_t now_s)
{
	c->progress_ms = now_ms;
	if (c->request.what < WRITER_FLUSH)
		return read_step(all->store, c, now_s);
	c->is_complete = writer_flush_step(all, c, now_ms, now_s);
	return true;
}

/* True: it stays. */
static bool
turn(struct writer_clients *all, struct writer_client *c, int64_t now_ms, int64_t now_s)
{
	if (!has_unsent(c) && !c->is_complete && !step(all, c, now_ms, now_s))
		return false;
	if (has_unsent(c) && !send_some(c, now_ms))
		return false;
	if (c->is_complete && !has_unsent(c))
		return false;
	if (now_ms - c->progress_ms < WRITER_CLIENT_MS)
		return true;
	log_debug("a control client that took nothing for %d s is let go", WRITER_CLIENT_MS / WRITER_SECOND_MS);
	return false;
}

bool
writer_clients_turn(struct writer_clients *all, int64_t now_ms, int64_t now_s)
{
	bool is_busy = false;

	for (size_t i = 0; i < ARRAY_LEN(all->client); i++) {
		struct writer_client *c = &all->client[i];

		if (c->fd < 0)
			continue;
		if (!turn(all, c, now_ms, now_s))
			let_go(c);
		else if (!has_unsent(c))
			is_busy = true;
	}
	return is_busy;
}

bool
writer_clients_are_done(const struct writer_clients *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->client); i++)
		if (all->client[i].fd >= 0)
			return false;
	return true;
}

void
writer_clients_close(struct writer_clients *all)
{
	for (size_t i = 0; i < ARRAY_LEN(all->client); i++)
		if (all->client[i].fd >= 0)
			let_go(&all->client[i]);
}

void
writer_clients_polls(const struct writer_clients *all, struct pollfd *polls)
{
	for (size_t i = 0; i < ARRAY_LEN(all->client); i++)
		polls[i] = (struct pollfd){ .fd = all->client[i].fd, .events = has_unsent(&all->client[i]) ? POLLOUT : 0 };
}

void
writer_clients_polled(struct writer_clients *all, const struct pollfd *polls)
{
	for (size_t i = 0; i < ARRAY_LEN(all->client); i++)
		if (polls[i].fd >= 0 && (polls[i].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			let_go(&all->client[i]);
}
