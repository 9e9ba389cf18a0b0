/*
 * fdio - descriptors: whole reads and writes, flags, sealed memory, passing a descriptor, whole files.
 *
 * Every descriptor made here is close-on-exec.  Functions that can fail for a reason that an operator must read take
 * (why, size): one line without a final dot, always NUL-terminated when they fail.  All may be called from any thread.
 */
#ifndef ENMA_BASE_FDIO_H
#define ENMA_BASE_FDIO_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum { FDIO_WHY_MAX = 512 };    /* a good size for why */

/* Exactly n bytes, across short reads and interruptions.  RC_NONE: end of file before the first byte; RC_SYNTAX: end of file in the
 * middle; RC_TEMP: error (also EAGAIN of a non-blocking descriptor: these two are for blocking ones). */
NODISCARD enum rc fdio_read_full(int fd, void *p, size_t n);
NODISCARD enum rc fdio_write_full(int fd, struct span bytes);

bool fdio_set_cloexec(int fd, bool on);
bool fdio_set_nonblock(int fd, bool on);
void fdio_close(int *fd);               /* and sets it to -1; -1 is accepted */

/* Shared memory of a fixed size, zeroed, sealed against growing and shrinking: a process that maps it cannot be killed by SIGBUS. */
NODISCARD enum rc fdio_memfd_shared(const char *name, size_t size, int *fd_out);
/* Memory with these bytes that nobody can change any more. */
NODISCARD enum rc fdio_memfd_sealed(const char *name, struct span bytes, int *fd_out);
/* True when fd has all these seals (F_SEAL_*): what a receiver checks before it maps. */
bool fdio_has_seals(int fd, int seals);

/* One message with at most one descriptor (fd -1: none) over a unix socket that keeps message borders.  Never raises SIGPIPE.
 * RC_TEMP: the socket is full (non-blocking); RC_NONE: the other side is gone; RC_LIMIT: the message is too long for the socket. */
NODISCARD enum rc fdio_send(int sock, struct span bytes, int fd);
/* *n_out bytes into p.  *fd_out: the descriptor that came along, or -1; further ones are closed.  RC_TEMP: nothing there; RC_NONE: end or
 * the other side is gone; RC_LIMIT: the message was longer than size, it is dropped with its descriptor. */
NODISCARD enum rc fdio_receive(int sock, void *p, size_t size, size_t *n_out, int *fd_out);

/* A whole regular file (or /dev/null) of at most max bytes, appended to out (whose own ceiling counts, too).  RC_NONE: there is no
 * such file; RC_LIMIT: too large; RC_TEMP: anything else, with the part of the path that denies access in why.  Never blocks on a FIFO. */
NODISCARD enum rc fdio_read_file(const char *path, size_t max, struct buf *out, char *why, size_t size);

/* Writes a new file beside path and renames it over path: a reader sees the old or the new contents, never a part.  RC_TEMP with why. */
NODISCARD enum rc fdio_write_file(const char *path, struct span bytes, mode_t mode, char *why, size_t size);

#endif
