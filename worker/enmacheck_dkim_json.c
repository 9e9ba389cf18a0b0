/* enmacheck_dkim_json - what "enmacheck dkim" and "enmacheck key" print for programs, described in enmacheck(1); see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"
#include "worker/enmacheck_json.h"

#include "common/base/b64.h"
#include "common/base/check.h"

static void
append(json_t *list, json_t *value)
{
	REQUIRE(json_array_append_new(list, value) == 0);
}

static json_t *
base64_of(struct span bytes)
{
	struct buf b = buf_heap(2 * (size_t)CANON_SHOWN_MAX);
	json_t *o;

	b64_encode(&b, bytes);
	o = check_json_text(buf_text(&b));
	buf_fini(&b);
	return o;
}

static json_t *
string_or_null(const char *s)
{
	return s != NULL ? json_string(s) : json_null();
}

static json_t *
remarks_of(const struct remarks *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->n; i++) {
		json_t *o = json_object();

		check_json_set(o, "problem", json_boolean(r->v[i].is_problem));
		check_json_set(o, "text", check_json_text(r->v[i].text));
		append(list, o);
	}
	return list;
}

/* ---- a key ---- */

static json_t *
record_of(const struct key_record *r)
{
	json_t *o = json_object();
	bool is_key = r->key != NULL;

	check_json_set(o, "text", check_json_text(r->text));
	check_json_set(o, "usable", json_boolean(is_key));
	check_json_set(o, "type", is_key ? json_string(r->parsed.kind == CRYPTO_RSA ? "rsa" : "ed25519") : json_null());
	check_json_set(o, "bits", is_key ? json_integer(r->bits) : json_null());
	check_json_set(o, "testing", json_boolean(r->parsed.is_testing));
	check_json_set(o, "strict", json_boolean(r->parsed.is_strict));
	check_json_set(o, "revoked", json_boolean(!span_is_null(r->parsed.p) && r->parsed.p.n == 0));
	check_json_set(o, "remarks", remarks_of(&r->remarks));
	return o;
}

static json_t *
key_of(const struct key_report *k)
{
	json_t *o, *records;
	struct buf name = buf_heap(4 * KIB);

	if (k == NULL)
		return json_null();
	o = json_object();
	records = json_array();
	key_print_name(&name, k);
	check_json_set(o, "name", check_json_text(buf_text(&name)));
	buf_fini(&name);
	check_json_set(o, "dns", json_string(dns_status_name(k->answer->status)));
	check_json_set(o, "secure", json_boolean(k->answer->is_secure));
	check_json_set(o, "ttl", json_integer(k->answer->ttl_s));
	for (size_t i = 0; i < k->n; i++)
		append(records, record_of(&k->v[i]));
	check_json_set(o, "records", records);
	check_json_set(o, "remarks", remarks_of(&k->remarks));
	check_json_set(o, "good", json_boolean(!key_has_problems(k)));
	return o;
}

void
check_print_key_json(const struct check *c, struct buf *b)
{
	check_json_print(key_of(&c->key->report), b);
}

/* ---- a signature ---- */

static json_t *
tags_of(const struct dkim_view *v)
{
	json_t *o = json_object();

	for (size_t i = 0; v->has_tags && i < v->sig.tags.n; i++) {
		char name[64];

		snprintf(name, sizeof name, "%.*s", SPAN_ARGS(v->sig.tags.v[i].name));
		check_json_set(o, name, check_json_text(v->sig.tags.v[i].value));
	}
	return o;
}

static void
add_guesses(json_t *list, const struct guesses *g, const char *part)
{
	for (size_t i = 0; i < g->n; i++) {
		json_t *o = json_object();

		check_json_set(o, "part", json_string(part));
		check_json_set(o, "id", json_string(g->v[i].id));
		check_json_set(o, "text", check_json_text(g->v[i].text));
		append(list, o);
	}
}

static json_t *
guesses_of(const struct dkim_view *v)
{
	json_t *list = json_array();

	add_guesses(list, &v->body_guesses, "body");
	add_guesses(list, &v->header_guesses, "header");
	return list;
}

static json_t *
search_of(const struct guesses *g)
{
	json_t *o;

	if (!g->was_tried && g->untried_why == NULL)
		return json_null();
	o = json_object();
	check_json_set(o, "tries", json_integer(g->tries));
	check_json_set(o, "incomplete", string_or_null(g->untried_why));
	return o;
}

static json_t *
copy_of(const struct canon_copy *c)
{
	json_t *o = json_object();

	check_json_set(o, "bytes", json_integer((json_int_t)c->bytes));
	check_json_set(o, "base64", base64_of(span_of(c->text.n > 0 ? c->text.p : "", c->text.n)));
	check_json_set(o, "cut", json_boolean(c->bytes > c->text.n));
	return o;
}

static json_t *
time_of(int64_t t)
{
	return t >= 0 ? json_integer(t) : json_null();
}

static void
add_parsed(json_t *o, const struct dkim_view *v)
{
	const struct dkim_signature *s = v->s;
	struct span computed = span_of((const char *)v->digest.b, v->digest.n);

	check_json_set(o, "domain", check_json_text(s->domain));
	check_json_set(o, "selector", check_json_text(s->s));
	check_json_set(o, "identity", check_json_text(s->i));
	check_json_set(o, "algorithm", check_json_text(s->a));
	check_json_set(o, "header_form", v->has_sig ? json_string(canon_name(s->header_canon)) : json_null());
	check_json_set(o, "body_form", v->has_sig ? json_string(canon_name(s->body_canon)) : json_null());
	check_json_set(o, "length", time_of(s->l));
	check_json_set(o, "signed_at", time_of(s->t));
	check_json_set(o, "expires_at", time_of(s->x));
	check_json_set(o, "body_hash", v->has_digest ? base64_of(computed) : json_null());
	check_json_set(o, "body_hash_claimed", v->has_digest ? base64_of(v->claimed) : json_null());
	check_json_set(o, "body_good", v->has_digest ? json_boolean(span_eq(computed, v->claimed)) : json_null());
	check_json_set(o, "header_good", s->result == DKIM_PASS || v->header_guesses.is_good ? json_true() :
	    v->header_guesses.was_tried ? json_false() : json_null());
}

static json_t *
signature_of(const struct check *c, const struct dkim_view *v)
{
	json_t *o = json_object();

	check_json_set(o, "field", json_integer((json_int_t)v->s->field + 1));
	check_json_set(o, "result", json_string(dkim_result_name(v->result)));
	check_json_set(o, "reason", json_string(dkim_reason_text(v->reason)));
	check_json_set(o, "detail", check_json_text(v->detail));
	check_json_set(o, "result_without_limits", json_string(dkim_result_name(v->s->result)));
	check_json_set(o, "reason_without_limits", json_string(dkim_reason_text(v->s->reason)));
	add_parsed(o, v);
	check_json_set(o, "tags", tags_of(v));
	check_json_set(o, "key", key_of(v->key));
	check_json_set(o, "remarks", remarks_of(&v->remarks));
	check_json_set(o, "explanations", guesses_of(v));
	check_json_set(o, "body_search", search_of(&v->body_guesses));
	check_json_set(o, "header_search", search_of(&v->header_guesses));
	if (c->args->wants_canon)
		check_json_set(o, "header_hashed", v->s->is_parsed ? copy_of(&v->canon) : json_null());
	return o;
}

void
check_print_dkim_json(const struct check *c, struct buf *b)
{
	const struct check_dkim *x = c->dkim;
	json_t *o = json_object(), *list = json_array();

	check_json_set(o, "headers", json_integer((json_int_t)x->mail.header.n));
	check_json_set(o, "body_bytes", json_integer((json_int_t)x->mail.body.n));
	check_json_set(o, "signature_count", json_integer((json_int_t)x->total));
	check_json_set(o, "remarks", remarks_of(&x->remarks));
	for (size_t i = 0; i < x->n; i++)
		append(list, signature_of(c, &x->v[i]));
	check_json_set(o, "signatures", list);
	if (c->args->wants_canon) {
		check_json_set(o, "body_hashed_simple", copy_of(&x->body[0]));
		check_json_set(o, "body_hashed_relaxed", copy_of(&x->body[1]));
	}
	check_json_print(o, b);
}
