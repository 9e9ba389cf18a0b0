/*
 * fuzz_senderid - the PRA of any header, and spf2.0 records of any form.
 *
 * Byte 0 chooses the client; the rest is text.  Its lines up to the first empty one are header fields, those behind it the TXT records of example.org: any
 * number, so that selection has something to do, and a line that begins with '@' is one of b.example.  The field that is chosen is compared with a reading of
 * RFC 4407 that follows its words step by step; each scope is evaluated twice, with the answers coming all at once and one by one from the last.
 */
#include <stdlib.h>

#include "common/auth/senderid.h"
#include "common/auth/spf_int.h"
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/domain.h"
#include "common/base/utf8.h"
#include "common/dns/dns_fixture.h"

enum { BUDGET = 500, ROUNDS_MAX = 600, RECORDS_MAX = 8, FIELDS_MAX = 64 };

static const char fixed[] =
    "example.org A 192.0.2.1\nexample.org MX 10 m1.example\n1.2.0.192.in-addr.arpa PTR a.example.org\na.example.org A 192.0.2.1\n"
    "m1.example A 192.0.2.7\nb.example A 192.0.2.9\nerr.example SERVFAIL\nslow.example TIMEOUT\nbare.example A 192.0.2.1\n"
    "*.wild.example A 127.0.0.2\n*.wild.example TXT \"spf2.0/pra a:%{d} exp=%{l}.wild.example ~all\"\n";

static const char *const clients[] = { "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7", "198.51.100.255" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the header ---- */

static void
fill(struct header_block *h, struct span text)
{
	struct span line;

	while (h->n < FIELDS_MAX && span_split(&text, '\n', &line)) {
		size_t colon = span_find(line, ':');

		REQUIRE(header_add(h, span_sub(line, 0, colon), span_from(line, colon + 1), true) == RC_OK);
	}
}

static bool
is_empty(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			return false;
	return true;
}

static bool
is_field(const struct header_block *h, size_t i, const char *name)
{
	return header_is(&h->v[i], span_cstr(name)) && !is_empty(h->v[i].value);
}

/* The first non-empty field of that name, h->n if none; *count_out is their number. */
static size_t
first_of(const struct header_block *h, const char *name, size_t *count_out)
{
	size_t first = h->n;

	*count_out = 0;
	for (size_t i = h->n; i-- > 0;) {
		if (is_field(h, i, name)) {
			first = i;
			++*count_out;
		}
	}
	return first;
}

/* Is there a Resent-From above rs, and a Received or Return-Path between the two? */
static bool
is_divided(const struct header_block *h, size_t rs)
{
	for (size_t i = 0; i < rs; i++)
		for (size_t k = i + 1; is_field(h, i, "Resent-From") && k < rs; k++)
			if (is_field(h, k, "Received") || is_field(h, k, "Return-Path"))
				return true;
	return false;
}

/* Steps 1 to 4: the index of the field, h->n if there is none or more than one. */
static size_t
chosen(const struct header_block *h)
{
	size_t n, at = first_of(h, "Resent-Sender", &n);

	if (n > 0 && !is_divided(h, at))
		return at;
	at = first_of(h, "Resent-From", &n);
	if (n > 0)
		return at;
	at = first_of(h, "Sender", &n);
	if (n == 0)
		at = first_of(h, "From", &n);
	return n == 1 ? at : h->n;
}

static void
check_pra(const struct header_block *h, const struct pra *p)
{
	uint32_t c;
	size_t n;

	REQUIRE((unsigned)p->status < PRA_STATUS_COUNT && p->status != PRA_MEMORY && p->status != PRA_INCOMPLETE);
	REQUIRE(p->index == chosen(h));
	REQUIRE((p->index == h->n) == (p->field == PRA_NO_FIELD));
	if (p->field != PRA_NO_FIELD)
		REQUIRE(header_is(&h->v[p->index], span_cstr(pra_field_name(p->field))));
	REQUIRE((p->why != NULL) == (p->status == PRA_MALFORMED));
	REQUIRE((p->domain.p != NULL) == (p->status == PRA_FOUND) && (p->local.p != NULL) == (p->status == PRA_FOUND));
	if (p->status != PRA_FOUND)
		return;
	REQUIRE(p->field != PRA_NO_FIELD && domain_is_valid(p->domain, 1) && p->domain.p[p->domain.n - 1] != '.');
	for (struct span s = p->local; s.n > 0; s = span_from(s, n)) {
		n = utf8_first(s, &c);
		REQUIRE(n > 0 && c >= 0x20 && c != 0x7f);
	}
}

/* ---- the records ---- */

static void
put_txt(struct buf *b, struct span text)
{
	bool is_other = span_starts(text, SPAN("@"));

	buf_str(b, is_other ? "b.example TXT \"" : "example.org TXT \"");
	text = span_from(text, is_other);
	for (size_t i = 0; i < text.n; i++) {
		if (i % 50 == 49)
			buf_str(b, "\" \"");
		buf_fmt(b, "\\%03u", (unsigned char)text.p[i]);
	}
	buf_str(b, "\"\n");
}

static void
check_version(struct span line)
{
	struct span section = span_sub(line, 0, span_find(line, ' '));

	for (enum spf_scope s = SPF_SCOPE_NONE; s <= SPF_SCOPE_MFROM; s++) {
		if (!spf_record_is_version2(line, s))
			continue;
		REQUIRE(s != SPF_SCOPE_NONE && !spf_record_is_version1(line));
		REQUIRE(span_starts_nocase(section, SPAN("spf2.")));
		/* The section counts, and nothing behind it. */
		REQUIRE(spf_record_is_version2(section, s));
	}
}

static struct zone *
zone_of(struct span lines)
{
	struct buf b = buf_heap(MIB);
	struct zone *zone;
	struct span line;
	char *why = NULL;

	buf_str(&b, fixed);
	for (size_t i = 0; i < RECORDS_MAX && span_split(&lines, '\n', &line); i++) {
		check_version(line);
		put_txt(&b, line);
	}
	REQUIRE(zone_parse(buf_text(&b), &zone, &why) == RC_OK);
	buf_fini(&b);
	return zone;
}

/* ---- evaluation ---- */

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

static struct senderid_outcome
run(struct arena *a, const struct pra *pra, const struct spf_query *base, const struct zone *zone, bool is_last_only)
{
	struct senderid_outcome out;
	struct questions q;
	unsigned rounds = 0;

	questions_init(&q, a, BUDGET);
	while (senderid_check_pra(a, &q, pra, base, NULL, &out) == RC_WAIT) {
		REQUIRE(++rounds <= ROUNDS_MAX);
		answer_some(&q, zone, is_last_only);
	}
	return out;
}

static struct spf_outcome
run_mfrom(struct arena *a, const struct spf_query *query, const struct zone *zone, bool is_last_only)
{
	struct spf_outcome out;
	struct questions q;
	unsigned rounds = 0;

	questions_init(&q, a, BUDGET);
	while (senderid_check_mfrom(a, &q, query, NULL, &out) == RC_WAIT) {
		REQUIRE(++rounds <= ROUNDS_MAX);
		answer_some(&q, zone, is_last_only);
	}
	return out;
}

static void
check_same(const struct spf_outcome *x, const struct spf_outcome *y)
{
	REQUIRE((unsigned)x->result <= SPF_PERMERROR && (unsigned)x->reason <= SPF_R_MEMORY);
	REQUIRE(x->reason != SPF_R_MEMORY && x->reason != SPF_R_QUESTION_LIMIT);
	REQUIRE(x->lookups <= SPF_LOOKUPS_MAX + 1 && x->voids <= 3 && x->explanation.n <= SPF_EXPLANATION_MAX);
	REQUIRE(x->result == y->result && x->reason == y->reason && x->lookups == y->lookups && x->voids == y->voids);
	REQUIRE(x->is_spf2 == y->is_spf2 && x->ttl_s == y->ttl_s);
	REQUIRE(span_eq(x->mechanism, y->mechanism) && span_eq(x->at, y->at) && span_eq(x->detail, y->detail));
	REQUIRE(span_eq(x->explanation, y->explanation) && x->depends_on_message == y->depends_on_message);
}

static void
evaluate(struct arena *a, const struct pra *pra, struct spf_query *base, const struct zone *zone)
{
	struct senderid_outcome x = run(a, pra, base, zone, false), y = run(a, pra, base, zone, true);
	struct spf_outcome mx, my;

	check_same(&x.host, &y.host);
	REQUIRE(x.result == y.result && (pra->status != PRA_FOUND || x.result == x.host.result));
	REQUIRE(pra->status == PRA_FOUND || x.result == SPF_PERMERROR);
	if (pra->status != PRA_FOUND)
		return;
	base->local = pra->local;
	base->domain = base->sender_domain = pra->domain;
	mx = run_mfrom(a, base, zone, false);
	my = run_mfrom(a, base, zone, true);
	check_same(&mx, &my);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spf_query base = {
		.helo = SPAN("helo.example"), .receiver = SPAN("mx.example.jp"), .now_s = 1700000000, .void_limit = 2, .wants_explanation = true,
	};
	struct header_block h;
	struct span rest;
	struct zone *zone;
	struct arena a;
	struct pra pra;
	size_t end = 0;

	if (size < 1 || size > 16 * KIB)
		return 0;
	REQUIRE(ip_parse(span_cstr(clients[data[0] % ARRAY_LEN(clients)]), &base.client) == RC_OK);
	rest = span_of((const char *)data + 1, size - 1);
	while (end < rest.n && !span_starts(span_from(rest, end), SPAN("\n\n")))
		end++;
	arena_init(&a, 4 * KIB, 64 * MIB);
	header_init(&h, &a);
	fill(&h, span_sub(rest, 0, end));
	pra_select(&a, &h, &pra);
	check_pra(&h, &pra);
	zone = zone_of(span_from(rest, end + 2));
	evaluate(&a, &pra, &base, zone);
	arena_fini(&a);
	zone_destroy(&zone);
	return 0;
}
