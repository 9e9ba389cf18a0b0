/* test_cache_feed - packets: formats, limits, a full socket, senders that lie. */
#include "t/unit/cache_unit.h"

#include <sys/socket.h>

#include "cache/cache_crc.h"
#include "cache/cache_feed.h"

struct pair {
	struct cache_feed feed;
	int in;
};

static struct pair
open_pair(void)
{
	struct pair p = { .in = -1 };
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	p.feed.fd = fd[0];
	p.in = fd[1];
	return p;
}

static void
close_pair(struct pair *p)
{
	if (p->feed.fd >= 0)
		close(p->feed.fd);
	if (p->in >= 0)
		close(p->in);
}

static void
test_there_and_back(void **state)
{
	static uint8_t buf[CACHE_FEED_MAX], value[1024];
	struct pair p = open_pair();
	struct cache_offer o;
	struct cache_db_item item;

	(void)state;
	assert_int_equal(cache_feed_receive(p.in, buf, sizeof buf, &o), RC_TEMP);
	for (unsigned i = 0; i < 20; i++) {
		struct cache_key k = unit_key(i);
		struct span v = exact_n(value, unit_value(i, 1, value, sizeof value));

		assert_int_equal(cache_feed_offer(&p.feed, cache_key_span(&k), v), RC_OK);
		assert_int_equal(cache_feed_receive(p.in, buf, sizeof buf, &o), RC_OK);
		assert_true(span_eq(o.key, cache_key_span(&k)) && span_eq(o.value, v));
		assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW, &item), RC_OK);
		assert_true(item.end_s == UNIT_NOW + 300 + i);
		assert_int_equal(cache_feed_accept(&o, 100, UNIT_NOW, &item), RC_OK);
		assert_true(item.end_s == UNIT_NOW + 400 + i);
		exact_free(v);
	}
	assert_int_equal(p.feed.offered, 20);
	close(p.feed.fd);
	p.feed.fd = -1;
	assert_int_equal(cache_feed_receive(p.in, buf, sizeof buf, &o), RC_NONE);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("k"), SPAN("v")), RC_NONE);
	assert_int_equal(p.feed.failed, 1);
	close_pair(&p);
}

/* A full socket drops, at once; when there is room again it goes on. */
static void
test_full(void **state)
{
	static uint8_t buf[CACHE_FEED_MAX];
	static char value[4000];
	struct pair p = open_pair();
	struct cache_offer o;
	unsigned sent = 0, got = 0;

	(void)state;
	memset(value, 'v', sizeof value);
	while (cache_feed_offer(&p.feed, SPAN("key"), span_of(value, sizeof value)) == RC_OK && sent < 100000)
		sent++;
	assert_true(sent > 0 && sent < 100000);
	assert_int_equal(p.feed.dropped, 1);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("key"), SPAN("v")), RC_TEMP);
	assert_int_equal(p.feed.dropped, 2);
	while (cache_feed_receive(p.in, buf, sizeof buf, &o) == RC_OK)
		got++;
	assert_int_equal(got, sent);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("key"), SPAN("v")), RC_OK);
	/* Nobody there any more: no signal, no waiting. */
	close(p.in);
	p.in = -1;
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("key"), SPAN("v")), RC_NONE);
	close_pair(&p);
}

static void
test_limits(void **state)
{
	static uint8_t buf[CACHE_FEED_MAX];
	static char key[CACHE_KEY_MAX + 1], value[CACHE_VALUE_MAX + 1];
	struct pair p = open_pair();
	struct cache_offer o;
	int room = 4 * CACHE_FEED_MAX;

	(void)state;
	memset(key, 'k', sizeof key);
	memset(value, 'v', sizeof value);
	assert_int_equal(setsockopt(p.feed.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
	assert_int_equal(cache_feed_offer(&p.feed, span_of(key, CACHE_KEY_MAX), span_of(value, CACHE_VALUE_MAX)), RC_OK);
	assert_int_equal(cache_feed_receive(p.in, buf, sizeof buf, &o), RC_OK);
	assert_int_equal(o.key.n, CACHE_KEY_MAX);
	assert_int_equal(o.value.n, CACHE_VALUE_MAX);
	assert_int_equal(cache_feed_offer(&p.feed, span_of(key, CACHE_KEY_MAX + 1), SPAN("v")), RC_LIMIT);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("k"), span_of(value, CACHE_VALUE_MAX + 1)), RC_LIMIT);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN(""), SPAN("v")), RC_LIMIT);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("k"), SPAN("")), RC_LIMIT);
	assert_int_equal(p.feed.failed, 4);
	/* Longer than the buffer: cut by the kernel, noticed, gone. */
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("k"), SPAN("0123456789")), RC_OK);
	assert_int_equal(cache_feed_offer(&p.feed, SPAN("k"), SPAN("v")), RC_OK);
	assert_int_equal(cache_feed_receive(p.in, buf, 18, &o), RC_SYNTAX);
	assert_int_equal(cache_feed_receive(p.in, buf, 18, &o), RC_OK);
	close_pair(&p);
}

static void
test_bad_packets(void **state)
{
	static const struct {
		const char *what;
		struct span packet;
		enum rc want;
	} cases[] = {
		{ "good", SPAN("EC\1P\0\1\0\0kv"), RC_OK },
		{ "empty", { "", 0 }, RC_SYNTAX },
		{ "head cut", SPAN("EC\1P\0\1\0"), RC_SYNTAX },
		{ "head alone", SPAN("EC\1P\0\1\0\0"), RC_SYNTAX },
		{ "no value", SPAN("EC\1P\0\1\0\0k"), RC_SYNTAX },
		{ "key longer than the packet", SPAN("EC\1P\0\2\0\0kv"), RC_SYNTAX },
		{ "key far longer", SPAN("EC\1P\xff\xff\0\0kv"), RC_SYNTAX },
		{ "no key", SPAN("EC\1P\0\0\0\0kv"), RC_SYNTAX },
		{ "magic", SPAN("XC\1P\0\1\0\0kv"), RC_SYNTAX },
		{ "magic", SPAN("EX\1P\0\1\0\0kv"), RC_SYNTAX },
		{ "format", SPAN("EC\2P\0\1\0\0kv"), RC_SYNTAX },
		{ "operation", SPAN("EC\1D\0\1\0\0kv"), RC_SYNTAX },
		{ "not zero", SPAN("EC\1P\0\1\1\0kv"), RC_SYNTAX },
		{ "not zero", SPAN("EC\1P\0\1\0\1kv"), RC_SYNTAX },
	};
	struct cache_db_item item;
	struct cache_offer o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span packet = exact_n(cases[i].packet.p, cases[i].packet.n);

		if (cache_feed_parse(packet, &o) != cases[i].want)
			fail_msg("%s", cases[i].what);
		if (cases[i].want == RC_OK)
			assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW, &item), RC_SYNTAX);
		exact_free(packet);
	}
}

/* Offers with a time that cannot be. */
static void
test_time_of_offers(void **state)
{
	static uint8_t value[1024];
	struct cache_key k = unit_key(1);
	struct cache_offer o = { .key = cache_key_span(&k) };
	struct cache_db_item item;

	(void)state;
	o.value = span_of((char *)value, unit_value(1, 1, value, sizeof value));
	assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW + CACHE_FEED_LATE_S, &item), RC_OK);
	assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW + CACHE_FEED_LATE_S + 1, &item), RC_SYNTAX);
	assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW - CACHE_FEED_EARLY_S, &item), RC_OK);
	assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW - CACHE_FEED_EARLY_S - 1, &item), RC_SYNTAX);
	/* Under another name. */
	k = unit_key(2);
	o.key = cache_key_span(&k);
	assert_int_equal(cache_feed_accept(&o, 0, UNIT_NOW, &item), RC_SYNTAX);
}

static struct span
failure(const struct cache_key *k, int64_t now_s, uint8_t *out, size_t size)
{
	const struct dns_answer *a = dns_answer_status(DNS_SERVFAIL, 0, "");
	size_t n;

	assert_int_equal(cache_entry_put_dns(cache_key_span(k), DNS_TXT, a, &cache_ttl_defaults, now_s, out, size, &n), RC_OK);
	dns_answer_unref(a);
	return span_of((char *)out, n);
}

static void
test_keeps(void **state)
{
	uint8_t good_bytes[1024], bad_bytes[64];
	struct cache_key k = unit_key(1);
	struct span key = cache_key_span(&k), good = span_of((char *)good_bytes, unit_value(1, 1, good_bytes, sizeof good_bytes));
	struct span bad = failure(&k, UNIT_NOW + 1, bad_bytes, sizeof bad_bytes);
	struct cache_feed_rules r = { .stale_s = 0, .now_s = UNIT_NOW + 1 };

	(void)state;
	assert_true(cache_feed_keeps(&r, key, good, bad));
	assert_false(cache_feed_keeps(&r, key, good, good));
	assert_false(cache_feed_keeps(&r, key, bad, bad));
	r.now_s = UNIT_NOW + 302;
	bad = failure(&k, r.now_s, bad_bytes, sizeof bad_bytes);
	assert_false(cache_feed_keeps(&r, key, good, bad));
	r.stale_s = 10;
	assert_true(cache_feed_keeps(&r, key, good, bad));
	/* What is there is damaged: anything is better; what comes is damaged: it is not. */
	assert_false(cache_feed_keeps(&r, key, SPAN("x"), bad));
	assert_true(cache_feed_keeps(&r, key, bad, SPAN("x")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bad_packets),
		cmocka_unit_test(test_time_of_offers),
		cmocka_unit_test(test_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
