/*
 * cache_ttl - how long an entry lives.  Pure functions; the time is a parameter.
 *
 *	answers                 their TTL, at least min_s, at most max_s
 *	NODATA, NXDOMAIN        the SOA's negative TTL (RFC 2308 section 5), at least min_s, at most max_negative_s and max_s; without one (0): not kept
 *	SERVFAIL, timeout ...   failure_s, never more than CACHE_FAILURE_TTL_MAX_S (RFC 2308 section 7 allows 300)
 *	results                 their TTL, at least min_s, at most max_s and max_negative_s; 0: not kept
 *
 * With stale_s > 0, answers (also negative ones, never failures) may be used for that long after their end when a new one cannot be
 * had (RFC 8767).
 */
#ifndef ENMA_CACHE_CACHE_TTL_H
#define ENMA_CACHE_CACHE_TTL_H

#include "cache/cache_def.h"
#include "common/dns/dns.h"

struct cache_ttl_rules {
	uint32_t min_s;                 /* 5 */
	uint32_t max_s;                 /* 86400 */
	uint32_t max_negative_s;        /* 3600 */
	uint32_t failure_s;             /* 10 */
	uint32_t stale_s;               /* 0: no stale answers */
};
extern const struct cache_ttl_rules cache_ttl_defaults;

enum cache_age { CACHE_FRESH, CACHE_STALE, CACHE_EXPIRED };

/* Seconds to live from now; 0: not to be kept. */
uint32_t cache_ttl_answer(const struct cache_ttl_rules *r, enum dns_status status, uint32_t ttl_s);
uint32_t cache_ttl_result(const struct cache_ttl_rules *r, uint32_t ttl_s);

/* Of an entry with life_s seconds to live from stored_s on.  A time before stored_s (the clock was set back) is CACHE_EXPIRED: how old the
 * entry is cannot be known then.  may_be_stale: see above.  *left_s_out: seconds left when fresh, else 0. */
enum cache_age cache_ttl_age(int64_t stored_s, uint32_t life_s, uint32_t stale_s, bool may_be_stale, int64_t now_s, uint32_t *left_s_out);

/* From when on the entry is of no use to anybody. */
int64_t cache_ttl_end(int64_t stored_s, uint32_t life_s, uint32_t stale_s, bool may_be_stale);

static inline bool cache_ttl_may_be_stale(enum dns_status s) { return s == DNS_OK || s == DNS_NODATA || s == DNS_NXDOMAIN; }

#endif
