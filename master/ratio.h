/*
 * ratio - how many of the look-ups of the last minutes were hits.
 *
 * Totals of both are sampled every RATIO_STEP_MS; a window is the difference between now and the newest sample that is as old as the window is
 * long, so it may be up to one step longer, never shorter.  Before there is such a sample a window begins where everything began.
 *
 * Pure: the time is a parameter (clock_mono_ms).  Totals never go backwards (totals.h); if they did, a window would be empty, not huge.
 */
#ifndef ENMA_MASTER_RATIO_H
#define ENMA_MASTER_RATIO_H

#include "common/base/defs.h"

enum {
	RATIO_STEP_MS = 10000,
	RATIO_WINDOW_MAX_MS = 15 * 60 * 1000,
	RATIO_SAMPLES = RATIO_WINDOW_MAX_MS / RATIO_STEP_MS + 2,        /* one for each end, one more for samples that came late */
};

struct ratio_sample {
	int64_t at_ms;
	uint64_t hits, lookups;
};

struct ratio {
	struct ratio_sample ring[RATIO_SAMPLES];
	size_t n, newest;
};

/* Nothing was looked up before now_ms. */
void ratio_init(struct ratio *r, int64_t now_ms);
/* When the next sample is due. */
int64_t ratio_due(const struct ratio *r);
/* Keeps a sample if one is due; else nothing. */
void ratio_sample(struct ratio *r, uint64_t hits, uint64_t lookups, int64_t now_ms);
/* What came since the beginning of the window of window_ms (at most RATIO_WINDOW_MAX_MS), given the totals now. */
void ratio_window(const struct ratio *r, uint64_t hits, uint64_t lookups, int64_t window_ms, int64_t now_ms, struct ratio_sample *out);

#endif
