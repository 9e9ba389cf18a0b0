/* enmacheck_json - what enmacheck prints for programs: one JSON object, described in enmacheck(1); see enmacheck.h. */
#include "worker/enmacheck.h"

#include <stdlib.h>

#include <jansson.h>

#include "common/base/check.h"
#include "common/base/log.h"

enum { ESCAPED_MAX = CHECK_HEADER_MAX };

/* Absent: null.  Bytes that are no UTF-8 come escaped as in the text output. */
static json_t *
text_of(struct span s)
{
	struct buf b;
	struct span escaped;
	json_t *v;

	if (span_is_null(s))
		return json_null();
	v = json_stringn(s.p, s.n);
	if (v != NULL)
		return v;
	b = buf_heap(ESCAPED_MAX);
	log_quote(&b, s, ESCAPED_MAX);
	escaped = buf_text(&b);
	v = json_stringn(escaped.p, escaped.n);
	buf_fini(&b);
	return v;
}

static void
set(json_t *o, const char *key, json_t *value)
{
	REQUIRE(json_object_set_new(o, key, value) == 0);
}

static json_t *
identity_of(const struct verdict_spf *v)
{
	const struct spf_outcome *out = &v->outcome;
	json_t *o;

	if (!v->is_evaluated)
		return json_null();
	o = json_object();
	set(o, "identity", text_of(v->identity));
	set(o, "result", json_string(spf_result_name(out->result)));
	set(o, "reason", json_string(spf_reason_text(out->reason)));
	set(o, "mechanism", text_of(out->mechanism));
	set(o, "at", text_of(out->at));
	set(o, "detail", text_of(out->detail));
	set(o, "explanation", text_of(out->explanation));
	set(o, "dns_error", out->reason == SPF_R_DNS_ERROR ? json_string(dns_status_name(out->dns_status)) : json_null());
	set(o, "lookups", json_integer(out->lookups));
	set(o, "voids", json_integer(out->voids));
	set(o, "ttl", json_integer(out->ttl_s));
	set(o, "depends_on_message", json_boolean(out->depends_on_message));
	return o;
}

static json_t *
dns_of(const struct check *c)
{
	struct lookup_stats dns = lookup_stats(c->message->lookup);
	json_t *o = json_object();

	set(o, "questions", json_integer(dns.asked));
	set(o, "rounds", json_integer(c->rounds));
	set(o, "from_cache", json_integer(dns.from_cache));
	set(o, "timeouts", json_integer(dns.timeouts));
	set(o, "wait_us", json_integer((json_int_t)dns.wait_us));
	set(o, "slowest_us", json_integer(dns.slowest_us));
	set(o, "over_budget", json_boolean(c->verdict != NULL && c->verdict->is_over_budget));
	set(o, "over_deadline", json_boolean(c->has_timed_out));
	return o;
}

static json_t *
trace_of(const struct check_trace *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		json_t *o = json_object();

		set(o, "depth", json_integer(t->v[i].depth));
		set(o, "kind", json_string(t->v[i].kind));
		set(o, "text", text_of(t->v[i].text));
		set(o, "note", text_of(t->v[i].note));
		REQUIRE(json_array_append_new(list, o) == 0);
	}
	return list;
}

static json_t *
action_of(const struct action *a)
{
	json_t *o = json_object();

	set(o, "kind", json_string(action_name(a->kind)));
	set(o, "code", a->code != NULL ? json_string(a->code) : json_null());
	set(o, "xcode", a->xcode != NULL ? json_string(a->xcode) : json_null());
	set(o, "text", a->text != NULL ? json_string(a->text) : json_null());
	set(o, "why", json_string(a->why));
	return o;
}

static json_t *
removals_of(const struct check *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->header.n; i++) {
		const struct check_field *f = &c->header.v[i];
		json_t *o;

		if (!f->is_removed)
			continue;
		o = json_object();
		set(o, "field", json_integer((json_int_t)i + 1));
		set(o, "name", text_of(f->name));
		set(o, "index", json_integer(f->index));
		set(o, "value", text_of(f->value));
		REQUIRE(json_array_append_new(list, o) == 0);
	}
	return list;
}

static void
add_insertion(json_t *list, const char *name, struct span value)
{
	json_t *o;

	if (span_is_null(value))
		return;
	o = json_object();
	set(o, "name", json_string(name));
	set(o, "value", text_of(value));
	REQUIRE(json_array_append_new(list, o) == 0);
}

static void
add_message(json_t *o, const struct check *c)
{
	json_t *insertions = json_array();
	struct buf line = buf_heap(CHECK_OUTPUT_MAX);

	add_insertion(insertions, "Received-SPF", c->received_spf);
	add_insertion(insertions, "Authentication-Results", c->authres);
	check_print_report(c, &line);
	set(o, "headers", json_integer((json_int_t)c->message->headers));
	set(o, "header_bytes", json_integer((json_int_t)c->message->header_bytes));
	set(o, "over_limit", json_boolean(c->message->is_over_limit));
	set(o, "remove", removals_of(c));
	set(o, "insert", insertions);
	set(o, "action", action_of(&c->action));
	set(o, "log", text_of(buf_text(&line)));
	buf_fini(&line);
}

static void
add_traces(json_t *o, const struct check *c)
{
	json_t *traces = json_object();

	set(traces, "mailfrom", trace_of(&c->mailfrom_trace));
	set(traces, "helo", trace_of(&c->helo_trace));
	set(o, "trace", traces);
}

void
check_print_json(const struct check *c, struct buf *b)
{
	json_t *o = json_object();
	char *text;

	set(o, "skipped", c->verdict == NULL ? json_string(c->message->skip_why != NULL ? c->message->skip_why : "error") : json_null());
	set(o, "mailfrom", c->verdict != NULL ? identity_of(&c->verdict->mailfrom) : json_null());
	set(o, "helo", c->verdict != NULL ? identity_of(&c->verdict->helo) : json_null());
	set(o, "identifier", text_of(c->identifier));
	set(o, "authentication_results", text_of(span_trim(c->authres)));
	set(o, "dns", dns_of(c));
	set(o, "elapsed_us", json_integer((json_int_t)c->elapsed_us));
	if (c->args->is_message)
		add_message(o, c);
	if (c->args->wants_trace)
		add_traces(o, c);
	text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	REQUIRE(text != NULL);
	buf_str(b, text);
	buf_byte(b, '\n');
	free(text);
	json_decref(o);
}
