/* resolver - the source of answers that the settings ask for; see resolver.h. */
#include "worker/resolver.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/cache_source.h"
#include "common/dns/dns_fixture.h"
#include "common/dns/dns_unbound.h"

static enum rc
put_zone_in_front(struct span text, const char *path, struct dns_source *next, struct dns_source **out, char *why, size_t size)
{
	struct zone *zone;
	char *reason;

	if (zone_parse(text, &zone, &reason) != RC_OK) {
		reason[strcspn(reason, "\n")] = '\0';
		snprintf(why, size, "resolver.zone: %s: %s", path, reason);
		free(reason);
		return RC_SYNTAX;
	}
	*out = dns_fixture_create(zone, next);
	return RC_OK;
}

static struct dns_source *
put_cache_in_front(const struct conf *conf, struct cache *cache, struct claims *claims, struct board *board, struct dns_source *next)
{
	struct cache_source_options o = {
		.cache = cache, .claims = claims, .board = board, .next = next, .nxdomain_cut = conf->cache_nxdomain_cut,
		.stale_s = conf->cache_serve_stale ? (uint32_t)conf->cache_stale_ttl : 0,
	};

	return cache_source_create(&o);
}

enum rc
resolver_create(const struct snapshot *snapshot, struct cache *cache, struct claims *claims, struct board *board, struct resolver *out,
                char *why, size_t size)
{
	const struct conf *conf = snapshot_conf(snapshot);
	struct dns_unbound_options o = {
		.forward = (const char *const *)conf->resolver_forward.v, .forward_count = conf->resolver_forward.n,
		.is_recursive = conf->resolver_recursive, .resolvconf = conf->resolver_resolvconf,
	};
	struct span zone;
	enum rc rc;

	if (conf->resolver_trust_anchor[0] != '\0')
		o.trust_anchor = snapshot_file(snapshot, conf->resolver_trust_anchor);
	*out = (struct resolver){ .answers = NULL };
	rc = dns_unbound_create(&o, &out->loop, why, size);
	if (rc != RC_OK)
		return rc;
	out->answers = out->loop;
	if (cache != NULL)
		out->answers = out->cached = put_cache_in_front(conf, cache, claims, board, out->loop);
	if (conf->resolver_zone[0] == '\0')
		return RC_OK;
	zone = snapshot_file(snapshot, conf->resolver_zone);
	if (span_is_null(zone)) {
		snprintf(why, size, "resolver.zone: %s is not in the snapshot", conf->resolver_zone);
		return RC_SYNTAX;
	}
	return put_zone_in_front(zone, conf->resolver_zone, out->answers, &out->answers, why, size);
}
