/* spf_record - the syntax of an SPF record (RFC 7208 sections 4.5, 4.6.1 and 12; RFC 4406 section 3.1); see spf_int.h. */
#include "common/auth/spf_int.h"

static const struct span version = { "v=spf1", 6 }, version2 = { "spf2.", 5 };

/* What may follow a mechanism's name. */
enum argument { NO_ARGUMENT, DOMAIN_NEEDED, DOMAIN_MAYBE, DOMAIN_AND_CIDR, NET4, NET6 };

static const struct mechanism {
	const char *name;
	enum spf_kind kind;
	enum argument argument;
} mechanisms[] = {
	{ "all", SPF_ALL, NO_ARGUMENT },
	{ "include", SPF_INCLUDE, DOMAIN_NEEDED },
	{ "a", SPF_A, DOMAIN_AND_CIDR },
	{ "mx", SPF_MX, DOMAIN_AND_CIDR },
	{ "ptr", SPF_PTR, DOMAIN_MAYBE },
	{ "ip4", SPF_IP4, NET4 },
	{ "ip6", SPF_IP6, NET6 },
	{ "exists", SPF_EXISTS, DOMAIN_NEEDED },
};

static bool
is_name_byte(unsigned char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' || c == '.';
}

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ); empty when there is none. */
static struct span
leading_name(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || !ascii_is_alpha((unsigned char)s.p[0]))
		return span_sub(s, 0, 0);
	while (n < s.n && is_name_byte((unsigned char)s.p[n]))
		n++;
	return span_sub(s, 0, n);
}

/* ---- version section ---- */

bool
spf_record_is_version1(struct span txt)
{
	return span_starts_nocase(txt, version) && (txt.n == version.n || txt.p[version.n] == ' ');
}

/* "/" scope-id *( "," scope-id ): is it well-formed, and does it name the wanted one? */
static bool
names_scope(struct span scopes, struct span wanted)
{
	struct span id;
	bool is_named = false;

	while (span_split(&scopes, ',', &id)) {
		if (id.n == 0 || leading_name(id).n != id.n)
			return false;
		is_named |= span_eq_nocase(id, wanted);
	}
	return is_named;
}

bool
spf_record_is_version2(struct span txt, enum spf_scope scope)
{
	struct span section = span_sub(txt, 0, span_find(txt, ' '));
	size_t at = version2.n;

	if (scope == SPF_SCOPE_NONE || !span_starts_nocase(section, version2))
		return false;
	while (at < section.n && ascii_is_digit((unsigned char)section.p[at]))
		at++;
	if (at == version2.n || at == section.n || section.p[at] != '/')
		return false;
	return names_scope(span_from(section, at + 1), scope == SPF_SCOPE_PRA ? SPAN("pra") : SPAN("mfrom"));
}

/* ---- terms ---- */

/*
 * Takes "/" and digits off the end of *s.  True when they were there; false and *s untouched otherwise.  No domain-spec
 * ends like this, so what looks like a prefix length is one.
 */
static bool
take_prefix_length(struct span *s, struct span *digits_out)
{
	size_t at = s->n;

	while (at > 0 && ascii_is_digit((unsigned char)s->p[at - 1]))
		at--;
	if (at == s->n || at == 0 || s->p[at - 1] != '/')
		return false;
	*digits_out = span_from(*s, at);
	*s = span_sub(*s, 0, at - 1);
	return true;
}

/* "0" or a number without leading zeros, at most max. */
static bool
parse_prefix_length(struct span digits, unsigned max, unsigned *out)
{
	uint64_t v;

	if (digits.n > 1 && digits.p[0] == '0')
		return false;
	if (!span_to_uint(digits, max, &v))
		return false;
	*out = (unsigned)v;
	return true;
}

/* [ ip4-cidr-length ] [ "/" ip6-cidr-length ] at the end of *s. */
static const char *
take_dual_cidr(struct span *s, struct spf_term *t)
{
	struct span digits;
	struct span before = *s;

	if (!take_prefix_length(&before, &digits))
		return NULL;
	if (before.n > 0 && before.p[before.n - 1] == '/') {
		if (!parse_prefix_length(digits, 128, &t->bits6))
			return "IPv6 prefix length is not a number from 0 to 128";
		before.n--;
		*s = before;
		if (!take_prefix_length(&before, &digits))
			return NULL;
	}
	if (!parse_prefix_length(digits, 32, &t->bits4))
		return "IPv4 prefix length is not a number from 0 to 32";
	*s = before;
	return NULL;
}

/* [ ":" domain-spec ] */
static const char *
parse_domain_argument(struct span s, bool is_needed, struct spf_term *t)
{
	const char *why;

	if (s.n == 0)
		return is_needed ? "a domain is missing" : NULL;
	if (s.p[0] != ':')
		return "unexpected text behind the mechanism's name";
	t->spec = span_from(s, 1);
	why = spf_macro_check(t->spec, SPF_TEXT_DOMAIN);
	if (why != NULL && ip4_parse(t->spec, &t->net) == RC_OK)
		return "an address where a domain belongs; ip4: is for addresses";
	return why;
}

static const char *
parse_net_argument(struct span s, bool is_v4, struct spf_term *t)
{
	struct span digits;

	if (s.n < 2 || s.p[0] != ':')
		return "an address is missing";
	s = span_from(s, 1);
	if (take_prefix_length(&s, &digits)) {
		if (is_v4 && !parse_prefix_length(digits, 32, &t->bits4))
			return "IPv4 prefix length is not a number from 0 to 32";
		if (!is_v4 && !parse_prefix_length(digits, 128, &t->bits6))
			return "IPv6 prefix length is not a number from 0 to 128";
	}
	if (is_v4)
		return ip4_parse(s, &t->net) == RC_OK ? NULL : "not an IPv4 address";
	return ip6_parse(s, &t->net) == RC_OK ? NULL : "not an IPv6 address";
}

static const char *
parse_argument(struct span s, enum argument argument, struct spf_term *t)
{
	const char *why;

	switch (argument) {
	case NO_ARGUMENT:
		return s.n == 0 ? NULL : "this mechanism takes no argument";
	case DOMAIN_NEEDED:
		return parse_domain_argument(s, true, t);
	case DOMAIN_MAYBE:
		return parse_domain_argument(s, false, t);
	case DOMAIN_AND_CIDR:
		why = take_dual_cidr(&s, t);
		return why != NULL ? why : parse_domain_argument(s, false, t);
	case NET4:
		return parse_net_argument(s, true, t);
	case NET6:
		return parse_net_argument(s, false, t);
	}
	return "unknown mechanism";
}

static const char *
parse_mechanism(struct span name, struct span rest, struct spf_term *t)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
		if (span_eq_nocase(name, span_cstr(mechanisms[i].name))) {
			t->kind = mechanisms[i].kind;
			return parse_argument(rest, mechanisms[i].argument, t);
		}
	}
	return "unknown mechanism";
}

static const char *
parse_modifier(struct span name, struct span value, struct spf_term *t)
{
	t->spec = value;
	if (span_eq_nocase(name, SPAN("redirect")))
		t->kind = SPF_REDIRECT;
	else if (span_eq_nocase(name, SPAN("exp")))
		t->kind = SPF_EXP;
	else
		t->kind = SPF_UNKNOWN_MODIFIER;
	return spf_macro_check(value, t->kind == SPF_UNKNOWN_MODIFIER ? SPF_TEXT_IGNORED : SPF_TEXT_DOMAIN);
}

/* Takes one qualifier off *s. */
static bool
take_qualifier(struct span *s, enum spf_result *out)
{
	static const struct { char c; enum spf_result result; } qualifiers[] = {
		{ '+', SPF_PASS }, { '-', SPF_FAIL }, { '~', SPF_SOFTFAIL }, { '?', SPF_NEUTRAL },
	};

	*out = SPF_PASS;
	for (size_t i = 0; i < ARRAY_LEN(qualifiers); i++) {
		if (s->n > 0 && s->p[0] == qualifiers[i].c) {
			*out = qualifiers[i].result;
			*s = span_from(*s, 1);
			return true;
		}
	}
	return false;
}

static const char *
parse_term(struct span text, struct spf_term *t)
{
	struct span rest = text, name;
	bool has_qualifier;

	*t = (struct spf_term){ .text = text, .bits4 = 32, .bits6 = 128 };
	has_qualifier = take_qualifier(&rest, &t->result);
	name = leading_name(rest);
	rest = span_from(rest, name.n);
	if (name.n == 0)
		return "not a mechanism or modifier";
	if (rest.n == 0 || rest.p[0] != '=')
		return parse_mechanism(name, rest, t);
	if (has_qualifier)
		return "a modifier has no qualifier";
	return parse_modifier(name, span_from(rest, 1), t);
}

enum rc
spf_term_next(struct span *rest, struct spf_term *out, const char **why_out)
{
	size_t n;

	while (rest->n > 0 && rest->p[0] == ' ')
		*rest = span_from(*rest, 1);
	if (rest->n == 0)
		return RC_NONE;
	n = span_find(*rest, ' ');
	*why_out = parse_term(span_sub(*rest, 0, n), out);
	*rest = span_from(*rest, n);
	return *why_out == NULL ? RC_OK : RC_SYNTAX;
}

/* Remembers what the record says as a whole; section 6: redirect and exp at most once. */
static const char *
note_term(struct spf_record *r, const struct spf_term *t)
{
	switch (t->kind) {
	case SPF_ALL:
		r->has_all = true;
		break;
	case SPF_REDIRECT:
		if (!span_is_null(r->redirect))
			return "redirect is there more than once";
		r->redirect = t->spec;
		r->redirect_text = t->text;
		break;
	case SPF_EXP:
		if (!span_is_null(r->exp))
			return "exp is there more than once";
		r->exp = t->spec;
		break;
	default:
		break;
	}
	return NULL;
}

enum rc
spf_record_parse(struct span txt, struct spf_record *out, struct spf_error *error_out)
{
	struct span rest;
	struct spf_term t;
	const char *why = NULL;
	size_t count = 0;
	enum rc rc;

	*error_out = (struct spf_error){ .reason = SPF_R_RECORD_SIZE };
	if (txt.n > SPF_RECORD_MAX) {
		error_out->why = "the record is too long";
		return RC_SYNTAX;
	}
	*out = (struct spf_record){ .terms = span_from(txt, span_find(txt, ' ')) };
	rest = out->terms;
	while ((rc = spf_term_next(&rest, &t, &why)) == RC_OK) {
		if (++count > SPF_TERMS_MAX) {
			error_out->why = "the record has too many terms";
			return RC_SYNTAX;
		}
		why = note_term(out, &t);
		if (why != NULL)
			break;
	}
	if (rc == RC_NONE)
		return RC_OK;
	*error_out = (struct spf_error){ .term = t.text, .why = why, .reason = SPF_R_SYNTAX };
	return RC_SYNTAX;
}
