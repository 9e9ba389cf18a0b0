/*
 * conf_int - shared by the files of common/conf only: places of values, errors, and the loader that fills a struct conf.
 */
#ifndef ENMA_CONF_CONF_INT_H
#define ENMA_CONF_CONF_INT_H

#include "common/conf/conf_table.h"

/* Where one value was written, and the value as it was written. */
struct conf_place {
	char *file;             /* a path or "command line" */
	unsigned line;
	char *value;
};

/* One per row.  Single values: at most one place.  Lists: one per line, in order.  None: the default is in force. */
struct conf_origin {
	struct conf_place *v;
	size_t n, room;
	bool is_final;          /* set on the command line: the file no longer counts */
};

extern const char conf_command_line[];

/* ---- errors ---- */
void conf_errors_add(struct conf_errors *errors, bool is_warning, const char *file, unsigned line, const char *fmt, ...) PRINTF_LIKE(5, 6);
bool conf_errors_has_error(const struct conf_errors *errors);

/* ---- values (conf_value.c) ---- */

static inline void *
conf_field(const struct conf *c, const struct conf_row *row)
{
	return (char *)(uintptr_t)c + row->offset;
}

static inline const struct conf_origin *
conf_origin_of(const struct conf *c, const struct conf_row *row)
{
	return &c->origins[row - conf_rows];
}

static inline bool
conf_is_set(const struct conf *c, const struct conf_row *row)
{
	return conf_origin_of(c, row)->n > 0;
}

/* Parses text into the field of row (a list: adds its items).  False with a reason: the field is as it was.
 * is_checked: the text went through row->check before (asking for a host's address again might have another outcome). */
bool conf_value_set(struct conf *c, const struct conf_row *row, struct span text, bool is_checked, char *why, size_t size);
void conf_value_clear(struct conf *c, const struct conf_row *row);      /* frees; lists become empty, texts NULL */
/* The value in canonical form, as a user could write it; a list: item number i (0 .. conf_value_count() - 1). */
void conf_value_print(const struct conf *c, const struct conf_row *row, size_t i, struct buf *b);
size_t conf_value_count(const struct conf *c, const struct conf_row *row);
/* A number of the row's type in canonical form: "5m", "512k", "0660". */
void conf_number_print(const struct conf_row *row, int64_t v, struct buf *b);

/* ---- a struct conf from its values (conf_store.c) ---- */

bool conf_has_control_byte(struct span s);      /* anything below blank but the tab, and DEL */

NODISCARD struct conf *conf_create(void);        /* nothing set: the caller sets, then conf_finish() */
/* One "key: value" of a file or of the command line; errors are added.  is_checked as above. */
void conf_set(struct conf *c, struct span key, struct span value, const char *file, unsigned line, bool is_checked, struct conf_errors *errors);
/* Fills what was not set with defaults. */
void conf_finish(struct conf *c);

#endif
