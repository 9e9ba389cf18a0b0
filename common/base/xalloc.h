/*
 * xalloc - memory for objects that live as long as their process or their session.
 *
 * These never return NULL: being out of memory is fatal (message on standard error, abort), because a mail filter
 * that limps on without memory gives wrong answers.  Memory of a message comes from an arena instead (arena.h),
 * which has a ceiling that hostile input can reach without harm.
 */
#ifndef ENMA_BASE_XALLOC_H
#define ENMA_BASE_XALLOC_H

#include "common/base/defs.h"

NODISCARD void *xmalloc(size_t n);
NODISCARD void *xcalloc(size_t count, size_t size);     /* zeroed; count * size is checked */
NODISCARD void *xrealloc(void *p, size_t count, size_t size);
NODISCARD char *xstrdup(const char *s);
NODISCARD char *xstrndup(const char *s, size_t n);      /* always NUL-terminated */
NODISCARD char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
