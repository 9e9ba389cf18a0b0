/*
 * eval - the one entry to all mechanisms: message + connection + answers + options + time -> verdict, or questions.
 *
 * Used by the worker, enmacheck, the tests and the fuzzers alike.  The order of calls:
 *
 *	eval_init(&e, arena, &facts, &options, budget);         at MAIL FROM
 *	rc = eval_run(&e);                                      RC_OK: e.verdict is final; RC_WAIT: e.questions has new ones, or the message goes on
 *	... answer e.questions (lookup.h) ...
 *	rc = eval_run(&e);                                      only mechanisms that are not done run again
 *	eval_header(&e, &headers); rc = eval_run(&e);           at the end of the header: keys are asked for
 *	while (eval_wants_body(&e)) eval_body(&e, piece);       as it streams by; nothing of it is kept
 *	eval_end(&e); rc = eval_run(&e);                        at the end of the message
 *	eval_close(&e); rc = eval_run(&e);                      deadline passed: ends with RC_OK, temperror where answers are missing
 *
 * What needs no message (SPF alone) is final without eval_header() and eval_end(); what turns out not to need the body (no signature) may be final after
 * eval_header().  A deadline that passes while the message goes on takes the rest of it away, too: what it would have decided is temperror.
 * All memory is the arena's; facts, options and headers are borrowed and
 * must outlive the eval.
 * owner: lead
 */
#ifndef ENMA_AUTH_EVAL_H
#define ENMA_AUTH_EVAL_H

#include "common/auth/verdict.h"
#include "common/mail/path.h"

struct eval_facts {
	struct ip client;               /* unset: unix socket or unknown */
	struct span helo;               /* as the client said it; absent: none was said */
	bool is_local_submission;       /* not received by SMTP: SPF has no meaning, result none */
	struct path sender;
	struct span receiver;           /* our host name */
	int64_t now_s;
};

/* Results of before that are functions of DNS and a small key alone.  NULL functions: none.  Called in the thread of eval_run(). */
struct eval_results {
	/* domain: as in spf_query.  True: *out is what spf_check() would say; texts are the arena's. */
	bool (*get_spf)(void *arg, struct arena *a, const struct ip *client, struct span domain, struct spf_outcome *out);
	/* A result that was just computed from answers; what does not depend on the message may be kept. */
	void (*put_spf)(void *arg, const struct ip *client, struct span domain, const struct spf_outcome *o);
	void *arg;
};

struct eval_options {
	bool spf, spf_helo, spf_explanation;
	unsigned spf_void_limit;
	const struct eval_results *results;     /* NULL: none; never used while a trace is wanted */
	const struct dkim_options *dkim;        /* NULL: DKIM is not evaluated */
	const struct domainkeys_options *domainkeys;    /* NULL: DomainKeys is not evaluated */
	bool adsp, atps;                        /* ADSP; with signatures of third parties.  Need dkim, and have no effect without */
};

struct eval {
	struct arena *arena;
	const struct eval_facts *facts;
	const struct eval_options *options;
	struct questions questions;
	struct verdict verdict;
	bool spf_mailfrom_done, spf_helo_done;
	bool spf_mailfrom_looked, spf_helo_looked;      /* for a result of before: once is enough */
	struct spf_trace *trace_mailfrom, *trace_helo;  /* enmacheck; NULL otherwise */
	const struct header_block *headers;     /* NULL: the header has not ended */
	struct dkim *dkim;                      /* NULL: not evaluated, or no signature */
	struct domainkeys *domainkeys;
	struct adsp_author *adsp_authors;       /* one for each of verdict.authors */
	struct atps_author *atps_authors;
	struct atps_signature *atps_signatures;
	size_t atps_count;
	bool dkim_done, domainkeys_done, adsp_done, atps_done;
	bool is_ended;                          /* eval_end() was called */
};

void eval_init(struct eval *e, struct arena *a, const struct eval_facts *facts, const struct eval_options *options, size_t budget);
NODISCARD enum rc eval_run(struct eval *e);
/* Anything that has to see the header (and perhaps the body) before it can end? */
bool eval_needs_header(const struct eval *e);
/* The header has ended.  A message whose header could not be kept (limits) has headers->is_incomplete. */
void eval_header(struct eval *e, const struct header_block *headers);
/* False: nobody needs (any more of) the body; the MTA may be told to skip it. */
bool eval_wants_body(const struct eval *e);
void eval_body(struct eval *e, struct span piece);
/* The body has ended, or was skipped because nobody wanted it. */
void eval_end(struct eval *e);
void eval_close(struct eval *e);

#endif
