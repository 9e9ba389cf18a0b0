/* zone - looking names up in the records of a zone file; see zone.h and dns_fixture.h. */
#include "common/dns/zone.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/dns/answer_int.h"
#include "common/dns/dns_fixture.h"

/* What stands at one name: v[from] .. v[to - 1]. */
struct node {
	size_t from, to;
	bool exists;                    /* also when it only has names below it */
};

void
zone_key_of(const struct dns_name *name, struct zone_key *out)
{
	uint8_t starts[DNS_NAME_WIRE_MAX / 2 + 1];
	size_t labels = 0;

	out->n = 0;
	out->labels = 0;
	for (size_t at = 0; at + 1 < name->n; at += 1 + (size_t)name->w[at])
		starts[labels++] = (uint8_t)at;
	while (labels > 0) {
		const uint8_t *label = name->w + starts[--labels];

		memcpy(out->b + out->n, label, 1 + (size_t)label[0]);
		out->n = (uint8_t)(out->n + 1 + label[0]);
		out->ends[out->labels++] = out->n;
	}
}

static int
key_cmp(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int order = memcmp(a, b, MIN(a_len, b_len));

	return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

int
zone_record_cmp(const struct zone *z, const struct zone_record *a, const struct zone_record *b)
{
	int order = key_cmp(z->pool + a->key, a->key_len, z->pool + b->key, b->key_len);

	if (order != 0)
		return order;
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return (a->line > b->line) - (a->line < b->line);
}

/* The first record whose key is not less than (is_after: is greater than) this one. */
static size_t
bound(const struct zone *z, const uint8_t *key, size_t len, bool is_after)
{
	size_t low = 0, high = z->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = key_cmp(z->pool + z->v[mid].key, z->v[mid].key_len, key, len);

		if (order < 0 || (is_after && order == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct node
find_node(const struct zone *z, const uint8_t *key, size_t len)
{
	struct node node = { .from = bound(z, key, len, false) };

	node.to = bound(z, key, len, true);
	node.exists = node.from < node.to;
	if (!node.exists && node.from < z->n) {
		const struct zone_record *next = &z->v[node.from];

		node.exists = next->key_len > len && memcmp(z->pool + next->key, key, len) == 0;
	}
	return node;
}

/* RFC 4592: an existing name, else the wildcard below its closest existing ancestor. */
static struct node
find_name(const struct zone *z, const struct dns_name *name)
{
	struct zone_key key;
	struct node node;

	zone_key_of(name, &key);
	node = find_node(z, key.b, key.n);
	for (size_t labels = key.labels; !node.exists && labels > 0; labels--) {
		uint8_t wildcard[DNS_NAME_WIRE_MAX + 2];
		size_t len = labels > 1 ? key.ends[labels - 2] : 0;

		if (!find_node(z, key.b, len).exists)
			continue;
		memcpy(wildcard, key.b, len);
		memcpy(wildcard + len, "\1*", 2);
		return find_node(z, wildcard, len + 2);
	}
	return node;
}

/* The records of one type; none: from == to. */
static struct node
of_type(const struct zone *z, struct node node, uint16_t type)
{
	while (node.from < node.to && z->v[node.from].type != type)
		node.from++;
	for (size_t i = node.from; i < node.to; i++)
		if (z->v[i].type != type)
			node.to = i;
	return node;
}

/* What decides about this type: its special answer, ZONE_DATA when it has records, else the name's special answer. */
static const struct zone_record *
deciding(const struct zone *z, struct node node, uint16_t type)
{
	struct node typed = of_type(z, node, type);

	for (size_t i = typed.from; i < typed.to; i++)
		if (z->v[i].kind != ZONE_DATA)
			return &z->v[i];
	if (typed.from < typed.to)
		return &z->v[typed.from];
	for (size_t i = node.from; i < node.to && z->v[i].type == 0; i++)
		if (z->v[i].kind != ZONE_DELAY)
			return &z->v[i];
	return NULL;
}

static void
copy_record(const struct zone *z, const struct zone_record *from, struct answer_make *m)
{
	struct dns_rr *rr = answer_make_rr(m, from->ttl_s);
	const uint8_t *rdata = z->pool + from->rdata;
	struct dns_name *name;
	char *text;

	switch (from->type) {
	case DNS_A:
		rr->ip.b[10] = rr->ip.b[11] = 0xff;
		memcpy(rr->ip.b + 12, rdata, 4);
		rr->ip.is_set = true;
		break;
	case DNS_AAAA:
		memcpy(rr->ip.b, rdata, 16);
		rr->ip.is_set = true;
		break;
	case DNS_TXT:
		text = answer_make_text(m, from->rdata_len);
		memcpy(text, rdata, from->rdata_len);
		rr->text = span_of(text, from->rdata_len);
		break;
	default:
		if (from->type == DNS_MX) {
			rr->preference = (uint16_t)(rdata[0] << 8 | rdata[1]);
			rdata += 2;
		}
		name = answer_make_name(m);
		name->n = (uint8_t)(from->rdata_len - (from->type == DNS_MX ? 2 : 0));
		memcpy(name->w, rdata, name->n);
		rr->name = name;
	}
}

static struct dns_answer *
data_answer(const struct zone *z, struct node typed)
{
	const bool has_names = z->v[typed.from].type != DNS_A && z->v[typed.from].type != DNS_AAAA &&
	    z->v[typed.from].type != DNS_TXT;
	const size_t count = typed.to - typed.from;
	size_t text = 0;
	uint32_t ttl_s = UINT32_MAX;
	struct answer_make m;

	for (size_t i = typed.from; i < typed.to && z->v[i].type == DNS_TXT; i++)
		text += z->v[i].rdata_len;
	m = answer_make(DNS_OK, count, has_names ? count : 0, text);
	if (m.a == NULL)
		return answer_status(DNS_MALFORMED, 0, "too many records");
	for (size_t i = typed.from; i < typed.to; i++) {
		copy_record(z, &z->v[i], &m);
		ttl_s = MIN(ttl_s, z->v[i].ttl_s);
	}
	m.a->ttl_s = ttl_s;
	return m.a;
}

static struct dns_answer *
special_answer(const struct zone_record *special)
{
	switch ((enum zone_kind)special->kind) {
	case ZONE_SERVFAIL:
		return answer_status(DNS_SERVFAIL, 0, "zone file says SERVFAIL");
	case ZONE_NXDOMAIN:
		return answer_status(DNS_NXDOMAIN, special->ttl_s, NULL);
	case ZONE_NODATA:
		return answer_status(DNS_NODATA, special->ttl_s, NULL);
	case ZONE_TIMEOUT:
		return answer_status(DNS_TIMEOUT, 0, "zone file says TIMEOUT");
	case ZONE_GARBAGE:
		return answer_status(DNS_MALFORMED, 0, "zone file says GARBAGE");
	case ZONE_DATA:
	case ZONE_DELAY:
		break;
	}
	return answer_status(DNS_SERVFAIL, 0, "zone");
}

struct dns_answer *
zone_follow(const struct zone *z, const struct dns_name *name, uint16_t type, struct dns_name *end_out, uint32_t *ttl_out)
{
	*end_out = *name;
	*ttl_out = UINT32_MAX;
	for (int links = 0; links <= DNS_CNAME_MAX; links++) {
		struct node node = find_name(z, end_out), cname = of_type(z, node, DNS_CNAME);
		const struct zone_record *by;
		struct dns_answer *a;

		if (!node.exists)
			return NULL;
		by = deciding(z, node, type);
		if (by != NULL && (by->type == type || cname.from == cname.to)) {
			a = by->kind == ZONE_DATA ? data_answer(z, of_type(z, node, type)) : special_answer(by);
			a->ttl_s = MIN(a->ttl_s, *ttl_out);
			return a;
		}
		if (cname.from == cname.to)
			return answer_status(DNS_NODATA, MIN((uint32_t)ZONE_NEGATIVE_TTL_S, *ttl_out), NULL);
		by = &z->v[cname.from];
		if (by->kind != ZONE_DATA)
			return special_answer(by);
		*ttl_out = MIN(*ttl_out, by->ttl_s);
		end_out->n = (uint8_t)by->rdata_len;
		memcpy(end_out->w, z->pool + by->rdata, by->rdata_len);
	}
	return answer_status(DNS_SERVFAIL, 0, "CNAME chain too long or a loop");
}

const struct dns_answer *
zone_answer(const struct zone *z, const struct dns_name *name, uint16_t type)
{
	struct dns_name end;
	uint32_t ttl_s;
	struct dns_answer *a = zone_follow(z, name, type, &end, &ttl_s);

	if (a == NULL && !dns_name_eq(&end, name))
		a = answer_status(DNS_NXDOMAIN, MIN((uint32_t)ZONE_NEGATIVE_TTL_S, ttl_s), NULL);
	if (a != NULL)
		a->is_from_cache = true;
	return a;
}

int
zone_delay_ms(const struct zone *z, const struct dns_name *name, uint16_t type)
{
	struct node node = find_name(z, name);
	const struct zone_record *by = deciding(z, node, type);

	if (by != NULL && by->kind == ZONE_TIMEOUT)
		return -1;
	if (by != NULL && by->kind == ZONE_GARBAGE)
		return -2;
	for (size_t i = node.from; i < node.to && z->v[i].type == 0; i++)
		if (z->v[i].kind == ZONE_DELAY)
			return (int)z->v[i].ttl_s;
	return 0;
}

void
zone_destroy(struct zone **z)
{
	if (*z == NULL)
		return;
	free((*z)->v);
	free((*z)->pool);
	free(*z);
	*z = NULL;
}
