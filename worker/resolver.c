/* resolver - the source of answers that the settings ask for; see resolver.h. */
#include "worker/resolver.h"

#include <stdio.h>
#include <stdlib.h>

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

enum rc
resolver_create(const struct snapshot *snapshot, struct dns_source **out, struct dns_source **loop_out, char *why, size_t size)
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
	rc = dns_unbound_create(&o, loop_out, why, size);
	if (rc != RC_OK)
		return rc;
	*out = *loop_out;
	if (conf->resolver_zone[0] == '\0')
		return RC_OK;
	zone = snapshot_file(snapshot, conf->resolver_zone);
	if (span_is_null(zone)) {
		snprintf(why, size, "resolver.zone: %s is not in the snapshot", conf->resolver_zone);
		return RC_SYNTAX;
	}
	return put_zone_in_front(zone, conf->resolver_zone, *loop_out, out, why, size);
}
