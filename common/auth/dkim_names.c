/* dkim_names - the fields that signatures name; see dkim_int.h. */
#include <pthread.h>

#include "common/auth/dkim_int.h"
#include "common/base/check.h"
#include "common/base/siphash.h"
#include "common/mail/taglist.h"

enum { STEP = 120, SLOTS_MIN = 16 };

struct dkim_name {
	struct span name;               /* as some h= has it; absent: the slot is free */
	uint32_t last;                  /* the bottommost field of that name */
	uint32_t at, turn;              /* the next one to take in this turn */
};

/* Made once per process: names of fields are chosen by senders. */
static struct siphash_key seed;
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void
make_seed(void)
{
	siphash_key_make(&seed);
}

/* Without case; long names step by step, each step with the hash of what went before. */
static size_t
hash_of(struct span name)
{
	struct {
		uint64_t before;
		char lower[STEP];
	} in = { .before = name.n };

	do {
		size_t n = MIN(name.n, sizeof in.lower);

		for (size_t i = 0; i < n; i++)
			in.lower[i] = (char)ascii_lower((unsigned char)name.p[i]);
		in.before = siphash(&seed, span_of((const char *)&in, offsetof(__typeof__(in), lower) + n));
		name = span_from(name, n);
	} while (name.n > 0);
	return (size_t)in.before;
}

/* Its slot, or the free one where it belongs. */
static struct dkim_name *
find(const struct dkim_names *x, struct span name)
{
	size_t i = hash_of(name) & (x->slot_count - 1);

	while (!span_is_null(x->slots[i].name) && !span_eq_nocase(x->slots[i].name, name))
		i = (i + 1) & (x->slot_count - 1);
	return &x->slots[i];
}

enum rc
dkim_names_init(struct dkim_names *x, struct arena *a, size_t name_count)
{
	size_t slots = SLOTS_MIN;

	REQUIRE(pthread_once(&seeded, make_seed) == 0);
	while (slots / 2 < name_count)
		slots *= 2;
	*x = (struct dkim_names){ .slots = arena_array(a, struct dkim_name, slots), .slot_count = slots, .turn = 1 };
	return x->slots != NULL ? RC_OK : RC_LIMIT;
}

void
dkim_names_add(struct dkim_names *x, struct span h)
{
	struct span name;

	while (taglist_item(&h, &name)) {
		struct dkim_name *slot = find(x, name);

		if (!span_is_null(slot->name) || FAILS_CHECK(x->n < x->slot_count / 2))
			continue;
		x->n++;
		*slot = (struct dkim_name){ .name = name, .last = DKIM_NO_FIELD };
	}
}

/* As header_is() has it. */
static struct span
bare(struct span name)
{
	while (name.n > 0 && (ascii_is_wsp((unsigned char)name.p[name.n - 1]) || name.p[name.n - 1] == '\r' || name.p[name.n - 1] == '\n'))
		name.n--;
	return name;
}

enum rc
dkim_names_index(struct dkim_names *x, struct arena *a, const struct header_block *h)
{
	if (h->n >= DKIM_NO_FIELD)
		return RC_LIMIT;
	x->up = arena_array(a, uint32_t, h->n);
	if (x->up == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < h->n; i++) {
		struct dkim_name *slot = find(x, bare(h->v[i].name));

		x->up[i] = DKIM_NO_FIELD;
		if (span_is_null(slot->name))
			continue;
		x->up[i] = slot->last;
		slot->last = (uint32_t)i;
	}
	return RC_OK;
}

void
dkim_names_rewind(struct dkim_names *x)
{
	x->turn++;
}

uint32_t
dkim_names_take(struct dkim_names *x, struct span name)
{
	struct dkim_name *slot = find(x, name);
	uint32_t field;

	if (span_is_null(slot->name))
		return DKIM_NO_FIELD;
	if (slot->turn != x->turn) {
		slot->turn = x->turn;
		slot->at = slot->last;
	}
	field = slot->at;
	if (field != DKIM_NO_FIELD)
		slot->at = x->up[field];
	return field;
}
