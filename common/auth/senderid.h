/*
 * senderid - Sender ID (RFC 4406): may the client send mail for the message's Purported Responsible Address (pra.h), or for its MAIL FROM?
 *
 * The evaluation is SPF's (spf.h: RFC 7208 with its limits, which RFC 4406 has from the older RFC 4408), with a scope (section 4.1) that changes three things,
 * for the first record and for those that include and redirect reach:
 *  - record selection (section 4.4): a well-formed "spf2.<digits>/<scopes>" that names the scope, whatever the minor version, goes before "v=spf1"; two
 *    that name it are permerror.  "v=spf1" counts when no spf2 record names the scope, also beside spf2 records for other scopes (section 4.4, step 4;
 *    section 3.4 reads stricter, but section 3.2 leaves precedence to 4.4).  A second "v=spf1" beside an spf2 record that is chosen does no harm.
 *  - scope pra: a domain that does not exist (NXDOMAIN) is fail (section 4.3), not none.  An included one therefore does not match, and counts as a
 *    void look-up; a redirect to one is fail.
 *  - macros: sender, local part and domain (%{s} %{l} %{o}) are those of the address that is checked.
 * No positional modifier is defined (section 3.3): every modifier but redirect and exp is ignored, wherever it stands.  Records of the type SPF are not
 * asked for (RFC 7208 section 3.1).
 *
 * A message without a PRA: section 4 gives no result but suggests to refuse it ("550 5.7.1 Missing Purported Responsible Address"); it is permerror here, with
 * pra.status to tell it from a domain's broken record.  PRA_INCOMPLETE and PRA_MEMORY are temperror: they say nothing about the message.
 *
 * An outcome depends on the scope besides client and domain: never keep it where SPF's outcomes are cached.
 * A pure engine, as spf.h: run it again from its start when RC_WAIT's questions are answered.
 */
#ifndef ENMA_AUTH_SENDERID_H
#define ENMA_AUTH_SENDERID_H

#include "common/auth/pra.h"
#include "common/auth/spf.h"

struct senderid_outcome {
	enum spf_result result;         /* the words are those of sender-id= : spf_result_name() */
	struct pra pra;                 /* as given; .field names the property header.<field>, the value of which is the domain (only that is authenticated) */
	struct spf_outcome host;        /* of check_host(); zeros when there is no PRA */
};

/* pra: selected once per message; its texts live as long as the outcome.  base: client, helo, receiver, now_s, void_limit and wants_explanation are
 * used, the rest comes from pra.  RC_OK: *out is final.  RC_WAIT: questions noted, run again.  Never anything else. */
NODISCARD enum rc senderid_check_pra(struct arena *a, struct questions *q, const struct pra *pra, const struct spf_query *base,
                                     struct spf_trace *trace, struct senderid_outcome *out);
/* The other variant (scope mfrom): query as for spf_check() of MAIL FROM, with postmaster@HELO for a bounce; its scope is not looked at. */
NODISCARD enum rc senderid_check_mfrom(struct arena *a, struct questions *q, const struct spf_query *query, struct spf_trace *trace,
                                       struct spf_outcome *out);

/* A short phrase: what pra.status says, or host.reason with words that fit. */
const char *senderid_text(const struct senderid_outcome *o);

#endif
