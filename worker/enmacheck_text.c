/* enmacheck_text - what enmacheck prints for people; see enmacheck.h.  Everything from outside is escaped. */
#include "worker/enmacheck.h"

#include "common/base/log.h"

enum {
	VALUE_MAX = 1000,               /* bytes of one printed value */
	RECORD_MAX = 64 * KIB,          /* of a record in the trace */
};

static void
put(struct buf *b, struct span s)
{
	log_quote(b, s, VALUE_MAX);
}

/* ---- one identity ---- */

static void
print_reason(struct buf *b, const struct spf_outcome *o)
{
	buf_str(b, spf_reason_text(o->reason));
	if (o->reason == SPF_R_DNS_ERROR)
		buf_fmt(b, ": %s", dns_status_name(o->dns_status));
	if (o->mechanism.n > 0) {
		buf_str(b, o->reason == SPF_R_MATCH ? " " : ", term ");
		put(b, o->mechanism);
	}
	if (o->at.n > 0) {
		buf_str(b, o->reason == SPF_R_DNS_ERROR ? ", asking for " : " (");
		put(b, o->at);
		buf_str(b, o->reason == SPF_R_DNS_ERROR ? "" : ")");
	}
	if (o->detail.n > 0) {
		buf_str(b, ": ");
		put(b, o->detail);
	}
}

static void
print_identity(struct buf *b, const struct check *c, const char *name, const struct verdict_spf *v)
{
	const struct spf_outcome *o = &v->outcome;

	if (!v->is_evaluated) {
		buf_fmt(b, "spf of %s: not evaluated\n", name);
		return;
	}
	buf_fmt(b, "spf=%s %s=", spf_result_name(o->result), name);
	put(b, v->identity);
	buf_str(b, "\n    ");
	print_reason(b, o);
	buf_fmt(b, "\n    %u of %d lookups, %u of %lld void, ttl %u s%s\n", o->lookups, SPF_LOOKUPS_MAX, o->voids,
	    (long long)check_conf(c)->spf_void_limit, o->ttl_s, o->depends_on_message ? ", depends on the message" : "");
	if (span_is_null(o->explanation))
		return;
	buf_str(b, "    the domain explains: ");
	put(b, o->explanation);
	buf_byte(b, '\n');
}

/* ---- trace ---- */

static void
print_step(struct buf *b, const struct check_step *s)
{
	bool is_question = strcmp(s->kind, "question") == 0;

	for (unsigned i = 0; i <= s->depth; i++)
		buf_str(b, "    ");
	buf_fmt(b, "%-11s ", s->kind);
	log_quote(b, s->text, RECORD_MAX);
	if (s->note.n > 0 && strcmp(s->kind, "record") != 0 && strcmp(s->kind, "explanation") != 0) {
		buf_str(b, is_question ? "  ->  " : ": ");
		put(b, s->note);
	}
	buf_byte(b, '\n');
}

static void
print_trace(struct buf *b, const char *name, const struct check_trace *t)
{
	if (t->n == 0)
		return;
	buf_fmt(b, "\ntrace of %s\n", name);
	for (size_t i = 0; i < t->n; i++)
		print_step(b, &t->v[i]);
	if (t->is_cut)
		buf_str(b, "    ... cut here\n");
}

static void
print_traces(struct buf *b, const struct check *c)
{
	struct lookup_stats dns = lookup_stats(c->message->lookup);

	print_trace(b, "smtp.mailfrom", &c->mailfrom_trace);
	print_trace(b, "smtp.helo", &c->helo_trace);
	buf_fmt(b, "\n%u questions in %u rounds, %u from the cache, %u timeouts; slowest %u.%03u ms, waited %llu.%03llu ms, total %llu.%03llu ms\n",
	    dns.asked, c->rounds, dns.from_cache, dns.timeouts, dns.slowest_us / 1000, dns.slowest_us % 1000,
	    (unsigned long long)dns.wait_us / 1000, (unsigned long long)dns.wait_us % 1000,
	    (unsigned long long)c->elapsed_us / 1000, (unsigned long long)c->elapsed_us % 1000);
}

/* ---- fields, action ---- */

/* Printed as written: these are our own words, safe by construction. */
static void
print_insertion(struct buf *b, const char *lead, const char *name, struct span value)
{
	if (span_is_null(value))
		return;
	buf_fmt(b, "%s%s:", lead, name);
	buf_span(b, value);
	buf_byte(b, '\n');
}

static void
print_verdict(struct buf *b, const struct check *c)
{
	if (c->verdict == NULL) {
		buf_fmt(b, "not evaluated: %s\n", c->message->skip_why != NULL ? c->message->skip_why : "internal error");
		return;
	}
	print_identity(b, c, "smtp.mailfrom", &c->verdict->mailfrom);
	if (c->verdict->helo.is_evaluated)
		print_identity(b, c, "smtp.helo", &c->verdict->helo);
	if (c->verdict->is_over_budget)
		buf_str(b, "the message's budget of DNS questions is spent (resolver.max_questions)\n");
	if (c->has_timed_out)
		buf_str(b, "the deadline for DNS answers has passed (resolver.deadline)\n");
}

static void
print_removals(struct buf *b, const struct check *c)
{
	for (size_t i = 0; i < c->header.n; i++) {
		const struct check_field *f = &c->header.v[i];

		if (!f->is_removed)
			continue;
		buf_fmt(b, "remove: field %zu, ", i + 1);
		put(b, f->name);
		buf_fmt(b, " number %d:", f->index);
		put(b, f->value);
		buf_byte(b, '\n');
	}
}

static void
print_action(struct buf *b, const struct check *c)
{
	const struct action *a = &c->action;

	buf_fmt(b, "action: %s", action_name(a->kind));
	if (a->code != NULL)
		buf_fmt(b, " %s %s %s", a->code, a->xcode, a->text);
	buf_str(b, "\nlog: ");
	check_print_report(c, b);
	buf_byte(b, '\n');
}

static void
print_message(struct buf *b, const struct check *c)
{
	const struct message *m = c->message;

	buf_fmt(b, "\nheader: %llu fields, %llu bytes%s\n", (unsigned long long)m->headers, (unsigned long long)m->header_bytes,
	    m->is_over_limit ? ", over the limit (message.max_headers, message.max_header_bytes)" : "");
	print_removals(b, c);
	print_insertion(b, "insert: ", "Received-SPF", c->received_spf);
	print_insertion(b, "insert: ", "Authentication-Results", c->authres);
	print_action(b, c);
}

void
check_print_text(const struct check *c, struct buf *b)
{
	print_verdict(b, c);
	if (c->args->command == CHECK_MESSAGE) {
		print_message(b, c);
	} else {
		buf_byte(b, '\n');
		print_insertion(b, "", "Received-SPF", c->received_spf);
		print_insertion(b, "", "Authentication-Results", c->authres);
	}
	if (c->args->wants_trace)
		print_traces(b, c);
}
