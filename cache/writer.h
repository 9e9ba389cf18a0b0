/*
 * writer - the role `enma -x cache`: the only process that writes the shared cache.  What it finds at its start: common/ipc/procfd.h.
 *
 * One thread, one poll loop, nothing in it waits for anybody:
 *
 *  * takes offers from PROCFD_FEED and puts them in batches of at most CACHE_DB_BATCH_MAX.  After a quiet time the first offer is written at
 *    once, so that others who wait for it see it; then batches are at least WRITER_BATCH_MS apart or full.
 *  * between batches: a step of garbage collection, a step of each client's request, reader checks every WRITER_CHECK_S and on
 *    STATUS_CHILD_DIED, a look at the file once a second.
 *  * requests of control clients (STATUS_REQUEST): the client's socket comes along; answers are streamed with a small buffer per client, at the client's
 *    speed, no read transaction is held meanwhile.  At most WRITER_CLIENTS_MAX at a time, WRITER_CLIENT_MS without progress end one.
 *  * a file that is damaged, replaced, or cannot be written: a new one, with a line in the log that says why; garbage that kills the process
 *    leaves a mark (cache_guard.h), and the successor makes a new file.
 *  * counters and gauges go to its board (BOARD_CACHE, BOARD_GAUGES); the board's beat is renewed by the loop itself.
 *
 * It drops to milter.user before it opens a file, limits its memory, and leaves on DRAIN or when the supervisor is gone, with a clean mark.
 */
#ifndef ENMA_CACHE_WRITER_H
#define ENMA_CACHE_WRITER_H

#include "common/ipc/procfd.h"

enum {
	WRITER_BATCH_MS = 20,
	WRITER_CHECK_S = 30,
	WRITER_CLIENTS_MAX = 8,
	WRITER_CLIENT_MS = 30000,
};

/* Does not return but by the exit codes of procfd.h. */
int writer_main(const struct role_args *args);

#endif
