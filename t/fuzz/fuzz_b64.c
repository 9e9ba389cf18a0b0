/* fuzz_b64 - any text as base64: what is accepted gives, written again, the same characters without the blanks. */
#include "common/base/b64.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_same_without_blanks(struct span text, struct span again)
{
	size_t at = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (ascii_is_wsp((unsigned char)text.p[i]) || text.p[i] == '\r' || text.p[i] == '\n')
			continue;
		if (at == again.n || again.p[at++] != text.p[i])
			return false;
	}
	return at == again.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of((const char *)data, size), bytes;
	struct buf again = buf_heap(2 * size + 8);
	struct arena a;

	arena_init(&a, 1 * KIB, size + KIB);
	switch (b64_decode(&a, text, size, &bytes)) {
	case RC_OK:
		b64_encode(&again, bytes);
		REQUIRE(buf_ok(&again) && is_same_without_blanks(text, buf_text(&again)));
		REQUIRE(bytes.n == 0 || b64_decode(&a, text, bytes.n - 1, &bytes) == RC_LIMIT);
		break;
	case RC_SYNTAX:
		break;
	default:
		REQUIRE(!"less than the text always fits");
	}
	buf_fini(&again);
	arena_fini(&a);
	return 0;
}
