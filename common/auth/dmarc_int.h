/*
 * dmarc_int - shared by dmarc*.c alone: the records that were looked for on behalf of one domain, and what they say about its organizational domain.
 */
#ifndef ENMA_AUTH_DMARC_INT_H
#define ENMA_AUTH_DMARC_INT_H

#include "common/auth/dmarc.h"

enum dmarc_step_kind {
	DMARC_STEP_NONE,                /* nothing there */
	DMARC_STEP_ONE,                 /* one record, in use */
	DMARC_STEP_MANY,                /* several: discarded */
	DMARC_STEP_BAD,                 /* one, invalid: discarded */
	DMARC_STEP_FAILED,              /* DNS did not say */
};

struct dmarc_step {
	struct span name;
	enum dmarc_step_kind kind;
	struct dmarc_record record;     /* DMARC_STEP_ONE */
};

struct dmarc_walk {
	struct span start;              /* without a final dot */
	struct dmarc_step steps[DMARC_WALK_MAX];        /* [0]: the start; only those that count */
	size_t n;
	struct span org;                /* organizational domain, a part of start; absent: a failure of DNS left it open */
	bool is_failed;                 /* the last step did; dns_status says how */
	enum dns_status dns_status;
};

/* RFC 9989 section 4.10.  RC_OK, or RC_WAIT.  domain is valid.  is_speculative: nothing of it may turn out to be needed. */
NODISCARD enum rc dmarc_tree_walk(struct questions *q, struct span domain, bool is_speculative, struct dmarc_walk *out);
/* RFC 7489 section 6.6.3: at most two steps. */
NODISCARD enum rc dmarc_psl_walk(struct questions *q, const struct psl_list *psl, struct span domain, struct dmarc_walk *out);
/* The step whose record applies to mail from the start (section 4.10.1), or NULL: *why_out.  Not for a walk that failed before it was found. */
const struct dmarc_step *dmarc_walk_policy(const struct dmarc_walk *w, enum dmarc_place *place_out, enum dmarc_reason *why_out);

struct span dmarc_trim_dot(struct span name);           /* without a final dot */
/* The last count labels of a name without a final dot. */
struct span dmarc_last_labels(struct span name, unsigned count);

/* An identifier that was walked. */
struct dmarc_compared {
	struct span domain;
	enum dmarc_alignment alignment;
};

/* One author domain's check. */
struct dmarc_try {
	struct questions *q;
	const struct dmarc_query *query;
	struct span author;
	struct dmarc_walk walk;
	struct dmarc_compared compared[DMARC_WALKS_MAX];        /* what was walked: equal names are walked once */
	size_t compared_count;
	bool waits;
	enum dns_status dns_status;     /* of a walk that left an alignment unknown */
	bool has_spf_error, has_dkim_error;     /* a temporary error of one that is aligned, or may be */
};

bool dmarc_is_aligned(enum dmarc_alignment a);
/* For a domain with a record that applies: sets out->spf, or out->dkim and out->dkim_index, and what t says of waiting and failures. */
void dmarc_align_spf(struct dmarc_try *t, bool is_strict, struct dmarc_outcome *out);
void dmarc_align_dkim(struct dmarc_try *t, bool is_strict, struct dmarc_outcome *out);
/* Notes the questions of walks that are likely to be needed, before the author's own walk is done. */
void dmarc_expect_walks(struct dmarc_try *t);

#endif
