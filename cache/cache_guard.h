/*
 * cache_guard - what happens when a mapped cache file turns out to be damaged.
 *
 * A file that was cut short under us raises SIGBUS where it is read, garbage in its pages can raise SIGSEGV, and LMDB aborts on what it cannot
 * believe.  None of these leaves a state that one could go on with, and catching them around each read costs more than it saves: the process says
 * what happened, calls the hook (which leaves a mark on the board), and ends at once with CACHE_GUARD_EXIT.  Whoever started it makes a
 * new file, never touching the old one, and starts a successor.
 *
 * A fault at any other address is nobody's business here: it takes the handler's place as before, so crashes stay crashes.
 */
#ifndef ENMA_CACHE_CACHE_GUARD_H
#define ENMA_CACHE_CACHE_GUARD_H

#include "common/base/defs.h"

enum {
	CACHE_GUARD_EXIT = 87,          /* exit code of a process that met a damaged file */
	CACHE_GUARD_MAPS_MAX = 4,
};

/* Handles SIGBUS and SIGSEGV for the maps added below, and keeps what handled them before.  hook (NULL allowed) is called in the signal handler:
 * async-signal-safe functions only.  Once in a process, before threads. */
void cache_guard_install(void (*hook)(void));

/* Where a file of `bytes` bytes is mapped in this process; false when that cannot be found out.  Linux: /proc/self/maps. */
bool cache_guard_find(const char *file, size_t bytes, const void **start_out);

/* The map from start on is a cache's / is none any more.  At most CACHE_GUARD_MAPS_MAX; more are not guarded (false). */
bool cache_guard_add(const void *start, size_t bytes);
void cache_guard_remove(const void *start);

/* Async-signal-safe. */
bool cache_guard_has(const void *address);

/* As after a fault in the map. */
NORETURN void cache_guard_fail(const char *what);

#endif
