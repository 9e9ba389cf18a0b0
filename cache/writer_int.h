/*
 * writer_int - the parts of the cache process; shared by the files of writer alone (and its tests).
 *
 *	writer.c          start, frames of the supervisor, the loop
 *	writer_store.c    the file: open, watch, give up, open again; room; counters
 *	writer_check.c    reads the whole file once after a warm start
 *	writer_feed.c     offers -> batches
 *	writer_request.c  words of a request -> struct writer_request
 *	writer_client.c   the clients: sockets, buffers, time; get, histogram, dump
 *	writer_flush.c    the flushes
 *	writer_print.c    an entry as a line
 *
 * Everything belongs to the one thread.  Times: now_ms is the monotonic clock, now_s seconds since 1970.
 */
#ifndef ENMA_CACHE_WRITER_INT_H
#define ENMA_CACHE_WRITER_INT_H

#include <poll.h>

#include "cache/cache_db.h"
#include "cache/cache_entry.h"
#include "cache/cache_feed.h"
#include "cache/cache_gc.h"
#include "cache/writer.h"
#include "cache/writer_request.h"
#include "common/base/buf.h"
#include "common/base/fdio.h"
#include "common/ipc/board.h"

enum {
	WRITER_POLL_MS = 200,           /* the loop turns at least so often: it is our beat */
	WRITER_SECOND_MS = 1000,
	WRITER_RETRY_MS = 1000,         /* pause before a file is tried again that could not be opened; doubles up to */
	WRITER_RETRY_MAX_MS = 30000,
	WRITER_TROUBLE_MS = 60000,      /* the same trouble is logged again after so long */
	WRITER_BUFFER_BYTES = 512 * KIB,        /* of a batch; full when another packet might not fit */
	WRITER_GC_STEPS = 4,            /* in one turn: more deletes than a batch holds entries */
	WRITER_FLUSH_STEPS = 4,         /* likewise */
	WRITER_FEED_PACKETS = 16384,    /* the feed's socket never holds more: 8 MiB of at least 768 bytes each */
	WRITER_CHUNK_BYTES = 32 * KIB,  /* of an answer: not much more is made ready before the client takes it */
	WRITER_LINE_MAX = 320 * KIB,    /* the longest entry, all escaped */
	WRITER_BUCKETS = 12,            /* of a histogram, with "more" */
};

/* ---- the file ------------------------------------------------------------------------------------------ */

/* What a transaction did, counted when it is committed. */
struct writer_tally {
	uint64_t inserted, ended, evicted;
};

/* The same trouble is said once a minute, another one at once. */
struct writer_trouble {
	char text[FDIO_WHY_MAX];
	int64_t next_ms;
};

struct writer_store {
	/* the caller's */
	const char *path;
	uint64_t map_bytes;
	unsigned readers_max;
	uint32_t stale_s;
	struct board *board;            /* NULL: nothing is counted */
	/* our own, zeroed to begin with */
	struct cache_db *db;            /* NULL: none at the moment */
	uint64_t serial;                /* of files: another one with each opening */
	struct cache_gc gc;
	bool wants_gc, is_checking;
	struct cache_key check_at;
	uint64_t checked, check_bad;
	int64_t now_s;                  /* of the transaction under way */
	struct writer_tally tally[BOARD_C_COUNT];
	struct { uint64_t kept, refused, write_errors, dropped_all, dead_readers, busy, damaged, gc_runs, gc_errors; } told;
	int64_t opened_ms, retry_at_ms, pause_ms, second_ms, readers_ms;
	struct writer_trouble trouble;
};

/* Tries to open a file if there is none and its time has come.  True: there is one. */
bool writer_store_open(struct writer_store *s, int64_t now_ms);
/* After a failure and once a second: damaged, marked, replaced: given up, and another one opened. */
void writer_store_watch(struct writer_store *s, int64_t now_ms);
/* A step of making room; true: there is more to do. */
bool writer_store_gc(struct writer_store *s, int64_t now_ms, int64_t now_s);
/* Reader slots of the dead, gauges and counters, in their time. */
void writer_store_tick(struct writer_store *s, int64_t now_ms);
void writer_store_check_readers(struct writer_store *s, int64_t now_ms);
/* With the clean mark. */
void writer_store_close(struct writer_store *s);
/* A write failed: says so and looks whether the file can still be used. */
void writer_store_failed(struct writer_store *s, int64_t now_ms);
/* A step of reading the whole file; true: there is more to do. */
bool writer_check_step(struct writer_store *s, int64_t now_ms);

/* ---- offers -------------------------------------------------------------------------------------------- */

struct writer_feed {
	int fd;
	struct writer_store *store;
	struct cache_db_item item[CACHE_DB_BATCH_MAX];
	size_t n, used;                 /* items; bytes of the buffer */
	bool is_gone;                   /* nobody can offer any more */
	uint64_t taken, emptied;        /* packets so far; how often nothing more was there */
	int64_t last_ms;                /* when the last batch was put */
	char *bytes;
};

void writer_feed_init(struct writer_feed *f, int fd, struct writer_store *s, int64_t now_ms);
void writer_feed_fini(struct writer_feed *f);
/* Takes what is there, at most a batch, and puts it if its time has come.  True: there may be more to take now. */
bool writer_feed_turn(struct writer_feed *f, int64_t now_ms, int64_t now_s);
/* Puts what was taken, whatever the time. */
void writer_feed_put(struct writer_feed *f, int64_t now_ms, int64_t now_s);
/* Milliseconds until what was taken must be put; -1: nothing was. */
int writer_feed_wait_ms(const struct writer_feed *f, int64_t now_ms);
/* The rule alone. */
bool writer_feed_is_due(size_t n, bool is_full, int64_t last_ms, int64_t now_ms);

/* ---- answers ------------------------------------------------------------------------------------------- */

struct writer_histogram {
	uint64_t age[WRITER_BUCKETS], left[WRITER_BUCKETS], expired;
	struct { uint64_t count, bytes; } kind[2], class[BOARD_C_COUNT];
};
/* Which class an entry is counted in; BOARD_C_OTHER for what is no key of ours. */
enum board_cache_class writer_class(struct span key);
void writer_histogram_add(struct writer_histogram *h, struct span key, struct span value, int64_t now_s);
void writer_histogram_print(struct buf *b, const struct writer_histogram *h);
/* The entry as a line (doc/CONTROL.md); nothing when it is damaged, or is good and only_expired. */
void writer_print_entry(struct buf *b, struct span key, struct span value, bool only_expired, int64_t now_s);

struct writer_client {
	int fd;                         /* -1: free */
	struct writer_request request;
	struct writer_ranges ranges;
	size_t range;                   /* under way */
	struct cache_key cursor;
	struct buf out;
	size_t sent;
	bool is_complete;               /* everything is in out */
	int64_t progress_ms;            /* when the client took something */
	uint64_t serial;                /* of the file when it began */
	uint64_t taken, emptied;        /* of the feed when it began */
	uint64_t deleted;
	struct writer_histogram *histogram;
};

/* All of them; zeroed and writer_clients_init() to begin with. */
struct writer_clients {
	struct writer_store *store;
	struct writer_feed *feed;
	struct writer_client client[WRITER_CLIENTS_MAX];
};

void writer_clients_init(struct writer_clients *c, struct writer_store *s, struct writer_feed *f);
/* fd becomes ours. */
void writer_clients_add(struct writer_clients *c, int fd, struct span request, int64_t now_ms);
/* A step for each; true: there is more to do that waits for nobody. */
bool writer_clients_turn(struct writer_clients *c, int64_t now_ms, int64_t now_s);
bool writer_clients_are_done(const struct writer_clients *c);
void writer_clients_close(struct writer_clients *c);
/* For poll: what each waits for; WRITER_POLLS of them. */
enum { WRITER_POLLS = WRITER_CLIENTS_MAX };
void writer_clients_polls(const struct writer_clients *c, struct pollfd *polls);
/* Who hung up is let go. */
void writer_clients_polled(struct writer_clients *c, const struct pollfd *polls);

/* A few steps of a flush; true when it is over and its answer is in out. */
bool writer_flush_step(struct writer_clients *all, struct writer_client *c, int64_t now_ms, int64_t now_s);
/* An answer without data. */
void writer_client_refuse(struct writer_client *c, const char *code, const char *text);

#endif
