/* fieldout - write the value of a header field; see fieldout.h. */
#include "common/mail/fieldout.h"

#include "common/base/utf8.h"
#include "common/mail/scan.h"

static const struct span ellipsis = { "...", 3 };

enum {
	TAB_COLUMNS = 8,
	/* One column is kept for the character that may be glued to a unit. */
	LAST_COLUMN = FIELDOUT_LINE - 2,
};

/* ---- text ---- */

/* Takes the first character off *rest and gives the form that is shown. */
static struct span
next_shown(struct span *rest)
{
	struct span shown = SPAN("?");
	uint32_t c;
	size_t n = utf8_first(*rest, &c);

	if (n > 0 && utf8_is_showable(c))
		shown = span_sub(*rest, 0, n);
	*rest = span_from(*rest, MAX(n, (size_t)1));
	return shown;
}

/* The part of s that is shown: all of it, or so much that "..." fits behind. */
static struct span
shown_part(struct span s)
{
	struct span rest = s;
	size_t used = 0, keep = 0;

	while (rest.n > 0) {
		used += next_shown(&rest).n;
		if (used > FIELDOUT_VALUE_MAX)
			return span_sub(s, 0, keep);
		if (used <= FIELDOUT_VALUE_MAX - ellipsis.n)
			keep = s.n - rest.n;
	}
	return s;
}

static void
put_escaped(struct buf *b, struct span s, void (*put)(struct buf *, struct span))
{
	struct span part = shown_part(s), rest = part;

	while (rest.n > 0)
		put(b, next_shown(&rest));
	if (part.n < s.n)
		buf_span(b, ellipsis);
}

static void
put_in_quotes(struct buf *b, struct span c)
{
	if (c.p[0] == '"' || c.p[0] == '\\')
		buf_byte(b, '\\');
	buf_span(b, c);
}

void
fieldout_quoted(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	put_escaped(b, s, put_in_quotes);
	buf_byte(b, '"');
}

static void
put_in_comment(struct buf *b, struct span c)
{
	static const char from[] = "()\\\";", to[] = "[]/',";
	const char *hit = strchr(from, c.p[0]);

	if (hit != NULL)
		buf_byte(b, to[hit - from]);
	else
		buf_span(b, c);
}

void
fieldout_comment(struct buf *b, struct span s)
{
	buf_byte(b, '(');
	put_escaped(b, s, put_in_comment);
	buf_byte(b, ')');
}

/* Short enough and without anything that next_shown() would replace. */
static bool
is_plain(struct span s)
{
	uint32_t c;
	size_t n;

	if (s.n == 0 || s.n > FIELDOUT_VALUE_MAX)
		return false;
	for (; s.n > 0; s = span_from(s, n)) {
		n = utf8_first(s, &c);
		if (n == 0 || !utf8_is_showable(c))
			return false;
	}
	return true;
}

static bool
is_ascii(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static bool
is_whole(struct span s, enum rc (*take)(struct scan *, struct span *))
{
	struct scan scan = scan_of(s);
	struct span word;

	return take(&scan, &word) == RC_OK && scan_at_end(&scan);
}

static bool
is_address(struct span s)
{
	struct scan scan = scan_of(s);
	struct span word;

	return scan_dot_atom(&scan, &word) == RC_OK && scan_byte(&scan, '@') && scan_domain(&scan, &word) == RC_OK &&
	    scan_at_end(&scan);
}

static void
put_word(struct buf *b, struct span s, bool is_word)
{
	if (is_word)
		buf_span(b, s);
	else
		fieldout_quoted(b, s);
}

void
fieldout_token(struct buf *b, struct span s)
{
	put_word(b, s, is_plain(s) && is_ascii(s) && is_whole(s, scan_token));
}

void
fieldout_dot_atom(struct buf *b, struct span s)
{
	put_word(b, s, is_plain(s) && is_ascii(s) && is_whole(s, scan_dot_atom));
}

void
fieldout_pvalue(struct buf *b, struct span s)
{
	bool is_word = is_plain(s) &&
	    ((is_ascii(s) && is_whole(s, scan_token)) || is_whole(s, scan_domain) || is_address(s));

	put_word(b, s, is_word);
}

/* ---- folding ---- */

void
fieldout_begin(struct fieldout *f, struct buf *out, size_t name_len)
{
	*f = (struct fieldout){ .out = out, .unit = buf_heap(8 * KIB), .column = name_len + 1, .is_first = true };
}

struct buf *
fieldout_unit(struct fieldout *f)
{
	buf_clear(&f->unit);
	return &f->unit;
}

static void
write_at(struct fieldout *f, struct span s)
{
	buf_span(f->out, s);
	f->column += s.n;
	f->is_at_line_start = false;
}

static bool
has_room(const struct fieldout *f, size_t n)
{
	return f->column + n <= LAST_COLUMN;
}

void
fieldout_line(struct fieldout *f)
{
	buf_str(f->out, "\n\t");
	f->column = TAB_COLUMNS;
	f->is_at_line_start = true;
}

/* Length of the blanks that s begins with. */
static size_t
blank_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

/* Writes a unit that has no room on one line: a line may end before each run of blanks that something follows. */
static void
write_broken(struct fieldout *f, struct span text)
{
	struct span piece;
	size_t blanks;

	while (text.n > 0) {
		blanks = blank_length(text);
		piece = span_sub(text, 0, blanks + span_find(span_from(text, blanks), ' '));
		if (blanks > 0 && !has_room(f, piece.n) && piece.n > blanks) {
			buf_byte(f->out, '\n');
			f->column = 0;
		}
		write_at(f, piece);
		text = span_from(text, piece.n);
	}
}

void
fieldout_put(struct fieldout *f)
{
	struct span text = buf_text(&f->unit);
	size_t first = span_find(text, ' ');
	bool fits_here = has_room(f, 1 + text.n);
	bool fits_below = TAB_COLUMNS + text.n <= LAST_COLUMN;

	if (!buf_ok(&f->unit))
		f->out->failed = true;
	/* Better a line of its own than broken; broken in the middle of this line when it is broken anyway. */
	if (!f->is_first && !f->is_at_line_start && !fits_here && (fits_below || !has_room(f, 1 + first)))
		fieldout_line(f);
	else if (!f->is_at_line_start)
		write_at(f, SPAN(" "));
	f->is_first = false;
	write_broken(f, text);
}

void
fieldout_glue(struct fieldout *f, char c)
{
	write_at(f, span_of(&c, 1));
}

struct fieldout_mark
fieldout_remember(const struct fieldout *f)
{
	return (struct fieldout_mark){ f->out->n, f->column };
}

void
fieldout_return(struct fieldout *f, struct fieldout_mark mark)
{
	f->out->n = mark.n;
	f->column = mark.column;
	f->is_at_line_start = false;
}

enum rc
fieldout_end(struct fieldout *f)
{
	buf_fini(&f->unit);
	return buf_ok(f->out) ? RC_OK : RC_LIMIT;
}
