/* dmarc_record - the record and its report addresses; see dmarc.h. */
#include "common/auth/dmarc.h"

static const char *const policies[] = { [DMARC_P_NONE] = "none", [DMARC_P_QUARANTINE] = "quarantine", [DMARC_P_REJECT] = "reject" };

const char *
dmarc_policy_name(enum dmarc_policy p)
{
	return policies[p];
}

/* ---- text ---- */

/* The grammar's WSP only: span_trim() takes line ends, too. */
static struct span
trim_wsp(struct span s)
{
	while (s.n > 0 && ascii_is_wsp((unsigned char)s.p[0]))
		s = span_from(s, 1);
	while (s.n > 0 && ascii_is_wsp((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool
is_all(struct span s, bool (*test)(unsigned char c))
{
	for (size_t i = 0; i < s.n; i++)
		if (!test((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

static bool
is_word(struct span value, const char *word)
{
	return span_eq_nocase(value, span_cstr(word));
}

/* ---- report addresses ---- */

/* RFC 3986 section 2: unreserved, reserved and '%', without the two that section 4.8 wants encoded. */
static bool
is_uri_byte(unsigned char c)
{
	return ascii_is_alnum(c) || (c != '\0' && strchr("-._~:/?#[]@$&'()*+;=%", c) != NULL);
}

static bool
is_scheme_byte(unsigned char c)
{
	return ascii_is_alnum(c) || c == '+' || c == '-' || c == '.';
}

static bool
is_hex(unsigned char c)
{
	return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static bool
has_good_escapes(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%' && (i + 2 >= s.n || !is_hex((unsigned char)s.p[i + 1]) || !is_hex((unsigned char)s.p[i + 2])))
			return false;
	return true;
}

/* A scheme and something behind it; of mailto: an address with a local part and a domain. */
static bool
is_uri(struct span s)
{
	size_t colon = span_find(s, ':'), at;
	struct span scheme = span_sub(s, 0, colon), rest = span_from(s, colon + 1);

	if (colon == s.n || !is_all(scheme, is_scheme_byte) || !ascii_is_alpha((unsigned char)s.p[0]) || !is_all(rest, is_uri_byte))
		return false;
	at = span_find(rest, '@');
	if (is_word(scheme, "mailto") && (at == 0 || at + 1 >= rest.n))
		return false;
	return has_good_escapes(rest);
}

/* 1*DIGIT [ "k" / "m" / "g" / "t" ]; what does not fit into 64 bits is wrong (RFC 7489 section 6.4). */
static bool
parse_size(struct span s, uint64_t *out)
{
	static const char units[] = "kmgt";
	const char *unit = s.n > 0 ? strchr(units, ascii_lower((unsigned char)s.p[s.n - 1])) : NULL;
	unsigned shift = 0;
	uint64_t n;

	if (unit != NULL && *unit != '\0') {
		shift = 10 * (unsigned)(unit - units + 1);
		s.n--;
	}
	if (!span_to_uint(s, UINT64_MAX >> shift, &n))
		return false;
	*out = n << shift;
	return true;
}

static bool
parse_uri(struct span s, struct dmarc_uri *out)
{
	size_t mark = span_find(s, '!');

	*out = (struct dmarc_uri){ .uri = span_sub(s, 0, mark) };
	if (mark < s.n && !parse_size(span_from(s, mark + 1), &out->size_max))
		return false;
	return is_uri(out->uri);
}

bool
dmarc_uri_next(struct span *rest, struct dmarc_uri *out)
{
	struct span piece;

	while (span_split(rest, ',', &piece))
		if (parse_uri(trim_wsp(piece), out))
			return true;
	return false;
}

static bool
has_uri(struct span value)
{
	struct dmarc_uri uri;
	struct span rest = value, piece;

	for (unsigned i = 0; i < DMARC_URIS_MAX && span_split(&rest, ',', &piece); i++)
		if (parse_uri(trim_wsp(piece), &uri))
			return true;
	return false;
}

/* ---- values of tags: false is a syntax error, and nothing was set ---- */

static bool
set_policy(struct span value, enum dmarc_policy *out)
{
	for (size_t i = 0; i < ARRAY_LEN(policies); i++)
		if (is_word(value, policies[i])) {
			*out = (enum dmarc_policy)i;
			return true;
		}
	return false;
}

static bool
set_flag(struct span value, const char *no, const char *yes, bool *out)
{
	if (!is_word(value, no) && !is_word(value, yes))
		return false;
	*out = is_word(value, yes);
	return true;
}

static bool
set_psd(struct span value, enum dmarc_psd *out)
{
	if (value.n != 1)
		return false;
	switch (ascii_lower((unsigned char)value.p[0])) {
	case 'y':
		*out = DMARC_PSD_Y;
		return true;
	case 'n':
		*out = DMARC_PSD_N;
		return true;
	case 'u':
		*out = DMARC_PSD_U;
		return true;
	default:
		return false;
	}
}

static unsigned
fo_bit(struct span item)
{
	static const char letters[] = "01ds";
	const char *at = item.n == 1 && item.p[0] != '\0' ? strchr(letters, ascii_lower((unsigned char)item.p[0])) : NULL;

	return at == NULL ? 0 : 1u << (at - letters);
}

/* RFC 9989: each at most once, not both 0 and 1, no blanks; RFC 7489 has none of these rules. */
static bool
set_fo(struct span value, enum dmarc_method dialect, unsigned *out)
{
	bool is_strict = dialect == DMARC_TREEWALK;
	struct span rest = value, item;
	unsigned fo = 0, bit;

	while (span_split(&rest, ':', &item)) {
		bit = fo_bit(is_strict ? item : trim_wsp(item));
		if (bit == 0 || (is_strict && (fo & bit) != 0))
			return false;
		fo |= bit;
	}
	if (is_strict && (fo & (DMARC_FO_0 | DMARC_FO_1)) == (DMARC_FO_0 | DMARC_FO_1))
		return false;
	*out = fo;
	return true;
}

static bool
set_pct(struct span value, uint8_t *out)
{
	uint64_t n;

	if (value.n > 3 || !span_to_uint(value, 100, &n))
		return false;
	*out = (uint8_t)n;
	return true;
}

static bool
set_ri(struct span value, uint32_t *out)
{
	uint64_t n;

	if (!span_to_uint(value, UINT32_MAX, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool
set_uris(struct span value, struct span *out)
{
	if (!has_uri(value))
		return false;
	*out = value;
	return true;
}

/* ---- tags ---- */

struct tag_text {
	struct span name, value;
};

/* False: no tag by its form, ignored. */
static bool
split_tag(struct span piece, struct tag_text *out)
{
	size_t equals = span_find(piece, '=');

	out->name = trim_wsp(span_sub(piece, 0, equals));
	out->value = trim_wsp(span_from(piece, equals + 1));
	return equals < piece.n && is_all(out->name, ascii_is_alpha);
}

static void
use_tag(struct tag_text tag, enum dmarc_method dialect, struct dmarc_record *r, bool *is_sub_broken)
{
	struct span value = tag.value;
	bool is_new = dialect == DMARC_TREEWALK;

	if (is_word(tag.name, "p")) {
		r->has_p = set_policy(value, &r->p);
	} else if (is_word(tag.name, "sp")) {
		r->has_sp = set_policy(value, &r->sp);
		*is_sub_broken |= !r->has_sp;
	} else if (is_new && is_word(tag.name, "np")) {
		r->has_np = set_policy(value, &r->np);
		*is_sub_broken |= !r->has_np;
	} else if (is_word(tag.name, "adkim")) {
		(void)set_flag(value, "r", "s", &r->is_adkim_strict);
	} else if (is_word(tag.name, "aspf")) {
		(void)set_flag(value, "r", "s", &r->is_aspf_strict);
	} else if (is_new && is_word(tag.name, "t")) {
		(void)set_flag(value, "n", "y", &r->is_testing);
	} else if (is_new && is_word(tag.name, "psd")) {
		(void)set_psd(value, &r->psd);
	} else if (is_word(tag.name, "rua")) {
		(void)set_uris(value, &r->rua);
	} else if (is_word(tag.name, "ruf")) {
		(void)set_uris(value, &r->ruf);
	} else if (is_word(tag.name, "fo")) {
		(void)set_fo(value, dialect, &r->fo);
	} else if (!is_new && is_word(tag.name, "pct")) {
		(void)set_pct(value, &r->pct);
	} else if (!is_new && is_word(tag.name, "ri")) {
		(void)set_ri(value, &r->ri_s);
	}
}

/* What is inherited, and section 4.10.1's rule for records whose policy is wrong. */
static void
settle(struct dmarc_record *r, bool is_sub_broken)
{
	if (span_is_null(r->ruf))
		r->fo = DMARC_FO_0;
	r->has_policy = true;
	if (!r->has_p || is_sub_broken) {
		r->has_policy = r->is_monitored = !span_is_null(r->rua);
		r->p = r->sp = r->np = DMARC_P_NONE;
		return;
	}
	if (!r->has_sp)
		r->sp = r->p;
	if (!r->has_np)
		r->np = r->sp;
}

/* Takes "v=DMARC1" off *rest. */
static bool
take_version(struct span *rest)
{
	struct tag_text tag;
	struct span piece;

	if (!span_split(rest, ';', &piece) || !split_tag(piece, &tag))
		return false;
	return tag.name.p == piece.p && is_word(tag.name, "v") && span_eq(tag.value, SPAN("DMARC1"));
}

static bool
is_known_name(struct span name, const struct span *seen, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(seen[i], name))
			return true;
	return false;
}

enum rc
dmarc_record_parse(struct span text, enum dmarc_method dialect, struct dmarc_record *out)
{
	struct span rest = text, piece, seen[DMARC_TAGS_MAX] = { SPAN("v") };
	bool is_sub_broken = false;
	struct tag_text tag;
	size_t n = 1;

	*out = (struct dmarc_record){ .text = text, .fo = DMARC_FO_0, .pct = DMARC_PCT_DEFAULT, .ri_s = DMARC_RI_DEFAULT };
	if (!take_version(&rest))
		return RC_NONE;
	if (text.n > DMARC_RECORD_MAX)
		return RC_SYNTAX;
	while (span_split(&rest, ';', &piece)) {
		if (!split_tag(piece, &tag))
			continue;
		if (n == DMARC_TAGS_MAX || is_known_name(tag.name, seen, n))
			return RC_SYNTAX;
		seen[n++] = tag.name;
		use_tag(tag, dialect, out, &is_sub_broken);
	}
	settle(out, is_sub_broken);
	return RC_OK;
}
