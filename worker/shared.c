/* shared - a worker's part of the shared cache; see shared.h. */
#include "worker/shared.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/cache_guard.h"
#include "cache/cache_source.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/dns/dns_unbound.h"
#include "common/ipc/procfd.h"

static struct board *guarded_board;

/* In the signal handler: the process ends next, its counters live on. */
static void
on_damage(void)
{
	board_add(guarded_board, BOARD_CACHE_DAMAGED, 1);
}

static bool
is_feed(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

void
shared_open(struct shared *s, const struct conf *conf, struct board *board)
{
	struct cache_ttl_rules rules = cache_ttl_defaults;

	*s = (struct shared){ .cache = NULL };
	if (!conf->cache_enabled || !is_feed(PROCFD_FEED))
		return;
	rules.min_s = (uint32_t)conf->cache_min_ttl;
	rules.max_s = (uint32_t)conf->cache_max_ttl;
	rules.max_negative_s = (uint32_t)conf->cache_max_negative_ttl;
	rules.stale_s = conf->cache_serve_stale ? (uint32_t)conf->cache_stale_ttl : 0;
	guarded_board = board;
	cache_guard_install(false, on_damage);
	s->cache = cache_create(conf->cache_path, PROCFD_FEED, &rules, board);
	if (claims_attach(PROCFD_CLAIMS, &s->claims) != RC_OK)
		log_warn("the table of questions under way cannot be used: several workers may ask the same question");
}

static void
note(struct shared *s, enum rc rc, const char *why)
{
	if (strcmp(s->why, why) == 0)
		return;
	snprintf(s->why, sizeof s->why, "%s", why);
	if (rc == RC_OK)
		log_info("the shared cache is in use again");
	else if (rc == RC_NONE)
		log_info("the shared cache is not there yet: %s", why);
	else
		log_warn("the shared cache cannot be used, every look-up is a miss: %s", why);
}

void
shared_tick(struct shared *s)
{
	int64_t now_ms = clock_mono_ms();
	char why[SHARED_WHY_MAX] = "";
	bool is_changed;
	enum rc rc;

	if (s->cache == NULL || (now_ms < s->next_ms && cache_is_open(s->cache)))
		return;
	s->next_ms = now_ms + SHARED_EVERY_MS;
	rc = cache_refresh(s->cache, &is_changed, why, sizeof why);
	if (rc != RC_OK && why[0] == '\0')
		snprintf(why, sizeof why, "no file");
	note(s, rc, rc == RC_OK ? "" : why);
}

void
shared_flush(struct shared *s, const struct resolver *r)
{
	/* In this order: what libunbound still remembers is never offered as new. */
	dns_unbound_flush(r->loop);
	if (r->cached != NULL)
		cache_source_flush(r->cached);
	else if (s->cache != NULL)
		cache_flush(s->cache, clock_wall_s());
}
