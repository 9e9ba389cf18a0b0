/* test_cache_entry - values: there and back for every kind of record, every bit flipped, every length, every limit. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "cache/cache_crc.h"
#include "cache/cache_entry.h"
#include "cache/cache_key.h"
#include "common/dns/answer_int.h"

enum { NOW = 1700000000 };

static const struct cache_ttl_rules rules = { .min_s = 5, .max_s = 86400, .max_negative_s = 3600, .failure_s = 10 };

static struct dns_name
name_of(const char *text)
{
	struct dns_name name;

	assert_int_equal(dns_name_from_text(span_cstr(text), &name), RC_OK);
	return name;
}

static struct cache_key
key_of(const char *text, uint16_t type)
{
	struct dns_name name = name_of(text);
	struct cache_key k;

	assert_int_equal(cache_key_dns(&name, type, &k), RC_OK);
	return k;
}

static struct cache_key
spf_key(void)
{
	struct dns_name name = name_of("example.org");
	struct cache_key k;
	struct ip ip;

	assert_int_equal(ip_parse(SPAN("192.0.2.1"), &ip), RC_OK);
	assert_int_equal(cache_key_result(CACHE_R_SPF, 1, 42, &ip, &name, &k), RC_OK);
	return k;
}

/* An answer of two records of a type. */
static struct dns_answer *
two_records(uint16_t type)
{
	static const char text[] = "v=spf1 a\0b -all";
	struct answer_make m = answer_make(DNS_OK, 2, 2, 2 * sizeof text);

	for (int i = 0; i < 2; i++) {
		struct dns_rr *rr = answer_make_rr(&m, 300 + (uint32_t)i);
		struct dns_name *name = answer_make_name(&m);
		char *copy = answer_make_text(&m, sizeof text);

		*name = name_of(i ? "mx2.example.org" : "mx1.example.org");
		memcpy(copy, text, sizeof text);
		if (type == DNS_A || type == DNS_AAAA)
			assert_int_equal(ip_parse(type == DNS_A ? SPAN("192.0.2.7") : SPAN("2001:db8::7"), &rr->ip), RC_OK);
		if (type == DNS_TXT)
			rr->text = span_of(copy, i ? 0 : sizeof text);
		if (type == DNS_MX || type == DNS_PTR || type == DNS_NS || type == DNS_CNAME)
			rr->name = name;
		if (type == DNS_MX)
			rr->preference = (uint16_t)(65535 - i);
	}
	m.a->ttl_s = 300;
	return m.a;
}

static struct span
stored(const struct cache_key *k, uint16_t type, const struct dns_answer *a)
{
	static uint8_t out[CACHE_VALUE_MAX];
	size_t n;

	assert_int_equal(cache_entry_put_dns(cache_key_span(k), type, a, &rules, NOW, out, sizeof out, &n), RC_OK);
	return exact_n(out, n);
}

static enum rc
get(const struct cache_key *k, uint16_t type, struct span v, int64_t now, const struct dns_answer **out)
{
	enum cache_age age;

	return cache_entry_get_dns(cache_key_span(k), type, v, 0, now, out, &age);
}

static void
assert_same_rr(const struct dns_rr *a, const struct dns_rr *b)
{
	assert_int_equal(a->preference, b->preference);
	assert_int_equal(a->ip.is_set, b->ip.is_set);
	assert_memory_equal(a->ip.b, b->ip.b, sizeof a->ip.b);
	assert_int_equal(a->name != NULL, b->name != NULL);
	assert_true(a->name == NULL || dns_name_eq(a->name, b->name));
	assert_int_equal(span_is_null(a->text), span_is_null(b->text));
	assert_true(span_eq(a->text, b->text));
}

static void
test_records_there_and_back(void **state)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_NS, DNS_CNAME, DNS_SOA, 99 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct dns_answer *a = two_records(types[i]);
		struct cache_key k = key_of("example.org", types[i]);
		struct span v = stored(&k, types[i], a);
		const struct dns_answer *b;

		assert_int_equal(cache_entry_check(cache_key_span(&k), v), RC_OK);
		assert_int_equal(get(&k, types[i], v, NOW + 100, &b), RC_OK);
		assert_int_equal(b->status, DNS_OK);
		assert_true(b->is_from_cache);
		assert_false(b->is_secure);
		assert_int_equal(b->ttl_s, 200);
		assert_int_equal(b->rr_count, 2);
		assert_int_equal(b->rr[0].ttl_s, 200);
		assert_int_equal(b->rr[1].ttl_s, 201);
		assert_same_rr(&a->rr[0], &b->rr[0]);
		assert_same_rr(&a->rr[1], &b->rr[1]);
		dns_answer_unref(a);
		dns_answer_unref(b);
		exact_free(v);
	}
}

static void
test_statuses_there_and_back(void **state)
{
	static const struct {
		enum dns_status status;
		bool is_secure;
		uint32_t ttl, life;
		int rank;
	} cases[] = {
		{ DNS_NODATA, false, 60, 60, CACHE_RANK_INSECURE }, { DNS_NODATA, true, 60, 60, CACHE_RANK_SECURE },
		{ DNS_NXDOMAIN, true, 7200, 3600, CACHE_RANK_SECURE }, { DNS_SERVFAIL, false, 0, 10, CACHE_RANK_FAILURE },
		{ DNS_TIMEOUT, false, 0, 10, CACHE_RANK_FAILURE }, { DNS_BOGUS, false, 0, 10, CACHE_RANK_FAILURE },
		{ DNS_MALFORMED, false, 0, 10, CACHE_RANK_FAILURE },
	};
	struct cache_key k = key_of("example.org", DNS_TXT);
	struct cache_entry_head h;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_answer *a = answer_status(cases[i].status, cases[i].ttl, "why not");
		const struct dns_answer *b;
		struct span v;

		a->is_secure = cases[i].is_secure;
		v = stored(&k, DNS_TXT, a);
		assert_int_equal(cache_entry_head(cache_key_span(&k), v, &h), RC_OK);
		assert_int_equal(h.kind, CACHE_DNS);
		assert_int_equal(h.rank, cases[i].rank);
		assert_int_equal(h.life_s, cases[i].life);
		assert_int_equal(h.type, DNS_TXT);
		assert_true(h.stored_s == NOW);
		assert_int_equal(cache_entry_check(cache_key_span(&k), v), RC_OK);
		assert_int_equal(get(&k, DNS_TXT, v, NOW, &b), RC_OK);
		assert_int_equal(b->status, cases[i].status);
		assert_int_equal(b->is_secure, cases[i].is_secure);
		assert_int_equal(b->ttl_s, cases[i].life);
		assert_string_equal(b->why, "why not");
		dns_answer_unref(b);
		assert_int_equal(get(&k, DNS_TXT, v, NOW + cases[i].life - 1, &b), RC_OK);
		assert_int_equal(b->ttl_s, 1);
		dns_answer_unref(b);
		assert_int_equal(get(&k, DNS_TXT, v, NOW + cases[i].life, &b), RC_NONE);
		assert_int_equal(get(&k, DNS_TXT, v, NOW - 1, &b), RC_NONE);
		dns_answer_unref(a);
		exact_free(v);
	}
}

static void
test_not_kept(void **state)
{
	static const struct {
		enum dns_status status;
		uint32_t ttl;
	} cases[] = { { DNS_LIMIT, 60 }, { DNS_CANCELLED, 60 }, { DNS_NXDOMAIN, 0 }, { DNS_NODATA, 0 }, { DNS_OK, 60 } };
	struct cache_key k = key_of("example.org", DNS_TXT);
	uint8_t out[256];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct dns_answer *a = dns_answer_status(cases[i].status, cases[i].ttl, "");

		assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_TXT, a, &rules, NOW, out, sizeof out, &n), RC_NONE);
		dns_answer_unref(a);
	}
}

static void
test_why_limit(void **state)
{
	struct cache_key k = key_of("example.org", DNS_TXT);
	char why[70];

	(void)state;
	for (size_t len = 62; len <= 64; len++) {
		const struct dns_answer *a, *b;
		struct span v;

		memset(why, 'w', len);
		why[len] = '\0';
		a = dns_answer_status(DNS_SERVFAIL, 0, why);
		v = stored(&k, DNS_TXT, a);
		assert_int_equal(get(&k, DNS_TXT, v, NOW, &b), RC_OK);
		assert_int_equal(strlen(b->why), MIN(len, (size_t)63));
		dns_answer_unref(a);
		dns_answer_unref(b);
		exact_free(v);
	}
}

static void
test_stale(void **state)
{
	struct cache_key k = key_of("example.org", DNS_TXT);
	struct dns_answer *a = two_records(DNS_TXT);
	const struct dns_answer *failure = dns_answer_status(DNS_SERVFAIL, 0, ""), *b;
	struct span key = cache_key_span(&k), v = stored(&k, DNS_TXT, a), fv = stored(&k, DNS_TXT, failure);
	enum cache_age age;

	(void)state;
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, v, 1000, NOW + 299, &b, &age), RC_OK);
	assert_int_equal(age, CACHE_FRESH);
	dns_answer_unref(b);
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, v, 1000, NOW + 300, &b, &age), RC_OK);
	assert_int_equal(age, CACHE_STALE);
	assert_int_equal(b->ttl_s, CACHE_STALE_TTL_S);
	assert_int_equal(b->rr[0].ttl_s, CACHE_STALE_TTL_S);
	dns_answer_unref(b);
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, v, 1000, NOW + 1299, &b, &age), RC_OK);
	dns_answer_unref(b);
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, v, 1000, NOW + 1300, &b, &age), RC_NONE);
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, v, 0, NOW + 300, &b, &age), RC_NONE);
	assert_int_equal(cache_entry_get_dns(key, DNS_TXT, fv, 1000, NOW + 10, &b, &age), RC_NONE);
	dns_answer_unref(a);
	dns_answer_unref(failure);
	exact_free(v);
	exact_free(fv);
}

/* Every single wrong bit is noticed, and every other length. */
static void
test_every_bit_and_length(void **state)
{
	struct dns_answer *a = two_records(DNS_MX);
	struct cache_key k = key_of("example.org", DNS_MX);
	struct span v = stored(&k, DNS_MX, a);
	const struct dns_answer *b;

	(void)state;
	for (size_t bit = 0; bit < 8 * v.n; bit++) {
		struct span bad = exact_n(v.p, v.n);

		((char *)(uintptr_t)bad.p)[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(get(&k, DNS_MX, bad, NOW, &b), RC_SYNTAX);
		assert_int_equal(cache_entry_check(cache_key_span(&k), bad), RC_SYNTAX);
		exact_free(bad);
	}
	for (size_t n = 0; n < v.n; n++) {
		struct span bad = exact_n(v.p, n);

		assert_int_equal(get(&k, DNS_MX, bad, NOW, &b), RC_SYNTAX);
		exact_free(bad);
	}
	dns_answer_unref(a);
	exact_free(v);
}

/* A value that stands at another's key, or is asked for as another type. */
static void
test_belongs_to_its_key(void **state)
{
	struct dns_answer *a = two_records(DNS_A);
	struct cache_key k = key_of("example.org", DNS_A), other = key_of("example.net", DNS_A), aaaa = key_of("example.org", DNS_AAAA);
	struct span v = stored(&k, DNS_A, a);
	const struct dns_answer *b;
	struct spf_outcome o;
	struct arena arena;

	(void)state;
	assert_int_equal(get(&other, DNS_A, v, NOW, &b), RC_SYNTAX);
	assert_int_equal(get(&aaaa, DNS_AAAA, v, NOW, &b), RC_SYNTAX);
	assert_int_equal(get(&k, DNS_AAAA, v, NOW, &b), RC_SYNTAX);
	arena_init(&arena, 256, 1 * MIB);
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW, &o), RC_SYNTAX);
	arena_fini(&arena);
	dns_answer_unref(a);
	exact_free(v);
}

/* With a right checksum, too, nothing inconsistent is accepted. */
static void
resum(const struct cache_key *k, struct span v)
{
	uint32_t sum = cache_crc(cache_crc(0, cache_key_span(k)), span_from(v, 4));
	uint8_t *p = (uint8_t *)(uintptr_t)v.p;

	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(sum >> (24 - 8 * i));
}

static void
test_inconsistent_with_a_right_checksum(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t byte;
	} cases[] = {
		{ "format", 4, 2 }, { "kind", 5, 'R' }, { "kind", 5, 'X' }, { "nodata with records", 6, DNS_NODATA },
		{ "unknown status", 6, 200 }, { "limit is not kept", 6, DNS_LIMIT }, { "secure with another rank", 7, 1 }, { "dnssec", 7, 3 },
		{ "rank", 8, 1 }, { "rank", 8, 3 }, { "not zero", 9, 1 }, { "type", 10, 1 }, { "stored before 1970", 12, 0x80 },
		{ "lives too long", 20, 1 }, { "more records than there are", 25, 3 }, { "fewer", 25, 1 }, { "far more", 24, 0xff },
		{ "why too long", 26, 64 }, { "name cut", 33, 16 }, { "name with a long label", 34, 64 }, { "upper case", 35, 'M' },
	};
	struct dns_answer *a = two_records(DNS_MX);
	struct cache_key k = key_of("example.org", DNS_MX);
	struct span v = stored(&k, DNS_MX, a);
	const struct dns_answer *b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span bad = exact_n(v.p, v.n);

		((uint8_t *)(uintptr_t)bad.p)[cases[i].at] = cases[i].byte;
		resum(&k, bad);
		if (get(&k, DNS_MX, bad, NOW, &b) != RC_SYNTAX)
			fail_msg("%s was accepted", cases[i].what);
		exact_free(bad);
	}
	/* Bytes left over. */
	for (int extra = 0; extra < 2; extra++) {
		char *p = xcalloc(1, v.n + (size_t)extra);
		struct span bad = { p, v.n + (size_t)extra };

		memcpy(p, v.p, v.n);
		resum(&k, bad);
		assert_int_equal(get(&k, DNS_MX, bad, NOW, &b), extra ? RC_SYNTAX : RC_OK);
		if (!extra)
			dns_answer_unref(b);
		free(p);
	}
	dns_answer_unref(a);
	exact_free(v);
}

/* The life of zero and of a week and a second. */
static void
test_life_limits(void **state)
{
	static const uint32_t lives[] = { 0, 1, CACHE_TTL_MAX_S, CACHE_TTL_MAX_S + 1 };
	struct dns_answer *a = two_records(DNS_A);
	struct cache_key k = key_of("example.org", DNS_A);
	struct span v = stored(&k, DNS_A, a);
	const struct dns_answer *b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lives); i++) {
		for (int j = 0; j < 4; j++)
			((uint8_t *)(uintptr_t)v.p)[20 + j] = (uint8_t)(lives[i] >> (24 - 8 * j));
		resum(&k, v);
		assert_int_equal(get(&k, DNS_A, v, NOW, &b), i == 1 || i == 2 ? RC_OK : RC_SYNTAX);
		if (i == 1 || i == 2)
			dns_answer_unref(b);
	}
	dns_answer_unref(a);
	exact_free(v);
}

/* The largest value fits, a byte more does not. */
static void
test_value_limit(void **state)
{
	static uint8_t out[CACHE_VALUE_MAX + 100];
	struct cache_key k = key_of("example.org", DNS_TXT);
	const struct dns_answer *b;
	size_t n;

	(void)state;
	for (size_t len = CACHE_VALUE_MAX - 26 - 1 - 6, over = 0; over < 2; over++) {
		struct answer_make m = answer_make(DNS_OK, 1, 0, len + over);
		struct dns_rr *rr = answer_make_rr(&m, 300);
		char *text = answer_make_text(&m, len + over);

		memset(text, 't', len + over);
		rr->text = span_of(text, len + over);
		m.a->ttl_s = 300;
		assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_TXT, m.a, &rules, NOW, out, sizeof out, &n),
		                 over ? RC_LIMIT : RC_OK);
		if (!over) {
			assert_int_equal(n, CACHE_VALUE_MAX);
			assert_int_equal(get(&k, DNS_TXT, span_of((char *)out, n), NOW, &b), RC_OK);
			assert_true(span_eq(b->rr[0].text, rr->text));
			dns_answer_unref(b);
		}
		dns_answer_unref(m.a);
	}
	/* A small buffer, and one too small by a byte. */
	for (size_t size = 0; size < 27; size++) {
		const struct dns_answer *a = dns_answer_status(DNS_SERVFAIL, 0, "");

		assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_TXT, a, &rules, NOW, out, size, &n), RC_LIMIT);
		assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_TXT, a, &rules, NOW, out, 27, &n), RC_OK);
		dns_answer_unref(a);
	}
}

static void
test_record_limit(void **state)
{
	static uint8_t out[CACHE_VALUE_MAX];
	struct cache_key k = key_of("example.org", DNS_A);
	struct answer_make m = answer_make(DNS_OK, DNS_ANSWER_RRS_MAX, 0, 0);
	const struct dns_answer *b;
	size_t n;

	(void)state;
	for (int i = 0; i < DNS_ANSWER_RRS_MAX; i++)
		answer_make_rr(&m, 300)->ip.is_set = true;
	m.a->ttl_s = 300;
	assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_A, m.a, &rules, NOW, out, sizeof out, &n), RC_OK);
	assert_int_equal(get(&k, DNS_A, span_of((char *)out, n), NOW, &b), RC_OK);
	assert_int_equal(b->rr_count, DNS_ANSWER_RRS_MAX);
	dns_answer_unref(b);
	m.a->rr_count++;
	assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_A, m.a, &rules, NOW, out, sizeof out, &n), RC_LIMIT);
	dns_answer_unref(m.a);
}

static struct spf_outcome
outcome(void)
{
	return (struct spf_outcome){
		.result = SPF_FAIL, .reason = SPF_R_MATCH, .mechanism = SPAN("-all"), .at = SPAN("example.org"),
		.lookups = 7, .voids = 2, .ttl_s = 600,
	};
}

static void
test_spf_there_and_back(void **state)
{
	struct spf_outcome o = outcome(), b;
	struct cache_key k = spf_key();
	uint8_t out[512];
	struct arena arena;
	struct span v;
	size_t n;

	(void)state;
	arena_init(&arena, 256, 1 * MIB);
	o.detail = SPAN("");
	assert_int_equal(cache_entry_put_spf(cache_key_span(&k), &o, &rules, NOW, out, sizeof out, &n), RC_OK);
	v = exact_n(out, n);
	assert_int_equal(cache_entry_check(cache_key_span(&k), v), RC_OK);
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW + 100, &b), RC_OK);
	assert_int_equal(b.result, SPF_FAIL);
	assert_int_equal(b.reason, SPF_R_MATCH);
	assert_span(b.mechanism, "-all");
	assert_span(b.at, "example.org");
	assert_true(b.detail.p != NULL && b.detail.n == 0);
	assert_true(span_is_null(b.explanation));
	assert_int_equal(b.lookups, 7);
	assert_int_equal(b.voids, 2);
	assert_int_equal(b.ttl_s, 500);
	assert_false(b.depends_on_message);
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW + 599, &b), RC_OK);
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW + 600, &b), RC_NONE);
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW - 1, &b), RC_NONE);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		((char *)(uintptr_t)v.p)[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW, &b), RC_SYNTAX);
		((char *)(uintptr_t)v.p)[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), span_of(v.p, cut), NOW, &b), RC_SYNTAX);
	arena_fini(&arena);
	arena_init(&arena, 256, 256);
	while (arena_alloc(&arena, 1) != NULL)
		;
	assert_int_equal(cache_entry_get_spf(&arena, cache_key_span(&k), v, NOW, &b), RC_LIMIT);
	arena_fini(&arena);
	exact_free(v);
}

static void
test_spf_not_kept(void **state)
{
	struct spf_outcome o[8];
	struct cache_key k = spf_key();
	uint8_t out[512];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(o); i++)
		o[i] = outcome();
	o[0].depends_on_message = true;
	o[1].explanation = SPAN("see http://example.org/");
	o[2].result = SPF_TEMPERROR;
	o[3].reason = SPF_R_QUESTION_LIMIT;
	o[4].reason = SPF_R_MEMORY;
	o[5].reason = SPF_R_DNS_ERROR;
	o[6].ttl_s = 0;
	o[7].lookups = 256;
	for (size_t i = 0; i < ARRAY_LEN(o); i++)
		assert_int_equal(cache_entry_put_spf(cache_key_span(&k), &o[i], &rules, NOW, out, sizeof out, &n), RC_NONE);
	o[0] = outcome();
	assert_int_equal(cache_entry_put_spf(cache_key_span(&k), &o[0], &rules, NOW, out, 49, &n), RC_LIMIT);
	assert_int_equal(cache_entry_put_spf(cache_key_span(&k), &o[0], &rules, NOW, out, 50, &n), RC_OK);
}

static void
test_may_replace(void **state)
{
	enum { F = CACHE_RANK_FAILURE, I = CACHE_RANK_INSECURE, S = CACHE_RANK_SECURE };
	static const struct {
		int was, comes;
		int64_t comes_at, now;
		uint32_t stale;
		bool want;
	} cases[] = {
		{ F, F, NOW + 1, NOW + 1, 0, true }, { F, I, NOW + 1, NOW + 1, 0, true }, { I, F, NOW + 1, NOW + 1, 0, false },
		{ S, F, NOW + 1, NOW + 1, 0, false }, { S, I, NOW + 1, NOW + 1, 0, false }, { I, S, NOW + 1, NOW + 1, 0, true },
		{ I, I, NOW + 1, NOW + 1, 0, true }, { I, I, NOW, NOW + 1, 0, true }, { I, I, NOW - 1, NOW + 1, 0, false },
		/* expired: anything */
		{ S, F, NOW + 60, NOW + 60, 0, true }, { S, I, NOW + 60, NOW + 60, 0, true }, { I, I, NOW - 1, NOW + 60, 0, true },
		/* stale: anything but a failure */
		{ S, F, NOW + 60, NOW + 60, 100, false }, { S, I, NOW + 60, NOW + 60, 100, true }, { S, F, NOW + 160, NOW + 160, 100, true },
		{ F, F, NOW + 60, NOW + 60, 100, true },
		/* what was stored in the future is worth nothing */
		{ S, F, NOW - 9, NOW - 9, 0, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cache_entry_head was = { .kind = CACHE_DNS, .rank = (enum cache_rank)cases[i].was, .stored_s = NOW, .life_s = 60 };
		struct cache_entry_head comes = was;

		was.status = cases[i].was == F ? DNS_SERVFAIL : DNS_OK;
		comes.rank = (enum cache_rank)cases[i].comes;
		comes.status = cases[i].comes == F ? DNS_SERVFAIL : DNS_OK;
		comes.stored_s = cases[i].comes_at;
		if (cache_entry_may_replace(&was, &comes, cases[i].stale, cases[i].now) != cases[i].want)
			fail_msg("case %zu", i);
	}
}

static void
test_end(void **state)
{
	struct cache_entry_head h = { .kind = CACHE_DNS, .status = DNS_OK, .stored_s = NOW, .life_s = 60 };

	(void)state;
	assert_true(cache_entry_end(&h, 0) == NOW + 60);
	assert_true(cache_entry_end(&h, 100) == NOW + 160);
	h.status = DNS_SERVFAIL;
	assert_true(cache_entry_end(&h, 100) == NOW + 60);
	h.kind = CACHE_RESULT;
	h.status = SPF_NONE;
	assert_true(cache_entry_end(&h, 100) == NOW + 60);
}

static void
test_crc(void **state)
{
	uint8_t b[1024];

	(void)state;
	/* RFC 3720 section B.4: 32 zeroes, 32 ones, 0 to 31. */
	memset(b, 0, 32);
	assert_int_equal(cache_crc(0, span_of((char *)b, 32)), 0x8a9136aau);
	memset(b, 0xff, 32);
	assert_int_equal(cache_crc(0, span_of((char *)b, 32)), 0x62a8ab43u);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(cache_crc(0, span_of((char *)b, 32)), 0x46dd794eu);
	assert_int_equal(cache_crc_portable(0, SPAN("123456789")), 0xe3069283u);
	for (size_t i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(i * 37 + 11);
	for (size_t n = 0; n < sizeof b; n++) {
		struct span s = exact_n(b, n);

		assert_int_equal(cache_crc(0, s), cache_crc_portable(0, s));
		assert_int_equal(cache_crc(cache_crc(0, span_sub(s, 0, n / 3)), span_from(s, n / 3)), cache_crc(0, s));
		exact_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_records_there_and_back),
		cmocka_unit_test(test_statuses_there_and_back),
		cmocka_unit_test(test_not_kept),
		cmocka_unit_test(test_why_limit),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_every_bit_and_length),
		cmocka_unit_test(test_belongs_to_its_key),
		cmocka_unit_test(test_inconsistent_with_a_right_checksum),
		cmocka_unit_test(test_life_limits),
		cmocka_unit_test(test_value_limit),
		cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_spf_there_and_back),
		cmocka_unit_test(test_spf_not_kept),
		cmocka_unit_test(test_may_replace),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
