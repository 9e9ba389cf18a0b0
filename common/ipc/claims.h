/*
 * claims - which process is asking which question right now: a small table in memory that all workers share, so that a name which nobody has
 * in the cache yet is asked for about once per host, not once per worker.
 *
 * A claim is a hint, never a promise: a process that finds a question claimed by another one waits a little for the answer to appear in the
 * cache, and asks itself when it does not.  So a worker that dies, stops, or scribbles over the table costs others a short wait and
 * nothing else.  No locks; one 64-bit word a slot, changed by compare-and-swap:
 *
 *	22 bits of the question's hash, the owner's pid (22 bits), the end of the claim (20 bits of the monotonic clock in units of 100 ms)
 *
 * The rest of the hash chooses the slot.  Two questions that meet in a slot do without claims.  The hash is keyed by the table, so that nobody
 * outside can choose names that meet.  All functions may be called by any thread of any process.
 */
#ifndef ENMA_IPC_CLAIMS_H
#define ENMA_IPC_CLAIMS_H

#include <sys/types.h>

#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	CLAIMS_SLOTS = 8192,
	CLAIMS_LIFE_MS = 3000,          /* a claim ends by itself */
};

struct claims;

enum claim {
	CLAIM_MINE,                     /* taken: ask, then claims_release() */
	CLAIM_OTHERS,                   /* another process asks */
	CLAIM_NONE,                     /* the slot serves another question: ask, there is nothing to release */
};

/* Supervisor: a new sealed memfd, mapped.  RC_OK or RC_TEMP. */
NODISCARD enum rc claims_create(int *fd_out, struct claims **out);
/* Worker: maps PROCFD_CLAIMS.  RC_SYNTAX: that is no such table. */
NODISCARD enum rc claims_attach(int fd, struct claims **out);
void claims_detach(struct claims **t);

uint64_t claims_hash(const struct claims *t, struct span key);
enum claim claims_take(struct claims *t, uint64_t hash, pid_t me, int64_t now_ms);
/* Only one's own; harmless when it has ended or was never taken. */
void claims_release(struct claims *t, uint64_t hash, pid_t me);
/* True while another process than me holds it. */
bool claims_is_others(const struct claims *t, uint64_t hash, pid_t me, int64_t now_ms);
/* Supervisor, when a worker has died: its claims end. */
void claims_release_all(struct claims *t, pid_t owner);

#endif
