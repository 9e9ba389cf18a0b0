/* handover - makes libmilter listen on a socket that somebody else has opened; see handover.h. */
#include "worker/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"

int
handover_family(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 ? ss.ss_family : -1;
}

static bool
is_listener(int fd)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value != 0;
}


/* ---- does this libmilter know IPv6? ---------------------------------------------------------------------- */

static bool
host_has_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* The loopback address may be missing where IPv6 as such is there. */
static bool
open_private_ipv6(handover_open *open)
{
	return open("inet6:0@[::1]") || open("inet6:0@[::]");
}

/* Asked in a child, because libmilter opens one listener per process and no second. */
static bool
lacks_ipv6(handover_open *open)
{
	int status;
	pid_t pid;

	if (!host_has_ipv6())
		return false;           /* cannot be found out, and does not matter */
	pid = fork();
	if (pid == 0)
		_exit(open_private_ipv6(open) ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* ---- the two ways ---------------------------------------------------------------------------------------- */

int
handover_private_listener(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&a, sizeof(sa_family_t)) != 0 || listen(fd, 1) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
take_by_number(handover_open *open, struct handover *h)
{
	char address[32];
	int fd = handover_private_listener();

	if (fd < 0)
		return false;
	snprintf(address, sizeof address, "fd:%d", fd);
	if (!open(address)) {
		close(fd);
		return false;
	}
	h->fd = fd;
	return true;
}

/* A unix listener needs a path; it is removed as soon as the shared one is in its place. */
static bool
open_private_unix(handover_open *open, struct handover *h)
{
	static const char *const folders[] = { "/tmp", "/var/tmp", "/dev/shm", "." };
	char address[sizeof h->folder + 8];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(h->folder, sizeof h->folder, "%s/enma-XXXXXX", folders[i]);
		if (mkdtemp(h->folder) == NULL)
			continue;
		snprintf(address, sizeof address, "unix:%s/s", h->folder);
		if (open(address))
			return true;
		rmdir(h->folder);
	}
	h->folder[0] = '\0';
	return false;
}

static bool
open_private(int family, handover_open *open, struct handover *h)
{
	switch (family) {
	case AF_INET:
		return open("inet:0@127.0.0.1");
	case AF_INET6:
		return open_private_ipv6(open);
	case AF_UNIX:
		return open_private_unix(open, h);
	default:
		return false;
	}
}

static enum rc
take_by_dup(handover_open *open, struct handover *h, char *why, size_t size)
{
	int family = handover_family(h->shared_fd);

	h->fd = dup(STDIN_FILENO);
	if (h->fd >= 0)
		close(h->fd);
	if (h->fd < 0 || !open_private(family, open, h)) {
		snprintf(why, size, "libmilter cannot open a private listener for the handover (its own reason is in syslog): "
		    "a unix socket needs a writable /tmp, others the loopback interface");
		return RC_TEMP;
	}
	if (is_listener(h->fd) && handover_family(h->fd) == family)
		return RC_OK;
	snprintf(why, size, "libmilter's listener is not where it was expected (descriptor %d): "
	    "the handover does not work with this libmilter", h->fd);
	return RC_SYNTAX;
}

static enum rc
take(enum conf_handover mode, handover_open *open, struct handover *h, char *why, size_t size)
{
	if (mode != CONF_HANDOVER_DUP && take_by_number(open, h))
		return RC_OK;
	if (mode != CONF_HANDOVER_FD)
		return take_by_dup(open, h, why, size);
	snprintf(why, size, "this libmilter does not take \"fd:N\" (milter.handover: fd): set milter.handover to auto or dup");
	return RC_SYNTAX;
}

enum rc
handover_prepare(int listen_fd, enum conf_handover mode, handover_open *open, struct handover *out, char *why, size_t size)
{
	bool no_ipv6 = lacks_ipv6(open);
	enum rc rc;

	*out = (struct handover){ .fd = -1, .shared_fd = listen_fd, .address_len = sizeof out->address };
	if (no_ipv6 && handover_family(listen_fd) == AF_INET6) {
		snprintf(why, size, "this libmilter was built without IPv6: use inet: or unix: in milter.socket, or another libmilter");
		return RC_SYNTAX;
	}
	if (no_ipv6)
		log_error("this libmilter was built without IPv6: sessions of clients with IPv6 addresses will fail");
	rc = take(mode, open, out, why, size);
	if (rc != RC_OK)
		return rc;
	if (getsockname(out->fd, (struct sockaddr *)&out->address, &out->address_len) == 0)
		return RC_OK;
	snprintf(why, size, "getsockname: %s", strerror(errno));
	return RC_TEMP;
}

static void
remove_folder(struct handover *h)
{
	char path[sizeof h->folder + 4];

	if (h->folder[0] == '\0')
		return;
	snprintf(path, sizeof path, "%s/s", h->folder);
	unlink(path);
	rmdir(h->folder);
	h->folder[0] = '\0';
}

enum rc
handover_finish(struct handover *h)
{
	int done = dup3(h->shared_fd, h->fd, O_CLOEXEC), error = errno;

	if (done >= 0) {
		/* The supervisor may close the socket later; no other descriptor of ours may then keep it listening. */
		close(h->shared_fd);
		h->shared_fd = -1;
	}
	remove_folder(h);
	errno = error;
	return done >= 0 ? RC_OK : RC_TEMP;
}
