/*
 * spf_unit - a bed for SPF tests: a zone as text, an arena, and the carrier that answers questions from the zone.
 */
#ifndef ENMA_T_SPF_UNIT_H
#define ENMA_T_SPF_UNIT_H

#include "t/unit/unit.h"

#include "common/auth/eval.h"
#include "common/dns/dns_fixture.h"

enum { BED_ROUNDS_MAX = 100 };

struct bed {
	struct arena arena;
	struct questions questions;
	struct zone *zone;
	unsigned rounds;                /* batches of questions carried */
	size_t asked;
};

UNUSED static struct zone *
bed_zone(const char *text)
{
	struct span s = exact(text);
	struct zone *zone = NULL;
	char *why = NULL;

	if (zone_parse(s, &zone, &why) != RC_OK)
		fail_msg("zone: %s", why);
	free(why);
	exact_free(s);
	return zone;
}

UNUSED static void
bed_init(struct bed *bed, const char *zone_text, size_t budget)
{
	*bed = (struct bed){ .zone = bed_zone(zone_text) };
	arena_init(&bed->arena, 4 * KIB, 4 * MIB);
	questions_init(&bed->questions, &bed->arena, budget);
}

UNUSED static void
bed_fini(struct bed *bed)
{
	arena_fini(&bed->arena);
	zone_destroy(&bed->zone);
}

/* Answers all new questions at once: one round. */
UNUSED static void
bed_carry(struct bed *bed, struct questions *q)
{
	size_t i;

	bed->rounds++;
	for (i = questions_next_new(q, 0); i < q->n; i = questions_next_new(q, i)) {
		const struct dns_answer *answer = zone_answer(bed->zone, &q->v[i]->name, q->v[i]->type);

		questions_mark_sent(q, i);
		if (answer == NULL)
			answer = dns_answer_status(DNS_NXDOMAIN, 60, "");
		questions_answer(q, i, answer);
		bed->asked++;
	}
}

UNUSED static struct ip
bed_ip(const char *text)
{
	struct ip ip = { .is_set = false };

	if (ip_parse(span_cstr(text), &ip) != RC_OK)
		fail_msg("address %s", text);
	return ip;
}

UNUSED static struct span
bed_span(const char *text)
{
	return text != NULL ? span_cstr(text) : SPAN_NULL;
}

/* MAIL FROM local@domain from an address, run until it ends. */
UNUSED static struct spf_outcome
bed_check(struct bed *bed, const struct spf_query *query, struct spf_trace *trace)
{
	struct spf_outcome out;

	while (spf_check(&bed->arena, &bed->questions, query, trace, &out) == RC_WAIT) {
		size_t before = bed->asked;

		bed_carry(bed, &bed->questions);
		if (bed->asked == before)
			fail_msg("waits for nothing");
		if (bed->rounds > BED_ROUNDS_MAX)
			fail_msg("does not end");
	}
	return out;
}

UNUSED static struct spf_query
bed_query(const char *ip, const char *local, const char *domain)
{
	return (struct spf_query){
		.client = bed_ip(ip), .domain = span_cstr(domain), .local = span_cstr(local), .sender_domain = span_cstr(domain),
		.helo = SPAN("helo.example"), .receiver = SPAN("mx.example.jp"), .now_s = 1700000000, .void_limit = 2,
		.wants_explanation = true,
	};
}

#endif
