/*
 * watch - the thread that looks after a worker: beats for the supervisor, obeys its frames, finds sessions that are stuck, asks to
 * be replaced in time, and leaves.
 *
 * The beat on the board is renewed only after the locks that sessions take could be taken, and while the resolver's loop beats: a
 * beat means that messages can get through, not that a timer runs.
 */
#ifndef ENMA_WORKER_WATCH_H
#define ENMA_WORKER_WATCH_H

#include "common/conf/conf.h"
#include "common/dns/dns.h"
#include "common/ipc/board.h"
#include "worker/drain.h"
#include "common/auth/dkim_keys.h"
#include "worker/shared.h"
#include "worker/slots.h"

enum {
	WATCH_TICK_MS = 200,            /* beats */
	WATCH_DRAIN_TICK_MS = 20,       /* while draining */
	WATCH_RSS_EVERY_MS = 5000,
	WATCH_RESOLVER_LATE_MS = 5000,  /* its loop beats about once a second */
};

struct watch {
	const struct conf *conf;
	struct board *board;
	struct slots *slots;
	struct drain *drain;
	struct shared *shared;
	const struct resolver *resolver;
	struct dkim_keys *keys;
	int status_fd;
	uint64_t generation;
	_Atomic int64_t resolver_beat_ms;       /* 0: there is no loop to watch */
	uint64_t retire_at;             /* sessions begun; 0: never */
	int64_t next_rss_ms;
	bool has_retired;
	bool wants_drain;
	int64_t drain_until_ms;
};

/* The other members are the caller's; picks the moment of retirement (+-20 %). */
void watch_init(struct watch *w);
/* For dns_unbound_on_beat(). */
void watch_resolver_beat(void *watch);
/* Until the process leaves: 0 after a drain. */
NORETURN void watch_run(struct watch *w);

#endif
