/*
 * dkim_pick - which signatures are looked at; see dkim_int.h.
 *
 * A message may have any number of DKIM-Signature fields.  Only their beginnings are looked at here, to take those first whose d= is an author's
 * domain: whoever puts fifty signatures on top must not push the one that counts out of sight.
 */
#include "common/auth/dkim_int.h"

#include "common/base/domain.h"

enum {
	PEEK_FIELDS_MAX = 1000,         /* signatures whose d= is looked at; others count as a stranger's */
	PEEK_BYTES_MAX = 2 * KIB,       /* of a signature; d= stands at the front everywhere */
	PEEK_TAGS_MAX = 32,
	PEEK_U_NAMES_MAX = 100,         /* names that libidn2 is asked about */
};

static bool
is_related(struct span a, struct span b)
{
	return domain_is_at_or_below(a, b) || domain_is_at_or_below(b, a);
}

bool
dkim_is_author(struct span domain, const struct span *authors, size_t author_count)
{
	for (size_t i = 0; i < author_count; i++)
		if (is_related(domain, authors[i]))
			return true;
	return false;
}

/* The value of d=, without judging the rest; absent: not found. */
static struct span
peek_domain(struct span value)
{
	struct span rest = span_sub(value, 0, PEEK_BYTES_MAX), tag;

	for (size_t i = 0; i < PEEK_TAGS_MAX && span_split(&rest, ';', &tag); i++) {
		size_t eq = span_find(tag, '=');

		if (eq < tag.n && span_eq(span_trim(span_sub(tag, 0, eq)), SPAN("d")))
			return span_trim(span_from(tag, eq + 1));
	}
	return SPAN_NULL;
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

struct peek {
	struct arena *arena;
	const struct span *authors;
	size_t author_count;
	size_t fields_left, u_names_left;
};

static bool
is_preferred(struct peek *k, struct span value)
{
	struct span d;

	if (k->fields_left == 0)
		return false;
	k->fields_left--;
	d = peek_domain(value);
	if (d.n == 0 || d.n > 4 * (size_t)DOMAIN_MAX)
		return false;
	if (!is_ascii(d)) {
		if (k->u_names_left == 0)
			return false;
		k->u_names_left--;
		if (domain_normalize(k->arena, d, &d) != RC_OK)
			return false;
	}
	return dkim_is_author(d, k->authors, k->author_count);
}

/* Both lists ascend and have no member in common. */
static void
merge(const size_t *a, size_t a_n, const size_t *b, size_t b_n, size_t *to)
{
	while (a_n > 0 || b_n > 0) {
		if (b_n == 0 || (a_n > 0 && *a < *b)) {
			*to++ = *a++;
			a_n--;
		} else {
			*to++ = *b++;
			b_n--;
		}
	}
}

/* The topmost signature that is in neither list. */
static size_t
find_left(const struct header_block *h, const struct dkim_pick *pick)
{
	size_t at = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (!header_is(&h->v[i], SPAN("DKIM-Signature")))
			continue;
		if (at == pick->n || pick->fields[at] != i)
			return i;
		at++;
	}
	return h->n;
}

enum rc
dkim_pick(struct arena *a, const struct header_block *h, const struct span *authors, size_t author_count, size_t limit, struct dkim_pick *out)
{
	struct peek k = { a, authors, author_count, PEEK_FIELDS_MAX, PEEK_U_NAMES_MAX };
	size_t *near = arena_array(a, size_t, limit), *far = arena_array(a, size_t, limit), near_n = 0, far_n = 0;

	*out = (struct dkim_pick){ .fields = arena_array(a, size_t, limit) };
	if (near == NULL || far == NULL || out->fields == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < h->n; i++) {
		if (!header_is(&h->v[i], SPAN("DKIM-Signature")))
			continue;
		out->total++;
		if (is_preferred(&k, h->v[i].value)) {
			if (near_n < limit)
				near[near_n++] = i;
		} else if (far_n < limit) {
			far[far_n++] = i;
		}
	}
	far_n = MIN(far_n, limit - near_n);
	out->n = near_n + far_n;
	merge(near, near_n, far, far_n, out->fields);
	if (out->total > out->n)
		out->first_left = find_left(h, out);
	return RC_OK;
}
