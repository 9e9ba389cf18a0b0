/* enmacheck - what would enma say?  Arguments and exit codes; see enmacheck(1). */
#include "worker/enmacheck.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "version.h"

static const char help[] =
    "usage: enmacheck spf --ip ADDRESS [--helo NAME] [--from ADDRESS] [options]\n"
    "       enmacheck message --ip ADDRESS [--helo NAME] [--from ADDRESS] [options] FILE | -\n"
    "       enmacheck dkim [--show-canon] [--canon-dir DIR] [options] FILE | -\n"
    "       enmacheck key [options] SELECTOR DOMAIN\n"
    "       enmacheck -h | -V\n"
    "\n"
    "spf checks a client against MAIL FROM and HELO, message runs a message file through enma's engines and policy,\n"
    "dkim explains each DKIM signature of a message file, key examines a published key.\n"
    "\n"
    "  --ip ADDRESS          the SMTP client\n"
    "  --helo NAME           what it says in HELO or EHLO\n"
    "  --from ADDRESS        MAIL FROM, with or without angle brackets; \"<>\" or nothing: the null sender\n"
    "  --rcpt ADDRESS        RCPT TO (message; has no influence so far)\n"
    "  --resolver ADDR@PORT  the resolver to ask (default: as configured, else that of the system)\n"
    "  --zone FILE           fixed answers; without --resolver nothing else is asked\n"
    "  --config FILE         settings from an enma.conf (default: none are read)\n"
    "  --identifier ID       authserv-id of the field that is written\n"
    "  --now SECONDS         the time, since 1970\n"
    "  --explain             show each term, each question with its answer, and timings\n"
    "  --show-canon          show what was hashed (dkim)\n"
    "  --canon-dir DIR       write what was hashed into files (dkim)\n"
    "  --json                print one JSON object\n"
    "  -h, --help            show this text\n"
    "  -V, --version         show the version\n";

enum {
	OPT_IP = 256, OPT_HELO, OPT_FROM, OPT_RCPT, OPT_RESOLVER, OPT_ZONE, OPT_CONFIG, OPT_IDENTIFIER, OPT_NOW, OPT_EXPLAIN, OPT_JSON,
	OPT_SHOW_CANON, OPT_CANON_DIR,
};

static const struct option options[] = {
	{ "ip", required_argument, NULL, OPT_IP },
	{ "helo", required_argument, NULL, OPT_HELO },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "rcpt", required_argument, NULL, OPT_RCPT },
	{ "resolver", required_argument, NULL, OPT_RESOLVER },
	{ "zone", required_argument, NULL, OPT_ZONE },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "identifier", required_argument, NULL, OPT_IDENTIFIER },
	{ "now", required_argument, NULL, OPT_NOW },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "show-canon", no_argument, NULL, OPT_SHOW_CANON },
	{ "canon-dir", required_argument, NULL, OPT_CANON_DIR },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int
usage_error(const char *text)
{
	if (text != NULL)
		fprintf(stderr, "enmacheck: %s\n", text);
	fprintf(stderr, "Try \"enmacheck --help\".\n");
	return EX_USAGE;
}

static bool
parse_now(const char *text, struct check_args *args)
{
	uint64_t v;

	if (!span_to_uint(span_cstr(text), INT64_MAX, &v))
		return false;
	args->now_s = (int64_t)v;
	args->has_now = true;
	return true;
}

/* -1: go on; otherwise the exit code. */
static int
take_option(int opt, const char *value, struct check_args *args)
{
	switch (opt) {
	case OPT_HELO:          args->helo = value; break;
	case OPT_FROM:          args->from = value; break;
	case OPT_RCPT:          break;
	case OPT_RESOLVER:      args->resolver = value; break;
	case OPT_ZONE:          args->zone = value; break;
	case OPT_CONFIG:        args->config = value; break;
	case OPT_IDENTIFIER:    args->identifier = value; break;
	case OPT_EXPLAIN:       args->wants_trace = true; break;
	case OPT_SHOW_CANON:    args->wants_canon = true; break;
	case OPT_CANON_DIR:     args->canon_dir = value; break;
	case OPT_JSON:          args->wants_json = true; break;
	case OPT_IP:
		if (ip_parse(span_cstr(value), &args->client) != RC_OK)
			return usage_error("--ip: not an IPv4 or IPv6 address");
		args->client.is_set = true;
		break;
	case OPT_NOW:
		if (!parse_now(value, args))
			return usage_error("--now: not a number of seconds");
		break;
	case 'h':
		fputs(help, stdout);
		return EX_OK;
	case 'V':
		printf("enmacheck %s\n", ENMA_VERSION);
		return EX_OK;
	default:
		return usage_error(NULL);
	}
	return -1;
}

static const char *
check_file(int rest)
{
	if (rest == 1)
		return NULL;
	return rest < 1 ? "a message file is missing (\"-\" for standard input)" : "more than one message file";
}

/* What is missing or too much; NULL: all is well. */
static const char *
check_identity_args(const struct check_args *args, int rest)
{
	if (!args->client.is_set)
		return "--ip is missing";
	if (args->from == NULL && args->helo == NULL)
		return "--from or --helo is missing";
	if (args->command == CHECK_MESSAGE)
		return check_file(rest);
	return rest != 0 ? "\"spf\" takes no file" : NULL;
}

static const char *
check_args(const struct check_args *args, int rest)
{
	if (args->command != CHECK_DKIM && (args->wants_canon || args->canon_dir != NULL))
		return "--show-canon and --canon-dir are for \"dkim\"";
	if (args->command == CHECK_SPF || args->command == CHECK_MESSAGE)
		return check_identity_args(args, rest);
	if (args->client.is_set || args->from != NULL || args->helo != NULL)
		return "--ip, --from and --helo are for \"spf\" and \"message\"";
	if (args->command == CHECK_DKIM)
		return check_file(rest);
	return rest != 2 ? "\"key\" takes a selector and a domain" : NULL;
}

static bool
parse_command(const char *text, struct check_args *args)
{
	static const char *const names[] = { [CHECK_SPF] = "spf", [CHECK_MESSAGE] = "message", [CHECK_DKIM] = "dkim", [CHECK_KEY] = "key" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			args->command = (enum check_command)i;
			return true;
		}
	}
	return false;
}

/* -1: *args is complete; otherwise the exit code. */
static int
parse_args(int argc, char **argv, struct check_args *args)
{
	const char *wrong;
	int opt, code;

	if (argc >= 2 && argv[1][0] != '-') {
		if (!parse_command(argv[1], args))
			return usage_error("the command is \"spf\", \"message\", \"dkim\" or \"key\"");
		argv[1] = argv[0];              /* getopt's name for us */
		argc--;
		argv++;
	} else if (argc < 2 || (strcmp(argv[1], "-h") != 0 && strcmp(argv[1], "-V") != 0 && strcmp(argv[1], "--help") != 0 &&
	    strcmp(argv[1], "--version") != 0)) {
		return usage_error("the first argument is \"spf\", \"message\", \"dkim\" or \"key\"");
	}
	while ((opt = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		code = take_option(opt, optarg, args);
		if (code >= 0)
			return code;
	}
	wrong = check_args(args, argc - optind);
	if (wrong != NULL)
		return usage_error(wrong);
	args->file = argv[optind];
	if (args->command == CHECK_KEY) {
		args->selector = argv[optind];
		args->domain = argv[optind + 1];
	}
	return -1;
}

/* What each command prints and ends with. */
static const struct {
	void (*text)(const struct check *c, struct buf *b);
	void (*json)(const struct check *c, struct buf *b);
	int (*code)(const struct check *c);     /* NULL: EX_OK */
} printers[] = {
	[CHECK_SPF] = { check_print_text, check_print_json, NULL },
	[CHECK_MESSAGE] = { check_print_text, check_print_json, NULL },
	[CHECK_DKIM] = { check_print_dkim_text, check_print_dkim_json, NULL },
	[CHECK_KEY] = { check_print_key_text, check_print_key_json, check_key_code },
};

static int
work(struct check *c)
{
	int code = EX_OK;

	if (c->args->command == CHECK_DKIM)
		return check_dkim(c);
	if (c->args->command == CHECK_KEY)
		return check_key(c);
	if (c->args->command == CHECK_MESSAGE)
		code = check_read_message(c);
	return code == EX_OK ? check_evaluate(c) : code;
}

static int
print(const struct check *c)
{
	struct buf b = buf_heap(CHECK_OUTPUT_MAX);
	struct span text;
	enum check_command command = c->args->command;
	int code = printers[command].code != NULL ? printers[command].code(c) : EX_OK;

	if (c->args->wants_json)
		printers[command].json(c, &b);
	else
		printers[command].text(c, &b);
	if (buf_done(&b, &text) != RC_OK || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0) {
		fprintf(stderr, "enmacheck: cannot write the result: %s\n", strerror(errno));
		code = EX_IOERR;
	}
	buf_fini(&b);
	return code;
}

int
main(int argc, char **argv)
{
	struct check_args args = { 0 };
	static struct check c;
	int code = parse_args(argc, argv, &args);

	if (code >= 0)
		return code;
	code = check_setup(&c, &args);
	if (code == EX_OK)
		code = work(&c);
	if (code == EX_OK)
		code = print(&c);
	check_fini(&c);
	return code;
}
