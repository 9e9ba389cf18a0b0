/*
 * dns_unbound - libunbound behind dns_source: one context on one libevent thread of its own.
 *
 * Create it after fork/exec, one per process.  ask() may be called from any thread: a batch is queued and the loop woken once.
 * The settings that keep one silent name from hurting all others are made here (reason beside each in the .c).
 */
#ifndef ENMA_DNS_DNS_UNBOUND_H
#define ENMA_DNS_DNS_UNBOUND_H

#include "common/dns/dns.h"

struct dns_unbound_options {
	const char *const *forward;     /* ADDRESS[@PORT]; n of them */
	size_t forward_count;
	bool is_recursive;              /* from the root; forwarders and resolv.conf are not used */
	const char *resolvconf;         /* used when there are no forwarders and not recursive */
	struct span trust_anchor;       /* contents of a trust anchor file (DS or DNSKEY lines); empty: no validation */
	size_t outstanding_max;         /* 0: DNS_UNBOUND_OUTSTANDING_MAX */
	size_t in_flight_max;           /* 0: DNS_UNBOUND_IN_FLIGHT_MAX */
};

enum {
	/* Questions queued or under way, those under way that their askers gave up included; more are answered DNS_SERVFAIL at once. */
	DNS_UNBOUND_OUTSTANDING_MAX = 20000,
	/* Sockets that libunbound may have open at a time: who limits descriptors counts them in. */
	DNS_UNBOUND_SOCKETS = 1024,
	/* Questions given to libunbound, about 12 KB each; it keeps a silent name for 4 s.  The others wait in
	 * a queue of ours, which costs nothing and from where giving up is giving up. */
	DNS_UNBOUND_IN_FLIGHT_MAX = 1024,
	DNS_UNBOUND_ANCHORS_MAX = 100,  /* lines in trust_anchor */
};

/* RC_OK; RC_SYNTAX (a forwarder or anchor libunbound refuses) or RC_TEMP with a one-line reason in why.  With RC_OK why is empty or
 * holds a remark for the log (an unimportant option that this libunbound does not have, a resolv.conf without name servers). */
NODISCARD enum rc dns_unbound_create(const struct dns_unbound_options *o, struct dns_source **out, char *why, size_t size);
/* Everything that libunbound has cached in this process is forgotten: a question asked after this returns is asked of servers again.  Questions
 * under way go on and end as they would have.  Any thread; returns at once.  (libunbound has no call for it: the context is replaced by a new
 * one with the same settings, and destroyed when its last question has ended.) */
void dns_unbound_flush(struct dns_source *src);
/* For checking settings without starting anything: RC_OK or RC_SYNTAX with a reason. */
NODISCARD enum rc dns_unbound_check(const struct dns_unbound_options *o, char *why, size_t size);
/* Called on the loop thread about once a second while set (heartbeat).  NULL ends it; a last call may overlap. */
void dns_unbound_on_beat(struct dns_source *src, void (*beat)(void *arg), void *arg);

#endif
