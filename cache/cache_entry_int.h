/*
 * cache_entry_int - writing and reading value bytes; shared by the files of cache_entry alone.
 *
 * Both remember a failure and go on harmlessly: write or read freely, look once at the end.
 */
#ifndef ENMA_CACHE_CACHE_ENTRY_INT_H
#define ENMA_CACHE_CACHE_ENTRY_INT_H

#include "cache/cache_entry.h"

enum {
	ENTRY_CRC_BYTES = 4,
	ENTRY_HEAD_BYTES = 26,
	ENTRY_ABSENT = 0xffff,          /* the length of an absent text */
};

struct entry_writer {
	uint8_t *p;
	size_t n, room;
	bool failed;
};

struct entry_reader {
	const uint8_t *p;
	size_t left;
	bool failed;
};

void entry_write(struct entry_writer *w, const void *p, size_t n);
void entry_write_number(struct entry_writer *w, uint64_t v, size_t bytes);
/* NULL (and failed) when so many are not there. */
const uint8_t *entry_read(struct entry_reader *r, size_t n);
uint64_t entry_read_number(struct entry_reader *r, size_t bytes);

struct entry_writer entry_begin(const struct cache_entry_head *h, void *out, size_t size);
/* Puts the checksum in front. */
NODISCARD enum rc entry_end(struct entry_writer *w, struct span key, size_t *n_out);
/* Checks the head and its checksum; the reader stands behind it. */
NODISCARD enum rc entry_open(struct span key, struct span value, struct cache_entry_head *h, struct entry_reader *r);

/* The body alone, as cache_entry_get_*() read it. */
NODISCARD enum rc entry_check_dns(const struct cache_entry_head *h, struct entry_reader r);
NODISCARD enum rc entry_check_spf(const struct cache_entry_head *h, struct entry_reader r);

#endif
