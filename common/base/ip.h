/*
 * ip - addresses, networks and sets of ranges.
 *
 * An address is 16 bytes; IPv4 is kept in its mapped form ::ffff:a.b.c.d, so one comparison serves both.  A v4-mapped
 * IPv6 client is an IPv4 client everywhere (RFC 7208 section 5).
 */
#ifndef ENMA_BASE_IP_H
#define ENMA_BASE_IP_H

#include <sys/socket.h>

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct ip {
	uint8_t b[16];
	bool is_set;            /* false: no address (unix socket, unknown) */
};

enum { IP_TEXT_MAX = 46 };

bool ip_is_v4(const struct ip *ip);             /* also v4-mapped */
bool ip_eq(const struct ip *a, const struct ip *b);

/* "192.0.2.1" or "2001:db8::1" (no zone, no brackets, no prefix, nothing behind).  RC_SYNTAX otherwise. */
NODISCARD enum rc ip_parse(struct span text, struct ip *out);
NODISCARD enum rc ip4_parse(struct span text, struct ip *out);  /* dotted quad only, as RFC 7208 ip4-network demands */
NODISCARD enum rc ip6_parse(struct span text, struct ip *out);
/* AF_INET and AF_INET6; other families give an unset address. */
struct ip ip_from_sockaddr(const struct sockaddr *sa);

/* Canonical text (RFC 5952; dotted quad for IPv4) with a NUL; returns its length. */
size_t ip_print(const struct ip *ip, char out[IP_TEXT_MAX]);

/* True when the first `bits` bits of a and b agree; bits counts from the start of the family's own form (0..32 for
 * IPv4, 0..128 for IPv6).  Different families never match. */
bool ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits);

/*
 * Sets of ranges: built once at start, read by any number of threads; the cost of a look-up does not grow with their
 * number (a binary trie over 128 bits).
 */
struct ip_set;

NODISCARD struct ip_set *ip_set_create(void);
void ip_set_destroy(struct ip_set **set);
/* One range: "192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "192.0.2.10-192.0.2.20" (blanks around '-' allowed).
 * RC_SYNTAX with a reason in *why_out (static text) for anything else, also a network with host bits is accepted and
 * masked, a range that runs backwards or mixes families is refused. */
NODISCARD enum rc ip_set_add(struct ip_set *set, struct span range, const char **why_out);
bool ip_set_has(const struct ip_set *set, const struct ip *ip);         /* NULL set: false */
size_t ip_set_count(const struct ip_set *set);                          /* ranges added */

#endif
