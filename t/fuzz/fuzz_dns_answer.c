/* fuzz_dns_answer - bytes as a DNS response.  First byte: which question; the rest: the packet. */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Everything an engine may look at is touched, so that a wild pointer is found here. */
static size_t
touch(const struct dns_answer *a)
{
	size_t sum = a->why[0];

	REQUIRE(a->status <= DNS_MALFORMED);
	REQUIRE(a->rr_count <= DNS_ANSWER_RRS_MAX);
	REQUIRE((a->rr_count > 0) == (a->status == DNS_OK));
	REQUIRE(a->ttl_s <= INT32_MAX);
	for (size_t i = 0; i < a->rr_count; i++) {
		const struct dns_rr *rr = &a->rr[i];

		REQUIRE(rr->ttl_s >= a->ttl_s);
		sum += rr->ip.b[15];
		if (rr->name != NULL) {
			REQUIRE(rr->name->n > 0 && rr->name->w[rr->name->n - 1] == 0);
			sum += rr->name->w[0];
		}
		for (size_t c = 0; c < rr->text.n; c++)
			sum += (uint8_t)rr->text.p[c];
	}
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_CNAME, DNS_NS, DNS_SOA };
	static volatile size_t sink;
	const struct dns_answer *a;
	struct dns_name name;

	if (n < 1 || dns_name_from_text(SPAN("www.example"), &name) != RC_OK)
		return 0;
	a = dns_answer_decode(span_of((const char *)data + 1, n - 1), &name, types[data[0] % ARRAY_LEN(types)]);
	sink += touch(a);
	dns_answer_unref(a);
	return 0;
}
