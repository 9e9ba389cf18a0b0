/*
 * forwarders - which servers the resolver asks: from the settings, else from resolv.conf.
 *
 * Forms: ADDRESS or ADDRESS@PORT; an IPv6 address may carry a zone (fe80::1%eth0).  Shared by the files of common/dns alone.
 */
#ifndef ENMA_DNS_FORWARDERS_H
#define ENMA_DNS_FORWARDERS_H

#include "common/dns/dns_unbound.h"

enum {
	FORWARDERS_MAX = 32,
	FORWARDER_TEXT_MAX = 96,
	RESOLV_CONF_MAX = 64 * KIB,     /* bytes that are looked at */
};

struct forwarders {
	size_t n;
	char v[FORWARDERS_MAX][FORWARDER_TEXT_MAX];
};

/* RC_SYNTAX with a reason for the first bad one; why may hold a remark with RC_OK.  None for a recursive resolver. */
NODISCARD enum rc forwarders_collect(const struct dns_unbound_options *o, struct forwarders *out, char *why, size_t size);

#endif
