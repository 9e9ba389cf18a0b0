/* ip: parsing, printing, networks and sets of ranges. */
#include "t/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/ip.h"

static struct ip
ip_of(const char *text)
{
	struct span s = exact(text);
	struct ip ip;

	if (ip_parse(s, &ip) != RC_OK)
		fail_msg("ip_of(%s)", text);
	exact_free(s);
	return ip;
}

static void
test_parse(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "10.20.100.9", "10.20.100.9" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },
		{ "::ffff:c000:201", "192.0.2.1" },
		{ "::192.0.2.1", "::c000:201" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },    /* RFC 5952 4.2.2: a single zero stays */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },             /* 4.2.3: the longest run */
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },       /* the first of equals */
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "0:0:3:4:5:6:7:8", "::3:4:5:6:7:8" },
		{ "2001:0db8:00a0:000b::", "2001:db8:a0:b::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "", NULL }, { ".", NULL }, { "1", NULL }, { "1.2.3", NULL }, { "1.2.3.4.", NULL }, { "1.2.3.4.5", NULL },
		{ ".1.2.3", NULL }, { "1..2.3", NULL }, { "256.0.0.1", NULL }, { "1.2.3.256", NULL }, { "01.2.3.4", NULL },
		{ "1.2.3.00", NULL }, { "1.2.3.0000", NULL }, { "+1.2.3.4", NULL }, { "1.2.3.4 ", NULL }, { " 1.2.3.4", NULL },
		{ "1.2.3.4/8", NULL }, { "0x1.2.3.4", NULL }, { "1.2.3.a", NULL }, { "4294967297.0.0.1", NULL },
		{ ":", NULL }, { ":::", NULL }, { "1::2::3", NULL }, { "1:2:3:4:5:6:7", NULL }, { "1:2:3:4:5:6:7:8:9", NULL },
		{ "12345::", NULL }, { "g::", NULL }, { "fe80::1%eth0", NULL }, { "[::1]", NULL }, { "::1/64", NULL },
		{ "::1.2.3", NULL }, { "::1.2.3.400", NULL },
		{ "0000:0000:0000:0000:0000:0000:255.255.255.255", "::ffff:ffff" },      /* 45 bytes: the longest there is */
		{ "0000:0000:0000:0000:0000:0000:255.255.255.2555", NULL },
	};
	char text[IP_TEXT_MAX];
	struct ip ip;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);
		enum rc rc = ip_parse(s, &ip);

		if (rc != (rows[i].want ? RC_OK : RC_SYNTAX))
			fail_msg("\"%s\": %s", rows[i].in, rc_name(rc));
		assert_int_equal(ip.is_set, rows[i].want != NULL);
		n = ip_print(&ip, text);
		assert_int_equal(n, strlen(text));
		assert_string_equal(text, rows[i].want ? rows[i].want : "");
		exact_free(s);
	}
	assert_int_equal(ip_parse(SPAN("1.2.3.4\0"), &ip), RC_SYNTAX);
	assert_int_equal(ip_parse(SPAN("::1\0"), &ip), RC_SYNTAX);
	assert_int_equal(ip_parse(SPAN_NULL, &ip), RC_SYNTAX);
	assert_int_equal(ip4_parse(SPAN("::1"), &ip), RC_SYNTAX);
	assert_int_equal(ip6_parse(SPAN("192.0.2.1"), &ip), RC_SYNTAX);
}

/* Print and parse are inverse, for addresses with every pattern of zero groups. */
static void
test_print_round_trip(void **state)
{
	char text[IP_TEXT_MAX];
	unsigned pattern, i;

	(void)state;
	for (pattern = 0; pattern < 256; pattern++) {
		struct ip a = { .is_set = true }, b;
		char system[INET6_ADDRSTRLEN];

		for (i = 0; i < 8; i++) {
			a.b[2 * i] = pattern >> i & 1 ? 0x1a : 0;
			a.b[2 * i + 1] = pattern >> i & 1 ? 0xb0 : 0;
		}
		ip_print(&a, text);
		assert_int_equal(ip6_parse(span_cstr(text), &b), RC_OK);
		assert_true(ip_eq(&a, &b));
		/* The C library agrees, but for its dotted form of ::/96. */
		assert_non_null(inet_ntop(AF_INET6, a.b, system, sizeof system));
		if (strchr(system, '.') == NULL)
			assert_string_equal(text, system);
	}
}

static void
test_sockaddr(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct ip ip, want = ip_of("192.0.2.7");

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
	ip = ip_from_sockaddr((const struct sockaddr *)&in);
	assert_true(ip_eq(&ip, &want));
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
	ip = ip_from_sockaddr((const struct sockaddr *)&in6);
	assert_true(ip_eq(&ip, &want) && ip_is_v4(&ip));
	inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
	ip = ip_from_sockaddr((const struct sockaddr *)&in6);
	want = ip_of("2001:db8::7");
	assert_true(ip_eq(&ip, &want) && !ip_is_v4(&ip));
	ip = ip_from_sockaddr(&other);
	assert_false(ip.is_set || ip_is_v4(&ip) || ip_eq(&ip, &ip));
	ip = ip_from_sockaddr(NULL);
	assert_false(ip.is_set);
}

static void
test_in_net(void **state)
{
	static const struct { const char *ip, *net; unsigned bits; bool want; } rows[] = {
		{ "192.0.2.1", "192.0.2.1", 32, true },
		{ "192.0.2.1", "192.0.2.0", 32, false },
		{ "192.0.2.1", "192.0.2.0", 31, true },
		{ "192.0.2.255", "192.0.2.0", 24, true },
		{ "192.0.3.0", "192.0.2.0", 24, false },
		{ "192.0.3.0", "192.0.2.0", 23, true },
		{ "1.2.3.4", "200.0.0.0", 0, true },
		{ "1.2.3.4", "200.0.0.0", 1, false },
		{ "1.2.3.4", "1.2.3.4", 33, false },
		{ "::ffff:192.0.2.1", "192.0.2.0", 24, true },
		{ "2001:db8::1", "2001:db8::", 32, true },
		{ "2001:db9::1", "2001:db8::", 32, false },
		{ "2001:db9::1", "2001:db8::", 31, true },
		{ "2001:db8::1", "2001:db8::1", 128, true },
		{ "2001:db8::1", "2001:db8::", 128, false },
		{ "2001:db8::1", "2001:db8::", 127, true },
		{ "2001:db8::1", "2001:db8::1", 129, false },
		{ "2001:db8::1", "::", 0, true },
		{ "192.0.2.1", "::", 0, false },                /* families never match */
		{ "2001:db8::1", "0.0.0.0", 0, false },
	};
	struct ip unset = { 0 }, any = ip_of("0.0.0.0");
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip ip = ip_of(rows[i].ip), net = ip_of(rows[i].net);

		if (ip_in_net(&ip, &net, rows[i].bits) != rows[i].want)
			fail_msg("%s in %s/%u", rows[i].ip, rows[i].net, rows[i].bits);
	}
	assert_false(ip_in_net(&unset, &any, 0));
	assert_false(ip_in_net(&any, &unset, 0));
}

static void
test_set_table(void **state)
{
	static const struct { const char *ranges, *in, *out; } rows[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.0 192.0.2.2 ::1" },
		{ "192.0.2.77/24", "192.0.2.0 192.0.2.255", "192.0.1.255 192.0.3.0" },
		{ "0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", "::1 ::" },
		{ "::/0", "::1 ffff::", "1.2.3.4 ::ffff:1.2.3.4" },
		{ "::ffff:192.0.2.0/120", "192.0.2.0 192.0.2.255", "192.0.3.0 ::1" },
		{ "::ffff:192.0.2.9", "192.0.2.9", "192.0.2.8" },
		{ "::ffff:0.0.0.0/95", "::fffe:1.2.3.4", "1.2.3.4" },
		{ "2001:db8::/32", "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:ffff:: 2001:db9::" },
		{ "192.0.2.10-192.0.2.20", "192.0.2.10 192.0.2.15 192.0.2.16 192.0.2.20", "192.0.2.9 192.0.2.21" },
		{ "192.0.2.10 - 192.0.2.10", "192.0.2.10", "192.0.2.9 192.0.2.11" },
		{ "0.0.0.1-255.255.255.254", "0.0.0.1 128.0.0.0 255.255.255.254", "0.0.0.0 255.255.255.255" },
		{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4" },
		{ "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "::1 8000::", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "10.0.0.0/8,10.1.0.0/16,10.0.0.0/8", "10.1.2.3 10.255.0.0", "11.0.0.0" },
		{ "10.1.0.0/16,10.0.0.0/8", "10.1.2.3 10.255.0.0", "11.0.0.0" },           /* wider after narrower */
		{ "10.0.0.0/16,10.128.0.0/16,10.0.0.0/8", "10.77.0.1", "9.0.0.0" },       /* wider onto a fork */
		{ "1.0.0.0/8,200.0.0.0/8,0.0.0.0/0", "77.0.0.1", "::" },
		{ "127.0.0.1,::1", "127.0.0.1 ::1", "127.0.0.2 ::2 ::" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct ip_set *set = ip_set_create();
		struct span list = span_cstr(rows[i].ranges), piece;
		const char *why;
		size_t n = 0;
		int pass;

		while (span_split(&list, ',', &piece)) {
			struct span s = exact_n(piece.p, piece.n);

			assert_int_equal(ip_set_add(set, s, &why), RC_OK);
			assert_null(why);
			exact_free(s);
			n++;
		}
		assert_int_equal(ip_set_count(set), n);
		for (pass = 0; pass < 2; pass++) {
			list = span_cstr(pass == 0 ? rows[i].in : rows[i].out);
			while (span_split(&list, ' ', &piece)) {
				struct ip ip;

				assert_int_equal(ip_parse(piece, &ip), RC_OK);
				if (ip_set_has(set, &ip) != (pass == 0))
					fail_msg("%s: %.*s", rows[i].ranges, SPAN_ARGS(piece));
			}
		}
		ip_set_destroy(&set);
		assert_null(set);
	}
}

static void
test_set_refuses(void **state)
{
	static const char *const rows[] = {
		"", " ", "/", "-", "x", "192.0.2", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/024", "192.0.2.1/2x",
		"192.0.2.1/24/24", "::/129", "::1/", "192.0.2.1-", "-192.0.2.1", "192.0.2.2-192.0.2.1", "192.0.2.1-::1",
		"::1-192.0.2.1", "192.0.2.1-192.0.2.3-192.0.2.9", "192.0.2.0/24-192.0.2.9", "192.0.2.1 192.0.2.2", "192.0.2.1,",
		"example.org", "192.0.2.1/4294967320", "::ffff:1.2.3.4/129",
	};
	struct ip_set *set = ip_set_create(), *none = NULL;
	struct ip any = ip_of("192.0.2.1"), unset = { 0 };
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i]);

		if (ip_set_add(set, s, &why) != RC_SYNTAX || why == NULL)
			fail_msg("accepted: \"%s\"", rows[i]);
		exact_free(s);
	}
	assert_int_equal(ip_set_count(set), 0);
	assert_false(ip_set_has(set, &any));
	assert_int_equal(ip_set_add(set, SPAN("0.0.0.0/0"), &why), RC_OK);
	assert_true(ip_set_has(set, &any));
	assert_false(ip_set_has(set, &unset));
	assert_false(ip_set_has(NULL, &any));
	assert_int_equal(ip_set_count(NULL), 0);
	ip_set_destroy(&set);
	ip_set_destroy(&none);
}

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Every range of a small universe (10.0.0.0/26) against plain comparison. */
static void
test_set_every_small_range(void **state)
{
	unsigned lo, hi, at;

	(void)state;
	for (lo = 0; lo < 64; lo++) {
		for (hi = lo; hi < 64; hi++) {
			struct ip_set *set = ip_set_create();
			char text[64];
			const char *why;

			snprintf(text, sizeof text, "10.0.0.%u-10.0.0.%u", lo, hi);
			assert_int_equal(ip_set_add(set, span_cstr(text), &why), RC_OK);
			for (at = 0; at < 66; at++) {
				struct ip ip = ip_of("10.0.0.0");

				ip.b[15] = (uint8_t)at;
				assert_int_equal(ip_set_has(set, &ip), at >= lo && at <= hi);
			}
			ip_set_destroy(&set);
		}
	}
}

/* Random prefixes, checked against a list that is searched from end to end. */
static void
test_set_against_list(void **state)
{
	enum { RANGES = 300, PROBES = 20000 };
	static struct { struct ip net; unsigned bits; } list[RANGES];
	struct ip_set *set = ip_set_create();
	uint64_t seed = 42;
	unsigned i, j, hits = 0;

	(void)state;
	for (i = 0; i < RANGES; i++) {
		char text[IP_TEXT_MAX], range[64];
		const char *why;

		list[i].net = ip_of("10.0.0.0");
		list[i].net.b[13] = (uint8_t)(next_random(&seed) % 4);
		list[i].net.b[14] = (uint8_t)next_random(&seed);
		list[i].net.b[15] = (uint8_t)next_random(&seed);
		list[i].bits = 18 + next_random(&seed) % 15;
		ip_print(&list[i].net, text);
		snprintf(range, sizeof range, "%s/%u", text, list[i].bits);
		assert_int_equal(ip_set_add(set, span_cstr(range), &why), RC_OK);
	}
	for (i = 0; i < PROBES; i++) {
		struct ip ip = ip_of("10.0.0.0");
		bool want = false;

		ip.b[13] = (uint8_t)(next_random(&seed) % 4);
		ip.b[14] = (uint8_t)next_random(&seed);
		ip.b[15] = (uint8_t)next_random(&seed);
		for (j = 0; j < RANGES && !want; j++)
			want = ip_in_net(&ip, &list[j].net, list[j].bits);
		hits += want;
		assert_int_equal(ip_set_has(set, &ip), want);
	}
	assert_in_range(hits, PROBES / 20, PROBES - 1);         /* the comparison saw both answers */
	ip_set_destroy(&set);
}

/* 100,000 ranges of both families: seconds would show a cost that grows with their number. */
static void
test_set_many(void **state)
{
	enum { MANY = 100000 };
	struct ip_set *set = ip_set_create();
	uint64_t seed = 7;
	int64_t start = clock_mono_ms();
	struct ip ip = ip_of("2001:db8::");
	unsigned i, hits = 0;

	(void)state;
	for (i = 0; i < MANY; i++) {
		char text[64];
		const char *why;
		uint32_t a = next_random(&seed), b = next_random(&seed);

		if (i % 2)
			snprintf(text, sizeof text, "%u.%u.%u.0/24", 1 + a % 200, a >> 8 & 255, a >> 16 & 255);
		else
			snprintf(text, sizeof text, "2001:%x:%x:%x::/64", a & 0xffff, a >> 16, b & 0xffff);
		assert_int_equal(ip_set_add(set, span_cstr(text), &why), RC_OK);
	}
	assert_int_equal(ip_set_count(set), MANY);
	for (i = 0; i < 1000000; i++) {
		memcpy(ip.b + 2, &seed, 8);
		next_random(&seed);
		hits += ip_set_has(set, &ip);
	}
	assert_true(hits < 1000000);
	assert_true(clock_mono_ms() - start < 20000);
	ip_set_destroy(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_print_round_trip),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_in_net),
		cmocka_unit_test(test_set_table),
		cmocka_unit_test(test_set_refuses),
		cmocka_unit_test(test_set_every_small_range),
		cmocka_unit_test(test_set_against_list),
		cmocka_unit_test(test_set_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
