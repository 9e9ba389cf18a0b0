/*
 * taglist - "tag=value; tag=value" (RFC 6376 section 3.2), shared by DKIM signatures and keys, DomainKeys, ADSP, DMARC and ARC.
 *
 * Names are ALPHA *(ALPHA / DIGIT / "_"), compared with case (section 3.2: tags are case-sensitive).  Values may hold any printable byte but ';', blanks, folds, and bytes of
 * UTF-8 (RFC 8616); they are given without FWS at their ends.  One ';' at the end is allowed.  Spans point into the text.
 */
#ifndef ENMA_MAIL_TAGLIST_H
#define ENMA_MAIL_TAGLIST_H

#include "common/base/rc.h"
#include "common/base/span.h"

enum { TAGLIST_MAX = 64 };              /* tags of one list; more are RC_LIMIT */

struct tag {
	struct span name, value;        /* value: never absent, may be empty */
};

struct taglist {
	struct tag v[TAGLIST_MAX];
	size_t n;
	struct span text;
};

/* RC_OK; RC_SYNTAX (why: a short constant text): a name or '=' is missing, a byte that may not be there, the same name twice; RC_LIMIT. */
NODISCARD enum rc taglist_parse(struct span text, struct taglist *out, const char **why_out);
/* The value; absent when there is no such tag. */
struct span taglist_get(const struct taglist *t, struct span name);
/* Index in t->v, or t->n. */
size_t taglist_find(const struct taglist *t, struct span name);
/* Takes the next item of a colon-separated value (h=, q=, k's s= and t=) off *rest, FWS around it removed; false: no more.  An empty item is given as empty. */
bool taglist_item(struct span *rest, struct span *item_out);

#endif
