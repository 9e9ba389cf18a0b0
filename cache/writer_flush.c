/* writer_flush - what a control client wants forgotten; see writer_int.h. */
#include "cache/writer_int.h"
#include "common/base/log.h"

struct condemned {
	struct cache_key key[CACHE_DB_STEP_MAX];
	size_t n;
	bool only_negative;
};

/* What was offered before the request came is stored first, so that nothing old comes in behind the flush. */
static bool
has_taken_offers(const struct writer_feed *f, const struct writer_client *c)
{
	return f->emptied > c->emptied || f->taken - c->taken >= WRITER_FEED_PACKETS;
}

/* NODATA, NXDOMAIN, failures; and what is damaged. */
static bool
is_negative(struct span key, struct span value)
{
	struct cache_entry_head h;

	return cache_entry_head(key, value, &h) != RC_OK || (h.kind == CACHE_DNS && h.status != DNS_OK);
}

static bool
collect(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct condemned *d = arg;

	(void)end_s;
	if (d->only_negative && !is_negative(key, value))
		return true;
	d->key[d->n].n = key.n;
	memcpy(d->key[d->n].b, key.p, key.n);
	d->n++;
	return d->n < ARRAY_LEN(d->key);
}

static bool
finish(struct writer_store *s, struct writer_client *c)
{
	board_add(s->board, c->request.what == WRITER_PURGE ? BOARD_CACHE_PURGES : BOARD_CACHE_FLUSHES, 1);
	log_info("%llu entries deleted on request", (unsigned long long)c->deleted);
	buf_fmt(&c->out, "ok\ndeleted %llu\n.\n", (unsigned long long)c->deleted);
	return true;
}

static bool
fail(struct writer_store *s, struct writer_client *c, int64_t now_ms)
{
	writer_client_refuse(c, "failed", "the cache could not be written, see the log");
	writer_store_failed(s, now_ms);
	return true;
}

/* Forward through each range, so that what is offered meanwhile cannot make it endless. */
static enum rc
delete_step(struct writer_store *s, struct writer_client *c)
{
	struct condemned d = { .n = 0 };
	size_t deleted = 0;
	enum rc rc, deletion;

	if (c->range == c->ranges.n)
		return RC_NONE;
	d.only_negative = c->request.what == WRITER_FLUSH_NEGATIVE && c->range == 0;
	rc = cache_db_walk(s->db, cache_key_span(&c->ranges.prefix[c->range]), &c->cursor, CACHE_DB_WALK_MAX, collect, &d);
	if (rc != RC_OK && rc != RC_NONE)
		return RC_TEMP;
	deletion = d.n > 0 ? cache_db_delete_keys(s->db, d.key, d.n, &deleted) : RC_OK;
	c->deleted += deleted;
	if (rc == RC_NONE) {
		c->range++;
		c->cursor.n = 0;
	}
	return deletion == RC_OK ? RC_OK : RC_TEMP;
}

static enum rc
purge(struct writer_store *s, struct writer_client *c)
{
	struct cache_db_stats st;
	enum rc rc = cache_db_stats(s->db, &st);

	if (rc == RC_OK)
		rc = cache_db_drop_all(s->db);
	c->deleted = rc == RC_OK ? st.entries : 0;
	return rc == RC_OK ? RC_NONE : RC_TEMP;
}

bool
writer_flush_step(struct writer_clients *all, struct writer_client *c, int64_t now_ms, int64_t now_s)
{
	struct writer_store *s = all->store;
	enum rc rc = RC_OK;
	int i;

	if (!has_taken_offers(all->feed, c))
		return false;
	writer_feed_put(all->feed, now_ms, now_s);
	/* Another file than when it began: whatever was to be forgotten is gone with the old one. */
	if (s->db == NULL || s->serial != c->serial)
		return finish(s, c);
	for (i = 0; i < WRITER_FLUSH_STEPS && rc == RC_OK; i++)
		rc = c->request.what == WRITER_PURGE ? purge(s, c) : delete_step(s, c);
	if (rc == RC_TEMP)
		return fail(s, c, now_ms);
	return rc == RC_NONE && finish(s, c);
}
