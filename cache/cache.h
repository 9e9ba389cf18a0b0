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

#include <stdatomic.h>

#include "cache/cache_entry.h"
#include "cache/cache_ttl.h"
#include "common/base/arena.h"
#include "common/base/ip.h"
#include "common/base/rc.h"

struct cache;

enum { CACHE_SPF_VERSION = 1 };         /* of SPF's engine: raise it when the same records can give another result */

/* Look-ups and offers of this process, for each kind. */
struct cache_counters {
	_Atomic uint64_t hits, stale, misses, expired, damaged, busy;   /* damaged: the entry; busy: no reader slot */
	_Atomic uint64_t offered, dropped, unfit;                       /* unfit: not to be kept, or too long */
};

/* feed_fd: the worker's end of the feed, -1: none; it stays the caller's.  Nothing is opened yet. */
NODISCARD struct cache *cache_create(const char *path, int feed_fd, const struct cache_ttl_rules *rules);
void cache_destroy(struct cache **c);

/* RC_OK: open and current; *is_changed_out: since this call.  RC_NONE: there is no file (yet); RC_TEMP: it cannot be used, see why. */
NODISCARD enum rc cache_refresh(struct cache *c, bool *is_changed_out, char *why, size_t size);

/* RC_OK: *out is an answer that belongs to the caller.  may_be_stale: also one that has ended, within the rules' stale_s (RFC 8767: only after
 * resolution failed; say so in the log); *is_stale_out tells.  RC_NONE: a miss, for whatever reason. */
NODISCARD enum rc cache_get_dns(struct cache *c, const struct dns_name *name, uint16_t type, bool may_be_stale, int64_t now_s,
                                const struct dns_answer **out, bool *is_stale_out);
/* Answers that are from the cache themselves are not offered again. */
void cache_offer_dns(struct cache *c, const struct dns_name *name, uint16_t type, const struct dns_answer *a, int64_t now_s);

/* SPF of (client, domain); digest: of the settings that results depend on.  Texts are copied to the arena.  RC_NONE: a miss. */
NODISCARD enum rc cache_get_spf(struct cache *c, struct arena *a, const struct ip *client, const struct dns_name *domain, uint64_t digest,
                                int64_t now_s, struct spf_outcome *out);
void cache_offer_spf(struct cache *c, const struct ip *client, const struct dns_name *domain, uint64_t digest, const struct spf_outcome *o,
                     int64_t now_s);

const struct cache_counters *cache_counters(const struct cache *c, enum cache_kind kind);

#endif
