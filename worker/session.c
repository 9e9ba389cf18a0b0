/*
 * session - one connection of an MTA and its messages; see session.h.
 *
 * The story of a message: session_mail() notes the facts, starts the evaluation and sends its first questions; session_eoh() asks for the keys of
 * signatures, session_body() hashes what they cover, and both take what has been answered meanwhile one step further; session_eom() waits for
 * the rest, decides, edits, answers and logs.
 */
#include "worker/session.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "worker/account.h"
#include "worker/apply.h"
#include "worker/policy.h"

struct session {
	const struct session_env *env;
	struct mta mta;
	int slot;
	struct ip client;
	bool is_excluded;               /* the client's address is in common.exclusion_addresses */
	char *client_name, *helo;       /* NULL: none */
	uint64_t number;                /* of the connection, for the log until there is a queue id */
	struct message *message;        /* NULL between messages */
};

static _Atomic uint64_t last_number;

struct session *
session_create(const struct session_env *env, const struct mta *mta)
{
	struct session *s = xcalloc(1, sizeof *s);

	s->env = env;
	s->mta = *mta;
	s->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	s->slot = slots_take(env->slots);
	board_add(env->board, BOARD_CONNECTIONS, 1);
	if (s->slot == SLOT_NONE)
		board_add(env->board, BOARD_CONNECTIONS_OVERLOAD, 1);
	return s;
}

bool
session_is_overload(const struct session *s)
{
	return s->slot == SLOT_NONE;
}

struct mta *
session_mta(struct session *s)
{
	return &s->mta;
}

static void
enter(struct session *s, enum board_phase phase)
{
	slots_enter(s->env->slots, s->slot, phase);
}

static void
leave(struct session *s, enum board_phase phase)
{
	slots_leave(s->env->slots, s->slot, phase);
}

static char *
copy_name(struct span name, size_t max)
{
	return span_is_null(name) ? NULL : xstrndup(name.p, MIN(name.n, max));
}

/* ---- connection ------------------------------------------------------------------------------------------ */

static void
end_message(struct session *s)
{
	message_give(s->env->pool, s->message);
	s->message = NULL;
}

void
session_abort(struct session *s)
{
	if (s->message == NULL)
		return;
	account_abort(s->env, s->message);
	end_message(s);
	slots_set_qid(s->env->slots, s->slot, SPAN(""));
	leave(s, BOARD_P_IDLE);
}

static void
forget_names(struct session *s)
{
	free(s->client_name);
	free(s->helo);
	s->client_name = s->helo = NULL;
}

void
session_close(struct session **session)
{
	struct session *s = *session;

	if (s == NULL)
		return;
	session_abort(s);
	forget_names(s);
	slots_give(s->env->slots, s->slot);
	free(s);
	*session = NULL;
}

enum session_answer
session_connect(struct session *s, struct span name, const struct sockaddr *address)
{
	enter(s, BOARD_P_CONNECT);
	session_abort(s);
	forget_names(s);
	s->client_name = copy_name(name, SESSION_NAME_MAX);
	s->client = address == NULL ? (struct ip){ 0 } : ip_from_sockaddr(address);
	s->is_excluded = ip_set_has(s->env->exclusions, &s->client);
	if (s->is_excluded)
		board_add(s->env->board, BOARD_CONNECTIONS_EXCLUDED, 1);
	leave(s, BOARD_P_CONNECT);
	if (s->slot != SLOT_NONE)
		return SESSION_CONTINUE;
	log_limited(LOG_L_WARN, "all %lld sessions of this worker are taken (worker.max_sessions): client is answered with worker.on_overload",
	    (long long)s->env->conf->worker_max_sessions);
	return s->env->conf->worker_on_overload == CONF_ACCEPT ? SESSION_ACCEPT : SESSION_TEMPFAIL;
}

enum session_answer
session_helo(struct session *s, struct span helo)
{
	enter(s, BOARD_P_HELO);
	session_abort(s);               /* the facts of a message borrow the name */
	free(s->helo);
	s->helo = copy_name(helo, SESSION_HELO_MAX);
	leave(s, BOARD_P_HELO);
	return SESSION_CONTINUE;
}

/* ---- evaluation ------------------------------------------------------------------------------------------ */

/* One run with the answers known so far; new questions go out. */
static void
advance(struct message *m)
{
	enum rc rc = eval_run(&m->eval);

	if (rc == RC_OK)
		m->has_verdict = true;
	else if (rc == RC_WAIT)
		lookup_send(m->lookup, &m->eval.questions);
	else
		m->has_internal_error = true;
}

static bool
is_loopback(const struct ip *ip)
{
	static const struct ip v4 = { .b = { [10] = 0xff, [11] = 0xff, [12] = 127 }, .is_set = true };
	static const struct ip v6 = { .b = { [15] = 1 }, .is_set = true };

	return ip_in_net(ip, &v4, 8) || ip_eq(ip, &v6);
}

/* Not received by SMTP.  Postfix shows non_smtpd_milters a connection from localhost, older versions without HELO, 3.7 with
 * "localhost", and the sender without angle brackets, which smtpd always passes on. */
static bool
is_local_submission(const struct session *s, struct span sender)
{
	if (s->client.is_set && !is_loopback(&s->client))
		return false;
	if (s->helo == NULL)
		return true;
	return strcmp(s->helo, "localhost") == 0 && (sender.n == 0 || sender.p[0] != '<');
}

static bool
is_authenticated(const struct session *s)
{
	const char *login = s->mta.ops->symbol(&s->mta, "{auth_authen}");

	return login != NULL && login[0] != '\0';
}

static const char *
why_skipped(const struct session *s)
{
	if (s->is_excluded)
		return "excluded";
	if (s->env->conf->exclude_authenticated && is_authenticated(s))
		return "authenticated";
	return NULL;
}

static void
begin_evaluation(struct session *s, struct message *m)
{
	const struct session_env *env = s->env;
	struct eval_facts *f = &m->facts;

	f->client = s->client;
	f->helo = span_cstr(s->helo);
	f->is_local_submission = is_local_submission(s, m->sender);
	f->receiver = env->receiver;
	f->now_s = clock_wall_s();
	if (f->is_local_submission)
		m->skip_why = "local";
	if (span_is_null(m->sender) || path_parse(&m->arena, m->sender, &f->sender) != RC_OK) {
		m->has_internal_error = true;
		return;
	}
	results_begin(&m->results, env->results, m->lookup, f->now_s);
	m->options = env->options;
	m->options.results = &m->results.eval;
	eval_init(&m->eval, &m->arena, f, &m->options, (size_t)env->conf->resolver_max_questions);
	m->is_evaluated = true;
	if (eval_needs_header(&m->eval))
		message_keep_headers(m, env->conf);
	advance(m);
}

enum session_answer
session_mail(struct session *s, struct span sender)
{
	struct message *m;

	session_abort(s);
	enter(s, BOARD_P_ENVELOPE);
	m = s->message = message_take(s->env->pool);
	m->begun_us = clock_mono_us();
	m->deadline_ms = clock_mono_ms() + s->env->conf->resolver_deadline;
	m->sender = arena_copy(&m->arena, sender);
	m->skip_why = why_skipped(s);
	if (m->skip_why == NULL)
		begin_evaluation(s, m);
	leave(s, BOARD_P_ENVELOPE);
	return SESSION_CONTINUE;
}

enum session_answer
session_header(struct session *s, struct span name, struct span value)
{
	if (s->message == NULL)
		return SESSION_CONTINUE;
	enter(s, BOARD_P_HEADER);
	message_see_header(s->message, s->env->conf, s->env->ids, name, value);
	if (s->message->eval.headers == NULL)
		message_keep_header(s->message, name, value, s->mta.wants_leading_space);
	leave(s, BOARD_P_HEADER);
	return SESSION_CONTINUE;
}

/* Postfix knows the queue id only after the first recipient, Sendmail at MAIL FROM. */
static void
take_qid(struct session *s, struct message *m)
{
	const char *qid = s->mta.ops->symbol(&s->mta, "i");

	if (qid == NULL || qid[0] == '\0' || (!span_is_null(m->qid) && span_eq(m->qid, span_cstr(qid))))
		return;
	m->qid = arena_copy(&m->arena, span_cstr(qid));
	if (!span_is_null(m->qid))
		slots_set_qid(s->env->slots, s->slot, m->qid);
}

static bool
is_pending(const struct message *m)
{
	return m->is_evaluated && !m->has_verdict && !m->has_internal_error;
}

/* True: there are answers that the evaluation has not seen. */
static bool
collect(struct message *m)
{
	size_t unanswered = m->eval.questions.sent_count;

	if (unanswered > 0)
		lookup_collect(m->lookup, &m->eval.questions);
	return m->eval.questions.sent_count < unanswered;
}

/* Once; an MTA that leaves the end of the header out has it here all the same.  True: there is something to look at. */
static bool
end_header(struct message *m)
{
	if (!is_pending(m) || m->eval.headers != NULL || !m->keeps_header)
		return false;
	eval_header(&m->eval, &m->header);
	return true;
}

enum session_answer
session_eoh(struct session *s)
{
	struct message *m = s->message;
	bool is_new;

	if (m == NULL)
		return SESSION_CONTINUE;
	enter(s, BOARD_P_HEADER);
	take_qid(s, m);
	if (is_pending(m)) {
		is_new = collect(m);
		if (end_header(m) || is_new)
			advance(m);
	}
	leave(s, BOARD_P_BODY);
	return SESSION_CONTINUE;
}

enum session_answer
session_body(struct session *s, struct span piece)
{
	struct message *m = s->message;
	bool is_new, is_wanted;

	if (m == NULL || !is_pending(m))
		return SESSION_SKIP;
	enter(s, BOARD_P_BODY);
	/* A key that is missing may make the rest of the body useless; SPF goes on meanwhile. */
	is_new = collect(m);
	if (end_header(m) || is_new)
		advance(m);
	is_wanted = is_pending(m) && eval_wants_body(&m->eval);
	if (is_wanted)
		eval_body(&m->eval, piece);
	leave(s, BOARD_P_BODY);
	return is_wanted ? SESSION_CONTINUE : SESSION_SKIP;
}

/* Waits for what was asked; true when it was answered before the deadline. */
static bool
wait_answers(struct session *s, struct message *m, int64_t deadline_ms)
{
	lookup_collect(m->lookup, &m->eval.questions);
	if (m->eval.questions.sent_count == 0)
		return true;
	s->mta.ops->will_wait(&s->mta);
	for (;;) {
		int64_t now = clock_mono_ms();

		if (lookup_wait(m->lookup, &m->eval.questions, MIN(deadline_ms, now + SESSION_PROGRESS_MS)) == RC_OK)
			return true;
		if (clock_mono_ms() >= deadline_ms)
			return false;
		if (s->mta.ops->progress(&s->mta) != RC_OK)
			return false;           /* nobody waits for us any more */
	}
}

static void
finish_evaluation(struct session *s, struct message *m)
{
	const struct conf *conf = s->env->conf;
	int64_t grace_ms = MIN((int64_t)SESSION_EOM_GRACE_MS, conf->resolver_deadline);
	int64_t deadline_ms = MAX(m->deadline_ms, clock_mono_ms() + grace_ms);
	/* Each round but the first is answered at least one question, so there cannot be more rounds than questions. */
	int64_t rounds = conf->resolver_max_questions + 2;

	if (is_pending(m)) {
		end_header(m);
		eval_end(&m->eval);
	}
	while (is_pending(m)) {
		if (!wait_answers(s, m, deadline_ms) || rounds-- == 0) {
			eval_close(&m->eval);
			advance(m);
			if (FAILS_CHECK(!is_pending(m)))
				m->has_internal_error = true;
			return;
		}
		advance(m);
	}
}

/* What is said when we could not evaluate: the truth. */
static const struct verdict *
internal_error_verdict(const struct session_env *env, struct message *m)
{
	struct verdict *v = &m->eval.verdict;
	struct span identity = span_is_null(m->facts.sender.raw) ? m->sender : m->facts.sender.raw;

	*v = (struct verdict){ .mailfrom = { .is_evaluated = true, .identity = identity,
	    .outcome = { .result = SPF_TEMPERROR, .reason = SPF_R_MEMORY } },
	    .is_dkim_evaluated = env->options.dkim != NULL, .is_dkim_lost = true, .dkim_lost = DKIM_R_MEMORY };
	return v;
}

static const struct verdict *
conclude(struct session *s, struct message *m)
{
	if (m->skip_why != NULL && !m->is_evaluated && !m->has_internal_error)
		return NULL;
	finish_evaluation(s, m);
	return m->has_internal_error ? internal_error_verdict(s->env, m) : &m->eval.verdict;
}

/* ---- the end of a message -------------------------------------------------------------------------------- */

static struct action
decide(const struct session_env *env, const struct message *m, const struct verdict *verdict, bool edits_failed)
{
	struct policy_facts facts = {
		.verdict = verdict, .is_over_limit = m->is_over_limit, .has_internal_error = m->has_internal_error,
		.cannot_be_cleaned = edits_failed || m->has_lost_claims,
	};

	return policy_decide(env->conf, &facts);
}

static enum session_answer
finish_message(struct session *s, struct message *m)
{
	const struct verdict *verdict = conclude(s, m);
	struct action action = decide(s->env, m, verdict, false);
	struct apply_outcome edits = { 0 };
	struct account_peer peer = {
		.client = s->client, .client_name = span_cstr(s->client_name), .helo = span_cstr(s->helo), .number = s->number,
	};
	enum session_answer answer;

	if (action.kind == ACTION_ACCEPT)
		edits = apply_edits(s->env, &s->mta, m, verdict);
	if (edits.has_failed) {
		m->has_internal_error = true;
		action = decide(s->env, m, verdict, true);
	}
	answer = apply_reply(&s->mta, &action);
	account_message(s->env, &peer, m, verdict, &action, edits.removed);
	return answer;
}

enum session_answer
session_eom(struct session *s)
{
	enum session_answer answer;
	int64_t begun_us = clock_mono_us();

	/* Nothing was checked, so nothing may pass as checked. */
	if (s->message == NULL)
		return SESSION_TEMPFAIL;
	enter(s, BOARD_P_EOM);
	take_qid(s, s->message);
	answer = finish_message(s, s->message);
	end_message(s);
	slots_set_qid(s->env->slots, s->slot, SPAN(""));
	leave(s, BOARD_P_IDLE);
	board_record_us(s->env->board, BOARD_H_EOM, (uint64_t)(clock_mono_us() - begun_us));
	return answer;
}
