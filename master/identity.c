/* identity - users, groups and runtime folders; see identity.h. */
#include "master/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum rc
identity_make_folder(const char *path, char *why, size_t size)
{
	const char *slash = strrchr(path, '/');
	enum rc rc = RC_OK;
	struct stat st;
	char *folder;

	if (slash == NULL || slash == path)
		return RC_OK;           /* the working folder, or "/" */
	folder = xstrndup(path, (size_t)(slash - path));
	if (stat(folder, &st) == 0) {
		if (!S_ISDIR(st.st_mode)) {
			snprintf(why, size, "%s is not a folder", folder);
			rc = RC_TEMP;
		}
	} else if (errno != ENOENT || (mkdir(folder, 0755) < 0 && errno != EEXIST)) {
		snprintf(why, size, "cannot make the folder %s: %s", folder,
		         errno == ENOENT ? "the folder above it does not exist" : strerror(errno));
		rc = RC_TEMP;
	} else
		(void)chmod(folder, 0755);      /* whatever the umask was: the MTA has to reach the sockets in it */
	free(folder);
	return rc;
}
