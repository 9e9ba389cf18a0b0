/*
 * message - what a session remembers of one message, and a pool of such memory.
 *
 * A message is taken from the pool at MAIL FROM and given back when it is over, however it ends; giving back resets everything.
 * So memory grows with the messages in progress, not with the connections that an MTA keeps open between them, and a
 * busy worker stops calling malloc.  The pool is thread-safe; a message belongs to one session, one thread at a time.
 *
 * Header fields are kept only when a mechanism reads them, and only up to the limits of message.max_headers and message.max_header_bytes.
 * For each one that may have to go its name and its number among its equals is noted, as it streams by.  Names and values arrive
 * as C strings: bytes behind a NUL cannot be seen through libmilter.  Of the body nothing is kept.
 */
#ifndef ENMA_WORKER_MESSAGE_H
#define ENMA_WORKER_MESSAGE_H

#include "common/auth/eval.h"
#include "common/base/arena.h"
#include "common/conf/conf.h"
#include "common/dns/lookup.h"
#include "common/mail/authres.h"
#include "worker/results.h"

enum {
	MESSAGE_ARENA_FIRST = 32 * KIB, /* SPF of a common domain, a common header and its signatures fit */
	MESSAGE_ARENA_MAX = 2 * MIB,    /* questions, expansions, noted fields of one message, without its header */
	MESSAGE_POOL_KEPT = 64,         /* spare ones that keep their first block */
};

/* A field that must be deleted.  Newest first, so walking the list deletes from the highest number down. */
struct message_claim {
	struct message_claim *next;
	const char *name;
	int index;                      /* from 1, among the fields of that name as received */
};

struct message {
	struct arena arena;
	struct lookup *lookup;
	struct eval_facts facts;
	struct eval eval;
	struct eval_options options;    /* the worker's, with hooks of this message */
	struct results_hooks results;
	struct span qid;                /* absent until the MTA tells */
	struct span sender;             /* the argument of MAIL FROM as given */
	const char *skip_why;           /* "excluded", "authenticated", "local", or NULL */
	bool is_evaluated;              /* eval is in use */
	bool has_verdict;               /* eval.verdict is final */
	bool has_internal_error;
	bool has_lost_claims;           /* a field that must go could not be noted */
	bool is_over_limit;
	int64_t begun_us, deadline_ms;
	uint64_t headers, header_bytes;
	struct header_block header;     /* while keeps_header */
	bool keeps_header;
	struct message_claim *claims;
	int *counts;                    /* fields seen: [0] Authentication-Results, [1 + i] authresult.remove_fields[i] */
	uint64_t kept;                  /* Authentication-Results of others */
	struct message *next;           /* pool's */
};

struct message_pool;

NODISCARD struct message_pool *message_pool_create(struct dns_source *source);
void message_pool_destroy(struct message_pool **pool);  /* all messages were given back */
NODISCARD struct message *message_take(struct message_pool *pool);
void message_give(struct message_pool *pool, struct message *m);        /* NULL allowed */

/* One header field went by.  Bytes are counted as name, colon, value, CRLF. */
void message_see_header(struct message *m, const struct conf *conf, const struct authres_ids *ids, struct span name,
                        struct span value);

/* The fields from now on are kept for mechanisms; the arena may grow by what the limits allow a header. */
void message_keep_headers(struct message *m, const struct conf *conf);
/* The field that message_see_header() just saw is kept, unless the message is over a limit: then its header is incomplete.
 * has_leading_space: header.h. */
void message_keep_header(struct message *m, struct span name, struct span value, bool has_leading_space);

#endif
