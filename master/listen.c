/* listen - the milter sockets; see listen.h. */
#include "master/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/fdio.h"
#include "common/base/ip.h"
#include "common/base/xalloc.h"

enum { RETRY_MS = 50 };

struct listener {
	struct sockspec spec;           /* as asked for */
	int fd;
	dev_t dev;                      /* of the unix socket that we made */
	ino_t ino;
};

enum rc
listen_rules_of(const struct conf *c, const struct sockspec *spec, const struct identity *id, struct listen_rules *out, char *why, size_t size)
{
	enum rc rc;

	*out = (struct listen_rules){
		.backlog = (int)c->milter_backlog,
		.mode = (mode_t)(spec->perm >= 0 ? spec->perm : c->milter_socket_mode),
		.uid = id->uid,
		.gid = id->gid,
	};
	if ((rc = identity_user(spec->owner[0] ? spec->owner : c->milter_socket_owner, &out->uid, why, size)) != RC_OK)
		return rc;
	return identity_group(spec->group[0] ? spec->group : c->milter_socket_group, &out->gid, why, size);
}

static void
print_spec(const struct sockspec *spec, const struct sockaddr *sa, struct buf *out)
{
	struct ip ip;
	char text[IP_TEXT_MAX];
	unsigned port;

	if (spec->family == AF_UNIX) {
		buf_fmt(out, "unix:%s", spec->path);
		return;
	}
	ip = ip_from_sockaddr(sa);
	ip_print(&ip, text);
	if (spec->family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		/* An address as the operator wrote it: ip_print would show a mapped one as IPv4. */
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		port = ntohs(in6->sin6_port);
	} else
		port = ntohs(((const struct sockaddr_in *)(const void *)sa)->sin_port);
	buf_fmt(out, "%s:%u@%s", spec->family == AF_INET6 ? "inet6" : "inet", port, text);
}

static enum rc
refuse(const struct sockspec *spec, const char *reason, char *why, size_t size)
{
	struct buf name = buf_heap(KIB);

	print_spec(spec, (const struct sockaddr *)&spec->addr, &name);
	snprintf(why, size, "cannot listen on %s: %s", buf_text(&name).p, reason);
	buf_fini(&name);
	return RC_TEMP;
}

static const char *
bind_remedy(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "a program already listens there";
	case EADDRNOTAVAIL:
		return "this host has no such address";
	case EAFNOSUPPORT:
		return "this host has no such address family (IPv6 switched off?)";
	case EACCES:
	case EPERM:
		return "permission denied (ports below 1024 and folders of others need root)";
	case ENOENT:
	case ENOTDIR:
		return "the folder does not exist";
	case EROFS:
		return "the file system is read-only";
	default:
		return strerror(err);
	}
}

/* What is at the path of a unix socket now?  RC_NONE: nothing; RC_OK: a stale socket; RC_LIMIT: one that is answered; RC_SYNTAX: no socket. */
static enum rc
probe_unix(const struct sockspec *spec)
{
	struct stat st;
	enum rc rc;
	int fd;

	if (lstat(spec->path, &st) < 0)
		return RC_NONE;
	if (!S_ISSOCK(st.st_mode))
		return RC_SYNTAX;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return RC_LIMIT;
	/* Only a refused connection proves that nobody listens: a full backlog (EAGAIN) or no permission does not. */
	if (connect(fd, (const struct sockaddr *)&spec->addr, spec->addr_len) < 0 && errno == ECONNREFUSED)
		rc = RC_OK;
	else
		rc = RC_LIMIT;
	close(fd);
	return rc;
}

static int
bind_unix(const struct sockspec *spec, int fd)
{
	/* Closed to everybody until mode and owner are right. */
	mode_t before = umask(0777);
	int r = bind(fd, (const struct sockaddr *)&spec->addr, spec->addr_len), err = errno;

	umask(before);
	errno = err;
	return r;
}

static enum rc
dress_unix(struct listener *l, const struct listen_rules *rules, char *why, size_t size)
{
	const char *path = l->spec.path;
	struct stat st;

	if (l->spec.family != AF_UNIX)
		return RC_OK;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		snprintf(why, size, "the socket %s has been removed or replaced by somebody else", path);
		return RC_TEMP;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if ((st.st_uid != rules->uid || st.st_gid != rules->gid) && lchown(path, rules->uid, rules->gid) < 0) {
		snprintf(why, size, "cannot give the socket %s to user %u, group %u: %s", path, (unsigned)rules->uid, (unsigned)rules->gid,
		         strerror(errno));
		return RC_TEMP;
	}
	/* Neither this nor lchown() follows a link that somebody may put there meanwhile. */
	if (fchmodat(AT_FDCWD, path, rules->mode & 0777, AT_SYMLINK_NOFOLLOW) < 0) {
		snprintf(why, size, "cannot set the mode of the socket %s: %s", path, strerror(errno));
		return RC_TEMP;
	}
	return RC_OK;
}

static int
make_socket(const struct sockspec *spec)
{
	int fd = socket(spec->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd < 0 || spec->family == AF_UNIX)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (spec->family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return fd;
}

/* One try.  RC_LIMIT: in use. */
static enum rc
try_bind(const struct sockspec *spec, int fd, char *why, size_t size)
{
	int err;

	if (spec->family == AF_UNIX) {
		switch (probe_unix(spec)) {
		case RC_SYNTAX:
			return refuse(spec, "there is a file that is no socket, and enma does not remove it", why, size);
		case RC_LIMIT:
			(void)refuse(spec, bind_remedy(EADDRINUSE), why, size);
			return RC_LIMIT;
		case RC_OK:
			if (unlink(spec->path) < 0 && errno != ENOENT)
				return refuse(spec, "a socket that nobody answers is in the way and cannot be removed", why, size);
			break;
		default:
			break;
		}
	}
	if ((spec->family == AF_UNIX ? bind_unix(spec, fd) : bind(fd, (const struct sockaddr *)&spec->addr, spec->addr_len)) == 0)
		return RC_OK;
	err = errno;
	(void)refuse(spec, bind_remedy(err), why, size);
	return err == EADDRINUSE ? RC_LIMIT : RC_TEMP;
}

enum rc
listen_open(const struct sockspec *spec, const struct listen_rules *rules, int64_t patience_ms, struct listener **out, char *why, size_t size)
{
	int64_t until = clock_mono_ms() + patience_ms;
	struct listener *l;
	int fd = make_socket(spec);
	enum rc rc;

	*out = NULL;
	if (fd < 0)
		return refuse(spec, bind_remedy(errno), why, size);
	while ((rc = try_bind(spec, fd, why, size)) == RC_LIMIT && clock_mono_ms() < until)
		poll(NULL, 0, RETRY_MS);
	if (rc != RC_OK) {
		close(fd);
		return RC_TEMP;
	}
	l = xcalloc(1, sizeof(*l));
	l->spec = *spec;
	l->fd = fd;
	if ((rc = dress_unix(l, rules, why, size)) == RC_OK && listen(fd, rules->backlog) < 0)
		rc = refuse(spec, bind_remedy(errno), why, size);
	if (rc != RC_OK) {
		listen_close(&l);
		return RC_TEMP;
	}
	*out = l;
	return RC_OK;
}

enum rc
listen_adjust(struct listener *l, const struct listen_rules *rules, char *why, size_t size)
{
	/* On a socket that listens already this only sets the new backlog. */
	if (listen(l->fd, rules->backlog) < 0)
		return refuse(&l->spec, strerror(errno), why, size);
	return dress_unix(l, rules, why, size);
}

void
listen_close(struct listener **l)
{
	struct listener *x = *l;
	struct stat st;

	if (x == NULL)
		return;
	if (x->spec.family == AF_UNIX && lstat(x->spec.path, &st) == 0 && st.st_dev == x->dev && st.st_ino == x->ino)
		unlink(x->spec.path);
	fdio_close(&x->fd);
	free(x);
	*l = NULL;
}

bool
listen_is_at(const struct listener *l, const struct sockspec *spec)
{
	if (l->spec.family != spec->family)
		return false;
	if (spec->family == AF_UNIX)
		return strcmp(l->spec.path, spec->path) == 0;
	return l->spec.addr_len == spec->addr_len && memcmp(&l->spec.addr, &spec->addr, spec->addr_len) == 0;
}

int
listen_fd(const struct listener *l)
{
	return l->fd;
}

void
listen_print(const struct listener *l, struct buf *out)
{
	struct sockaddr_storage sa = l->spec.addr;
	socklen_t len = sizeof(sa);

	if (l->spec.family != AF_UNIX)
		(void)getsockname(l->fd, (struct sockaddr *)&sa, &len);
	print_spec(&l->spec, (const struct sockaddr *)&sa, out);
}
