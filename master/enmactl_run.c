/* enmactl_run - start, stop and restart: the program beside us. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "master/enmactl.h"

enum { GONE_MS = 3000 };        /* after `stop --now`, at most */

/* enma from the folder of enmactl, so that a build that is not installed finds its own. */
static char *
find_enma(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash, *path;

	if (n > 0) {
		self[n] = '\0';
		slash = strrchr(self, '/');
		path = xasprintf("%.*s/enma", slash ? (int)(slash - self) : 0, self);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return xstrdup("enma");
}

/* Runs enma with our -c and -o and waits; its words go to standard error.  Returns its exit code, -1 if it could not be run. */
static int
run_enma(const struct ctl *ctl, const char *option)
{
	const char **argv = xcalloc(ctl->override_count * 2 + 8, sizeof(*argv));
	char *enma = find_enma();
	int status = -1, n = 0;
	pid_t pid;

	argv[n++] = "enma";
	if (option != NULL)
		argv[n++] = option;
	argv[n++] = "-c";
	argv[n++] = ctl->conf_path;
	for (size_t i = 0; i < ctl->override_count; i++) {
		argv[n++] = "-o";
		argv[n++] = ctl->overrides[i];
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		execvp(enma, (char *const *)(uintptr_t)argv);
		fprintf(stderr, "enmactl: cannot execute %s: %s\n", enma, strerror(errno));
		_exit(EX_UNAVAILABLE);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	free(enma);
	free(argv);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
ctl_start(const struct ctl *ctl)
{
	struct connection conn;
	char text[FDIO_WHY_MAX];
	int code;

	if (connection_open(ctl->socket_path, &conn, text, sizeof(text)) == RC_OK) {
		snprintf(text, sizeof(text), "enma is already running as pid %d", (int)conn.pid);
		connection_close(&conn);
		return show_problem("running", text, CTL_REFUSED, ctl->as_json);
	}
	code = run_enma(ctl, NULL);
	if (code != 0) {
		snprintf(text, sizeof(text), "enma did not start (exit code %d)", code);
		return show_problem("failed", text, CTL_REFUSED, ctl->as_json);
	}
	if (ctl->as_json)
		puts("{\"ok\": true}");
	return CTL_GOOD;
}

int
ctl_stop(const struct ctl *ctl)
{
	struct connection conn;
	struct answer a;
	bool is_gone = true;
	int code;

	if (!ctl_ask(ctl, ctl->now ? "stop now" : "stop", CTL_ANSWER_MS, &conn, &a, &code))
		return code;
	if (a.is_ok)
		is_gone = connection_wait_gone(&conn, ctl->socket_path, ctl->timeout_s >= 0 ? ctl->timeout_s * 1000 : ctl->now ? GONE_MS : -1);
	if (a.is_ok && !is_gone)
		code = show_problem("timeout", "enma is still there; sessions in progress are being finished (stop --now ends them)", CTL_REFUSED,
		                    ctl->as_json);
	else if (a.is_ok && !ctl->as_json)
		code = CTL_GOOD;        /* nothing to say: it is gone */
	else
		code = show_plain(&a, ctl->as_json);
	answer_fini(&a);
	connection_close(&conn);
	return code;
}

int
ctl_restart(struct ctl *ctl)
{
	struct connection probe;
	char why[FDIO_WHY_MAX];
	int code = run_enma(ctl, "-T");

	if (code != 0)
		return show_problem("invalid", "the configuration is not usable; nothing was stopped", CTL_REFUSED, ctl->as_json);
	if (connection_open(ctl->socket_path, &probe, why, sizeof(why)) == RC_OK) {
		bool as_json = ctl->as_json;

		connection_close(&probe);
		ctl->as_json = false;           /* one JSON text is enough: that of the start */
		code = ctl_stop(ctl);
		ctl->as_json = as_json;
		if (code == CTL_REFUSED)
			return code;
	}
	return ctl_start(ctl);
}
