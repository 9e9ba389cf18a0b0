/* supervise_child - the children: started, heard, told to go; see supervise_int.h. */
#include <signal.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "master/supervise_int.h"

enum {
	READY_LIMIT_MS = 30000,         /* one child, from exec to READY */
	LEAVE_MS = 5000,                /* a child that was told to go before it was ready, or said that it failed */
	RETIRED_TOO_SOON_MS = 1000,     /* a worker that retires so soon after READY is braked like a crash */
	FRAMES_PER_ROUND = 16,          /* a child that floods us does not keep the others waiting */
};

static void on_child(void *arg, uint32_t events);

void
supervise_detach(struct child *c, int64_t successor_at_ms)
{
	if (c->slot == NULL)
		return;
	c->slot->child = NULL;
	c->slot->start_at_ms = successor_at_ms;
	c->slot = NULL;
}

/* Tells a child to finish.  It loses its slot: what comes next in that slot is a successor. */
void
supervise_drain(struct child *c, int64_t seconds, int64_t now)
{
	int64_t wait_ms = c->was_ready ? seconds * 1000 + SUPERVISE_DRAIN_GRACE_MS : LEAVE_MS;

	supervise_detach(c, now);
	if (c->state == CHILD_RETIRING && !c->awaits_successor && c->next_signal != 0 && c->signal_at_ms <= now + wait_ms)
		return;                         /* it goes already, and sooner */
	c->awaits_successor = false;
	/* A child that does not read its frames (stopped, stuck) meets the signals instead. */
	if (c->status_fd >= 0)
		(void)!status_send(c->status_fd, STATUS_DRAIN, c->generation, seconds, NULL, -1);
	c->state = CHILD_RETIRING;
	c->drain_until_ms = now + wait_ms;
	child_plan_signal(c, SIGTERM, c->drain_until_ms);
}

void
supervise_drain_generation(struct supervise *s, uint64_t number, int64_t seconds, int64_t now)
{
	for (struct child *c = s->children; c != NULL; c = c->next)
		if (c->role == CHILD_WORKER && c->generation == number)
			supervise_drain(c, seconds, now);
}

void
supervise_adopt(struct supervise *s, struct slot *slot, struct child *c, int64_t now)
{
	c->owner = s;
	c->slot = slot;
	slot->child = c;
	c->next = s->children;
	s->children = c;
	child_plan_signal(c, SIGKILL, now + READY_LIMIT_MS);
	if (loop_add(s->loop, c->status_fd, EPOLLIN, on_child, c) != RC_OK)
		child_plan_signal(c, SIGKILL, now);
	log_debug("%s of generation %llu started as pid %d", c->name, (unsigned long long)c->generation, (int)c->pid);
}

void
supervise_start_child(struct supervise *s, struct generation *g, struct slot *slot, int64_t now)
{
	char why[FDIO_WHY_MAX];
	struct child *c;
	struct child_plan plan = {
		.exe = s->options->exe, .role = CHILD_WORKER, .generation = g->number, .number = slot->number, .group = slot->group,
		.conf_fd = g->conf_fd, .listen_fd = listen_fd(g->listeners[slot->group]), .log_fd = g->log_fd,
		.feed_fd = g->conf->cache_enabled ? s->cache.feed_fd[0] : -1, .claims_fd = g->conf->cache_enabled ? s->cache.claims_fd : -1,
		.session_count = (uint32_t)MIN(g->conf->worker_max_sessions, (int64_t)BOARD_SESSIONS_MAX),
	};

	if (child_spawn(&plan, now, &c, why, sizeof(why)) != RC_OK) {
		supervise_slot_failed(s, slot, EX_TEMPFAIL, why, now);
		return;
	}
	s->count.started++;
	supervise_adopt(s, slot, c, now);
}

/* Those that asked to be replaced served until now. */
static void
relieve(struct supervise *s, const struct child *successor, int64_t now)
{
	for (struct child *c = s->children; c != NULL; c = c->next)
		if (c->awaits_successor && c->role == CHILD_WORKER && c->generation == successor->generation && c->group == successor->group
		    && c->number == successor->number)
			supervise_drain(c, supervise_conf(s)->worker_drain_timeout, now);
}

static void
on_ready(struct child *c, int64_t now)
{
	if (c->was_ready)
		return;
	c->was_ready = true;
	c->ready_ms = c->beat_changed_ms = now;
	if (c->state == CHILD_RETIRING) {       /* told to go while it started: it may have taken sessions since */
		const struct supervise *s = c->owner;

		if (c->role == CHILD_CACHE)
			return;                 /* its time is enough as it is */
		c->drain_until_ms = now + supervise_conf(s)->worker_drain_timeout * 1000 + SUPERVISE_DRAIN_GRACE_MS;
		child_plan_signal(c, SIGTERM, c->drain_until_ms);
		return;
	}
	c->state = CHILD_READY;
	c->next_signal = 0;
	if (c->slot != NULL) {
		c->slot->has_failed = false;
		brake_ready(&c->slot->brake);
	}
	log_debug("%s (pid %d) is ready", c->name, (int)c->pid);
	if (c->role == CHILD_WORKER)
		relieve(c->owner, c, now);
}

static void
on_retiring(struct supervise *s, struct child *c, int64_t value, int64_t now)
{
	int64_t successor_at = now;

	if (c->state != CHILD_READY)
		return;
	if (c->role == CHILD_CACHE) {           /* its successor cannot be there first: only one may write */
		log_info("%s (pid %d) retires, a successor starts", c->name, (int)c->pid);
		supervise_drain(c, SUPERVISE_CACHE_LEAVE_S, now);
		return;
	}
	s->count.retired++;
	if (c->slot != NULL && now - c->ready_ms < RETIRED_TOO_SOON_MS)
		successor_at = brake_died(&c->slot->brake, true, now);
	supervise_detach(c, successor_at);
	c->state = CHILD_RETIRING;
	c->awaits_successor = true;
	log_info("%s (pid %d) retires (%s), a successor starts", c->name, (int)c->pid,
	         value == STATUS_WHY_SESSIONS ? "worker.retire_sessions" : value == STATUS_WHY_RSS ? "worker.max_rss" : "its own wish");
}

static void
on_failed(struct child *c, const struct status_frame *f, int64_t now)
{
	if (c->was_ready)
		return;
	c->failed_code = f->value == EX_UNAVAILABLE || f->value == EX_TEMPFAIL || f->value == EX_CONFIG ? (int)f->value : -1;
	memcpy(c->failed_text, f->text, sizeof(c->failed_text));
	child_plan_signal(c, SIGKILL, now + LEAVE_MS);
}

static void
on_frame(struct supervise *s, struct child *c, const struct status_frame *f, int64_t now)
{
	if (f->generation != c->generation) {
		s->count.bad_frames++;
		log_warn("%s (pid %d) sent a frame of generation %llu, ignored", c->name, (int)c->pid, (unsigned long long)f->generation);
		return;
	}
	switch (f->kind) {
	case STATUS_READY:
		on_ready(c, now);
		break;
	case STATUS_RETIRING:
		on_retiring(s, c, f->value, now);
		break;
	case STATUS_FAILED:
		on_failed(c, f, now);
		break;
	case STATUS_FLUSHED:
		if (f->value > c->flush_done && f->value <= c->flush_sent)
			c->flush_done = f->value;
		break;
	default:
		s->count.bad_frames++;
		log_limited(LOG_L_WARN, "a child sent a frame that only the supervisor may send, ignored");
	}
}

void
supervise_read_frames(struct supervise *s, struct child *c)
{
	for (int i = 0; i < FRAMES_PER_ROUND && c->status_fd >= 0; i++) {
		struct status_frame f;
		const char *why;
		int fd;
		enum rc rc = status_receive(c->status_fd, &f, &fd, &why);

		fdio_close(&fd);
		if (rc == RC_OK)
			on_frame(s, c, &f, clock_mono_ms());
		else if (rc == RC_SYNTAX) {
			s->count.bad_frames++;
			log_limited(LOG_L_WARN, "a child sent %s, ignored", why);
		} else if (rc == RC_TEMP)
			return;
		else {
			loop_remove(s->loop, c->status_fd);
			fdio_close(&c->status_fd);
		}
	}
}

static void
on_child(void *arg, uint32_t events UNUSED)
{
	struct child *c = arg;

	supervise_read_frames(c->owner, c);
}

void
supervise_pass_log_file(struct supervise *s, int fd)
{
	for (struct child *c = s->children; fd >= 0 && c != NULL; c = c->next)
		if (c->status_fd >= 0)
			(void)!status_send(c->status_fd, STATUS_LOG_REOPEN, c->generation, 0, NULL, fd);
}
