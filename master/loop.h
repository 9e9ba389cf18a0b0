/*
 * loop - wait for descriptors: epoll with a function per descriptor.
 *
 * One thread.  A function may add and remove any descriptor, also its own and ones that have events pending in the same
 * round: events of a descriptor that was removed meanwhile are dropped, also when its number is in use again.
 */
#ifndef ENMA_MASTER_LOOP_H
#define ENMA_MASTER_LOOP_H

#include <sys/epoll.h>

#include "common/base/defs.h"
#include "common/base/rc.h"

typedef void (*loop_fn)(void *arg, uint32_t events);

struct loop;

NODISCARD struct loop *loop_create(void);       /* NULL: no descriptor or memory left */
void loop_destroy(struct loop **l);
/* events: EPOLLIN, EPOLLOUT ...; level-triggered.  RC_TEMP when the kernel refuses. */
NODISCARD enum rc loop_add(struct loop *l, int fd, uint32_t events, loop_fn fn, void *arg);
void loop_change(struct loop *l, int fd, uint32_t events);      /* 0: keep it, but only errors and hang-ups are seen */
void loop_remove(struct loop *l, int fd);                       /* before close(); unknown numbers are ignored */
/* Waits at most timeout_ms (-1: without end) and calls the functions of what is ready. */
void loop_wait(struct loop *l, int timeout_ms);

#endif
