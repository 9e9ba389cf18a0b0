/* privs - gives up privileges for good; see privs.h. */
#include "common/ipc/privs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/span.h"

enum { NAME_MAX_BYTES = 128 };

struct identity {
	char name[NAME_MAX_BYTES];      /* of the user, for initgroups; "" when only a number is known */
	uid_t uid;
	gid_t gid;
};

static bool
find_user(const char *name, struct identity *out)
{
	const struct passwd *pw = getpwnam(name);
	uint64_t number;

	if (pw == NULL && span_to_uint(span_cstr(name), UINT32_MAX - 1, &number)) {
		pw = getpwuid((uid_t)number);
		if (pw == NULL) {
			*out = (struct identity){ .uid = (uid_t)number, .gid = (gid_t)number };
			return true;
		}
	}
	if (pw == NULL)
		return false;
	*out = (struct identity){ .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(out->name, sizeof out->name, "%s", pw->pw_name);
	return true;
}

static bool
find_group(const char *name, gid_t *out)
{
	const struct group *gr = getgrnam(name);
	uint64_t number;

	if (gr != NULL)
		*out = gr->gr_gid;
	else if (span_to_uint(span_cstr(name), UINT32_MAX - 1, &number))
		*out = (gid_t)number;
	else
		return false;
	return true;
}

static bool
is_gone(const struct identity *id)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) != 0 || getresgid(&rg, &eg, &sg) != 0)
		return false;
	if (r != id->uid || e != id->uid || s != id->uid || rg != id->gid || eg != id->gid || sg != id->gid)
		return false;
	return id->uid == 0 || (setuid(0) != 0 && setgid(0) != 0);
}

static enum rc
become(const struct identity *id, char *why, size_t size)
{
	int groups = id->name[0] != '\0' ? initgroups(id->name, id->gid) : setgroups(0, NULL);

	if (groups != 0 || setresgid(id->gid, id->gid, id->gid) != 0 || setresuid(id->uid, id->uid, id->uid) != 0) {
		snprintf(why, size, "cannot become uid %lu, gid %lu (milter.user): %s", (unsigned long)id->uid, (unsigned long)id->gid,
		    strerror(errno));
		return RC_TEMP;
	}
	if (!is_gone(id)) {
		snprintf(why, size, "privileges could be regained after the change to uid %lu: refusing to work", (unsigned long)id->uid);
		return RC_TEMP;
	}
	return RC_OK;
}

enum rc
privs_drop(const char *user, char *why, size_t size)
{
	char name[NAME_MAX_BYTES];
	struct identity id;
	char *colon;

	if (user[0] == '\0' || geteuid() != 0)
		return RC_OK;
	if (snprintf(name, sizeof name, "%s", user) >= (int)sizeof name) {
		snprintf(why, size, "milter.user: the name is too long");
		return RC_SYNTAX;
	}
	if ((colon = strchr(name, ':')) != NULL)
		*colon++ = '\0';
	if (!find_user(name, &id)) {
		snprintf(why, size, "milter.user: there is no user \"%s\": create it or name another", name);
		return RC_SYNTAX;
	}
	if (colon != NULL && !find_group(colon, &id.gid)) {
		snprintf(why, size, "milter.user: there is no group \"%s\": create it or name another", colon);
		return RC_SYNTAX;
	}
	return become(&id, why, size);
}

void
privs_harden(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

size_t
privs_raise_files(size_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted || geteuid() != 0)
		limit.rlim_cur = MIN(limit.rlim_max, MAX(limit.rlim_cur, (rlim_t)wanted));
	else
		limit.rlim_cur = limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		getrlimit(RLIMIT_NOFILE, &limit);
	return (size_t)limit.rlim_cur;
}
