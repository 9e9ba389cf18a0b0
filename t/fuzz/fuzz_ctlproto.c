/* fuzz_ctlproto - any bytes as a request line: what is accepted stays inside the line and the limits. */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/ipc/ctlproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_inside(struct span s, struct span line)
{
	return s.p >= line.p && s.n > 0 && s.p + s.n <= line.p + line.n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of((const char *)data, size);
	struct ctl_request r;
	const char *why;
	enum rc rc = ctl_request_parse(line, &r, &why);

	REQUIRE(why != NULL);
	if (rc != RC_OK) {
		REQUIRE((rc == RC_SYNTAX || (rc == RC_LIMIT && size > CTL_LINE_MAX)) && why[0] != '\0');
		return 0;
	}
	REQUIRE(size <= CTL_LINE_MAX + 1);
	REQUIRE(is_inside(r.command, line) && r.arg_count <= CTL_ARGS_MAX);
	for (size_t i = 0; i < r.arg_count; i++)
		REQUIRE(is_inside(r.arg[i], line) && span_find(r.arg[i], ' ') == r.arg[i].n);
	return 0;
}
