/*
 * supervise_int - what the supervise files share; nobody else includes it.
 */
#ifndef ENMA_MASTER_SUPERVISE_INT_H
#define ENMA_MASTER_SUPERVISE_INT_H

#include "common/ipc/claims.h"
#include "master/ctl_server.h"
#include "master/pidfile.h"
#include "master/ratio.h"
#include "master/reload.h"
#include "master/supervise.h"

/* X(field, "name in enmactl stats"): what the supervisor itself counts. */
#define SUPERVISE_COUNTERS(X) \
	X(started, "workers.started") \
	X(crashed, "workers.crashed") \
	X(retired, "workers.retired") \
	X(stuck, "workers.stuck") \
	X(killed, "workers.killed") \
	X(cache_started, "cache.process.started") \
	X(cache_crashed, "cache.process.crashed") \
	X(cache_stuck, "cache.process.stuck") \
	X(cache_killed, "cache.process.killed") \
	X(reloads, "reloads") \
	X(reloads_failed, "reloads.failed") \
	X(bad_frames, "frames.bad") \
	X(requests, "control.requests")

enum {
	SUPERVISE_KILL_AGAIN_MS = 10000,        /* a process that KILL does not end hangs in the kernel: say so now and then */
	SUPERVISE_DRAIN_GRACE_MS = 1000,        /* beyond the time that a child was given itself */
	SUPERVISE_CACHE_LEAVE_S = 10,           /* the cache process, to store what waits in the feed, to sync and to close */
};

/* A flush on its way: first the workers, then the cache process. */
struct supervise_flush {
	uint64_t ticket;                /* of the client that asked; 0: this place is free */
	int64_t number;                 /* of STATUS_FLUSH */
	int64_t begun_ms, until_ms;
	char text[STATUS_TEXT_MAX];     /* for the cache process */
};

/* The supervisor's side of the shared cache.  Feed and claims live as long as the supervisor, beside the generations. */
struct supervise_cache {
	int feed_fd[2];                 /* the offering and the taking end; -1: could not be made */
	int claims_fd;
	struct claims *claims;
	struct slot slot;               /* the one cache process's place */
	uint64_t last_number;           /* of cache processes */
	char *settings;                 /* what the newest of them was started with, as text; NULL: none yet */
	int64_t wait_until_ms;          /* the first start: workers wait for the cache process until then */
	bool is_hurried;                /* it was told that it has only moments left */
	struct ratio ratio;
	struct supervise_flush flush[CTL_CLIENTS_MAX];
	int64_t last_flush;
};

struct supervise {
	const struct master_options *options;
	struct loop *loop;
	int sig_fd;
	struct generation *current;     /* serves; NULL until the first one is ready */
	struct generation *next;        /* on its way in; NULL: none */
	struct child *children;
	struct totals retired;          /* counters of children that are gone */
	struct ctl_server *ctl;
	struct supervise_cache cache;
	struct pidfile pidfile;
	struct outcome outcome;         /* of the start or the reload in progress */
	uint64_t last_number;
	int64_t next_deadline_ms;       /* next must be ready by then */
	uint64_t reload_ticket;         /* control client that waits for the outcome; 0: none */
	int64_t answer_by_ms;           /* the reload is in; its answer waits for the old workers to stop accepting, until then.  0: it does not */
	bool reload_again;              /* asked for by a signal while one was in progress */
	bool is_stopping, is_done;
	bool is_hurried;                /* stopping, and nobody gets more time */
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
/* A second call, or at_once: nobody gets more time (the cache process: moments). */
void supervise_stop(struct supervise *s, bool at_once, const char *who);

/* supervise_state.c: why the service is not what it should be; NULL: it is. */
const char *supervise_trouble(const struct supervise *s);
/* Tells systemd when that, or the number of ready workers, has changed. */
void supervise_tell_trouble(struct supervise *s);
/* The counters of all children, living and gone. */
void supervise_totals(struct supervise *s, struct totals *out);

/* supervise_child.c */
void supervise_start_child(struct supervise *s, struct generation *g, struct slot *slot, int64_t now);
/* Tells a child to finish.  It loses its slot: what comes next in that slot is a successor. */
void supervise_drain(struct child *c, int64_t seconds, int64_t now);
void supervise_drain_generation(struct supervise *s, uint64_t number, int64_t seconds, int64_t now);
/* A child that was just spawned holds this slot from now on; and no longer. */
void supervise_adopt(struct supervise *s, struct slot *slot, struct child *c, int64_t now);
void supervise_detach(struct child *c, int64_t successor_at_ms);
void supervise_read_frames(struct supervise *s, struct child *c);
void supervise_pass_log_file(struct supervise *s, int fd);

/* supervise_bury.c */
void supervise_reap(struct supervise *s);
/* A start that did not work: for the brake, and for the outcome of a generation on its way in or for the log. */
void supervise_slot_failed(struct supervise *s, struct slot *slot, int code, const char *reason, int64_t now);

/* supervise_watch.c */
void supervise_watch(struct supervise *s, int64_t now);         /* beats, and signals whose time has come */
int64_t supervise_watch_interval(const struct supervise *s);

/* supervise_cache.c: the cache process, its feed, the claims */
void supervise_cache_init(struct supervise_cache *k);
/* Feed and claims; without them (logged) there is no cache. */
void supervise_cache_open(struct supervise *s, int64_t now);
void supervise_cache_close(struct supervise_cache *k);
/* NULL: there is none; it may be on its way out. */
struct child *supervise_cache_child(const struct supervise *s);
void supervise_cache_reconcile(struct supervise *s, int64_t now);
/* When to be called again at the latest. */
int64_t supervise_cache_next(const struct supervise *s, int64_t next);
/* The first start: workers wait a little, so that the cache is warm for the first message. */
bool supervise_cache_is_awaited(const struct supervise *s, int64_t now);
/* Another generation serves now: does the cache process have to be another one, too? */
void supervise_cache_follow(struct supervise *s, int64_t now);
/* Stopping: it goes last, when no worker can offer any more. */
void supervise_cache_leave(struct supervise *s, int64_t now);
/* A worker has died: its claims end, its reader slots are free. */
void supervise_cache_bereave(struct supervise *s, pid_t worker);
/* Takes a sample for the hit ratios if one is due. */
void supervise_cache_sample(struct supervise *s, int64_t now);
/* Hits and look-ups in a sum of counters. */
void supervise_cache_lookups(const struct totals *t, uint64_t *hits_out, uint64_t *lookups_out);
/* The cache process answers this client, or the client is told that there is none now.  number: of a flush, else 0. */
void supervise_cache_pass(struct supervise *s, struct ctl_client *c, const char *text, int64_t number);

/* supervise_flush.c: asks all workers to forget, then passes text to the cache process. */
void supervise_flush(struct supervise *s, struct ctl_client *c, const char *text, int64_t now);
/* Returns when to be called again at the latest: next or earlier. */
int64_t supervise_flush_tick(struct supervise *s, int64_t now, int64_t next);

/* supervise_gen.c */
void supervise_reconcile(struct supervise *s, struct generation *g, int64_t now);      /* g may be NULL */
void supervise_expect_next(struct supervise *s, int64_t now);  /* its time begins */
void supervise_judge_next(struct supervise *s, int64_t now);   /* is it in, or out? */
void supervise_answer_reload(struct supervise *s);             /* s->outcome to the client that waits, if there is one */
/* Answers when no worker of before takes new sessions any more.  Returns when to be called again at the latest: next, or earlier. */
int64_t supervise_answer_tick(struct supervise *s, int64_t now, int64_t next);

/* supervise_ctl.c: a ctl_fn; arg is the struct supervise. */
void supervise_request(void *arg, struct ctl_client *c, const struct ctl_request *r);
/* supervise_ctl_cache.c: "cache ...". */
void supervise_request_cache(struct supervise *s, struct ctl_client *c, const struct ctl_request *r);
/* The lines of `stats`, and the line of `status`. */
void supervise_print_gauges(const struct supervise *s, struct ctl_client *c);
void supervise_print_cache(const struct supervise *s, struct ctl_client *c, int64_t now);

#endif
