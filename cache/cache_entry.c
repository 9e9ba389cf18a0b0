/* cache_entry - CACHE_VALUE_DEF: the head of values, and what may replace what; see cache_entry.h. */
#include <endian.h>

#include "cache/cache_crc.h"
#include "cache/cache_entry_int.h"
#include "cache/cache_key.h"

enum { DNSSEC_NONE, DNSSEC_SECURE, DNSSEC_BOGUS };

void
entry_write(struct entry_writer *w, const void *p, size_t n)
{
	if (w->failed || n > w->room - w->n) {
		w->failed = true;
		return;
	}
	if (n > 0)
		memcpy(w->p + w->n, p, n);
	w->n += n;
}

void
entry_write_number(struct entry_writer *w, uint64_t v, size_t bytes)
{
	uint64_t be = htobe64(v);

	entry_write(w, (const uint8_t *)&be + sizeof be - bytes, bytes);
}

const uint8_t *
entry_read(struct entry_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->failed || n > r->left) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

uint64_t
entry_read_number(struct entry_reader *r, size_t bytes)
{
	const uint8_t *p = entry_read(r, bytes);
	uint64_t v = 0;

	for (; p != NULL && bytes > 0; bytes--)
		v = v << 8 | *p++;
	return v;
}

struct entry_writer
entry_begin(const struct cache_entry_head *h, void *out, size_t size)
{
	struct entry_writer w = { .p = out, .room = MIN(size, (size_t)CACHE_VALUE_MAX) };

	entry_write_number(&w, 0, ENTRY_CRC_BYTES);
	entry_write_number(&w, CACHE_FORMAT, 1);
	entry_write_number(&w, (uint8_t)h->kind, 1);
	entry_write_number(&w, h->status, 1);
	entry_write_number(&w, h->dnssec, 1);
	entry_write_number(&w, (uint8_t)h->rank, 1);
	entry_write_number(&w, 0, 1);
	entry_write_number(&w, h->type, 2);
	entry_write_number(&w, (uint64_t)h->stored_s, 8);
	entry_write_number(&w, h->life_s, 4);
	entry_write_number(&w, h->count, 2);
	return w;
}

static uint32_t
sum_of(struct span key, struct span value)
{
	return cache_crc(cache_crc(0, key), span_from(value, ENTRY_CRC_BYTES));
}

enum rc
entry_end(struct entry_writer *w, struct span key, size_t *n_out)
{
	struct entry_writer front = { .p = w->p, .room = ENTRY_CRC_BYTES };

	if (w->failed)
		return RC_LIMIT;
	entry_write_number(&front, sum_of(key, span_of((const char *)w->p, w->n)), ENTRY_CRC_BYTES);
	*n_out = w->n;
	return RC_OK;
}

/* DNSSEC status and rank follow from the rest; told twice they must agree. */
static bool
is_consistent_dns(const struct cache_entry_head *h)
{
	bool is_failure = !cache_ttl_may_be_stale((enum dns_status)h->status);

	if (h->status > DNS_MALFORMED || (h->dnssec == DNSSEC_BOGUS) != (h->status == DNS_BOGUS) || h->dnssec > DNSSEC_BOGUS)
		return false;
	if ((h->count > 0) != (h->status == DNS_OK) || h->count > DNS_ANSWER_RRS_MAX)
		return false;
	if (is_failure)
		return h->rank == CACHE_RANK_FAILURE && h->dnssec != DNSSEC_SECURE && h->life_s <= CACHE_FAILURE_TTL_MAX_S;
	return h->rank == (h->dnssec == DNSSEC_SECURE ? CACHE_RANK_SECURE : CACHE_RANK_INSECURE);
}

static bool
is_consistent_result(const struct cache_entry_head *h)
{
	return h->type == CACHE_R_SPF && h->status <= SPF_PERMERROR && h->dnssec == DNSSEC_NONE && h->rank == CACHE_RANK_INSECURE &&
	    h->count == 0;
}

enum rc
entry_open(struct span key, struct span value, struct cache_entry_head *h, struct entry_reader *r)
{
	uint64_t sum, format, zero;

	*r = (struct entry_reader){ .p = (const uint8_t *)value.p, .left = value.n };
	if (key.n == 0 || value.n < ENTRY_HEAD_BYTES || value.n > CACHE_VALUE_MAX)
		return RC_SYNTAX;
	sum = entry_read_number(r, ENTRY_CRC_BYTES);
	format = entry_read_number(r, 1);
	h->kind = (enum cache_kind)entry_read_number(r, 1);
	h->status = (uint8_t)entry_read_number(r, 1);
	h->dnssec = (uint8_t)entry_read_number(r, 1);
	h->rank = (enum cache_rank)entry_read_number(r, 1);
	zero = entry_read_number(r, 1);
	h->type = (uint16_t)entry_read_number(r, 2);
	h->stored_s = (int64_t)entry_read_number(r, 8);
	h->life_s = (uint32_t)entry_read_number(r, 4);
	h->count = (uint16_t)entry_read_number(r, 2);
	if (format != CACHE_FORMAT || sum != sum_of(key, value) || zero != 0 || h->kind != (enum cache_kind)(uint8_t)key.p[0] ||
	    h->stored_s < 0 || h->life_s == 0 || h->life_s > CACHE_TTL_MAX_S)
		return RC_SYNTAX;
	if (h->kind == CACHE_DNS)
		return is_consistent_dns(h) ? RC_OK : RC_SYNTAX;
	return h->kind == CACHE_RESULT && is_consistent_result(h) ? RC_OK : RC_SYNTAX;
}

enum rc
cache_entry_head(struct span key, struct span value, struct cache_entry_head *out)
{
	struct entry_reader r;

	return entry_open(key, value, out, &r);
}

enum rc
cache_entry_check(struct span key, struct span value)
{
	struct cache_key_parts parts;
	struct cache_entry_head h;
	struct entry_reader r;
	enum rc rc = cache_key_parse(key, &parts);

	if (rc == RC_OK)
		rc = entry_open(key, value, &h, &r);
	if (rc != RC_OK || h.type != (parts.kind == CACHE_DNS ? parts.type : parts.what))
		return RC_SYNTAX;
	return h.kind == CACHE_DNS ? entry_check_dns(&h, r) : entry_check_spf(&h, r);
}

static bool
may_be_stale(const struct cache_entry_head *h)
{
	return h->kind == CACHE_DNS && cache_ttl_may_be_stale((enum dns_status)h->status);
}

int64_t
cache_entry_end(const struct cache_entry_head *h, uint32_t stale_s)
{
	return cache_ttl_end(h->stored_s, h->life_s, stale_s, may_be_stale(h));
}

bool
cache_entry_may_replace(const struct cache_entry_head *was, const struct cache_entry_head *comes, uint32_t stale_s, int64_t now_s)
{
	uint32_t left_s;
	enum cache_age age = cache_ttl_age(was->stored_s, was->life_s, stale_s, may_be_stale(was), now_s, &left_s);

	if (age == CACHE_EXPIRED)
		return true;
	if (comes->stored_s < was->stored_s)
		return false;
	if (comes->rank == CACHE_RANK_FAILURE)
		return was->rank == CACHE_RANK_FAILURE;
	return age == CACHE_STALE || comes->rank >= was->rank;
}
