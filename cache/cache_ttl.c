/* cache_ttl - how long an entry lives; see cache_ttl.h. */
#include "cache/cache_ttl.h"

const struct cache_ttl_rules cache_ttl_defaults = { .min_s = 5, .max_s = 86400, .max_negative_s = 3600, .failure_s = 10 };

/* The upper limit wins when the settings cross. */
static uint32_t
clamp(uint32_t v, uint32_t min, uint32_t max)
{
	return MIN(MIN(MAX(v, min), max), (uint32_t)CACHE_TTL_MAX_S);
}

uint32_t
cache_ttl_answer(const struct cache_ttl_rules *r, enum dns_status status, uint32_t ttl_s)
{
	switch (status) {
	case DNS_OK:
		return clamp(ttl_s, r->min_s, r->max_s);
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return ttl_s == 0 ? 0 : clamp(ttl_s, r->min_s, MIN(r->max_s, r->max_negative_s));
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
	case DNS_BOGUS:
	case DNS_MALFORMED:
		return MIN(r->failure_s, (uint32_t)CACHE_FAILURE_TTL_MAX_S);
	case DNS_LIMIT:         /* these say nothing about the name */
	case DNS_CANCELLED:
		break;
	}
	return 0;
}

uint32_t
cache_ttl_result(const struct cache_ttl_rules *r, uint32_t ttl_s)
{
	return ttl_s == 0 ? 0 : clamp(ttl_s, r->min_s, MIN(r->max_s, r->max_negative_s));
}

enum cache_age
cache_ttl_age(int64_t stored_s, uint32_t life_s, uint32_t stale_s, bool may_be_stale, int64_t now_s, uint32_t *left_s_out)
{
	int64_t age_s;

	*left_s_out = 0;
	if (now_s < stored_s || __builtin_sub_overflow(now_s, stored_s, &age_s))
		return CACHE_EXPIRED;
	if (age_s < (int64_t)life_s) {
		*left_s_out = life_s - (uint32_t)age_s;
		return CACHE_FRESH;
	}
	return may_be_stale && age_s - (int64_t)life_s < (int64_t)stale_s ? CACHE_STALE : CACHE_EXPIRED;
}

int64_t
cache_ttl_end(int64_t stored_s, uint32_t life_s, uint32_t stale_s, bool may_be_stale)
{
	int64_t end_s;

	return __builtin_add_overflow(stored_s, (int64_t)life_s + (may_be_stale ? stale_s : 0), &end_s) ? INT64_MAX : end_s;
}
