/* worker - the role of a process that serves one milter socket; see worker.h. */
#include "worker/worker.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/dns/dns_unbound.h"
#include "common/ipc/privs.h"
#include "common/ipc/role.h"
#include "worker/drain.h"
#include "worker/exclusion.h"
#include "worker/mechanisms.h"
#include "worker/milter.h"
#include "worker/resolver.h"
#include "worker/results.h"
#include "worker/session.h"
#include "worker/shared.h"
#include "worker/watch.h"

enum {
	WHY_MAX = STATUS_TEXT_MAX,
};

struct worker {
	struct role role;
	char label[32];
	struct shared shared;
	struct resolver resolver;
	struct results results;
	struct mechanisms mechanisms;
	char host[256];
	struct session_env env;
	struct drain drain;
	struct watch watch;
};

_Static_assert(CONF_WORKER_FILES_SPARE > DNS_UNBOUND_SOCKETS + 256, "room for the resolver's sockets");

static void
set_up_process(struct worker *w)
{
	size_t wanted = (size_t)w->role.conf->worker_max_sessions + CONF_WORKER_FILES_SPARE, files = privs_raise_files(wanted);

	if (files < wanted)
		log_warn("%zu open files are allowed, %zu are wanted for worker.max_sessions: raise the limit (LimitNOFILE, ulimit -n) "
		    "or lower worker.max_sessions", files, wanted);
	role_drop(&w->role);
}

/* ---- what sessions need ---------------------------------------------------------------------------------- */

/* The full name where the system knows one. */
static void
find_host_name(char *out, size_t size)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;

	if (gethostname(out, size) != 0)
		snprintf(out, size, "localhost");
	out[size - 1] = '\0';
	if (strchr(out, '.') != NULL || getaddrinfo(out, NULL, &hints, &found) != 0)
		return;
	if (found->ai_canonname != NULL && strchr(found->ai_canonname, '.') != NULL)
		snprintf(out, size, "%s", found->ai_canonname);
	freeaddrinfo(found);
}

static const struct authres_ids *
make_ids(const struct conf *conf, struct span identifier)
{
	const struct conf_list *more = &conf->authresult_remove_identifiers;
	struct span *others = xcalloc(more->n + 1, sizeof *others);
	const struct authres_ids *ids;

	for (size_t i = 0; i < more->n; i++)
		others[i] = span_cstr(more->v[i]);
	ids = authres_ids_create(identifier, others, more->n);
	free(others);
	return ids;
}

static void
fill_env(struct worker *w)
{
	struct session_env *env = &w->env;
	struct ip_set *exclusions;
	char why[WHY_MAX];

	find_host_name(w->host, sizeof w->host);
	env->conf = w->role.conf;
	env->board = w->role.board;
	env->generation = w->role.args->generation;
	env->receiver = span_cstr(w->host);
	env->identifier = w->role.conf->authresult_identifier[0] != '\0' ? span_cstr(w->role.conf->authresult_identifier) : env->receiver;
	env->ids = make_ids(w->role.conf, env->identifier);
	mechanisms_init(&w->mechanisms, w->role.conf);
	env->options = w->mechanisms.eval;
	if (exclusion_create(w->role.snapshot, &exclusions, why, sizeof why) != RC_OK)
		role_give_up(&w->role, EX_CONFIG, "%s", why);
	env->exclusions = exclusions;
	env->slots = slots_create(w->role.board, (size_t)w->role.conf->worker_max_sessions);
}

static void
start_resolver(struct worker *w)
{
	char why[WHY_MAX];
	enum rc rc = resolver_create(w->role.snapshot, w->shared.cache, w->shared.claims, w->role.board, &w->resolver, why, sizeof why);

	if (rc != RC_OK)
		role_give_up(&w->role, role_exit_code(rc), "%s", why);
	results_init(&w->results, w->shared.cache, w->role.snapshot);
	w->env.results = &w->results;
	w->env.pool = message_pool_create(w->resolver.answers);
}

static void
prepare_milter(struct worker *w)
{
	struct milter_options o = {
		.env = &w->env, .listen_fd = PROCFD_LISTEN, .handover = w->role.conf->milter_handover,
		.backlog = (int)w->role.conf->milter_backlog, .timeout_s = (int)w->role.conf->milter_timeout,
		.debug = (int)w->role.conf->milter_loglevel,
	};
	char why[WHY_MAX];
	enum rc rc = milter_prepare(&o, why, sizeof why);

	if (rc != RC_OK)
		role_give_up(&w->role, role_exit_code(rc), "%s", why);
}

static void *
milter_thread(void *arg)
{
	const struct worker *w = arg;

	milter_run();
	log_msg(LOG_L_FATAL, "libmilter gave up (its own reason is in syslog), with %zu sessions open", slots_open(w->env.slots));
	_exit(EX_SOFTWARE);
}

static void
start_milter(struct worker *w)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, milter_thread, w);

	if (error != 0)
		role_give_up(&w->role, EX_TEMPFAIL, "cannot start libmilter's thread: %s", strerror(error));
	pthread_detach(thread);
}

static void
open_milter(struct worker *w)
{
	char why[WHY_MAX];
	int fd;
	enum rc rc = milter_open(&fd, why, sizeof why);

	if (rc != RC_OK)
		role_give_up(&w->role, role_exit_code(rc), "%s", why);
	drain_init(&w->drain, fd, w->env.slots, milter_wake);
}

int
worker_main(const struct role_args *args)
{
	/* Lives as long as the process: threads use it to the end. */
	struct worker *w = xcalloc(1, sizeof *w);

	snprintf(w->label, sizeof w->label, "worker/%u.%u", args->group, args->slot);
	role_begin(&w->role, args, "enma: worker", w->label);
	set_up_process(w);
	fill_env(w);
	shared_open(&w->shared, w->role.conf, w->role.board);
	shared_tick(&w->shared);        /* what others have learnt serves the first message */
	prepare_milter(w);              /* while there is one thread */
	role_block_signals(true);
	start_resolver(w);
	start_milter(w);
	role_block_signals(false);
	open_milter(w);
	w->watch = (struct watch){ .conf = w->role.conf, .board = w->role.board, .slots = w->env.slots, .drain = &w->drain,
	    .status_fd = PROCFD_STATUS, .generation = args->generation, .shared = &w->shared, .resolver = &w->resolver, .keys = w->mechanisms.keys };
	watch_init(&w->watch);
	dns_unbound_on_beat(w->resolver.loop, watch_resolver_beat, &w->watch);
	role_ready(&w->role);
	watch_run(&w->watch);
}
