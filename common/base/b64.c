/* b64 - see b64.h. */
#include "common/base/b64.h"

enum {
	BAD = 64, BLANK, PAD,           /* classes beside the values 0 .. 63 */
	GROUP = 4, GROUP_BYTES = 3,
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static unsigned
class_of(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	switch (c) {
	case '+':
		return 62;
	case '/':
		return 63;
	case '=':
		return PAD;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return BLANK;
	default:
		return BAD;
	}
}

/* The number of characters that carry bits, and of those that pad; RC_SYNTAX when they cannot stand together. */
static enum rc
count(struct span text, size_t *chars_out, size_t *pads_out, unsigned *last_out)
{
	*chars_out = *pads_out = 0;
	*last_out = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned class = class_of((unsigned char)text.p[i]);

		if (class == BAD || (class < BAD && *pads_out > 0))
			return RC_SYNTAX;
		if (class < BAD) {
			++*chars_out;
			*last_out = class;
		} else if (class == PAD) {
			++*pads_out;
		}
	}
	return RC_OK;
}

/* Whether the end is as RFC 4648 section 4 has it: whole groups of four, and (section 3.5) no bits that belong to no byte. */
static bool
is_end_good(size_t chars, size_t pads, unsigned last)
{
	switch (chars % GROUP) {
	case 0:
		return pads == 0;
	case 2:
		return pads == 2 && (last & 0xf) == 0;
	case 3:
		return pads == 1 && (last & 0x3) == 0;
	default:
		return false;
	}
}

static void
decode(struct span text, uint8_t *to, size_t n)
{
	uint32_t bits = 0;
	unsigned have = 0;

	for (size_t i = 0; i < text.n && n > 0; i++) {
		unsigned class = class_of((unsigned char)text.p[i]);

		if (class >= BAD)
			continue;
		bits = bits << 6 | class;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		*to++ = (uint8_t)(bits >> have);
		n--;
	}
}

enum rc
b64_decode(struct arena *a, struct span text, size_t max, struct span *out)
{
	size_t chars, pads, n;
	unsigned last;
	uint8_t *p;

	if (count(text, &chars, &pads, &last) != RC_OK || !is_end_good(chars, pads, last))
		return RC_SYNTAX;
	n = chars / GROUP * GROUP_BYTES + chars % GROUP * GROUP_BYTES / GROUP;
	if (n > max)
		return RC_LIMIT;
	if (n == 0) {
		*out = SPAN("");
		return RC_OK;
	}
	if ((p = arena_alloc(a, n)) == NULL)
		return RC_LIMIT;
	decode(text, p, n);
	*out = span_of((const char *)p, n);
	return RC_OK;
}

/* n: 1 .. GROUP_BYTES bytes. */
static void
encode_group(struct buf *b, const unsigned char *p, size_t n)
{
	uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

	for (size_t i = 0; i < GROUP; i++)
		buf_byte(b, i <= n ? alphabet[bits >> (18 - 6 * i) & 63] : '=');
}

void
b64_encode(struct buf *b, struct span bytes)
{
	for (size_t i = 0; i < bytes.n; i += GROUP_BYTES)
		encode_group(b, (const unsigned char *)bytes.p + i, MIN(bytes.n - i, (size_t)GROUP_BYTES));
}
