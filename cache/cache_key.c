/* cache_key - CACHE_KEY_DEF: the bytes of keys are known here alone; see cache_key.h. */
#include <endian.h>

#include "cache/cache_key.h"

enum {
	LABEL_MAX = 63,
	LABELS_MAX = 127,
	ESCAPE = 0x01,
	ESCAPED_ZERO = 0x01, ESCAPED_ONE = 0x02,        /* in the order of what they stand for */
	ADDRESS_BYTES = 16,
};

static enum rc
put_byte(struct cache_key *k, uint8_t byte)
{
	if (k->n >= sizeof k->b)
		return RC_LIMIT;
	k->b[k->n++] = byte;
	return RC_OK;
}

static enum rc
put_bytes(struct cache_key *k, const void *p, size_t n)
{
	if (n > sizeof k->b - k->n)
		return RC_LIMIT;
	memcpy(k->b + k->n, p, n);
	k->n += n;
	return RC_OK;
}

static enum rc
put_u16(struct cache_key *k, uint16_t v)
{
	uint16_t be = htobe16(v);

	return put_bytes(k, &be, sizeof be);
}

/* CACHE_KEY_DEF: a label, escaped, and its 00. */
static enum rc
put_label(struct cache_key *k, const uint8_t *label)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 1; i <= label[0] && rc == RC_OK; i++) {
		if (label[i] <= ESCAPE) {
			rc = put_byte(k, ESCAPE);
			if (rc == RC_OK)
				rc = put_byte(k, label[i] == 0 ? ESCAPED_ZERO : ESCAPED_ONE);
		} else {
			rc = put_byte(k, label[i]);
		}
	}
	return rc == RC_OK ? put_byte(k, 0) : rc;
}

/* CACHE_KEY_DEF: the labels from the root down. */
enum rc
cache_key_zone(enum cache_kind kind, const struct dns_name *zone, struct cache_key *out)
{
	uint8_t at[LABELS_MAX];
	size_t count = 0, pos = 0;
	enum rc rc;

	for (pos = 0; pos < zone->n && zone->w[pos] != 0 && count < LABELS_MAX; pos += 1 + zone->w[pos])
		at[count++] = (uint8_t)pos;
	out->n = 0;
	rc = put_byte(out, (uint8_t)kind);
	while (count > 0 && rc == RC_OK)
		rc = put_label(out, zone->w + at[--count]);
	return rc;
}

enum rc
cache_key_name(enum cache_kind kind, const struct dns_name *name, struct cache_key *out)
{
	enum rc rc = cache_key_zone(kind, name, out);

	return rc == RC_OK ? put_byte(out, 0) : rc;
}

enum rc
cache_key_dns(const struct dns_name *name, uint16_t type, struct cache_key *out)
{
	enum rc rc = cache_key_name(CACHE_DNS, name, out);

	return rc == RC_OK ? put_u16(out, type) : rc;
}

/* CACHE_KEY_DEF: the tail of an R key.  An unset address is all zeroes ("::" is nobody's address). */
enum rc
cache_key_result(enum cache_result_what what, uint16_t version, uint64_t digest, const struct ip *client,
                 const struct dns_name *domain, struct cache_key *out)
{
	static const uint8_t nobody[ADDRESS_BYTES];
	uint64_t be = htobe64(digest);
	enum rc rc = cache_key_name(CACHE_RESULT, domain, out);

	if (rc == RC_OK)
		rc = put_byte(out, (uint8_t)what);
	if (rc == RC_OK)
		rc = put_u16(out, version);
	if (rc == RC_OK)
		rc = put_bytes(out, &be, sizeof be);
	if (rc == RC_OK)
		rc = put_bytes(out, client->is_set ? client->b : nobody, ADDRESS_BYTES);
	return rc;
}

struct reader {
	const uint8_t *p, *end;
};

static bool
read_label(struct reader *r, uint8_t *label)
{
	size_t n = 0;

	while (r->p < r->end && *r->p != 0) {
		uint8_t byte = *r->p++;

		if (byte == ESCAPE) {
			if (r->p == r->end || (*r->p != ESCAPED_ZERO && *r->p != ESCAPED_ONE))
				return false;
			byte = *r->p++ == ESCAPED_ZERO ? 0 : 1;
		}
		if (n == LABEL_MAX || (byte >= 'A' && byte <= 'Z'))
			return false;
		label[++n] = byte;
	}
	label[0] = (uint8_t)n;
	return n > 0 && r->p < r->end && *r->p++ == 0;
}

/* The labels come from the root down, a name is written the other way round: it is built from its end. */
static bool
read_name(struct reader *r, struct dns_name *out)
{
	uint8_t w[DNS_NAME_WIRE_MAX], label[1 + LABEL_MAX];
	size_t at = sizeof w - 1;

	w[at] = 0;
	while (r->p < r->end && *r->p != 0) {
		if (!read_label(r, label) || at < 1u + label[0])
			return false;
		at -= 1u + label[0];
		memcpy(w + at, label, 1u + label[0]);
	}
	if (r->p == r->end)
		return false;
	r->p++;
	memset(out, 0, sizeof *out);
	out->n = (uint8_t)(sizeof w - at);
	memcpy(out->w, w + at, out->n);
	return true;
}

static uint64_t
read_number(struct reader *r, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *r->p++;
	return v;
}

static enum rc
parse_result_tail(struct reader *r, struct cache_key_parts *out)
{
	static const uint8_t nobody[ADDRESS_BYTES];

	if (r->end - r->p != 1 + 2 + 8 + ADDRESS_BYTES)
		return RC_SYNTAX;
	out->what = (uint8_t)read_number(r, 1);
	out->version = (uint16_t)read_number(r, 2);
	out->digest = read_number(r, 8);
	out->client.is_set = memcmp(r->p, nobody, ADDRESS_BYTES) != 0;
	memcpy(out->client.b, r->p, ADDRESS_BYTES);
	return out->what == CACHE_R_SPF ? RC_OK : RC_SYNTAX;
}

enum rc
cache_key_parse(struct span key, struct cache_key_parts *out)
{
	struct reader r = { (const uint8_t *)key.p, (const uint8_t *)key.p + key.n };

	memset(out, 0, sizeof *out);
	if (key.n < 1 || key.n > CACHE_KEY_MAX)
		return RC_SYNTAX;
	out->kind = *r.p++;
	if (!read_name(&r, &out->name))
		return RC_SYNTAX;
	if (out->kind == CACHE_RESULT)
		return parse_result_tail(&r, out);
	if (out->kind != CACHE_DNS || r.end - r.p != 2)
		return RC_SYNTAX;
	out->type = (uint16_t)read_number(&r, 2);
	return RC_OK;
}
