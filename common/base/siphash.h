/*
 * siphash - SipHash-2-4: a keyed hash for tables whose keys come from outside.  Who does not know the key cannot choose bytes that meet.
 *
 * Pure; any thread.
 */
#ifndef ENMA_BASE_SIPHASH_H
#define ENMA_BASE_SIPHASH_H

#include "common/base/defs.h"
#include "common/base/span.h"

struct siphash_key {
	uint64_t k[2];
};

/* From the kernel's generator. */
void siphash_key_make(struct siphash_key *out);
uint64_t siphash(const struct siphash_key *key, struct span bytes);

#endif
