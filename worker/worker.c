/* worker - the role of a process that serves one milter socket; see worker.h. */
#include "worker/worker.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/snapshot.h"
#include "common/dns/dns_unbound.h"
#include "common/ipc/status.h"
#include "worker/drain.h"
#include "worker/exclusion.h"
#include "worker/milter.h"
#include "common/ipc/privs.h"
#include "worker/resolver.h"
#include "worker/session.h"
#include "worker/watch.h"

enum {
	WHY_MAX = STATUS_TEXT_MAX,
};

struct worker {
	const struct role_args *args;
	struct snapshot *snapshot;
	const struct conf *conf;
	struct board *board;
	size_t board_size;
	struct dns_source *loop;        /* libunbound; may stand behind a zone file */
	char host[256];
	struct session_env env;
	struct drain drain;
	struct watch watch;
};

/* One line to the supervisor (which logs it), then the end. */
NORETURN static void PRINTF_LIKE(3, 4)
give_up(const struct worker *w, int code, const char *fmt, ...)
{
	char text[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (status_send(PROCFD_STATUS, STATUS_FAILED, w->args->generation, code, text, -1) != RC_OK)
		log_msg(LOG_L_FATAL, "%s", text);
	_exit(code);
}

static int
code_of(enum rc rc)
{
	return rc == RC_SYNTAX ? EX_CONFIG : EX_TEMPFAIL;
}

/* ---- what the supervisor left for us --------------------------------------------------------------------- */

static void
read_conf(struct worker *w)
{
	struct stat st;
	void *p;

	if (fstat(PROCFD_CONF, &st) != 0 || st.st_size <= 0)
		give_up(w, EX_SOFTWARE, "no configuration on descriptor %d: workers are started by the supervisor only", PROCFD_CONF);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, PROCFD_CONF, 0);
	if (p == MAP_FAILED)
		give_up(w, EX_TEMPFAIL, "cannot map the configuration: %s", strerror(errno));
	if (snapshot_read(span_of(p, (size_t)st.st_size), &w->snapshot) != RC_OK)
		give_up(w, EX_SOFTWARE, "the configuration's snapshot is damaged");
	w->conf = snapshot_conf(w->snapshot);
	close(PROCFD_CONF);
}

static enum log_sink
log_sink_of(const char *target)
{
	if (strcmp(target, "syslog") == 0)
		return LOG_TO_SYSLOG;
	if (strcmp(target, "stderr") == 0)
		return LOG_TO_STDERR;
	if (strcmp(target, "stdout") == 0)
		return LOG_TO_STDOUT;
	if (strncmp(target, "file:", strlen("file:")) == 0)
		return LOG_TO_FD;
	return procfd_is_quiet() ? LOG_TO_SYSLOG : LOG_TO_STDERR;       /* auto */
}

static void
open_log(struct worker *w)
{
	char role[32];
	struct log_options o = {
		.sink = log_sink_of(w->conf->log_target), .level = log_level_of_syslog(w->conf->syslog_logmask),
		.ident = w->conf->syslog_ident, .facility = w->conf->syslog_facility, .role = role, .fd = PROCFD_LOG,
	};

	snprintf(role, sizeof role, "worker/%u.%u", w->args->group, w->args->slot);
	log_open(&o);
	/* libmilter always writes to syslog: under our name, whatever our own sink is. */
	if (o.sink != LOG_TO_SYSLOG)
		openlog(w->conf->syslog_ident, LOG_PID, w->conf->syslog_facility);
}

/* ---- the process ----------------------------------------------------------------------------------------- */

/* libmilter blocks these in its threads and waits for them in one.  A signal that is blocked by the first thread would be
 * kept for that wait even if ignored; so the first thread never blocks them, and the kernel drops them. */
static void
ignore_signals(void)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void
block_signals(bool block)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

_Static_assert(CONF_WORKER_FILES_SPARE > DNS_UNBOUND_SOCKETS + 256, "room for the resolver's sockets");

static void
set_up_process(struct worker *w)
{
	size_t wanted = (size_t)w->conf->worker_max_sessions + CONF_WORKER_FILES_SPARE, files = privs_raise_files(wanted);
	char why[WHY_MAX];
	enum rc rc;

	prctl(PR_SET_NAME, "enma: worker", 0, 0, 0);
	if (files < wanted)
		log_warn("%zu open files are allowed, %zu are wanted for worker.max_sessions: raise the limit (LimitNOFILE, ulimit -n) "
		    "or lower worker.max_sessions", files, wanted);
	rc = privs_drop(w->conf->milter_user, why, sizeof why);
	if (rc != RC_OK)
		give_up(w, code_of(rc), "%s", why);
	privs_harden();
	umask(077);
	if (w->conf->milter_chdir[0] != '\0' && chdir(w->conf->milter_chdir) != 0)
		give_up(w, EX_CONFIG, "milter.chdir: %s: %s", w->conf->milter_chdir, strerror(errno));
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
	env->conf = w->conf;
	env->board = w->board;
	env->generation = w->args->generation;
	env->receiver = span_cstr(w->host);
	env->identifier = w->conf->authresult_identifier[0] != '\0' ? span_cstr(w->conf->authresult_identifier) : env->receiver;
	env->ids = make_ids(w->conf, env->identifier);
	env->options = (struct eval_options){
		.spf = w->conf->spf_auth, .spf_helo = w->conf->spf_check_helo, .spf_explanation = w->conf->spf_explog,
		.spf_void_limit = (unsigned)w->conf->spf_void_limit,
	};
	if (exclusion_create(w->snapshot, &exclusions, why, sizeof why) != RC_OK)
		give_up(w, EX_CONFIG, "%s", why);
	env->exclusions = exclusions;
	env->slots = slots_create(w->board, (size_t)w->conf->worker_max_sessions);
}

static void
start_resolver(struct worker *w)
{
	struct dns_source *source;
	char why[WHY_MAX];
	enum rc rc = resolver_create(w->snapshot, &source, &w->loop, why, sizeof why);

	if (rc != RC_OK)
		give_up(w, code_of(rc), "%s", why);
	w->env.pool = message_pool_create(source);
}

static void
prepare_milter(struct worker *w)
{
	struct milter_options o = {
		.env = &w->env, .listen_fd = PROCFD_LISTEN, .handover = w->conf->milter_handover,
		.backlog = (int)w->conf->milter_backlog, .timeout_s = (int)w->conf->milter_timeout,
		.debug = (int)w->conf->milter_loglevel,
	};
	char why[WHY_MAX];
	enum rc rc = milter_prepare(&o, why, sizeof why);

	if (rc != RC_OK)
		give_up(w, code_of(rc), "%s", why);
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
		give_up(w, EX_TEMPFAIL, "cannot start libmilter's thread: %s", strerror(error));
	pthread_detach(thread);
}

static void
open_milter(struct worker *w)
{
	char why[WHY_MAX];
	int fd;
	enum rc rc = milter_open(&fd, why, sizeof why);

	if (rc != RC_OK)
		give_up(w, code_of(rc), "%s", why);
	drain_init(&w->drain, fd, w->env.slots, milter_wake);
}

int
worker_main(const struct role_args *args)
{
	/* Lives as long as the process: threads use it to the end. */
	struct worker *w = xcalloc(1, sizeof *w);

	w->args = args;
	ignore_signals();
	read_conf(w);
	open_log(w);
	if (board_attach(PROCFD_BOARD, &w->board, &w->board_size) != RC_OK)
		give_up(w, EX_SOFTWARE, "no board on descriptor %d", PROCFD_BOARD);
	set_up_process(w);
	fill_env(w);
	prepare_milter(w);              /* while there is one thread */
	block_signals(true);
	start_resolver(w);
	start_milter(w);
	block_signals(false);
	open_milter(w);
	w->watch = (struct watch){ .conf = w->conf, .board = w->board, .slots = w->env.slots, .drain = &w->drain,
	    .status_fd = PROCFD_STATUS, .generation = args->generation };
	watch_init(&w->watch);
	dns_unbound_on_beat(w->loop, watch_resolver_beat, &w->watch);
	if (status_send(PROCFD_STATUS, STATUS_READY, args->generation, 0, NULL, -1) != RC_OK)
		log_warn("the supervisor could not be told that this worker is ready");
	watch_run(&w->watch);
}
