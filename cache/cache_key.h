/*
 * cache_key - the bytes of keys.
 *
 *	D  name 00 type                                          a DNS answer
 *	R  name 00 what version digest address                   a result: what (1 byte), engine version (2), digest of the settings
 *	                                                         that it depends on (8), client address (16)
 *	name: for each label from the root down, its bytes and 00
 *	      (inside a label 00 is written 01 01 and 01 is written 01 02)
 *
 * Numbers are big-endian.  Labels are never empty and an escaped label holds no 00, so the 00 that ends a name differs from whatever
 * begins another label: `org 00 example 00` is the beginning of all keys at and below example.org, and of no other (example.organic begins
 * with another label), and LMDB keeps them side by side.  A zone is one range for each kind.
 *
 * Names are struct dns_name: wire form, lower-case.  All functions are pure.
 */
#ifndef ENMA_CACHE_CACHE_KEY_H
#define ENMA_CACHE_CACHE_KEY_H

#include "cache/cache_def.h"
#include "common/base/ip.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/dns.h"

struct cache_key {
	size_t n;
	uint8_t b[CACHE_KEY_MAX];
};

enum cache_result_what { CACHE_R_SPF = 's' };

/* What a key says. */
struct cache_key_parts {
	enum cache_kind kind;
	struct dns_name name;
	uint16_t type;                  /* of D */
	uint8_t what;                   /* of R, like the rest */
	uint16_t version;
	uint64_t digest;
	struct ip client;               /* unset: the result does not depend on it */
};

static inline struct span cache_key_span(const struct cache_key *k) { return span_of((const char *)k->b, k->n); }

/* RC_LIMIT: longer than CACHE_KEY_MAX (then nothing is cached).  D keys always fit. */
NODISCARD enum rc cache_key_dns(const struct dns_name *name, uint16_t type, struct cache_key *out);
NODISCARD enum rc cache_key_result(enum cache_result_what what, uint16_t version, uint64_t digest, const struct ip *client,
                                   const struct dns_name *domain, struct cache_key *out);

/* What the keys of a kind at and below a name begin with (the root: all keys of that kind), and those at the name alone. */
NODISCARD enum rc cache_key_zone(enum cache_kind kind, const struct dns_name *zone, struct cache_key *out);
NODISCARD enum rc cache_key_name(enum cache_kind kind, const struct dns_name *name, struct cache_key *out);

/* RC_SYNTAX: not a key that the functions above make. */
NODISCARD enum rc cache_key_parse(struct span key, struct cache_key_parts *out);

#endif
