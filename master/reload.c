/* reload - generations; see reload.h. */
#include "master/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/snapshot.h"
#include "master/cachespace.h"
#include "master/logging.h"

enum {
	SNAPSHOT_MAX = 256 * MIB,
	/* How long a place in use is waited for at the first start: workers of a supervisor that was killed let go within moments. */
	PATIENCE_MS = 2000,
};

/* Also a configuration with mistakes is returned, so that the checks after it find theirs in the same run. */
static struct conf *
load(const struct master_options *o, struct outcome *outcome)
{
	struct conf_errors errors;
	struct conf *c = conf_load_loosely(o->conf_path, o->overrides, o->override_count, &errors);

	outcome_add_errors(outcome, EX_CONFIG, &errors);
	conf_errors_fini(&errors);
	return c;
}

static void
enter_folder(const struct conf *c, struct outcome *outcome)
{
	if (c->milter_chdir[0] != '\0' && chdir(c->milter_chdir) < 0)
		outcome_add(outcome, EX_CONFIG, "milter.chdir: cannot enter %s: %s", c->milter_chdir, strerror(errno));
}

/* The limit is inherited by the workers.  What cannot be had is said with both remedies; the worker's cap still holds. */
static void
raise_descriptor_limit(const struct conf *c, struct outcome *outcome)
{
	rlim_t need = (rlim_t)c->worker_max_sessions + CONF_WORKER_FILES_SPARE;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= need)
		return;
	l.rlim_cur = need;
	if (l.rlim_max != RLIM_INFINITY && l.rlim_max < need) {
		l.rlim_max = need;
		if (setrlimit(RLIMIT_NOFILE, &l) == 0)
			return;
		(void)getrlimit(RLIMIT_NOFILE, &l);
		l.rlim_cur = l.rlim_max;
		outcome_add(outcome, 0, "worker.max_sessions %lld needs %llu file descriptors for each worker, but this process may have only %llu: "
		            "raise the limit (ulimit -n, LimitNOFILE=) or lower worker.max_sessions to %lld", (long long)c->worker_max_sessions,
		            (unsigned long long)need, (unsigned long long)l.rlim_max,
		            (long long)MAX((long long)l.rlim_max - CONF_WORKER_FILES_SPARE, 1LL));
	}
	(void)setrlimit(RLIMIT_NOFILE, &l);
}

static void
freeze(struct generation *g, struct outcome *outcome)
{
	struct buf bytes = buf_heap(SNAPSHOT_MAX);
	struct conf_errors errors = { .v = NULL };
	struct span all;
	enum rc rc = snapshot_make(g->conf, &bytes, &errors);

	outcome_add_errors(outcome, EX_CONFIG, &errors);
	conf_errors_fini(&errors);
	if (rc == RC_OK && (rc = buf_done(&bytes, &all)) != RC_OK)
		outcome_add(outcome, EX_CONFIG, "the configuration and the files that it names are larger than %d MiB", SNAPSHOT_MAX / MIB);
	if (rc == RC_OK && (rc = fdio_memfd_sealed("enma-conf", all, &g->conf_fd)) != RC_OK)
		outcome_add(outcome, EX_TEMPFAIL, "cannot make shared memory for the configuration: %s", strerror(errno));
	buf_fini(&bytes);
	if (rc != RC_OK && outcome->code == 0)
		outcome_add(outcome, EX_CONFIG, "the files that the configuration names cannot be read (%s)", rc_name(rc));
}

/* Users and socket texts of all lines, so that one look shows every mistake. */
static void
check_sockets(struct generation *g, struct outcome *outcome)
{
	char why[FDIO_WHY_MAX];

	if (identity_resolve(g->conf->milter_user, &g->id, why, sizeof(why)) != RC_OK)
		outcome_add(outcome, EX_CONFIG, "milter.user: %s", why);
	for (size_t i = 0; i < g->conf->milter_socket.n; i++) {
		struct sockspec spec;
		struct listen_rules rules;

		if (sockspec_parse(g->conf->milter_socket.v[i], &spec, why, sizeof(why)) != RC_OK ||
		    listen_rules_of(g->conf, &spec, &g->id, &rules, why, sizeof(why)) != RC_OK)
			outcome_add(outcome, EX_CONFIG, "milter.socket: %s: %s", g->conf->milter_socket.v[i], why);
	}
}

static void
make_slots(struct generation *g, int64_t now_ms)
{
	unsigned per_group = conf_workers(g->conf);

	g->group_count = g->conf->milter_socket.n;
	g->listeners = xcalloc(g->group_count, sizeof(*g->listeners));
	g->slot_count = g->group_count * per_group;
	g->slots = xcalloc(g->slot_count, sizeof(*g->slots));
	for (size_t i = 0; i < g->slot_count; i++) {
		g->slots[i].number = (unsigned)i;
		g->slots[i].group = (unsigned)(i / per_group);
		brake_init(&g->slots[i].brake, now_ms);
	}
}

enum rc
generation_make(const struct master_options *o, uint64_t number, bool is_first, int64_t now_ms, struct generation **out,
                struct outcome *outcome)
{
	char why[FDIO_WHY_MAX];
	struct generation *g;
	struct conf *c;

	*out = NULL;
	c = load(o, outcome);
	g = xcalloc(1, sizeof(*g));
	g->number = number;
	g->conf = c;
	g->conf_fd = g->log_fd = -1;
	if (is_first)
		enter_folder(c, outcome);
	check_sockets(g, outcome);
	cachespace_check(c, outcome);
	freeze(g, outcome);
	if (outcome->code != 0) {
		generation_destroy(&g, NULL);
		return RC_SYNTAX;
	}
	if (logging_open_file(c, &g->log_fd, why, sizeof(why)) == RC_TEMP) {
		outcome_add(outcome, EX_CONFIG, "%s", why);
		generation_destroy(&g, NULL);
		return RC_SYNTAX;
	}
	raise_descriptor_limit(c, outcome);
	make_slots(g, now_ms);
	*out = g;
	return RC_OK;
}

static bool
is_taken(const struct generation *g, const struct listener *l)
{
	for (size_t i = 0; i < g->group_count; i++)
		if (g->listeners[i] == l)
			return true;
	return false;
}

/* A socket of the old generation at the same address that no other line of g has taken (two lines may both ask for "any port"). */
static struct listener *
find_shared(const struct generation *g, const struct generation *old, const struct sockspec *spec)
{
	for (size_t i = 0; old != NULL && i < old->group_count; i++)
		if (old->listeners[i] != NULL && listen_is_at(old->listeners[i], spec) && !is_taken(g, old->listeners[i]))
			return old->listeners[i];
	return NULL;
}

static enum rc
open_one(struct generation *g, size_t i, const struct generation *old, char *why, size_t size)
{
	struct sockspec spec;
	struct listen_rules rules;
	enum rc rc;

	if ((rc = sockspec_parse(g->conf->milter_socket.v[i], &spec, why, size)) != RC_OK)
		return rc;
	if ((g->listeners[i] = find_shared(g, old, &spec)) != NULL)
		return RC_OK;
	if ((rc = listen_rules_of(g->conf, &spec, &g->id, &rules, why, size)) != RC_OK)
		return rc;
	if (spec.family == AF_UNIX && (rc = identity_make_folder(spec.path, why, size)) != RC_OK)
		return rc;
	return listen_open(&spec, &rules, old == NULL ? PATIENCE_MS : 0, &g->listeners[i], why, size);
}

static void
close_unshared(struct generation *g, const struct generation *other)
{
	for (size_t i = 0; i < g->group_count; i++) {
		if (other == NULL || !is_taken(other, g->listeners[i]))
			listen_close(&g->listeners[i]);
		g->listeners[i] = NULL;
	}
}

enum rc
generation_listen(struct generation *g, const struct generation *old, struct outcome *outcome)
{
	char why[FDIO_WHY_MAX];

	for (size_t i = 0; i < g->group_count; i++)
		if (open_one(g, i, old, why, sizeof(why)) != RC_OK)
			outcome_add(outcome, EX_UNAVAILABLE, "milter.socket: %s", why);
	if (outcome->code == 0)
		return RC_OK;
	close_unshared(g, old);
	return RC_TEMP;
}

size_t
generation_ready(const struct generation *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->slot_count; i++)
		n += g->slots[i].child != NULL && g->slots[i].child->state == CHILD_READY;
	return n;
}

void
generation_dress(struct generation *g)
{
	char why[FDIO_WHY_MAX];
	struct sockspec spec;
	struct listen_rules rules;

	for (size_t i = 0; i < g->group_count; i++)
		if (sockspec_parse(g->conf->milter_socket.v[i], &spec, why, sizeof(why)) != RC_OK ||
		    listen_rules_of(g->conf, &spec, &g->id, &rules, why, sizeof(why)) != RC_OK ||
		    listen_adjust(g->listeners[i], &rules, why, sizeof(why)) != RC_OK)
			log_warn("milter.socket %s: %s", g->conf->milter_socket.v[i], why);
}

void
generation_close_sockets(struct generation *g)
{
	close_unshared(g, NULL);
}

void
generation_destroy(struct generation **gp, const struct generation *heir)
{
	struct generation *g = *gp;

	if (g == NULL)
		return;
	if (g->listeners != NULL)
		close_unshared(g, heir);
	fdio_close(&g->conf_fd);
	fdio_close(&g->log_fd);
	conf_destroy(&g->conf);
	free(g->listeners);
	free(g->slots);
	free(g);
	*gp = NULL;
}
