/*
 * verdict - the results of one message, and their wording in Authentication-Results and Received-SPF.
 * owner: lead
 */
#ifndef ENMA_AUTH_VERDICT_H
#define ENMA_AUTH_VERDICT_H

#include "common/auth/spf.h"
#include "common/mail/authres.h"

struct verdict_spf {
	bool is_evaluated;              /* false: not reported at all */
	struct span identity;           /* what is printed: the mail address, or the HELO name */
	struct spf_outcome outcome;
};

struct verdict {
	struct verdict_spf mailfrom;    /* smtp.mailfrom; for <> the identity is postmaster@HELO */
	struct verdict_spf helo;        /* smtp.helo; never used for another identity */
	unsigned questions;             /* distinct DNS questions of the message */
	bool is_over_budget;
};

/* Items for authres_print(), in a fixed order: spf of MAIL FROM, spf of HELO.  hardfail: write "hardfail" for fail as ENMA did.
 * max: room in items (8 is always enough).  Returns the count. */
size_t verdict_items(const struct verdict *v, bool hardfail, struct arena *a, struct authres_item *items, size_t max);

/* The value of a Received-SPF field (RFC 7208 section 9.1) for the MAIL FROM identity, beginning with a blank, folded. */
NODISCARD enum rc verdict_received_spf(struct buf *b, const struct verdict *v, const struct ip *client, struct span helo,
                                       struct span sender, struct span receiver);

#endif
