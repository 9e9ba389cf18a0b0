/* taglist - see taglist.h. */
#include "common/mail/taglist.h"

#include "common/base/utf8.h"
#include "common/mail/scan.h"

static bool
is_name_byte(int c)
{
	return c >= 0 && (ascii_is_alnum((unsigned char)c) || c == '_');
}

/* ALPHA *( ALPHA / DIGIT / "_" ); empty when there is none. */
static struct span
take_name(struct scan *s)
{
	size_t from = s->at;

	if (scan_peek(s) < 0 || !ascii_is_alpha((unsigned char)scan_peek(s)))
		return scan_since(s, from);
	while (is_name_byte(scan_peek(s)))
		s->at++;
	return scan_since(s, from);
}

/* Printable ASCII but ';', or a character of UTF-8: its length; 0: something else. */
static size_t
value_char(const struct scan *s)
{
	int c = scan_peek(s);
	uint32_t wide;

	if (c >= 0x80)
		return utf8_first(scan_rest(s), &wide);
	return c > 0x20 && c < 0x7f && c != ';' ? 1 : 0;
}

/* Up to the next ';' or to the end.  False: a byte that may not be there. */
static bool
take_value(struct scan *s, struct span *out)
{
	size_t from, end, n;

	scan_fws(s);
	from = end = s->at;
	while (!scan_at_end(s) && scan_peek(s) != ';') {
		if ((n = value_char(s)) > 0)
			end = s->at += n;
		else if (scan_fws(s) == 0)
			return false;
	}
	*out = span_sub(s->text, from, end - from);
	return true;
}

/* One tag; what is wrong with it, or NULL. */
static const char *
take_tag(struct scan *s, struct tag *out)
{
	scan_fws(s);
	out->name = take_name(s);
	if (out->name.n == 0)
		return "a tag has no name";
	scan_fws(s);
	if (!scan_byte(s, '='))
		return "no '=' behind a tag's name";
	return take_value(s, &out->value) ? NULL : "a byte that may not stand in a value";
}

static enum rc
refuse(const char **why_out, const char *why, enum rc rc)
{
	if (why_out != NULL)
		*why_out = why;
	return rc;
}

enum rc
taglist_parse(struct span text, struct taglist *out, const char **why_out)
{
	struct scan s = scan_of(text);
	const char *why;

	out->n = 0;
	out->text = text;
	do {
		struct tag tag;

		if ((why = take_tag(&s, &tag)) != NULL)
			return refuse(why_out, why, RC_SYNTAX);
		if (taglist_find(out, tag.name) < out->n)
			return refuse(why_out, "a tag stands twice", RC_SYNTAX);
		if (out->n == TAGLIST_MAX)
			return refuse(why_out, "too many tags", RC_LIMIT);
		out->v[out->n++] = tag;
		if (!scan_byte(&s, ';'))
			return RC_OK;
		scan_fws(&s);
	} while (!scan_at_end(&s));
	return RC_OK;
}

size_t
taglist_find(const struct taglist *t, struct span name)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_eq(t->v[i].name, name))
			return i;
	return t->n;
}

struct span
taglist_get(const struct taglist *t, struct span name)
{
	size_t i = taglist_find(t, name);

	return i < t->n ? t->v[i].value : SPAN_NULL;
}

bool
taglist_item(struct span *rest, struct span *item_out)
{
	if (!span_split(rest, ':', item_out))
		return false;
	*item_out = span_trim(*item_out);
	return true;
}
