/* enmactl_show - answers as text for people, or as JSON for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/base/xalloc.h"
#include "common/ipc/board.h"
#include "master/enmactl.h"

enum { WORKER_FIELDS_MAX = 16, CONFIG_COLUMNS = 4, CONFIG_VALUE_WIDTH = 40 };

static struct span
next_word(struct span *rest)
{
	struct span word = SPAN("");

	(void)!span_split(rest, ' ', &word);
	return word;
}

static int64_t
to_int(struct span s)
{
	uint64_t v;

	return span_to_uint(s, INT64_MAX, &v) ? (int64_t)v : -1;
}

static json_t *
json_span(struct span s)
{
	json_t *j = json_stringn(s.p, s.n);

	return j ? j : json_string("(not UTF-8)");
}

static void
put_number_or_text(json_t *object, struct span key, struct span value)
{
	char *name = xstrndup(key.p, key.n);
	int64_t v = to_int(value);

	json_object_set_new(object, name, v >= 0 ? json_integer(v) : json_span(value));
	free(name);
}

static void
print_json(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}

static void
print_duration(char *out, size_t size, int64_t s)
{
	if (s < 60)
		snprintf(out, size, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(out, size, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, size, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(out, size, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}

/* ---- status -------------------------------------------------------------------------------------------------- */

/* "key=value" of a worker line; "" when it is not there. */
static struct span
field(struct span line, const char *key)
{
	struct span word, name;

	while (span_split(&line, ' ', &word)) {
		name = span_sub(word, 0, span_find(word, '='));
		if (name.n < word.n && span_eq(name, span_cstr(key)))
			return span_from(word, name.n + 1);
	}
	return SPAN("");
}

/* The text behind the first line that begins with this word; "" when there is none. */
static struct span
fact(struct span data, const char *word)
{
	struct span line;

	while (span_split(&data, '\n', &line))
		if (span_eq(next_word(&line), span_cstr(word)))
			return span_is_null(line) ? SPAN("") : line;
	return SPAN("");
}

static void
print_worker(struct span line)
{
	char age[32];
	int64_t retry_ms = to_int(field(line, "retry_ms"));

	print_duration(age, sizeof(age), to_int(field(line, "age_ms")) / 1000);
	printf("%4.*s %6.*s %8.*s %11.*s  %-9.*s %9.*s %8s ", SPAN_ARGS(field(line, "slot")), SPAN_ARGS(field(line, "group")),
	       SPAN_ARGS(field(line, "pid")), SPAN_ARGS(field(line, "generation")), SPAN_ARGS(field(line, "state")),
	       SPAN_ARGS(field(line, "sessions")), age);
	if (retry_ms >= 0)
		printf("  next try in %" PRId64 ".%" PRId64 "s\n", retry_ms / 1000, retry_ms % 1000 / 100);
	else
		printf("%7" PRId64 "ms\n", to_int(field(line, "beat_ms")));
}

static void
status_text(struct span data)
{
	struct span rest = data, line, trouble = fact(data, "trouble"), conf = fact(data, "configuration");
	char up[32];

	print_duration(up, sizeof(up), to_int(fact(data, "uptime_s")));
	printf("enma %.*s is %.*s%s%.*s (pid %.*s, generation %.*s, up %s)\n", SPAN_ARGS(fact(data, "version")), SPAN_ARGS(fact(data, "state")),
	       trouble.n ? ": " : "", SPAN_ARGS(trouble), SPAN_ARGS(fact(data, "pid")), SPAN_ARGS(fact(data, "generation")), up);
	printf("configuration: %.*s\n", SPAN_ARGS(conf.n ? conf : SPAN("defaults, no file")));
	while (span_split(&rest, '\n', &line))
		if (span_eq(next_word(&line), SPAN("socket"))) {
			struct span group = next_word(&line);

			printf("socket %.*s: %.*s\n", SPAN_ARGS(group), SPAN_ARGS(line));
		}
	printf("\nSLOT SOCKET      PID  GENERATION  STATE      SESSIONS      AGE      BEAT\n");
	rest = data;
	while (span_split(&rest, '\n', &line))
		if (span_eq(next_word(&line), SPAN("worker")))
			print_worker(line);
}

static json_t *
worker_json(struct span line)
{
	json_t *w = json_object();
	struct span word;

	while (span_split(&line, ' ', &word)) {
		size_t eq = span_find(word, '=');

		if (eq < word.n)
			put_number_or_text(w, span_sub(word, 0, eq), span_from(word, eq + 1));
	}
	return w;
}

static json_t *
status_json(struct span data)
{
	json_t *all = json_object(), *sockets = json_array(), *workers = json_array();
	struct span line;

	while (span_split(&data, '\n', &line)) {
		struct span key = next_word(&line);

		if (key.n == 0)
			continue;
		if (span_eq(key, SPAN("socket"))) {
			json_t *one = json_object();

			put_number_or_text(one, SPAN("group"), next_word(&line));
			json_object_set_new(one, "address", json_span(line));
			json_array_append_new(sockets, one);
		} else if (span_eq(key, SPAN("worker")))
			json_array_append_new(workers, worker_json(line));
		else
			put_number_or_text(all, key, span_is_null(line) ? SPAN("") : line);
	}
	json_object_set_new(all, "sockets", sockets);
	json_object_set_new(all, "workers", workers);
	return all;
}

int
show_status(struct span data, bool as_json)
{
	struct span state = fact(data, "state");

	if (as_json)
		print_json(status_json(data));
	else
		status_text(data);
	return span_eq(state, SPAN("running")) || span_eq(state, SPAN("reloading")) ? CTL_GOOD : CTL_REFUSED;
}

/* ---- stats --------------------------------------------------------------------------------------------------- */

struct histogram {
	struct span name;
	uint64_t sum_us, count;
	uint64_t bucket[BOARD_BUCKETS];
};

static struct histogram
read_histogram(struct span line)
{
	struct histogram h = { .name = next_word(&line) };

	(void)!span_to_uint(next_word(&line), UINT64_MAX, &h.sum_us);
	for (int i = 0; i < BOARD_BUCKETS; i++) {
		(void)!span_to_uint(next_word(&line), UINT64_MAX, &h.bucket[i]);
		h.count += h.bucket[i];
	}
	return h;
}

/* The upper end of the bucket in which this share of all values is reached. */
static uint64_t
percentile(const struct histogram *h, unsigned percent)
{
	uint64_t need = (h->count / 100) * percent + (h->count % 100 * percent + 99) / 100, seen = 0;

	for (int i = 0; i < BOARD_BUCKETS; i++)
		if ((seen += h->bucket[i]) >= need && h->count > 0)
			return 2ull << i;
	return 0;
}

static void
histogram_text(struct span line)
{
	struct histogram h = read_histogram(line);
	static const unsigned percents[] = { 50, 90, 99 };

	printf("%.*s.count %" PRIu64 "\n", SPAN_ARGS(h.name), h.count);
	printf("%.*s.mean_us %" PRIu64 "\n", SPAN_ARGS(h.name), h.count ? h.sum_us / h.count : 0);
	for (size_t i = 0; i < ARRAY_LEN(percents); i++)
		printf("%.*s.p%u_below_us %" PRIu64 "\n", SPAN_ARGS(h.name), percents[i], percentile(&h, percents[i]));
}

static json_t *
histogram_json(const struct histogram *h)
{
	json_t *j = json_object(), *buckets = json_array();

	for (int i = 0; i < BOARD_BUCKETS; i++)
		json_array_append_new(buckets, json_integer((json_int_t)h->bucket[i]));
	json_object_set_new(j, "count", json_integer((json_int_t)h->count));
	json_object_set_new(j, "sum_us", json_integer((json_int_t)h->sum_us));
	json_object_set_new(j, "buckets", buckets);
	return j;
}

static json_t *
stats_json(struct span data)
{
	json_t *all = json_object(), *gauges = json_object(), *counters = json_object(), *histograms = json_object();
	struct span line;

	while (span_split(&data, '\n', &line)) {
		struct span kind = next_word(&line);

		if (span_eq(kind, SPAN("histogram"))) {
			struct histogram h = read_histogram(line);
			char *name = xstrndup(h.name.p, h.name.n);

			json_object_set_new(histograms, name, histogram_json(&h));
			free(name);
		} else if (kind.n > 0) {
			struct span name = next_word(&line);

			put_number_or_text(span_eq(kind, SPAN("gauge")) ? gauges : counters, name, next_word(&line));
		}
	}
	json_object_set_new(all, "gauges", gauges);
	json_object_set_new(all, "counters", counters);
	json_object_set_new(all, "histograms", histograms);
	return all;
}

int
show_stats(struct span data, bool as_json)
{
	struct span line;

	if (as_json) {
		print_json(stats_json(data));
		return CTL_GOOD;
	}
	while (span_split(&data, '\n', &line)) {
		struct span kind = next_word(&line);

		if (span_eq(kind, SPAN("histogram")))
			histogram_text(line);
		else if (kind.n > 0)
			printf("%.*s\n", SPAN_ARGS(line));
	}
	return CTL_GOOD;
}

/* ---- config and the rest ------------------------------------------------------------------------------------- */

static void
split_config(struct span line, struct span out[CONFIG_COLUMNS])
{
	for (int i = 0; i < CONFIG_COLUMNS; i++)
		if (!span_split(&line, '\t', &out[i]))
			out[i] = SPAN("");
}

int
show_config(struct span data, bool with_head, bool as_json)
{
	static const char *const names[CONFIG_COLUMNS] = { "key", "value", "default", "origin" };
	json_t *rows = json_array();
	struct span line, col[CONFIG_COLUMNS];

	if (with_head && !as_json)
		printf("%-34s %-*s %-24s %s\n", "KEY", CONFIG_VALUE_WIDTH, "VALUE", "DEFAULT", "ORIGIN");
	while (span_split(&data, '\n', &line)) {
		json_t *row;

		if (line.n == 0)
			continue;
		split_config(line, col);
		if (!as_json) {
			printf("%-34.*s %-*.*s %-24.*s %.*s\n", SPAN_ARGS(col[0]), CONFIG_VALUE_WIDTH, SPAN_ARGS(col[1].n ? col[1] : SPAN("-")),
			       SPAN_ARGS(col[2].n ? col[2] : SPAN("-")), SPAN_ARGS(col[3]));
			continue;
		}
		row = json_object();
		for (int i = 0; i < CONFIG_COLUMNS; i++)
			json_object_set_new(row, names[i], json_span(col[i]));
		json_array_append_new(rows, row);
	}
	if (as_json)
		print_json(rows);
	else
		json_decref(rows);
	return CTL_GOOD;
}

static json_t *
lines_json(struct span data)
{
	json_t *lines = json_array();
	struct span line;

	while (span_split(&data, '\n', &line))
		if (line.n > 0)
			json_array_append_new(lines, json_span(line));
	return lines;
}

int
show_plain(const struct answer *a, bool as_json)
{
	if (as_json) {
		json_t *j = json_object();

		json_object_set_new(j, "ok", json_boolean(a->is_ok));
		if (!a->is_ok) {
			json_object_set_new(j, "code", json_string(a->code));
			json_object_set_new(j, "text", json_span(a->text));
		}
		json_object_set_new(j, "lines", lines_json(a->data));
		print_json(j);
	} else if (a->is_ok)
		fwrite(a->data.p, 1, a->data.n, stdout);
	else {
		fwrite(a->data.p, 1, a->data.n, stderr);
		fprintf(stderr, "enmactl: %.*s\n", SPAN_ARGS(a->text));
	}
	return a->is_ok ? CTL_GOOD : CTL_REFUSED;
}

int
show_problem(const char *code, const char *text, int exit_code, bool as_json)
{
	if (as_json) {
		json_t *j = json_object();

		json_object_set_new(j, "ok", json_false());
		json_object_set_new(j, "code", json_string(code));
		json_object_set_new(j, "text", json_span(span_cstr(text)));
		print_json(j);
	} else
		fprintf(stderr, "enmactl: %s\n", text);
	return exit_code;
}
