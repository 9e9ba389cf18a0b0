/*
 * enmactl - what the files of the control tool share.
 */
#ifndef ENMA_MASTER_ENMACTL_H
#define ENMA_MASTER_ENMACTL_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum { CTL_ANSWER_MS = 15000 };         /* for answers that need no waiting on the other side */
enum { CTL_GOOD = 0, CTL_REFUSED = 1, CTL_NOT_RUNNING = 2 };    /* exit codes */

/* What the command line says. */
struct ctl {
	const char *conf_path;          /* absolute, or "" */
	const char **overrides;
	size_t override_count;
	char *socket_path;
	bool as_json, now;
	int timeout_s;                  /* of stop; -1: as long as it takes */
	const char *kind, *zone, *type; /* of cache dump; NULL: all */
	bool expired;
	char **args;                    /* behind the command */
	int arg_count;
};

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
/* A data line without its LF, dots undone; false: no more are wanted. */
typedef bool connection_line_fn(void *arg, struct span line);
/* The same for answers of any size, in constant memory: each data line of "ok" goes to fn.  idle_ms: without a byte.  RC_OK: the whole answer;
 * *head_out says ok or err (without data).  RC_NONE: fn wanted no more.  RC_TEMP: why; the answer is not whole. */
NODISCARD enum rc connection_stream(struct connection *c, const char *request, int idle_ms, connection_line_fn *fn, void *arg,
                                    struct answer *head_out, char *why, size_t size);
/* Waits until the supervisor is gone.  timeout_ms -1: without end.  False: it is still there. */
bool connection_wait_gone(const struct connection *c, const char *path, int timeout_ms);

/* enmactl.c */
NORETURN void ctl_usage(const char *problem);
/* False: said, exit with *exit_out. */
bool ctl_connect(const struct ctl *ctl, struct connection *conn, int *exit_out);
/* Connects and asks.  True: the answer is there (the caller frees it and closes the connection); false: said, exit with *exit_out. */
bool ctl_ask(const struct ctl *ctl, const char *request, int timeout_ms, struct connection *conn, struct answer *a, int *exit_out);

/* The commands; they return the exit code. */
int ctl_start(const struct ctl *ctl);
int ctl_stop(const struct ctl *ctl);
int ctl_restart(struct ctl *ctl);
/* Ends the program when the arguments of `cache` are wrong. */
void ctl_cache_check(const struct ctl *ctl);
int ctl_cache(const struct ctl *ctl);

/* enmactl_entry.c: a line of dump or get for people (a head before the first one) or as a JSON object in one line.  False: standard output
 * takes no more. */
void entry_show_head(void);
bool entry_show(struct span line, bool as_json);

/* enmactl_show.c, enmactl_stats.c, enmactl_cachestats.c: the data of answers as text for people or as JSON on standard output.  Return the exit
 * code. */
int show_status(struct span data, bool as_json);
int show_stats(struct span data, bool as_json);
/* histogram absent: there is none at the moment; trouble says why. */
int show_cache_stats(struct span data, struct span histogram, struct span trouble, bool as_json);
int show_config(struct span data, bool with_head, bool as_json);
int show_plain(const struct answer *a, bool as_json);   /* reload, stop, errors: the lines as they are */
int show_problem(const char *code, const char *text, int exit_code, bool as_json);

#endif
