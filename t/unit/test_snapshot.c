/* snapshot: what goes in comes out; nothing else is taken for one. */
#include "t/unit/conf_help.h"

#include <fcntl.h>

#include "common/conf/conf_dump.h"
#include "common/conf/snapshot.h"

/* The snapshot of these settings, in an exact block. */
static struct span
make(const char *path, const char *const *overrides, size_t n)
{
	struct buf b = buf_heap(16 * MIB);
	struct conf_errors errors = { 0 };
	struct conf *c;
	struct span bytes;

	assert_int_equal(load(path, overrides, n, &c, NULL), RC_OK);
	if (snapshot_make(c, &b, &errors) != RC_OK)
		fail_msg("%s", messages_of(&errors));
	bytes = exact_n(buf_text(&b).p, b.n);
	buf_fini(&b);
	conf_errors_fini(&errors);
	conf_destroy(&c);
	return bytes;
}

static enum rc
make_bad(const char *text, size_t ceiling, const char **messages_out)
{
	struct buf b = buf_heap(ceiling);
	struct conf_errors errors = { 0 };
	struct conf *c = load_text(text);
	enum rc rc = snapshot_make(c, &b, &errors);

	*messages_out = messages_of(&errors);
	conf_errors_fini(&errors);
	conf_destroy(&c);
	buf_fini(&b);
	return rc;
}

static void
test_round_trip(void **state)
{
	char *zone = xstrdup(put_n("zone", "a.example. A 192.0.2.1\n\0binary\n", 31)), *ranges = xstrdup(put("ranges", "# ours\n192.0.2.0/24 # office\r\n\n::1\n"));
	char *empty = xstrdup(put("empty", ""));
	char *text = xasprintf("authresult.identifier: mx.example.org\nresolver.zone: %s\nresolver.trust_anchor: %s\n"
	    "common.exclusion_addresses: 127.0.0.1, %s\ncommon.exclusion_addresses: %s\nmilter.socket: inet:1@127.0.0.1\nmilter.socket: inet:2\n"
	    "log.target: file:/a\tb: c\n", zone, empty, ranges, ranges);
	const char *const overrides[] = { "milter.timeout=1h", "resolver.forward=::1@53" };
	char *path = put("round.conf", text);
	struct span bytes = make(path, overrides, 2);
	struct buf want = buf_heap(MIB), got = buf_heap(MIB);
	struct snapshot *s;
	struct conf *c;

	(void)state;
	assert_int_equal(load(path, overrides, 2, &c, NULL), RC_OK);
	assert_int_equal(snapshot_read(bytes, &s), RC_OK);
	conf_dump_table(c, &want);
	conf_dump_table(snapshot_conf(s), &got);
	assert_string_equal(buf_text(&got).p, buf_text(&want).p);       /* values and origins */
	assert_int_equal(snapshot_conf(s)->milter_timeout, 3600);
	assert_int_equal(snapshot_conf(s)->exclusion_addresses.n, 3);
	assert_string_equal(snapshot_conf(s)->log_target, "file:/a\tb: c");
	assert_true(span_eq(snapshot_file(s, zone), span_of("a.example. A 192.0.2.1\n\0binary\n", 31)));
	assert_span(snapshot_file(s, ranges), "# ours\n192.0.2.0/24 # office\r\n\n::1\n");
	assert_true(!span_is_null(snapshot_file(s, empty)) && snapshot_file(s, empty).n == 0);
	assert_true(span_is_null(snapshot_file(s, "/etc/passwd")));
	assert_true(span_is_null(snapshot_file(s, "")));
	snapshot_destroy(&s);
	assert_null(s);
	snapshot_destroy(&s);
	conf_destroy(&c);
	exact_free(bytes);
	buf_fini(&want);
	buf_fini(&got);
	free(text);
	free(zone);
	free(ranges);
	free(empty);
}

static void
test_defaults(void **state)
{
	struct span bytes = make(NULL, NULL, 0);
	struct snapshot *s;

	(void)state;
	assert_span(bytes, "ENMASNAP1\nconf 0\n");
	assert_int_equal(snapshot_read(bytes, &s), RC_OK);
	assert_int_equal(snapshot_conf(s)->milter_timeout, 7210);
	assert_int_equal(snapshot_conf(s)->exclusion_addresses.n, 2);
	snapshot_destroy(&s);
	exact_free(bytes);
}

/* The files may change or go after the snapshot was made. */
static void
test_files_may_go(void **state)
{
	char *zone = xstrdup(put("gone.zone", "old\n")), *text = xasprintf("resolver.zone: %s\n", zone);
	struct span bytes = make(put("gone.conf", text), NULL, 0);
	struct snapshot *s;

	(void)state;
	put("gone.zone", "new\n");
	unlink(path_of("gone.conf"));
	assert_int_equal(snapshot_read(bytes, &s), RC_OK);
	assert_span(snapshot_file(s, zone), "old\n");
	snapshot_destroy(&s);
	exact_free(bytes);
	free(text);
	free(zone);
}

static void
test_make_refuses(void **state)
{
	char *ranges = xstrdup(put("bad.ranges", "192.0.2.1\n#\nmail.example.org\n::1/129\n")), *text;
	const char *m;
	int fd = open(path_of("big"), O_CREAT | O_WRONLY, 0644);

	(void)state;
	text = xasprintf("resolver.zone: %s\nresolver.trust_anchor: %s\ncommon.exclusion_addresses: %s\n", path_of("none"), path_of("big"), ranges);
	assert_int_equal(ftruncate(fd, CONF_FILE_MAX), 0);
	assert_int_equal(make_bad(text, 200 * MIB, &m), RC_TEMP);
	assert_contains(m, "good.conf:1: resolver.zone: cannot read none: No such file");
	assert_null(strstr(m, "trust_anchor"));                 /* just as large as it may be */
	assert_contains(m, "bad.ranges:3: \"mail.example.org\": not an address");
	assert_contains(m, "bad.ranges:4: \"::1/129\": ");
	assert_int_equal(ftruncate(fd, CONF_FILE_MAX + 1), 0);
	assert_int_equal(make_bad(text, 200 * MIB, &m), RC_TEMP);
	assert_contains(m, "good.conf:2: resolver.trust_anchor: big is larger than the limit of 67108864 bytes");
	free(text);
	text = xasprintf("common.exclusion_addresses: %s\n", ranges);
	assert_int_equal(make_bad(text, MIB, &m), RC_SYNTAX);
	assert_int_equal(ftruncate(fd, 1000), 0);
	free(text);
	text = xasprintf("resolver.zone: %s\n", path_of("big"));
	assert_int_equal(make_bad(text, 1000, &m), RC_LIMIT);
	assert_contains(m, "larger than 1000 bytes together");
	assert_int_equal(make_bad(text, MIB, &m), RC_OK);
	close(fd);
	free(text);
	free(ranges);
}

static void
test_too_many_ranges(void **state)
{
	size_t n = SNAPSHOT_RANGES_MAX, i;
	struct buf b = buf_heap(32 * MIB);
	char *text = xasprintf("common.exclusion_addresses: %s\n", path_of("many"));
	const char *m;

	(void)state;
	for (i = 0; i < n; i++)
		buf_str(&b, "192.0.2.1\n");
	put_n("many", buf_text(&b).p, b.n);
	assert_int_equal(make_bad(text, 32 * MIB, &m), RC_OK);
	buf_str(&b, "192.0.2.1\n");
	put_n("many", buf_text(&b).p, b.n);
	assert_int_equal(make_bad(text, 32 * MIB, &m), RC_SYNTAX);
	assert_contains(m, "many:1000001: more than 1000000 ranges");
	buf_fini(&b);
	free(text);
}

static void
test_read_refuses(void **state)
{
	static const char *const rows[] = {
		"", "ENMASNAP1", "ENMASNAP2\nconf 0\n", "ENMASNAP1\n", "ENMASNAP1\nconf 0", "ENMASNAP1\nconf\n", "ENMASNAP1\nconf \n", "ENMASNAP1\nconf -1\n",
		"ENMASNAP1\nconf 1\n", "ENMASNAP1\nconf 18446744073709551616\n", "ENMASNAP1\nconf 0 x\n", "ENMASNAP1\nfile 0 /x\n",
		"ENMASNAP1\nconf 0\nconf 0\n", "ENMASNAP1\nconf 0\nfile 0\n", "ENMASNAP1\nconf 0\nfile 0 \n", "ENMASNAP1\nconf 0\nfile 2 /x\na",
		"ENMASNAP1\nconf 0\nfile 1 /x\nab", "ENMASNAP1\nconf 0\nx", "ENMASNAP1\nconf 0\n\n",
		"ENMASNAP1\nconf 2\nx\n", "ENMASNAP1\nconf 18\na\tb\tspf.auth: yes\n", "ENMASNAP1\nconf 16\na\t1\tspf.auth yes", "ENMASNAP1\nconf 17\na\t1\tspf.what: yes",
		"ENMASNAP1\nconf 19\na\t1\tspf.auth: maybe\n", "ENMASNAP1\nconf 24\na\t4294967296\tspf.auth: 1", "ENMASNAP1\nconf 16\na\t\tspf.auth: yes",
	};
	struct snapshot *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span bytes = exact(rows[i]);

		if (snapshot_read(bytes, &s) != RC_SYNTAX || s != NULL)
			fail_msg("accepted: \"%s\"", rows[i]);
		exact_free(bytes);
	}
	assert_int_equal(snapshot_read(SPAN("ENMASNAP1\nconf 17\na\t1\tspf.auth: n\0o"), &s), RC_SYNTAX);
	assert_int_equal(snapshot_read(SPAN("ENMASNAP1\nconf 17\na\t1\tspf.auth: no\n"), &s), RC_OK);
	assert_false(snapshot_conf(s)->spf_auth);
	snapshot_destroy(&s);
}

/* Every prefix is refused, but for those that end with a whole section; no changed byte does harm. */
static void
test_prefixes_and_flips(void **state)
{
	char *text = xasprintf("resolver.zone: %s\nmilter.timeout: 60\n", put("flip.zone", "zone text\n"));
	struct span bytes = make(put("flip.conf", text), NULL, 0);
	struct snapshot *s;
	size_t n, good = 0;

	(void)state;
	for (n = 0; n <= bytes.n; n++) {
		struct span cut = exact_n(bytes.p, n);

		good += snapshot_read(cut, &s) == RC_OK;
		snapshot_destroy(&s);
		exact_free(cut);
	}
	assert_int_equal(good, 2);
	for (n = 0; n < bytes.n * 8; n++) {
		struct span flip = exact_n(bytes.p, bytes.n);

		((char *)(uintptr_t)flip.p)[n / 8] ^= (char)(1 << n % 8);
		if (snapshot_read(flip, &s) == RC_OK)
			snapshot_destroy(&s);
		exact_free(flip);
	}
	exact_free(bytes);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_files_may_go),
		cmocka_unit_test(test_make_refuses),
		cmocka_unit_test(test_too_many_ranges),
		cmocka_unit_test(test_read_refuses),
		cmocka_unit_test(test_prefixes_and_flips),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
