/* enmactl_show - answers as text for people, or as JSON for programs. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/xalloc.h"
#include "master/enmactl.h"
#include "master/enmactl_text.h"

enum { WORKER_FIELDS_MAX = 16, CONFIG_COLUMNS = 4, CONFIG_VALUE_WIDTH = 40 };

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
		if (span_eq(text_word(&line), span_cstr(word)))
			return span_is_null(line) ? SPAN("") : line;
	return SPAN("");
}

static void
print_worker(struct span line)
{
	char age[32];
	int64_t retry_ms = text_int(field(line, "retry_ms"));

	text_duration(age, sizeof(age), text_int(field(line, "age_ms")) / 1000);
	printf("%4.*s %6.*s %8.*s %11.*s  %-9.*s %9.*s %8s ", SPAN_ARGS(field(line, "slot")), SPAN_ARGS(field(line, "group")),
	       SPAN_ARGS(field(line, "pid")), SPAN_ARGS(field(line, "generation")), SPAN_ARGS(field(line, "state")),
	       SPAN_ARGS(field(line, "sessions")), age);
	if (retry_ms >= 0)
		printf("  next try in %" PRId64 ".%" PRId64 "s\n", retry_ms / 1000, retry_ms % 1000 / 100);
	else
		printf("%7" PRId64 "ms\n", text_int(field(line, "beat_ms")));
}

static void
print_cache(struct span line)
{
	int64_t retry_ms = text_int(field(line, "retry_ms"));
	char age[32];

	if (span_eq(field(line, "state"), SPAN("OFF"))) {
		puts("cache: off");
		return;
	}
	if (retry_ms >= 0) {
		printf("cache: %.*s, next try in %" PRId64 ".%" PRId64 "s\n", SPAN_ARGS(field(line, "state")), retry_ms / 1000, retry_ms % 1000 / 100);
		return;
	}
	text_duration(age, sizeof(age), text_int(field(line, "age_ms")) / 1000);
	printf("cache: %.*s (pid %.*s, up %s)\n", SPAN_ARGS(field(line, "state")), SPAN_ARGS(field(line, "pid")), age);
}

static void
status_text(struct span data)
{
	struct span rest = data, line, trouble = fact(data, "trouble"), conf = fact(data, "configuration");
	char up[32];

	text_duration(up, sizeof(up), text_int(fact(data, "uptime_s")));
	printf("enma %.*s is %.*s%s%.*s (pid %.*s, generation %.*s, up %s)\n", SPAN_ARGS(fact(data, "version")), SPAN_ARGS(fact(data, "state")),
	       trouble.n ? ": " : "", SPAN_ARGS(trouble), SPAN_ARGS(fact(data, "pid")), SPAN_ARGS(fact(data, "generation")), up);
	printf("configuration: %.*s\n", SPAN_ARGS(conf.n ? conf : SPAN("defaults, no file")));
	while (span_split(&rest, '\n', &line))
		if (span_eq(text_word(&line), SPAN("socket"))) {
			struct span group = text_word(&line);

			printf("socket %.*s: %.*s\n", SPAN_ARGS(group), SPAN_ARGS(line));
		}
	rest = data;
	while (span_split(&rest, '\n', &line))
		if (span_eq(text_word(&line), SPAN("cache")))
			print_cache(line);
	printf("\nSLOT SOCKET      PID  GENERATION  STATE      SESSIONS      AGE      BEAT\n");
	rest = data;
	while (span_split(&rest, '\n', &line))
		if (span_eq(text_word(&line), SPAN("worker")))
			print_worker(line);
}

/* Of a worker, or of the cache process. */
static json_t *
worker_json(struct span line)
{
	json_t *w = json_object();
	struct span word;

	while (span_split(&line, ' ', &word)) {
		size_t eq = span_find(word, '=');

		if (eq < word.n)
			text_json_put(w, span_sub(word, 0, eq), span_from(word, eq + 1));
	}
	return w;
}

static json_t *
status_json(struct span data)
{
	json_t *all = json_object(), *sockets = json_array(), *workers = json_array();
	struct span line;

	while (span_split(&data, '\n', &line)) {
		struct span key = text_word(&line);

		if (key.n == 0)
			continue;
		if (span_eq(key, SPAN("socket"))) {
			json_t *one = json_object();

			text_json_put(one, SPAN("group"), text_word(&line));
			json_object_set_new(one, "address", text_json(line));
			json_array_append_new(sockets, one);
		} else if (span_eq(key, SPAN("worker")))
			json_array_append_new(workers, worker_json(line));
		else if (span_eq(key, SPAN("cache")))
			json_object_set_new(all, "cache", worker_json(line));
		else
			text_json_put(all, key, span_is_null(line) ? SPAN("") : line);
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
		text_json_print(status_json(data));
	else
		status_text(data);
	return span_eq(state, SPAN("running")) || span_eq(state, SPAN("reloading")) ? CTL_GOOD : CTL_REFUSED;
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
			json_object_set_new(row, names[i], text_json(col[i]));
		json_array_append_new(rows, row);
	}
	if (as_json)
		text_json_print(rows);
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
			json_array_append_new(lines, text_json(line));
	return lines;
}

/* Absent when the answer was refused without lines. */
static void
put_data(struct span data, FILE *to)
{
	if (data.n > 0)
		fwrite(data.p, 1, data.n, to);
}

int
show_plain(const struct answer *a, bool as_json)
{
	if (as_json) {
		json_t *j = json_object();

		json_object_set_new(j, "ok", json_boolean(a->is_ok));
		if (!a->is_ok) {
			json_object_set_new(j, "code", json_string(a->code));
			json_object_set_new(j, "text", text_json(a->text));
		}
		json_object_set_new(j, "lines", lines_json(a->data));
		text_json_print_line(j);
	} else if (a->is_ok)
		put_data(a->data, stdout);
	else {
		put_data(a->data, stderr);
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
		json_object_set_new(j, "text", text_json(span_cstr(text)));
		text_json_print_line(j);
	} else
		fprintf(stderr, "enmactl: %s\n", text);
	return exit_code;
}
