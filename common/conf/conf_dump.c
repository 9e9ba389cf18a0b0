/* conf_dump - settings as text; see conf_dump.h. */
#include "common/conf/conf_dump.h"

#include <string.h>

#include "common/base/log.h"
#include "common/conf/conf_int.h"

enum {
	ORIGIN_MAX = 1024,
	SAMPLE_WIDTH = 78,
};

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

/* ---- ranges and notes, for both documents ---------------------------------------------------------------- */

static bool
has_range(const struct conf_row *row)
{
	return row->type == CT_NUMBER || row->type == CT_SIZE || row->type == CT_TIME_S || row->type == CT_TIME_MS;
}

static void
print_range(const struct conf_row *row, struct buf *b)
{
	conf_number_print(row, row->lo, b);
	buf_str(b, " to ");
	conf_number_print(row, row->hi, b);
}

static const char *
note_of(const struct conf_row *row)
{
	if (row->flags & CF_NOT_YET)
		return "Accepted, without effect in this version.";
	if (row->flags & CF_OBSOLETE)
		return "Accepted, no longer needed, without effect.";
	if (row->flags & CF_RESTART)
		return "A change needs a restart.";
	return NULL;
}

static bool
is_in_group(const struct conf_row *row, const struct conf_group *g)
{
	return span_starts(span_cstr(row->name), span_cstr(g->prefix));
}

/* ---- the sample file ------------------------------------------------------------------------------------- */

/* Text as comment lines of at most SAMPLE_WIDTH columns. */
static void
print_comment(const char *text, struct buf *b)
{
	struct span rest = span_cstr(text), word;
	size_t column = 0;

	while (span_split(&rest, ' ', &word)) {
		if (column > 0 && column + 1 + word.n > SAMPLE_WIDTH) {
			buf_byte(b, '\n');
			column = 0;
		}
		buf_str(b, column == 0 ? "# " : " ");
		buf_span(b, word);
		column += word.n + (column == 0 ? 2 : 1);
	}
	buf_byte(b, '\n');
}

static void
sample_row(const struct conf_row *row, struct buf *b)
{
	struct buf t = buf_heap(4 * KIB);

	buf_str(&t, row->help);
	if (note_of(row) != NULL)
		buf_fmt(&t, " %s", note_of(row));
	buf_byte(b, '\n');
	print_comment(buf_text(&t).p, b);
	buf_clear(&t);
	buf_fmt(&t, "[%s", row->syntax);
	if (has_range(row)) {
		buf_str(&t, ", ");
		print_range(row, &t);
	}
	buf_str(&t, row->type == CT_LIST ? "; may be repeated]" : "]");
	print_comment(buf_text(&t).p, b);
	buf_fmt(b, "#%s:%s%s\n", row->name, row->standard[0] ? " " : "", row->standard);
	buf_fini(&t);
}

static const char sample_head[] =
    "# enma.conf - settings of enma(8).  enma.conf(5) is the manual of this file.\n"
    "#\n"
    "# Every setting is here with its default, commented out: this file as it is changes nothing.\n"
    "# \"key: value\", one a line; a comment needs a line of its own.  After a change:\n"
    "#\n"
    "#\tenma -T            check the file; all errors at once\n"
    "#\tenmactl reload     put it into force without losing a session\n"
    "#\tenmactl config     show what is in force, and where each value comes from\n"
    "#\n"
    "# What most people change first.  Remove the '#' in front of a line and adapt it:\n"
    "#\n"
    "# The full name of this host or site, written into each Authentication-Results field:\n"
    "#authresult.identifier: mx.example.org\n"
    "#\n"
    "# The user that the workers run as (enma is started as root and gives that up):\n"
    "#milter.user: enma\n"
    "#\n"
    "# Where Postfix or Sendmail connects.  In Postfix: smtpd_milters = inet:127.0.0.1:10025\n"
    "#milter.socket: inet:10025@127.0.0.1\n"
    "#\n"
    "# Your own networks and outgoing servers, whose mail is not evaluated:\n"
    "#common.exclusion_addresses: 127.0.0.1, ::1, 192.0.2.0/24\n"
    "#\n"
    "# A validating resolver on this host, if it is not the one in /etc/resolv.conf:\n"
    "#resolver.forward: 127.0.0.1\n";

void
conf_dump_sample(struct buf *b)
{
	size_t g, r;

	buf_str(b, sample_head);
	for (g = 0; g < conf_group_count; g++) {
		buf_fmt(b, "\n\n# ---- %s ----\n", conf_groups[g].title);
		for (r = 0; r < conf_row_count; r++) {
			if (is_in_group(&conf_rows[r], &conf_groups[g]))
				sample_row(&conf_rows[r], b);
		}
	}
}

/* ---- the manual ------------------------------------------------------------------------------------------ */

/* One word for roff: nothing that it takes for a request or an escape. */
static void
print_roff_word(struct span word, bool is_first, struct buf *b)
{
	size_t i;

	if (is_first && word.n > 0 && (word.p[0] == '.' || word.p[0] == '\''))
		buf_str(b, "\\&");
	for (i = 0; i < word.n; i++) {
		if (word.p[i] == '\\')
			buf_str(b, "\\e");
		else
			buf_byte(b, word.p[i]);
	}
}

/* Text for mdoc: each sentence on a line of its own, long ones on several. */
static void
print_roff(const char *text, struct buf *b)
{
	struct span rest = span_cstr(text), word;
	size_t column = 0;

	while (span_split(&rest, ' ', &word)) {
		if (column > 0 && column + 1 + word.n > SAMPLE_WIDTH) {
			buf_byte(b, '\n');
			column = 0;
		}
		if (column > 0)
			buf_byte(b, ' ');
		print_roff_word(word, column == 0, b);
		column += word.n + 1;
		if (word.n > 0 && word.p[word.n - 1] == '.' && !span_is_null(rest)) {
			buf_byte(b, '\n');
			column = 0;
		}
	}
	buf_byte(b, '\n');
}

static void
mdoc_row(const struct conf_row *row, struct buf *b)
{
	buf_fmt(b, ".It Ic %s : Ar %s\n", row->name, row->syntax);
	print_roff(row->help, b);
	if (has_range(row)) {
		buf_str(b, "Range: ");
		print_range(row, b);
		buf_str(b, ".\n");
	}
	if (row->type == CT_LIST)
		buf_str(b, "May be repeated.\n");
	buf_str(b, row->standard[0] ? "Default:\n.Li " : "Default: empty");
	buf_str(b, row->standard);
	buf_str(b, row->standard[0] ? " .\n" : ".\n");
	if (note_of(row) != NULL) {
		buf_str(b, note_of(row));
		buf_byte(b, '\n');
	}
}

void
conf_dump_mdoc(struct buf *b)
{
	size_t g, r;

	for (g = 0; g < conf_group_count; g++) {
		buf_fmt(b, ".Ss %s\n.Bl -tag -width Ds\n", conf_groups[g].title);
		for (r = 0; r < conf_row_count; r++) {
			if (is_in_group(&conf_rows[r], &conf_groups[g]))
				mdoc_row(&conf_rows[r], b);
		}
		buf_str(b, ".El\n");
	}
}
