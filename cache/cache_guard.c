/* cache_guard - faults in a damaged map; see cache_guard.h. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/cache_guard.h"

enum { REACH_BYTES = 2 * 65536 };

struct guarded {
	_Atomic uintptr_t start;        /* 0: free */
	_Atomic uintptr_t end;
	_Atomic(const char *) mark;
};

static struct guarded maps[CACHE_GUARD_MAPS_MAX];
static void (*damage_hook)(void);
static struct sigaction before_bus, before_segv, before_abort;
static bool is_writer_process;

bool
cache_guard_add(const void *start, size_t bytes, const char *mark)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(maps); i++) {
		uintptr_t none = 0;

		if (atomic_compare_exchange_strong(&maps[i].start, &none, (uintptr_t)start)) {
			atomic_store(&maps[i].mark, mark);
			atomic_store(&maps[i].end, (uintptr_t)start + bytes);
			return true;
		}
	}
	return false;
}

void
cache_guard_remove(const void *start)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(maps); i++)
		if (start != NULL && atomic_load(&maps[i].start) == (uintptr_t)start) {
			atomic_store(&maps[i].end, 0);
			atomic_store(&maps[i].mark, NULL);
			atomic_store(&maps[i].start, 0);
		}
}

bool
cache_guard_has(const void *address)
{
	uintptr_t a = (uintptr_t)address;
	size_t i;

	for (i = 0; i < ARRAY_LEN(maps); i++)
		if (a != 0 && atomic_load(&maps[i].start) <= a && a < atomic_load(&maps[i].end))
			return true;
	return false;
}

void
cache_guard_mark(const char *mark)
{
	int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

void
cache_guard_fail(const char *what)
{
	static const char head[] = "enma: the cache file is damaged: ";
	const char *mark;
	size_t i;

	for (i = 0; i < ARRAY_LEN(maps); i++)
		if ((mark = atomic_load(&maps[i].mark)) != NULL)
			cache_guard_mark(mark);
	if (damage_hook != NULL)
		damage_hook();
	(void)!write(STDERR_FILENO, head, sizeof head - 1);
	(void)!write(STDERR_FILENO, what, strlen(what));
	(void)!write(STDERR_FILENO, "\n", 1);
	_exit(CACHE_GUARD_EXIT);
}

/* Where an offset inside LMDB's last page can lead. */
static bool
is_behind_a_map(uintptr_t a)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(maps); i++) {
		uintptr_t end = atomic_load(&maps[i].end);

		if (end != 0 && a >= end && a - end < REACH_BYTES)
			return true;
	}
	return false;
}

/*
 * si_code > 0: the kernel says where; a signal from kill() has no address.  In a reader SIGBUS is a file that ends too early.  SIGSEGV inside the map is
 * a write to it, which is a mistake of this process and says nothing about the file.
 */
static bool
is_ours(int sig, const siginfo_t *info)
{
	if (is_writer_process)
		return sig == SIGABRT ? info->si_pid == getpid() : info->si_code > 0;
	if (sig == SIGBUS)
		return info->si_code > 0 && cache_guard_has(info->si_addr);
	return info->si_code == SEGV_MAPERR && is_behind_a_map((uintptr_t)info->si_addr);
}

/* Returning to the faulting instruction with the earlier disposition in place lets it happen again, to whom it belongs. */
static void
on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (is_ours(sig, info))
		cache_guard_fail(sig == SIGBUS ? "it is shorter than it says" : "it points outside itself");
	sigaction(sig, sig == SIGBUS ? &before_bus : sig == SIGSEGV ? &before_segv : &before_abort, NULL);
	if (info->si_code <= 0)
		raise(sig);
}

void
cache_guard_install(bool is_writer, void (*hook)(void))
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	damage_hook = hook;
	is_writer_process = is_writer;
	sigemptyset(&sa.sa_mask);
	sigaction(SIGBUS, &sa, &before_bus);
	sigaction(SIGSEGV, &sa, &before_segv);
	if (is_writer)
		sigaction(SIGABRT, &sa, &before_abort);
}

bool
cache_guard_find(const char *file, size_t bytes, const void **start_out)
{
	char *real = realpath(file, NULL), *line = NULL;
	FILE *f = real != NULL ? fopen("/proc/self/maps", "re") : NULL;
	size_t room = 0;
	ssize_t n;
	bool is_found = false;

	while (f != NULL && !is_found && (n = getline(&line, &room, f)) > 0) {
		unsigned long long from, to;
		char *path = strchr(line, '/');

		line[n - 1] = '\0';
		if (path == NULL || strcmp(path, real) != 0 || sscanf(line, "%llx-%llx", &from, &to) != 2 || to - from < bytes)
			continue;
		*start_out = (const void *)(uintptr_t)from;
		is_found = true;
	}
	if (f != NULL)
		fclose(f);
	free(line);
	free(real);
	return is_found;
}
