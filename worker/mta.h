/*
 * mta - what a session may ask of the mail server that it talks to.
 *
 * worker/milter.c fills it with libmilter's functions; tests fill it with a recorder; another milter engine would fill it with
 * its own.  Operations that change the message are only valid while session_eom() runs.  RC_TEMP: the MTA is gone or refuses.
 */
#ifndef ENMA_WORKER_MTA_H
#define ENMA_WORKER_MTA_H

#include "common/base/defs.h"
#include "common/base/rc.h"

struct mta;

struct mta_ops {
	/* The value of a symbol ("i", "{auth_authen}"), or NULL; valid until the callback returns. */
	const char *(*symbol)(const struct mta *mta, const char *name);
	/* index 0: above everything.  value: as mta->wants_leading_space says; lines separated by LF. */
	NODISCARD enum rc (*insert_header)(const struct mta *mta, int index, const char *name, const char *value);
	/* The index-th field of that name as received, counted from 1. */
	NODISCARD enum rc (*delete_header)(const struct mta *mta, const char *name, int index);
	/* code "4xx" or "5xx", xcode "4.7.1" or NULL, text one line without '%', CR, LF. */
	NODISCARD enum rc (*set_reply)(const struct mta *mta, const char *code, const char *xcode, const char *text);
	/* We are still alive: the MTA restarts its timer. */
	NODISCARD enum rc (*progress)(const struct mta *mta);
	/* This thread is about to wait: let others go on. */
	void (*will_wait)(const struct mta *mta);
};

struct mta {
	const struct mta_ops *ops;
	void *handle;                   /* the engine's own */
	bool can_skip_body;             /* SESSION_SKIP saves it from sending the rest of a body */
	bool waits_for_body;            /* it waits for an answer to each piece */
	bool wants_leading_space;       /* header values travel exactly as written, the blank behind the colon included */
};

#endif
