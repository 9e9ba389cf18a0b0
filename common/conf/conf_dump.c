/* conf_dump - settings as text; see conf_dump.h. */
#include "common/conf/conf_dump.h"

#include <string.h>

#include "common/base/log.h"
#include "common/conf/conf_int.h"

enum { ORIGIN_MAX = 1024 };

/* ---- what is in force ------------------------------------------------------------------------------------ */

static void
print_place(const struct conf_place *p, struct buf *b)
{
	log_quote(b, span_cstr(p->file), ORIGIN_MAX);
	if (p->line > 0)
		buf_fmt(b, ":%u", p->line);
}

/* The place of item i.  With comma lists a line holds several items, so only the first and last line are certain. */
static void
print_origin(const struct conf *c, const struct conf_row *row, size_t i, struct buf *b)
{
	const struct conf_origin *o = conf_origin_of(c, row);

	if (span_eq(span_cstr(row->name), SPAN("authresult.identifier")) && (o->n == 0 || o->v[0].value[0] == '\0')) {
		buf_str(b, "host name");
	} else if (o->n == 0) {
		buf_str(b, "default");
	} else if ((row->flags & CF_COMMAS) == 0) {
		print_place(&o->v[MIN(i, o->n - 1)], b);
	} else {
		print_place(&o->v[0], b);
		if (o->n > 1) {
			buf_str(b, " to ");
			print_place(&o->v[o->n - 1], b);
		}
	}
}

void
conf_dump_table(const struct conf *c, struct buf *b)
{
	size_t r, i, n;

	for (r = 0; r < conf_row_count; r++) {
		const struct conf_row *row = &conf_rows[r];

		n = conf_value_count(c, row);
		for (i = 0; i < MAX(n, (size_t)1); i++) {
			buf_fmt(b, "%s\t", row->name);
			conf_value_print(c, row, i, b);
			buf_fmt(b, "\t%s\t", row->standard);
			print_origin(c, row, i, b);
			buf_byte(b, '\n');
		}
	}
}

static void
print_joined(const struct conf *c, const struct conf_row *row, struct buf *b)
{
	size_t i, n = conf_value_count(c, row);

	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_str(b, ", ");
		conf_value_print(c, row, i, b);
	}
}

/* A repeated key needs a line of its own for each value, and long comma lists need several lines. */
static void
print_setting(const struct conf *c, const struct conf_row *row, struct buf *b)
{
	size_t i, n = conf_value_count(c, row), width = 0;

	if (row->type != CT_LIST || n == 0) {
		buf_fmt(b, "%s:%s", row->name, n > 0 ? " " : "");
		print_joined(c, row, b);
		buf_byte(b, '\n');
		return;
	}
	for (i = 0; i < n; i++) {
		bool is_fresh = i == 0 || (row->flags & CF_COMMAS) == 0 || b->n - width > CONF_LINE_MAX / 64;

		if (is_fresh) {
			buf_str(b, i > 0 ? "\n" : "");
			width = b->n;
		}
		buf_fmt(b, "%s%s", is_fresh ? row->name : "", is_fresh ? ": " : ", ");
		conf_value_print(c, row, i, b);
	}
	buf_byte(b, '\n');
}

void
conf_dump_text(const struct conf *c, struct buf *b)
{
	size_t r;

	for (r = 0; r < conf_row_count; r++) {
		const struct conf_row *row = &conf_rows[r];
		bool is_set = conf_is_set(c, row);

		buf_str(b, "# ");
		print_origin(c, row, 0, b);
		if (is_set)
			buf_fmt(b, "; default: %s", row->standard[0] ? row->standard : "(empty)");
		if (is_set && (row->flags & (CF_NOT_YET | CF_OBSOLETE)))
			buf_str(b, row->flags & CF_NOT_YET ? "; no effect in this version" : "; no longer needed, no effect");
		buf_byte(b, '\n');
		/* In a file the key would be without effect, and say so. */
		if (strcmp(row->name, "milter.conffile") == 0)
			buf_byte(b, '#');
		print_setting(c, row, b);
	}
}

void
conf_dump_restarts(const struct conf *running, const struct conf *fresh, struct buf *b)
{
	struct buf x = buf_heap(MIB), y = buf_heap(MIB);
	bool is_first = true;
	size_t r;

	for (r = 0; r < conf_row_count; r++) {
		if ((conf_rows[r].flags & CF_RESTART) == 0)
			continue;
		buf_clear(&x);
		buf_clear(&y);
		print_joined(running, &conf_rows[r], &x);
		print_joined(fresh, &conf_rows[r], &y);
		if (span_eq(buf_text(&x), buf_text(&y)))
			continue;
		buf_fmt(b, "%s%s", is_first ? "" : ", ", conf_rows[r].name);
		is_first = false;
	}
	buf_fini(&x);
	buf_fini(&y);
}
