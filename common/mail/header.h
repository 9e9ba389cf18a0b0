/*
 * header - the header of a message as it was received, for those who hash it: names and raw values in order.
 *
 * All bytes are the arena's.  Milters get line ends inside of values as LF (Postfix, Sendmail) or CRLF; here they are CRLF, which is what was sent
 * (a CR or LF that stands alone otherwise cannot be told apart any more: MTAs replace or refuse them, see doc/MTA-NOTES.md).
 */
#ifndef ENMA_MAIL_HEADER_H
#define ENMA_MAIL_HEADER_H

#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/base/span.h"

struct header_field {
	struct span name;               /* as received, blanks before the colon included */
	struct span value;              /* everything behind the colon, folds as CRLF, without the final CRLF */
};

struct header_block {
	struct arena *arena;
	struct header_field *v;         /* in the order received: [0] is the topmost */
	size_t n, room;
	size_t bytes;                   /* of all names and values */
	bool is_incomplete;             /* a field was left out (limits, the arena's ceiling): nothing may be hashed */
};

void header_init(struct header_block *h, struct arena *a);
/* has_leading_space: value begins with the byte behind the colon (SMFIP_HDR_LEADSPC); otherwise one blank is put there, which MTAs without that option
 * take away.  RC_LIMIT: the arena's ceiling (is_incomplete is set). */
NODISCARD enum rc header_add(struct header_block *h, struct span name, struct span value, bool has_leading_space);
/* Names are equal without case and without blanks at their end. */
bool header_is(const struct header_field *f, struct span name);
/* The number of fields of that name. */
size_t header_count(const struct header_block *h, struct span name);
/* The last (bottommost) field of that name above index `before` (h->n: all); h->n when there is none: signatures select from the bottom. */
size_t header_find_last(const struct header_block *h, struct span name, size_t before);

#endif
