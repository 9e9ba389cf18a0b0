/* span - slices of bytes; see span.h. */
#include "common/base/span.h"

bool
span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int
span_cmp_nocase(struct span a, struct span b)
{
	size_t i, n = MIN(a.n, b.n);

	for (i = 0; i < n; i++) {
		int d = ascii_lower((unsigned char)a.p[i]) - ascii_lower((unsigned char)b.p[i]);

		if (d != 0)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool
span_eq_nocase(struct span a, struct span b)
{
	return a.n == b.n && span_cmp_nocase(a, b) == 0;
}

bool
span_starts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq(span_sub(s, 0, prefix.n), prefix);
}

bool
span_starts_nocase(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_eq_nocase(span_sub(s, 0, prefix.n), prefix);
}

bool
span_ends_nocase(struct span s, struct span suffix)
{
	return s.n >= suffix.n && span_eq_nocase(span_from(s, s.n - suffix.n), suffix);
}

struct span
span_sub(struct span s, size_t from, size_t n)
{
	from = MIN(from, s.n);
	return span_of(s.p ? s.p + from : NULL, MIN(n, s.n - from));
}

struct span
span_from(struct span s, size_t from)
{
	return span_sub(s, from, SIZE_MAX);
}

size_t
span_find(struct span s, char c)
{
	const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;

	return hit ? (size_t)(hit - s.p) : s.n;
}

size_t
span_rfind(struct span s, char c)
{
	const char *hit = s.n ? memrchr(s.p, c, s.n) : NULL;

	return hit ? (size_t)(hit - s.p) : s.n;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span
span_trim(struct span s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = span_from(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
span_split(struct span *rest, char sep, struct span *piece_out)
{
	size_t at;

	if (rest->p == NULL)
		return false;
	at = span_find(*rest, sep);
	*piece_out = span_sub(*rest, 0, at);
	*rest = at < rest->n ? span_from(*rest, at + 1) : SPAN_NULL;
	return true;
}

bool
span_to_uint(struct span s, uint64_t max, uint64_t *value_out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		if (!ascii_is_digit((unsigned char)s.p[i]))
			return false;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) || v > max)
			return false;
	}
	*value_out = v;
	return true;
}
