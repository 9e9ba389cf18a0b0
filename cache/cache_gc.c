/* cache_gc - makes room; see cache_gc.h. */
#include "cache/cache_gc.h"

static bool
is_filled_to(const struct cache_db_stats *st, unsigned percent)
{
	return st->used_bytes >= st->map_bytes / 100 * percent;
}

bool
cache_gc_must_evict(struct cache_gc *gc, const struct cache_db_stats *st)
{
	if (gc->is_running &&
	    (!is_filled_to(st, CACHE_GC_TO) || st->entries <= gc->begun_with - gc->begun_with / CACHE_GC_SHARE)) {
		gc->is_running = false;
		gc->calm_below = gc->begun_with;
	}
	if (!gc->is_running && st->entries > 0 &&
	    (is_filled_to(st, CACHE_GC_HARD) || (is_filled_to(st, CACHE_GC_FROM) && st->entries >= gc->calm_below))) {
		gc->is_running = true;
		gc->begun_with = st->entries;
		gc->runs++;
	}
	return gc->is_running;
}

enum rc
cache_gc_step(struct cache_gc *gc, struct cache_db *db, int64_t now_s, size_t *deleted_out)
{
	struct cache_db_stats st;
	enum rc rc = cache_db_delete_ended(db, now_s, CACHE_DB_STEP_MAX, deleted_out);

	if (rc == RC_OK && *deleted_out > 0) {
		gc->expired += *deleted_out;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = cache_db_stats(db, &st);
	if (rc == RC_OK && !cache_gc_must_evict(gc, &st))
		return RC_NONE;
	if (rc == RC_OK)
		rc = cache_db_delete_ended(db, INT64_MAX, CACHE_DB_STEP_MAX, deleted_out);
	if (rc != RC_OK) {
		gc->failures++;
		return RC_TEMP;
	}
	gc->evicted += *deleted_out;
	return *deleted_out > 0 ? RC_OK : RC_NONE;
}
