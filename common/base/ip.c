/*
 * ip - addresses, networks and sets of ranges; see ip.h.
 *
 * A set is two path-compressed binary tries (one a family, so that ::/0 does not swallow IPv4) over one array of nodes.
 * Indexes instead of pointers: 28 bytes a node, at most two nodes a prefix, one allocation.
 */
#include "common/base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"

enum {
	V4_AT = 96,             /* first bit of an IPv4 address in its mapped form */
	ALL_BITS = 128,
};

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool
ip_is_v4(const struct ip *ip)
{
	return ip->is_set && memcmp(ip->b, mapped_prefix, sizeof mapped_prefix) == 0;
}

bool
ip_eq(const struct ip *a, const struct ip *b)
{
	return a->is_set && b->is_set && memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* ---- text to address ------------------------------------------------------------------------------------- */

/* RFC 7208 section 12, qnum: 0..255 without leading zeros. */
static bool
parse_qnum(struct span text, uint8_t *out)
{
	uint64_t v;

	if (text.n > 3 || (text.n > 1 && text.p[0] == '0') || !span_to_uint(text, 255, &v))
		return false;
	*out = (uint8_t)v;
	return true;
}

enum rc
ip4_parse(struct span text, struct ip *out)
{
	struct ip ip = { .is_set = true };
	struct span piece;
	unsigned i;

	*out = (struct ip){ 0 };
	memcpy(ip.b, mapped_prefix, sizeof mapped_prefix);
	for (i = 0; span_split(&text, '.', &piece); i++) {
		if (i == 4 || !parse_qnum(piece, &ip.b[12 + i]))
			return RC_SYNTAX;
	}
	if (i != 4)
		return RC_SYNTAX;
	*out = ip;
	return RC_OK;
}

enum rc
ip6_parse(struct span text, struct ip *out)
{
	struct ip ip = { .is_set = true };
	char copy[IP_TEXT_MAX];

	*out = (struct ip){ 0 };
	if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n) != NULL)
		return RC_SYNTAX;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET6, copy, ip.b) != 1)
		return RC_SYNTAX;
	*out = ip;
	return RC_OK;
}

enum rc
ip_parse(struct span text, struct ip *out)
{
	return span_find(text, ':') < text.n ? ip6_parse(text, out) : ip4_parse(text, out);
}

struct ip
ip_from_sockaddr(const struct sockaddr *sa)
{
	struct ip ip = { .is_set = true };

	/* Copied out: callers hand over storage of any alignment. */
	if (sa != NULL && sa->sa_family == AF_INET) {
		memcpy(ip.b, mapped_prefix, sizeof mapped_prefix);
		memcpy(ip.b + 12, (const char *)sa + offsetof(struct sockaddr_in, sin_addr), 4);
		return ip;
	}
	if (sa != NULL && sa->sa_family == AF_INET6) {
		memcpy(ip.b, (const char *)sa + offsetof(struct sockaddr_in6, sin6_addr), 16);
		return ip;
	}
	return (struct ip){ 0 };
}

/* ---- address to text ------------------------------------------------------------------------------------- */

static size_t
print_byte(uint8_t v, char *out)
{
	size_t n = 0;

	if (v >= 100)
		out[n++] = (char)('0' + v / 100);
	if (v >= 10)
		out[n++] = (char)('0' + v / 10 % 10);
	out[n++] = (char)('0' + v % 10);
	return n;
}

static size_t
print_v4(const uint8_t b[4], char *out)
{
	size_t n = 0;
	unsigned i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			out[n++] = '.';
		n += print_byte(b[i], out + n);
	}
	return n;
}

static size_t
print_group(unsigned v, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	int shift;

	for (shift = 12; shift >= 0; shift -= 4) {
		if (n > 0 || shift == 0 || (v >> shift) != 0)
			out[n++] = hex[v >> shift & 15];
	}
	return n;
}

/* The longest run of two or more zero groups, the first one of equals (RFC 5952 section 4.2). */
static void
longest_zeros(const unsigned g[8], unsigned *from_out, unsigned *len_out)
{
	unsigned i, run = 0;

	*from_out = 8;
	*len_out = 1;
	for (i = 0; i < 8; i++) {
		run = g[i] == 0 ? run + 1 : 0;
		if (run > *len_out) {
			*len_out = run;
			*from_out = i + 1 - run;
		}
	}
}

static size_t
print_v6(const uint8_t b[16], char *out)
{
	unsigned g[8], i, from, len;
	size_t n = 0;

	for (i = 0; i < 8; i++)
		g[i] = (unsigned)b[2 * i] << 8 | b[2 * i + 1];
	longest_zeros(g, &from, &len);
	for (i = 0; i < 8; i++) {
		if (i == from) {
			out[n++] = ':';
			out[n++] = ':';
			i += len - 1;
			continue;
		}
		if (i > 0 && out[n - 1] != ':')
			out[n++] = ':';
		n += print_group(g[i], out + n);
	}
	return n;
}

size_t
ip_print(const struct ip *ip, char out[IP_TEXT_MAX])
{
	size_t n = 0;

	if (ip_is_v4(ip))
		n = print_v4(ip->b + 12, out);
	else if (ip->is_set)
		n = print_v6(ip->b, out);
	out[n] = '\0';
	return n;
}

/* ---- networks -------------------------------------------------------------------------------------------- */

static unsigned
bit_at(const uint8_t b[16], unsigned at)
{
	return b[at / 8] >> (7 - at % 8) & 1;
}

/* How many leading bits of a and b agree, at most max. */
static unsigned
common_bits(const uint8_t a[16], const uint8_t b[16], unsigned max)
{
	unsigned i = 0, n;

	while (i < 16 && i * 8 < max && a[i] == b[i])
		i++;
	n = i * 8;
	if (i < 16 && n < max)
		n += (unsigned)__builtin_clz((unsigned)(a[i] ^ b[i])) - 24;
	return MIN(n, max);
}

bool
ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits)
{
	bool is_v4 = ip_is_v4(ip);

	if (!ip->is_set || !net->is_set || is_v4 != ip_is_v4(net) || bits > (is_v4 ? 32 : ALL_BITS))
		return false;
	if (is_v4)
		bits += V4_AT;
	return common_bits(ip->b, net->b, bits) == bits;
}

/* ---- sets ------------------------------------------------------------------------------------------------ */

struct node {
	uint8_t key[16];
	uint32_t child[2];      /* 0: none */
	uint8_t bits;           /* length of the prefix in key */
	bool is_member;         /* everything below is in the set */
};

struct ip_set {
	struct node *node;      /* node[0] is never used */
	uint32_t used, room;
	uint32_t root[2];       /* IPv6, IPv4 */
	size_t count;
};

struct ip_set *
ip_set_create(void)
{
	struct ip_set *set = xcalloc(1, sizeof *set);

	set->used = 1;
	return set;
}

void
ip_set_destroy(struct ip_set **set)
{
	if (*set == NULL)
		return;
	free((*set)->node);
	free(*set);
	*set = NULL;
}

static uint32_t
node_add(struct ip_set *set, const uint8_t key[16], unsigned bits, bool is_member)
{
	struct node *n;

	if (set->used >= set->room) {
		REQUIRE(set->room < UINT32_MAX / 4);
		set->room = MAX(set->room * 2, 16u);
		set->node = xrealloc(set->node, set->room, sizeof *set->node);
	}
	n = &set->node[set->used];
	*n = (struct node){ .bits = (uint8_t)bits, .is_member = is_member };
	memcpy(n->key, key, sizeof n->key);
	return set->used++;
}

/* Nodes that a wider prefix makes superfluous stay in the array: sets are built once and never shrink. */
static void
prefix_add(struct ip_set *set, bool is_v4, const uint8_t key[16], unsigned bits)
{
	uint32_t parent = 0, cur = set->root[is_v4], leaf, fork;
	unsigned side = 0, same = 0;

	while (cur != 0) {
		struct node *n = &set->node[cur];

		same = common_bits(n->key, key, MIN((unsigned)n->bits, bits));
		if (same < n->bits)
			break;
		if (n->is_member)
			return;
		if (bits == n->bits) {
			n->is_member = true;
			return;
		}
		parent = cur;
		side = bit_at(key, n->bits);
		cur = n->child[side];
	}
	leaf = node_add(set, key, bits, true);
	if (cur != 0 && same < bits) {
		fork = node_add(set, key, same, false);
		set->node[fork].child[bit_at(key, same)] = leaf;
		set->node[fork].child[!bit_at(key, same)] = cur;
		leaf = fork;
	}
	if (parent != 0)
		set->node[parent].child[side] = leaf;
	else
		set->root[is_v4] = leaf;
}

static unsigned __int128
to_number(const uint8_t b[16])
{
	unsigned __int128 v = 0;
	unsigned i;

	for (i = 0; i < 16; i++)
		v = v << 8 | b[i];
	return v;
}

static void
from_number(unsigned __int128 v, uint8_t b[16])
{
	unsigned i;

	for (i = 16; i-- > 0; v >>= 8)
		b[i] = (uint8_t)v;
}

/* lo..hi as the fewest prefixes: at most 62 for IPv4 and 254 for IPv6. */
static void
range_add(struct ip_set *set, const struct ip *first, const struct ip *last)
{
	unsigned __int128 lo = to_number(first->b), hi = to_number(last->b), mask;
	bool is_v4 = ip_is_v4(first);
	uint8_t key[16];
	unsigned free_bits;

	for (;;) {
		mask = 0;
		for (free_bits = 0; free_bits < ALL_BITS; free_bits++) {
			unsigned __int128 wider = mask << 1 | 1;

			if ((lo & wider) != 0 || (lo | wider) > hi)
				break;
			mask = wider;
		}
		from_number(lo, key);
		prefix_add(set, is_v4, key, ALL_BITS - free_bits);
		if ((lo | mask) == hi)
			return;
		lo = (lo | mask) + 1;
	}
}

static enum rc
add_range(struct ip_set *set, struct span from, struct span to, const char **why_out)
{
	struct ip first, last;

	if (ip_parse(span_trim(from), &first) != RC_OK || ip_parse(span_trim(to), &last) != RC_OK) {
		*why_out = "not a range of two addresses";
		return RC_SYNTAX;
	}
	if (ip_is_v4(&first) != ip_is_v4(&last)) {
		*why_out = "the range mixes IPv4 and IPv6";
		return RC_SYNTAX;
	}
	if (memcmp(first.b, last.b, sizeof first.b) > 0) {
		*why_out = "the range runs backwards";
		return RC_SYNTAX;
	}
	range_add(set, &first, &last);
	set->count++;
	return RC_OK;
}

/* An IPv4 network in mapped IPv6 notation (::ffff:192.0.2.0/120) is one of IPv4; a wider one is one of IPv6. */
static bool
prefix_bits(struct span address, struct span digits, bool is_v4, unsigned *bits_out)
{
	bool is_dotted = span_find(address, ':') == address.n;
	uint64_t bits = is_dotted ? 32 : ALL_BITS;

	if (!span_is_null(digits) && ((digits.n > 1 && digits.p[0] == '0') || !span_to_uint(digits, bits, &bits)))
		return false;
	*bits_out = (unsigned)bits + (is_v4 && is_dotted ? V4_AT : 0);
	return true;
}

static enum rc
add_net(struct ip_set *set, struct span address, struct span digits, const char **why_out)
{
	struct ip net;
	unsigned bits, i;
	bool is_v4;

	if (ip_parse(address, &net) != RC_OK) {
		*why_out = "not an address";
		return RC_SYNTAX;
	}
	is_v4 = ip_is_v4(&net);
	if (!prefix_bits(address, digits, is_v4, &bits)) {
		*why_out = "the prefix length after '/' is not a number from 0 to 32 (IPv4) or 128 (IPv6)";
		return RC_SYNTAX;
	}
	is_v4 = is_v4 && bits >= V4_AT;
	for (i = bits; i < ALL_BITS; i++)
		net.b[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	prefix_add(set, is_v4, net.b, bits);
	set->count++;
	return RC_OK;
}

enum rc
ip_set_add(struct ip_set *set, struct span range, const char **why_out)
{
	size_t dash, slash;

	*why_out = NULL;
	range = span_trim(range);
	if (range.n == 0) {
		*why_out = "empty";
		return RC_SYNTAX;
	}
	dash = span_find(range, '-');
	if (dash < range.n)
		return add_range(set, span_sub(range, 0, dash), span_from(range, dash + 1), why_out);
	slash = span_find(range, '/');
	return add_net(set, span_sub(range, 0, slash), slash < range.n ? span_from(range, slash + 1) : SPAN_NULL, why_out);
}

bool
ip_set_has(const struct ip_set *set, const struct ip *ip)
{
	uint32_t cur;

	if (set == NULL || !ip->is_set)
		return false;
	for (cur = set->root[ip_is_v4(ip)]; cur != 0;) {
		const struct node *n = &set->node[cur];

		if (common_bits(n->key, ip->b, n->bits) < n->bits)
			return false;
		if (n->is_member)
			return true;
		cur = n->child[bit_at(ip->b, n->bits)];         /* no member: n->bits < 128 */
	}
	return false;
}

size_t
ip_set_count(const struct ip_set *set)
{
	return set == NULL ? 0 : set->count;
}
