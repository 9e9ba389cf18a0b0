/*
 * writer_request - what a control client asks of the cache process (doc/CONTROL.md), as words and as a structure.  Pure.
 *
 *	histogram
 *	dump [kind=D|R] [zone=NAME] [type=T] [expired=1]
 *	get NAME TYPE
 *	flush NAME [TYPE] | flush-zone NAME | flush-negative | purge
 *
 * Names as dns_name_print() writes them: "\." and "\DDD" inside labels; a final dot may be there, "." is the root.  Upper case is lowered.  TYPE: a name
 * of dns_type_parse(); an SPF result is asked for as the type SPF with `get` and `dump`.
 */
#ifndef ENMA_CACHE_WRITER_REQUEST_H
#define ENMA_CACHE_WRITER_REQUEST_H

#include "cache/cache_key.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum writer_what { WRITER_HISTOGRAM, WRITER_DUMP, WRITER_GET, WRITER_FLUSH, WRITER_FLUSH_ZONE, WRITER_FLUSH_NEGATIVE, WRITER_PURGE };

struct writer_request {
	enum writer_what what;
	bool has_name, has_type;
	bool is_spf;                    /* the type is SPF: results, has_type is false */
	bool only_expired;
	char kind;                      /* 'D', 'R' or 0: both */
	struct dns_name name;           /* of get and flush; the zone of flush-zone and dump */
	uint16_t type;
};

/* RC_SYNTAX: *why_out says what is wrong, a fixed text. */
NODISCARD enum rc writer_request_parse(struct span text, struct writer_request *out, const char **why_out);

/* Which keys it is about: what they begin with.  A flush reaches all results, since they may rest on other names. */
struct writer_ranges {
	struct cache_key prefix[3];
	size_t n;
};
NODISCARD enum rc writer_request_ranges(const struct writer_request *r, struct writer_ranges *out);

#endif
