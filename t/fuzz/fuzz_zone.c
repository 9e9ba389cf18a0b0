/* fuzz_zone - bytes as a zone file; what it holds is then asked for. */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/dns/dns_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
ask(const struct zone *z, const char *text)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_CNAME, DNS_NS };
	struct dns_name name;

	if (dns_name_from_text(span_cstr(text), &name) != RC_OK)
		return;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct dns_answer *a = zone_answer(z, &name, types[i]);

		if (a == NULL)
			continue;
		REQUIRE((a->rr_count > 0) == (a->status == DNS_OK));
		for (size_t k = 0; k < a->rr_count; k++)
			REQUIRE(a->rr[k].name == NULL || a->rr[k].name->w[a->rr[k].name->n - 1] == 0);
		dns_answer_unref(a);
		REQUIRE(zone_delay_ms(z, &name, types[i]) >= -2);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct zone *z;
	char *why;

	if (zone_parse(span_of((const char *)data, n), &z, &why) != RC_OK) {
		REQUIRE(z == NULL && why != NULL && why[0] != '\0');
		free(why);
		return 0;
	}
	REQUIRE(why == NULL);
	ask(z, "a");
	ask(z, "a.example");
	ask(z, "x.wild.example");
	ask(z, "example");
	zone_destroy(&z);
	return 0;
}
