/* cache_file - names and trust; see cache_file.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cache/cache_def.h"
#include "cache/cache_file.h"
#include "common/base/buf.h"
#include "common/base/fdio.h"

enum {
	STATE_BYTES_MAX = 1024,
	TEMPORARY_SUFFIX = 6,           /* of fdio_write_file() */
	/* LMDB's file: two header pages, each a page head of 16 bytes and a meta record. */
	PAGE_MIN = 512, PAGE_MAX = 65536,
	PAGE_HEAD_BYTES = 16, PAGE_FLAGS_AT = 10,
	PAGE_IS_META = 0x08,
	DEPTH_MAX = 32,
};
static const uint32_t lmdb_magic = 0xbeefc0de;
static const uint32_t lmdb_data_version = 1;

/* As LMDB writes it, in the machine's own byte order and word size. */
struct lmdb_tree {
	uint32_t pad;
	uint16_t flags, depth;
	size_t branch_pages, leaf_pages, overflow_pages, entries, root;
};
struct lmdb_meta {
	uint32_t magic, version;
	void *address;
	size_t map_bytes;
	struct lmdb_tree tree[2];       /* free pages, main */
	size_t last_page, transaction;
};

void
cache_file_format(const char *lmdb_version, char out[CACHE_FILE_WORD_MAX])
{
	snprintf(out, CACHE_FILE_WORD_MAX, "f%d-lmdb%s-%zu", CACHE_FORMAT, lmdb_version, 8 * sizeof(size_t));
}

enum rc
cache_file_name(const char *path, const char *format, uint64_t generation, char out[CACHE_FILE_NAME_MAX])
{
	int n = snprintf(out, CACHE_FILE_NAME_MAX, "%s.%s.%llu", path, format, (unsigned long long)generation);

	/* What follows in other names must fit, too. */
	return n > 0 && (size_t)n < CACHE_FILE_NAME_MAX - sizeof "-damaged" ? RC_OK : RC_LIMIT;
}

static enum rc
say(char *why, size_t size, enum rc rc, const char *path, const char *what)
{
	snprintf(why, size, "%s: %s", path, what);
	return rc;
}

static enum rc
beside(const char *path, const char *suffix, char out[CACHE_FILE_NAME_MAX], char *why, size_t size)
{
	int n = snprintf(out, CACHE_FILE_NAME_MAX, "%s.%s", path, suffix);

	return n > 0 && n < CACHE_FILE_NAME_MAX ? RC_OK : say(why, size, RC_TEMP, "cache.path", "too long");
}

void
cache_file_boot_id(char out[CACHE_FILE_WORD_MAX])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, CACHE_FILE_WORD_MAX - 1) : 0;

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n ")] = '\0';
	fdio_close(&fd);
}

static bool
take_word(struct span line, struct span name, char out[CACHE_FILE_WORD_MAX])
{
	struct span v = span_from(line, name.n);
	size_t i;

	if (!span_starts(line, name) || v.n >= CACHE_FILE_WORD_MAX)
		return false;
	for (i = 0; i < v.n; i++)
		if (!ascii_is_alnum((unsigned char)v.p[i]) && v.p[i] != '-' && v.p[i] != '.')
			return false;
	if (v.n > 0)
		memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return true;
}

static bool
take_number(struct span line, struct span name, uint64_t *out)
{
	return span_starts(line, name) && span_to_uint(span_from(line, name.n), INT64_MAX, out);
}

/* Six lines in this order; nothing else. */
static bool
parse_state(struct span text, struct cache_file_state *s)
{
	struct span line[7];
	uint64_t clean;
	size_t n = 0;

	while (n < ARRAY_LEN(line) && span_split(&text, '\n', &line[n]))
		n++;
	if (n != 7 || line[6].n != 0 || !span_is_null(text) || !span_eq(line[0], SPAN("enma-cache 1")) ||
	    !take_word(line[1], SPAN("format "), s->format) || !take_number(line[2], SPAN("generation "), &s->generation) ||
	    !take_number(line[3], SPAN("map "), &s->map_bytes) || !take_word(line[4], SPAN("boot "), s->boot) ||
	    !take_number(line[5], SPAN("clean "), &clean) || clean > 1 || s->generation == 0)
		return false;
	s->is_clean = clean == 1;
	return true;
}

enum rc
cache_file_state_read(const char *path, struct cache_file_state *out, char *why, size_t size)
{
	char file[CACHE_FILE_NAME_MAX];
	struct buf b = buf_heap(STATE_BYTES_MAX);
	enum rc rc = beside(path, "state", file, why, size);

	*out = (struct cache_file_state){ .generation = 0 };
	if (rc == RC_OK)
		rc = fdio_read_file(file, STATE_BYTES_MAX, &b, why, size);
	if (rc == RC_LIMIT || (rc == RC_OK && !parse_state(buf_text(&b), out))) {
		*out = (struct cache_file_state){ .generation = 0 };
		rc = say(why, size, RC_SYNTAX, file, "not a state file of this version");
	}
	buf_fini(&b);
	return rc;
}

/* A rename is on disk when its folder is. */
static void
sync_folder(const char *path)
{
	char folder[CACHE_FILE_NAME_MAX];
	char *slash;
	int fd;

	snprintf(folder, sizeof folder, "%s", path);
	slash = strrchr(folder, '/');
	if (slash != NULL)
		slash[slash == folder] = '\0';
	fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
	fdio_close(&fd);
}

enum rc
cache_file_state_write(const char *path, const struct cache_file_state *s, char *why, size_t size)
{
	char file[CACHE_FILE_NAME_MAX];
	struct buf b = buf_heap(STATE_BYTES_MAX);
	enum rc rc = beside(path, "state", file, why, size);

	buf_fmt(&b, "enma-cache 1\nformat %s\ngeneration %llu\nmap %llu\nboot %s\nclean %d\n", s->format, (unsigned long long)s->generation,
	        (unsigned long long)s->map_bytes, s->boot, s->is_clean);
	if (rc == RC_OK)
		rc = fdio_write_file(file, buf_text(&b), CACHE_FILE_MODE, why, size);
	if (rc == RC_OK)
		sync_folder(path);
	buf_fini(&b);
	return rc;
}

enum rc
cache_file_check_folder(const char *path, char *why, size_t size)
{
	char folder[CACHE_FILE_NAME_MAX];
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (slash == NULL || slash[1] == '\0' || strlen(path) >= sizeof folder)
		return say(why, size, RC_TEMP, "cache.path", "not an absolute path of a file, or too long");
	snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (stat(folder, &st) != 0)
		return say(why, size, RC_TEMP, folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return say(why, size, RC_TEMP, folder, "not a folder");
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return say(why, size, RC_TEMP, folder, "others may write to this folder: it must belong to this user or root, and to nobody else to write");
	if (access(folder, R_OK | W_OK | X_OK) != 0)
		return say(why, size, RC_TEMP, folder, strerror(errno));
	return RC_OK;
}

static bool
is_power_of_two(size_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

static bool
is_sane_tree(const struct lmdb_tree *t, size_t last_page)
{
	return t->depth < DEPTH_MAX && (t->root == SIZE_MAX) == (t->depth == 0) && (t->root == SIZE_MAX || t->root <= last_page) &&
	    t->branch_pages <= last_page && t->leaf_pages <= last_page && t->overflow_pages <= last_page;
}

/* The header in page 0 or 1; page_bytes is 0 for the first, which says how large pages are. */
static const char *
read_header(int fd, size_t page_bytes, struct lmdb_meta *m)
{
	uint8_t b[PAGE_HEAD_BYTES + sizeof *m];
	uint16_t flags;

	if (pread(fd, b, sizeof b, (off_t)page_bytes) != (ssize_t)sizeof b)
		return "cut in the header";
	memcpy(m, b + PAGE_HEAD_BYTES, sizeof *m);
	memcpy(&flags, b + PAGE_FLAGS_AT, sizeof flags);
	if (m->magic != lmdb_magic || m->version != lmdb_data_version || (flags & PAGE_IS_META) == 0)
		return "its header is damaged";
	if (!is_power_of_two(m->tree[0].pad) || m->tree[0].pad < PAGE_MIN || m->tree[0].pad > PAGE_MAX ||
	    (page_bytes != 0 && m->tree[0].pad != page_bytes))
		return "its header names a page size that cannot be";
	if (m->last_page < 1 || !is_sane_tree(&m->tree[0], m->last_page) || !is_sane_tree(&m->tree[1], m->last_page) ||
	    m->last_page >= m->map_bytes / m->tree[0].pad)
		return "its header contradicts itself";
	return NULL;
}

/* The newer header counts; the older one must be sane, too: LMDB falls back to it. */
static const char *
check_open_file(int fd, struct cache_file_meta *out)
{
	struct lmdb_meta m[2] = { 0 };
	const struct lmdb_meta *newer;
	const char *wrong;
	struct stat st;

	if ((wrong = read_header(fd, 0, &m[0])) != NULL || (wrong = read_header(fd, m[0].tree[0].pad, &m[1])) != NULL)
		return wrong;
	newer = &m[m[1].transaction > m[0].transaction];
	*out = (struct cache_file_meta){
		.page_bytes = newer->tree[0].pad, .last_page = newer->last_page, .map_bytes = newer->map_bytes,
		.transaction = newer->transaction,
	};
	if (m[0].map_bytes != m[1].map_bytes)
		return "its headers disagree";
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size / out->page_bytes < out->last_page + 1)
		return "it is shorter than it says";
	return NULL;
}

static const char *
check_owner(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a plain file";
	if (st->st_uid != geteuid())
		return "it belongs to another user";
	return (st->st_mode & (S_IRWXG | S_IRWXO)) != 0 ? "others may open it" : NULL;
}

enum rc
cache_file_check(const char *file, struct cache_file_meta *meta_out, char *why, size_t size)
{
	const char *wrong;
	struct stat st;
	int fd;

	if (lstat(file, &st) != 0)
		return say(why, size, errno == ENOENT ? RC_NONE : RC_TEMP, file, strerror(errno));
	if ((wrong = check_owner(&st)) != NULL)
		return say(why, size, RC_SYNTAX, file, wrong);
	if ((fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) < 0)
		return say(why, size, errno == ENOENT ? RC_NONE : RC_TEMP, file, strerror(errno));
	wrong = check_open_file(fd, meta_out);
	fdio_close(&fd);
	return wrong == NULL ? RC_OK : say(why, size, RC_SYNTAX, file, wrong);
}

/* The process that holds the lock, 0: not known.  Linux: /proc/locks, "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE ...". */
static int
lock_holder(int fd)
{
	FILE *f = fopen("/proc/locks", "re");
	unsigned major_n, minor_n;
	unsigned long long inode;
	char line[256];
	struct stat st;
	int pid, found = 0;

	while (f != NULL && found == 0 && fstat(fd, &st) == 0 && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%llu", &pid, &major_n, &minor_n, &inode) == 4 && inode == st.st_ino &&
		    makedev(major_n, minor_n) == st.st_dev)
			found = pid;
	if (f != NULL)
		fclose(f);
	return found;
}

static void
say_locked(int fd, const char *file, char *why, size_t size)
{
	int pid = lock_holder(fd);

	if (pid > 0)
		snprintf(why, size, "%s: another process writes this cache (pid %d)", file, pid);
	else
		say(why, size, RC_TEMP, file, "another process writes this cache");
}

enum rc
cache_file_lock(const char *path, int *fd_out, char *why, size_t size)
{
	char file[CACHE_FILE_NAME_MAX];
	int fd;

	*fd_out = -1;
	if (beside(path, "writer", file, why, size) != RC_OK)
		return RC_TEMP;
	if ((fd = open(file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, CACHE_FILE_MODE)) < 0)
		return say(why, size, RC_TEMP, file, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EWOULDBLOCK)
			say_locked(fd, file, why, size);
		else
			say(why, size, RC_TEMP, file, strerror(errno));
		fdio_close(&fd);
		return RC_TEMP;
	}
	*fd_out = fd;
	return RC_OK;
}

static struct span
without_suffix(struct span s)
{
	static const struct span suffixes[] = { { "-lock", 5 }, { "-damaged", 8 } };
	size_t i;

	for (i = 0; i < ARRAY_LEN(suffixes); i++)
		if (span_ends_nocase(s, suffixes[i]))
			return span_sub(s, 0, s.n - suffixes[i].n);
	return s;
}

/* The part of name behind "BASE.", and the generation in it: "FORMAT.N", "FORMAT.N-lock" ...  False for everything else. */
static bool
parse_name(const char *name, const char *base, struct span *format, uint64_t *generation)
{
	struct span s = without_suffix(span_cstr(name)), number;
	size_t dot;

	if (!span_starts(s, span_cstr(base)))
		return false;
	s = span_from(s, strlen(base));
	if (s.n < 2 || s.p[0] != '.' || s.p[1] != 'f')
		return false;
	s = span_from(s, 1);
	dot = span_rfind(s, '.');
	number = span_from(s, dot + 1);
	if (dot == s.n)
		return false;
	*format = span_sub(s, 0, dot);
	return span_to_uint(number, INT64_MAX, generation);
}

/* Each entry of path's folder. */
static void
each_file(const char *path, void (*fn)(const char *file, const char *base, const char *name, void *arg), void *arg)
{
	char folder[CACHE_FILE_NAME_MAX], file[CACHE_FILE_NAME_MAX + NAME_MAX];
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	struct dirent *e;
	DIR *d;

	snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash + 1 - path) : 2, slash != NULL ? path : "./");
	if ((d = opendir(folder)) == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		snprintf(file, sizeof file, "%s%s", folder, e->d_name);
		fn(file, base, e->d_name, arg);
	}
	closedir(d);
}

static void
note_generation(const char *file, const char *base, const char *name, void *arg)
{
	uint64_t generation, *highest = arg;
	struct span format;

	(void)file;
	if (parse_name(name, base, &format, &generation))
		*highest = MAX(*highest, generation);
}

uint64_t
cache_file_highest(const char *path)
{
	uint64_t highest = 0;

	each_file(path, note_generation, &highest);
	return highest;
}

struct removal {
	struct span keep_format;
	uint64_t keep;
	size_t count;
};

/* Every process that has the data file open holds a lock on the first byte of its lock file. */
static bool
is_in_use(const char *lock_file)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	int fd = open(lock_file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is_used;

	if (fd < 0)
		return errno != ENOENT;
	is_used = fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
	fdio_close(&fd);
	return is_used;
}

static bool
is_temporary(const char *name, const char *base)
{
	struct span s = span_cstr(name), head = span_cstr(base);

	return span_starts(s, head) && span_starts(span_from(s, head.n), SPAN(".state.")) &&
	    s.n == head.n + 7 + TEMPORARY_SUFFIX;
}

static void
remove_other(const char *file, const char *base, const char *name, void *arg)
{
	char lock_file[CACHE_FILE_NAME_MAX + NAME_MAX + 8];
	struct removal *r = arg;
	struct span format;
	uint64_t generation;

	if (is_temporary(name, base)) {
		r->count += unlink(file) == 0;
		return;
	}
	if (!parse_name(name, base, &format, &generation) || (generation == r->keep && span_eq(format, r->keep_format)))
		return;
	snprintf(lock_file, sizeof lock_file, "%.*s-lock", (int)without_suffix(span_cstr(file)).n, file);
	if (is_in_use(lock_file))
		return;
	r->count += unlink(file) == 0;
}

size_t
cache_file_remove_others(const char *path, const char *format, uint64_t generation)
{
	struct removal r = { .keep_format = span_cstr(format), .keep = generation };

	each_file(path, remove_other, &r);
	return r.count;
}
