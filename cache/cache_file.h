/*
 * cache_file - the files of the cache on disk: names, who may touch them, whether they can be trusted.
 *
 * Beside `path` (the setting cache.path, for example /var/cache/enma/cache) there are
 *
 *	PATH.state              text: which file is the current one, of which boot, closed cleanly or not; replaced by rename
 *	PATH.writer             empty; the writer holds a lock on it
 *	PATH.FORMAT.N           LMDB's data file of generation N; FORMAT names our format, LMDB's version and the word size
 *	PATH.FORMAT.N-lock      LMDB's table of readers for it
 *	PATH.FORMAT.N-damaged   empty; a process met damage in it (cache_guard.h): nobody opens it any more
 *
 * A damaged file is never repaired, cut or overwritten while somebody may have it mapped: a new generation takes its place, readers of the old
 * one go on with what they have or end, and the old file is removed when no process has it open.  The generation is in the name, so that a data
 * file and a lock file of different generations can never meet.
 *
 * After a crash of the host nothing is known about what reached the disk (the writer does not sync): the state file says in which boot the file
 * was written and whether it was closed and synced; another boot and not clean means a new generation.  After a crash of the
 * writer alone the kernel has everything that was written, and LMDB keeps transactions whole.
 *
 * No LMDB function is called here; the header of its file is read as bytes, before LMDB maps what it then believes.
 */
#ifndef ENMA_CACHE_CACHE_FILE_H
#define ENMA_CACHE_CACHE_FILE_H

#include "common/base/defs.h"
#include "common/base/rc.h"

enum {
	CACHE_FILE_NAME_MAX = 1024,     /* bytes of a path with everything behind it */
	CACHE_FILE_WORD_MAX = 64,       /* a format, a boot id */
	CACHE_FILE_MODE = 0600,
};

struct cache_file_state {
	char format[CACHE_FILE_WORD_MAX];
	char boot[CACHE_FILE_WORD_MAX];         /* "" when the system has no boot id */
	uint64_t generation;
	uint64_t map_bytes;
	bool is_clean;
};

/* What a data file says of itself in the newer of its two headers. */
struct cache_file_meta {
	uint64_t page_bytes, last_page, map_bytes, transaction;
};

/* "f1-lmdb0.9.24-64" */
void cache_file_format(const char *lmdb_version, char out[CACHE_FILE_WORD_MAX]);
/* RC_LIMIT: path too long. */
NODISCARD enum rc cache_file_name(const char *path, const char *format, uint64_t generation, char out[CACHE_FILE_NAME_MAX]);
void cache_file_boot_id(char out[CACHE_FILE_WORD_MAX]);

/* RC_NONE: there is none; RC_SYNTAX: not a state file (why says so); RC_TEMP: it cannot be read. */
NODISCARD enum rc cache_file_state_read(const char *path, struct cache_file_state *out, char *why, size_t size);
/* On disk before it returns. */
NODISCARD enum rc cache_file_state_write(const char *path, const struct cache_file_state *s, char *why, size_t size);

/* The folder of path: there, a folder, ours or root's, and nobody else's to write to. */
NODISCARD enum rc cache_file_check_folder(const char *path, char *why, size_t size);
/* A data file that LMDB may open: a plain file of ours that nobody else may open, whose headers are sane and whose size is what they say.
 * RC_NONE: not there; RC_SYNTAX: damaged or not such a file; RC_TEMP: it cannot be looked at. */
NODISCARD enum rc cache_file_check(const char *file, struct cache_file_meta *meta_out, char *why, size_t size);

/* The lock that makes its holder the only writer; -1 with RC_TEMP when another process has it.  It ends with the descriptor. */
NODISCARD enum rc cache_file_lock(const char *path, int *fd_out, char *why, size_t size);

/* The highest generation of any format that has a file, 0: none. */
uint64_t cache_file_highest(const char *path);
/* Removes files of other generations and formats that no process has open, and what interrupted writes of the state file left behind; returns how many.
 * For the writer alone, which must not have any of them open itself. */
size_t cache_file_remove_others(const char *path, const char *format, uint64_t generation);

#endif
