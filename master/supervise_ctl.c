/* supervise_ctl - what the supervisor answers to control requests (doc/CONTROL.md). */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/conf/conf_dump.h"
#include "master/supervise_int.h"

static const char *
state_name(const struct supervise *s)
{
	if (s->is_stopping)
		return "stopping";
	if (s->current == NULL)
		return "starting";
	if (supervise_trouble(s) != NULL)
		return "degraded";
	return s->next != NULL ? "reloading" : "running";
}

static void
print_worker(struct ctl_client *c, const struct child *w, int64_t now)
{
	ctl_line(c, "worker slot=%u group=%u pid=%d generation=%llu state=%s sessions=%u age_ms=%lld beat_ms=%lld", w->number, w->group,
	         (int)w->pid, (unsigned long long)w->generation, child_state_name(w), child_sessions(w), (long long)(now - w->started_ms),
	         (long long)(now - w->beat_changed_ms));
}

static void
print_workers(struct supervise *s, struct ctl_client *c, const struct generation *g, int64_t now)
{
	for (size_t i = 0; g != NULL && i < g->slot_count; i++) {
		const struct slot *slot = &g->slots[i];

		if (slot->child != NULL)
			print_worker(c, slot->child, now);
		else if (!s->is_stopping)
			ctl_line(c, "worker slot=%u group=%u pid=0 generation=%llu state=MISSING sessions=0 age_ms=0 beat_ms=0 retry_ms=%lld",
			         slot->number, slot->group, (unsigned long long)g->number, (long long)MAX(slot->start_at_ms - now, (int64_t)0));
	}
}

static void
request_status(struct supervise *s, struct ctl_client *c)
{
	const struct generation *g = s->current ? s->current : s->next;
	const char *trouble = supervise_trouble(s);
	int64_t now = clock_mono_ms();

	ctl_ok(c);
	ctl_line(c, "version %s", ENMA_VERSION);
	ctl_line(c, "pid %d", (int)getpid());
	ctl_line(c, "state %s", state_name(s));
	if (trouble != NULL)
		ctl_line(c, "trouble %s", trouble);
	ctl_line(c, "generation %llu", (unsigned long long)g->number);
	ctl_line(c, "uptime_s %lld", (long long)(now - s->started_ms) / 1000);
	ctl_line(c, "configuration %s", s->options->conf_path);
	for (size_t i = 0; i < g->group_count; i++) {
		struct buf address = buf_heap(KIB);

		if (g->listeners[i] != NULL)
			listen_print(g->listeners[i], &address);
		ctl_line(c, "socket %zu %s", i, g->listeners[i] != NULL ? buf_text(&address).p : "closed");
		buf_fini(&address);
	}
	print_workers(s, c, s->current, now);
	print_workers(s, c, s->next, now);
	for (const struct child *w = s->children; w != NULL; w = w->next)
		if (w->slot == NULL && w->role == CHILD_WORKER)
			print_worker(c, w, now);
	supervise_print_cache(s, c, now);
	ctl_end(c);
}

static void
print_histogram(struct ctl_client *c, const struct totals *t, int h)
{
	struct buf line = buf_heap(4 * KIB);

	buf_fmt(&line, "histogram %s %llu", board_histogram_name((enum board_histogram)h), (unsigned long long)t->histogram_sum_us[h]);
	for (int i = 0; i < BOARD_BUCKETS; i++)
		buf_fmt(&line, " %llu", (unsigned long long)t->histogram[h][i]);
	ctl_line(c, "%s", buf_text(&line).p);
	buf_fini(&line);
}

static void
request_stats(struct supervise *s, struct ctl_client *c)
{
	struct totals sum;
	unsigned long long sessions = 0, workers = 0;

	supervise_totals(s, &sum);
	for (const struct child *w = s->children; w != NULL; w = w->next) {
		sessions += child_sessions(w);
		workers += w->role == CHILD_WORKER && w->state == CHILD_READY;
	}
	ctl_ok(c);
	ctl_line(c, "gauge sessions %llu", sessions);
	ctl_line(c, "gauge workers.ready %llu", workers);
	ctl_line(c, "gauge generation %llu", (unsigned long long)(s->current ? s->current->number : 0));
	ctl_line(c, "gauge uptime_s %lld", (long long)(clock_mono_ms() - s->started_ms) / 1000);
	supervise_print_gauges(s, c);
#define PRINT_COUNTER(field, name) ctl_line(c, "counter %s %llu", name, (unsigned long long)s->count.field);
	SUPERVISE_COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
	for (int i = 0; i < BOARD_COUNTER_COUNT; i++)
		ctl_line(c, "counter %s %llu", board_counter_name((enum board_counter)i), (unsigned long long)sum.counter[i]);
	for (int h = 0; h < BOARD_HISTOGRAM_COUNT; h++)
		print_histogram(c, &sum, h);
	ctl_end(c);
}

/* The lines of conf_dump_table() whose key is wanted. */
static size_t
put_settings(struct ctl_client *c, struct span table, struct span key)
{
	struct span line;
	size_t n = 0;

	while (span_split(&table, '\n', &line)) {
		if (line.n == 0 || (key.p != NULL && !span_eq(span_sub(line, 0, span_find(line, '\t')), key)))
			continue;
		if (n++ == 0)
			ctl_ok(c);
		ctl_line_span(c, line);
	}
	return n;
}

static void
request_config(struct supervise *s, struct ctl_client *c, const struct ctl_request *r)
{
	struct buf table = buf_heap(CTL_ANSWER_MAX);

	if (r->arg_count > 1)
		ctl_err(c, "syntax", "config takes at most one key");
	else {
		conf_dump_table(supervise_conf(s), &table);
		if (!buf_ok(&table))
			ctl_err(c, "limit", "the configuration is too long for one answer; ask for one key");
		else if (put_settings(c, buf_text(&table), r->arg_count ? r->arg[0] : SPAN_NULL) == 0)
			ctl_err(c, "unknown", "there is no setting \"%s\"", r->arg_count ? log_str(r->arg[0]) : "");
	}
	buf_fini(&table);
	ctl_end(c);
}

static void
request_reload(struct supervise *s, struct ctl_client *c)
{
	if (s->is_stopping || s->next != NULL || s->answer_by_ms != 0) {
		ctl_err(c, "busy", s->is_stopping ? "enma is stopping" : s->current == NULL ? "enma is still starting" :
		        "another reload is in progress; ask again when it is done");
		ctl_end(c);
		return;
	}
	supervise_reload(s, ctl_defer(c), ctl_who(c));
}

static void
request_stop(struct supervise *s, struct ctl_client *c, const struct ctl_request *r)
{
	bool at_once = r->arg_count == 1 && span_eq(r->arg[0], SPAN("now"));

	if (r->arg_count > 0 && !at_once) {
		ctl_err(c, "syntax", "stop takes no argument but \"now\"");
		ctl_end(c);
		return;
	}
	/* Asked again without "now" is no hurry: enmactl stop from two places must not cut sessions off. */
	if (at_once || !s->is_stopping)
		supervise_stop(s, at_once, ctl_who(c));
	ctl_ok(c);
	ctl_line(c, "pid %d", (int)getpid());
	ctl_end(c);
}

static void
request_version(struct supervise *s UNUSED, struct ctl_client *c)
{
	ctl_ok(c);
	ctl_line(c, "version %s", ENMA_VERSION);
	ctl_end(c);
}

void
supervise_request(void *arg, struct ctl_client *c, const struct ctl_request *r)
{
	static const struct {
		const char *name;
		void (*plain)(struct supervise *, struct ctl_client *);
		void (*with_args)(struct supervise *, struct ctl_client *, const struct ctl_request *);
	} commands[] = {
		{ "status", request_status, NULL },
		{ "stats", request_stats, NULL },
		{ "config", NULL, request_config },
		{ "reload", request_reload, NULL },
		{ "stop", NULL, request_stop },
		{ "version", request_version, NULL },
		{ "cache", NULL, supervise_request_cache },
	};
	struct supervise *s = arg;

	s->count.requests++;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!span_eq(r->command, span_cstr(commands[i].name)))
			continue;
		if (commands[i].plain == NULL)
			commands[i].with_args(s, c, r);
		else if (r->arg_count > 0) {
			ctl_err(c, "syntax", "%s takes no arguments", commands[i].name);
			ctl_end(c);
		} else
			commands[i].plain(s, c);
		return;
	}
	ctl_err(c, "unknown", "there is no command \"%s\"", log_str(r->command));
	ctl_end(c);
}
