/* loop - wait for descriptors; see loop.h. */
#include "master/loop.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/xalloc.h"

enum { EVENTS_MAX = 64 };

struct entry {
	loop_fn fn;             /* NULL: not in the loop */
	void *arg;
	uint32_t serial;        /* tells two lives of one number apart */
};

struct loop {
	int epoll;
	struct entry *entries;  /* by descriptor */
	size_t room;
	uint32_t serial;
};

struct loop *
loop_create(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l;

	if (fd < 0)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->epoll = fd;
	return l;
}

void
loop_destroy(struct loop **l)
{
	if (*l == NULL)
		return;
	close((*l)->epoll);
	free((*l)->entries);
	free(*l);
	*l = NULL;
}

static void
make_room(struct loop *l, size_t fd)
{
	size_t room = MAX(l->room, (size_t)64);

	while (room <= fd)
		room *= 2;
	if (room == l->room)
		return;
	l->entries = xrealloc(l->entries, room, sizeof(*l->entries));
	for (size_t i = l->room; i < room; i++)
		l->entries[i] = (struct entry){ .fn = NULL };
	l->room = room;
}

static struct epoll_event
event_of(const struct loop *l, int fd, uint32_t events)
{
	return (struct epoll_event){
		.events = events,
		.data.u64 = (uint64_t)l->entries[fd].serial << 32 | (uint32_t)fd,
	};
}

enum rc
loop_add(struct loop *l, int fd, uint32_t events, loop_fn fn, void *arg)
{
	struct epoll_event ev;

	if (fd < 0)
		return RC_TEMP;
	make_room(l, (size_t)fd);
	l->entries[fd] = (struct entry){ fn, arg, ++l->serial };
	ev = event_of(l, fd, events);
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) == 0)
		return RC_OK;
	l->entries[fd].fn = NULL;
	return RC_TEMP;
}

static bool
is_known(const struct loop *l, int fd)
{
	return fd >= 0 && (size_t)fd < l->room && l->entries[fd].fn != NULL;
}

void
loop_change(struct loop *l, int fd, uint32_t events)
{
	struct epoll_event ev;

	if (!is_known(l, fd))
		return;
	ev = event_of(l, fd, events);
	(void)epoll_ctl(l->epoll, EPOLL_CTL_MOD, fd, &ev);
}

void
loop_remove(struct loop *l, int fd)
{
	if (!is_known(l, fd))
		return;
	l->entries[fd].fn = NULL;
	(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void
loop_wait(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(l->epoll, ev, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		int fd = (int)(uint32_t)ev[i].data.u64;
		const struct entry *e;

		if (!is_known(l, fd))
			continue;
		e = &l->entries[fd];
		if (e->serial == (uint32_t)(ev[i].data.u64 >> 32))
			e->fn(e->arg, ev[i].events);
	}
}
