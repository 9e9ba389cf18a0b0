/* enmacheck_guess_lines - changes that the lines of a body suffer on their way, undone; see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"

enum {
	LONG_LINE = 980, LONG_LINE_MAX = 1000,  /* bytes of a line at which MTAs may have broken it */
};

/* Writes what line was before to to, which has room for 2 * line.n + 4 bytes; line has its CRLF if it came with one.  The bytes written. */
typedef size_t undo_fn(char *to, struct span line);

static size_t
copy(char *to, struct span s)
{
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	return s.n;
}

static size_t
end_bytes(struct span line)
{
	return line.n >= 2 && line.p[line.n - 2] == '\r' && line.p[line.n - 1] == '\n' ? 2 : 0;
}

static size_t
undo_strip(char *to, struct span line)
{
	size_t end = end_bytes(line), n = line.n - end;

	while (n > 0 && ascii_is_wsp((unsigned char)line.p[n - 1]))
		n--;
	copy(to, span_sub(line, 0, n));
	return n + copy(to + n, span_from(line, line.n - end));
}

static size_t
undo_signature_dashes(char *to, struct span line)
{
	return span_eq(line, SPAN("--\r\n")) ? copy(to, SPAN("-- \r\n")) : copy(to, line);
}

static size_t
undo_from_quote(char *to, struct span line)
{
	return copy(to, span_starts(line, SPAN(">From ")) ? span_from(line, 1) : line);
}

static size_t
undo_from_unquote(char *to, struct span line)
{
	size_t n = span_starts(line, SPAN("From ")) ? copy(to, SPAN(">")) : 0;

	return n + copy(to + n, line);
}

static size_t
undo_dots_doubled(char *to, struct span line)
{
	return copy(to, span_starts(line, SPAN("..")) ? span_from(line, 1) : line);
}

static size_t
undo_dots_halved(char *to, struct span line)
{
	size_t n = span_starts(line, SPAN(".")) ? copy(to, SPAN(".")) : 0;

	return n + copy(to + n, line);
}

static size_t
undo_tabs(char *to, struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		to[i] = line.p[i] == '\t' ? ' ' : line.p[i];
	return line.n;
}

static size_t
undo_crcrlf(char *to, struct span line)
{
	size_t end = end_bytes(line), n = line.n - end;

	while (n > 0 && end > 0 && line.p[n - 1] == '\r')
		n--;
	copy(to, span_sub(line, 0, n));
	return n + copy(to + n, span_from(line, line.n - end));
}

/* A CR or LF alone ends a line. */
static size_t
undo_lone_ends(char *to, struct span line)
{
	size_t n = 0, end = end_bytes(line);

	for (size_t i = 0; i < line.n - end; i++)
		n += line.p[i] == '\r' || line.p[i] == '\n' ? copy(to + n, SPAN("\r\n")) : copy(to + n, span_sub(line, i, 1));
	return n + copy(to + n, span_from(line, line.n - end));
}

static size_t
undo_lone_kept(char *to, struct span line)
{
	size_t n = 0, end = end_bytes(line);

	for (size_t i = 0; i < line.n - end; i++)
		if (line.p[i] != '\r' && line.p[i] != '\n')
			to[n++] = line.p[i];
	return n + copy(to + n, span_from(line, line.n - end));
}

/* The lines of a long one that was broken: "!" at the end, or only a blank in front of the next. */
static size_t
undo_break(char *to, struct span line)
{
	size_t end = end_bytes(line);

	return copy(to, line.n - end >= LONG_LINE && line.n - end <= LONG_LINE_MAX ? span_sub(line, 0, line.n - end - (line.p[line.n - end - 1] == '!')) : line);
}

static const struct undo {
	undo_fn *fn;
	const char *id, *text;
	bool joins;                     /* only in front of a line that begins with a blank, which goes, too */
} undos[] = {
	{ undo_strip, "blanks-at-line-ends", "blanks at the ends of lines were added after signing (or the signer took them away)", false },
	{ undo_signature_dashes, "dashes-lost-blank", "the line \"-- \" in front of a personal signature lost its blank", false },
	{ undo_from_quote, "from-quoted", "lines beginning with \"From \" got a '>' in front (mbox)", false },
	{ undo_from_unquote, "from-unquoted", "lines beginning with \">From \" lost their '>' (mbox)", false },
	{ undo_dots_doubled, "dots-doubled", "dots at the start of lines were doubled (SMTP's transparency was not undone)", false },
	{ undo_dots_halved, "dots-halved", "of two dots at the start of lines one was lost, or the signer hashed the doubled ones (SMTP's transparency)", false },
	{ undo_tabs, "tabs", "blanks became tabs", false },
	{ undo_crcrlf, "cr-doubled", "line ends CR LF became CR CR LF", false },
	{ undo_lone_ends, "lone-cr-lf", "CRs or LFs that stand alone in the body were line ends when it was signed", false },
	{ undo_lone_kept, "lone-cr-lf-added", "CRs or LFs that stand alone in the body were not there when it was signed", false },
	{ undo_break, "long-lines-broken", "lines of about 1000 bytes were broken on the way", true },
};

/* False: nothing changed. */
static bool
apply(struct guess_body *g, const struct undo *u, struct span *out)
{
	struct span body = g->mail->body;
	char *to = guess_scratch(g, 2 * body.n + 4);
	bool has_changed = false, has_blank;
	size_t n = 0, line, wrote, i;

	for (i = 0; i < body.n; i += line) {
		/* up to a CRLF */
		line = guess_line_length(span_from(body, i));
		while (i + line < body.n && (line < 2 || body.p[i + line - 2] != '\r'))
			line += guess_line_length(span_from(body, i + line));
		has_blank = i + line < body.n && body.p[i + line] == ' ';
		wrote = u->joins && !has_blank ? copy(to + n, span_sub(body, i, line)) : u->fn(to + n, span_sub(body, i, line));
		n += wrote;
		if (wrote == line && memcmp(to + n - wrote, body.p + i, line) == 0)
			continue;
		has_changed = true;
		line += u->joins;
	}
	*out = span_of(to, n);
	return has_changed;
}

void
guess_lines(struct guess_body *g)
{
	struct span changed;

	for (size_t i = 0; i < ARRAY_LEN(undos); i++)
		if (apply(g, &undos[i], &changed) && guess_body_fits(g, changed, g->s->body_canon, g->s->l))
			guess_add(g->out, g->arena, undos[i].id, "%s", undos[i].text);
}
