/* cache_db_write - batches; what a full map needs; see cache_db.h. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_crc.h"
#include "cache/cache_db_int.h"
#include "common/base/check.h"

enum {
	PROBES_MAX = 64,                /* tries for a free number within a second */
	HELD_BACK = 3,                  /* transactions: a snapshot so old is of a look-up that does not go on */
};
static const int64_t end_max = ((int64_t)1 << 40) - 1;

/* The writer leaves it to its owner to condemn the file. */
enum rc
db_write_failed(struct cache_db *db, const char *what, int e)
{
	snprintf(db->error, sizeof db->error, "%s: %s", what, db->is_lock_damaged ? "its lock file is damaged" : mdb_strerror(e));
	atomic_fetch_add_explicit(&db->counters.write_errors, 1, memory_order_relaxed);
	/* Lengths in garbage make LMDB ask for more memory than a writer may have (writer.c). */
	if (db_is_damage(e) || e == ENOMEM)
		atomic_store_explicit(&db->is_damaged, true, memory_order_relaxed);
	return RC_TEMP;
}

/* Pages at the end of the file that a transaction took and gave back are never written.  A file that is shorter than its header says would
 * look damaged to whoever opens it, so it is made as long as that: it only ever grows. */
static void
lengthen(struct cache_db *db)
{
	MDB_envinfo info;
	struct stat st;
	off_t needed;
	int fd;

	if (mdb_env_info(db->env, &info) != 0 || mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &st) != 0)
		return;
	db->last_transaction = info.me_last_txnid;
	needed = (off_t)((info.me_last_pgno + 1) * db->page_bytes);
	if (st.st_size < needed)
		(void)!ftruncate(fd, needed);
}

void
cache_db_tell(struct cache_db *db, cache_db_told_fn *fn, void *arg)
{
	db->told = fn;
	db->told_arg = arg;
}

void
db_tell(struct cache_db *db, enum cache_db_event event, struct span key, int64_t end_s)
{
	if (db->told != NULL)
		db->told(db->told_arg, event, key, end_s);
}

/* LMDB takes its mutex, and the number of the last transaction, from the lock file.  With a number of the past it would write over pages in use. */
int
db_begin(struct cache_db *db, MDB_txn **out)
{
	int e;

	if (db->lock_map != NULL && memcmp(db->lock_map, &db->lock_head, sizeof db->lock_head) != 0) {
		db->is_lock_damaged = true;
		return MDB_CORRUPTED;
	}
	if ((e = mdb_txn_begin(db->env, NULL, 0, out)) != 0)
		return e;
	if (mdb_txn_id(*out) == db->last_transaction + 1)
		return 0;
	mdb_txn_abort(*out);
	db->is_lock_damaged = true;
	return MDB_CORRUPTED;
}

/* Ends a write transaction; an error from before or from the commit. */
int
db_finish(struct cache_db *db, MDB_txn *txn, int e)
{
	if (e != 0)
		mdb_txn_abort(txn);
	else if ((e = mdb_txn_commit(txn)) == 0)
		lengthen(db);
	db_tell(db, e == 0 ? CACHE_DB_COMMITTED : CACHE_DB_ABORTED, SPAN_NULL, 0);
	return e;
}

/* A free filing number for the key. */
static int
file_under(struct cache_db *db, MDB_txn *txn, struct span key, int64_t end_s, uint64_t *filing_out)
{
	uint64_t end = (uint64_t)MIN(MAX(end_s, (int64_t)0), end_max), number = cache_crc(0, key), be;
	MDB_val k = { .mv_size = sizeof be, .mv_data = &be }, v;
	int i, e = MDB_KEYEXIST;

	for (i = 0; i < PROBES_MAX && e == MDB_KEYEXIST; i++, number++) {
		*filing_out = end << DB_NUMBER_BITS | (number & ((1u << DB_NUMBER_BITS) - 1));
		be = htobe64(*filing_out);
		v = db_val(key);
		e = mdb_put(txn, db->ends, &k, &v, MDB_NOOVERWRITE);
	}
	return e;
}

int
db_unfile(struct cache_db *db, MDB_txn *txn, uint64_t filing)
{
	uint64_t be = htobe64(filing);
	MDB_val k = { .mv_size = sizeof be, .mv_data = &be };
	int e = mdb_del(txn, db->ends, &k, NULL);

	return e == MDB_NOTFOUND ? 0 : e;
}

static int
store(struct cache_db *db, MDB_txn *txn, const struct cache_db_item *item, uint64_t filing)
{
	uint64_t be = htobe64(filing);
	MDB_val k = db_val(item->key), v = { .mv_size = sizeof be + item->value.n };
	int e = mdb_put(txn, db->entries, &k, &v, MDB_RESERVE);

	if (e == 0) {
		memcpy(v.mv_data, &be, sizeof be);
		memcpy((char *)v.mv_data + sizeof be, item->value.p, item->value.n);
	}
	return e;
}

/* What a batch did; counted when it is committed. */
struct batch {
	cache_db_keeps_fn *keeps;
	void *arg;
	uint64_t inserted, replaced, kept, refused;
};

static int
put_one(struct cache_db *db, MDB_txn *txn, const struct cache_db_item *item, struct batch *b)
{
	MDB_val k = db_val(item->key), old;
	struct span old_value = SPAN_NULL;
	uint64_t old_filing = 0, filing;
	bool is_there;
	int e;

	if (item->key.n == 0 || item->key.n > CACHE_KEY_MAX || item->value.n == 0 || item->value.n > CACHE_VALUE_MAX) {
		b->refused++;
		return 0;
	}
	e = mdb_get(txn, db->entries, &k, &old);
	if (e != 0 && e != MDB_NOTFOUND)
		return e;
	is_there = e == 0;
	if (is_there && !db_open_stored(old, &old_filing, &old_value))
		return MDB_CORRUPTED;
	if (is_there && b->keeps != NULL && b->keeps(b->arg, item->key, old_value, item->value)) {
		b->kept++;
		return 0;
	}
	if ((is_there && (e = db_unfile(db, txn, old_filing)) != 0) || (e = file_under(db, txn, item->key, item->end_s, &filing)) != 0)
		return e;
	is_there ? b->replaced++ : b->inserted++;
	db_tell(db, CACHE_DB_STORED, item->key, item->end_s);
	return store(db, txn, item, filing);
}

static int
put_all(struct cache_db *db, const struct cache_db_item *items, size_t n, struct batch *b)
{
	MDB_txn *txn;
	size_t i;
	int e = db_begin(db, &txn);

	b->inserted = b->replaced = b->kept = b->refused = 0;
	if (e != 0)
		return e;
	for (i = 0; i < n && e == 0; i++)
		e = put_one(db, txn, &items[i], b);
	return db_finish(db, txn, e);
}

static void
count_batch(struct cache_db *db, const struct batch *b)
{
	atomic_fetch_add_explicit(&db->counters.inserted, b->inserted, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.replaced, b->replaced, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.kept, b->kept, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.refused, b->refused, memory_order_relaxed);
}

/* The reader with the oldest snapshot. */
struct oldest {
	int pid;
	uint64_t transaction;
};

/* A line of mdb_reader_list(): pid, thread, transaction; "-" for a slot at rest. */
static int
note_reader(const char *line, void *arg)
{
	struct oldest *o = arg;
	unsigned long long transaction;
	int pid;

	if (sscanf(line, "%d %*s %llu", &pid, &transaction) == 2 && transaction < o->transaction)
		*o = (struct oldest){ .pid = pid, .transaction = transaction };
	return 0;
}

/* The process whose look-up keeps pages of several transactions ago from being used again; 0: none.  Look-ups that go on have a recent one. */
static int
who_holds_back(struct cache_db *db)
{
	struct oldest o = { .transaction = UINT64_MAX };
	MDB_envinfo info;

	if (mdb_reader_list(db->env, note_reader, &o) < 0 || mdb_env_info(db->env, &info) != 0)
		return 0;
	return o.transaction < info.me_last_txnid && info.me_last_txnid - o.transaction >= HELD_BACK ? o.pid : 0;
}

/* See cache_db_put(). */
static int
put_into_full_map(struct cache_db *db, const struct cache_db_item *items, size_t n, struct batch *b)
{
	size_t evicted;
	int e;

	(void)cache_db_check_readers(db);
	if (db_delete_ended(db, INT64_MAX, CACHE_DB_RESCUE, &evicted) == 0)
		atomic_fetch_add_explicit(&db->counters.evicted, evicted, memory_order_relaxed);
	if ((e = put_all(db, items, n, b)) != MDB_MAP_FULL || (db->held_back_by = who_holds_back(db)) != 0)
		return e;
	if ((e = db_drop_all(db)) != 0)
		return e;
	atomic_fetch_add_explicit(&db->counters.dropped_all, 1, memory_order_relaxed);
	/* What a transaction frees can be used by the second one after it: a large batch needs one more in between. */
	if ((e = put_all(db, items, n, b)) == MDB_MAP_FULL && (e = db_drop_all(db)) == 0)
		e = put_all(db, items, n, b);
	return e;
}

enum rc
cache_db_put(struct cache_db *db, const struct cache_db_item *items, size_t n, cache_db_keeps_fn *keeps, void *arg)
{
	struct batch b = { .keeps = keeps, .arg = arg };
	int e;

	if (FAILS_CHECK(db->is_writer && n <= CACHE_DB_BATCH_MAX))
		return RC_FAULT;
	db->held_back_by = 0;
	e = put_all(db, items, n, &b);
	if (e == MDB_MAP_FULL)
		e = put_into_full_map(db, items, n, &b);
	if (e == MDB_MAP_FULL && db->held_back_by != 0) {
		char what[64];

		snprintf(what, sizeof what, "process %d is stopped in a look-up; cannot store", db->held_back_by);
		return db_write_failed(db, what, e);
	}
	if (e != 0)
		return db_write_failed(db, "cannot store", e);
	count_batch(db, &b);
	return RC_OK;
}

unsigned
cache_db_check_readers(struct cache_db *db)
{
	int dead = 0;

	if (mdb_reader_check(db->env, &dead) != 0 || dead < 0)
		return 0;
	atomic_fetch_add_explicit(&db->counters.dead_readers, (uint64_t)dead, memory_order_relaxed);
	return (unsigned)dead;
}
