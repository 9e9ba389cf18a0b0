/* cache - look up and offer; see cache.h. */
#include <pthread.h>
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
	struct cache_counters dns, result;
};

static void
count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

struct cache *
cache_create(const char *path, int feed_fd, const struct cache_ttl_rules *rules)
{
	struct cache *c = xcalloc(1, sizeof *c);

	c->path = xstrdup(path);
	c->rules = *rules;
	c->feed.fd = feed_fd;
	pthread_rwlock_init(&c->lock, NULL);
	return c;
}

void
cache_destroy(struct cache **c)
{
	if (*c == NULL)
		return;
	cache_db_close(&(*c)->db);
	pthread_rwlock_destroy(&(*c)->lock);
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

static enum rc
fetch(struct cache *c, struct span key, struct cache_counters *counters, struct fetched *f)
{
	enum rc rc;

	f->big = NULL;
	pthread_rwlock_rdlock(&c->lock);
	rc = fetch_locked(c, key, f);
	pthread_rwlock_unlock(&c->lock);
	if (rc != RC_OK) {
		count(rc == RC_NONE ? &counters->misses : rc == RC_LIMIT ? &counters->busy : &counters->damaged);
		free(f->big);
	}
	return rc;
}

/* What an entry that was found came to. */
static enum rc
count_outcome(struct cache_counters *counters, enum rc rc)
{
	if (rc == RC_OK)
		count(&counters->hits);
	else
		count(rc == RC_NONE ? &counters->expired : &counters->damaged);
	return rc == RC_OK ? RC_OK : RC_NONE;
}

enum rc
cache_get_dns(struct cache *c, const struct dns_name *name, uint16_t type, bool may_be_stale, int64_t now_s, const struct dns_answer **out,
              bool *is_stale_out)
{
	struct cache_key key;
	struct fetched f;
	enum cache_age age;
	enum rc rc;

	*is_stale_out = false;
	if (cache_key_dns(name, type, &key) != RC_OK || fetch(c, cache_key_span(&key), &c->dns, &f) != RC_OK)
		return RC_NONE;
	rc = cache_entry_get_dns(cache_key_span(&key), type, f.value, may_be_stale ? c->rules.stale_s : 0, now_s, out, &age);
	free(f.big);
	if (rc == RC_OK && age == CACHE_STALE) {
		*is_stale_out = true;
		count(&c->dns.stale);
	}
	return count_outcome(&c->dns, rc);
}

static void
offer(struct cache *c, struct cache_counters *counters, enum rc rc, const struct cache_key *key, const uint8_t *value, size_t n)
{
	if (rc != RC_OK)
		count(&counters->unfit);
	else
		count(cache_feed_offer(&c->feed, cache_key_span(key), span_of((const char *)value, n)) == RC_OK ? &counters->offered :
		      &counters->dropped);
}

void
cache_offer_dns(struct cache *c, const struct dns_name *name, uint16_t type, const struct dns_answer *a, int64_t now_s)
{
	uint8_t small[SMALL_VALUE], *big = NULL;
	struct cache_key key;
	size_t n = 0;
	enum rc rc;

	if (a->is_from_cache)
		return;
	if ((rc = cache_key_dns(name, type, &key)) == RC_OK)
		rc = cache_entry_put_dns(cache_key_span(&key), type, a, &c->rules, now_s, small, sizeof small, &n);
	if (rc == RC_LIMIT) {
		big = xmalloc(CACHE_VALUE_MAX);
		rc = cache_entry_put_dns(cache_key_span(&key), type, a, &c->rules, now_s, big, CACHE_VALUE_MAX, &n);
	}
	offer(c, &c->dns, rc, &key, big != NULL ? big : small, n);
	free(big);
}

enum rc
cache_get_spf(struct cache *c, struct arena *a, const struct ip *client, const struct dns_name *domain, uint64_t digest, int64_t now_s,
              struct spf_outcome *out)
{
	struct cache_key key;
	struct fetched f;
	enum rc rc;

	if (cache_key_result(CACHE_R_SPF, CACHE_SPF_VERSION, digest, client, domain, &key) != RC_OK ||
	    fetch(c, cache_key_span(&key), &c->result, &f) != RC_OK)
		return RC_NONE;
	rc = cache_entry_get_spf(a, cache_key_span(&key), f.value, now_s, out);
	free(f.big);
	return count_outcome(&c->result, rc);
}

void
cache_offer_spf(struct cache *c, const struct ip *client, const struct dns_name *domain, uint64_t digest, const struct spf_outcome *o,
                int64_t now_s)
{
	uint8_t value[SMALL_VALUE];
	struct cache_key key;
	size_t n = 0;
	enum rc rc = cache_key_result(CACHE_R_SPF, CACHE_SPF_VERSION, digest, client, domain, &key);

	if (rc == RC_OK)
		rc = cache_entry_put_spf(cache_key_span(&key), o, &c->rules, now_s, value, sizeof value, &n);
	offer(c, &c->result, rc, &key, value, n);
}

const struct cache_counters *
cache_counters(const struct cache *c, enum cache_kind kind)
{
	return kind == CACHE_DNS ? &c->dns : &c->result;
}
