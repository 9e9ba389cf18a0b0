/*
 * check - what to do when our own reasoning turns out wrong.
 *
 * REQUIRE(x): memory itself cannot be trusted if x is false.  Says where on standard error and aborts; the
 * supervisor starts a successor.
 * FAILS_CHECK(x): true when x is false; says where once per place.  The caller returns RC_FAULT.  Use it in code
 * that runs beside other people's sessions.
 */
#ifndef ENMA_BASE_CHECK_H
#define ENMA_BASE_CHECK_H

#include "common/base/defs.h"

NORETURN void check_abort(const char *expr, const char *file, int line);
void check_report(const char *expr, const char *file, int line);

#define REQUIRE(x) ((x) ? (void)0 : check_abort(#x, __FILE__, __LINE__))
#define FAILS_CHECK(x) \
	(!(x) && ({ static _Atomic int said_; if (!said_++) check_report(#x, __FILE__, __LINE__); 1; }))

/* Called by check_report() and check_abort() with the text before anything else happens; default: standard error.
 * Set once at start (log.c does). */
extern void (*check_sink)(const char *text);

#endif
