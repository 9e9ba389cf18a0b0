/* kick - keeps libmilter's pool of threads from leaving sessions unserved; see kick.h. */
#include "worker/kick.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

enum {
	VERSION = 6, ALL_ACTIONS = 0x1ff, ALL_EVENTS = 0x1fffff,       /* what Sendmail and Postfix offer */
	HEAD = 5,                       /* length and command */
	OFFER = 12,
	ANSWER_MAX = 1024,
};

static int kick_fd = -1;
static _Atomic bool is_ready;

enum rc
kick_connect(const struct sockaddr *address, socklen_t len)
{
	kick_fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (kick_fd < 0)
		return RC_TEMP;
	/* Does not wait: the listener has room for it. */
	return connect(kick_fd, address, len) == 0 ? RC_OK : RC_TEMP;
}

static bool
send_offer(void)
{
	uint32_t numbers[3] = { htonl(VERSION), htonl(ALL_ACTIONS), htonl(ALL_EVENTS) };
	uint32_t length = htonl(OFFER + 1);
	char packet[HEAD + OFFER];

	memcpy(packet, &length, sizeof length);
	packet[HEAD - 1] = 'O';
	memcpy(packet + HEAD, numbers, OFFER);
	return send(kick_fd, packet, sizeof packet, MSG_NOSIGNAL) == (ssize_t)sizeof packet;
}

/* True when n bytes came before the deadline. */
static bool
read_all(char *p, size_t n, int64_t deadline_ms)
{
	struct pollfd poll_fd = { .fd = kick_fd, .events = POLLIN };
	ssize_t got;

	for (size_t have = 0; have < n; have += (size_t)got) {
		int64_t left = deadline_ms - clock_mono_ms();

		if (left <= 0 || poll(&poll_fd, 1, (int)left) <= 0)
			return false;
		got = recv(kick_fd, p + have, n - have, 0);
		if (got <= 0)
			return false;
	}
	return true;
}

enum rc
kick_negotiate(void)
{
	int64_t deadline_ms = clock_mono_ms() + KICK_NEGOTIATE_MS;
	char head[HEAD], rest[ANSWER_MAX];
	uint32_t length;

	if (kick_fd < 0 || !send_offer() || !read_all(head, sizeof head, deadline_ms) || head[HEAD - 1] != 'O')
		return RC_TEMP;
	memcpy(&length, head, sizeof length);
	length = ntohl(length);
	if (length < 1 || length - 1 > sizeof rest || !read_all(rest, length - 1, deadline_ms))
		return RC_TEMP;
	atomic_store(&is_ready, true);
	return RC_OK;
}

void
kick(void)
{
	static const char no_macros[] = { 0, 0, 0, 2, 'D', 'C' };

	/* A full buffer means that enough kicks are on their way. */
	if (atomic_load_explicit(&is_ready, memory_order_relaxed))
		(void)!send(kick_fd, no_macros, sizeof no_macros, MSG_DONTWAIT | MSG_NOSIGNAL);
}
