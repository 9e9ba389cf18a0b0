/*
 * cache_gc - makes room in small steps: what is of no use any more at once, what ends soonest when the map fills up.
 *
 * One step is one transaction of at most CACHE_DB_STEP_MAX deletes (about 50 us), so that offers are never kept waiting for long.  The writer
 * calls steps between its batches.
 *
 * Entries that have ended go first, whatever the fill.  From CACHE_GC_FROM percent of the map on, those that end soonest follow, until
 * CACHE_GC_TO percent are reached.  Keys and ends have nothing to do with each other, so deletes leave holes in many pages and free few; the
 * holes take the entries that come next.  A run therefore also ends when an eighth of the entries is gone, and the next one begins when
 * as many entries as before are there again, or at CACHE_GC_HARD percent in any case.  (Going on until the pages are free would throw away
 * more than half of the cache.)
 */
#ifndef ENMA_CACHE_CACHE_GC_H
#define ENMA_CACHE_CACHE_GC_H

#include "cache/cache_db.h"

enum { CACHE_GC_FROM = 80, CACHE_GC_TO = 70, CACHE_GC_HARD = 90, CACHE_GC_SHARE = 8 };

/* Zeroed to begin with; the counters are for statistics. */
struct cache_gc {
	bool is_running;                /* making room */
	uint64_t begun_with;            /* entries when the run began */
	uint64_t calm_below;            /* entries below which CACHE_GC_FROM does not begin a run */
	uint64_t expired, evicted, runs, failures;
};

/* RC_OK: *deleted_out entries are gone, and there may be more to do; RC_NONE: nothing to do; RC_TEMP: it failed (counted). */
NODISCARD enum rc cache_gc_step(struct cache_gc *gc, struct cache_db *db, int64_t now_s, size_t *deleted_out);

/* The decision alone: whether entries that are still good have to go now. */
bool cache_gc_must_evict(struct cache_gc *gc, const struct cache_db_stats *st);

#endif
