/* cache_db_walk - entries one after the other, and statistics; see cache_db.h. */
#include "cache/cache_db_int.h"

enum {
	FREE_TABLE = 0, MAIN_TABLE = 1, /* LMDB's own: pages to use again, names of tables */
	HEADER_PAGES = 2,
	TREES = 4,
};

struct walk {
	struct span prefix;
	struct cache_key *at;
	size_t left;
	cache_db_walk_fn *fn;
	void *arg;
};

/* In the order of keys; pages that point back would make a walk without end. */
static bool
is_after(struct span a, struct span b)
{
	int c = memcmp(a.p, b.p, MIN(a.n, b.n));

	return c > 0 || (c == 0 && a.n > b.n);
}

/* RC_OK: the next one, please. */
static enum rc
walk_one(struct cache_db *db, struct walk *w, MDB_val k, MDB_val v)
{
	struct span value;
	uint64_t filing;

	if (k.mv_size == 0 || k.mv_size > CACHE_KEY_MAX || !db_is_in_map(db, k) || !db_is_in_map(db, v) ||
	    !db_open_stored(v, &filing, &value))
		return db_read_failed(db, MDB_CORRUPTED);
	if (!span_starts(db_span(k), w->prefix))
		return RC_NONE;
	if (!is_after(db_span(k), cache_key_span(w->at)))
		return db_read_failed(db, MDB_CORRUPTED);
	w->at->n = k.mv_size;
	memcpy(w->at->b, k.mv_data, k.mv_size);
	w->left--;
	return w->fn(w->arg, db_span(k), value, db_end_of(filing)) ? RC_OK : RC_WAIT;
}

static enum rc
walk_from(struct cache_db *db, MDB_cursor *c, struct walk *w)
{
	struct cache_key from = *w->at;
	MDB_val k = from.n > 0 ? db_val(cache_key_span(&from)) : db_val(w->prefix), v;
	enum rc rc = RC_OK;
	int e = mdb_cursor_get(c, &k, &v, k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);

	if (e == 0 && from.n > 0 && span_eq(db_span(k), cache_key_span(&from)))
		e = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	while (e == 0 && rc == RC_OK && w->left > 0) {
		rc = walk_one(db, w, k, v);
		if (rc == RC_OK && w->left > 0)
			e = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	if (e != 0)
		return db_read_failed(db, e);
	return rc == RC_WAIT ? RC_OK : rc;
}

enum rc
cache_db_walk(struct cache_db *db, struct span prefix, struct cache_key *cursor, size_t max, cache_db_walk_fn *fn, void *arg)
{
	struct walk w = { .prefix = prefix, .at = cursor, .left = MIN(max, (size_t)CACHE_DB_WALK_MAX), .fn = fn, .arg = arg };
	MDB_cursor *c;
	struct db_slot *s;
	enum rc rc;
	int e;

	if ((rc = db_slot_take(db, &s)) != RC_OK)
		return rc;
	if ((e = mdb_cursor_open(s->txn, db->entries, &c)) == 0) {
		rc = walk_from(db, c, &w);
		mdb_cursor_close(c);
	} else {
		rc = db_read_failed(db, e);
	}
	db_slot_give(s);
	return rc;
}

/* Pages of all tables; what is free is not among them. */
static int
count_pages(struct cache_db *db, MDB_txn *txn, uint64_t *pages, uint64_t *entries, uint64_t *page_bytes)
{
	const MDB_dbi trees[TREES] = { FREE_TABLE, MAIN_TABLE, db->entries, db->ends };
	MDB_stat st = { 0 };
	size_t i;
	int e;

	*pages = HEADER_PAGES;
	for (i = 0; i < TREES; i++) {
		if ((e = mdb_stat(txn, trees[i], &st)) != 0)
			return e;
		*pages += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
		if (trees[i] == db->entries)
			*entries = st.ms_entries;
	}
	*page_bytes = st.ms_psize;
	return 0;
}

enum rc
cache_db_stats(struct cache_db *db, struct cache_db_stats *out)
{
	uint64_t pages = 0, page_bytes = 0;
	MDB_envinfo info;
	struct db_slot *s;
	enum rc rc;
	int e;

	*out = (struct cache_db_stats){ .generation = db->state.generation };
	if ((rc = db_slot_take(db, &s)) != RC_OK)
		return rc;
	e = count_pages(db, s->txn, &pages, &out->entries, &page_bytes);
	db_slot_give(s);
	if (e == 0)
		e = mdb_env_info(db->env, &info);
	if (e != 0)
		return db_read_failed(db, e);
	out->used_bytes = pages * page_bytes;
	out->map_bytes = info.me_mapsize;
	out->file_bytes = (info.me_last_pgno + 1) * page_bytes;
	out->readers = info.me_numreaders;
	out->readers_max = info.me_maxreaders;
	return RC_OK;
}
