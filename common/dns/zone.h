/*
 * zone - the records of a zone file, sorted for looking up; the syntax and the public half are in dns_fixture.h.
 *
 * A name is kept as a key: its labels with their lengths, last label first, without the root ("mail.example" is
 * 7 example 4 mail).  Sorted as bytes, a name stands right before everything below it, and one name is below another exactly if
 * the other's key is a prefix of its own: existence, empty non-terminals and wildcards are all one binary search.
 * Shared by the files of common/dns alone.
 */
#ifndef ENMA_DNS_ZONE_H
#define ENMA_DNS_ZONE_H

#include "common/dns/dns.h"

enum {
	ZONE_TEXT_MAX = 256 * MIB,      /* bytes of a file */
	ZONE_TXT_MAX = 64000,           /* bytes of one TXT record: it must fit into a packet */
	ZONE_TTL_DEFAULT_S = 300,
	ZONE_NEGATIVE_TTL_S = 60,
	ZONE_DELAY_MAX_MS = 600000,
	ZONE_ERRORS_MAX = 100,          /* reported; the rest is counted */
};

enum zone_kind {
	ZONE_DATA, ZONE_SERVFAIL, ZONE_NXDOMAIN, ZONE_NODATA, ZONE_TIMEOUT, ZONE_GARBAGE,
	ZONE_DELAY,                     /* ttl_s holds the milliseconds */
};

struct zone_record {
	uint32_t key, rdata;            /* offsets into the pool */
	uint32_t rdata_len;
	uint32_t ttl_s;
	uint32_t line;
	uint16_t type;                  /* 0: a special answer for every type, or a delay */
	uint8_t key_len;
	uint8_t kind;
};

struct zone {
	struct zone_record *v;          /* sorted by key, type, line */
	size_t n, room;
	uint8_t *pool;                  /* keys and RDATA: addresses, wire names (MX behind 2 bytes), text */
	size_t pool_n, pool_room;
};

struct zone_key {
	uint8_t n;
	uint8_t labels;
	uint8_t b[DNS_NAME_WIRE_MAX];
	uint8_t ends[DNS_NAME_WIRE_MAX / 2 + 1];        /* where the first, second ... label ends */
};

void zone_key_of(const struct dns_name *name, struct zone_key *out);
int zone_record_cmp(const struct zone *z, const struct zone_record *a, const struct zone_record *b);

/*
 * Follows name through the zone: *end_out is where its CNAMEs lead, *ttl_out the least TTL on the way (UINT32_MAX: no CNAME).
 * Returns a new answer, or NULL when *end_out is a name that the zone does not know.
 */
struct dns_answer *zone_follow(const struct zone *z, const struct dns_name *name, uint16_t type, struct dns_name *end_out,
    uint32_t *ttl_out);

#endif
