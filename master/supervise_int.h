/*
 * supervise_int - what supervise.c and supervise_ctl.c share; nobody else includes it.
 */
#ifndef ENMA_MASTER_SUPERVISE_INT_H
#define ENMA_MASTER_SUPERVISE_INT_H

#include "master/ctl_server.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/supervise.h"

/* X(field, "name in enmactl stats"): what the supervisor itself counts. */
#define SUPERVISE_COUNTERS(X) \
	X(started, "workers.started") \
	X(crashed, "workers.crashed") \
	X(retired, "workers.retired") \
	X(stuck, "workers.stuck") \
	X(killed, "workers.killed") \
	X(reloads, "reloads") \
	X(reloads_failed, "reloads.failed") \
	X(bad_frames, "frames.bad") \
	X(requests, "control.requests")

enum { KILL_AGAIN_MS = 10000 };  /* a process that KILL does not end hangs in the kernel: say so now and then */

struct supervise {
	const struct master_options *options;
	struct loop *loop;
	int sig_fd;
	struct generation *current;     /* serves; NULL until the first one is ready */
	struct generation *next;        /* on its way in; NULL: none */
	struct child *children;
	struct totals retired;          /* counters of children that are gone */
	struct ctl_server *ctl;
	struct pidfile pidfile;
	struct outcome outcome;         /* of the start or the reload in progress */
	uint64_t last_number;
	int64_t next_deadline_ms;       /* next must be ready by then */
	uint64_t reload_ticket;         /* control client that waits for the outcome; 0: none */
	bool reload_again;              /* asked for by a signal while one was in progress */
	bool is_stopping, is_done;
	const char *told_trouble;       /* what systemd was told last about a missing or stuck worker; NULL: all is well */
	size_t told_ready;              /* workers, in the last status told to systemd */
	int exit_code;
	int64_t started_ms, ticked_ms, notified_ms;
	struct {
#define SUPERVISE_FIELD(field, name) uint64_t field;
		SUPERVISE_COUNTERS(SUPERVISE_FIELD)
#undef SUPERVISE_FIELD
	} count;
};

/* The configuration that counts now: of the serving generation, or of the first one on its way. */
const struct conf *supervise_conf(const struct supervise *s);
/* ticket 0: asked for by a signal.  who: for the log. */
void supervise_reload(struct supervise *s, uint64_t ticket, const char *who);
/* A second call, or at_once: nobody gets more time. */
void supervise_stop(struct supervise *s, bool at_once, const char *who);
/* Why the service is not what it should be; NULL: it is. */
const char *supervise_trouble(const struct supervise *s);

/* supervise_child.c */
void supervise_start_child(struct supervise *s, struct generation *g, struct slot *slot, int64_t now);
/* Tells a child to finish.  It loses its slot: what comes next in that slot is a successor. */
void supervise_drain(struct child *c, int64_t seconds, int64_t now);
void supervise_drain_generation(struct supervise *s, uint64_t number, int64_t seconds, int64_t now);
void supervise_reap(struct supervise *s);
void supervise_watch(struct supervise *s, int64_t now);         /* beats, and signals whose time has come */
int64_t supervise_watch_interval(const struct supervise *s);
void supervise_pass_log_file(struct supervise *s, int fd);

/* supervise_gen.c */
void supervise_reconcile(struct supervise *s, struct generation *g, int64_t now);      /* g may be NULL */
void supervise_expect_next(struct supervise *s, int64_t now);  /* its time begins */
void supervise_judge_next(struct supervise *s, int64_t now);   /* is it in, or out? */
void supervise_answer_reload(struct supervise *s);             /* s->outcome to the client that waits, if there is one */

/* supervise_ctl.c: a ctl_fn; arg is the struct supervise. */
void supervise_request(void *arg, struct ctl_client *c, const struct ctl_request *r);

#endif
