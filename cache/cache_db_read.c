/* cache_db_read - look-ups; see cache_db.h. */
#include <endian.h>

#include "cache/cache_db_int.h"
#include "cache/cache_guard.h"

bool
db_is_damage(int e)
{
	return e == MDB_PAGE_NOTFOUND || e == MDB_CORRUPTED || e == MDB_PANIC || e == MDB_INVALID || e == MDB_BAD_TXN || e == MDB_CURSOR_FULL ||
	    e == MDB_MAP_RESIZED || e == MDB_INCOMPATIBLE || e == MDB_BAD_DBI || e == MDB_VERSION_MISMATCH;
}

enum rc
db_read_failed(struct cache_db *db, int e)
{
	if (e == MDB_NOTFOUND)
		return RC_NONE;
	if (e == MDB_READERS_FULL) {
		atomic_fetch_add_explicit(&db->counters.busy, 1, memory_order_relaxed);
		return RC_LIMIT;
	}
	atomic_fetch_add_explicit(&db->counters.damaged, 1, memory_order_relaxed);
	/* A writer that just made the map larger is no damage to the file. */
	if (db_is_damage(e) && !atomic_exchange_explicit(&db->is_damaged, true, memory_order_relaxed) && e != MDB_MAP_RESIZED)
		cache_guard_mark(db->mark);
	return RC_TEMP;
}

/* Where a thread begins to look for a slot: a hint, so it does not matter that sessions change threads. */
static size_t
slot_hint(void)
{
	static _Atomic unsigned next;
	static _Thread_local unsigned mine;

	if (mine == 0)
		mine = 1 + atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % CACHE_DB_SLOTS;
	return mine - 1;
}

enum rc
db_slot_take(struct cache_db *db, struct db_slot **out)
{
	size_t hint = slot_hint(), i;
	struct db_slot *s = NULL;
	int e;

	for (i = 0; i < CACHE_DB_SLOTS && s == NULL; i++) {
		struct db_slot *try = &db->slot[(hint + i) % CACHE_DB_SLOTS];

		if (!atomic_load_explicit(&try->is_taken, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&try->is_taken, true, memory_order_acquire))
			s = try;
	}
	if (s == NULL)
		return db_read_failed(db, MDB_READERS_FULL);
	/* The first time takes LMDB's mutex in the lock file: in garbage nobody would ever give it back. */
	if (s->txn == NULL && db->lock_map != NULL && memcmp(db->lock_map, &db->lock_head, sizeof db->lock_head) != 0)
		e = MDB_CORRUPTED;
	else
		e = s->txn == NULL ? mdb_txn_begin(db->env, NULL, MDB_RDONLY, &s->txn) : mdb_txn_renew(s->txn);
	if (e != 0) {
		if (s->txn != NULL)
			mdb_txn_abort(s->txn);
		s->txn = NULL;
		atomic_store_explicit(&s->is_taken, false, memory_order_release);
		return db_read_failed(db, e);
	}
	*out = s;
	return RC_OK;
}

void
db_slot_give(struct db_slot *s)
{
	mdb_txn_reset(s->txn);
	atomic_store_explicit(&s->is_taken, false, memory_order_release);
}

/* Splits what is stored; false for what we never wrote: too short or too long. */
bool
db_open_stored(MDB_val v, uint64_t *filing_out, struct span *value_out)
{
	uint64_t be;

	if (v.mv_size <= sizeof be || v.mv_size > sizeof be + CACHE_VALUE_MAX)
		return false;
	memcpy(&be, v.mv_data, sizeof be);      /* LMDB aligns to two bytes only */
	*filing_out = be64toh(be);
	*value_out = span_of((const char *)v.mv_data + sizeof be, v.mv_size - sizeof be);
	return true;
}

/* In a read transaction all data lie in the map; in a write transaction they may also lie on the heap. */
bool
db_is_in_map(const struct cache_db *db, MDB_val v)
{
	return db->map == NULL || ((uintptr_t)v.mv_data >= (uintptr_t)db->map &&
	    v.mv_size <= (uintptr_t)db->map + db->map_bytes - (uintptr_t)v.mv_data);
}

enum rc
cache_db_get(struct cache_db *db, struct span key, void *buf, size_t size, size_t *n_out)
{
	MDB_val k = db_val(key), v;
	struct span value;
	uint64_t filing;
	struct db_slot *s;
	enum rc rc;
	int e;

	*n_out = 0;
	if (key.n == 0 || key.n > CACHE_KEY_MAX)
		return RC_NONE;
	if ((rc = db_slot_take(db, &s)) != RC_OK)
		return rc;
	e = mdb_get(s->txn, db->entries, &k, &v);
	if (e != 0)
		rc = db_read_failed(db, e);
	else if (!db_is_in_map(db, v) || !db_open_stored(v, &filing, &value))
		rc = db_read_failed(db, MDB_CORRUPTED);
	else if ((*n_out = value.n) > size)
		rc = RC_LIMIT;
	else
		memcpy(buf, value.p, value.n);
	db_slot_give(s);
	return rc;
}
