/*
 * canon - the canonical forms of header fields and bodies, streaming: DKIM's simple and relaxed (RFC 6376 section 3.4), DomainKeys' nofws
 * (RFC 4870 section 3.4.2.2) and its simple, which equals DKIM's but for a body without any content: there DomainKeys hashes nothing at all, see
 * canon_body_is_empty().
 *
 * Nothing is kept: pieces of the input go to a sink, long ones where they are as they should be, together with constant bytes.  A body may come in pieces of any size, the result is the
 * same.  The state of a body is constant in size; blank lines and blanks that may turn out to stand at the end are counted, not kept.
 * Only CRLF ends a line; a CR or LF alone is a byte like others (hashed as it came).
 */
#ifndef ENMA_MAIL_CANON_H
#define ENMA_MAIL_CANON_H

#include "common/base/defs.h"
#include "common/base/span.h"

enum canon { CANON_SIMPLE, CANON_RELAXED, CANON_NOFWS };
const char *canon_name(enum canon c);                   /* "simple" "relaxed" "nofws" */

typedef void canon_sink_fn(void *arg, const char *p, size_t n);

/* One field: name, colon, value and, with_crlf, the line end.  A fold is a CRLF with a blank or tab behind it; any other CRLF inside of a value is
 * no fold and stays, except in nofws, which takes every blank, tab, CR and LF away. */
void canon_header(enum canon c, struct span name, struct span value, bool with_crlf, canon_sink_fn *sink, void *arg);
/* A signature's own field: without final line end, and without the n bytes of value from `from` on (the value of its b= tag). */
void canon_header_cut(enum canon c, struct span name, struct span value, size_t from, size_t n, canon_sink_fn *sink, void *arg);

struct canon_body {
	enum canon kind;
	canon_sink_fn *sink;
	void *arg;
	uint64_t in_bytes, out_bytes;   /* so far */
	/* its own */
	uint64_t line_ends;             /* CRLFs that wait for content: they may be the body's last */
	bool has_cr;                    /* the last byte was a CR that may belong to a CRLF */
	bool has_blanks;                /* relaxed: blanks wait for another byte of their line */
};

void canon_body_init(struct canon_body *b, enum canon kind, canon_sink_fn *sink, void *arg);
void canon_body_feed(struct canon_body *b, struct span piece);
/* What is due at the end: simple makes an empty body CRLF, a last line without CRLF gets one (section 3.4.3).  Once, and nothing after it. */
void canon_body_end(struct canon_body *b);
/* Before canon_body_end(): nothing but what every kind leaves out at the end was there. */
bool canon_body_is_empty(const struct canon_body *b);

#endif
