/* enmactl - start, stop, reload and look at enma. */
#include "master/enmactl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "common/conf/conf.h"
#include "common/conf/sockspec.h"
#include "master/options.h"

enum {
	ANSWER_MS = 15000,              /* answers that need no waiting on the other side */
	RELOAD_MS = 120000,             /* longer than the supervisor gives a new generation */
	GONE_MS = 3000,                 /* after `stop --now`, at most */
};

struct ctl {
	const char *conf_path;          /* absolute, or "" */
	const char **overrides;
	size_t override_count;
	char *socket_path;
	bool as_json, now;
	int timeout_s;                  /* of stop; -1: as long as it takes */
	char **args;
	int arg_count;
};

static const char usage_text[] =
	"usage: enmactl [-c file] [-o key=value] [-s socket] [--json] command\n"
	"\n"
	"  start                        start enma in the background and wait for the outcome\n"
	"  stop [--now] [--timeout S]   let sessions finish, then stop; wait until it is gone\n"
	"  restart [--now]              check the configuration, stop, start\n"
	"  reload                       bring the changed configuration into force\n"
	"  status                       workers, sockets, generation\n"
	"  stats                        counters and times\n"
	"  config [key]                 settings in force, their defaults and origin\n"
	"  version                      of enmactl and of the enma that runs\n"
	"  help                         this text\n"
	"\n"
	"Exit code: 0 good; 1 refused, failed or degraded; 2 enma is not running; 64 wrong usage.\n";

static NORETURN void
usage(const char *problem)
{
	fprintf(stderr, "enmactl: %s\n%s", problem, usage_text);
	exit(EX_USAGE);
}

/* The socket by the same file and options that enma was started with.  A file that is broken at the moment is read as far as it goes:
 * enma still runs with what it was, and this is when people need to ask it. */
static char *
find_socket(const struct ctl *ctl)
{
	struct conf_errors errors;
	struct conf *c = conf_load_loosely(ctl->conf_path, ctl->overrides, ctl->override_count, &errors);
	char why[FDIO_WHY_MAX], *path = NULL;
	struct sockspec spec;

	if (sockspec_parse(c->control_socket, &spec, why, sizeof(why)) == RC_OK && spec.family == AF_UNIX) {
		if (spec.path[0] != '/' && c->milter_chdir[0] != '\0')
			path = xasprintf("%s/%s", c->milter_chdir, spec.path);
		else
			path = xstrdup(spec.path);
	}
	conf_errors_fini(&errors);
	conf_destroy(&c);
	return path;
}

static int
not_running(const struct ctl *ctl)
{
	char text[FDIO_WHY_MAX];

	snprintf(text, sizeof(text), "enma is not running (nobody answers at %s)", ctl->socket_path);
	return show_problem("not_running", text, CTL_NOT_RUNNING, ctl->as_json);
}

/* Connects and asks.  True: a->... is there (the caller frees it and closes the connection); false: said, exit with *exit_out. */
static bool
ask(const struct ctl *ctl, const char *request, int timeout_ms, struct connection *conn, struct answer *a, int *exit_out)
{
	char why[FDIO_WHY_MAX];
	enum rc rc = connection_open(ctl->socket_path, conn, why, sizeof(why));

	*a = (struct answer){ .is_ok = false };
	if (rc == RC_NONE) {
		*exit_out = not_running(ctl);
		return false;
	}
	if (rc == RC_OK)
		rc = connection_ask(conn, request, timeout_ms, a, why, sizeof(why));
	if (rc == RC_OK)
		return true;
	*exit_out = show_problem("connection", why, CTL_REFUSED, ctl->as_json);
	answer_fini(a);
	connection_close(conn);
	return false;
}

enum view { VIEW_STATUS, VIEW_STATS, VIEW_CONFIG, VIEW_CONFIG_ONE, VIEW_PLAIN };

static int
ask_and_show(const struct ctl *ctl, const char *request, int timeout_ms, enum view view)
{
	struct connection conn;
	struct answer a;
	int code;

	if (!ask(ctl, request, timeout_ms, &conn, &a, &code))
		return code;
	if (!a.is_ok || view == VIEW_PLAIN)
		code = show_plain(&a, ctl->as_json);
	else if (view == VIEW_STATUS)
		code = show_status(a.data, ctl->as_json);
	else if (view == VIEW_STATS)
		code = show_stats(a.data, ctl->as_json);
	else
		code = show_config(a.data, view == VIEW_CONFIG, ctl->as_json);
	answer_fini(&a);
	connection_close(&conn);
	return code;
}

/* ---- the program beside us ------------------------------------------------------------------------------------ */

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

static int
do_start(const struct ctl *ctl)
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

static int
do_stop(const struct ctl *ctl)
{
	struct connection conn;
	struct answer a;
	bool is_gone = true;
	int code;

	if (!ask(ctl, ctl->now ? "stop now" : "stop", ANSWER_MS, &conn, &a, &code))
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

static int
do_restart(struct ctl *ctl)
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
		code = do_stop(ctl);
		ctl->as_json = as_json;
		if (code == CTL_REFUSED)
			return code;
	}
	return do_start(ctl);
}

static int
do_config(const struct ctl *ctl)
{
	char *request = ctl->arg_count > 0 ? xasprintf("config %s", ctl->args[0]) : xstrdup("config");
	int code = ask_and_show(ctl, request, ANSWER_MS, ctl->arg_count > 0 ? VIEW_CONFIG_ONE : VIEW_CONFIG);

	free(request);
	return code;
}

static int
do_version(const struct ctl *ctl)
{
	struct connection conn;
	char why[FDIO_WHY_MAX];

	if (!ctl->as_json)
		printf("enmactl %s\n", ENMA_VERSION);
	if (connection_open(ctl->socket_path, &conn, why, sizeof(why)) != RC_OK) {
		if (ctl->as_json)
			printf("{\"ok\": true, \"lines\": [\"version %s\"]}\n", ENMA_VERSION);
		else
			puts("enma is not running");
		return CTL_GOOD;
	}
	connection_close(&conn);
	if (!ctl->as_json)
		printf("running: ");
	fflush(stdout);
	return ask_and_show(ctl, "version", ANSWER_MS, VIEW_PLAIN);
}

static int
run(struct ctl *ctl, const char *command)
{
	if (ctl->arg_count > (strcmp(command, "config") == 0 ? 1 : 0))
		usage("too many arguments");
	if (ctl->socket_path == NULL && (ctl->socket_path = find_socket(ctl)) == NULL)
		return show_problem("configuration", "control.socket is not a usable unix socket; name it with -s", CTL_REFUSED, ctl->as_json);
	if (strcmp(command, "start") == 0)
		return do_start(ctl);
	if (strcmp(command, "stop") == 0)
		return do_stop(ctl);
	if (strcmp(command, "restart") == 0)
		return do_restart(ctl);
	if (strcmp(command, "reload") == 0)
		return ask_and_show(ctl, "reload", RELOAD_MS, VIEW_PLAIN);
	if (strcmp(command, "status") == 0)
		return ask_and_show(ctl, "status", ANSWER_MS, VIEW_STATUS);
	if (strcmp(command, "stats") == 0)
		return ask_and_show(ctl, "stats", ANSWER_MS, VIEW_STATS);
	if (strcmp(command, "config") == 0)
		return do_config(ctl);
	if (strcmp(command, "version") == 0)
		return do_version(ctl);
	usage("there is no such command");
}

static int
seconds(const char *text)
{
	uint64_t v;

	if (!span_to_uint(span_cstr(text), 86400, &v))
		usage("--timeout takes seconds (0 to 86400)");
	return (int)v;
}

static void
add_override(struct ctl *ctl, const char *text)
{
	if (strncmp(text, "milter.conffile=", 16) == 0) {       /* the long form of -c */
		ctl->conf_path = text + 16;
		return;
	}
	ctl->overrides = xrealloc(ctl->overrides, ctl->override_count + 1, sizeof(*ctl->overrides));
	ctl->overrides[ctl->override_count++] = text;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' }, { "now", no_argument, NULL, 'n' }, { "timeout", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .timeout_s = -1 };
	char *conf_path;
	int ch, code;

	while ((ch = getopt_long(argc, argv, "c:o:s:hV", longs, NULL)) != -1) {
		switch (ch) {
		case 'c':
			ctl.conf_path = optarg;
			break;
		case 'o':
			add_override(&ctl, optarg);
			break;
		case 's':
			ctl.socket_path = xstrdup(strncmp(optarg, "unix:", 5) == 0 ? optarg + 5 : optarg);
			break;
		case 'j':
			ctl.as_json = true;
			break;
		case 'n':
			ctl.now = true;
			break;
		case 't':
			ctl.timeout_s = seconds(optarg);
			break;
		case 'h':
			fputs(usage_text, stdout);
			return CTL_GOOD;
		case 'V':
			printf("enmactl %s\n", ENMA_VERSION);
			return CTL_GOOD;
		default:
			usage("see the options below");
		}
	}
	if (optind >= argc)
		usage("which command?");
	if (strcmp(argv[optind], "help") == 0) {
		fputs(usage_text, stdout);
		return CTL_GOOD;
	}
	ctl.conf_path = conf_path = options_absolute(ctl.conf_path ? ctl.conf_path : options_default_file());
	ctl.args = argv + optind + 1;
	ctl.arg_count = argc - optind - 1;
	code = run(&ctl, argv[optind]);
	free(conf_path);
	free(ctl.socket_path);
	free(ctl.overrides);
	return code;
}
