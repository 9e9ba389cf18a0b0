/* watch - the thread that looks after a worker; see watch.h. */
#include "worker/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/ipc/status.h"
#include "worker/kick.h"

enum {
	MS_PER_S = 1000,
	SPREAD_PERCENT = 20,            /* workers that were started together do not leave together */
};

/* Somewhere within SPREAD_PERCENT of n, at least 1. */
static uint64_t
spread(uint64_t n)
{
	uint64_t dice = 0, width = n * SPREAD_PERCENT / 100;

	if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != (ssize_t)sizeof dice)
		dice = (uint64_t)clock_mono_us();
	return MAX(n - width + dice % (2 * width + 1), 1);
}

void
watch_init(struct watch *w)
{
	if (w->conf->worker_retire_sessions > 0)
		w->retire_at = spread((uint64_t)w->conf->worker_retire_sessions);
	w->next_rss_ms = clock_mono_ms() + WATCH_RSS_EVERY_MS;
}

void
watch_resolver_beat(void *arg)
{
	struct watch *w = arg;

	atomic_store_explicit(&w->resolver_beat_ms, clock_mono_ms(), memory_order_relaxed);
}

/* ---- beat ------------------------------------------------------------------------------------------------ */

static bool
is_resolver_alive(struct watch *w, int64_t now_ms)
{
	int64_t beat = atomic_load_explicit(&w->resolver_beat_ms, memory_order_relaxed);

	return beat == 0 || now_ms - beat < WATCH_RESOLVER_LATE_MS;
}

static void
beat(struct watch *w)
{
	int64_t now_ms = clock_mono_ms();

	if (!is_resolver_alive(w, now_ms)) {
		log_limited(LOG_L_ERROR, "the resolver's loop has stopped: no beat until it goes on");
		return;
	}
	slots_check_lock(w->slots);
	atomic_store_explicit(&w->board->beat_ms, now_ms, memory_order_relaxed);
}

/* ---- stuck sessions -------------------------------------------------------------------------------------- */

/* A thread cannot be taken out of a process: better a core to learn from and a successor at once. */
static void
check_stuck(struct watch *w)
{
	int64_t limit_ms = w->conf->resolver_deadline + w->conf->worker_stuck_timeout * MS_PER_S;
	struct slots_stuck stuck;

	if (!slots_find_stuck(w->slots, clock_mono_ms(), limit_ms, &stuck))
		return;
	stuck.qid[sizeof stuck.qid - 1] = '\0';
	log_msg(LOG_L_PANIC, "session of %s is stuck in phase %s for %lld s: giving up this worker (%zu sessions open)",
	    stuck.qid[0] == '\0' ? "a message without queue id" : log_str(span_cstr(stuck.qid)), board_phase_name(stuck.phase),
	    (long long)(stuck.for_ms / MS_PER_S), slots_open(w->slots));
	abort();
}

/* ---- leaving --------------------------------------------------------------------------------------------- */

static void
want_drain(struct watch *w, int64_t seconds)
{
	w->drain_until_ms = clock_mono_ms() + MAX(seconds, 0) * MS_PER_S;
	w->wants_drain = true;
}

/* Tried again at the next tick when there is no descriptor to be had. */
static void
start_drain(struct watch *w)
{
	if (!w->wants_drain)
		return;
	if (drain_begin(w->drain, w->drain_until_ms) != RC_OK) {
		log_limited(LOG_L_ERROR, "cannot stop accepting yet: %s", strerror(errno));
		return;
	}
	w->wants_drain = false;
	atomic_store_explicit(&w->board->is_draining, 1, memory_order_relaxed);
	log_debug("draining, %zu sessions open", slots_open(w->slots));
}

/* Never through exit(): libmilter's threads are still running, and its own cleaning would unlink sockets. */
static void
leave_if_done(struct watch *w)
{
	size_t open;

	if (!drain_is_over(w->drain, clock_mono_ms()))
		return;
	open = slots_open(w->slots);
	if (open > 0)
		log_warn("leaving with %zu sessions still open: their time (worker.drain_timeout) is over", open);
	else
		log_debug("leaving, all sessions are done");
	_exit(0);
}

/* ---- retirement ------------------------------------------------------------------------------------------ */

static int64_t
resident_bytes(void)
{
	char text[128];
	unsigned long long total, resident;
	FILE *f = fopen("/proc/self/statm", "re");
	bool ok = f != NULL && fgets(text, sizeof text, f) != NULL && sscanf(text, "%llu %llu", &total, &resident) == 2;

	if (f != NULL)
		fclose(f);
	return ok ? (int64_t)resident * sysconf(_SC_PAGESIZE) : 0;
}

static enum status_why
why_retire(struct watch *w)
{
	int64_t now_ms = clock_mono_ms();

	if (w->retire_at > 0 && slots_begun(w->slots) >= w->retire_at)
		return STATUS_WHY_SESSIONS;
	if (w->conf->worker_max_rss <= 0 || now_ms < w->next_rss_ms)
		return 0;
	w->next_rss_ms = now_ms + WATCH_RSS_EVERY_MS;
	return resident_bytes() > w->conf->worker_max_rss ? STATUS_WHY_RSS : 0;
}

/* Only says so: this worker serves until the supervisor sends DRAIN, so that its successor is there first. */
static void
check_retire(struct watch *w)
{
	enum status_why why;

	if (w->has_retired || w->drain->is_on || (why = why_retire(w)) == 0)
		return;
	if (status_send(w->status_fd, STATUS_RETIRING, w->generation, why, NULL, -1) == RC_OK)
		w->has_retired = true;
}

/* ---- frames ---------------------------------------------------------------------------------------------- */

static void
obey(struct watch *w, const struct status_frame *frame, int fd)
{
	if (frame->generation != w->generation) {
		log_warn("a frame for generation %llu was ignored", (unsigned long long)frame->generation);
		return;
	}
	switch (frame->kind) {
	case STATUS_DRAIN:
		want_drain(w, frame->value);
		break;
	case STATUS_LOG_REOPEN:
		if (fd >= 0)
			log_switch_fd(fd);
		break;
	case STATUS_FLUSH:
		shared_flush(w->shared, w->resolver);
		dkim_keys_flush(w->keys);
		if (status_send(w->status_fd, STATUS_FLUSHED, w->generation, frame->value, NULL, -1) != RC_OK)
			log_warn("cannot tell the supervisor that this worker has flushed");
		break;
	default:
		log_warn("a frame of unknown kind %u was ignored", frame->kind);
	}
}

static void
supervisor_is_gone(struct watch *w)
{
	if (w->status_fd < 0)
		return;
	log_error("the supervisor is gone: finishing %zu sessions, then leaving", slots_open(w->slots));
	close(w->status_fd);
	w->status_fd = -1;
	want_drain(w, w->conf->worker_drain_timeout);
}

/* Everything that waits to be read. */
static void
read_frames(struct watch *w)
{
	struct status_frame frame;
	const char *why = NULL;
	int fd = -1;

	for (;;) {
		switch (status_receive(w->status_fd, &frame, &fd, &why)) {
		case RC_OK:
			obey(w, &frame, fd);
			break;
		case RC_SYNTAX:
			log_warn("a bad frame was ignored: %s", why);
			break;
		case RC_NONE:
			supervisor_is_gone(w);
			return;
		default:
			return;
		}
		if (fd >= 0)
			close(fd);
	}
}

void
watch_run(struct watch *w)
{
	for (;;) {
		struct pollfd p = { .fd = w->status_fd, .events = POLLIN };

		/* fd -1 is ignored by poll. */
		if (poll(&p, 1, w->drain->is_on ? WATCH_DRAIN_TICK_MS : WATCH_TICK_MS) > 0)
			read_frames(w);
		start_drain(w);
		kick();
		shared_tick(w->shared);
		beat(w);
		check_stuck(w);
		check_retire(w);
		leave_if_done(w);
	}
}
