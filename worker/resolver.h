/*
 * resolver - the source of answers that the settings ask for: fixed answers in front, then the shared cache, libunbound behind.
 */
#ifndef ENMA_WORKER_RESOLVER_H
#define ENMA_WORKER_RESOLVER_H

#include "cache/cache.h"
#include "common/conf/snapshot.h"
#include "common/dns/dns.h"
#include "common/ipc/claims.h"

struct resolver {
	struct dns_source *answers;     /* to be asked */
	struct dns_source *loop;        /* libunbound behind it: for its beat and its flush */
	struct dns_source *cached;      /* the shared cache between them; NULL: none */
};

/* cache NULL: none, then claims and board are not used.  RC_OK; nothing of *out is ever destroyed: it lives as long as the process.  RC_SYNTAX or
 * RC_TEMP: why, one line. */
NODISCARD enum rc resolver_create(const struct snapshot *snapshot, struct cache *cache, struct claims *claims, struct board *board,
                                  struct resolver *out, char *why, size_t size);

#endif
