/*
 * options - the command line of enma, as main.c read it.
 */
#ifndef ENMA_MASTER_OPTIONS_H
#define ENMA_MASTER_OPTIONS_H

#include <stdlib.h>
#include <unistd.h>

#include "common/base/defs.h"
#include "common/base/xalloc.h"
#include "version.h"

struct master_options {
	char *conf_path;                /* absolute; "" = settings of the command line and defaults only */
	const char **overrides;         /* of -o */
	size_t override_count;
	bool is_foreground, is_verbose;
	const char *exe;                /* what children execute */
};

/* The file that counts when -c does not name one, the same for enma and enmactl; "" when there is none. */
static inline const char *
options_default_file(void)
{
	const char *path = ENMA_SYSCONFDIR "/enma/enma.conf";

	return access(path, F_OK) == 0 ? path : "";
}

/* A name that stays true after chdir. */
static inline char *
options_absolute(const char *path)
{
	char *cwd, *out;

	if (path[0] == '\0' || path[0] == '/' || (cwd = getcwd(NULL, 0)) == NULL)
		return xstrdup(path);
	out = xasprintf("%s/%s", cwd, path);
	free(cwd);
	return out;
}

#endif
