/* claims - who asks which question right now; see claims.h. */
#include "common/ipc/claims.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/siphash.h"

enum {
	CLAIMS_MAGIC = 0x434c4d31,
	TAG_BITS = 22, PID_BITS = 22, END_BITS = 20,
	UNIT_MS = 100,
	LIFE_UNITS = CLAIMS_LIFE_MS / UNIT_MS + 1,      /* the first one has begun already */
	TRIES = 16,                     /* others change the slot at the same time: one of them wins each time */
};
#define TAG_MASK (((uint64_t)1 << TAG_BITS) - 1)
#define PID_MASK (((uint64_t)1 << PID_BITS) - 1)
#define END_MASK (((uint64_t)1 << END_BITS) - 1)

_Static_assert(TAG_BITS + PID_BITS + END_BITS == 64, "one word");
_Static_assert((CLAIMS_SLOTS & (CLAIMS_SLOTS - 1)) == 0, "a slot is chosen by bits");

struct claims {
	uint32_t magic, slots;
	struct siphash_key key;
	_Atomic uint64_t slot[CLAIMS_SLOTS];    /* 0: free */
};

enum rc
claims_create(int *fd_out, struct claims **out)
{
	struct claims *t;
	int fd;

	*fd_out = -1;
	*out = NULL;
	if (fdio_memfd_shared("enma-claims", sizeof *t, &fd) != RC_OK)
		return RC_TEMP;
	t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t == MAP_FAILED) {
		close(fd);
		return RC_TEMP;
	}
	t->magic = CLAIMS_MAGIC;
	t->slots = CLAIMS_SLOTS;
	siphash_key_make(&t->key);
	*fd_out = fd;
	*out = t;
	return RC_OK;
}

enum rc
claims_attach(int fd, struct claims **out)
{
	struct stat st;
	struct claims *t;

	*out = NULL;
	/* Sealed: who shrinks it would end all others. */
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)sizeof *t || !fdio_has_seals(fd, F_SEAL_SHRINK))
		return RC_SYNTAX;
	t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t == MAP_FAILED)
		return RC_SYNTAX;
	if (t->magic != CLAIMS_MAGIC || t->slots != CLAIMS_SLOTS) {
		munmap(t, sizeof *t);
		return RC_SYNTAX;
	}
	*out = t;
	return RC_OK;
}

void
claims_detach(struct claims **t)
{
	if (*t != NULL)
		munmap(*t, sizeof **t);
	*t = NULL;
}

uint64_t
claims_hash(const struct claims *t, struct span key)
{
	return siphash(&t->key, key);
}

/* ---- one word -------------------------------------------------------------------------------------------- */

static _Atomic uint64_t *
slot_of(struct claims *t, uint64_t hash)
{
	return &t->slot[hash & (CLAIMS_SLOTS - 1)];
}

static uint64_t
tag_of(uint64_t hash)
{
	return hash >> (64 - TAG_BITS);
}

static uint64_t
word_of(uint64_t hash, pid_t owner, int64_t now_ms)
{
	uint64_t end = (uint64_t)(now_ms / UNIT_MS + LIFE_UNITS) & END_MASK;

	return tag_of(hash) << (PID_BITS + END_BITS) | ((uint64_t)owner & PID_MASK) << END_BITS | end;
}

static bool
is_tagged(uint64_t word, uint64_t hash)
{
	return word >> (PID_BITS + END_BITS) == tag_of(hash);
}

static uint64_t
owner_of(uint64_t word)
{
	return word >> END_BITS & PID_MASK;
}

/* An end farther away than a claim can be lies in the past, or was not written by us. */
static bool
is_alive(uint64_t word, int64_t now_ms)
{
	uint64_t left = (word - (uint64_t)(now_ms / UNIT_MS)) & END_MASK;

	return owner_of(word) != 0 && left >= 1 && left <= LIFE_UNITS;
}

/* ---- claims ---------------------------------------------------------------------------------------------- */

enum claim
claims_take(struct claims *t, uint64_t hash, pid_t me, int64_t now_ms)
{
	_Atomic uint64_t *slot = slot_of(t, hash);
	uint64_t was = atomic_load_explicit(slot, memory_order_relaxed), mine = word_of(hash, me, now_ms);

	for (int tries = 0; tries < TRIES; tries++) {
		if (is_alive(was, now_ms) && !is_tagged(was, hash))
			return CLAIM_NONE;
		if (is_alive(was, now_ms) && owner_of(was) != owner_of(mine))
			return CLAIM_OTHERS;
		if (atomic_compare_exchange_strong_explicit(slot, &was, mine, memory_order_acq_rel, memory_order_relaxed))
			return CLAIM_MINE;
	}
	return CLAIM_NONE;
}

void
claims_release(struct claims *t, uint64_t hash, pid_t me)
{
	_Atomic uint64_t *slot = slot_of(t, hash);
	uint64_t was = atomic_load_explicit(slot, memory_order_relaxed);

	for (int tries = 0; tries < TRIES && is_tagged(was, hash) && owner_of(was) == ((uint64_t)me & PID_MASK); tries++)
		if (atomic_compare_exchange_strong_explicit(slot, &was, 0, memory_order_acq_rel, memory_order_relaxed))
			return;
}

bool
claims_is_others(const struct claims *t, uint64_t hash, pid_t me, int64_t now_ms)
{
	uint64_t word = atomic_load_explicit(slot_of((struct claims *)(uintptr_t)t, hash), memory_order_acquire);

	return is_alive(word, now_ms) && is_tagged(word, hash) && owner_of(word) != ((uint64_t)me & PID_MASK);
}

void
claims_release_all(struct claims *t, pid_t owner)
{
	for (size_t i = 0; i < CLAIMS_SLOTS; i++) {
		uint64_t was = atomic_load_explicit(&t->slot[i], memory_order_relaxed);

		/* When it changes under us, a living process has it now. */
		if (owner_of(was) == ((uint64_t)owner & PID_MASK))
			(void)atomic_compare_exchange_strong_explicit(&t->slot[i], &was, 0, memory_order_acq_rel,
			    memory_order_relaxed);
	}
}
