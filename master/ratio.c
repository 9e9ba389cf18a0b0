/* ratio - hits of the last minutes; see ratio.h. */
#include "master/ratio.h"

#include <string.h>

void
ratio_init(struct ratio *r, int64_t now_ms)
{
	memset(r, 0, sizeof(*r));
	r->ring[0].at_ms = now_ms;
	r->n = 1;
}

int64_t
ratio_due(const struct ratio *r)
{
	return r->ring[r->newest].at_ms + RATIO_STEP_MS;
}

void
ratio_sample(struct ratio *r, uint64_t hits, uint64_t lookups, int64_t now_ms)
{
	if (now_ms < ratio_due(r))
		return;
	r->newest = (r->newest + 1) % RATIO_SAMPLES;
	r->ring[r->newest] = (struct ratio_sample){ now_ms, hits, lookups };
	r->n = MIN(r->n + 1, (size_t)RATIO_SAMPLES);
}

void
ratio_window(const struct ratio *r, uint64_t hits, uint64_t lookups, int64_t window_ms, int64_t now_ms, struct ratio_sample *out)
{
	const struct ratio_sample *from = NULL;

	/* From the newest on back, to the first that is old enough, or to the oldest of all. */
	for (size_t i = 0; i < r->n; i++) {
		from = &r->ring[(r->newest + RATIO_SAMPLES - i) % RATIO_SAMPLES];
		if (from->at_ms <= now_ms - window_ms)
			break;
	}
	*out = (struct ratio_sample){ .at_ms = from->at_ms };
	if (hits >= from->hits && lookups >= from->lookups) {
		out->hits = hits - from->hits;
		out->lookups = lookups - from->lookups;
	}
}
