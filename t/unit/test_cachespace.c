/* cachespace: a cache that can never fit is an error, one that does not fit now is a warning. */
#include "t/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "master/cachespace.h"

static char folder[] = "/tmp/enma-cachespace-XXXXXX";

static void
test_judge(void **state)
{
	static const struct {
		uint64_t size, total, free, own;
		enum cachespace_verdict want;
	} cases[] = {
		{ 100, 1000, 100, 0, CACHESPACE_FITS },
		{ 101, 1000, 100, 0, CACHESPACE_TIGHT },
		{ 101, 1000, 100, 1, CACHESPACE_FITS },
		{ 102, 1000, 100, 1, CACHESPACE_TIGHT },
		{ 1000, 1000, 1000, 0, CACHESPACE_FITS },
		{ 1000, 1000, 0, 0, CACHESPACE_TIGHT },
		{ 1001, 1000, 1000, 5000, CACHESPACE_NEVER },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, CACHESPACE_FITS },
		{ 1, 0, 0, 0, CACHESPACE_FITS },        /* it does not say how large it is */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cachespace s = { cases[i].total, cases[i].free, cases[i].own };

		assert_int_equal(cachespace_judge(cases[i].size, &s), cases[i].want);
	}
}

static void
put_file(const char *name, size_t size)
{
	static const char bytes[1000];
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	for (; size > 0; size -= MIN(size, sizeof(bytes)))
		assert_int_equal(fwrite(bytes, 1, MIN(size, sizeof(bytes)), f), MIN(size, sizeof(bytes)));
	assert_int_equal(fflush(f), 0);
	assert_int_equal(fsync(fileno(f)), 0);  /* blocks are allocated late */
	assert_int_equal(fclose(f), 0);
}

static void
test_measure(void **state)
{
	struct cachespace here, above;
	char path[200];

	(void)state;
	snprintf(path, sizeof(path), "%s/cache", folder);
	assert_int_equal(cachespace_measure(path, &here), RC_OK);
	assert_true(here.total > 0 && here.free <= here.total && here.own == 0);
	put_file("cache.x.1", 100000);
	put_file("cachet", 100000);             /* another file, whose name begins alike */
	put_file("other.1", 100000);
	assert_int_equal(cachespace_measure(path, &here), RC_OK);
	assert_true(here.own >= 100000 && here.own < 200000);
	snprintf(path, sizeof(path), "%s/not/there/yet/cache", folder);
	assert_int_equal(cachespace_measure(path, &above), RC_OK);
	assert_true(above.total == here.total);
	snprintf(path, sizeof(path), "%s/cachet/cache", folder);     /* below a file */
	assert_int_equal(cachespace_measure(path, &above), RC_OK);
	assert_int_equal(cachespace_measure("/cache", &above), RC_OK);
	assert_int_equal(cachespace_measure("cache", &above), RC_NONE);
}

static void
check(const char *size, int want_code, const char *want_text)
{
	struct conf_errors errors;
	struct outcome o;
	struct conf *c;
	char path_setting[200], size_setting[80];
	const char *overrides[] = { path_setting, size_setting, "authresult.identifier=mx.example.jp" };

	snprintf(path_setting, sizeof(path_setting), "cache.path=%s/cache", folder);
	snprintf(size_setting, sizeof(size_setting), "cache.size=%s", size);
	assert_int_equal(conf_load(NULL, overrides, ARRAY_LEN(overrides), &c, &errors), RC_OK);
	outcome_init(&o);
	cachespace_check(c, &o);
	assert_int_equal(o.code, want_code);
	if (want_text == NULL)
		assert_int_equal(o.lines.n, 0);
	else
		assert_non_null(strstr(buf_text(&o.lines).p, want_text));
	c->cache_enabled = false;
	outcome_clear(&o);
	cachespace_check(c, &o);
	assert_int_equal(o.code, 0);
	assert_int_equal(o.lines.n, 0);
	outcome_fini(&o);
	conf_errors_fini(&errors);
	conf_destroy(&c);
}

static void
test_check(void **state)
{
	struct cachespace s;
	char path[200], size[40], text[200];
	uint64_t mib, room;

	(void)state;
	snprintf(path, sizeof(path), "%s/cache", folder);
	assert_int_equal(cachespace_measure(path, &s), RC_OK);
	mib = s.total / MIB;
	if (mib < 4194304) {            /* cache.size can say no more */
		snprintf(size, sizeof(size), "%llum", (unsigned long long)mib + 1);
		snprintf(text, sizeof(text), "%llu bytes", (unsigned long long)s.total);
		check(size, EX_CONFIG, text);
		check(size, EX_CONFIG, "lower cache.size, or set cache.path");
	}
	/* Between what is free and what there is at all; others use the disk meanwhile, so not at the edge (test_judge). */
	room = (s.free + s.own) / MIB;
	if (room + 64 < mib && room >= 32 && mib < 4194304) {
		snprintf(size, sizeof(size), "%llum", (unsigned long long)mib);
		check(size, 0, "make room, or lower cache.size");
	}
	if (room >= 64)
		check("16m", 0, NULL);
}

static int
setup(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "cache.x.1", "cachet", "other.1" };
	char path[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge),
		cmocka_unit_test(test_measure),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
