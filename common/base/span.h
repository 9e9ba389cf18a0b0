/*
 * span - a slice of bytes: pointer and length, no NUL assumed, nothing owned.
 *
 * All text from outside is a span from the first byte that libmilter hands over until it is printed.  A span with
 * p == NULL means "absent", which differs from empty (p != NULL, n == 0).  Spans are passed by value.
 */
#ifndef ENMA_BASE_SPAN_H
#define ENMA_BASE_SPAN_H

#include <string.h>

#include "common/base/defs.h"

struct span {
	const char *p;
	size_t n;
};

#define SPAN_NULL ((struct span){ NULL, 0 })
#define SPAN(lit) ((struct span){ "" lit, sizeof(lit) - 1 })          /* string literals only */
#define SPAN_ARGS(s) (int)MIN((s).n, (size_t)INT32_MAX), (s).p ? (s).p : ""      /* for "%.*s", trusted text only */

static inline struct span span_of(const char *p, size_t n) { return (struct span){ p, n }; }
static inline struct span span_cstr(const char *s) { return (struct span){ s, s ? strlen(s) : 0 }; }
static inline bool span_is_null(struct span s) { return s.p == NULL; }
static inline bool span_is_empty(struct span s) { return s.n == 0; }

/* ASCII only, independent of the locale: mail is not the operator's language. */
static inline unsigned char ascii_lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
static inline bool ascii_is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_is_alpha(unsigned char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
static inline bool ascii_is_alnum(unsigned char c) { return ascii_is_alpha(c) || ascii_is_digit(c); }
static inline bool ascii_is_wsp(unsigned char c) { return c == ' ' || c == '\t'; }
static inline bool ascii_is_print(unsigned char c) { return c >= 0x20 && c < 0x7f; }

bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b);              /* ASCII case folding */
int span_cmp_nocase(struct span a, struct span b);              /* <0, 0, >0; shorter first */
bool span_starts(struct span s, struct span prefix);
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);

/* A part of s; from and n are clipped to what is there, so the result never leaves s. */
struct span span_sub(struct span s, size_t from, size_t n);
struct span span_from(struct span s, size_t from);

/* Index of the first (last) byte c, or s.n when there is none. */
size_t span_find(struct span s, char c);
size_t span_rfind(struct span s, char c);

/* Without blanks, tabs, CR and LF at both ends. */
struct span span_trim(struct span s);

/* Takes the piece before the next separator off *rest; false when nothing is left (*rest is absent).  "a,,b" gives
 * "a" "" "b"; "a," gives "a" ""; "" gives one empty piece; an absent span gives none. */
bool span_split(struct span *rest, char sep, struct span *piece_out);

/* Decimal digits only, no sign, no blanks, at most max: true and *value_out; anything else false. */
NODISCARD bool span_to_uint(struct span s, uint64_t max, uint64_t *value_out);

#endif
