/*
 * lookup - carries the questions of one message to a dns_source and waits for the answers, with a deadline.
 *
 *	struct lookup *l = lookup_create(source);               one per session, reused
 *	lookup_send(l, &questions);                             all NEW questions go out together; returns at once
 *	...
 *	lookup_collect(l, &questions);                          moves what has arrived into the questions; no waiting
 *	rc = lookup_wait(l, &questions, deadline_ms);           waits until everything SENT is answered, or the deadline
 *	lookup_abandon(l);                                      message over: outstanding requests are cancelled, late answers ignored
 *	lookup_destroy(&l);
 *
 * A late answer never touches a message that is gone: requests belong to a reference counted batch, not to the session.
 * Calls on one lookup come from one thread at a time; answers may arrive on any thread.
 * owner: lead
 */
#ifndef ENMA_DNS_LOOKUP_H
#define ENMA_DNS_LOOKUP_H

#include "common/dns/dns.h"
#include "common/dns/questions.h"

struct lookup;
struct lookup_stats {
	uint32_t asked, answered, from_cache, stale, timeouts;
	uint64_t wait_us;               /* time spent inside lookup_wait */
	uint32_t slowest_us;            /* slowest single answer */
};

NODISCARD struct lookup *lookup_create(struct dns_source *source);
void lookup_destroy(struct lookup **l);
void lookup_send(struct lookup *l, struct questions *q);
void lookup_collect(struct lookup *l, struct questions *q);
/* RC_OK: all answered.  RC_TEMP: the deadline (clock_mono_ms) passed first; the caller then calls questions_close(). */
NODISCARD enum rc lookup_wait(struct lookup *l, struct questions *q, int64_t deadline_ms);
void lookup_abandon(struct lookup *l);
struct lookup_stats lookup_stats(const struct lookup *l);       /* since create or the last abandon */

#endif
