/* writer_feed - offers of workers, put in batches; see writer.h and writer_int.h. */
#include <stdlib.h>

#include "cache/writer_int.h"
#include "common/base/xalloc.h"

_Static_assert((int)WRITER_BUFFER_BYTES >= 2 * (int)CACHE_FEED_MAX, "room for more than one packet");

void
writer_feed_init(struct writer_feed *f, int fd, struct writer_store *s, int64_t now_ms)
{
	*f = (struct writer_feed){ .fd = fd, .store = s, .last_ms = now_ms - WRITER_BATCH_MS, .bytes = xmalloc(WRITER_BUFFER_BYTES) };
}

void
writer_feed_fini(struct writer_feed *f)
{
	free(f->bytes);
	f->bytes = NULL;
}

static bool
is_full(const struct writer_feed *f)
{
	return f->n == CACHE_DB_BATCH_MAX || WRITER_BUFFER_BYTES - f->used < CACHE_FEED_MAX;
}

/* After a quiet time the first one goes at once: somebody waits for it.  A clock that went back puts, too. */
bool
writer_feed_is_due(size_t n, bool has_no_room, int64_t last_ms, int64_t now_ms)
{
	return n > 0 && (has_no_room || now_ms - last_ms >= WRITER_BATCH_MS || now_ms < last_ms);
}

int
writer_feed_wait_ms(const struct writer_feed *f, int64_t now_ms)
{
	if (f->n == 0)
		return -1;
	return writer_feed_is_due(f->n, is_full(f), f->last_ms, now_ms) ? 0 : (int)(f->last_ms + WRITER_BATCH_MS - now_ms);
}

static void
forget(struct writer_feed *f)
{
	f->n = f->used = 0;
}

void
writer_feed_put(struct writer_feed *f, int64_t now_ms, int64_t now_s)
{
	struct writer_store *s = f->store;
	struct cache_feed_rules rules = { .stale_s = s->stale_s, .now_s = now_s };

	if (f->n == 0)
		return;
	s->now_s = now_s;
	if (s->db == NULL) {
		board_add(s->board, BOARD_CACHE_OFFERS_LOST, f->n);
	} else if (cache_db_put(s->db, f->item, f->n, cache_feed_keeps, &rules) != RC_OK) {
		board_add(s->board, BOARD_CACHE_OFFERS_LOST, f->n);
		writer_store_failed(s, now_ms);
	}
	forget(f);
	f->last_ms = now_ms;
	s->wants_gc = true;
}

/* Without a file offers are taken all the same: what waits would be old when there is one. */
static void
add(struct writer_feed *f, const struct cache_offer *o, int64_t now_s)
{
	struct cache_db_item *item = &f->item[f->n];

	if (cache_feed_accept(o, f->store->stale_s, now_s, item) != RC_OK) {
		board_add(f->store->board, BOARD_CACHE_OFFERS_BAD, 1);
		return;
	}
	if (f->store->db == NULL) {
		board_add(f->store->board, BOARD_CACHE_OFFERS_LOST, 1);
		return;
	}
	f->used = (size_t)(o->value.p + o->value.n - f->bytes);
	f->n++;
}

/* RC_OK: one was taken, whatever became of it. */
static enum rc
take(struct writer_feed *f, int64_t now_s)
{
	struct cache_offer o;
	enum rc rc = cache_feed_receive(f->fd, f->bytes + f->used, WRITER_BUFFER_BYTES - f->used, &o);

	if (rc == RC_OK)
		add(f, &o, now_s);
	else if (rc == RC_SYNTAX)
		board_add(f->store->board, BOARD_CACHE_OFFERS_BAD, 1);
	else if (rc == RC_NONE)
		f->is_gone = true;
	*(rc == RC_OK || rc == RC_SYNTAX ? &f->taken : &f->emptied) += 1;
	return rc == RC_SYNTAX ? RC_OK : rc;
}

bool
writer_feed_turn(struct writer_feed *f, int64_t now_ms, int64_t now_s)
{
	size_t taken = 0;

	if (f->is_gone)
		f->emptied++;
	while (!f->is_gone && !is_full(f) && taken < CACHE_DB_BATCH_MAX && take(f, now_s) == RC_OK)
		taken++;
	if (writer_feed_is_due(f->n, is_full(f), f->last_ms, now_ms))
		writer_feed_put(f, now_ms, now_s);
	return taken == CACHE_DB_BATCH_MAX;
}
