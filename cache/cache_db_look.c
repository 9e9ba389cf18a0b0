/* cache_db_look - whether a file is still the one to use, and what is known of it; see cache_db.h. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/cache_db_int.h"
#include "cache/cache_guard.h"
#include "common/base/fdio.h"

bool
cache_db_is_outdated(const struct cache_db *db)
{
	struct cache_file_state now;
	char why[FDIO_WHY_MAX];

	return cache_file_state_read(db->path, &now, why, sizeof why) != RC_OK || now.generation != db->state.generation ||
	    strcmp(now.format, db->state.format) != 0 || access(db->mark, F_OK) == 0;
}

/* What is wrong with the data file, NULL: nothing. */
static const char *
look_at_file(const struct cache_db *db)
{
	struct stat named, open_one;
	MDB_envinfo info;
	int fd;

	if (access(db->mark, F_OK) == 0)
		return "a process found it damaged";
	if (lstat(db->file, &named) != 0)
		return errno == ENOENT || errno == ENOTDIR ? "it was removed" : NULL;
	if (mdb_env_get_fd(db->env, &fd) != 0 || fstat(fd, &open_one) != 0 || mdb_env_info(db->env, &info) != 0)
		return NULL;
	if (named.st_ino != open_one.st_ino || named.st_dev != open_one.st_dev)
		return "another file is in its place";
	if ((uint64_t)open_one.st_size / db->page_bytes < info.me_last_pgno + 1)
		return "it was cut short";
	return info.me_numreaders > info.me_maxreaders ? "its lock file is damaged" : NULL;
}

static bool
has_lock_file(const struct cache_db *db)
{
	char file[CACHE_FILE_NAME_MAX + sizeof "-lock"];

	snprintf(file, sizeof file, "%s-lock", db->file);
	return access(file, F_OK) == 0 || errno != ENOENT;
}

enum rc
cache_db_look(const struct cache_db *db, char *why, size_t size)
{
	const char *wrong = look_at_file(db);
	struct cache_file_state now;
	char reason[FDIO_WHY_MAX];
	enum rc rc;

	if (wrong == NULL && !has_lock_file(db))
		wrong = "its lock file was removed";
	if (wrong == NULL) {
		rc = cache_file_state_read(db->path, &now, reason, sizeof reason);
		if (rc == RC_TEMP) {
			snprintf(why, size, "%s", reason);
			return RC_TEMP;
		}
		if (rc != RC_OK)
			wrong = rc == RC_NONE ? "the state file was removed" : "the state file is damaged";
		else if (now.generation != db->state.generation || strcmp(now.format, db->state.format) != 0)
			wrong = "the state file names another one";
	}
	if (wrong == NULL)
		return RC_OK;
	snprintf(why, size, "%s: %s", db->file, wrong);
	return RC_NONE;
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
