/*
 * slots - the sessions of this worker: how many, which are in a callback, since when.
 *
 * Every session up to the cap owns one slot of the board, so that the supervisor can name the queue ids in progress
 * when a worker dies, and the watch thread can find a session that never comes back.  A session beyond the cap has no slot
 * (SLOT_NONE) but is counted as open.
 *
 * Thread-safe.  One mutex, taken when a session begins and ends; slots_check_lock() lets the watch thread prove that it
 * can be had.
 */
#ifndef ENMA_WORKER_SLOTS_H
#define ENMA_WORKER_SLOTS_H

#include "common/base/span.h"
#include "common/ipc/board.h"

enum { SLOT_NONE = -1 };

struct slots;

/* capacity: sessions at once; the board may have fewer slots, then those count. */
NODISCARD struct slots *slots_create(struct board *board, size_t capacity);
void slots_destroy(struct slots **slots);

/* A session begins: its slot, or SLOT_NONE when all are taken.  It ends: slots_give(), also for SLOT_NONE. */
int slots_take(struct slots *slots);
void slots_give(struct slots *slots, int slot);

/* A callback begins and ends.  SLOT_NONE is ignored by all three. */
void slots_enter(struct slots *slots, int slot, enum board_phase phase);
void slots_leave(struct slots *slots, int slot, enum board_phase phase);
void slots_set_qid(struct slots *slots, int slot, struct span qid);

size_t slots_open(struct slots *slots);         /* sessions open now */
uint64_t slots_begun(struct slots *slots);      /* sessions since the start */
void slots_check_lock(struct slots *slots);

struct slots_stuck {
	int slot;
	enum board_phase phase;
	int64_t for_ms;
	char qid[BOARD_QID_MAX + 1];
};
/* The session that has been in one callback for longest, if that is longer than limit_ms. */
bool slots_find_stuck(struct slots *slots, int64_t now_ms, int64_t limit_ms, struct slots_stuck *out);

#endif
