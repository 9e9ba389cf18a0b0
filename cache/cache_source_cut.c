/* cache_source_cut - below a name that does not exist there is nothing (RFC 8020); see cache_source.h. */
#include "cache/cache_source_int.h"

/*
 * The name itself and the names above it, without the root; of more than CACHE_SOURCE_CUT_MAX above, those nearest to the root: they deny
 * most.  at: where their labels begin, from the whole name on.
 */
static size_t
names_above(const struct dns_name *name, uint8_t at[CACHE_SOURCE_CUT_MAX + 1])
{
	uint8_t begins[DNS_NAME_WIRE_MAX];
	size_t n = 0, left_out, count;

	for (size_t i = 0; i < name->n && name->w[i] != 0; i += name->w[i] + 1u)
		begins[n++] = (uint8_t)i;
	if (n == 0)
		return 0;
	count = MIN(n, (size_t)CACHE_SOURCE_CUT_MAX + 1);
	left_out = n - count;
	at[0] = 0;
	for (size_t i = 1; i < count; i++)
		at[i] = begins[left_out + i];
	return count;
}

const struct dns_answer *
cut_find(struct source *s, const struct dns_name *name, int64_t now_s)
{
	uint8_t at[CACHE_SOURCE_CUT_MAX + 1];
	size_t n = names_above(name, at);

	while (n-- > 0) {
		struct dns_name above = { .n = (uint8_t)(name->n - at[n]) };
		const struct dns_answer *a;

		memcpy(above.w, name->w + at[n], above.n);
		if (cache_get_dns(s->o.cache, &above, SOURCE_CUT_TYPE, CACHE_LOOK_AGAIN, now_s, &a) != RC_OK)
			continue;
		if (a->status == DNS_NXDOMAIN)
			return a;
		dns_answer_unref(a);
	}
	return NULL;
}

void
cut_offer(struct source *s, const struct dns_name *name, const struct dns_answer *a, uint64_t epoch, int64_t now_s)
{
	/* When CNAMEs led away, it is another name that does not exist. */
	if (s->o.nxdomain_cut && a->status == DNS_NXDOMAIN && !a->is_alias)
		(void)cache_offer_dns(s->o.cache, name, SOURCE_CUT_TYPE, a, epoch, now_s);
}
