/* drain - leaves without losing a session; see drain.h. */
#include "worker/drain.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "worker/handover.h"

/* What an accepted connection has in common with its listener: path or port. */
static struct drain_address
local_address(int fd)
{
	struct drain_address out = { .family = -1 };
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	memset(&ss, 0, sizeof ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return out;
	out.family = ss.ss_family;
	if (ss.ss_family == AF_UNIX) {
		out.n = sizeof ((struct sockaddr_un *)&ss)->sun_path;
		memcpy(out.bytes, ((struct sockaddr_un *)&ss)->sun_path, out.n);
	} else {
		/* the port is at the same place for both families */
		out.n = sizeof(in_port_t);
		memcpy(out.bytes, &((struct sockaddr_in *)&ss)->sin_port, out.n);
	}
	return out;
}

static bool
is_accepted(const struct drain *d, int fd)
{
	int type = 0;
	socklen_t len = sizeof type;
	struct drain_address a;

	if (fd <= STDERR_FILENO || fd == d->listen_fd)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
		return false;
	a = local_address(fd);
	return a.family == d->address.family && a.n == d->address.n && memcmp(a.bytes, d->address.bytes, a.n) == 0;
}

/* True also when the list of descriptors cannot be read: rather wait than lose a session. */
static bool
has_accepted(const struct drain *d)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	bool found = dir == NULL;

	while (!found && dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			found = is_accepted(d, (int)strtol(e->d_name, NULL, 10));
	if (dir != NULL)
		closedir(dir);
	return found;
}

void
drain_init(struct drain *d, int listen_fd, struct slots *slots, void (*wake)(void))
{
	*d = (struct drain){ .listen_fd = listen_fd, .slots = slots, .wake = wake, .address = local_address(listen_fd) };
}

enum rc
drain_begin(struct drain *d, int64_t deadline_ms)
{
	int fd;

	if (d->is_on) {
		d->deadline_ms = MIN(d->deadline_ms, deadline_ms);
		return RC_OK;
	}
	fd = handover_private_listener();
	if (fd < 0)
		return RC_TEMP;
	/* Safe while libmilter polls the old one: its accept() then says EAGAIN. */
	if (dup3(fd, d->listen_fd, O_CLOEXEC) < 0) {
		close(fd);
		return RC_TEMP;
	}
	close(fd);
	d->wake();
	d->is_on = true;
	d->deadline_ms = deadline_ms;
	d->quiet_since_ms = 0;
	return RC_OK;
}

bool
drain_is_over(struct drain *d, int64_t now_ms)
{
	if (!d->is_on)
		return false;
	if (now_ms >= d->deadline_ms)
		return true;
	if (slots_open(d->slots) > 0 || has_accepted(d)) {
		d->quiet_since_ms = 0;
		return false;
	}
	if (d->quiet_since_ms == 0)
		d->quiet_since_ms = now_ms;
	return now_ms - d->quiet_since_ms >= DRAIN_QUIET_MS;
}
