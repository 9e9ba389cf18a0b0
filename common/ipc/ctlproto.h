/*
 * ctlproto - the control protocol between enmactl and the supervisor (doc/CONTROL.md).
 *
 *	request:  "ENMA1 <command> [arguments]\n"
 *	answer:   "ok\n" or "err <code> <text>\n", then data lines, then a line with a lone "."
 * A data line that begins with '.' gets one more '.' in front.  One request per connection.
 */
#ifndef ENMA_IPC_CTLPROTO_H
#define ENMA_IPC_CTLPROTO_H

#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	CTL_LINE_MAX = 4 * KIB,         /* request line */
	CTL_CLIENTS_MAX = 8,
	CTL_TIMEOUT_MS = 5000,          /* for a request to arrive, and for a client to read */
	CTL_ARGS_MAX = 16,
};

struct ctl_request {
	struct span command;
	struct span arg[CTL_ARGS_MAX];
	size_t arg_count;
};

/* line without its LF (a CR before it is dropped).  RC_LIMIT: longer than CTL_LINE_MAX.  RC_SYNTAX: not "ENMA1 ...", bytes outside printable
 * ASCII, too many arguments. */
NODISCARD enum rc ctl_request_parse(struct span line, struct ctl_request *out, const char **why_out);

#endif
