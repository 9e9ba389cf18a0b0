/*
 * drain - leaves without losing a session.
 *
 * smfi_stop() freezes sessions in flight in builds of libmilter with a worker pool.  Instead a dead private listener is put over the
 * descriptor that libmilter polls: this process accepts no more, the other workers' listener is untouched.  The worker is done
 * when its sessions are gone and no accepted connection is left that has not negotiated yet (it is visible as a descriptor only);
 * that must hold for DRAIN_QUIET_MS.
 *
 * An MTA keeps its connection for as long as the SMTP session lasts, so idle sessions are waited for, too, up to the deadline.
 * Everything here runs on the watch thread.
 */
#ifndef ENMA_WORKER_DRAIN_H
#define ENMA_WORKER_DRAIN_H

#include "common/base/rc.h"
#include "worker/slots.h"

enum { DRAIN_QUIET_MS = 100 };

struct drain {
	int listen_fd;                  /* what libmilter polls */
	struct slots *slots;
	void (*wake)(void);             /* makes libmilter let go of the old listener at once, else it holds it for some seconds */
	bool is_on;
	int64_t deadline_ms;            /* clock_mono_ms */
	int64_t quiet_since_ms;         /* 0: not quiet */
	struct drain_address { int family; unsigned char bytes[112]; size_t n; } address;       /* of accepted connections */
};

void drain_init(struct drain *d, int listen_fd, struct slots *slots, void (*wake)(void));
/* RC_OK; RC_TEMP when no dead listener could be made (errno): call again.  A second call may only bring the deadline nearer. */
NODISCARD enum rc drain_begin(struct drain *d, int64_t deadline_ms);
/* True: leave now with _exit(), never through libmilter or atexit().  Call it every few ten milliseconds. */
bool drain_is_over(struct drain *d, int64_t now_ms);

#endif
