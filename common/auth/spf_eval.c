/*
 * spf_eval - check_host(): RFC 7208 sections 4 to 6; see spf.h and spf_int.h.
 *
 * One pass walks the record from its start.  At the first missing answer the pass turns speculative: terms behind it are
 * visited only to name their questions, results count for nothing, and the pass ends with RC_WAIT.  Since all counters begin
 * at zero in each pass, the one that ends has counted exactly as a sequential reading does.
 *
 * Recursion is bounded by the limit of ten terms: each include and redirect counts before it descends.
 */
#include "common/auth/spf_int.h"

enum { DETAIL_TERM_MAX = 100 };         /* bytes of a wrong term that are shown */

/* ---- what a term asks for ---- */

/* Section 4.6.4: terms that cause DNS queries. */
static enum spf_step
count_lookup(struct spf_pass *c, struct spf_finding *f)
{
	if (++c->lookups > SPF_LOOKUPS_MAX)
		return spf_stop(f, SPF_PERMERROR, SPF_R_LOOKUP_LIMIT);
	return SPF_MATCH;
}

/* RFC 8616 section 4: with a local part that is not ASCII, terms that use it match nothing. */
static bool
uses_foreign_local(struct spf_pass *c, struct span spec)
{
	bool uses_local = spf_macro_letters(spec) & (SPF_LETTER('s') | SPF_LETTER('l'));

	c->depends_on_message |= uses_local;
	return uses_local && !spf_is_ascii(c->values.local);
}

/* Expands a checked domain-spec within domain. */
static enum spf_step
expand_spec(struct spf_pass *c, struct spf_finding *f, struct span spec, struct span domain, struct span *out)
{
	uint32_t letters = spf_macro_letters(spec);
	enum spf_step step;

	if (letters & ~(SPF_LETTER('d') | SPF_LETTER('i') | SPF_LETTER('v')))
		c->depends_on_message = true;
	if (letters & SPF_LETTER('p')) {
		step = spf_ask_validated(c, f, domain, &c->values.validated);
		if (step != SPF_MATCH)
			return step;
	}
	c->values.domain = domain;
	if (spf_macro_name(c->arena, spec, &c->values, out) != RC_OK)
		return spf_stop(f, SPF_TEMPERROR, SPF_R_MEMORY);
	return SPF_MATCH;
}

/*
 * A name that DNS cannot have, a single label, or one with bytes that are not ASCII is SPF_NO_MATCH: section 4.8 leaves that
 * open, and such names mostly come from macros, so from the client.
 */
enum spf_step
spf_find_target(struct spf_pass *c, struct spf_finding *f, struct span spec, struct span domain, struct span *text_out,
                struct dns_name *name_out)
{
	enum spf_step step = SPF_MATCH;

	*text_out = domain;
	if (!span_is_null(spec)) {
		if (c->is_speculating && !spf_macro_is_literal(spec))
			return SPF_LATER;
		step = expand_spec(c, f, spec, domain, text_out);
	}
	if (step != SPF_MATCH)
		return step;
	if (!spf_is_ascii(*text_out) || span_find(*text_out, '.') == text_out->n)
		return SPF_NO_MATCH;
	if (dns_name_from_text(*text_out, name_out) != RC_OK)
		return SPF_NO_MATCH;
	return SPF_MATCH;
}

/* ---- mechanisms ---- */

static enum spf_step
match_mx(struct spf_pass *c, struct spf_finding *f, const struct spf_term *t, const struct dns_name *target)
{
	const struct dns_answer *mx;
	enum spf_step step, sum = SPF_NO_MATCH;

	step = spf_ask(c, f, target, DNS_MX, &mx);
	if (step != SPF_MATCH)
		return step;
	if (mx->rr_count > SPF_NAMES_MAX)
		return spf_stop(f, SPF_PERMERROR, SPF_R_MX_LIMIT);
	for (size_t i = 0; i < mx->rr_count; i++) {
		if (mx->rr[i].name->n <= 1)             /* "MX 0 .": no host */
			continue;
		step = spf_ask_address(c, f, mx->rr[i].name, t->bits4, t->bits6, false);
		if (step == SPF_LATER)
			sum = SPF_LATER;
		else if (step != SPF_NO_MATCH)
			return sum == SPF_LATER ? SPF_LATER : step;
	}
	return sum;
}

static enum spf_step
match_exists(struct spf_pass *c, struct spf_finding *f, const struct dns_name *target)
{
	const struct dns_answer *answer;

	if (c->is_speculating)
		return SPF_LATER;
	return spf_ask(c, f, target, DNS_A, &answer);
}

static enum spf_step
match_ptr(struct spf_pass *c, struct spf_finding *f, const struct dns_name *target)
{
	c->depends_on_message = true;
	if (c->is_speculating)
		return SPF_LATER;
	return spf_ask_reverse(c, f, target);
}

/* Section 5.2; *f keeps the included record's error. */
static enum spf_step
match_include(struct spf_pass *c, struct spf_finding *f, const struct spf_term *t, struct span target)
{
	struct spf_finding inner;
	enum rc rc;

	spf_trace_step(c, "include", t->text, target);
	c->depth++;
	rc = spf_check_host(c, target, &inner);
	c->depth--;
	if (rc == RC_WAIT)
		return SPF_LATER;
	switch (inner.result) {
	case SPF_PASS:
		return SPF_MATCH;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
	case SPF_NEUTRAL:
		return SPF_NO_MATCH;
	case SPF_NONE:
		return spf_stop(f, SPF_PERMERROR, SPF_R_INCLUDE_NONE);
	case SPF_TEMPERROR:
	case SPF_PERMERROR:
		break;
	}
	*f = inner;
	return SPF_STOP;
}

static enum spf_step
match_with_target(struct spf_pass *c, struct spf_finding *f, const struct spf_term *t, struct span domain)
{
	struct dns_name target;
	struct span text;
	enum spf_step step;

	step = count_lookup(c, f);
	if (step == SPF_MATCH && uses_foreign_local(c, t->spec))
		return SPF_NO_MATCH;
	if (step == SPF_MATCH)
		step = spf_find_target(c, f, t->spec, domain, &text, &target);
	if (step == SPF_NO_MATCH && t->kind == SPF_INCLUDE)
		return spf_stop(f, SPF_PERMERROR, SPF_R_INCLUDE_NONE);          /* malformed: "none", section 4.3 */
	if (step != SPF_MATCH)
		return step;
	switch (t->kind) {
	case SPF_A:
		return spf_ask_address(c, f, &target, t->bits4, t->bits6, false);
	case SPF_MX:
		return match_mx(c, f, t, &target);
	case SPF_PTR:
		return match_ptr(c, f, &target);
	case SPF_EXISTS:
		return match_exists(c, f, &target);
	default:
		return match_include(c, f, t, text);
	}
}

static enum spf_step
match_term(struct spf_pass *c, struct spf_finding *f, const struct spf_term *t, struct span domain)
{
	bool is_match;

	switch (t->kind) {
	case SPF_ALL:
		return SPF_MATCH;
	case SPF_IP4:
		is_match = c->values.is_v4 && spf_client_is_in(c, &t->net, t->bits4, 0);
		return is_match ? SPF_MATCH : SPF_NO_MATCH;
	case SPF_IP6:
		is_match = !c->values.is_v4 && spf_client_is_in(c, &t->net, 0, t->bits6);
		return is_match ? SPF_MATCH : SPF_NO_MATCH;
	default:
		c->is_term_void = false;
		return match_with_target(c, f, t, domain);
	}
}

static void
trace_term(struct spf_pass *c, const struct spf_term *t, enum spf_step step)
{
	static const char *const notes[] = {
		[SPF_NO_MATCH] = "no match", [SPF_MATCH] = "match", [SPF_STOP] = "error", [SPF_LATER] = "not known yet",
	};

	if (c->trace == NULL || c->trace->step == NULL)
		return;
	c->trace->step(c->trace, c->depth, "term", t->text, span_cstr(notes[step]));
}

/* ---- a record ---- */

/* Section 6.1: result of the other domain, as if it were this one's. */
static enum spf_step
run_redirect(struct spf_pass *c, struct spf_finding *f, const struct spf_record *r, struct span domain)
{
	struct dns_name target;
	struct span text;
	enum spf_step step;
	enum rc rc;

	c->is_term_void = false;
	step = count_lookup(c, f);
	if (step == SPF_MATCH)
		step = spf_find_target(c, f, r->redirect, domain, &text, &target);
	if (step == SPF_NO_MATCH)
		return spf_stop(f, SPF_PERMERROR, SPF_R_REDIRECT_NONE);
	if (step != SPF_MATCH)
		return step;
	spf_trace_step(c, "redirect", r->redirect_text, text);
	c->depth++;
	rc = spf_check_host(c, text, f);
	c->depth--;
	if (rc == RC_WAIT)
		return SPF_LATER;
	if (f->result == SPF_NONE)
		return spf_stop(f, SPF_PERMERROR, SPF_R_REDIRECT_NONE);
	return f->result == SPF_TEMPERROR || f->result == SPF_PERMERROR ? SPF_STOP : SPF_MATCH;
}

/* An error says which term of which record it was, unless something deeper has said so. */
static void
name_culprit(struct spf_finding *f, struct span term, struct span domain)
{
	if (span_is_null(f->mechanism) && f->reason != SPF_R_SYNTAX)
		f->mechanism = term;
	if (span_is_null(f->at))
		f->at = domain;
}

/* Mechanisms from left to right.  SPF_NO_MATCH: all were tried. */
static enum spf_step
run_mechanisms(struct spf_pass *c, struct spf_finding *f, const struct spf_record *r, struct span domain)
{
	struct span rest = r->terms;
	struct spf_term t;
	const char *why;
	bool is_open = false;           /* the result of a term before is not known */

	while (spf_term_next(&rest, &t, &why) == RC_OK) {
		enum spf_step step;

		if (t.kind >= SPF_REDIRECT)
			continue;
		step = match_term(c, f, &t, domain);
		trace_term(c, &t, step);
		if (step == SPF_LATER)
			is_open = true;
		if (step == SPF_LATER || step == SPF_NO_MATCH)
			continue;
		if (is_open)
			return SPF_LATER;
		if (step == SPF_STOP) {
			name_culprit(f, t.text, domain);
			return SPF_STOP;
		}
		*f = (struct spf_finding){
			.result = t.result, .reason = SPF_R_MATCH, .mechanism = t.text, .at = domain,
			.exp = r->exp, .exp_domain = domain,
		};
		return SPF_MATCH;
	}
	return is_open ? SPF_LATER : SPF_NO_MATCH;
}

static enum rc
run_record(struct spf_pass *c, struct spf_finding *f, const struct spf_record *r, struct span domain)
{
	enum spf_step step = run_mechanisms(c, f, r, domain), after;

	if (step == SPF_MATCH || step == SPF_STOP)
		return RC_OK;
	if (span_is_null(r->redirect) || r->has_all || uses_foreign_local(c, r->redirect)) {
		if (step == SPF_LATER)
			return RC_WAIT;
		*f = (struct spf_finding){ .result = SPF_NEUTRAL, .reason = SPF_R_DEFAULT, .at = domain };
		return RC_OK;
	}
	after = run_redirect(c, f, r, domain);
	if (step == SPF_LATER || after == SPF_LATER)
		return RC_WAIT;
	if (after == SPF_STOP)
		name_culprit(f, r->redirect_text, domain);
	return RC_OK;
}

/* What is wrong, with the term; nothing unprintable in it. */
static struct span
describe(struct spf_pass *c, const struct spf_error *e)
{
	struct buf b = buf_in(c->arena, KIB);
	struct span term = span_sub(e->term, 0, DETAIL_TERM_MAX), text;

	if (!span_is_null(term)) {
		buf_byte(&b, '\'');
		for (size_t i = 0; i < term.n; i++)
			buf_byte(&b, ascii_is_print((unsigned char)term.p[i]) ? term.p[i] : '?');
		buf_str(&b, term.n < e->term.n ? "...': " : "': ");
	}
	buf_str(&b, e->why);
	return buf_done(&b, &text) == RC_OK ? text : SPAN_NULL;
}

/* Section 4.5, and RFC 4406 section 4.4 with a scope.  RC_NONE: no record. */
static enum rc
select_record(struct spf_pass *c, const struct dns_answer *answer, struct span *out, struct spf_finding *f)
{
	size_t found = 0, found2 = 0;

	for (size_t i = 0; i < answer->rr_count; i++) {
		bool is_version2 = spf_record_is_version2(answer->rr[i].text, c->query->scope);

		if (!is_version2 && (found2 > 0 || !spf_record_is_version1(answer->rr[i].text)))
			continue;
		*out = answer->rr[i].text;
		found++;
		found2 += is_version2;
	}
	if (found2 > 0)                 /* takes precedence, whatever came before it */
		found = found2;
	if (c->depth == 0)
		c->is_spf2 = found2 == 1;
	if (found == 1)
		return RC_OK;
	if (found == 0)
		*f = (struct spf_finding){ .result = SPF_NONE, .reason = SPF_R_NO_RECORD };
	else
		*f = (struct spf_finding){ .result = SPF_PERMERROR, .reason = SPF_R_MANY_RECORDS };
	return RC_NONE;
}

static enum rc
run_answer(struct spf_pass *c, struct spf_finding *f, const struct dns_answer *answer, struct span domain)
{
	struct spf_record record;
	struct spf_error error;
	struct span text;

	if (select_record(c, answer, &text, f) != RC_OK) {
		f->at = domain;
		return RC_OK;
	}
	spf_trace_step(c, "record", text, domain);
	if (spf_record_parse(text, &record, &error) != RC_OK) {
		spf_stop(f, SPF_PERMERROR, error.reason);
		f->at = domain;
		f->detail = describe(c, &error);
		return RC_OK;
	}
	return run_record(c, f, &record, domain);
}

/* RFC 7208 section 4.3 and 4.5; RFC 4406 section 4.3. */
static void
judge_absence(const struct spf_pass *c, struct spf_finding *f, enum dns_status status)
{
	f->reason = status == DNS_NXDOMAIN ? SPF_R_NO_DOMAIN : SPF_R_NO_RECORD;
	if (status == DNS_NXDOMAIN && c->query->scope == SPF_SCOPE_PRA)
		f->result = SPF_FAIL;
}

enum rc
spf_check_host(struct spf_pass *c, struct span domain, struct spf_finding *f)
{
	const struct dns_answer *answer;
	struct dns_name name;
	enum spf_step step;
	enum rc rc = RC_OK;

	*f = (struct spf_finding){ .result = SPF_NONE, .reason = SPF_R_BAD_DOMAIN, .at = domain };
	if (dns_name_from_text(domain, &name) != RC_OK)
		return RC_OK;
	spf_trace_step(c, "domain", domain, SPAN_NULL);
	/* The void look-up of the first record is "none", and of the others permerror in any case (section 5.2, 6.1), except where a
	 * domain that does not exist is a fail. */
	c->is_term_void = c->depth == 0 || c->query->scope != SPF_SCOPE_PRA;
	step = spf_ask(c, f, &name, DNS_TXT, &answer);
	if (step == SPF_LATER)
		return RC_WAIT;
	if (step == SPF_MATCH)
		rc = run_answer(c, f, answer, domain);
	else if (step == SPF_NO_MATCH)
		judge_absence(c, f, answer->status);
	if (rc == RC_OK)
		spf_trace_step(c, "result", span_cstr(spf_result_name(f->result)), span_cstr(spf_reason_text(f->reason)));
	return rc;
}
