/*
 * fuzz_dmarc - DMARC records, discovery and alignment.  Up to the first NUL byte: the author's domain; up to the next: SPF's and DKIM's; the rest: records, one up
 * to each line end, that the names asked get in turn.
 */
#include "common/auth/dmarc.h"
#include "common/base/check.h"
#include "common/base/domain.h"

enum { BUDGET = 60, ROUNDS_MAX = 60, CEILING = MIB, ANSWERS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(struct span part, struct span whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void
check_record(struct span text, enum dmarc_method dialect)
{
	struct dmarc_record r;
	struct dmarc_uri uri;
	struct span rest;
	enum rc rc = dmarc_record_parse(text, dialect, &r);

	REQUIRE(rc == RC_OK || rc == RC_NONE || rc == RC_SYNTAX);
	if (rc != RC_OK)
		return;
	REQUIRE(text.n <= DMARC_RECORD_MAX && r.pct <= 100 && r.fo != 0 && r.fo < 16);
	REQUIRE(r.has_policy ? (r.has_p || r.is_monitored) : !r.is_monitored);
	REQUIRE(r.has_p || (r.p == DMARC_P_NONE && r.sp == DMARC_P_NONE && r.np == DMARC_P_NONE));
	REQUIRE(!r.is_monitored || !span_is_null(r.rua));
	REQUIRE(dialect == DMARC_TREEWALK ? r.pct == DMARC_PCT_DEFAULT : !r.is_testing && r.psd == DMARC_PSD_U);
	for (rest = r.rua; dmarc_uri_next(&rest, &uri);)
		REQUIRE(is_inside(uri.uri, text) && uri.uri.n > 0);
}

/* Question i gets the record at i, or none. */
static void
answer_all(struct questions *q, struct span records)
{
	static struct dns_rr rr[ANSWERS_MAX];
	static struct dns_answer answers[ANSWERS_MAX];

	for (size_t i = questions_next_new(q, 0); i < q->n; i = questions_next_new(q, i)) {
		struct span rest = records, text = SPAN_NULL;

		REQUIRE(i < ANSWERS_MAX);
		for (size_t k = 0; k <= i && !span_is_null(rest); k++)
			if (!span_split(&rest, '\n', &text) || (k < i && span_is_null(rest)))
				text = SPAN_NULL;
		rr[i] = (struct dns_rr){ .text = text };
		answers[i] = (struct dns_answer){ .status = text.n > 0 ? DNS_OK : text.p != NULL ? DNS_SERVFAIL : DNS_NXDOMAIN,
			.rr_count = text.n > 0, .rr = &rr[i], .refs = 100 };
		questions_mark_sent(q, i);
		questions_answer(q, i, &answers[i]);
	}
}

static void
check_message(struct arena *a, struct span author, struct span other, struct span records)
{
	const struct dmarc_dkim dkim = { .result = DMARC_AUTH_PASS, .domain = other };
	const struct dmarc_query query = {
		.authors = &author, .author_count = 1, .spf = { .result = DMARC_AUTH_TEMPERROR, .domain = other }, .dkim = &dkim, .dkim_count = 1,
	};
	struct dmarc_outcome out;
	struct questions q;
	unsigned rounds = 0;

	questions_init(&q, a, BUDGET);
	while (dmarc_check(&q, &query, &out) == RC_WAIT) {
		REQUIRE(q.new_count > 0 && ++rounds < ROUNDS_MAX);
		answer_all(&q, records);
	}
	/* Two walks and one question for existence. */
	REQUIRE(q.n <= 2 * DMARC_WALK_MAX + 1);
	REQUIRE(dmarc_result_name(out.result) != NULL && dmarc_reason_text(out.reason) != NULL);
	REQUIRE(domain_is_valid(author, 1) || (out.reason == DMARC_R_BAD_DOMAIN && q.n == 0));
	REQUIRE(out.disposition <= out.applied && out.applied <= out.policy);
	REQUIRE(out.disposition == DMARC_P_NONE || out.result == DMARC_FAIL);
	if (out.has_record) {
		REQUIRE(domain_is_at_or_below(author, out.record_domain));
		REQUIRE(span_is_null(out.org_domain) || domain_is_at_or_below(author, out.org_domain));
	}
	if (out.result == DMARC_PASS)
		REQUIRE(out.has_record && domain_is_valid(other, 1) && (out.dkim == DMARC_ALIGNED_STRICT) == domain_eq(author, other));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = span_of((const char *)data, size), author, other;
	struct arena a;

	if (size == 0 || size > 64 * KIB)
		return 0;
	check_record(rest, DMARC_TREEWALK);
	check_record(rest, DMARC_PSL);
	if (!span_split(&rest, '\0', &author) || !span_split(&rest, '\0', &other) || span_is_null(rest))
		return 0;
	check_record(rest, DMARC_TREEWALK);
	check_record(rest, DMARC_PSL);
	arena_init(&a, 4 * KIB, CEILING);
	check_message(&a, author, other, rest);
	arena_fini(&a);
	return 0;
}
