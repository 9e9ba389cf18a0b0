/*
 * apply - carries out what policy decided: header edits, reply code.
 *
 * Order matters: fields are deleted from the highest number down, because numbers shift; then fields are inserted at the very
 * top, the Authentication-Results last, so that it stands first.
 */
#ifndef ENMA_WORKER_APPLY_H
#define ENMA_WORKER_APPLY_H

#include "worker/policy.h"
#include "worker/session.h"

struct apply_outcome {
	unsigned removed;               /* fields deleted */
	bool has_failed;                /* the MTA or our own limits stood in the way */
};

/* The edits of a message that goes on.  verdict NULL: nothing is inserted (excluded clients). */
struct apply_outcome apply_edits(const struct session_env *env, const struct mta *mta, struct message *m,
                                 const struct verdict *verdict);
/* The reply for an action and what to tell the engine.  A reply code that the MTA does not take becomes a plain one. */
enum session_answer apply_reply(const struct mta *mta, const struct action *action);

#endif
