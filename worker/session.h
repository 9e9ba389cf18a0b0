/*
 * session - one connection of an MTA and its messages: the state machine between a milter engine and the engines of mail
 * authentication.
 *
 * It knows no libmilter type.  An engine calls, in this order, any number of messages per connection:
 *
 *	s = session_create(env, &mta);
 *	session_connect(s, name, address);
 *	session_helo(s, helo);                  not at all, or several times
 *	session_mail(s, sender);                DNS questions go out now
 *	session_header(s, name, value);         0..n times
 *	session_eoh(s);                         the keys of signatures are asked for
 *	session_body(s, piece);                 0..n times; SESSION_SKIP: nobody needs (any more of) it
 *	answer = session_eom(s);                waits for DNS, edits the header, logs: the message is over
 *	session_abort(s);                       instead of the rest of a message, at any stage
 *	session_close(&s);                      at any stage
 *
 * Calls that come out of order are harmless: a message that was begun is over when another one begins, and header or end
 * without a beginning is answered without evaluation.  Texts are borrowed for the call only.
 *
 * Everything of a message is gone when it is over.  What stays of a connection is its address, names and slot.
 * One session is driven by one thread at a time, not always the same.  The environment is shared by all and never changes.
 */
#ifndef ENMA_WORKER_SESSION_H
#define ENMA_WORKER_SESSION_H

#include <sys/socket.h>

#include "common/base/ip.h"
#include "common/conf/conf.h"
#include "common/ipc/board.h"
#include "worker/message.h"
#include "worker/mta.h"
#include "worker/slots.h"

enum {
	SESSION_NAME_MAX = 255,         /* of the connecting host's name; longer ones are cut */
	SESSION_HELO_MAX = 512,         /* longer ones are cut: over 253 bytes there is no such name anyway */
	SESSION_EOM_GRACE_MS = 2000,    /* time for DNS at the end of a message that took longer than the deadline to arrive */
	SESSION_PROGRESS_MS = 30000,    /* tell the MTA that often that we still wait */
};

/* What all sessions of a worker share. */
struct session_env {
	const struct conf *conf;
	struct board *board;
	struct slots *slots;
	struct message_pool *pool;
	const struct ip_set *exclusions;
	const struct authres_ids *ids;
	struct span identifier;         /* of our Authentication-Results */
	struct span receiver;           /* our host name */
	struct eval_options options;
	const struct results *results;  /* NULL: none of before */
	uint64_t generation;
};

enum session_answer { SESSION_CONTINUE, SESSION_ACCEPT, SESSION_TEMPFAIL, SESSION_REJECT, SESSION_SKIP };

struct session;

/* Never NULL.  The mta is copied; its handle must stay valid until session_close(). */
NODISCARD struct session *session_create(const struct session_env *env, const struct mta *mta);
/* Above worker.max_sessions: session_connect() will answer with worker.on_overload, so it needs to be asked. */
bool session_is_overload(const struct session *s);
struct mta *session_mta(struct session *s);

/* name: what the MTA found out about the client, "[address]" when nothing.  address NULL or of another family: unknown. */
enum session_answer session_connect(struct session *s, struct span name, const struct sockaddr *address);
enum session_answer session_helo(struct session *s, struct span helo);
enum session_answer session_mail(struct session *s, struct span sender);
enum session_answer session_header(struct session *s, struct span name, struct span value);
enum session_answer session_eoh(struct session *s);
/* Nothing of the piece is kept.  SESSION_SKIP: further pieces are not needed; they do no harm. */
enum session_answer session_body(struct session *s, struct span piece);
enum session_answer session_eom(struct session *s);
void session_abort(struct session *s);
void session_close(struct session **s);

#endif
