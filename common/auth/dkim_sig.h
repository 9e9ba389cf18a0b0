/*
 * dkim_sig - the text of a DKIM-Signature field, checked (RFC 6376 section 3.5, 6.1.1).  Shared by verification and, for its tags, by ARC's message
 * signature.
 */
#ifndef ENMA_AUTH_DKIM_SIG_H
#define ENMA_AUTH_DKIM_SIG_H

#include "common/auth/dkim.h"
#include "common/dns/dns.h"
#include "common/mail/taglist.h"

struct dkim_sig {
	struct taglist tags;
	struct span b, bh;              /* decoded; the arena's */
	struct span h;                  /* raw value of h= */
	size_t h_count;
	struct span b_text;             /* up to DKIM_B_START_MAX characters of b= without FWS; the arena's */
	size_t b_from, b_n;             /* where the value of b= stands in the field's value, FWS included: what is cut out for hashing */
	struct dns_name key_name;       /* selector._domainkey.domain */
};

enum dkim_sig_flavour { DKIM_SIG_DKIM, DKIM_SIG_ARC };  /* ARC: no v=, no d=/i= relation, i= is a number (left to the caller) */

/* RC_OK: *sig and the parsed members of *out are set, is_parsed too.  RC_SYNTAX: out->result, reason and detail say what is wrong; what could be read is
 * set.  RC_LIMIT: the arena's ceiling, the same with DKIM_R_MEMORY.  Spans point into value or are the arena's.  Times and policy are not looked at. */
NODISCARD enum rc dkim_sig_parse(struct arena *a, struct span value, enum dkim_sig_flavour flavour, struct dkim_sig *sig, struct dkim_signature *out);

#endif
