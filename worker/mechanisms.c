/* mechanisms - see mechanisms.h. */
#include "worker/mechanisms.h"

#include <stdlib.h>

#include "common/base/xalloc.h"

static void
fill_dkim(struct mechanisms *m, const struct conf *conf)
{
	const struct conf_list *must = &conf->dkim_must_be_signed;

	m->must_be_signed = xcalloc(must->n + 1, sizeof *m->must_be_signed);
	for (size_t i = 0; i < must->n; i++)
		m->must_be_signed[i] = span_cstr(must->v[i]);
	m->dkim = (struct dkim_options){
		.limit = conf->dkim_signheader_limit > 0 ? (unsigned)conf->dkim_signheader_limit : DKIM_LIMIT_MAX,
		.min_rsa_bits = (unsigned)conf->dkim_min_rsa_bits,
		.accept_sha1 = conf->dkim_accept_sha1,
		.accept_expired = conf->dkim_accept_expired_signature, .accept_future = conf->dkim_accept_future_signature,
		.clock_skew_s = conf->dkim_clock_skew,
		.l_tag = conf->dkim_l_tag == CONF_L_ACCEPT ? DKIM_L_ACCEPT : DKIM_L_POLICY,
		.rfc4871_compatible = conf->dkim_rfc4871_compatible,
		.must_be_signed = m->must_be_signed, .must_be_signed_count = must->n,
		.keys = m->keys,
	};
}

void
mechanisms_init(struct mechanisms *m, const struct conf *conf)
{
	*m = (struct mechanisms){ .keys = dkim_keys_create(MECHANISMS_KEYS) };
	fill_dkim(m, conf);
	m->domainkeys = (struct domainkeys_options){ .min_rsa_bits = MECHANISMS_DOMAINKEYS_BITS, .keys = m->keys };
	m->eval = (struct eval_options){
		.spf = conf->spf_auth, .spf_helo = conf->spf_check_helo, .spf_explanation = conf->spf_explog,
		.spf_void_limit = (unsigned)conf->spf_void_limit,
		.dkim = conf->dkim_auth ? &m->dkim : NULL,
		.domainkeys = conf->domainkeys_auth ? &m->domainkeys : NULL,
		.adsp = conf->dkim_auth && conf->dkimadsp_auth,
		.atps = conf->dkim_auth && conf->dkimadsp_auth && conf->dkimadsp_atps,
	};
}

void
mechanisms_fini(struct mechanisms *m)
{
	dkim_keys_destroy(&m->keys);
	free(m->must_be_signed);
	*m = (struct mechanisms){ 0 };
}

bool
mechanisms_want_body(const struct eval_options *o)
{
	return o->dkim != NULL || o->domainkeys != NULL;
}
