/* message - what a session remembers of one message; see message.h. */
#include "worker/message.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"

enum { FIELD_OVERHEAD = 3 };    /* colon, CR, LF */

static const char authres_name[] = "Authentication-Results";

struct message_pool {
	struct dns_source *source;
	pthread_mutex_t lock;
	struct message *spare;
	size_t spare_count;
};

struct message_pool *
message_pool_create(struct dns_source *source)
{
	struct message_pool *p = xcalloc(1, sizeof *p);

	p->source = source;
	REQUIRE(pthread_mutex_init(&p->lock, NULL) == 0);
	return p;
}

static void
message_free(struct message *m)
{
	arena_fini(&m->arena);
	lookup_destroy(&m->lookup);
	free(m);
}

void
message_pool_destroy(struct message_pool **pool)
{
	struct message_pool *p = *pool;
	struct message *next;

	if (p == NULL)
		return;
	for (struct message *m = p->spare; m != NULL; m = next) {
		next = m->next;
		message_free(m);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
	*pool = NULL;
}

struct message *
message_take(struct message_pool *p)
{
	struct message *m;

	pthread_mutex_lock(&p->lock);
	m = p->spare;
	if (m != NULL) {
		p->spare = m->next;
		p->spare_count--;
	}
	pthread_mutex_unlock(&p->lock);
	if (m == NULL) {
		m = xcalloc(1, sizeof *m);
		arena_init(&m->arena, MESSAGE_ARENA_FIRST, MESSAGE_ARENA_MAX);
		m->lookup = lookup_create(p->source);
	}
	m->next = NULL;
	return m;
}

void
message_give(struct message_pool *p, struct message *m)
{
	bool is_kept;

	if (m == NULL)
		return;
	/* Outstanding questions first: they borrow from the arena. */
	lookup_abandon(m->lookup);
	arena_reset(&m->arena);
	m->arena.ceiling = MESSAGE_ARENA_MAX;
	*m = (struct message){ .arena = m->arena, .lookup = m->lookup };
	pthread_mutex_lock(&p->lock);
	is_kept = p->spare_count < MESSAGE_POOL_KEPT;
	if (is_kept) {
		m->next = p->spare;
		p->spare = m;
		p->spare_count++;
	}
	pthread_mutex_unlock(&p->lock);
	if (!is_kept)
		message_free(m);
}

/* ---- header fields --------------------------------------------------------------------------------------- */

/* Which counter a field belongs to: 0, 1 + i, or -1 for none. */
static int
field_class(const struct conf *conf, struct span name)
{
	struct span trimmed = span_trim(name);

	/* First, so that Authentication-Results itself may be listed: then all of them go. */
	for (size_t i = 0; i < conf->authresult_remove_fields.n; i++)
		if (span_eq_nocase(trimmed, span_cstr(conf->authresult_remove_fields.v[i])))
			return 1 + (int)i;
	return authres_is_field_name(name) ? 0 : -1;
}

static bool
note_claim(struct message *m, const char *name, int index)
{
	struct message_claim *claim = arena_new(&m->arena, struct message_claim);

	if (claim == NULL)
		return false;
	*claim = (struct message_claim){ .next = m->claims, .name = name, .index = index };
	m->claims = claim;
	return true;
}

void
message_see_header(struct message *m, const struct conf *conf, const struct authres_ids *ids, struct span name,
                   struct span value)
{
	int class = field_class(conf, name);
	const char *text = authres_name;

	m->headers++;
	m->header_bytes += name.n + value.n + FIELD_OVERHEAD;
	if (m->headers > (uint64_t)conf->message_max_headers || m->header_bytes > (uint64_t)conf->message_max_header_bytes)
		m->is_over_limit = true;
	if (class < 0)
		return;
	if (m->counts == NULL)
		m->counts = arena_array(&m->arena, int, conf->authresult_remove_fields.n + 1);
	if (m->counts == NULL) {
		m->has_lost_claims = true;
		return;
	}
	m->counts[class]++;
	if (class > 0)
		text = conf->authresult_remove_fields.v[class - 1];
	else if (!authres_ids_claimed(ids, value)) {
		m->kept++;
		return;
	}
	/* Forged fields are noted beyond the limits, too: message.on_limit may say accept. */
	if (!note_claim(m, text, m->counts[class]))
		m->has_lost_claims = true;
}

/* ---- the header for those who hash it -------------------------------------------------------------------- */

void
message_keep_headers(struct message *m, const struct conf *conf)
{
	/* A line end may come as one byte and is kept as two; the table doubles, its old halves stay with the arena. */
	size_t text = 2 * (size_t)conf->message_max_header_bytes;
	size_t table = (size_t)conf->message_max_headers * (4 * sizeof(struct header_field) + 2 * sizeof(max_align_t));

	m->arena.ceiling = MESSAGE_ARENA_MAX + text + table;
	header_init(&m->header, &m->arena);
	m->keeps_header = true;
}

void
message_keep_header(struct message *m, struct span name, struct span value, bool has_leading_space)
{
	if (!m->keeps_header || m->header.is_incomplete)
		return;
	if (m->is_over_limit)
		m->header.is_incomplete = true;
	else if (header_add(&m->header, name, value, has_leading_space) != RC_OK)
		m->header.is_incomplete = true;
}
