/*
 * cache_db_int - what the files of cache_db share; for them alone.
 *
 * Functions here that return an int return LMDB's code: 0, an MDB_ number, or an errno.
 */
#ifndef ENMA_CACHE_CACHE_DB_INT_H
#define ENMA_CACHE_CACHE_DB_INT_H

#include <lmdb.h>

#include "cache/cache_db.h"
#include "cache/cache_file.h"

enum {
	DB_NUMBER_BITS = 24,            /* of a filing number; the rest is the end */
	DB_ERROR_MAX = 192,
};

/* How LMDB's lock file begins: what it is, and its format. */
struct db_lock_head {
	uint32_t magic, format;
};

/* A read transaction that waits for its next use.  A cache line of its own. */
struct db_slot {
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
	const struct db_lock_head *lock_map;    /* of LMDB's lock file; NULL: not known */
	struct db_lock_head lock_head;  /* as it was at opening */
	uint64_t last_transaction;      /* that the writer knows of */
	bool is_lock_damaged;
	cache_db_told_fn *told;
	void *told_arg;
	char *path, file[CACHE_FILE_NAME_MAX], mark[CACHE_FILE_NAME_MAX], error[DB_ERROR_MAX];
	struct cache_db_counters counters;
	struct db_slot slot[CACHE_DB_SLOTS];
};

static inline MDB_val
db_val(struct span s)
{
	return (MDB_val){ .mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p };
}

static inline struct span
db_span(MDB_val v)
{
	return span_of(v.mv_data, v.mv_size);
}

static inline int64_t
db_end_of(uint64_t filing)
{
	return (int64_t)(filing >> DB_NUMBER_BITS);
}

bool db_is_damage(int e);

/* ---- looking: cache_db_read.c ---- */

/* What a look-up that failed comes to; counts it. */
enum rc db_read_failed(struct cache_db *db, int e);
/* A read transaction of this moment, until it is given back. */
NODISCARD enum rc db_slot_take(struct cache_db *db, struct db_slot **out);
void db_slot_give(struct db_slot *s);
/* Splits what is stored; false for what we never wrote: too short or too long. */
bool db_open_stored(MDB_val v, uint64_t *filing_out, struct span *value_out);
/* In a read transaction all data lie in the map; in a write transaction they may also lie on the heap. */
bool db_is_in_map(const struct cache_db *db, MDB_val v);

/* ---- changing: cache_db_write.c, cache_db_delete.c ---- */

/* Remembers why; the writer leaves it to its owner to condemn the file. */
enum rc db_write_failed(struct cache_db *db, const char *what, int e);
/* Begins a write transaction, unless the lock file is no longer what it was: LMDB would believe whatever is in it. */
int db_begin(struct cache_db *db, MDB_txn **out);
void db_tell(struct cache_db *db, enum cache_db_event event, struct span key, int64_t end_s);
/* Ends a write transaction; an error from before or from the commit. */
int db_finish(struct cache_db *db, MDB_txn *txn, int e);
/* Takes the card with this number out of "ends". */
int db_unfile(struct cache_db *db, MDB_txn *txn, uint64_t filing);
int db_delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out);
int db_drop_all(struct cache_db *db);

#endif
