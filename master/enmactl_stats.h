/*
 * enmactl_stats - the cache's counters by class of entries, as a table: a row for each class, a column for each event.
 */
#ifndef ENMA_MASTER_ENMACTL_STATS_H
#define ENMA_MASTER_ENMACTL_STATS_H

#include "common/base/span.h"
#include "common/ipc/board.h"

struct by_class {
	bool is_there;                  /* any */
	uint64_t count[BOARD_C_COUNT][BOARD_E_COUNT];
	uint64_t entries[BOARD_C_COUNT], bytes[BOARD_C_COUNT];
	bool has_entries;               /* the two above are known */
};

/* True when the counter is one of the table's, which now has it. */
bool by_class_take(struct by_class *t, struct span name, struct span value);
/* The class by its name ("txt"); BOARD_C_COUNT: there is none. */
enum board_cache_class by_class_find(struct span name);
/* "txt hits=1 stale=0 ...": a class line of `cache stats`. */
void by_class_take_line(struct by_class *t, struct span line);
void by_class_print(const struct by_class *t);
/* How many look-ups of a class there were; BOARD_E_HITS of them were answered by entries that had not ended. */
uint64_t by_class_lookups(const struct by_class *t, enum board_cache_class class);

#endif
