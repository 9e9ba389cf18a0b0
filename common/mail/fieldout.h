/*
 * fieldout - write the value of a structured header field: folded, and with nothing raw from outside.
 *
 * Two halves.  The text functions append one lexical element to a buffer; text from outside comes out as a token, dot-atom,
 * address, quoted-string or comment, whatever bytes it has: bytes that are no valid UTF-8, control characters (also C1, so
 * also line ends and NUL), line separators and characters that change the direction of text become '?'; text over
 * FIELDOUT_VALUE_MAX bytes is cut between characters, ends in "...", and is then never an unquoted word, so that a cut address cannot
 * pass for another one.
 *
 * The folder puts elements ("units") side by side with one blank between, and starts a new line (LF and a tab: milters turn LF into CRLF)
 * where a unit would reach FIELDOUT_LINE.  A unit that is too long for a line of its own is broken before its blanks, which
 * unfolding restores exactly.  As no unit is longer than twice FIELDOUT_VALUE_MAX and its fixed part, no line reaches FIELDOUT_LINE_MAX.
 *
 *	fieldout_begin(&f, out, strlen("Received-SPF"));
 *	buf_str(fieldout_unit(&f), "pass");
 *	fieldout_put(&f);
 *	...
 *	rc = fieldout_end(&f);
 */
#ifndef ENMA_MAIL_FIELDOUT_H
#define ENMA_MAIL_FIELDOUT_H

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	FIELDOUT_LINE = 78,             /* lines are folded before this column where possible (the field's name included) */
	FIELDOUT_LINE_MAX = 998,        /* bytes of a line that are never passed (RFC 5322 section 2.1.1, RFC 6532 section 3.4) */
	FIELDOUT_VALUE_MAX = 320,       /* bytes of one value, before quoting; "..." included when it was cut */
};

/* ---- text ---- */
void fieldout_quoted(struct buf *b, struct span s);     /* always a quoted-string */
void fieldout_token(struct buf *b, struct span s);      /* RFC 2045 token, else quoted-string */
void fieldout_dot_atom(struct buf *b, struct span s);   /* RFC 5322 dot-atom in ASCII, else quoted-string */
/* RFC 8601 pvalue: token, domain-name or dot-atom "@" domain-name (both also with UTF-8), else quoted-string. */
void fieldout_pvalue(struct buf *b, struct span s);
/* "(" text ")": what could end the comment, nest or look like the field's own syntax is replaced: ( ) to [ ], \ to /, " to ', ; to a
 * comma. */
void fieldout_comment(struct buf *b, struct span s);

/* ---- folding ---- */
struct fieldout {
	struct buf *out;
	struct buf unit;                /* heap; what fieldout_put() writes next */
	size_t column;
	bool is_first;                  /* nothing written yet: the value begins with a blank, never with a line end */
	bool is_at_line_start;          /* the tab of a new line was written last */
};

/* name_len: bytes of the field's name without the colon. */
void fieldout_begin(struct fieldout *f, struct buf *out, size_t name_len);
struct buf *fieldout_unit(struct fieldout *f);          /* an empty buffer for the next unit */
void fieldout_put(struct fieldout *f);                  /* writes the unit */
void fieldout_glue(struct fieldout *f, char c);         /* one ASCII character directly behind the last unit */
void fieldout_line(struct fieldout *f);                 /* the next unit begins a line */
/* Taking units back: remember, later return to the state remembered. */
struct fieldout_mark { size_t n, column; };
struct fieldout_mark fieldout_remember(const struct fieldout *f);
void fieldout_return(struct fieldout *f, struct fieldout_mark mark);
NODISCARD enum rc fieldout_end(struct fieldout *f);     /* RC_OK or RC_LIMIT: something did not fit into out */

#endif
