/* fuzz_writerreq - the words that a control client sends to the cache process. */
#include <stdlib.h>

#include "cache/writer_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writer_request r;
	struct writer_ranges ranges;
	const char *why;

	if (writer_request_parse(span_of((const char *)data, size), &r, &why) != RC_OK) {
		if (why[0] == '\0')
			abort();
		return 0;
	}
	/* A name is in wire form: its labels end where it ends. */
	if (r.has_name) {
		size_t at = 0;

		while (at < r.name.n && r.name.w[at] != 0)
			at += 1u + r.name.w[at];
		if (at + 1 != r.name.n)
			abort();
	}
	if (writer_request_ranges(&r, &ranges) == RC_OK && ranges.n > 2)
		abort();
	return 0;
}
