/*
 * fuzz_spf - records, macros and evaluation.
 *
 * Byte 0 chooses the client, byte 1 sender and HELO; the rest is text: its lines are the TXT records of example.org, b1.example,
 * b2.example ...  Everything else that can be asked is fixed.  Each input is evaluated twice, with the answers coming all at once and
 * one by one from the last: the outcome must be the same.
 */
#include <stdlib.h>

#include "common/auth/spf_int.h"
#include "common/base/check.h"
#include "common/base/domain.h"
#include "common/dns/dns_fixture.h"

enum { BUDGET = 500, ROUNDS_MAX = 600, LINES_MAX = 12 };

static const char fixed[] =
    "example.org A 192.0.2.1\nexample.org AAAA 2001:db8::1\nexample.org MX 10 m1.example\nexample.org MX 20 b1.example\n"
    "example.org MX 0 .\n1.2.0.192.in-addr.arpa PTR m1.example\n1.2.0.192.in-addr.arpa PTR a.example.org\na.example.org A 192.0.2.1\n"
    "m1.example A 192.0.2.7\nm1.example AAAA 2001:db8::7\nb1.example A 192.0.2.9\nb2.example MX SERVFAIL\nb3.example A TIMEOUT\n"
    "err.example SERVFAIL\n*.wild.example A 127.0.0.2\n*.wild.example TXT \"v=spf1 a:%{d} exp=%{l}.wild.example ~all\"\n"
    "ten.example MX 1 h1.wild.example\nten.example MX 2 h2.wild.example\nten.example MX 3 h3.wild.example\nten.example MX 4 h4.wild.example\n"
    "ten.example MX 5 h5.wild.example\nten.example MX 6 h6.wild.example\nten.example MX 7 h7.wild.example\nten.example MX 8 h8.wild.example\n"
    "ten.example MX 9 h9.wild.example\nten.example MX 10 ha.wild.example\n";

static const char *const clients[] = { "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7", "198.51.100.255", "::", "255.255.255.255" };
static const struct { const char *local, *domain, *helo; } senders[] = {
	{ "user", "example.org", "helo.example" },
	{ "", "EXAMPLE.ORG.", "[192.0.2.1]" },
	{ "a.b-c+d_e=f/g,h", "example.org", "" },
	{ "j\xc3\xbcrgen", "example.org", "b\xc3\xbc" "cher.example" },
	{ "%{d}\r\n\x01", "example.org", "%%%\xff\x01..a b" },
	{ "..", "example.org", "." },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "example.org", "a.b.c.d.e.f.g.h" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_txt(struct buf *b, size_t number, struct span text)
{
	if (number == 0)
		buf_str(b, "example.org TXT \"");
	else
		buf_fmt(b, "b%zu.example TXT \"", number);
	for (size_t i = 0; i < text.n; i++) {
		if (i % 50 == 49)
			buf_str(b, "\" \"");
		buf_fmt(b, "\\%03u", (unsigned char)text.p[i]);
	}
	buf_str(b, "\"\n");
}

static struct zone *
zone_of(struct span lines)
{
	struct buf b = buf_heap(MIB);
	struct zone *zone;
	struct span line;
	char *why = NULL;

	buf_str(&b, fixed);
	for (size_t i = 0; i < LINES_MAX && span_split(&lines, '\n', &line); i++)
		put_txt(&b, i, line);
	REQUIRE(zone_parse(buf_text(&b), &zone, &why) == RC_OK);
	buf_fini(&b);
	return zone;
}

static void
answer(struct questions *q, size_t index, const struct zone *zone)
{
	const struct dns_answer *a = zone_answer(zone, &q->v[index]->name, q->v[index]->type);

	questions_mark_sent(q, index);
	questions_answer(q, index, a != NULL ? a : dns_answer_status(DNS_NXDOMAIN, 60, ""));
}

static void
answer_some(struct questions *q, const struct zone *zone, bool is_last_only)
{
	size_t i, last = 0;

	REQUIRE(q->new_count > 0);
	for (i = questions_next_new(q, 0); i < q->n; i = questions_next_new(q, i + 1)) {
		last = i;
		if (!is_last_only)
			answer(q, i, zone);
	}
	if (is_last_only)
		answer(q, last, zone);
}

static void
check_outcome(const struct spf_outcome *out)
{
	REQUIRE((unsigned)out->result <= SPF_PERMERROR && (unsigned)out->reason <= SPF_R_MEMORY);
	REQUIRE(out->reason != SPF_R_MEMORY && out->reason != SPF_R_QUESTION_LIMIT);
	REQUIRE(out->lookups <= SPF_LOOKUPS_MAX + 1 && out->voids <= 3);
	REQUIRE(out->explanation.n <= SPF_EXPLANATION_MAX && out->detail.n <= KIB);
	for (size_t i = 0; i < out->explanation.n; i++)
		REQUIRE(ascii_is_print((unsigned char)out->explanation.p[i]));
	for (size_t i = 0; i < out->detail.n; i++)
		REQUIRE(ascii_is_print((unsigned char)out->detail.p[i]));
}

static struct spf_outcome
run(struct arena *a, const struct spf_query *query, const struct zone *zone, bool is_last_only)
{
	struct questions q;
	struct spf_outcome out;
	unsigned rounds = 0;

	questions_init(&q, a, BUDGET);
	while (spf_check(a, &q, query, NULL, &out) == RC_WAIT) {
		REQUIRE(++rounds <= ROUNDS_MAX);
		answer_some(&q, zone, is_last_only);
	}
	check_outcome(&out);
	return out;
}

static void
evaluate(const struct spf_query *query, struct span lines)
{
	struct zone *zone = zone_of(lines);
	struct arena first, second;
	struct spf_outcome x, y;

	arena_init(&first, 4 * KIB, 64 * MIB);
	arena_init(&second, 4 * KIB, 64 * MIB);
	x = run(&first, query, zone, false);
	y = run(&second, query, zone, true);
	REQUIRE(x.result == y.result && x.reason == y.reason && x.lookups == y.lookups && x.voids == y.voids && x.ttl_s == y.ttl_s);
	REQUIRE(span_eq(x.mechanism, y.mechanism) && span_eq(x.at, y.at) && span_eq(x.detail, y.detail));
	REQUIRE(span_eq(x.explanation, y.explanation) && x.depends_on_message == y.depends_on_message);
	arena_fini(&first);
	arena_fini(&second);
	zone_destroy(&zone);
}

/* The text as a macro-string, whatever it is. */
static void
expand(const struct spf_query *query, struct span text)
{
	struct spf_values v = {
		.sender = query->local, .local = query->local, .sender_domain = query->sender_domain, .domain = query->domain,
		.helo = query->helo, .receiver = query->receiver, .validated = SPAN("unknown"),
	};
	struct arena a;
	struct span out;

	if (spf_macro_check(text, SPF_TEXT_EXPLANATION) != NULL)
		return;
	arena_init(&a, KIB, MIB);
	spf_values_init(&v, &query->client, query->now_s);
	REQUIRE(spf_macro_name(&a, text, &v, &out) == RC_OK && out.n <= DOMAIN_MAX);
	REQUIRE(spf_macro_explanation(&a, text, &v, &out) == RC_OK && out.n <= SPF_EXPLANATION_MAX);
	arena_fini(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_query q = { .receiver = SPAN("mx.example.jp"), .now_s = 1700000000, .void_limit = 2, .wants_explanation = true };
	struct span rest;

	if (size < 2 || size > 16 * KIB)
		return 0;
	REQUIRE(ip_parse(span_cstr(clients[data[0] % ARRAY_LEN(clients)]), &q.client) == RC_OK);
	q.local = span_cstr(senders[data[1] % ARRAY_LEN(senders)].local);
	q.domain = q.sender_domain = span_cstr(senders[data[1] % ARRAY_LEN(senders)].domain);
	q.helo = span_cstr(senders[data[1] % ARRAY_LEN(senders)].helo);
	rest = span_of((const char *)data + 2, size - 2);
	expand(&q, rest);
	evaluate(&q, rest);
	return 0;
}
