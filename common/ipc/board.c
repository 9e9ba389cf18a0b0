/* board - one child's page of counters, beats and sessions; see board.h. */
#include "common/ipc/board.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fdio.h"

static const char *const counter_names[BOARD_COUNTER_COUNT] = {
#define BOARD_NAME(id, name, help) name,
	BOARD_COUNTERS(BOARD_NAME)
#undef BOARD_NAME
};

static const char *const counter_helps[BOARD_COUNTER_COUNT] = {
#define BOARD_HELP(id, name, help) help,
	BOARD_COUNTERS(BOARD_HELP)
#undef BOARD_HELP
};

static const char *const gauge_names[BOARD_GAUGE_COUNT] = {
#define BOARD_NAME(id, name, help) name,
	BOARD_GAUGES(BOARD_NAME)
#undef BOARD_NAME
};

static const char *const gauge_helps[BOARD_GAUGE_COUNT] = {
#define BOARD_HELP(id, name, help) help,
	BOARD_GAUGES(BOARD_HELP)
#undef BOARD_HELP
};

#define CLASS_STANDS(C) _Static_assert(BOARD_CACHE(BOARD_C_##C, BOARD_E_EVICTED) == BOARD_CACHE_EVICTED_##C, "counters of one class together")
CLASS_STANDS(A);
CLASS_STANDS(AAAA);
CLASS_STANDS(MX);
CLASS_STANDS(PTR);
CLASS_STANDS(TXT);
CLASS_STANDS(OTHER);
CLASS_STANDS(SPF);
CLASS_STANDS(RESULT);

const char *
board_gauge_name(enum board_gauge g)
{
	return (unsigned)g < BOARD_GAUGE_COUNT ? gauge_names[g] : "?";
}

const char *
board_gauge_help(enum board_gauge g)
{
	return (unsigned)g < BOARD_GAUGE_COUNT ? gauge_helps[g] : "";
}

const char *
board_counter_name(enum board_counter c)
{
	return (unsigned)c < BOARD_COUNTER_COUNT ? counter_names[c] : "?";
}

const char *
board_counter_help(enum board_counter c)
{
	return (unsigned)c < BOARD_COUNTER_COUNT ? counter_helps[c] : "";
}

const char *
board_histogram_name(enum board_histogram h)
{
	static const char *const names[BOARD_HISTOGRAM_COUNT] = { "message", "dns_wait", "eom" };

	return (unsigned)h < BOARD_HISTOGRAM_COUNT ? names[h] : "?";
}

const char *
board_phase_name(enum board_phase p)
{
	static const char *const names[] = { "free", "connect", "helo", "envelope", "header", "body", "eom", "idle" };

	return (unsigned)p < ARRAY_LEN(names) ? names[p] : "?";
}

static size_t
board_size(uint32_t sessions)
{
	return sizeof(struct board) + (size_t)sessions * sizeof(struct board_session);
}

enum rc
board_create(uint32_t sessions, int *fd_out, struct board **out, size_t *size_out)
{
	size_t size = board_size(sessions);
	struct board *b = MAP_FAILED;
	int fd;

	*fd_out = -1;
	*out = NULL;
	*size_out = 0;
	if (sessions > BOARD_SESSIONS_MAX)
		return RC_LIMIT;
	/* Sealed, because a child that could shrink the file would kill the supervisor with SIGBUS. */
	if (fdio_memfd_shared("enma-board", size, &fd) != RC_OK)
		return RC_TEMP;
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b == MAP_FAILED) {
		close(fd);
		return RC_TEMP;
	}
	b->magic = BOARD_MAGIC;
	b->version = BOARD_VERSION;
	b->session_count = sessions;
	*fd_out = fd;
	*out = b;
	*size_out = size;
	return RC_OK;
}

enum rc
board_attach(int fd, struct board **out, size_t *size_out)
{
	struct stat st;
	struct board *b;
	size_t size;

	*out = NULL;
	*size_out = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return RC_SYNTAX;
	if (st.st_size < (off_t)sizeof(struct board) || st.st_size > (off_t)board_size(BOARD_SESSIONS_MAX))
		return RC_SYNTAX;
	size = (size_t)st.st_size;
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b == MAP_FAILED)
		return RC_SYNTAX;
	if (b->magic != BOARD_MAGIC || b->version != BOARD_VERSION || b->session_count > BOARD_SESSIONS_MAX ||
	    board_size(b->session_count) != size) {
		munmap(b, size);
		return RC_SYNTAX;
	}
	*out = b;
	*size_out = size;
	return RC_OK;
}

void
board_detach(struct board **b, size_t size)
{
	if (*b != NULL)
		munmap(*b, size);
	*b = NULL;
}

void
board_record_us(struct board *b, enum board_histogram h, uint64_t us)
{
	unsigned bucket = us < 2 ? 0 : 63 - (unsigned)__builtin_clzll(us);

	if (b == NULL || (unsigned)h >= BOARD_HISTOGRAM_COUNT)
		return;
	if (bucket >= BOARD_BUCKETS)
		bucket = BOARD_BUCKETS - 1;
	atomic_fetch_add_explicit(&b->histogram[h][bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&b->histogram_sum_us[h], us, memory_order_relaxed);
}
