/* test_cache_key - keys: there and back, zones as ranges, names that try to look like others, the limit of 511 bytes. */
#include "t/unit/unit.h"

#include "cache/cache_key.h"
#include "common/base/buf.h"

static struct dns_name
name_of(const char *text)
{
	struct dns_name name = { .n = 1 };

	if (text[0] != '\0' && dns_name_from_text(span_cstr(text), &name) != RC_OK)
		fail_msg("bad name %s", text);
	return name;
}

/* A wire name from labels that may hold any byte. */
static struct dns_name
name_of_labels(const struct span *labels, size_t n)
{
	struct dns_name name = { 0 };
	size_t at = 0, i;

	for (i = 0; i < n; i++) {
		name.w[at++] = (uint8_t)labels[i].n;
		memcpy(name.w + at, labels[i].p, labels[i].n);
		at += labels[i].n;
	}
	name.n = (uint8_t)(at + 1);
	return name;
}

static struct cache_key
key_of(const struct dns_name *name, uint16_t type)
{
	struct cache_key k;

	assert_int_equal(cache_key_dns(name, type, &k), RC_OK);
	return k;
}

static enum rc
parse_exact(const struct cache_key *k, size_t n, struct cache_key_parts *out)
{
	struct span copy = exact_n(k->b, n);
	enum rc rc = cache_key_parse(copy, out);

	exact_free(copy);
	return rc;
}

static void
test_bytes(void **state)
{
	static const char want[] = "Dorg\0example\0www\0\0\0\020";
	struct dns_name name = name_of("www.example.org");
	struct cache_key k = key_of(&name, DNS_TXT);

	(void)state;
	assert_int_equal(k.n, sizeof want - 1);
	assert_memory_equal(k.b, want, k.n);
}

static void
test_dns_there_and_back(void **state)
{
	static const char *const names[] = { "", "a", "example.org", "_dmarc.example.org", "a.b.c.d.e.f", "\x01\x02.x", "x y.z\\.q" };
	struct cache_key_parts parts;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct dns_name name = name_of(names[i]);
		struct cache_key k = key_of(&name, (uint16_t)(i * 9999));

		assert_int_equal(parse_exact(&k, k.n, &parts), RC_OK);
		assert_int_equal(parts.kind, CACHE_DNS);
		assert_int_equal(parts.type, (uint16_t)(i * 9999));
		assert_true(dns_name_eq(&parts.name, &name));
	}
}

static void
test_result_there_and_back(void **state)
{
	static const char *const clients[] = { "192.0.2.1", "2001:db8::1", NULL };
	struct dns_name name = name_of("example.org");
	struct cache_key_parts parts;
	struct cache_key k, other;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		struct ip ip = { .is_set = false };

		if (clients[i] != NULL)
			assert_int_equal(ip_parse(span_cstr(clients[i]), &ip), RC_OK);
		assert_int_equal(cache_key_result(CACHE_R_SPF, 0x1234, 0xfedcba9876543210u, &ip, &name, &k), RC_OK);
		assert_int_equal(parse_exact(&k, k.n, &parts), RC_OK);
		assert_int_equal(parts.kind, CACHE_RESULT);
		assert_int_equal(parts.what, CACHE_R_SPF);
		assert_int_equal(parts.version, 0x1234);
		assert_true(parts.digest == 0xfedcba9876543210u);
		assert_int_equal(parts.client.is_set, ip.is_set);
		assert_true(!ip.is_set || ip_eq(&parts.client, &ip));
		assert_true(dns_name_eq(&parts.name, &name));
		assert_int_equal(cache_key_result(CACHE_R_SPF, 0x1235, 0xfedcba9876543210u, &ip, &name, &other), RC_OK);
		assert_memory_not_equal(k.b, other.b, k.n);
		assert_int_equal(cache_key_result(CACHE_R_SPF, 0x1234, 0xfedcba9876543211u, &ip, &name, &other), RC_OK);
		assert_memory_not_equal(k.b, other.b, k.n);
	}
}

static bool
is_in_zone(const struct dns_name *zone, const struct dns_name *name)
{
	struct cache_key k = key_of(name, DNS_A), prefix, result, result_prefix;
	struct ip nobody = { .is_set = false };
	bool is_in;

	assert_int_equal(cache_key_zone(CACHE_DNS, zone, &prefix), RC_OK);
	is_in = span_starts(cache_key_span(&k), cache_key_span(&prefix));
	assert_int_equal(cache_key_result(CACHE_R_SPF, 1, 0, &nobody, name, &result), RC_OK);
	assert_int_equal(cache_key_zone(CACHE_RESULT, zone, &result_prefix), RC_OK);
	assert_int_equal(span_starts(cache_key_span(&result), cache_key_span(&result_prefix)), is_in);
	assert_false(span_starts(cache_key_span(&result), cache_key_span(&prefix)));
	return is_in;
}

static void
test_zone_is_a_prefix(void **state)
{
	static const struct {
		const char *zone, *name;
		bool is_in;
	} cases[] = {
		{ "example.org", "example.org", true },
		{ "example.org", "www.example.org", true },
		{ "example.org", "a.b.c.example.org", true },
		{ "example.org", "example.organic", false },
		{ "example.org", "myexample.org", false },
		{ "example.org", "example2.org", false },
		{ "example.org", "org", false },
		{ "example.org", "example.org.example.com", false },
		{ "example.org", "org.example", false },
		{ "org", "example.org", true },
		{ "", "example.org", true },
		{ "", "", true },
		{ "example.org", "", false },
		{ "\x01.org", "a.\x01.org", true },
		{ "\x01.org", "\x02.org", false },
		{ "\x01.org", "\x01\x01.org", false },
		{ "\x01.org", "\x01\x02.org", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dns_name zone = name_of(cases[i].zone), name = name_of(cases[i].name);

		if (is_in_zone(&zone, &name) != cases[i].is_in)
			fail_msg("%s in %s: not %d", cases[i].name, cases[i].zone, cases[i].is_in);
	}
}

/* NUL bytes inside labels cannot imitate the end of a label or of a name. */
static void
test_no_imitation(void **state)
{
	const struct span label[] = {
		SPAN("org\0example"), SPAN("org"), SPAN("example"), SPAN("\0"), SPAN("\x01"), SPAN("\x01\x01"), SPAN("\x01\x02"),
		SPAN("\0\0"), SPAN("org\0"), SPAN("\0org"), SPAN("org\x01\x01"),
	};
	struct cache_key keys[ARRAY_LEN(label) * (ARRAY_LEN(label) + 1)];
	struct cache_key_parts parts;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(label); i++)
		for (size_t j = 0; j <= ARRAY_LEN(label); j++) {
			struct span both[2] = { label[i], j < ARRAY_LEN(label) ? label[j] : SPAN("") };
			struct dns_name name = name_of_labels(both, j < ARRAY_LEN(label) ? 2 : 1);

			keys[n] = key_of(&name, 1);
			assert_int_equal(parse_exact(&keys[n], keys[n].n, &parts), RC_OK);
			assert_true(dns_name_eq(&parts.name, &name));
			for (size_t k = 0; k < n; k++)
				assert_false(span_eq(cache_key_span(&keys[k]), cache_key_span(&keys[n])));
			n++;
		}
}

/* The longest name there can be, each byte of which needs an escape. */
static void
test_longest_dns_key_fits(void **state)
{
	static const char zeroes[63] = { 0 };
	const struct span labels[] = { { zeroes, 63 }, { zeroes, 63 }, { zeroes, 63 }, { zeroes, 61 } };
	struct dns_name name = name_of_labels(labels, 4);
	struct cache_key_parts parts;
	struct cache_key k;

	(void)state;
	assert_int_equal(name.n, DNS_NAME_WIRE_MAX);
	k = key_of(&name, DNS_TXT);
	assert_int_equal(k.n, 1 + 2 * 250 + 4 + 1 + 2);
	assert_true(k.n <= CACHE_KEY_MAX);
	assert_int_equal(parse_exact(&k, k.n, &parts), RC_OK);
	assert_true(dns_name_eq(&parts.name, &name));
}

/* A result's key of exactly 511 bytes fits, one more does not. */
static void
test_limit(void **state)
{
	static const char zeroes[63] = { 0 };
	struct ip nobody = { .is_set = false };
	char last[63] = { 0 };
	struct cache_key k;

	(void)state;
	memset(last + 49, 'a', sizeof last - 49);
	for (size_t letters = 1; letters <= 6; letters++) {
		struct span labels[] = { { zeroes, 63 }, { zeroes, 63 }, { zeroes, 63 }, { last, 49 + letters } };
		struct dns_name name = name_of_labels(labels, 4);
		size_t n = 1 + 2 * (3 * 63 + 49) + letters + 4 + 1 + 27;

		assert_int_equal(cache_key_result(CACHE_R_SPF, 1, 0, &nobody, &name, &k), n <= CACHE_KEY_MAX ? RC_OK : RC_LIMIT);
		assert_true(n > CACHE_KEY_MAX || k.n == n);
		assert_true(letters != 2 || n == CACHE_KEY_MAX);
	}
}

static void
test_parse_refuses(void **state)
{
	static const struct {
		const char *why;
		struct span key;
	} cases[] = {
		{ "empty", { "", 0 } },
		{ "unknown kind", SPAN("Xorg\0\0\0\1") },
		{ "kind alone", SPAN("D") },
		{ "no end of name", SPAN("Dorg\0") },
		{ "no end of label", SPAN("Dorg") },
		{ "no type", SPAN("Dorg\0\0") },
		{ "half a type", SPAN("Dorg\0\0\1") },
		{ "too much", SPAN("Dorg\0\0\0\1x") },
		{ "escape at the end", SPAN("Dorg\1") },
		{ "wrong escape", SPAN("Dorg\1\3\0\0\0\1") },
		{ "escape of nothing", SPAN("Dorg\1\0\0\0\1") },
		{ "upper case", SPAN("DOrg\0\0\0\1") },
		{ "result without tail", SPAN("Rorg\0\0") },
		{ "result of unknown kind", SPAN("Rorg\0\0z\0\1aaaaaaaabbbbbbbbbbbbbbbb") },
		{ "result cut", SPAN("Rorg\0\0s\0\1aaaaaaaabbbbbbbbbbbbbbb") },
	};
	struct cache_key_parts parts;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span copy = exact_n(cases[i].key.p, cases[i].key.n);

		if (cache_key_parse(copy, &parts) != RC_SYNTAX)
			fail_msg("%s was accepted", cases[i].why);
		exact_free(copy);
	}
}

/* Labels of 64 bytes and names of 256 are not names. */
static void
test_parse_limits(void **state)
{
	uint8_t b[CACHE_KEY_MAX + 1];
	struct cache_key_parts parts;
	size_t n;

	(void)state;
	for (size_t len = 63; len <= 64; len++) {
		b[0] = 'D';
		memset(b + 1, 'a', len);
		memcpy(b + 1 + len, "\0\0\0\1", 4);
		assert_int_equal(cache_key_parse(span_of((char *)b, 5 + len), &parts), len == 63 ? RC_OK : RC_SYNTAX);
	}
	for (size_t last = 61; last <= 62; last++) {
		for (b[0] = 'D', n = 1; n < 1 + 3 * 64; n += 64) {
			memset(b + n, 'a', 63);
			b[n + 63] = 0;
		}
		memset(b + n, 'a', last);
		memcpy(b + n + last, "\0\0\0\1", 4);
		assert_int_equal(cache_key_parse(span_of((char *)b, n + last + 4), &parts), last == 61 ? RC_OK : RC_SYNTAX);
	}
	memset(b, 'D', sizeof b);
	assert_int_equal(cache_key_parse(span_of((char *)b, sizeof b), &parts), RC_SYNTAX);
}

/* The order of keys is the order that LMDB keeps: everything in a zone lies between two neighbours outside. */
static void
test_zone_is_contiguous(void **state)
{
	static const char *const names[] = {
		"example.net", "example.org", "a.example.org", "z.example.org", "x.a.example.org", "example-a.org", "examplf.org",
		"exampl.org", "example.organic", "org", "example0.org", "\x01.example.org", "\x7f.example.org", "example.orf",
	};
	struct cache_key k[ARRAY_LEN(names)], t;
	struct dns_name zone = name_of("example.org");
	struct cache_key prefix;
	int changes = 0;
	bool was_in = false;

	(void)state;
	assert_int_equal(cache_key_zone(CACHE_DNS, &zone, &prefix), RC_OK);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct dns_name name = name_of(names[i]);

		k[i] = key_of(&name, 1);
		for (size_t j = i; j > 0 && memcmp(k[j].b, k[j - 1].b, MIN(k[j].n, k[j - 1].n)) < 0; j--) {
			t = k[j];
			k[j] = k[j - 1];
			k[j - 1] = t;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		bool is_in = span_starts(cache_key_span(&k[i]), cache_key_span(&prefix));

		changes += is_in != was_in;
		was_in = is_in;
	}
	assert_int_equal(changes, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_dns_there_and_back),
		cmocka_unit_test(test_result_there_and_back),
		cmocka_unit_test(test_zone_is_a_prefix),
		cmocka_unit_test(test_no_imitation),
		cmocka_unit_test(test_longest_dns_key_fits),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_limits),
		cmocka_unit_test(test_zone_is_contiguous),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
