/* conf_check - what values must look like and the rules between them; see conf_check.h. */
#include "common/conf/conf_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/domain.h"
#include "common/base/ip.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_int.h"
#include "common/conf/sockspec.h"

enum {
	NAME_LEN_MAX = 63,              /* of users, groups and the syslog ident */
	FIELD_NAME_MAX = 76,
	MTA_PATIENCE_MS = 30000,        /* Postfix's milter_command_timeout */
	RSS_LEAST = 16 * MIB,
	CACHE_SIZE_UNIT = 64 * KIB,     /* what a map can be made of, whatever the page size */
	CACHE_PATH_MAX = 900,           /* with what the cache's files have behind it a path must stay below 1,024 bytes */
};

static PRINTF_LIKE(3, 4) bool
refuse(char *why, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return false;
}

static const char *
quoted(const char *value)
{
	return log_str(span_cstr(value));
}

/* ---- one value ------------------------------------------------------------------------------------------- */

bool
conf_check_socket(const char *value, char *why, size_t size)
{
	struct sockspec spec;

	return sockspec_parse(value, &spec, why, size) == RC_OK;
}

bool
conf_check_control_socket(const char *value, char *why, size_t size)
{
	struct sockspec spec;

	if (sockspec_parse(value, &spec, why, size) != RC_OK)
		return false;
	if (spec.family != AF_UNIX || spec.path[0] != '/')
		return refuse(why, size, "\"%s\" is not unix:/PATH with an absolute path", quoted(value));
	if (spec.perm >= 0 || spec.owner[0] != '\0' || spec.group[0] != '\0')
		return refuse(why, size, "write control.mode and control.group instead of perm=, owner= and group=");
	return true;
}

static bool
is_name(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (!ascii_is_alnum((unsigned char)s.p[i]) && memchr("._-$", s.p[i], 4) == NULL)
			return false;
	}
	return s.n > 0 && s.n <= NAME_LEN_MAX;
}

bool
conf_check_user_name(const char *value, char *why, size_t size)
{
	if (value[0] == '\0' || is_name(span_cstr(value)))
		return true;
	return refuse(why, size, "\"%s\" is not the name (or number) of a user or group", quoted(value));
}

bool
conf_check_user(const char *value, char *why, size_t size)
{
	struct span s = span_cstr(value);
	size_t colon = span_find(s, ':');

	if (s.n == 0 || (is_name(span_sub(s, 0, colon)) && (colon == s.n || is_name(span_from(s, colon + 1)))))
		return true;
	return refuse(why, size, "\"%s\" is not USER or USER:GROUP", quoted(value));
}

bool
conf_check_path(const char *value, char *why, size_t size)
{
	if (value[0] == '\0' || value[0] == '/')
		return true;
	return refuse(why, size, "\"%s\" is not an absolute path (it must mean the same after milter.chdir)", quoted(value));
}

bool
conf_check_identifier(const char *value, char *why, size_t size)
{
	struct arena a;
	struct span name;
	enum rc rc;

	arena_init(&a, 0, 16 * KIB);
	rc = domain_normalize(&a, span_cstr(value), &name);
	arena_fini(&a);
	if (value[0] == '\0' || rc == RC_OK)
		return true;
	return refuse(why, size, "\"%s\" is not a domain name such as mx.example.org", quoted(value));
}

/* RFC 5322 section 3.6.8, ftext. */
bool
conf_check_field_name(const char *value, char *why, size_t size)
{
	size_t i;

	for (i = 0; value[i] != '\0'; i++) {
		if (value[i] <= ' ' || value[i] >= 0x7f || value[i] == ':')
			return refuse(why, size, "\"%s\" is not the name of a header field (without a colon)", quoted(value));
	}
	return i <= FIELD_NAME_MAX || refuse(why, size, "the name of the header field has more than %d bytes", FIELD_NAME_MAX);
}

bool
conf_check_range(const char *value, char *why, size_t size)
{
	struct ip_set *set;
	const char *reason;
	enum rc rc;

	if (value[0] == '/')
		return true;
	set = ip_set_create();
	rc = ip_set_add(set, span_cstr(value), &reason);
	ip_set_destroy(&set);
	return rc == RC_OK || refuse(why, size, "\"%s\": %s", quoted(value), reason);
}

bool
conf_check_forward(const char *value, char *why, size_t size)
{
	struct span s = span_cstr(value), address = span_sub(s, 0, span_find(s, '@'));
	struct ip ip;
	uint64_t port = 53;

	if (ip_parse(address, &ip) != RC_OK)
		return refuse(why, size, "\"%s\" is not ADDRESS or ADDRESS@PORT", quoted(value));
	if (address.n < s.n && (!span_to_uint(span_from(s, address.n + 1), 65535, &port) || port == 0))
		return refuse(why, size, "\"%s\": the port is not a number from 1 to 65535", quoted(value));
	return true;
}

bool
conf_check_ident(const char *value, char *why, size_t size)
{
	size_t i;

	for (i = 0; value[i] != '\0'; i++) {
		if (value[i] <= ' ' || value[i] >= 0x7f || value[i] == '[' || value[i] == ':')
			return refuse(why, size, "\"%s\" is not one word of printable characters without '[' and ':'", quoted(value));
	}
	return (i > 0 && i <= NAME_LEN_MAX) || refuse(why, size, "want 1 to %d characters", NAME_LEN_MAX);
}

bool
conf_check_log_target(const char *value, char *why, size_t size)
{
	static const char *const words[] = { "auto", "syslog", "stderr", "stdout" };
	struct span s = span_cstr(value);
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (span_eq(s, span_cstr(words[i])))
			return true;
	}
	if (span_starts(s, SPAN("file:/")))
		return true;
	if (span_starts(s, SPAN("file:")))
		return refuse(why, size, "\"%s\": the path behind file: must be absolute", quoted(value));
	return refuse(why, size, "\"%s\" is not auto, syslog, stderr, stdout or file:/PATH", quoted(value));
}

/* ---- the identifier -------------------------------------------------------------------------------------- */

const char *
conf_identifier_trouble(const char *identifier)
{
	struct span s = span_cstr(identifier);
	bool is_name;

	if (domain_eq(s, SPAN("localhost")) || domain_is_at_or_below(s, SPAN("localhost")) || domain_is_at_or_below(s, SPAN("localdomain")))
		return "is a name that every host has: any sender can guess it, and nobody can tell whose results these are";
	is_name = identifier[0] != '\0' && conf_check_identifier(identifier, NULL, 0);
	if (!is_name)
		return "is not a domain name";
	if (domain_label_count(s) < 2)
		return "is not a full domain name";
	return NULL;
}

/* ---- rules between settings ------------------------------------------------------------------------------ */

/* The place of value number i of a key, for messages. */
static const struct conf_place *
place_of(const struct conf *c, const char *key, size_t i)
{
	static const struct conf_place none;
	const struct conf_origin *o = conf_origin_of(c, conf_row_find(span_cstr(key)));

	return o->n == 0 ? &none : &o->v[MIN(i, o->n - 1)];
}

static void
check_identifier(const struct conf *c, struct conf_errors *errors)
{
	const struct conf_place *p = place_of(c, "authresult.identifier", 0);
	const char *trouble = conf_identifier_trouble(c->authresult_identifier);

	if (trouble == NULL)
		return;
	if (p->value != NULL && p->value[0] != '\0')
		conf_errors_add(errors, true, p->file, p->line, "authresult.identifier: \"%s\" %s; use a name such as mx.example.org",
		    quoted(c->authresult_identifier), trouble);
	else
		conf_errors_add(errors, true, p->file, p->line,
		    "authresult.identifier is not set, and the host's name \"%s\" %s; set it to a name such as mx.example.org",
		    quoted(c->authresult_identifier), trouble);
}

static bool
is_same_socket(const struct sockspec *a, const struct sockspec *b)
{
	static const uint8_t no_port[2];

	/* The port follows the family in both inet forms.  Port 0 is another one each time. */
	if (a->family != AF_UNIX && memcmp((const char *)&a->addr + sizeof(sa_family_t), no_port, sizeof no_port) == 0)
		return false;
	return a->addr_len == b->addr_len && memcmp(&a->addr, &b->addr, a->addr_len) == 0;
}

static void
check_sockets(const struct conf *c, struct conf_errors *errors)
{
	struct sockspec *spec = xcalloc(c->milter_socket.n, sizeof *spec), control;
	const struct conf_place *p;
	char why[256];
	size_t i, j;

	if (c->milter_socket.n == 0) {
		p = place_of(c, "milter.socket", 0);
		conf_errors_add(errors, false, p->file, p->line, "milter.socket is empty: the MTA could connect nowhere");
	}
	if (sockspec_parse(c->control_socket, &control, why, sizeof why) != RC_OK)
		memset(&control, 0, sizeof control);
	for (i = 0; i < c->milter_socket.n; i++) {
		p = place_of(c, "milter.socket", i);
		if (sockspec_parse(c->milter_socket.v[i], &spec[i], why, sizeof why) != RC_OK)
			continue;       /* a name that resolved a moment ago; opening it will say so */
		if (is_same_socket(&spec[i], &control))
			conf_errors_add(errors, false, p->file, p->line, "milter.socket: \"%s\" is also the control.socket", quoted(c->milter_socket.v[i]));
		for (j = 0; j < i; j++) {
			if (is_same_socket(&spec[i], &spec[j]))
				conf_errors_add(errors, false, p->file, p->line, "milter.socket: \"%s\" is there twice", quoted(c->milter_socket.v[i]));
		}
	}
	free(spec);
}

static void
check_resolver(const struct conf *c, struct conf_errors *errors)
{
	const struct conf_place *p = place_of(c, "resolver.deadline", 0);

	if (c->resolver_deadline >= MTA_PATIENCE_MS)
		conf_errors_add(errors, true, p->file, p->line, "resolver.deadline: Postfix gives up on a milter after 30s "
		    "(milter_command_timeout) before this deadline ends");
	if (c->resolver_recursive && c->resolver_forward.n > 0) {
		p = place_of(c, "resolver.forward", 0);
		conf_errors_add(errors, true, p->file, p->line, "resolver.forward has no effect while resolver.recursive is yes");
	}
}

static void
check_worker(const struct conf *c, struct conf_errors *errors)
{
	const struct conf_place *p = place_of(c, "worker.max_rss", 0);

	if (c->worker_max_rss > 0 && c->worker_max_rss < RSS_LEAST)
		conf_errors_add(errors, false, p->file, p->line, "worker.max_rss: below 16m a worker would be replaced as soon as it starts; "
		    "0 means never");
}

/* Where the user said something about one of the two keys: the place of an error about both. */
static const struct conf_place *
place_of_either(const struct conf *c, const char *key, const char *other)
{
	const struct conf_place *p = place_of(c, key, 0);

	return p->file != NULL ? p : place_of(c, other, 0);
}

static void
check_cache(const struct conf *c, struct conf_errors *errors)
{
	const struct { const char *key; int64_t most; } limits[] = {
		{ "cache.max_ttl", c->cache_max_ttl }, { "cache.max_negative_ttl", c->cache_max_negative_ttl },
	};
	struct span path = span_cstr(c->cache_path);
	const struct conf_place *p;
	size_t i;

	for (i = 0; i < ARRAY_LEN(limits); i++) {
		if (c->cache_min_ttl <= limits[i].most)
			continue;
		p = place_of_either(c, limits[i].key, "cache.min_ttl");
		conf_errors_add(errors, false, p->file, p->line, "%s (%llds) is less than cache.min_ttl (%llds)", limits[i].key,
		    (long long)limits[i].most, (long long)c->cache_min_ttl);
	}
	p = place_of(c, "cache.size", 0);
	if (c->cache_size % CACHE_SIZE_UNIT != 0)
		conf_errors_add(errors, false, p->file, p->line, "cache.size is not a multiple of 64k; write %lldk", (long long)(c->cache_size / CACHE_SIZE_UNIT * 64));
	p = place_of(c, "cache.path", 0);
	if (c->cache_enabled && path.n == 0)
		conf_errors_add(errors, false, p->file, p->line, "cache.path is empty; cache.enabled: no turns the cache off");
	if (path.n > 0 && path.p[path.n - 1] == '/')
		conf_errors_add(errors, false, p->file, p->line, "cache.path: \"%s\" names a folder; want the beginning of the files' names, such as %scache",
		    quoted(c->cache_path), quoted(c->cache_path));
	if (path.n > CACHE_PATH_MAX)
		conf_errors_add(errors, false, p->file, p->line, "cache.path has more than %d bytes", CACHE_PATH_MAX);
}

static void
check_unused(const struct conf *c, struct conf_errors *errors)
{
	size_t i;

	for (i = 0; i < conf_row_count; i++) {
		const struct conf_row *row = &conf_rows[i];
		const struct conf_origin *o = &c->origins[i];

		if (o->n == 0)
			continue;
		if (row->flags & CF_NOT_YET)
			conf_errors_add(errors, true, o->v[0].file, o->v[0].line, "%s has no effect in this version", row->name);
		if (row->flags & CF_OBSOLETE)
			conf_errors_add(errors, true, o->v[0].file, o->v[0].line, "%s is no longer needed and has no effect", row->name);
	}
}

void
conf_check(const struct conf *c, struct conf_errors *errors)
{
	check_sockets(c, errors);
	check_identifier(c, errors);
	check_resolver(c, errors);
	check_worker(c, errors);
	check_cache(c, errors);
	check_unused(c, errors);
}
