/* b32 - see b32.h. */
#include "common/base/b32.h"

enum { BITS = 5 };

void
b32_encode(struct buf *b, struct span bytes)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned held = 0, bits = 0;    /* the low `bits` of `held` wait */

	for (size_t i = 0; i < bytes.n; i++) {
		held = (held << 8 | (unsigned char)bytes.p[i]) & 0xfff;
		for (bits += 8; bits >= BITS; bits -= BITS)
			buf_byte(b, digits[held >> (bits - BITS) & 31]);
	}
	if (bits > 0)
		buf_byte(b, digits[held << (BITS - bits) & 31]);
}
