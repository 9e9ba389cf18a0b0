/* eval - which identities are checked, and until when; see eval.h. */
#include "common/auth/eval_int.h"

/* Has SPF anything to say about this connection? */
static bool
has_client(const struct eval_facts *f)
{
	return f->client.is_set && !f->is_local_submission;
}

static struct spf_query
query_for(const struct eval *e, struct span domain, struct span local)
{
	const struct eval_facts *f = e->facts;

	return (struct spf_query){
		.client = f->client, .domain = domain, .local = local, .sender_domain = domain,
		.helo = f->helo, .receiver = f->receiver, .now_s = f->now_s,
		.void_limit = e->options->spf_void_limit, .wants_explanation = e->options->spf_explanation,
	};
}

static struct spf_outcome
no_outcome(enum spf_reason reason)
{
	return (struct spf_outcome){ .result = SPF_NONE, .reason = reason };
}

/* What is checked, and what is printed, for MAIL FROM.  False: there is nothing to check. */
static bool
mailfrom_identity(const struct eval *e, struct span *domain_out, struct span *local_out, struct span *identity_out)
{
	const struct eval_facts *f = e->facts;
	const struct path *sender = &f->sender;

	*local_out = SPAN("postmaster");
	switch (sender->kind) {
	case PATH_NULL:                         /* RFC 7208 section 2.4 */
		*domain_out = f->helo;
		*identity_out = f->helo.n > 0 ? verdict_mailbox(e->arena, *local_out, f->helo) : SPAN("postmaster");
		return f->helo.n > 0;
	case PATH_MAILBOX:
		if (sender->local.n > 0)        /* section 4.3 */
			*local_out = sender->local;
		*domain_out = sender->domain;
		*identity_out = verdict_mailbox(e->arena, *local_out, sender->domain);
		return true;
	case PATH_BARE:
	case PATH_INVALID:
		break;
	}
	/* An address that cannot be read is no null path: never HELO's result under another name. */
	*identity_out = sender->raw;
	return false;
}

/* A result of before, or a fresh one, which then may be kept.  One that the deadline made says nothing about the domain. */
static enum rc
check(struct eval *e, const struct spf_query *q, struct spf_trace *trace, bool *has_looked, struct spf_outcome *out)
{
	const struct eval_results *r = trace == NULL ? e->options->results : NULL;
	enum rc rc;

	if (r != NULL && r->get_spf != NULL && !*has_looked && r->get_spf(r->arg, e->arena, &q->client, q->domain, out))
		return RC_OK;
	*has_looked = true;
	rc = spf_check(e->arena, &e->questions, q, trace, out);
	if (rc == RC_OK && r != NULL && r->put_spf != NULL && !e->questions.is_over)
		r->put_spf(r->arg, &q->client, q->domain, out);
	return rc;
}

static enum rc
check_mailfrom(struct eval *e)
{
	struct verdict_spf *v = &e->verdict.mailfrom;
	struct span domain, local;
	struct spf_query q;
	enum rc rc = RC_OK;

	v->is_evaluated = true;
	if (!mailfrom_identity(e, &domain, &local, &v->identity)) {
		v->outcome = no_outcome(SPF_R_BAD_DOMAIN);
	} else if (!has_client(e->facts)) {
		v->outcome = no_outcome(SPF_R_NO_CLIENT);
	} else {
		q = query_for(e, domain, local);
		rc = check(e, &q, e->trace_mailfrom, &e->spf_mailfrom_looked, &v->outcome);
	}
	return rc;
}

static enum rc
check_helo(struct eval *e)
{
	struct verdict_spf *v = &e->verdict.helo;
	struct spf_query q;

	if (!has_client(e->facts) || e->facts->helo.n == 0)
		return RC_OK;
	v->is_evaluated = true;
	v->identity = e->facts->helo;
	q = query_for(e, e->facts->helo, SPAN("postmaster"));
	return check(e, &q, e->trace_helo, &e->spf_helo_looked, &v->outcome);
}

void
eval_init(struct eval *e, struct arena *a, const struct eval_facts *facts, const struct eval_options *options, size_t budget)
{
	*e = (struct eval){ .arena = a, .facts = facts, .options = options };
	questions_init(&e->questions, a, budget);
	e->spf_mailfrom_done = !options->spf;
	e->spf_helo_done = !options->spf || !options->spf_helo;
}

enum rc
eval_run(struct eval *e)
{
	bool is_message_done;

	/* All in each pass, so that their questions go out together. */
	if (!e->spf_mailfrom_done)
		e->spf_mailfrom_done = check_mailfrom(e) == RC_OK;
	if (!e->spf_helo_done)
		e->spf_helo_done = check_helo(e) == RC_OK;
	is_message_done = eval_message_run(e) == RC_OK;
	e->verdict.questions = (unsigned)e->questions.n;
	e->verdict.is_over_budget = e->questions.is_budget_spent;
	return e->spf_mailfrom_done && e->spf_helo_done && is_message_done ? RC_OK : RC_WAIT;
}

void
eval_close(struct eval *e)
{
	questions_close(&e->questions);
	eval_message_lose(e);
}
