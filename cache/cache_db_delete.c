/* cache_db_delete - by key, by range, by end, everything; see cache_db.h. */
#include <endian.h>

#include "cache/cache_db_int.h"
#include "common/base/check.h"

/* Deletes the entry of a filed key if it is filed there, and the file card itself. */
static int
delete_filed(struct cache_db *db, MDB_txn *txn, MDB_cursor *c, MDB_val card)
{
	uint64_t filing = 0, here;
	struct span value;
	MDB_val key, stored;
	int e = mdb_cursor_get(c, &card, &key, MDB_GET_CURRENT);

	if (e != 0 || card.mv_size != sizeof here || key.mv_size == 0 || key.mv_size > CACHE_KEY_MAX)
		return e != 0 ? e : MDB_CORRUPTED;
	memcpy(&here, card.mv_data, sizeof here);
	e = mdb_get(txn, db->entries, &key, &stored);
	if (e == 0 && db_open_stored(stored, &filing, &value) && filing == be64toh(here)) {
		db_tell(db, CACHE_DB_ENDED, db_span(key), db_end_of(filing));
		e = mdb_del(txn, db->entries, &key, NULL);
	}
	return e == 0 || e == MDB_NOTFOUND ? mdb_cursor_del(c, 0) : e;
}

int
db_delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out)
{
	uint64_t be;
	MDB_cursor *c;
	MDB_txn *txn;
	MDB_val k, v;
	size_t n = 0;
	int e = db_begin(db, &txn);

	*n_out = 0;
	if (e != 0)
		return e;
	if ((e = mdb_cursor_open(txn, db->ends, &c)) != 0)
		return db_finish(db, txn, e);
	while (n < max && (e = mdb_cursor_get(c, &k, &v, MDB_FIRST)) == 0) {
		if (k.mv_size != sizeof be) {
			e = MDB_CORRUPTED;
			break;
		}
		memcpy(&be, k.mv_data, sizeof be);
		if (db_end_of(be64toh(be)) > until_s || (e = delete_filed(db, txn, c, k)) != 0)
			break;
		n++;
	}
	mdb_cursor_close(c);
	if ((e = db_finish(db, txn, e == MDB_NOTFOUND ? 0 : e)) == 0)
		*n_out = n;
	return e;
}

int
db_drop_all(struct cache_db *db)
{
	MDB_txn *txn;
	int e = db_begin(db, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_drop(txn, db->entries, 0)) == 0)
		e = mdb_drop(txn, db->ends, 0);
	return db_finish(db, txn, e);
}

/* One entry and its card. */
static int
delete_key(struct cache_db *db, MDB_txn *txn, struct span key, size_t *n)
{
	MDB_val k = db_val(key), stored;
	struct span value;
	uint64_t filing;
	int e = mdb_get(txn, db->entries, &k, &stored);

	if (e == 0 && db_open_stored(stored, &filing, &value))
		e = db_unfile(db, txn, filing);
	if (e == 0)
		e = mdb_del(txn, db->entries, &k, NULL);
	if (e == 0)
		(*n)++;
	return e == MDB_NOTFOUND ? 0 : e;
}

enum rc
cache_db_delete_keys(struct cache_db *db, const struct cache_key *keys, size_t n, size_t *n_out)
{
	size_t i, deleted = 0;
	MDB_txn *txn;
	int e;

	*n_out = 0;
	if (FAILS_CHECK(db->is_writer && n <= CACHE_DB_STEP_MAX))
		return RC_FAULT;
	if ((e = db_begin(db, &txn)) == 0) {
		for (i = 0; i < n && e == 0; i++)
			e = delete_key(db, txn, cache_key_span(&keys[i]), &deleted);
		e = db_finish(db, txn, e);
	}
	if (e != 0)
		return db_write_failed(db, "cannot delete", e);
	*n_out = deleted;
	atomic_fetch_add_explicit(&db->counters.deleted, deleted, memory_order_relaxed);
	return RC_OK;
}

enum rc
cache_db_delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out)
{
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	if ((e = db_delete_ended(db, until_s, MIN(max, (size_t)CACHE_DB_STEP_MAX), n_out)) != 0)
		return db_write_failed(db, "cannot delete", e);
	atomic_fetch_add_explicit(&db->counters.deleted, *n_out, memory_order_relaxed);
	return RC_OK;
}

enum rc
cache_db_drop_all(struct cache_db *db)
{
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	return (e = db_drop_all(db)) == 0 ? RC_OK : db_write_failed(db, "cannot drop all entries", e);
}
