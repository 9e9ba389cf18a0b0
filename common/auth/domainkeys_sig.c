/* domainkeys_sig - the text of a DomainKey-Signature field (RFC 4870 section 3.3), and the header fields that it covers. */
#include "common/auth/domainkeys_int.h"

#include "common/auth/dkim.h"
#include "common/base/b64.h"
#include "common/base/buf.h"
#include "common/base/domain.h"
#include "common/mail/taglist.h"

enum { NAME_TEXT_MAX = 1 * KIB };
enum { NO_GROUP = 255 };
_Static_assert((int)DOMAINKEYS_H_NAMES_MAX < (int)NO_GROUP, "groups fit into a byte");

static enum domainkeys_reason
refuse(const char **why_out, const char *why, enum domainkeys_reason reason)
{
	*why_out = why;
	return reason;
}

/* ---- tags ---- */

static bool
is_field_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_print((unsigned char)s.p[i]) || s.p[i] == ' ')
			return false;
	}
	return s.n > 0;
}

static enum domainkeys_reason
parse_h(struct arena *a, struct span value, struct domainkeys_sig *out, const char **why_out)
{
	struct span rest = value, name;
	size_t n = 1;

	for (size_t i = 0; i < value.n; i++)
		n += value.p[i] == ':';
	if (n > DOMAINKEYS_H_NAMES_MAX)
		return refuse(why_out, "too many names in h=", DOMAINKEYS_R_SYNTAX);
	out->h = arena_array(a, struct span, n);
	if (out->h == NULL)
		return DOMAINKEYS_R_MEMORY;
	while (taglist_item(&rest, &name)) {
		if (!is_field_name(name))
			return refuse(why_out, "bad name in h=", DOMAINKEYS_R_SYNTAX);
		out->h[out->h_count++] = name;
	}
	return DOMAINKEYS_R_GOOD;
}

static enum domainkeys_reason
parse_names(struct arena *a, struct domainkeys_sig *out, const char **why_out)
{
	struct buf b = buf_in(a, NAME_TEXT_MAX);
	enum rc rc = domain_normalize(a, out->d, &out->domain);

	if (rc != RC_OK || !domain_is_valid(out->domain, 2))
		return rc == RC_LIMIT ? DOMAINKEYS_R_MEMORY : refuse(why_out, "d=", DOMAINKEYS_R_DOMAIN);
	buf_span(&b, out->s);
	buf_str(&b, "._domainkey.");
	buf_span(&b, out->domain);
	if (!buf_ok(&b))
		return out->s.n < NAME_TEXT_MAX / 2 ? DOMAINKEYS_R_MEMORY : refuse(why_out, "s=", DOMAINKEYS_R_DOMAIN);
	if (!domain_is_valid(buf_text(&b), 4) || dns_name_from_text(buf_text(&b), &out->key_name) != RC_OK)
		return refuse(why_out, "s=", DOMAINKEYS_R_DOMAIN);
	return DOMAINKEYS_R_GOOD;
}

/* What must be there; c= and q= have no defaults. */
static const char *
missing(const struct taglist *t)
{
	static const char *const needed[] = { "b", "c", "d", "q", "s" };
	static const char *const words[] = { "b=", "c=", "d=", "q=", "s=" };

	for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
		if (span_is_null(taglist_get(t, span_cstr(needed[i]))))
			return words[i];
	}
	return NULL;
}

static enum domainkeys_reason
parse_methods(const struct taglist *t, struct domainkeys_sig *out, const char **why_out)
{
	struct span a = taglist_get(t, SPAN("a")), c = taglist_get(t, SPAN("c"));

	if (!span_is_null(a) && !span_eq(a, SPAN("rsa-sha1")))
		return refuse(why_out, "a=", DOMAINKEYS_R_UNKNOWN_ALGORITHM);
	if (!span_eq(c, SPAN("simple")) && !span_eq(c, SPAN("nofws")))
		return refuse(why_out, "c=", DOMAINKEYS_R_UNKNOWN_CANON);
	out->canon = span_eq(c, SPAN("nofws")) ? CANON_NOFWS : CANON_SIMPLE;
	if (!span_eq(taglist_get(t, SPAN("q")), SPAN("dns")))
		return refuse(why_out, "q=", DOMAINKEYS_R_UNKNOWN_QUERY);
	return DOMAINKEYS_R_GOOD;
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static enum domainkeys_reason
parse_b(struct arena *a, struct span value, struct domainkeys_sig *out, const char **why_out)
{
	enum rc rc = value.n > DOMAINKEYS_FIELD_MAX ? RC_SYNTAX : b64_decode(a, value, DKIM_SIGNATURE_MAX, &out->b);

	if (rc == RC_OK && out->b.n > 0)
		return DOMAINKEYS_R_GOOD;
	/* So little text is no more bytes than that: it was the arena. */
	if (rc == RC_LIMIT && value.n <= DKIM_SIGNATURE_MAX)
		return DOMAINKEYS_R_MEMORY;
	return refuse(why_out, "b=", DOMAINKEYS_R_SYNTAX);
}

enum domainkeys_reason
domainkeys_sig_parse(struct arena *a, struct span value, struct domainkeys_sig *out, const char **why_out)
{
	enum domainkeys_reason r;
	struct taglist t;
	struct span h;

	*out = (struct domainkeys_sig){ .canon = CANON_SIMPLE };
	*why_out = NULL;
	if (value.n > DOMAINKEYS_FIELD_MAX)
		return refuse(why_out, "too long", DOMAINKEYS_R_SYNTAX);
	if (taglist_parse(value, &t, why_out) != RC_OK)
		return DOMAINKEYS_R_SYNTAX;
	out->d = taglist_get(&t, SPAN("d"));
	out->s = taglist_get(&t, SPAN("s"));
	if (!is_ascii(value))           /* RFC 4870 appendix A */
		return refuse(why_out, "not ASCII", DOMAINKEYS_R_SYNTAX);
	if ((*why_out = missing(&t)) != NULL)
		return DOMAINKEYS_R_MISSING_TAG;
	r = parse_methods(&t, out, why_out);
	if (r == DOMAINKEYS_R_GOOD)
		r = parse_names(a, out, why_out);
	if (r == DOMAINKEYS_R_GOOD)
		r = parse_b(a, taglist_get(&t, SPAN("b")), out, why_out);
	h = taglist_get(&t, SPAN("h"));
	if (r == DOMAINKEYS_R_GOOD && !span_is_null(h))
		r = parse_h(a, h, out, why_out);
	return r;
}

/* ---- the header fields ---- */

bool
domainkeys_sig_covers(const struct domainkeys_sig *sig, const struct header_block *headers, size_t at, size_t field)
{
	if (field <= at || field >= headers->n)
		return false;
	for (size_t i = 0; i < sig->h_count; i++) {
		if (header_is(&headers->v[field], sig->h[i]))
			return true;
	}
	return sig->h == NULL;
}

/* One distinct name of h=. */
struct group {
	struct span name;
	size_t listed;                  /* times in h= */
	size_t seen;                    /* of those, so far */
	size_t fields;                  /* fields below the signature that are left */
	size_t from;                    /* the first of them stands here or later */
};

struct selection {
	const struct domainkeys_sig *sig;
	const struct header_block *headers;
	size_t at;
	struct group *v;                /* sorted by name */
	size_t n;
	uint8_t *group_of;              /* of each field below the signature */
	uint8_t *group_of_name;         /* of each name in h= */
	canon_sink_fn *sink;
	void *arg;
};

/* Where the name stands or belongs. */
static size_t
find_group(const struct selection *s, struct span name)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (span_cmp_nocase(s->v[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_group(const struct selection *s, size_t i, struct span name)
{
	return i < s->n && span_eq_nocase(s->v[i].name, name);
}

static void
group_names(struct selection *s)
{
	for (size_t i = 0; i < s->sig->h_count; i++) {
		struct span name = s->sig->h[i];
		size_t at = find_group(s, name);

		if (!is_group(s, at, name)) {
			memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
			s->v[at] = (struct group){ .name = name };
			s->n++;
		}
		s->v[at].listed++;
	}
	for (size_t i = 0; i < s->sig->h_count; i++)
		s->group_of_name[i] = (uint8_t)find_group(s, s->sig->h[i]);
}

static void
group_fields(struct selection *s)
{
	for (size_t i = s->at + 1; i < s->headers->n; i++) {
		struct span name = span_trim(s->headers->v[i].name);
		size_t at = find_group(s, name);

		s->group_of[i - s->at - 1] = is_group(s, at, name) ? (uint8_t)at : NO_GROUP;
		if (is_group(s, at, name))
			s->v[at].fields++;
	}
}

static void
send_field(const struct selection *s, size_t i)
{
	const struct header_field *f = &s->headers->v[i];

	canon_header(s->sig->canon, f->name, f->value, true, s->sink, s->arg);
}

static void
send_next(struct selection *s, size_t group)
{
	struct group *g = &s->v[group];
	size_t below = s->headers->n - s->at - 1;
	const uint8_t *hit = memchr(s->group_of + g->from, (int)group, below - g->from);

	if (hit == NULL)
		return;
	g->from = (size_t)(hit - s->group_of) + 1;
	g->fields--;
	send_field(s, s->at + g->from);
}

/*
 * Section 3.3: the order of h= is the order in which fields were signed, and all fields of a name that it lists are included.  Each mention of a name takes
 * one field, counted from the bottom; what is left over goes with the first mention.
 */
static void
send_name(struct selection *s, size_t group)
{
	struct group *g = &s->v[group];
	size_t later = g->listed - ++g->seen;   /* mentions that follow */

	if (g->seen > 1 && g->fields > later)
		send_next(s, group);
	while (g->seen == 1 && g->fields > later)
		send_next(s, group);
}

enum rc
domainkeys_sig_header(struct arena *a, const struct domainkeys_sig *sig, const struct header_block *headers, size_t at, canon_sink_fn *sink, void *arg)
{
	struct selection s = { .sig = sig, .headers = headers, .at = at, .sink = sink, .arg = arg };

	if (sig->h == NULL) {
		for (size_t i = at + 1; i < headers->n; i++)
			send_field(&s, i);
		return RC_OK;
	}
	s.v = arena_array(a, struct group, sig->h_count);
	s.group_of_name = arena_array(a, uint8_t, sig->h_count);
	s.group_of = arena_array(a, uint8_t, headers->n - at);
	if (s.v == NULL || s.group_of_name == NULL || s.group_of == NULL)
		return RC_LIMIT;
	group_names(&s);
	group_fields(&s);
	for (size_t i = 0; i < sig->h_count; i++)
		send_name(&s, s.group_of_name[i]);
	return RC_OK;
}
