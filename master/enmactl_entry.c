/* enmactl_entry - an entry of the cache, as `cache dump` and `cache get` get it (doc/CONTROL.md): a line for people, or a JSON object in one line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"
#include "master/enmactl.h"
#include "master/enmactl_text.h"

enum column { E_KIND, E_NAME, E_TYPE, E_STATUS, E_DNSSEC, E_AGE, E_LEFT, E_BYTES, E_DATA, E_COLUMNS };
enum { NAME_WIDTH = 40 };

static const char *const names[E_COLUMNS] = { "kind", "name", "type", "status", "dnssec", "age_s", "left_s", "bytes", NULL };

static void
split(struct span line, struct span out[E_COLUMNS])
{
	for (int i = 0; i < E_COLUMNS; i++)
		if (!span_split(&line, '\t', &out[i]))
			out[i] = SPAN("");
}

static int64_t
seconds_of(struct span s)
{
	bool is_negative = span_starts(s, SPAN("-"));
	uint64_t v = 0;

	(void)!span_to_uint(span_from(s, is_negative), INT64_MAX, &v);
	return is_negative ? -(int64_t)v : (int64_t)v;
}

/* The next piece that a separator outside of quotes ends; false when nothing is left. */
static bool
next_piece(struct span *rest, const char *separator, struct span *out)
{
	struct span sep = span_cstr(separator);
	bool is_quoted = false;
	size_t i;

	if (rest->n == 0)
		return false;
	for (i = 0; i < rest->n; i++) {
		if (rest->p[i] == '\\' && is_quoted)
			i++;
		else if (rest->p[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && span_starts(span_from(*rest, i), sep))
			break;
	}
	*out = span_sub(*rest, 0, i);
	*rest = span_from(*rest, i + sep.n);
	return true;
}

/* Of a DNS answer. */
static json_t *
records_json(struct span data)
{
	json_t *records = json_array();
	struct span one;

	while (next_piece(&data, ", ", &one))
		json_array_append_new(records, text_json(one));
	return records;
}

/* Of a result, or of a failure: key=value words.  What stands in quotes is text, without them; escapes inside stay. */
static json_t *
details_json(struct span data)
{
	json_t *details = json_object();
	struct span word, key, value;

	while (next_piece(&data, " ", &word)) {
		size_t eq = span_find(word, '=');
		bool is_quoted = eq + 2 < word.n && word.p[eq + 1] == '"' && word.p[word.n - 1] == '"';
		char *name;

		if (eq == word.n)
			continue;
		key = span_sub(word, 0, eq);
		value = is_quoted ? span_sub(word, eq + 2, word.n - eq - 3) : span_from(word, eq + 1);
		name = xstrndup(key.p, key.n);
		if (is_quoted || span_eq(key, SPAN("digest")))
			json_object_set_new(details, name, text_json(value));
		else
			text_json_put(details, key, value);
		free(name);
	}
	return details;
}

static void
show_json(const struct span col[E_COLUMNS])
{
	json_t *j = json_object();

	for (int i = 0; i < E_DATA; i++)
		json_object_set_new(j, names[i], i >= E_AGE ? json_integer(seconds_of(col[i])) : text_json(col[i]));
	if (span_eq(col[E_KIND], SPAN("D")) && !span_starts(col[E_DATA], SPAN("why=")))
		json_object_set_new(j, "records", records_json(col[E_DATA]));
	else
		json_object_set_new(j, "details", details_json(col[E_DATA]));
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static void
duration(char *out, size_t size, struct span s)
{
	int64_t v = seconds_of(s);

	out[0] = '-';
	text_duration(out + (v < 0), size - 1, v < 0 ? -v : v);
}

static void
show_text(const struct span col[E_COLUMNS])
{
	char age[40], left[40];

	duration(age, sizeof(age), col[E_AGE]);
	duration(left, sizeof(left), col[E_LEFT]);
	printf("%-4.*s %-*.*s %-5.*s %-9.*s %-8.*s %7s %7s %6.*s  %.*s\n", SPAN_ARGS(col[E_KIND]), NAME_WIDTH, SPAN_ARGS(col[E_NAME]),
	       SPAN_ARGS(col[E_TYPE]), SPAN_ARGS(col[E_STATUS]), SPAN_ARGS(col[E_DNSSEC]), age, left, SPAN_ARGS(col[E_BYTES]),
	       SPAN_ARGS(col[E_DATA]));
}

void
entry_show_head(void)
{
	printf("%-4s %-*s %-5s %-9s %-8s %7s %7s %6s  %s\n", "KIND", NAME_WIDTH, "NAME", "TYPE", "STATUS", "DNSSEC", "AGE", "LEFT", "BYTES", "DATA");
}

bool
entry_show(struct span line, bool as_json)
{
	struct span col[E_COLUMNS];

	split(line, col);
	if (as_json)
		show_json(col);
	else
		show_text(col);
	return !ferror(stdout);
}
