/*
 * dnsd - a DNS server for tests: serves zone files (syntax: common/dns/dns_fixture.h) over UDP and TCP, and misbehaves on demand.
 *
 *	dnsd [--host 127.0.0.1] [--port 0] [--control PATH] [--stdin-eof] ZONEFILE ...
 *
 * Prints "listening PORT" when it is ready.  Authoritative-looking answers with EDNS; what does not fit into 1232 bytes (512 without
 * EDNS) is truncated and comes over TCP.  Unknown names are NXDOMAIN with an SOA whose minimum is 60.  TIMEOUT names get no answer, GARBAGE names
 * get damaged packets of five kinds in turn, DELAY names a late answer.
 *
 * --control: a unix socket; one line, one answer that ends with ".", for as long as the connection is open:
 *	count           "total N", then "N NAME TYPE" for each question since the start or the last reset
 *	reset           forgets the counts
 *	reload          reads the zone files again; "ok" or "err REASON" (then nothing changes)
 *	quit
 * --stdin-eof: ends when its standard input does, so that a test that dies takes its server along.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/dns_fixture.h"
#include "t/tools/dnswire.h"

enum {
	CONNECTIONS_MAX = 512,
	IN_MAX = 2 + WIRE_MAX,
	UDP_MAX = 1232,
	BUCKETS = 65536,
	TYPE_OPT = 41,
	RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4,
	NO_ANSWER = -1,
};

struct query {
	unsigned id, flags;
	struct dns_name name;
	uint16_t type;
	bool has_edns;
	size_t udp_max;
};

struct count {
	struct count *next;
	struct dns_name name;
	uint16_t type;
	uint64_t n;
};

struct conn {
	int fd;                         /* -1: free */
	uint64_t serial;                /* late answers find the right one */
	bool is_control, is_closing;
	uint8_t *in;
	size_t in_n;
	uint8_t *out;
	size_t out_n, out_room;
};

/* An answer that waits for its time. */
struct late {
	struct late *next;
	int64_t due_ms;
	uint64_t serial;                /* 0: UDP */
	struct sockaddr_storage to;
	socklen_t to_len;
	size_t n;
	uint8_t packet[];
};

static struct zone *zone;
static char **zone_files;
static int zone_file_count;
static int udp_fd = -1, tcp_fd = -1, control_fd = -1;
static struct conn conns[CONNECTIONS_MAX];
static struct count *counts[BUCKETS];
static uint64_t total, serials;
static struct late *lates;
static bool must_quit;

static void
die(const char *what)
{
	fprintf(stderr, "dnsd: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- zone files ------------------------------------------------------------------------------ */

static void
read_file(const char *path, struct buf *text)
{
	FILE *file = fopen(path, "re");
	char part[16 * KIB];
	size_t n;

	if (file == NULL)
		die(path);
	while ((n = fread(part, 1, sizeof part, file)) > 0)
		buf_span(text, span_of(part, n));
	fclose(file);
	buf_byte(text, '\n');
}

/* NULL, or the reason (heap). */
static char *
load_zone(void)
{
	struct buf text = buf_heap(256 * MIB);
	struct zone *fresh;
	char *why;

	for (int i = 0; i < zone_file_count; i++)
		read_file(zone_files[i], &text);
	if (zone_parse(buf_text(&text), &fresh, &why) == RC_OK) {
		zone_destroy(&zone);
		zone = fresh;
	}
	buf_fini(&text);
	return why;
}

/* ---- counting -------------------------------------------------------------------------------- */

static void
count_query(const struct query *q)
{
	uint32_t hash = 2166136261u ^ q->type;
	struct count **at, *c;

	for (size_t i = 0; i < q->name.n; i++)
		hash = (hash ^ q->name.w[i]) * 16777619u;
	total++;
	for (at = &counts[hash % BUCKETS]; (c = *at) != NULL; at = &c->next) {
		if (c->type == q->type && dns_name_eq(&c->name, &q->name)) {
			c->n++;
			return;
		}
	}
	*at = c = xcalloc(1, sizeof *c);
	c->name = q->name;
	c->type = q->type;
	c->n = 1;
}

static void
reset_counts(void)
{
	total = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (counts[i] != NULL) {
			struct count *c = counts[i];

			counts[i] = c->next;
			free(c);
		}
	}
}

static void
print_counts(struct buf *b)
{
	buf_fmt(b, "total %llu\n", (unsigned long long)total);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct count *c = counts[i]; c != NULL; c = c->next) {
			buf_fmt(b, "%llu ", (unsigned long long)c->n);
			dns_name_print(b, &c->name);
			if (strcmp(dns_type_name(c->type), "TYPE") == 0)
				buf_fmt(b, " TYPE%u\n", c->type);
			else
				buf_fmt(b, " %s\n", dns_type_name(c->type));
		}
	}
}

/* ---- from query to answer -------------------------------------------------------------------- */

static unsigned
get_u16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* False: not a query worth an answer. */
static bool
parse_query(const uint8_t *p, size_t n, struct query *q)
{
	size_t at = 12;

	*q = (struct query){ .udp_max = 512 };
	if (n < 12 || (p[2] & 0x80) || get_u16(p + 4) != 1)
		return false;
	q->id = get_u16(p);
	q->flags = get_u16(p + 2);
	while (at < n && p[at] != 0) {
		size_t len = p[at];

		if (len > 63 || n - at < len + 1 || q->name.n + len + 2 > DNS_NAME_WIRE_MAX)
			return false;
		q->name.w[q->name.n++] = (uint8_t)len;
		for (size_t i = 1; i <= len; i++)
			q->name.w[q->name.n++] = ascii_lower(p[at + i]);
		at += len + 1;
	}
	q->name.w[q->name.n++] = 0;
	if (n - at < 5)
		return false;
	q->type = (uint16_t)get_u16(p + at + 1);
	at += 5;
	if (get_u16(p + 10) > 0 && n - at >= 11 && p[at] == 0 && get_u16(p + at + 1) == TYPE_OPT) {
		q->has_edns = true;
		q->udp_max = MIN(MAX(get_u16(p + at + 3), 512u), (unsigned)UDP_MAX);
	}
	return true;
}

static void
put_record(struct wire *w, const struct dns_name *owner, uint16_t type, const struct dns_rr *rr)
{
	size_t at;

	wire_name(w, owner);
	at = wire_rr(w, type, rr->ttl_s);
	if (type == DNS_A)
		wire_bytes(w, rr->ip.b + 12, 4);
	else if (type == DNS_AAAA)
		wire_bytes(w, rr->ip.b, 16);
	else if (type == DNS_TXT)
		wire_strings(w, rr->text);
	else if (type == DNS_MX)
		wire_u16(w, rr->preference);
	if (rr->name != NULL)
		wire_name(w, rr->name);
	wire_rdata_end(w, at);
}

static unsigned
put_records(struct wire *w, const struct dns_name *owner, uint16_t type, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->rr_count; i++)
		put_record(w, owner, type, &a->rr[i]);
	return (unsigned)a->rr_count;
}

/* The SOA of the top-level domain, which every server of every name might send. */
static void
put_soa(struct wire *w, const struct dns_name *name, uint32_t ttl_s)
{
	struct dns_name top = { .n = 1 };
	size_t at = 0;

	while (at + 1 < name->n) {
		size_t next = at + 1 + name->w[at];

		if (name->w[next] == 0) {
			top.n = (uint8_t)(name->n - at);
			memcpy(top.w, name->w + at, top.n);
		}
		at = next;
	}
	wire_soa(w, &top, ttl_s, ttl_s);
}

/* The CNAMEs from *name on; *name becomes where they end. */
static unsigned
put_chain(struct wire *w, struct dns_name *name, uint16_t type)
{
	unsigned links = 0;

	while (type != DNS_CNAME && links <= DNS_CNAME_MAX) {
		const struct dns_answer *a;
		bool is_link = false;

		/* what is said about the type asked goes before the CNAME */
		if (zone_delay_ms(zone, name, type) < 0)
			break;
		a = zone_answer(zone, name, DNS_CNAME);
		if (a != NULL && a->status == DNS_OK && a->rr_count == 1) {
			put_records(w, name, DNS_CNAME, a);
			*name = *a->rr[0].name;
			is_link = true;
			links++;
		}
		dns_answer_unref(a);
		if (!is_link)
			break;
	}
	return links;
}

static void
put_edns(struct wire *w)
{
	wire_u8(w, 0);
	wire_u16(w, TYPE_OPT);
	wire_u16(w, UDP_MAX);
	wire_u32(w, 0);
	wire_u16(w, 0);
}

static void
truncate_answer(struct wire *w, const struct query *q)
{
	wire_header(w, q->id, WIRE_QR | WIRE_AA | WIRE_RA | WIRE_TC | (q->flags & WIRE_RD), 1, 0, 0, q->has_edns);
	wire_question(w, &q->name, q->type);
	if (q->has_edns)
		put_edns(w);
}

static uint32_t
random_bits(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Five kinds of damage in turn; the id stays right, so that the resolver looks inside. */
static void
spoil(struct wire *w)
{
	static unsigned turn;
	const size_t n = w->n;

	switch (turn++ % 5) {
	case 0:                                         /* noise */
		for (size_t i = 2; i < n; i++)
			w->b[i] = (uint8_t)random_bits();
		w->b[2] |= 0x80;
		break;
	case 1:                                         /* some bytes changed */
		for (int i = 0; i < 8 && n > 12; i++)
			w->b[12 + random_bits() % (n - 12)] = (uint8_t)random_bits();
		break;
	case 2:                                         /* cut */
		w->n = 12 + random_bits() % (n - 11);
		break;
	case 3:                                         /* a name that points to itself, counted as an answer */
		wire_set_u16(w, 6, 1);
		wire_u16(w, 0xc000 | (unsigned)w->n);
		wire_rr(w, DNS_A, 60);
		break;
	default:                                        /* records that are not there */
		wire_set_u16(w, 6, 65535);
		break;
	}
}

/* Makes the answer; returns milliseconds to wait, or NO_ANSWER. */
static int
answer_query(const struct query *q, bool is_tcp, struct wire *w)
{
	struct dns_name end = q->name;
	const struct dns_answer *a;
	unsigned answers, rcode = 0;
	int delay_ms = zone_delay_ms(zone, &q->name, q->type);
	bool is_garbage = delay_ms == -2;

	wire_header(w, q->id, 0, 1, 0, 0, 0);
	wire_question(w, &q->name, q->type);
	answers = put_chain(w, &end, q->type);
	a = zone_answer(zone, &end, q->type);
	if (delay_ms == -1 || (a != NULL && a->status == DNS_TIMEOUT)) {
		dns_answer_unref(a);
		return NO_ANSWER;
	}
	if (a != NULL && a->status == DNS_OK) {
		answers += put_records(w, &end, q->type, a);
	} else if (a != NULL && a->status == DNS_SERVFAIL) {
		rcode = answers > DNS_CNAME_MAX ? 0 : RCODE_SERVFAIL;
	} else if (a != NULL && a->status == DNS_MALFORMED) {
		is_garbage = true;
	} else {
		rcode = a == NULL || a->status == DNS_NXDOMAIN ? RCODE_NXDOMAIN : 0;
		put_soa(w, &end, a == NULL ? 60 : a->ttl_s);
		wire_set_u16(w, 8, 1);
	}
	dns_answer_unref(a);
	wire_set_u16(w, 2, WIRE_QR | WIRE_AA | WIRE_RA | (q->flags & WIRE_RD) | rcode);
	wire_set_u16(w, 6, answers);
	wire_set_u16(w, 10, q->has_edns);
	if (q->has_edns)
		put_edns(w);
	if (w->failed) {
		truncate_answer(w, q);
		wire_set_u16(w, 2, WIRE_QR | RCODE_SERVFAIL);
	} else if (is_garbage) {
		spoil(w);
	} else if (!is_tcp && w->n > q->udp_max) {
		truncate_answer(w, q);
	}
	return MAX(delay_ms, 0);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void
conn_write(struct conn *c, const void *p, size_t n)
{
	if (c->out_room - c->out_n < n) {
		c->out_room = MAX(c->out_room * 2, c->out_n + n);
		c->out = xrealloc(c->out, c->out_room, 1);
	}
	memcpy(c->out + c->out_n, p, n);
	c->out_n += n;
}

static void
conn_send_packet(struct conn *c, const uint8_t *p, size_t n)
{
	uint8_t len[2] = { (uint8_t)(n >> 8), (uint8_t)n };

	conn_write(c, len, 2);
	conn_write(c, p, n);
}

static void
send_packet(uint64_t serial, const struct sockaddr_storage *to, socklen_t to_len, const uint8_t *p, size_t n)
{
	if (serial == 0) {
		(void)sendto(udp_fd, p, n, 0, (const struct sockaddr *)to, to_len);
		return;
	}
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (conns[i].fd >= 0 && conns[i].serial == serial)
			conn_send_packet(&conns[i], p, n);
}

static void
keep_for_later(int delay_ms, uint64_t serial, const struct sockaddr_storage *to, socklen_t to_len, const struct wire *w)
{
	struct late *late = xcalloc(1, sizeof *late + w->n), **at;

	late->due_ms = clock_mono_ms() + delay_ms;
	late->serial = serial;
	late->to_len = to_len;
	if (to != NULL)
		late->to = *to;
	late->n = w->n;
	memcpy(late->packet, w->b, w->n);
	for (at = &lates; *at != NULL && (*at)->due_ms <= late->due_ms; at = &(*at)->next)
		continue;
	late->next = *at;
	*at = late;
}

static void
send_due(void)
{
	const int64_t now_ms = clock_mono_ms();

	while (lates != NULL && lates->due_ms <= now_ms) {
		struct late *late = lates;

		lates = late->next;
		send_packet(late->serial, &late->to, late->to_len, late->packet, late->n);
		free(late);
	}
}

static void
serve(const uint8_t *p, size_t n, uint64_t serial, const struct sockaddr_storage *from, socklen_t from_len)
{
	static struct wire w;
	struct query q;
	int delay_ms;

	if (!parse_query(p, n, &q))
		return;
	count_query(&q);
	delay_ms = answer_query(&q, serial != 0, &w);
	if (delay_ms > 0)
		keep_for_later(delay_ms, serial, from, from_len, &w);
	else if (delay_ms == 0)
		send_packet(serial, from, from_len, w.b, w.n);
}

static void
serve_udp(void)
{
	for (int i = 0; i < 256; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof from;
		uint8_t packet[4 * KIB];
		ssize_t n = recvfrom(udp_fd, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		serve(packet, (size_t)n, 0, &from, from_len);
	}
}

/* ---- connections ----------------------------------------------------------------------------- */

static void
conn_close(struct conn *c)
{
	close(c->fd);
	free(c->in);
	free(c->out);
	*c = (struct conn){ .fd = -1 };
}

static void
conn_accept(int listener, bool is_control)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (conns[i].fd >= 0)
			continue;
		conns[i] = (struct conn){ .fd = fd, .serial = ++serials, .is_control = is_control };
		conns[i].in = xmalloc(IN_MAX);
		return;
	}
	close(fd);
}

static void
run_command(struct conn *c, struct span line)
{
	struct buf b = buf_heap(64 * MIB);

	if (span_eq(line, SPAN("count"))) {
		print_counts(&b);
	} else if (span_eq(line, SPAN("reset"))) {
		reset_counts();
		buf_str(&b, "ok\n");
	} else if (span_eq(line, SPAN("reload"))) {
		char *why = load_zone();

		buf_fmt(&b, why == NULL ? "ok\n" : "err %s\n", why);
		free(why);
	} else if (span_eq(line, SPAN("quit"))) {
		must_quit = true;
		buf_str(&b, "ok\n");
	} else {
		buf_str(&b, "err unknown command\n");
	}
	buf_str(&b, ".\n");
	conn_write(c, b.p, b.n);
	buf_fini(&b);
}

/* Takes one command or one packet off the front of what has arrived; false when there is none. */
static bool
conn_step(struct conn *c)
{
	size_t used;

	if (c->is_control) {
		struct span in = span_of((char *)c->in, c->in_n);

		used = span_find(in, '\n') + 1;
		if (used > c->in_n)
			return false;
		run_command(c, span_trim(span_sub(in, 0, used)));
	} else {
		if (c->in_n < 2 || c->in_n < 2 + get_u16(c->in))
			return false;
		used = 2 + get_u16(c->in);
		serve(c->in + 2, used - 2, c->serial, NULL, 0);
	}
	memmove(c->in, c->in + used, c->in_n - used);
	c->in_n -= used;
	return true;
}

static void
conn_read(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->in_n, IN_MAX - c->in_n);

	if (n <= 0) {
		c->is_closing = n == 0 || errno != EAGAIN;
		return;
	}
	c->in_n += (size_t)n;
	while (conn_step(c))
		continue;
	if (c->in_n == IN_MAX)
		c->is_closing = true;
}

static void
conn_flush(struct conn *c)
{
	ssize_t n = c->out_n > 0 ? send(c->fd, c->out, c->out_n, MSG_NOSIGNAL) : 0;

	if (n > 0) {
		memmove(c->out, c->out + n, c->out_n - (size_t)n);
		c->out_n -= (size_t)n;
	} else if (n < 0 && errno != EAGAIN) {
		c->is_closing = true;
	}
	if (c->is_closing)
		conn_close(c);
}

/* ---- main ------------------------------------------------------------------------------------ */

static int
bind_socket(const char *host, int port, int type, int *port_out)
{
	struct addrinfo hints = { .ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *ai;
	struct sockaddr_storage name;
	socklen_t name_len = sizeof name;
	char service[16];
	int fd, size = 4 * MIB, one = 1;

	snprintf(service, sizeof service, "%d", port);
	if (getaddrinfo(host, service, &hints, &ai) != 0) {
		fprintf(stderr, "dnsd: not an address: %s\n", host);
		exit(2);
	}
	fd = socket(ai->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&name, &name_len) == 0)
		*port_out = ntohs(name.ss_family == AF_INET ? ((struct sockaddr_in *)&name)->sin_port :
		    ((struct sockaddr_in6 *)&name)->sin6_port);
	return fd;
}

/* The same port for both protocols: with port 0 the UDP one is the kernel's choice, which TCP may find taken. */
static void
listen_both(const char *host, int port)
{
	int chosen = port, same;

	for (int tries = 0; tries < 50 && tcp_fd < 0; tries++) {
		if (udp_fd >= 0)
			close(udp_fd);
		udp_fd = bind_socket(host, port, SOCK_DGRAM, &chosen);
		if (udp_fd < 0)
			die("bind");
		tcp_fd = bind_socket(host, chosen, SOCK_STREAM, &same);
	}
	if (tcp_fd < 0 || listen(tcp_fd, 128) != 0)
		die("bind (TCP)");
	printf("listening %d\n", chosen);
	fflush(stdout);
}

static void
listen_control(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		die(path);
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	unlink(path);
	control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control_fd < 0 || bind(control_fd, (struct sockaddr *)&sun, sizeof sun) != 0 || listen(control_fd, 16) != 0)
		die(path);
}

static bool
stdin_has_ended(void)
{
	char junk[256];
	ssize_t n = read(STDIN_FILENO, junk, sizeof junk);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void
turn(bool watches_stdin)
{
	static struct pollfd fds[4 + CONNECTIONS_MAX];
	static struct conn *of[CONNECTIONS_MAX];
	size_t n = 0;
	int wait_ms = -1;

	fds[0] = (struct pollfd){ .fd = udp_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = tcp_fd, .events = POLLIN };
	fds[2] = (struct pollfd){ .fd = control_fd, .events = POLLIN };
	fds[3] = (struct pollfd){ .fd = watches_stdin ? STDIN_FILENO : -1, .events = POLLIN };
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (conns[i].fd < 0)
			continue;
		of[n] = &conns[i];
		fds[4 + n++] = (struct pollfd){ .fd = conns[i].fd, .events = conns[i].out_n > 0 ? POLLIN | POLLOUT : POLLIN };
	}
	if (lates != NULL)
		wait_ms = (int)MAX(lates->due_ms - clock_mono_ms(), 0);
	if (poll(fds, 4 + n, wait_ms) < 0 && errno != EINTR)
		die("poll");
	send_due();
	if (fds[0].revents)
		serve_udp();
	for (size_t i = 0; i < n; i++) {
		if (fds[4 + i].revents & (POLLIN | POLLHUP | POLLERR))
			conn_read(of[i]);
		conn_flush(of[i]);
	}
	if (fds[1].revents)
		conn_accept(tcp_fd, false);
	if (fds[2].revents)
		conn_accept(control_fd, true);
	if (fds[3].revents && stdin_has_ended())
		must_quit = true;
}

static void
clean_up(const char *control)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (conns[i].fd >= 0)
			conn_close(&conns[i]);
	while (lates != NULL) {
		struct late *late = lates;

		lates = late->next;
		free(late);
	}
	reset_counts();
	zone_destroy(&zone);
	if (control != NULL)
		unlink(control);
}

static void
on_signal(int sig)
{
	(void)sig;
	must_quit = true;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "host", required_argument, NULL, 'h' }, { "port", required_argument, NULL, 'p' },
		{ "control", required_argument, NULL, 'c' }, { "stdin-eof", no_argument, NULL, 'e' }, { 0 },
	};
	const struct sigaction action = { .sa_handler = on_signal };    /* poll returns: no SA_RESTART */
	const char *host = "127.0.0.1", *control = NULL;
	bool watches_stdin = false;
	uint64_t port = 0;
	char *why;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'h')
			host = optarg;
		else if (c == 'p' && span_to_uint(span_cstr(optarg), 65535, &port))
			continue;
		else if (c == 'c')
			control = optarg;
		else if (c == 'e')
			watches_stdin = true;
		else
			return fprintf(stderr, "usage: dnsd [--host A] [--port N] [--control PATH] [--stdin-eof] ZONEFILE ...\n"), 2;
	}
	zone_files = argv + optind;
	zone_file_count = argc - optind;
	if ((why = load_zone()) != NULL) {
		fprintf(stderr, "dnsd: %s\n", why);
		free(why);
		return 1;
	}
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		conns[i].fd = -1;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (control != NULL)
		listen_control(control);
	listen_both(host, (int)port);
	while (!must_quit)
		turn(watches_stdin);
	/* the answer to "quit" is still to be sent */
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (conns[i].fd >= 0)
			conn_flush(&conns[i]);
	clean_up(control);
	return 0;
}
