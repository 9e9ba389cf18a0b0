/* dmarc - alignment and outcome; see dmarc.h. */
#include "common/base/domain.h"

#include "common/auth/dmarc_int.h"

static const struct {
	enum dmarc_result result;
	const char *text;
} reasons[] = {
#define REASON_ROW(id, result, text) [DMARC_R_##id] = { result, text },
	DMARC_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *
dmarc_method_name(enum dmarc_method m)
{
	return m == DMARC_PSL ? "psl" : "treewalk";
}

const char *
dmarc_result_name(enum dmarc_result r)
{
	static const char *const names[] = {
		[DMARC_NONE] = "none", [DMARC_PASS] = "pass", [DMARC_FAIL] = "fail", [DMARC_TEMPERROR] = "temperror", [DMARC_PERMERROR] = "permerror",
	};

	return names[r];
}

const char *
dmarc_reason_text(enum dmarc_reason r)
{
	return reasons[r].text;
}

const char *
dmarc_tag_name(enum dmarc_tag t)
{
	static const char *const names[] = { [DMARC_TAG_P] = "p", [DMARC_TAG_SP] = "sp", [DMARC_TAG_NP] = "np" };

	return names[t];
}

static enum rc
conclude(struct dmarc_outcome *out, enum dmarc_reason r)
{
	out->reason = r;
	out->result = reasons[r].result;
	out->disposition = out->result == DMARC_FAIL ? out->applied : DMARC_P_NONE;
	return RC_OK;
}

static enum rc
dns_failed(struct dmarc_outcome *out, enum dns_status status)
{
	out->dns_status = status;
	return conclude(out, DMARC_R_DNS);
}

/* ---- existence ---- */

/* Section 3.2.13: NXDOMAIN, whatever is asked.  NULL: not known yet. */
static const struct dns_answer *
ask_existence(struct dmarc_try *t, bool is_speculative)
{
	static const struct dns_answer exists = { .status = DNS_NODATA, .refs = 1 };
	struct dns_name name;

	if (dns_name_from_text(t->author, &name) != RC_OK)
		return &exists;
	return questions_want(t->q, &name, DNS_MX, is_speculative);
}

/* ---- policy ---- */

static enum dmarc_policy
one_less(enum dmarc_policy p)
{
	return p == DMARC_P_REJECT ? DMARC_P_QUARANTINE : DMARC_P_NONE;
}

static void
set_policy(const struct dmarc_query *query, struct dmarc_outcome *out)
{
	const struct dmarc_record *r = &out->record;
	bool is_subdomain = out->place != DMARC_AT_AUTHOR;

	if (is_subdomain && out->is_nonexistent && r->has_np)
		out->tag = DMARC_TAG_NP;
	else if (is_subdomain && r->has_sp)
		out->tag = DMARC_TAG_SP;
	else
		out->tag = DMARC_TAG_P;
	out->policy = !is_subdomain ? r->p : out->is_nonexistent ? r->np : r->sp;
	out->applied = r->is_testing || (r->pct < DMARC_PCT_DEFAULT && query->draw >= r->pct) ? one_less(out->policy) : out->policy;
}

/* Whether the author's domain exists, if that makes a difference.  RC_OK, RC_WAIT, or RC_TEMP: it is taken to exist. */
static enum rc
look_for_author(struct dmarc_try *t, struct dmarc_outcome *out)
{
	const struct dns_answer *answer;

	if (out->place == DMARC_AT_AUTHOR || out->record.sp == out->record.np)
		return RC_OK;
	answer = ask_existence(t, false);
	if (answer == NULL)
		return RC_WAIT;
	out->is_nonexistent = answer->status == DNS_NXDOMAIN;
	if (answer->status <= DNS_NXDOMAIN)
		return RC_OK;
	out->dns_status = answer->status;
	return RC_TEMP;
}

static enum rc
judge(struct dmarc_try *t, bool is_policy_open, struct dmarc_outcome *out)
{
	enum dns_status existence = out->dns_status;

	out->dns_status = DNS_OK;
	if (dmarc_is_aligned(out->spf) || dmarc_is_aligned(out->dkim))
		return conclude(out, DMARC_R_ALIGNED);
	if (out->spf == DMARC_ALIGNMENT_UNKNOWN || out->dkim == DMARC_ALIGNMENT_UNKNOWN)
		return dns_failed(out, t->dns_status);
	if (t->has_spf_error || t->has_dkim_error)
		return conclude(out, t->has_spf_error ? DMARC_R_SPF : DMARC_R_DKIM);
	return is_policy_open ? dns_failed(out, existence) : conclude(out, DMARC_R_NOT_ALIGNED);
}

static enum rc
use_record(struct dmarc_try *t, const struct dmarc_step *step, struct dmarc_outcome *out)
{
	enum rc existence;

	out->has_record = true;
	out->record = step->record;
	out->record_domain = step->name;
	out->org_domain = t->walk.org;
	dmarc_align_spf(t, out->record.is_aspf_strict, out);
	dmarc_align_dkim(t, out->record.is_adkim_strict, out);
	existence = look_for_author(t, out);
	if (t->waits || existence == RC_WAIT)
		return RC_WAIT;
	set_policy(t->query, out);
	return judge(t, existence == RC_TEMP, out);
}

static enum rc
find_records(struct dmarc_try *t)
{
	if (t->query->method == DMARC_PSL)
		return dmarc_psl_walk(t->q, t->query->psl, t->author, &t->walk);
	return dmarc_tree_walk(t->q, t->author, false, &t->walk);
}

static enum rc
check_author(struct questions *q, const struct dmarc_query *query, struct span author, struct dmarc_outcome *out)
{
	struct dmarc_try t = { .q = q, .query = query, .author = dmarc_trim_dot(author) };
	const struct dmarc_step *step;
	enum dmarc_reason why;

	if (!domain_is_valid(author, 1))
		return conclude(out, DMARC_R_BAD_DOMAIN);
	if (query->method == DMARC_PSL && query->psl == NULL)
		return conclude(out, DMARC_R_NO_LIST);
	if (find_records(&t) == RC_WAIT) {
		if (query->method == DMARC_TREEWALK)
			(void)ask_existence(&t, true);
		dmarc_expect_walks(&t);
		return RC_WAIT;
	}
	step = dmarc_walk_policy(&t.walk, &out->place, &why);
	if (step != NULL)
		return use_record(&t, step, out);
	return why == DMARC_R_DNS ? dns_failed(out, t.walk.dns_status) : conclude(out, why);
}

/* ---- all authors ---- */

static unsigned
strictness(const struct dmarc_outcome *o)
{
	static const unsigned char rank[] = {
		[DMARC_PASS] = 0, [DMARC_NONE] = 1, [DMARC_FAIL] = 2, [DMARC_PERMERROR] = 3, [DMARC_TEMPERROR] = 4,
	};

	if (o->result == DMARC_FAIL && o->disposition != DMARC_P_NONE)
		return o->disposition == DMARC_P_REJECT ? 6 : 5;
	return rank[o->result];
}

/* Indexes of the first author of each domain; DMARC_AUTHORS_MAX + 1 when there are more. */
static size_t
distinct_authors(const struct dmarc_query *query, size_t out[DMARC_AUTHORS_MAX])
{
	size_t n = 0, k;

	for (size_t i = 0; i < query->author_count; i++) {
		for (k = 0; k < n; k++)
			if (domain_eq(query->authors[i], query->authors[out[k]]))
				break;
		if (k < n)
			continue;
		if (n == DMARC_AUTHORS_MAX)
			return DMARC_AUTHORS_MAX + 1;
		out[n++] = i;
	}
	return n;
}

static struct dmarc_outcome
nothing_decided(const struct dmarc_query *query)
{
	return (struct dmarc_outcome){ .author = query->author_count, .dkim_index = query->dkim_count };
}

enum rc
dmarc_check(struct questions *q, const struct dmarc_query *query, struct dmarc_outcome *out)
{
	size_t authors[DMARC_AUTHORS_MAX], n = distinct_authors(query, authors);
	bool waits = false;

	*out = nothing_decided(query);
	if (n == 0)
		return conclude(out, DMARC_R_NO_AUTHOR);
	if (n > DMARC_AUTHORS_MAX)
		return conclude(out, DMARC_R_MANY_AUTHORS);
	if (n > 1 && query->is_one_author_needed)
		return conclude(out, DMARC_R_SEVERAL_AUTHORS);
	for (size_t i = 0; i < n; i++) {
		struct dmarc_outcome one = nothing_decided(query);

		one.author = authors[i];
		if (check_author(q, query, query->authors[authors[i]], &one) == RC_WAIT)
			waits = true;
		else if (out->author == query->author_count || strictness(&one) > strictness(out))
			*out = one;
	}
	return waits ? RC_WAIT : RC_OK;
}

enum rc
dmarc_org_domain(struct questions *q, enum dmarc_method m, const struct psl_list *psl, struct span domain, struct span *out,
                 enum dns_status *status_out)
{
	struct dmarc_walk walk;

	*out = SPAN_NULL;
	*status_out = DNS_OK;
	if (!domain_is_valid(domain, 1))
		return RC_SYNTAX;
	if (m == DMARC_PSL) {
		*out = psl != NULL ? psl_org_domain(psl, domain) : SPAN_NULL;
		return psl != NULL ? RC_OK : RC_TEMP;
	}
	if (dmarc_tree_walk(q, domain, false, &walk) == RC_WAIT)
		return RC_WAIT;
	*out = walk.org;
	*status_out = walk.dns_status;
	return walk.is_failed ? RC_TEMP : RC_OK;
}
