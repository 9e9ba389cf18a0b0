/*
 * addr - the addresses in a header field; see addr.h.
 *
 * Words come before it is known what they are: a name ("Joe Q. Public <"), a local part ("joe.q@") or a group's name ("Friends:").  So they are read
 * twice: first past them, with their shape noted, then to put together the text.  Each byte is read a fixed number of times.
 */
#include "common/mail/addr.h"

#include "common/base/buf.h"
#include "common/base/domain.h"
#include "common/base/utf8.h"
#include "common/mail/scan.h"

enum { FIRST_ROOM = 4 };

const char addr_no_memory[] = "no memory left";

struct parser {
	struct scan s;
	struct arena *arena;
	struct addr_list list;
	size_t room;
	const char *why;
};

/* A stretch of words and dots, without the white space and comments around it. */
struct words {
	size_t from, to;
	size_t count;                   /* words; dots are none */
	bool is_local;                  /* a dot between any two words */
	bool is_phrase;                 /* begins with a word */
};

static enum rc
bad(struct parser *p, const char *why)
{
	p->why = why;
	return RC_SYNTAX;
}

static enum rc
over(struct parser *p, const char *why)
{
	p->why = why;
	return RC_LIMIT;
}

static enum rc
skip_cfws(struct parser *p)
{
	switch (scan_cfws(&p->s, ADDR_COMMENT_DEPTH)) {
	case RC_SYNTAX: return bad(p, "bad comment");
	case RC_LIMIT: return bad(p, "comments are nested too deep");
	default: return RC_OK;
	}
}

/* An atom, several with dots anywhere between them (carriers gave out "a..b@", and the domain is as clear), or a quoted-string.  content: NULL, or where
 * its text goes.  RC_NONE: something else comes. */
static enum rc
take_word(struct scan *s, struct span *raw_out, struct buf *content)
{
	size_t start = s->at;
	enum rc rc;

	if (scan_peek(s) != '"') {
		rc = scan_atoms(s, raw_out);
		if (rc == RC_OK && content != NULL)
			buf_span(content, *raw_out);
		return rc;
	}
	rc = scan_quoted(s, true, content);
	*raw_out = scan_since(s, start);
	return rc;
}

static bool
is_dots(struct span raw)
{
	while (raw.n > 0 && raw.p[0] == '.')
		raw = span_from(raw, 1);
	return raw.n == 0;
}

static enum rc
take_words(struct parser *p, struct words *out)
{
	bool needs_dot = false;
	struct span raw;
	enum rc rc;

	*out = (struct words){ .from = p->s.at, .to = p->s.at, .is_local = true };
	while ((rc = take_word(&p->s, &raw, NULL)) == RC_OK) {
		if (out->to == out->from)
			out->is_phrase = raw.p[0] != '.';
		if (needs_dot && raw.p[0] != '.')
			out->is_local = false;
		needs_dot = raw.p[raw.n - 1] != '.';
		if (!is_dots(raw))
			out->count++;
		out->to = p->s.at;
		if ((rc = skip_cfws(p)) != RC_OK)
			return rc;
	}
	if (rc == RC_SYNTAX)
		return bad(p, scan_peek(&p->s) == '"' ? "bad quoted string" : "invalid UTF-8");
	if (out->count == 0)
		out->is_local = out->is_phrase = false;
	return RC_OK;
}

/* The text of what was read before: quotes, comments and folds undone; has_gaps: one blank where words were apart. */
static enum rc
build(struct parser *p, size_t from, size_t to, bool has_gaps, struct span *out)
{
	struct scan s = { span_sub(p->s.text, 0, to), from };
	struct buf b = buf_in(p->arena, to - from);
	struct span raw;

	while (take_word(&s, &raw, &b) == RC_OK) {
		if (scan_cfws(&s, ADDR_COMMENT_DEPTH) == RC_OK && has_gaps && !scan_at_end(&s))
			buf_byte(&b, ' ');
	}
	*out = buf_text(&b);
	return buf_ok(&b) ? RC_OK : over(p, addr_no_memory);
}

/* RFC 6532 allows every character; some have no shape, or change the order in which others are shown. */
static bool
is_showable(struct span s)
{
	uint32_t c;
	size_t n;

	for (; s.n > 0; s = span_from(s, n)) {
		n = utf8_first(s, &c);
		if (n == 0 || !(utf8_is_showable(c) || c == '\t'))
			return false;
	}
	return true;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]".  What else RFC 5322 section 3.4.1 allows between the brackets serves nobody but those who want it misread. */
static enum rc
take_literal(struct parser *p)
{
	size_t start = p->s.at;
	int c;

	scan_skip(&p->s, 1);
	for (; (c = scan_peek(&p->s)) > 0 && c < 0x80 && (ascii_is_alnum((unsigned char)c) || strchr(".:-", c) != NULL); scan_skip(&p->s, 1))
		;
	if (p->s.at == start + 1 || !scan_byte(&p->s, ']'))
		return bad(p, "bad address literal");
	return RC_OK;
}

static bool
has_next_label(const struct parser *p, bool ends_in_dot)
{
	int c = scan_peek(&p->s);

	return c == '.' || (ends_in_dot && (scan_is_atext(c) || c >= 0x80));
}

/* Reads past a domain and what white space and comments surround it: dot-atom, literal, or obs-domain, which has them around its dots. */
static enum rc
take_domain(struct parser *p, size_t *from_out, size_t *to_out)
{
	struct span raw = SPAN_NULL;
	enum rc rc = skip_cfws(p);

	*from_out = p->s.at;
	if (rc != RC_OK)
		return rc;
	if (scan_peek(&p->s) == '[') {
		rc = take_literal(p);
		*to_out = p->s.at;
		return rc == RC_OK ? skip_cfws(p) : rc;
	}
	do {
		rc = scan_atoms(&p->s, &raw);
		if (rc != RC_OK)
			return bad(p, rc == RC_SYNTAX ? "invalid UTF-8" : "no domain");
		*to_out = p->s.at;
		if ((rc = skip_cfws(p)) != RC_OK)
			return rc;
	} while (has_next_label(p, raw.p[raw.n - 1] == '.'));
	return RC_OK;
}

/* One final dot is no part of the grammar, but it is written, and the name it stands for is clear. */
static bool
has_empty_label(struct span domain)
{
	struct span label;

	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	while (span_split(&domain, '.', &label)) {
		if (label.n == 0)
			return true;
	}
	return false;
}

static enum rc
read_domain(struct parser *p, struct addr_mailbox *m)
{
	size_t from, to;
	enum rc rc = take_domain(p, &from, &to);

	if (rc != RC_OK)
		return rc;
	if (p->s.text.p[from] == '[') {
		m->domain = arena_copy(p->arena, span_sub(p->s.text, from, to - from));
		return span_is_null(m->domain) ? over(p, addr_no_memory) : RC_OK;
	}
	rc = build(p, from, to, false, &m->domain);
	if (rc != RC_OK)
		return rc;
	p->s.at = from;                 /* where the offence is */
	if (has_empty_label(m->domain))
		return bad(p, "empty label in domain");
	if (!is_showable(m->domain))
		return bad(p, "character that cannot be shown");
	p->s.at = to;
	if (domain_normalize(p->arena, m->domain, &m->ascii_domain) == RC_LIMIT)
		return over(p, addr_no_memory);
	return skip_cfws(p);
}

/* The words before '@'; the cursor is on it. */
static enum rc
read_addr_spec(struct parser *p, const struct words *w, struct addr_mailbox *m)
{
	size_t at = p->s.at;
	enum rc rc;

	p->s.at = w->from;
	if (!w->is_local)
		return bad(p, w->count == 0 ? "no local part" : "words before '@'");
	rc = build(p, w->from, w->to, false, &m->local);
	if (rc != RC_OK)
		return rc;
	if (m->local.n > ADDR_LOCAL_MAX)
		return over(p, "local part is too long");
	if (!is_showable(m->local))
		return bad(p, "character that cannot be shown");
	p->s.at = at + 1;
	return read_domain(p, m);
}

/* "@a,@b:" (obs-route).  Whom it names is of no interest. */
static enum rc
skip_route(struct parser *p)
{
	size_t from, to;
	enum rc rc;

	do {
		if ((rc = skip_cfws(p)) != RC_OK)
			return rc;
		if (!scan_byte(&p->s, '@'))
			return bad(p, "bad route");
		if ((rc = take_domain(p, &from, &to)) != RC_OK)
			return rc;
	} while (scan_byte(&p->s, ','));
	return scan_byte(&p->s, ':') ? RC_OK : bad(p, "bad route");
}

/* The cursor is on '<'. */
static enum rc
read_angle(struct parser *p, struct addr_mailbox *m)
{
	struct words w;
	enum rc rc;

	scan_skip(&p->s, 1);
	rc = skip_cfws(p);
	if (rc == RC_OK && scan_peek(&p->s) == '@')
		rc = skip_route(p);
	if (rc == RC_OK)
		rc = skip_cfws(p);
	if (rc == RC_OK)
		rc = take_words(p, &w);
	if (rc != RC_OK)
		return rc;
	if (scan_peek(&p->s) != '@')
		return bad(p, w.count == 0 ? "no address between '<' and '>'" : "no '@' in address");
	if ((rc = read_addr_spec(p, &w, m)) != RC_OK)
		return rc;
	if (!scan_byte(&p->s, '>'))
		return bad(p, "'<' without '>'");
	return skip_cfws(p);
}

static enum rc
add(struct parser *p, const struct addr_mailbox *m)
{
	struct addr_list *l = &p->list;
	struct addr_mailbox *v;

	if (l->n == ADDR_LIST_MAX)
		return over(p, "too many addresses");
	if (l->n == p->room) {
		p->room = p->room == 0 ? FIRST_ROOM : p->room * 2;
		v = arena_array(p->arena, struct addr_mailbox, p->room);
		if (v == NULL)
			return over(p, addr_no_memory);
		if (l->n > 0)
			memcpy(v, l->v, l->n * sizeof *v);
		l->v = v;
	}
	l->v[l->n++] = *m;
	return RC_OK;
}

/* A mailbox, or with is_group_out the beginning of a group up to its colon. */
static enum rc
read_member(struct parser *p, bool *is_group_out)
{
	struct addr_mailbox m = { .display = SPAN_NULL };
	struct words w;
	enum rc rc = take_words(p, &w);

	if (rc != RC_OK)
		return rc;
	if (scan_peek(&p->s) == '@') {
		rc = read_addr_spec(p, &w, &m);
		return rc == RC_OK ? add(p, &m) : rc;
	}
	if (w.to > w.from && !w.is_phrase)
		return bad(p, "name begins with a dot");
	if (scan_peek(&p->s) == '<') {
		rc = w.count > 0 ? build(p, w.from, w.to, true, &m.display) : RC_OK;
		if (rc == RC_OK)
			rc = read_angle(p, &m);
		return rc == RC_OK ? add(p, &m) : rc;
	}
	if (w.count > 0 && is_group_out != NULL && scan_byte(&p->s, ':')) {
		*is_group_out = true;
		return RC_OK;
	}
	return bad(p, w.count > 0 ? "words without an address" : "unexpected character");
}

static bool
is_list_end(const struct parser *p, bool in_group)
{
	return in_group ? scan_peek(&p->s) == ';' : scan_at_end(&p->s);
}

/* Behind the colon of a group, up to and with its semicolon.  Between commas there may be nothing (obs-group-list). */
static enum rc
read_group(struct parser *p)
{
	enum rc rc = skip_cfws(p);

	while (rc == RC_OK && !is_list_end(p, true)) {
		if (scan_peek(&p->s) != ',' && (rc = read_member(p, NULL)) != RC_OK)
			return rc;
		if (!scan_byte(&p->s, ',') && !is_list_end(p, true))
			return bad(p, scan_at_end(&p->s) ? "group without ';'" : "no ',' between addresses");
		rc = skip_cfws(p);
	}
	if (rc != RC_OK)
		return rc;
	scan_skip(&p->s, 1);
	p->list.has_groups = true;
	return skip_cfws(p);
}

/* Between commas there may be nothing (obs-addr-list), but not everywhere. */
static enum rc
read_list(struct parser *p)
{
	enum rc rc = skip_cfws(p);
	bool is_empty = true;

	while (rc == RC_OK && !is_list_end(p, false)) {
		bool is_group = false;

		if (scan_peek(&p->s) != ',') {
			is_empty = false;
			rc = read_member(p, &is_group);
			if (rc == RC_OK && is_group)
				rc = read_group(p);
			if (rc != RC_OK)
				return rc;
		}
		if (!scan_byte(&p->s, ',') && !is_list_end(p, false))
			return bad(p, "no ',' between addresses");
		rc = skip_cfws(p);
	}
	if (rc == RC_OK && is_empty)
		return bad(p, "no address");
	return rc;
}

enum rc
addr_parse(struct arena *a, struct span value, struct addr_list *out, const char **why_out, size_t *at_out)
{
	struct parser p = { .s = scan_of(value), .arena = a };
	enum rc rc = value.n > ADDR_FIELD_MAX ? over(&p, "field is too long") : read_list(&p);

	*out = rc == RC_OK ? p.list : (struct addr_list){ .n = 0 };
	*why_out = rc == RC_OK ? NULL : p.why;
	*at_out = rc == RC_OK ? 0 : p.s.at;
	return rc;
}
