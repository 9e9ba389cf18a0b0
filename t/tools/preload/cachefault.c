/*
 * cachefault - loaded into enma by LD_PRELOAD: makes a process fail at a chosen moment of its work on the cache's file.
 *
 * Compiled by the test that needs it, to a shared object.  The environment's CACHEFAULT names a file of the size of struct control, which
 * all processes map and the test writes to while they run:
 *
 *	KILL_WRITER     the writer kills itself (SIGKILL) in the middle of a transaction: at some mdb_put, or at some write of a commit
 *	STOP_WRITER     it stops itself (SIGSTOP) there
 *	SPIN_WRITER     mdb_txn_commit() does not come back as long as this mode lasts
 *	KILL_READER     a reader kills itself in the middle of a look-up, with its transaction open
 *	WRITE_READER    a reader writes into the map of the cache's file
 *
 * `left` says how many times; the mode ends with the last one.  Only processes that have done a few transactions take part, so that nobody fails before
 * it is ready.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, KILL_WRITER, STOP_WRITER, SPIN_WRITER, KILL_READER, WRITE_READER };
enum {
	READ_ONLY = 0x20000,            /* lmdb.h: MDB_RDONLY */
	WARM_COMMITS = 3,               /* of a writer that put something */
	WARM_LOOKUPS = 10,
	PUTS = 80, WRITES = 8, LOOKUPS = 80,         /* the chosen one is among so many of these */
};

struct control {
	_Atomic uint32_t mode, left, random;
	_Atomic uint32_t at_put, at_write, at_lookup, spun, pid;        /* what happened how often; the last process that it happened to */
};

struct val {
	size_t size;
	void *data;
};

static struct control *control;
static bool is_reader, is_writer;
static const char *file;                /* the data file, of the last one opened */
static unsigned put_count, commits, lookups, countdown;
static bool is_committing, is_at_write;

__attribute__((constructor)) static void
begin(void)
{
	const char *name = getenv("CACHEFAULT");
	int fd = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	control = p != MAP_FAILED ? p : NULL;
	if (fd >= 0)
		close(fd);
}

static enum mode
mode(void)
{
	return control != NULL ? (enum mode)atomic_load_explicit(&control->mode, memory_order_relaxed) : OFF;
}

static unsigned
draw(unsigned n)
{
	return (atomic_fetch_add(&control->random, 2654435761u) >> 8) % n;
}

/* True for one process at a time, `left` times in all. */
static bool
take(void)
{
	uint32_t left = atomic_load(&control->left);

	while (left > 0 && !atomic_compare_exchange_weak(&control->left, &left, left - 1))
		;
	if (left == 1 || left == 0)
		atomic_store(&control->mode, OFF);
	if (left > 0)
		atomic_store(&control->pid, (uint32_t)getpid());
	return left > 0;
}

/* A moment inside a write transaction; is_write: of a write to the file. */
static void
moment(bool is_write)
{
	enum mode m = mode();

	if ((m != KILL_WRITER && m != STOP_WRITER) || !is_writer || commits < WARM_COMMITS)
		return;
	if (countdown == 0) {
		is_at_write = draw(2) == 1;
		countdown = 1 + draw(is_at_write ? WRITES : PUTS);
	}
	if (is_write != is_at_write || --countdown > 0 || !take())
		return;
	atomic_fetch_add(is_write ? &control->at_write : &control->at_put, 1);
	kill(getpid(), m == KILL_WRITER ? SIGKILL : SIGSTOP);
}

int mdb_env_open(void *env, const char *path, unsigned flags, mode_t file_mode);
int mdb_put(void *txn, unsigned dbi, struct val *key, struct val *data, unsigned flags);
int mdb_get(void *txn, unsigned dbi, struct val *key, struct val *data);
int mdb_txn_commit(void *txn);

#define NEXT(fn) \
	static __typeof__(&fn) next; \
	if (next == NULL) \
		next = (__typeof__(&fn))dlsym(RTLD_NEXT, #fn)

int
mdb_env_open(void *env, const char *path, unsigned flags, mode_t file_mode)
{
	NEXT(mdb_env_open);

	is_reader = (flags & READ_ONLY) != 0;
	is_writer = !is_reader;
	file = strdup(path);
	return next(env, path, flags, file_mode);
}

int
mdb_put(void *txn, unsigned dbi, struct val *key, struct val *data, unsigned flags)
{
	NEXT(mdb_put);

	put_count++;
	moment(false);
	return next(txn, dbi, key, data, flags);
}

int
mdb_txn_commit(void *txn)
{
	NEXT(mdb_txn_commit);
	int e;

	if (is_writer && commits >= WARM_COMMITS && mode() == SPIN_WRITER) {
		atomic_store(&control->pid, (uint32_t)getpid());
		atomic_fetch_add(&control->spun, 1);
		while (mode() == SPIN_WRITER)
			;
	}
	is_committing = true;
	e = next(txn);
	is_committing = false;
	if (put_count > 0)
		commits++;
	return e;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	NEXT(pwrite);

	if (is_committing)
		moment(true);
	return next(fd, p, n, at);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	NEXT(writev);

	if (is_committing)
		moment(true);
	return next(fd, v, n);
}

/* Where the file is mapped. */
static volatile char *
find_map(void)
{
	char line[4096], path[4096];
	unsigned long long from;
	volatile char *found = NULL;
	FILE *f = fopen("/proc/self/maps", "re");

	while (f != NULL && found == NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "%llx-%*x %*s %*s %*s %*s %4095s", &from, path) == 2 && strcmp(path, file) == 0)
			found = (volatile char *)(uintptr_t)from;
	if (f != NULL)
		fclose(f);
	return found;
}

int
mdb_get(void *txn, unsigned dbi, struct val *key, struct val *data)
{
	NEXT(mdb_get);
	static _Atomic unsigned until;
	enum mode m = mode();

	if (!is_reader || (m != KILL_READER && m != WRITE_READER) || ++lookups < WARM_LOOKUPS)
		return next(txn, dbi, key, data);
	if (atomic_load(&until) == 0)
		atomic_store(&until, 1 + draw(LOOKUPS));
	if (atomic_fetch_sub(&until, 1) == 1 && take()) {
		volatile char *map = m == WRITE_READER ? find_map() : NULL;

		atomic_fetch_add(&control->at_lookup, 1);
		if (map != NULL)
			memset((char *)map + 4096 * 2, 0xff, 4096);
		else if (m == KILL_READER)
			kill(getpid(), SIGKILL);
	}
	return next(txn, dbi, key, data);
}
