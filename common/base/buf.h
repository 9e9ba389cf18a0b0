/*
 * buf - text that grows up to a ceiling and remembers if it ever did not fit.
 *
 * Append freely, check once: after a failure every append is a no-op and buf_ok() is false.  Two homes for the bytes:
 * an arena (buf_in: freed with the arena) or the heap (buf_heap: buf_fini frees).
 */
#ifndef ENMA_BASE_BUF_H
#define ENMA_BASE_BUF_H

#include "common/base/arena.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct buf {
	char *p;
	size_t n, room, ceiling;
	struct arena *arena;            /* NULL: heap */
	bool failed;
};

struct buf buf_in(struct arena *a, size_t ceiling);
struct buf buf_heap(size_t ceiling);
void buf_fini(struct buf *b);                   /* heap only; no-op for arenas; may be called twice */
void buf_clear(struct buf *b);                  /* empty again, failure forgotten, memory kept */

void buf_byte(struct buf *b, char c);
void buf_span(struct buf *b, struct span s);
void buf_str(struct buf *b, const char *s);
void buf_uint(struct buf *b, uint64_t v);
void buf_int(struct buf *b, int64_t v);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

static inline bool buf_ok(const struct buf *b) { return !b->failed; }
/* What is there; always followed by a NUL that is not counted (also when empty). */
struct span buf_text(struct buf *b);
/* RC_OK and the text, or RC_LIMIT if anything did not fit. */
NODISCARD enum rc buf_done(struct buf *b, struct span *out);

#endif
