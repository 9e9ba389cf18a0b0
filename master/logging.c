/* logging - where the supervisor's log goes; see logging.h. */
#include "master/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/ipc/procfd.h"
#include "master/identity.h"

static enum log_sink
sink_of(const char *target)
{
	if (strcmp(target, "stderr") == 0)
		return LOG_TO_STDERR;
	if (strcmp(target, "stdout") == 0)
		return LOG_TO_STDOUT;
	if (strcmp(target, "syslog") == 0)
		return LOG_TO_SYSLOG;
	if (strncmp(target, "file:", 5) == 0)
		return LOG_TO_FD;
	return procfd_is_quiet() ? LOG_TO_SYSLOG : LOG_TO_STDERR;       /* auto */
}

bool
logging_uses_output(const struct conf *c)
{
	return strcmp(c->log_target, "stderr") == 0 || strcmp(c->log_target, "stdout") == 0;
}

bool
logging_is_on_stderr(const struct conf *c)
{
	return sink_of(c->log_target) == LOG_TO_STDERR;
}

enum rc
logging_open_file(const struct conf *c, int *fd_out, char *why, size_t size)
{
	const char *path = c->log_target + 5;

	*fd_out = -1;
	if (sink_of(c->log_target) != LOG_TO_FD)
		return RC_NONE;
	if (identity_make_folder(path, why, size) != RC_OK)
		return RC_TEMP;
	/* Not blocking, so that a FIFO nobody reads is an error instead of a supervisor that hangs. */
	*fd_out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (*fd_out < 0) {
		snprintf(why, size, "log.target: cannot open %s: %s", path, strerror(errno));
		return RC_TEMP;
	}
	(void)fdio_set_nonblock(*fd_out, false);
	return RC_OK;
}

void
logging_use(const struct conf *c, int fd)
{
	struct log_options o = {
		.sink = sink_of(c->log_target), .level = log_level_of_syslog(c->syslog_logmask), .ident = c->syslog_ident,
		.facility = c->syslog_facility, .role = "enma", .fd = fd,
	};

	log_open(&o);
}
