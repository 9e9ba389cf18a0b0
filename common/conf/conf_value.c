/* conf_value - from text to a typed field and back; see conf_int.h. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_int.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first: the first one that divides a value prints it. */
static const struct unit size_units[] = { { "g", 1024 * MIB }, { "m", MIB }, { "k", KIB }, { "", 1 }, { NULL, 0 } };
static const struct unit second_units[] = { { "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { NULL, 0 } };
static const struct unit milli_units[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 }
};

static const struct unit *
units_of(const struct conf_row *row)
{
	switch (row->type) {
	case CT_SIZE: return size_units;
	case CT_TIME_S: return second_units;
	case CT_TIME_MS: return milli_units;
	default: return NULL;
	}
}

void
conf_number_print(const struct conf_row *row, int64_t v, struct buf *b)
{
	const struct unit *u = units_of(row);

	if (row->type == CT_MODE) {
		buf_fmt(b, "%04o", (unsigned)v);
		return;
	}
	if (u == NULL || v == 0) {
		buf_int(b, v);
		return;
	}
	while (v % u->factor != 0)
		u++;
	buf_int(b, v / u->factor);
	buf_str(b, u->name);
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

static bool
parse_octal(struct span text, int64_t *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '7' || i > 8)
			return false;
		*out = *out * 8 + (text.p[i] - '0');
	}
	return text.n > 0;
}

/* Digits, then a unit.  Without a unit: bytes, or seconds (a plain number of ENMA's files). */
static bool
parse_with_unit(const struct conf_row *row, struct span text, int64_t *out)
{
	const struct unit *u;
	struct span digits, name;
	uint64_t v;
	size_t n = 0;

	while (n < text.n && ascii_is_digit((unsigned char)text.p[n]))
		n++;
	digits = span_sub(text, 0, n);
	name = span_trim(span_from(text, n));
	if (name.n == 0)
		name = row->type == CT_SIZE ? SPAN("") : SPAN("s");
	if (!span_to_uint(digits, INT64_MAX, &v))
		return false;
	for (u = units_of(row); u->name != NULL; u++) {
		if (span_eq_nocase(name, span_cstr(u->name)))
			return !__builtin_mul_overflow((int64_t)v, u->factor, out);
	}
	return false;
}

static bool
parse_number(const struct conf_row *row, struct span text, int64_t *out)
{
	uint64_t v;

	switch (row->type) {
	case CT_MODE:
		return parse_octal(text, out);
	case CT_NUMBER:
		if (!span_to_uint(text, INT64_MAX, &v))
			return false;
		*out = (int64_t)v;
		return true;
	default:
		return parse_with_unit(row, text, out);
	}
}

static const char *
form_of(const struct conf_row *row)
{
	switch (row->type) {
	case CT_SIZE: return "a size in bytes (or with k, m, g)";
	case CT_TIME_S: return "a time in seconds (or with s, m, h, d)";
	case CT_TIME_MS: return "a time in seconds (or with ms, s, m, h, d)";
	case CT_MODE: return "an octal mode";
	default: return "a number";
	}
}

static bool
set_number(int64_t *field, const struct conf_row *row, struct span text, char *why, size_t size)
{
	struct buf b = buf_heap(256);
	int64_t v = 0;
	bool is_form = parse_number(row, text, &v), is_good = is_form && v >= row->lo && v <= row->hi;

	if (is_good) {
		*field = v;
		return true;
	}
	conf_number_print(row, row->lo, &b);
	buf_str(&b, " to ");
	conf_number_print(row, row->hi, &b);
	if (is_form)
		snprintf(why, size, "\"%s\" is out of range; allowed: %s", log_str(text), buf_text(&b).p);
	else
		snprintf(why, size, "\"%s\" is not %s from %s", log_str(text), form_of(row), buf_text(&b).p);
	buf_fini(&b);
	return false;
}

/* ---- words ----------------------------------------------------------------------------------------------- */

static const struct conf_word booleans[] = {
	{ "yes", 1 }, { "no", 0 }, { "true", 1 }, { "false", 0 }, { "on", 1 }, { "off", 0 }, { "1", 1 }, { "0", 0 }, { NULL, 0 },
};

static bool
find_word(const struct conf_word *words, struct span text, int *out)
{
	for (; words->name != NULL; words++) {
		if (span_eq_nocase(text, span_cstr(words->name))) {
			*out = words->value;
			return true;
		}
	}
	return false;
}

static bool
set_word(int *out, const struct conf_word *words, struct span text, char *why, size_t size)
{
	const struct conf_word *w;
	struct buf b;

	if (find_word(words, text, out))
		return true;
	b = buf_heap(512);
	for (w = words; w->name != NULL; w++)
		buf_fmt(&b, "%s%s", w == words ? "" : ", ", w->name);
	snprintf(why, size, "\"%s\" is not one of %s", log_str(text), buf_text(&b).p);
	buf_fini(&b);
	return false;
}

static const char *
word_of(const struct conf_word *words, int value)
{
	while (words->name != NULL && words->value != value)
		words++;
	return words->name ? words->name : "?";
}

/* ---- texts and lists ------------------------------------------------------------------------------------- */

static bool
set_text(char **field, bool (*check)(const char *, char *, size_t), struct span text, char *why, size_t size)
{
	char *copy = xstrndup(text.p, text.n);

	if (check != NULL && !check(copy, why, size)) {
		free(copy);
		return false;
	}
	free(*field);
	*field = copy;
	return true;
}

static bool
add_item(struct conf_list *list, bool (*check)(const char *, char *, size_t), struct span text, char *why, size_t size)
{
	char *copy = xstrndup(text.p, text.n);

	if (check != NULL && !check(copy, why, size)) {
		free(copy);
		return false;
	}
	if ((list->n & (list->n - 1)) == 0)             /* room doubles at powers of two */
		list->v = xrealloc(list->v, MAX(list->n * 2, (size_t)1), sizeof *list->v);
	list->v[list->n++] = copy;
	return true;
}

static bool
set_list(struct conf_list *list, const struct conf_row *row, struct span text, bool is_checked, char *why, size_t size)
{
	size_t before = list->n;
	struct span item;

	while (span_split(&text, (row->flags & CF_COMMAS) ? ',' : '\n', &item)) {
		item = span_trim(item);
		if (item.n > 0 && !add_item(list, is_checked ? NULL : row->check, item, why, size)) {
			while (list->n > before)
				free(list->v[--list->n]);
			return false;
		}
	}
	return true;
}

/* ---- all types ------------------------------------------------------------------------------------------- */

bool
conf_value_set(struct conf *c, const struct conf_row *row, struct span text, bool is_checked, char *why, size_t size)
{
	void *field = conf_field(c, row);
	int value;

	switch (row->type) {
	case CT_BOOL:
		if (!set_word(&value, booleans, text, why, size))
			return false;
		*(bool *)field = value != 0;
		return true;
	case CT_WORD:
		if (!set_word(&value, row->words, text, why, size))
			return false;
		memcpy(field, &value, sizeof value);    /* an enum or an int */
		return true;
	case CT_TEXT:
		return set_text(field, is_checked ? NULL : row->check, text, why, size);
	case CT_LIST:
		return set_list(field, row, text, is_checked, why, size);
	default:
		return set_number(field, row, text, why, size);
	}
}

void
conf_value_clear(struct conf *c, const struct conf_row *row)
{
	void *field = conf_field(c, row);
	struct conf_list *list = field;
	size_t i;

	if (row->type == CT_TEXT) {
		free(*(char **)field);
		*(char **)field = NULL;
	} else if (row->type == CT_LIST) {
		for (i = 0; i < list->n; i++)
			free(list->v[i]);
		free(list->v);
		*list = (struct conf_list){ 0 };
	}
}

size_t
conf_value_count(const struct conf *c, const struct conf_row *row)
{
	return row->type == CT_LIST ? ((const struct conf_list *)conf_field(c, row))->n : 1;
}

void
conf_value_print(const struct conf *c, const struct conf_row *row, size_t i, struct buf *b)
{
	const void *field = conf_field(c, row);
	int value;

	switch (row->type) {
	case CT_BOOL:
		buf_str(b, *(const bool *)field ? "yes" : "no");
		break;
	case CT_WORD:
		memcpy(&value, field, sizeof value);
		buf_str(b, word_of(row->words, value));
		break;
	case CT_TEXT:
		buf_str(b, *(char *const *)field);
		break;
	case CT_LIST:
		if (i < conf_value_count(c, row))
			buf_str(b, ((const struct conf_list *)field)->v[i]);
		break;
	default:
		conf_number_print(row, *(const int64_t *)field, b);
	}
}
