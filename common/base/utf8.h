/*
 * utf8 - characters in bytes from outside (RFC 3629).
 */
#ifndef ENMA_BASE_UTF8_H
#define ENMA_BASE_UTF8_H

#include "common/base/defs.h"
#include "common/base/span.h"

/* Length of the valid UTF-8 sequence that s begins with (1 for ASCII), and the character; 0: none.  Overlong forms, surrogates and values
 * over U+10FFFF are not valid. */
size_t utf8_first(struct span s, uint32_t *char_out);

/* True for characters that may be shown as they are: no control character (C0, DEL, C1), no line or paragraph separator,
 * nothing that changes the direction of text. */
bool utf8_is_showable(uint32_t c);

#endif
