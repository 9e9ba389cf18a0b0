/* verdict - the wording of results; see verdict.h. */
#include "common/auth/verdict.h"

#include "common/base/domain.h"
#include "common/mail/fieldout.h"

/* ---- why ---- */

static void
put_part(struct buf *b, struct span s)
{
	buf_span(b, span_sub(s, 0, VERDICT_PART_MAX));
	if (s.n > VERDICT_PART_MAX)
		buf_str(b, "...");
}

static void
put_after(struct buf *b, const char *lead, struct span s)
{
	if (s.n == 0)
		return;
	buf_str(b, lead);
	put_part(b, s);
}

static struct span
domain_of(struct span identity)
{
	size_t at = span_rfind(identity, '@');

	return at < identity.n ? span_from(identity, at + 1) : identity;
}

/* Whose record it was, when that is not obvious. */
static void
put_place(struct buf *b, const struct verdict_spf *v)
{
	if (!domain_eq(v->outcome.at, domain_of(v->identity)))
		put_after(b, " in ", v->outcome.at);
}

void
verdict_why(struct buf *b, const struct verdict_spf *v)
{
	const struct spf_outcome *o = &v->outcome;

	buf_str(b, spf_reason_text(o->reason));
	switch (o->reason) {
	case SPF_R_MATCH:
		put_after(b, " ", o->mechanism);
		put_place(b, v);
		break;
	case SPF_R_DNS_ERROR:
		buf_str(b, ": ");
		buf_str(b, dns_status_name(o->dns_status));
		put_after(b, " for ", o->at);
		break;
	case SPF_R_NO_RECORD:
	case SPF_R_NO_DOMAIN:
	case SPF_R_BAD_DOMAIN:
	case SPF_R_NO_CLIENT:
	case SPF_R_DEFAULT:
	case SPF_R_MEMORY:
		break;
	default:
		put_after(b, ": ", o->detail.n > 0 ? o->detail : o->mechanism);
		put_place(b, v);
		break;
	}
}

/* ---- Received-SPF ---- */

struct received {
	struct fieldout f;
	const struct verdict_spf *v;
	struct span client, receiver;
};

/* key-value-pair, and the ";" that RFC 7208 allows behind the last one, too. */
static void
put_pair(struct fieldout *f, const char *key, struct span value)
{
	struct buf *unit = fieldout_unit(f);

	if (value.n == 0)
		return;
	buf_str(unit, key);
	buf_byte(unit, '=');
	fieldout_dot_atom(unit, value);
	buf_byte(unit, ';');
	fieldout_put(f);
}

/* The sentence of the comment; one that fits no result says why. */
static void
put_sentence(struct buf *b, const struct received *r)
{
	struct span who = r->v->identity;

	switch (r->v->outcome.result) {
	case SPF_PASS:
		put_after(b, "domain of ", who);
		put_after(b, " designates ", r->client);
		buf_str(b, " as permitted sender");
		break;
	case SPF_FAIL:
	case SPF_SOFTFAIL:
		put_after(b, r->v->outcome.result == SPF_FAIL ? "domain of " : "domain of transitioning ", who);
		put_after(b, " does not designate ", r->client);
		buf_str(b, " as permitted sender");
		break;
	case SPF_NEUTRAL:
		put_part(b, r->client);
		put_after(b, " is neither permitted nor denied by domain of ", who);
		break;
	default:
		put_after(b, "domain of ", who);
		buf_str(b, who.n > 0 ? ": " : "");
		verdict_why(b, r->v);
		break;
	}
}

static void
put_comment(struct received *r)
{
	struct buf text = buf_heap(4 * KIB);

	put_part(&text, r->receiver);
	if (r->receiver.n > 0)
		buf_str(&text, ": ");
	put_sentence(&text, r);
	fieldout_comment(fieldout_unit(&r->f), buf_text(&text));
	fieldout_put(&r->f);
	buf_fini(&text);
}

/* mechanism= of a result that a record gave, problem= of an error. */
static void
put_cause(struct received *r)
{
	const struct spf_outcome *o = &r->v->outcome;
	struct buf why = buf_heap(4 * KIB);

	if (o->reason == SPF_R_MATCH) {
		put_pair(&r->f, "mechanism", o->mechanism);
	} else if (o->reason == SPF_R_DEFAULT) {
		put_pair(&r->f, "mechanism", SPAN("default"));
	} else if (o->result == SPF_TEMPERROR || o->result == SPF_PERMERROR) {
		verdict_why(&why, r->v);
		put_pair(&r->f, "problem", buf_text(&why));
	}
	buf_fini(&why);
}

enum rc
verdict_received_spf(struct buf *b, const struct verdict *v, const struct ip *client, struct span helo, struct span sender,
                     struct span receiver)
{
	struct received r = { .v = &v->mailfrom, .receiver = receiver };
	char address[IP_TEXT_MAX];

	if (!v->mailfrom.is_evaluated)
		return RC_NONE;
	if (client->is_set)
		r.client = span_of(address, ip_print(client, address));
	fieldout_begin(&r.f, b, strlen("Received-SPF"));
	buf_str(fieldout_unit(&r.f), spf_result_name(r.v->outcome.result));
	fieldout_put(&r.f);
	put_comment(&r);
	fieldout_line(&r.f);
	put_pair(&r.f, "receiver", receiver);
	put_pair(&r.f, "identity", SPAN("mailfrom"));
	put_pair(&r.f, "client-ip", r.client);
	put_pair(&r.f, "envelope-from", sender.n > 0 ? sender : SPAN("<>"));
	put_pair(&r.f, "helo", helo);
	put_cause(&r);
	return fieldout_end(&r.f);
}
