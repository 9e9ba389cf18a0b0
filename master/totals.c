/* totals - counters of all workers, living and gone; see totals.h. */
#include "master/totals.h"

static void
raise_to(uint64_t *seen, const _Atomic uint64_t *shown)
{
	uint64_t v = atomic_load_explicit(shown, memory_order_relaxed);

	if (v > *seen)
		*seen = v;
}

static void
add(uint64_t *sum, uint64_t v)
{
	if (__builtin_add_overflow(*sum, v, sum))
		*sum = UINT64_MAX;
}

void
totals_observe(struct totals *seen, const struct board *b)
{
	for (int i = 0; i < BOARD_COUNTER_COUNT; i++)
		raise_to(&seen->counter[i], &b->counter[i]);
	for (int h = 0; h < BOARD_HISTOGRAM_COUNT; h++) {
		for (int i = 0; i < BOARD_BUCKETS; i++)
			raise_to(&seen->histogram[h][i], &b->histogram[h][i]);
		raise_to(&seen->histogram_sum_us[h], &b->histogram_sum_us[h]);
	}
}

void
totals_add(struct totals *sum, const struct totals *one)
{
	for (int i = 0; i < BOARD_COUNTER_COUNT; i++)
		add(&sum->counter[i], one->counter[i]);
	for (int h = 0; h < BOARD_HISTOGRAM_COUNT; h++) {
		for (int i = 0; i < BOARD_BUCKETS; i++)
			add(&sum->histogram[h][i], one->histogram[h][i]);
		add(&sum->histogram_sum_us[h], one->histogram_sum_us[h]);
	}
}
