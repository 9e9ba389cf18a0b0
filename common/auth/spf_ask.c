/* spf_ask - questions of SPF: answers, void look-ups, addresses, validated names; see spf_int.h. */
#include "common/auth/spf_int.h"

enum { NOTE_MAX = 512 };        /* bytes of a note in the trace */

enum spf_step
spf_stop(struct spf_finding *f, enum spf_result result, enum spf_reason reason)
{
	*f = (struct spf_finding){ .result = result, .reason = reason };
	return SPF_STOP;
}

void
spf_trace_step(struct spf_pass *c, const char *kind, struct span text, struct span note)
{
	if (c->trace != NULL && c->trace->step != NULL)
		c->trace->step(c->trace, c->depth, kind, text, note);
}

/* ---- trace of a question ---- */

static void
print_rr(struct buf *b, uint16_t type, const struct dns_rr *rr)
{
	char text[IP_TEXT_MAX];

	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		buf_span(b, span_of(text, ip_print(&rr->ip, text)));
		break;
	case DNS_MX:
		buf_fmt(b, "%u ", rr->preference);
		dns_name_print(b, rr->name);
		break;
	case DNS_PTR:
		dns_name_print(b, rr->name);
		break;
	default:
		buf_fmt(b, "%zu bytes", rr->text.n);
		break;
	}
}

static void
trace_question(struct spf_pass *c, const struct dns_name *name, uint16_t type, const struct dns_answer *answer)
{
	struct buf text, note;

	if (c->trace == NULL || c->trace->step == NULL)
		return;
	text = buf_in(c->arena, 2 * KIB);
	note = buf_in(c->arena, 2 * KIB);
	buf_str(&text, dns_type_name(type));
	buf_byte(&text, ' ');
	dns_name_print(&text, name);
	buf_str(&note, dns_status_name(answer->status));
	for (size_t i = 0; i < answer->rr_count && note.n < NOTE_MAX; i++) {
		buf_str(&note, i == 0 ? ": " : ", ");
		print_rr(&note, type, &answer->rr[i]);
	}
	if (answer->why[0] != '\0')
		buf_fmt(&note, " (%s)", answer->why);
	buf_fmt(&note, "; ttl %u, %u.%03u ms%s", answer->ttl_s, answer->elapsed_us / 1000, answer->elapsed_us % 1000,
	    answer->is_from_cache ? ", cached" : "");
	spf_trace_step(c, "question", buf_text(&text), buf_text(&note));
}

/* ---- answers ---- */

static struct span
print_name(struct spf_pass *c, const struct dns_name *name)
{
	struct buf b = buf_in(c->arena, KIB);

	dns_name_print(&b, name);
	return buf_text(&b);
}

/* Section 4.6.4 counts terms that met an empty answer, so a term with ten mx hosts counts once. */
static enum spf_step
count_void(struct spf_pass *c, struct spf_finding *f)
{
	if (c->is_explaining || c->is_term_void)
		return SPF_NO_MATCH;
	c->is_term_void = true;
	if (++c->voids > c->query->void_limit)
		return spf_stop(f, SPF_PERMERROR, SPF_R_VOID_LIMIT);
	return SPF_NO_MATCH;
}

static enum spf_step
dns_failed(struct spf_pass *c, struct spf_finding *f, const struct dns_name *name, enum dns_status status)
{
	bool is_budget = status == DNS_LIMIT && c->questions->is_budget_spent;

	spf_stop(f, SPF_TEMPERROR, is_budget ? SPF_R_QUESTION_LIMIT : status == DNS_LIMIT ? SPF_R_MEMORY : SPF_R_DNS_ERROR);
	f->dns_status = status;
	f->at = print_name(c, name);
	return SPF_STOP;
}

enum spf_step
spf_ask(struct spf_pass *c, struct spf_finding *f, const struct dns_name *name, uint16_t type, const struct dns_answer **answer_out)
{
	const struct dns_answer *answer = questions_want(c->questions, name, type, c->is_speculating);

	*answer_out = answer;
	if (answer == NULL) {
		c->is_speculating = true;
		return SPF_LATER;
	}
	trace_question(c, name, type, answer);
	c->ttl_s = MIN(c->ttl_s, answer->ttl_s);
	switch (answer->status) {
	case DNS_OK:
		if (answer->rr_count > 0)
			return SPF_MATCH;
		return count_void(c, f);
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return count_void(c, f);
	default:
		return dns_failed(c, f, name, answer->status);
	}
}

/*
 * Section 5.5: errors do not stop ptr and %{p}.  But what we gave up ourselves, for lack of budget or because the message's
 * time was over, says nothing about the domain and must not become a fail.
 */
static bool
is_excused(const struct spf_pass *c, const struct dns_answer *answer)
{
	if (answer == NULL || answer->status == DNS_LIMIT)
		return false;
	return dns_status_is_temporary(answer->status) && !(answer->status == DNS_TIMEOUT && c->questions->is_over);
}

/* ---- addresses ---- */

/* IPv4 addresses are kept in mapped form, so both families are compared as 128 bits. */
static bool
has_prefix(const struct ip *a, const struct ip *b, unsigned bits)
{
	unsigned whole = bits / 8, left = bits % 8;

	if (memcmp(a->b, b->b, whole) != 0)
		return false;
	return left == 0 || (a->b[whole] ^ b->b[whole]) >> (8 - left) == 0;
}

bool
spf_client_is_in(const struct spf_pass *c, const struct ip *net, unsigned bits4, unsigned bits6)
{
	return has_prefix(&c->query->client, net, c->values.is_v4 ? 96 + bits4 : bits6);
}

enum spf_step
spf_ask_address(struct spf_pass *c, struct spf_finding *f, const struct dns_name *name, unsigned bits4, unsigned bits6, bool is_lenient)
{
	const struct dns_answer *answer;
	enum spf_step step = spf_ask(c, f, name, c->values.is_v4 ? DNS_A : DNS_AAAA, &answer);

	if (step == SPF_STOP && is_lenient && is_excused(c, answer))
		return SPF_NO_MATCH;
	if (step != SPF_MATCH)
		return step;
	for (size_t i = 0; i < answer->rr_count; i++)
		if (spf_client_is_in(c, &answer->rr[i].ip, bits4, bits6))
			return SPF_MATCH;
	return SPF_NO_MATCH;
}

/* ---- validated names ---- */

/* In wire form, so that a dot inside a label is not a border. */
static bool
is_at_or_below(const struct dns_name *name, const struct dns_name *parent)
{
	size_t at = 0;

	while (at < name->n) {
		if ((size_t)(name->n - at) == parent->n && memcmp(name->w + at, parent->w, parent->n) == 0)
			return true;
		at += 1u + name->w[at];
	}
	return false;
}

/* The client's PTR records, of which the first ten count. */
static enum spf_step
ask_ptr(struct spf_pass *c, struct spf_finding *f, const struct dns_answer **answer_out, size_t *count_out)
{
	struct dns_name reverse;
	enum spf_step step;

	*count_out = 0;
	dns_name_reverse(&c->query->client, &reverse);
	step = spf_ask(c, f, &reverse, DNS_PTR, answer_out);
	if (step == SPF_STOP && is_excused(c, *answer_out))
		return SPF_NO_MATCH;
	if (step == SPF_MATCH)
		*count_out = MIN((*answer_out)->rr_count, (size_t)SPF_NAMES_MAX);
	return step;
}

enum spf_step
spf_ask_reverse(struct spf_pass *c, struct spf_finding *f, const struct dns_name *target)
{
	const struct dns_answer *ptr;
	enum spf_step step, sum = SPF_NO_MATCH;
	size_t count;

	step = ask_ptr(c, f, &ptr, &count);
	if (step != SPF_MATCH)
		return step;
	for (size_t i = 0; i < count; i++) {
		/* Only names within the target can make a difference: the others need not be validated. */
		if (!is_at_or_below(ptr->rr[i].name, target))
			continue;
		step = spf_ask_address(c, f, ptr->rr[i].name, 32, 128, true);
		if (step == SPF_LATER)
			sum = SPF_LATER;
		else if (step != SPF_NO_MATCH)
			return sum == SPF_LATER ? SPF_LATER : step;
	}
	return sum;
}

/* How well a validated name suits %{p}: the domain itself, a name below it, any other. */
static unsigned
rank(const struct dns_name *name, const struct dns_name *domain)
{
	if (domain->n > 0 && dns_name_eq(name, domain))
		return 3;
	return domain->n > 0 && is_at_or_below(name, domain) ? 2 : 1;
}

enum spf_step
spf_ask_validated(struct spf_pass *c, struct spf_finding *f, struct span domain, struct span *out)
{
	const struct dns_answer *ptr;
	struct dns_name domain_name = { 0 };
	enum spf_step step;
	bool is_missing = false;
	unsigned best = 0;
	size_t count;

	*out = SPAN("unknown");
	if (dns_name_from_text(domain, &domain_name) != RC_OK)
		domain_name.n = 0;
	step = ask_ptr(c, f, &ptr, &count);
	if (step != SPF_MATCH)
		return step == SPF_NO_MATCH ? SPF_MATCH : step;
	for (size_t i = 0; i < count; i++) {
		struct span text;
		enum rc rc;

		if (rank(ptr->rr[i].name, &domain_name) <= best)
			continue;
		rc = dns_name_plain(c->arena, ptr->rr[i].name, &text);
		if (rc == RC_LIMIT)
			return spf_stop(f, SPF_TEMPERROR, SPF_R_MEMORY);
		if (rc != RC_OK)
			continue;
		step = spf_ask_address(c, f, ptr->rr[i].name, 32, 128, true);
		if (step == SPF_STOP)
			return is_missing ? SPF_LATER : step;
		is_missing |= step == SPF_LATER;
		if (step == SPF_MATCH) {
			best = rank(ptr->rr[i].name, &domain_name);
			*out = text;
		}
	}
	return is_missing ? SPF_LATER : SPF_MATCH;
}
