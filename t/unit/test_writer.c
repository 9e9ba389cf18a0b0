/* test_writer - the parts of the cache process: batches, requests, answers, flushes. */
#include "t/unit/cache_unit.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "cache/writer_int.h"

/* ---- requests ------------------------------------------------------------------------------------------ */

static void
test_requests(void **state)
{
	static const struct {
		const char *text;
		enum rc want;
		enum writer_what what;
		const char *name;       /* as printed; NULL: none */
		size_t ranges;
	} rows[] = {
		{ "histogram", RC_OK, WRITER_HISTOGRAM, NULL, 2 },
		{ "histogram now", RC_SYNTAX, 0, NULL, 0 },
		{ "dump", RC_OK, WRITER_DUMP, NULL, 2 },
		{ "dump kind=D", RC_OK, WRITER_DUMP, NULL, 1 },
		{ "dump kind=R zone=Example.ORG.", RC_OK, WRITER_DUMP, "example.org", 1 },
		{ "dump zone=example.org type=mx expired=1", RC_OK, WRITER_DUMP, "example.org", 1 },
		{ "dump type=SPF", RC_OK, WRITER_DUMP, NULL, 1 },
		{ "dump kind=X", RC_SYNTAX, 0, NULL, 0 },
		{ "dump expired=2", RC_SYNTAX, 0, NULL, 0 },
		{ "dump zone", RC_SYNTAX, 0, NULL, 0 },
		{ "dump zone=", RC_SYNTAX, 0, NULL, 0 },
		{ "get a.example TXT", RC_OK, WRITER_GET, "a.example", 1 },
		{ "get a.example TYPE257", RC_OK, WRITER_GET, "a.example", 1 },
		{ "get a.example TYPE65536", RC_SYNTAX, 0, NULL, 0 },
		{ "get a.example SPF", RC_OK, WRITER_GET, "a.example", 1 },
		{ "get a.example", RC_SYNTAX, 0, NULL, 0 },
		{ "get a.example TXT A", RC_SYNTAX, 0, NULL, 0 },
		{ "get a.example NOPE", RC_SYNTAX, 0, NULL, 0 },
		{ "flush a\\.b\\032c.example", RC_OK, WRITER_FLUSH, "a\\.b\\032c.example", 2 },
		{ "flush a.example A", RC_OK, WRITER_FLUSH, "a.example", 2 },
		{ "flush a..b", RC_SYNTAX, 0, NULL, 0 },
		{ "flush .a", RC_SYNTAX, 0, NULL, 0 },
		{ "flush a\\", RC_SYNTAX, 0, NULL, 0 },
		{ "flush a\\25", RC_SYNTAX, 0, NULL, 0 },
		{ "flush a\\256", RC_SYNTAX, 0, NULL, 0 },
		{ "flush-zone .", RC_OK, WRITER_FLUSH_ZONE, ".", 2 },
		{ "flush-zone", RC_SYNTAX, 0, NULL, 0 },
		{ "flush-negative", RC_OK, WRITER_FLUSH_NEGATIVE, NULL, 2 },
		{ "purge", RC_OK, WRITER_PURGE, NULL, 2 },
		{ "PURGE", RC_SYNTAX, 0, NULL, 0 },
		{ "", RC_SYNTAX, 0, NULL, 0 },
		{ "dump a a a a a a a a a", RC_SYNTAX, 0, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span text = exact(rows[i].text);
		struct buf b = buf_heap(2 * KIB);
		struct writer_request r;
		struct writer_ranges ranges;
		const char *why;
		enum rc rc = writer_request_parse(text, &r, &why);

		if (rc != rows[i].want || (rc != RC_OK) != (why[0] != '\0'))
			fail_msg("\"%s\": %s (%s)", rows[i].text, rc_name(rc), why);
		if (rc == RC_OK) {
			assert_int_equal(r.what, rows[i].what);
			assert_int_equal(r.has_name, rows[i].name != NULL);
			if (r.has_name) {
				dns_name_print(&b, &r.name);
				assert_span(buf_text(&b), rows[i].name);
			}
			assert_int_equal(writer_request_ranges(&r, &ranges), RC_OK);
			if (ranges.n != rows[i].ranges)
				fail_msg("\"%s\": %zu ranges", rows[i].text, ranges.n);
		}
		buf_fini(&b);
		exact_free(text);
	}
}

/* Labels of 63 bytes fit, and names of 255; one more does not. */
static void
test_name_limits(void **state)
{
	char text[400] = "flush ";
	struct writer_request r;
	const char *why;

	(void)state;
	memset(text + 6, 'a', 63);
	assert_int_equal(writer_request_parse(span_of(text, 6 + 63), &r, &why), RC_OK);
	text[6 + 63] = 'a';
	assert_int_equal(writer_request_parse(span_of(text, 6 + 64), &r, &why), RC_SYNTAX);
	for (int i = 0; i < 127; i++)
		memcpy(text + 6 + 2 * i, "b.", 2);
	assert_int_equal(writer_request_parse(span_of(text, 6 + 2 * 127), &r, &why), RC_OK);
	assert_int_equal(r.name.n, DNS_NAME_WIRE_MAX);
	memcpy(text + 6 + 2 * 127, "b.", 2);
	assert_int_equal(writer_request_parse(span_of(text, 6 + 2 * 128), &r, &why), RC_SYNTAX);
	assert_int_equal(writer_request_parse(span_of(text, 6 + 2 * 127 + 1), &r, &why), RC_SYNTAX);
}

/* ---- the whole, without a process ---------------------------------------------------------------------- */

struct rig {
	struct writer_store store;
	struct writer_feed feed;
	struct writer_clients clients;
	struct board *board;
	size_t board_size;
	struct cache_feed offers;
	int board_fd, client;
	int64_t now_ms;
};

static struct rig *
rig_start(void)
{
	struct rig *r = xcalloc(1, sizeof *r);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(board_create(1, &r->board_fd, &r->board, &r->board_size), RC_OK);
	r->offers.fd = pair[0];
	r->client = -1;
	r->now_ms = 1000000;
	r->store = (struct writer_store){ .path = unit_path, .map_bytes = 16 * MIB, .readers_max = 128, .board = r->board };
	writer_feed_init(&r->feed, pair[1], &r->store, r->now_ms);
	writer_clients_init(&r->clients, &r->store, &r->feed);
	assert_true(writer_store_open(&r->store, r->now_ms));
	return r;
}

static void
rig_stop(struct rig *r)
{
	writer_clients_close(&r->clients);
	writer_store_close(&r->store);
	writer_feed_fini(&r->feed);
	close(r->feed.fd);
	close(r->offers.fd);
	fdio_close(&r->client);
	fdio_close(&r->board_fd);
	board_detach(&r->board, r->board_size);
	free(r);
}

static void
offer(struct rig *r, unsigned i)
{
	struct cache_key k = unit_key(i);
	uint8_t value[1024];
	size_t n = unit_value(i, 1, value, sizeof value);

	assert_int_equal(cache_feed_offer(&r->offers, cache_key_span(&k), span_of((char *)value, n)), RC_OK);
}

static void
offer_nothing(struct rig *r, const char *text, enum dns_status status)
{
	const struct dns_answer *a = dns_answer_status(status, 60, "");
	struct dns_name name;
	struct cache_key k;
	uint8_t value[256];
	size_t n;

	assert_int_equal(dns_name_from_text(span_cstr(text), &name), RC_OK);
	assert_int_equal(cache_key_dns(&name, DNS_A, &k), RC_OK);
	assert_int_equal(cache_entry_put_dns(cache_key_span(&k), DNS_A, a, &cache_ttl_defaults, UNIT_NOW, value, sizeof value, &n), RC_OK);
	dns_answer_unref(a);
	assert_int_equal(cache_feed_offer(&r->offers, cache_key_span(&k), span_of((char *)value, n)), RC_OK);
}

static void
offer_spf(struct rig *r, const char *text)
{
	struct spf_outcome o = { .result = SPF_PASS, .mechanism = SPAN("ip4:192.0.2.0/24"), .at = SPAN("a.example"), .ttl_s = 300 };
	struct dns_name name;
	struct cache_key k;
	struct ip ip = { .is_set = true };
	uint8_t value[256];
	size_t n;

	memcpy(ip.b + 10, "\xff\xff\xc0\x00\x02\x01", 6);
	assert_int_equal(dns_name_from_text(span_cstr(text), &name), RC_OK);
	assert_int_equal(cache_key_result(CACHE_R_SPF, 1, 7, &ip, &name, &k), RC_OK);
	assert_int_equal(cache_entry_put_spf(cache_key_span(&k), &o, &cache_ttl_defaults, UNIT_NOW, value, sizeof value, &n), RC_OK);
	assert_int_equal(cache_feed_offer(&r->offers, cache_key_span(&k), span_of((char *)value, n)), RC_OK);
}

static bool
turn(struct rig *r, int64_t ms)
{
	bool is_busy;

	r->now_ms += ms;
	is_busy = writer_feed_turn(&r->feed, r->now_ms, UNIT_NOW);
	is_busy |= writer_clients_turn(&r->clients, r->now_ms, UNIT_NOW);
	return is_busy;
}

static uint64_t
counted(const struct rig *r, enum board_counter c)
{
	return atomic_load(&r->board->counter[c]);
}

/* Leading edge at once, then 20 ms apart or full. */
static void
test_batches(void **state)
{
	struct rig *r = rig_start();

	(void)state;
	offer(r, 0);
	(void)turn(r, 0);
	assert_int_equal(unit_entries(r->store.db), 1);
	offer(r, 1);
	(void)turn(r, WRITER_BATCH_MS - 1);
	assert_int_equal(unit_entries(r->store.db), 1);
	assert_int_equal(writer_feed_wait_ms(&r->feed, r->now_ms), 1);
	offer(r, 2);
	(void)turn(r, 1);
	assert_int_equal(unit_entries(r->store.db), 3);
	assert_int_equal(writer_feed_wait_ms(&r->feed, r->now_ms), -1);
	for (unsigned i = 0; i < CACHE_DB_BATCH_MAX - 1; i++)
		offer(r, 10 + i);
	assert_false(turn(r, 1));
	assert_int_equal(unit_entries(r->store.db), 3);
	offer(r, 500);
	(void)turn(r, 0);
	assert_int_equal(unit_entries(r->store.db), 3 + CACHE_DB_BATCH_MAX);
	for (unsigned i = 0; i < CACHE_DB_BATCH_MAX + 1; i++)
		offer(r, 1000 + i);
	assert_true(turn(r, 1));
	assert_int_equal(unit_entries(r->store.db), 3 + 2 * CACHE_DB_BATCH_MAX);
	(void)turn(r, 0);
	assert_int_equal(r->feed.n, 1);
	assert_int_equal(counted(r, BOARD_CACHE_INSERTED_TXT), 3 + 2 * CACHE_DB_BATCH_MAX);
	/* Garbage is counted, and nothing else. */
	assert_int_equal(send(r->offers.fd, "garbage", 7, 0), 7);
	(void)turn(r, 50);
	assert_int_equal(counted(r, BOARD_CACHE_OFFERS_BAD), 1);
	assert_int_equal(unit_entries(r->store.db), 4 + 2 * CACHE_DB_BATCH_MAX);
	/* Without a file everything is thrown away, and counted. */
	writer_store_close(&r->store);
	offer(r, 3000);
	(void)turn(r, 50);
	assert_int_equal(counted(r, BOARD_CACHE_OFFERS_LOST), 1);
	rig_stop(r);
}

static void
request(struct rig *r, const char *text)
{
	int pair[2];

	fdio_close(&r->client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	r->client = pair[0];
	assert_true(fdio_set_nonblock(r->client, true));
	writer_clients_add(&r->clients, pair[1], span_cstr(text), r->now_ms);
}

/* The whole answer, taken in pieces of at most `piece` bytes. */
static char *
answer(struct rig *r, size_t piece)
{
	static char text[4 * MIB];
	size_t n = 0;
	ssize_t got = 1;

	for (int i = 0; i < 1000000 && got != 0; i++) {
		(void)turn(r, 0);
		assert_true(n + piece < sizeof text);
		got = recv(r->client, text + n, piece, 0);
		n += got > 0 ? (size_t)got : 0;
	}
	assert_int_equal(got, 0);
	text[n] = '\0';
	return text;
}

static unsigned
lines(const char *text)
{
	unsigned n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static void
fill(struct rig *r, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		offer(r, i);
		if (i % 50 == 49)
			(void)turn(r, 50);
	}
	(void)turn(r, 50);
}

/* A reader that takes a few bytes now and then holds up neither the store nor anybody else; its answer is whole. */
static void
test_dump_to_a_slow_reader(void **state)
{
	struct rig *r = rig_start();
	struct writer_client *c = &r->clients.client[0];
	char *text;

	(void)state;
	fill(r, 3000);
	request(r, "dump");
	for (int i = 0; i < 200; i++)
		(void)turn(r, 1);
	/* It is stuck: the socket is full, what is ready is bounded, and the loop may sleep. */
	assert_false(turn(r, 0));
	assert_true(c->out.n > 0 && c->out.n <= WRITER_CHUNK_BYTES + 4 * KIB);
	offer(r, 5000);
	(void)turn(r, 50);
	assert_int_equal(unit_entries(r->store.db), 3001);
	text = answer(r, 1000);
	assert_memory_equal(text, "ok\n", 3);
	assert_true(lines(text) == 2 + 3000 || lines(text) == 2 + 3001);
	assert_string_equal(text + strlen(text) - 3, "\n.\n");
	/* One that takes nothing at all is let go. */
	request(r, "dump");
	for (int i = 0; i < 100; i++)
		(void)turn(r, 1);
	assert_true(c->fd >= 0);
	(void)turn(r, WRITER_CLIENT_MS);
	assert_true(c->fd < 0);
	rig_stop(r);
}

static void
test_get_and_histogram(void **state)
{
	struct rig *r = rig_start();
	char *text;

	(void)state;
	offer(r, 7);
	offer_nothing(r, "gone.example", DNS_NXDOMAIN);
	offer_nothing(r, "void.example", DNS_NODATA);
	offer_spf(r, "a.example");
	(void)turn(r, 50);
	request(r, "get gone.example A");
	assert_string_equal(answer(r, 4096), "ok\nD\tgone.example\tA\tnxdomain\tinsecure\t0\t60\t44\t\n.\n");
	request(r, "get gone.example TXT");
	assert_string_equal(answer(r, 4096), "ok\n.\n");
	request(r, "get a.example SPF");
	text = answer(r, 4096);
	assert_non_null(strstr(text, "R\ta.example\tspf\tpass\t-\t0\t300\t"));
	assert_non_null(strstr(text, "\tclient=192.0.2.1 version=1 digest=0000000000000007 "));
	assert_non_null(strstr(text, " mechanism=\"ip4:192.0.2.0/24\" at=\"a.example\"\n.\n"));
	request(r, "get n7.z7.example TXT");
	text = answer(r, 4096);
	assert_non_null(strstr(text, "\t0\t307\t"));
	assert_non_null(strstr(text, "\t\"7 1 \\000h"));
	request(r, "histogram");
	text = answer(r, 4096);
	assert_non_null(strstr(text, "ok\nage 1 4\nage 5 0\n"));
	assert_non_null(strstr(text, "\nleft 60 2\nleft 300 1\nleft 900 1\n"));
	assert_non_null(strstr(text, "\nleft expired 0\nkind D 3 "));
	assert_non_null(strstr(text, "\nclass a 2 88\n"));
	assert_non_null(strstr(text, "\nclass spf 1 "));
	request(r, "nonsense");
	assert_memory_equal(answer(r, 4096), "err syntax ", 11);
	assert_int_equal(counted(r, BOARD_CACHE_INSERTED_SPF), 1);
	assert_int_equal(counted(r, BOARD_CACHE_INSERTED_A), 2);
	rig_stop(r);
}

/* What was offered before the flush does not come in behind it; all results go; "deleted" is exact. */
static void
test_flushes(void **state)
{
	struct rig *r = rig_start();

	(void)state;
	fill(r, 1000);
	offer_spf(r, "other.example.net");
	for (unsigned i = 0; i < 100; i++)      /* of them 10 in z3, and 2 batches: still in the socket */
		offer(r, 2000 + i);
	request(r, "flush-zone z3.example");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 111\n.\n");
	assert_int_equal(unit_entries(r->store.db), 990);
	request(r, "flush-zone z3.example");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 0\n.\n");
	offer_nothing(r, "gone.example", DNS_NXDOMAIN);
	offer_nothing(r, "void.example", DNS_NODATA);
	offer_spf(r, "b.example");
	request(r, "flush-negative");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 3\n.\n");
	request(r, "flush n1.z1.example A");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 0\n.\n");
	request(r, "flush n1.z1.example TXT");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 1\n.\n");
	request(r, "flush N2.z2.example.");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 1\n.\n");
	offer(r, 4000);
	request(r, "purge");
	assert_string_equal(answer(r, 4096), "ok\ndeleted 989\n.\n");
	assert_int_equal(unit_entries(r->store.db), 0);
	assert_int_equal(counted(r, BOARD_CACHE_FLUSHES), 6);
	assert_int_equal(counted(r, BOARD_CACHE_PURGES), 1);
	writer_store_close(&r->store);
	request(r, "purge");
	assert_memory_equal(answer(r, 4096), "err busy ", 9);
	rig_stop(r);
}

static void
test_too_many_clients(void **state)
{
	struct rig *r = rig_start();
	int pair[2 * WRITER_CLIENTS_MAX];
	char text[64] = "";

	(void)state;
	fill(r, 1000);
	for (int i = 0; i < WRITER_CLIENTS_MAX; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair + 2 * i), 0);
		writer_clients_add(&r->clients, pair[2 * i], SPAN("dump"), r->now_ms);
	}
	(void)turn(r, 0);
	request(r, "dump");
	assert_true(recv(r->client, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, "err busy too many requests at once\n.\n");
	for (int i = 0; i < WRITER_CLIENTS_MAX; i++)
		close(pair[2 * i + 1]);
	(void)turn(r, 1);
	(void)turn(r, 1);
	assert_true(writer_clients_are_done(&r->clients));
	rig_stop(r);
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* Each trouble ends with a new, empty file that works. */
static void
test_file_troubles(void **state)
{
	static const char *const ways[] = { "mark", "removed", "replaced", "cut", "state", "lock removed", "lock zeroed" };
	struct rig *r = rig_start();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		uint64_t serial = r->store.serial;
		char other[CACHE_FILE_NAME_MAX + 32], zero[4096] = "";
		int fd;

		offer(r, 1);
		(void)turn(r, 50);
		switch (i) {
		case 0: close(open(unit_file("-damaged"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); break;
		case 1: assert_int_equal(unlink(unit_file("")), 0); break;
		case 2:
			snprintf(other, sizeof other, "%s/other", unit_folder);
			close(open(other, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
			assert_int_equal(rename(other, unit_file("")), 0);
			break;
		case 3: assert_int_equal(truncate(unit_file(""), 8192), 0); break;
		case 4:
			snprintf(other, sizeof other, "%s.state", unit_path);
			assert_int_equal(unlink(other), 0);
			break;
		case 5: assert_int_equal(unlink(unit_file("-lock")), 0); break;
		default:
			snprintf(other, sizeof other, "%s-lock", cache_db_file(r->store.db));
			fd = open(other, O_WRONLY | O_CLOEXEC);
			assert_int_equal(pwrite(fd, zero, 16, 0), 16);
			close(fd);
			offer(r, 2);
		}
		(void)turn(r, 60000);
		writer_store_tick(&r->store, r->now_ms);
		for (int n = 0; n < 10 && r->store.db == NULL; n++)
			(void)writer_store_open(&r->store, r->now_ms += WRITER_RETRY_MAX_MS);
		if (r->store.serial != serial + 1 || r->store.db == NULL)
			fail_msg("%s: file %llu after %llu", ways[i], (unsigned long long)r->store.serial, (unsigned long long)serial);
		if (unit_entries(r->store.db) != 0)
			fail_msg("%s: entries in the new file", ways[i]);
	}
	assert_int_equal(counted(r, BOARD_CACHE_NEW_FILES), 1 + ARRAY_LEN(ways));
	rig_stop(r);
}

/* No folder, no cache: pauses grow up to their limit, and it comes back. */
static void
test_no_folder(void **state)
{
	struct rig *r = rig_start();
	char moved[128];
	int64_t pause = 0;

	(void)state;
	snprintf(moved, sizeof moved, "%s-moved", unit_folder);
	assert_int_equal(rename(unit_folder, moved), 0);
	writer_store_tick(&r->store, r->now_ms += 60000);
	assert_null(r->store.db);
	for (int i = 0; i < 10; i++) {
		assert_false(writer_store_open(&r->store, r->store.retry_at_ms));
		assert_true(r->store.pause_ms >= pause && r->store.pause_ms <= WRITER_RETRY_MAX_MS);
		pause = r->store.pause_ms;
	}
	assert_int_equal(pause, WRITER_RETRY_MAX_MS);
	assert_int_equal(rename(moved, unit_folder), 0);
	assert_false(writer_store_open(&r->store, r->store.retry_at_ms - 1));
	assert_true(writer_store_open(&r->store, r->store.retry_at_ms));
	rig_stop(r);
}

/* After a start that found a file: entries that no reader would believe are deleted. */
static void
test_check_of_a_file(void **state)
{
	struct cache_db_item item = { .key = SPAN("Dno entry of ours"), .value = SPAN("garbage"), .end_s = UNIT_NOW + 1000 };
	struct rig *r = rig_start();
	int turns = 0;

	(void)state;
	fill(r, 1000);
	assert_false(writer_check_step(&r->store, r->now_ms));
	assert_int_equal(cache_db_put(r->store.db, &item, 1, NULL, NULL), RC_OK);
	writer_store_close(&r->store);
	r->store.retry_at_ms = 0;
	assert_true(writer_store_open(&r->store, r->now_ms));
	while (writer_check_step(&r->store, r->now_ms))
		assert_true(++turns < 10);
	assert_true(turns >= 3);
	assert_int_equal(r->store.checked, 1001);
	assert_int_equal(r->store.check_bad, 1);
	assert_int_equal(unit_entries(r->store.db), 1000);
	rig_stop(r);
}

/* Ended entries and evicted ones are told apart, by class; only what was committed counts. */
static void
test_counts_by_class(void **state)
{
	struct rig *r = rig_start();
	size_t n;

	(void)state;
	fill(r, 100);
	offer_nothing(r, "gone.example", DNS_NXDOMAIN);
	(void)turn(r, 50);
	r->store.wants_gc = true;
	while (writer_store_gc(&r->store, r->now_ms, UNIT_NOW + 310))
		;
	assert_int_equal(counted(r, BOARD_CACHE_DELETED_A), 1);
	assert_int_equal(counted(r, BOARD_CACHE_DELETED_TXT), 11);
	assert_int_equal(counted(r, BOARD_CACHE_EVICTED_TXT), 0);
	assert_int_equal(cache_db_delete_ended(r->store.db, INT64_MAX, 5, &n), RC_OK);
	assert_int_equal(counted(r, BOARD_CACHE_EVICTED_TXT), 5);
	assert_int_equal(counted(r, BOARD_CACHE_INSERTED_TXT), 100);
	rig_stop(r);
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
/* What writer.c allows itself with a map of 256 MiB is enough to fill the map beyond its end with the largest values, and to drop everything. */
static int
full_map(void *arg)
{
	static uint8_t value[CACHE_VALUE_MAX];
	struct rlimit limit = { .rlim_cur = 0 };
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");
	struct cache_db_item item[CACHE_DB_BATCH_MAX];
	struct cache_key key[CACHE_DB_BATCH_MAX];
	struct cache_db *db;
	bool is_new;

	(void)arg;
	while (f != NULL && fgets(line, sizeof line, f) != NULL && sscanf(line, "VmData: %llu", &kib) != 1)
		;
	limit.rlim_cur = limit.rlim_max = kib * KIB + 64 * MIB + 2 * MIB;
	db = unit_writer_sized(256 * MIB, &is_new);
	REQUIRE(kib > 0 && setrlimit(RLIMIT_DATA, &limit) == 0);
	for (unsigned at = 0; at < 80 * CACHE_DB_BATCH_MAX; at += CACHE_DB_BATCH_MAX) {
		for (unsigned i = 0; i < CACHE_DB_BATCH_MAX; i++) {
			key[i] = unit_key(at + i);
			item[i] = (struct cache_db_item){ .key = cache_key_span(&key[i]), .value = span_of((char *)value, sizeof value),
			    .end_s = UNIT_NOW + at + i };
		}
		if (cache_db_put(db, item, CACHE_DB_BATCH_MAX, NULL, NULL) != RC_OK) {
			fprintf(stderr, "# batch at %u: %s\n", at, cache_db_error(db));
			return 1;
		}
	}
	REQUIRE(atomic_load(&cache_db_counters(db)->dropped_all) > 0);
	REQUIRE(cache_db_drop_all(db) == RC_OK);
	unit_fill(db, 1000, 1);
	/* Not more than that: what garbage asks for it does not get. */
	REQUIRE(malloc(100 * MIB) == NULL);
	cache_db_close(&db);
	return 0;
}

static void
test_memory(void **state)
{
	(void)state;
	assert_int_equal(unit_run(full_map, NULL), 0);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests), cmocka_unit_test(test_name_limits),
		cache_test(test_batches), cache_test(test_dump_to_a_slow_reader), cache_test(test_get_and_histogram),
		cache_test(test_flushes), cache_test(test_too_many_clients), cache_test(test_file_troubles), cache_test(test_no_folder),
		cache_test(test_check_of_a_file), cache_test(test_counts_by_class),
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
		cache_test(test_memory),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
