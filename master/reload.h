/*
 * reload - generations: one checked configuration, its sockets and its worker slots.
 *
 * A generation is made beside the one that serves: everything is read, checked and frozen into a sealed snapshot before the first worker
 * starts; sockets that both have in common are shared, never bound again.  The first start and a reload are the same
 * thing, without and with an old generation.  supervise.c starts the workers and decides which generation stays.
 */
#ifndef ENMA_MASTER_RELOAD_H
#define ENMA_MASTER_RELOAD_H

#include "common/conf/conf.h"
#include "master/brake.h"
#include "master/child.h"
#include "master/identity.h"
#include "master/listen.h"
#include "master/options.h"
#include "master/outcome.h"

/* The place of one worker: desired state.  At most one child holds it. */
struct slot {
	unsigned number, group;
	struct child *child;
	struct brake brake;
	int64_t start_at_ms;            /* not before */
	bool has_failed;                /* a child of it died before it was ready */
};

struct generation {
	uint64_t number;
	struct conf *conf;
	struct identity id;             /* milter.user */
	int conf_fd;                    /* snapshot.h bytes */
	int log_fd;                     /* file of log.target; -1: the log is no file */
	size_t group_count;             /* one per milter.socket line */
	struct listener **listeners;    /* one per group; may be shared with another generation */
	size_t slot_count;
	struct slot *slots;
};

/* Reads and checks everything that `o` asks for.  Also goes to milter.chdir when is_first (later changes of it need a restart).  Not RC_OK: all
 * errors are in *outcome with an exit code; warnings may be there in any case. */
NODISCARD enum rc generation_make(const struct master_options *o, uint64_t number, bool is_first, int64_t now_ms, struct generation **out,
                                  struct outcome *outcome);
/* Opens the sockets that `old` (may be NULL) does not have.  On failure nothing new stays open. */
NODISCARD enum rc generation_listen(struct generation *g, const struct generation *old, struct outcome *outcome);
/* Socket modes, owners, backlog: what may change on sockets that are kept.  Problems are logged. */
void generation_dress(struct generation *g);
/* Closes (and unlinks) the sockets that `heir` (may be NULL) does not share.  Children that hold its slots must be detached. */
void generation_destroy(struct generation **g, const struct generation *heir);
/* Closes the sockets, keeps the rest: a stopping service refuses new connections at once. */
void generation_close_sockets(struct generation *g);

size_t generation_ready(const struct generation *g);    /* slots whose worker is ready */

#endif
