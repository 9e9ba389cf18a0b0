/*
 * decode - from a raw DNS response to an answer; see dns_answer_decode() in dns.h.
 *
 * The packet is hostile.  One walk checks every record of every section and remembers the few CNAMEs; then the chain is followed
 * among those; a second walk counts the records at its end, a third one copies them.  No step depends on more than the packet's
 * length: names follow pointers only backwards and a bounded number of times, and more CNAMEs than a chain may have are refused.
 */
#include <stdio.h>

#include "common/base/check.h"
#include "common/dns/answer_int.h"

enum {
	HEADER_SIZE = 12,
	PACKET_MAX = 65535,
	LABEL_MAX = 63,
	POINTERS_MAX = 64,              /* in one name; real ones have one or two */
	CLASS_IN = 1,
	TYPE_OPT = 41,
	RCODE_NOERROR = 0,
	RCODE_NXDOMAIN = 3,
	FLAG_QR = 0x8000,
	FLAG_TC = 0x0200,
	FLAGS_OPCODE = 0x7800,
};

struct packet {
	const uint8_t *p;
	size_t n, at;
};

struct record {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl_s;
	size_t rdata, rdata_end;
};

struct cname {
	struct dns_name owner, target;
	uint32_t ttl_s;
	bool is_used;
};

struct reading {
	struct packet pk;
	uint16_t type;                  /* asked */
	unsigned flags;
	unsigned rcode;                 /* with the upper bits of EDNS */
	unsigned answers, authorities, additionals;
	size_t answers_at;              /* where the answer section begins */
	struct cname cnames[DNS_CNAME_MAX];
	size_t cname_count;
	struct dns_name end;            /* of the chain */
	uint32_t ttl_s;                 /* least of the chain and the records */
	bool has_soa;
	uint32_t negative_ttl_s;
	size_t rr_count, name_count, text_bytes;
	const char *why;
};

static bool
read_u16(struct packet *pk, uint16_t *out)
{
	if (pk->n - pk->at < 2)
		return false;
	*out = (uint16_t)(pk->p[pk->at] << 8 | pk->p[pk->at + 1]);
	pk->at += 2;
	return true;
}

static bool
read_u32(struct packet *pk, uint32_t *out)
{
	uint16_t high, low;

	if (!read_u16(pk, &high) || !read_u16(pk, &low))
		return false;
	*out = (uint32_t)high << 16 | low;
	return true;
}

/* Appends the label of len bytes at `from`, with its length byte; room for the root label is kept. */
static bool
copy_label(const struct packet *pk, size_t from, size_t len, struct dns_name *out)
{
	if (pk->n - from < len || out->n + 1 + len + 1 > DNS_NAME_WIRE_MAX)
		return false;
	out->w[out->n++] = (uint8_t)len;
	for (size_t i = 0; i < len; i++)
		out->w[out->n++] = ascii_lower(pk->p[from + i]);
	return true;
}

/* A pointer must lead to before the run of labels that it ends, so every jump goes further back (RFC 1035 section 4.1.4). */
static bool
read_name(struct packet *pk, struct dns_name *out)
{
	size_t at = pk->at, run = at, pointers = 0;

	out->n = 0;
	for (;;) {
		size_t len;

		if (at >= pk->n)
			return false;
		len = pk->p[at];
		if (len >= 0xc0) {
			if (pk->n - at < 2 || ++pointers > POINTERS_MAX)
				return false;
			if (pointers == 1)
				pk->at = at + 2;
			at = (len & 0x3f) << 8 | pk->p[at + 1];
			if (at >= run || at < HEADER_SIZE)
				return false;
			run = at;
			continue;
		}
		if (len > LABEL_MAX)
			return false;
		if (len == 0)
			break;
		if (!copy_label(pk, at + 1, len, out))
			return false;
		at += 1 + len;
	}
	out->w[out->n++] = 0;
	if (pointers == 0)
		pk->at = at + 1;
	return true;
}

static bool
read_record(struct packet *pk, struct record *r)
{
	uint16_t rdata_len;

	if (!read_name(pk, &r->owner) || !read_u16(pk, &r->type) || !read_u16(pk, &r->class) || !read_u32(pk, &r->ttl_s) ||
	    !read_u16(pk, &rdata_len) || pk->n - pk->at < rdata_len)
		return false;
	if (r->ttl_s > INT32_MAX && r->type != TYPE_OPT)
		r->ttl_s = 0;           /* RFC 2181 section 8 */
	r->rdata = pk->at;
	r->rdata_end = pk->at + rdata_len;
	pk->at = r->rdata_end;
	return true;
}

/* The name that fills the RDATA from `skip` bytes on. */
static bool
rdata_name(const struct packet *pk, const struct record *r, size_t skip, struct dns_name *out)
{
	struct packet inside = *pk;

	if (r->rdata_end - r->rdata <= skip)
		return false;
	inside.at = r->rdata + skip;
	return read_name(&inside, out) && inside.at == r->rdata_end;
}

static bool
is_at_or_below(const struct dns_name *name, const struct dns_name *parent)
{
	for (size_t at = 0; at < name->n; at += 1 + (size_t)name->w[at])
		if (name->n - at == parent->n)
			return memcmp(name->w + at, parent->w, parent->n) == 0;
	return false;
}

static bool
read_header(struct reading *r)
{
	uint16_t id, flags, n[4];

	if (r->pk.n > PACKET_MAX || !read_u16(&r->pk, &id) || !read_u16(&r->pk, &flags))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(n); i++)
		if (!read_u16(&r->pk, &n[i]))
			return false;
	if (!(flags & FLAG_QR) || (flags & FLAGS_OPCODE)) {
		r->why = "not a response";
		return false;
	}
	r->flags = flags;
	r->rcode = flags & 15;
	r->answers = n[1];
	r->authorities = n[2];
	r->additionals = n[3];
	if (n[0] != 1 && (r->rcode == RCODE_NOERROR || r->rcode == RCODE_NXDOMAIN)) {
		r->why = "not one question";
		return false;
	}
	return true;
}

static bool
read_question(struct reading *r, const struct dns_name *name)
{
	struct dns_name asked;
	uint16_t type, class;

	if (!read_name(&r->pk, &asked) || !read_u16(&r->pk, &type) || !read_u16(&r->pk, &class))
		return false;
	if (!dns_name_eq(&asked, name) || type != r->type || class != CLASS_IN) {
		r->why = "the answer to another question";
		return false;
	}
	return true;
}

static bool
note_cname(struct reading *r, const struct record *record)
{
	struct cname *c;

	if (r->cname_count == DNS_CNAME_MAX) {
		r->why = "CNAME chain too long";
		return false;
	}
	c = &r->cnames[r->cname_count++];
	c->owner = record->owner;
	c->ttl_s = record->ttl_s;
	c->is_used = false;
	return rdata_name(&r->pk, record, 0, &c->target);
}

static bool
walk_answers(struct reading *r)
{
	struct record record;

	r->answers_at = r->pk.at;
	for (unsigned i = 0; i < r->answers; i++) {
		if (!read_record(&r->pk, &record))
			return false;
		if (record.type == DNS_CNAME && record.class == CLASS_IN && r->type != DNS_CNAME && !note_cname(r, &record))
			return false;
	}
	return true;
}

static struct cname *
find_cname(struct reading *r, const struct dns_name *owner)
{
	for (size_t i = 0; i < r->cname_count; i++)
		if (dns_name_eq(&r->cnames[i].owner, owner))
			return &r->cnames[i];
	return NULL;
}

static bool
follow_chain(struct reading *r, const struct dns_name *name)
{
	struct cname *c;

	r->end = *name;
	while ((c = find_cname(r, &r->end)) != NULL) {
		if (c->is_used) {
			r->why = "CNAME loop";
			return false;
		}
		c->is_used = true;
		r->ttl_s = MIN(r->ttl_s, c->ttl_s);
		r->end = c->target;
	}
	return true;
}

/* RFC 2308 section 5: a negative answer lives for the lesser of the SOA's own TTL and its MINIMUM field. */
static bool
note_soa(struct reading *r, const struct record *record)
{
	struct packet inside = r->pk;
	struct dns_name skipped;
	uint32_t minimum;

	inside.at = record->rdata;
	if (!read_name(&inside, &skipped) || !read_name(&inside, &skipped) || inside.at > record->rdata_end ||
	    record->rdata_end - inside.at != 20)
		return false;
	inside.at += 16;
	if (!read_u32(&inside, &minimum))
		return false;
	if (minimum > INT32_MAX)
		minimum = 0;
	if (!r->has_soa && is_at_or_below(&r->end, &record->owner)) {
		r->has_soa = true;
		r->negative_ttl_s = MIN(record->ttl_s, minimum);
	}
	return true;
}

static bool
walk_rest(struct reading *r)
{
	struct record record;

	for (unsigned i = 0; i < r->authorities; i++) {
		if (!read_record(&r->pk, &record))
			return false;
		if (record.type == DNS_SOA && record.class == CLASS_IN && !note_soa(r, &record))
			return false;
	}
	for (unsigned i = 0; i < r->additionals; i++) {
		if (!read_record(&r->pk, &record))
			return false;
		if (record.type == TYPE_OPT)
			r->rcode |= (record.ttl_s >> 24) << 4;  /* RFC 6891 section 6.1.3 */
	}
	return true;
}

/* TXT: one string or more that fill the RDATA exactly.  Without `out` their length is only counted. */
static bool
read_strings(const struct packet *pk, const struct record *record, char *out, size_t *len_out)
{
	size_t at = record->rdata, n = 0;

	if (at == record->rdata_end)
		return false;
	while (at < record->rdata_end) {
		size_t len = pk->p[at++];

		if (record->rdata_end - at < len)
			return false;
		if (out != NULL)
			memcpy(out + n, pk->p + at, len);
		n += len;
		at += len;
	}
	*len_out = n;
	return true;
}

static bool
count_record(struct reading *r, const struct record *record)
{
	size_t len = record->rdata_end - record->rdata;
	struct dns_name name;

	r->rr_count++;
	r->ttl_s = MIN(r->ttl_s, record->ttl_s);
	switch (record->type) {
	case DNS_A:
		return len == 4;
	case DNS_AAAA:
		return len == 16;
	case DNS_MX:
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		r->name_count++;
		return rdata_name(&r->pk, record, record->type == DNS_MX ? 2 : 0, &name);
	case DNS_TXT:
		if (!read_strings(&r->pk, record, NULL, &len))
			return false;
		r->text_bytes += len;
		return true;
	default:
		return true;
	}
}

/* The record was counted, so its RDATA is known to be good. */
static void
copy_record(struct reading *r, const struct record *record, struct answer_make *m)
{
	struct dns_rr *rr = answer_make_rr(m, record->ttl_s);
	const uint8_t *rdata = r->pk.p + record->rdata;
	struct dns_name *name;
	char *text;
	size_t len;

	switch (record->type) {
	case DNS_A:
		rr->ip.b[10] = rr->ip.b[11] = 0xff;
		memcpy(rr->ip.b + 12, rdata, 4);
		rr->ip.is_set = true;
		break;
	case DNS_AAAA:
		memcpy(rr->ip.b, rdata, 16);
		rr->ip.is_set = true;
		break;
	case DNS_MX:
		rr->preference = (uint16_t)(rdata[0] << 8 | rdata[1]);
		/* fallthrough */
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		rr->name = name = answer_make_name(m);
		REQUIRE(rdata_name(&r->pk, record, record->type == DNS_MX ? 2 : 0, name));
		break;
	case DNS_TXT:
		REQUIRE(read_strings(&r->pk, record, NULL, &len));
		text = answer_make_text(m, len);
		REQUIRE(read_strings(&r->pk, record, text, &len));
		rr->text = span_of(text, len);
		break;
	default:
		break;
	}
}

/* Counts (m == NULL) or copies the records of the type asked at the end of the chain. */
static bool
walk_matches(struct reading *r, struct answer_make *m)
{
	struct record record;

	r->pk.at = r->answers_at;
	for (unsigned i = 0; i < r->answers; i++) {
		REQUIRE(read_record(&r->pk, &record));
		if (record.type != r->type || record.class != CLASS_IN || !dns_name_eq(&record.owner, &r->end))
			continue;
		if (m != NULL)
			copy_record(r, &record, m);
		else if (!count_record(r, &record))
			return false;
	}
	return true;
}

static struct dns_answer *
finish(struct reading *r)
{
	struct answer_make m;

	if (r->rcode == RCODE_NXDOMAIN || r->rr_count == 0)
		return answer_status(r->rcode == RCODE_NXDOMAIN ? DNS_NXDOMAIN : DNS_NODATA,
		    r->has_soa ? MIN(r->ttl_s, r->negative_ttl_s) : 0, "");
	m = answer_make(DNS_OK, r->rr_count, r->name_count, r->text_bytes);
	if (m.a == NULL)
		return answer_status(DNS_MALFORMED, 0, "too many records");
	m.a->ttl_s = r->ttl_s;
	REQUIRE(walk_matches(r, &m));
	return m.a;
}

static struct dns_answer *
no_answer(unsigned rcode)
{
	static const char *const names[] = { [1] = "FORMERR", [2] = "SERVFAIL", [4] = "NOTIMP", [5] = "REFUSED" };
	char why[32];

	if (rcode < ARRAY_LEN(names) && names[rcode] != NULL)
		return answer_status(DNS_SERVFAIL, 0, names[rcode]);
	snprintf(why, sizeof why, "rcode %u", rcode);
	return answer_status(DNS_SERVFAIL, 0, why);
}

static bool
is_answer(const struct reading *r)
{
	return r->rcode == RCODE_NOERROR || r->rcode == RCODE_NXDOMAIN;
}

struct dns_answer *
answer_decode(struct span packet, const struct dns_name *name, uint16_t type)
{
	struct reading r = {
		.pk = { (const uint8_t *)packet.p, packet.n, 0 }, .type = type, .ttl_s = INT32_MAX, .why = "broken packet",
	};
	struct dns_answer *a;

	if (!read_header(&r))
		return answer_status(DNS_MALFORMED, 0, r.why);
	if (!is_answer(&r))
		return no_answer(r.rcode);
	if (r.flags & FLAG_TC)
		return answer_status(DNS_MALFORMED, 0, "truncated");
	if (!read_question(&r, name) || !walk_answers(&r) || !follow_chain(&r, name) || !walk_rest(&r) || !walk_matches(&r, NULL))
		return answer_status(DNS_MALFORMED, 0, r.why);
	a = is_answer(&r) ? finish(&r) : no_answer(r.rcode);
	a->is_alias = !dns_name_eq(&r.end, name);
	return a;
}

const struct dns_answer *
dns_answer_decode(struct span packet, const struct dns_name *name, uint16_t type)
{
	return answer_decode(packet, name, type);
}
