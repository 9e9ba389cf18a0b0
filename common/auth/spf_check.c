/* spf_check - one identity from query to outcome, and the explanation of a fail; see spf.h and spf_int.h. */
#include "common/auth/spf_int.h"
#include "common/base/check.h"
#include "common/base/domain.h"

const char *
spf_result_name(enum spf_result r)
{
	static const char *const names[] = {
		[SPF_NONE] = "none", [SPF_NEUTRAL] = "neutral", [SPF_PASS] = "pass", [SPF_FAIL] = "fail",
		[SPF_SOFTFAIL] = "softfail", [SPF_TEMPERROR] = "temperror", [SPF_PERMERROR] = "permerror",
	};

	return (size_t)r < ARRAY_LEN(names) ? names[r] : "none";
}

const char *
spf_reason_text(enum spf_reason r)
{
	static const char *const texts[] = {
		[SPF_R_MATCH] = "matched",
		[SPF_R_DEFAULT] = "no mechanism matched",
		[SPF_R_NO_RECORD] = "no SPF record",
		[SPF_R_NO_DOMAIN] = "domain does not exist",
		[SPF_R_BAD_DOMAIN] = "not a domain name",
		[SPF_R_NO_CLIENT] = "no client address",
		[SPF_R_DNS_ERROR] = "DNS error",
		[SPF_R_SYNTAX] = "syntax error in the SPF record",
		[SPF_R_MANY_RECORDS] = "more than one SPF record",
		[SPF_R_LOOKUP_LIMIT] = "more than 10 terms that need DNS",
		[SPF_R_VOID_LIMIT] = "too many lookups without an answer",
		[SPF_R_MX_LIMIT] = "more than 10 MX hosts",
		[SPF_R_PTR_LIMIT] = "more than 10 PTR names",
		[SPF_R_INCLUDE_NONE] = "included domain has no SPF record",
		[SPF_R_REDIRECT_NONE] = "redirected domain has no SPF record",
		[SPF_R_RECORD_SIZE] = "SPF record too large",
		[SPF_R_QUESTION_LIMIT] = "too many DNS questions",
		[SPF_R_MEMORY] = "out of room for this message",
	};

	return (size_t)r < ARRAY_LEN(texts) ? texts[r] : "unknown";
}

bool
spf_is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* ---- explanation ---- */

/* Section 6.2: whatever goes wrong, there is just no explanation.  RC_WAIT, or RC_OK with *out perhaps absent. */
static enum rc
explain(struct spf_pass *c, const struct spf_finding *fail, struct span *out)
{
	const struct dns_answer *answer;
	struct spf_finding ignored;
	struct dns_name name;
	struct span text;
	enum spf_step step;

	c->is_explaining = true;
	c->depends_on_message = true;
	step = spf_find_target(c, &ignored, fail->exp, fail->exp_domain, &text, &name);
	if (step == SPF_MATCH)
		step = spf_ask(c, &ignored, &name, DNS_TXT, &answer);
	if (step == SPF_LATER)
		return RC_WAIT;
	if (step != SPF_MATCH || answer->rr_count != 1)
		return RC_OK;
	text = answer->rr[0].text;
	if (spf_macro_check(text, SPF_TEXT_EXPLANATION) != NULL)
		return RC_OK;
	if (spf_macro_letters(text) & SPF_LETTER('p')) {
		step = spf_ask_validated(c, &ignored, fail->exp_domain, &c->values.validated);
		if (step == SPF_LATER)
			return RC_WAIT;
	}
	c->values.domain = fail->exp_domain;
	if (spf_macro_explanation(c->arena, text, &c->values, &text) != RC_OK || text.n == 0)
		return RC_OK;
	spf_trace_step(c, "explanation", text, fail->exp_domain);
	*out = text;
	return RC_OK;
}

/* ---- one identity ---- */

/* Names from SMTP become A-labels before anything is asked (RFC 8616 section 4); what is no domain stays as it is.  False at the
 * arena's ceiling. */
static bool
to_a_labels(struct arena *a, struct span name, struct span *out)
{
	enum rc rc;

	*out = name;
	if (spf_is_ascii(name))
		return true;
	rc = domain_normalize(a, name, out);
	if (rc != RC_OK)
		*out = name;
	return rc != RC_LIMIT;
}

static bool
fill_values(struct spf_pass *c, const struct spf_query *q)
{
	struct spf_values *v = &c->values;
	struct buf b = buf_in(c->arena, 64 * KIB);

	spf_values_init(v, &q->client, q->now_s);
	v->local = q->local.n > 0 ? q->local : SPAN("postmaster");
	if (!to_a_labels(c->arena, q->sender_domain, &v->sender_domain) || !to_a_labels(c->arena, q->helo, &v->helo))
		return false;
	v->receiver = q->receiver.n > 0 ? q->receiver : SPAN("unknown");
	v->validated = SPAN("unknown");
	buf_span(&b, v->local);
	buf_byte(&b, '@');
	buf_span(&b, v->sender_domain);
	return buf_done(&b, &v->sender) == RC_OK;
}

static enum rc
check_identity(struct spf_pass *c, struct spf_finding *f, struct span *explanation_out)
{
	const struct spf_query *q = c->query;
	struct span domain;
	enum rc rc;

	*f = (struct spf_finding){ .result = SPF_NONE, .reason = SPF_R_NO_CLIENT };
	if (!q->client.is_set)
		return RC_OK;
	f->reason = SPF_R_BAD_DOMAIN;
	rc = domain_normalize(c->arena, q->domain, &domain);
	if (rc == RC_SYNTAX || (rc == RC_OK && !domain_is_valid(domain, 2)))
		return RC_OK;
	if (rc != RC_OK || !fill_values(c, q)) {
		spf_stop(f, SPF_TEMPERROR, SPF_R_MEMORY);
		return RC_OK;
	}
	rc = spf_check_host(c, domain, f);
	if (rc == RC_OK && f->result == SPF_FAIL && q->wants_explanation && !span_is_null(f->exp))
		rc = explain(c, f, explanation_out);
	return rc;
}

enum rc
spf_check(struct arena *a, struct questions *q, const struct spf_query *query, struct spf_trace *trace, struct spf_outcome *out)
{
	struct spf_pass c = { .arena = a, .questions = q, .query = query, .trace = trace, .ttl_s = UINT32_MAX };
	struct span explanation = SPAN_NULL;
	struct spf_finding f;
	enum rc rc;

	*out = (struct spf_outcome){ .result = SPF_NONE };
	if (trace != NULL && trace->begin != NULL)
		trace->begin(trace);
	rc = check_identity(&c, &f, &explanation);
	if (rc == RC_WAIT) {
		if (!FAILS_CHECK(q->new_count + q->sent_count > 0))
			return RC_WAIT;
		/* Nobody would ever wake us. */
		spf_stop(&f, SPF_TEMPERROR, SPF_R_QUESTION_LIMIT);
	}
	*out = (struct spf_outcome){
		.result = f.result, .reason = f.reason, .mechanism = f.mechanism, .at = f.at, .detail = f.detail,
		.explanation = explanation, .dns_status = f.dns_status, .lookups = c.lookups, .voids = c.voids,
		.ttl_s = c.ttl_s == UINT32_MAX ? 0 : c.ttl_s, .depends_on_message = c.depends_on_message, .is_spf2 = c.is_spf2,
	};
	return RC_OK;
}
