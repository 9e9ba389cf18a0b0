/* path - the argument of MAIL FROM; see path.h. */
#include "common/mail/path.h"

#include "common/base/buf.h"
#include "common/mail/scan.h"

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", "[tag:text]".  RFC 5321 section 4.1.3 allows nearly every character in the last form; nobody uses
 * it, and a '@' or a quote in what is taken for a domain only serves those who want it misread. */
static bool
take_literal(struct scan *s, struct span *out)
{
	size_t start = s->at;
	int c;

	if (!scan_byte(s, '['))
		return false;
	for (; (c = scan_peek(s)) > 0 && c < 0x80 && (ascii_is_alnum((unsigned char)c) || strchr(".:-", c) != NULL); scan_skip(s, 1))
		;
	if (s->at == start + 1 || !scan_byte(s, ']'))
		return false;
	*out = scan_since(s, start);
	return true;
}

static bool
take_domain(struct scan *s, struct span *out)
{
	size_t start = s->at;

	if (scan_peek(s) == '[')
		return take_literal(s, out);
	if (scan_domain(s, out) != RC_OK)
		return false;
	/* One final dot is no part of the grammar, but it is written, and the name it stands for is clear. */
	if (scan_byte(s, '.'))
		*out = scan_since(s, start);
	return true;
}

/* RFC 5321 appendix C: [ "@" Domain *( "," "@" Domain ) ":" ].  Without a colon it is no route: see take_local(). */
static bool
skip_route(struct scan *s)
{
	struct span domain;

	if (scan_peek(s) != '@' || span_find(s->text, ':') == s->text.n)
		return true;
	do {
		if (!scan_byte(s, '@') || scan_domain(s, &domain) != RC_OK)
			return false;
	} while (scan_byte(s, ','));
	return scan_byte(s, ':');
}

/* Atoms and dots in any order (addresses like "a..b@" and "a.@" are in daily use), with single blanks between them, as clients
 * write that forget the quotes.  Neither can be taken for another domain. */
static bool
take_words(struct scan *s, struct span *out)
{
	size_t start = s->at;
	struct span word;

	do {
		if (scan_atoms(s, &word) != RC_OK)
			return false;
	} while (scan_byte(s, ' '));
	*out = scan_since(s, start);
	return true;
}

/* None before the '@' is an empty one, for which RFC 7208 section 4.3 puts "postmaster".  RC_SYNTAX: no local part; RC_LIMIT: arena. */
static enum rc
take_local(struct arena *a, struct scan *s, struct span *out)
{
	struct buf content = buf_in(a, PATH_MAX_BYTES);

	*out = scan_since(s, s->at);
	if (scan_peek(s) == '@')
		return RC_OK;
	if (scan_peek(s) != '"')
		return take_words(s, out) ? RC_OK : RC_SYNTAX;
	if (scan_quoted(s, false, &content) != RC_OK)
		return RC_SYNTAX;
	return buf_done(&content, out);
}

static enum rc
parse(struct arena *a, struct path *path)
{
	struct scan s = scan_of(path->raw);
	enum rc rc;

	if (path->raw.n == 0) {
		path->kind = PATH_NULL;
		return RC_OK;
	}
	if (!skip_route(&s))
		return RC_SYNTAX;
	rc = take_local(a, &s, &path->local);
	if (rc != RC_OK)
		return rc;
	if (scan_at_end(&s)) {
		path->kind = PATH_BARE;
		return RC_OK;
	}
	if (!scan_byte(&s, '@') || !take_domain(&s, &path->domain) || !scan_at_end(&s))
		return RC_SYNTAX;
	path->kind = PATH_MAILBOX;
	return RC_OK;
}

enum rc
path_parse(struct arena *a, struct span text, struct path *out)
{
	struct span raw = text;
	enum rc rc = RC_SYNTAX;

	if (raw.n >= 2 && raw.p[0] == '<' && raw.p[raw.n - 1] == '>')
		raw = span_sub(raw, 1, raw.n - 2);
	*out = (struct path){ .kind = PATH_INVALID, .raw = raw };
	if (text.n <= PATH_MAX_BYTES)
		rc = parse(a, out);
	if (rc != RC_OK)
		*out = (struct path){ .kind = PATH_INVALID, .raw = raw };
	return rc == RC_LIMIT ? RC_LIMIT : RC_OK;
}
