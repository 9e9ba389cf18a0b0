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

/* ---- alignment ---- */

struct compared {
	struct span domain;
	enum dmarc_alignment alignment;
};

/* One author domain's check. */
struct check {
	struct questions *q;
	const struct dmarc_query *query;
	struct span author;
	struct dmarc_walk walk;
	struct compared compared[DMARC_WALKS_MAX];      /* what was walked: equal names are walked once */
	size_t compared_count;
	bool waits;
	bool has_failed;                /* a walk of an identifier did */
	enum dns_status dns_status;
	bool has_spf_error, has_dkim_error;     /* a temporary error of one that is aligned, or may be */
};

static bool
shares_labels(struct span a, struct span b, unsigned count)
{
	return domain_eq(dmarc_last_labels(a, count), dmarc_last_labels(b, count));
}

static struct span
trimmed(struct span name)
{
	return span_ends_nocase(name, SPAN(".")) ? span_sub(name, 0, name.n - 1) : name;
}

static enum dmarc_alignment
walk_identifier(struct check *c, struct span domain)
{
	struct dmarc_walk walk;

	if (dmarc_tree_walk(c->q, domain, false, &walk) == RC_WAIT) {
		c->waits = true;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	if (walk.is_failed) {
		c->has_failed = true;
		c->dns_status = walk.dns_status;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	return domain_eq(walk.org, c->walk.org) ? DMARC_ALIGNED_RELAXED : DMARC_NOT_ALIGNED;
}

/* The identifier is at or below the author's organizational domain. */
static enum dmarc_alignment
compare_walks(struct check *c, struct span domain)
{
	struct compared *new;

	for (size_t i = 0; i < c->compared_count; i++)
		if (domain_eq(c->compared[i].domain, domain))
			return c->compared[i].alignment;
	if (c->compared_count == DMARC_WALKS_MAX)
		return DMARC_NOT_ALIGNED;
	new = &c->compared[c->compared_count++];
	new->domain = domain;
	new->alignment = walk_identifier(c, domain);
	return new->alignment;
}

/* RFC 9989 section 4.10.2; for a domain with a policy that applies. */
static enum dmarc_alignment
align(struct check *c, struct span domain, bool is_strict)
{
	if (!domain_is_valid(domain, 1))
		return DMARC_NOT_ALIGNED;
	domain = trimmed(domain);
	if (domain_eq(domain, c->author))
		return DMARC_ALIGNED_STRICT;
	if (is_strict)
		return DMARC_NOT_ALIGNED;
	if (span_is_null(c->walk.org)) {
		/* Any name above the author may be its organizational domain. */
		if (!shares_labels(domain, c->author, 1))
			return DMARC_NOT_ALIGNED;
		c->has_failed = true;
		c->dns_status = c->walk.dns_status;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	if (!domain_is_at_or_below(domain, c->walk.org))
		return DMARC_NOT_ALIGNED;
	if (c->query->method == DMARC_PSL)
		return domain_eq(psl_org_domain(c->query->psl, domain), c->walk.org) ? DMARC_ALIGNED_RELAXED : DMARC_NOT_ALIGNED;
	return compare_walks(c, domain);
}

static bool
spf_counts(const struct dmarc_spf *spf)
{
	return spf->result != DMARC_AUTH_OTHER && spf->identity != DMARC_SPF_HELO;
}

static bool
dkim_counts(const struct dmarc_query *query, const struct dmarc_dkim *dkim)
{
	if ((dkim->is_testing && query->ignores_testing_keys) || (dkim->has_unsigned_body && query->ignores_unsigned_body))
		return false;
	return dkim->result != DMARC_AUTH_OTHER;
}

static void
align_spf(struct check *c, bool is_strict, struct dmarc_outcome *out)
{
	enum dmarc_alignment alignment;

	if (!spf_counts(&c->query->spf))
		return;
	alignment = align(c, c->query->spf.domain, is_strict);
	if (c->query->spf.result == DMARC_AUTH_PASS)
		out->spf = alignment;
	else
		c->has_spf_error |= alignment != DMARC_NOT_ALIGNED;
}

static bool
is_aligned(enum dmarc_alignment a)
{
	return a == DMARC_ALIGNED_RELAXED || a == DMARC_ALIGNED_STRICT;
}

/* The same name is better than the same organization, and that better than not to know. */
static unsigned
rank_of_alignment(enum dmarc_alignment a)
{
	static const unsigned char rank[] = {
		[DMARC_NOT_ALIGNED] = 0, [DMARC_ALIGNMENT_UNKNOWN] = 1, [DMARC_ALIGNED_RELAXED] = 2, [DMARC_ALIGNED_STRICT] = 3,
	};

	return rank[a];
}

static void
align_dkim(struct check *c, bool is_strict, struct dmarc_outcome *out)
{
	for (size_t i = 0; i < MIN(c->query->dkim_count, (size_t)DMARC_SIGNATURES_MAX); i++) {
		const struct dmarc_dkim *dkim = &c->query->dkim[i];
		enum dmarc_alignment alignment;

		if (!dkim_counts(c->query, dkim))
			continue;
		alignment = align(c, dkim->domain, is_strict);
		if (dkim->result == DMARC_AUTH_TEMPERROR) {
			c->has_dkim_error |= alignment != DMARC_NOT_ALIGNED;
		} else if (rank_of_alignment(alignment) > rank_of_alignment(out->dkim)) {
			out->dkim = alignment;
			out->dkim_index = is_aligned(alignment) ? i : c->query->dkim_count;
		}
	}
}

/* ---- questions ahead of the need ---- */

/* Only a top-level domain could be the organization of names that share no more than that. */
static void
expect_walk(struct check *c, struct span domain, size_t *left)
{
	struct dmarc_walk walk;

	if (*left == 0 || !domain_is_valid(domain, 1))
		return;
	domain = trimmed(domain);
	if (domain_eq(domain, c->author) || !shares_labels(domain, c->author, 2))
		return;
	(*left)--;
	(void)!dmarc_tree_walk(c->q, domain, true, &walk);
}

static void
expect_walks(struct check *c)
{
	const struct dmarc_query *query = c->query;
	size_t left = DMARC_WALKS_MAX;

	if (query->method == DMARC_PSL)
		return;
	if (spf_counts(&query->spf))
		expect_walk(c, query->spf.domain, &left);
	for (size_t i = 0; i < MIN(query->dkim_count, (size_t)DMARC_SIGNATURES_MAX); i++)
		if (dkim_counts(query, &query->dkim[i]))
			expect_walk(c, query->dkim[i].domain, &left);
}

/* Section 3.2.13: NXDOMAIN, whatever is asked.  NULL: not known yet. */
static const struct dns_answer *
ask_existence(struct check *c, bool is_speculative)
{
	static const struct dns_answer exists = { .status = DNS_NODATA, .refs = 1 };
	struct dns_name name;

	if (dns_name_from_text(c->author, &name) != RC_OK)
		return &exists;
	return questions_want(c->q, &name, DNS_MX, is_speculative);
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
look_for_author(struct check *c, struct dmarc_outcome *out)
{
	const struct dns_answer *answer;

	if (out->place == DMARC_AT_AUTHOR || out->record.sp == out->record.np)
		return RC_OK;
	answer = ask_existence(c, false);
	if (answer == NULL)
		return RC_WAIT;
	out->is_nonexistent = answer->status == DNS_NXDOMAIN;
	if (answer->status <= DNS_NXDOMAIN)
		return RC_OK;
	out->dns_status = answer->status;
	return RC_TEMP;
}

static enum rc
judge(struct check *c, bool is_policy_open, struct dmarc_outcome *out)
{
	enum dns_status existence = out->dns_status;

	out->dns_status = DNS_OK;
	if (is_aligned(out->spf) || is_aligned(out->dkim))
		return conclude(out, DMARC_R_ALIGNED);
	if (out->spf == DMARC_ALIGNMENT_UNKNOWN || out->dkim == DMARC_ALIGNMENT_UNKNOWN)
		return dns_failed(out, c->dns_status);
	if (c->has_spf_error || c->has_dkim_error)
		return conclude(out, c->has_spf_error ? DMARC_R_SPF : DMARC_R_DKIM);
	return is_policy_open ? dns_failed(out, existence) : conclude(out, DMARC_R_NOT_ALIGNED);
}

static enum rc
use_record(struct check *c, const struct dmarc_step *step, struct dmarc_outcome *out)
{
	enum rc existence;

	out->has_record = true;
	out->record = step->record;
	out->record_domain = step->name;
	out->org_domain = c->walk.org;
	align_spf(c, out->record.is_aspf_strict, out);
	align_dkim(c, out->record.is_adkim_strict, out);
	existence = look_for_author(c, out);
	if (c->waits || existence == RC_WAIT)
		return RC_WAIT;
	set_policy(c->query, out);
	return judge(c, existence == RC_TEMP, out);
}

static enum rc
find_records(struct check *c)
{
	if (c->query->method == DMARC_PSL)
		return dmarc_psl_walk(c->q, c->query->psl, c->author, &c->walk);
	return dmarc_tree_walk(c->q, c->author, false, &c->walk);
}

static enum rc
check_author(struct questions *q, const struct dmarc_query *query, struct span author, struct dmarc_outcome *out)
{
	struct check c = { .q = q, .query = query, .author = trimmed(author) };
	const struct dmarc_step *step;
	enum dmarc_reason why;

	if (!domain_is_valid(author, 1))
		return conclude(out, DMARC_R_BAD_DOMAIN);
	if (query->method == DMARC_PSL && query->psl == NULL)
		return conclude(out, DMARC_R_NO_LIST);
	if (find_records(&c) == RC_WAIT) {
		if (query->method == DMARC_TREEWALK)
			(void)ask_existence(&c, true);
		expect_walks(&c);
		return RC_WAIT;
	}
	step = dmarc_walk_policy(&c.walk, &out->place, &why);
	if (step != NULL)
		return use_record(&c, step, out);
	return why == DMARC_R_DNS ? dns_failed(out, c.walk.dns_status) : conclude(out, why);
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
