/*
 * cache_unit - what tests of the cache share: a folder of their own, children, entries that tell whether they are right.
 */
#ifndef ENMA_T_CACHE_UNIT_H
#define ENMA_T_CACHE_UNIT_H

#include "t/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/cache_db.h"
#include "cache/cache_entry.h"
#include "cache/cache_file.h"
#include "cache/cache_guard.h"
#include "common/base/check.h"
#include "common/dns/answer_int.h"

enum { UNIT_NOW = 1700000000, UNIT_READERS = 256, UNIT_STOPPED = 99 };

static char unit_folder[64], unit_path[96];

/* A fresh folder for each test. */
UNUSED static int
unit_setup(void **state)
{
	(void)state;
	alarm(240);             /* a test that hangs fails */
	snprintf(unit_folder, sizeof unit_folder, "/tmp/enma-unit-XXXXXX");
	if (mkdtemp(unit_folder) == NULL)
		return -1;
	snprintf(unit_path, sizeof unit_path, "%s/cache", unit_folder);
	return 0;
}

UNUSED static int
unit_teardown(void **state)
{
	char file[512];
	struct dirent *e;
	DIR *d = opendir(unit_folder);

	(void)state;
	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(file, sizeof file, "%s/%s", unit_folder, e->d_name);
		if (unlink(file) != 0)
			(void)rmdir(file);
	}
	if (d != NULL)
		closedir(d);
	return rmdir(unit_folder);
}

#define cache_test(f) cmocka_unit_test_setup_teardown(f, unit_setup, unit_teardown)

/* A child that runs fn and ends with what it returns.  It must not use assert_*: it says with REQUIRE what is wrong. */
UNUSED static pid_t
unit_start(int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(NULL);
	if ((pid = fork()) == 0) {
		alarm(240);     /* never outlives a test that hangs */
		signal(SIGSEGV, SIG_DFL);       /* cmocka and sanitizers have their own ways */
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(fn(arg));
	}
	assert_true(pid > 0);
	return pid;
}

/* Its exit code; 1000 and the signal when it was killed by one. */
UNUSED static int
unit_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

UNUSED static int
unit_run(int (*fn)(void *arg), void *arg)
{
	return unit_wait(unit_start(fn, arg));
}

UNUSED static struct cache_db *
unit_writer_sized(uint64_t bytes, bool *is_new)
{
	struct cache_db *db = NULL;
	char why[512] = "";

	if (cache_db_open_writer(unit_path, bytes, UNIT_READERS, &db, is_new, why, sizeof why) != RC_OK)
		fprintf(stderr, "# writer: %s\n", why);
	REQUIRE(db != NULL);
	return db;
}

UNUSED static struct cache_db *
unit_writer(void)
{
	bool is_new;

	return unit_writer_sized(16 * MIB, &is_new);
}

UNUSED static struct cache_db *
unit_reader(void)
{
	struct cache_db *db = NULL;
	char why[512] = "";

	if (cache_db_open_reader(unit_path, &db, why, sizeof why) != RC_OK)
		fprintf(stderr, "# reader: %s\n", why);
	REQUIRE(db != NULL);
	return db;
}

/* Entry i: the TXT record of n<i>.z<i % 10>.example, whose text says i and a version, 40 to 340 bytes long. */
UNUSED static struct cache_key
unit_key(unsigned i)
{
	struct dns_name name;
	struct cache_key k;
	char text[64];

	snprintf(text, sizeof text, "n%u.z%u.example", i, i % 10);
	REQUIRE(dns_name_from_text(span_cstr(text), &name) == RC_OK);
	REQUIRE(cache_key_dns(&name, DNS_TXT, &k) == RC_OK);
	return k;
}

UNUSED static size_t
unit_value(unsigned i, unsigned version, uint8_t *out, size_t size)
{
	struct cache_key k = unit_key(i);
	size_t len = 40 + (i * 7919u + version) % 300, n;
	struct answer_make m = answer_make(DNS_OK, 1, 0, len);
	struct dns_rr *rr = answer_make_rr(&m, 300 + i % 1000);
	char *text = answer_make_text(&m, len);

	memset(text, 'a' + (int)(i % 26), len);
	snprintf(text, 40, "%u %u ", i, version);
	rr->text = span_of(text, len);
	m.a->ttl_s = rr->ttl_s;
	REQUIRE(cache_entry_put_dns(cache_key_span(&k), DNS_TXT, m.a, &cache_ttl_defaults, UNIT_NOW, out, size, &n) == RC_OK);
	dns_answer_unref(m.a);
	return n;
}

UNUSED static enum rc
unit_put(struct cache_db *db, unsigned from, unsigned n, unsigned version, cache_db_keeps_fn *keeps)
{
	static uint8_t bytes[CACHE_DB_BATCH_MAX][1024];
	struct cache_db_item item[CACHE_DB_BATCH_MAX];
	struct cache_key key[CACHE_DB_BATCH_MAX];
	unsigned i;

	REQUIRE(n <= CACHE_DB_BATCH_MAX);
	for (i = 0; i < n; i++) {
		key[i] = unit_key(from + i);
		item[i].key = cache_key_span(&key[i]);
		item[i].value = span_of((char *)bytes[i], unit_value(from + i, version, bytes[i], sizeof bytes[i]));
		item[i].end_s = UNIT_NOW + 300 + (from + i) % 1000;
	}
	return cache_db_put(db, item, n, keeps, NULL);
}

/* Entries 0 .. n - 1 in batches. */
UNUSED static void
unit_fill(struct cache_db *db, unsigned n, unsigned version)
{
	unsigned at, step;

	for (at = 0; at < n; at += step) {
		step = MIN(n - at, (unsigned)CACHE_DB_BATCH_MAX);
		REQUIRE(unit_put(db, at, step, version, NULL) == RC_OK);
	}
}

/* RC_OK and the version found: right in every byte.  RC_NONE: not there, or not to be believed (*is_bad).  Anything wrong that was believed ends the
 * process. */
UNUSED static enum rc
unit_get(struct cache_db *db, unsigned i, unsigned *version_out, bool *is_bad)
{
	struct cache_key k = unit_key(i);
	const struct dns_answer *a;
	enum cache_age age;
	uint8_t buf[1024];
	unsigned said;
	size_t n;
	enum rc rc = cache_db_get(db, cache_key_span(&k), buf, sizeof buf, &n);

	*is_bad = false;
	if (rc != RC_OK) {
		*is_bad = rc == RC_TEMP;
		return rc == RC_TEMP ? RC_NONE : rc;
	}
	rc = cache_entry_get_dns(cache_key_span(&k), DNS_TXT, span_of((char *)buf, n), 0, UNIT_NOW, &a, &age);
	if (rc != RC_OK) {
		*is_bad = true;
		return RC_NONE;
	}
	REQUIRE(a->rr_count == 1 && a->rr[0].text.n >= 40);
	REQUIRE(sscanf(a->rr[0].text.p, "%u %u", &said, version_out) == 2 && said == i);
	dns_answer_unref(a);
	return RC_OK;
}

UNUSED static uint64_t
unit_entries(struct cache_db *db)
{
	struct cache_db_stats st;

	REQUIRE(cache_db_stats(db, &st) == RC_OK);
	return st.entries;
}

UNUSED static char *
unit_file(const char *suffix)
{
	struct cache_file_state s;
	static char file[CACHE_FILE_NAME_MAX + 16];
	char why[512], name[CACHE_FILE_NAME_MAX];

	REQUIRE(cache_file_state_read(unit_path, &s, why, sizeof why) == RC_OK);
	REQUIRE(cache_file_name(unit_path, s.format, s.generation, name) == RC_OK);
	snprintf(file, sizeof file, "%s%s", name, suffix);
	return file;
}

#endif
