/*
 * spf - the check_host() function of RFC 7208, for one identity; with a scope, that of Sender ID (senderid.h says what differs).
 *
 * A plain sequential function over the answers known so far: spf_check() either finishes or returns RC_WAIT with new questions noted in
 * `questions`, and is then run again from its start (design: evaluation is re-run, never suspended).  While it waits it names what
 * it will probably ask next (includes, a, mx, redirect without macros), so that independent questions go out together; never
 * names that come from macros, nor `exists`.  Limits are counted in the last, sequential pass, exactly as RFC 7208 section 4.6.4.
 *
 * Engines do not log, know no process and no clock.
 * owner: lead
 */
#ifndef ENMA_AUTH_SPF_H
#define ENMA_AUTH_SPF_H

#include "common/base/arena.h"
#include "common/base/ip.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/questions.h"

enum {
	SPF_LOOKUPS_MAX = 10,           /* terms that cause DNS queries (section 4.6.4) */
	SPF_NAMES_MAX = 10,             /* addresses looked up for one mx or ptr */
	SPF_RECORD_MAX = 64 * KIB - 1,  /* bytes of one record */
	SPF_TERMS_MAX = 1000,           /* terms of one record */
	SPF_EXPLANATION_MAX = 255,      /* bytes of the explanation kept, printable ASCII */
};

enum spf_result {
	SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR,
};
const char *spf_result_name(enum spf_result r);         /* RFC 8601 keyword: "none" "neutral" "pass" "fail" "softfail" "temperror" "permerror" */

/* Why; for comments, logs and the trace.  spf_reason_text() gives a short phrase. */
enum spf_reason {
	SPF_R_MATCH,                    /* a mechanism matched */
	SPF_R_DEFAULT,                  /* none matched */
	SPF_R_NO_RECORD, SPF_R_NO_DOMAIN, SPF_R_BAD_DOMAIN, SPF_R_NO_CLIENT,
	SPF_R_DNS_ERROR,                /* temperror: see outcome.dns_status and .at */
	SPF_R_SYNTAX, SPF_R_MANY_RECORDS, SPF_R_LOOKUP_LIMIT, SPF_R_VOID_LIMIT, SPF_R_MX_LIMIT, SPF_R_PTR_LIMIT,
	SPF_R_INCLUDE_NONE, SPF_R_REDIRECT_NONE, SPF_R_RECORD_SIZE, SPF_R_QUESTION_LIMIT, SPF_R_MEMORY,
};
const char *spf_reason_text(enum spf_reason r);

enum spf_scope {
	SPF_SCOPE_NONE,                 /* RFC 7208: "v=spf1" alone */
	SPF_SCOPE_PRA, SPF_SCOPE_MFROM, /* RFC 4406; set by senderid.h */
};

struct spf_query {
	struct ip client;               /* unset: result none */
	struct span domain;             /* initial <domain>; text as given, U-labels allowed */
	struct span local;              /* local part of <sender>; empty: "postmaster" (section 4.3) */
	struct span sender_domain;      /* domain of <sender>; equals domain for MAIL FROM and HELO checks */
	struct span helo;               /* %{h} */
	struct span receiver;           /* %{r}: our host name; empty: "unknown" */
	int64_t now_s;                  /* %{t} */
	unsigned void_limit;            /* void look-ups allowed (2) */
	bool wants_explanation;         /* fetch exp= on fail */
	enum spf_scope scope;
};

struct spf_outcome {
	enum spf_result result;
	enum spf_reason reason;
	struct span mechanism;          /* text of the term that decided, e.g. "include:_spf.example.org"; absent: none */
	struct span at;                 /* domain whose record held it, or the name whose question failed */
	struct span detail;             /* what is wrong with the record (permerror), for people; absent: nothing to add */
	struct span explanation;        /* of a fail, expanded, printable ASCII; absent: none */
	enum dns_status dns_status;     /* of SPF_R_DNS_ERROR */
	unsigned lookups, voids;        /* as counted */
	bool is_spf2;                   /* the record of the query's domain was an spf2 one (never with SPF_SCOPE_NONE) */
	uint32_t ttl_s;                 /* least TTL of all answers used */
	bool depends_on_message;        /* a macro other than %{d} %{i}-only..., ptr or exp took part: not a function of (client, domain) alone */
};

/* Readable steps for enmacheck: every term, question and result.  NULL callbacks are not called.  Only the last pass is meaningful: begin() is
 * called at the start of each pass, discard what came before. */
struct spf_trace {
	void (*begin)(struct spf_trace *t);
	void (*step)(struct spf_trace *t, unsigned depth, const char *kind, struct span text, struct span note);
	void *arg;
};

/* RC_OK: *out is final (also permerror and so on).  RC_WAIT: questions noted, run again.  Never anything else: reaching the arena's ceiling
 * is temperror SPF_R_MEMORY. */
NODISCARD enum rc spf_check(struct arena *a, struct questions *q, const struct spf_query *query, struct spf_trace *trace,
                            struct spf_outcome *out);

#endif
