/*
 * dmarc_unit - a DMARC check as one row of text, and its outcome as one line.
 *
 * who: "author,author" in From; spf: "pass:domain", "temp:domain", "helo:domain", "null:domain", "other:domain" or NULL; dkim: the same words with
 * "pass", "temp", "other", "test" (a key in test mode), "part" (l=), separated by blanks.
 */
#ifndef ENMA_T_DMARC_UNIT_H
#define ENMA_T_DMARC_UNIT_H

#include "t/unit/spf_unit.h"

#include <stdio.h>

#include "common/auth/dmarc.h"
#include "common/base/domain.h"

enum { DMARC_BUDGET = 300, DMARC_ROUNDS_MAX = 400, DMARC_UNIT_DKIM_MAX = 120 };

#define D(name, tags) "_dmarc." name " TXT \"v=DMARC1; " tags "\"\n"

enum carry_order { CARRY_ALL, CARRY_FIRST, CARRY_LAST };

struct dmarc_case {
	struct dmarc_query query;
	struct span authors[1100];
	struct dmarc_dkim dkim[DMARC_UNIT_DKIM_MAX];
};

UNUSED static enum dmarc_auth
case_auth(struct span word)
{
	if (span_eq(word, SPAN("temp")))
		return DMARC_AUTH_TEMPERROR;
	return span_eq(word, SPAN("other")) ? DMARC_AUTH_OTHER : DMARC_AUTH_PASS;
}

UNUSED static void
case_init(struct dmarc_case *c, const char *who, const char *spf, const char *dkim)
{
	struct span rest = bed_span(who), piece, word;

	*c = (struct dmarc_case){ .query = { .authors = c->authors, .dkim = c->dkim } };
	while (span_split(&rest, ',', &piece))
		c->authors[c->query.author_count++] = piece.n > 0 ? piece : SPAN_NULL;
	rest = bed_span(spf);
	if (span_split(&rest, ':', &word))
		c->query.spf = (struct dmarc_spf){
			.result = case_auth(word), .domain = rest,
			.identity = span_eq(word, SPAN("helo")) ? DMARC_SPF_HELO : span_eq(word, SPAN("null")) ? DMARC_SPF_NULL_SENDER : DMARC_SPF_MAILFROM,
		};
	rest = bed_span(dkim);
	while (span_split(&rest, ' ', &piece)) {
		struct dmarc_dkim *d = &c->dkim[c->query.dkim_count++];

		assert_true(span_split(&piece, ':', &word));
		*d = (struct dmarc_dkim){
			.result = case_auth(word), .domain = piece, .is_testing = span_eq(word, SPAN("test")),
			.has_unsigned_body = span_eq(word, SPAN("part")),
		};
	}
}

UNUSED static void
case_carry_one(struct bed *bed, bool last)
{
	struct questions *q = &bed->questions;
	size_t found = q->n;
	const struct dns_answer *answer;

	for (size_t i = questions_next_new(q, 0); i < q->n; i = questions_next_new(q, i + 1)) {
		found = i;
		if (!last)
			break;
	}
	bed->rounds++;
	if (found == q->n)
		return;
	answer = zone_answer(bed->zone, &q->v[found]->name, q->v[found]->type);
	questions_mark_sent(q, found);
	questions_answer(q, found, answer != NULL ? answer : dns_answer_status(DNS_NXDOMAIN, 60, ""));
	bed->asked++;
}

UNUSED static struct dmarc_outcome
case_run(struct bed *bed, const struct dmarc_query *query, enum carry_order order)
{
	struct dmarc_outcome out;

	while (dmarc_check(&bed->questions, query, &out) == RC_WAIT) {
		size_t before = bed->asked;

		if (order == CARRY_ALL)
			bed_carry(bed, &bed->questions);
		else
			case_carry_one(bed, order == CARRY_LAST);
		if (bed->asked == before)
			fail_msg("waits for nothing");
		if (bed->rounds > DMARC_ROUNDS_MAX)
			fail_msg("does not end");
	}
	return out;
}

/* "fail reject>reject>reject p@example.com org example.com spf none dkim strict#0"; without a record: "none (no record)". */
UNUSED static void
case_print(const struct dmarc_outcome *o, char *out, size_t room)
{
	static const char *const alignments[] = { "none", "relaxed", "strict", "unknown" };
	static const char *const places[] = { "author", "org", "psd" };
	size_t n = (size_t)snprintf(out, room, "%s", dmarc_result_name(o->result));

	if (o->result != DMARC_PASS && o->result != DMARC_FAIL)
		n += (size_t)snprintf(out + n, room - n, " (%s)", dmarc_reason_text(o->reason));
	if (!o->has_record)
		return;
	n += (size_t)snprintf(out + n, room - n, " %s>%s>%s %s@%.*s %s org %.*s spf %s dkim %s", dmarc_policy_name(o->policy),
	    dmarc_policy_name(o->applied), dmarc_policy_name(o->disposition), dmarc_tag_name(o->tag), SPAN_ARGS(o->record_domain),
	    places[o->place], SPAN_ARGS(span_is_null(o->org_domain) ? SPAN("?") : o->org_domain), alignments[o->spf], alignments[o->dkim]);
	if (o->dkim == DMARC_ALIGNED_RELAXED || o->dkim == DMARC_ALIGNED_STRICT)
		snprintf(out + n, room - n, "#%zu", o->dkim_index);
}

#endif
