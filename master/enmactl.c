/* enmactl - start, stop, reload and look at enma. */
#include "master/enmactl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "common/conf/conf.h"
#include "common/conf/sockspec.h"
#include "master/options.h"

enum { RELOAD_MS = 120000 };     /* longer than the supervisor gives a new generation */

static const char usage_text[] =
	"usage: enmactl [-c file] [-o key=value] [-s socket] [--json] command\n"
	"\n"
	"  start                        start enma in the background and wait for the outcome\n"
	"  stop [--now] [--timeout S]   let sessions finish, then stop; wait until it is gone\n"
	"  restart [--now]              check the configuration, stop, start\n"
	"  reload                       bring the changed configuration into force\n"
	"  status                       workers, sockets, generation\n"
	"  stats                        counters and times\n"
	"  cache stats                  entries, hits and misses, ages\n"
	"  cache dump [--kind D|R] [--zone name] [--type T] [--expired]\n"
	"                               entries; D: DNS answers, R: results\n"
	"  cache get name type          one name's entries\n"
	"  cache flush name [type]      forget a name\n"
	"  cache flush-zone name        forget a name and all names below it\n"
	"  cache flush-negative         forget what does not exist or could not be had\n"
	"  cache purge                  forget everything\n"
	"  config [key]                 settings in force, their defaults and origin\n"
	"  version                      of enmactl and of the enma that runs\n"
	"  help                         this text\n"
	"\n"
	"Exit code: 0 good; 1 refused, failed or degraded; 2 enma is not running; 64 wrong usage.\n";

void
ctl_usage(const char *problem)
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

bool
ctl_connect(const struct ctl *ctl, struct connection *conn, int *exit_out)
{
	char why[FDIO_WHY_MAX];
	enum rc rc = connection_open(ctl->socket_path, conn, why, sizeof(why));

	if (rc == RC_OK)
		return true;
	*exit_out = rc == RC_NONE ? not_running(ctl) : show_problem("connection", why, CTL_REFUSED, ctl->as_json);
	return false;
}

bool
ctl_ask(const struct ctl *ctl, const char *request, int timeout_ms, struct connection *conn, struct answer *a, int *exit_out)
{
	char why[FDIO_WHY_MAX];

	*a = (struct answer){ .is_ok = false };
	if (!ctl_connect(ctl, conn, exit_out))
		return false;
	if (connection_ask(conn, request, timeout_ms, a, why, sizeof(why)) == RC_OK)
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

	if (!ctl_ask(ctl, request, timeout_ms, &conn, &a, &code))
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

static int
do_config(const struct ctl *ctl)
{
	char *request = ctl->arg_count > 0 ? xasprintf("config %s", ctl->args[0]) : xstrdup("config");
	int code = ask_and_show(ctl, request, CTL_ANSWER_MS, ctl->arg_count > 0 ? VIEW_CONFIG_ONE : VIEW_CONFIG);

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
	return ask_and_show(ctl, "version", CTL_ANSWER_MS, VIEW_PLAIN);
}

static int
run(struct ctl *ctl, const char *command)
{
	bool is_cache = strcmp(command, "cache") == 0;

	if (is_cache)
		ctl_cache_check(ctl);
	else if (ctl->arg_count > (strcmp(command, "config") == 0 ? 1 : 0))
		ctl_usage("too many arguments");
	else if (ctl->kind || ctl->zone || ctl->type || ctl->expired)
		ctl_usage("--kind, --zone, --type and --expired belong to cache dump");
	if (ctl->socket_path == NULL && (ctl->socket_path = find_socket(ctl)) == NULL)
		return show_problem("configuration", "control.socket is not a usable unix socket; name it with -s", CTL_REFUSED, ctl->as_json);
	if (is_cache)
		return ctl_cache(ctl);
	if (strcmp(command, "start") == 0)
		return ctl_start(ctl);
	if (strcmp(command, "stop") == 0)
		return ctl_stop(ctl);
	if (strcmp(command, "restart") == 0)
		return ctl_restart(ctl);
	if (strcmp(command, "reload") == 0)
		return ask_and_show(ctl, "reload", RELOAD_MS, VIEW_PLAIN);
	if (strcmp(command, "status") == 0)
		return ask_and_show(ctl, "status", CTL_ANSWER_MS, VIEW_STATUS);
	if (strcmp(command, "stats") == 0)
		return ask_and_show(ctl, "stats", CTL_ANSWER_MS, VIEW_STATS);
	if (strcmp(command, "config") == 0)
		return do_config(ctl);
	if (strcmp(command, "version") == 0)
		return do_version(ctl);
	ctl_usage("there is no such command");
}

static int
seconds(const char *text)
{
	uint64_t v;

	if (!span_to_uint(span_cstr(text), 86400, &v))
		ctl_usage("--timeout takes seconds (0 to 86400)");
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
		{ "kind", required_argument, NULL, 'K' }, { "zone", required_argument, NULL, 'Z' }, { "type", required_argument, NULL, 'T' },
		{ "expired", no_argument, NULL, 'E' },
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
		case 'K':
			ctl.kind = optarg;
			break;
		case 'Z':
			ctl.zone = optarg;
			break;
		case 'T':
			ctl.type = optarg;
			break;
		case 'E':
			ctl.expired = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return CTL_GOOD;
		case 'V':
			printf("enmactl %s\n", ENMA_VERSION);
			return CTL_GOOD;
		default:
			ctl_usage("see the options below");
		}
	}
	if (optind >= argc)
		ctl_usage("which command?");
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
