/* forwarders - which servers the resolver asks; see forwarders.h. */
#include "common/dns/forwarders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"

#define FALLBACK "127.0.0.1"            /* what resolver(5) says without name servers */

static bool
is_zone_id(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum((unsigned char)s.p[i]) && memchr("._-", s.p[i], 3) == NULL)
			return false;
	return s.n > 0;
}

static bool
is_forwarder(struct span text)
{
	const size_t at = span_find(text, '@');
	struct span address = span_sub(text, 0, at), port = span_from(text, at + 1);
	const size_t percent = span_find(address, '%');
	uint64_t number;
	struct ip ip;

	if (text.n >= FORWARDER_TEXT_MAX)
		return false;
	if (at < text.n && (!span_to_uint(port, UINT16_MAX, &number) || number == 0))
		return false;
	if (percent == address.n)
		return ip_parse(address, &ip) == RC_OK;
	return ip6_parse(span_sub(address, 0, percent), &ip) == RC_OK && is_zone_id(span_from(address, percent + 1));
}

static void
add(struct forwarders *f, struct span text)
{
	if (f->n == FORWARDERS_MAX)
		return;
	memcpy(f->v[f->n], text.p, text.n);
	f->v[f->n++][text.n] = '\0';
}

/* "nameserver ADDRESS" lines; others, and addresses that do not parse, are skipped as resolver(5) does. */
static void
add_line(struct forwarders *f, struct span line)
{
	static const struct span keyword = SPAN("nameserver");
	size_t n = 0;

	line = span_trim(line);
	if (!span_starts(line, keyword) || line.n == keyword.n || !ascii_is_wsp((unsigned char)line.p[keyword.n]))
		return;
	line = span_trim(span_from(line, keyword.n));
	while (n < line.n && !ascii_is_wsp((unsigned char)line.p[n]) && line.p[n] != '#' && line.p[n] != ';')
		n++;
	line = span_sub(line, 0, n);
	if (is_forwarder(line))
		add(f, line);
}

static void
read_resolv_conf(const char *path, struct forwarders *f, char *why, size_t size)
{
	char *text = xmalloc(RESOLV_CONF_MAX);
	FILE *file = fopen(path, "re");
	struct span rest, line;

	if (file == NULL) {
		snprintf(why, size, "%s: %s; asking " FALLBACK, path, strerror(errno));
	} else {
		rest = span_of(text, fread(text, 1, RESOLV_CONF_MAX, file));
		fclose(file);
		while (span_split(&rest, '\n', &line))
			add_line(f, line);
		if (f->n == 0)
			snprintf(why, size, "%s names no server; asking " FALLBACK, path);
	}
	if (f->n == 0)
		add(f, SPAN(FALLBACK));
	free(text);
}

enum rc
forwarders_collect(const struct dns_unbound_options *o, struct forwarders *out, char *why, size_t size)
{
	out->n = 0;
	if (size > 0)
		why[0] = '\0';
	if (o->is_recursive)
		return RC_OK;
	if (o->forward_count > FORWARDERS_MAX) {
		snprintf(why, size, "more than %d forwarders", FORWARDERS_MAX);
		return RC_SYNTAX;
	}
	for (size_t i = 0; i < o->forward_count; i++) {
		struct span text = span_cstr(o->forward[i]);

		if (!is_forwarder(text)) {
			snprintf(why, size, "'%.100s' is not ADDRESS or ADDRESS@PORT", text.p != NULL ? text.p : "");
			return RC_SYNTAX;
		}
		add(out, text);
	}
	if (out->n == 0)
		read_resolv_conf(o->resolvconf != NULL ? o->resolvconf : "/etc/resolv.conf", out, why, size);
	return RC_OK;
}
