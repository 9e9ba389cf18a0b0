/* arena - per-message memory; see arena.h. */
#include "common/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "common/base/xalloc.h"

#define ALIGN alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

struct arena_cleanup {
	struct arena_cleanup *next;
	void (*fn)(void *arg);
	void *arg;
};

void
arena_init(struct arena *a, size_t first_size, size_t ceiling)
{
	*a = (struct arena){ .first_size = first_size, .ceiling = ceiling };
}

static struct arena_block *
block_push(struct arena *a, size_t size)
{
	struct arena_block *b = xmalloc(sizeof *b + size);

	b->size = size;
	b->used = 0;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

/* Where the next n bytes (already rounded up) come from. */
static void *
take(struct arena *a, size_t n)
{
#ifdef ENMA_ARENA_MALLOC
	return block_push(a, n)->data;
#else
	struct arena_block *b = a->blocks;
	void *p;

	if (b == NULL)
		b = block_push(a, MAX(a->first_size, n));
	if (b->size - b->used < n)
		b = block_push(a, MAX(n, MIN(MAX(b->size, 1024) * 2, (size_t)64 * KIB)));
	p = b->data + b->used;
	b->used += n;
	return p;
#endif
}

void *
arena_alloc(struct arena *a, size_t n)
{
	size_t room, total;
	void *p;

	a->count++;
	if (a->fail_at != 0 && a->count >= a->fail_at)
		return NULL;
	if (__builtin_add_overflow(MAX(n, (size_t)1), ALIGN - 1, &room))
		return NULL;
	room &= ~(ALIGN - 1);
	if (__builtin_add_overflow(a->used, room, &total) || total > a->ceiling)
		return NULL;
	a->used = total;
#ifdef ENMA_ARENA_MALLOC
	room = MAX(n, (size_t)1);       /* exact, so that one byte too many is seen */
#endif
	p = take(a, room);
	memset(p, 0, room);
	return p;
}

void *
arena_calloc(struct arena *a, size_t count, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(count, size, &n))
		return NULL;
	return arena_alloc(a, n);
}

struct span
arena_copy(struct arena *a, struct span s)
{
	char *p = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;

	if (p == NULL)
		return SPAN_NULL;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return span_of(p, s.n);
}

bool
arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct arena_cleanup *c = arena_new(a, struct arena_cleanup);

	if (c == NULL)
		return false;
	c->fn = fn;
	c->arg = arg;
	c->next = a->cleanups;
	a->cleanups = c;
	return true;
}

static void
run_cleanups(struct arena *a)
{
	while (a->cleanups != NULL) {
		struct arena_cleanup *c = a->cleanups;

		a->cleanups = c->next;
		c->fn(c->arg);
	}
}

void
arena_reset(struct arena *a)
{
	run_cleanups(a);
	while (a->blocks != NULL) {
		struct arena_block *b = a->blocks;

#ifndef ENMA_ARENA_MALLOC
		if (b->next == NULL && b->size == a->first_size) {
			b->used = 0;
			break;
		}
#endif
		a->blocks = b->next;
		free(b);
	}
	a->used = 0;
}

void
arena_fini(struct arena *a)
{
	arena_reset(a);
	free(a->blocks);
	a->blocks = NULL;
}
