/*
 * cache - the shared cache as workers see it: look up, offer, never wait.
 *
 * One file of LMDB, one process that writes it, any number of processes that read it (cache_db.h); what a worker learns it offers to the
 * writer (cache_feed.h).  Without a file or a writer everything is a miss and offers are dropped: mail goes on.
 *
 * Create it after the last fork and exec.  cache_refresh() opens the file, and another one when the writer has made a new one: once a second by
 * one thread.  All other functions may be called by any number of threads at once.  The time is a parameter (seconds since 1970).
 */
#ifndef ENMA_CACHE_CACHE_H
#define ENMA_CACHE_CACHE_H

#include "cache/cache_entry.h"
#include "cache/cache_ttl.h"
#include "common/base/arena.h"
#include "common/base/ip.h"
#include "common/base/rc.h"
#include "common/ipc/board.h"

struct cache;

enum { CACHE_SPF_VERSION = 1 };         /* of SPF's engine: raise it when the same records can give another result */

enum {
	CACHE_FLUSH_S = 5,              /* after a flush, older entries are not believed for that long: the cache process deletes them meanwhile */
};

/* feed_fd: the worker's end of the feed, -1: none; it and the board stay the caller's.  board NULL: nothing is counted.  Nothing is opened yet. */
NODISCARD struct cache *cache_create(const char *path, int feed_fd, const struct cache_ttl_rules *rules, struct board *board);
void cache_destroy(struct cache **c);

/* RC_OK: open and current; *is_changed_out: since this call.  RC_NONE: there is no file (yet); RC_TEMP: it cannot be used, see why. */
NODISCARD enum rc cache_refresh(struct cache *c, bool *is_changed_out, char *why, size_t size);
/* False: every look-up is a miss for now. */
bool cache_is_open(const struct cache *c);

/* The counters' class of answers of a type. */
enum board_cache_class cache_class(uint16_t type);

enum cache_look {
	CACHE_LOOK,                     /* counted, whatever it comes to */
	CACHE_LOOK_AGAIN,               /* for an asker that was counted before: only a hit counts */
	CACHE_LOOK_STALE,               /* the same, and also what has ended, within the rules' stale_s (RFC 8767: only after resolution failed; say so
	                                 * in the log); the answer's is_stale tells */
};
/* RC_OK: *out is an answer that belongs to the caller.  RC_NONE: a miss, for whatever reason. */
NODISCARD enum rc cache_get_dns(struct cache *c, const struct dns_name *name, uint16_t type, enum cache_look look, int64_t now_s,
                                const struct dns_answer **out);

/*
 * A flush (STATUS_FLUSH) begins a new epoch: what was learnt in an earlier one is not offered any more once cache_flush() has returned, and for
 * CACHE_FLUSH_S what was stored before it is not found.  Take the epoch before asking or looking anything up.
 */
uint64_t cache_epoch(const struct cache *c);
void cache_flush(struct cache *c, int64_t now_s);

/* True: handed over.  What came from here need not be offered again; what libunbound had in its own memory may. */
bool cache_offer_dns(struct cache *c, const struct dns_name *name, uint16_t type, const struct dns_answer *a, uint64_t epoch, int64_t now_s);

/* SPF of (client, domain); digest: of the settings that results depend on.  Texts are copied to the arena.  RC_NONE: a miss. */
NODISCARD enum rc cache_get_spf(struct cache *c, struct arena *a, const struct ip *client, const struct dns_name *domain, uint64_t digest,
                                int64_t now_s, struct spf_outcome *out);
bool cache_offer_spf(struct cache *c, const struct ip *client, const struct dns_name *domain, uint64_t digest, const struct spf_outcome *o,
                     uint64_t epoch, int64_t now_s);

#endif
