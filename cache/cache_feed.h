/*
 * cache_feed - what workers have learnt, on its way to the writer: packets over a SOCK_SEQPACKET pair that all workers share.
 *
 *	0  2  'E' 'C'
 *	2  1  format (CACHE_FORMAT)
 *	3  1  'P': put
 *	4  2  length of the key, big-endian
 *	6  2  0
 *	8  .. key, value (cache_entry.h); the value goes on to the end of the packet
 *
 * An offer never waits: when the socket is full it is dropped and counted; somebody will learn it again.  The writer trusts no worker: a
 * packet is bounds-checked, its key and value must decode, and its time must be about now.  (That a worker lies about an answer
 * cannot be seen here; it could as well lie in its verdicts.)
 */
#ifndef ENMA_CACHE_CACHE_FEED_H
#define ENMA_CACHE_CACHE_FEED_H

#include <stdatomic.h>

#include "cache/cache_db.h"
#include "cache/cache_def.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	CACHE_FEED_HEAD = 8,
	CACHE_FEED_MAX = CACHE_FEED_HEAD + CACHE_KEY_MAX + CACHE_VALUE_MAX,
	CACHE_FEED_LATE_S = 120,        /* an offer stored longer ago is too late: the writer was away */
	CACHE_FEED_EARLY_S = 5,         /* an offer stored later than now by more comes from a wrong clock */
};

/* A worker's side; the descriptor stays the caller's.  Any thread. */
struct cache_feed {
	int fd;                         /* -1: nobody to offer to */
	_Atomic uint64_t offered, dropped, failed;
};

/* RC_OK: on its way; RC_TEMP: dropped, the socket is full; RC_LIMIT: too long for a packet; RC_NONE: there is no writer's end (any more). */
NODISCARD enum rc cache_feed_offer(struct cache_feed *f, struct span key, struct span value);

struct cache_offer {
	struct span key, value;         /* point into the packet */
};

/* RC_SYNTAX: not such a packet. */
NODISCARD enum rc cache_feed_parse(struct span packet, struct cache_offer *out);
/* The next packet, into buf of at least CACHE_FEED_MAX bytes; never waits.  RC_OK; RC_SYNTAX: a bad or too long one was there, go on;
 * RC_TEMP: nothing there now; RC_NONE: all workers' ends are closed. */
NODISCARD enum rc cache_feed_receive(int fd, void *buf, size_t size, struct cache_offer *out);

/* An offer as an item for cache_db_put().  RC_SYNTAX: it does not decode, or its time is wrong. */
NODISCARD enum rc cache_feed_accept(const struct cache_offer *o, uint32_t stale_s, int64_t now_s, struct cache_db_item *out);
/* For cache_db_put(): what is there stays when it is better (cache_entry_may_replace); arg is this. */
struct cache_feed_rules {
	uint32_t stale_s;
	int64_t now_s;
};
bool cache_feed_keeps(void *arg, struct span key, struct span old_value, struct span new_value);

#endif
