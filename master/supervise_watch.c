/* supervise_watch - signs of life, and what happens to children without any; see supervise_int.h. */
#include <signal.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/sig.h"
#include "master/supervise_int.h"

enum {
	ABRT_GRACE_MS = 10000,          /* between ABRT and KILL: time to write a core */
	ABRT_GRACE_CACHE_MS = 2000,     /* the same for the cache process, whose successor waits for its end */
	TERM_GRACE_MS = 2000,           /* between TERM and KILL */
	STUCK_GRACE_MS = 5000,          /* between DRAIN and ABRT of a stuck child, at most */
	WATCH_MS = 1000,                /* boards are looked at this often, or four times per worker.stuck_timeout */
	PAUSE_MS = 3000,                /* if we ourselves were stopped for this long, nobody is called stuck for it */
};

/* Told to go: how long it may take. */
static int64_t
time_to_leave(const struct supervise *s, const struct child *c)
{
	return c->role == CHILD_CACHE ? SUPERVISE_CACHE_LEAVE_S : supervise_conf(s)->worker_drain_timeout;
}

static void
send_signal(struct supervise *s, struct child *c, int64_t now)
{
	int sig = c->next_signal, grace_ms = TERM_GRACE_MS;

	log_warn("%s (pid %d) %s: sending it %s", c->name, (int)c->pid,
	         !c->was_ready ? "did not get ready or leave in time" : c->is_stuck ? "is stuck" : "is not done after its time", sig_name(sig));
	kill(c->pid, sig);
	if (sig == SIGKILL) {
		*(c->role == CHILD_CACHE ? &s->count.cache_killed : &s->count.killed) += 1;
		grace_ms = SUPERVISE_KILL_AGAIN_MS;
	} else if (sig == SIGABRT)
		grace_ms = c->role == CHILD_CACHE ? ABRT_GRACE_CACHE_MS : ABRT_GRACE_MS;
	child_plan_signal(c, SIGKILL, now + grace_ms);
}

static void
declare_stuck(struct supervise *s, struct child *c, int64_t timeout_ms, int64_t now)
{
	struct buf work = buf_heap(16 * KIB);
	int64_t successor_at = now;

	c->is_stuck = true;
	*(c->role == CHILD_CACHE ? &s->count.cache_stuck : &s->count.stuck) += 1;
	child_print_work(c, &work);
	log_error("%s (pid %d, generation %llu) shows no sign of life for %lld ms%s%s", c->name, (int)c->pid, (unsigned long long)c->generation,
	          (long long)(now - c->beat_changed_ms), c->role == CHILD_WORKER ? "; messages in progress: " : "",
	          c->role != CHILD_WORKER ? "" : work.n > 0 ? buf_text(&work).p : "none known");
	buf_fini(&work);
	if (c->slot != NULL)
		successor_at = brake_died(&c->slot->brake, true, now);
	supervise_detach(c, successor_at);
	c->awaits_successor = false;
	if (c->status_fd >= 0)
		(void)!status_send(c->status_fd, STATUS_DRAIN, c->generation, time_to_leave(s, c), NULL, -1);
	c->state = CHILD_RETIRING;
	child_plan_signal(c, SIGABRT, now + MIN(timeout_ms, (int64_t)STUCK_GRACE_MS));
}

static void
watch_child(struct supervise *s, struct child *c, int64_t timeout_ms, int64_t now)
{
	bool beats = child_beats(c, now);

	totals_observe(&c->seen, c->board);
	if (c->was_ready && beats && c->is_stuck && c->next_signal == SIGABRT) {
		c->is_stuck = false;
		child_plan_signal(c, SIGTERM, now + time_to_leave(s, c) * 1000 + SUPERVISE_DRAIN_GRACE_MS);
		log_warn("%s (pid %d) lives again and finishes what it has", c->name, (int)c->pid);
	} else if (c->was_ready && !c->is_stuck && now - c->beat_changed_ms > timeout_ms)
		declare_stuck(s, c, timeout_ms, now);
	if (c->next_signal != 0 && now >= c->signal_at_ms)
		send_signal(s, c, now);
}

int64_t
supervise_watch_interval(const struct supervise *s)
{
	return MIN((int64_t)WATCH_MS, MAX(supervise_conf(s)->worker_stuck_timeout * 250, (int64_t)50));
}

void
supervise_watch(struct supervise *s, int64_t now)
{
	int64_t timeout_ms = supervise_conf(s)->worker_stuck_timeout * 1000;
	bool was_paused = s->ticked_ms != 0 && now - s->ticked_ms > supervise_watch_interval(s) + PAUSE_MS;

	s->ticked_ms = now;
	for (struct child *c = s->children; c != NULL; c = c->next) {
		if (was_paused)
			c->beat_changed_ms = now;
		watch_child(s, c, timeout_ms, now);
	}
}
