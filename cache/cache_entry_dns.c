/* cache_entry_dns - CACHE_VALUE_DEF: DNS answers as value bytes; see cache_entry.h. */
#include "cache/cache_entry_int.h"
#include "cache/cache_key.h"
#include "common/dns/answer_int.h"

enum { V4_OFFSET = 12, V4_BYTES = 4, V6_BYTES = 16 };

static const uint8_t v4_prefix[V4_OFFSET] = { [10] = 0xff, [11] = 0xff };

static void
write_name(struct entry_writer *w, const struct dns_name *name)
{
	if (name == NULL || name->n == 0) {
		w->failed = true;
		return;
	}
	entry_write_number(w, name->n, 1);
	entry_write(w, name->w, name->n);
}

static void
write_record(struct entry_writer *w, uint16_t type, const struct dns_rr *rr)
{
	entry_write_number(w, rr->ttl_s, 4);
	switch (type) {
	case DNS_A:
		entry_write(w, rr->ip.b + V4_OFFSET, V4_BYTES);
		break;
	case DNS_AAAA:
		entry_write(w, rr->ip.b, V6_BYTES);
		break;
	case DNS_MX:
		entry_write_number(w, rr->preference, 2);
		write_name(w, rr->name);
		break;
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		write_name(w, rr->name);
		break;
	case DNS_TXT:
		if (rr->text.n > UINT16_MAX)
			w->failed = true;
		entry_write_number(w, rr->text.n, 2);
		entry_write(w, rr->text.p, rr->text.n);
		break;
	default:                /* of these an answer says no more than that they are there */
		break;
	}
}

static struct cache_entry_head
head_of(uint16_t type, const struct dns_answer *a, uint32_t life_s, int64_t now_s)
{
	bool is_failure = !cache_ttl_may_be_stale(a->status);

	return (struct cache_entry_head){
		.kind = CACHE_DNS, .status = (uint8_t)a->status, .dnssec = a->status == DNS_BOGUS ? 2 : a->is_secure && !is_failure,
		.rank = is_failure ? CACHE_RANK_FAILURE : a->is_secure ? CACHE_RANK_SECURE : CACHE_RANK_INSECURE,
		.type = type, .stored_s = now_s, .life_s = life_s, .count = (uint16_t)a->rr_count,
	};
}

enum rc
cache_entry_put_dns(struct span key, uint16_t type, const struct dns_answer *a, const struct cache_ttl_rules *rules, int64_t now_s,
                    void *out, size_t size, size_t *n_out)
{
	uint32_t life_s = cache_ttl_answer(rules, a->status, a->ttl_s);
	struct cache_entry_head h = head_of(type, a, life_s, now_s);
	struct entry_writer w;
	size_t i, why = strnlen(a->why, sizeof a->why - 1);

	if (life_s == 0 || now_s < 0 || (a->rr_count > 0) != (a->status == DNS_OK))
		return RC_NONE;
	if (a->rr_count > DNS_ANSWER_RRS_MAX)
		return RC_LIMIT;
	w = entry_begin(&h, out, size);
	entry_write_number(&w, why, 1);
	entry_write(&w, a->why, why);
	for (i = 0; i < a->rr_count; i++)
		write_record(&w, type, &a->rr[i]);
	return entry_end(&w, key, n_out);
}

/* A name in wire form that ends where it says it ends, lower-case. */
static bool
is_wire_name(const uint8_t *w, size_t n)
{
	size_t at = 0, i;

	if (n == 0 || n > DNS_NAME_WIRE_MAX)
		return false;
	while (at < n && w[at] != 0) {
		if (w[at] > 63 || w[at] >= n - at)
			return false;
		for (i = at + 1; i <= at + w[at]; i++)
			if (w[i] >= 'A' && w[i] <= 'Z')
				return false;
		at += 1u + w[at];
	}
	return at + 1 == n;
}

static void
read_name(struct entry_reader *r, struct dns_name *out)
{
	uint8_t n = (uint8_t)entry_read_number(r, 1);
	const uint8_t *w = entry_read(r, n);

	if (w == NULL || !is_wire_name(w, n)) {
		r->failed = true;
		return;
	}
	if (out != NULL) {
		out->n = n;
		memcpy(out->w, w, n);
	}
}

/* What an answer with these records takes. */
struct needs {
	size_t names, text_bytes;
};

static void
measure_record(struct entry_reader *r, uint16_t type, struct needs *need)
{
	size_t n;

	(void)entry_read(r, 4);
	switch (type) {
	case DNS_A:
		(void)entry_read(r, V4_BYTES);
		break;
	case DNS_AAAA:
		(void)entry_read(r, V6_BYTES);
		break;
	case DNS_MX:
		(void)entry_read(r, 2);
		/* fallthrough */
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		read_name(r, NULL);
		need->names++;
		break;
	case DNS_TXT:
		n = entry_read_number(r, 2);
		(void)entry_read(r, n);
		need->text_bytes += n;
		break;
	default:
		break;
	}
}

/* The records were measured, so they are known to be good. */
static void
copy_record(struct entry_reader *r, uint16_t type, struct answer_make *m)
{
	struct dns_rr *rr = answer_make_rr(m, (uint32_t)entry_read_number(r, 4));
	struct dns_name *name;
	char *text;
	size_t n;

	switch (type) {
	case DNS_A:
		memcpy(rr->ip.b, v4_prefix, V4_OFFSET);
		memcpy(rr->ip.b + V4_OFFSET, entry_read(r, V4_BYTES), V4_BYTES);
		rr->ip.is_set = true;
		break;
	case DNS_AAAA:
		memcpy(rr->ip.b, entry_read(r, V6_BYTES), V6_BYTES);
		rr->ip.is_set = true;
		break;
	case DNS_MX:
		rr->preference = (uint16_t)entry_read_number(r, 2);
		/* fallthrough */
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		rr->name = name = answer_make_name(m);
		read_name(r, name);
		break;
	case DNS_TXT:
		n = entry_read_number(r, 2);
		text = answer_make_text(m, n);
		memcpy(text, entry_read(r, n), n);
		rr->text = span_of(text, n);
		break;
	default:
		break;
	}
}

/* Why, and all records; false unless everything fits and nothing is left over. */
static bool
measure(const struct cache_entry_head *h, struct entry_reader r, struct needs *need)
{
	size_t i, why = entry_read_number(&r, 1);
	const uint8_t *text = entry_read(&r, why);

	*need = (struct needs){ 0 };
	if (text == NULL || why >= sizeof ((struct dns_answer *)0)->why || memchr(text, '\0', why) != NULL)
		return false;
	for (i = 0; i < h->count && !r.failed; i++)
		measure_record(&r, h->type, need);
	return !r.failed && r.left == 0;
}

static struct dns_answer *
read_answer(const struct cache_entry_head *h, struct entry_reader r)
{
	struct answer_make m;
	struct needs need;
	size_t i, why;

	if (!measure(h, r, &need))
		return NULL;
	m = answer_make((enum dns_status)h->status, h->count, need.names, need.text_bytes);
	if (m.a == NULL)
		return NULL;
	why = entry_read_number(&r, 1);
	memcpy(m.a->why, entry_read(&r, why), why);
	for (i = 0; i < h->count; i++)
		copy_record(&r, h->type, &m);
	return m.a;
}

enum rc
entry_check_dns(const struct cache_entry_head *h, struct entry_reader r)
{
	struct dns_answer *a = read_answer(h, r);

	dns_answer_unref(a);
	return a != NULL ? RC_OK : RC_SYNTAX;
}

/* No record lives shorter than its answer, which lives at least as long as the settings demand. */
static void
age_answer(struct dns_answer *a, uint32_t age_s, uint32_t left_s)
{
	size_t i;

	a->ttl_s = left_s;
	for (i = 0; i < a->rr_count; i++)
		a->rr[i].ttl_s = MAX(a->rr[i].ttl_s > age_s ? a->rr[i].ttl_s - age_s : 0, left_s);
}

enum rc
cache_entry_get_dns(struct span key, uint16_t type, struct span value, uint32_t stale_s, int64_t now_s, const struct dns_answer **out,
                    enum cache_age *age_out)
{
	struct cache_entry_head h;
	struct entry_reader r;
	struct dns_answer *a;
	uint32_t left_s;

	if (entry_open(key, value, &h, &r) != RC_OK || h.kind != CACHE_DNS || h.type != type)
		return RC_SYNTAX;
	*age_out = cache_ttl_age(h.stored_s, h.life_s, stale_s, cache_ttl_may_be_stale((enum dns_status)h.status), now_s, &left_s);
	if (*age_out == CACHE_EXPIRED)
		return RC_NONE;
	if ((a = read_answer(&h, r)) == NULL)
		return RC_SYNTAX;
	age_answer(a, h.life_s - left_s, *age_out == CACHE_STALE ? CACHE_STALE_TTL_S : left_s);
	a->is_secure = h.dnssec == 1;
	a->is_from_cache = true;
	a->is_stale = *age_out == CACHE_STALE;
	*out = a;
	return RC_OK;
}
