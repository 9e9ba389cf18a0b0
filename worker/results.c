/* results - results of before from the shared cache; see results.h. */
#include "worker/results.h"

#include "common/base/clock.h"
#include "common/base/domain.h"
#include "common/base/siphash.h"

uint64_t
results_digest(const struct conf *conf, struct span zone)
{
	/* The same in all workers, and after a restart: a name for settings, no secret. */
	static const struct siphash_key key = { { 1, 2 } };
	struct buf b = buf_heap(256);
	uint64_t digest;

	/* spf.explog: with it a fail may have an explanation, and such a result is not kept. */
	buf_fmt(&b, "void=%lld exp=%d anchor=%d zone=%llx", (long long)conf->spf_void_limit, conf->spf_explog,
	    conf->resolver_trust_anchor[0] != '\0', (unsigned long long)siphash(&key, zone));
	digest = siphash(&key, buf_text(&b));
	buf_fini(&b);
	return digest;
}

void
results_init(struct results *r, struct cache *cache, const struct snapshot *snapshot)
{
	const struct conf *conf = snapshot_conf(snapshot);
	struct span zone = SPAN("");

	if (conf->resolver_zone[0] != '\0')
		zone = snapshot_file(snapshot, conf->resolver_zone);
	*r = (struct results){ .cache = conf->cache_results ? cache : NULL, .digest = results_digest(conf, zone) };
}

/* The name as SPF takes it.  A final dot would show in the result's text, so such names do without the cache. */
static bool
domain_name(struct arena *a, struct span domain, struct dns_name *out)
{
	struct span plain;

	return domain_normalize(a, domain, &plain) == RC_OK && domain_is_valid(plain, 2) && plain.p[plain.n - 1] != '.' &&
	    dns_name_from_text(plain, out) == RC_OK;
}

static bool
get_spf(void *arg, struct arena *a, const struct ip *client, struct span domain, struct spf_outcome *out)
{
	const struct results_hooks *h = arg;
	struct dns_name name;

	return domain_name(a, domain, &name) && cache_get_spf(h->shared->cache, a, client, &name, h->shared->digest, h->now_s, out) == RC_OK;
}

static void
put_spf(void *arg, const struct ip *client, struct span domain, const struct spf_outcome *o)
{
	const struct results_hooks *h = arg;
	struct dns_name name;
	struct arena arena;

	/* What rests on an answer that has ended shall not look fresh. */
	if (lookup_stats(h->lookup).stale > 0 || o->depends_on_message)
		return;
	arena_init(&arena, 512, 8 * KIB);
	if (domain_name(&arena, domain, &name))
		(void)cache_offer_spf(h->shared->cache, client, &name, h->shared->digest, o, h->epoch, clock_wall_s());
	arena_fini(&arena);
}

void
results_begin(struct results_hooks *h, const struct results *r, const struct lookup *lookup, int64_t now_s)
{
	*h = (struct results_hooks){ .shared = r, .lookup = lookup, .now_s = now_s };
	if (r == NULL || r->cache == NULL)
		return;
	h->epoch = cache_epoch(r->cache);
	h->eval = (struct eval_results){ .get_spf = get_spf, .put_spf = put_spf, .arg = h };
}
