/*
 * dns_fixture - fixed answers from a zone file: pins, demo, tests; alone or in front of another source.
 *
 * Lines: NAME [TTL] TYPE RDATA      '#' or ';' begins a comment outside quotes; names are absolute, final dot optional
 *   mail.example   300 A      192.0.2.1
 *   example.org        TXT    "v=spf1 ip4:192.0.2.0/24" " -all"      (strings joined; \" \\ \DDD inside quotes)
 *   example.org        MX     10 mail.example
 *   1.2.0.192.in-addr.arpa PTR mail.example
 *   www.example        CNAME  mail.example
 *   *.wild.example     A      192.0.2.9
 * and special answers: NAME SERVFAIL | NXDOMAIN | NODATA | TIMEOUT | GARBAGE, for every type, or NAME TYPE SERVFAIL ... for one type.
 * (these words count unquoted and in capitals; "NAME 20 NXDOMAIN" gives a negative TTL, which is 60 otherwise).  A special answer
 * for a type goes before records of that type, records go before a special answer for every type.
 * NAME DELAY MILLISECONDS delays (served by the test server only).  Types: A AAAA MX TXT PTR CNAME NS.
 * A name that is in the file (or has names below it) is answered from the file alone, for every type; other names go to the next
 * source, or are NXDOMAIN when there is none.  A CNAME may lead to such a name.  In names "\." and "\DDD" are escapes.
 */
#ifndef ENMA_DNS_DNS_FIXTURE_H
#define ENMA_DNS_DNS_FIXTURE_H

#include "common/dns/dns.h"

struct zone;

/* RC_SYNTAX: *why_out (heap, caller frees) is "line N: reason", all errors joined by newlines.  Default TTL 300. */
NODISCARD enum rc zone_parse(struct span text, struct zone **out, char **why_out);
void zone_destroy(struct zone **z);
/* The answer of the zone (a new reference), or NULL when the zone does not know the name.  CNAMEs are followed inside the zone;
 * one that leads out of it is DNS_NXDOMAIN here.  Special TIMEOUT and GARBAGE come as answers DNS_TIMEOUT and DNS_MALFORMED. */
const struct dns_answer *zone_answer(const struct zone *z, const struct dns_name *name, uint16_t type);
/* Delay for the test server, milliseconds; -1 for TIMEOUT (never answer), -2 for GARBAGE. */
int zone_delay_ms(const struct zone *z, const struct dns_name *name, uint16_t type);

/* Takes the zone; next may be NULL, is not owned and must outlive this source.  Answers immediately, inside ask(). */
NODISCARD struct dns_source *dns_fixture_create(struct zone *z, struct dns_source *next);

#endif
