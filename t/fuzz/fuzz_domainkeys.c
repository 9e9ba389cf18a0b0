/*
 * fuzz_domainkeys - any message.  Up to the first NUL byte: the TXT record at every name that is asked, when there is such a byte; the rest: header and body.
 *
 * Each input is evaluated twice, with the body whole and in pieces: the outcome must be the same.  Nobody has the private key of the record that is there
 * otherwise, so nothing may pass.
 */
#include <string.h>

#include "common/auth/domainkeys.h"
#include "common/base/check.h"
#include "common/base/domain.h"

enum { BUDGET = 10, ROUNDS_MAX = 4, SIZE_MAX_IN = 64 * KIB, CEILING = 16 * MIB };

static const char fixed_record[] =
    "p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAPRW3l8hKKNk/82nSxTiqjycN1p3IsFCkIUW0gpaiRXSlxXKE9rGUCB74/VgFpuHyxG65OUY96BOQa6eEVm25PMCAwEAAQ==";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_field_end(struct span s, size_t i)
{
	return s.p[i] == '\n' && (i + 1 == s.n || !ascii_is_wsp((unsigned char)s.p[i + 1]));
}

/* The fields up to an empty line; the body is left. */
static void
read_header(struct header_block *h, struct span *message)
{
	while (message->n > 0 && message->p[0] != '\n') {
		size_t end = 0, colon;
		struct span field;

		while (end < message->n && !is_field_end(*message, end))
			end++;
		field = span_sub(*message, 0, end);
		colon = span_find(field, ':');
		REQUIRE(header_add(h, span_sub(field, 0, colon), span_from(field, colon + 1), true) == RC_OK);
		*message = span_from(*message, end + 1);
	}
	*message = span_from(*message, 1);
}

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
check_outcome(const struct domainkeys_outcome *o, const struct header_block *h)
{
	REQUIRE(o->reason < DOMAINKEYS_REASON_COUNT && o->result == domainkeys_reason_result(o->reason));
	REQUIRE(domainkeys_result_name(o->result) != NULL && domainkeys_reason_text(o->reason) != NULL);
	REQUIRE(o->field <= h->n && (o->field < h->n) == (o->reason != DOMAINKEYS_R_NO_SIGNATURE));
	REQUIRE(span_is_null(o->domain) || domain_is_valid(o->domain, 1));
	REQUIRE(o->result != DOMAINKEYS_PASS || (!span_is_null(o->domain) && o->key_bits > 0 && o->policy == DOMAINKEYS_POLICY_NOT_ASKED));
}

static struct domainkeys_outcome
evaluate(struct span message, struct span record, size_t piece)
{
	static const struct domainkeys_options options = { .min_rsa_bits = 512 };
	struct domainkeys_outcome out;
	struct header_block headers;
	struct domainkeys *k;
	struct questions q;
	struct arena a;
	unsigned rounds = 0;

	arena_init(&a, 4 * KIB, CEILING);
	questions_init(&q, &a, BUDGET);
	header_init(&headers, &a);
	read_header(&headers, &message);
	k = domainkeys_create(&a, &options, &headers);
	REQUIRE(k != NULL);
	for (; message.n > 0; message = span_from(message, piece))
		domainkeys_body(k, span_sub(message, 0, piece));
	domainkeys_body_end(k);
	while (domainkeys_run(k, &q) == RC_WAIT) {
		REQUIRE(q.new_count > 0 && ++rounds < ROUNDS_MAX);
		answer_all(&q, record);
	}
	out = *domainkeys_outcome(k);
	check_outcome(&out, &headers);
	arena_fini(&a);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span message = span_of((const char *)data, size), record = SPAN_NULL;
	struct domainkeys_outcome whole, pieces;
	size_t nul = span_find(message, '\0');

	if (size > SIZE_MAX_IN)
		return 0;
	if (nul < size) {
		record = span_sub(message, 0, nul);
		message = span_from(message, nul + 1);
	}
	whole = evaluate(message, span_is_null(record) ? span_cstr(fixed_record) : record, SIZE_MAX_IN);
	pieces = evaluate(message, span_is_null(record) ? span_cstr(fixed_record) : record, 3);
	REQUIRE(whole.reason == pieces.reason && whole.key_bits == pieces.key_bits && whole.policy == pieces.policy && whole.field == pieces.field);
	REQUIRE(whole.is_testing == pieces.is_testing && whole.is_sender == pieces.is_sender);
	REQUIRE(whole.result != DOMAINKEYS_PASS || !span_is_null(record));
	return 0;
}
