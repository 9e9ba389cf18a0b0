/*
 * cache_crc - CRC-32C (Castagnoli), the checksum of entries.
 *
 * Why a CRC and not a keyed hash: what happens to a file by accident is short - a flipped bit, a torn or zeroed stretch of a few bytes - and a
 * CRC promises to find it: every burst of up to 32 bits, every 1 to 3 wrong bits of an entry of any size that we store, up to 5 in the first
 * 650 bytes.  A hash would only make it likely.  Larger damage slips through once in 2^32 reads of damaged entries.  Against somebody who writes
 * the file on purpose neither helps: the file is readable and writable by its owner alone.
 *
 * x86-64 computes it in hardware (about 8 bytes a cycle); elsewhere a table of 8 KiB does.
 */
#ifndef ENMA_CACHE_CACHE_CRC_H
#define ENMA_CACHE_CACHE_CRC_H

#include "common/base/span.h"

/* Goes on from the sum of what came before; begin with 0.  Any thread. */
uint32_t cache_crc(uint32_t sum, struct span bytes);

/* The two ways, for tests: the portable one, and whether this machine has the other. */
uint32_t cache_crc_portable(uint32_t sum, struct span bytes);
bool cache_crc_is_fast(void);

#endif
