/* header - see header.h. */
#include "common/mail/header.h"

enum { FIRST_ROOM = 32 };

void
header_init(struct header_block *h, struct arena *a)
{
	*h = (struct header_block){ .arena = a };
}

/* Whether the byte at i is an LF that did not come with its CR. */
static bool
is_lone_lf(struct span s, size_t i)
{
	return s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r');
}

static size_t
count_lone_lf(struct span s)
{
	size_t n = 0, i;

	for (i = span_find(s, '\n'); i < s.n; i += 1 + span_find(span_from(s, i + 1), '\n'))
		n += is_lone_lf(s, i);
	return n;
}

/* s with CRLF for each lone LF. */
static void
copy_value(char *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (is_lone_lf(s, i))
			*to++ = '\r';
		*to++ = s.p[i];
	}
}

/* Room for one more; the old places stay with the arena, all together less than the new ones. */
static bool
grow(struct header_block *h)
{
	size_t room = h->room == 0 ? (size_t)FIRST_ROOM : h->room * 2;
	struct header_field *v = arena_array(h->arena, struct header_field, room);

	if (v == NULL)
		return false;
	if (h->n > 0)
		memcpy(v, h->v, h->n * sizeof *v);
	h->v = v;
	h->room = room;
	return true;
}

static bool
copy_field(struct header_block *h, struct span name, struct span value, bool has_leading_space)
{
	size_t blank = has_leading_space ? 0 : 1;
	size_t bytes = name.n + blank + value.n + count_lone_lf(value);
	char *p = arena_alloc(h->arena, bytes);
	struct header_field *f = &h->v[h->n];

	if (p == NULL)
		return false;
	if (name.n > 0)
		memcpy(p, name.p, name.n);
	f->name = span_of(p, name.n);
	p += name.n;
	f->value = span_of(p, bytes - name.n);
	if (blank > 0)
		*p++ = ' ';
	copy_value(p, value);
	h->bytes += bytes;
	h->n++;
	return true;
}

enum rc
header_add(struct header_block *h, struct span name, struct span value, bool has_leading_space)
{
	if ((h->n < h->room || grow(h)) && copy_field(h, name, value, has_leading_space))
		return RC_OK;
	h->is_incomplete = true;
	return RC_LIMIT;
}

/* Also without a fold: it is no part of a name that somebody may look for. */
static struct span
without_end(struct span name)
{
	while (name.n > 0 && (ascii_is_wsp((unsigned char)name.p[name.n - 1]) || name.p[name.n - 1] == '\r' || name.p[name.n - 1] == '\n'))
		name.n--;
	return name;
}

bool
header_is(const struct header_field *f, struct span name)
{
	return span_eq_nocase(without_end(f->name), without_end(name));
}

size_t
header_count(const struct header_block *h, struct span name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += header_is(&h->v[i], name);
	return n;
}

size_t
header_find_last(const struct header_block *h, struct span name, size_t before)
{
	for (size_t i = MIN(before, h->n); i-- > 0;)
		if (header_is(&h->v[i], name))
			return i;
	return h->n;
}
