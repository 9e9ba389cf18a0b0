/*
 * handover - makes libmilter listen on a socket that somebody else has opened.
 *
 * "fd": Debian's libmilter accepts "fd:N" as an address.  "dup": every libmilter opens a listener of its own on the lowest free
 * descriptor; a private one of the same family is opened, checked to be where it is expected, and the shared listener is put
 * over it with dup3(2).  "auto" tries the first, then the second.
 *
 * Call it while the process has one thread: descriptor numbers must not be taken by others meanwhile.
 */
#ifndef ENMA_WORKER_HANDOVER_H
#define ENMA_WORKER_HANDOVER_H

#include "common/base/rc.h"
#include "common/conf/conf.h"

/* open: makes libmilter open a listener at an address in its own syntax. */
typedef bool handover_open(const char *address);

/* RC_OK: *fd_out is what libmilter now polls; with "dup" listen_fd is closed.  RC_SYNTAX: this libmilter cannot serve such a socket.
 * RC_TEMP: the system refused.  why: one line with the remedy. */
NODISCARD enum rc handover_listener(int listen_fd, enum conf_handover mode, handover_open *open, int *fd_out, char *why, size_t size);

#endif
