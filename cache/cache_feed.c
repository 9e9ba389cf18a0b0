/* cache_feed - offers from workers to the writer; see cache_feed.h. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "cache/cache_entry.h"
#include "cache/cache_feed.h"

enum { PUT = 'P' };

static enum rc
count_failure(struct cache_feed *f, int error)
{
	bool is_full = error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS;

	atomic_fetch_add_explicit(is_full ? &f->dropped : &f->failed, 1, memory_order_relaxed);
	return is_full ? RC_TEMP : error == EMSGSIZE ? RC_LIMIT : RC_NONE;
}

enum rc
cache_feed_offer(struct cache_feed *f, struct span key, struct span value)
{
	uint8_t head[CACHE_FEED_HEAD] = { 'E', 'C', CACHE_FORMAT, PUT, (uint8_t)(key.n >> 8), (uint8_t)key.n };
	struct iovec v[] = { { head, sizeof head }, { (void *)(uintptr_t)key.p, key.n }, { (void *)(uintptr_t)value.p, value.n } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = ARRAY_LEN(v) };
	ssize_t n;

	if (key.n == 0 || key.n > CACHE_KEY_MAX || value.n == 0 || value.n > CACHE_VALUE_MAX)
		return count_failure(f, EMSGSIZE);
	if (f->fd < 0)
		return count_failure(f, ENOTCONN);
	do
		n = sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return count_failure(f, errno);
	atomic_fetch_add_explicit(&f->offered, 1, memory_order_relaxed);
	return RC_OK;
}

enum rc
cache_feed_parse(struct span packet, struct cache_offer *out)
{
	const uint8_t *p = (const uint8_t *)packet.p;
	size_t key_n;

	if (packet.n < CACHE_FEED_HEAD || packet.n > CACHE_FEED_MAX || p[0] != 'E' || p[1] != 'C' || p[2] != CACHE_FORMAT || p[3] != PUT ||
	    p[6] != 0 || p[7] != 0)
		return RC_SYNTAX;
	key_n = (size_t)p[4] << 8 | p[5];
	if (key_n == 0 || key_n > CACHE_KEY_MAX || key_n >= packet.n - CACHE_FEED_HEAD)
		return RC_SYNTAX;
	out->key = span_sub(packet, CACHE_FEED_HEAD, key_n);
	out->value = span_from(packet, CACHE_FEED_HEAD + key_n);
	return out->value.n <= CACHE_VALUE_MAX ? RC_OK : RC_SYNTAX;
}

enum rc
cache_feed_receive(int fd, void *buf, size_t size, struct cache_offer *out)
{
	struct iovec v = { buf, size };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	/* No room for descriptors: the kernel drops any that come along. */
	do
		n = recvmsg(fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? RC_TEMP : RC_NONE;
	if (n == 0)
		return RC_NONE;
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
		return RC_SYNTAX;
	return cache_feed_parse(span_of(buf, (size_t)n), out);
}

enum rc
cache_feed_accept(const struct cache_offer *o, uint32_t stale_s, int64_t now_s, struct cache_db_item *out)
{
	struct cache_entry_head h;

	if (cache_entry_check(o->key, o->value) != RC_OK || cache_entry_head(o->key, o->value, &h) != RC_OK)
		return RC_SYNTAX;
	if (h.stored_s > now_s + CACHE_FEED_EARLY_S || h.stored_s < now_s - CACHE_FEED_LATE_S)
		return RC_SYNTAX;
	*out = (struct cache_db_item){ .key = o->key, .value = o->value, .end_s = cache_entry_end(&h, stale_s) };
	return RC_OK;
}

bool
cache_feed_keeps(void *arg, struct span key, struct span old_value, struct span new_value)
{
	const struct cache_feed_rules *r = arg;
	struct cache_entry_head was, comes;

	if (cache_entry_head(key, old_value, &was) != RC_OK)
		return false;
	return cache_entry_head(key, new_value, &comes) != RC_OK || !cache_entry_may_replace(&was, &comes, r->stale_s, r->now_s);
}
