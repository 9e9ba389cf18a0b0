/*
 * scan - a cursor over a span: the only primitive that parsers of mail text use.
 *
 * A cursor reads forward and cannot leave its text.  What a function takes is given back as a span that borrows the
 * text; nothing is allocated, except that scan_quoted() appends to the caller's buffer.  A function that does not find what
 * it looks for leaves the cursor where it was, unless its comment says otherwise.  Every function is linear in what it reads.
 *
 * Text is that of a header field or of an SMTP argument (RFC 5322 with RFC 6532, RFC 2045, RFC 5321): line ends are CRLF or a
 * bare LF, as milters hand them over; bytes over 0x7f count as part of atoms and tokens when they are valid UTF-8.
 */
#ifndef ENMA_MAIL_SCAN_H
#define ENMA_MAIL_SCAN_H

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct scan {
	struct span text;
	size_t at;
};

static inline struct scan scan_of(struct span text) { return (struct scan){ text, 0 }; }
static inline bool scan_at_end(const struct scan *s) { return s->at >= s->text.n; }
/* The next byte (0..255), -1 at the end. */
static inline int scan_peek(const struct scan *s)
{
	return s->at < s->text.n ? (unsigned char)s->text.p[s->at] : -1;
}
static inline struct span scan_rest(const struct scan *s) { return span_from(s->text, s->at); }
/* What was read since `from`, an earlier value of s->at. */
static inline struct span scan_since(const struct scan *s, size_t from)
{
	return span_sub(s->text, from, s->at > from ? s->at - from : 0);
}
static inline void scan_skip(struct scan *s, size_t n) { s->at += MIN(n, s->text.n - s->at); }
/* Takes c if it comes next. */
static inline bool scan_byte(struct scan *s, char c)
{
	if (scan_peek(s) != (unsigned char)c)
		return false;
	s->at++;
	return true;
}

/* ---- characters ---- */
bool scan_is_atext(int c);              /* ASCII atext, RFC 5322 section 3.2.3 */
bool scan_is_token(int c);              /* ASCII token character, RFC 2045 section 5.1 */

/* ---- white space ---- */
/* Blanks, tabs, and line ends that a blank or tab follows (FWS with obs-FWS).  Returns the bytes taken. */
size_t scan_fws(struct scan *s);
/* White space and comments.  RC_OK: some was taken; RC_NONE: there is none; RC_SYNTAX: a comment does not end or holds what no comment
 * may; RC_LIMIT: comments nest deeper than depth_max.  After the last two the cursor stands inside the comment. */
NODISCARD enum rc scan_cfws(struct scan *s, size_t depth_max);

/* ---- words: RC_OK, RC_NONE (no such thing here), RC_SYNTAX (invalid UTF-8, wrong shape; the cursor is not moved) ---- */
NODISCARD enum rc scan_atoms(struct scan *s, struct span *out);         /* atext and dots in any order, at least one */
NODISCARD enum rc scan_dot_atom(struct scan *s, struct span *out);      /* dots single and inside only */
NODISCARD enum rc scan_token(struct scan *s, struct span *out);
NODISCARD enum rc scan_keyword(struct scan *s, struct span *out);       /* letters, digits, '-'; the last one is no '-' */
/* Labels of letters, digits, '-', '_' and UTF-8 with single dots between; a dot that no label follows is left. */
NODISCARD enum rc scan_domain(struct scan *s, struct span *out);
/* Digits, at most max: RC_LIMIT above it. */
NODISCARD enum rc scan_digits(struct scan *s, uint64_t max, uint64_t *value_out);

/* A quoted-string: its content, without quotes, quoting and line ends, is appended to content (NULL: only read past it).  Control bytes
 * other than the tab, NUL and invalid UTF-8 are RC_SYNTAX.  in_field: tabs and folding are allowed (RFC 5322), else not
 * (RFC 5321). */
NODISCARD enum rc scan_quoted(struct scan *s, bool in_field, struct buf *content);

#endif
