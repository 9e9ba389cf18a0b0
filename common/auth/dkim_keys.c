/* dkim_keys - see dkim_keys.h. */
#include "common/auth/dkim_keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/siphash.h"
#include "common/base/xalloc.h"

enum {
	PART_ROOM = 16,         /* keys of a part: few enough to look at all of them */
	ROOM_MAX = 1 << 20,
	P_MAX = 4 * KIB,        /* longer texts are not kept: the longest key that is of use takes 1.5 KiB */
};

struct entry {
	struct crypto_key *key;         /* NULL: free */
	enum crypto_key_kind kind;
	uint64_t hash, used;
	size_t n;
	char *p;
};

struct part {
	pthread_mutex_t lock;
	uint64_t clock;                 /* of uses */
	struct entry v[PART_ROOM];
};

struct dkim_keys {
	struct siphash_key seed;        /* who publishes keys must not choose what they push out */
	size_t part_count;
	struct part parts[];
};

struct dkim_keys *
dkim_keys_create(size_t room)
{
	size_t parts = (MIN(MAX(room, (size_t)1), (size_t)ROOM_MAX) + PART_ROOM - 1) / PART_ROOM;
	struct dkim_keys *k = xcalloc(1, sizeof *k + parts * sizeof k->parts[0]);

	siphash_key_make(&k->seed);
	k->part_count = parts;
	for (size_t i = 0; i < parts; i++)
		REQUIRE(pthread_mutex_init(&k->parts[i].lock, NULL) == 0);
	return k;
}

static void
entry_clear(struct entry *e)
{
	crypto_key_unref(e->key);
	free(e->p);
	*e = (struct entry){ 0 };
}

void
dkim_keys_flush(struct dkim_keys *k)
{
	for (size_t i = 0; i < k->part_count; i++) {
		struct part *part = &k->parts[i];

		pthread_mutex_lock(&part->lock);
		for (size_t j = 0; j < PART_ROOM; j++)
			entry_clear(&part->v[j]);
		pthread_mutex_unlock(&part->lock);
	}
}

void
dkim_keys_destroy(struct dkim_keys **k)
{
	if (*k == NULL)
		return;
	dkim_keys_flush(*k);
	for (size_t i = 0; i < (*k)->part_count; i++)
		pthread_mutex_destroy(&(*k)->parts[i].lock);
	free(*k);
	*k = NULL;
}

static struct part *
part_of(struct dkim_keys *k, struct span p, uint64_t *hash_out)
{
	*hash_out = siphash(&k->seed, p);
	return &k->parts[(*hash_out >> 32) % k->part_count];
}

/* With the part's lock. */
static struct entry *
find(struct part *part, enum crypto_key_kind kind, struct span p, uint64_t hash)
{
	for (size_t i = 0; i < PART_ROOM; i++) {
		struct entry *e = &part->v[i];

		if (e->key != NULL && e->hash == hash && e->kind == kind && span_eq(span_of(e->p, e->n), p))
			return e;
	}
	return NULL;
}

struct crypto_key *
dkim_keys_get(struct dkim_keys *k, enum crypto_key_kind kind, struct span p)
{
	struct crypto_key *key = NULL;
	struct entry *e;
	struct part *part;
	uint64_t hash;

	if (p.n > P_MAX)
		return NULL;
	part = part_of(k, p, &hash);
	pthread_mutex_lock(&part->lock);
	if ((e = find(part, kind, p, hash)) != NULL) {
		e->used = ++part->clock;
		key = crypto_key_ref(e->key);
	}
	pthread_mutex_unlock(&part->lock);
	return key;
}

/* A free place, or the one used longest ago. */
static struct entry *
victim(struct part *part)
{
	struct entry *best = &part->v[0];

	for (size_t i = 1; i < PART_ROOM && best->key != NULL; i++)
		if (part->v[i].key == NULL || part->v[i].used < best->used)
			best = &part->v[i];
	return best;
}

void
dkim_keys_put(struct dkim_keys *k, enum crypto_key_kind kind, struct span p, struct crypto_key *key)
{
	struct entry fresh = { .kind = kind, .n = p.n }, old = { 0 };
	struct entry *e;
	struct part *part;

	if (p.n > P_MAX)
		return;
	part = part_of(k, p, &fresh.hash);
	fresh.p = xmalloc(p.n);
	if (p.n > 0)
		memcpy(fresh.p, p.p, p.n);
	fresh.key = crypto_key_ref(key);
	pthread_mutex_lock(&part->lock);
	fresh.used = ++part->clock;
	if ((e = find(part, kind, p, fresh.hash)) == NULL)
		e = victim(part);
	old = *e;
	*e = fresh;
	pthread_mutex_unlock(&part->lock);
	entry_clear(&old);
}
