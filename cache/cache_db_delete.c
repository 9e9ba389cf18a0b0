/* cache_db_delete - by key, by range, by end, everything; see cache_db.h. */
#include <endian.h>

#include "cache/cache_db_int.h"
#include "common/base/check.h"

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
	if (e == 0 && db_open_stored(stored, &filing, &value) && filing == be64toh(here))
		e = mdb_del(txn, db->entries, &key, NULL);
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
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

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
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_drop(txn, db->entries, 0)) == 0)
		e = mdb_drop(txn, db->ends, 0);
	return db_finish(db, txn, e);
}

static int
delete_entry(struct cache_db *db, MDB_txn *txn, MDB_val key, MDB_val stored)
{
	struct span value;
	uint64_t filing;
	int e = db_open_stored(stored, &filing, &value) ? db_unfile(db, txn, filing) : 0;

	return e == 0 ? mdb_del(txn, db->entries, &key, NULL) : e;
}

enum rc
cache_db_delete(struct cache_db *db, struct span key)
{
	MDB_val k = db_val(key), v;
	MDB_txn *txn;
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	if (key.n == 0 || key.n > CACHE_KEY_MAX)
		return RC_NONE;
	if ((e = mdb_txn_begin(db->env, NULL, 0, &txn)) == 0) {
		if ((e = mdb_get(txn, db->entries, &k, &v)) == 0)
			e = delete_entry(db, txn, k, v);
		e = db_finish(db, txn, e);
	}
	if (e == MDB_NOTFOUND)
		return RC_NONE;
	if (e != 0)
		return db_write_failed(db, "cannot delete", e);
	atomic_fetch_add_explicit(&db->counters.deleted, 1, memory_order_relaxed);
	return RC_OK;
}

static int
delete_prefix(struct cache_db *db, struct span prefix, size_t max, size_t *n_out)
{
	uint8_t copy[CACHE_KEY_MAX];
	MDB_cursor *c;
	MDB_txn *txn;
	MDB_val k, v;
	size_t n = 0;
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	*n_out = 0;
	if (e != 0)
		return e;
	if ((e = mdb_cursor_open(txn, db->entries, &c)) != 0)
		return db_finish(db, txn, e);
	/* From the prefix anew each time: what was deleted may have moved everything. */
	for (; n < max; n++) {
		k = db_val(prefix);
		e = mdb_cursor_get(c, &k, &v, prefix.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
		if (e != 0 || !span_starts(db_span(k), prefix))
			break;
		if (k.mv_size > sizeof copy) {
			e = MDB_CORRUPTED;
			break;
		}
		memcpy(copy, k.mv_data, k.mv_size);
		if ((e = delete_entry(db, txn, db_val(span_of((char *)copy, k.mv_size)), v)) != 0)
			break;
	}
	mdb_cursor_close(c);
	if ((e = db_finish(db, txn, e == MDB_NOTFOUND ? 0 : e)) == 0)
		*n_out = n;
	return e;
}

enum rc
cache_db_delete_prefix(struct cache_db *db, struct span prefix, size_t max, size_t *n_out)
{
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	if ((e = delete_prefix(db, prefix, MIN(max, (size_t)CACHE_DB_STEP_MAX), n_out)) != 0)
		return db_write_failed(db, "cannot delete", e);
	atomic_fetch_add_explicit(&db->counters.deleted, *n_out, memory_order_relaxed);
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
