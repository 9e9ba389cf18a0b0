/*
 * exclusion - common.exclusion_addresses as a set: ranges written in the settings and in the files that they name.
 */
#ifndef ENMA_WORKER_EXCLUSION_H
#define ENMA_WORKER_EXCLUSION_H

#include "common/base/ip.h"
#include "common/conf/snapshot.h"

/* Items are separated by commas; one that begins with '/' names a file of the snapshot with one range a line ('#' begins a comment).
 * RC_OK (an empty set when nothing is excluded) or RC_SYNTAX with one line in why. */
NODISCARD enum rc exclusion_create(const struct snapshot *snapshot, struct ip_set **out, char *why, size_t size);

#endif
