/*
 * fuzz_dkim_sig - any value of a DKIM-Signature field, parsed alone and verified in a message: what is accepted is within all limits, and nothing passes
 * that nobody signed.
 */
#include "common/auth/dkim_sig.h"
#include "common/base/check.h"
#include "common/base/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_parsed(const struct dkim_sig *sig, const struct dkim_signature *s, size_t size)
{
	REQUIRE(s->is_parsed && s->reason == DKIM_R_GOOD && size <= DKIM_FIELD_MAX);
	REQUIRE(sig->bh.n == (s->hash == CRYPTO_SHA1 ? 20 : 32) && sig->b.n > 0 && sig->b.n <= DKIM_SIGNATURE_MAX);
	REQUIRE(sig->h_count > 0 && sig->h_count <= DKIM_H_NAMES_MAX);
	REQUIRE(sig->b_from <= size && sig->b_n <= size - sig->b_from);
	REQUIRE(s->b_start.n > 0 && s->b_start.n <= DKIM_B_START_MIN && sig->key_name.n > 0);
	REQUIRE(domain_is_valid(s->domain, 2) && domain_is_at_or_below(s->i_domain, s->domain));
	REQUIRE(s->l >= -1 && s->t >= -1 && s->x >= -1);
}

static void
verify(struct arena *a, struct span value)
{
	static const struct span author = { "example.org", 11 };
	const struct dkim_options o = { .limit = 2, .min_rsa_bits = 1024, .accept_sha1 = true, .accept_expired = true, .accept_future = true };
	struct header_block h;
	struct questions q;
	struct dkim *d;
	size_t n;

	header_init(&h, a);
	questions_init(&q, a, 10);
	if (header_add(&h, SPAN("DKIM-Signature"), value, true) != RC_OK || header_add(&h, SPAN("From"), SPAN("x@example.org"), true) != RC_OK ||
	    header_add(&h, SPAN("DKIM-Signature"), value, true) != RC_OK || (d = dkim_create(a, &o, &h, &author, 1)) == NULL)
		return;
	(void)!dkim_run(d, &q, 1700000000);
	dkim_body(d, value);
	dkim_body_end(d);
	questions_close(&q);
	REQUIRE(dkim_run(d, &q, 1700000000) == RC_OK);
	for (size_t i = (dkim_signatures(d, &n), 0); i < n; i++)
		REQUIRE(dkim_signatures(d, &n)[i].result > DKIM_PASS);
	REQUIRE(n == 2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span value = span_of((const char *)data, size);
	static struct dkim_sig sig;
	struct dkim_signature s = { 0 };
	struct arena a;

	arena_init(&a, 4 * KIB, 4 * MIB);
	sig = (struct dkim_sig){ 0 };
	if (dkim_sig_parse(&a, value, DKIM_SIG_DKIM, &sig, &s) == RC_OK)
		check_parsed(&sig, &s, size);
	else
		REQUIRE(!s.is_parsed && s.reason != DKIM_R_GOOD && s.result == dkim_reason_result(s.reason));
	sig = (struct dkim_sig){ 0 };
	s = (struct dkim_signature){ 0 };
	(void)!dkim_sig_parse(&a, value, DKIM_SIG_ARC, &sig, &s);
	verify(&a, value);
	arena_fini(&a);
	return 0;
}
