/*
 * arena - memory that lives until a message (or a connection) ends, with a ceiling in bytes.
 *
 * Memory is zeroed, aligned for any object and freed all at once by arena_reset() or arena_fini().  The first block is
 * kept by arena_reset(), so that a busy connection stops calling malloc.  Nothing is allocated before the first use: an
 * idle connection costs the struct alone.
 *
 * Cleanup functions (for reference counts, descriptors, library objects) run at reset and fini, last registered
 * first, before any memory goes.
 *
 * An arena returns NULL only at its ceiling, which means a hostile or absurd message; callers answer RC_LIMIT.  True lack
 * of memory aborts.  One thread at a time owns an arena; arenas are never shared.
 *
 * With ENMA_ARENA_MALLOC every allocation is a malloc of its own, so that AddressSanitizer sees each overrun.
 */
#ifndef ENMA_BASE_ARENA_H
#define ENMA_BASE_ARENA_H

#include "common/base/defs.h"
#include "common/base/span.h"

struct arena_block;
struct arena_cleanup;

struct arena {
	struct arena_block *blocks;     /* newest first; the last one is kept at reset */
	struct arena_cleanup *cleanups;
	size_t used;                    /* bytes handed out, with alignment */
	size_t ceiling;
	size_t first_size;              /* size of the kept block */
	uint64_t fail_at;               /* test aid: this allocation (counted from 1) fails; 0 = none */
	uint64_t count;                 /* allocations since init */
};

/* first_size: bytes of the block that is kept (256 .. 1 MiB make sense).  ceiling: total bytes. */
void arena_init(struct arena *a, size_t first_size, size_t ceiling);
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);       /* may be called twice */

NODISCARD void *arena_alloc(struct arena *a, size_t n);                 /* zeroed; NULL at the ceiling */
NODISCARD void *arena_calloc(struct arena *a, size_t count, size_t size);
#define arena_new(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_calloc((a), (n), sizeof(T)))

/* A copy of s (with a NUL behind it that is not counted); p == NULL at the ceiling. */
NODISCARD struct span arena_copy(struct arena *a, struct span s);

/* fn(arg) at reset or fini.  False at the ceiling: nothing was registered, the caller must clean up itself. */
NODISCARD bool arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg);

#endif
