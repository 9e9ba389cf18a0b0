/* enmacheck_json - what enmacheck prints for programs: one JSON object, described in enmacheck(1); see enmacheck.h. */
#include "worker/enmacheck_json.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/log.h"

enum { ESCAPED_MAX = CHECK_HEADER_MAX };

json_t *
check_json_text(struct span s)
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

void
check_json_set(json_t *o, const char *key, json_t *value)
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
	check_json_set(o, "identity", check_json_text(v->identity));
	check_json_set(o, "result", json_string(spf_result_name(out->result)));
	check_json_set(o, "reason", json_string(spf_reason_text(out->reason)));
	check_json_set(o, "mechanism", check_json_text(out->mechanism));
	check_json_set(o, "at", check_json_text(out->at));
	check_json_set(o, "detail", check_json_text(out->detail));
	check_json_set(o, "explanation", check_json_text(out->explanation));
	check_json_set(o, "dns_error", out->reason == SPF_R_DNS_ERROR ? json_string(dns_status_name(out->dns_status)) : json_null());
	check_json_set(o, "lookups", json_integer(out->lookups));
	check_json_set(o, "voids", json_integer(out->voids));
	check_json_set(o, "ttl", json_integer(out->ttl_s));
	check_json_set(o, "depends_on_message", json_boolean(out->depends_on_message));
	return o;
}

static json_t *
dns_of(const struct check *c)
{
	struct lookup_stats dns = lookup_stats(c->message->lookup);
	json_t *o = json_object();

	check_json_set(o, "questions", json_integer(dns.asked));
	check_json_set(o, "rounds", json_integer(c->rounds));
	check_json_set(o, "from_cache", json_integer(dns.from_cache));
	check_json_set(o, "timeouts", json_integer(dns.timeouts));
	check_json_set(o, "wait_us", json_integer((json_int_t)dns.wait_us));
	check_json_set(o, "slowest_us", json_integer(dns.slowest_us));
	check_json_set(o, "over_budget", json_boolean(c->verdict != NULL && c->verdict->is_over_budget));
	check_json_set(o, "over_deadline", json_boolean(c->has_timed_out));
	return o;
}

static json_t *
trace_of(const struct check_trace *t)
{
	json_t *list = json_array();

	for (size_t i = 0; i < t->n; i++) {
		json_t *o = json_object();

		check_json_set(o, "depth", json_integer(t->v[i].depth));
		check_json_set(o, "kind", json_string(t->v[i].kind));
		check_json_set(o, "text", check_json_text(t->v[i].text));
		check_json_set(o, "note", check_json_text(t->v[i].note));
		REQUIRE(json_array_append_new(list, o) == 0);
	}
	return list;
}

static json_t *
action_of(const struct action *a)
{
	json_t *o = json_object();

	check_json_set(o, "kind", json_string(action_name(a->kind)));
	check_json_set(o, "code", a->code != NULL ? json_string(a->code) : json_null());
	check_json_set(o, "xcode", a->xcode != NULL ? json_string(a->xcode) : json_null());
	check_json_set(o, "text", a->text != NULL ? json_string(a->text) : json_null());
	check_json_set(o, "why", json_string(a->why));
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
		check_json_set(o, "field", json_integer((json_int_t)i + 1));
		check_json_set(o, "name", check_json_text(f->name));
		check_json_set(o, "index", json_integer(f->index));
		check_json_set(o, "value", check_json_text(f->value));
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
	check_json_set(o, "name", json_string(name));
	check_json_set(o, "value", check_json_text(value));
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
	check_json_set(o, "headers", json_integer((json_int_t)c->message->headers));
	check_json_set(o, "header_bytes", json_integer((json_int_t)c->message->header_bytes));
	check_json_set(o, "over_limit", json_boolean(c->message->is_over_limit));
	check_json_set(o, "remove", removals_of(c));
	check_json_set(o, "insert", insertions);
	check_json_set(o, "action", action_of(&c->action));
	check_json_set(o, "log", check_json_text(buf_text(&line)));
	buf_fini(&line);
}

static void
add_traces(json_t *o, const struct check *c)
{
	json_t *traces = json_object();

	check_json_set(traces, "mailfrom", trace_of(&c->mailfrom_trace));
	check_json_set(traces, "helo", trace_of(&c->helo_trace));
	check_json_set(o, "trace", traces);
}

void
check_json_print(json_t *o, struct buf *b)
{
	char *text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER);

	REQUIRE(text != NULL);
	buf_str(b, text);
	buf_byte(b, '\n');
	free(text);
	json_decref(o);
}

void
check_print_json(const struct check *c, struct buf *b)
{
	json_t *o = json_object();

	check_json_set(o, "skipped", c->verdict == NULL ? json_string(c->message->skip_why != NULL ? c->message->skip_why : "error") : json_null());
	check_json_set(o, "mailfrom", c->verdict != NULL ? identity_of(&c->verdict->mailfrom) : json_null());
	check_json_set(o, "helo", c->verdict != NULL ? identity_of(&c->verdict->helo) : json_null());
	check_json_set(o, "identifier", check_json_text(c->identifier));
	check_json_set(o, "authentication_results", check_json_text(span_trim(c->authres)));
	check_json_set(o, "dns", dns_of(c));
	check_json_set(o, "elapsed_us", json_integer((json_int_t)c->elapsed_us));
	if (c->args->command == CHECK_MESSAGE)
		add_message(o, c);
	if (c->args->wants_trace)
		add_traces(o, c);
	check_json_print(o, b);
}
