/*
 * cache_db - LMDB's door: the one file of the cache, for one writer and any number of readers.
 *
 * Opaque keys and values with an end (seconds since 1970).  Two tables: "entries" (key -> filing number, value) and "ends" (filing number ->
 * key), where the filing number is the end (40 bits) and a number that tells entries of the same second apart (24 bits): what ends first
 * is first.  What bytes mean, and whether an end has come, is not known here (cache_entry.h).
 *
 * A reader (a worker, a tool) opens read-only: it can neither write to the map nor hold the writer's lock.  The writer (one process, by a
 * lock on a file of its own) does not sync; see cache_file.h for what that means after a crash.  All files are made by the writer, the size of the
 * map is fixed for the life of a file (it is sparse: it takes the disk space that is used).
 *
 * Threads: cache_db_get(), _walk(), _stats() and the counters may be used by any number of threads at once; what changes the file is for one
 * thread of the writer.  Open and close alone.  No LMDB state may cross a fork: children open for themselves.  A process may open a path once
 * (the locks of a process are lost when any descriptor of the file is closed).
 *
 * Read transactions are taken from a list, used for one look-up, and put back: microseconds; values are copied out.  A stopped process in
 * the middle of one (SIGSTOP, a debugger) keeps old pages from being used again, so the map can fill up: see cache_db_put().
 *
 * A damaged file is found at opening where that is possible (cache_file.h); when LMDB meets garbage later, a look-up says RC_TEMP and
 * cache_db_is_damaged() is true from then on and the file has its mark; when it can only abort, the process ends as cache_guard.h says.
 */
#ifndef ENMA_CACHE_CACHE_DB_H
#define ENMA_CACHE_CACHE_DB_H

#include <stdatomic.h>

#include "cache/cache_key.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	CACHE_DB_BATCH_MAX = 64,        /* puts in one transaction */
	CACHE_DB_STEP_MAX = 50,         /* deletes in one transaction: about 50 us of the writer's lock */
	CACHE_DB_WALK_MAX = 256,        /* entries in one read transaction of a walk */
	CACHE_DB_RESCUE = 10,           /* deletes that LMDB still can do when the map is full */
	CACHE_DB_SLOTS = 32,            /* look-ups of one process at the same moment; each takes one of LMDB's reader slots for good */
};
#define CACHE_DB_MAP_MIN ((uint64_t)1 * MIB)
#define CACHE_DB_MAP_MAX ((uint64_t)1 << 42)

struct cache_db;

struct cache_db_item {
	struct span key;                /* 1 .. CACHE_KEY_MAX bytes */
	struct span value;              /* 1 .. CACHE_VALUE_MAX bytes */
	int64_t end_s;                  /* when it is of no use any more */
};

/* Since opening; all of this process. */
struct cache_db_counters {
	_Atomic uint64_t inserted, replaced, kept, refused;     /* puts: new; over an old one; the old one stays; too long */
	_Atomic uint64_t deleted;                               /* by key and end */
	_Atomic uint64_t evicted, dropped_all;                  /* MAP_FULL: deleted to make room; times that everything went */
	_Atomic uint64_t write_errors;                          /* batches that were lost: disk full, map full ... */
	_Atomic uint64_t busy;                                  /* look-ups that found no free slot (RC_LIMIT) */
	_Atomic uint64_t damaged;                               /* look-ups that met garbage (RC_TEMP) */
	_Atomic uint64_t dead_readers;                          /* slots of dead processes that were freed */
};

struct cache_db_stats {
	uint64_t entries;
	uint64_t map_bytes, used_bytes; /* used: pages in use by the tables, without free ones */
	uint64_t file_bytes;            /* as large as the file ever was */
	uint64_t generation;
	unsigned readers, readers_max;  /* slots ever used at the same time; slots there are */
};

/* For reading.  RC_NONE: there is no usable file yet or any more (try again later); RC_TEMP: something is wrong, see why (also: damaged; the
 * writer will make a new one). */
NODISCARD enum rc cache_db_open_reader(const char *path, struct cache_db **out, char *why, size_t size);

/* For writing: the file of before if it can be trusted and has this map size (a multiple of 64 KiB from CACHE_DB_MAP_MIN to CACHE_DB_MAP_MAX), else a new
 * one.  RC_OK: *is_new_out and, when it is new, the reason in why.  readers_max: reader slots of a new file (processes x
 * CACHE_DB_SLOTS).  RC_TEMP: see why. */
NODISCARD enum rc cache_db_open_writer(const char *path, uint64_t map_bytes, unsigned readers_max, struct cache_db **out, bool *is_new_out,
                                       char *why, size_t size);
/* The writer's close syncs and leaves the clean mark, so that a reboot keeps the file.  NULL and a second time: nothing. */
void cache_db_close(struct cache_db **db);

/* True when the path's current file is no longer this one, or has been found damaged by any process: close and open again. */
bool cache_db_is_outdated(const struct cache_db *db);
/* The writer's look at its own file and what stands beside it.  RC_OK: all is as it should be; RC_TEMP: it cannot be looked at now; RC_NONE: it is
 * not the current file any more, or cannot be trusted: condemn and close.  why says what is the matter. */
NODISCARD enum rc cache_db_look(const struct cache_db *db, char *why, size_t size);
/* True after garbage was met here, or a write failed in a way that LMDB does not recover from: close; a writer calls cache_db_condemn() before. */
bool cache_db_is_damaged(const struct cache_db *db);
/* Nobody will open this file again: it gets its mark (cache_guard.h). */
void cache_db_condemn(struct cache_db *db);

/* A copy of the value into buf.  RC_OK; RC_NONE: not there; RC_LIMIT: buf too small (*n_out says what is
 * needed), or no slot free (*n_out is 0; counted; a miss); RC_TEMP: damaged. */
NODISCARD enum rc cache_db_get(struct cache_db *db, struct span key, void *buf, size_t size, size_t *n_out);

/* Whether an old value stays and the new one is forgotten. */
typedef bool cache_db_keeps_fn(void *arg, struct span key, struct span old_value, struct span new_value);

/*
 * Up to CACHE_DB_BATCH_MAX items in one transaction; a later one wins over an earlier one of the same key, keeps (NULL allowed) is asked for each that
 * is there already.  Items that are too long are counted as refused.
 * When the map is full: readers that are dead are removed, CACHE_DB_RESCUE entries that end first are deleted, and the batch is tried once more;
 * then everything is dropped and the batch tried a last time.  If instead a process is stopped in a look-up and so holds old pages back, nothing is
 * dropped: that would not help.  RC_TEMP: the batch is lost (why, and which process, in cache_db_error).
 *
 * Three batches' worth of pages are always between being freed and being used again, about 2 MiB for full batches: below 16 MiB a map works, but is
 * dropped now and then.
 */
NODISCARD enum rc cache_db_put(struct cache_db *db, const struct cache_db_item *items, size_t n, cache_db_keeps_fn *keeps, void *arg);

/* The entries with these keys, at most CACHE_DB_STEP_MAX, in one transaction; *n_out: how many were there. */
NODISCARD enum rc cache_db_delete_keys(struct cache_db *db, const struct cache_key *keys, size_t n, size_t *n_out);
/* Up to max (at most CACHE_DB_STEP_MAX) entries that end at or before until_s, those that end first first; *n_out fewer than max: no more are
 * left. */
NODISCARD enum rc cache_db_delete_ended(struct cache_db *db, int64_t until_s, size_t max, size_t *n_out);
/* Everything, in one transaction. */
NODISCARD enum rc cache_db_drop_all(struct cache_db *db);

/*
 * Whoever writes can be told what happens to which entry: new or replaced; deleted because of its end, whether that has come or room was needed.  Then
 * comes, with an empty key, whether the transaction was committed: what was told since the last such event counts only then.  What is dropped or deleted
 * by key is not told.  fn changes nothing.
 */
enum cache_db_event { CACHE_DB_STORED, CACHE_DB_ENDED, CACHE_DB_COMMITTED, CACHE_DB_ABORTED };
typedef void cache_db_told_fn(void *arg, enum cache_db_event event, struct span key, int64_t end_s);
void cache_db_tell(struct cache_db *db, cache_db_told_fn *fn, void *arg);

/* Entries in the order of keys, from the first key after *cursor on (.n == 0: from the beginning) that begins with prefix, up to max (at most
 * CACHE_DB_WALK_MAX) in one short read transaction.  fn gets spans into the map: it copies what it needs and waits for nothing; false stops.  The
 * cursor is left at the last key that fn was given, so that a dump of any size goes on where it was, whatever changed in between.
 * RC_OK: there may be more; RC_NONE: that was all (fn may have been called); RC_LIMIT, RC_TEMP as cache_db_get(). */
typedef bool cache_db_walk_fn(void *arg, struct span key, struct span value, int64_t end_s);
NODISCARD enum rc cache_db_walk(struct cache_db *db, struct span prefix, struct cache_key *cursor, size_t max, cache_db_walk_fn *fn, void *arg);

NODISCARD enum rc cache_db_stats(struct cache_db *db, struct cache_db_stats *out);
const struct cache_db_counters *cache_db_counters(const struct cache_db *db);
/* What went wrong last in a function that changes the file; "" if nothing did. */
const char *cache_db_error(const struct cache_db *db);
/* The data file's path. */
const char *cache_db_file(const struct cache_db *db);

/* Frees the reader slots of dead processes; returns how many.  Every 30 s, and whenever a process with an open reader died. */
unsigned cache_db_check_readers(struct cache_db *db);
/* Removes what earlier generations left and nobody uses; returns how many files. */
size_t cache_db_remove_others(struct cache_db *db);

#endif
