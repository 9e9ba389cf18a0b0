/* enmactl_cache - the commands of `enmactl cache`: arguments, requests, what is shown. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/domain.h"
#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "common/dns/dns.h"
#include "common/ipc/ctlproto.h"
#include "master/enmactl.h"

enum {
	IDLE_MS = 45000,                /* longer than the cache process waits for a client */
	FLUSH_MS = 60000,               /* a large zone goes in small steps */
	LABEL_MAX = 63,
};

enum what { CACHE_STATS, CACHE_DUMP, CACHE_GET, CACHE_FLUSH, CACHE_FLUSH_ZONE, CACHE_FLUSH_NEGATIVE, CACHE_PURGE };

static const struct command {
	const char *name;
	enum what what;
	int args_least, args_most;
	const char *wants;
} commands[] = {
	{ "stats", CACHE_STATS, 0, 0, "cache stats takes no arguments" },
	{ "dump", CACHE_DUMP, 0, 0, "cache dump takes --kind, --zone, --type and --expired" },
	{ "get", CACHE_GET, 2, 2, "cache get takes a name and a type" },
	{ "flush", CACHE_FLUSH, 1, 2, "cache flush takes a name, and a type if only that is meant" },
	{ "flush-zone", CACHE_FLUSH_ZONE, 1, 1, "cache flush-zone takes a name" },
	{ "flush-negative", CACHE_FLUSH_NEGATIVE, 0, 0, "cache flush-negative takes no arguments" },
	{ "purge", CACHE_PURGE, 0, 0, "cache purge takes no arguments" },
};

/* ---- arguments ----------------------------------------------------------------------------------------------- */

/* One byte of a name as it is printed: itself, "\." or "\DDD".  Returns how many characters it takes, 0: a broken escape. */
static size_t
take_byte(struct span s, uint8_t *out)
{
	uint64_t v;

	*out = (uint8_t)s.p[0];
	if (s.p[0] != '\\')
		return 1;
	if (s.n < 2)
		return 0;
	*out = (uint8_t)s.p[1];
	if (!ascii_is_digit(*out))
		return 2;
	if (s.n < 4 || !span_to_uint(span_sub(s, 1, 3), UINT8_MAX, &v) || v == 0)
		return 0;
	*out = (uint8_t)v;
	return 4;
}

/* A name with escapes; NULL, or what is wrong with it. */
static const char *
parse_escaped(struct span s, struct dns_name *out)
{
	size_t label = 0, n, i;         /* label: where its length byte stands */

	*out = (struct dns_name){ .n = 1 };
	for (i = 0; i < s.n; i += n) {
		uint8_t c;

		if ((n = take_byte(span_from(s, i), &c)) == 0)
			return "has a broken escape (want \\. or \\ and three digits)";
		if (out->n + 1 >= DNS_NAME_WIRE_MAX)
			return "is longer than a name can be";
		if (c == '.' && n == 1) {
			if (out->w[label] == 0)
				return "has an empty label";
			if (i + 1 == s.n)
				break;
			label = out->n++;
			out->w[label] = 0;
			continue;
		}
		if (++out->w[label] > LABEL_MAX)
			return "has a label of more than 63 bytes";
		out->w[out->n++] = ascii_lower(c);
	}
	if (out->w[label] == 0)
		return "has an empty label";
	out->w[out->n++] = 0;
	return NULL;
}

/* As the request has it, on the heap.  Wrong ones end the program. */
static char *
request_name(const char *text)
{
	struct span s = span_cstr(text), plain;
	struct buf b = buf_heap(CTL_LINE_MAX);
	struct dns_name name;
	const char *wrong;
	struct arena a;
	char *out;

	arena_init(&a, 0, 64 * KIB);
	if (span_eq(s, SPAN(".")))
		wrong = "is the root; cache purge forgets everything, cache dump without --zone shows it";
	else if (s.n == 0)
		wrong = "is empty";
	else if (domain_normalize(&a, s, &plain) == RC_OK)      /* what people write, U-labels allowed */
		wrong = parse_escaped(plain, &name);
	else
		wrong = parse_escaped(s, &name);
	arena_fini(&a);
	if (wrong != NULL) {
		fprintf(stderr, "enmactl: the name \"%s\" %s\n", text, wrong);
		ctl_usage("that is not a name");
	}
	dns_name_print(&b, &name);
	out = xstrndup(buf_text(&b).p, buf_text(&b).n);
	buf_fini(&b);
	return out;
}

/* Of a DNS answer, or of a result where these are possible. */
static const char *
request_type(const char *text, bool may_be_result)
{
	uint16_t type;

	if (dns_type_parse(span_cstr(text), &type))
		return dns_type_name(type);
	if (may_be_result && span_eq_nocase(span_cstr(text), SPAN("spf")))
		return "spf";
	fprintf(stderr, "enmactl: \"%s\" is not a type\n", text);
	ctl_usage(may_be_result ? "types are A, AAAA, CNAME, MX, NS, PTR, SOA, TXT, and spf for results" :
	          "types are A, AAAA, CNAME, MX, NS, PTR, SOA, TXT");
}

static const struct command *
command_of(const struct ctl *ctl)
{
	if (ctl->arg_count == 0)
		ctl_usage("which command of cache?");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, ctl->args[0]) == 0)
			return &commands[i];
	ctl_usage("there is no such command of cache");
}

void
ctl_cache_check(const struct ctl *ctl)
{
	const struct command *c = command_of(ctl);

	if (ctl->arg_count - 1 < c->args_least || ctl->arg_count - 1 > c->args_most)
		ctl_usage(c->wants);
	if (c->what != CACHE_DUMP && (ctl->kind || ctl->zone || ctl->type || ctl->expired))
		ctl_usage("--kind, --zone, --type and --expired belong to cache dump");
	if (ctl->kind != NULL && strcmp(ctl->kind, "D") != 0 && strcmp(ctl->kind, "R") != 0)
		ctl_usage("--kind is D (DNS answers) or R (results)");
}

/* On the heap. */
static char *
request_of(const struct ctl *ctl, const struct command *c)
{
	struct buf b = buf_heap(CTL_LINE_MAX);
	const char *name = c->args_most > 0 ? ctl->args[1] : ctl->zone, *type = ctl->arg_count > 2 ? ctl->args[2] : ctl->type;
	char *text = name ? request_name(name) : NULL, *out;

	buf_fmt(&b, "cache %s", c->name);
	if (ctl->kind != NULL)
		buf_fmt(&b, " kind=%s", ctl->kind);
	if (text != NULL)
		buf_fmt(&b, c->what == CACHE_DUMP ? " zone=%s" : " %s", text);
	if (type != NULL)
		buf_fmt(&b, c->what == CACHE_DUMP ? " type=%s" : " %s", request_type(type, c->what != CACHE_FLUSH));
	if (ctl->expired)
		buf_str(&b, " expired=1");
	out = xstrndup(buf_text(&b).p, buf_text(&b).n);
	buf_fini(&b);
	free(text);
	return out;
}

/* ---- dump, get ------------------------------------------------------------------------------------------------- */

struct listing {
	bool as_json;
	uint64_t count;
	int error;              /* of standard output */
};

static bool
list_line(void *arg, struct span line)
{
	struct listing *l = arg;

	if (l->count++ == 0 && !l->as_json)
		entry_show_head();
	if (entry_show(line, l->as_json))
		return true;
	l->error = errno;
	return false;
}

/* Whoever reads our output may have enough (`| head`); that is no error. */
static int
output_failed(int error)
{
	if (error == EPIPE)
		_exit(CTL_GOOD);        /* what is buffered has nobody to go to */
	fprintf(stderr, "enmactl: cannot write: %s\n", strerror(error));
	return CTL_REFUSED;
}

static int
list(const struct ctl *ctl, const char *request, struct listing *l)
{
	char why[FDIO_WHY_MAX];
	struct connection conn;
	struct answer head;
	int code = CTL_GOOD;
	enum rc rc;

	if (!ctl_connect(ctl, &conn, &code))
		return code;
	rc = connection_stream(&conn, request, IDLE_MS, list_line, l, &head, why, sizeof(why));
	connection_close(&conn);
	if (rc != RC_NONE && fflush(stdout) != 0) {
		l->error = errno;
		rc = RC_NONE;
	}
	if (rc == RC_NONE)
		code = output_failed(l->error);
	else if (rc != RC_OK)
		code = show_problem("connection", why, CTL_REFUSED, ctl->as_json);
	else if (!head.is_ok)
		code = show_plain(&head, ctl->as_json);
	answer_fini(&head);
	return code;
}

/* ---- stats ----------------------------------------------------------------------------------------------------- */

static int
cache_stats(const struct ctl *ctl)
{
	struct connection conn;
	struct answer stats, ages;
	int code;

	if (!ctl_ask(ctl, "cache stats", CTL_ANSWER_MS, &conn, &stats, &code))
		return code;
	connection_close(&conn);
	if (!stats.is_ok)
		code = show_plain(&stats, ctl->as_json);
	else if (ctl_ask(ctl, "cache histogram", IDLE_MS, &conn, &ages, &code)) {
		connection_close(&conn);
		code = show_cache_stats(stats.data, ages.is_ok ? ages.data : SPAN_NULL, ages.is_ok ? SPAN("") : ages.text, ctl->as_json);
		answer_fini(&ages);
	}
	answer_fini(&stats);
	return code;
}

/* ---- flush, purge ---------------------------------------------------------------------------------------------- */

static int
flush(const struct ctl *ctl, const char *request)
{
	struct connection conn;
	struct answer a;
	int code;

	if (!ctl_ask(ctl, request, FLUSH_MS, &conn, &a, &code))
		return code;
	code = show_plain(&a, ctl->as_json);
	answer_fini(&a);
	connection_close(&conn);
	return code;
}

int
ctl_cache(const struct ctl *ctl)
{
	const struct command *c = command_of(ctl);
	struct listing l = { ctl->as_json, 0, 0 };
	char *request;
	int code;

	if (c->what == CACHE_STATS)
		return cache_stats(ctl);
	request = request_of(ctl, c);
	if (c->what == CACHE_DUMP || c->what == CACHE_GET)
		code = list(ctl, request, &l);
	else
		code = flush(ctl, request);
	if (c->what == CACHE_GET && code == CTL_GOOD && l.count == 0)
		code = show_problem("unknown", "the cache has no such entry", CTL_REFUSED, ctl->as_json);
	free(request);
	return code;
}
