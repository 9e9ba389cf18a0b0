/*
 * account - what is counted on the board and written to the log about messages.
 */
#ifndef ENMA_WORKER_ACCOUNT_H
#define ENMA_WORKER_ACCOUNT_H

#include "worker/policy.h"
#include "worker/session.h"

/* The other end, for the log. */
struct account_peer {
	struct ip client;
	struct span client_name, helo;  /* absent: unknown, not said */
	uint64_t number;                /* of the connection, named while there is no queue id */
};

/* A message reached its end: counters, histogram and the log line. */
void account_message(const struct session_env *env, const struct account_peer *peer, const struct message *m,
                     const struct verdict *verdict, const struct action *action, unsigned removed);
/* It was given up. */
void account_abort(const struct session_env *env, const struct message *m);

#endif
