/*
 * domain - names of hosts and domains as text.
 *
 * Text here has no escapes: a backslash is a byte like any other.  Comparison is ASCII case-insensitive.  U-labels become
 * A-labels through libidn2 (this file's .c is its only door).
 */
#ifndef ENMA_BASE_DOMAIN_H
#define ENMA_BASE_DOMAIN_H

#include "common/base/arena.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	DOMAIN_MAX = 253,       /* without the final dot */
	DOMAIN_LABEL_MAX = 63,
};

/* True for a name that may claim an identity: at least min_labels labels of letters, digits, '-' and '_' (RFC 1123 with the
 * underscore that operators use), none empty or over 63 bytes or with '-' at its ends, 253 bytes in all, one final dot allowed.
 * The last label of a host name is not all digits. */
bool domain_is_valid(struct span name, unsigned min_labels);

/* Lower-case, final dot removed, U-labels to A-labels (IDNA 2008 with the TR46 mapping); validated as above with one label
 * at least.  RC_SYNTAX when it is no such name, RC_LIMIT at the arena's ceiling. */
NODISCARD enum rc domain_normalize(struct arena *a, struct span name, struct span *out);

/* name == parent, or name ends in "." parent; final dots are ignored. */
bool domain_is_at_or_below(struct span name, struct span parent);
bool domain_eq(struct span a, struct span b);

unsigned domain_label_count(struct span name);

#endif
