/*
 * supervise_flush - "cache flush" and its kin, in every process: first each worker forgets what it has by itself, then the cache process deletes;
 * see supervise_int.h.
 *
 * In this order, because a worker that still had the old answer would offer it again behind the deletion.  A worker that does not answer
 * within FLUSH_WAIT_MS is stuck, and soon gone.
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/supervise_int.h"

enum { FLUSH_WAIT_MS = 2000 };

void
supervise_flush(struct supervise *s, struct ctl_client *c, const char *text, int64_t now)
{
	struct supervise_flush *f = s->cache.flush, *end = f + ARRAY_LEN(s->cache.flush);

	while (f < end && f->ticket != 0)
		f++;
	if (f == end) {
		ctl_err(c, "busy", "%d others are in progress; ask again soon", CTL_CLIENTS_MAX);
		ctl_end(c);
		return;
	}
	log_info("cache %s (%s)", text, ctl_who(c));
	f->ticket = ctl_defer(c);
	f->number = ++s->cache.last_flush;
	f->begun_ms = now;
	f->until_ms = now + FLUSH_WAIT_MS;
	snprintf(f->text, sizeof(f->text), "%s", text);
}

/* Asks it if that was not done yet.  One that got ready later has nothing old. */
static bool
is_behind(struct child *c, const struct supervise_flush *f)
{
	if (c->role != CHILD_WORKER || c->status_fd < 0 || !c->was_ready || c->ready_ms > f->begun_ms || c->flush_done >= f->number)
		return false;
	if (c->flush_sent < f->number && status_send(c->status_fd, STATUS_FLUSH, c->generation, f->number, NULL, -1) == RC_OK)
		c->flush_sent = f->number;
	return true;
}

static void
go_on(struct supervise *s, struct supervise_flush *f)
{
	struct ctl_client *c = ctl_find(s->ctl, f->ticket);

	f->ticket = 0;
	if (c == NULL) {
		log_info("cache %s: the client has left, the shared cache keeps what it has", f->text);
	} else if (supervise_conf(s)->cache_enabled) {
		supervise_cache_pass(s, c, f->text, f->number);
	} else {
		ctl_ok(c);
		ctl_line(c, "the shared cache is off");
		ctl_end(c);
	}
}

int64_t
supervise_flush_tick(struct supervise *s, int64_t now, int64_t next)
{
	for (size_t i = 0; i < ARRAY_LEN(s->cache.flush); i++) {
		struct supervise_flush *f = &s->cache.flush[i];
		bool is_late = now >= f->until_ms, is_done = true;

		if (f->ticket == 0)
			continue;
		for (struct child *c = s->children; c != NULL; c = c->next) {
			if (!is_behind(c, f))
				continue;
			is_done = false;
			if (is_late)
				log_warn("cache %s: %s (pid %d) did not answer in time", f->text, c->name, (int)c->pid);
		}
		if (is_done || is_late)
			go_on(s, f);
		else
			next = MIN(next, f->until_ms);
	}
	return next;
}
