/* utf8 - characters in bytes from outside; see utf8.h. */
#include "common/base/utf8.h"

/* Length by the first byte and the least character that needs so many bytes; 0: no first byte. */
static size_t
utf8_shape(unsigned char c, uint32_t *bits_out, uint32_t *least_out)
{
	if (c < 0x80) {
		*bits_out = c;
		*least_out = 0;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		*bits_out = c & 0x1f;
		*least_out = 0x80;
		return 2;
	}
	if (c >= 0xe0 && c <= 0xef) {
		*bits_out = c & 0x0f;
		*least_out = 0x800;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		*bits_out = c & 0x07;
		*least_out = 0x10000;
		return 4;
	}
	return 0;
}

size_t
utf8_first(struct span s, uint32_t *char_out)
{
	uint32_t c, least;
	size_t i, n;

	if (s.n == 0 || (n = utf8_shape((unsigned char)s.p[0], &c, &least)) == 0 || n > s.n)
		return 0;
	for (i = 1; i < n; i++) {
		unsigned char next = (unsigned char)s.p[i];

		if ((next & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (next & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*char_out = c;
	return n;
}

bool
utf8_is_showable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
		return false;
	if (c == 0x061c || c == 0x200e || c == 0x200f)
		return false;           /* direction marks */
	if (c >= 0x2028 && c <= 0x202e)
		return false;           /* separators, embeddings, overrides */
	return !(c >= 0x2066 && c <= 0x2069);
}
