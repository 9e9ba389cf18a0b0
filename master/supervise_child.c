/* supervise_child - the children: started, heard, watched, buried; see supervise_int.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "master/sig.h"
#include "master/supervise_int.h"

enum {
	READY_LIMIT_MS = 30000,         /* one worker, from exec to READY */
	LEAVE_MS = 5000,                /* a worker that was told to go before it was ready, or said that it failed */
	DRAIN_GRACE_MS = 1000,          /* beyond the time that the worker was given itself */
	TERM_GRACE_MS = 2000,           /* between TERM and KILL */
	ABRT_GRACE_MS = 10000,          /* between ABRT and KILL: time to write a core */
	STUCK_GRACE_MS = 5000,          /* between DRAIN and ABRT of a stuck worker, at most */
	WATCH_MS = 1000,                /* boards are looked at this often, or four times per worker.stuck_timeout */
	PAUSE_MS = 3000,                /* if we ourselves were stopped for this long, nobody is called stuck for it */
	RETIRED_TOO_SOON_MS = 1000,     /* a worker that retires so soon after READY is braked like a crash */
	FRAMES_PER_ROUND = 16,          /* a child that floods us does not keep the others waiting */
};

static void on_child(void *arg, uint32_t events);

static void
detach(struct child *c, int64_t successor_at_ms)
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
	int64_t wait_ms = c->was_ready ? seconds * 1000 + DRAIN_GRACE_MS : LEAVE_MS;

	detach(c, now);
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
		if (c->generation == number)
			supervise_drain(c, seconds, now);
}

static struct generation *
generation_of(struct supervise *s, const struct slot *slot)
{
	struct generation *all[] = { s->current, s->next };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i] != NULL && slot >= all[i]->slots && slot < all[i]->slots + all[i]->slot_count)
			return all[i];
	return NULL;
}

/* A start that did not work, for the brake and for the outcome of a generation on its way in. */
static void
slot_failed(struct supervise *s, struct slot *slot, int code, const char *reason, int64_t now)
{
	bool is_first_try = generation_of(s, slot) == s->next;

	slot->has_failed = true;
	slot->start_at_ms = brake_died(&slot->brake, false, now);
	if (!is_first_try)
		log_error("worker %u: %s; next try in %lld s", slot->number, reason, (long long)(slot->start_at_ms - now) / 1000);
	else if (s->outcome.code == 0)          /* one line is enough for a generation whose workers all die of the same thing */
		outcome_add(&s->outcome, code, "worker %u: %s", slot->number, reason);
}

void
supervise_start_child(struct supervise *s, struct generation *g, struct slot *slot, int64_t now)
{
	char why[FDIO_WHY_MAX];
	struct child *c;
	struct child_plan plan = {
		.exe = s->options->exe, .role = "worker", .generation = g->number, .number = slot->number, .group = slot->group,
		.conf_fd = g->conf_fd, .listen_fd = listen_fd(g->listeners[slot->group]), .log_fd = g->log_fd,
		.session_count = (uint32_t)MIN(g->conf->worker_max_sessions, (int64_t)BOARD_SESSIONS_MAX),
	};

	if (child_spawn(&plan, now, &c, why, sizeof(why)) != RC_OK) {
		slot_failed(s, slot, EX_TEMPFAIL, why, now);
		return;
	}
	s->count.started++;
	c->owner = s;
	c->slot = slot;
	slot->child = c;
	c->next = s->children;
	s->children = c;
	child_plan_signal(c, SIGKILL, now + READY_LIMIT_MS);
	if (loop_add(s->loop, c->status_fd, EPOLLIN, on_child, c) != RC_OK)
		child_plan_signal(c, SIGKILL, now);
	log_debug("worker %u of generation %llu started as pid %d", c->number, (unsigned long long)g->number, (int)c->pid);
}

/* Those that asked to be replaced served until now. */
static void
relieve(struct supervise *s, const struct child *successor, int64_t now)
{
	for (struct child *c = s->children; c != NULL; c = c->next)
		if (c->awaits_successor && c->generation == successor->generation && c->group == successor->group
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

		c->drain_until_ms = now + supervise_conf(s)->worker_drain_timeout * 1000 + DRAIN_GRACE_MS;
		child_plan_signal(c, SIGTERM, c->drain_until_ms);
		return;
	}
	c->state = CHILD_READY;
	c->next_signal = 0;
	if (c->slot != NULL) {
		c->slot->has_failed = false;
		brake_ready(&c->slot->brake);
	}
	log_debug("worker %u (pid %d) is ready", c->number, (int)c->pid);
	relieve(c->owner, c, now);
}

static void
on_retiring(struct supervise *s, struct child *c, int64_t value, int64_t now)
{
	int64_t successor_at = now;

	if (c->state != CHILD_READY)
		return;
	s->count.retired++;
	if (c->slot != NULL && now - c->ready_ms < RETIRED_TOO_SOON_MS)
		successor_at = brake_died(&c->slot->brake, true, now);
	detach(c, successor_at);
	c->state = CHILD_RETIRING;
	c->awaits_successor = true;
	log_info("worker %u (pid %d) retires (%s), a successor starts", c->number, (int)c->pid,
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
		log_warn("worker %u (pid %d) sent a frame of generation %llu, ignored", c->number, (int)c->pid, (unsigned long long)f->generation);
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
	default:
		s->count.bad_frames++;
		log_limited(LOG_L_WARN, "a worker sent a frame that only the supervisor may send, ignored");
	}
}

static void
read_frames(struct supervise *s, struct child *c)
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
			log_limited(LOG_L_WARN, "a worker sent %s, ignored", why);
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

	read_frames(c->owner, c);
}

/* Its start did not work: in its own words, if it had time for them. */
static void
bury_unready(struct supervise *s, struct child *c, struct slot *slot, int wait_status, const char *end, int64_t now)
{
	int code = EX_SOFTWARE;
	char reason[STATUS_TEXT_MAX + 64];

	if (slot == NULL)
		return;
	if (c->failed_code != 0) {
		code = c->failed_code;
		if (code < 0)
			code = WIFEXITED(wait_status) && (WEXITSTATUS(wait_status) == EX_CONFIG || WEXITSTATUS(wait_status) == EX_TEMPFAIL) ?
			       WEXITSTATUS(wait_status) : EX_UNAVAILABLE;
		snprintf(reason, sizeof(reason), "%s", log_str(span_cstr(c->failed_text)));
	} else {
		if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0)
			code = WEXITSTATUS(wait_status);
		snprintf(reason, sizeof(reason), "pid %d %s before it was ready", (int)c->pid, end);
	}
	slot_failed(s, slot, code, reason, now);
}

static void
bury_ready(struct supervise *s, struct child *c, struct slot *slot, int wait_status, const char *end, int64_t now)
{
	bool is_good = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	struct buf work = buf_heap(16 * KIB);
	int64_t at = now;

	if (slot != NULL)
		at = slot->start_at_ms = brake_died(&slot->brake, true, now);
	if (is_good && slot == NULL) {
		log_debug("worker %u (pid %d, generation %llu) %s", c->number, (int)c->pid, (unsigned long long)c->generation, end);
		return;
	}
	child_print_work(c, &work);
	if (s->is_stopping && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL) {   /* stop --now, or its time was over */
		log_info("worker %u (pid %d, generation %llu) was ended; messages in progress: %s", c->number, (int)c->pid,
		         (unsigned long long)c->generation, work.n > 0 ? buf_text(&work).p : "none known");
		buf_fini(&work);
		return;
	}
	s->count.crashed += !is_good;
	log_error("worker %u (pid %d, generation %llu) %s; messages in progress: %s%s", c->number, (int)c->pid, (unsigned long long)c->generation,
	          end, work.n > 0 ? buf_text(&work).p : "none known",
	          slot == NULL ? "" : at > now ? "; a successor starts soon (it died too often)" : "; a successor starts");
	buf_fini(&work);
}

static void
bury(struct supervise *s, struct child *c, int wait_status)
{
	int64_t now = clock_mono_ms();
	struct buf end = buf_heap(KIB);
	struct slot *slot;

	read_frames(s, c);              /* its last words may still be in the pipe */
	slot = c->slot;
	detach(c, now);
	totals_observe(&c->seen, c->board);
	totals_add(&s->retired, &c->seen);
	child_print_end(wait_status, &end);
	if (s->is_stopping)
		slot = NULL;
	if (c->was_ready)
		bury_ready(s, c, slot, wait_status, buf_text(&end).p, now);
	else
		bury_unready(s, c, slot, wait_status, buf_text(&end).p, now);
	buf_fini(&end);
	for (struct child **p = &s->children; *p != NULL; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	loop_remove(s->loop, c->status_fd);
	child_destroy(&c);
}

void
supervise_reap(struct supervise *s)
{
	int wait_status;
	pid_t pid;

	/* All children, not only known ones: as process 1 of a container we inherit orphans. */
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		struct child *c = s->children;

		while (c != NULL && c->pid != pid)
			c = c->next;
		if (c != NULL)
			bury(s, c, wait_status);
	}
}

void
supervise_pass_log_file(struct supervise *s, int fd)
{
	for (struct child *c = s->children; fd >= 0 && c != NULL; c = c->next)
		if (c->status_fd >= 0)
			(void)!status_send(c->status_fd, STATUS_LOG_REOPEN, c->generation, 0, NULL, fd);
}

/* ---- watching ---------------------------------------------------------------------------------------------- */

static void
send_signal(struct supervise *s, struct child *c, int64_t now)
{
	int sig = c->next_signal;

	log_warn("worker %u (pid %d) %s: sending it %s", c->number, (int)c->pid,
	         !c->was_ready ? "did not get ready or leave in time" : c->is_stuck ? "is stuck" : "is not done after its time", sig_name(sig));
	kill(c->pid, sig);
	s->count.killed += sig == SIGKILL;
	if (sig == SIGKILL)
		child_plan_signal(c, SIGKILL, now + KILL_AGAIN_MS);
	else
		child_plan_signal(c, SIGKILL, now + (sig == SIGABRT ? ABRT_GRACE_MS : TERM_GRACE_MS));
}

static void
declare_stuck(struct supervise *s, struct child *c, int64_t timeout_ms, int64_t now)
{
	struct buf work = buf_heap(16 * KIB);
	int64_t successor_at = now;

	c->is_stuck = true;
	s->count.stuck++;
	child_print_work(c, &work);
	log_error("worker %u (pid %d, generation %llu) shows no sign of life for %lld ms; messages in progress: %s", c->number, (int)c->pid,
	          (unsigned long long)c->generation, (long long)(now - c->beat_changed_ms), work.n > 0 ? buf_text(&work).p : "none known");
	buf_fini(&work);
	if (c->slot != NULL)
		successor_at = brake_died(&c->slot->brake, true, now);
	detach(c, successor_at);
	c->awaits_successor = false;
	if (c->status_fd >= 0)
		(void)!status_send(c->status_fd, STATUS_DRAIN, c->generation, supervise_conf(s)->worker_drain_timeout, NULL, -1);
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
		child_plan_signal(c, SIGTERM, now + supervise_conf(s)->worker_drain_timeout * 1000 + DRAIN_GRACE_MS);
		log_warn("worker %u (pid %d) lives again and finishes its sessions", c->number, (int)c->pid);
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
