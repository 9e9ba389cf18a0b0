/*
 * listen - the milter sockets: made once, kept across reloads, closed and removed by the supervisor alone.
 *
 * A listener is non-blocking (workers share it, and one that lost the race must not hang in accept) and, for inet, has TCP_NODELAY set (accepted
 * sockets inherit it).  A unix socket that nobody answers is replaced; a file that is no socket never is.  A
 * worker cannot remove a socket: its folder belongs to the supervisor, and libmilter never learns its path.
 */
#ifndef ENMA_MASTER_LISTEN_H
#define ENMA_MASTER_LISTEN_H

#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/conf/conf.h"
#include "common/conf/sockspec.h"
#include "master/identity.h"

struct listener;

/* How a control or milter socket of the unix family is to look. */
struct listen_rules {
	int backlog;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* The rules of one milter socket: its own options before the settings before milter.user.  RC_SYNTAX: no such user or group. */
NODISCARD enum rc listen_rules_of(const struct conf *c, const struct sockspec *spec, const struct identity *id, struct listen_rules *out,
                                  char *why, size_t size);

/* patience_ms: how long to wait for a place that is in use, because the workers of a supervisor that was killed need a moment to let go.
 * RC_TEMP with one line in why: in use, no such address, folder not writable ... */
NODISCARD enum rc listen_open(const struct sockspec *spec, const struct listen_rules *rules, int64_t patience_ms, struct listener **out,
                              char *why, size_t size);
/* The same socket stays; backlog, mode, owner become what the rules say. */
NODISCARD enum rc listen_adjust(struct listener *l, const struct listen_rules *rules, char *why, size_t size);
/* Closes, removes the unix socket if it is still ours. */
void listen_close(struct listener **l);

bool listen_is_at(const struct listener *l, const struct sockspec *spec);       /* same address, as it was asked for */
int listen_fd(const struct listener *l);
/* "inet:40123@127.0.0.1", "inet6:...", "unix:/path": with the real port. */
void listen_print(const struct listener *l, struct buf *out);

#endif
