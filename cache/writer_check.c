/*
 * writer_check - reads the whole file once, in steps, after a start that found one: garbage is better met by this process, which replaces the file, than
 * by one that has mail; see writer_int.h.
 */
#include "cache/writer_int.h"
#include "common/base/log.h"

struct bad {
	struct cache_key key[CACHE_DB_STEP_MAX];
	size_t n;
	uint64_t seen;
};

static bool
look_at(void *arg, struct span key, struct span value, int64_t end_s)
{
	struct bad *b = arg;

	(void)end_s;
	b->seen++;
	if (cache_entry_check(key, value) == RC_OK)
		return true;
	b->key[b->n].n = key.n;
	memcpy(b->key[b->n].b, key.p, key.n);
	b->n++;
	return b->n < ARRAY_LEN(b->key);
}

static void
say_result(const struct writer_store *s)
{
	if (s->check_bad > 0)
		log_warn("%llu of %llu entries of the cache file were damaged, they are deleted", (unsigned long long)s->check_bad,
		    (unsigned long long)s->checked);
	else
		log_debug("%llu entries of the cache file are good", (unsigned long long)s->checked);
}

bool
writer_check_step(struct writer_store *s, int64_t now_ms)
{
	struct bad b = { .n = 0 };
	size_t deleted = 0;
	enum rc rc, deletion;

	if (s->db == NULL || !s->is_checking)
		return false;
	rc = cache_db_walk(s->db, SPAN(""), &s->check_at, CACHE_DB_WALK_MAX, look_at, &b);
	deletion = b.n > 0 ? cache_db_delete_keys(s->db, b.key, b.n, &deleted) : RC_OK;
	s->checked += b.seen;
	s->check_bad += deleted;
	if (rc == RC_OK && deletion == RC_OK)
		return true;
	s->is_checking = false;
	if (rc == RC_NONE && deletion == RC_OK)
		say_result(s);
	else
		writer_store_failed(s, now_ms);
	return false;
}
