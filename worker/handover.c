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

enum { ADDRESS_MAX = 160 };

static int
family_of(int fd)
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

static bool
take_by_number(int listen_fd, handover_open *open)
{
	char address[ADDRESS_MAX];

	snprintf(address, sizeof address, "fd:%d", listen_fd);
	return open(address) && is_listener(listen_fd);
}

/* A unix listener needs a path for a moment; it is removed at once. */
static bool
open_private_unix(handover_open *open)
{
	static const char *const folders[] = { "/tmp", "/var/tmp", "/dev/shm", "." };
	char folder[ADDRESS_MAX / 2], address[ADDRESS_MAX], *path = address + strlen("unix:");
	bool ok = false;

	for (size_t i = 0; i < ARRAY_LEN(folders) && !ok; i++) {
		snprintf(folder, sizeof folder, "%s/enma-XXXXXX", folders[i]);
		if (mkdtemp(folder) == NULL)
			continue;
		snprintf(address, sizeof address, "unix:%s/s", folder);
		ok = open(address);
		unlink(path);
		rmdir(folder);
	}
	return ok;
}

static bool
open_private(int family, handover_open *open)
{
	switch (family) {
	case AF_INET:
		return open("inet:0@127.0.0.1");
	case AF_INET6:
		return open_private_ipv6(open);
	case AF_UNIX:
		return open_private_unix(open);
	default:
		return false;
	}
}

static enum rc
take_by_dup(int listen_fd, handover_open *open, int *fd_out, char *why, size_t size)
{
	int family = family_of(listen_fd), fd = dup(STDIN_FILENO);

	if (fd >= 0)
		close(fd);
	if (fd < 0 || !open_private(family, open)) {
		snprintf(why, size, "libmilter cannot open a private listener for the handover (its own reason is in syslog): "
		    "a unix socket needs a writable /tmp, others the loopback interface");
		return RC_TEMP;
	}
	if (!is_listener(fd) || family_of(fd) != family) {
		snprintf(why, size, "libmilter's listener is not where it was expected (descriptor %d): "
		    "the handover does not work with this libmilter", fd);
		return RC_SYNTAX;
	}
	if (dup3(listen_fd, fd, O_CLOEXEC) < 0) {
		snprintf(why, size, "dup3: %s", strerror(errno));
		return RC_TEMP;
	}
	/* The supervisor may close the socket later; no descriptor of ours may then keep it listening. */
	close(listen_fd);
	*fd_out = fd;
	return RC_OK;
}

enum rc
handover_listener(int listen_fd, enum conf_handover mode, handover_open *open, int *fd_out, char *why, size_t size)
{
	bool no_ipv6 = lacks_ipv6(open);

	if (no_ipv6 && family_of(listen_fd) == AF_INET6) {
		snprintf(why, size, "this libmilter was built without IPv6: use inet: or unix: in milter.socket, or another libmilter");
		return RC_SYNTAX;
	}
	if (no_ipv6)
		log_error("this libmilter was built without IPv6: sessions of clients with IPv6 addresses will fail");
	if (mode != CONF_HANDOVER_DUP && take_by_number(listen_fd, open)) {
		*fd_out = listen_fd;
		return RC_OK;
	}
	if (mode == CONF_HANDOVER_FD) {
		snprintf(why, size, "this libmilter does not take \"fd:N\" (milter.handover: fd): set milter.handover to auto or dup");
		return RC_SYNTAX;
	}
	return take_by_dup(listen_fd, open, fd_out, why, size);
}
