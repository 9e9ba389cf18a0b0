/*
 * cache_guard - what happens when a mapped cache file turns out to be damaged.
 *
 * A file that was cut short under us raises SIGBUS where it is read, garbage in its pages can lead behind the map (SIGSEGV), and LMDB aborts on what it cannot
 * believe.  None of these leaves a state that one could go on with, and catching them around each read costs more than it saves: the process
 * leaves a mark beside the file (FILE-damaged, empty: nobody opens that file again, the writer makes a new one), says what happened, calls
 * the hook, and ends at once with CACHE_GUARD_EXIT.  Whoever started it starts a successor.
 *
 * In a process that reads, a fault at any other address is nobody's business here: what handled the signal before gets it again, so crashes stay
 * crashes; so does a wild write into the map, which is read-only and not harmed by it.  The writer copies pages to its heap, so that garbage can hurt it anywhere; it does nothing else, so there every fault, and every
 * abort, counts as damage: a crash loop over a bad file ends after one turn.
 */
#ifndef ENMA_CACHE_CACHE_GUARD_H
#define ENMA_CACHE_CACHE_GUARD_H

#include "common/base/defs.h"

enum {
	CACHE_GUARD_EXIT = 87,          /* exit code of a process that met a damaged file */
	CACHE_GUARD_MAPS_MAX = 4,
};

/* Handles SIGBUS and SIGSEGV for the maps added below, and keeps what handled them before; is_writer: faults at any address, and SIGABRT.
 * hook (NULL allowed) is called in the signal handler: async-signal-safe functions only.  Once in a process, before threads. */
void cache_guard_install(bool is_writer, void (*hook)(void));

/* Where a file of `bytes` bytes is mapped in this process; false when that cannot be found out.  Linux: /proc/self/maps. */
bool cache_guard_find(const char *file, size_t bytes, const void **start_out);

/* The map from start on is a cache's / is none any more; `mark` is the path of the mark, kept by the caller until it is removed.  At
 * most CACHE_GUARD_MAPS_MAX; more are not guarded (false). */
bool cache_guard_add(const void *start, size_t bytes, const char *mark);
void cache_guard_remove(const void *start);

/* Async-signal-safe. */
bool cache_guard_has(const void *address);

/* Makes the mark; harmless when it is there.  Async-signal-safe. */
void cache_guard_mark(const char *mark);

/* As after a fault in a map, whichever it was: all get their mark. */
NORETURN void cache_guard_fail(const char *what);

#endif
