/* writer_store - the file that is written: opened, watched, given up and replaced; see writer_int.h. */
#include <stdio.h>
#include <string.h>

#include "cache/cache_key.h"
#include "cache/writer_int.h"
#include "common/base/log.h"

enum {
	CALM_MS = 60000,        /* a file that is given up sooner than that is not replaced at once */
};

/* ---- what went wrong ----------------------------------------------------------------------------------- */

static void
say_trouble(struct writer_store *s, const char *what, const char *why, int64_t now_ms)
{
	char text[FDIO_WHY_MAX];

	snprintf(text, sizeof text, "%s: %s", what, why);
	if (strcmp(text, s->trouble.text) == 0 && now_ms < s->trouble.next_ms)
		return;
	log_error("%s", text);
	memcpy(s->trouble.text, text, sizeof text);
	s->trouble.next_ms = now_ms + WRITER_TROUBLE_MS;
}

/* ---- counters ------------------------------------------------------------------------------------------ */

static void
tell(struct writer_store *s, enum board_counter c, uint64_t *told, uint64_t now)
{
	board_add(s->board, c, now - *told);
	*told = now;
}

static uint64_t
load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What has been counted since the last time. */
static void
tell_counters(struct writer_store *s)
{
	const struct cache_db_counters *c = cache_db_counters(s->db);

	tell(s, BOARD_CACHE_OFFERS_KEPT, &s->told.kept, load(&c->kept));
	tell(s, BOARD_CACHE_OFFERS_BAD, &s->told.refused, load(&c->refused));
	tell(s, BOARD_CACHE_WRITE_ERRORS, &s->told.write_errors, load(&c->write_errors));
	tell(s, BOARD_CACHE_DROPPED_ALL, &s->told.dropped_all, load(&c->dropped_all));
	tell(s, BOARD_CACHE_READERS_DEAD, &s->told.dead_readers, load(&c->dead_readers));
	tell(s, BOARD_CACHE_BUSY, &s->told.busy, load(&c->busy));
	tell(s, BOARD_CACHE_DAMAGED, &s->told.damaged, load(&c->damaged));
	tell(s, BOARD_CACHE_GC_RUNS, &s->told.gc_runs, s->gc.runs);
	tell(s, BOARD_CACHE_GC_ERRORS, &s->told.gc_errors, s->gc.failures);
}

static void
set_gauge(struct writer_store *s, enum board_gauge g, uint64_t v)
{
	if (s->board != NULL)
		atomic_store_explicit(&s->board->gauge[g], v, memory_order_relaxed);
}

static void
set_gauges(struct writer_store *s, const struct cache_db_stats *st)
{
	set_gauge(s, BOARD_G_CACHE_ENTRIES, st->entries);
	set_gauge(s, BOARD_G_CACHE_MAP_BYTES, st->map_bytes);
	set_gauge(s, BOARD_G_CACHE_USED_BYTES, st->used_bytes);
	set_gauge(s, BOARD_G_CACHE_FILE_BYTES, st->file_bytes);
	set_gauge(s, BOARD_G_CACHE_READERS, st->readers);
	set_gauge(s, BOARD_G_CACHE_READERS_MAX, st->readers_max);
	set_gauge(s, BOARD_G_CACHE_GENERATION, st->generation);
}

static void
count_tally(struct writer_store *s)
{
	for (int c = 0; c < BOARD_C_COUNT; c++) {
		board_add(s->board, BOARD_CACHE(c, BOARD_E_INSERTED), s->tally[c].inserted);
		board_add(s->board, BOARD_CACHE(c, BOARD_E_DELETED), s->tally[c].ended);
		board_add(s->board, BOARD_CACHE(c, BOARD_E_EVICTED), s->tally[c].evicted);
	}
}

/* cache_db_told_fn */
static void
note_event(void *arg, enum cache_db_event event, struct span key, int64_t end_s)
{
	struct writer_store *s = arg;

	if (event == CACHE_DB_STORED) {
		s->tally[writer_class(key)].inserted++;
	} else if (event == CACHE_DB_ENDED) {
		struct writer_tally *t = &s->tally[writer_class(key)];

		*(end_s <= s->now_s ? &t->ended : &t->evicted) += 1;
	} else {
		if (event == CACHE_DB_COMMITTED)
			count_tally(s);
		memset(s->tally, 0, sizeof s->tally);
	}
}

/* ---- opening and giving up ----------------------------------------------------------------------------- */

static void
opened(struct writer_store *s, bool is_new, const char *why, int64_t now_ms)
{
	struct cache_db_stats st;
	size_t left_overs = cache_db_remove_others(s->db);

	cache_db_tell(s->db, note_event, s);
	s->serial++;
	s->opened_ms = now_ms;
	s->is_checking = !is_new;
	s->check_at.n = 0;
	s->checked = s->check_bad = 0;
	s->wants_gc = true;
	s->second_ms = now_ms;
	s->readers_ms = now_ms + WRITER_CHECK_S * WRITER_SECOND_MS;
	s->trouble.text[0] = '\0';
	if (is_new) {
		board_add(s->board, BOARD_CACHE_NEW_FILES, 1);
		log_msg(s->serial > 1 ? LOG_L_WARN : LOG_L_INFO, "new cache file %s: %s", cache_db_file(s->db), why);
	} else if (cache_db_stats(s->db, &st) == RC_OK) {
		log_info("cache file %s: %llu entries", cache_db_file(s->db), (unsigned long long)st.entries);
	}
	if (left_overs > 0)
		log_debug("%zu files of earlier caches removed", left_overs);
}

static void
wait_longer(struct writer_store *s, int64_t now_ms)
{
	s->pause_ms = s->pause_ms == 0 ? WRITER_RETRY_MS : MIN(2 * s->pause_ms, (int64_t)WRITER_RETRY_MAX_MS);
	s->retry_at_ms = now_ms + s->pause_ms;
}

bool
writer_store_open(struct writer_store *s, int64_t now_ms)
{
	char why[FDIO_WHY_MAX] = "";
	bool is_new = false;

	if (s->db != NULL)
		return true;
	if (now_ms < s->retry_at_ms)
		return false;
	if (cache_db_open_writer(s->path, s->map_bytes, s->readers_max, &s->db, &is_new, why, sizeof why) != RC_OK) {
		say_trouble(s, "no cache for now", why, now_ms);
		wait_longer(s, now_ms);
		return false;
	}
	opened(s, is_new, why, now_ms);
	return true;
}

static void
let_go(struct writer_store *s)
{
	static const struct cache_db_stats none;

	tell_counters(s);
	cache_db_close(&s->db);
	memset(&s->told, 0, sizeof s->told);
	memset(&s->gc, 0, sizeof s->gc);
	s->is_checking = s->wants_gc = false;
	set_gauges(s, &none);
}

/* Nobody will open it again. */
static void
give_up(struct writer_store *s, const char *why, int64_t now_ms)
{
	say_trouble(s, "the cache file is given up", why, now_ms);
	cache_db_condemn(s->db);
	let_go(s);
	if (now_ms - s->opened_ms >= CALM_MS)
		s->pause_ms = 0;
	if (s->pause_ms == 0 && now_ms - s->opened_ms >= WRITER_SECOND_MS)
		s->retry_at_ms = now_ms;
	else
		wait_longer(s, now_ms);
}

void
writer_store_watch(struct writer_store *s, int64_t now_ms)
{
	char why[FDIO_WHY_MAX];
	const char *error;
	enum rc rc;

	if (s->db == NULL)
		return;
	if (cache_db_is_damaged(s->db)) {
		error = cache_db_error(s->db);
		give_up(s, error[0] != '\0' ? error : "a look-up met garbage", now_ms);
		return;
	}
	rc = cache_db_look(s->db, why, sizeof why);
	if (rc == RC_NONE)
		give_up(s, why, now_ms);
	else if (rc != RC_OK)
		say_trouble(s, "the cache file cannot be looked after", why, now_ms);
}

void
writer_store_failed(struct writer_store *s, int64_t now_ms)
{
	if (cache_db_is_damaged(s->db))
		writer_store_watch(s, now_ms);
	else
		say_trouble(s, "the cache cannot be written", cache_db_error(s->db), now_ms);
}

void
writer_store_close(struct writer_store *s)
{
	if (s->db != NULL)
		let_go(s);
}

/* ---- between batches ----------------------------------------------------------------------------------- */

bool
writer_store_gc(struct writer_store *s, int64_t now_ms, int64_t now_s)
{
	enum rc rc = RC_OK;
	size_t deleted;
	int i;

	if (s->db == NULL || !s->wants_gc)
		return false;
	s->now_s = now_s;
	for (i = 0; i < WRITER_GC_STEPS && rc == RC_OK; i++)
		rc = cache_gc_step(&s->gc, s->db, now_s, &deleted);
	s->wants_gc = rc == RC_OK;
	if (rc == RC_TEMP)
		writer_store_failed(s, now_ms);
	return s->wants_gc;
}

void
writer_store_check_readers(struct writer_store *s, int64_t now_ms)
{
	unsigned n;

	if (s->db == NULL)
		return;
	n = cache_db_check_readers(s->db);
	if (n > 0)
		log_debug("%u reader slots of dead processes freed", n);
	s->readers_ms = now_ms + WRITER_CHECK_S * WRITER_SECOND_MS;
}

void
writer_store_tick(struct writer_store *s, int64_t now_ms)
{
	struct cache_db_stats st;

	if (s->db == NULL || now_ms < s->second_ms)
		return;
	s->second_ms = now_ms + WRITER_SECOND_MS;
	s->wants_gc = true;
	/* First of all: reading statistics of a file that was cut short would be the end of this process. */
	writer_store_watch(s, now_ms);
	if (s->db == NULL)
		return;
	if (now_ms >= s->readers_ms)
		writer_store_check_readers(s, now_ms);
	tell_counters(s);
	if (cache_db_stats(s->db, &st) == RC_OK)
		set_gauges(s, &st);
}
