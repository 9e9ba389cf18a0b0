/*
 * psl - the public suffix list: which part of a name its owner registered (RFC 7489 section 3.2).
 *
 * The rules are libpsl's (this file's .c is its only door): the longest rule counts, "*" stands for any label, "!" makes an exception, a name
 * that no rule names belongs to a top-level domain of one label.  Rules of the list's private section count as well.
 *
 * A list is built at start and never changes: any number of threads may read it.  To follow a newer file, open it and drop the old list when nobody
 * reads it any more.
 */
#ifndef ENMA_BASE_PSL_H
#define ENMA_BASE_PSL_H

#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct psl_list;

/* path: a file of rules, as text or compiled (DAFSA); NULL: the newest of the system's file and the one inside the library.  RC_OK; RC_NONE: it is not
 * there, is not readable or holds no rule. */
NODISCARD enum rc psl_list_open(const char *path, struct psl_list **out);
void psl_list_close(struct psl_list **list);            /* may be called twice */

/* The public suffix of name and one label more: a part of name, without a final dot.  A public suffix is its own.  name: lower case, A-labels; what is
 * no name (domain_is_valid) gives an absent span. */
struct span psl_org_domain(const struct psl_list *list, struct span name);

#endif
