/* check - report a broken invariant; see check.h. */
#include "common/base/check.h"

#include <stdio.h>
#include <stdlib.h>

static void
sink_stderr(const char *text)
{
	fprintf(stderr, "%s\n", text);
}

void (*check_sink)(const char *text) = sink_stderr;

void
check_report(const char *expr, const char *file, int line)
{
	char text[512];

	snprintf(text, sizeof text, "panic: %s:%d: this should hold but does not: %s", file, line, expr);
	check_sink(text);
}

void
check_abort(const char *expr, const char *file, int line)
{
	check_report(expr, file, line);
	abort();
}
