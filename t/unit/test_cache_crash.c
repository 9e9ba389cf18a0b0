/*
 * test_cache_crash - the writer is killed and stopped in the middle of transactions while others read; many processes and threads at once.
 *
 * Readers check every byte of what they find, and that no version goes back.
 */
#include "t/unit/cache_unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "common/base/clock.h"

enum { ENTRIES = 600, KILLS = 200, PROCESSES = 4, THREADS = 4 };

/* What all processes of a test see. */
struct shared {
	atomic_uint written;            /* the version that is committed for all entries */
	atomic_bool is_over;
	atomic_ulong hits, misses;
	atomic_uint readers_up;
};
static struct shared *shared;

static int
setup(void **state)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : unit_setup(state);
}

static int
teardown(void **state)
{
	munmap(shared, sizeof *shared);
	return unit_teardown(state);
}

static bool
die_here(void *arg, struct span key, struct span old_value, struct span new_value)
{
	static int left = -1;

	(void)arg, (void)key, (void)old_value, (void)new_value;
	if (left < 0)
		left = 1 + (int)(clock_mono_us() % 60);
	if (--left == 0)
		raise(SIGKILL);
	return false;
}

static bool
stop_here(void *arg, struct span key, struct span old_value, struct span new_value)
{
	(void)arg, (void)key, (void)old_value, (void)new_value;
	raise(SIGSTOP);
	return false;
}

/* Writes versions on and on until it is killed, or kills itself inside a transaction. */
static int
writer_to_kill(void *arg)
{
	struct cache_db *db;
	unsigned round = 0, version = atomic_load(&shared->written), at;
	bool is_new;

	db = unit_writer_sized(16 * MIB, &is_new);
	REQUIRE(!is_new);
	for (;;) {
		version++;
		for (at = 0; at < ENTRIES; at += 60)
			REQUIRE(unit_put(db, at, 60, version, *(int *)arg == 0 && ++round > 7 ? die_here : NULL) == RC_OK);
		atomic_store(&shared->written, version);
	}
	return 0;
}

static void *
read_until_over(void *arg)
{
	struct cache_db *db = arg;
	unsigned seen[ENTRIES] = { 0 }, i, version = 0, floor;
	unsigned long hits = 0, misses = 0;
	bool is_bad;

	atomic_fetch_add(&shared->readers_up, 1);
	while (!atomic_load(&shared->is_over))
		for (i = 0; i < ENTRIES; i++) {
			floor = atomic_load(&shared->written);
			if (unit_get(db, i, &version, &is_bad) != RC_OK) {
				REQUIRE(!is_bad);
				misses++;
				continue;
			}
			/* What was committed before we looked is there, and nothing goes back. */
			REQUIRE(version >= floor && version >= seen[i]);
			seen[i] = version;
			hits++;
		}
	atomic_fetch_add(&shared->hits, hits);
	atomic_fetch_add(&shared->misses, misses);
	return NULL;
}

static int
reader_process(void *arg)
{
	struct cache_db *db = unit_reader();
	pthread_t thread[THREADS];

	(void)arg;
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&thread[i], NULL, read_until_over, db) == 0);
	for (int i = 0; i < THREADS; i++)
		REQUIRE(pthread_join(thread[i], NULL) == 0);
	REQUIRE(!cache_db_is_damaged(db) && !cache_db_is_outdated(db));
	cache_db_close(&db);
	return 0;
}

static void
begin(unsigned version)
{
	struct cache_db *db = unit_writer();

	unit_fill(db, ENTRIES, version);
	atomic_store(&shared->written, version);
	cache_db_close(&db);
}

static void
wait_for_readers(unsigned n)
{
	for (int64_t until = clock_mono_ms() + 60000; atomic_load(&shared->readers_up) < n && clock_mono_ms() < until;)
		usleep(1000);
	assert_int_equal(atomic_load(&shared->readers_up), n);
}

static void
wait_for_version(unsigned version)
{
	for (int64_t until = clock_mono_ms() + 60000; atomic_load(&shared->written) < version && clock_mono_ms() < until;)
		usleep(100);
	assert_true(atomic_load(&shared->written) >= version);
}

/* Killed 200 times, half of them by its own hand inside a transaction, while two processes read with four threads each. */
static void
test_writer_killed(void **state)
{
	struct cache_db *db;
	struct cache_db_stats st;
	pid_t reader[2], pid;
	unsigned version;
	bool is_new, is_bad;
	size_t n, deleted = 0;

	(void)state;
	begin(1);
	for (int i = 0; i < 2; i++)
		reader[i] = unit_start(reader_process, NULL);
	wait_for_readers(2 * THREADS);
	for (int i = 0; i < KILLS; i++) {
		int way = i % 2;

		version = atomic_load(&shared->written);
		pid = unit_start(writer_to_kill, &way);
		if (way == 1) {
			wait_for_version(version + 1);
			usleep((unsigned)(clock_mono_us() % 3000));
			kill(pid, SIGKILL);
		}
		assert_int_equal(unit_wait(pid), 1000 + SIGKILL);
	}
	atomic_store(&shared->is_over, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(unit_wait(reader[i]), 0);
	assert_true(atomic_load(&shared->hits) > 1000);
	assert_int_equal(atomic_load(&shared->misses), 0);
	/* The file is whole: every entry is there once, and is filed once. */
	db = unit_writer_sized(16 * MIB, &is_new);
	assert_false(is_new);
	assert_int_equal(unit_entries(db), ENTRIES);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_int_equal(unit_get(db, i, &version, &is_bad), RC_OK);
	assert_int_equal(cache_db_stats(db, &st), RC_OK);
	assert_true(st.used_bytes < 1 * MIB && st.file_bytes < 16 * MIB);
	while (cache_db_delete_ended(db, INT64_MAX, CACHE_DB_STEP_MAX, &n) == RC_OK && n > 0)
		deleted += n;
	assert_int_equal(deleted, ENTRIES);
	assert_int_equal(unit_entries(db), 0);
	cache_db_close(&db);
}

static int
writer_that_stops(void *arg)
{
	struct cache_db *db = unit_writer();

	(void)arg;
	REQUIRE(unit_put(db, 0, 60, atomic_load(&shared->written) + 1, stop_here) == RC_OK);
	cache_db_close(&db);
	return 0;
}

/* Stopped inside a transaction: readers go on with what is committed; continued, it goes on, too. */
static void
test_writer_stopped(void **state)
{
	pid_t reader, pid;
	int status;

	(void)state;
	begin(1);
	reader = unit_start(reader_process, NULL);
	wait_for_readers(THREADS);
	pid = unit_start(writer_that_stops, NULL);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	/* A reader that comes now is served as well. */
	atomic_store(&shared->readers_up, 0);
	for (int i = 0; i < 2; i++) {
		pid_t late = unit_start(reader_process, NULL);

		wait_for_readers((unsigned)(i + 1) * THREADS);
		if (i == 1) {
			atomic_store(&shared->is_over, true);
			assert_int_equal(unit_wait(late), 0);
		} else {
			kill(late, SIGKILL);
			assert_int_equal(unit_wait(late), 1000 + SIGKILL);
		}
	}
	assert_int_equal(unit_wait(reader), 0);
	for (int i = 0; i < 60; i++) {
		kill(pid, SIGCONT);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		if (WIFEXITED(status))
			break;
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(atomic_load(&shared->hits) > 0);
	assert_int_equal(atomic_load(&shared->misses), 0);
}

/* A reader that the system does not let run in the middle of a look-up keeps pages from being used again: the batch is lost, and said to be. */
static void
put_all(struct cache_db *db, unsigned at, unsigned version)
{
	while (unit_put(db, at, 60, version, NULL) != RC_OK) {
		if (strstr(cache_db_error(db), "look-up") == NULL)
			fail_msg("%s", cache_db_error(db));
		usleep(1000);
	}
}

/* Four processes with four threads each read while a writer goes on writing. */
static void
test_many_readers(void **state)
{
	struct cache_db *db;
	struct cache_db_stats st;
	pid_t reader[PROCESSES];
	int64_t until;

	(void)state;
	begin(1);
	for (int i = 0; i < PROCESSES; i++)
		reader[i] = unit_start(reader_process, NULL);
	wait_for_readers(PROCESSES * THREADS);
	db = unit_writer();
	until = clock_mono_ms() + 1500;
	/* On a busy machine it takes as long as it takes. */
	for (unsigned version = 2; clock_mono_ms() < until || version <= 4; version++) {
		assert_true(clock_mono_ms() < until + 60000);
		for (unsigned at = 0; at < ENTRIES; at += 60)
			put_all(db, at, version);
		atomic_store(&shared->written, version);
	}
	atomic_store(&shared->is_over, true);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(unit_wait(reader[i]), 0);
	assert_int_equal(atomic_load(&shared->misses), 0);
	assert_true(atomic_load(&shared->hits) > 1000 && atomic_load(&shared->written) > 2);
	assert_int_equal(cache_db_check_readers(db), 0);
	assert_int_equal(cache_db_stats(db, &st), RC_OK);
	assert_true(st.readers >= PROCESSES && st.readers <= PROCESSES * CACHE_DB_SLOTS);
	cache_db_close(&db);
}

/* The threads of one process, which is also the writer: what a sanitizer for threads can see. */
static void
test_threads_of_one_process(void **state)
{
	struct cache_db *db;
	pthread_t thread[THREADS];
	int64_t until;

	(void)state;
	begin(1);
	db = unit_writer();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_until_over, db), 0);
	wait_for_readers(THREADS);
	until = clock_mono_ms() + 700;
	for (unsigned version = 2; clock_mono_ms() < until; version++) {
		for (unsigned at = 0; at < ENTRIES; at += 60)
			assert_int_equal(unit_put(db, at, 60, version, NULL), RC_OK);
		atomic_store(&shared->written, version);
	}
	atomic_store(&shared->is_over, true);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(atomic_load(&shared->misses), 0);
	assert_true(atomic_load(&shared->hits) > 0);
	cache_db_close(&db);
}

#define crash_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		crash_test(test_writer_killed),
		crash_test(test_writer_stopped),
		crash_test(test_many_readers),
		crash_test(test_threads_of_one_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
