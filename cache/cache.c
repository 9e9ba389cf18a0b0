/* cache - look up and offer; see cache.h. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cache/cache.h"
#include "cache/cache_db.h"
#include "cache/cache_feed.h"
#include "common/base/xalloc.h"

enum { SMALL_VALUE = 4 * KIB };         /* on the stack; nearly all are smaller */

struct cache {
	char *path;
	struct cache_ttl_rules rules;
	struct cache_feed feed;
	pthread_rwlock_t lock;          /* of db; written when the file changes, which is hardly ever */
	struct cache_db *db;            /* NULL: none */
	_Atomic bool is_open;           /* db is there: a hint */
	struct board *board;            /* NULL: nothing is counted */
	pthread_rwlock_t flush_lock;    /* held for reading while something is offered, so that a flush comes before or after it */
	_Atomic uint64_t epoch;         /* written under flush_lock */
	_Atomic int64_t flushed_s;      /* when the last flush was; INT64_MIN: never */
};

struct cache *
cache_create(const char *path, int feed_fd, const struct cache_ttl_rules *rules, struct board *board)
{
	struct cache *c = xcalloc(1, sizeof *c);

	c->path = xstrdup(path);
	c->rules = *rules;
	c->feed.fd = feed_fd;
	c->board = board;
	c->flushed_s = INT64_MIN;
	pthread_rwlock_init(&c->lock, NULL);
	pthread_rwlock_init(&c->flush_lock, NULL);
	return c;
}

void
cache_destroy(struct cache **c)
{
	if (*c == NULL)
		return;
	cache_db_close(&(*c)->db);
	pthread_rwlock_destroy(&(*c)->lock);
	pthread_rwlock_destroy(&(*c)->flush_lock);
	free((*c)->path);
	free(*c);
	*c = NULL;
}

static struct cache_db *
exchange(struct cache *c, struct cache_db *db)
{
	struct cache_db *old;

	pthread_rwlock_wrlock(&c->lock);
	old = c->db;
	c->db = db;
	atomic_store_explicit(&c->is_open, db != NULL, memory_order_relaxed);
	pthread_rwlock_unlock(&c->lock);
	return old;
}

/* The old file is closed before the new one is opened: a process may have a path open once.  Look-ups in between are misses. */
enum rc
cache_refresh(struct cache *c, bool *is_changed_out, char *why, size_t size)
{
	struct cache_db *db = NULL, *old;
	enum rc rc;

	*is_changed_out = false;
	/* This thread alone changes db, so it may look at it without the lock. */
	if (c->db != NULL && !cache_db_is_damaged(c->db) && !cache_db_is_outdated(c->db))
		return RC_OK;
	old = exchange(c, NULL);
	*is_changed_out = old != NULL;
	cache_db_close(&old);
	rc = cache_db_open_reader(c->path, &db, why, size);
	if (db != NULL) {
		(void)exchange(c, db);
		*is_changed_out = true;
	}
	return rc;
}

bool
cache_is_open(const struct cache *c)
{
	return atomic_load_explicit(&c->is_open, memory_order_relaxed);
}

/* ---- flushes --------------------------------------------------------------------------------------------- */

uint64_t
cache_epoch(const struct cache *c)
{
	return atomic_load_explicit(&c->epoch, memory_order_acquire);
}

void
cache_flush(struct cache *c, int64_t now_s)
{
	pthread_rwlock_wrlock(&c->flush_lock);
	atomic_store_explicit(&c->flushed_s, now_s, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->epoch, 1, memory_order_release);
	pthread_rwlock_unlock(&c->flush_lock);
}

/* Workers flush first, then the cache process deletes: what is still there in between does not count. */
static bool
is_flushed(const struct cache *c, struct span key, struct span value, int64_t now_s)
{
	int64_t flushed_s = atomic_load_explicit(&c->flushed_s, memory_order_relaxed);
	struct cache_entry_head h;

	if (flushed_s == INT64_MIN || now_s - flushed_s >= CACHE_FLUSH_S || now_s < flushed_s)
		return false;
	return cache_entry_head(key, value, &h) == RC_OK && h.stored_s <= flushed_s;
}

/* ---- look-ups -------------------------------------------------------------------------------------------- */

enum board_cache_class
cache_class(uint16_t type)
{
	switch (type) {
	case DNS_A:
		return BOARD_C_A;
	case DNS_AAAA:
		return BOARD_C_AAAA;
	case DNS_MX:
		return BOARD_C_MX;
	case DNS_PTR:
		return BOARD_C_PTR;
	case DNS_TXT:
		return BOARD_C_TXT;
	default:
		return BOARD_C_OTHER;
	}
}

/* A value's bytes; *big is to be freed. */
struct fetched {
	struct span value;
	char *big;
	char small[SMALL_VALUE];
};

static enum rc
fetch_locked(struct cache *c, struct span key, struct fetched *f)
{
	size_t n;
	enum rc rc;

	if (c->db == NULL)
		return RC_NONE;
	rc = cache_db_get(c->db, key, f->small, sizeof f->small, &n);
	f->value = span_of(f->small, n);
	if (rc == RC_LIMIT && n > 0) {
		f->big = xmalloc(CACHE_VALUE_MAX);
		rc = cache_db_get(c->db, key, f->big, CACHE_VALUE_MAX, &n);
		f->value = span_of(f->big, n);
	}
	return rc;
}

/* RC_OK, RC_NONE, RC_LIMIT: no reader slot free, RC_TEMP: damaged. */
static enum rc
fetch(struct cache *c, struct span key, int64_t now_s, struct fetched *f)
{
	enum rc rc;

	f->big = NULL;
	pthread_rwlock_rdlock(&c->lock);
	rc = fetch_locked(c, key, f);
	pthread_rwlock_unlock(&c->lock);
	if (rc == RC_OK && is_flushed(c, key, f->value, now_s))
		rc = RC_NONE;
	if (rc != RC_OK) {
		free(f->big);
		f->big = NULL;
	}
	return rc;
}

/* What a look-up came to.  fetched, decoded: of the two steps, the second one only after RC_OK. */
static void
count_look(struct cache *c, enum board_cache_class class, enum cache_look look, enum rc fetched, enum rc decoded, bool is_stale)
{
	enum board_counter counter;

	if (fetched == RC_OK && decoded == RC_OK)
		counter = BOARD_CACHE(class, is_stale ? BOARD_E_STALE : BOARD_E_HITS);
	else if (fetched == RC_LIMIT)
		counter = BOARD_CACHE_BUSY;
	else if (fetched == RC_TEMP || (fetched == RC_OK && decoded == RC_SYNTAX))
		counter = BOARD_CACHE_DAMAGED;
	else if (look != CACHE_LOOK)
		return;
	else
		counter = BOARD_CACHE(class, fetched == RC_OK ? BOARD_E_EXPIRED : BOARD_E_MISSES);
	board_add(c->board, counter, 1);
}

enum rc
cache_get_dns(struct cache *c, const struct dns_name *name, uint16_t type, enum cache_look look, int64_t now_s, const struct dns_answer **out)
{
	const uint32_t stale_s = look == CACHE_LOOK_STALE ? c->rules.stale_s : 0;
	enum cache_age age = CACHE_FRESH;
	enum rc fetched, decoded = RC_NONE;
	struct cache_key key;
	struct fetched f;

	if (cache_key_dns(name, type, &key) != RC_OK)
		return RC_NONE;
	fetched = fetch(c, cache_key_span(&key), now_s, &f);
	if (fetched == RC_OK) {
		decoded = cache_entry_get_dns(cache_key_span(&key), type, f.value, stale_s, now_s, out, &age);
		free(f.big);
	}
	count_look(c, cache_class(type), look, fetched, decoded, age == CACHE_STALE);
	return decoded == RC_OK ? RC_OK : RC_NONE;
}

enum rc
cache_get_spf(struct cache *c, struct arena *a, const struct ip *client, const struct dns_name *domain, uint64_t digest, int64_t now_s,
              struct spf_outcome *out)
{
	enum rc fetched, decoded = RC_NONE;
	struct cache_key key;
	struct fetched f;

	if (cache_key_result(CACHE_R_SPF, CACHE_SPF_VERSION, digest, client, domain, &key) != RC_OK)
		return RC_NONE;
	fetched = fetch(c, cache_key_span(&key), now_s, &f);
	if (fetched == RC_OK) {
		decoded = cache_entry_get_spf(a, cache_key_span(&key), f.value, now_s, out);
		free(f.big);
	}
	count_look(c, BOARD_C_SPF, CACHE_LOOK, fetched, decoded, false);
	return decoded == RC_OK ? RC_OK : RC_NONE;
}

/* ---- offers ---------------------------------------------------------------------------------------------- */

static bool
offer(struct cache *c, enum board_cache_class class, const struct cache_key *key, const uint8_t *value, size_t n, uint64_t epoch)
{
	bool is_sent;

	pthread_rwlock_rdlock(&c->flush_lock);
	if (epoch != cache_epoch(c)) {
		pthread_rwlock_unlock(&c->flush_lock);
		return false;
	}
	is_sent = cache_feed_offer(&c->feed, cache_key_span(key), span_of((const char *)value, n)) == RC_OK;
	pthread_rwlock_unlock(&c->flush_lock);
	board_add(c->board, BOARD_CACHE(class, is_sent ? BOARD_E_OFFERED : BOARD_E_DROPPED), 1);
	return is_sent;
}

bool
cache_offer_dns(struct cache *c, const struct dns_name *name, uint16_t type, const struct dns_answer *a, uint64_t epoch, int64_t now_s)
{
	uint8_t small[SMALL_VALUE], *big = NULL;
	struct cache_key key;
	bool is_sent = false;
	size_t n = 0;
	enum rc rc;

	/* A stale answer would become a fresh one. */
	if (a->is_stale || cache_key_dns(name, type, &key) != RC_OK)
		return false;
	rc = cache_entry_put_dns(cache_key_span(&key), type, a, &c->rules, now_s, small, sizeof small, &n);
	if (rc == RC_LIMIT) {
		big = xmalloc(CACHE_VALUE_MAX);
		rc = cache_entry_put_dns(cache_key_span(&key), type, a, &c->rules, now_s, big, CACHE_VALUE_MAX, &n);
	}
	if (rc == RC_OK)
		is_sent = offer(c, cache_class(type), &key, big != NULL ? big : small, n, epoch);
	free(big);
	return is_sent;
}

bool
cache_offer_spf(struct cache *c, const struct ip *client, const struct dns_name *domain, uint64_t digest, const struct spf_outcome *o,
                uint64_t epoch, int64_t now_s)
{
	uint8_t value[SMALL_VALUE];
	struct cache_key key;
	size_t n = 0;

	if (cache_key_result(CACHE_R_SPF, CACHE_SPF_VERSION, digest, client, domain, &key) != RC_OK ||
	    cache_entry_put_spf(cache_key_span(&key), o, &c->rules, now_s, value, sizeof value, &n) != RC_OK)
		return false;
	return offer(c, BOARD_C_SPF, &key, value, n, epoch);
}
