/* scan - reading mail text; see scan.h. */
#include "common/mail/scan.h"

#include "common/base/utf8.h"

bool
scan_is_atext(int c)
{
	return c > 0 && c < 0x80 && (ascii_is_alnum((unsigned char)c) || strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool
scan_is_token(int c)
{
	return c > 0x20 && c < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

/* A line end that a blank follows: its length without the blank; 0: none. */
static size_t
fold_length(const struct scan *s)
{
	struct span rest = span_sub(scan_rest(s), 0, 3);
	size_t n = rest.n > 0 && rest.p[0] == '\r' ? 1 : 0;

	if (rest.n < n + 2 || rest.p[n] != '\n' || !ascii_is_wsp((unsigned char)rest.p[n + 1]))
		return 0;
	return n + 1;
}

size_t
scan_fws(struct scan *s)
{
	size_t start = s->at, fold;

	for (;;) {
		int c = scan_peek(s);

		if (c == ' ' || c == '\t')
			s->at++;
		else if ((c == '\r' || c == '\n') && (fold = fold_length(s)) > 0)
			s->at += fold;
		else
			return s->at - start;
	}
}

/* One character that may stand in a comment or quoted-string besides FWS: printable ASCII or UTF-8. */
static bool
take_text(struct scan *s)
{
	uint32_t c;
	size_t n = utf8_first(scan_rest(s), &c);

	if (n == 0 || c < 0x20 || c == 0x7f)
		return false;
	s->at += n;
	return true;
}

/* What a backslash may quote: printable ASCII, blank, tab, and UTF-8. */
static bool
take_quoted_pair(struct scan *s)
{
	scan_skip(s, 1);
	return scan_byte(s, '\t') || take_text(s);
}

/* The cursor stands behind the first '('.  Counts instead of recursing: the depth is the sender's choice. */
static enum rc
comment_rest(struct scan *s, size_t depth_max)
{
	size_t depth = 1;

	if (depth > depth_max)
		return RC_LIMIT;
	while (depth > 0) {
		if (scan_fws(s) > 0)
			continue;
		if (scan_byte(s, '(')) {
			if (++depth > depth_max)
				return RC_LIMIT;
		} else if (scan_byte(s, ')')) {
			depth--;
		} else if (scan_peek(s) == '\\' ? !take_quoted_pair(s) : !take_text(s)) {
			return RC_SYNTAX;
		}
	}
	return RC_OK;
}

enum rc
scan_cfws(struct scan *s, size_t depth_max)
{
	size_t start = s->at;
	enum rc rc;

	for (;;) {
		scan_fws(s);
		if (!scan_byte(s, '('))
			return s->at > start ? RC_OK : RC_NONE;
		rc = comment_rest(s, depth_max);
		if (rc != RC_OK)
			return rc;
	}
}

/* Takes all characters that `is_member` or UTF-8 allow; RC_SYNTAX at a byte over 0x7f that begins no valid sequence. */
static enum rc
take_run(struct scan *s, bool (*is_member)(int), bool allows_dot, struct span *out)
{
	size_t start = s->at, n;
	uint32_t c;

	for (;;) {
		int next = scan_peek(s);

		if (next >= 0x80) {
			n = utf8_first(scan_rest(s), &c);
			if (n == 0) {
				s->at = start;
				return RC_SYNTAX;
			}
			s->at += n;
		} else if (is_member(next) || (allows_dot && next == '.')) {
			s->at++;
		} else {
			break;
		}
	}
	*out = scan_since(s, start);
	return out->n > 0 ? RC_OK : RC_NONE;
}

static bool
has_empty_label(struct span s)
{
	struct span label;

	while (span_split(&s, '.', &label)) {
		if (label.n == 0)
			return true;
	}
	return false;
}

enum rc
scan_atoms(struct scan *s, struct span *out)
{
	return take_run(s, scan_is_atext, true, out);
}

enum rc
scan_dot_atom(struct scan *s, struct span *out)
{
	size_t start = s->at;
	enum rc rc = scan_atoms(s, out);

	if (rc == RC_OK && has_empty_label(*out)) {
		s->at = start;
		return RC_SYNTAX;
	}
	return rc;
}

enum rc
scan_token(struct scan *s, struct span *out)
{
	return take_run(s, scan_is_token, false, out);
}

static bool
is_label_byte(int c)
{
	return c > 0 && c < 0x80 && (ascii_is_alnum((unsigned char)c) || c == '-' || c == '_');
}

/* A dot is taken only together with the label behind it. */
enum rc
scan_domain(struct scan *s, struct span *out)
{
	size_t start = s->at, end;
	struct span label;
	enum rc rc = take_run(s, is_label_byte, false, &label);

	if (rc != RC_OK)
		return rc;
	do {
		end = s->at;
	} while (scan_byte(s, '.') && take_run(s, is_label_byte, false, &label) == RC_OK);
	s->at = end;
	*out = scan_since(s, start);
	return RC_OK;
}

enum rc
scan_keyword(struct scan *s, struct span *out)
{
	size_t start = s->at;

	while (scan_peek(s) == '-' || (!scan_at_end(s) && ascii_is_alnum((unsigned char)scan_peek(s))))
		s->at++;
	*out = scan_since(s, start);
	if (out->n == 0)
		return RC_NONE;
	if (out->p[out->n - 1] == '-') {
		s->at = start;
		return RC_SYNTAX;
	}
	return RC_OK;
}

enum rc
scan_digits(struct scan *s, uint64_t max, uint64_t *value_out)
{
	size_t start = s->at;
	struct span digits;

	while (!scan_at_end(s) && ascii_is_digit((unsigned char)scan_peek(s)))
		s->at++;
	digits = scan_since(s, start);
	if (digits.n == 0)
		return RC_NONE;
	if (!span_to_uint(digits, max, value_out)) {
		s->at = start;
		return RC_LIMIT;
	}
	return RC_OK;
}

/* One step inside a quoted-string: a stretch of white space, a quoted pair or a character. */
static bool
take_quoted_part(struct scan *s, bool in_field, struct buf *content)
{
	size_t start = s->at;
	struct span part;
	bool is_pair = false;

	if (in_field && scan_peek(s) != ' ' && scan_fws(s) > 0) {
		for (part = scan_since(s, start); part.n > 0; part = span_from(part, 1)) {
			if (content != NULL && ascii_is_wsp((unsigned char)part.p[0]))
				buf_byte(content, part.p[0]);
		}
		return true;
	}
	is_pair = scan_peek(s) == '\\';
	if (is_pair ? !take_quoted_pair(s) : !take_text(s))
		return false;
	part = span_from(scan_since(s, start), is_pair ? 1 : 0);
	if (!in_field && is_pair && !ascii_is_print((unsigned char)part.p[0]))
		return false;           /* RFC 5321 section 4.1.2: quoted-pairSMTP */
	if (content != NULL)
		buf_span(content, part);
	return true;
}

enum rc
scan_quoted(struct scan *s, bool in_field, struct buf *content)
{
	size_t start = s->at;

	if (!scan_byte(s, '"'))
		return RC_NONE;
	while (!scan_byte(s, '"')) {
		if (scan_at_end(s) || !take_quoted_part(s, in_field, content)) {
			s->at = start;
			return RC_SYNTAX;
		}
	}
	return RC_OK;
}
