/* enmactl_cachestats - `enmactl cache stats`: what is in the cache, how often it answers, how old its entries are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"
#include "master/enmactl.h"
#include "master/enmactl_stats.h"
#include "master/enmactl_text.h"

enum { BAR_WIDTH = 40, RANGES_MAX = 16 };

/* One histogram: "1" "5" ... "more" and how many entries each. */
struct ages {
	size_t n;
	struct span bucket[RANGES_MAX];
	uint64_t count[RANGES_MAX];
};

struct contents {
	bool is_there;
	struct ages age, left;
	uint64_t entries[2], bytes[2];          /* of D, of R */
};

static uint64_t
number(struct span s)
{
	uint64_t v = 0;

	(void)!span_to_uint(s, UINT64_MAX, &v);
	return v;
}

static void
take_range(struct ages *a, struct span line)
{
	if (a->n == RANGES_MAX)
		return;
	a->bucket[a->n] = text_word(&line);
	a->count[a->n++] = number(text_word(&line));
}

/* "kind D 12 3400", "class txt 5 900" */
static void
take_sum(struct contents *c, struct by_class *t, struct span line, bool is_kind)
{
	struct span name = text_word(&line);
	uint64_t count = number(text_word(&line)), bytes = number(text_word(&line));
	enum board_cache_class class = by_class_find(name);

	if (is_kind) {
		c->entries[span_eq(name, SPAN("R"))] = count;
		c->bytes[span_eq(name, SPAN("R"))] = bytes;
	} else if (class != BOARD_C_COUNT) {
		t->entries[class] = count;
		t->bytes[class] = bytes;
		t->has_entries = true;
	}
}

static void
read_contents(struct span histogram, struct contents *c, struct by_class *t)
{
	struct span line;

	c->is_there = !span_is_null(histogram);
	while (span_split(&histogram, '\n', &line)) {
		struct span word = text_word(&line);

		if (span_eq(word, SPAN("age")))
			take_range(&c->age, line);
		else if (span_eq(word, SPAN("left")))
			take_range(&c->left, line);
		else if (span_eq(word, SPAN("kind")) || span_eq(word, SPAN("class")))
			take_sum(c, t, line, span_eq(word, SPAN("kind")));
	}
}

static void
read_classes(struct span data, struct by_class *t)
{
	struct span line;

	while (span_split(&data, '\n', &line))
		if (span_eq(text_word(&line), SPAN("class")))
			by_class_take_line(t, line);
}

/* ---- text ---------------------------------------------------------------------------------------------------- */

/* The value of "gauge NAME VALUE" or "counter NAME VALUE"; 0 when it is not there. */
static uint64_t
value_of(struct span data, const char *name)
{
	struct span line;

	while (span_split(&data, '\n', &line)) {
		(void)text_word(&line);
		if (span_eq(text_word(&line), span_cstr(name)))
			return number(text_word(&line));
	}
	return 0;
}

static void
print_contents(struct span data, const struct contents *c)
{
	char used[32], map[32], file[32], percent[16], dns[32], results[32];
	uint64_t map_bytes = value_of(data, "cache.map_bytes"), used_bytes = value_of(data, "cache.used_bytes");

	text_size(used, sizeof(used), used_bytes);
	text_size(map, sizeof(map), map_bytes);
	text_size(file, sizeof(file), value_of(data, "cache.file_bytes"));
	text_percent(percent, sizeof(percent), used_bytes, map_bytes);
	printf("%-10s %" PRIu64, "entries", value_of(data, "cache.entries"));
	if (c->is_there) {
		text_size(dns, sizeof(dns), c->bytes[0]);
		text_size(results, sizeof(results), c->bytes[1]);
		printf(" (DNS answers: %" PRIu64 " in %s; results: %" PRIu64 " in %s)", c->entries[0], dns, c->entries[1], results);
	}
	printf("\n%-10s %s of %s used (%s)\n", "map", used, map, percent);
	printf("%-10s number %" PRIu64 ", %s on disk\n", "file", value_of(data, "cache.generation"), file);
	printf("%-10s %" PRIu64 " slots of %" PRIu64 " used so far\n", "readers", value_of(data, "cache.readers"), value_of(data, "cache.readers_max"));
}

static void
print_ratios(struct span data)
{
	struct span line;
	char percent[16];

	printf("%-10s", "hit ratio");
	while (span_split(&data, '\n', &line)) {
		struct span window;
		uint64_t hits, lookups;

		if (!span_eq(text_word(&line), SPAN("ratio")))
			continue;
		window = text_word(&line);
		hits = number(text_word(&line));
		lookups = number(text_word(&line));
		text_percent(percent, sizeof(percent), hits, lookups);
		printf("  %.*s %s", SPAN_ARGS(window), percent);
	}
	putchar('\n');
}

/* Without the zeroes. */
static void
print_counters(struct span data)
{
	struct span line;

	while (span_split(&data, '\n', &line)) {
		struct span kind = text_word(&line), name = text_word(&line);

		if (span_eq(kind, SPAN("counter")) && number(line) > 0)
			printf("%-24.*s %12" PRIu64 "\n", SPAN_ARGS(span_starts(name, SPAN("cache.")) ? span_from(name, 6) : name), number(line));
	}
}

/* "300" as "up to 5m". */
static void
print_bucket(struct span name, char *out, size_t size)
{
	static const struct { uint64_t s; char unit; } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t v;
	size_t i = 0;

	if (!span_to_uint(name, INT64_MAX, &v) || v == 0) {
		snprintf(out, size, "%.*s", SPAN_ARGS(name));
		return;
	}
	while (v % units[i].s != 0)
		i++;
	snprintf(out, size, "up to %" PRIu64 "%c", v / units[i].s, units[i].unit);
}

static void
print_ages(const char *title, const struct ages *a)
{
	char name[64];
	uint64_t most = 1;

	for (size_t i = 0; i < a->n; i++)
		most = MAX(most, a->count[i]);
	printf("\n%s\n", title);
	for (size_t i = 0; i < a->n; i++) {
		/* Something is never shown as nothing. */
		int bar = (int)((double)a->count[i] / (double)most * BAR_WIDTH + 0.999);

		print_bucket(a->bucket[i], name, sizeof(name));
		printf("  %-14s %10" PRIu64 "  %.*s\n", name, a->count[i], MIN(bar, BAR_WIDTH), "########################################");
	}
}

static void
text(struct span data, const struct contents *c, const struct by_class *t, struct span trouble)
{
	print_contents(data, c);
	print_ratios(data);
	putchar('\n');
	print_counters(data);
	putchar('\n');
	by_class_print(t);
	if (c->is_there) {
		print_ages("age of entries", &c->age);
		print_ages("time left", &c->left);
	} else
		printf("\nages are not known: %.*s\n", SPAN_ARGS(trouble));
}

/* ---- JSON ------------------------------------------------------------------------------------------------------ */

static json_t *
ages_json(const struct ages *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->n; i++) {
		json_t *one = json_object();

		text_json_put(one, SPAN("up_to_s"), a->bucket[i]);
		json_object_set_new(one, "count", json_integer((json_int_t)a->count[i]));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
sum_json(uint64_t entries, uint64_t bytes)
{
	json_t *j = json_object();

	json_object_set_new(j, "entries", json_integer((json_int_t)entries));
	json_object_set_new(j, "bytes", json_integer((json_int_t)bytes));
	return j;
}

static json_t *
contents_json(struct span histogram, const struct contents *c)
{
	json_t *j = json_object(), *kinds = json_object(), *classes = json_object();
	struct span line;

	json_object_set_new(kinds, "D", sum_json(c->entries[0], c->bytes[0]));
	json_object_set_new(kinds, "R", sum_json(c->entries[1], c->bytes[1]));
	while (span_split(&histogram, '\n', &line))
		if (span_eq(text_word(&line), SPAN("class"))) {
			struct span word = text_word(&line);
			uint64_t entries = number(text_word(&line));
			char *name = xstrndup(word.p, word.n);

			json_object_set_new(classes, name, sum_json(entries, number(text_word(&line))));
			free(name);
		}
	json_object_set_new(j, "age", ages_json(&c->age));
	json_object_set_new(j, "left", ages_json(&c->left));
	json_object_set_new(j, "kinds", kinds);
	json_object_set_new(j, "classes", classes);
	return j;
}

static json_t *
ratio_json(struct span line)
{
	json_t *j = json_object();
	uint64_t hits = number(text_word(&line)), lookups = number(text_word(&line));

	json_object_set_new(j, "hits", json_integer((json_int_t)hits));
	json_object_set_new(j, "lookups", json_integer((json_int_t)lookups));
	json_object_set_new(j, "ratio", lookups ? json_real((double)hits / (double)lookups) : json_null());
	return j;
}

/* "txt hits=1 ...": under the names that `enmactl stats` has for them. */
static void
class_json(json_t *counters, struct span class, struct span line)
{
	struct span word;

	while (span_split(&line, ' ', &word)) {
		size_t eq = span_find(word, '=');
		char *name = xasprintf("cache.%.*s.%.*s", SPAN_ARGS(span_sub(word, 0, eq)), SPAN_ARGS(class));

		if (eq < word.n)
			text_json_put(counters, span_cstr(name), span_from(word, eq + 1));
		free(name);
	}
}

static json_t *
json(struct span data, struct span histogram, const struct contents *c, struct span trouble)
{
	json_t *all = json_object(), *gauges = json_object(), *counters = json_object(), *ratios = json_object();
	struct span line;

	while (span_split(&data, '\n', &line)) {
		struct span kind = text_word(&line), word = text_word(&line);

		if (span_eq(kind, SPAN("ratio"))) {
			char *name = xstrndup(word.p, word.n);

			json_object_set_new(ratios, name, ratio_json(line));
			free(name);
		} else if (span_eq(kind, SPAN("class")))
			class_json(counters, word, line);
		else if (kind.n > 0)
			text_json_put(span_eq(kind, SPAN("gauge")) ? gauges : counters, word, text_word(&line));
	}
	json_object_set_new(all, "gauges", gauges);
	json_object_set_new(all, "counters", counters);
	json_object_set_new(all, "ratios", ratios);
	json_object_set_new(all, "contents", c->is_there ? contents_json(histogram, c) : json_null());
	if (!c->is_there)
		json_object_set_new(all, "trouble", text_json(trouble));
	return all;
}

int
show_cache_stats(struct span data, struct span histogram, struct span trouble, bool as_json)
{
	struct contents c = { .is_there = false };
	struct by_class t = { .is_there = false };

	read_contents(histogram, &c, &t);
	read_classes(data, &t);
	if (as_json)
		text_json_print(json(data, histogram, &c, trouble));
	else
		text(data, &c, &t, trouble);
	return CTL_GOOD;
}
