/*
 * shared - a worker's part of the shared cache: opens it, keeps it current, tells when it cannot be used, and forgets when it is told to.
 *
 *	shared_open(&s, snapshot, board);       while there is one thread; .cache is NULL when there is no cache
 *	... resolver_create(), results_init() ...
 *	shared_tick(&s);                        by one thread, now and then
 *
 * Without a file or a cache process mail goes on: everything is a miss.
 */
#ifndef ENMA_WORKER_SHARED_H
#define ENMA_WORKER_SHARED_H

#include "cache/cache.h"
#include "common/conf/snapshot.h"
#include "common/ipc/board.h"
#include "common/ipc/claims.h"
#include "worker/resolver.h"

enum {
	SHARED_EVERY_MS = 1000,         /* looks whether the file is still the current one; at each tick while there is none */
	SHARED_WHY_MAX = 512,
};

struct shared {
	struct cache *cache;            /* NULL: none */
	struct claims *claims;          /* NULL: none */
	int64_t next_ms;
	char why[SHARED_WHY_MAX];       /* what was logged last; "": it is in use */
};

/* PROCFD_FEED and PROCFD_CLAIMS; /dev/null: no cache.  Prepares for faults in the map: once in a process. */
void shared_open(struct shared *s, const struct conf *conf, struct board *board);
void shared_tick(struct shared *s);
/* STATUS_FLUSH: libunbound's memory, then ours. */
void shared_flush(struct shared *s, const struct resolver *r);

#endif
