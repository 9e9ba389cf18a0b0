/*
 * conf_table - the rows that drive everything about settings.
 *
 * Inside common/conf only (and tests, documentation tools).  Adding a setting: one field in struct conf, one row here, one test.
 * The type of the field is checked when the row is compiled.
 */
#ifndef ENMA_CONF_CONF_TABLE_H
#define ENMA_CONF_CONF_TABLE_H

#include "common/conf/conf.h"

enum conf_type {
	CT_BOOL,        /* bool */
	CT_NUMBER,      /* int64_t */
	CT_SIZE,        /* int64_t, bytes: 512k */
	CT_TIME_S,      /* int64_t, seconds: 5m */
	CT_TIME_MS,     /* int64_t, milliseconds: 20s, 500ms */
	CT_MODE,        /* int64_t, octal */
	CT_WORD,        /* int or enum: one of row->words */
	CT_TEXT,        /* char *, never NULL */
	CT_LIST,        /* struct conf_list; every line adds */
};

enum conf_flags {
	CF_COMMAS = 1,          /* CT_LIST: a value is a comma-separated list itself */
	CF_RESTART = 2,         /* a change needs a restart; all others take effect on reload */
	CF_OBSOLETE = 4,        /* accepted and without any effect, since enma needs no such switch any more */
	CF_NOT_YET = 8,         /* accepted and without effect in this version */
	CF_ENMA = 16,           /* one of ENMA 1.2's 24 keys */
};

struct conf_word {
	const char *name;       /* the first name of a value is the one that is printed */
	int value;
};

struct conf_row {
	const char *name;
	enum conf_type type;
	unsigned flags;
	size_t offset;                  /* of the field in struct conf */
	const char *standard;           /* the default, as a user would write it */
	int64_t lo, hi;                 /* numbers, sizes, times (in the field's unit), modes */
	const struct conf_word *words;  /* CT_WORD; ends with a NULL name */
	/* CT_TEXT: the value; CT_LIST: each item.  False with a reason in why. */
	bool (*check)(const char *value, char *why, size_t size);
	const char *syntax;             /* what to write, for the manual: "seconds", "ADDRESS[@PORT]" */
	const char *help;               /* whole sentences, each ending with ".": manual, sample file */
};

struct conf_group {
	const char *prefix;             /* "milter." */
	const char *title;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_row_count;
extern const struct conf_group conf_groups[];
extern const size_t conf_group_count;

const struct conf_row *conf_row_find(struct span name);         /* NULL when there is none */
/* The row that a mistyped name most probably means; NULL when none is near. */
const struct conf_row *conf_row_guess(struct span name);

#endif
