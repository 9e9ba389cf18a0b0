/*
 * fuzz_cache_feed - any packet as a worker could send it: what passes is an entry that a reader can use, and lies inside the packet.
 */
#include "cache/cache_crc.h"
#include "cache/cache_entry.h"
#include "cache/cache_feed.h"
#include "common/base/check.h"
#include "common/base/xalloc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000 };

static void
check_packet(struct span packet)
{
	struct cache_feed_rules rules = { .stale_s = 3600, .now_s = NOW };
	struct cache_db_item item;
	struct cache_offer o;

	if (cache_feed_parse(packet, &o) != RC_OK)
		return;
	REQUIRE(o.key.p == packet.p + CACHE_FEED_HEAD && o.value.p == o.key.p + o.key.n && o.value.p + o.value.n == packet.p + packet.n);
	REQUIRE(o.key.n > 0 && o.key.n <= CACHE_KEY_MAX && o.value.n > 0 && o.value.n <= CACHE_VALUE_MAX);
	(void)cache_feed_keeps(&rules, o.key, o.value, o.value);
	if (cache_feed_accept(&o, 3600, NOW, &item) == RC_OK) {
		REQUIRE(cache_entry_check(item.key, item.value) == RC_OK);
		REQUIRE(item.end_s > NOW - CACHE_FEED_LATE_S && item.end_s <= NOW + CACHE_FEED_EARLY_S + CACHE_TTL_MAX_S + 3600);
		REQUIRE(!cache_feed_keeps(&rules, o.key, o.value, o.value));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = xmalloc(size);
	struct span packet = span_of((char *)copy, size);
	struct cache_offer o;

	if (size > 0)
		memcpy(copy, data, size);
	check_packet(packet);
	/* The checksum put right. */
	if (cache_feed_parse(packet, &o) == RC_OK && o.value.n > 4) {
		uint32_t sum = cache_crc(cache_crc(0, o.key), span_from(o.value, 4));
		uint8_t *p = (uint8_t *)(uintptr_t)o.value.p;

		for (int i = 0; i < 4; i++)
			p[i] = (uint8_t)(sum >> (24 - 8 * i));
		check_packet(packet);
	}
	free(copy);
	return 0;
}
