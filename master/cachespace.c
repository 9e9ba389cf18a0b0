/* cachespace - does the cache fit on its disk; see cachespace.h. */
#include "master/cachespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/xalloc.h"

enum { SIZE_TEXT_MAX = 64, BLOCK = 512 /* of st_blocks */ };

enum cachespace_verdict
cachespace_judge(uint64_t size, const struct cachespace *s)
{
	uint64_t room;

	if (s->total == 0)
		return CACHESPACE_FITS;
	if (size > s->total)
		return CACHESPACE_NEVER;
	if (__builtin_add_overflow(s->free, s->own, &room))
		room = UINT64_MAX;
	return size > room ? CACHESPACE_TIGHT : CACHESPACE_FITS;
}

/* "268435456 bytes (256 MiB)": exact, and readable; rounded down. */
static const char *
size_text(uint64_t bytes, char out[SIZE_TEXT_MAX])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	uint64_t n = bytes / KIB;
	size_t u = 0;

	while (n >= 10 * KIB && u + 1 < ARRAY_LEN(units)) {
		n /= KIB;
		u++;
	}
	snprintf(out, SIZE_TEXT_MAX, "%llu bytes (%llu %s)", (unsigned long long)bytes, (unsigned long long)n, units[u]);
	return out;
}

/* Cuts the last part of a path off; false when there is nothing above. */
static bool
go_up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL || path[1] == '\0')
		return false;
	slash[slash == path] = '\0';
	return true;
}

/* Blocks of everything in the folder whose name begins like the cache's files do. */
static uint64_t
own_bytes(const char *folder, const char *name)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	uint64_t sum = 0;
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, name, strlen(name)) == 0 && e->d_name[strlen(name)] == '.' &&
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_blocks * BLOCK;
	if (d != NULL)
		closedir(d);
	return sum;
}

enum rc
cachespace_measure(const char *path, struct cachespace *out)
{
	char *folder = xstrdup(path);
	const char *slash = strrchr(path, '/');
	struct statvfs v;
	enum rc rc = RC_NONE;

	*out = (struct cachespace){ 0 };
	while (go_up(folder)) {
		if (statvfs(folder, &v) == 0) {
			rc = RC_OK;
			break;
		}
		if (errno != ENOENT && errno != ENOTDIR)
			break;
	}
	if (rc == RC_OK) {
		out->total = (uint64_t)v.f_blocks * v.f_frsize;
		out->free = (uint64_t)v.f_bavail * v.f_frsize;
		if (slash != NULL && slash[1] != '\0')
			out->own = own_bytes(folder, slash + 1);
	}
	free(folder);
	return rc;
}

void
cachespace_check(const struct conf *c, struct outcome *outcome)
{
	char size[SIZE_TEXT_MAX], other[SIZE_TEXT_MAX];
	struct cachespace s;

	if (!c->cache_enabled || cachespace_measure(c->cache_path, &s) != RC_OK)
		return;
	switch (cachespace_judge((uint64_t)c->cache_size, &s)) {
	case CACHESPACE_NEVER:
		outcome_add(outcome, EX_CONFIG, "cache.size: %s are more than the whole file system that holds cache.path %s, %s: lower cache.size, or set "
		            "cache.path to a place on a larger one", size_text((uint64_t)c->cache_size, size), c->cache_path,
		            size_text(s.total, other));
		break;
	case CACHESPACE_TIGHT:
		outcome_add(outcome, 0, "cache.size: the cache may grow to %s, but where cache.path %s is there is room for only %s: make room, or lower "
		            "cache.size", size_text((uint64_t)c->cache_size, size), c->cache_path, size_text(s.free + s.own, other));
		break;
	case CACHESPACE_FITS:
		break;
	}
}
