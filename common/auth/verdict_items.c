/* verdict_items - the wording of results in Authentication-Results; see verdict.h. */
#include "common/auth/verdict.h"

/* ---- addresses ---- */

static bool
is_dot_atom(struct span s)
{
	bool wants_atom = true;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '.' && wants_atom)
			return false;
		if (c != '.' && c < 0x80 && !ascii_is_alnum(c) && (c == '\0' || strchr("!#$%&'*+-/=?^_`{|}~", c) == NULL))
			return false;
		wants_atom = c == '.';
	}
	return !wants_atom;
}

static void
print_local(struct buf *b, struct span local)
{
	if (is_dot_atom(local)) {
		buf_span(b, local);
		return;
	}
	buf_byte(b, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buf_byte(b, '\\');
		buf_byte(b, local.p[i]);
	}
	buf_byte(b, '"');
}

struct span
verdict_mailbox(struct arena *a, struct span local, struct span domain)
{
	struct buf b = buf_in(a, 8 * KIB);
	struct span out;

	print_local(&b, local);
	buf_byte(&b, '@');
	buf_span(&b, domain);
	return buf_done(&b, &out) == RC_OK ? out : SPAN_NULL;
}

/* ---- why ---- */

/* Parts of a comment with commas between them. */
static void
put_comma(struct buf *b, const char *text)
{
	if (buf_text(b).n > 0)
		buf_str(b, ", ");
	buf_str(b, text);
}

static void
put_bits(struct buf *b, unsigned bits)
{
	put_comma(b, "");
	buf_fmt(b, "%u-bit key", bits);
}

static void
put_detail(struct buf *b, struct span detail)
{
	if (detail.n == 0)
		return;
	buf_str(b, ": ");
	buf_span(b, span_sub(detail, 0, VERDICT_PART_MAX));
}

void
verdict_dkim_why(struct buf *b, const struct dkim_signature *s)
{
	struct buf text = buf_heap(2 * KIB);

	if (s->reason != DKIM_R_GOOD) {
		buf_str(&text, dkim_reason_text(s->reason));
		put_detail(&text, s->detail);
	}
	if (s->key_bits > 0)
		put_bits(&text, s->key_bits);
	if (s->is_testing)
		put_comma(&text, "testing");
	if (s->result == DKIM_PASS && s->has_unsigned_body)
		put_comma(&text, "a part of the body is not signed (l=)");
	buf_span(b, buf_text(&text));
	buf_fini(&text);
}

void
verdict_domainkeys_why(struct buf *b, const struct domainkeys_outcome *o)
{
	struct buf text = buf_heap(2 * KIB);

	if (o->reason != DOMAINKEYS_R_GOOD) {
		buf_str(&text, domainkeys_reason_text(o->reason));
		put_detail(&text, o->detail);
	}
	if (o->key_bits > 0)
		put_bits(&text, o->key_bits);
	if (o->is_testing)
		put_comma(&text, "testing");
	if (o->policy == DOMAINKEYS_POLICY_ALL)
		put_comma(&text, "domain signs all mail");
	buf_span(b, buf_text(&text));
	buf_fini(&text);
}

void
verdict_adsp_why(struct buf *b, const struct adsp_outcome *o)
{
	buf_str(b, adsp_reason_text(o->reason));
	if (o->reason == ADSP_R_DNS)
		put_detail(b, span_cstr(dns_status_name(o->dns_status)));
}

void
verdict_atps_why(struct buf *b, const struct atps_outcome *o)
{
	buf_str(b, atps_reason_text(o->reason));
	if (o->reason == ATPS_R_DNS)
		put_detail(b, span_cstr(dns_status_name(o->dns_status)));
}

enum dkim_result
verdict_dkim_summary(const struct verdict *v)
{
	static const unsigned char rank[] = {
		[DKIM_NONE] = 0, [DKIM_PERMERROR] = 1, [DKIM_NEUTRAL] = 2, [DKIM_FAIL] = 3, [DKIM_POLICY] = 4, [DKIM_TEMPERROR] = 5, [DKIM_PASS] = 6,
	};
	enum dkim_result best = v->is_dkim_lost ? dkim_reason_result(v->dkim_lost) : DKIM_NONE;

	for (size_t i = 0; i < v->dkim_count; i++)
		if (rank[v->dkim[i].result] > rank[best])
			best = v->dkim[i].result;
	return best;
}

/* ---- items ---- */

struct list {
	struct authres_item *v;
	size_t n, max;
	struct arena *arena;
};

/* NULL: no room. */
static struct authres_item *
add(struct list *l, const char *method, const char *result)
{
	if (l->n == l->max)
		return NULL;
	l->v[l->n] = (struct authres_item){ .method = method, .result = result };
	return &l->v[l->n++];
}

static void
add_prop(struct authres_item *item, const char *ptype, const char *name, struct span value)
{
	if (value.n > 0 && item->prop_count < ARRAY_LEN(item->prop))
		item->prop[item->prop_count++] = (struct authres_prop){ ptype, name, value };
}

/* Absent at the arena's ceiling. */
static struct span
keep(struct list *l, struct buf *heap)
{
	struct span text = arena_copy(l->arena, buf_text(heap));

	buf_fini(heap);
	return text.p == NULL ? SPAN_NULL : text;
}

static void
add_spf(struct list *l, const struct verdict_spf *v, const char *property, bool hardfail)
{
	bool is_fail = v->outcome.result == SPF_FAIL;
	struct authres_item *item;
	struct buf why;

	if (!v->is_evaluated || (item = add(l, "spf", is_fail && hardfail ? "hardfail" : spf_result_name(v->outcome.result))) == NULL)
		return;
	why = buf_heap(2 * KIB);
	verdict_why(&why, v);
	item->comment = keep(l, &why);
	if (is_fail && v->outcome.explanation.n > 0)
		item->reason = v->outcome.explanation;
	add_prop(item, "smtp", property, v->identity);
}

static void
add_signature(struct list *l, const struct verdict *v, const struct dkim_signature *s)
{
	struct authres_item *item = add(l, "dkim", dkim_result_name(s->result));
	struct buf why;

	if (item == NULL)
		return;
	why = buf_heap(2 * KIB);
	verdict_dkim_why(&why, s);
	/* It stands for all that were not looked at. */
	if (s->reason == DKIM_R_TOO_MANY)
		buf_fmt(&why, ", %zu not looked at", v->dkim_total - (v->dkim_count - 1));
	item->comment = keep(l, &why);
	add_prop(item, "header", "d", s->d);
	add_prop(item, "header", "i", s->i);
	add_prop(item, "header", "s", s->s);
	add_prop(item, "header", "a", s->a);
	add_prop(item, "header", "b", s->b_start);
}

static void
add_dkim(struct list *l, const struct verdict *v)
{
	struct authres_item *item;

	if (!v->is_dkim_evaluated)
		return;
	for (int wants_author = 1; wants_author >= 0; wants_author--)
		for (size_t i = 0; i < v->dkim_count; i++)
			if (v->dkim[i].is_author == (wants_author == 1))
				add_signature(l, v, &v->dkim[i]);
	if (v->dkim_count > 0 || (item = add(l, "dkim", dkim_result_name(verdict_dkim_summary(v)))) == NULL)
		return;
	item->comment = v->is_dkim_lost ? span_cstr(dkim_reason_text(v->dkim_lost)) : SPAN("no signature");
}

static void
add_domainkeys(struct list *l, const struct verdict *v)
{
	const struct domainkeys_outcome *o = &v->domainkeys;
	struct authres_item *item;
	struct buf why;

	if (!v->is_domainkeys_evaluated || (item = add(l, "domainkeys", domainkeys_result_name(o->result))) == NULL)
		return;
	why = buf_heap(2 * KIB);
	verdict_domainkeys_why(&why, o);
	item->comment = keep(l, &why);
	add_prop(item, "header", "d", o->d);
	add_prop(item, "header", "s", o->s);
	if (!span_is_null(o->domain))
		add_prop(item, "header", o->is_sender ? "sender" : "from", verdict_mailbox(l->arena, o->local, o->domain));
}

/* The author that decided, or the only one there is. */
static struct span
author_address(struct list *l, const struct verdict *v, size_t index)
{
	const struct verdict_author *author;

	if (index >= v->author_count && v->author_count != 1)
		return SPAN_NULL;
	author = &v->authors[index < v->author_count ? index : 0];
	return verdict_mailbox(l->arena, author->local, author->written);
}

static void
add_practices(struct list *l, const struct verdict *v)
{
	struct authres_item *item;
	struct buf why;

	if (v->is_adsp_evaluated && (item = add(l, "dkim-adsp", adsp_result_name(v->adsp.result))) != NULL) {
		why = buf_heap(2 * KIB);
		verdict_adsp_why(&why, &v->adsp);
		item->comment = keep(l, &why);
		add_prop(item, "header", "from", author_address(l, v, v->adsp.author));
	}
	if (v->is_atps_evaluated && (item = add(l, "dkim-atps", atps_result_name(v->atps.result))) != NULL) {
		why = buf_heap(2 * KIB);
		verdict_atps_why(&why, &v->atps);
		item->comment = keep(l, &why);
		add_prop(item, "header", "from", author_address(l, v, v->author_count));
	}
}

size_t
verdict_items(const struct verdict *v, bool hardfail, struct arena *a, struct authres_item *items, size_t max)
{
	struct list l = { .v = items, .max = max, .arena = a };

	add_spf(&l, &v->mailfrom, "mailfrom", hardfail);
	add_spf(&l, &v->helo, "helo", hardfail);
	add_dkim(&l, v);
	add_domainkeys(&l, v);
	add_practices(&l, v);
	return l.n;
}
