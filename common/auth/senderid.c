/* senderid - see senderid.h. */
#include "common/auth/senderid.h"

static enum spf_result
result_without_address(enum pra_status s)
{
	return s == PRA_INCOMPLETE || s == PRA_MEMORY ? SPF_TEMPERROR : SPF_PERMERROR;
}

enum rc
senderid_check_pra(struct arena *a, struct questions *q, const struct pra *pra, const struct spf_query *base, struct spf_trace *trace,
                   struct senderid_outcome *out)
{
	struct spf_query query = *base;
	enum rc rc;

	*out = (struct senderid_outcome){ .result = SPF_NONE, .pra = *pra };
	if (pra->status != PRA_FOUND) {
		out->result = result_without_address(pra->status);
		return RC_OK;
	}
	query.scope = SPF_SCOPE_PRA;
	query.local = pra->local;
	query.domain = query.sender_domain = pra->domain;
	rc = spf_check(a, q, &query, trace, &out->host);
	out->result = out->host.result;
	return rc;
}

enum rc
senderid_check_mfrom(struct arena *a, struct questions *q, const struct spf_query *query, struct spf_trace *trace, struct spf_outcome *out)
{
	struct spf_query scoped = *query;

	scoped.scope = SPF_SCOPE_MFROM;
	return spf_check(a, q, &scoped, trace, out);
}

const char *
senderid_text(const struct senderid_outcome *o)
{
	if (o->pra.status != PRA_FOUND)
		return pra_status_text(o->pra.status);
	return o->host.reason == SPF_R_NO_RECORD ? "no spf2.0/pra or SPF record" : spf_reason_text(o->host.reason);
}
