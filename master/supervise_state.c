/* supervise_state - how the service is doing, and the sum of what its processes count; see supervise_int.h. */
#include "common/base/clock.h"
#include "master/notify.h"
#include "master/supervise_int.h"

enum { STARTING_FAIR_MS = 5000 };        /* a process that takes longer to start is missing */

/* A successor that just starts is no trouble: after a crash, and whenever workers retire, that is how it should be. */
static bool
is_held(const struct slot *slot, int64_t now)
{
	const struct child *c = slot->child;

	if (c == NULL)
		return !slot->has_failed && slot->start_at_ms <= now;
	return c->state == CHILD_READY || (c->state == CHILD_STARTING && !slot->has_failed && now - c->started_ms < STARTING_FAIR_MS);
}

const char *
supervise_trouble(const struct supervise *s)
{
	int64_t now = clock_mono_ms();

	if (s->is_stopping)
		return "stopping";
	if (s->current == NULL)
		return "starting";
	for (const struct child *c = s->children; c != NULL; c = c->next)
		if (c->is_stuck)
			return c->role == CHILD_CACHE ? "the cache process is stuck" : "a worker is stuck";
	for (size_t i = 0; i < s->current->slot_count; i++)
		if (!is_held(&s->current->slots[i], now))
			return "a worker is missing";
	if (s->current->conf->cache_enabled && !is_held(&s->cache.slot, now))
		return "the cache process is missing";
	return NULL;
}

void
supervise_tell_trouble(struct supervise *s)
{
	const char *trouble = s->current == NULL || s->is_stopping ? NULL : supervise_trouble(s);
	size_t ready = s->current == NULL ? 0 : generation_ready(s->current);

	/* Texts are constants.  A successor on its way is no trouble, but the number that was told must not stay behind. */
	if (trouble == s->told_trouble && (trouble != NULL || ready == s->told_ready))
		return;
	s->told_trouble = trouble;
	s->told_ready = ready;
	if (trouble != NULL)
		notify_status("Degraded: %s", trouble);
	else if (s->current != NULL && !s->is_stopping)
		notify_status("Generation %llu, %zu workers ready", (unsigned long long)s->current->number, ready);
}

void
supervise_totals(struct supervise *s, struct totals *out)
{
	*out = s->retired;
	for (struct child *c = s->children; c != NULL; c = c->next) {
		totals_observe(&c->seen, c->board);
		totals_add(out, &c->seen);
	}
}
