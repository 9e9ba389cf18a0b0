/* test_dns_fixture - zone files: syntax, all errors, look-up, wildcards, CNAMEs, and the source in front of another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"
#include "common/dns/dns_fixture.h"
#include "common/dns/zone.h"

static struct zone *
parse_span(struct span text)
{
	char *copy = xmalloc(MAX(text.n, (size_t)1));
	struct zone *z;
	char *why;

	if (text.n > 0)
		memcpy(copy, text.p, text.n);
	if (zone_parse(span_of(copy, text.n), &z, &why) != RC_OK)
		fail_msg("%s", why);
	assert_null(why);
	free(copy);
	return z;
}

static struct zone *
parse(const char *text)
{
	return parse_span(span_cstr(text));
}

/* Name in zone file syntax would need the parser; tests with odd labels build their names themselves. */
static struct dns_name
name_of(const char *text)
{
	struct dns_name name;

	if (dns_name_from_text(span_cstr(text), &name) != RC_OK)
		abort();
	return name;
}

static const struct dns_answer *
ask(const struct zone *z, const char *text, uint16_t type)
{
	struct dns_name name = name_of(text);

	return zone_answer(z, &name, type);
}

static void
expect(const struct zone *z, const char *text, uint16_t type, enum dns_status status, size_t count, uint32_t ttl_s)
{
	const struct dns_answer *a = ask(z, text, type);

	if (a == NULL)
		fail_msg("%s is unknown", text);
	if (a->status != status || a->rr_count != count || a->ttl_s != ttl_s)
		fail_msg("%s: %s, %zu records, ttl %u", text, dns_status_name(a->status), a->rr_count, a->ttl_s);
	dns_answer_unref(a);
}

static void
expect_unknown(const struct zone *z, const char *text)
{
	assert_null(ask(z, text, DNS_A));
}

static void
test_record_types(void **state)
{
	struct zone *z = parse(
	    "# comment\n; comment\n\n   \t\r\n"
	    "mail.example   300 A      192.0.2.1   # behind\n"
	    "Mail.Example.  200 A 192.0.2.2;behind\r\n"
	    "mail.example AAAA 2001:db8::1\n"
	    "example MX 10 mail.example.\n"
	    "example 77 mx 0 .\n"
	    "example TXT \"v=spf1 ip4:192.0.2.0/24\" \" -all\"\n"
	    "example TXT plain words\n"
	    "example NS ns.example\n"
	    "1.2.0.192.in-addr.arpa PTR mail.example\n"
	    "esc.example TXT \"a\\\"b\\\\c\\000\\255;#\\x\"\n"
	    "empty.example TXT \"\"");
	const struct dns_answer *a;
	struct dns_name mail = name_of("mail.example");

	(void)state;
	expect(z, "mail.example", DNS_A, DNS_OK, 2, 200);
	expect(z, "mail.example", DNS_AAAA, DNS_OK, 1, 300);
	expect(z, "MAIL.example", DNS_TXT, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "example", DNS_NS, DNS_OK, 1, 300);
	a = ask(z, "mail.example", DNS_A);
	assert_memory_equal(a->rr[0].ip.b + 12, "\xc0\0\2\1", 4);
	assert_memory_equal(a->rr[1].ip.b + 12, "\xc0\0\2\2", 4);
	assert_true(a->is_from_cache);
	dns_answer_unref(a);
	a = ask(z, "example", DNS_MX);
	assert_int_equal(a->rr_count, 2);
	assert_int_equal(a->rr[0].preference, 10);
	assert_true(dns_name_eq(a->rr[0].name, &mail));
	assert_int_equal(a->rr[1].name->n, 1);
	dns_answer_unref(a);
	a = ask(z, "example", DNS_TXT);
	assert_true(span_eq(a->rr[0].text, SPAN("v=spf1 ip4:192.0.2.0/24 -all")));
	assert_true(span_eq(a->rr[1].text, SPAN("plainwords")));
	dns_answer_unref(a);
	a = ask(z, "1.2.0.192.in-addr.arpa", DNS_PTR);
	assert_true(dns_name_eq(a->rr[0].name, &mail));
	dns_answer_unref(a);
	a = ask(z, "esc.example", DNS_TXT);
	assert_true(span_eq(a->rr[0].text, SPAN("a\"b\\c\0\xff;#x")));
	dns_answer_unref(a);
	a = ask(z, "empty.example", DNS_TXT);
	assert_int_equal(a->rr_count, 1);
	assert_int_equal(a->rr[0].text.n, 0);
	dns_answer_unref(a);
	zone_destroy(&z);
	assert_null(z);
	zone_destroy(&z);
}

static void
test_odd_names(void **state)
{
	struct zone *z = parse("a\\.b.example A 192.0.2.1\na\\092\\255\\;.example A 192.0.2.2\n. A 192.0.2.3\n");
	struct dns_name dotted = { .n = 13, .w = "\3a.b\7example" }, odd = { .n = 14, .w = "\4a\\\xff;\7example" };
	struct dns_name root = { .n = 1 };
	const struct dns_answer *a;

	(void)state;
	a = zone_answer(z, &dotted, DNS_A);
	assert_int_equal(a->rr[0].ip.b[15], 1);
	dns_answer_unref(a);
	a = zone_answer(z, &odd, DNS_A);
	assert_int_equal(a->rr[0].ip.b[15], 2);
	dns_answer_unref(a);
	a = zone_answer(z, &root, DNS_A);
	assert_int_equal(a->rr[0].ip.b[15], 3);
	dns_answer_unref(a);
	expect_unknown(z, "a.b.example");
	zone_destroy(&z);
}

static void
test_existence(void **state)
{
	struct zone *z = parse("a.b.c.example A 192.0.2.1\nab.example A 192.0.2.2\n");
	struct zone *none = parse("# nothing\n");

	(void)state;
	expect(z, "b.c.example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);     /* empty non-terminals */
	expect(z, "c.example", DNS_TXT, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect_unknown(z, "x.b.c.example");
	expect_unknown(z, "b.example");
	expect_unknown(z, "a.example");
	expect_unknown(z, "xample");
	expect_unknown(z, "x.a.b.c.example");
	expect_unknown(none, "example");
	zone_destroy(&z);
	zone_destroy(&none);
	z = parse("");
	expect_unknown(z, "example");
	zone_destroy(&z);
}

static void
test_wildcards(void **state)
{
	struct zone *z = parse(
	    "*.wild.example A 192.0.2.9\n"
	    "host.wild.example TXT \"x\"\n"
	    "a.deep.wild.example TXT \"x\"\n"
	    "*.slow.example TIMEOUT\n"
	    "*.alias.example CNAME host.wild.example\n");

	(void)state;
	expect(z, "x.wild.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "x.y.wild.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "*.wild.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "x.wild.example", DNS_TXT, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "wild.example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	/* RFC 4592 section 2.2.1: an existing name, even an empty one, stops the wildcard */
	expect(z, "host.wild.example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "deep.wild.example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect_unknown(z, "x.host.wild.example");
	expect_unknown(z, "x.deep.wild.example");
	expect(z, "x.slow.example", DNS_A, DNS_TIMEOUT, 0, 0);
	expect(z, "x.alias.example", DNS_TXT, DNS_OK, 1, 300);
	zone_destroy(&z);
	z = parse("* A 192.0.2.9\na.b A 192.0.2.1");
	expect(z, "anything.at.all", DNS_A, DNS_OK, 1, 300);
	expect_unknown(z, "x.b");
	zone_destroy(&z);
}

static void
test_specials(void **state)
{
	struct zone *z = parse(
	    "s.example SERVFAIL\nn.example NXDOMAIN\nd.example 20 NODATA\nt.example TIMEOUT\ng.example GARBAGE\n"
	    "typed.example TXT TIMEOUT\ntyped.example A 192.0.2.1\n"
	    "mixed.example TIMEOUT\nmixed.example A 192.0.2.1\n"
	    "over.example TXT \"x\"\nover.example 5 TXT NXDOMAIN\n"
	    "quoted.example TXT \"TIMEOUT\"\nsmall.example TXT timeout\n"
	    "slow.example A 192.0.2.1\nslow.example DELAY 250\n*.lazy.example DELAY 600000\n");
	struct dns_name n;

	(void)state;
	expect(z, "s.example", DNS_A, DNS_SERVFAIL, 0, 0);
	expect(z, "n.example", DNS_A, DNS_NXDOMAIN, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "d.example", DNS_A, DNS_NODATA, 0, 20);
	expect(z, "t.example", DNS_TXT, DNS_TIMEOUT, 0, 0);
	expect(z, "g.example", DNS_TXT, DNS_MALFORMED, 0, 0);
	expect(z, "typed.example", DNS_TXT, DNS_TIMEOUT, 0, 0);
	expect(z, "typed.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "typed.example", DNS_MX, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect(z, "mixed.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "mixed.example", DNS_MX, DNS_TIMEOUT, 0, 0);
	expect(z, "over.example", DNS_TXT, DNS_NXDOMAIN, 0, 5);
	expect(z, "quoted.example", DNS_TXT, DNS_OK, 1, 300);
	expect(z, "small.example", DNS_TXT, DNS_OK, 1, 300);
	n = name_of("slow.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), 250);
	n = name_of("x.lazy.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), 600000);
	n = name_of("t.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), -1);
	n = name_of("g.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), -2);
	n = name_of("typed.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_TXT), -1);
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), 0);
	n = name_of("nowhere.example");
	assert_int_equal(zone_delay_ms(z, &n, DNS_A), 0);
	zone_destroy(&z);
}

static void
test_cnames(void **state)
{
	struct zone *z = parse(
	    "w.example 90 CNAME m.example\nm.example 120 CNAME e.example\ne.example A 192.0.2.1\n"
	    "loop.example CNAME pool.example\npool.example CNAME loop.example\nself.example CNAME self.example\n"
	    "dead.example 30 CNAME s.example\ns.example SERVFAIL\n"
	    "gone.example 30 CNAME n.example\nn.example NXDOMAIN\n"
	    "out.example 30 CNAME elsewhere.test\nempty.example 30 CNAME e.example\n"
	    "typed.example CNAME e.example\ntyped.example TXT TIMEOUT\n");

	(void)state;
	expect(z, "w.example", DNS_A, DNS_OK, 1, 90);
	expect(z, "w.example", DNS_CNAME, DNS_OK, 1, 90);
	expect(z, "w.example", DNS_TXT, DNS_NODATA, 0, 60);
	expect(z, "empty.example", DNS_TXT, DNS_NODATA, 0, 30);
	expect(z, "loop.example", DNS_A, DNS_SERVFAIL, 0, 0);
	expect(z, "self.example", DNS_A, DNS_SERVFAIL, 0, 0);
	expect(z, "dead.example", DNS_A, DNS_SERVFAIL, 0, 0);
	expect(z, "gone.example", DNS_A, DNS_NXDOMAIN, 0, 30);
	expect(z, "out.example", DNS_A, DNS_NXDOMAIN, 0, 30);
	expect(z, "typed.example", DNS_A, DNS_OK, 1, 300);
	expect(z, "typed.example", DNS_TXT, DNS_TIMEOUT, 0, 0);
	zone_destroy(&z);
}

static void
test_cname_limit(void **state)
{
	(void)state;
	for (int links = DNS_CNAME_MAX; links <= DNS_CNAME_MAX + 1; links++) {
		struct buf b = buf_heap(16 * KIB);
		struct zone *z;

		for (int i = 0; i < links; i++)
			buf_fmt(&b, "c%d.example CNAME c%d.example\n", i, i + 1);
		buf_fmt(&b, "c%d.example A 192.0.2.1\n", links);
		z = parse_span(buf_text(&b));
		if (links == DNS_CNAME_MAX)
			expect(z, "c0.example", DNS_A, DNS_OK, 1, 300);
		else
			expect(z, "c0.example", DNS_A, DNS_SERVFAIL, 0, 0);
		zone_destroy(&z);
		buf_fini(&b);
	}
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_errors(void **state)
{
	static const struct { const char *text, *why; } table[] = {
		{ "a.example", "line 1: a type is missing" },
		{ "a.example 300", "line 1: a type is missing" },
		{ "a.example FOO x", "line 1: neither a type nor a special answer" },
		{ "a.example \"A\" 192.0.2.1", "line 1: neither a type nor a special answer" },
		{ "a.example SOA x", "line 1: a type that zone files do not hold" },
		{ "a.example A", "line 1: an address is missing" },
		{ "a.example A 192.0.2", "line 1: not an IPv4 address" },
		{ "a.example A \"192.0.2.1\"", "line 1: not an IPv4 address" },
		{ "a.example A 2001:db8::1", "line 1: not an IPv4 address" },
		{ "a.example AAAA 192.0.2.1", "line 1: not an IPv6 address" },
		{ "a.example A 192.0.2.1 192.0.2.2", "line 1: something behind the end of the record" },
		{ "a.example TIMEOUT x", "line 1: something behind the end of the record" },
		{ "a.example TXT TIMEOUT \"x\"", "line 1: something behind the end of the record" },
		{ "a.example MX mail.example", "line 1: a preference from 0 to 65535 is expected" },
		{ "a.example MX", "line 1: a preference is missing" },
		{ "a.example MX 65536 mail.example", "line 1: a preference from 0 to 65535 is expected" },
		{ "a.example MX 10", "line 1: a name is missing" },
		{ "a.example PTR", "line 1: a name is missing" },
		{ "a.example PTR \"x\"", "line 1: a name is expected" },
		{ "a.example TXT", "line 1: a string is missing" },
		{ "a.example TXT \"x", "line 1: a quote is not closed" },
		{ "a.example TXT \"x\" \"y\\\"", "line 1: a quote is not closed" },
		{ "a.example TXT \"\\25\"", "line 1: a broken escape in a string" },
		{ "a.example TXT \"\\256\"", "line 1: a broken escape in a string" },
		{ "a.example TXT x\\", "line 1: a broken escape in a string" },
		{ "\"", "line 1: a quote is not closed" },
		{ "\"a.example\" A 192.0.2.1", "line 1: a name is expected" },
		{ "a..example A 192.0.2.1", "line 1: an empty label in a name" },
		{ ".example A 192.0.2.1", "line 1: an empty label in a name" },
		{ "a.example.. A 192.0.2.1", "line 1: an empty label in a name" },
		{ "a\\25.example A 192.0.2.1", "line 1: a broken escape in a name" },
		{ "a\\000.example A 192.0.2.1", "line 1: a NUL in a name" },
		{ L63 "a.example A 192.0.2.1", "line 1: a label over 63 bytes" },
		{ L63 "." L63 "." L63 "." L61 "a A 192.0.2.1", "line 1: a name over 255 bytes" },
		{ "a.example 2147483648 A 192.0.2.1", "line 1: not a TTL" },
		{ "a.example 3h A 192.0.2.1", "line 1: not a TTL" },
		{ "a.example DELAY", "line 1: milliseconds are missing" },
		{ "a.example DELAY 600001", "line 1: milliseconds from 0 to 600000 are expected" },
		{ "a.example CNAME b.example\na.example A 192.0.2.1\n", "line 1: a CNAME beside other records of the same name" },
		{ "a.example CNAME b.example\nA.example CNAME c.example\n", "line 2: a second CNAME of the same name" },
		{ "\n\nx\n# fine\ny A\r\nz A 192.0.2.1\n", "line 3: a type is missing\nline 5: an address is missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		size_t n = strlen(table[i].text);
		char *copy = xmalloc(n), *why = NULL;
		struct zone *z = (struct zone *)&z;

		memcpy(copy, table[i].text, n);
		assert_int_equal(zone_parse(span_of(copy, n), &z, &why), RC_SYNTAX);
		assert_null(z);
		assert_string_equal(why, table[i].why);
		free(why);
		free(copy);
	}
}

static void
test_limits_of_lines(void **state)
{
	struct buf b = buf_heap(MIB);
	struct zone *z;
	char *why;

	(void)state;
	/* names of 63 and 255 bytes, the greatest TTL, the longest text */
	buf_str(&b, L63 "." L63 "." L63 "." L61 " 2147483647 TXT \"");
	for (int i = 0; i < ZONE_TXT_MAX; i++)
		buf_byte(&b, 'x');
	buf_str(&b, "\"\n");
	z = parse_span(buf_text(&b));
	expect(z, L63 "." L63 "." L63 "." L61, DNS_TXT, DNS_OK, 1, INT32_MAX);
	zone_destroy(&z);
	b.n -= 2;
	buf_str(&b, "y\"\n");
	assert_int_equal(zone_parse(buf_text(&b), &z, &why), RC_SYNTAX);
	assert_string_equal(why, "line 1: text over 64000 bytes");
	free(why);
	buf_fini(&b);
}

static void
test_text_limit(void **state)
{
	struct zone *z;
	char *why;

	(void)state;
	/* refused before a byte is read */
	assert_int_equal(zone_parse(span_of("", (size_t)ZONE_TEXT_MAX + 1), &z, &why), RC_SYNTAX);
	assert_null(z);
	assert_string_equal(why, "line 1: a zone file over 256 MiB");
	free(why);
}

static void
test_number_of_errors(void **state)
{
	(void)state;
	for (int errors = ZONE_ERRORS_MAX; errors <= ZONE_ERRORS_MAX + 1; errors++) {
		struct buf b = buf_heap(64 * KIB);
		struct zone *z;
		char *why;

		for (int i = 0; i < errors; i++)
			buf_str(&b, "x\n");
		assert_int_equal(zone_parse(buf_text(&b), &z, &why), RC_SYNTAX);
		assert_int_equal(strstr(why, "\nline 100: a type is missing") != NULL, 1);
		assert_null(strstr(why, "line 101"));
		assert_int_equal(strstr(why, "\nand 1 more") != NULL, errors > ZONE_ERRORS_MAX);
		free(why);
		buf_fini(&b);
	}
}

static void
test_rrset_limit(void **state)
{
	(void)state;
	for (int count = DNS_ANSWER_RRS_MAX; count <= DNS_ANSWER_RRS_MAX + 1; count++) {
		struct buf b = buf_heap(64 * KIB);
		struct zone *z;

		for (int i = 0; i < count; i++)
			buf_fmt(&b, "a.example A 192.0.%d.%d\n", i / 256, i % 256);
		z = parse_span(buf_text(&b));
		if (count == DNS_ANSWER_RRS_MAX)
			expect(z, "a.example", DNS_A, DNS_OK, (size_t)count, 300);
		else
			expect(z, "a.example", DNS_A, DNS_MALFORMED, 0, 0);
		zone_destroy(&z);
		buf_fini(&b);
	}
}

static void
test_hundred_thousand_records(void **state)
{
	enum { COUNT = 100000 };
	struct buf b = buf_heap(16 * MIB);
	struct zone *z;
	int64_t start;

	(void)state;
	for (int i = 0; i < COUNT; i++)
		buf_fmt(&b, "n%d.d%d.example A 192.0.%d.%d\n", i, i % 1000, i / 256 % 256, i % 256);
	assert_true(buf_ok(&b));
	start = clock_mono_ms();
	z = parse_span(buf_text(&b));
	for (int i = 0; i < COUNT; i++) {
		const struct dns_answer *a;
		char text[64];

		snprintf(text, sizeof text, "n%d.d%d.example", i, i % 1000);
		a = ask(z, text, DNS_A);
		assert_int_equal(a->rr_count, 1);
		assert_int_equal(a->rr[0].ip.b[15], i % 256);
		dns_answer_unref(a);
	}
	print_message("# %d records parsed and asked in %d ms\n", COUNT, (int)(clock_mono_ms() - start));
	expect(z, "d999.example", DNS_A, DNS_NODATA, 0, ZONE_NEGATIVE_TTL_S);
	expect_unknown(z, "d1000.example");
	zone_destroy(&z);
	buf_fini(&b);
}

/* ---- the source ------------------------------------------------------------------------------ */

/* A next source that keeps what it is asked until the test answers it. */
struct held {
	struct dns_source source;
	struct dns_req *reqs[256];
	size_t n, batches;
	bool is_cancelled;
};

static void
held_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	struct held *h = (struct held *)src;

	h->batches++;
	for (size_t i = 0; i < n; i++) {
		reqs[i]->source = src;
		h->reqs[h->n++] = reqs[i];
	}
}

static void
held_cancel(struct dns_source *src, struct dns_req *req)
{
	struct held *h = (struct held *)src;

	for (size_t i = 0; i < h->n; i++) {
		if (h->reqs[i] != req)
			continue;
		h->reqs[i] = NULL;
		h->is_cancelled = true;
		req->answer = dns_answer_status(DNS_CANCELLED, 0, NULL);
		req->done(req);
	}
}

static void
count_done(struct dns_req *req)
{
	assert_non_null(req->answer);
	++*(int *)req->arg;
}

static struct dns_req
req_of(const char *name, uint16_t type, int *done)
{
	return (struct dns_req){ .name = name_of(name), .type = type, .done = count_done, .arg = done };
}

static void
test_source_alone(void **state)
{
	struct dns_source *src = dns_fixture_create(parse("a.example A 192.0.2.1\nout.example 7 CNAME x.test\n"), NULL);
	int done = 0;
	struct dns_req known = req_of("a.example", DNS_A, &done), unknown = req_of("b.example", DNS_A, &done);
	struct dns_req out = req_of("out.example", DNS_A, &done);
	struct dns_req *reqs[] = { &known, &unknown, &out };

	(void)state;
	src->ask(src, reqs, 3);
	assert_int_equal(done, 3);
	assert_int_equal(known.answer->status, DNS_OK);
	assert_int_equal(unknown.answer->status, DNS_NXDOMAIN);
	assert_int_equal(unknown.answer->ttl_s, ZONE_NEGATIVE_TTL_S);
	assert_int_equal(out.answer->status, DNS_NXDOMAIN);
	assert_int_equal(out.answer->ttl_s, 7);
	src->cancel(src, &known);
	for (size_t i = 0; i < 3; i++)
		dns_answer_unref(reqs[i]->answer);
	src->destroy(src);
}

static void
test_source_in_front(void **state)
{
	struct held h = { .source = { .ask = held_ask, .cancel = held_cancel } };
	struct dns_source *src = dns_fixture_create(parse("a.example A 192.0.2.1\nout.example 7 CNAME x.test\n"), &h.source);
	int done = 0;
	struct dns_req known = req_of("a.example", DNS_A, &done), unknown = req_of("b.test", DNS_A, &done);
	struct dns_req out = req_of("out.example", DNS_TXT, &done), out2 = req_of("out.example", DNS_MX, &done);
	struct dns_req *reqs[] = { &unknown, &known, &out, &out2 };
	struct dns_name x = name_of("x.test");
	struct answer_make m;

	(void)state;
	src->ask(src, reqs, 4);
	assert_int_equal(done, 1);
	assert_int_equal(h.n, 3);
	assert_int_equal(h.batches, 1);
	assert_ptr_equal(h.reqs[0], &unknown);
	/* the relay asks for the target and hands the answer on with the lesser TTL */
	assert_true(dns_name_eq(&h.reqs[1]->name, &x));
	assert_int_equal(h.reqs[1]->type, DNS_TXT);
	m = answer_make(DNS_OK, 1, 0, 5);
	m.a->rr[0].text = span_of(memcpy(answer_make_text(&m, 5), "hello", 5), 5);
	answer_make_rr(&m, 100);
	m.a->ttl_s = 100;
	h.reqs[1]->answer = m.a;
	h.reqs[1]->done(h.reqs[1]);
	h.reqs[1] = NULL;
	assert_int_equal(done, 2);
	assert_int_equal(out.answer->ttl_s, 7);
	assert_true(span_eq(out.answer->rr[0].text, SPAN("hello")));
	src->cancel(src, &out);                 /* too late: nothing */
	assert_false(h.is_cancelled);
	src->cancel(src, &out2);
	assert_true(h.is_cancelled);
	assert_int_equal(out2.answer->status, DNS_CANCELLED);
	src->cancel(src, &unknown);
	assert_int_equal(unknown.answer->status, DNS_CANCELLED);
	assert_int_equal(done, 4);
	for (size_t i = 0; i < 4; i++)
		dns_answer_unref(reqs[i]->answer);
	src->destroy(src);
}

static void
test_source_many_at_once(void **state)
{
	struct held h = { .source = { .ask = held_ask, .cancel = held_cancel } };
	struct dns_source *src = dns_fixture_create(parse("out.example CNAME x.test\n"), &h.source);
	struct dns_req reqs[130], *v[130];
	int done = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(reqs); i++) {
		reqs[i] = req_of(i % 2 ? "other.test" : "out.example", DNS_A, &done);
		v[i] = &reqs[i];
	}
	src->ask(src, v, ARRAY_LEN(v));
	assert_int_equal(h.n, 130);
	assert_int_equal(h.batches, 3);         /* 64 + 64 + 2 */
	for (size_t i = 1; i < ARRAY_LEN(reqs); i += 2)
		src->cancel(src, &reqs[i]);
	src->destroy(src);                      /* cancels the relays */
	assert_int_equal(done, 130);
	for (size_t i = 0; i < ARRAY_LEN(reqs); i++) {
		assert_int_equal(reqs[i].answer->status, DNS_CANCELLED);
		dns_answer_unref(reqs[i].answer);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_types), cmocka_unit_test(test_odd_names), cmocka_unit_test(test_existence),
		cmocka_unit_test(test_wildcards), cmocka_unit_test(test_specials), cmocka_unit_test(test_cnames),
		cmocka_unit_test(test_cname_limit), cmocka_unit_test(test_errors), cmocka_unit_test(test_limits_of_lines),
		cmocka_unit_test(test_text_limit), cmocka_unit_test(test_number_of_errors), cmocka_unit_test(test_rrset_limit),
		cmocka_unit_test(test_hundred_thousand_records), cmocka_unit_test(test_source_alone),
		cmocka_unit_test(test_source_in_front), cmocka_unit_test(test_source_many_at_once),
	};

	return cmocka_run_group_tests_name("dns_fixture", tests, NULL, NULL);
}
