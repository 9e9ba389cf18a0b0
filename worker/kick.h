/*
 * kick - keeps libmilter's pool of threads from leaving sessions unserved.
 *
 * Debian's libmilter gives a session that has something to read to a thread that it believes to be idle.  In a burst it counts the same idle
 * thread several times; the sessions that got none wait until some other thread returns from its callback, and starts looking.
 * If those callbacks wait for DNS, that takes seconds (measured: 12 s instead of 0.5 s for 16 sessions at once).  No API changes that.
 *
 * The way out: this process keeps one milter connection to itself.  A packet on it (a list of no macros, which is never answered) is
 * an event like any other: libmilter wakes a thread for it or makes one, and that thread then looks for sessions that wait.  So a
 * session that is about to wait kicks first, and passes the work on; the watch thread kicks with every beat for what waits elsewhere.
 *
 * Any thread, never blocks.  One connection per process, as there is one libmilter.
 */
#ifndef ENMA_WORKER_KICK_H
#define ENMA_WORKER_KICK_H

#include <sys/socket.h>

#include "common/base/rc.h"

enum { KICK_NEGOTIATE_MS = 5000 };

/* Connects; libmilter need not be running yet.  RC_TEMP: errno. */
NODISCARD enum rc kick_connect(const struct sockaddr *address, socklen_t len);
/* Negotiates as an MTA; libmilter is running.  RC_TEMP: no or no good answer in time, and kicks do nothing from then on. */
NODISCARD enum rc kick_negotiate(void);
void kick(void);

#endif
