/* zone_parse - from the text of a zone file to sorted records; see dns_fixture.h for the syntax. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"
#include "common/dns/dns_fixture.h"
#include "common/dns/zone.h"

enum { LABEL_MAX = 63, ERRORS_BYTES_MAX = 64 * KIB };

struct token {
	struct span raw;                /* between the quotes; escapes untouched */
	bool is_quoted;
};

struct parser {
	struct zone *z;
	struct span line;               /* what is left of it */
	uint32_t number;
	const char *error;              /* of this line; static text */
	struct buf errors;
	size_t error_count;
};

static const struct { const char *word; enum zone_kind kind; } specials[] = {
	{ "SERVFAIL", ZONE_SERVFAIL }, { "NXDOMAIN", ZONE_NXDOMAIN }, { "NODATA", ZONE_NODATA },
	{ "TIMEOUT", ZONE_TIMEOUT }, { "GARBAGE", ZONE_GARBAGE },
};

static bool
fail(struct parser *p, const char *why)
{
	if (p->error == NULL)
		p->error = why;
	return false;
}

static void
report(struct parser *p, uint32_t line, const char *why)
{
	if (p->error_count++ >= ZONE_ERRORS_MAX)
		return;
	if (p->error_count > 1)
		buf_byte(&p->errors, '\n');
	buf_fmt(&p->errors, "line %u: %s", line, why);
}

/* The pool grows by doubling and is never absent; its offsets stay valid, its pointers do not. */
static uint8_t *
pool_take(struct zone *z, size_t n, uint32_t *offset_out)
{
	if (z->pool_room - z->pool_n <= n) {
		z->pool_room = MAX(z->pool_room * 2, z->pool_n + n + 4 * KIB);
		z->pool = xrealloc(z->pool, z->pool_room, 1);
	}
	*offset_out = (uint32_t)z->pool_n;
	z->pool_n += n;
	return z->pool + *offset_out;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* False at the end of the line (or with p->error set). */
static bool
next_token(struct parser *p, struct token *out)
{
	struct span s = p->line;
	size_t i = 0;

	while (s.n > 0 && is_blank(s.p[0]))
		s = span_from(s, 1);
	p->line = s;
	if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';')
		return false;
	out->is_quoted = s.p[0] == '"';
	if (out->is_quoted) {
		for (i = 1; i < s.n && s.p[i] != '"'; i++)
			i += s.p[i] == '\\';
		if (i >= s.n)
			return fail(p, "a quote is not closed");
		out->raw = span_sub(s, 1, i - 1);
		p->line = span_from(s, i + 1);
		return true;
	}
	while (i < s.n && !is_blank(s.p[i]) && s.p[i] != '"' && s.p[i] != '#' && s.p[i] != ';')
		i += s.p[i] == '\\' ? 2 : 1;
	out->raw = span_sub(s, 0, i);
	p->line = span_from(s, i);
	return true;
}

static bool
is_word(const struct token *t, const char *word)
{
	return !t->is_quoted && span_eq(t->raw, span_cstr(word));
}

/* One byte, escaped or not, off the front of *s; false at a broken escape. */
static bool
take_byte(struct span *s, uint8_t *out, bool *is_escaped_out)
{
	unsigned value = 0;

	*is_escaped_out = s->p[0] == '\\';
	if (!*is_escaped_out) {
		*out = (uint8_t)s->p[0];
		*s = span_from(*s, 1);
		return true;
	}
	*s = span_from(*s, 1);
	if (s->n == 0)
		return false;
	if (!ascii_is_digit((unsigned char)s->p[0])) {
		*out = (uint8_t)s->p[0];
		*s = span_from(*s, 1);
		return true;
	}
	if (s->n < 3)
		return false;
	for (int i = 0; i < 3; i++) {
		if (!ascii_is_digit((unsigned char)s->p[i]))
			return false;
		value = value * 10 + (unsigned)(s->p[i] - '0');
	}
	*out = (uint8_t)value;
	*s = span_from(*s, 3);
	return value <= 255;
}

/* An absolute name; "." is the root, one final dot is optional. */
static bool
parse_name(struct parser *p, const struct token *t, struct dns_name *out)
{
	struct span s = t->raw;
	size_t label = 0;               /* where the current label's length byte stands */

	if (t->is_quoted || s.n == 0)
		return fail(p, "a name is expected");
	out->n = 1;
	out->w[0] = 0;
	if (span_eq(s, SPAN(".")))
		return true;
	while (s.n > 0) {
		bool is_escaped;
		uint8_t c;

		if (!take_byte(&s, &c, &is_escaped))
			return fail(p, "a broken escape in a name");
		if (c == '.' && !is_escaped) {
			if (out->w[label] == 0)
				return fail(p, "an empty label in a name");
			if (s.n == 0)
				break;
			label = out->n;
			c = 0;
		} else if (c == 0) {
			return fail(p, "a NUL in a name");
		} else if (++out->w[label] > LABEL_MAX) {
			return fail(p, "a label over 63 bytes");
		}
		/* one byte of room stays for the root */
		if (out->n + 1 >= DNS_NAME_WIRE_MAX)
			return fail(p, "a name over 255 bytes");
		out->w[out->n++] = ascii_lower(c);
	}
	out->w[out->n++] = 0;
	return true;
}

static bool
next_name(struct parser *p, struct dns_name *out)
{
	struct token t;

	if (!next_token(p, &t))
		return fail(p, "a name is missing");
	return parse_name(p, &t, out);
}

static bool
parse_number(struct parser *p, const struct token *t, uint64_t max, const char *why, uint32_t *out)
{
	uint64_t value;

	if (t->is_quoted || !span_to_uint(t->raw, max, &value))
		return fail(p, why);
	*out = (uint32_t)value;
	return true;
}

static bool
parse_address(struct parser *p, struct zone_record *r)
{
	struct token t;
	struct ip ip;

	if (!next_token(p, &t))
		return fail(p, "an address is missing");
	if (r->type == DNS_A) {
		if (t.is_quoted || ip4_parse(t.raw, &ip) != RC_OK)
			return fail(p, "not an IPv4 address");
		memcpy(pool_take(p->z, 4, &r->rdata), ip.b + 12, 4);
		r->rdata_len = 4;
		return true;
	}
	if (t.is_quoted || ip6_parse(t.raw, &ip) != RC_OK)
		return fail(p, "not an IPv6 address");
	memcpy(pool_take(p->z, 16, &r->rdata), ip.b, 16);
	r->rdata_len = 16;
	return true;
}

/* Strings to the end of the line, joined. */
static bool
parse_text(struct parser *p, struct zone_record *r)
{
	const size_t start = p->z->pool_n;
	struct token t;
	size_t strings = 0;

	for (; next_token(p, &t); strings++) {
		while (t.raw.n > 0) {
			uint32_t at;
			bool is_escaped;
			uint8_t c;

			if (!take_byte(&t.raw, &c, &is_escaped))
				return fail(p, "a broken escape in a string");
			if (p->z->pool_n - start == ZONE_TXT_MAX)
				return fail(p, "text over 64000 bytes");
			*pool_take(p->z, 1, &at) = c;
		}
	}
	if (strings == 0)
		return fail(p, "a string is missing");
	r->rdata = (uint32_t)start;
	r->rdata_len = (uint32_t)(p->z->pool_n - start);
	return p->error == NULL;
}

static bool
parse_target(struct parser *p, struct zone_record *r)
{
	uint32_t preference = 0;
	struct dns_name name;
	struct token t;
	uint8_t *rdata;

	if (r->type == DNS_MX) {
		if (!next_token(p, &t))
			return fail(p, "a preference is missing");
		if (!parse_number(p, &t, UINT16_MAX, "a preference from 0 to 65535 is expected", &preference))
			return false;
	}
	if (!next_name(p, &name))
		return false;
	r->rdata_len = (uint32_t)name.n + (r->type == DNS_MX ? 2 : 0);
	rdata = pool_take(p->z, r->rdata_len, &r->rdata);
	if (r->type == DNS_MX) {
		*rdata++ = (uint8_t)(preference >> 8);
		*rdata++ = (uint8_t)preference;
	}
	memcpy(rdata, name.w, name.n);
	return true;
}

static bool
parse_special(const struct token *t, bool has_ttl, struct zone_record *r)
{
	for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
		if (!is_word(t, specials[i].word))
			continue;
		r->kind = (uint8_t)specials[i].kind;
		if (!has_ttl)
			r->ttl_s = ZONE_NEGATIVE_TTL_S;
		return true;
	}
	return false;
}

static bool
parse_rdata(struct parser *p, bool has_ttl, struct zone_record *r)
{
	struct span rest = p->line;
	struct token t;

	if (next_token(p, &t) && parse_special(&t, has_ttl, r))
		return true;
	if (p->error != NULL)
		return false;
	p->line = rest;
	switch (r->type) {
	case DNS_A:
	case DNS_AAAA:
		return parse_address(p, r);
	case DNS_TXT:
		return parse_text(p, r);
	case DNS_MX:
	case DNS_PTR:
	case DNS_CNAME:
	case DNS_NS:
		return parse_target(p, r);
	default:
		return fail(p, "a type that zone files do not hold");
	}
}

/* What follows the name. */
static bool
parse_rest(struct parser *p, struct zone_record *r)
{
	bool has_ttl = false;
	struct token t;

	if (!next_token(p, &t))
		return fail(p, "a type is missing");
	if (!t.is_quoted && t.raw.n > 0 && ascii_is_digit((unsigned char)t.raw.p[0])) {
		if (!parse_number(p, &t, INT32_MAX, "not a TTL", &r->ttl_s))
			return false;
		has_ttl = true;
		if (!next_token(p, &t))
			return fail(p, "a type is missing");
	}
	if (is_word(&t, "DELAY")) {
		r->kind = ZONE_DELAY;
		if (!next_token(p, &t))
			return fail(p, "milliseconds are missing");
		return parse_number(p, &t, ZONE_DELAY_MAX_MS, "milliseconds from 0 to 600000 are expected", &r->ttl_s);
	}
	if (parse_special(&t, has_ttl, r))
		return true;
	if (t.is_quoted || !dns_type_parse(t.raw, &r->type))
		return fail(p, "neither a type nor a special answer");
	return parse_rdata(p, has_ttl, r);
}

static void
add_record(struct zone *z, const struct zone_record *r)
{
	if (z->n == z->room) {
		z->room = MAX(z->room * 2, (size_t)64);
		z->v = xrealloc(z->v, z->room, sizeof *z->v);
	}
	z->v[z->n++] = *r;
}

static void
parse_line(struct parser *p)
{
	struct zone_record r = { .ttl_s = ZONE_TTL_DEFAULT_S, .line = p->number };
	struct dns_name name;
	struct zone_key key;
	struct token t;

	if (!next_token(p, &t)) {
		if (p->error != NULL)
			report(p, p->number, p->error);
		return;
	}
	if (parse_name(p, &t, &name) && parse_rest(p, &r) && next_token(p, &t))
		fail(p, "something behind the end of the record");
	if (p->error != NULL) {
		report(p, p->number, p->error);
		return;
	}
	zone_key_of(&name, &key);
	memcpy(pool_take(p->z, key.n, &r.key), key.b, key.n);
	r.key_len = key.n;
	add_record(p->z, &r);
}

static int
by_order(const void *a, const void *b, void *zone)
{
	return zone_record_cmp(zone, a, b);
}

static bool
same_name(const struct zone *z, const struct zone_record *a, const struct zone_record *b)
{
	return a->key_len == b->key_len && memcmp(z->pool + a->key, z->pool + b->key, a->key_len) == 0;
}

/* RFC 1034 section 3.6.2: nothing beside a CNAME.  Special answers may stand beside it. */
static void
check_cnames(struct parser *p)
{
	const struct zone *z = p->z;

	for (size_t from = 0, to; from < z->n; from = to) {
		size_t cnames = 0, others = 0;
		uint32_t line = 0;

		for (to = from; to < z->n && same_name(z, &z->v[from], &z->v[to]); to++) {
			if (z->v[to].kind != ZONE_DATA)
				continue;
			*(z->v[to].type == DNS_CNAME ? &cnames : &others) += 1;
			if (z->v[to].type == DNS_CNAME)
				line = z->v[to].line;
		}
		if (cnames > 1)
			report(p, line, "a second CNAME of the same name");
		if (cnames > 0 && others > 0)
			report(p, line, "a CNAME beside other records of the same name");
	}
}

enum rc
zone_parse(struct span text, struct zone **out, char **why_out)
{
	struct parser p = { .errors = buf_heap(ERRORS_BYTES_MAX) };

	*out = NULL;
	*why_out = NULL;
	if (text.n > ZONE_TEXT_MAX) {
		*why_out = xstrdup("line 1: a zone file over 256 MiB");
		return RC_SYNTAX;
	}
	p.z = xcalloc(1, sizeof *p.z);
	while (text.n > 0 && span_split(&text, '\n', &p.line)) {
		p.number++;
		p.error = NULL;
		parse_line(&p);
	}
	if (p.z->n > 0)
		qsort_r(p.z->v, p.z->n, sizeof *p.z->v, by_order, p.z);
	check_cnames(&p);
	if (p.error_count > ZONE_ERRORS_MAX)
		buf_fmt(&p.errors, "\nand %zu more", p.error_count - ZONE_ERRORS_MAX);
	if (p.error_count > 0) {
		*why_out = xstrdup(buf_text(&p.errors).p);
		zone_destroy(&p.z);
	}
	buf_fini(&p.errors);
	*out = p.z;
	return p.error_count > 0 ? RC_SYNTAX : RC_OK;
}
