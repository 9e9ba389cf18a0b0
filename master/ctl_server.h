/*
 * ctl_server - the supervisor's end of the control socket (doc/CONTROL.md).
 *
 * One request per connection, at most CTL_CLIENTS_MAX connections, CTL_TIMEOUT_MS for a request to arrive and for an answer to be read.  Nothing here
 * blocks: answers are buffered up to a ceiling, a client that stalls is dropped, further clients wait in the backlog meanwhile.  A client whose
 * answer is another process's matter is handed over with its socket and has no place here any more.
 */
#ifndef ENMA_MASTER_CTL_SERVER_H
#define ENMA_MASTER_CTL_SERVER_H

#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/ipc/ctlproto.h"
#include "master/listen.h"
#include "master/loop.h"

enum { CTL_ANSWER_MAX = 4 * MIB };

struct ctl_server;
struct ctl_client;

/* Called with a good request: either ctl_ok() or ctl_err(), lines, and ctl_end(); or ctl_defer(); or ctl_forget(). */
typedef void (*ctl_fn)(void *arg, struct ctl_client *c, const struct ctl_request *r);

/* milter_uid may ask, too, besides root, ourselves and whom the mode of the socket lets in. */
NODISCARD enum rc ctl_server_open(struct loop *loop, const struct sockspec *spec, const struct listen_rules *rules, uid_t milter_uid,
                                  int64_t patience_ms, ctl_fn fn, void *arg, struct ctl_server **out, char *why, size_t size);
void ctl_server_close(struct ctl_server **s);
/* Drops who is too late.  Returns when to call again; INT64_MAX: not before something happens. */
int64_t ctl_server_tick(struct ctl_server *s, int64_t now_ms);
/* Gives answers that are on their way a moment to leave (a stopping supervisor); blocks at most ms. */
void ctl_server_flush(struct ctl_server *s, int ms);

void ctl_ok(struct ctl_client *c);
void ctl_err(struct ctl_client *c, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void ctl_line(struct ctl_client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
void ctl_line_span(struct ctl_client *c, struct span line);     /* of any length */
void ctl_lines(struct ctl_client *c, struct span text);        /* each line of text as a data line */
void ctl_end(struct ctl_client *c);

/* The answer comes later: keep the ticket, and ask with ctl_find(), which gives NULL when the client has gone away. */
uint64_t ctl_defer(struct ctl_client *c);
struct ctl_client *ctl_find(struct ctl_server *s, uint64_t ticket);

/* Another process answers: send it ctl_socket() and then forget the client, which closes our end of it without a word.  A client that
 * cannot be passed on is still there to be told so. */
int ctl_socket(const struct ctl_client *c);
void ctl_forget(struct ctl_client *c);

const char *ctl_who(const struct ctl_client *c);       /* "pid 12, uid 0" for the log */

#endif
