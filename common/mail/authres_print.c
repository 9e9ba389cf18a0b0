/* authres_print - write an Authentication-Results field; see authres.h. */
#include "common/base/check.h"
#include "common/mail/authres.h"
#include "common/mail/fieldout.h"

/* Room for " (18446744073709551615 results left out)" and a fold. */
enum { NOTE_ROOM = 64 };

static const struct span field_name = { "Authentication-Results", 22 };

void
authres_print_value(struct buf *b, struct span s)
{
	fieldout_pvalue(b, s);
}

static void
print_prop(struct fieldout *f, const struct authres_prop *prop)
{
	struct buf *unit = fieldout_unit(f);

	buf_str(unit, prop->ptype);
	buf_byte(unit, '.');
	buf_str(unit, prop->name);
	buf_byte(unit, '=');
	fieldout_pvalue(unit, prop->value);
	fieldout_put(f);
}

/* RFC 8601 section 2.2: resinfo. */
static void
print_item(struct fieldout *f, const struct authres_item *item)
{
	struct buf *unit;
	size_t i;

	fieldout_glue(f, ';');
	fieldout_line(f);
	unit = fieldout_unit(f);
	buf_str(unit, item->method);
	buf_byte(unit, '=');
	buf_str(unit, item->result);
	fieldout_put(f);
	if (item->comment.n > 0) {
		fieldout_comment(fieldout_unit(f), item->comment);
		fieldout_put(f);
	}
	if (!span_is_null(item->reason)) {
		unit = fieldout_unit(f);
		buf_str(unit, "reason=");
		fieldout_token(unit, item->reason);
		fieldout_put(f);
	}
	for (i = 0; i < item->prop_count; i++)
		print_prop(f, &item->prop[i]);
}

/* RFC 8601 section 2.2: no-result. */
static void
print_none(struct fieldout *f)
{
	fieldout_glue(f, ';');
	buf_str(fieldout_unit(f), "none");
	fieldout_put(f);
}

/* The items that fit; returns how many. */
static size_t
print_items(struct fieldout *f, const struct authres_item *items, size_t n)
{
	size_t i, printed = 0;

	for (i = 0; i < n; i++) {
		struct fieldout_mark mark = fieldout_remember(f);

		if (FAILS_CHECK(items[i].prop_count <= ARRAY_LEN(items[i].prop)))
			continue;
		print_item(f, &items[i]);
		if (field_name.n + 1 + f->out->n <= AUTHRES_FIELD_MAX - NOTE_ROOM)
			printed++;
		else
			fieldout_return(f, mark);
	}
	return printed;
}

enum rc
authres_print(struct buf *b, struct span id, const struct authres_item *items, size_t n)
{
	/* With room for the one item that turns out not to fit. */
	struct buf field = buf_heap(4 * AUTHRES_FIELD_MAX);
	struct fieldout f;
	size_t printed;
	enum rc rc;

	fieldout_begin(&f, &field, field_name.n);
	fieldout_token(fieldout_unit(&f), id);
	fieldout_put(&f);
	printed = print_items(&f, items, n);
	if (printed == 0)
		print_none(&f);
	if (printed < n) {
		buf_fmt(fieldout_unit(&f), "(%zu result%s left out)", n - printed, n - printed == 1 ? "" : "s");
		fieldout_put(&f);
	}
	rc = fieldout_end(&f);
	buf_span(b, buf_text(&field));
	buf_fini(&field);
	return rc == RC_OK && buf_ok(b) ? RC_OK : RC_LIMIT;
}

bool
authres_is_field_name(struct span name)
{
	return span_eq_nocase(span_trim(name), field_name);
}
