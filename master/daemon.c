/* daemon - go to the background; see daemon.h. */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fdio.h"

static int outcome_pipe = -1;           /* to the process that waits; -1: foreground, or said already */
static int message_fd = STDERR_FILENO;
static bool is_detached;

static NORETURN void
wait_for_outcome(int fd)
{
	unsigned char code;
	ssize_t n;

	do
		n = read(fd, &code, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1) {
		fprintf(stderr, "enma: the daemon ended before it was ready\n");
		code = EX_SOFTWARE;
	}
	_exit(code);
}

void
daemon_detach(void)
{
	int p[2];
	pid_t pid = -1;

	if (pipe2(p, O_CLOEXEC) == 0)
		pid = fork();
	if (pid < 0) {
		fprintf(stderr, "enma: cannot go to the background: %s\n", strerror(errno));
		exit(EX_OSERR);
	}
	if (pid > 0) {
		close(p[1]);
		wait_for_outcome(p[0]);
	}
	close(p[0]);
	outcome_pipe = p[1];
	is_detached = true;
	setsid();
}

void
daemon_quiet(void)
{
	int null;

	if (!is_detached || message_fd != STDERR_FILENO || (null = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return;
	message_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(null, fd);
	close(null);
}

void
daemon_say(struct span lines)
{
	struct span line;

	while (message_fd >= 0 && span_split(&lines, '\n', &line))
		if (line.n > 0)
			dprintf(message_fd, "enma: %.*s\n", SPAN_ARGS(line));
}

void
daemon_finish(int exit_code)
{
	unsigned char code = (unsigned char)exit_code;

	if (outcome_pipe >= 0)
		(void)!write(outcome_pipe, &code, 1);
	fdio_close(&outcome_pipe);
	if (message_fd != STDERR_FILENO)
		fdio_close(&message_fd);
}

bool
daemon_is_detached(void)
{
	return is_detached;
}
