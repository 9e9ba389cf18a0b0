/* enmactl_stats - counters and times of all processes, as text for people or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"
#include "common/ipc/board.h"
#include "master/enmactl.h"
#include "master/enmactl_stats.h"
#include "master/enmactl_text.h"

/* ---- by class ------------------------------------------------------------------------------------------------ */

/* "cache.hits.txt": of BOARD_CACHE(TXT, HITS), the name of the event or that of the class. */
static struct span
part_of_name(enum board_cache_class class, enum board_cache_event event, bool is_class)
{
	struct span name = span_cstr(board_counter_name(BOARD_CACHE(class, event))), part = SPAN("");

	(void)!span_split(&name, '.', &part);
	(void)!span_split(&name, '.', &part);
	return is_class ? name : part;
}

enum board_cache_class
by_class_find(struct span name)
{
	for (int c = 0; c < BOARD_C_COUNT; c++)
		if (span_eq(part_of_name((enum board_cache_class)c, BOARD_E_HITS, true), name))
			return (enum board_cache_class)c;
	return BOARD_C_COUNT;
}

bool
by_class_take(struct by_class *t, struct span name, struct span value)
{
	for (int c = 0; c < BOARD_C_COUNT; c++)
		for (int e = 0; e < BOARD_E_COUNT; e++)
			if (span_eq(span_cstr(board_counter_name(BOARD_CACHE(c, e))), name)) {
				(void)!span_to_uint(value, UINT64_MAX, &t->count[c][e]);
				t->is_there = true;
				return true;
			}
	return false;
}

void
by_class_take_line(struct by_class *t, struct span line)
{
	enum board_cache_class class = by_class_find(text_word(&line));
	struct span word;

	if (class == BOARD_C_COUNT)
		return;
	t->is_there = true;
	while (span_split(&line, ' ', &word)) {
		size_t eq = span_find(word, '=');

		for (int e = 0; e < BOARD_E_COUNT; e++)
			if (span_eq(part_of_name(BOARD_C_A, (enum board_cache_event)e, false), span_sub(word, 0, eq)))
				(void)!span_to_uint(span_from(word, eq + 1), UINT64_MAX, &t->count[class][e]);
	}
}

uint64_t
by_class_lookups(const struct by_class *t, enum board_cache_class class)
{
	/* A stale answer is a second look for a question that was counted as expired before. */
	return t->count[class][BOARD_E_HITS] + t->count[class][BOARD_E_MISSES] + t->count[class][BOARD_E_EXPIRED];
}

void
by_class_print(const struct by_class *t)
{
	char ratio[16], size[32];

	printf("%-7s", "CLASS");
	for (int e = 0; e < BOARD_E_COUNT; e++)
		printf(" %10.*s", SPAN_ARGS(part_of_name(BOARD_C_A, (enum board_cache_event)e, false)));
	printf(" %7s%s\n", "ratio", t->has_entries ? "    entries       bytes" : "");
	for (int i = 0; i < BOARD_C_COUNT; i++) {
		enum board_cache_class c = (enum board_cache_class)i;

		printf("%-7.*s", SPAN_ARGS(part_of_name(c, BOARD_E_HITS, true)));
		for (int e = 0; e < BOARD_E_COUNT; e++)
			printf(" %10" PRIu64, t->count[c][e]);
		text_percent(ratio, sizeof(ratio), t->count[c][BOARD_E_HITS], by_class_lookups(t, c));
		text_size(size, sizeof(size), t->bytes[c]);
		printf(" %7s", ratio);
		if (t->has_entries)
			printf(" %10" PRIu64 " %11s", t->entries[c], size);
		putchar('\n');
	}
}

/* ---- all ----------------------------------------------------------------------------------------------------- */

struct histogram {
	struct span name;
	uint64_t sum_us, count;
	uint64_t bucket[BOARD_BUCKETS];
};

static struct histogram
read_histogram(struct span line)
{
	struct histogram h = { .name = text_word(&line) };

	(void)!span_to_uint(text_word(&line), UINT64_MAX, &h.sum_us);
	for (int i = 0; i < BOARD_BUCKETS; i++) {
		(void)!span_to_uint(text_word(&line), UINT64_MAX, &h.bucket[i]);
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
		struct span kind = text_word(&line);

		if (span_eq(kind, SPAN("histogram"))) {
			struct histogram h = read_histogram(line);
			char *name = xstrndup(h.name.p, h.name.n);

			json_object_set_new(histograms, name, histogram_json(&h));
			free(name);
		} else if (kind.n > 0) {
			struct span name = text_word(&line);

			text_json_put(span_eq(kind, SPAN("gauge")) ? gauges : counters, name, text_word(&line));
		}
	}
	json_object_set_new(all, "gauges", gauges);
	json_object_set_new(all, "counters", counters);
	json_object_set_new(all, "histograms", histograms);
	return all;
}

/* Names of one group - "spf.mailfrom.pass", "spf.helo.pass" - stand together, an empty line before the next ones. */
static void
plain_line(struct span line, bool is_gauge, struct span *group)
{
	struct span name = span_sub(line, 0, span_find(line, ' ')), now = span_sub(name, 0, span_find(name, '.'));

	if (is_gauge && !span_eq(now, SPAN("cache")))
		now = SPAN("gauge");
	if (!span_is_null(*group) && !span_eq(now, *group))
		putchar('\n');
	*group = now;
	printf("%.*s\n", SPAN_ARGS(line));
}

int
show_stats(struct span data, bool as_json)
{
	struct span line, group = SPAN_NULL, words;
	struct by_class table = { .is_there = false };

	if (as_json) {
		text_json_print(stats_json(data));
		return CTL_GOOD;
	}
	while (span_split(&data, '\n', &line)) {
		struct span kind = text_word(&line);

		words = line;
		if (span_eq(kind, SPAN("histogram"))) {
			putchar('\n');
			histogram_text(line);
		} else if (kind.n > 0 && !by_class_take(&table, text_word(&words), words))
			plain_line(line, span_eq(kind, SPAN("gauge")), &group);
	}
	if (table.is_there) {
		printf("\nthe cache, by class of entries:\n");
		by_class_print(&table);
	}
	return CTL_GOOD;
}
