/*
 * totals - counters of all workers, living and gone.
 *
 * A worker's board is not trusted: a counter that went backwards counts as what it was before, and sums stop at the largest number instead
 * of wrapping.  So totals never go backwards, also after a crash.
 */
#ifndef ENMA_MASTER_TOTALS_H
#define ENMA_MASTER_TOTALS_H

#include "common/ipc/board.h"

struct totals {
	uint64_t counter[BOARD_COUNTER_COUNT];
	uint64_t histogram[BOARD_HISTOGRAM_COUNT][BOARD_BUCKETS];
	uint64_t histogram_sum_us[BOARD_HISTOGRAM_COUNT];
};

/* Brings seen, the highest values that one board has shown so far, up to date. */
void totals_observe(struct totals *seen, const struct board *b);
void totals_add(struct totals *sum, const struct totals *one);

#endif
