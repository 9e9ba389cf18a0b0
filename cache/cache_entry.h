/*
 * cache_entry - the bytes of values: a head that both kinds share, then DNS records or a result.
 *
 *	 0  4  CRC-32C over the key and all bytes from 4 on: an entry that sits at another's place is damaged, too
 *	 4  1  format (CACHE_FORMAT)
 *	 5  1  kind ('D', 'R')
 *	 6  1  status: enum dns_status of D, the result of R
 *	 7  1  dnssec: 0 not validated, 1 secure, 2 bogus
 *	 8  1  rank (enum cache_rank)
 *	 9  1  0
 *	10  2  D: record type; R: what
 *	12  8  stored: seconds since 1970
 *	20  4  life in seconds from then on, already limited by cache_ttl
 *	24  2  records (R: 0)
 *	26  ..  D: why (1 byte length, text), then each record: TTL (4) and
 *	        A: address (4); AAAA: address (16); MX: preference (2), name (1 + n); PTR, NS, CNAME: name (1 + n); TXT: length (2), text
 *	        R 's' (SPF): reason (1), lookups (1), voids (1), then mechanism, at, detail: length (2; 0xffff: absent), text
 *
 * Numbers are big-endian, nothing is aligned.  Decoding is bounds-checked, and any inconsistency - bytes left over included - is RC_SYNTAX, which
 * readers treat as a miss.  Files written by another byte order or version are not opened in the first place (cache_file.h).
 * All functions are pure and may be called from any thread.
 */
#ifndef ENMA_CACHE_CACHE_ENTRY_H
#define ENMA_CACHE_CACHE_ENTRY_H

#include "cache/cache_def.h"
#include "cache/cache_ttl.h"
#include "common/auth/spf.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/dns.h"

/* What may replace what while the old entry can still be used. */
enum cache_rank { CACHE_RANK_FAILURE = 1, CACHE_RANK_INSECURE = 2, CACHE_RANK_SECURE = 3 };

struct cache_entry_head {
	enum cache_kind kind;
	uint8_t status;
	uint8_t dnssec;
	enum cache_rank rank;
	uint16_t type;                  /* D: record type; R: what */
	int64_t stored_s;
	uint32_t life_s;
	uint16_t count;
};

/* An answer to a question of `type`, stored under key.  Into out (size bytes); *n_out is what it takes.
 * RC_NONE: not to be kept (cache_ttl.h, or an answer that is itself stale or from nowhere); RC_LIMIT: longer than size or CACHE_VALUE_MAX. */
NODISCARD enum rc cache_entry_put_dns(struct span key, uint16_t type, const struct dns_answer *a, const struct cache_ttl_rules *rules,
                                      int64_t now_s, void *out, size_t size, size_t *n_out);

/* RC_OK: *out is a new answer that belongs to the caller, with TTLs lowered by the entry's age; *age_out is CACHE_FRESH or, within
 * stale_s after its end, CACHE_STALE (TTL CACHE_STALE_TTL_S).  RC_NONE: expired, or stored after now_s (the clock was set back).
 * RC_SYNTAX: damaged. */
NODISCARD enum rc cache_entry_get_dns(struct span key, uint16_t type, struct span value, uint32_t stale_s, int64_t now_s,
                                      const struct dns_answer **out, enum cache_age *age_out);

/* An SPF result.  RC_NONE when it is not a function of DNS and the key alone: it depends on the message, has an explanation, is a temperror or
 * hit a limit of the message. */
NODISCARD enum rc cache_entry_put_spf(struct span key, const struct spf_outcome *o, const struct cache_ttl_rules *rules, int64_t now_s,
                                      void *out, size_t size, size_t *n_out);
/* Texts are copied to the arena; RC_LIMIT at its ceiling.  ttl_s is what is left.  Otherwise as above; results are never stale. */
NODISCARD enum rc cache_entry_get_spf(struct arena *a, struct span key, struct span value, int64_t now_s, struct spf_outcome *out);

/* The head alone, with checksum and consistency checked: for the writer, which files entries by their end, and for dumps. */
NODISCARD enum rc cache_entry_head(struct span key, struct span value, struct cache_entry_head *out);
/* The whole of it: RC_OK when a reader could use it some time; what an offer from a worker must pass. */
NODISCARD enum rc cache_entry_check(struct span key, struct span value);
/* From when on the entry is of no use. */
int64_t cache_entry_end(const struct cache_entry_head *h, uint32_t stale_s);
/* False when what is there is better than what comes: a failure does not replace an answer that can be used, fresh or stale (RFC 8767 section 5);
 * an answer that is not validated does not replace a fresh secure one; older does not replace newer. */
bool cache_entry_may_replace(const struct cache_entry_head *was, const struct cache_entry_head *comes, uint32_t stale_s, int64_t now_s);

#endif
