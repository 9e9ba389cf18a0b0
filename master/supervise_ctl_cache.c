/* supervise_ctl_cache - control requests "cache ...", and what other answers say about the cache (doc/CONTROL.md). */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "master/supervise_int.h"

void
supervise_print_gauges(const struct supervise *s, struct ctl_client *c)
{
	const struct child *p = supervise_cache_child(s);

	for (int g = 0; g < BOARD_GAUGE_COUNT; g++)
		ctl_line(c, "gauge %s %llu", board_gauge_name((enum board_gauge)g),
		         p == NULL ? 0ULL : (unsigned long long)atomic_load_explicit(&p->board->gauge[g], memory_order_relaxed));
}

void
supervise_print_cache(const struct supervise *s, struct ctl_client *c, int64_t now)
{
	const struct child *p = supervise_cache_child(s);

	if (p != NULL)
		ctl_line(c, "cache pid=%d generation=%llu state=%s age_ms=%lld beat_ms=%lld", (int)p->pid, (unsigned long long)p->generation,
		         child_state_name(p), (long long)(now - p->started_ms), (long long)(now - p->beat_changed_ms));
	else if (!supervise_conf(s)->cache_enabled || s->is_stopping)
		ctl_line(c, "cache pid=0 generation=0 state=OFF age_ms=0 beat_ms=0");
	else
		ctl_line(c, "cache pid=0 generation=0 state=MISSING age_ms=0 beat_ms=0 retry_ms=%lld",
		         (long long)MAX(s->cache.slot.start_at_ms - now, (int64_t)0));
}

/* ---- cache stats ---------------------------------------------------------------------------------------------- */

static void
print_ratios(const struct supervise *s, struct ctl_client *c, const struct totals *sum, int64_t now)
{
	static const struct {
		const char *name;
		int64_t ms;
	} windows[] = { { "1m", 60000 }, { "5m", 300000 }, { "15m", 900000 } };
	uint64_t hits, lookups;

	supervise_cache_lookups(sum, &hits, &lookups);
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		struct ratio_sample w;

		ratio_window(&s->cache.ratio, hits, lookups, windows[i].ms, now, &w);
		ctl_line(c, "ratio %s %llu %llu", windows[i].name, (unsigned long long)w.hits, (unsigned long long)w.lookups);
	}
	ctl_line(c, "ratio start %llu %llu", (unsigned long long)hits, (unsigned long long)lookups);
}

/* Counters are called "cache.EVENT.CLASS". */
static void
print_class(struct ctl_client *c, const struct totals *sum, enum board_cache_class class)
{
	struct buf line = buf_heap(KIB);

	for (int event = 0; event < BOARD_E_COUNT; event++) {
		enum board_counter id = BOARD_CACHE(class, event);
		const char *name = strchr(board_counter_name(id), '.') + 1, *dot = strrchr(name, '.');

		if (event == 0)
			buf_fmt(&line, "class %s", dot + 1);
		buf_fmt(&line, " %.*s=%llu", (int)(dot - name), name, (unsigned long long)sum->counter[id]);
	}
	ctl_line(c, "%s", buf_text(&line).p);
	buf_fini(&line);
}

static void
request_stats(struct supervise *s, struct ctl_client *c)
{
	struct totals sum;

	supervise_totals(s, &sum);
	ctl_ok(c);
	print_ratios(s, c, &sum, clock_mono_ms());
	for (int class = 0; class < BOARD_C_COUNT; class++)
		print_class(c, &sum, (enum board_cache_class)class);
	supervise_print_gauges(s, c);
	for (int i = BOARD_CACHE(BOARD_C_COUNT, 0); i < BOARD_COUNTER_COUNT; i++)
		ctl_line(c, "counter %s %llu", board_counter_name((enum board_counter)i), (unsigned long long)sum.counter[i]);
	ctl_end(c);
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

enum handling { BY_US, BY_CACHE, BY_ALL };

static const struct cache_command {
	const char *name;
	enum handling handling;
	size_t args_least, args_most;
} commands[] = {
	{ "stats", BY_US, 0, 0 },
	{ "histogram", BY_CACHE, 0, 0 },
	{ "dump", BY_CACHE, 0, CTL_ARGS_MAX },
	{ "get", BY_CACHE, 2, 2 },
	{ "flush", BY_ALL, 1, 2 },
	{ "flush-zone", BY_ALL, 1, 1 },
	{ "flush-negative", BY_ALL, 0, 0 },
	{ "purge", BY_ALL, 0, 0 },
};

static const struct cache_command *
find_command(const struct ctl_request *r)
{
	for (size_t i = 0; r->arg_count > 0 && i < ARRAY_LEN(commands); i++)
		if (span_eq(r->arg[0], span_cstr(commands[i].name)))
			return &commands[i];
	return NULL;
}

static void
refuse(struct ctl_client *c, const char *code, const char *text)
{
	ctl_err(c, code, "%s", text);
	ctl_end(c);
}

static void
carry_out(struct supervise *s, struct ctl_client *c, const struct cache_command *cmd, const char *text)
{
	bool is_on = supervise_conf(s)->cache_enabled;
	const struct child *p = s->cache.slot.child;

	if (!is_on && cmd->handling != BY_ALL)
		refuse(c, "disabled", "the shared cache is off (cache.enabled)");
	else if (cmd->handling == BY_US)
		request_stats(s, c);
	else if (cmd->handling == BY_CACHE)
		supervise_cache_pass(s, c, text, 0);
	else if (is_on && (p == NULL || p->state != CHILD_READY))
		refuse(c, "busy", "the cache process is not there at the moment; ask again soon");
	else
		supervise_flush(s, c, text, clock_mono_ms());
}

void
supervise_request_cache(struct supervise *s, struct ctl_client *c, const struct ctl_request *r)
{
	const struct cache_command *cmd = find_command(r);
	struct buf text = buf_heap(STATUS_TEXT_MAX - 1);

	for (size_t i = 0; i < r->arg_count; i++) {
		buf_str(&text, i > 0 ? " " : "");
		buf_span(&text, r->arg[i]);
	}
	if (r->arg_count == 0)
		refuse(c, "syntax", "cache takes a command: stats, histogram, dump, get, flush, flush-zone, flush-negative, purge");
	else if (cmd == NULL) {
		ctl_err(c, "unknown", "there is no command \"cache %s\"", log_str(r->arg[0]));
		ctl_end(c);
	} else if (r->arg_count - 1 < cmd->args_least || r->arg_count - 1 > cmd->args_most) {
		ctl_err(c, "syntax", "cache %s takes %s", cmd->name, cmd->args_most == 0 ? "no arguments" : cmd->args_least == 2 ? "a name and a type" :
		        cmd->args_most == 2 ? "a name and perhaps a type" : "a name");
		ctl_end(c);
	} else if (!buf_ok(&text))
		refuse(c, "limit", "these words are too long");
	else
		carry_out(s, c, cmd, buf_text(&text).p);
	buf_fini(&text);
}
