/* writer_request - words of a control client; see writer_request.h. */
#include "cache/writer_request.h"

enum { LABEL_MAX = 63, WORDS_MAX = 8, ESCAPE_DIGITS = 3 };

static enum rc
fail(const char **why_out, const char *why)
{
	*why_out = why;
	return RC_SYNTAX;
}

/* One byte of a name, escaped or not, off the front of *s. */
static bool
take_byte(struct span *s, uint8_t *out, bool *is_dot)
{
	uint64_t v;

	*is_dot = s->p[0] == '.';
	*out = ascii_lower((unsigned char)s->p[0]);
	if (s->p[0] != '\\') {
		*s = span_from(*s, 1);
		return true;
	}
	if (s->n < 2)
		return false;
	if (!ascii_is_digit((unsigned char)s->p[1])) {
		*out = ascii_lower((unsigned char)s->p[1]);
		*s = span_from(*s, 2);
		return true;
	}
	if (s->n < 1 + ESCAPE_DIGITS || !span_to_uint(span_sub(*s, 1, ESCAPE_DIGITS), UINT8_MAX, &v))
		return false;
	*out = ascii_lower((unsigned char)v);
	*s = span_from(*s, 1 + ESCAPE_DIGITS);
	return true;
}

static bool
end_label(struct dns_name *name, size_t *label)
{
	size_t length = name->n - *label - 1;

	if (length == 0 || name->n >= DNS_NAME_WIRE_MAX)
		return false;
	name->w[*label] = (uint8_t)length;
	*label = name->n++;
	return true;
}

/* The label under construction begins at `label` with its length, which is filled in at its end; there a zero ends the name. */
static bool
parse_name(struct span s, struct dns_name *out)
{
	size_t label = 0;
	bool is_dot;
	uint8_t c;

	memset(out, 0, sizeof *out);
	out->n = 1;
	if (span_eq(s, SPAN(".")))
		return true;
	if (span_is_empty(s))
		return false;
	while (s.n > 0) {
		if (!take_byte(&s, &c, &is_dot))
			return false;
		if (is_dot) {
			if (!end_label(out, &label))
				return false;
			continue;
		}
		if (out->n - label - 1u == LABEL_MAX || out->n >= DNS_NAME_WIRE_MAX)
			return false;
		out->w[out->n++] = c;
	}
	/* Without a final dot the last label is still open. */
	return out->n - label == 1 || end_label(out, &label);
}

static bool
parse_type(struct span s, struct writer_request *r)
{
	uint64_t number;

	r->is_spf = span_eq_nocase(s, SPAN("SPF"));
	r->has_type = !r->is_spf && dns_type_parse(s, &r->type);
	if (span_starts_nocase(s, SPAN("TYPE")) && span_to_uint(span_from(s, 4), UINT16_MAX, &number)) {
		r->type = (uint16_t)number;
		r->has_type = true;
	}
	return r->is_spf || r->has_type;
}

static enum rc
parse_option(struct span word, struct writer_request *r, const char **why_out)
{
	struct span name, rest = word;

	(void)span_split(&rest, '=', &name);
	if (span_is_null(rest))
		return fail(why_out, "options of dump are written name=value");
	if (span_eq(name, SPAN("kind")) && (span_eq(rest, SPAN("D")) || span_eq(rest, SPAN("R")))) {
		r->kind = rest.p[0];
	} else if (span_eq(name, SPAN("zone"))) {
		r->has_name = parse_name(rest, &r->name);
		return r->has_name ? RC_OK : fail(why_out, "that is no domain name");
	} else if (span_eq(name, SPAN("type"))) {
		return parse_type(rest, r) ? RC_OK : fail(why_out, "that is no type of records");
	} else if (span_eq(name, SPAN("expired")) && span_eq(rest, SPAN("1"))) {
		r->only_expired = true;
	} else {
		return fail(why_out, "dump knows kind=D, kind=R, zone=NAME, type=TYPE and expired=1");
	}
	return RC_OK;
}

static enum rc
parse_dump(const struct span *word, size_t n, struct writer_request *r, const char **why_out)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; i < n && rc == RC_OK; i++)
		rc = parse_option(word[i], r, why_out);
	return rc;
}

struct command {
	struct span name;
	enum writer_what what;
	size_t words_min, words_max;    /* after it */
};

static const struct command commands[] = {
	{ { "histogram", 9 }, WRITER_HISTOGRAM, 0, 0 },
	{ { "dump", 4 }, WRITER_DUMP, 0, 4 },
	{ { "get", 3 }, WRITER_GET, 2, 2 },
	{ { "flush", 5 }, WRITER_FLUSH, 1, 2 },
	{ { "flush-zone", 10 }, WRITER_FLUSH_ZONE, 1, 1 },
	{ { "flush-negative", 14 }, WRITER_FLUSH_NEGATIVE, 0, 0 },
	{ { "purge", 5 }, WRITER_PURGE, 0, 0 },
};

static const struct command *
find_command(struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (span_eq(word, commands[i].name))
			return &commands[i];
	return NULL;
}

/* NAME [TYPE] */
static enum rc
parse_target(const struct span *word, size_t n, struct writer_request *r, const char **why_out)
{
	if (n == 0)
		return RC_OK;
	if (!parse_name(word[0], &r->name))
		return fail(why_out, "that is no domain name");
	r->has_name = true;
	if (n == 2 && !parse_type(word[1], r))
		return fail(why_out, "that is no type of records");
	return RC_OK;
}

static enum rc
add_range(struct writer_ranges *out, enum cache_kind kind, const struct writer_request *r)
{
	struct cache_key *k = &out->prefix[out->n++];

	if (!r->has_name) {
		k->b[0] = (uint8_t)kind;
		k->n = 1;
		return RC_OK;
	}
	if (r->what == WRITER_DUMP || r->what == WRITER_FLUSH_ZONE)
		return cache_key_zone(kind, &r->name, k);
	return kind == CACHE_DNS && r->has_type ? cache_key_dns(&r->name, r->type, k) : cache_key_name(kind, &r->name, k);
}

enum rc
writer_request_ranges(const struct writer_request *r, struct writer_ranges *out)
{
	static const struct writer_request everything = { .what = WRITER_PURGE };
	bool is_flush = r->what >= WRITER_FLUSH, wants_dns = !r->is_spf && r->kind != CACHE_RESULT;
	bool wants_results = is_flush || (!r->has_type && r->kind != CACHE_DNS);
	enum rc rc = RC_OK;

	out->n = 0;
	if (wants_dns)
		rc = add_range(out, CACHE_DNS, r);
	if (rc == RC_OK && wants_dns && r->what == WRITER_FLUSH && r->has_type)         /* that the name does not exist at all: cache.nxdomain_cut */
		rc = cache_key_dns(&r->name, 0, &out->prefix[out->n++]);
	if (rc == RC_OK && wants_results)
		rc = add_range(out, CACHE_RESULT, is_flush ? &everything : r);
	return rc;
}

enum rc
writer_request_parse(struct span text, struct writer_request *out, const char **why_out)
{
	struct span rest = text, word[WORDS_MAX], w;
	const struct command *c;
	size_t n = 0;

	memset(out, 0, sizeof *out);
	*why_out = "";
	while (span_split(&rest, ' ', &w)) {
		if (w.n == 0)
			continue;
		if (n == WORDS_MAX)
			return fail(why_out, "too many words");
		word[n++] = w;
	}
	if (n == 0 || (c = find_command(word[0])) == NULL)
		return fail(why_out, "the cache knows histogram, dump, get, flush, flush-zone, flush-negative and purge");
	if (n - 1 < c->words_min || n - 1 > c->words_max)
		return fail(why_out, "too many or too few words");
	out->what = c->what;
	if (c->what == WRITER_DUMP)
		return parse_dump(word + 1, n - 1, out, why_out);
	return parse_target(word + 1, n - 1, out, why_out);
}
