/*
 * spf_macro - macro-strings: grammar and expansion (RFC 7208 section 7); see spf_int.h.
 *
 * Expansion writes byte by byte into a window of fixed size: of a domain name only the last bytes can count (labels
 * are dropped on the left), of an explanation only the first.  So no length has to be added up or trusted.
 */
#include "common/auth/spf_int.h"

#include "common/base/domain.h"

enum {
	/* Power of two, more than DOMAIN_MAX, a final dot and the dot that ends the last dropped label. */
	WINDOW = 256,
};

struct macro {
	char letter;                    /* lower-case */
	bool is_escaped;                /* was written in upper-case */
	bool is_reversed;
	size_t keep;                    /* right-hand parts to keep; 0: all */
	struct span delimiters;         /* empty: "." */
};

struct part {
	bool is_literal_run;            /* literal text that is not one of %% %_ %- */
	struct span text;               /* what it stands for; absent: the macro below */
	struct macro macro;
};

struct window {
	char p[WINDOW];
	size_t total;                   /* bytes written in all */
	bool is_head;                   /* keeps the first bytes instead of the last */
};

/* ---- grammar ---- */

static bool
is_delimiter(char c)
{
	return c != '\0' && strchr(".-+,/_=", c) != NULL;
}

/* *DIGIT: saturates, because any number of parts over 127 means all of them.  False for an explicit zero. */
static bool
take_digits(struct span *s, size_t *keep_out)
{
	size_t v = 0;
	bool has_digits = false;

	while (s->n > 0 && ascii_is_digit((unsigned char)s->p[0])) {
		v = MIN(v * 10 + (size_t)(s->p[0] - '0'), (size_t)SPF_RECORD_MAX);
		has_digits = true;
		*s = span_from(*s, 1);
	}
	*keep_out = v;
	return v > 0 || !has_digits;
}

/* Behind "%{", up to and with "}". */
static const char *
take_macro(struct span *s, struct macro *out)
{
	size_t n = 0;

	*out = (struct macro){ 0 };
	if (s->n == 0 || !ascii_is_alpha((unsigned char)s->p[0]))
		return "a macro letter is missing behind \"%{\"";
	out->letter = (char)ascii_lower((unsigned char)s->p[0]);
	out->is_escaped = s->p[0] != out->letter;
	if (strchr("slodipvhcrt", out->letter) == NULL)
		return "unknown macro letter";
	*s = span_from(*s, 1);
	if (!take_digits(s, &out->keep))
		return "a macro keeps zero parts";
	if (s->n > 0 && ascii_lower((unsigned char)s->p[0]) == 'r') {
		out->is_reversed = true;
		*s = span_from(*s, 1);
	}
	while (n < s->n && is_delimiter(s->p[n]))
		n++;
	out->delimiters = span_sub(*s, 0, n);
	*s = span_from(*s, n);
	if (s->n == 0 || s->p[0] != '}')
		return "a macro does not end in \"}\"";
	*s = span_from(*s, 1);
	return NULL;
}

/* Takes the next part off *s, which is not empty. */
static const char *
take_part(struct span *s, struct part *out)
{
	char c;

	*out = (struct part){ 0 };
	if (s->p[0] != '%') {
		out->is_literal_run = true;
		out->text = span_sub(*s, 0, span_find(*s, '%'));
		*s = span_from(*s, out->text.n);
		return NULL;
	}
	c = s->n > 1 ? s->p[1] : '\0';
	*s = span_from(*s, 2);
	switch (c) {
	case '{':
		return take_macro(s, &out->macro);
	case '%':
		out->text = SPAN("%");
		return NULL;
	case '_':
		out->text = SPAN(" ");
		return NULL;
	case '-':
		out->text = SPAN("%20");
		return NULL;
	default:
		return "\"%\" is not followed by \"{\", \"%\", \"_\" or \"-\"";
	}
}

/* macro-literal, and blanks where they are allowed. */
static const char *
check_literal(struct span s, bool may_blank)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x80)
			return "a byte is not ASCII";
		if (!ascii_is_print(c) || (c == ' ' && !may_blank))
			return "a control character";
	}
	return NULL;
}

/* Letters, digits, hyphens inside; not digits alone. */
static bool
is_toplabel(struct span s)
{
	bool has_other = false;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!ascii_is_alnum(c) && c != '-')
			return false;
		has_other |= !ascii_is_digit(c);
	}
	return has_other;
}

/* domain-end = "." toplabel [ "." ], as the literal text at the end of a domain-spec. */
static const char *
check_domain_end(struct span s)
{
	size_t dot;

	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	dot = span_rfind(s, '.');
	return dot < s.n && is_toplabel(span_from(s, dot + 1)) ? NULL : "the domain does not end in a dot and a top-level label";
}

const char *
spf_macro_check(struct span text, enum spf_text_kind kind)
{
	struct part part = { 0 };
	const char *why;

	if (kind == SPF_TEXT_DOMAIN && text.n == 0)
		return "a domain is missing";
	while (text.n > 0) {
		why = take_part(&text, &part);
		if (why == NULL && part.is_literal_run)
			why = check_literal(part.text, kind == SPF_TEXT_EXPLANATION);
		if (why != NULL)
			return why;
		if (kind == SPF_TEXT_DOMAIN && part.text.p == NULL && strchr("crt", part.macro.letter) != NULL)
			return "a macro that is allowed in explanations only";
	}
	return kind == SPF_TEXT_DOMAIN && part.is_literal_run ? check_domain_end(part.text) : NULL;
}

uint32_t
spf_macro_letters(struct span text)
{
	uint32_t letters = 0;
	struct part part;

	while (text.n > 0 && take_part(&text, &part) == NULL)
		if (part.text.p == NULL)
			letters |= SPF_LETTER(part.macro.letter);
	return letters;
}

bool
spf_macro_is_literal(struct span text)
{
	return span_find(text, '%') == text.n;
}

/* ---- values ---- */

static size_t
print_nibbles(const struct ip *ip, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < sizeof ip->b; i++) {
		out[n++] = digits[ip->b[i] >> 4];
		out[n++] = '.';
		out[n++] = digits[ip->b[i] & 15];
		out[n++] = '.';
	}
	return n - 1;
}

static size_t
print_time(int64_t now_s, char *out)
{
	char digits[SPF_TIME_TEXT_MAX];
	uint64_t v = now_s > 0 ? (uint64_t)now_s : 0;
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
	} while ((v /= 10) != 0);
	memcpy(out, digits + at, sizeof digits - at);
	return sizeof digits - at;
}

void
spf_values_init(struct spf_values *v, const struct ip *client, int64_t now_s)
{
	v->is_v4 = ip_is_v4(client);
	v->readable_len = ip_print(client, v->readable);
	if (v->is_v4) {
		memcpy(v->dotted, v->readable, v->readable_len);
		v->dotted_len = v->readable_len;
	} else {
		v->dotted_len = print_nibbles(client, v->dotted);
	}
	v->time_len = print_time(now_s, v->time);
}

static struct span
value_of(char letter, const struct spf_values *v)
{
	switch (letter) {
	case 's': return v->sender;
	case 'l': return v->local;
	case 'o': return v->sender_domain;
	case 'd': return v->domain;
	case 'i': return span_of(v->dotted, v->dotted_len);
	case 'p': return v->validated;
	case 'v': return v->is_v4 ? SPAN("in-addr") : SPAN("ip6");
	case 'h': return v->helo;
	case 'c': return span_of(v->readable, v->readable_len);
	case 'r': return v->receiver;
	case 't': return span_of(v->time, v->time_len);
	}
	return SPAN_NULL;
}

/* ---- expansion ---- */

static void
put(struct window *w, char c)
{
	if (!w->is_head)
		w->p[w->total % WINDOW] = c;
	else if (w->total < SPF_EXPLANATION_MAX)
		w->p[w->total] = ascii_is_print((unsigned char)c) ? c : '?';
	w->total++;
}

static bool
is_unreserved(unsigned char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static void
put_value(struct window *w, struct span s, bool is_escaped)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!is_escaped || is_unreserved(c)) {
			put(w, (char)c);
			continue;
		}
		put(w, '%');
		put(w, digits[c >> 4]);
		put(w, digits[c & 15]);
	}
}

static bool
splits(const struct macro *m, char c)
{
	return m->delimiters.n == 0 ? c == '.' : span_find(m->delimiters, c) < m->delimiters.n;
}

/* The last part of *s, taken off with the delimiter before it; false when nothing is left. */
static bool
take_last(const struct macro *m, struct span *s, struct span *part_out)
{
	size_t at = s->n;

	if (s->p == NULL)
		return false;
	while (at > 0 && !splits(m, s->p[at - 1]))
		at--;
	*part_out = span_from(*s, at);
	*s = at > 0 ? span_sub(*s, 0, at - 1) : SPAN_NULL;
	return true;
}

/* Where the last `keep` parts of s begin. */
static size_t
tail_start(const struct macro *m, struct span s)
{
	size_t at = s.n, left = m->keep;

	while (at > 0 && (!splits(m, s.p[at - 1]) || --left > 0))
		at--;
	return at;
}

/* How long the first `keep` parts of s are. */
static size_t
head_length(const struct macro *m, struct span s)
{
	size_t at = 0, left = m->keep;

	while (at < s.n && (!splits(m, s.p[at]) || --left > 0))
		at++;
	return at;
}

/* Section 7.3: split, reverse, keep the right-hand parts, join with dots. */
static void
put_macro(struct window *w, const struct macro *m, struct span value)
{
	struct span part;
	bool is_first = true;

	if (!m->is_reversed) {
		if (m->keep > 0)
			value = span_from(value, tail_start(m, value));
		for (size_t i = 0; i < value.n; i++) {
			if (m->delimiters.n > 0 && splits(m, value.p[i]))
				put(w, '.');
			else
				put_value(w, span_sub(value, i, 1), m->is_escaped);
		}
		return;
	}
	if (m->keep > 0)
		value = span_sub(value, 0, head_length(m, value));
	while (take_last(m, &value, &part)) {
		if (!is_first)
			put(w, '.');
		put_value(w, part, m->is_escaped);
		is_first = false;
	}
}

static void
expand(struct window *w, struct span text, const struct spf_values *v)
{
	struct part part;

	while (text.n > 0 && take_part(&text, &part) == NULL) {
		if (part.text.p != NULL)
			put_value(w, part.text, false);
		else
			put_macro(w, &part.macro, value_of(part.macro.letter, v));
		if (w->is_head && w->total >= SPF_EXPLANATION_MAX)
			return;
	}
}

/* The window's bytes in order; out has WINDOW bytes. */
static struct span
unroll(const struct window *w, char *out)
{
	size_t n = MIN(w->total, (size_t)WINDOW), first = w->total - n;

	for (size_t i = 0; i < n; i++)
		out[i] = w->p[(first + i) % WINDOW];
	return span_of(out, n);
}

enum rc
spf_macro_name(struct arena *a, struct span text, const struct spf_values *v, struct span *out)
{
	struct window w = { .is_head = false };
	char room[WINDOW];
	struct span name;
	size_t excess;

	expand(&w, text, v);
	name = unroll(&w, room);
	if (name.n > 0 && name.p[name.n - 1] == '.') {
		name.n--;
		w.total--;
	}
	if (w.total > DOMAIN_MAX) {
		/* Drop at least what is over, and then the rest of the label that was cut.  name ends like the whole expansion. */
		excess = name.n - DOMAIN_MAX;
		name = span_from(name, excess - 1);
		name = span_from(name, span_find(name, '.') + 1);
	}
	*out = arena_copy(a, name);
	return out->p != NULL ? RC_OK : RC_LIMIT;
}

enum rc
spf_macro_explanation(struct arena *a, struct span text, const struct spf_values *v, struct span *out)
{
	struct window w = { .is_head = true };

	expand(&w, text, v);
	*out = arena_copy(a, span_of(w.p, MIN(w.total, (size_t)SPF_EXPLANATION_MAX)));
	return out->p != NULL ? RC_OK : RC_LIMIT;
}
