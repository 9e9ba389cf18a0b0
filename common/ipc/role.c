/* role - what every child of the supervisor does first; see role.h. */
#include "common/ipc/role.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/ipc/privs.h"

enum { WHY_MAX = STATUS_TEXT_MAX };

void
role_give_up(const struct role *r, int code, const char *fmt, ...)
{
	char text[WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (status_send(PROCFD_STATUS, STATUS_FAILED, r->args->generation, code, text, -1) != RC_OK)
		log_msg(LOG_L_FATAL, "%s", text);
	_exit(code);
}

int
role_exit_code(enum rc rc)
{
	return rc == RC_SYNTAX ? EX_CONFIG : EX_TEMPFAIL;
}

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

void
role_block_signals(bool block)
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

static void
read_conf(struct role *r)
{
	struct stat st;
	void *p;

	if (fstat(PROCFD_CONF, &st) != 0 || st.st_size <= 0)
		role_give_up(r, EX_SOFTWARE, "no configuration on descriptor %d: this is for the supervisor to start", PROCFD_CONF);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, PROCFD_CONF, 0);
	if (p == MAP_FAILED)
		role_give_up(r, EX_TEMPFAIL, "cannot map the configuration: %s", strerror(errno));
	if (snapshot_read(span_of(p, (size_t)st.st_size), &r->snapshot) != RC_OK)
		role_give_up(r, EX_SOFTWARE, "the configuration's snapshot is damaged");
	r->conf = snapshot_conf(r->snapshot);
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
open_log(const struct conf *conf, const char *label)
{
	struct log_options o = {
		.sink = log_sink_of(conf->log_target), .level = log_level_of_syslog(conf->syslog_logmask),
		.ident = conf->syslog_ident, .facility = conf->syslog_facility, .role = label, .fd = PROCFD_LOG,
	};

	log_open(&o);
	/* libmilter always writes to syslog: under our name, whatever our own sink is. */
	if (o.sink != LOG_TO_SYSLOG)
		openlog(conf->syslog_ident, LOG_PID, conf->syslog_facility);
}

void
role_begin(struct role *r, const struct role_args *args, const char *process, const char *label)
{
	*r = (struct role){ .args = args };
	ignore_signals();
	prctl(PR_SET_NAME, process, 0, 0, 0);
	read_conf(r);
	open_log(r->conf, label);
	if (board_attach(PROCFD_BOARD, &r->board, &r->board_size) != RC_OK)
		role_give_up(r, EX_SOFTWARE, "no board on descriptor %d", PROCFD_BOARD);
}

void
role_drop(struct role *r)
{
	char why[WHY_MAX];
	enum rc rc = privs_drop(r->conf->milter_user, why, sizeof why);

	if (rc != RC_OK)
		role_give_up(r, role_exit_code(rc), "%s", why);
	privs_harden();
	umask(077);
	if (r->conf->milter_chdir[0] != '\0' && chdir(r->conf->milter_chdir) != 0)
		role_give_up(r, EX_CONFIG, "milter.chdir: %s: %s", r->conf->milter_chdir, strerror(errno));
}

void
role_ready(const struct role *r)
{
	if (status_send(PROCFD_STATUS, STATUS_READY, r->args->generation, 0, NULL, -1) != RC_OK)
		log_warn("the supervisor could not be told that this process is ready");
}
