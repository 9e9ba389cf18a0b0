/* test_dns_answer - packets made by hand, good and hostile, through the decoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"
#include "t/tools/dnswire.h"

enum { OWNER = 0xc00c };        /* a pointer to the question's name */

static struct wire w;

static struct dns_name
name_of(const char *text)
{
	struct dns_name name;

	if (text[0] == '\0')
		return (struct dns_name){ .n = 1 };
	if (dns_name_from_text(span_cstr(text), &name) != RC_OK)
		abort();
	return name;
}

/* An exact copy goes in; what comes out does not need the copy. */
static const struct dns_answer *
decode_bytes(const void *p, size_t n, const char *qname, uint16_t type)
{
	struct dns_name name = name_of(qname);
	char *copy = xmalloc(MAX(n, (size_t)1));
	const struct dns_answer *a;

	if (n > 0)
		memcpy(copy, p, n);
	a = dns_answer_decode(span_of(copy, n), &name, type);
	free(copy);
	return a;
}

static const struct dns_answer *
decode(const char *qname, uint16_t type)
{
	assert_false(w.failed);
	return decode_bytes(w.b, w.n, qname, type);
}

static void
expect_malformed(const char *qname, uint16_t type, const char *why)
{
	const struct dns_answer *a = decode(qname, type);

	assert_int_equal(a->status, DNS_MALFORMED);
	assert_int_equal(a->rr_count, 0);
	assert_int_equal(a->ttl_s, 0);
	assert_string_equal(a->why, why);
	dns_answer_unref(a);
}

static void
start(const char *qname, uint16_t type, unsigned flags, unsigned an, unsigned ns, unsigned ar)
{
	struct dns_name name = name_of(qname);

	wire_header(&w, 0, WIRE_QR | WIRE_RA | flags, 1, an, ns, ar);
	wire_question(&w, &name, type);
}

static void
put_name(const char *text)
{
	struct dns_name name = name_of(text);

	wire_name(&w, &name);
}

/* A record whose RDATA is given. */
static void
put_rr(const char *owner, unsigned type, uint32_t ttl_s, const void *rdata, size_t n)
{
	size_t at;

	if (owner == NULL)
		wire_u16(&w, OWNER);
	else
		put_name(owner);
	at = wire_rr(&w, type, ttl_s);
	wire_bytes(&w, rdata, n);
	wire_rdata_end(&w, at);
}

static void
put_cname(const char *owner, uint32_t ttl_s, const char *target)
{
	struct dns_name name = name_of(target);

	put_rr(owner, DNS_CNAME, ttl_s, name.w, name.n);
}

static void
put_soa(const char *zone, uint32_t ttl_s, uint32_t minimum_s)
{
	struct dns_name name = name_of(zone);

	wire_soa(&w, &name, ttl_s, minimum_s);
}

static void
test_addresses(void **state)
{
	static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	const struct dns_answer *a;

	(void)state;
	start("a.example", DNS_A, 0, 3, 0, 0);
	put_rr(NULL, DNS_A, 300, "\xc0\0\2\1", 4);
	put_rr("A.EXAMPLE", DNS_A, 200, "\xc0\0\2\2", 4);
	put_rr("b.example", DNS_A, 7, "\xc0\0\2\3", 4);         /* another owner */
	a = decode("a.example", DNS_A);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 2);
	assert_int_equal(a->ttl_s, 200);
	assert_int_equal(a->rr[0].ttl_s, 300);
	assert_true(ip_is_v4(&a->rr[1].ip));
	assert_memory_equal(a->rr[1].ip.b + 12, "\xc0\0\2\2", 4);
	dns_answer_unref(a);

	start("a.example", DNS_AAAA, 0, 1, 0, 0);
	put_rr(NULL, DNS_AAAA, 300, v6, 16);
	a = decode("a.example", DNS_AAAA);
	assert_int_equal(a->rr_count, 1);
	assert_false(ip_is_v4(&a->rr[0].ip));
	assert_memory_equal(a->rr[0].ip.b, v6, 16);
	assert_true(a->rr[0].ip.is_set);
	dns_answer_unref(a);
}

static void
test_names_in_rdata(void **state)
{
	struct dns_name mx = name_of("mail.example");
	const struct dns_answer *a;

	(void)state;
	start("example", DNS_MX, 0, 2, 0, 0);
	put_rr(NULL, DNS_MX, 300, "\0\12\4mail\xc0\x0c", 9);     /* compressed */
	put_rr(NULL, DNS_MX, 300, "\1\0\0", 3);                  /* the root, RFC 7505 */
	a = decode("example", DNS_MX);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 2);
	assert_int_equal(a->rr[0].preference, 10);
	assert_true(dns_name_eq(a->rr[0].name, &mx));
	assert_int_equal(a->rr[1].preference, 256);
	assert_int_equal(a->rr[1].name->n, 1);
	dns_answer_unref(a);

	start("1.2.0.192.in-addr.arpa", DNS_PTR, 0, 1, 0, 0);
	put_rr(NULL, DNS_PTR, 300, mx.w, mx.n);
	a = decode("1.2.0.192.in-addr.arpa", DNS_PTR);
	assert_int_equal(a->rr_count, 1);
	assert_true(dns_name_eq(a->rr[0].name, &mx));
	dns_answer_unref(a);

	start("x.example", DNS_CNAME, 0, 1, 0, 0);
	put_cname(NULL, 9, "mail.example");
	a = decode("x.example", DNS_CNAME);
	assert_int_equal(a->rr_count, 1);
	assert_true(dns_name_eq(a->rr[0].name, &mx));
	dns_answer_unref(a);
}

static void
test_txt(void **state)
{
	const struct dns_answer *a;

	(void)state;
	start("t.example", DNS_TXT, 0, 3, 0, 0);
	put_rr(NULL, DNS_TXT, 60, "\6v=spf1\5 -all", 13);
	put_rr(NULL, DNS_TXT, 60, "\0", 1);
	put_rr(NULL, DNS_TXT, 60, "\3a\0b\0\0", 6);
	a = decode("t.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 3);
	assert_true(span_eq(a->rr[0].text, SPAN("v=spf1 -all")));
	assert_int_equal(a->rr[1].text.n, 0);
	assert_false(span_is_null(a->rr[1].text));
	assert_true(span_eq(a->rr[2].text, SPAN("a\0b")));
	dns_answer_unref(a);
}

static void
test_txt_of_64_kb(void **state)
{
	const struct dns_answer *a;
	size_t at, want = 0;

	(void)state;
	start("t.example", DNS_TXT, 0, 1, 0, 0);
	wire_u16(&w, OWNER);
	at = wire_rr(&w, DNS_TXT, 60);
	while (w.n + 2 <= WIRE_MAX) {
		size_t n = MIN((size_t)255, WIRE_MAX - w.n - 1);

		wire_u8(&w, (unsigned)n);
		for (size_t i = 0; i < n; i++)
			wire_u8(&w, (unsigned)(want++ % 251));
	}
	wire_rdata_end(&w, at);
	assert_int_equal(w.n, WIRE_MAX);
	a = decode("t.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr[0].text.n, want);
	for (size_t i = 0; i < want; i++)
		assert_int_equal((uint8_t)a->rr[0].text.p[i], i % 251);
	dns_answer_unref(a);
	/* One byte more is no DNS packet. */
	{
		uint8_t *big = xmalloc(WIRE_MAX + 1);

		memcpy(big, w.b, WIRE_MAX);
		big[WIRE_MAX] = 0;
		a = decode_bytes(big, WIRE_MAX + 1, "t.example", DNS_TXT);
		assert_int_equal(a->status, DNS_MALFORMED);
		dns_answer_unref(a);
		free(big);
	}
}

static void
test_chain_with_signatures(void **state)
{
	const struct dns_answer *a;

	(void)state;
	/* CNAMEs in the wrong order, signatures and other owners' records between them */
	start("www.example", DNS_TXT, 0, 7, 0, 0);
	put_cname("mid.example", 90, "end.example");
	put_rr("mid.example", 46, 5, "signature", 9);
	put_rr("end.example", DNS_TXT, 300, "\3one", 4);
	put_rr("end.example", 46, 5, "signature", 9);
	put_cname(NULL, 120, "mid.example");
	put_rr("www.example", DNS_TXT, 1, "\3bad", 4);
	put_rr("end.example", DNS_TXT, 300, "\3two", 4);
	a = decode("www.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 2);
	assert_int_equal(a->ttl_s, 90);
	assert_true(span_eq(a->rr[0].text, SPAN("one")));
	assert_true(span_eq(a->rr[1].text, SPAN("two")));
	dns_answer_unref(a);
}

/* A chain of n links, then an address. */
static void
make_chain(int n)
{
	char from[32], to[32];

	start("c0.example", DNS_A, 0, (unsigned)n + 1, 0, 0);
	for (int i = 0; i < n; i++) {
		snprintf(from, sizeof from, "c%d.example", i);
		snprintf(to, sizeof to, "c%d.example", i + 1);
		put_cname(from, 60, to);
	}
	snprintf(to, sizeof to, "c%d.example", n);
	put_rr(to, DNS_A, 60, "\1\2\3\4", 4);
}

static void
test_chain_limit(void **state)
{
	const struct dns_answer *a;

	(void)state;
	make_chain(DNS_CNAME_MAX);
	a = decode("c0.example", DNS_A);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 1);
	dns_answer_unref(a);
	make_chain(DNS_CNAME_MAX + 1);
	expect_malformed("c0.example", DNS_A, "CNAME chain too long");
}

static void
test_chain_loops(void **state)
{
	(void)state;
	start("a.example", DNS_A, 0, 1, 0, 0);
	put_cname(NULL, 60, "a.example");
	expect_malformed("a.example", DNS_A, "CNAME loop");
	start("a.example", DNS_A, 0, 3, 0, 0);
	put_cname("a.example", 60, "b.example");
	put_cname("b.example", 60, "c.example");
	put_cname("c.example", 60, "b.example");
	expect_malformed("a.example", DNS_A, "CNAME loop");
}

static void
test_negative(void **state)
{
	static const struct {
		unsigned rcode; const char *zone; uint32_t soa_ttl, minimum; uint32_t cname_ttl; enum dns_status status; uint32_t ttl;
	} table[] = {
		{ 0, "example", 900, 60, 0, DNS_NODATA, 60 },
		{ 3, "example", 900, 60, 0, DNS_NXDOMAIN, 60 },
		{ 3, "example", 30, 60, 0, DNS_NXDOMAIN, 30 },
		{ 3, "", 86400, 86400, 0, DNS_NXDOMAIN, 86400 },
		{ 3, "a.example", 900, 60, 0, DNS_NXDOMAIN, 60 },
		{ 3, "b.example", 900, 60, 0, DNS_NXDOMAIN, 0 },        /* not this name's zone */
		{ 3, "xample", 900, 60, 0, DNS_NXDOMAIN, 0 },
		{ 3, NULL, 0, 0, 0, DNS_NXDOMAIN, 0 },
		{ 0, NULL, 0, 0, 0, DNS_NODATA, 0 },
		{ 3, "other", 900, 600, 50, DNS_NXDOMAIN, 50 },         /* the chain ends in another zone */
		{ 0, "other", 900, 40, 50, DNS_NODATA, 40 },
		{ 0, "example", 900, 40, 50, DNS_NODATA, 0 },
		{ 0, "example", 900, 0x80000000, 0, DNS_NODATA, 0 },    /* RFC 2181 section 8 */
		{ 0, "example", 0x80000000, 60, 0, DNS_NODATA, 0 },
		{ 0, "example", 0x7fffffff, 0x7fffffff, 0, DNS_NODATA, 0x7fffffff },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct dns_answer *a;

		start("a.example", DNS_A, table[i].rcode, table[i].cname_ttl > 0, table[i].zone != NULL, 0);
		if (table[i].cname_ttl > 0)
			put_cname(NULL, table[i].cname_ttl, "x.other");
		if (table[i].zone != NULL)
			put_soa(table[i].zone, table[i].soa_ttl, table[i].minimum);
		a = decode("a.example", DNS_A);
		assert_int_equal(a->status, table[i].status);
		assert_int_equal(a->ttl_s, table[i].ttl);
		assert_int_equal(a->rr_count, 0);
		dns_answer_unref(a);
	}
}

static void
test_ttl_over_31_bits(void **state)
{
	const struct dns_answer *a;

	(void)state;
	for (uint32_t ttl = 0x7fffffff; ttl <= 0x80000000; ttl++) {
		start("a.example", DNS_A, 0, 1, 0, 0);
		put_rr(NULL, DNS_A, ttl, "\1\2\3\4", 4);
		a = decode("a.example", DNS_A);
		assert_int_equal(a->ttl_s, ttl == 0x7fffffff ? 0x7fffffff : 0);
		assert_int_equal(a->rr[0].ttl_s, a->ttl_s);
		dns_answer_unref(a);
	}
}

static void
test_rcodes(void **state)
{
	static const struct { unsigned rcode; const char *why; } table[] = {
		{ 1, "FORMERR" }, { 2, "SERVFAIL" }, { 4, "NOTIMP" }, { 5, "REFUSED" }, { 9, "rcode 9" }, { 15, "rcode 15" },
	};
	const struct dns_answer *a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		start("a.example", DNS_A, table[i].rcode, 0, 0, 0);
		a = decode("a.example", DNS_A);
		assert_int_equal(a->status, DNS_SERVFAIL);
		assert_string_equal(a->why, table[i].why);
		dns_answer_unref(a);
		/* Such servers may leave out even the question. */
		wire_header(&w, 0, WIRE_QR | table[i].rcode, 0, 0, 0, 0);
		a = decode("a.example", DNS_A);
		assert_int_equal(a->status, DNS_SERVFAIL);
		dns_answer_unref(a);
	}
	/* BADVERS has rcode bits in the OPT record */
	start("a.example", DNS_A, 0, 0, 0, 1);
	put_rr("", 41, 1u << 24, "", 0);
	a = decode("a.example", DNS_A);
	assert_int_equal(a->status, DNS_SERVFAIL);
	assert_string_equal(a->why, "rcode 16");
	dns_answer_unref(a);
}

static void
test_headers_and_questions(void **state)
{
	(void)state;
	start("a.example", DNS_A, 0, 0, 0, 0);
	expect_malformed("b.example", DNS_A, "the answer to another question");
	expect_malformed("a.example", DNS_TXT, "the answer to another question");
	w.b[w.n - 1] = 3;                                        /* class CH */
	expect_malformed("a.example", DNS_A, "the answer to another question");
	start("a.example", DNS_A, WIRE_TC, 0, 0, 0);
	expect_malformed("a.example", DNS_A, "truncated");
	start("a.example", DNS_A, 0x0800, 0, 0, 0);
	expect_malformed("a.example", DNS_A, "not a response");
	start("a.example", DNS_A, 0, 0, 0, 0);
	w.b[2] &= 0x7f;
	expect_malformed("a.example", DNS_A, "not a response");
	start("a.example", DNS_A, 0, 0, 0, 0);
	wire_set_u16(&w, 4, 2);
	expect_malformed("a.example", DNS_A, "not one question");
	wire_set_u16(&w, 4, 0);
	expect_malformed("a.example", DNS_A, "not one question");
	wire_set_u16(&w, 4, 1);
	wire_set_u16(&w, 6, 65535);                              /* records that are not there */
	expect_malformed("a.example", DNS_A, "broken packet");
}

static void
test_question_ignores_case(void **state)
{
	const struct dns_answer *a;

	(void)state;
	start("a.example", DNS_A, 0, 1, 0, 0);
	put_rr(NULL, DNS_A, 60, "\1\2\3\4", 4);
	w.b[13] = 'A';                                           /* use-caps-for-id */
	a = decode("a.example", DNS_A);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 1);
	dns_answer_unref(a);
}

static void
test_class_in_only(void **state)
{
	const struct dns_answer *a;
	size_t class_at;

	(void)state;
	start("a.example", DNS_A, 0, 2, 0, 0);
	class_at = w.n + 4;
	put_rr(NULL, DNS_A, 60, "\1\2\3", 3);                    /* CH: its length is not our business */
	wire_set_u16(&w, class_at, 3);
	put_rr(NULL, DNS_A, 60, "\1\2\3\4", 4);
	a = decode("a.example", DNS_A);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 1);
	dns_answer_unref(a);
}

static void
test_bad_rdata(void **state)
{
	static const struct { uint16_t type; struct span rdata; } table[] = {
		{ DNS_A, SPAN("\1\2\3") }, { DNS_A, SPAN("\1\2\3\4\5") }, { DNS_A, SPAN("") },
		{ DNS_AAAA, SPAN("123456789012345") }, { DNS_AAAA, SPAN("12345678901234567") },
		{ DNS_MX, SPAN("") }, { DNS_MX, SPAN("\0\12") }, { DNS_MX, SPAN("\0\12\1a") }, { DNS_MX, SPAN("\0\12\1a\0x") },
		{ DNS_MX, SPAN("\0\12\1a\xc0") }, { DNS_MX, SPAN("\0") },
		{ DNS_PTR, SPAN("") }, { DNS_PTR, SPAN("\1a") }, { DNS_PTR, SPAN("\1a\0\0") }, { DNS_PTR, SPAN("\xc0\x0c\0") },
		{ DNS_PTR, SPAN("\x40" "a\0") }, { DNS_PTR, SPAN("\x80" "a\0") }, { DNS_PTR, SPAN("\xc0\0") },
		{ DNS_TXT, SPAN("") }, { DNS_TXT, SPAN("\3ab") }, { DNS_TXT, SPAN("\2ab\1") }, { DNS_TXT, SPAN("\xff") },
		{ DNS_CNAME, SPAN("\3ab") },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		start("a.example", table[i].type, 0, 2, 0, 0);
		put_rr(NULL, table[i].type, 60, table[i].rdata.p, table[i].rdata.n);
		put_rr("b.example", 99, 60, "\0\0\0\0", 4);     /* so that the end of the packet is not what stops it */
		expect_malformed("a.example", table[i].type, "broken packet");
	}
	/* A broken CNAME on the way, a broken SOA behind. */
	start("a.example", DNS_A, 0, 1, 0, 0);
	put_rr(NULL, DNS_CNAME, 60, "\3ab", 3);
	expect_malformed("a.example", DNS_A, "broken packet");
	start("a.example", DNS_A, 0, 0, 1, 0);
	put_rr(NULL, DNS_SOA, 60, "\0\0" "12345678901234567890x", 23);
	expect_malformed("a.example", DNS_A, "broken packet");
	start("a.example", DNS_A, 0, 0, 1, 0);
	put_rr(NULL, DNS_SOA, 60, "\0\0" "1234567890123456789", 21);
	expect_malformed("a.example", DNS_A, "broken packet");
}

static void
test_pointers(void **state)
{
	(void)state;
	/* forwards, to itself, and two that would chase each other */
	start("a.example", DNS_PTR, 0, 1, 0, 0);
	put_rr(NULL, DNS_PTR, 60, "\xc0\xff", 2);
	expect_malformed("a.example", DNS_PTR, "broken packet");
	start("a.example", DNS_PTR, 0, 1, 0, 0);
	wire_u16(&w, 0xc000 | (unsigned)w.n);
	wire_rr(&w, DNS_PTR, 60);
	expect_malformed("a.example", DNS_PTR, "broken packet");
	start("a.example", DNS_PTR, 0, 1, 0, 0);
	wire_u16(&w, 0xc000 | (unsigned)(w.n + 2));
	wire_u16(&w, 0xc000 | (unsigned)(w.n - 2));
	wire_rr(&w, DNS_PTR, 60);
	expect_malformed("a.example", DNS_PTR, "broken packet");
	/* a label, then a pointer back to the same label */
	start("a.example", DNS_PTR, 0, 1, 0, 0);
	wire_bytes(&w, "\1x", 2);
	wire_u16(&w, 0xc000 | (unsigned)(w.n - 2));
	wire_rr(&w, DNS_PTR, 60);
	expect_malformed("a.example", DNS_PTR, "broken packet");
}

/* The n-th record's owner is a pointer to the owner before it: n pointers to follow. */
static const struct dns_answer *
decode_pointer_chain(int n)
{
	unsigned before = OWNER;

	start("a.example", DNS_A, 0, (unsigned)n, 0, 0);
	for (int i = 0; i < n; i++) {
		size_t at, here = w.n;

		wire_u16(&w, before);
		at = wire_rr(&w, DNS_A, 60);
		wire_bytes(&w, "\1\2\3\4", 4);
		wire_rdata_end(&w, at);
		before = 0xc000 | (unsigned)here;
	}
	return decode("a.example", DNS_A);
}

static void
test_pointer_limit(void **state)
{
	const struct dns_answer *a;

	(void)state;
	a = decode_pointer_chain(64);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 64);
	dns_answer_unref(a);
	a = decode_pointer_chain(65);
	assert_int_equal(a->status, DNS_MALFORMED);
	dns_answer_unref(a);
}

/* A PTR record whose target is `labels` labels of one byte and then the question's name, by pointer. */
static const struct dns_answer *
decode_long_target(int labels, int last)
{
	size_t at;

	start("a", DNS_PTR, 0, 1, 0, 0);
	wire_u16(&w, OWNER);
	at = wire_rr(&w, DNS_PTR, 60);
	for (int i = 0; i < labels; i++)
		wire_bytes(&w, "\1X", 2);
	wire_u8(&w, (unsigned)last);
	wire_bytes(&w, "yyy", (size_t)last);
	wire_u16(&w, OWNER);
	wire_rdata_end(&w, at);
	return decode("a", DNS_PTR);
}

static void
test_name_limit(void **state)
{
	const struct dns_answer *a;

	(void)state;
	a = decode_long_target(125, 1);         /* 250 + 2 + 3 = 255 */
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr[0].name->n, DNS_NAME_WIRE_MAX);
	assert_int_equal(a->rr[0].name->w[1], 'x');
	dns_answer_unref(a);
	a = decode_long_target(125, 2);         /* 256 */
	assert_int_equal(a->status, DNS_MALFORMED);
	dns_answer_unref(a);
}

static const struct dns_answer *
decode_many(uint16_t type, size_t count, const void *rdata, size_t n)
{
	start("a.example", type, 0, (unsigned)count, 0, 0);
	for (size_t i = 0; i < count; i++)
		put_rr(NULL, type, 60, rdata, n);
	return decode("a.example", type);
}

static void
test_record_limit(void **state)
{
	const struct dns_answer *a;

	(void)state;
	a = decode_many(DNS_A, DNS_ANSWER_RRS_MAX, "\1\2\3\4", 4);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, DNS_ANSWER_RRS_MAX);
	dns_answer_unref(a);
	a = decode_many(DNS_A, DNS_ANSWER_RRS_MAX + 1, "\1\2\3\4", 4);
	assert_int_equal(a->status, DNS_MALFORMED);
	assert_string_equal(a->why, "too many records");
	dns_answer_unref(a);
	/* Other people's records do not count. */
	start("a.example", DNS_A, 0, DNS_ANSWER_RRS_MAX + 2, 0, 0);
	put_rr(NULL, DNS_A, 60, "\1\2\3\4", 4);
	for (size_t i = 0; i <= DNS_ANSWER_RRS_MAX; i++)
		put_rr("b.example", DNS_A, 60, "\1\2\3\4", 4);
	a = decode("a.example", DNS_A);
	assert_int_equal(a->rr_count, 1);
	dns_answer_unref(a);
}

static void
test_bytes_limit(void **state)
{
	size_t most = 0;
	const struct dns_answer *a;

	(void)state;
	while (answer_size(most + 1, most + 1, 0) <= DNS_ANSWER_BYTES_MAX)
		most++;
	assert_in_range(most, 100, DNS_ANSWER_RRS_MAX - 1);     /* names reach this limit before the other */
	a = decode_many(DNS_PTR, most, "\1x\0", 3);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, most);
	dns_answer_unref(a);
	a = decode_many(DNS_PTR, most + 1, "\1x\0", 3);
	assert_int_equal(a->status, DNS_MALFORMED);
	assert_string_equal(a->why, "too many records");
	dns_answer_unref(a);
}

static void
make_rich_packet(void)
{
	start("www.example", DNS_MX, 0, 4, 1, 2);
	put_cname(NULL, 90, "mail.example");
	put_rr("mail.example", DNS_MX, 300, "\0\12\2mx\xc0\x10", 7);
	put_rr("mail.example", 46, 5, "signature", 9);
	put_rr("mail.example", DNS_MX, 300, "\0\24\3mx2\xc0\x10", 8);
	put_soa("example", 300, 60);
	put_rr("mx.example", DNS_A, 300, "\1\2\3\4", 4);
	put_rr("", 41, 0, "", 0);
}

static void
test_every_truncation(void **state)
{
	const struct dns_answer *a;

	(void)state;
	make_rich_packet();
	for (size_t n = 0; n < w.n; n++) {
		a = decode_bytes(w.b, n, "www.example", DNS_MX);
		assert_int_equal(a->status, DNS_MALFORMED);
		dns_answer_unref(a);
	}
	a = decode("www.example", DNS_MX);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr_count, 2);
	assert_int_equal(a->ttl_s, 90);
	dns_answer_unref(a);
}

static void
test_every_byte_changed(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff };
	static struct wire good;
	size_t malformed = 0;

	(void)state;
	make_rich_packet();
	good = w;
	for (size_t at = 0; at < good.n; at++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			const struct dns_answer *a;

			w.b[at] = values[v];
			a = decode("www.example", DNS_MX);
			malformed += a->status == DNS_MALFORMED;
			assert_true(a->rr_count <= 2);
			dns_answer_unref(a);
		}
		w.b[at] = good.b[at];
	}
	assert_true(malformed > good.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_names_in_rdata), cmocka_unit_test(test_txt),
		cmocka_unit_test(test_txt_of_64_kb), cmocka_unit_test(test_chain_with_signatures),
		cmocka_unit_test(test_chain_limit), cmocka_unit_test(test_chain_loops), cmocka_unit_test(test_negative),
		cmocka_unit_test(test_ttl_over_31_bits), cmocka_unit_test(test_rcodes),
		cmocka_unit_test(test_headers_and_questions), cmocka_unit_test(test_question_ignores_case),
		cmocka_unit_test(test_class_in_only), cmocka_unit_test(test_bad_rdata), cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_pointer_limit), cmocka_unit_test(test_name_limit), cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_bytes_limit), cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_byte_changed),
	};

	return cmocka_run_group_tests_name("dns_answer", tests, NULL, NULL);
}
