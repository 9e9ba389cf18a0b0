/*
 * verdict - the results of one message, and their wording in Authentication-Results and Received-SPF.
 * owner: lead
 */
#ifndef ENMA_AUTH_VERDICT_H
#define ENMA_AUTH_VERDICT_H

#include "common/auth/adsp.h"
#include "common/auth/atps.h"
#include "common/auth/dkim.h"
#include "common/auth/domainkeys.h"
#include "common/auth/spf.h"
#include "common/mail/addr.h"
#include "common/mail/authres.h"

struct verdict_spf {
	bool is_evaluated;              /* false: not reported at all */
	struct span identity;           /* what is printed: the mail address, or the HELO name */
	struct spf_outcome outcome;
};

/* Whom the message says it is from: all mailboxes of its one From field. */
struct verdict_author {
	struct span domain;             /* lower case, A-labels; absent: not a name of DNS */
	struct span written;            /* as it stands there */
};
enum verdict_from { FROM_NOT_SEEN, FROM_GOOD, FROM_MISSING, FROM_SEVERAL, FROM_BAD };

struct verdict {
	struct verdict_spf mailfrom;    /* smtp.mailfrom; for <> the identity is postmaster@HELO */
	struct verdict_spf helo;        /* smtp.helo; never used for another identity */
	enum verdict_from from;         /* several fields, a field that does not parse: no author is taken from it */
	const char *from_why;           /* of FROM_BAD; constant text */
	const struct verdict_author *authors;
	size_t author_count;
	bool is_dkim_evaluated;         /* false: not reported at all */
	const struct dkim_signature *dkim;
	size_t dkim_count;              /* described; 0: the message has no signature: none */
	size_t dkim_total;              /* that the message has */
	bool is_domainkeys_evaluated;
	struct domainkeys_outcome domainkeys;
	bool is_adsp_evaluated;
	struct adsp_outcome adsp;
	struct atps_outcome atps;       /* of use when options.atps */
	unsigned questions;             /* distinct DNS questions of the message */
	bool is_over_budget;
};

/* Items for authres_print(), in a fixed order: spf of MAIL FROM, spf of HELO, each DKIM signature (or one dkim=none), domainkeys, dkim-adsp.  hardfail: write "hardfail" for fail as ENMA did.
 * The comment says why (verdict_why), the reason is the explanation of a fail.  An empty identity is left out.  max: room in items
 * (VERDICT_ITEMS_MAX is always enough).  Texts are the arena's or borrowed from v; at the arena's ceiling the comment is missing.  Returns the count. */
size_t verdict_items(const struct verdict *v, bool hardfail, struct arena *a, struct authres_item *items, size_t max);

/* Appends why an identity has its result, in a few words: "matched ip4:192.0.2.0/24 in _spf.example.org", "DNS error: timeout for
 * example.org".  Raw: parts come from outside, each cut at VERDICT_PART_MAX bytes; escape it for where it goes. */
enum { VERDICT_PART_MAX = 200, VERDICT_ITEMS_MAX = 8 + DKIM_LIMIT_MAX + 1 };
void verdict_why(struct buf *b, const struct verdict_spf *v);

/* The value of a Received-SPF field (RFC 7208 section 9.1) for the MAIL FROM identity, beginning with a blank, folded as
 * authres_print() folds.  sender: the address without angle brackets, empty for <>; what is empty or unset is left out.  RC_NONE when
 * MAIL FROM was not evaluated, RC_LIMIT when b is full. */
NODISCARD enum rc verdict_received_spf(struct buf *b, const struct verdict *v, const struct ip *client, struct span helo,
                                       struct span sender, struct span receiver);

#endif
