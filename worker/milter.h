/*
 * milter - libmilter's side of a worker: the only door to <libmilter/mfapi.h>.
 *
 * Its callbacks translate and call session_*(), nothing else.  One set-up per process: libmilter keeps everything in static
 * variables.  Order: milter_prepare(), milter_run() on a thread of its own, milter_open().
 *
 * What is negotiated, and why:
 *   SMFIP_HDR_LEADSPC    header values exactly as written; an MTA that lacks it adds and removes one blank itself
 *   SMFIP_NR_*           no reply where we never refuse: three times the speed (libmilter answers for MTAs that lack it)
 *                        not at MAIL FROM: without an answer Postfix keeps the whole envelope in its buffer until DATA, so the DNS
 *                        questions would start late
 *   SMFIP_NOBODY         while no mechanism needs bodies
 *   SMFIP_SKIP           otherwise: the answer to the first piece of a body that nobody needs (no signature, an excluded client) tells the MTA to keep
 *                        the rest.  An MTA that does not offer it sends everything, with SMFIP_NR_BODY and without waiting
 *   SMFIP_NORCPT, NODATA, NOUNKNOWN    not needed by any mechanism; asked for as far as offered
 *                        not NODATA over TCP: the answer to DATA carries the ACK without which Nagle's algorithm holds back the header that
 *                        Postfix writes next, for the 40 ms of our kernel's delayed ACK
 *   symbol lists         for every stage, because Postfix empties the lists of stages that are not named
 * A full worker negotiates without NR_CONN and answers the connect itself.
 *
 * SMFIS_ACCEPT is never returned for a message: a Postfix of 2026 took it for later messages of the connection, too.
 */
#ifndef ENMA_WORKER_MILTER_H
#define ENMA_WORKER_MILTER_H

#include "worker/session.h"

enum {
	/* libmilter makes its threads with default attributes: 8 MB of address space each, else. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	MILTER_THREAD_STACK = 2 * MIB,
#else
	MILTER_THREAD_STACK = 256 * KIB,
#endif
};

struct milter_options {
	const struct session_env *env;  /* outlives the process's sessions */
	int listen_fd;                  /* shared with other workers, O_NONBLOCK; is taken over */
	enum conf_handover handover;
	int backlog;
	int timeout_s;                  /* of reads and writes */
	int debug;
};

/* While there is one thread.  RC_SYNTAX: cannot work with these settings or this libmilter; RC_TEMP: not now.  why: one line with the
 * remedy. */
NODISCARD enum rc milter_prepare(const struct milter_options *o, char *why, size_t size);
/* Serves for ever.  Returns only when libmilter gives up, which is a failure. */
void milter_run(void);
/* While milter_run() runs: opens the door.  *fd_out is the descriptor that libmilter polls (for drain.h).  RC_TEMP: why. */
NODISCARD enum rc milter_open(int *fd_out, char *why, size_t size);
/* Another file is behind the descriptor that libmilter polls: makes it look. */
void milter_wake(void);

#endif
