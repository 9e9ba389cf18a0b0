/* supervise - the loop, signals, the beginning and the end; see supervise.h. */
#include "master/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/conf/conf_dump.h"
#include "master/daemon.h"
#include "master/logging.h"
#include "master/notify.h"
#include "master/sig.h"
#include "master/supervise_int.h"

enum {
	CONTROL_PATIENCE_MS = 2000,     /* as for the milter sockets: reload.c */
	CONTROL_BACKLOG = 16,
	FLUSH_MS = 300,                 /* for the last answers to leave */
	WAIT_MAX_MS = 60000,
};

const struct conf *
supervise_conf(const struct supervise *s)
{
	return s->current ? s->current->conf : s->next->conf;
}

/* ---- the end ----------------------------------------------------------------------------------------------- */

static void
stop_first(struct supervise *s, int64_t now)
{
	int64_t seconds = supervise_conf(s)->worker_drain_timeout;

	s->is_stopping = true;
	notify_stopping();
	if (s->next != NULL && s->reload_ticket != 0) {
		outcome_add(&s->outcome, EX_TEMPFAIL, "enma is stopping");
		supervise_answer_reload(s);
	}
	for (struct child *c = s->children; c != NULL; c = c->next)
		if (c->role == CHILD_WORKER)
			supervise_drain(c, seconds, now);
	/* New connections are refused from here on, so that the MTA takes its default action at once instead of waiting. */
	if (s->next != NULL) {
		if (s->current != NULL)
			generation_destroy(&s->next, s->current);
		else
			generation_close_sockets(s->next);
	}
	if (s->current != NULL)
		generation_close_sockets(s->current);
}

void
supervise_stop(struct supervise *s, bool at_once, const char *who)
{
	int64_t now = clock_mono_ms();

	if (who[0] != '\0')
		log_info("stop%s (%s)", at_once || s->is_stopping ? " at once" : "", who);
	if (!s->is_stopping)
		stop_first(s, now);
	else
		at_once = true;
	s->is_hurried |= at_once;
	for (struct child *c = s->children; at_once && c != NULL; c = c->next) {
		if (c->role == CHILD_CACHE)
			continue;               /* supervise_cache_leave() */
		kill(c->pid, SIGKILL);
		child_plan_signal(c, SIGKILL, now + SUPERVISE_KILL_AGAIN_MS);
	}
}

static void
reopen_log(struct supervise *s)
{
	struct generation *g = s->current ? s->current : s->next;
	char why[FDIO_WHY_MAX];
	int fd;

	switch (logging_open_file(g->conf, &fd, why, sizeof(why))) {
	case RC_OK:
		/* The number stays, so everything that refers to it goes on with the new file. */
		if (dup3(fd, g->log_fd, O_CLOEXEC) >= 0)
			supervise_pass_log_file(s, g->log_fd);
		close(fd);
		log_info("log file reopened");
		break;
	case RC_NONE:
		break;
	default:
		log_error("%s; the old file is written on", why);
	}
}

static void
on_signal(void *arg, uint32_t events UNUSED)
{
	struct supervise *s = arg;
	struct sig_event e;

	while (sig_read(s->sig_fd, &e)) {
		char who[80];

		snprintf(who, sizeof(who), "%s from pid %d, uid %u", sig_name(e.signal), (int)e.from_pid, (unsigned)e.from_uid);
		switch (e.signal) {
		case SIGTERM:
		case SIGINT:
			supervise_stop(s, false, who);
			break;
		case SIGHUP:
			if (s->current != NULL)
				supervise_reload(s, 0, who);
			break;
		case SIGUSR1:
			reopen_log(s);
			break;
		case SIGCHLD:
			supervise_reap(s);
			break;
		default:
			log_info("%s is not used", who);
		}
	}
}

/* ---- the loop ---------------------------------------------------------------------------------------------- */

static int64_t
next_start(const struct generation *g, int64_t next)
{
	for (size_t i = 0; g != NULL && i < g->slot_count; i++)
		if (g->slots[i].child == NULL)
			next = MIN(next, g->slots[i].start_at_ms);
	return next;
}

static int64_t
feed_watchdog(struct supervise *s, int64_t now)
{
	int64_t every = notify_watchdog_ms();

	if (every == 0)
		return INT64_MAX;
	if (now - s->notified_ms >= every) {
		notify_watchdog();
		s->notified_ms = now;
	}
	return s->notified_ms + every;
}

/* Everything that has a time.  Returns when to be called again at the latest. */
static int64_t
tick(struct supervise *s, int64_t now)
{
	int64_t next = MIN(ctl_server_tick(s->ctl, now), feed_watchdog(s, now));

	supervise_watch(s, now);
	if (s->is_stopping) {
		supervise_cache_leave(s, now);
		s->is_done = s->children == NULL;
	} else {
		bool is_early;

		supervise_cache_reconcile(s, now);
		is_early = supervise_cache_is_awaited(s, now);
		supervise_reconcile(s, s->current, now);
		if (!is_early)
			supervise_reconcile(s, s->next, now);
		if (s->next != NULL)
			supervise_judge_next(s, now);
		if (s->next == NULL && s->reload_again)
			supervise_reload(s, 0, "asked for during the last one");
		next = next_start(is_early ? NULL : s->next, next_start(s->current, supervise_cache_next(s, next)));
		if (s->next != NULL)
			next = MIN(next, s->next_deadline_ms);
	}
	supervise_cache_sample(s, now);
	next = supervise_answer_tick(s, now, supervise_flush_tick(s, now, next));
	supervise_tell_trouble(s);
	for (const struct child *c = s->children; c != NULL; c = c->next)
		if (c->next_signal != 0)
			next = MIN(next, c->signal_at_ms);
	return s->children ? MIN(next, now + supervise_watch_interval(s)) : next;
}

static void
run(struct supervise *s)
{
	while (!s->is_done) {
		int64_t now = clock_mono_ms(), next = tick(s, now);

		if (!s->is_done)
			loop_wait(s->loop, (int)MAX(MIN(next - now, (int64_t)WAIT_MAX_MS), (int64_t)0));
	}
}

static enum rc
open_control(struct supervise *s, const struct generation *g, char *why, size_t size)
{
	struct listen_rules rules = { CONTROL_BACKLOG, (mode_t)g->conf->control_mode, geteuid(), g->id.gid };
	struct sockspec spec;
	enum rc rc;

	if ((rc = sockspec_parse(g->conf->control_socket, &spec, why, size)) != RC_OK ||
	    (rc = identity_group(g->conf->control_group, &rules.gid, why, size)) != RC_OK ||
	    (rc = identity_make_folder(spec.path, why, size)) != RC_OK)
		return rc;
	return ctl_server_open(s->loop, &spec, &rules, g->id.uid, CONTROL_PATIENCE_MS, supervise_request, s, &s->ctl, why, size);
}

static void
print_conf(const struct conf *c, FILE *to)
{
	struct buf text = buf_heap(4 * MIB);

	conf_dump_text(c, &text);
	fputs(buf_text(&text).p, to);
	fflush(to);
	buf_fini(&text);
}

/* Everything up to the first worker.  On failure the reasons are in s->outcome. */
static enum rc
begin(struct supervise *s)
{
	struct outcome *o = &s->outcome;
	char why[FDIO_WHY_MAX];
	enum rc rc;

	if (generation_make(s->options, ++s->last_number, true, clock_mono_ms(), &s->next, o) != RC_OK)
		return RC_SYNTAX;
	if (s->next->conf->milter_verbose)
		print_conf(s->next->conf, stderr);
	if (!logging_uses_output(s->next->conf))
		daemon_quiet();
	logging_use(s->next->conf, s->next->log_fd);
	s->loop = loop_create();
	if (s->loop == NULL || sig_open(&s->sig_fd) != RC_OK || loop_add(s->loop, s->sig_fd, EPOLLIN, on_signal, s) != RC_OK) {
		outcome_add(o, EX_OSERR, "cannot wait for signals: %s", strerror(errno));
		return RC_TEMP;
	}
	rc = s->next->conf->milter_pidfile[0] ? identity_make_folder(s->next->conf->milter_pidfile, why, sizeof(why)) : RC_OK;
	if (rc != RC_OK || (rc = pidfile_take(&s->pidfile, s->next->conf->milter_pidfile, why, sizeof(why))) != RC_OK) {
		outcome_add(o, rc == RC_LIMIT ? EX_UNAVAILABLE : EX_CONFIG, "%s", why);
		return rc;
	}
	if ((rc = open_control(s, s->next, why, sizeof(why))) != RC_OK) {
		outcome_add(o, rc == RC_SYNTAX ? EX_CONFIG : EX_UNAVAILABLE, "control.socket: %s", why);
		return rc;
	}
	if ((rc = generation_listen(s->next, NULL, o)) != RC_OK)
		return rc;
	supervise_cache_open(s, clock_mono_ms());
	supervise_expect_next(s, clock_mono_ms());
	return RC_OK;
}

static void
end(struct supervise *s)
{
	if (s->ctl != NULL)
		ctl_server_flush(s->ctl, FLUSH_MS);
	ctl_server_close(&s->ctl);
	supervise_cache_close(&s->cache);
	generation_destroy(&s->next, s->current);
	generation_destroy(&s->current, NULL);
	pidfile_drop(&s->pidfile);
	fdio_close(&s->sig_fd);
	loop_destroy(&s->loop);
	outcome_fini(&s->outcome);
}

/* What was found at the start: for the person who started us, and in the log if that is another place. */
static void
tell_start(const struct supervise *s, bool is_log_open)
{
	if (is_log_open && !logging_is_on_stderr(supervise_conf(s)))
		outcome_log(&s->outcome);
	daemon_say(span_of(s->outcome.lines.p, s->outcome.lines.n));
}

int
supervise_run(const struct master_options *o)
{
	struct supervise s = { .options = o, .sig_fd = -1, .pidfile.fd = -1, .started_ms = clock_mono_ms() };

	outcome_init(&s.outcome);
	supervise_cache_init(&s.cache);
	if (begin(&s) == RC_OK) {
		tell_start(&s, true);           /* warnings */
		outcome_clear(&s.outcome);
		run(&s);
		if (s.exit_code == 0)
			log_info("stopped");
		else
			tell_start(&s, true);
	} else {
		tell_start(&s, s.next != NULL);
		s.exit_code = s.outcome.code;
	}
	end(&s);
	daemon_finish(s.exit_code);
	return s.exit_code;
}

int
supervise_check(const struct master_options *o)
{
	struct outcome outcome;
	struct generation *g = NULL;
	int code = 0;

	outcome_init(&outcome);
	if (generation_make(o, 1, true, 0, &g, &outcome) != RC_OK)
		code = EX_CONFIG;
	fputs(buf_text(&outcome.lines).p, stdout);
	if (code == 0)
		printf("enma: the configuration is good (%s%zu workers for %zu socket%s)\n", o->conf_path[0] ? "" : "no file, defaults; ",
		       g->slot_count, g->group_count, g->group_count == 1 ? "" : "s");
	else
		printf("enma: the configuration is not usable\n");
	if (code == 0 && g->conf->milter_verbose)
		print_conf(g->conf, stdout);
	generation_destroy(&g, NULL);
	outcome_fini(&outcome);
	return code;
}
