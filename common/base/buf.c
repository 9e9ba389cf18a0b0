/* buf - growing text with a ceiling; see buf.h. */
#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"

struct buf
buf_in(struct arena *a, size_t ceiling)
{
	return (struct buf){ .arena = a, .ceiling = ceiling };
}

struct buf
buf_heap(size_t ceiling)
{
	return (struct buf){ .ceiling = ceiling };
}

void
buf_fini(struct buf *b)
{
	if (b->arena == NULL)
		free(b->p);
	b->p = NULL;
	b->n = b->room = 0;
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

/* Makes room for n more bytes and the NUL behind them. */
static bool
reserve(struct buf *b, size_t n)
{
	size_t need, room;
	char *p;

	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->n, n, &need) || need > b->ceiling) {
		b->failed = true;
		return false;
	}
	if (need < b->room)
		return true;
	room = MAX(need + 1, MAX((size_t)64, b->room * 2));
	room = MIN(room - 1, b->ceiling) + 1;
	if (b->arena == NULL) {
		b->p = xrealloc(b->p, room, 1);
	} else {
		p = arena_alloc(b->arena, room);
		if (p == NULL) {
			b->failed = true;
			return false;
		}
		if (b->n > 0)
			memcpy(p, b->p, b->n);
		b->p = p;
	}
	b->room = room;
	return true;
}

void
buf_span(struct buf *b, struct span s)
{
	if (s.n == 0 || !reserve(b, s.n))
		return;
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

void
buf_byte(struct buf *b, char c)
{
	buf_span(b, span_of(&c, 1));
}

void
buf_str(struct buf *b, const char *s)
{
	buf_span(b, span_cstr(s));
}

void
buf_uint(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
	} while ((v /= 10) != 0);
	buf_span(b, span_of(digits + at, sizeof digits - at));
}

void
buf_int(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_byte(b, '-');
	buf_uint(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0 || !reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

struct span
buf_text(struct buf *b)
{
	if (b->p == NULL)
		return SPAN("");
	b->p[b->n] = '\0';
	return span_of(b->p, b->n);
}

enum rc
buf_done(struct buf *b, struct span *out)
{
	*out = buf_text(b);
	return b->failed ? RC_LIMIT : RC_OK;
}
