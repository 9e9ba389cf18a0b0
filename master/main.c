/* main - the command line of enma, and the choice of the role. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cache/writer.h"
#include "common/ipc/procfd.h"
#include "master/child.h"
#include "master/daemon.h"
#include "master/options.h"
#include "master/supervise.h"
#include "worker/worker.h"

static const char usage_text[] =
	"usage: enma [-fv] [-c file] [-o key=value]...\n"
	"       enma -T [-v] [-c file] [-o key=value]...\n"
	"       enma -h | -V\n"
	"\n"
	"  -c file       configuration file (default: " ENMA_SYSCONFDIR "/enma/enma.conf if it exists; '' = none)\n"
	"  -f            stay in the foreground\n"
	"  -o key=value  a setting that goes before the file's; may repeat\n"
	"  -T            check the configuration, print all errors, exit 0 or 78\n"
	"  -v            print the configuration at start (milter.verbose)\n"
	"  -h, -V        help, version\n"
	"\n"
	"enmactl(8) controls a running enma; see enma(8) and enma.conf(5).\n";

static NORETURN void
usage(const char *problem)
{
	fprintf(stderr, "enma: %s\n%s", problem, usage_text);
	exit(EX_USAGE);
}

static uint64_t
number(const char *text, uint64_t max)
{
	uint64_t v;

	if (!span_to_uint(span_cstr(text), max, &v))
		usage("-g, -n and -G take numbers");
	return v;
}

/* A role was chosen by the supervisor: its descriptors are in place. */
static int
run_role(const char *role, const struct role_args *args)
{
	if (strcmp(role, "worker") == 0)
		return worker_main(args);
	if (strcmp(role, "cache") == 0)
		return writer_main(args);
	usage("-x is for enma itself, and there is no such role");
}

static void
add_override(struct master_options *o, const char *text)
{
	o->overrides = xrealloc(o->overrides, o->override_count + 1, sizeof(*o->overrides));
	o->overrides[o->override_count++] = text;
}

static int
run_supervisor(const struct master_options *o)
{
	if (child_reserve() != RC_OK) {
		fprintf(stderr, "enma: cannot open /dev/null\n");
		return EX_OSERR;
	}
	if (!o->is_foreground)
		daemon_detach();
	return supervise_run(o);
}

int
main(int argc, char **argv)
{
	struct master_options o = { .exe = "/proc/self/exe" };
	struct role_args args = { 0 };
	const char *role = NULL, *conf_path = NULL;
	bool is_check = false;
	int ch, code;

	while ((ch = getopt(argc, argv, "fc:o:TvhVx:g:n:G:")) != -1) {
		switch (ch) {
		case 'f':
			o.is_foreground = true;
			break;
		case 'c':
			conf_path = optarg;
			break;
		case 'o':
			if (strncmp(optarg, "milter.conffile=", 16) == 0)       /* the long form of -c */
				conf_path = optarg + 16;
			else
				add_override(&o, optarg);
			break;
		case 'T':
			is_check = true;
			break;
		case 'v':
			o.is_verbose = true;
			add_override(&o, "milter.verbose=true");
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			printf("enma %s\n", ENMA_VERSION);
			return 0;
		case 'x':
			role = optarg;
			break;
		case 'g':
			args.generation = number(optarg, UINT64_MAX);
			break;
		case 'n':
			args.slot = (unsigned)number(optarg, UINT32_MAX);
			break;
		case 'G':
			args.group = (unsigned)number(optarg, UINT32_MAX);
			break;
		default:
			usage("see the options below");
		}
	}
	if (optind < argc)
		usage("there are no arguments besides options");
	if (role != NULL)
		return run_role(role, &args);
	o.conf_path = options_absolute(conf_path ? conf_path : options_default_file());
	code = is_check ? supervise_check(&o) : run_supervisor(&o);
	free(o.conf_path);
	free(o.overrides);
	return code;
}
