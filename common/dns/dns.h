/*
 * dns - names, answers, and where answers come from.
 *
 * Names are kept in wire form, lower-case: no escapes, no ambiguity about dots.  Answers are immutable, reference counted heap
 * blocks that threads share.  A dns_source answers requests asynchronously; implementations: dns_unbound.h (libunbound),
 * dns_fixture.h (a file of fixed answers, alone or in front of another source), later a cache in front of another.
 * Engines see none of this: they see `struct questions` (questions.h).
 * owner: lead
 */
#ifndef ENMA_DNS_DNS_H
#define ENMA_DNS_DNS_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/ip.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum dns_type {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28,
};
const char *dns_type_name(uint16_t type);               /* "TXT"; "TYPE" for others */
bool dns_type_parse(struct span text, uint16_t *type_out);

enum {
	DNS_NAME_WIRE_MAX = 255,
	DNS_ANSWER_RRS_MAX = 512,       /* records kept of one answer; more: the answer is DNS_MALFORMED */
	DNS_ANSWER_BYTES_MAX = 128 * KIB,
	DNS_CNAME_MAX = 16,             /* links followed inside one answer */
};

/* A name in wire form: length-prefixed labels, lower-case ASCII, final zero byte included in n (root: n == 1). */
struct dns_name {
	uint8_t n;
	uint8_t w[DNS_NAME_WIRE_MAX];
};

/* text: labels separated by '.', one final dot allowed, any byte but NUL inside labels, a backslash is an ordinary byte.
 * RC_SYNTAX: empty label, label over 63, name over 255 wire bytes, NUL, empty text, or "." alone
 * (no mail name is the root). */
NODISCARD enum rc dns_name_from_text(struct span text, struct dns_name *out);
/* For libunbound, zone files and logs: '.' inside a label as "\."; blanks, unprintable bytes and \ " # $ ; ( ) @ as \DDD; no final dot
 * (root: "."). */
void dns_name_print(struct buf *b, const struct dns_name *name);
/* As plain text, for comparing with other text: RC_SYNTAX when a label holds a '.', a control byte, a blank or a byte over 0x7e. */
NODISCARD enum rc dns_name_plain(struct arena *a, const struct dns_name *name, struct span *out);
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b);
/* The name of the PTR record of an address (in-addr.arpa, ip6.arpa). */
void dns_name_reverse(const struct ip *ip, struct dns_name *out);

enum dns_status {
	DNS_OK,                 /* records of the type asked are there */
	DNS_NODATA,             /* the name is there, such records are not */
	DNS_NXDOMAIN,
	DNS_SERVFAIL,           /* also REFUSED, NOTIMP, FORMERR: no answer to be had from the servers */
	DNS_TIMEOUT,            /* nobody answered before the deadline */
	DNS_BOGUS,              /* DNSSEC validation failed */
	DNS_MALFORMED,          /* the answer does not parse or exceeds a limit above */
	DNS_LIMIT,              /* not asked: the message's budget of questions is spent */
	DNS_CANCELLED,          /* the asker gave up */
};
const char *dns_status_name(enum dns_status s);
/* True for the four kinds of failure that may heal (SERVFAIL, TIMEOUT, BOGUS, MALFORMED) and CANCELLED. */
bool dns_status_is_temporary(enum dns_status s);

struct dns_rr {
	uint32_t ttl_s;
	uint16_t preference;            /* MX */
	struct ip ip;                   /* A, AAAA */
	const struct dns_name *name;    /* MX exchange, PTR, CNAME, NS target */
	struct span text;               /* TXT: the strings joined without a separator (RFC 7208 section 3.3) */
};

struct dns_answer {
	enum dns_status status;
	bool is_secure;                 /* DNSSEC-validated */
	bool is_from_cache;             /* no query left this host for it, as far as the source knows */
	bool is_alias;                  /* the status is that of another name, to which CNAMEs led */
	bool is_stale;                  /* it has expired, and is used because no new one is to be had (RFC 8767) */
	uint32_t ttl_s;                 /* least TTL of the chain; for NODATA/NXDOMAIN the SOA's negative TTL; 0 for failures */
	uint32_t elapsed_us;            /* from asking to answer */
	size_t rr_count;
	struct dns_rr *rr;              /* only records of the type asked, at the end of the CNAME chain; in answer order */
	char why[64];                   /* detail of a failure for logs: "connection refused", "signature expired" ... */
	_Atomic uint32_t refs;
};

/* Takes one more reference / drops one (NULL allowed); at zero the block is freed.  Any thread. */
const struct dns_answer *dns_answer_ref(const struct dns_answer *a);
void dns_answer_unref(const struct dns_answer *a);
/* An answer without records. */
NODISCARD const struct dns_answer *dns_answer_status(enum dns_status s, uint32_t ttl_s, const char *why);
/* Decodes a raw DNS response packet to the question (name, type): checks header, question, every name and length; follows the
 * CNAME chain inside the packet; drops records that do not belong to it.  Never fails: damage is DNS_MALFORMED.  RFC 1035, 2308. */
NODISCARD const struct dns_answer *dns_answer_decode(struct span packet, const struct dns_name *name, uint16_t type);

/*
 * A request.  The asker fills name, type, done, arg, and keeps the memory until done() was called.  The source calls done() exactly
 * once for each request, from any thread, possibly before ask() returns; req->answer then holds a reference that belongs to
 * the asker.
 */
struct dns_req {
	struct dns_name name;
	uint16_t type;
	void (*done)(struct dns_req *req);
	void *arg;
	const struct dns_answer *answer;
	/* the source's own */
	struct dns_req *next;
	struct dns_source *source;
	void *own;
	int64_t asked_us;
	int state;
};

struct dns_source {
	/* Sends all requests of the array together; the array itself is not needed after the call. */
	void (*ask)(struct dns_source *src, struct dns_req **reqs, size_t n);
	/* A wish: done() comes soon (possibly inside this call), with DNS_CANCELLED unless an answer overtook it.  Harmless after done(),
	 * as long as the request's memory is still there.  A late answer still warms the source's cache. */
	void (*cancel)(struct dns_source *src, struct dns_req *req);
	/* All outstanding requests are done() before it returns. */
	void (*destroy)(struct dns_source *src);
};

#endif
