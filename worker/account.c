/* account - what is counted on the board and written to the log about messages; see account.h. */
#include "worker/account.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/report.h"

enum { LOG_TEXT_MAX = 256 * KIB };       /* all lines of one message */

_Static_assert(BOARD_SPF_PERMERROR - BOARD_SPF_NONE == SPF_PERMERROR - SPF_NONE
    && BOARD_SPF_SOFTFAIL - BOARD_SPF_NONE == SPF_SOFTFAIL - SPF_NONE, "counters in the order of enum spf_result");
_Static_assert(BOARD_HELO_PERMERROR - BOARD_HELO_NONE == SPF_PERMERROR - SPF_NONE
    && BOARD_HELO_SOFTFAIL - BOARD_HELO_NONE == SPF_SOFTFAIL - SPF_NONE, "counters in the order of enum spf_result");
_Static_assert(BOARD_DKIM_PERMERROR - BOARD_DKIM_NONE == DKIM_PERMERROR - DKIM_NONE
    && BOARD_DKIM_POLICY - BOARD_DKIM_NONE == DKIM_POLICY - DKIM_NONE, "counters in the order of enum dkim_result");
_Static_assert(BOARD_DOMAINKEYS_PERMERROR - BOARD_DOMAINKEYS_NONE == DOMAINKEYS_PERMERROR - DOMAINKEYS_NONE
    && BOARD_DOMAINKEYS_POLICY - BOARD_DOMAINKEYS_NONE == DOMAINKEYS_POLICY - DOMAINKEYS_NONE, "counters in the order of enum domainkeys_result");
_Static_assert(BOARD_ADSP_PERMERROR - BOARD_ADSP_NONE == ADSP_PERMERROR - ADSP_NONE
    && BOARD_ADSP_DISCARD - BOARD_ADSP_NONE == ADSP_DISCARD - ADSP_NONE, "counters in the order of enum adsp_result");
_Static_assert(BOARD_ACTION_TEMPFAIL - BOARD_ACTION_ACCEPT == ACTION_TEMPFAIL - ACTION_ACCEPT
    && BOARD_ACTION_REJECT - BOARD_ACTION_ACCEPT == ACTION_REJECT - ACTION_ACCEPT, "counters in the order of enum action_kind");

static void
count_dns(const struct session_env *env, const struct message *m)
{
	struct lookup_stats stats = lookup_stats(m->lookup);

	board_add(env->board, BOARD_DNS_QUESTIONS, stats.asked);
	board_add(env->board, BOARD_DNS_ANSWERS, stats.answered);
	board_add(env->board, BOARD_DNS_TIMEOUTS, stats.timeouts);
	board_add(env->board, BOARD_DNS_STALE, stats.stale);
	if (m->is_evaluated && m->eval.questions.is_budget_spent)
		board_add(env->board, BOARD_DNS_BUDGET_SPENT, 1);
	if (stats.asked > 0)
		board_record_us(env->board, BOARD_H_DNS_WAIT, stats.wait_us);
}

/* The entry that stands for those over the limit is no result of its own. */
static void
count_dkim(struct board *board, const struct verdict *v)
{
	size_t over = 0;

	for (size_t i = 0; i < v->dkim_count; i++) {
		if (v->dkim[i].reason == DKIM_R_TOO_MANY)
			over = v->dkim_total - (v->dkim_count - 1);
		else
			board_add(board, (enum board_counter)(BOARD_DKIM_NONE + v->dkim[i].result), 1);
	}
	if (v->dkim_count == 0)
		board_add(board, (enum board_counter)(BOARD_DKIM_NONE + verdict_dkim_summary(v)), 1);
	board_add(board, BOARD_DKIM_SIGNATURES, v->dkim_total);
	board_add(board, BOARD_DKIM_OVER_LIMIT, over);
}

static void
count_verdict(struct board *board, const struct verdict *v)
{
	if (v == NULL)
		return;
	if (v->mailfrom.is_evaluated)
		board_add(board, (enum board_counter)(BOARD_SPF_NONE + v->mailfrom.outcome.result), 1);
	if (v->helo.is_evaluated)
		board_add(board, (enum board_counter)(BOARD_HELO_NONE + v->helo.outcome.result), 1);
	if (v->is_dkim_evaluated)
		count_dkim(board, v);
	if (v->is_domainkeys_evaluated)
		board_add(board, (enum board_counter)(BOARD_DOMAINKEYS_NONE + v->domainkeys.result), 1);
	if (v->is_adsp_evaluated)
		board_add(board, (enum board_counter)(BOARD_ADSP_NONE + v->adsp.result), 1);
}

static void
count_message(const struct session_env *env, const struct message *m, const struct action *action, unsigned removed)
{
	struct board *b = env->board;

	board_add(b, BOARD_MESSAGES, 1);
	if (m->skip_why != NULL && !m->is_evaluated)
		board_add(b, BOARD_MESSAGES_EXCLUDED, 1);
	if (m->is_over_limit)
		board_add(b, BOARD_MESSAGES_OVER_LIMIT, 1);
	if (m->has_internal_error)
		board_add(b, BOARD_INTERNAL_ERRORS, 1);
	board_add(b, (enum board_counter)(BOARD_ACTION_ACCEPT + action->kind), 1);
	board_add(b, BOARD_AUTHRES_REMOVED, removed);
	board_add(b, BOARD_AUTHRES_KEPT, m->kept);
}

static void
write_lines(const struct session_env *env, const struct report *r)
{
	bool is_json = env->conf->log_style == CONF_LOG_JSON;
	struct buf b;
	struct span rest, line;

	if (!log_wants(LOG_L_INFO))
		return;
	b = buf_heap(LOG_TEXT_MAX);
	report_print(&b, env->conf->log_style, r);
	if (buf_done(&b, &rest) != RC_OK)
		log_error("%s: the line of this message did not fit", log_str(r->qid));
	else
		while (span_split(&rest, '\n', &line))
			if (line.n > 0)
				log_line(LOG_L_INFO, line, is_json);
	buf_fini(&b);
}

void
account_message(const struct session_env *env, const struct account_peer *peer, const struct message *m,
                const struct verdict *verdict, const struct action *action, unsigned removed)
{
	struct lookup_stats dns = lookup_stats(m->lookup);
	uint64_t total_us = (uint64_t)(clock_mono_us() - m->begun_us);
	char number[48];
	struct report r = {
		.qid = m->qid, .client = peer->client, .client_name = peer->client_name, .helo = peer->helo,
		.mail_from = m->sender, .verdict = verdict, .skip_why = m->skip_why, .action = *action,
		.dns_asked = dns.asked, .dns_timeouts = dns.timeouts, .dns_stale = dns.stale, .dns_wait_us = dns.wait_us, .total_us = total_us,
		.authres_removed = removed, .generation = env->generation, .hardfail = env->conf->authresult_spf_hardfail,
	};

	if (span_is_null(r.qid)) {
		snprintf(number, sizeof number, "c%ld-%llu", (long)getpid(), (unsigned long long)peer->number);
		r.qid = span_cstr(number);
	}
	count_verdict(env->board, verdict);
	count_message(env, m, action, removed);
	count_dns(env, m);
	board_record_us(env->board, BOARD_H_MESSAGE, total_us);
	write_lines(env, &r);
}

void
account_abort(const struct session_env *env, const struct message *m)
{
	board_add(env->board, BOARD_MESSAGES_ABORTED, 1);
	count_dns(env, m);
}
