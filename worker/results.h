/*
 * results - results of before from the shared cache, for eval.h.
 *
 * What one worker's messages share is made once (results_init); each message has hooks of its own (results_begin), because a result
 * may be kept only when no flush came since the message began and none of its answers was stale.
 */
#ifndef ENMA_WORKER_RESULTS_H
#define ENMA_WORKER_RESULTS_H

#include "cache/cache.h"
#include "common/auth/eval.h"
#include "common/conf/snapshot.h"
#include "common/dns/lookup.h"

struct results {
	struct cache *cache;            /* NULL: results are not kept */
	uint64_t digest;                /* of everything besides DNS that a result depends on */
};

struct results_hooks {
	struct eval_results eval;
	const struct results *shared;
	const struct lookup *lookup;
	uint64_t epoch;
	int64_t now_s;
};

/* cache NULL, or cache.results is no: nothing is looked up or kept. */
void results_init(struct results *r, struct cache *cache, const struct snapshot *snapshot);
/* At the beginning of a message; lookup: the message's own. */
void results_begin(struct results_hooks *h, const struct results *r, const struct lookup *lookup, int64_t now_s);

/* Tells configurations apart whose results differ. */
uint64_t results_digest(const struct conf *conf, struct span zone);

#endif
