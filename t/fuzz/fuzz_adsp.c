/*
 * fuzz_adsp - practices records and third-party records.  Up to the first NUL byte: the author's domain; up to the next: the signer's; the rest: the record that
 * is at every name.
 */
#include "common/auth/adsp.h"
#include "common/auth/atps.h"
#include "common/base/check.h"
#include "common/base/domain.h"

enum { BUDGET = 20, ROUNDS_MAX = 4, CEILING = MIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answer_all(struct questions *q, struct span record)
{
	for (size_t i = questions_next_new(q, 0); i < q->n; i = questions_next_new(q, i)) {
		static struct dns_rr rr;
		static struct dns_answer answer;

		rr = (struct dns_rr){ .text = record };
		answer = (struct dns_answer){ .status = DNS_OK, .rr_count = 1, .rr = &rr, .refs = 100 };
		questions_mark_sent(q, i);
		questions_answer(q, i, &answer);
	}
}

static void
check_practices(struct arena *a, struct span domain, struct span record)
{
	struct adsp_author author = { .domain = domain };
	struct adsp_outcome out;
	enum adsp_reason r = adsp_record_parse(record);
	struct questions q;
	unsigned rounds = 0;

	REQUIRE(r == ADSP_R_UNKNOWN || r == ADSP_R_ALL || r == ADSP_R_DISCARDABLE || r == ADSP_R_BAD_RECORD);
	questions_init(&q, a, BUDGET);
	while (adsp_check(a, &q, &author, 1, &out) == RC_WAIT) {
		REQUIRE(q.new_count > 0 && ++rounds < ROUNDS_MAX);
		answer_all(&q, record);
	}
	REQUIRE(adsp_result_name(out.result) != NULL && adsp_reason_text(out.reason) != NULL);
	if (domain_is_valid(domain, 1))
		REQUIRE(out.reason == r || out.reason == ADSP_R_NO_RECORD);
	else
		REQUIRE(out.reason == ADSP_R_BAD_DOMAIN && q.n == 0);
}

static void
check_third_party(struct arena *a, struct span domain, struct span signer, struct span record)
{
	static const struct span hashes[] = { SPAN("none"), SPAN("sha1"), SPAN("sha256"), SPAN("md5") };
	struct atps_author author = { .domain = domain };

	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		struct atps_signature sig = { signer, domain, hashes[i] };
		struct atps_outcome out;
		struct questions q;
		unsigned rounds = 0;

		questions_init(&q, a, BUDGET);
		while (atps_check(a, &q, &sig, 1, &author, 1, &out) == RC_WAIT) {
			REQUIRE(q.new_count > 0 && ++rounds < ROUNDS_MAX);
			answer_all(&q, record);
		}
		REQUIRE(atps_result_name(out.result) != NULL && atps_reason_text(out.reason) != NULL);
		REQUIRE(author.is_authorized == (out.result == ATPS_PASS));
		REQUIRE(!author.is_authorized || (domain_is_valid(domain, 1) && atps_record_is_valid(record, signer)));
		REQUIRE(i < 3 || !author.is_authorized);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of((const char *)data, size), domain, signer = SPAN("");
	struct arena a;

	if (size == 0 || size > 64 * KIB || !span_split(&rest, '\0', &domain) || !span_split(&rest, '\0', &signer) || span_is_null(rest))
		return 0;
	arena_init(&a, 4 * KIB, CEILING);
	check_practices(&a, domain, rest);
	check_third_party(&a, domain, signer, rest);
	arena_fini(&a);
	return 0;
}
