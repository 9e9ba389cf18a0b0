/*
 * benchcache - what the shared cache costs: prints tables.
 *
 *	benchcache [--quick] [FOLDER]           FOLDER: where the file is made (default: TMPDIR or /tmp)
 *
 *	1  a hit (key, look-up, checksum, decoding, release of the answer) with 10^3 to 10^6 entries, one thread
 *	2  4 processes with 4 threads each read as fast as they can, while 10,000 offers a second come in
 *	3  1,000,000 different entries through the feed into a map of 128 MiB, with garbage collection, beside a reader
 * Exit code 1 when a bound that we promise is broken (not with --quick).
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/cache_db.h"
#include "cache/cache_feed.h"
#include "cache/cache_gc.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"

enum {
	PROCESSES = 4, THREADS = 4,
	SAMPLE = 8192,                  /* names a thread looks up, spread over all */
	BUCKETS = 20000, BUCKET_NS = 10,
	RATE = 10000,                   /* offers a second, all processes together */
	BATCH_MS = 20,
	READERS_MAX = 512,
};

struct histogram {
	uint64_t n, longest_ns, sum_ns;
	uint32_t bucket[BUCKETS + 1];
};

/* What all processes of a step see. */
struct shared {
	atomic_bool is_over;
	atomic_uint ready;
	pthread_mutex_t lock;
	struct histogram hit, offer;
	uint64_t misses, offered, dropped;
	/* the writer's */
	uint64_t stored, batches, evicted, runs, most_used, map_bytes, entries, lost, dropped_all;
	double seconds;
};
static struct shared *shared;
static char folder[512], path[600];
static bool is_quick, is_bad;
static int64_t now_s;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void
record(struct histogram *h, uint64_t ns)
{
	h->n++;
	h->sum_ns += ns;
	h->longest_ns = MAX(h->longest_ns, ns);
	h->bucket[MIN(ns / BUCKET_NS, (uint64_t)BUCKETS)]++;
}

static double
percentile_us(const struct histogram *h, double part)
{
	uint64_t seen = 0, want = (uint64_t)((double)h->n * part);
	size_t i;

	for (i = 0; i < BUCKETS && seen + h->bucket[i] <= want; i++)
		seen += h->bucket[i];
	return (double)(i * BUCKET_NS + BUCKET_NS / 2) / 1000;
}

static void
merge(struct histogram *into, const struct histogram *h)
{
	into->n += h->n;
	into->sum_ns += h->sum_ns;
	into->longest_ns = MAX(into->longest_ns, h->longest_ns);
	for (size_t i = 0; i <= BUCKETS; i++)
		into->bucket[i] += h->bucket[i];
}

static struct dns_name
name_of(unsigned i)
{
	struct dns_name name;
	char text[64];

	snprintf(text, sizeof text, "_spf%u.d%x.example", i % 7, i * 2654435761u);
	REQUIRE(dns_name_from_text(span_cstr(text), &name) == RC_OK);
	return name;
}

/* A TXT record of 100 to 163 bytes, which makes a value of about 160. */
static const struct dns_answer *
answer_of(unsigned i)
{
	size_t len = 100 + i % 64;
	struct answer_make m = answer_make(DNS_OK, 1, 0, len);
	struct dns_rr *rr = answer_make_rr(&m, 3600 + i % 3600);
	char *text = answer_make_text(&m, len);

	memset(text, 'a', len);
	rr->text = span_of(text, len);
	m.a->ttl_s = rr->ttl_s;
	return m.a;
}

static struct cache_db *
open_writer(uint64_t bytes)
{
	struct cache_db *db;
	char why[512];
	bool is_new;

	if (cache_db_open_writer(path, bytes, READERS_MAX, &db, &is_new, why, sizeof why) != RC_OK) {
		fprintf(stderr, "benchcache: %s\n", why);
		exit(1);
	}
	(void)cache_db_remove_others(db);
	return db;
}

static void
fill(struct cache_db *db, unsigned from, unsigned to)
{
	static uint8_t value[CACHE_DB_BATCH_MAX][512];
	static struct cache_key key[CACHE_DB_BATCH_MAX];
	struct cache_db_item item[CACHE_DB_BATCH_MAX];
	size_t n = 0, len;

	for (unsigned i = from; i < to; i++) {
		struct dns_name name = name_of(i);
		const struct dns_answer *a = answer_of(i);

		REQUIRE(cache_key_dns(&name, DNS_TXT, &key[n]) == RC_OK);
		REQUIRE(cache_entry_put_dns(cache_key_span(&key[n]), DNS_TXT, a, &cache_ttl_defaults, now_s, value[n], sizeof value[n], &len) == RC_OK);
		item[n] = (struct cache_db_item){ cache_key_span(&key[n]), span_of((char *)value[n], len), now_s + a->ttl_s };
		dns_answer_unref(a);
		if (++n == CACHE_DB_BATCH_MAX || i + 1 == to) {
			REQUIRE(cache_db_put(db, item, n, NULL, NULL) == RC_OK);
			n = 0;
		}
	}
}

static void
clean(void)
{
	char file[1024];
	struct dirent *e;
	DIR *d = opendir(folder);

	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
		(void)unlink(file);
	}
	if (d != NULL)
		closedir(d);
}

static void
end(void)
{
	clean();
	(void)rmdir(folder);
}

/* ---- readers -------------------------------------------------------------------------------- */

struct reader {
	struct cache *c;
	unsigned names, seed, step_us;          /* step_us: a pause between look-ups, 0: none */
	struct histogram h;
	uint64_t misses;
};

static void *
read_names(void *arg)
{
	struct reader *r = arg;
	struct dns_name *name = xcalloc(SAMPLE, sizeof *name);
	const struct dns_answer *a;
	unsigned i, x = r->seed * 2654435761u + 1;

	for (i = 0; i < SAMPLE; i++) {
		x = x * 1664525u + 1013904223u;
		name[i] = name_of((unsigned)((uint64_t)x * r->names >> 32));
	}
	atomic_fetch_add(&shared->ready, 1);
	for (i = 0; !atomic_load_explicit(&shared->is_over, memory_order_relaxed); i = (i + 1) % SAMPLE) {
		uint64_t begin = now_ns();
		enum rc rc = cache_get_dns(r->c, &name[i], DNS_TXT, CACHE_LOOK, now_s, &a);

		if (rc == RC_OK)
			dns_answer_unref(a);
		if (rc == RC_OK)
			record(&r->h, now_ns() - begin);
		else
			r->misses++;
		if (r->step_us > 0)
			usleep(r->step_us);
	}
	free(name);
	return NULL;
}

/* A quarter of all offers: one a millisecond and process would be 4,000; so 5 every 2 ms. */
struct offerer {
	struct cache *c;
	unsigned from;
	struct histogram h;
};

static void *
offer_names(void *arg)
{
	struct offerer *o = arg;
	uint64_t every = 1000000000u / (RATE / PROCESSES), next = now_ns();
	unsigned i = o->from;

	while (!atomic_load_explicit(&shared->is_over, memory_order_relaxed)) {
		struct dns_name name = name_of(i);
		const struct dns_answer *a = answer_of(i++);
		uint64_t begin = now_ns();

		(void)cache_offer_dns(o->c, &name, DNS_TXT, a, cache_epoch(o->c), now_s);
		record(&o->h, now_ns() - begin);
		dns_answer_unref(a);
		for (next += every; now_ns() < next && !atomic_load_explicit(&shared->is_over, memory_order_relaxed);)
			usleep(200);
	}
	return NULL;
}

/* As a worker has one: counting is part of what is measured. */
static struct board *
board_make(void)
{
	struct board *board;
	size_t size;
	int fd;

	REQUIRE(board_create(0, &fd, &board, &size) == RC_OK);
	close(fd);
	return board;
}

struct process {
	int feed;
	unsigned number, names, threads, step_us;
	bool offers;
};

static int
run_readers(const struct process *p)
{
	struct reader *r = xcalloc(p->threads, sizeof *r);
	struct offerer *o = xcalloc(1, sizeof *o);
	pthread_t thread[THREADS], offering;
	struct board *board = board_make();
	struct cache *c = cache_create(path, p->feed, &cache_ttl_defaults, board);
	char why[512] = "";
	bool is_changed;

	if (cache_refresh(c, &is_changed, why, sizeof why) != RC_OK) {
		fprintf(stderr, "benchcache: reader: %s\n", why);
		return 1;
	}
	for (unsigned i = 0; i < p->threads; i++) {
		r[i] = (struct reader){ .c = c, .names = p->names, .seed = p->number * THREADS + i + 1, .step_us = p->step_us };
		REQUIRE(pthread_create(&thread[i], NULL, read_names, &r[i]) == 0);
	}
	*o = (struct offerer){ .c = c, .from = 100000000u + p->number * 10000000u };
	if (p->offers)
		REQUIRE(pthread_create(&offering, NULL, offer_names, o) == 0);
	for (unsigned i = 0; i < p->threads; i++)
		REQUIRE(pthread_join(thread[i], NULL) == 0);
	if (p->offers)
		REQUIRE(pthread_join(offering, NULL) == 0);
	REQUIRE(pthread_mutex_lock(&shared->lock) == 0);
	for (unsigned i = 0; i < p->threads; i++) {
		merge(&shared->hit, &r[i].h);
		shared->misses += r[i].misses;
	}
	merge(&shared->offer, &o->h);
	shared->offered += atomic_load(&board->counter[BOARD_CACHE_OFFERED_TXT]);
	shared->dropped += atomic_load(&board->counter[BOARD_CACHE_DROPPED_TXT]);
	pthread_mutex_unlock(&shared->lock);
	cache_destroy(&c);
	free(r);
	free(o);
	return 0;
}

/* ---- the writer ----------------------------------------------------------------------------- */

struct writer {
	struct cache_db *db;
	struct cache_gc gc;
	struct cache_feed_rules rules;
	struct cache_db_item item[CACHE_DB_BATCH_MAX];
	size_t n;
};

static void
note_use(struct writer *w)
{
	struct cache_db_stats st;

	REQUIRE(cache_db_stats(w->db, &st) == RC_OK);
	shared->most_used = MAX(shared->most_used, st.used_bytes);
	shared->map_bytes = st.map_bytes;
	shared->entries = st.entries;
}

static void
commit(struct writer *w)
{
	size_t deleted;

	if (w->n == 0)
		return;
	if (cache_db_put(w->db, w->item, w->n, cache_feed_keeps, &w->rules) == RC_OK)
		shared->stored += w->n;
	shared->batches++;
	w->n = 0;
	while (cache_gc_step(&w->gc, w->db, now_s, &deleted) == RC_OK)
		;
	note_use(w);
}

/* Takes offers until all offering ends are closed; 64 of them or 20 ms make a batch. */
static int
run_writer(uint64_t map_bytes, int fd)
{
	uint8_t *bytes = xmalloc((size_t)CACHE_DB_BATCH_MAX * CACHE_FEED_MAX);
	struct writer w = { .db = open_writer(map_bytes), .rules = { 0, now_s } };
	int64_t until = 0;
	struct cache_offer o;
	enum rc rc;

	atomic_fetch_add(&shared->ready, 1);
	for (;;) {
		rc = cache_feed_receive(fd, bytes + w.n * CACHE_FEED_MAX, CACHE_FEED_MAX, &o);
		if (rc == RC_OK && cache_feed_accept(&o, 0, now_s, &w.item[w.n]) == RC_OK) {
			if (w.n++ == 0)
				until = clock_mono_ms() + BATCH_MS;
		}
		if (w.n == CACHE_DB_BATCH_MAX || (w.n > 0 && (rc == RC_NONE || clock_mono_ms() >= until)))
			commit(&w);
		if (rc == RC_NONE)
			break;
		if (rc == RC_TEMP)
			(void)poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, w.n > 0 ? (int)MAX(until - clock_mono_ms(), (int64_t)0) : -1);
	}
	shared->evicted = w.gc.evicted;
	shared->runs = w.gc.runs;
	shared->lost = cache_db_counters(w.db)->write_errors;
	shared->dropped_all = cache_db_counters(w.db)->dropped_all;
	cache_db_close(&w.db);
	free(bytes);
	return 0;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void
begin_step(void)
{
	pthread_mutexattr_t attr;

	memset(shared, 0, sizeof *shared);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &attr);
	fflush(NULL);
}

static void
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "benchcache: a process failed (%d)\n", status);
		exit(1);
	}
}

static void
wait_until_ready(unsigned n)
{
	while (atomic_load(&shared->ready) < n)
		usleep(1000);
}

static void
promise(bool is_kept, const char *what)
{
	if (!is_kept)
		printf("   !  not kept: %s\n", what);
	is_bad |= !is_kept;
}

static double
one_size(unsigned entries)
{
	struct process p = { .feed = -1, .names = entries, .threads = 1 };
	struct cache_db *db;
	double ns, us;
	pid_t pid;

	clean();
	begin_step();
	if ((pid = fork()) == 0) {
		double begin = (double)now_ns();

		db = open_writer((uint64_t)1 << 30);
		fill(db, 0, entries);
		shared->seconds = ((double)now_ns() - begin) / 1e9;
		cache_db_close(&db);
		_exit(0);
	}
	wait_for(pid);
	if ((pid = fork()) == 0)
		_exit(run_readers(&p));
	wait_until_ready(1);
	usleep(is_quick ? 100000 : 1500000);
	atomic_store(&shared->is_over, true);
	wait_for(pid);
	ns = (double)shared->hit.sum_ns / (double)MAX(shared->hit.n, (uint64_t)1);
	us = percentile_us(&shared->hit, 0.5);
	printf("%10u  %8.2f  %8.2f  %8.2f  %11.0f  %12.1f\n", entries, us, percentile_us(&shared->hit, 0.99), ns / 1000,
	       1e9 / MAX(ns, 1), shared->seconds * 1e6 / entries);
	promise(shared->misses == 0, "every entry is found");
	return us;
}

static void
sizes(void)
{
	double first, last = 0;
	unsigned n, most = is_quick ? 10000 : 1000000;

	printf("1. One thread, us for each hit\n   entries       p50       p99      mean   hits/second  us/stored\n");
	for (first = last = one_size(1000), n = 10000; n <= most; n *= 10)
		last = one_size(n);
	promise(last <= 2 * first, "a hit among 1,000,000 entries costs at most twice a hit among 1,000");
}

static void
crowd(void)
{
	unsigned seconds = is_quick ? 1 : 5, names = is_quick ? 10000 : 100000;
	struct cache_db *db;
	pid_t reader[PROCESSES], writer, pid;
	int fd[2], room = 4 * MIB;
	double p50, p99;

	clean();
	begin_step();
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0);
	if (setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0)      /* root's; others have net.core.wmem_max */
		(void)setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if ((pid = fork()) == 0) {
		db = open_writer((uint64_t)256 * MIB);
		fill(db, 0, names);
		cache_db_close(&db);
		_exit(0);
	}
	wait_for(pid);
	if ((writer = fork()) == 0) {
		close(fd[0]);
		_exit(run_writer((uint64_t)256 * MIB, fd[1]));
	}
	wait_until_ready(1);
	for (unsigned i = 0; i < PROCESSES; i++) {
		struct process p = { .feed = fd[0], .number = i, .names = names, .threads = THREADS, .offers = true };

		if ((reader[i] = fork()) == 0) {
			close(fd[1]);
			_exit(run_readers(&p));
		}
	}
	close(fd[0]);
	close(fd[1]);
	wait_until_ready(1 + PROCESSES * THREADS);
	sleep(seconds);
	atomic_store(&shared->is_over, true);
	for (unsigned i = 0; i < PROCESSES; i++)
		wait_for(reader[i]);
	wait_for(writer);
	p50 = percentile_us(&shared->hit, 0.5);
	p99 = percentile_us(&shared->hit, 0.99);
	printf("\n2. %d processes with %d threads, %u entries, offers beside them, %u s\n", PROCESSES, THREADS, names, seconds);
	printf("   hit      p50 %6.2f us   p99 %6.2f us   %.0f hits/second\n", p50, p99, (double)shared->hit.n / seconds);
	printf("   offer    p50 %6.2f us   p99 %6.2f us   longest %.0f us   %.0f offers/second, %llu dropped\n",
	       percentile_us(&shared->offer, 0.5), percentile_us(&shared->offer, 0.99), (double)shared->offer.longest_ns / 1000,
	       (double)shared->offer.n / seconds, (unsigned long long)shared->dropped);
	printf("   writer   %llu stored in %llu batches, %llu batches lost\n", (unsigned long long)shared->stored,
	       (unsigned long long)shared->batches, (unsigned long long)shared->lost);
	promise(p50 <= 1.5 && p99 <= 5, "a hit takes at most 1.5 us (p50) and 5 us (p99)");
	promise((double)shared->offer.n / seconds >= 0.9 * RATE, "10,000 offers a second are made");
	promise(shared->lost == 0 && shared->misses == 0, "nothing is lost");
}

/* The sending side of step 3: as fast as the writer takes it. */
static int
offer_all(int fd, unsigned n)
{
	struct cache *c = cache_create(path, fd, &cache_ttl_defaults, NULL);

	for (unsigned i = 0; i < n; i++) {
		struct dns_name name = name_of(i);
		const struct dns_answer *a = answer_of(i);
		bool is_sent = cache_offer_dns(c, &name, DNS_TXT, a, cache_epoch(c), now_s);

		dns_answer_unref(a);
		if (!is_sent) {
			i--;
			usleep(500);
		}
	}
	cache_destroy(&c);
	return 0;
}

static void
limit(void)
{
	struct process p = { .feed = -1, .names = is_quick ? 20000 : 1000000, .threads = 1, .step_us = 50 };
	uint64_t map_bytes = is_quick ? (uint64_t)32 * MIB : (uint64_t)128 * MIB;
	unsigned n = is_quick ? 150000 : 1000000;
	pid_t writer, sender, reader;
	int fd[2];
	double begin;

	clean();
	begin_step();
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0);
	begin = (double)now_ns();
	if ((writer = fork()) == 0) {
		close(fd[0]);
		_exit(run_writer(map_bytes, fd[1]));
	}
	wait_until_ready(1);
	if ((reader = fork()) == 0) {
		close(fd[0]);
		close(fd[1]);
		_exit(run_readers(&p));
	}
	if ((sender = fork()) == 0) {
		close(fd[1]);
		_exit(offer_all(fd[0], n));
	}
	close(fd[0]);
	close(fd[1]);
	wait_for(sender);
	wait_for(writer);
	begin = ((double)now_ns() - begin) / 1e9;
	atomic_store(&shared->is_over, true);
	wait_for(reader);
	printf("\n3. %u entries through the feed into a map of %llu MiB\n", n, (unsigned long long)(map_bytes / MIB));
	printf("   %.1f s, %.0f entries/second; %llu evicted in %llu runs; %llu there at the end\n", begin, n / begin,
	       (unsigned long long)shared->evicted, (unsigned long long)shared->runs, (unsigned long long)shared->entries);
	printf("   map in use: at most %.1f %%; dropped as a whole %llu times, %llu batches lost\n",
	       100.0 * (double)shared->most_used / (double)MAX(shared->map_bytes, (uint64_t)1), (unsigned long long)shared->dropped_all,
	       (unsigned long long)shared->lost);
	printf("   a reader beside it: %llu hits, p50 %.2f us, p99 %.2f us\n", (unsigned long long)shared->hit.n,
	       percentile_us(&shared->hit, 0.5), percentile_us(&shared->hit, 0.99));
	promise(shared->stored == n && shared->lost == 0 && shared->dropped_all == 0, "all entries are stored, none dropped as a whole");
	promise(shared->most_used <= shared->map_bytes / 100 * 92, "garbage collection holds the map below its limit");
}

int
main(int argc, char **argv)
{
	const char *base = getenv("TMPDIR");

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			is_quick = true;
		else
			base = argv[i];
	}
	snprintf(folder, sizeof folder, "%s/enma-bench-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(folder) == NULL) {
		fprintf(stderr, "benchcache: %s: %s\n", folder, strerror(errno));
		return 1;
	}
	snprintf(path, sizeof path, "%s/cache", folder);
	now_s = clock_wall_s();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
	sizes();
	crowd();
	limit();
	end();
	return is_bad && !is_quick;
}
