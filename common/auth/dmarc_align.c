/* dmarc_align - which identifiers speak for the author's domain; see dmarc.h. */
#include "common/base/domain.h"

#include "common/auth/dmarc_int.h"

static bool
shares_labels(struct span a, struct span b, unsigned count)
{
	return domain_eq(dmarc_last_labels(a, count), dmarc_last_labels(b, count));
}

static enum dmarc_alignment
walk_identifier(struct dmarc_try *t, struct span domain)
{
	struct dmarc_walk walk;

	if (dmarc_tree_walk(t->q, domain, false, &walk) == RC_WAIT) {
		t->waits = true;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	if (walk.is_failed) {
		t->dns_status = walk.dns_status;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	return domain_eq(walk.org, t->walk.org) ? DMARC_ALIGNED_RELAXED : DMARC_NOT_ALIGNED;
}

/* The identifier is at or below the author's organizational domain. */
static enum dmarc_alignment
compare_walks(struct dmarc_try *t, struct span domain)
{
	struct dmarc_compared *new;

	for (size_t i = 0; i < t->compared_count; i++)
		if (domain_eq(t->compared[i].domain, domain))
			return t->compared[i].alignment;
	if (t->compared_count == DMARC_WALKS_MAX)
		return DMARC_NOT_ALIGNED;
	new = &t->compared[t->compared_count++];
	new->domain = domain;
	new->alignment = walk_identifier(t, domain);
	return new->alignment;
}

/* RFC 9989 section 4.10.2; for a domain with a policy that applies. */
static enum dmarc_alignment
align(struct dmarc_try *t, struct span domain, bool is_strict)
{
	if (!domain_is_valid(domain, 1))
		return DMARC_NOT_ALIGNED;
	domain = dmarc_trim_dot(domain);
	if (domain_eq(domain, t->author))
		return DMARC_ALIGNED_STRICT;
	if (is_strict)
		return DMARC_NOT_ALIGNED;
	if (span_is_null(t->walk.org)) {
		/* Any name above the author may be its organizational domain. */
		if (!shares_labels(domain, t->author, 1))
			return DMARC_NOT_ALIGNED;
		t->dns_status = t->walk.dns_status;
		return DMARC_ALIGNMENT_UNKNOWN;
	}
	if (!domain_is_at_or_below(domain, t->walk.org))
		return DMARC_NOT_ALIGNED;
	if (t->query->method == DMARC_PSL)
		return domain_eq(psl_org_domain(t->query->psl, domain), t->walk.org) ? DMARC_ALIGNED_RELAXED : DMARC_NOT_ALIGNED;
	return compare_walks(t, domain);
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

void
dmarc_align_spf(struct dmarc_try *t, bool is_strict, struct dmarc_outcome *out)
{
	enum dmarc_alignment alignment;

	if (!spf_counts(&t->query->spf))
		return;
	alignment = align(t, t->query->spf.domain, is_strict);
	if (t->query->spf.result == DMARC_AUTH_PASS)
		out->spf = alignment;
	else
		t->has_spf_error |= alignment != DMARC_NOT_ALIGNED;
}

bool
dmarc_is_aligned(enum dmarc_alignment a)
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

void
dmarc_align_dkim(struct dmarc_try *t, bool is_strict, struct dmarc_outcome *out)
{
	for (size_t i = 0; i < MIN(t->query->dkim_count, (size_t)DMARC_SIGNATURES_MAX); i++) {
		const struct dmarc_dkim *dkim = &t->query->dkim[i];
		enum dmarc_alignment alignment;

		if (!dkim_counts(t->query, dkim))
			continue;
		alignment = align(t, dkim->domain, is_strict);
		if (dkim->result == DMARC_AUTH_TEMPERROR) {
			t->has_dkim_error |= alignment != DMARC_NOT_ALIGNED;
		} else if (rank_of_alignment(alignment) > rank_of_alignment(out->dkim)) {
			out->dkim = alignment;
			out->dkim_index = dmarc_is_aligned(alignment) ? i : t->query->dkim_count;
		}
	}
}

/* ---- questions ahead of the need ---- */

/* Only a top-level domain could be the organization of names that share no more than that. */
static void
expect_walk(struct dmarc_try *t, struct span domain, size_t *left)
{
	struct dmarc_walk walk;

	if (*left == 0 || !domain_is_valid(domain, 1))
		return;
	domain = dmarc_trim_dot(domain);
	if (domain_eq(domain, t->author) || !shares_labels(domain, t->author, 2))
		return;
	(*left)--;
	(void)!dmarc_tree_walk(t->q, domain, true, &walk);
}

void
dmarc_expect_walks(struct dmarc_try *t)
{
	const struct dmarc_query *query = t->query;
	size_t left = DMARC_WALKS_MAX;

	if (query->method == DMARC_PSL)
		return;
	if (spf_counts(&query->spf))
		expect_walk(t, query->spf.domain, &left);
	for (size_t i = 0; i < MIN(query->dkim_count, (size_t)DMARC_SIGNATURES_MAX); i++)
		if (dkim_counts(query, &query->dkim[i]))
			expect_walk(t, query->dkim[i].domain, &left);
}
