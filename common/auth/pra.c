/* pra - see pra.h. */
#include "common/auth/pra.h"

#include "common/base/defs.h"
#include "common/mail/addr.h"

static const struct span field_names[] = {
	[PRA_RESENT_SENDER] = { "resent-sender", 13 }, [PRA_RESENT_FROM] = { "resent-from", 11 }, [PRA_SENDER] = { "sender", 6 },
	[PRA_FROM] = { "from", 4 },
};

const char *
pra_field_name(enum pra_field f)
{
	return (size_t)f < ARRAY_LEN(field_names) ? field_names[f].p : NULL;
}

const char *
pra_status_text(enum pra_status s)
{
	static const char *const texts[] = {
#define PRA_STATUS_TEXT(id, text) [PRA_##id] = text,
		PRA_STATUSES(PRA_STATUS_TEXT)
#undef PRA_STATUS_TEXT
	};

	return (size_t)s < ARRAY_LEN(texts) ? texts[s] : "unknown";
}

/* ---- which field ---- */

/* What one pass over the header has seen; fields of white space alone are left out. */
struct seen {
	size_t n[PRA_NO_FIELD];         /* fields of each name */
	size_t first[PRA_NO_FIELD];
	bool is_traced;                 /* a Received or Return-Path since the first Resent-From */
	bool is_other_block;            /* the first Resent-Sender belongs to an older resent block than the first Resent-From */
};

static bool
is_trace(const struct header_field *f)
{
	return header_is(f, SPAN("received")) || header_is(f, SPAN("return-path"));
}

static enum pra_field
field_of(const struct header_field *f)
{
	for (enum pra_field i = 0; i < PRA_NO_FIELD; i++)
		if (header_is(f, field_names[i]))
			return i;
	return PRA_NO_FIELD;
}

static void
note_field(struct seen *s, const struct header_field *f, size_t index)
{
	enum pra_field which = field_of(f);

	if (span_trim(f->value).n == 0)
		return;
	if (which == PRA_NO_FIELD) {
		s->is_traced |= s->n[PRA_RESENT_FROM] > 0 && is_trace(f);
		return;
	}
	if (s->n[which]++ > 0)
		return;
	s->first[which] = index;
	if (which == PRA_RESENT_SENDER)
		s->is_other_block = s->is_traced;
}

/* Steps 1 to 4.  PRA_FOUND: *out is the field to parse. */
static enum pra_status
choose(const struct seen *s, enum pra_field *out)
{
	if (s->n[PRA_RESENT_SENDER] > 0 && !s->is_other_block) {
		*out = PRA_RESENT_SENDER;
		return PRA_FOUND;
	}
	if (s->n[PRA_RESENT_FROM] > 0) {
		*out = PRA_RESENT_FROM;
		return PRA_FOUND;
	}
	*out = s->n[PRA_SENDER] > 0 ? PRA_SENDER : PRA_FROM;
	if (s->n[*out] == 1)
		return PRA_FOUND;
	if (s->n[*out] == 0)
		return PRA_NO_SENDER;
	return *out == PRA_SENDER ? PRA_MANY_SENDER : PRA_MANY_FROM;
}

/* ---- step 5 ---- */

static enum pra_status
judge_list(const struct addr_list *l)
{
	if (l->n == 0)
		return PRA_NO_ADDRESS;
	if (l->n > 1)
		return PRA_MANY_ADDRESSES;
	if (l->has_groups)
		return PRA_GROUP;
	return span_is_null(l->v[0].ascii_domain) ? PRA_BAD_DOMAIN : PRA_FOUND;
}

static enum pra_status
parse_field(struct arena *a, struct span value, struct pra *out)
{
	struct addr_list list;
	enum pra_status status;
	const char *why;
	size_t at;

	if (addr_parse(a, value, &list, &why, &at) != RC_OK) {
		if (why == addr_no_memory)
			return PRA_MEMORY;
		out->why = why;
		return PRA_MALFORMED;
	}
	status = judge_list(&list);
	if (status == PRA_FOUND) {
		out->local = list.v[0].local;
		out->domain = list.v[0].ascii_domain;
	}
	return status;
}

void
pra_select(struct arena *a, const struct header_block *h, struct pra *out)
{
	struct seen seen = { .is_traced = false };
	enum pra_field field;

	*out = (struct pra){ .status = PRA_INCOMPLETE, .field = PRA_NO_FIELD, .index = h->n };
	if (h->is_incomplete)
		return;
	for (size_t i = 0; i < h->n; i++)
		note_field(&seen, &h->v[i], i);
	out->status = choose(&seen, &field);
	if (out->status != PRA_FOUND)
		return;
	out->field = field;
	out->index = seen.first[field];
	out->status = parse_field(a, h->v[out->index].value, out);
}
