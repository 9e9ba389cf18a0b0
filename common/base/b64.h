/*
 * b64 - base64 (RFC 4648 section 4) as mail headers have it: blanks, tabs, CR and LF anywhere between the characters (RFC 6376 section 3.5).
 */
#ifndef ENMA_BASE_B64_H
#define ENMA_BASE_B64_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/base/span.h"

/* RC_OK: *out are the bytes (the arena's; empty text gives empty bytes).  RC_SYNTAX: another character, padding in the middle or missing where it is
 * needed, a lone character at the end, bits beyond the last byte that are not zero.  RC_LIMIT: more than max bytes, or the arena's ceiling. */
NODISCARD enum rc b64_decode(struct arena *a, struct span text, size_t max, struct span *out);
/* With padding, in one line. */
void b64_encode(struct buf *b, struct span bytes);

#endif
