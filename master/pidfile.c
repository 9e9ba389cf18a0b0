/* pidfile - one enma per pid file; see pidfile.h. */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"

enum { RACES_MAX = 10 };

static bool
is_still_named(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static enum rc
refuse_locked(int fd, const char *path, char *why, size_t size)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK && l.l_pid > 0)
		snprintf(why, size, "enma is already running as pid %d (it holds the pid file %s)", (int)l.l_pid, path);
	else
		snprintf(why, size, "enma is already running (another process holds the pid file %s)", path);
	return RC_LIMIT;
}

static enum rc
open_and_lock(const char *path, int *fd_out, char *why, size_t size)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;
	enum rc rc = RC_TEMP;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);

	if (fd < 0) {
		snprintf(why, size, "cannot write the pid file %s: %s (set milter.pidfile to a place that enma may write, or leave it empty)",
		         path, errno == ELOOP ? "it is a symbolic link" : strerror(errno));
		return RC_TEMP;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		snprintf(why, size, "the pid file %s is not a regular file", path);
	else if (st.st_nlink > 1)               /* a name that somebody gave to another file, for us to overwrite it */
		snprintf(why, size, "the pid file %s has another name as well", path);
	else if (fcntl(fd, F_SETLK, &l) == 0)
		rc = RC_OK;
	else if (errno == EAGAIN || errno == EACCES)
		rc = refuse_locked(fd, path, why, size);
	else
		snprintf(why, size, "cannot lock the pid file %s: %s", path, strerror(errno));
	if (rc != RC_OK)
		fdio_close(&fd);
	*fd_out = fd;
	return rc;
}

static enum rc
write_pid(struct pidfile *p, char *why, size_t size)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	struct stat st;

	p->was_stale = fstat(p->fd, &st) == 0 && st.st_size > 0;
	if (ftruncate(p->fd, 0) == 0 && pwrite(p->fd, text, (size_t)n, 0) == n && fchmod(p->fd, 0644) == 0)
		return RC_OK;
	snprintf(why, size, "cannot write the pid file %s: %s", p->path, strerror(errno));
	pidfile_drop(p);
	return RC_TEMP;
}

enum rc
pidfile_take(struct pidfile *p, const char *path, char *why, size_t size)
{
	enum rc rc;

	*p = (struct pidfile){ .fd = -1 };
	if (path[0] == '\0')
		return RC_OK;
	/* Between open and lock the last holder may have removed the file: then the lock is on a file that nobody else will find. */
	for (int i = 0; i < RACES_MAX; i++) {
		if ((rc = open_and_lock(path, &p->fd, why, size)) != RC_OK)
			return rc;
		if (is_still_named(p->fd, path)) {
			p->path = xstrdup(path);
			return write_pid(p, why, size);
		}
		fdio_close(&p->fd);
	}
	snprintf(why, size, "the pid file %s keeps being replaced by somebody else", path);
	return RC_TEMP;
}

void
pidfile_drop(struct pidfile *p)
{
	if (p->fd >= 0 && is_still_named(p->fd, p->path))
		unlink(p->path);
	fdio_close(&p->fd);
	free(p->path);
	p->path = NULL;
}
