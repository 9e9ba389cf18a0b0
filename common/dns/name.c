/* name - DNS names in wire form, and the words for types and statuses; see dns.h. */
#include <string.h>

#include "common/base/check.h"
#include "common/dns/dns.h"

enum { LABEL_MAX = 63 };

static const struct { uint16_t type; const char *name; } types[] = {
	{ DNS_A, "A" }, { DNS_NS, "NS" }, { DNS_CNAME, "CNAME" }, { DNS_SOA, "SOA" }, { DNS_PTR, "PTR" },
	{ DNS_MX, "MX" }, { DNS_TXT, "TXT" }, { DNS_AAAA, "AAAA" },
};

const char *
dns_type_name(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "TYPE";
}

bool
dns_type_parse(struct span text, uint16_t *type_out)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (span_eq_nocase(text, span_cstr(types[i].name))) {
			*type_out = types[i].type;
			return true;
		}
	}
	return false;
}

const char *
dns_status_name(enum dns_status s)
{
	switch (s) {
	case DNS_OK:            return "ok";
	case DNS_NODATA:        return "nodata";
	case DNS_NXDOMAIN:      return "nxdomain";
	case DNS_SERVFAIL:      return "servfail";
	case DNS_TIMEOUT:       return "timeout";
	case DNS_BOGUS:         return "bogus";
	case DNS_MALFORMED:     return "malformed";
	case DNS_LIMIT:         return "limit";
	case DNS_CANCELLED:     return "cancelled";
	}
	return "unknown";
}

bool
dns_status_is_temporary(enum dns_status s)
{
	switch (s) {
	case DNS_SERVFAIL:
	case DNS_TIMEOUT:
	case DNS_BOGUS:
	case DNS_MALFORMED:
	case DNS_CANCELLED:
		return true;
	case DNS_OK:
	case DNS_NODATA:
	case DNS_NXDOMAIN:
	case DNS_LIMIT:
		break;
	}
	return false;
}

/* Appends one label; false when it is empty, too long, holds a NUL or leaves no room for the root. */
static bool
append_label(struct dns_name *name, struct span label)
{
	if (label.n == 0 || label.n > LABEL_MAX || memchr(label.p, '\0', label.n) != NULL)
		return false;
	if (name->n + 1 + label.n + 1 > DNS_NAME_WIRE_MAX)
		return false;
	name->w[name->n++] = (uint8_t)label.n;
	for (size_t i = 0; i < label.n; i++)
		name->w[name->n++] = ascii_lower((unsigned char)label.p[i]);
	return true;
}

enum rc
dns_name_from_text(struct span text, struct dns_name *out)
{
	struct dns_name name = { 0 };
	struct span label;

	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	if (text.n == 0)
		return RC_SYNTAX;
	while (span_split(&text, '.', &label))
		if (!append_label(&name, label))
			return RC_SYNTAX;
	name.w[name.n++] = 0;
	*out = name;
	return RC_OK;
}

/* Printable bytes that mean something in a zone file or to a resolver's parser are escaped as well. */
static bool
needs_no_escape(uint8_t c)
{
	return c > 0x20 && c < 0x7f && memchr("\\\"#$();@", c, 8) == NULL;
}

void
dns_name_print(struct buf *b, const struct dns_name *name)
{
	if (name->n <= 1)
		buf_byte(b, '.');
	for (size_t at = 0; at + 1 < name->n; at += 1 + name->w[at]) {
		if (at > 0)
			buf_byte(b, '.');
		for (size_t i = 1; i <= name->w[at]; i++) {
			uint8_t c = name->w[at + i];

			if (c == '.')
				buf_str(b, "\\.");
			else if (needs_no_escape(c))
				buf_byte(b, (char)c);
			else
				buf_fmt(b, "\\%03u", c);
		}
	}
}

enum rc
dns_name_plain(struct arena *a, const struct dns_name *name, struct span *out)
{
	char text[DNS_NAME_WIRE_MAX];
	size_t n = 0;

	for (size_t at = 0; at + 1 < name->n; at += 1 + name->w[at]) {
		if (at > 0)
			text[n++] = '.';
		for (size_t i = 1; i <= name->w[at]; i++) {
			uint8_t c = name->w[at + i];

			if (c <= 0x20 || c > 0x7e || c == '.')
				return RC_SYNTAX;
			text[n++] = (char)c;
		}
	}
	if (n == 0)
		text[n++] = '.';
	*out = arena_copy(a, span_of(text, n));
	return span_is_null(*out) ? RC_LIMIT : RC_OK;
}

bool
dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->n == b->n && memcmp(a->w, b->w, a->n) == 0;
}

/* One octet of an address as a decimal label. */
static bool
append_octet(struct dns_name *name, unsigned v)
{
	char digits[3];
	size_t n = 0;

	if (v >= 100)
		digits[n++] = (char)('0' + v / 100);
	if (v >= 10)
		digits[n++] = (char)('0' + v / 10 % 10);
	digits[n++] = (char)('0' + v % 10);
	return append_label(name, span_of(digits, n));
}

void
dns_name_reverse(const struct ip *ip, struct dns_name *out)
{
	static const char hex[] = "0123456789abcdef";
	struct dns_name name = { 0 };
	bool fits = true;

	if (ip_is_v4(ip)) {
		for (int i = 15; i >= 12; i--)
			fits = fits && append_octet(&name, ip->b[i]);
		fits = fits && append_label(&name, SPAN("in-addr"));
	} else {
		for (int i = 15; i >= 0; i--) {
			fits = fits && append_label(&name, span_of(&hex[ip->b[i] & 15], 1));
			fits = fits && append_label(&name, span_of(&hex[ip->b[i] >> 4], 1));
		}
		fits = fits && append_label(&name, SPAN("ip6"));
	}
	fits = fits && append_label(&name, SPAN("arpa"));
	REQUIRE(fits);
	name.w[name.n++] = 0;
	*out = name;
}
