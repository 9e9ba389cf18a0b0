/*
 * milterload - speaks the milter protocol, version 6, as Postfix 3.7 does, over many connections at once, and counts
 * every session that was lost, refused, wrongly answered or not answered in time.
 *
 * One thread, one epoll set, one struct conn for each of the --connections slots.  A slot opens a session, sends
 * --messages-per-connection messages, ends the session and opens the next one until the budget (--messages, --seconds
 * or a signal) is used up.  The order of packets, the macros in front of them, the moments of flushing and the ABORT
 * after every message were taken from the wire of a running Postfix 3.7.11:
 *   - a macro packet precedes every event, also an empty one (HELO without TLS), and DATA's even if DATA is not wanted;
 *     nothing at all precedes header, end-of-header and body events that are not wanted or were skipped;
 *   - the queue id {i} is not known at MAIL and at the first recipient, but from then on;
 *   - events that are not answered stay in a buffer until a reply is needed or DATA comes: a filter that asked for no
 *     reply to anything sees the whole envelope at DATA, not at MAIL (--eager writes each event at once, as Sendmail);
 *   - ABORT follows every message, and precedes QUIT once more.
 *
 * Accounting.  The unit of the budget is the attempt, one message to deliver.  Each attempt ends in exactly one of
 *   ok        answered as expected
 *   wrong     another verdict, no or another Authentication-Results value, or a violation of the protocol
 *   lost      the peer closed the connection before the final answer
 *   timeouts  no reply within --timeout-ms
 *   refused   connect(2) failed.  EAGAIN, a unix socket's full backlog, counts as refused and is not tried again:
 *             Postfix connects without blocking and fails the milter for that session on anything but EINPROGRESS.
 *             (--ramp keeps the number of half-open sessions below the backlog where bursts are not the question.)
 *   overload  tempfail as the answer to CONNECT
 * so ok + wrong + lost + timeouts + refused + overload = attempts, and as every session has one attempt in progress,
 * the last four count sessions too.  After a refusal or an overload answer the slot waits RETRY_PAUSE_MS.
 * The driver sets TCP_NODELAY: Nagle's algorithm on its side would be measured as the filter's latency.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "t/tools/milteraddr.h"

#define CHUNK_MAX	65535u		/* body bytes in one packet */
#define REPLY_MAX	(1u << 20)	/* a longer reply is a violation */
#define RETRY_PAUSE_MS	10		/* after a refusal: do not spin on a dead socket */
#define IDLE_RAMP	128		/* half-open sessions with --idle */
#define TRACE_CHARS	400
#define MY_NAME		"mx.load.example"
#define COMPLAINTS	10		/* lines on stderr about wrong sessions */
#define STAGES		7		/* macro stages of the symbol list */
#define OFFER_ACTIONS	0x000001ffu	/* what Postfix 3.7 offers */
#define OFFER_EVENTS	0x001fffffu

enum { P_NOCONNECT = 0x1, P_NOHELO = 0x2, P_NOMAIL = 0x4, P_NORCPT = 0x8, P_NOBODY = 0x10, P_NOHDRS = 0x20, P_NOEOH = 0x40,
    P_NR_HDR = 0x80, P_NODATA = 0x200, P_NR_CONN = 0x1000, P_NR_HELO = 0x2000, P_NR_MAIL = 0x4000, P_NR_RCPT = 0x8000,
    P_NR_DATA = 0x10000, P_NR_EOH = 0x40000, P_NR_BODY = 0x80000, P_LEADSPC = 0x100000 };

struct bytes {
	char *p;
	size_t n, cap;
};

enum step { S_OPTNEG, S_CONNECT, S_HELO, S_MAIL, S_RCPT, S_DATA, S_HEADER, S_EOH, S_BODY, S_EOM, S_ENDMSG, S_QUIT };
enum state { C_OFF, C_QUEUED, C_START, C_CONNECTING, C_LIVE, C_PAUSED, C_HOLD, C_CLOSING };

struct conn {
	int fd;
	unsigned slot, sessions, in_session;	/* messages of this session so far */
	enum state state;
	enum step step;
	char awaiting, skip;		/* command whose reply is due; event type that the filter wants no more of */
	bool opening, has_attempt, con_done, msg_done, aborting, pause_taken, want_out, has_qid;
	bool ar_seen, ar_match;
	char verdict;
	unsigned rcpt, rcpt_ok, hdr;
	size_t body_off;
	uint32_t proto;
	char *symlist[STAGES];
	bool has_symlist;
	unsigned long long seq;
	int64_t mail_us, pause_from_us, when_us;
	size_t heap_pos;		/* 1-based, 0: no timer */
	unsigned next_queued;
	struct bytes out, in;
	size_t out_off;
};

struct header { const char *name, *value; };

static struct {
	const char *connect, *ip, *helo, *from, *abort_from, *auth, *client_name, *expect, *verdict, *garbage;
	const char *rcpt[64];
	unsigned rcpts, connections, per_conn, jitter_ms, think_ms, headers, header_bytes, idle, timeout_ms, ramp, seed;
	unsigned long long messages;
	double seconds, rate;
	size_t message_size;
	bool json, trace, stop_on_signal, eager, absent;
	int abort_step;			/* enum step, -1: never */
	struct header extra[64];
	unsigned extras;
} opt = {
	.ip = "192.0.2.1", .helo = "mail.example.org", .from = "user%d@example.org", .abort_from = "aborted@aborted.invalid",
	.verdict = "continue", .per_conn = 1, .headers = 30, .header_bytes = 60, .timeout_ms = 30000, .seed = 1,
	.message_size = 12000, .abort_step = -1,
};

static struct {
	unsigned long long attempts, sessions, messages, ok, wrong, lost, refused, overload, timeouts, aborted, tempfail, reject,
	    discard, quarantine, violations;
} ct;

static struct sockaddr_storage peer;
static socklen_t peer_len;
static struct conn *conns;
static struct conn **heap;
static size_t heap_n;
static uint32_t *lat;
static size_t lat_n, lat_cap;
static struct header *headers;
static unsigned header_count;
static char *body;
static regex_t expect_re;
static int ep;
static bool stopping;
static unsigned active, opening, holding, settled, queue_head, queue_tail;	/* queue: slot + 1, 0 is the end */
static int64_t start_us, last_us, next_slot_us;

/* ---- small things ------------------------------------------------------------------------------------------------ */

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void die(const char *fmt, ...)
{
	va_list ap;

	fputs("milterload: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static void *grow(void *p, size_t n)
{
	if ((p = realloc(p, n ? n : 1)) == NULL)
		die("out of memory");
	return p;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2;
		b->p = grow(b->p, b->cap);
	}
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void put_str(struct bytes *b, const char *s)
{
	put(b, s, strlen(s) + 1);
}

static void put_u32(struct bytes *b, uint32_t v)
{
	put(b, &(uint32_t){ htonl(v) }, 4);
}

static uint32_t get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return ntohl(v);
}

static void drop(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){ 0 };
}

/* Text with every %d replaced by the running number.  The answer is valid until the next call. */
static const char *numbered(const char *s, unsigned long long n)
{
	static struct bytes b;
	char num[24];
	const char *at;

	b.n = 0;
	snprintf(num, sizeof num, "%llu", n);
	while ((at = strstr(s, "%d")) != NULL) {
		put(&b, s, (size_t)(at - s));
		put(&b, num, strlen(num));
		s = at + 2;
	}
	put_str(&b, s);
	return b.p;
}

static void complain(const struct conn *c, const char *what, const char *got)
{
	static int said;

	if (said++ < COMPLAINTS)
		fprintf(stderr, "milterload: connection %u message %llu: %s%s%s\n", c->slot, c->seq, what, got ? ": " : "",
		    got ? got : "");
}

static void trace(const struct conn *c, char dir, char cmd, const char *p, size_t n)
{
	size_t i, max = n < TRACE_CHARS ? n : TRACE_CHARS;

	if (!opt.trace || c->slot != 0 || c->sessions != 1)
		return;
	printf("%8.6f %c %c %zu ", (double)(now_us() - start_us) / 1e6, dir, cmd, n);
	for (i = 0; i < max; i++) {
		unsigned char ch = (unsigned char)p[i];

		if (ch == '\0')
			fputs("\\0", stdout);
		else if (ch == '\\' || ch < ' ' || ch > '~')
			printf("\\x%02x", ch);
		else
			putchar(ch);
	}
	puts(max < n ? "..." : "");
	fflush(stdout);
}

/* ---- timers: a heap of connections by when_us ---------------------------------------------------------------------- */

static void heap_set(size_t pos, struct conn *c)
{
	heap[pos - 1] = c;
	c->heap_pos = pos;
}

static void heap_fix(size_t pos)
{
	struct conn *c = heap[pos - 1];
	size_t child;

	for (; pos > 1 && heap[pos / 2 - 1]->when_us > c->when_us; pos /= 2)
		heap_set(pos, heap[pos / 2 - 1]);
	for (; (child = pos * 2) <= heap_n; pos = child) {
		if (child < heap_n && heap[child]->when_us < heap[child - 1]->when_us)
			child++;
		if (heap[child - 1]->when_us >= c->when_us)
			break;
		heap_set(pos, heap[child - 1]);
	}
	heap_set(pos, c);
}

static void timer_set(struct conn *c, int64_t when_us)
{
	c->when_us = when_us;
	if (c->heap_pos == 0)
		heap_set(++heap_n, c);
	heap_fix(c->heap_pos);
}

static void timer_clear(struct conn *c)
{
	size_t pos = c->heap_pos;

	if (pos == 0)
		return;
	c->heap_pos = 0;
	if (pos != heap_n) {
		heap_set(pos, heap[heap_n - 1]);
		heap_n--;
		heap_fix(pos);
	} else {
		heap_n--;
	}
}

static void timer_reply(struct conn *c)
{
	timer_set(c, now_us() + (int64_t)opt.timeout_ms * 1000);
}

/* ---- the life of a slot --------------------------------------------------------------------------------------------- */

/* Takes one attempt from the budget; *at_us is the earliest moment to begin it. */
static bool attempt_take(struct conn *c, int64_t *at_us)
{
	*at_us = now_us();
	if (stopping || (opt.messages > 0 && ct.attempts >= opt.messages))
		return false;
	c->seq = ++ct.attempts;
	c->has_attempt = true;
	if (opt.rate > 0) {
		if (next_slot_us > *at_us)
			*at_us = next_slot_us;
		next_slot_us = *at_us + (int64_t)(1e6 / opt.rate);
	}
	return true;
}

static void attempt_end(struct conn *c, unsigned long long *counter)
{
	if (!c->has_attempt)
		return;
	c->has_attempt = false;
	++*counter;
	last_us = now_us();
}

static void slot_next(struct conn *c, int64_t pause_us)
{
	int64_t at_us;

	timer_clear(c);
	if ((opt.idle && c->sessions > 0) || !attempt_take(c, &at_us)) {
		c->state = C_OFF;
		active--;
		return;
	}
	if (opt.jitter_ms > 0)
		at_us += (int64_t)((double)random() / RAND_MAX * opt.jitter_ms * 1000);
	c->state = C_START;
	timer_set(c, at_us + pause_us);
}

static void opening_done(struct conn *c)
{
	struct conn *next;

	if (!c->opening)
		return;
	c->opening = false;
	opening--;
	if (queue_head == 0)
		return;
	next = &conns[queue_head - 1];
	queue_head = next->next_queued;
	next->state = C_START;
	timer_set(next, now_us());
}

static void idle_settled(void)
{
	if (opt.idle && ++settled == opt.idle) {
		printf("idle ready %u\n", holding);
		fflush(stdout);
	}
}

/* Closes the connection and lets the slot go on; counter: how a still open attempt ends. */
static void conn_end(struct conn *c, unsigned long long *counter, int64_t pause_us)
{
	if (c->state == C_HOLD)
		holding--;
	else if (opt.idle && c->has_attempt)
		idle_settled();
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	drop(&c->out);
	drop(&c->in);
	for (int i = 0; i < STAGES; i++) {
		free(c->symlist[i]);
		c->symlist[i] = NULL;
	}
	opening_done(c);
	if (counter)
		attempt_end(c, counter);
	slot_next(c, pause_us);
}

static void conn_violation(struct conn *c, const char *what, const char *got)
{
	complain(c, what, got);
	ct.violations++;
	conn_end(c, &ct.wrong, 0);
}

/* Does everything that was written so far go out?  False: the connection is gone. */
static bool conn_flush(struct conn *c)
{
	bool pending;

	while (c->out_off < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + c->out_off, c->out.n - c->out_off, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			/* What the peer said before it closed still counts; the reader finds the end. */
			c->out_off = c->out.n = 0;
			if (c->state != C_CLOSING)
				return true;
			conn_end(c, &ct.lost, 0);
			return false;
		}
		c->out_off += (size_t)n;
	}
	pending = c->out_off < c->out.n;
	if (!pending)
		c->out_off = c->out.n = 0;
	if (pending != c->want_out) {
		struct epoll_event ev = { .events = EPOLLIN | (pending ? EPOLLOUT : 0u), .data.ptr = c };

		c->want_out = pending;
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
	}
	if (!pending && c->state == C_CLOSING) {
		conn_end(c, NULL, 0);
		return false;
	}
	return true;
}

/* ---- packets and macros ----------------------------------------------------------------------------------------------- */

static void packet(struct conn *c, char cmd, const char *p, size_t n)
{
	put_u32(&c->out, (uint32_t)n + 1);
	put(&c->out, &cmd, 1);
	put(&c->out, p, n);
	trace(c, '>', cmd, p, n);
}

static const char *from_of(const struct conn *c)
{
	return numbered(c->aborting ? opt.abort_from : opt.from, c->seq);
}

/* The value of a macro, NULL when it is not defined.  Valid until the next call. */
static const char *macro_value(const struct conn *c, char cmd, const char *name)
{
	static char text[1100];
	const char *addr, *at;

	if (strcmp(name, "j") == 0 || strcmp(name, "{daemon_name}") == 0)
		return MY_NAME;
	if (strcmp(name, "{daemon_addr}") == 0)
		return "127.0.0.1";
	if (strcmp(name, "v") == 0)
		return "Postfix 3.7.11";
	if (strcmp(name, "{client_addr}") == 0)
		return opt.ip;
	if (strcmp(name, "{client_name}") == 0)
		return opt.client_name ? opt.client_name : "unknown";
	if (strcmp(name, "_") == 0) {
		snprintf(text, sizeof text, "%s [%s]", opt.client_name ? opt.client_name : "unknown", opt.ip);
		return text;
	}
	if (strcmp(name, "i") == 0 && c->has_qid) {
		snprintf(text, sizeof text, "4L%09llX", c->seq * 2 + c->aborting);
		return text;
	}
	if (strcmp(name, "{auth_type}") == 0)
		return opt.auth ? "PLAIN" : NULL;
	if (strcmp(name, "{auth_authen}") == 0)
		return opt.auth;
	if (strncmp(name, "{mail_", 6) != 0 && strncmp(name, "{rcpt_", 6) != 0)
		return NULL;
	if (name[1] == 'r' && cmd != 'R')
		return NULL;
	if (strcmp(name + 6, "mailer}") == 0)
		return name[1] == 'm' ? "smtp" : "local";
	addr = name[1] == 'm' ? from_of(c) : numbered(opt.rcpt[c->rcpt % opt.rcpts], c->seq);
	at = strrchr(addr, '@');
	if (strcmp(name + 6, "addr}") == 0)	/* Postfix completes a name without a domain, but not the null sender */
		snprintf(text, sizeof text, "%s%s", addr, at || !*addr ? "" : "@" MY_NAME);
	else
		snprintf(text, sizeof text, "%s", at ? at + 1 : MY_NAME);
	return text;
}

static void macros(struct conn *c, char cmd)
{
	static const char order[] = "CHMRTEN";		/* the stages of the symbol list */
	static const char *const defaults[] = {		/* Postfix' milter_*_macros */
		"j {daemon_name} {daemon_addr} v _", "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
		"i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
		"i {rcpt_addr} {rcpt_host} {rcpt_mailer}", "i", "i", "i" };
	/* Headers get the macros of end-of-header, body chunks those of end-of-message. */
	const char *at = strchr(order, cmd == 'L' ? 'N' : cmd == 'B' ? 'E' : cmd);
	const char *list = defaults[at - order];
	char name[64];
	struct bytes b = { 0 };

	if (c->has_symlist)
		list = c->symlist[at - order] ? c->symlist[at - order] : "";
	put(&b, &cmd, 1);
	while (*(list += strspn(list, " ,"))) {
		size_t n = strcspn(list, " ,");
		const char *value;

		snprintf(name, sizeof name, "%.*s", (int)n, list);
		list += n;
		if ((value = macro_value(c, cmd, name)) == NULL)
			continue;
		put_str(&b, name);
		put_str(&b, value);
	}
	packet(c, 'D', b.p, b.n);
	drop(&b);
}

/* One event with its macros.  skip, nr: the protocol bits "do not send" and "do not reply". */
static void event(struct conn *c, char cmd, uint32_t skip, uint32_t nr, const char *p, size_t n)
{
	if (c->skip == cmd)
		return;
	c->skip = 0;
	macros(c, cmd);
	if (c->proto & skip)
		return;
	packet(c, cmd, p, n);
	if ((c->proto & nr) == 0)
		c->awaiting = cmd;
}

/* ---- the steps of a session ----------------------------------------------------------------------------------------------- */

static void step_optneg(struct conn *c)
{
	struct bytes b = { 0 };

	put_u32(&b, 6);
	put_u32(&b, OFFER_ACTIONS);
	put_u32(&b, OFFER_EVENTS);
	packet(c, 'O', b.p, b.n);
	drop(&b);
	c->awaiting = 'O';
	c->step = S_CONNECT;
}

static void step_connect(struct conn *c)
{
	struct bytes b = { 0 };
	char family = strcmp(opt.ip, "none") == 0 ? 'U' : strchr(opt.ip, ':') ? '6' : '4', name[80];

	opening_done(c);
	snprintf(name, sizeof name, "[%s]", opt.ip);
	put_str(&b, opt.client_name ? opt.client_name : name);
	put(&b, &family, 1);
	if (family != 'U') {
		put(&b, &(uint16_t){ htons((uint16_t)(1024 + c->slot % 60000)) }, 2);
		put_str(&b, opt.ip);
	}
	event(c, 'C', P_NOCONNECT, P_NR_CONN, b.p, b.n);
	drop(&b);
	c->step = S_HELO;
}

static void step_helo(struct conn *c)
{
	const char *helo = numbered(opt.helo, c->seq);

	event(c, 'H', P_NOHELO, P_NR_HELO, helo, strlen(helo) + 1);
	c->step = S_MAIL;
}

static void step_mail(struct conn *c)
{
	struct bytes b = { 0 };
	const char *from;
	bool utf8 = false;

	c->verdict = 'c';
	c->skip = 0;
	c->has_qid = c->msg_done = c->ar_seen = c->ar_match = false;
	c->rcpt = c->rcpt_ok = c->hdr = 0;
	c->body_off = 0;
	c->mail_us = now_us();
	from = from_of(c);
	put(&b, "<", 1);
	put(&b, from, strlen(from));
	put_str(&b, ">");
	for (; *from; from++)
		utf8 |= (unsigned char)*from > '~';
	put(&b, "SIZE=", 5);
	put_str(&b, numbered("%d", opt.message_size));
	if (utf8)
		put_str(&b, "SMTPUTF8");
	event(c, 'M', P_NOMAIL, P_NR_MAIL, b.p, b.n);
	drop(&b);
	c->step = S_RCPT;
}

static void step_rcpt(struct conn *c)
{
	struct bytes b = { 0 };
	const char *to = numbered(opt.rcpt[c->rcpt], c->seq);

	put(&b, "<", 1);
	put(&b, to, strlen(to));
	put_str(&b, ">");
	c->verdict = 'c';
	c->has_qid = c->rcpt > 0;
	c->rcpt_ok++;			/* taken back when the reply refuses it */
	event(c, 'R', P_NORCPT, P_NR_RCPT, b.p, b.n);
	drop(&b);
	if (++c->rcpt == opt.rcpts)
		c->step = S_DATA;
}

static bool step_data(struct conn *c)
{
	c->has_qid = true;
	event(c, 'T', P_NODATA, P_NR_DATA, NULL, 0);
	c->step = S_HEADER;
	return conn_flush(c);		/* Postfix hands the connection to another process here */
}

static void step_header(struct conn *c)
{
	const struct header *h = &headers[c->hdr];
	const char *value;
	struct bytes b = { 0 };

	if (c->hdr >= header_count || c->skip == 'L' || (c->proto & P_NOHDRS)) {
		c->step = S_EOH;
		return;
	}
	value = c->aborting && c->hdr == 0 ? " aborted@aborted.invalid" : numbered(h->value, c->seq);
	put_str(&b, h->name);
	put_str(&b, value + ((c->proto & P_LEADSPC) == 0 && *value == ' '));
	event(c, 'L', P_NOHDRS, P_NR_HDR, b.p, b.n);
	drop(&b);
	c->hdr++;
}

static void step_body(struct conn *c)
{
	size_t n = opt.message_size - c->body_off;

	if (n == 0 || c->skip == 'B' || (c->proto & P_NOBODY)) {
		c->step = S_EOM;
		return;
	}
	if (n > CHUNK_MAX)
		n = CHUNK_MAX;
	event(c, 'B', P_NOBODY, P_NR_BODY, body + c->body_off, n);
	c->body_off += n;
}

static bool verdict_expected(char v)
{
	switch (opt.verdict[0]) {
	case 'c': return v == 'c' || v == 'a';
	case 'a': return strcmp(opt.verdict, "any") == 0 || v == 'a';
	default: return v == opt.verdict[0];
	}
}

/* The message has its final answer: judge it. */
static void message_end(struct conn *c)
{
	const char *why = NULL;
	bool passed = c->verdict == 'c' || c->verdict == 'a';
	char got[16];

	snprintf(got, sizeof got, "verdict %c", c->verdict);
	ct.messages++;
	ct.tempfail += c->verdict == 't';
	ct.reject += c->verdict == 'r';
	ct.discard += c->verdict == 'd';
	if (!verdict_expected(c->verdict))
		why = "not the expected verdict";
	else if (opt.expect && passed && !c->ar_match)
		why = c->ar_seen ? "Authentication-Results does not match" : "no Authentication-Results";
	else if (opt.absent && c->ar_seen)
		why = "an Authentication-Results that should not be there";
	if (lat_n == lat_cap)
		lat = grow(lat, (lat_cap = lat_cap ? lat_cap * 2 : 4096) * sizeof *lat);
	lat[lat_n++] = (uint32_t)(now_us() - c->mail_us);
	if (why)
		complain(c, why, got);
	attempt_end(c, why ? &ct.wrong : &ct.ok);
}

/* Between two messages: the ABORT, then the second half of an aborted pair, the next message, or the end. */
static void step_endmsg(struct conn *c)
{
	int64_t at_us;

	packet(c, 'A', NULL, 0);
	c->msg_done = false;
	if (c->aborting) {
		ct.aborted++;
		c->aborting = false;
		c->step = S_MAIL;
		conn_flush(c);
		return;
	}
	c->step = S_QUIT;
	if (c->con_done || ++c->in_session >= opt.per_conn || !attempt_take(c, &at_us))
		return;
	c->aborting = opt.abort_step >= 0;
	c->step = S_MAIL;
	if (at_us > now_us()) {
		c->state = C_PAUSED;
		timer_set(c, at_us);
	}
}

static bool step_quit(struct conn *c)
{
	if (!c->con_done)
		packet(c, 'A', NULL, 0);
	packet(c, 'Q', NULL, 0);
	c->state = C_CLOSING;
	timer_reply(c);
	return conn_flush(c);
}

static void hold(struct conn *c)
{
	c->state = C_HOLD;
	timer_clear(c);
	holding++;
	drop(&c->out);
	drop(&c->in);
	idle_settled();
}

/* --think-ms: the pause of an SMTP client before MAIL, RCPT and DATA, taken out of the latency. */
static bool must_think(struct conn *c)
{
	if (opt.think_ms == 0 || c->pause_taken || (c->step != S_MAIL && c->step != S_RCPT && c->step != S_DATA)) {
		c->pause_taken = false;
		return false;
	}
	c->pause_taken = true;
	c->pause_from_us = now_us();
	c->state = C_PAUSED;
	timer_set(c, c->pause_from_us + (int64_t)opt.think_ms * 1000);
	return true;
}

/* One step; false: the connection is gone or was handed to another slot state. */
static bool conn_step(struct conn *c)
{
	enum step before = c->step;

	switch (c->step) {
	case S_OPTNEG: step_optneg(c); break;
	case S_CONNECT: step_connect(c); break;
	case S_HELO: step_helo(c); break;
	case S_MAIL: step_mail(c); break;
	case S_RCPT: step_rcpt(c); break;
	case S_DATA: if (!step_data(c)) return false; break;
	case S_HEADER: step_header(c); break;
	case S_EOH:
		if ((c->proto & P_NOEOH) == 0)
			event(c, 'N', P_NOEOH, P_NR_EOH, NULL, 0);
		c->step = S_BODY;
		break;
	case S_BODY: step_body(c); break;
	case S_EOM:
		event(c, 'E', 0, 0, NULL, 0);
		c->step = S_ENDMSG;
		break;
	case S_ENDMSG: step_endmsg(c); break;
	case S_QUIT: return step_quit(c);
	}
	if (c->aborting && before == (enum step)opt.abort_step && (before != S_RCPT || c->rcpt == opt.rcpts))
		c->step = S_ENDMSG;
	return c->state != C_LIVE || !opt.eager || conn_flush(c);
}

/* Goes on until a reply is awaited, a pause begins or the connection ends. */
static void conn_advance(struct conn *c)
{
	while (c->state == C_LIVE) {
		if (c->awaiting) {
			timer_reply(c);
			conn_flush(c);
			return;
		}
		if (c->msg_done && c->step != S_ENDMSG && c->step != S_QUIT)
			c->step = S_ENDMSG;
		if (opt.idle && c->step == S_MAIL && !stopping) {
			if (conn_flush(c))
				hold(c);
			return;
		}
		if (opt.idle && c->step == S_MAIL) {
			attempt_end(c, &ct.ok);
			c->step = S_QUIT;
		}
		if (c->step == S_MAIL && c->con_done) {	/* accepted or refused for the whole connection */
			c->mail_us = now_us();
			message_end(c);
			c->step = S_QUIT;
		}
		timer_clear(c);
		if (must_think(c) || !conn_step(c))
			return;
	}
}

/* ---- replies --------------------------------------------------------------------------------------------------------------- */

static bool reply_optneg(struct conn *c, char cmd, const char *p, size_t n)
{
	if (cmd != 'O' || n < 12 || get_u32(p) > 6 || get_u32(p) < 2 || (get_u32(p + 4) & ~OFFER_ACTIONS)) {
		conn_violation(c, "bad answer to the negotiation", NULL);
		return false;
	}
	c->proto = get_u32(p + 8) & OFFER_EVENTS;
	for (p += 12, n -= 12; n > 4; c->has_symlist = true) {
		uint32_t stage = get_u32(p);
		size_t len = strnlen(p + 4, n - 4);

		if (stage >= STAGES || len == n - 4) {
			conn_violation(c, "bad symbol list", NULL);
			return false;
		}
		free(c->symlist[stage]);
		c->symlist[stage] = strdup(p + 4);
		p += 4 + len + 1;
		n -= 4 + len + 1;
	}
	return true;
}

/* An added or inserted header field: is it the Authentication-Results we wait for?  The value is matched unfolded. */
static void reply_header(struct conn *c, const char *p, size_t n)
{
	size_t name = strnlen(p, n), i, o = 0;
	char *text;

	if (name + 1 >= n || strcasecmp(p, "Authentication-Results") != 0)
		return;
	c->ar_seen = true;
	if (!opt.expect)
		return;
	p += name + 1;
	n -= name + 1;
	n = strnlen(p, n);
	text = grow(NULL, n + 1);
	for (i = 0; i < n; i++) {
		if (p[i] == '\r' || p[i] == '\n') {
			i += strspn(p + i, "\r\n \t") - 1;
			text[o++] = ' ';
		} else if (o > 0 || p[i] != ' ') {
			text[o++] = p[i];
		}
	}
	text[o] = '\0';
	if (regexec(&expect_re, text, 0, NULL, 0) == 0)
		c->ar_match = true;
	else
		complain(c, "Authentication-Results", text);
	free(text);
}

/* A decision against the message, the recipient or the whole connection. */
static void reply_refuse(struct conn *c, char event_cmd, char verdict)
{
	c->verdict = verdict;
	if (event_cmd == 'C' || event_cmd == 'H') {
		c->con_done = true;
	} else if (event_cmd == 'R' && verdict != 'd') {
		c->rcpt_ok--;
		if (c->rcpt < opt.rcpts || c->rcpt_ok > 0)
			return;
		c->msg_done = true;
	} else {
		c->msg_done = true;
	}
}

/* One reply packet; false: the connection is gone. */
static bool conn_reply(struct conn *c, char cmd, const char *p, size_t n)
{
	char ev = c->awaiting, text[] = "command ?, reply ?";

	text[8] = ev ? ev : '-';
	text[17] = cmd;
	trace(c, '<', cmd, p, n);
	if (ev == 0 || (c->state != C_LIVE)) {
		conn_violation(c, "a reply that nobody waits for", text);
		return false;
	}
	if (ev == 'O') {
		c->awaiting = 0;
		return reply_optneg(c, cmd, p, n);
	}
	if (cmd == 'p') {
		timer_reply(c);
		return true;
	}
	if (ev == 'E' && cmd && strchr("+-2behimq", cmd)) {
		if (cmd == 'i' && n > 4)
			reply_header(c, p + 4, n - 4);
		else if (cmd == 'h')
			reply_header(c, p, n);
		ct.quarantine += cmd == 'q';
		return true;
	}
	c->awaiting = 0;
	if (cmd == 'y' && n >= 4 && (*p == '4' || *p == '5'))
		cmd = *p == '4' ? 't' : 'r';
	if (cmd == '4' || cmd == 'f')
		cmd = 't';
	switch (cmd) {
	case 'c':
		if (ev == 'E')
			c->verdict = 'c';
		break;
	case 's':
		c->skip = ev;
		break;
	case 'a':
		c->verdict = 'a';
		*(ev == 'C' || ev == 'H' ? &c->con_done : &c->msg_done) = true;
		break;
	case 'd': case 'r': case 't':
		if (ev == 'C' && cmd == 't') {
			conn_end(c, &ct.overload, RETRY_PAUSE_MS * 1000);
			return false;
		}
		reply_refuse(c, ev, cmd);
		break;
	default:
		conn_violation(c, "unknown reply", text);
		return false;
	}
	if ((ev == 'E' || c->msg_done) && !c->aborting)
		message_end(c);
	return true;
}

/* Everything complete in the input buffer; false: the connection is gone. */
static bool conn_parse(struct conn *c)
{
	size_t off = 0;

	while (c->in.n - off >= 5) {
		uint32_t len = get_u32(c->in.p + off);

		if (len == 0 || len > REPLY_MAX) {
			conn_violation(c, "bad packet length", NULL);
			return false;
		}
		if (c->in.n - off - 4 < len)
			break;
		if (!conn_reply(c, c->in.p[off + 4], c->in.p + off + 5, len - 1))
			return false;
		off += 4 + len;
		if (c->awaiting == 0) {		/* the step may take the input buffer away */
			memmove(c->in.p, c->in.p + off, c->in.n -= off);
			off = 0;
			conn_advance(c);
			if (c->fd < 0 || c->in.p == NULL)
				return false;
		}
	}
	if (off > 0)
		memmove(c->in.p, c->in.p + off, c->in.n -= off);
	return true;
}

static void conn_readable(struct conn *c)
{
	static char buf[65536];
	ssize_t n = recv(c->fd, buf, sizeof buf, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		if (c->state == C_CLOSING)
			return;
		put(&c->in, buf, (size_t)n);
		conn_parse(c);
		return;
	}
	if (c->state == C_CLOSING) {
		conn_end(c, NULL, 0);
		return;
	}
	complain(c, "connection lost", c->awaiting ? (char[]){ c->awaiting, '\0' } : "no reply awaited");
	conn_end(c, &ct.lost, 0);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------------- */

static void conn_live(struct conn *c)
{
	ct.sessions++;
	c->state = C_LIVE;
	conn_advance(c);
}

static void conn_refused(struct conn *c, int err)
{
	complain(c, "connect", strerror(err));
	conn_end(c, &ct.refused, RETRY_PAUSE_MS * 1000);
}

static void conn_open(struct conn *c)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };

	timer_clear(c);
	if (opt.ramp && opening >= opt.ramp) {
		c->state = C_QUEUED;
		c->next_queued = 0;
		*(queue_head ? &conns[queue_tail - 1].next_queued : &queue_head) = c->slot + 1;
		queue_tail = c->slot + 1;
		return;
	}
	c->opening = true;
	opening++;
	c->step = S_OPTNEG;
	c->awaiting = c->skip = 0;
	c->con_done = c->msg_done = c->has_symlist = c->pause_taken = c->has_qid = false;
	c->aborting = opt.abort_step >= 0;
	c->in_session = 0;
	c->sessions++;
	c->out_off = 0;
	c->state = C_CONNECTING;
	if ((c->fd = socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
		die("socket: %s", strerror(errno));
	if (peer.ss_family != AF_UNIX)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(c->fd, (struct sockaddr *)&peer, peer_len) != 0 && errno != EINPROGRESS) {
		conn_refused(c, errno);
		return;
	}
	c->want_out = true;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll_ctl: %s", strerror(errno));
	timer_reply(c);
}

static void conn_writable(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof err;

	if (c->state != C_CONNECTING) {
		conn_flush(c);
		return;
	}
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		conn_refused(c, err);
		return;
	}
	conn_live(c);
}

static void conn_timer(struct conn *c)
{
	timer_clear(c);
	switch (c->state) {
	case C_START:
		if (stopping) {
			c->has_attempt = false;
			ct.attempts--;
			slot_next(c, 0);
		} else {
			conn_open(c);
		}
		break;
	case C_PAUSED:
		if (c->pause_taken)
			c->mail_us += now_us() - c->pause_from_us;
		c->state = C_LIVE;
		conn_advance(c);
		break;
	case C_CONNECTING: case C_LIVE:
		complain(c, "no reply in time", c->awaiting ? (char[]){ c->awaiting, '\0' } : NULL);
		conn_end(c, &ct.timeouts, 0);
		break;
	default:
		conn_end(c, NULL, 0);
	}
}

/* ---- the loop ------------------------------------------------------------------------------------------------------------------ */

static void stop(void)
{
	stopping = true;
	for (unsigned i = 0; opt.idle && i < opt.connections; i++) {
		struct conn *c = &conns[i];

		if (c->state != C_HOLD)
			continue;
		holding--;
		c->state = C_LIVE;
		attempt_end(c, &ct.ok);
		c->step = S_QUIT;
		conn_advance(c);
	}
	while (queue_head) {	/* sessions that wait for their turn to open */
		struct conn *c = &conns[queue_head - 1];

		queue_head = c->next_queued;
		c->state = C_START;
		timer_set(c, now_us());
	}
}

static void stdin_ready(int *watch)
{
	char line[256];
	ssize_t n = read(STDIN_FILENO, line, sizeof line);

	if (n > 0 || (n == 0 && opt.seconds <= 0))
		stop();
	if (n <= 0 || stopping)
		*watch = -1;
}

/* The first signal ends the run gently, a second one kills. */
static void signal_ready(int *sigfd)
{
	struct signalfd_siginfo si;
	sigset_t none;

	if (read(*sigfd, &si, sizeof si) != sizeof si)
		return;
	close(*sigfd);
	*sigfd = -1;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	stop();
}

static void run(int sigfd)
{
	struct epoll_event ev[256];
	struct pollfd pfd[3] = { { ep, POLLIN, 0 }, { sigfd, POLLIN, 0 }, { -1, POLLIN, 0 } };
	bool watch_stdin = opt.idle > 0;
	int64_t end_us = opt.seconds > 0 ? start_us + (int64_t)(opt.seconds * 1e6) : INT64_MAX;

	while (active > 0) {
		int64_t now = now_us(), next = heap_n ? heap[0]->when_us : INT64_MAX;
		int wait_ms, n;

		if (!stopping && now >= end_us) {
			stop();
			continue;
		}
		if (!stopping && end_us < next)
			next = end_us;
		if (watch_stdin && settled == opt.idle) {	/* not before "idle ready" was said */
			watch_stdin = false;
			pfd[2].fd = STDIN_FILENO;
		}
		wait_ms = next == INT64_MAX ? -1 : next <= now ? 0 : next - now > 60000000 ? 60000 : (int)((next - now + 999) / 1000);
		if (poll(pfd, 3, wait_ms) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (pfd[1].fd >= 0 && pfd[1].revents)
			signal_ready(&pfd[1].fd);
		if (pfd[2].fd >= 0 && pfd[2].revents)
			stdin_ready(&pfd[2].fd);
		n = epoll_wait(ep, ev, 256, 0);
		for (int i = 0; i < n; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c->fd >= 0 && (ev[i].events & EPOLLOUT))
				conn_writable(c);
			else if (c->fd >= 0 && c->state == C_CONNECTING)
				conn_writable(c);
			if (c->fd >= 0 && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
				conn_readable(c);
		}
		now = now_us();
		for (unsigned i = 0; i <= opt.connections && heap_n && heap[0]->when_us <= now; i++)
			conn_timer(heap[0]);
	}
}

/* ---- result --------------------------------------------------------------------------------------------------------------------- */

static int lat_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned lat_at(double share)
{
	return lat_n ? lat[(size_t)(share * (double)(lat_n - 1) + 0.5)] : 0;
}

static int result(void)
{
	double elapsed = (double)((last_us > start_us ? last_us : now_us()) - start_us) / 1e6;

	if (lat_n > 0)
		qsort(lat, lat_n, sizeof *lat, lat_compare);
	const struct { const char *name; unsigned long long n; } row[] = {
		{ "sessions", ct.sessions }, { "attempts", ct.attempts }, { "messages", ct.messages }, { "ok", ct.ok },
		{ "wrong", ct.wrong }, { "lost", ct.lost }, { "refused", ct.refused }, { "overload", ct.overload },
		{ "timeouts", ct.timeouts }, { "aborted", ct.aborted }, { "tempfail", ct.tempfail }, { "reject", ct.reject },
		{ "discard", ct.discard }, { "quarantine", ct.quarantine }, { "violations", ct.violations },
		{ "p50_us", lat_at(0.50) }, { "p99_us", lat_at(0.99) }, { "max_us", lat_n ? lat[lat_n - 1] : 0 } };

	if (opt.json)
		putchar('{');
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		printf(opt.json ? "\"%s\":%llu," : "%s=%llu ", row[i].name, row[i].n);
	printf(opt.json ? "\"msgs_per_s\":%.1f,\"elapsed\":%.3f}\n" : "msgs_per_s=%.1f elapsed=%.3f\n",
	    elapsed > 0 ? (double)ct.messages / elapsed : 0.0, elapsed);
	fflush(stdout);
	return ct.lost || ct.refused || ct.wrong || ct.timeouts ? 1 : 0;
}

/* ---- options ----------------------------------------------------------------------------------------------------------------------- */

static const char usage_text[] =
"usage: milterload --connect ADDR [options]\n"
"  ADDR: unix:PATH, inet:PORT@HOST, inet6:PORT@HOST\n"
"load:\n"
"  --connections N           slots, each with one connection at a time (1)\n"
"  --messages N              messages to deliver in total (one a slot)\n"
"  --seconds S               or: go on for so long\n"
"  --messages-per-connection K  (1)\n"
"  --rate R                  begin at most R messages a second\n"
"  --jitter-ms N             each session begins up to N ms late, by chance\n"
"  --think-ms N              an SMTP client's pause before MAIL, RCPT and DATA; not part of the latency\n"
"  --ramp N                  at most N sessions between connect and the answer to the negotiation (0: no limit)\n"
"  --timeout-ms N            for connect and every reply (30000)\n"
"  --eager                   write each event at once, as Sendmail does; default: buffer as Postfix does\n"
"  --idle N                  open N sessions up to HELO, print 'idle ready N', hold them until a line on stdin,\n"
"                            its end (without --seconds), --seconds or a signal\n"
"  --stop-on-signal          TERM, INT: begin no message, finish those begun, print the result\n"
"message (%d in FROM, TO, HELO and header values is replaced by the running number):\n"
"  --ip A  --client-name N  --helo H  --from F (empty: <>)  --rcpt TO (may repeat)  --auth USER\n"
"  --message-size BYTES      of the body (12000)\n"
"  --headers N  --header-bytes BYTES   (30, 60)     --header 'Name: value' (may repeat, on top)\n"
"  --abort-stage mail|rcpt|data|header|eoh|body     before each message, begin one that is aborted there\n"
"  --abort-from F            sender of the aborted ones\n"
"judgement:\n"
"  --expect REGEX            an inserted Authentication-Results value (unfolded) of every message must match (POSIX extended)\n"
"  --expect-none             no Authentication-Results may be inserted\n"
"  --expect-verdict V        continue (default, includes accept), accept, reject, tempfail, discard, any\n"
"output: --json  --trace (packets of the first session)\n"
"hostile input: --garbage KIND (see miltergarbage --help, which this starts with all the options)\n"
"exit: 0 all well; 1 if lost, refused, wrong or timeouts are not 0; 2 usage\n";

enum { O_CONNECT = 256, O_CONNECTIONS, O_MESSAGES, O_SECONDS, O_PER_CONN, O_RATE, O_JITTER, O_THINK, O_RAMP, O_TIMEOUT, O_EAGER,
    O_IDLE, O_STOP, O_IP, O_NAME, O_HELO, O_FROM, O_RCPT, O_AUTH, O_SIZE, O_HEADERS, O_HBYTES, O_HEADER, O_ABORT, O_ABORT_FROM,
    O_EXPECT, O_NONE, O_VERDICT, O_JSON, O_TRACE, O_SEED, O_GARBAGE, O_HELP };

static const struct option options[] = {
	{ "connect", 1, NULL, O_CONNECT }, { "connections", 1, NULL, O_CONNECTIONS }, { "messages", 1, NULL, O_MESSAGES },
	{ "seconds", 1, NULL, O_SECONDS }, { "messages-per-connection", 1, NULL, O_PER_CONN }, { "rate", 1, NULL, O_RATE },
	{ "jitter-ms", 1, NULL, O_JITTER }, { "think-ms", 1, NULL, O_THINK }, { "ramp", 1, NULL, O_RAMP },
	{ "timeout-ms", 1, NULL, O_TIMEOUT }, { "eager", 0, NULL, O_EAGER }, { "idle", 1, NULL, O_IDLE },
	{ "stop-on-signal", 0, NULL, O_STOP }, { "ip", 1, NULL, O_IP }, { "client-name", 1, NULL, O_NAME },
	{ "helo", 1, NULL, O_HELO }, { "from", 1, NULL, O_FROM }, { "rcpt", 1, NULL, O_RCPT }, { "auth", 1, NULL, O_AUTH },
	{ "message-size", 1, NULL, O_SIZE }, { "headers", 1, NULL, O_HEADERS }, { "header-bytes", 1, NULL, O_HBYTES },
	{ "header", 1, NULL, O_HEADER }, { "abort-stage", 1, NULL, O_ABORT }, { "abort-from", 1, NULL, O_ABORT_FROM },
	{ "expect", 1, NULL, O_EXPECT }, { "expect-none", 0, NULL, O_NONE }, { "expect-verdict", 1, NULL, O_VERDICT },
	{ "json", 0, NULL, O_JSON }, { "trace", 0, NULL, O_TRACE }, { "seed", 1, NULL, O_SEED },
	{ "garbage", 1, NULL, O_GARBAGE }, { "help", 0, NULL, O_HELP }, { NULL, 0, NULL, 0 }
};

static unsigned long long number(const char *name, unsigned long long max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(optarg, &end, 10);
	if (errno || end == optarg || *end || *optarg == '-' || v > max)
		die("--%s: a number from 0 to %llu, not '%s'", name, max, optarg);
	return v;
}

static double decimal(const char *name)
{
	char *end;
	double v = strtod(optarg, &end);

	if (end == optarg || *end || !(v > 0 && v < 1e9))
		die("--%s: a positive number, not '%s'", name, optarg);
	return v;
}

static int abort_step(void)
{
	static const struct { const char *name; enum step step; } stage[] = {
		{ "mail", S_MAIL }, { "rcpt", S_RCPT }, { "data", S_DATA }, { "header", S_HEADER }, { "eoh", S_EOH }, { "body", S_BODY } };

	for (size_t i = 0; i < sizeof stage / sizeof *stage; i++) {
		if (strcmp(stage[i].name, optarg) == 0)
			return (int)stage[i].step;
	}
	die("--abort-stage: mail, rcpt, data, header, eoh or body");
}

static void verdict_option(void)
{
	static const char *const known[] = { "continue", "accept", "reject", "tempfail", "discard", "any" };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i], optarg) == 0) {
			opt.verdict = optarg;
			return;
		}
	}
	die("--expect-verdict: continue, accept, reject, tempfail, discard or any");
}

static void header_option(void)
{
	char *colon = strchr(optarg, ':');

	if (colon == NULL || colon == optarg || opt.extras == 64)
		die("--header: at most 64 of 'Name: value'");
	opt.extra[opt.extras].name = strndup(optarg, (size_t)(colon - optarg));
	opt.extra[opt.extras++].value = colon + 1;
}

static void option(int o, const char *name)
{
	switch (o) {
	case O_CONNECT: opt.connect = optarg; break;
	case O_CONNECTIONS: opt.connections = (unsigned)number(name, 100000); break;
	case O_MESSAGES: opt.messages = number(name, 1000000000); break;
	case O_SECONDS: opt.seconds = decimal(name); break;
	case O_PER_CONN: opt.per_conn = (unsigned)number(name, 1000000000); break;
	case O_RATE: opt.rate = decimal(name); break;
	case O_JITTER: opt.jitter_ms = (unsigned)number(name, 3600000); break;
	case O_THINK: opt.think_ms = (unsigned)number(name, 3600000); break;
	case O_RAMP: opt.ramp = (unsigned)number(name, 100000); break;
	case O_TIMEOUT: opt.timeout_ms = (unsigned)number(name, 3600000); break;
	case O_EAGER: opt.eager = true; break;
	case O_IDLE: opt.idle = (unsigned)number(name, 100000); break;
	case O_STOP: opt.stop_on_signal = true; break;
	case O_IP: opt.ip = optarg; break;
	case O_NAME: opt.client_name = optarg; break;
	case O_HELO: opt.helo = optarg; break;
	case O_FROM: opt.from = optarg; break;
	case O_RCPT:
		if (opt.rcpts == 64)
			die("--rcpt: at most 64");
		opt.rcpt[opt.rcpts++] = optarg;
		break;
	case O_AUTH: opt.auth = optarg; break;
	case O_SIZE: opt.message_size = (size_t)number(name, 1u << 30); break;
	case O_HEADERS: opt.headers = (unsigned)number(name, 1000000); break;
	case O_HBYTES: opt.header_bytes = (unsigned)number(name, 60000); break;
	case O_HEADER: header_option(); break;
	case O_ABORT: opt.abort_step = abort_step(); break;
	case O_ABORT_FROM: opt.abort_from = optarg; break;
	case O_EXPECT: opt.expect = optarg; break;
	case O_NONE: opt.absent = true; break;
	case O_VERDICT: verdict_option(); break;
	case O_JSON: opt.json = true; break;
	case O_TRACE: opt.trace = true; break;
	case O_SEED: opt.seed = (unsigned)number(name, UINT32_MAX); break;
	case O_GARBAGE: opt.garbage = optarg; break;
	case O_HELP: fputs(usage_text, stdout); exit(0);
	default: fputs("try milterload --help\n", stderr); exit(2);
	}
}

/* The hostile half is a program of its own beside this one. */
static void garbage_exec(char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "miltergarbage");
	char *slash;

	if (n < 0)
		die("/proc/self/exe: %s", strerror(errno));
	path[n] = '\0';
	slash = strrchr(path, '/');
	memcpy(slash + 1, "miltergarbage", sizeof "miltergarbage");
	execv(path, argv);
	die("%s: %s", path, strerror(errno));
}

static void message_make(void)
{
	static const struct header usual[] = { { "From", " Some One <someone%d@example.org>" },
		{ "To", " user@load.example" }, { "Subject", " message %d of the load driver" },
		{ "Date", " Sun, 01 Mar 2026 12:00:00 +0000" }, { "Message-ID", " <%d.load@mail.example.org>" } };
	const unsigned nusual = sizeof usual / sizeof *usual;
	unsigned filled = opt.headers > nusual ? opt.headers - nusual : 0;
	static char *value;             /* stays with the headers */
	char name[32];

	value = grow(NULL, opt.header_bytes + 2);
	headers = grow(NULL, (opt.extras + opt.headers + 1) * sizeof *headers);
	for (unsigned i = 0; i < opt.extras; i++)
		headers[header_count++] = opt.extra[i];
	for (unsigned i = 0; i < nusual && i < opt.headers; i++)
		headers[header_count++] = usual[i];
	memset(value, 'v', opt.header_bytes + 1);
	value[0] = ' ';
	value[opt.header_bytes + 1] = '\0';
	for (unsigned i = 0; i < filled; i++) {
		snprintf(name, sizeof name, "X-Fill-%u", i);
		headers[header_count++] = (struct header){ strdup(name), value };
	}
	body = grow(NULL, opt.message_size);
	for (size_t i = 0; i < opt.message_size; i++)
		body[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : (char)('a' + i % 26);
}

static void files_limit(unsigned need)
{
	struct rlimit rl;

	getrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur >= need)
		return;
	rl.rlim_cur = need;
	if (rl.rlim_max < need)
		rl.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
		die("%u file descriptors are needed: %s (raise the limit of open files)", need, strerror(errno));
}

static void setup(void)
{
	const char *why;

	if (opt.connect == NULL)
		die("--connect is missing; try --help");
	if ((why = milteraddr_parse(opt.connect, &peer, &peer_len)) != NULL)
		die("--connect %s: %s", opt.connect, why);
	if (opt.expect && regcomp(&expect_re, opt.expect, REG_EXTENDED | REG_NOSUB) != 0)
		die("--expect: not a regular expression: %s", opt.expect);
	if (opt.idle) {
		opt.connections = opt.idle;
		opt.ramp = opt.ramp ? opt.ramp : IDLE_RAMP;
	}
	if (opt.connections == 0)
		opt.connections = 1;
	if (opt.per_conn == 0 || opt.timeout_ms == 0)
		die("--messages-per-connection and --timeout-ms cannot be 0");
	if (opt.rcpts == 0)
		opt.rcpt[opt.rcpts++] = "user@load.example";
	if (!opt.messages && !opt.idle && opt.seconds <= 0)
		opt.messages = opt.connections;
	files_limit(opt.connections + 64);
	srandom(opt.seed);
	message_make();
	conns = grow(NULL, opt.connections * sizeof *conns);
	heap = grow(NULL, opt.connections * sizeof *heap);
	memset(conns, 0, opt.connections * sizeof *conns);
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll_create1: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	int o, at = 0, sigfd = -1;
	sigset_t set;

	opterr = 1;
	while ((o = getopt_long(argc, argv, "", options, &at)) != -1)
		option(o, options[at].name);
	if (optind < argc)
		die("unexpected argument '%s'; try --help", argv[optind]);
	if (opt.garbage)
		garbage_exec(argv);
	setup();
	if (opt.stop_on_signal || opt.idle) {
		sigemptyset(&set);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
		sigprocmask(SIG_BLOCK, &set, NULL);
		sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	}
	start_us = now_us();
	active = opt.connections;
	for (unsigned i = 0; i < opt.connections; i++) {
		conns[i].slot = i;
		conns[i].fd = -1;
		slot_next(&conns[i], 0);
	}
	run(sigfd);
	return result();
}
