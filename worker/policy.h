/*
 * policy - from a verdict to an action.  A pure function: values in, a value out.
 *
 * So far the only decisions are about enma's own limits and troubles; results of mechanisms never change the action.
 * owner: lead
 */
#ifndef ENMA_WORKER_POLICY_H
#define ENMA_WORKER_POLICY_H

#include "common/auth/verdict.h"
#include "common/conf/conf.h"

enum action_kind { ACTION_ACCEPT, ACTION_REJECT, ACTION_TEMPFAIL };
const char *action_name(enum action_kind k);            /* "accept" "reject" "tempfail" */

struct action {
	enum action_kind kind;
	const char *code, *xcode;       /* "550", "5.7.1"; NULL for accept */
	const char *text;               /* one line without '%', CR, LF; NULL for accept */
	const char *why;                /* word for the log: "none", "limit", "internal_error" */
};

struct policy_facts {
	const struct verdict *verdict;  /* NULL: not evaluated */
	bool is_over_limit;             /* message.max_headers or message.max_header_bytes was passed */
	bool has_internal_error;        /* arena ceiling, broken invariant */
	bool cannot_be_cleaned;         /* a field that must go could not be deleted: no setting lets such a message pass */
};

struct action policy_decide(const struct conf *conf, const struct policy_facts *facts);

#endif
