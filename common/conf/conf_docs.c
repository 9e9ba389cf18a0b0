/* conf_docs - the sample file and the manual; see conf_docs.h. */
#include "common/conf/conf_docs.h"

#include <string.h>

#include "common/conf/conf_int.h"

enum { TEXT_WIDTH = 78 };

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

/* A sentence that stands with many settings. */
struct phrase {
	const char *key;                /* in a translation */
	const char *english;
};

static const struct phrase phrase_range = { "@range", "Range: LOW to HIGH." };
static const struct phrase phrase_repeat = { "@repeat", "May be repeated." };
static const struct phrase phrase_default = { "@default", "Default: VALUE." };
static const struct phrase phrase_empty = { "@empty", "Default: empty." };

static const struct phrase *
note_of(const struct conf_row *row)
{
	static const struct phrase not_yet = { "@not_yet", "Accepted, without effect in this version." };
	static const struct phrase obsolete = { "@obsolete", "Accepted, no longer needed, without effect." };
	static const struct phrase restart = { "@restart", "A change needs a restart." };

	if (row->flags & CF_NOT_YET)
		return &not_yet;
	if (row->flags & CF_OBSOLETE)
		return &obsolete;
	return row->flags & CF_RESTART ? &restart : NULL;
}

static bool
is_in_group(const struct conf_row *row, const struct conf_group *g)
{
	return span_starts(span_cstr(row->name), span_cstr(g->prefix));
}

/* ---- the sample file ------------------------------------------------------------------------------------- */

/* Text as comment lines of at most TEXT_WIDTH columns. */
static void
print_comment(const char *text, struct buf *b)
{
	struct span rest = span_cstr(text), word;
	size_t column = 0;

	while (span_split(&rest, ' ', &word)) {
		if (column > 0 && column + 1 + word.n > TEXT_WIDTH) {
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
		buf_fmt(&t, " %s", note_of(row)->english);
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
conf_docs_sample(struct buf *b)
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

/* The next piece of text that a line may end behind: a word, or the part of one up to a Japanese comma or full stop, which
 * have no blank behind them.  *is_glued: no blank stands before it. */
static bool
next_piece(struct span *rest, struct span *piece, bool *is_glued)
{
	static const struct span marks[] = { { "\xe3\x80\x81", 3 }, { "\xe3\x80\x82", 3 } };
	struct span word = span_sub(*rest, 0, span_find(*rest, ' '));
	size_t i, k;

	*is_glued = !span_is_null(*piece) && piece->p + piece->n == rest->p;
	for (i = 0; i + 3 < word.n; i++) {
		for (k = 0; k < ARRAY_LEN(marks); k++) {
			if (!span_starts(span_from(word, i), marks[k]))
				continue;
			*piece = span_sub(word, 0, i + 3);
			*rest = span_from(*rest, i + 3);
			return true;
		}
	}
	*piece = word;
	return span_split(rest, ' ', &word);
}

static bool
ends_sentence(struct span s)
{
	return (s.n >= 1 && s.p[s.n - 1] == '.') || (s.n >= 3 && memcmp(s.p + s.n - 3, "\xe3\x80\x82", 3) == 0);
}

/* Text for mdoc: each sentence on a line of its own, long ones on several. */
static void
print_roff(struct span rest, struct buf *b)
{
	struct span piece = SPAN_NULL;
	size_t column = 0;
	bool is_glued;

	while (next_piece(&rest, &piece, &is_glued)) {
		if (column > 0 && column + !is_glued + piece.n > TEXT_WIDTH) {
			buf_byte(b, '\n');
			column = 0;
		}
		if (column > 0 && !is_glued)
			buf_byte(b, ' ');
		print_roff_word(piece, column == 0, b);
		column += piece.n + 1;
		if (ends_sentence(piece) && !span_is_null(rest)) {
			buf_byte(b, '\n');
			column = 0;
		}
	}
	buf_byte(b, '\n');
}

static const char *
say(struct conf_speech *speech, const char *key, const char *english)
{
	return speech != NULL ? speech->say(speech, key, english) : english;
}

static const char *
say_phrase(struct conf_speech *speech, const struct phrase *p)
{
	return say(speech, p->key, p->english);
}

/* The words LOW and HIGH are the bounds. */
static void
mdoc_range(struct conf_speech *speech, const struct conf_row *row, struct buf *b)
{
	struct span rest = span_cstr(say_phrase(speech, &phrase_range)), word;
	struct buf line = buf_heap(4 * KIB);

	while (span_split(&rest, ' ', &word)) {
		if (line.n > 0)
			buf_byte(&line, ' ');
		if (span_starts(word, SPAN("LOW"))) {
			conf_number_print(row, row->lo, &line);
			word = span_from(word, 3);
		} else if (span_starts(word, SPAN("HIGH"))) {
			conf_number_print(row, row->hi, &line);
			word = span_from(word, 4);
		}
		buf_span(&line, word);
	}
	print_roff(buf_text(&line), b);
	buf_fini(&line);
}

/* The word VALUE is the default; what follows it is one mark, which mdoc knows only if it is of ASCII. */
static void
mdoc_default(struct conf_speech *speech, const struct conf_row *row, struct buf *b)
{
	const char *text = say_phrase(speech, row->standard[0] ? &phrase_default : &phrase_empty), *value = strstr(text, "VALUE");

	if (value == NULL) {
		print_roff(span_cstr(text), b);
		return;
	}
	print_roff(span_trim(span_of(text, (size_t)(value - text))), b);
	value += strlen("VALUE");
	buf_fmt(b, ".Li %s%s%s\n", row->standard, (unsigned char)*value < 0x80 ? " " : " Ns ", value);
}

static void
mdoc_row(struct conf_speech *speech, const struct conf_row *row, struct buf *b)
{
	buf_fmt(b, ".It Ic %s : Ar %s\n", row->name, row->syntax);
	print_roff(span_cstr(say(speech, row->name, row->help)), b);
	if (has_range(row))
		mdoc_range(speech, row, b);
	if (row->type == CT_LIST)
		print_roff(span_cstr(say_phrase(speech, &phrase_repeat)), b);
	mdoc_default(speech, row, b);
	if (note_of(row) != NULL)
		print_roff(span_cstr(say_phrase(speech, note_of(row))), b);
}

void
conf_docs_mdoc(struct conf_speech *speech, struct buf *b)
{
	size_t g, r;

	for (g = 0; g < conf_group_count; g++) {
		buf_fmt(b, ".Ss %s\n.Bl -tag -width Ds\n", say(speech, conf_groups[g].prefix, conf_groups[g].title));
		for (r = 0; r < conf_row_count; r++) {
			if (is_in_group(&conf_rows[r], &conf_groups[g]))
				mdoc_row(speech, &conf_rows[r], b);
		}
		buf_str(b, ".El\n");
	}
}
