/*
 * defs - attributes, sizes and the list of functions that nobody may call.
 *
 * Every source file includes this first.  Nothing here depends on anything.
 */
#ifndef ENMA_BASE_DEFS_H
#define ENMA_BASE_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODISCARD __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum {
	KIB = 1024,
	MIB = 1024 * 1024,
};

#endif
