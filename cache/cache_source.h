/*
 * cache_source - the shared cache as a dns_source, in front of one that asks servers.
 *
 *	ask: in the cache?  ->  done() at once, inside ask()
 *	     equal question under way in this process?  ->  its answer serves both
 *	     claimed by another process (claims.h)?  ->  wait for the answer to appear in the cache, for CACHE_SOURCE_WAIT_MS at most
 *	     else claim it and pass it on; the answer is offered to the cache, then given to all who wait; the claim is released
 *	     CACHE_SOURCE_SETTLE_MS later, when others can see the answer in the cache, or at once when it cannot be kept
 *
 * With rules.stale_s > 0 (RFC 8767): when the answer is a failure that may heal (never DNS_BOGUS), or has not come within
 * CACHE_SOURCE_STALE_MS, an expired entry is the answer (is_stale), if there is one; the question goes on and warms the cache.  For
 * CACHE_SOURCE_FAILED_S after a failure, equal questions get the stale entry at once (section 5: failure recheck timer).
 *
 * With nxdomain_cut (RFC 8020): a name below one that is known not to exist does not exist; failures and names behind a CNAME do not count,
 * at most CACHE_SOURCE_CUT_MAX names above are looked up (those nearest to the root).  Such names stand in the cache as entries of type 0.
 *
 * A cancelled request ends for its asker at once; the question itself is cancelled when nobody waits for it any more.
 *
 * Threads: any; one thread of its own looks after what waits and sleeps while nothing does.  Create it after the last fork.  The cache,
 * the claims, the board and the next source must outlive it; destroy() ends what is under way and does not destroy the next one.
 */
#ifndef ENMA_CACHE_CACHE_SOURCE_H
#define ENMA_CACHE_CACHE_SOURCE_H

#include "cache/cache.h"
#include "common/dns/dns.h"
#include "common/ipc/board.h"
#include "common/ipc/claims.h"

enum {
	CACHE_SOURCE_WAIT_MS = 3000,    /* for another process's answer, at most; then we ask ourselves */
	CACHE_SOURCE_POLL_MS = 2,       /* how often what waits is looked up; less often when it waits for long */
	CACHE_SOURCE_SETTLE_MS = 40,    /* time for an offer to become visible: the claim lasts so long, and so long waits who sees it gone */
	CACHE_SOURCE_IN_VAIN_MAX = 4,   /* so many waits in a row without an answer: the cache is not written (disk full, no cache process) ... */
	CACHE_SOURCE_ALONE_MS = 5000,   /* ... and each process asks for itself for so long */
	CACHE_SOURCE_STALE_MS = 1800,
	CACHE_SOURCE_FAILED_S = 30,
	CACHE_SOURCE_CUT_MAX = 8,
};

struct cache_source_options {
	struct cache *cache;
	struct claims *claims;          /* NULL: no coordination with other processes */
	struct board *board;            /* NULL: nothing is counted */
	struct dns_source *next;
	uint32_t stale_s;               /* 0: no stale answers */
	bool nxdomain_cut;
};

NODISCARD struct dns_source *cache_source_create(const struct cache_source_options *o);
/* What is under way is not offered to the cache when it comes, and equal questions do not join it: see STATUS_FLUSH.  Also forgets which questions
 * failed lately.  Returns at once. */
void cache_source_flush(struct dns_source *src);

#endif
