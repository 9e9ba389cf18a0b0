/* test_claims - who asks: one process, several that fight for the same questions, one that is killed, and memory that is none. */
#include "t/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/ipc/claims.h"

enum { US = 100, THEM = 4194303 /* the highest pid that Linux gives */, NOW = 1000000 };

static struct claims *table;
static int table_fd;

static int
setup(void **state)
{
	(void)state;
	alarm(240);             /* a test that hangs fails */
	return claims_create(&table_fd, &table) == RC_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	claims_detach(&table);
	claims_detach(&table);
	close(table_fd);
	return 0;
}

static void
test_take_and_release(void **state)
{
	uint64_t h = claims_hash(table, SPAN("key"));

	(void)state;
	assert_int_equal(claims_take(table, h, US, NOW), CLAIM_MINE);
	assert_int_equal(claims_take(table, h, US, NOW), CLAIM_MINE);
	assert_int_equal(claims_take(table, h, THEM, NOW), CLAIM_OTHERS);
	assert_true(claims_is_others(table, h, THEM, NOW));
	assert_false(claims_is_others(table, h, US, NOW));
	claims_release(table, h, THEM);         /* not theirs */
	assert_true(claims_is_others(table, h, THEM, NOW));
	claims_release(table, h, US);
	claims_release(table, h, US);
	assert_false(claims_is_others(table, h, THEM, NOW));
	assert_int_equal(claims_take(table, h, THEM, NOW), CLAIM_MINE);
	assert_true(claims_is_others(table, h, US, NOW));
}

static void
test_ends_by_itself(void **state)
{
	/* also where the clock's 20 bits of 100 ms come round */
	static const int64_t starts[] = { 0, NOW, ((int64_t)1 << 20) * 100 - 1, ((int64_t)1 << 20) * 100 - 1500, ((int64_t)1 << 20) * 300 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
		uint64_t h = claims_hash(table, SPAN("key"));

		assert_int_equal(claims_take(table, h, US, starts[i]), CLAIM_MINE);
		assert_int_equal(claims_take(table, h, THEM, starts[i] + CLAIMS_LIFE_MS), CLAIM_OTHERS);
		assert_false(claims_is_others(table, h, THEM, starts[i] + CLAIMS_LIFE_MS + 200));
		assert_int_equal(claims_take(table, h, THEM, starts[i] + CLAIMS_LIFE_MS + 200), CLAIM_MINE);
		claims_release(table, h, US);   /* ended, and somebody else's now */
		assert_true(claims_is_others(table, h, US, starts[i] + CLAIMS_LIFE_MS + 200));
		claims_release(table, h, THEM);
	}
}

/* Low bits choose the slot, high bits tell questions apart. */
static void
test_two_in_a_slot(void **state)
{
	uint64_t a = 7, b = UINT64_C(1) << 63 | 7, c = 8;

	(void)state;
	assert_int_equal(claims_take(table, a, US, NOW), CLAIM_MINE);
	assert_int_equal(claims_take(table, b, US, NOW), CLAIM_NONE);
	assert_int_equal(claims_take(table, b, THEM, NOW), CLAIM_NONE);
	assert_int_equal(claims_take(table, c, THEM, NOW), CLAIM_MINE);
	claims_release(table, b, US);
	assert_true(claims_is_others(table, a, THEM, NOW));
	assert_false(claims_is_others(table, b, THEM, NOW));
}

static void
test_all_of_a_dead_one(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < CLAIMS_SLOTS; i++)
		assert_int_equal(claims_take(table, i, i % 2 == 0 ? US : THEM, NOW), CLAIM_MINE);
	claims_release_all(table, US);
	for (uint64_t i = 0; i < CLAIMS_SLOTS; i++)
		assert_int_equal(claims_is_others(table, i, 1, NOW), i % 2 == 1);
}

/* Somebody scribbles: whatever stands there, a claim is to be had within its life. */
static void
test_scribbled(void **state)
{
	char *bytes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);

	(void)state;
	assert_true(bytes != MAP_FAILED);
	for (int fill = 0; fill < 256; fill++) {
		enum claim c;

		memset(bytes + 64, fill, 4096 - 64);
		c = claims_take(table, 100, US, NOW);
		assert_true(c == CLAIM_MINE || c == CLAIM_OTHERS || c == CLAIM_NONE);
		assert_int_equal(claims_take(table, 100, US, NOW + CLAIMS_LIFE_MS + 200), CLAIM_MINE);
	}
	munmap(bytes, 4096);
}

static void
test_refuses_other_memory(void **state)
{
	struct claims *t;
	struct stat st;
	int fd, unsealed = memfd_create("t", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(claims_attach(-1, &t), RC_SYNTAX);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(claims_attach(fd, &t), RC_SYNTAX);
	close(fd);
	assert_int_equal(fstat(table_fd, &st), 0);
	assert_int_equal(ftruncate(unsealed, st.st_size), 0);
	assert_int_equal(claims_attach(unsealed, &t), RC_SYNTAX);
	close(unsealed);
	for (off_t d = -1; d <= 1; d++) {
		assert_int_equal(fdio_memfd_shared("t", (size_t)(st.st_size + d), &fd), RC_OK);
		assert_int_equal(claims_attach(fd, &t), RC_SYNTAX);     /* d == 0: no magic */
		close(fd);
	}
	assert_null(t);
	assert_int_equal(claims_attach(table_fd, &t), RC_OK);
	assert_true(claims_hash(t, SPAN("x")) == claims_hash(table, SPAN("x")));
	claims_detach(&t);
}

/* ---- several processes ----------------------------------------------------------------------------------- */

enum { FIGHTERS = 4, QUESTIONS = 16, ROUNDS = 20000 };

struct ring {
	_Atomic pid_t holder[QUESTIONS];
	_Atomic uint64_t wins;
};

/* Who has the claim is alone in the ring; REQUIRE ends the child when not. */
static int
fight(struct ring *ring, unsigned seed)
{
	struct claims *t;
	pid_t me = getpid();

	REQUIRE(claims_attach(table_fd, &t) == RC_OK);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned q = (seed = seed * 1103515245u + 12345u) >> 16 & (QUESTIONS - 1);

		if (claims_take(t, q, me, NOW) != CLAIM_MINE)
			continue;
		REQUIRE(atomic_exchange(&ring->holder[q], me) == 0);
		atomic_fetch_add(&ring->wins, 1);
		REQUIRE(atomic_exchange(&ring->holder[q], 0) == me);
		claims_release(t, q, me);
	}
	return 0;
}

static pid_t
start(struct ring *ring, unsigned seed, bool is_forever)
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(240);
		while (fight(ring, seed) == 0 && is_forever)
			seed++;
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void
test_processes_fight(void **state)
{
	struct ring *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[FIGHTERS], victim;
	uint64_t wins;
	int status;

	(void)state;
	assert_true(ring != MAP_FAILED);
	for (unsigned i = 0; i < FIGHTERS; i++)
		pid[i] = start(ring, i, false);
	for (unsigned i = 0; i < FIGHTERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_true(atomic_load(&ring->wins) > ROUNDS);
	for (unsigned i = 0; i < 20; i++) {
		wins = atomic_load(&ring->wins);
		victim = start(ring, i, true);
		while (atomic_load(&ring->wins) < wins + 100)
			usleep(100);
		kill(victim, SIGKILL);
		assert_int_equal(waitpid(victim, &status, 0), victim);
		assert_true(WIFSIGNALED(status));
		claims_release_all(table, victim);
		for (unsigned q = 0; q < QUESTIONS; q++) {
			atomic_store(&ring->holder[q], 0);
			assert_int_equal(claims_take(table, q, US, NOW), CLAIM_MINE);
			claims_release(table, q, US);
		}
	}
	munmap(ring, sizeof *ring);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_take_and_release, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ends_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_in_a_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_of_a_dead_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scribbled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_other_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes_fight, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
