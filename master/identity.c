/* identity - users, groups and runtime folders; see identity.h. */
#include "master/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"

static const struct passwd *
find_user(const char *name, char *why, size_t size)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL && errno != 0 && errno != ENOENT)
		snprintf(why, size, "cannot look up the user \"%s\": %s", name, strerror(errno));
	else if (pw == NULL)
		snprintf(why, size, "there is no user \"%s\" on this host (create it, or name another one)", name);
	return pw;
}

enum rc
identity_user(const char *name, uid_t *out, char *why, size_t size)
{
	const struct passwd *pw;

	if (name[0] == '\0')
		return RC_OK;
	if ((pw = find_user(name, why, size)) == NULL)
		return RC_SYNTAX;
	*out = pw->pw_uid;
	return RC_OK;
}

enum rc
identity_group(const char *name, gid_t *out, char *why, size_t size)
{
	const struct group *gr;

	if (name[0] == '\0')
		return RC_OK;
	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL) {
		if (errno != 0 && errno != ENOENT)
			snprintf(why, size, "cannot look up the group \"%s\": %s", name, strerror(errno));
		else
			snprintf(why, size, "there is no group \"%s\" on this host", name);
		return RC_SYNTAX;
	}
	*out = gr->gr_gid;
	return RC_OK;
}

enum rc
identity_resolve(const char *setting, struct identity *out, char *why, size_t size)
{
	const char *colon = strchr(setting, ':');
	char *name = colon ? xstrndup(setting, (size_t)(colon - setting)) : xstrdup(setting);
	const struct passwd *pw;
	enum rc rc = RC_OK;

	*out = (struct identity){ geteuid(), getegid() };
	if (name[0] != '\0') {
		if ((pw = find_user(name, why, size)) == NULL)
			rc = RC_SYNTAX;
		else
			*out = (struct identity){ pw->pw_uid, pw->pw_gid };
	}
	if (rc == RC_OK && colon != NULL)
		rc = identity_group(colon + 1, &out->gid, why, size);
	if (rc == RC_OK && geteuid() != 0 && out->uid != geteuid()) {
		snprintf(why, size, "only root can start enma as the user \"%s\" (start it as root, or leave milter.user empty)", name);
		rc = RC_SYNTAX;
	}
	free(name);
	return rc;
}

/* The folder of a path, to be freed; NULL for the working folder and "/", which are there. */
static char *
folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? NULL : xstrndup(path, (size_t)(slash - path));
}

/* RC_OK: made just now; RC_NONE: there already; RC_TEMP with a reason. */
static enum rc
make_folder(const char *folder, mode_t mode, char *why, size_t size)
{
	struct stat st;

	if (stat(folder, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return RC_NONE;
		snprintf(why, size, "%s is not a folder", folder);
		return RC_TEMP;
	}
	if (errno == ENOENT && mkdir(folder, mode) == 0)
		return RC_OK;
	if (errno == EEXIST)
		return RC_NONE;
	snprintf(why, size, "cannot make the folder %s: %s", folder, errno == ENOENT ? "the folder above it does not exist" : strerror(errno));
	return RC_TEMP;
}

enum rc
identity_make_folder(const char *path, char *why, size_t size)
{
	char *folder = folder_of(path);
	enum rc rc = folder == NULL ? RC_NONE : make_folder(folder, 0755, why, size);

	if (rc == RC_OK)
		(void)chmod(folder, 0755);      /* whatever the umask was: the MTA has to reach the sockets in it */
	free(folder);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc
identity_make_folder_for(const char *path, const struct identity *owner, char *why, size_t size)
{
	char *folder = folder_of(path);
	enum rc rc = folder == NULL ? RC_NONE : make_folder(folder, 0700, why, size);
	int fd = -1;

	/* By a descriptor: nobody can put another folder in its place meanwhile. */
	if (rc == RC_OK) {
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || (geteuid() == 0 && fchown(fd, owner->uid, owner->gid) < 0) || fchmod(fd, 0750) < 0) {
			snprintf(why, size, "cannot give the folder %s to its user: %s", folder, strerror(errno));
			(void)rmdir(folder);
			rc = RC_TEMP;
		}
	}
	fdio_close(&fd);
	free(folder);
	return rc == RC_NONE ? RC_OK : rc;
}
