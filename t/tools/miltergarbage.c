/*
 * miltergarbage - hostile input for a milter socket: half packets, wrong lengths, wrong order, too much of everything.
 *
 *   miltergarbage --connect ADDR --garbage KIND|all [--connections N] [--timeout-ms N] [--seed N] [--json]
 *
 * Everything of one kind is sent over N connections at the same time (default: 10, for "truncated" one for every
 * length of a valid session), whatever the peer answers.  A connection is over when the peer closes it, or when it has
 * said nothing for --timeout-ms (default 1000).  One line per kind tells how the peer reacted:
 *   closed           closed without a word          answered         answered something and kept the connection
 *   answered_closed  answered, then closed          silent           said nothing and kept the connection
 *   refused          connect failed                 left             (connect-close) we closed at once
 * The kind is judged by the caller, by asking the filter for good service afterwards.
 * Exit: 0 all connections were accepted, 1 some were refused, 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "t/tools/milteraddr.h"

#define CONNECTIONS_MAX	5000
#define AT_ONCE		200	/* below any listener's backlog */

struct bytes {
	char *p;
	size_t n, cap;
};

struct conn {
	struct bytes out;
	size_t off;
	int64_t until_ms;
	bool answered;
};

static struct sockaddr_storage peer;
static socklen_t peer_len;
static unsigned timeout_ms = 1000, connections;
static uint64_t seed = 1;
static bool json;
static struct { unsigned closed, answered, answered_closed, silent, refused, left; } ct;

static void *grow(void *p, size_t n)
{
	if ((p = realloc(p, n ? n : 1)) == NULL) {
		fputs("miltergarbage: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

static void put(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->cap)
		b->p = grow(b->p, b->cap = (b->n + n) * 2);
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void packet(struct bytes *b, char cmd, const void *p, size_t n)
{
	put(b, &(uint32_t){ htonl((uint32_t)n + 1) }, 4);
	put(b, &cmd, 1);
	put(b, p, n);
}

#define PACKET(b, cmd, literal) packet(b, cmd, "" literal, sizeof literal - 1)

static uint32_t rnd(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what is sent ------------------------------------------------------------------------------------------------- */

static void optneg(struct bytes *b, uint32_t version)
{
	uint32_t v[3] = { htonl(version), htonl(0x1ff), htonl(0x1fffff) };

	packet(b, 'O', v, sizeof v);
}

static void opening(struct bytes *b)
{
	optneg(b, 6);
	PACKET(b, 'D', "Cj\0mx.load.example\0_\0unknown [192.0.2.1]\0");
	PACKET(b, 'C', "[192.0.2.1]\0" "4" "\x04\x00" "192.0.2.1\0");
	PACKET(b, 'D', "H");
	PACKET(b, 'H', "mail.example.org\0");
}

static void envelope(struct bytes *b)
{
	PACKET(b, 'D', "M{mail_addr}\0user@example.org\0");
	PACKET(b, 'M', "<user@example.org>\0SIZE=100\0");
	PACKET(b, 'D', "Ri\0" "4L0000001\0");
	PACKET(b, 'R', "<user@load.example>\0");
}

static void session(struct bytes *b)
{
	opening(b);
	envelope(b);
	PACKET(b, 'D', "Li\0" "4L0000001\0");
	PACKET(b, 'L', "From\0 user@example.org\0");
	PACKET(b, 'N', "");
	PACKET(b, 'B', "hello\r\n");
	PACKET(b, 'E', "");
	PACKET(b, 'A', "");
	PACKET(b, 'Q', "");
}

static void make_nothing(struct bytes *b, unsigned i)
{
	(void)b;
	(void)i;
}

static void make_half_optneg(struct bytes *b, unsigned i)
{
	optneg(b, 6);
	b->n = 1 + i % (b->n - 1);
}

static void make_zero_length(struct bytes *b, unsigned i)
{
	if (i % 2)
		opening(b);
	for (i = 0; i < 16; i++)
		put(b, "\0\0\0\0", 4);
}

/* 4 GB - 1, 2 GB and just above the 64 KB of a packet, with a little data behind it. */
static void make_huge_length(struct bytes *b, unsigned i)
{
	static const uint32_t len[] = { 0xffffffffu, 0x80000000u, 0x7fffffffu, 0x00100001u, 0xfffffffbu };

	if (i % 2)
		opening(b);
	put(b, &(uint32_t){ htonl(len[i % 5]) }, 4);
	put(b, "L", 1);
	for (i = 0; i < 4096; i++)
		put(b, "garbage!", 8);
}

static void make_random(struct bytes *b, unsigned i)
{
	size_t n = 1 + rnd() % 8192;

	if (i % 2)
		opening(b);
	while (n--)
		put(b, &(char){ (char)rnd() }, 1);
}

static void make_truncated(struct bytes *b, unsigned i)
{
	session(b);
	b->n = i % (b->n + 1);
}

static void make_out_of_order(struct bytes *b, unsigned i)
{
	static const char cmd[] = "OCHMRTLNBEADQKU";
	unsigned n;

	if (i % 2)
		optneg(b, 6);
	for (n = 0; n < 64; n++) {
		switch (cmd[rnd() % (sizeof cmd - 1)]) {
		case 'O': optneg(b, 6); break;
		case 'C': PACKET(b, 'C', "[192.0.2.1]\0" "4" "\x04\x00" "192.0.2.1\0"); break;
		case 'H': PACKET(b, 'H', "mail.example.org\0"); break;
		case 'M': PACKET(b, 'M', "<user@example.org>\0"); break;
		case 'R': PACKET(b, 'R', "<user@load.example>\0"); break;
		case 'T': PACKET(b, 'T', ""); break;
		case 'L': PACKET(b, 'L', "Subject\0 x\0"); break;
		case 'N': PACKET(b, 'N', ""); break;
		case 'B': PACKET(b, 'B', "x\r\n"); break;
		case 'E': PACKET(b, 'E', ""); break;
		case 'A': PACKET(b, 'A', ""); break;
		case 'D': PACKET(b, 'D', "Mi\0x\0"); break;
		case 'U': PACKET(b, 'U', "NOOP x\0"); break;
		case 'K': PACKET(b, 'K', ""); break;
		default: break;		/* Q would end the fun */
		}
	}
}

static void make_unknown(struct bytes *b, unsigned i)
{
	if (i % 2)
		opening(b);
	packet(b, (char)"Zz\0\xff!9"[i % 6], "data", 4);
	PACKET(b, 'M', "<user@example.org>\0");
}

static void make_optneg_v1(struct bytes *b, unsigned i)
{
	(void)i;
	optneg(b, 1);
	PACKET(b, 'C', "[192.0.2.1]\0" "4" "\x04\x00" "192.0.2.1\0");
}

static void make_optneg_max(struct bytes *b, unsigned i)
{
	(void)i;
	optneg(b, 0xffffffffu);
	envelope(b);
	PACKET(b, 'E', "");
}

/* Negotiations of every wrong size. */
static void make_optneg_size(struct bytes *b, unsigned i)
{
	static const char junk[64];

	packet(b, 'O', junk, i % 2 ? i % 12 : 13 + i % 50);
}

static void make_headers(struct bytes *b, unsigned i)
{
	opening(b);
	envelope(b);
	for (i = 0; i < 100000; i++)
		PACKET(b, 'L', "X-Many\0 v\0");
	PACKET(b, 'N', "");
	PACKET(b, 'E', "");
	PACKET(b, 'Q', "");
}

static void make_long_header(struct bytes *b, unsigned i)
{
	const size_t n = 1 << 20;
	char *text = grow(NULL, n);

	memset(text, 'x', n);
	memcpy(text, "X-Long\0 ", 8);
	text[n - 1] = '\0';
	opening(b);
	envelope(b);
	packet(b, 'L', text, n);
	PACKET(b, 'N', "");
	PACKET(b, 'E', "");
	free(text);
	(void)i;
}

static void make_nul(struct bytes *b, unsigned i)
{
	opening(b);
	switch (i % 8) {
	case 0: PACKET(b, 'M', "<us\0er@example.org>\0"); break;
	case 1: PACKET(b, 'M', "<no terminator"); break;
	case 2: PACKET(b, 'M', "\0\0\0\0"); break;
	case 3: PACKET(b, 'M', ""); break;
	case 4: PACKET(b, 'H', "a\0b\0c\0"); break;
	case 5: PACKET(b, 'D', "Mi\0no value\0j"); break;
	case 6: PACKET(b, 'C', "host\0" "4" "\x04"); break;
	case 7: PACKET(b, 'C', "host\0" "6" "\x04\x00" "not an address\0"); break;
	}
	envelope(b);
	PACKET(b, 'L', "Na\0me\0 value\0");
	PACKET(b, 'L', "Subject\0 val\0ue\0");
	PACKET(b, 'L', "NoValue\0");
	PACKET(b, 'L', "NoTerminator");
	PACKET(b, 'L', "\0\0");
	PACKET(b, 'L', "");
	PACKET(b, 'N', "");
	PACKET(b, 'B', "a\0b\r\n");
	PACKET(b, 'E', "");
}

static const struct kind {
	const char *name;
	void (*make)(struct bytes *, unsigned i);
	bool half_close;	/* say that no more comes */
} kinds[] = {
	{ "connect-close", make_nothing, false }, { "silent", make_nothing, false }, { "half-optneg", make_half_optneg, false },
	{ "zero-length", make_zero_length, false }, { "huge-length", make_huge_length, false }, { "random", make_random, false },
	{ "truncated", make_truncated, true }, { "out-of-order", make_out_of_order, false },
	{ "unknown-command", make_unknown, false }, { "optneg-v1", make_optneg_v1, false },
	{ "optneg-max", make_optneg_max, false }, { "optneg-size", make_optneg_size, false },
	{ "headers-100k", make_headers, false }, { "header-1m", make_long_header, false }, { "nul", make_nul, false },
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* ---- sending and watching ------------------------------------------------------------------------------------------- */

static void conn_open(const struct kind *k, unsigned i, struct conn *c, struct pollfd *p)
{
	memset(c, 0, sizeof *c);
	p->events = POLLIN | POLLOUT;
	p->revents = 0;
	if ((p->fd = socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0 ||
	    (connect(p->fd, (struct sockaddr *)&peer, peer_len) != 0 && errno != EINPROGRESS)) {
		ct.refused++;
		if (p->fd >= 0)
			close(p->fd);
		p->fd = -1;
		return;
	}
	if (k == &kinds[0]) {
		ct.left++;
		close(p->fd);
		p->fd = -1;
		return;
	}
	k->make(&c->out, i);
	c->until_ms = now_ms() + timeout_ms;
}

static void conn_done(struct conn *c, struct pollfd *p, unsigned *counter)
{
	++*counter;
	close(p->fd);
	p->fd = -1;
	free(c->out.p);
}

static void conn_closed(struct conn *c, struct pollfd *p)
{
	conn_done(c, p, c->answered ? &ct.answered_closed : &ct.closed);
}

static void conn_read(struct conn *c, struct pollfd *p)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(p->fd, buf, sizeof buf, 0)) > 0) {
		c->answered = true;
		c->until_ms = now_ms() + timeout_ms;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 && errno == ECONNREFUSED)
		conn_done(c, p, &ct.refused);
	else
		conn_closed(c, p);
}

static void conn_write(const struct kind *k, struct conn *c, struct pollfd *p)
{
	while (c->off < c->out.n) {
		ssize_t n = send(p->fd, c->out.p + c->off, c->out.n - c->off, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			c->off = c->out.n;	/* the reader finds out why */
			break;
		}
		c->off += (size_t)n;
		c->until_ms = now_ms() + timeout_ms;
	}
	p->events = POLLIN;
	if (k->half_close)
		shutdown(p->fd, SHUT_WR);
}

static void kind_batch(const struct kind *k, unsigned from, unsigned n)
{
	static struct conn conns[AT_ONCE];
	static struct pollfd p[AT_ONCE];
	unsigned left;

	for (unsigned i = 0; i < n; i++)
		conn_open(k, from + i, &conns[i], &p[i]);
	do {
		left = 0;
		poll(p, n, 20);
		for (unsigned i = 0; i < n; i++) {
			if (p[i].fd >= 0 && (p[i].revents & POLLOUT))
				conn_write(k, &conns[i], &p[i]);
			if (p[i].fd >= 0 && (p[i].revents & (POLLIN | POLLHUP | POLLERR)))
				conn_read(&conns[i], &p[i]);
			if (p[i].fd >= 0 && now_ms() >= conns[i].until_ms)
				conn_done(&conns[i], &p[i], conns[i].answered ? &ct.answered : &ct.silent);
			left += p[i].fd >= 0;
		}
	} while (left > 0);
}

static unsigned kind_run(const struct kind *k)
{
	struct bytes whole = { 0 };
	unsigned n = connections ? connections : 10;

	session(&whole);
	if (connections == 0 && k->make == make_truncated)
		n = (unsigned)whole.n + 1;
	free(whole.p);
	memset(&ct, 0, sizeof ct);
	for (unsigned at = 0; at < n; at += AT_ONCE)
		kind_batch(k, at, n - at < AT_ONCE ? n - at : AT_ONCE);
	printf(json ? "{\"kind\":\"%s\",\"connections\":%u,\"closed\":%u,\"answered\":%u,\"answered_closed\":%u,\"silent\":%u,"
	    "\"refused\":%u,\"left\":%u}\n" :
	    "kind=%s connections=%u closed=%u answered=%u answered_closed=%u silent=%u refused=%u left=%u\n",
	    k->name, n, ct.closed, ct.answered, ct.answered_closed, ct.silent, ct.refused, ct.left);
	fflush(stdout);
	return ct.refused;
}

static void usage(int code) __attribute__((noreturn));
static void usage(int code)
{
	fputs("usage: miltergarbage --connect ADDR --garbage KIND|all [--connections N] [--timeout-ms N] [--seed N] [--json]\nkinds:",
	    code ? stderr : stdout);
	for (size_t i = 0; i < KINDS; i++)
		fprintf(code ? stderr : stdout, " %s", kinds[i].name);
	fputc('\n', code ? stderr : stdout);
	exit(code);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "connect", 1, NULL, 'c' }, { "garbage", 1, NULL, 'g' },
		{ "connections", 1, NULL, 'n' }, { "timeout-ms", 1, NULL, 't' }, { "seed", 1, NULL, 's' }, { "json", 0, NULL, 'j' },
		{ "help", 0, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *addr = NULL, *want = NULL, *why;
	unsigned refused = 0, found = 0;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'c': addr = optarg; break;
		case 'g': want = optarg; break;
		case 'n': connections = (unsigned)strtoul(optarg, NULL, 10); break;
		case 't': timeout_ms = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'j': json = true; break;
		case 'h': usage(0); break;
		default: usage(2);
		}
	}
	if (addr == NULL || want == NULL || connections > CONNECTIONS_MAX || timeout_ms == 0)
		usage(2);
	if ((why = milteraddr_parse(addr, &peer, &peer_len)) != NULL) {
		fprintf(stderr, "miltergarbage: --connect %s: %s\n", addr, why);
		return 2;
	}
	for (size_t i = 0; i < KINDS; i++) {
		if (strcmp(want, "all") != 0 && strcmp(want, kinds[i].name) != 0)
			continue;
		found++;
		refused += kind_run(&kinds[i]);
	}
	if (found == 0)
		usage(2);
	return refused ? 1 : 0;
}
