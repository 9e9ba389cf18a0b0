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
	struct span local;              /* unquoted */
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
	bool is_dkim_lost;              /* the signatures could not even be looked for: dkim_lost says why, dkim_count is 0 */
	enum dkim_reason dkim_lost;
	bool is_domainkeys_evaluated;
	struct domainkeys_outcome domainkeys;
	bool is_adsp_evaluated;
	struct adsp_outcome adsp;
	bool is_atps_evaluated;
	struct atps_outcome atps;
	unsigned questions;             /* distinct DNS questions of the message */
	bool is_over_budget;
};

/* Items for authres_print(), in a fixed order: spf of MAIL FROM, spf of HELO, each DKIM signature (or one dkim=none), domainkeys, dkim-adsp, dkim-atps.
 * An author's signatures come first, so that no stranger's can crowd them out of a field that gets too long; otherwise as in the header.
 * hardfail: write "hardfail" for fail as ENMA did.  The comment says why (verdict_why), the reason is the explanation of a fail.  An empty
 * identity is left out.  max: room in items; verdict_item_room() is enough.  Texts are the arena's or borrowed from v; at the
 * arena's ceiling the comment is missing.  Returns the count. */
size_t verdict_items(const struct verdict *v, bool hardfail, struct arena *a, struct authres_item *items, size_t max);

/* Appends why an identity has its result, in a few words: "matched ip4:192.0.2.0/24 in _spf.example.org", "DNS error: timeout for
 * example.org".  Raw: parts come from outside, each cut at VERDICT_PART_MAX bytes; escape it for where it goes. */
enum { VERDICT_PART_MAX = 200, VERDICT_ITEMS_OTHER = 8, VERDICT_ITEMS_MAX = VERDICT_ITEMS_OTHER + DKIM_LIMIT_MAX + 1 };
static inline size_t
verdict_item_room(const struct verdict *v)
{
	return VERDICT_ITEMS_OTHER + v->dkim_count;
}
void verdict_why(struct buf *b, const struct verdict_spf *v);
/* The same of a signature: "2048-bit key", "expired, 1024-bit key, testing"; of DomainKeys, ADSP and ATPS. */
void verdict_dkim_why(struct buf *b, const struct dkim_signature *s);
void verdict_domainkeys_why(struct buf *b, const struct domainkeys_outcome *o);
void verdict_adsp_why(struct buf *b, const struct adsp_outcome *o);
void verdict_atps_why(struct buf *b, const struct atps_outcome *o);
/* One word for all signatures: pass if one is good, else the best reason to hope: temperror, policy, fail, neutral, permerror; none. */
enum dkim_result verdict_dkim_summary(const struct verdict *v);

/* local@domain, the local part quoted unless it is a dot-atom (RFC 5321 section 4.1.2).  Absent at the arena's ceiling. */
struct span verdict_mailbox(struct arena *a, struct span local, struct span domain);

/* The value of a Received-SPF field (RFC 7208 section 9.1) for the MAIL FROM identity, beginning with a blank, folded as
 * authres_print() folds.  sender: the address without angle brackets, empty for <>; what is empty or unset is left out.  RC_NONE when
 * MAIL FROM was not evaluated, RC_LIMIT when b is full. */
NODISCARD enum rc verdict_received_spf(struct buf *b, const struct verdict *v, const struct ip *client, struct span helo,
                                       struct span sender, struct span receiver);

#endif
