/* supervise_gen - generations: bring the next one in, or give it up; see supervise_int.h. */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/conf/conf_dump.h"
#include "master/daemon.h"
#include "master/logging.h"
#include "master/notify.h"
#include "master/supervise_int.h"

enum {
	GENERATION_LIMIT_MS = 60000,    /* all workers of a generation */
	ANSWER_LATEST_MS = 2000,        /* after the new generation serves; a worker that has not stopped accepting by then is late in all */
	ANSWER_LOOK_MS = 5,
};

void
supervise_reconcile(struct supervise *s, struct generation *g, int64_t now)
{
	for (size_t i = 0; g != NULL && i < g->slot_count; i++)
		if (g->slots[i].child == NULL && now >= g->slots[i].start_at_ms)
			supervise_start_child(s, g, &g->slots[i], now);
}

static bool
have_all_failed(const struct generation *g)
{
	for (size_t i = 0; i < g->slot_count; i++)
		if (!g->slots[i].has_failed)
			return false;
	return true;
}

void
supervise_answer_reload(struct supervise *s)
{
	struct ctl_client *c = s->reload_ticket ? ctl_find(s->ctl, s->reload_ticket) : NULL;

	s->reload_ticket = 0;
	s->answer_by_ms = 0;
	if (c == NULL)
		return;
	if (s->outcome.code == 0)
		ctl_ok(c);
	else
		ctl_err(c, s->outcome.code == EX_CONFIG ? "invalid" : "failed", "nothing was changed, generation %llu goes on",
		        (unsigned long long)s->current->number);
	ctl_lines(c, buf_text(&s->outcome.lines));
	if (s->outcome.code == 0)
		ctl_line(c, "generation %llu", (unsigned long long)s->current->number);
	ctl_end(c);
}

static bool
accepts_still(const struct child *c)
{
	return c->slot == NULL && c->was_ready && !c->is_stuck && c->role == CHILD_WORKER && c->status_fd >= 0 &&
	       atomic_load_explicit(&c->board->is_draining, memory_order_relaxed) == 0;
}

/* Who asks for a reload may count on it: the next session meets the new configuration. */
int64_t
supervise_answer_tick(struct supervise *s, int64_t now, int64_t next)
{
	if (s->answer_by_ms == 0)
		return next;
	for (const struct child *c = s->children; c != NULL && now < s->answer_by_ms; c = c->next)
		if (accepts_still(c))
			return MIN(next, now + ANSWER_LOOK_MS);
	supervise_answer_reload(s);
	return next;
}

static void
tell_ready(const struct supervise *s)
{
	char text[160];

	snprintf(text, sizeof(text), "Generation %llu, %zu of %zu workers ready", (unsigned long long)s->current->number, generation_ready(s->current),
	         s->current->slot_count);
	notify_ready(text);
}

/* The next generation serves from now on; the old one finishes what it has. */
static void
promote(struct supervise *s, int64_t now)
{
	struct generation *old = s->current;
	bool is_start = old == NULL;

	s->current = s->next;
	s->next = NULL;
	if (old != NULL) {
		s->count.reloads++;
		supervise_drain_generation(s, old->number, s->current->conf->worker_drain_timeout, now);
		logging_use(s->current->conf, s->current->log_fd);
		supervise_pass_log_file(s, s->current->log_fd);
		generation_destroy(&old, s->current);
		generation_dress(s->current);
		supervise_cache_follow(s, now);
	}
	log_info("generation %llu serves with %zu of %zu workers", (unsigned long long)s->current->number, generation_ready(s->current),
	         s->current->slot_count);
	if (!is_start)
		outcome_log(&s->outcome);
	s->answer_by_ms = now + ANSWER_LATEST_MS;
	tell_ready(s);
	daemon_finish(0);
}

static void
give_up_next(struct supervise *s, int64_t now)
{
	uint64_t number = s->next->number;
	bool is_start = s->current == NULL;

	supervise_drain_generation(s, number, is_start ? 0 : s->current->conf->worker_drain_timeout, now);
	if (is_start) {
		s->exit_code = s->outcome.code;
		supervise_stop(s, true, "");
		return;
	}
	s->count.reloads_failed++;
	outcome_log(&s->outcome);
	log_error("generation %llu was given up, generation %llu goes on", (unsigned long long)number, (unsigned long long)s->current->number);
	generation_destroy(&s->next, s->current);
	supervise_answer_reload(s);
	tell_ready(s);
}

/* Is the next generation in, or out?  A reload is given up at the first worker that cannot start: the old generation is good.  The first start
 * lives with a crash as long as one worker may still make it, because there is nothing to go back to; a worker that says why it cannot work
 * ends it at once. */
void
supervise_judge_next(struct supervise *s, int64_t now)
{
	struct generation *g = s->next;
	bool is_late = now >= s->next_deadline_ms;
	size_t ready = generation_ready(g);

	if (ready == g->slot_count || (is_late && s->current == NULL && ready > 0)) {
		if (s->outcome.code != 0)       /* a crash on the way that a second try made good */
			outcome_forgive(&s->outcome);
		promote(s, now);
	} else if (is_late) {
		outcome_add(&s->outcome, EX_TEMPFAIL, "only %zu of %zu workers got ready within %d s", ready, g->slot_count,
		            GENERATION_LIMIT_MS / 1000);
		give_up_next(s, now);
	} else if (s->outcome.code != 0 && (s->current != NULL || s->outcome.code != EX_SOFTWARE || have_all_failed(g)))
		give_up_next(s, now);
}

static void
warn_of_fixed_settings(struct supervise *s, const struct generation *g)
{
	struct buf names = buf_heap(4 * KIB);

	conf_dump_restarts(s->current->conf, g->conf, &names);
	if (names.n > 0)
		outcome_add(&s->outcome, 0, "%s changed: in force in full only after a restart", buf_text(&names).p);
	buf_fini(&names);
}

void
supervise_expect_next(struct supervise *s, int64_t now)
{
	s->next_deadline_ms = now + GENERATION_LIMIT_MS;
}

void
supervise_reload(struct supervise *s, uint64_t ticket, const char *who)
{
	int64_t now = clock_mono_ms();
	struct generation *g = NULL;

	if (s->is_stopping || s->next != NULL) {
		s->reload_again = !s->is_stopping;
		return;
	}
	log_info("reload (%s)", who);
	notify_reloading();
	s->reload_again = false;
	supervise_answer_reload(s);     /* of the one before, if it still waits */
	s->reload_ticket = ticket;
	outcome_clear(&s->outcome);
	if (generation_make(s->options, s->last_number + 1, false, now, &g, &s->outcome) == RC_OK &&
	    generation_listen(g, s->current, &s->outcome) == RC_OK) {
		warn_of_fixed_settings(s, g);
		s->last_number = g->number;
		s->next = g;
		supervise_expect_next(s, now);
		return;
	}
	generation_destroy(&g, s->current);
	s->count.reloads_failed++;
	outcome_log(&s->outcome);
	log_error("nothing was changed, generation %llu goes on", (unsigned long long)s->current->number);
	supervise_answer_reload(s);
	tell_ready(s);
}
