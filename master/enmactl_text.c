/* enmactl_text - words, numbers and JSON of answers; see enmactl_text.h. */
#include "master/enmactl_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/xalloc.h"

struct span
text_word(struct span *rest)
{
	struct span word = SPAN("");

	(void)!span_split(rest, ' ', &word);
	return word;
}

int64_t
text_int(struct span s)
{
	uint64_t v;

	return span_to_uint(s, INT64_MAX, &v) ? (int64_t)v : -1;
}

json_t *
text_json(struct span s)
{
	json_t *j = json_stringn(s.p, s.n);

	return j ? j : json_string("(not UTF-8)");
}

void
text_json_put(json_t *object, struct span key, struct span value)
{
	char *name = xstrndup(key.p, key.n);
	int64_t v = text_int(value);

	json_object_set_new(object, name, v >= 0 ? json_integer(v) : text_json(value));
	free(name);
}

void
text_json_print(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}

void
text_json_print_line(json_t *j)
{
	json_dumpf(j, stdout, 0);
	putchar('\n');
	json_decref(j);
}

void
text_duration(char *out, size_t size, int64_t s)
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

void
text_size(char *out, size_t size, uint64_t bytes)
{
	static const char units[] = "KMGT";
	double v = (double)bytes;
	int unit = -1;

	while (v >= 1023.95 && unit < 3) {
		v /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(out, size, "%" PRIu64 " B", bytes);
	else
		snprintf(out, size, "%.1f %ciB", v, units[unit]);
}

void
text_percent(char *out, size_t size, uint64_t part, uint64_t whole)
{
	if (whole == 0)
		snprintf(out, size, "-");
	else
		snprintf(out, size, "%.1f%%", 100.0 * (double)part / (double)whole);
}
