/* enmacheck_dkim_text - what "enmacheck dkim" prints for people; see enmacheck_dkim.h.  Everything from outside is escaped. */
#include "worker/enmacheck_dkim.h"

#include <time.h>

#include "common/base/b64.h"
#include "common/base/log.h"

enum { VALUE_MAX = 2 * KIB };

#define INDENT "    "
#define DEEPER "        "

static void
put(struct buf *b, struct span s)
{
	log_quote(b, s, VALUE_MAX);
}

static void
put_remarks(struct buf *b, const struct remarks *r, const char *indent)
{
	for (size_t i = 0; i < r->n; i++)
		buf_fmt(b, "%s%s %.*s\n", indent, r->v[i].is_problem ? "problem:" : "note:", SPAN_ARGS(r->v[i].text));
}

/* ---- tags in words ---- */

static void
put_unfolded(struct buf *b, struct span s)
{
	struct buf flat = buf_heap(DKIM_FIELD_MAX);

	for (size_t i = 0; i < s.n; i++)
		if (!strchr("\r\n\t ", s.p[i]) || s.p[i] == '\0')
			buf_byte(&flat, s.p[i]);
	put(b, buf_text(&flat));
	buf_fini(&flat);
}

static void
put_tag(struct buf *b, const struct dkim_view *v, const char *word, const char *name, const char *otherwise)
{
	struct span value = taglist_get(&v->sig.tags, span_cstr(name));

	if (span_is_null(value) && otherwise == NULL)
		return;
	buf_fmt(b, INDENT "%-12s", word);
	if (span_is_null(value))
		buf_fmt(b, "%s (no %s=)", otherwise, name);
	else
		put_unfolded(b, value);
	if (!span_is_null(value))
		buf_fmt(b, " (%s=)", name);
	buf_byte(b, '\n');
}

static void
put_time(struct buf *b, const char *word, const char *name, int64_t t)
{
	time_t when = (time_t)t;
	struct tm tm;
	char text[64];

	if (t < 0)
		return;
	if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(text, sizeof text, "beyond all calendars");
	buf_fmt(b, INDENT "%-12s%s (%s=%lld)\n", word, text, name, (long long)t);
}

static void
put_forms(struct buf *b, const struct dkim_view *v)
{
	buf_fmt(b, INDENT "%-12sheader %s, body %s (%s)\n", "forms", canon_name(v->s->header_canon), canon_name(v->s->body_canon),
	    span_is_null(taglist_get(&v->sig.tags, SPAN("c"))) ? "no c=" : "c=");
	if (v->s->l >= 0)
		buf_fmt(b, INDENT "%-12sthe first %lld bytes (l=)\n", "body", (long long)v->s->l);
	else
		buf_fmt(b, INDENT "%-12sall of it (no l=)\n", "body");
}

static void
put_tags(struct buf *b, const struct dkim_view *v)
{
	put_tag(b, v, "domain", "d", "missing");
	put_tag(b, v, "selector", "s", "missing");
	put_tag(b, v, "identity", "i", "the domain itself");
	put_tag(b, v, "algorithm", "a", "missing");
	put_tag(b, v, "query", "q", NULL);
	if (v->has_sig)
		put_forms(b, v);
	put_tag(b, v, "fields", "h", "missing");
	if (!v->has_sig)
		return;
	put_time(b, "signed", "t", v->s->t);
	put_time(b, "expires", "x", v->s->x);
}

/* ---- what came of it ---- */

static void
put_digest(struct buf *b, struct span bytes)
{
	b64_encode(b, bytes);
}

static void
put_body_hash(struct buf *b, const struct dkim_view *v)
{
	struct span computed = span_of((const char *)v->digest.b, v->digest.n);
	bool is_same = span_eq(computed, v->claimed);

	if (!v->has_digest)
		return;
	buf_fmt(b, INDENT "%-12s", "body hash");
	put_digest(b, computed);
	buf_fmt(b, "%s\n", is_same ? ", as bh= says" : " computed");
	if (is_same)
		return;
	buf_fmt(b, INDENT "%-12s", "");
	put_digest(b, v->claimed);
	buf_str(b, " claimed (bh=)\n");
}

static void
put_guesses(struct buf *b, const struct guesses *g, const char *what)
{
	for (size_t i = 0; i < g->n; i++)
		buf_fmt(b, INDENT "why: %.*s\n", SPAN_ARGS(g->v[i].text));
	if (g->untried_why != NULL)
		buf_fmt(b, INDENT "why: %s\n", g->untried_why);
	else if (g->was_tried && g->n == 0 && !g->is_good)
		buf_fmt(b, INDENT "why: none of %u possible changes of the %s explains it\n", g->tries, what);
}

static void
put_result(struct buf *b, const struct dkim_view *v)
{
	buf_fmt(b, "dkim=%s: %s", dkim_result_name(v->result), dkim_reason_text(v->reason));
	if (v->detail.n > 0) {
		buf_str(b, ": ");
		put(b, v->detail);
	}
	buf_byte(b, '\n');
}

static void
put_signature(struct buf *b, const struct check *c, size_t i)
{
	const struct dkim_view *v = &c->dkim->v[i];

	buf_fmt(b, "\nsignature %zu, header field %zu: ", i + 1, v->s->field + 1);
	put_result(b, v);
	if (v->has_tags)
		put_tags(b, v);
	put_body_hash(b, v);
	if (v->key != NULL) {
		buf_str(b, INDENT "key\n");
		key_print(b, v->key, DEEPER);
	}
	put_remarks(b, &v->remarks, INDENT);
	put_guesses(b, &v->body_guesses, "body");
	if (v->header_guesses.is_good && v->s->reason == DKIM_R_BODY_HASH)
		buf_str(b, INDENT "the header is as it was signed: only the body was changed\n");
	put_guesses(b, &v->header_guesses, "header");
	if (c->args->wants_canon && v->s->is_parsed) {
		buf_fmt(b, INDENT "header as hashed, %llu bytes\n", (unsigned long long)v->canon.bytes);
		canon_print(b, &v->canon, DEEPER);
	}
}

static void
put_bodies(struct buf *b, const struct check_dkim *x)
{
	for (size_t c = 0; c < ARRAY_LEN(x->body); c++) {
		bool is_used = false;

		for (size_t i = 0; i < x->n; i++)
			is_used |= x->v[i].s->is_parsed && (x->v[i].s->body_canon == CANON_RELAXED) == (c == 1);
		if (!is_used)
			continue;
		buf_fmt(b, "\nbody as hashed, %s, %llu bytes\n", canon_name(c == 1 ? CANON_RELAXED : CANON_SIMPLE), (unsigned long long)x->body[c].bytes);
		canon_print(b, &x->body[c], INDENT);
	}
}

void
check_print_dkim_text(const struct check *c, struct buf *b)
{
	const struct check_dkim *x = c->dkim;

	buf_fmt(b, "%zu header fields, %zu bytes of body, %zu DKIM signature%s\n", x->mail.header.n, x->mail.body.n, x->total, x->total == 1 ? "" : "s");
	put_remarks(b, &x->remarks, "");
	for (size_t i = 0; i < x->n; i++)
		put_signature(b, c, i);
	if (c->args->wants_canon)
		put_bodies(b, x);
}
