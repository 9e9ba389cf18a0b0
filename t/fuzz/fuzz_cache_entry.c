/*
 * fuzz_cache_entry - any key with any value: byte 0 is the length of the key, the value follows it.
 *
 * Tried as it is, and with the checksum put right, so that what lies behind it is reached.  What is accepted is stored again and must
 * then say the same; a key that is accepted is made again from its parts.
 */
#include <stdlib.h>

#include "cache/cache_crc.h"
#include "cache/cache_entry.h"
#include "cache/cache_key.h"
#include "common/base/check.h"
#include "common/base/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cache_ttl_rules rules = { .max_s = CACHE_TTL_MAX_S, .max_negative_s = CACHE_TTL_MAX_S, .failure_s = 30 };

static void
check_key(struct span key)
{
	struct cache_key_parts parts;
	struct cache_key again;

	if (cache_key_parse(key, &parts) != RC_OK)
		return;
	if (parts.kind == CACHE_DNS)
		REQUIRE(cache_key_dns(&parts.name, parts.type, &again) == RC_OK);
	else
		REQUIRE(cache_key_result((enum cache_result_what)parts.what, parts.version, parts.digest, &parts.client, &parts.name, &again) == RC_OK);
	REQUIRE(span_eq(cache_key_span(&again), key));
}

static void
check_answer(struct span key, uint16_t type, struct span value, const struct dns_answer *a, int64_t now_s)
{
	uint8_t *out = xmalloc(CACHE_VALUE_MAX);
	const struct dns_answer *b;
	enum cache_age age;
	size_t n, i;

	REQUIRE(a->ttl_s > 0 && a->rr_count <= DNS_ANSWER_RRS_MAX && a->is_from_cache);
	if (cache_entry_put_dns(key, type, a, &rules, now_s, out, CACHE_VALUE_MAX, &n) == RC_OK) {
		REQUIRE(n == value.n);
		REQUIRE(cache_entry_get_dns(key, type, span_of((char *)out, n), 0, now_s, &b, &age) == RC_OK);
		REQUIRE(age == CACHE_FRESH && a->status == b->status && a->rr_count == b->rr_count && a->is_secure == b->is_secure);
		for (i = 0; i < a->rr_count; i++) {
			REQUIRE(a->rr[i].ttl_s == b->rr[i].ttl_s && a->rr[i].preference == b->rr[i].preference);
			REQUIRE(span_eq(a->rr[i].text, b->rr[i].text) && (a->rr[i].name == NULL) == (b->rr[i].name == NULL));
		}
		dns_answer_unref(b);
	}
	free(out);
}

static void
check_value(struct span key, struct span value)
{
	struct cache_entry_head h;
	const struct dns_answer *a;
	struct spf_outcome o;
	enum cache_age age;
	struct arena arena;

	if (cache_entry_head(key, value, &h) != RC_OK) {
		REQUIRE(cache_entry_check(key, value) == RC_SYNTAX);
		REQUIRE(cache_entry_get_dns(key, 16, value, 0, 0, &a, &age) == RC_SYNTAX);
		return;
	}
	if (cache_entry_get_dns(key, h.type, value, 3600, h.stored_s, &a, &age) == RC_OK) {
		check_answer(key, h.type, value, a, h.stored_s);
		dns_answer_unref(a);
	}
	/* What passes this is of use to a reader; the other way round the key's own form counts, too. */
	if (cache_entry_check(key, value) == RC_OK && h.kind == CACHE_DNS) {
		REQUIRE(cache_entry_get_dns(key, h.type, value, 0, h.stored_s, &a, &age) == RC_OK);
		dns_answer_unref(a);
	}
	arena_init(&arena, 1 * KIB, 1 * MIB);
	if (cache_entry_get_spf(&arena, key, value, h.stored_s, &o) == RC_OK)
		REQUIRE(o.ttl_s == h.life_s && !o.depends_on_message && o.result <= SPF_PERMERROR);
	arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t key_n = size > 0 ? MIN((size_t)data[0], size - 1) : 0, n = size > 0 ? size - 1 - key_n : 0, i;
	struct span key = span_of((const char *)data + MIN(size, (size_t)1), key_n);
	uint8_t *copy = xmalloc(n);
	struct span value = span_of((char *)copy, n);
	uint32_t sum;

	if (n > 0)
		memcpy(copy, data + 1 + key_n, n);
	check_key(key);
	check_value(key, value);
	if (n >= 4) {
		sum = cache_crc(cache_crc(0, key), span_from(value, 4));
		for (i = 0; i < 4; i++)
			copy[i] = (uint8_t)(sum >> (24 - 8 * i));
		check_value(key, value);
	}
	free(copy);
	return 0;
}
