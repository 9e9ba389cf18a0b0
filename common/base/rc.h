/*
 * rc - the outcome of an operation.
 *
 * Three kinds of failure are kept apart.  What an RFC calls a result ("permerror", "fail") is data in the
 * result structures.  What a function of ours could or could not do is an enum rc.  A broken invariant is
 * REQUIRE() or FAILS_CHECK() (check.h).
 */
#ifndef ENMA_BASE_RC_H
#define ENMA_BASE_RC_H

#include "common/base/defs.h"

enum rc {
	RC_OK = 0,
	RC_NONE,        /* not there: no such field, no such entry, end of input */
	RC_SYNTAX,      /* the input does not follow its grammar */
	RC_LIMIT,       /* bounded on purpose: arena ceiling, too many, too long */
	RC_TEMP,        /* try later: DNS, input/output, deadline */
	RC_WAIT,        /* questions were noted; run again when they are answered */
	RC_FAULT,       /* our own mistake, already reported */
};

/* A fixed word for logs and tests: "ok", "none", "syntax", "limit", "temp", "wait", "fault". */
const char *rc_name(enum rc rc);

#endif
