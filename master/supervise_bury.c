/* supervise_bury - children that did not start or have ended: what is said, counted and planned; see supervise_int.h. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/supervise_int.h"

static struct generation *
generation_of(struct supervise *s, const struct slot *slot)
{
	struct generation *all[] = { s->current, s->next };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i] != NULL && slot >= all[i]->slots && slot < all[i]->slots + all[i]->slot_count)
			return all[i];
	return NULL;
}

void
supervise_slot_failed(struct supervise *s, struct slot *slot, int code, const char *reason, int64_t now)
{
	long long wait_s;

	slot->has_failed = true;
	slot->start_at_ms = brake_died(&slot->brake, false, now);
	wait_s = (slot->start_at_ms - now) / 1000;
	if (slot == &s->cache.slot)
		log_error("the cache process: %s; mail goes on without the shared cache, next try in %lld s", reason, wait_s);
	else if (generation_of(s, slot) != s->next)
		log_error("worker %u: %s; next try in %lld s", slot->number, reason, wait_s);
	else if (s->outcome.code == 0)          /* one line is enough for a generation whose workers all die of the same thing */
		outcome_add(&s->outcome, code, "worker %u: %s", slot->number, reason);
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
	supervise_slot_failed(s, slot, code, reason, now);
}

static const char *
what_follows(const struct slot *slot, int64_t at, int64_t now)
{
	return slot == NULL ? "" : at > now ? "; a successor starts soon (it died too often)" : "; a successor starts";
}

/* Nobody asked it to go, or it went in another way than it should. */
static void
tell_crash(const struct child *c, const char *end, bool was_ended, const char *what)
{
	struct buf work = buf_heap(16 * KIB);

	if (c->role == CHILD_WORKER) {
		size_t head;

		buf_str(&work, "; messages in progress: ");
		head = work.n;
		child_print_work(c, &work);
		if (work.n == head)
			buf_str(&work, "none known");
	}
	if (was_ended)
		log_info("%s (pid %d, generation %llu) was ended%s", c->name, (int)c->pid, (unsigned long long)c->generation, buf_text(&work).p);
	else
		log_error("%s (pid %d, generation %llu) %s%s%s", c->name, (int)c->pid, (unsigned long long)c->generation, end, buf_text(&work).p,
		          what);
	buf_fini(&work);
}

static void
bury_ready(struct supervise *s, struct child *c, struct slot *slot, int wait_status, const char *end, int64_t now)
{
	bool is_good = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
	bool was_ended = s->is_stopping && WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL; /* stop --now, or its time was over */
	int64_t at = now;

	if (slot != NULL)
		at = slot->start_at_ms = brake_died(&slot->brake, true, now);
	if (is_good && slot == NULL) {
		log_debug("%s (pid %d, generation %llu) %s", c->name, (int)c->pid, (unsigned long long)c->generation, end);
		return;
	}
	tell_crash(c, end, was_ended, what_follows(slot, at, now));
	if (!was_ended && !is_good)
		*(c->role == CHILD_CACHE ? &s->count.cache_crashed : &s->count.crashed) += 1;
}

static void
bury(struct supervise *s, struct child *c, int wait_status)
{
	int64_t now = clock_mono_ms();
	struct buf end = buf_heap(KIB);
	struct slot *slot;

	supervise_read_frames(s, c);    /* its last words may still be in the pipe */
	slot = c->slot;
	supervise_detach(c, now);
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
	if (c->role == CHILD_WORKER)
		supervise_cache_bereave(s, c->pid);
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
