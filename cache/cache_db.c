/* cache_db - LMDB's door; see cache_db.h. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "cache/cache_crc.h"
#include "cache/cache_db.h"
#include "cache/cache_file.h"
#include "cache/cache_guard.h"
#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/base/xalloc.h"

enum {
	FREE_TABLE = 0, MAIN_TABLE = 1, /* LMDB's own: pages to use again, names of tables */
	HEADER_PAGES = 2,
	NUMBER_BITS = 24,               /* of a filing number; the rest is the end */
	PROBES_MAX = 64,                /* tries for a free number within a second */
	TREES = 4,
	HELD_BACK = 3,                  /* transactions: a snapshot so old is of a look-up that does not go on */
	ERROR_MAX = 192,
};
static const int64_t end_max = ((int64_t)1 << 40) - 1;

/* A read transaction that waits for its next use.  A cache line of its own. */
struct slot {
	_Alignas(64) atomic_bool is_taken;
	MDB_txn *txn;
};

struct cache_db {
	MDB_env *env;
	MDB_dbi entries, ends;
	bool is_writer, is_condemned;
	atomic_bool is_damaged;
	int lock_fd, held_back_by;
	const void *map;                /* NULL: not known */
	size_t map_bytes, page_bytes;
	struct cache_file_state state;
	char *path, file[CACHE_FILE_NAME_MAX], mark[CACHE_FILE_NAME_MAX], error[ERROR_MAX];
	struct cache_db_counters counters;
	struct slot slot[CACHE_DB_SLOTS];
};

static MDB_val
val_of(struct span s)
{
	return (MDB_val){ .mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p };
}

static struct span
span_of_val(MDB_val v)
{
	return span_of(v.mv_data, v.mv_size);
}

static int64_t
end_of(uint64_t filing)
{
	return (int64_t)(filing >> NUMBER_BITS);
}

/* ---- looking ------------------------------------------------------------------------------ */

static bool
is_damage(int e)
{
	return e == MDB_PAGE_NOTFOUND || e == MDB_CORRUPTED || e == MDB_PANIC || e == MDB_INVALID || e == MDB_BAD_TXN || e == MDB_CURSOR_FULL ||
	    e == MDB_MAP_RESIZED || e == MDB_INCOMPATIBLE || e == MDB_BAD_DBI || e == MDB_VERSION_MISMATCH;
}

static enum rc
read_failed(struct cache_db *db, int e)
{
	if (e == MDB_NOTFOUND)
		return RC_NONE;
	if (e == MDB_READERS_FULL) {
		atomic_fetch_add_explicit(&db->counters.busy, 1, memory_order_relaxed);
		return RC_LIMIT;
	}
	atomic_fetch_add_explicit(&db->counters.damaged, 1, memory_order_relaxed);
	/* A writer that just made the map larger is no damage to the file. */
	if (is_damage(e) && !atomic_exchange_explicit(&db->is_damaged, true, memory_order_relaxed) && e != MDB_MAP_RESIZED)
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

static enum rc
slot_take(struct cache_db *db, struct slot **out)
{
	size_t hint = slot_hint(), i;
	struct slot *s = NULL;
	int e;

	for (i = 0; i < CACHE_DB_SLOTS && s == NULL; i++) {
		struct slot *try = &db->slot[(hint + i) % CACHE_DB_SLOTS];

		if (!atomic_load_explicit(&try->is_taken, memory_order_relaxed) &&
		    !atomic_exchange_explicit(&try->is_taken, true, memory_order_acquire))
			s = try;
	}
	if (s == NULL)
		return read_failed(db, MDB_READERS_FULL);
	e = s->txn == NULL ? mdb_txn_begin(db->env, NULL, MDB_RDONLY, &s->txn) : mdb_txn_renew(s->txn);
	if (e != 0) {
		if (s->txn != NULL)
			mdb_txn_abort(s->txn);
		s->txn = NULL;
		atomic_store_explicit(&s->is_taken, false, memory_order_release);
		return read_failed(db, e);
	}
	*out = s;
	return RC_OK;
}

static void
slot_give(struct slot *s)
{
	mdb_txn_reset(s->txn);
	atomic_store_explicit(&s->is_taken, false, memory_order_release);
}

/* Splits what is stored; false for what we never wrote: too short or too long. */
static bool
open_stored(MDB_val v, uint64_t *filing_out, struct span *value_out)
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
static bool
is_in_map(const struct cache_db *db, MDB_val v)
{
	return db->map == NULL || ((uintptr_t)v.mv_data >= (uintptr_t)db->map &&
	    v.mv_size <= (uintptr_t)db->map + db->map_bytes - (uintptr_t)v.mv_data);
}

enum rc
cache_db_get(struct cache_db *db, struct span key, void *buf, size_t size, size_t *n_out)
{
	MDB_val k = val_of(key), v;
	struct span value;
	uint64_t filing;
	struct slot *s;
	enum rc rc;
	int e;

	*n_out = 0;
	if (key.n == 0 || key.n > CACHE_KEY_MAX)
		return RC_NONE;
	if ((rc = slot_take(db, &s)) != RC_OK)
		return rc;
	e = mdb_get(s->txn, db->entries, &k, &v);
	if (e != 0)
		rc = read_failed(db, e);
	else if (!is_in_map(db, v) || !open_stored(v, &filing, &value))
		rc = read_failed(db, MDB_CORRUPTED);
	else if ((*n_out = value.n) > size)
		rc = RC_LIMIT;
	else
		memcpy(buf, value.p, value.n);
	slot_give(s);
	return rc;
}

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

	if (k.mv_size == 0 || k.mv_size > CACHE_KEY_MAX || !is_in_map(db, k) || !is_in_map(db, v) ||
	    !open_stored(v, &filing, &value))
		return read_failed(db, MDB_CORRUPTED);
	if (!span_starts(span_of_val(k), w->prefix))
		return RC_NONE;
	if (!is_after(span_of_val(k), cache_key_span(w->at)))
		return read_failed(db, MDB_CORRUPTED);
	w->at->n = k.mv_size;
	memcpy(w->at->b, k.mv_data, k.mv_size);
	w->left--;
	return w->fn(w->arg, span_of_val(k), value, end_of(filing)) ? RC_OK : RC_WAIT;
}

static enum rc
walk_from(struct cache_db *db, MDB_cursor *c, struct walk *w)
{
	struct cache_key from = *w->at;
	MDB_val k = from.n > 0 ? val_of(cache_key_span(&from)) : val_of(w->prefix), v;
	enum rc rc = RC_OK;
	int e = mdb_cursor_get(c, &k, &v, k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);

	if (e == 0 && from.n > 0 && span_eq(span_of_val(k), cache_key_span(&from)))
		e = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	while (e == 0 && rc == RC_OK && w->left > 0) {
		rc = walk_one(db, w, k, v);
		if (rc == RC_OK && w->left > 0)
			e = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	if (e != 0)
		return read_failed(db, e);
	return rc == RC_WAIT ? RC_OK : rc;
}

enum rc
cache_db_walk(struct cache_db *db, struct span prefix, struct cache_key *cursor, size_t max, cache_db_walk_fn *fn, void *arg)
{
	struct walk w = { .prefix = prefix, .at = cursor, .left = MIN(max, (size_t)CACHE_DB_WALK_MAX), .fn = fn, .arg = arg };
	MDB_cursor *c;
	struct slot *s;
	enum rc rc;
	int e;

	if ((rc = slot_take(db, &s)) != RC_OK)
		return rc;
	if ((e = mdb_cursor_open(s->txn, db->entries, &c)) == 0) {
		rc = walk_from(db, c, &w);
		mdb_cursor_close(c);
	} else {
		rc = read_failed(db, e);
	}
	slot_give(s);
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
	struct slot *s;
	enum rc rc;
	int e;

	*out = (struct cache_db_stats){ .generation = db->state.generation };
	if ((rc = slot_take(db, &s)) != RC_OK)
		return rc;
	e = count_pages(db, s->txn, &pages, &out->entries, &page_bytes);
	slot_give(s);
	if (e == 0)
		e = mdb_env_info(db->env, &info);
	if (e != 0)
		return read_failed(db, e);
	out->used_bytes = pages * page_bytes;
	out->map_bytes = info.me_mapsize;
	out->file_bytes = (info.me_last_pgno + 1) * page_bytes;
	out->readers = info.me_numreaders;
	out->readers_max = info.me_maxreaders;
	return RC_OK;
}

/* ---- changing ----------------------------------------------------------------------------- */

/* The writer leaves it to its owner to condemn the file. */
static enum rc
write_failed(struct cache_db *db, const char *what, int e)
{
	snprintf(db->error, sizeof db->error, "%s: %s", what, mdb_strerror(e));
	atomic_fetch_add_explicit(&db->counters.write_errors, 1, memory_order_relaxed);
	if (is_damage(e))
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
	needed = (off_t)((info.me_last_pgno + 1) * db->page_bytes);
	if (st.st_size < needed)
		(void)!ftruncate(fd, needed);
}

/* Ends a write transaction; an error from before or from the commit. */
static int
finish(struct cache_db *db, MDB_txn *txn, int e)
{
	if (e != 0) {
		mdb_txn_abort(txn);
		return e;
	}
	if ((e = mdb_txn_commit(txn)) == 0)
		lengthen(db);
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
		*filing_out = end << NUMBER_BITS | (number & ((1u << NUMBER_BITS) - 1));
		be = htobe64(*filing_out);
		v = val_of(key);
		e = mdb_put(txn, db->ends, &k, &v, MDB_NOOVERWRITE);
	}
	return e;
}

static int
unfile(struct cache_db *db, MDB_txn *txn, uint64_t filing)
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
	MDB_val k = val_of(item->key), v = { .mv_size = sizeof be + item->value.n };
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
	MDB_val k = val_of(item->key), old;
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
	if (is_there && !open_stored(old, &old_filing, &old_value))
		return MDB_CORRUPTED;
	if (is_there && b->keeps != NULL && b->keeps(b->arg, item->key, old_value, item->value)) {
		b->kept++;
		return 0;
	}
	if ((is_there && (e = unfile(db, txn, old_filing)) != 0) || (e = file_under(db, txn, item->key, item->end_s, &filing)) != 0)
		return e;
	is_there ? b->replaced++ : b->inserted++;
	return store(db, txn, item, filing);
}

static int
put_all(struct cache_db *db, const struct cache_db_item *items, size_t n, struct batch *b)
{
	MDB_txn *txn;
	size_t i;
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	b->inserted = b->replaced = b->kept = b->refused = 0;
	if (e != 0)
		return e;
	for (i = 0; i < n && e == 0; i++)
		e = put_one(db, txn, &items[i], b);
	return finish(db, txn, e);
}

static void
count_batch(struct cache_db *db, const struct batch *b)
{
	atomic_fetch_add_explicit(&db->counters.inserted, b->inserted, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.replaced, b->replaced, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.kept, b->kept, memory_order_relaxed);
	atomic_fetch_add_explicit(&db->counters.refused, b->refused, memory_order_relaxed);
}

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
	if (e == 0 && open_stored(stored, &filing, &value) && filing == be64toh(here))
		e = mdb_del(txn, db->entries, &key, NULL);
	return e == 0 || e == MDB_NOTFOUND ? mdb_cursor_del(c, 0) : e;
}

static int
delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out)
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
		return finish(db, txn, e);
	while (n < max && (e = mdb_cursor_get(c, &k, &v, MDB_FIRST)) == 0) {
		if (k.mv_size != sizeof be) {
			e = MDB_CORRUPTED;
			break;
		}
		memcpy(&be, k.mv_data, sizeof be);
		if (end_of(be64toh(be)) > until_s || (e = delete_filed(db, txn, c, k)) != 0)
			break;
		n++;
	}
	mdb_cursor_close(c);
	if ((e = finish(db, txn, e == MDB_NOTFOUND ? 0 : e)) == 0)
		*n_out = n;
	return e;
}

static int
drop_all(struct cache_db *db)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, 0, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_drop(txn, db->entries, 0)) == 0)
		e = mdb_drop(txn, db->ends, 0);
	return finish(db, txn, e);
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
	if (delete_ended(db, INT64_MAX, CACHE_DB_RESCUE, &evicted) == 0)
		atomic_fetch_add_explicit(&db->counters.evicted, evicted, memory_order_relaxed);
	if ((e = put_all(db, items, n, b)) != MDB_MAP_FULL || (db->held_back_by = who_holds_back(db)) != 0)
		return e;
	if ((e = drop_all(db)) != 0)
		return e;
	atomic_fetch_add_explicit(&db->counters.dropped_all, 1, memory_order_relaxed);
	return put_all(db, items, n, b);
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
		return write_failed(db, what, e);
	}
	if (e != 0)
		return write_failed(db, "cannot store", e);
	count_batch(db, &b);
	return RC_OK;
}

/* One entry and its card. */
static int
delete_entry(struct cache_db *db, MDB_txn *txn, MDB_val key, MDB_val stored)
{
	struct span value;
	uint64_t filing;
	int e = open_stored(stored, &filing, &value) ? unfile(db, txn, filing) : 0;

	return e == 0 ? mdb_del(txn, db->entries, &key, NULL) : e;
}

enum rc
cache_db_delete(struct cache_db *db, struct span key)
{
	MDB_val k = val_of(key), v;
	MDB_txn *txn;
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	if (key.n == 0 || key.n > CACHE_KEY_MAX)
		return RC_NONE;
	if ((e = mdb_txn_begin(db->env, NULL, 0, &txn)) == 0) {
		if ((e = mdb_get(txn, db->entries, &k, &v)) == 0)
			e = delete_entry(db, txn, k, v);
		e = finish(db, txn, e);
	}
	if (e == MDB_NOTFOUND)
		return RC_NONE;
	if (e != 0)
		return write_failed(db, "cannot delete", e);
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
		return finish(db, txn, e);
	/* From the prefix anew each time: what was deleted may have moved everything. */
	for (; n < max; n++) {
		k = val_of(prefix);
		e = mdb_cursor_get(c, &k, &v, prefix.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
		if (e != 0 || !span_starts(span_of_val(k), prefix))
			break;
		if (k.mv_size > sizeof copy) {
			e = MDB_CORRUPTED;
			break;
		}
		memcpy(copy, k.mv_data, k.mv_size);
		if ((e = delete_entry(db, txn, val_of(span_of((char *)copy, k.mv_size)), v)) != 0)
			break;
	}
	mdb_cursor_close(c);
	if ((e = finish(db, txn, e == MDB_NOTFOUND ? 0 : e)) == 0)
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
		return write_failed(db, "cannot delete", e);
	atomic_fetch_add_explicit(&db->counters.deleted, *n_out, memory_order_relaxed);
	return RC_OK;
}

enum rc
cache_db_delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out)
{
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	if ((e = delete_ended(db, until_s, MIN(max, (size_t)CACHE_DB_STEP_MAX), n_out)) != 0)
		return write_failed(db, "cannot delete", e);
	atomic_fetch_add_explicit(&db->counters.deleted, *n_out, memory_order_relaxed);
	return RC_OK;
}

enum rc
cache_db_drop_all(struct cache_db *db)
{
	int e;

	if (FAILS_CHECK(db->is_writer))
		return RC_FAULT;
	return (e = drop_all(db)) == 0 ? RC_OK : write_failed(db, "cannot drop all entries", e);
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

/* ---- opening ------------------------------------------------------------------------------ */

static void
on_assert(MDB_env *env, const char *text)
{
	(void)env;
	cache_guard_fail(text);
}

static enum rc
open_failed(const char *file, int e, char *why, size_t size)
{
	snprintf(why, size, "%s: %s", file, mdb_strerror(e));
	return e == ENOENT ? RC_NONE : RC_TEMP;
}

static void
env_close(struct cache_db *db)
{
	size_t i;

	for (i = 0; i < CACHE_DB_SLOTS; i++) {
		if (db->slot[i].txn != NULL)
			mdb_txn_abort(db->slot[i].txn);
		db->slot[i].txn = NULL;
	}
	cache_guard_remove(db->map);
	db->map = NULL;
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->env = NULL;
}

static int
open_tables(struct cache_db *db, bool is_new)
{
	MDB_txn *txn;
	int e = mdb_txn_begin(db->env, NULL, db->is_writer ? 0 : MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, "entries", is_new ? MDB_CREATE : 0, &db->entries)) == 0)
		e = mdb_dbi_open(txn, "ends", is_new ? MDB_CREATE : 0, &db->ends);
	if (e == 0 && db->is_writer)
		return finish(db, txn, 0);
	if (e == 0)
		return mdb_txn_commit(txn);     /* an abort would close the tables again */
	mdb_txn_abort(txn);
	return e;
}

/* LMDB must see what cache_file_check() saw: then the header was read as it is meant. */
static int
compare_with_file(struct cache_db *db, const struct cache_file_meta *meta)
{
	MDB_envinfo info;
	struct stat st;
	MDB_stat pages;
	int e = mdb_env_info(db->env, &info);

	if (e == 0)
		e = mdb_env_stat(db->env, &pages);
	if (e != 0)
		return e;
	if (pages.ms_psize != meta->page_bytes || info.me_last_txnid < meta->transaction || info.me_mapsize < meta->map_bytes ||
	    stat(db->file, &st) != 0 || (uint64_t)st.st_size / pages.ms_psize < info.me_last_pgno + 1)
		return MDB_INVALID;
	db->map_bytes = info.me_mapsize;
	db->page_bytes = pages.ms_psize;
	return 0;
}

static int
env_open(struct cache_db *db, uint64_t map_bytes, unsigned readers_max)
{
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | (db->is_writer ? MDB_NOSYNC : MDB_RDONLY);
	int e = mdb_env_create(&db->env);

	if (e == 0)
		e = mdb_env_set_maxdbs(db->env, 2);
	if (e == 0 && map_bytes > 0)
		e = mdb_env_set_mapsize(db->env, map_bytes);
	if (e == 0 && readers_max > 0)
		e = mdb_env_set_maxreaders(db->env, readers_max);
	if (e == 0)
		e = mdb_env_set_assert(db->env, on_assert);
	if (e == 0)
		e = mdb_env_open(db->env, db->file, flags, CACHE_FILE_MODE);
	if (e != 0)
		env_close(db);
	return e;
}

/* A file that is there. */
static enum rc
open_existing(struct cache_db *db, char *why, size_t size)
{
	struct cache_file_meta meta;
	enum rc rc = cache_file_check(db->file, &meta, why, size);
	int e;

	if (access(db->mark, F_OK) == 0) {
		snprintf(why, size, "%s: it was found damaged", db->file);
		return RC_TEMP;
	}
	if (rc != RC_OK)
		return rc == RC_SYNTAX ? RC_TEMP : rc;
	if ((e = env_open(db, meta.map_bytes, 0)) != 0)
		return open_failed(db->file, e, why, size);
	e = compare_with_file(db, &meta);
	if (e == 0 && cache_guard_find(db->file, db->map_bytes, &db->map))
		cache_guard_add(db->map, db->map_bytes, db->mark);
	if (e == 0)
		e = open_tables(db, false);
	if (e == 0)
		return RC_OK;
	env_close(db);
	return open_failed(db->file, e == MDB_NOTFOUND ? MDB_INVALID : e, why, size);
}

static void
our_format(char out[CACHE_FILE_WORD_MAX])
{
	char version[32];
	int major, minor, patch;

	(void)mdb_version(&major, &minor, &patch);
	snprintf(version, sizeof version, "%d.%d.%d", major, minor, patch);
	cache_file_format(version, out);
}

static enum rc
name_files(struct cache_db *db, const char *format)
{
	enum rc rc = cache_file_name(db->path, format, db->state.generation, db->file);

	if (rc == RC_OK)
		snprintf(db->mark, sizeof db->mark, "%.*s-damaged", (int)(sizeof db->mark - sizeof "-damaged"), db->file);
	return rc;
}

static struct cache_db *
db_create(const char *path, bool is_writer)
{
	struct cache_db *db = aligned_alloc(64, (sizeof *db + 63) / 64 * 64);

	REQUIRE(db != NULL);
	memset(db, 0, sizeof *db);
	db->path = xstrdup(path);
	db->is_writer = is_writer;
	db->lock_fd = -1;
	return db;
}

static void
db_free(struct cache_db **db)
{
	env_close(*db);
	fdio_close(&(*db)->lock_fd);
	free((*db)->path);
	free(*db);
	*db = NULL;
}

enum rc
cache_db_open_reader(const char *path, struct cache_db **out, char *why, size_t size)
{
	char format[CACHE_FILE_WORD_MAX];
	struct cache_db *db = db_create(path, false);
	enum rc rc;

	*out = NULL;
	our_format(format);
	rc = cache_file_state_read(path, &db->state, why, size);
	if (rc == RC_OK && strcmp(db->state.format, format) != 0)
		rc = RC_NONE;
	if (rc == RC_OK && (rc = name_files(db, format)) != RC_OK)
		snprintf(why, size, "cache.path: too long");
	if (rc == RC_OK)
		rc = open_existing(db, why, size);
	if (rc == RC_OK)
		*out = db;
	else
		db_free(&db);
	return rc == RC_SYNTAX ? RC_TEMP : rc;
}

/* Why the file of before cannot be used; NULL: it can, as far as its state file knows. */
static const char *
distrust(const struct cache_file_state *was, const char *format, const char *boot, uint64_t map_bytes)
{
	if (was->generation == 0)
		return "there was none";
	if (strcmp(was->format, format) != 0)
		return "the one there is of another version";
	if (was->map_bytes != map_bytes)
		return "its size was changed";
	if (!was->is_clean && (boot[0] == '\0' || strcmp(was->boot, boot) != 0))
		return "the system was not shut down cleanly";
	return NULL;
}

static enum rc
make_new(struct cache_db *db, unsigned readers_max, char *why, size_t size)
{
	char reason[FDIO_WHY_MAX];
	enum rc rc = RC_OK;
	MDB_stat pages;
	int e;

	snprintf(reason, sizeof reason, "%s", why);
	db->state.generation = MAX(db->state.generation, cache_file_highest(db->path)) + 1;
	if (name_files(db, db->state.format) != RC_OK) {
		snprintf(why, size, "cache.path: too long");
		return RC_TEMP;
	}
	if ((e = env_open(db, db->state.map_bytes, readers_max)) != 0)
		return open_failed(db->file, e, why, size);
	db->map_bytes = db->state.map_bytes;
	if ((e = mdb_env_stat(db->env, &pages)) != 0)
		return open_failed(db->file, e, why, size);
	db->page_bytes = pages.ms_psize;
	if (cache_guard_find(db->file, db->map_bytes, &db->map))
		cache_guard_add(db->map, db->map_bytes, db->mark);
	if ((e = open_tables(db, true)) != 0)
		rc = open_failed(db->file, e, why, size);
	if (rc == RC_OK)
		snprintf(why, size, "%s", reason);
	return rc;
}

/* The file of before, or a new one; not yet marked as in use. */
static enum rc
open_or_make(struct cache_db *db, uint64_t map_bytes, unsigned readers_max, bool *is_new_out, char *why, size_t size)
{
	char format[CACHE_FILE_WORD_MAX], boot[CACHE_FILE_WORD_MAX];
	const char *reason;
	enum rc rc = cache_file_state_read(db->path, &db->state, why, size);

	if (rc == RC_TEMP)
		return rc;
	our_format(format);
	cache_file_boot_id(boot);
	reason = distrust(&db->state, format, boot, map_bytes);
	if (reason != NULL && rc != RC_SYNTAX)
		snprintf(why, size, "%s", reason);
	*is_new_out = reason != NULL || name_files(db, format) != RC_OK ||
	    open_existing(db, why, size) != RC_OK;
	db->state.map_bytes = map_bytes;
	memcpy(db->state.format, format, sizeof format);
	memcpy(db->state.boot, boot, sizeof boot);
	return *is_new_out ? make_new(db, readers_max, why, size) : RC_OK;
}

enum rc
cache_db_open_writer(const char *path, uint64_t map_bytes, unsigned readers_max, struct cache_db **out, bool *is_new_out, char *why,
                     size_t size)
{
	struct cache_db *db;
	enum rc rc = cache_file_check_folder(path, why, size);

	*out = NULL;
	if (rc == RC_OK && (map_bytes < CACHE_DB_MAP_MIN || map_bytes > CACHE_DB_MAP_MAX || map_bytes % (64 * KIB) != 0)) {
		snprintf(why, size, "cache.size: %llu bytes cannot be mapped", (unsigned long long)map_bytes);
		rc = RC_TEMP;
	}
	if (rc != RC_OK)
		return rc;
	db = db_create(path, true);
	rc = cache_file_lock(path, &db->lock_fd, why, size);
	if (rc == RC_OK)
		rc = open_or_make(db, map_bytes, readers_max, is_new_out, why, size);
	db->state.is_clean = false;
	if (rc == RC_OK) {
		char reason[FDIO_WHY_MAX];

		/* Before the first byte is written: from here on only a clean close makes it trustworthy after a crash of the host. */
		if ((rc = cache_file_state_write(path, &db->state, reason, sizeof reason)) != RC_OK)
			snprintf(why, size, "%s", reason);
	}
	if (rc == RC_OK)
		*out = db;
	else
		db_free(&db);
	return rc == RC_OK ? RC_OK : RC_TEMP;
}

void
cache_db_close(struct cache_db **db)
{
	char why[FDIO_WHY_MAX];
	struct cache_db *d = *db;

	if (d == NULL)
		return;
	if (d->is_writer && !d->is_condemned && !cache_db_is_damaged(d) && mdb_env_sync(d->env, 1) == 0) {
		d->state.is_clean = true;
		(void)!cache_file_state_write(d->path, &d->state, why, sizeof why);
	}
	db_free(db);
}

bool
cache_db_is_outdated(const struct cache_db *db)
{
	struct cache_file_state now;
	char why[FDIO_WHY_MAX];

	return cache_file_state_read(db->path, &now, why, sizeof why) != RC_OK || now.generation != db->state.generation ||
	    strcmp(now.format, db->state.format) != 0 || access(db->mark, F_OK) == 0;
}

bool
cache_db_is_damaged(const struct cache_db *db)
{
	return atomic_load_explicit(&db->is_damaged, memory_order_relaxed);
}

void
cache_db_condemn(struct cache_db *db)
{
	db->is_condemned = true;
	cache_guard_mark(db->mark);
}

const struct cache_db_counters *
cache_db_counters(const struct cache_db *db)
{
	return &db->counters;
}

const char *
cache_db_error(const struct cache_db *db)
{
	return db->error;
}

const char *
cache_db_file(const struct cache_db *db)
{
	return db->file;
}

size_t
cache_db_remove_others(struct cache_db *db)
{
	return cache_file_remove_others(db->path, db->state.format, db->state.generation);
}
