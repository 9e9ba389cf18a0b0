/* milter - libmilter's side of a worker; see milter.h. */
#include "worker/milter.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "worker/handover.h"
#include "worker/kick.h"
#include "worker/mechanisms.h"

/* Stages that never answer.  MAIL FROM does: see milter.h. */
#define NO_REPLY (SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_HDR | SMFIP_NR_EOH)
#define NOT_NEEDED (SMFIP_NORCPT | SMFIP_NOUNKNOWN)
#define WAKE_SIGNAL SIGUSR1
#define ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS)

static const struct session_env *env;
static bool is_tcp;             /* the listener's family; see milter.h about DATA */
static struct handover handover;
static pthread_t runner;                /* in smfi_main(), once is_running */
static _Atomic bool is_running;
static _Atomic bool is_open;            /* the shared listener is served */

/* After QUIT_NC (a new SMTP connection over the same milter connection, without a new negotiation; neither Sendmail nor Postfix use it)
 * the session is made by the connect callback, which then relies on what this worker's MTA agreed to last. */
static _Atomic unsigned long last_protocol;

/* ---- the operations of struct mta ------------------------------------------------------------------------ */

/* libmilter's prototypes lack const; it copies what it is given. */
static char *
unconst(const char *s)
{
	return (char *)(uintptr_t)s;
}

static enum rc
outcome(int result)
{
	return result == MI_SUCCESS ? RC_OK : RC_TEMP;
}

static const char *
op_symbol(const struct mta *mta, const char *name)
{
	return smfi_getsymval(mta->handle, unconst(name));
}

static enum rc
op_insert_header(const struct mta *mta, int index, const char *name, const char *value)
{
	return outcome(smfi_insheader(mta->handle, index, unconst(name), unconst(value)));
}

static enum rc
op_delete_header(const struct mta *mta, const char *name, int index)
{
	return outcome(smfi_chgheader(mta->handle, unconst(name), index, NULL));
}

static enum rc
op_set_reply(const struct mta *mta, const char *code, const char *xcode, const char *text)
{
	return outcome(smfi_setreply(mta->handle, unconst(code), unconst(xcode), unconst(text)));
}

static enum rc
op_progress(const struct mta *mta)
{
	return outcome(smfi_progress(mta->handle));
}

static void
op_will_wait(const struct mta *mta UNUSED)
{
	kick();
}

static const struct mta_ops ops = {
	.symbol = op_symbol, .insert_header = op_insert_header, .delete_header = op_delete_header,
	.set_reply = op_set_reply, .progress = op_progress, .will_wait = op_will_wait,
};

/* ---- callbacks ------------------------------------------------------------------------------------------- */

static struct session *
new_session(SMFICTX *ctx, unsigned long protocol)
{
	struct mta mta = {
		.ops = &ops, .handle = ctx, .wants_leading_space = (protocol & SMFIP_HDR_LEADSPC) != 0,
		.can_skip_body = (protocol & SMFIP_SKIP) != 0, .waits_for_body = (protocol & SMFIP_NR_BODY) == 0,
	};
	struct session *s = session_create(env, &mta);

	smfi_setpriv(ctx, s);
	return s;
}

/* libmilter makes NOREPLY a "continue" for an MTA that waits for a reply. */
static sfsistat
answer_of(enum session_answer a, sfsistat go_on)
{
	switch (a) {
	case SESSION_ACCEPT:
		return SMFIS_ACCEPT;
	case SESSION_TEMPFAIL:
		return SMFIS_TEMPFAIL;
	case SESSION_REJECT:
		return SMFIS_REJECT;
	case SESSION_SKIP:
		return SMFIS_SKIP;
	case SESSION_CONTINUE:
		break;
	}
	return go_on;
}

/* Every stage is named, because Postfix forgets its own lists once one is.  {mail_addr} is not needed, but always there: libmilter
 * ignores an empty list of values and keeps the one of the message before, with another message's {auth_authen}. */
static bool
ask_symbols(SMFICTX *ctx)
{
	static const struct { int stage; const char *names; } wanted[] = {
		{ SMFIM_CONNECT, "" },
		{ SMFIM_HELO, "" },
		{ SMFIM_ENVFROM, "i {auth_authen} {mail_addr}" },
		{ SMFIM_ENVRCPT, "" },
		{ SMFIM_DATA, "" },
		{ SMFIM_EOH, "i" },
		{ SMFIM_EOM, "i" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (smfi_setsymlist(ctx, wanted[i].stage, unconst(wanted[i].names)) != MI_SUCCESS)
			return false;
	return true;
}

/* A body is only sent where somebody may need it.  An MTA that can skip the rest of one waits for an answer to each piece. */
static unsigned long
body_wishes(unsigned long offered)
{
	if (!mechanisms_want_body(&env->options))
		return SMFIP_NOBODY;
	return (offered & SMFIP_SKIP) != 0 ? SMFIP_SKIP : SMFIP_NR_BODY;
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long offered, unsigned long f2 UNUSED, unsigned long f3 UNUSED,
             unsigned long *actions_out, unsigned long *protocol_out, unsigned long *f2_out, unsigned long *f3_out)
{
	unsigned long wanted = NO_REPLY | NOT_NEEDED | SMFIP_HDR_LEADSPC | (is_tcp ? 0 : SMFIP_NODATA) | body_wishes(offered);
	unsigned long protocol = wanted & offered;
	struct session *s = smfi_getpriv(ctx);

	*f2_out = *f3_out = 0;
	/* Before the shared listener is there, the only connection is kick.h's. */
	if (!atomic_load(&is_open)) {
		*actions_out = *protocol_out = 0;
		return SMFIS_CONTINUE;
	}
	if ((actions & ACTIONS) != ACTIONS) {
		log_limited(LOG_L_ERROR, "an MTA offers milter actions 0x%lx and thus no editing of header fields: its session is refused",
		    actions);
		return SMFIS_REJECT;
	}
	*actions_out = ACTIONS;
	if ((actions & SMFIF_SETSYMLIST) != 0) {
		*actions_out |= SMFIF_SETSYMLIST;
		if (!ask_symbols(ctx))
			log_limited(LOG_L_WARN, "libmilter refused the list of symbols; the MTA's own list is used");
	}
	session_close(&s);              /* a second negotiation: nobody does that */
	s = new_session(ctx, protocol);
	if (session_is_overload(s))
		protocol &= ~(unsigned long)SMFIP_NR_CONN;
	atomic_store_explicit(&last_protocol, protocol, memory_order_relaxed);
	*protocol_out = protocol;
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		s = new_session(ctx, atomic_load_explicit(&last_protocol, memory_order_relaxed));
	/* An overloaded session negotiated without NR_CONN, so CONTINUE cannot come out of here for it. */
	return answer_of(session_connect(s, span_cstr(name), address), SMFIS_NOREPLY);
}

static sfsistat
on_helo(SMFICTX *ctx, char *helo)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return answer_of(session_helo(s, span_cstr(helo)), SMFIS_NOREPLY);
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return answer_of(session_mail(s, span_cstr(argv[0])), SMFIS_CONTINUE);
}

/* Only there to be answered. */
static sfsistat
on_data(SMFICTX *ctx UNUSED)
{
	return SMFIS_CONTINUE;
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return answer_of(session_header(s, span_cstr(name), span_cstr(value)), SMFIS_NOREPLY);
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return answer_of(session_eoh(s), SMFIS_NOREPLY);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *piece, size_t n)
{
	struct session *s = smfi_getpriv(ctx);
	enum session_answer answer;

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	answer = session_body(s, span_of((const char *)piece, n));
	if (answer == SESSION_SKIP && !session_mta(s)->can_skip_body)
		answer = SESSION_CONTINUE;
	return answer_of(answer, session_mta(s)->waits_for_body ? SMFIS_CONTINUE : SMFIS_NOREPLY);
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	return answer_of(session_eom(s), SMFIS_CONTINUE);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s != NULL)
		session_abort(s);
	return SMFIS_CONTINUE;
}

/* libmilter may call it twice, and for an idle session with its pool's lock held: nothing here waits. */
static sfsistat
on_close(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	session_close(&s);
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* ---- set-up ---------------------------------------------------------------------------------------------- */

static bool
open_listener(const char *conn)
{
	return smfi_setconn(unconst(conn)) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS;
}

static bool
register_filter(const struct milter_options *o)
{
	struct smfiDesc filter = {
		.xxfi_name = unconst("enma"), .xxfi_version = SMFI_VERSION, .xxfi_flags = ACTIONS,
		.xxfi_negotiate = on_negotiate, .xxfi_connect = on_connect, .xxfi_helo = on_helo, .xxfi_envfrom = on_mail,
		.xxfi_data = on_data, .xxfi_header = on_header, .xxfi_eoh = on_eoh, .xxfi_body = on_body, .xxfi_eom = on_eom,
		.xxfi_abort = on_abort, .xxfi_close = on_close,
	};

	return smfi_register(filter) == MI_SUCCESS && smfi_setbacklog(o->backlog) == MI_SUCCESS
	    && smfi_settimeout(o->timeout_s) == MI_SUCCESS && smfi_setdbg(o->debug) == MI_SUCCESS;
}

static enum rc
limit_stacks(char *why, size_t size)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error == 0)
		error = pthread_attr_setstacksize(&attr, MILTER_THREAD_STACK);
	if (error == 0)
		error = pthread_setattr_default_np(&attr);
	if (error == 0)
		return RC_OK;
	snprintf(why, size, "cannot set the size of thread stacks: %s", strerror(error));
	return RC_TEMP;
}

enum rc
milter_prepare(const struct milter_options *o, char *why, size_t size)
{
	unsigned major, minor, level;
	enum rc rc;

	env = o->env;
	is_tcp = handover_family(o->listen_fd) != AF_UNIX;
	smfi_version(&major, &minor, &level);
	if (!register_filter(o)) {
		snprintf(why, size, "libmilter %u.%u.%u refuses this filter: build enma with the headers of the libmilter it runs with",
		    major, minor, level);
		return RC_SYNTAX;
	}
	if (limit_stacks(why, size) != RC_OK)
		return RC_TEMP;
	rc = handover_prepare(o->listen_fd, o->handover, open_listener, &handover, why, size);
	if (rc != RC_OK)
		return rc;
	if (kick_connect((const struct sockaddr *)&handover.address, handover.address_len) != RC_OK)
		log_warn("no connection to our own libmilter: sessions may have to wait for each other in a burst");
	return RC_OK;
}

static void
on_wake(int signal_number UNUSED)
{
}

void
milter_run(void)
{
	struct sigaction wake = { .sa_handler = on_wake };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	if (sigaction(WAKE_SIGNAL, &wake, NULL) != 0 || pthread_sigmask(SIG_UNBLOCK, &set, NULL) != 0)
		log_warn("cannot prepare the signal that wakes libmilter: it may begin to accept some seconds late");
	runner = pthread_self();
	atomic_store(&is_running, true);
	smfi_main();
}

/* It sleeps in poll(2) for up to five seconds, and keeps alive what it began with; when interrupted it polls again, by number. */
void
milter_wake(void)
{
	if (atomic_load(&is_running))
		pthread_kill(runner, WAKE_SIGNAL);
}

enum rc
milter_open(int *fd_out, char *why, size_t size)
{
	if (kick_negotiate() != RC_OK)
		log_warn("our own libmilter does not answer us: sessions may have to wait for each other in a burst");
	atomic_store(&is_open, true);
	if (handover_finish(&handover) != RC_OK) {
		snprintf(why, size, "cannot put the listener in its place: %s", strerror(errno));
		return RC_TEMP;
	}
	milter_wake();
	*fd_out = handover.fd;
	return RC_OK;
}
