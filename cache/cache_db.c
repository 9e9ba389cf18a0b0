/* cache_db - LMDB's door: opening and closing; see cache_db.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_db_int.h"
#include "cache/cache_guard.h"
#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/base/xalloc.h"

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
	cache_guard_remove(db->lock_map);
	db->map = NULL;
	db->lock_map = NULL;
	if (db->env != NULL)
		mdb_env_close(db->env);
	db->env = NULL;
}

static int
open_tables(struct cache_db *db, bool is_new)
{
	MDB_txn *txn;
	int e = db->is_writer ? db_begin(db, &txn) : mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

	if (e != 0)
		return e;
	if ((e = mdb_dbi_open(txn, "entries", is_new ? MDB_CREATE : 0, &db->entries)) == 0)
		e = mdb_dbi_open(txn, "ends", is_new ? MDB_CREATE : 0, &db->ends);
	if (e == 0 && db->is_writer)
		return db_finish(db, txn, 0);
	if (e == 0)
		return mdb_txn_commit(txn);     /* an abort would close the tables again */
	mdb_txn_abort(txn);
	return e;
}

/* Where the lock file begins in memory, and how: the writer looks at it again before each transaction.  It can be cut under us as the data file can. */
static void
find_lock(struct cache_db *db)
{
	char file[CACHE_FILE_NAME_MAX + sizeof "-lock"];
	const void *start;
	struct stat st;

	snprintf(file, sizeof file, "%s-lock", db->file);
	if (stat(file, &st) != 0 || (size_t)st.st_size < sizeof db->lock_head || !cache_guard_find(file, (size_t)st.st_size, &start))
		return;
	cache_guard_add(start, (size_t)st.st_size, db->mark);
	db->lock_map = start;
	memcpy(&db->lock_head, start, sizeof db->lock_head);
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
	db->last_transaction = info.me_last_txnid;
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
	find_lock(db);
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
	db->last_transaction = 0;
	db->is_lock_damaged = false;
	if ((e = mdb_env_stat(db->env, &pages)) != 0)
		return open_failed(db->file, e, why, size);
	db->page_bytes = pages.ms_psize;
	find_lock(db);
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
	char format[CACHE_FILE_WORD_MAX], boot[CACHE_FILE_WORD_MAX], cause[FDIO_WHY_MAX];
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
	if (!*is_new_out)
		return RC_OK;
	snprintf(cause, sizeof cause, "%s", why);
	if ((rc = make_new(db, readers_max, why, size)) == RC_OK)
		return rc;
	/* The disk may be full of what nobody uses any more. */
	env_close(db);
	if (cache_db_remove_others(db) == 0)
		return rc;
	snprintf(why, size, "%s", cause);
	return make_new(db, readers_max, why, size);
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
