/* test_dns_name - names in wire form, words of types and statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/xalloc.h"
#include "common/dns/dns.h"

#define L9 "abcdefghi"
#define L63 L9 L9 L9 L9 L9 L9 L9
/* 63 + 1 + 63 + 1 + 63 + 1 + 61 = 253 bytes of text, 255 on the wire. */
#define NAME253 L63 "." L63 "." L63 "." L9 L9 L9 L9 L9 L9 "abcdefg"

/* An exact copy without a NUL behind it. */
static enum rc
from_text(struct span s, struct dns_name *out)
{
	char *copy = xmalloc(MAX(s.n, (size_t)1));
	enum rc rc;

	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	rc = dns_name_from_text(span_of(copy, s.n), out);
	free(copy);
	return rc;
}

static void
test_from_text(void **state)
{
	static const struct { struct span text; enum rc rc; struct span wire; } table[] = {
		{ SPAN("a"), RC_OK, SPAN("\1a\0") },
		{ SPAN("A.Example"), RC_OK, SPAN("\1a\7example\0") },
		{ SPAN("a.example."), RC_OK, SPAN("\1a\7example\0") },
		{ SPAN("a\\.b"), RC_OK, SPAN("\2a\\\1b\0") },
		{ SPAN("a b.\"x"), RC_OK, SPAN("\3a b\2\"x\0") },
		{ SPAN("\xc3\x9c"), RC_OK, SPAN("\2\xc3\x9c\0") },
		{ SPAN(L63), RC_OK, SPAN("\x3f" L63 "\0") },
		{ SPAN(L63 "x"), RC_SYNTAX, SPAN_NULL },
		{ SPAN(""), RC_SYNTAX, SPAN_NULL },
		{ SPAN("."), RC_SYNTAX, SPAN_NULL },
		{ SPAN(".."), RC_SYNTAX, SPAN_NULL },
		{ SPAN(".a"), RC_SYNTAX, SPAN_NULL },
		{ SPAN("a..b"), RC_SYNTAX, SPAN_NULL },
		{ SPAN("a.."), RC_SYNTAX, SPAN_NULL },
		{ SPAN("a\0b.c"), RC_SYNTAX, SPAN_NULL },
		{ SPAN("a.\0"), RC_SYNTAX, SPAN_NULL },
		{ SPAN(NAME253 "x"), RC_SYNTAX, SPAN_NULL },
		{ SPAN(NAME253 "x."), RC_SYNTAX, SPAN_NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct dns_name name;

		memset(&name, 0xee, sizeof name);
		assert_int_equal(from_text(table[i].text, &name), table[i].rc);
		if (table[i].rc != RC_OK) {
			assert_int_equal(name.n, 0xee);         /* untouched */
			continue;
		}
		/* SPAN counts the written \0, not the literal's own */
		assert_int_equal(name.n, table[i].wire.n);
		assert_memory_equal(name.w, table[i].wire.p, name.n);
	}
}

static void
test_length_limits(void **state)
{
	struct dns_name name;
	struct buf b = buf_heap(4 * KIB);

	(void)state;
	assert_int_equal(sizeof NAME253 - 1, 253);
	assert_int_equal(from_text(SPAN(NAME253), &name), RC_OK);
	assert_int_equal(name.n, DNS_NAME_WIRE_MAX);
	assert_int_equal(from_text(SPAN(NAME253 "."), &name), RC_OK);
	assert_int_equal(name.n, DNS_NAME_WIRE_MAX);
	dns_name_print(&b, &name);
	assert_string_equal(buf_text(&b).p, NAME253);
	/* 127 labels of one byte are 255 bytes on the wire; 128 are too many. */
	for (int labels = 127; labels <= 128; labels++) {
		char text[2 * 128];

		for (int i = 0; i < labels; i++) {
			text[2 * i] = 'x';
			text[2 * i + 1] = '.';
		}
		assert_int_equal(from_text(span_of(text, (size_t)labels * 2 - 1), &name), labels == 127 ? RC_OK : RC_SYNTAX);
	}
	buf_fini(&b);
}

static void
test_print(void **state)
{
	static const struct { struct span text; const char *printed; } table[] = {
		{ SPAN("Mail.Example."), "mail.example" },
		{ SPAN("_spf.a-b.0"), "_spf.a-b.0" },
		{ SPAN("a\\b"), "a\\092b" },
		{ SPAN("\"x y\";"), "\\034x\\032y\\034\\059" },
		{ SPAN("\x01\x7f\xff"), "\\001\\127\\255" },
		{ SPAN("a=b+c/d%{x}"), "a=b+c/d%{x}" },
		{ SPAN("#$@()"), "\\035\\036\\064\\040\\041" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf b = buf_heap(4 * KIB);
		struct dns_name name;

		assert_int_equal(from_text(table[i].text, &name), RC_OK);
		dns_name_print(&b, &name);
		assert_string_equal(buf_text(&b).p, table[i].printed);
		buf_fini(&b);
	}
}

static void
test_print_dot_and_root(void **state)
{
	struct dns_name dotted = { .n = 6, .w = { 2, 'a', '.', 1, 'b', 0 } };
	struct dns_name root = { .n = 1, .w = { 0 } };
	struct buf b = buf_heap(64);

	(void)state;
	dns_name_print(&b, &dotted);
	buf_byte(&b, ' ');
	dns_name_print(&b, &root);
	assert_string_equal(buf_text(&b).p, "a\\..b .");
	buf_fini(&b);
}

static void
test_plain(void **state)
{
	static const struct { struct dns_name name; enum rc rc; const char *text; } table[] = {
		{ { 5, { 3, 'a', '-', 'b', 0 } }, RC_OK, "a-b" },
		{ { 7, { 1, 'a', 3, 'b', '\\', '"', 0 } }, RC_OK, "a.b\\\"" },
		{ { 1, { 0 } }, RC_OK, "." },
		{ { 5, { 3, 'a', '.', 'b', 0 } }, RC_SYNTAX, NULL },
		{ { 5, { 3, 'a', ' ', 'b', 0 } }, RC_SYNTAX, NULL },
		{ { 5, { 3, 'a', 0, 'b', 0 } }, RC_SYNTAX, NULL },
		{ { 5, { 3, 'a', 0x7e, 'b', 0 } }, RC_OK, "a~b" },
		{ { 5, { 3, 'a', 0x7f, 'b', 0 } }, RC_SYNTAX, NULL },
		{ { 5, { 3, 'a', 0xc3, 'b', 0 } }, RC_SYNTAX, NULL },
	};
	struct arena a;

	(void)state;
	arena_init(&a, 256, 4 * KIB);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct span text;

		assert_int_equal(dns_name_plain(&a, &table[i].name, &text), table[i].rc);
		if (table[i].rc == RC_OK)
			assert_true(span_eq(text, span_cstr(table[i].text)));
		arena_reset(&a);
	}
	a.fail_at = a.count + 1;
	assert_int_equal(dns_name_plain(&a, &table[0].name, &(struct span){ 0 }), RC_LIMIT);
	arena_fini(&a);
}

static void
test_eq(void **state)
{
	struct dns_name a, b;

	(void)state;
	assert_int_equal(from_text(SPAN("A.example"), &a), RC_OK);
	assert_int_equal(from_text(SPAN("a.EXAMPLE."), &b), RC_OK);
	assert_true(dns_name_eq(&a, &b));
	assert_int_equal(from_text(SPAN("a.examplf"), &b), RC_OK);
	assert_false(dns_name_eq(&a, &b));
	assert_int_equal(from_text(SPAN("a.example.b"), &b), RC_OK);
	assert_false(dns_name_eq(&a, &b));
}

static void
test_reverse(void **state)
{
	static const struct { struct ip ip; const char *text; } table[] = {
		{ { { [10] = 0xff, 0xff, 192, 0, 2, 105 }, true }, "105.2.0.192.in-addr.arpa" },
		{ { { [10] = 0xff, 0xff, 255, 99, 10, 9 }, true }, "9.10.99.255.in-addr.arpa" },
		{ { { 0x20, 0x01, 0x0d, 0xb8, [15] = 0xcb }, true },
		  "b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct buf b = buf_heap(KIB);
		struct dns_name name;

		dns_name_reverse(&table[i].ip, &name);
		dns_name_print(&b, &name);
		assert_string_equal(buf_text(&b).p, table[i].text);
		buf_fini(&b);
	}
}

static void
test_words(void **state)
{
	static const uint16_t known[] = { DNS_A, DNS_NS, DNS_CNAME, DNS_SOA, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA };
	uint16_t type = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		assert_true(dns_type_parse(span_cstr(dns_type_name(known[i])), &type));
		assert_int_equal(type, known[i]);
	}
	assert_true(dns_type_parse(SPAN("aaaa"), &type));
	assert_int_equal(type, DNS_AAAA);
	assert_false(dns_type_parse(SPAN("AAAAA"), &type));
	assert_false(dns_type_parse(SPAN(""), &type));
	assert_string_equal(dns_type_name(99), "TYPE");
	for (int s = DNS_OK; s <= DNS_CANCELLED; s++)
		for (int other = DNS_OK; other < s; other++)
			assert_string_not_equal(dns_status_name((enum dns_status)s), dns_status_name((enum dns_status)other));
	assert_false(dns_status_is_temporary(DNS_OK));
	assert_false(dns_status_is_temporary(DNS_NODATA));
	assert_false(dns_status_is_temporary(DNS_NXDOMAIN));
	assert_false(dns_status_is_temporary(DNS_LIMIT));
	assert_true(dns_status_is_temporary(DNS_SERVFAIL));
	assert_true(dns_status_is_temporary(DNS_TIMEOUT));
	assert_true(dns_status_is_temporary(DNS_BOGUS));
	assert_true(dns_status_is_temporary(DNS_MALFORMED));
	assert_true(dns_status_is_temporary(DNS_CANCELLED));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_text), cmocka_unit_test(test_length_limits),
		cmocka_unit_test(test_print), cmocka_unit_test(test_print_dot_and_root),
		cmocka_unit_test(test_plain), cmocka_unit_test(test_eq),
		cmocka_unit_test(test_reverse), cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("dns_name", tests, NULL, NULL);
}
