/*
 * enmactl - what the files of the control tool share.
 */
#ifndef ENMA_MASTER_ENMACTL_H
#define ENMA_MASTER_ENMACTL_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum { CTL_GOOD = 0, CTL_REFUSED = 1, CTL_NOT_RUNNING = 2 };    /* exit codes */

/* One answer: "ok", or the code and text of "err"; then its data lines. */
struct answer {
	bool is_ok;
	char code[32];
	struct span text;               /* of err; into bytes */
	struct buf bytes;               /* everything received */
	struct span data;               /* data lines, each with LF, dots undone; into bytes */
};

struct connection {
	int fd;                         /* -1: closed */
	int pidfd;                      /* of the supervisor; -1: the kernel cannot tell */
	pid_t pid;                      /* 0: unknown */
};

/* RC_NONE: nobody listens there; RC_TEMP: another reason, in why. */
NODISCARD enum rc connection_open(const char *path, struct connection *out, char *why, size_t size);
void connection_close(struct connection *c);
/* One request and its whole answer; one of these per connection.  RC_TEMP with a reason: no or a broken answer within timeout_ms. */
NODISCARD enum rc connection_ask(struct connection *c, const char *request, int timeout_ms, struct answer *out, char *why, size_t size);
void answer_fini(struct answer *a);
/* Waits until the supervisor is gone.  timeout_ms -1: without end.  False: it is still there. */
bool connection_wait_gone(const struct connection *c, const char *path, int timeout_ms);

/* enmactl_show.c: the data of answers as text for people or as JSON on standard output.  Return the exit code. */
int show_status(struct span data, bool as_json);
int show_stats(struct span data, bool as_json);
int show_config(struct span data, bool with_head, bool as_json);
int show_plain(const struct answer *a, bool as_json);   /* reload, stop, errors: the lines as they are */
int show_problem(const char *code, const char *text, int exit_code, bool as_json);

#endif
