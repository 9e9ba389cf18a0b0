/*
 * unit - what every unit test needs: cmocka with its own includes, and input without slack.
 *
 * exact() copies text to a heap block of exactly its size, without a NUL, so that AddressSanitizer sees one byte too many.
 */
#ifndef ENMA_T_UNIT_H
#define ENMA_T_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/span.h"
#include "common/base/xalloc.h"

UNUSED static inline struct span
exact_n(const void *p, size_t n)
{
	char *copy = xmalloc(n);

	if (n > 0)
		memcpy(copy, p, n);
	return span_of(copy, n);
}

UNUSED static inline struct span
exact(const char *s)
{
	return exact_n(s, strlen(s));
}

UNUSED static inline void
exact_free(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

/* Compares a span with a string; says both when they differ. */
#define assert_span(s, want) do { \
	struct span got_ = (s); \
	const char *want_ = (want); \
	if (got_.n != strlen(want_) || memcmp(got_.p, want_, got_.n) != 0) \
		fail_msg("got \"%.*s\" (%zu), want \"%s\"", SPAN_ARGS(got_), got_.n, want_); \
	} while (0)

#endif
