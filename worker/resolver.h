/*
 * resolver - the source of answers that the settings ask for: fixed answers in front, libunbound behind.
 */
#ifndef ENMA_WORKER_RESOLVER_H
#define ENMA_WORKER_RESOLVER_H

#include "common/conf/snapshot.h"
#include "common/dns/dns.h"

/* RC_OK: *out answers; *loop_out is the libunbound behind it (for its beat).  Neither is ever destroyed: they live as long as the
 * process.  RC_SYNTAX or RC_TEMP: why, one line. */
NODISCARD enum rc resolver_create(const struct snapshot *snapshot, struct dns_source **out, struct dns_source **loop_out, char *why,
                                  size_t size);

#endif
