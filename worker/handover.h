/*
 * handover - makes libmilter listen on a socket that somebody else has opened.
 *
 * In two steps.  handover_prepare() makes libmilter listen on a private listener; nobody knows its address but this process, which uses it
 * for the one connection of kick.h.  handover_finish() puts the shared listener in its place with dup3(2).
 *
 * How libmilter gets the private listener: "fd": Debian's libmilter accepts "fd:N" as an address.  "dup": every libmilter opens a listener of its
 * own on the lowest free descriptor; one of the shared listener's family is opened and checked to be where it is expected.  "auto"
 * tries the first, then the second.
 *
 * Prepare while the process has one thread: descriptor numbers must not be taken by others meanwhile.
 */
#ifndef ENMA_WORKER_HANDOVER_H
#define ENMA_WORKER_HANDOVER_H

#include <sys/socket.h>

#include "common/base/rc.h"
#include "common/conf/conf.h"

/* Makes libmilter open a listener at an address in its own syntax. */
typedef bool handover_open(const char *address);

struct handover {
	int fd;                         /* what libmilter polls, for ever */
	int shared_fd;                  /* closed by handover_finish() */
	struct sockaddr_storage address;        /* of the private listener */
	socklen_t address_len;
	char folder[64];                /* that holds its path; "": none */
};

/* AF_INET, AF_INET6, AF_UNIX; -1: no socket. */
int handover_family(int fd);

/* RC_SYNTAX: this libmilter cannot serve such a socket.  RC_TEMP: the system refused.  why: one line with the remedy. */
NODISCARD enum rc handover_prepare(int listen_fd, enum conf_handover mode, handover_open *open, struct handover *out, char *why,
                                   size_t size);
/* From here on libmilter accepts from the shared listener; a poll(2) that has begun on the private one must be interrupted by the caller.
 * RC_TEMP: errno. */
NODISCARD enum rc handover_finish(struct handover *h);

/* A listener that nobody can find: an abstract unix address of the kernel's choice.  -1: errno. */
int handover_private_listener(void);

#endif
