/*
 * brake - how soon a worker that died may have a successor.
 *
 * Two parts, because two things must not happen.  A broken host or configuration must not make the supervisor spin: who died before
 * it was ready waits 1 s, then 2 s, doubling to 60 s, until one gets ready.  And a sender who found a way to crash a
 * worker must not stop the service: who died after it was ready is replaced at once as long as a bucket of tokens
 * lasts (BRAKE_TOKENS, one new every BRAKE_REFILL_MS), then every BRAKE_REFILL_MS.
 *
 * Pure: the time is a parameter.  One brake per worker slot.
 */
#ifndef ENMA_MASTER_BRAKE_H
#define ENMA_MASTER_BRAKE_H

#include "common/base/defs.h"

enum {
	BRAKE_FIRST_MS = 1000,
	BRAKE_LAST_MS = 60000,
	BRAKE_TOKENS = 10,
	BRAKE_REFILL_MS = 5000,
};

struct brake {
	int64_t delay_ms;       /* the next wait of one that dies before it is ready */
	int64_t tokens;
	int64_t refilled_ms;    /* when the newest token was due */
};

void brake_init(struct brake *b, int64_t now_ms);
/* A worker of this slot got ready. */
void brake_ready(struct brake *b);
/* A worker of this slot died: the earliest time for its successor (now_ms or later). */
int64_t brake_died(struct brake *b, bool was_ready, int64_t now_ms);

#endif
