/* supervise_cache - the cache process, its feed, the claims, the hit ratios; see supervise_int.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_dump.h"
#include "master/supervise_int.h"

enum {
	FEED_BYTES = 4 * MIB,           /* what workers may have offered while the cache process is away or behind */
	FIRST_WAIT_MS = 2000,           /* the workers, for the cache process, at the first start */
	HURRY_MS = 2000,                /* stop --now: to close cleanly */
	SETTINGS_MAX = 64 * MIB,
};

void
supervise_cache_init(struct supervise_cache *k)
{
	*k = (struct supervise_cache){ .feed_fd = { -1, -1 }, .claims_fd = -1 };
}

static bool
make_feed(int fd[2])
{
	int size = FEED_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0) {
		fd[0] = fd[1] = -1;
		return false;
	}
	/* Beyond the system's limit where we may; else as much as there is to be had.  All workers share the one sending end. */
	if (setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

void
supervise_cache_open(struct supervise *s, int64_t now)
{
	struct supervise_cache *k = &s->cache;

	brake_init(&k->slot.brake, now);
	k->slot.start_at_ms = now;
	k->wait_until_ms = now + FIRST_WAIT_MS;
	ratio_init(&k->ratio, now);
	if (!make_feed(k->feed_fd))
		log_error("cannot make the socket pair of the shared cache: %s; workers learn nothing from each other", strerror(errno));
	if (claims_create(&k->claims_fd, &k->claims) != RC_OK)
		log_error("cannot make shared memory for the workers' questions: %s; each worker asks for itself", strerror(errno));
}

void
supervise_cache_close(struct supervise_cache *k)
{
	fdio_close(&k->feed_fd[0]);
	fdio_close(&k->feed_fd[1]);
	fdio_close(&k->claims_fd);
	claims_detach(&k->claims);
	free(k->settings);
	k->settings = NULL;
}

/* ---- the process -------------------------------------------------------------------------------------------- */

struct child *
supervise_cache_child(const struct supervise *s)
{
	struct child *c = s->children;

	while (c != NULL && c->role != CHILD_CACHE)
		c = c->next;
	return c;
}

static const struct generation *
generation_now(const struct supervise *s)
{
	return s->current != NULL ? s->current : s->next;
}

static bool
is_relevant(struct span key)
{
	static const char *const begins[] = { "cache.", "log.", "syslog." };
	static const char *const whole[] = { "milter.user", "milter.chdir" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (span_eq(span_sub(key, 0, strlen(begins[i])), span_cstr(begins[i])))
			return true;
	for (size_t i = 0; i < ARRAY_LEN(whole); i++)
		if (span_eq(key, span_cstr(whole[i])))
			return true;
	return false;
}

/* What a cache process depends on: "key TAB value" lines. */
static char *
settings_of(const struct conf *c)
{
	struct buf table = buf_heap(SETTINGS_MAX), out = buf_heap(SETTINGS_MAX);
	struct span left, line;
	char *text;

	conf_dump_table(c, &table);
	left = buf_text(&table);
	while (span_split(&left, '\n', &line)) {
		size_t key_n = span_find(line, '\t');
		size_t value_n = span_find(span_from(line, MIN(key_n + 1, line.n)), '\t');

		if (!is_relevant(span_sub(line, 0, key_n)))
			continue;
		buf_span(&out, span_sub(line, 0, key_n + 1 + value_n));
		buf_byte(&out, '\n');
	}
	text = xstrndup(buf_text(&out).p, out.n);
	buf_fini(&table);
	buf_fini(&out);
	return text;
}

static void
start(struct supervise *s, const struct generation *g, int64_t now)
{
	struct supervise_cache *k = &s->cache;
	char why[FDIO_WHY_MAX], reason[2 * FDIO_WHY_MAX];
	struct child *c;
	struct child_plan plan = {
		.exe = s->options->exe, .role = CHILD_CACHE, .generation = k->last_number + 1, .conf_fd = g->conf_fd, .log_fd = g->log_fd,
		.listen_fd = -1, .feed_fd = k->feed_fd[1], .claims_fd = -1,
	};

	free(k->settings);
	k->settings = settings_of(g->conf);
	if (identity_make_folder_for(g->conf->cache_path, &g->id, why, sizeof(why)) != RC_OK) {
		snprintf(reason, sizeof(reason), "cache.path %s: %s (make it and give it to %s, or change cache.path, or set cache.enabled to no)",
		         g->conf->cache_path, why, g->conf->milter_user[0] != '\0' ? g->conf->milter_user : "the user that enma runs as");
		supervise_slot_failed(s, &k->slot, EX_CONFIG, reason, now);
		return;
	}
	if (child_spawn(&plan, now, &c, why, sizeof(why)) != RC_OK) {
		supervise_slot_failed(s, &k->slot, EX_TEMPFAIL, why, now);
		return;
	}
	k->last_number++;
	s->count.cache_started++;
	supervise_adopt(s, &k->slot, c, now);
}

void
supervise_cache_reconcile(struct supervise *s, int64_t now)
{
	const struct generation *g = generation_now(s);

	/* An old one that still lives holds the writer's lock. */
	if (g != NULL && g->conf->cache_enabled && now >= s->cache.slot.start_at_ms && supervise_cache_child(s) == NULL)
		start(s, g, now);
}

int64_t
supervise_cache_next(const struct supervise *s, int64_t next)
{
	const struct generation *g = generation_now(s);

	if (g == NULL || !g->conf->cache_enabled)
		return next;
	if (s->current == NULL && s->cache.wait_until_ms > clock_mono_ms())
		next = MIN(next, s->cache.wait_until_ms);
	return supervise_cache_child(s) == NULL ? MIN(next, s->cache.slot.start_at_ms) : next;
}

bool
supervise_cache_is_awaited(const struct supervise *s, int64_t now)
{
	const struct slot *slot = &s->cache.slot;

	return s->current == NULL && s->next != NULL && s->next->conf->cache_enabled && now < s->cache.wait_until_ms && !slot->has_failed &&
	       (slot->child == NULL || slot->child->state == CHILD_STARTING);
}

void
supervise_cache_follow(struct supervise *s, int64_t now)
{
	struct supervise_cache *k = &s->cache;
	const struct conf *c = s->current->conf;
	char *wanted = c->cache_enabled ? settings_of(c) : NULL;
	bool is_same = wanted != NULL && k->settings != NULL && strcmp(wanted, k->settings) == 0;
	struct child *old = supervise_cache_child(s);

	free(wanted);
	if (is_same && k->slot.child != NULL)
		return;
	/* Whatever kept the last one from starting may be gone with the old configuration. */
	brake_init(&k->slot.brake, now);
	k->slot.has_failed = false;
	if (old != NULL && !is_same) {
		log_info("the cache process (pid %d) leaves: %s", (int)old->pid, c->cache_enabled ? "its settings changed, a successor starts" :
		         "cache.enabled is no");
		supervise_drain(old, SUPERVISE_CACHE_LEAVE_S, now);
	}
	k->slot.start_at_ms = now;
}

static bool
has_workers(const struct supervise *s)
{
	for (const struct child *c = s->children; c != NULL; c = c->next)
		if (c->role == CHILD_WORKER)
			return true;
	return false;
}

void
supervise_cache_leave(struct supervise *s, int64_t now)
{
	struct child *c = supervise_cache_child(s);

	if (c == NULL || has_workers(s))
		return;
	if (c->state != CHILD_RETIRING)
		supervise_drain(c, SUPERVISE_CACHE_LEAVE_S, now);
	if (s->is_hurried && !s->cache.is_hurried) {
		s->cache.is_hurried = true;
		child_plan_signal(c, SIGKILL, now + HURRY_MS);
	}
}

void
supervise_cache_bereave(struct supervise *s, pid_t worker)
{
	const struct child *c = supervise_cache_child(s);

	if (s->cache.claims != NULL)
		claims_release_all(s->cache.claims, worker);
	/* If it does not read, it finds out by itself (WRITER_CHECK_S). */
	if (c != NULL && c->status_fd >= 0 && c->was_ready)
		(void)!status_send(c->status_fd, STATUS_CHILD_DIED, c->generation, worker, NULL, -1);
}

void
supervise_cache_pass(struct supervise *s, struct ctl_client *client, const char *text, int64_t number)
{
	const struct child *c = s->cache.slot.child;

	if (c != NULL && c->state == CHILD_READY && c->status_fd >= 0 &&
	    status_send(c->status_fd, STATUS_REQUEST, c->generation, number, text, ctl_socket(client)) == RC_OK) {
		ctl_forget(client);
		return;
	}
	ctl_err(client, "busy", "the cache process is not there at the moment; ask again soon");
	ctl_end(client);
}

/* ---- hit ratios ---------------------------------------------------------------------------------------------- */

void
supervise_cache_lookups(const struct totals *t, uint64_t *hits_out, uint64_t *lookups_out)
{
	uint64_t hits = 0, others = 0;

	/* Stale answers are a second look for a question that was counted as expired before. */
	for (int class = 0; class < BOARD_C_COUNT; class++) {
		hits += t->counter[BOARD_CACHE(class, BOARD_E_HITS)];
		others += t->counter[BOARD_CACHE(class, BOARD_E_MISSES)] + t->counter[BOARD_CACHE(class, BOARD_E_EXPIRED)];
	}
	*hits_out = hits;
	*lookups_out = hits + others;
}

void
supervise_cache_sample(struct supervise *s, int64_t now)
{
	struct totals sum;
	uint64_t hits, lookups;

	if (now < ratio_due(&s->cache.ratio))
		return;
	supervise_totals(s, &sum);
	supervise_cache_lookups(&sum, &hits, &lookups);
	ratio_sample(&s->cache.ratio, hits, lookups, now);
}
