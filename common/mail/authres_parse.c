/*
 * authres_parse - read an Authentication-Results field (RFC 8601 section 2.2); see authres.h.
 *
 * The parser keeps the first failure; after it every function takes nothing, so a production is written down as the RFC does and
 * the outcome is looked at once.
 */
#include "common/mail/authres.h"
#include "common/mail/scan.h"

struct parser {
	struct scan s;
	struct arena *arena;
	enum rc rc;
	size_t item_count, prop_count;
	struct authres_parsed_item item[AUTHRES_ITEMS_MAX];
	struct authres_parsed_prop prop[AUTHRES_ITEMS_MAX];     /* of the item that is being read */
};

static void
fail(struct parser *p, enum rc rc)
{
	if (p->rc == RC_OK)
		p->rc = rc;
}

/* The next byte; -1 at the end and after a failure. */
static int
peek(const struct parser *p)
{
	return p->rc == RC_OK ? scan_peek(&p->s) : -1;
}

/* [CFWS]; true when there was some. */
static bool
skip(struct parser *p)
{
	enum rc rc;

	if (p->rc != RC_OK)
		return false;
	rc = scan_cfws(&p->s, AUTHRES_COMMENT_DEPTH);
	if (rc != RC_OK && rc != RC_NONE)
		fail(p, rc);
	return rc == RC_OK;
}

static bool
takes(struct parser *p, char c)
{
	return p->rc == RC_OK && scan_byte(&p->s, c);
}

static void
expect(struct parser *p, char c)
{
	if (!takes(p, c))
		fail(p, RC_SYNTAX);
}

static struct span
word(struct parser *p, enum rc (*take)(struct scan *, struct span *))
{
	struct span out = SPAN_NULL;

	if (p->rc == RC_OK && take(&p->s, &out) != RC_OK)
		fail(p, RC_SYNTAX);
	return p->rc == RC_OK ? out : SPAN_NULL;
}

static uint64_t
version(struct parser *p)
{
	uint64_t v = 1;
	enum rc rc;

	if (p->rc != RC_OK)
		return 1;
	rc = scan_digits(&p->s, AUTHRES_VERSION_MAX, &v);
	if (rc != RC_OK)
		fail(p, rc == RC_LIMIT ? RC_LIMIT : RC_SYNTAX);
	return v;
}

static struct span
quoted(struct parser *p)
{
	struct buf content = buf_in(p->arena, AUTHRES_PARSE_MAX);
	struct span out = SPAN_NULL;

	if (p->rc != RC_OK)
		return SPAN_NULL;
	if (scan_quoted(&p->s, true, &content) != RC_OK)
		fail(p, RC_SYNTAX);
	else if (buf_done(&content, &out) != RC_OK)
		fail(p, RC_LIMIT);
	return out;
}

/* value = token / quoted-string */
static struct span
value(struct parser *p)
{
	return peek(p) == '"' ? quoted(p) : word(p, scan_token);
}

static bool
is_whole(struct span s, enum rc (*take)(struct scan *, struct span *))
{
	struct scan scan = scan_of(s);
	struct span out;

	return take(&scan, &out) == RC_OK && scan_at_end(&scan);
}

/* local-part "@" domain-name, the cursor before the "@"; line ends inside a quoted local part go. */
static struct span
address(struct parser *p, struct span local)
{
	struct buf out = buf_in(p->arena, AUTHRES_PARSE_MAX);
	struct span domain, text = SPAN_NULL;

	expect(p, '@');
	domain = word(p, scan_domain);
	if (p->rc != RC_OK)
		return SPAN_NULL;
	for (; local.n > 0; local = span_from(local, 1)) {
		if (local.p[0] != '\r' && local.p[0] != '\n')
			buf_byte(&out, local.p[0]);
	}
	buf_byte(&out, '@');
	buf_span(&out, domain);
	if (buf_done(&out, &text) != RC_OK)
		fail(p, RC_LIMIT);
	return text;
}

/* pvalue = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS] */
static struct span
pvalue(struct parser *p)
{
	struct span raw, content = SPAN_NULL;
	bool is_quoted;
	size_t start;

	skip(p);
	start = p->s.at;
	is_quoted = peek(p) == '"';
	if (is_quoted)
		content = quoted(p);
	else if (peek(p) != '@')
		content = word(p, scan_atoms);
	raw = scan_since(&p->s, start);
	skip(p);
	if (peek(p) == '@') {
		if (!is_quoted && raw.n > 0 && !is_whole(raw, scan_dot_atom))
			fail(p, RC_SYNTAX);
		content = address(p, raw);
		skip(p);
	} else if (!is_quoted && !is_whole(content, scan_token)) {
		fail(p, RC_SYNTAX);
	}
	return content;
}

/* propspec, its ptype already read */
static void
propspec(struct parser *p, struct span ptype)
{
	struct authres_parsed_prop prop = { .ptype = ptype };

	skip(p);
	expect(p, '.');
	skip(p);
	prop.name = word(p, scan_keyword);
	skip(p);
	expect(p, '=');
	prop.value = pvalue(p);
	if (p->rc != RC_OK)
		return;
	if (p->prop_count == AUTHRES_ITEMS_MAX)
		fail(p, RC_LIMIT);
	else
		p->prop[p->prop_count++] = prop;
}

/* [ CFWS reasonspec ] [ CFWS 1*propspec ] */
static void
reason_and_props(struct parser *p, struct authres_parsed_item *item)
{
	bool is_apart = skip(p), is_first = true;
	struct span name;

	while (p->rc == RC_OK && !scan_at_end(&p->s) && peek(p) != ';') {
		if (!is_apart)
			fail(p, RC_SYNTAX);
		name = word(p, scan_keyword);
		skip(p);
		if (is_first && span_eq_nocase(name, SPAN("reason")) && takes(p, '=')) {
			skip(p);
			item->reason = value(p);
			is_apart = skip(p);
		} else {
			propspec(p, name);
			is_apart = true;        /* the grammar wants no white space between two propspecs */
		}
		is_first = false;
	}
}

static void
keep_item(struct parser *p, struct authres_parsed_item *item)
{
	if (p->rc != RC_OK)
		return;
	if (p->item_count == AUTHRES_ITEMS_MAX) {
		fail(p, RC_LIMIT);
		return;
	}
	if (p->prop_count > 0) {
		item->prop = arena_array(p->arena, struct authres_parsed_prop, p->prop_count);
		if (item->prop == NULL) {
			fail(p, RC_LIMIT);
			return;
		}
		memcpy(item->prop, p->prop, p->prop_count * sizeof(p->prop[0]));
		item->prop_count = p->prop_count;
	}
	p->item[p->item_count++] = *item;
}

/* What follows the ";" of a resinfo; false: it was the "none" of a no-result, and the end. */
static bool
resinfo(struct parser *p)
{
	struct authres_parsed_item item = { .method_version = 1 };

	p->prop_count = 0;
	skip(p);
	item.method = word(p, scan_keyword);
	skip(p);
	if (p->rc == RC_OK && scan_at_end(&p->s) && p->item_count == 0 && span_eq_nocase(item.method, SPAN("none")))
		return false;
	if (takes(p, '/')) {
		skip(p);
		item.method_version = version(p);
		skip(p);
	}
	expect(p, '=');
	skip(p);
	item.result = word(p, scan_keyword);
	reason_and_props(p, &item);
	keep_item(p, &item);
	return true;
}

/* authres-payload */
static void
payload(struct parser *p, struct authres_parsed *out)
{
	skip(p);
	out->id = value(p);
	out->version = 1;
	if (skip(p) && peek(p) != ';') {
		out->version = version(p);
		skip(p);
	}
	do {
		expect(p, ';');
	} while (p->rc == RC_OK && resinfo(p) && p->rc == RC_OK && !scan_at_end(&p->s));
}

static struct span
without_line_end(struct span s)
{
	if (s.n == 0 || s.p[s.n - 1] != '\n')
		return s;
	s.n--;
	return s.n > 0 && s.p[s.n - 1] == '\r' ? span_sub(s, 0, s.n - 1) : s;
}

enum rc
authres_parse(struct arena *a, struct span text, struct authres_parsed **out)
{
	struct authres_parsed *parsed;
	struct parser p;

	*out = NULL;
	if (text.n > AUTHRES_PARSE_MAX)
		return RC_LIMIT;
	p.s = scan_of(without_line_end(text));
	p.arena = a;
	p.rc = RC_OK;
	p.item_count = p.prop_count = 0;
	parsed = arena_new(a, struct authres_parsed);
	if (parsed == NULL)
		return RC_LIMIT;
	payload(&p, parsed);
	if (p.rc == RC_OK && p.item_count > 0) {
		parsed->item = arena_array(a, struct authres_parsed_item, p.item_count);
		if (parsed->item == NULL)
			return RC_LIMIT;
		memcpy(parsed->item, p.item, p.item_count * sizeof(p.item[0]));
		parsed->item_count = p.item_count;
	}
	if (p.rc == RC_OK)
		*out = parsed;
	return p.rc;
}
