/*
 * b32 - base32 (RFC 4648 section 6) for labels of DNS names: lower case, without padding.
 */
#ifndef ENMA_BASE_B32_H
#define ENMA_BASE_B32_H

#include "common/base/buf.h"
#include "common/base/span.h"

/* Eight characters for five bytes; the last ones are filled up with zero bits. */
void b32_encode(struct buf *b, struct span bytes);

#endif
