/* writer - the role of the process that writes the shared cache; see writer.h. */
#include "cache/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cache/cache_guard.h"
#include "cache/writer_int.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/ipc/role.h"

enum {
	FRAMES_MAX = 16,                /* read in one turn */
	MS_PER_S = 1000,
	LEAVE_MS = 2000,                /* for answers that are being sent when it is time to go */
	READERS_MIN = 512,
	READERS_MAX = 1 << 18,          /* 16 MiB of slots */
	TOOLS = 4,                      /* processes that read besides workers */
	/*
	 * What this process may take of its own, beside what it has at its start.  A batch of the largest values makes LMDB copy about 10 MiB of pages;
	 * dropping everything lists each page of the map, 8 bytes for one of 4 KiB, and grows that list by copying.  A length in a page of garbage
	 * asks for up to 16 TiB, and must not get it.
	 */
	MEMORY_BYTES = 64 * MIB,
	MEMORY_MAP_SHARE = 128,
};

struct writer {
	struct role role;
	struct writer_store store;
	struct writer_feed feed;
	struct writer_clients clients;
	int status_fd;
	bool is_leaving;
	int64_t leave_by_ms;
};

/* ---- frames -------------------------------------------------------------------------------------------- */

static void
leave(struct writer *w, int64_t within_ms)
{
	int64_t by_ms = clock_mono_ms() + MIN(MAX(within_ms, (int64_t)0), (int64_t)LEAVE_MS);

	w->leave_by_ms = w->is_leaving ? MIN(w->leave_by_ms, by_ms) : by_ms;
	w->is_leaving = true;
	atomic_store_explicit(&w->role.board->is_draining, 1, memory_order_relaxed);
}

/* fd is the frame's own; it is closed by the caller unless it is kept (true). */
static bool
obey(struct writer *w, const struct status_frame *frame, int fd)
{
	if (frame->generation != w->role.args->generation) {
		log_warn("a frame for generation %llu was ignored", (unsigned long long)frame->generation);
		return false;
	}
	switch (frame->kind) {
	case STATUS_DRAIN:
		leave(w, MIN(MAX(frame->value, 0), 3600) * MS_PER_S);
		break;
	case STATUS_LOG_REOPEN:
		if (fd >= 0)
			log_switch_fd(fd);
		break;
	case STATUS_REQUEST:
		if (fd < 0 || w->is_leaving)
			break;          /* the client's end of the connection says the rest */
		writer_clients_add(&w->clients, fd, span_cstr(frame->text), clock_mono_ms());
		return true;
	case STATUS_CHILD_DIED:
		writer_store_check_readers(&w->store, clock_mono_ms());
		break;
	default:
		log_warn("a frame of unknown kind %u was ignored", frame->kind);
	}
	return false;
}

static void
supervisor_is_gone(struct writer *w)
{
	log_error("the supervisor is gone: leaving");
	fdio_close(&w->status_fd);
	leave(w, LEAVE_MS);
}

static void
read_frames(struct writer *w)
{
	struct status_frame frame;
	const char *why = NULL;
	int i, fd = -1;

	for (i = 0; i < FRAMES_MAX && w->status_fd >= 0; i++) {
		enum rc rc = status_receive(w->status_fd, &frame, &fd, &why);

		if (rc == RC_TEMP)
			return;
		if (rc == RC_NONE)
			supervisor_is_gone(w);
		else if (rc == RC_SYNTAX)
			log_warn("a bad frame was ignored: %s", why);
		else if (rc == RC_OK && obey(w, &frame, fd))
			fd = -1;
		fdio_close(&fd);
	}
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

static int
sooner(int a, int b)
{
	return b >= 0 && b < a ? b : a;
}

static void
wait_for_work(struct writer *w, bool is_busy)
{
	int64_t now_ms = clock_mono_ms();
	int wait_ms = is_busy ? 0 : sooner(WRITER_POLL_MS, writer_feed_wait_ms(&w->feed, now_ms));
	struct pollfd p[2 + WRITER_POLLS] = {
		{ .fd = w->status_fd, .events = POLLIN },
		{ .fd = w->feed.is_gone ? -1 : w->feed.fd, .events = POLLIN },
	};

	writer_clients_polls(&w->clients, p + 2);
	if (poll(p, ARRAY_LEN(p), wait_ms) <= 0)
		return;
	writer_clients_polled(&w->clients, p + 2);
	if (p[0].revents != 0)
		read_frames(w);
}

static bool
turn(struct writer *w)
{
	int64_t now_ms = clock_mono_ms(), now_s = clock_wall_s();
	bool is_busy;

	atomic_store_explicit(&w->role.board->beat_ms, now_ms, memory_order_relaxed);
	(void)writer_store_open(&w->store, now_ms);
	is_busy = writer_feed_turn(&w->feed, now_ms, now_s);
	is_busy |= writer_clients_turn(&w->clients, now_ms, now_s);
	is_busy |= writer_check_step(&w->store, now_ms);
	is_busy |= writer_store_gc(&w->store, now_ms, now_s);
	writer_store_tick(&w->store, now_ms);
	return is_busy;
}

static bool
is_over(const struct writer *w)
{
	return w->is_leaving && (writer_clients_are_done(&w->clients) || clock_mono_ms() >= w->leave_by_ms);
}

static void
run(struct writer *w)
{
	bool is_busy = turn(w);

	role_ready(&w->role);
	while (!is_over(w)) {
		wait_for_work(w, is_busy);
		is_busy = turn(w);
	}
	writer_clients_close(&w->clients);
	writer_feed_put(&w->feed, clock_mono_ms(), clock_wall_s());
	writer_store_close(&w->store);
	writer_feed_fini(&w->feed);
	log_debug("leaving");
}

/* ---- start --------------------------------------------------------------------------------------------- */

/* Generations overlap during a reload. */
static unsigned
readers_max(const struct conf *c)
{
	uint64_t processes = (uint64_t)conf_workers(c) * c->milter_socket.n * 2 + TOOLS;

	return (unsigned)MIN(MAX(processes * CACHE_DB_SLOTS, (uint64_t)READERS_MIN), (uint64_t)READERS_MAX);
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
static void
limit_memory(uint64_t map_bytes)
{
	(void)map_bytes;        /* sanitizers take what they want */
}
#else
static uint64_t
data_bytes(void)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL && sscanf(line, "VmData: %llu", &kib) != 1)
		;
	if (f != NULL)
		fclose(f);
	return kib * KIB;
}

static void
limit_memory(uint64_t map_bytes)
{
	uint64_t bytes = data_bytes() + MEMORY_BYTES + map_bytes / MEMORY_MAP_SHARE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_DATA, &limit) != 0 || limit.rlim_cur <= bytes)
		return;
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_DATA, &limit) != 0)
		log_warn("memory cannot be limited: %s", strerror(errno));
}
#endif

static void
set_up(struct writer *w)
{
	const struct conf *c = w->role.conf;

	w->status_fd = PROCFD_STATUS;
	w->store = (struct writer_store){
		.path = c->cache_path, .map_bytes = (uint64_t)c->cache_size, .readers_max = readers_max(c),
		.stale_s = c->cache_serve_stale ? (uint32_t)c->cache_stale_ttl : 0, .board = w->role.board,
	};
	writer_feed_init(&w->feed, PROCFD_FEED, &w->store, clock_mono_ms());
	writer_clients_init(&w->clients, &w->store, &w->feed);
	limit_memory(w->store.map_bytes);
	cache_guard_install(true, NULL);
}

int
writer_main(const struct role_args *args)
{
	struct writer *w = xcalloc(1, sizeof *w);

	role_begin(&w->role, args, "enma: cache", "cache");
	role_drop(&w->role);
	set_up(w);
	run(w);
	return 0;
}
