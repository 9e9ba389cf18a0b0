/* sockspec - the text of a socket address; see sockspec.h. */
#include "common/conf/sockspec.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/base/ip.h"
#include "common/base/log.h"
#include "common/base/span.h"

enum { HOST_MAX = 255 };

struct why {
	char *p;
	size_t size;
};

static PRINTF_LIKE(2, 3) enum rc
refuse(struct why why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why.p, why.size, fmt, ap);
	va_end(ap);
	return RC_SYNTAX;
}

/* The next word of *rest; absent when there is none. */
static struct span
next_word(struct span *rest)
{
	struct span word;
	size_t n = 0;

	*rest = span_trim(*rest);
	while (n < rest->n && !ascii_is_wsp((unsigned char)rest->p[n]))
		n++;
	word = n > 0 ? span_sub(*rest, 0, n) : SPAN_NULL;
	*rest = span_from(*rest, n);
	return word;
}

/* ---- inet and inet6 -------------------------------------------------------------------------------------- */

static void
set_address(struct sockspec *out, const struct ip *ip, unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;

	if (out->family == AF_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		memcpy(&in->sin_addr, ip->b + 12, 4);
		out->addr_len = sizeof *in;
		return;
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	memcpy(&in6->sin6_addr, ip->b, 16);
	out->addr_len = sizeof *in6;
}

static enum rc
resolve(int family, struct span host, struct ip *out, struct why why)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM }, *list = NULL;
	char name[HOST_MAX + 1];
	int err;

	if (host.n > HOST_MAX)
		return refuse(why, "the host name is longer than %d bytes", HOST_MAX);
	memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	err = getaddrinfo(name, NULL, &hints, &list);
	if (err != 0)
		return refuse(why, "host \"%s\" has no %s address: %s", log_str(host), family == AF_INET ? "IPv4" : "IPv6", gai_strerror(err));
	*out = ip_from_sockaddr(list->ai_addr);
	freeaddrinfo(list);
	return RC_OK;
}

static enum rc
find_host(int family, struct span host, struct ip *out, struct why why)
{
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_sub(host, 1, host.n - 2);
	if (ip_parse(host, out) != RC_OK) {
		if (host.n == 0)
			return refuse(why, "nothing behind '@'; write an address, or leave '@' out for the loopback address");
		if (span_find(host, ':') < host.n)
			return refuse(why, "\"%s\" is not an IPv6 address", log_str(host));
		return resolve(family, host, out, why);
	}
	if (family == AF_INET && !ip_is_v4(out))
		return refuse(why, "%s is an IPv6 address; write inet6:", log_str(host));
	if (family == AF_INET6 && span_find(host, ':') == host.n)
		return refuse(why, "%s is an IPv4 address; write inet:", log_str(host));
	return RC_OK;
}

static enum rc
parse_inet(int family, struct span rest, struct sockspec *out, struct why why)
{
	struct span word = next_word(&rest), more = next_word(&rest), port_text, host;
	size_t at = span_find(word, '@');
	struct ip ip;
	uint64_t port;
	enum rc rc;

	port_text = span_sub(word, 0, at);
	if (!span_to_uint(port_text, 65535, &port))
		return refuse(why, "the port \"%s\" is not a number from 0 to 65535", log_str(port_text));
	if (!span_is_null(more))
		return refuse(why, "\"%s\" is more than an address; perm=, owner= and group= are for unix: sockets", log_str(more));
	host = at < word.n ? span_from(word, at + 1) : family == AF_INET ? SPAN("127.0.0.1") : SPAN("::1");
	rc = find_host(family, host, &ip, why);
	if (rc != RC_OK)
		return rc;
	out->family = family;
	set_address(out, &ip, (unsigned)port);
	return RC_OK;
}

/* ---- unix ------------------------------------------------------------------------------------------------ */

static bool
parse_perm(struct span text, int *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '7' || i >= 5)
			return false;
		*out = *out * 8 + (text.p[i] - '0');
	}
	return text.n > 0 && *out <= 0777;
}

static bool
copy_name(struct span text, char *out, size_t size)
{
	if (text.n == 0 || text.n >= size)
		return false;
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return true;
}

static enum rc
parse_option(struct span word, struct sockspec *out, struct why why)
{
	size_t at = span_find(word, '=');
	struct span name = span_sub(word, 0, at), value = span_from(word, at + 1);

	if (at < word.n && span_eq(name, SPAN("perm"))) {
		if (!parse_perm(value, &out->perm))
			return refuse(why, "perm=%s is not an octal mode from 0 to 0777", log_str(value));
	} else if (at < word.n && span_eq(name, SPAN("owner"))) {
		if (!copy_name(value, out->owner, sizeof out->owner))
			return refuse(why, "owner= wants the name of a user, at most %zu bytes", sizeof out->owner - 1);
	} else if (at < word.n && span_eq(name, SPAN("group"))) {
		if (!copy_name(value, out->group, sizeof out->group))
			return refuse(why, "group= wants the name of a group, at most %zu bytes", sizeof out->group - 1);
	} else {
		return refuse(why, "\"%s\" is not perm=MODE, owner=USER or group=GROUP (a path cannot contain blanks)", log_str(word));
	}
	return RC_OK;
}

static enum rc
parse_unix(struct span rest, struct sockspec *out, struct why why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->addr;
	struct span path = next_word(&rest), word;
	enum rc rc = RC_OK;

	if (span_is_null(path))
		return refuse(why, "the path of the socket is missing");
	if (path.n >= sizeof out->path)
		return refuse(why, "the path of the socket has %zu bytes; the system allows %zu", path.n, sizeof out->path - 1);
	if (path.p[path.n - 1] == '/')
		return refuse(why, "the path of the socket ends with '/'");
	while (rc == RC_OK && !span_is_null(word = next_word(&rest)))
		rc = parse_option(word, out, why);
	if (rc != RC_OK)
		return rc;
	out->family = AF_UNIX;
	memcpy(out->path, path.p, path.n);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.p, path.n);
	out->addr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	return RC_OK;
}

enum rc
sockspec_parse(const char *text, struct sockspec *out, char *why_text, size_t size)
{
	struct span s = span_trim(span_cstr(text)), kind = span_sub(s, 0, span_find(s, ':')), rest = span_from(s, kind.n + 1);
	struct why why = { why_text, size };

	memset(out, 0, sizeof *out);
	out->perm = -1;
	if (kind.n < s.n && span_eq_nocase(kind, SPAN("inet")))
		return parse_inet(AF_INET, rest, out, why);
	if (kind.n < s.n && span_eq_nocase(kind, SPAN("inet6")))
		return parse_inet(AF_INET6, rest, out, why);
	if (kind.n < s.n && (span_eq_nocase(kind, SPAN("unix")) || span_eq_nocase(kind, SPAN("local"))))
		return parse_unix(rest, out, why);
	return refuse(why, "\"%s\" is not inet:PORT@HOST, inet6:PORT@HOST, unix:PATH or local:PATH", log_str(s));
}
