/*
 * identity - users and groups of settings as numbers, and the folders that enma makes for its sockets, pid file and cache.
 */
#ifndef ENMA_MASTER_IDENTITY_H
#define ENMA_MASTER_IDENTITY_H

#include <sys/types.h>

#include "common/base/defs.h"
#include "common/base/rc.h"

struct identity {
	uid_t uid;
	gid_t gid;
};

/* milter.user: "", "user" or "user:group".  "" gives our own.  RC_SYNTAX with one line in why: no such user or group, or we are not root and
 * it is somebody else. */
NODISCARD enum rc identity_resolve(const char *setting, struct identity *out, char *why, size_t size);
/* name "": *out stays.  RC_SYNTAX with a reason. */
NODISCARD enum rc identity_user(const char *name, uid_t *out, char *why, size_t size);
NODISCARD enum rc identity_group(const char *name, gid_t *out, char *why, size_t size);

/* Makes the folder that holds path, if it does not exist: mode 0755, ours (never milter.user's: a worker must not be able to remove or replace a
 * socket).  The folder above must exist.  RC_TEMP with a reason. */
NODISCARD enum rc identity_make_folder(const char *path, char *why, size_t size);
/* The same for files that a child makes itself: a folder that is made here belongs to owner, mode 0750; one that is there stays as it is. */
NODISCARD enum rc identity_make_folder_for(const char *path, const struct identity *owner, char *why, size_t size);

#endif
