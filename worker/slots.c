/* slots - the sessions of this worker; see slots.h. */
#include "worker/slots.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"

struct slots {
	struct board *board;
	pthread_mutex_t lock;
	int *free;                      /* stack of free slots */
	size_t free_count, capacity;
	_Atomic size_t open;
	_Atomic uint64_t begun;
};

struct slots *
slots_create(struct board *board, size_t capacity)
{
	struct slots *s = xcalloc(1, sizeof *s);

	s->board = board;
	s->capacity = MIN(capacity, (size_t)board->session_count);
	s->free = xcalloc(s->capacity + 1, sizeof *s->free);
	for (size_t i = 0; i < s->capacity; i++)
		s->free[i] = (int)(s->capacity - 1 - i);
	s->free_count = s->capacity;
	REQUIRE(pthread_mutex_init(&s->lock, NULL) == 0);
	return s;
}

void
slots_destroy(struct slots **slots)
{
	struct slots *s = *slots;

	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->free);
	free(s);
	*slots = NULL;
}

static void
set_phase(struct slots *s, int slot, enum board_phase phase, bool in_callback)
{
	struct board_session *b;

	if (slot == SLOT_NONE)
		return;
	b = &s->board->session[slot];
	atomic_store_explicit(&b->since_ms, clock_mono_ms(), memory_order_relaxed);
	atomic_store_explicit(&b->phase, (uint32_t)phase, memory_order_relaxed);
	atomic_store_explicit(&b->in_callback, in_callback ? 1 : 0, memory_order_relaxed);
}

int
slots_take(struct slots *s)
{
	int slot = SLOT_NONE;
	size_t open;

	pthread_mutex_lock(&s->lock);
	if (s->free_count > 0)
		slot = s->free[--s->free_count];
	pthread_mutex_unlock(&s->lock);
	open = atomic_fetch_add_explicit(&s->open, 1, memory_order_relaxed) + 1;
	atomic_fetch_add_explicit(&s->begun, 1, memory_order_relaxed);
	atomic_store_explicit(&s->board->sessions, (uint32_t)open, memory_order_relaxed);
	slots_set_qid(s, slot, SPAN(""));
	set_phase(s, slot, BOARD_P_CONNECT, false);
	return slot;
}

void
slots_give(struct slots *s, int slot)
{
	size_t open;

	set_phase(s, slot, BOARD_P_FREE, false);
	if (slot != SLOT_NONE) {
		pthread_mutex_lock(&s->lock);
		REQUIRE(s->free_count < s->capacity);
		s->free[s->free_count++] = slot;
		pthread_mutex_unlock(&s->lock);
	}
	open = atomic_fetch_sub_explicit(&s->open, 1, memory_order_relaxed) - 1;
	atomic_store_explicit(&s->board->sessions, (uint32_t)open, memory_order_relaxed);
}

void
slots_enter(struct slots *s, int slot, enum board_phase phase)
{
	set_phase(s, slot, phase, true);
}

void
slots_leave(struct slots *s, int slot, enum board_phase phase)
{
	set_phase(s, slot, phase, false);
}

/* Byte by byte and relaxed: readers in the supervisor and the watch thread may see a torn text, never a race. */
void
slots_set_qid(struct slots *s, int slot, struct span qid)
{
	size_t n = MIN(qid.n, (size_t)BOARD_QID_MAX - 1);
	char *to;

	if (slot == SLOT_NONE)
		return;
	to = s->board->session[slot].qid;
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(&to[i], qid.p[i], __ATOMIC_RELAXED);
	__atomic_store_n(&to[n], '\0', __ATOMIC_RELAXED);
}

size_t
slots_open(struct slots *s)
{
	return atomic_load_explicit(&s->open, memory_order_relaxed);
}

uint64_t
slots_begun(struct slots *s)
{
	return atomic_load_explicit(&s->begun, memory_order_relaxed);
}

void
slots_check_lock(struct slots *s)
{
	pthread_mutex_lock(&s->lock);
	pthread_mutex_unlock(&s->lock);
}

bool
slots_find_stuck(struct slots *s, int64_t now_ms, int64_t limit_ms, struct slots_stuck *out)
{
	int64_t longest = limit_ms;
	bool found = false;

	for (size_t i = 0; i < s->capacity; i++) {
		struct board_session *b = &s->board->session[i];
		int64_t since = atomic_load_explicit(&b->since_ms, memory_order_relaxed);

		if (atomic_load_explicit(&b->in_callback, memory_order_relaxed) == 0 || now_ms - since <= longest)
			continue;
		longest = now_ms - since;
		found = true;
		*out = (struct slots_stuck){ .slot = (int)i, .for_ms = longest,
		    .phase = (enum board_phase)atomic_load_explicit(&b->phase, memory_order_relaxed) };
		for (size_t k = 0; k < BOARD_QID_MAX; k++)
			out->qid[k] = __atomic_load_n(&b->qid[k], __ATOMIC_RELAXED);
	}
	return found;
}
