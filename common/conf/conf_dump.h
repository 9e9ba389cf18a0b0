/* conf_dump - settings as text: what is in force and where it comes from. */
#ifndef ENMA_CONF_CONF_DUMP_H
#define ENMA_CONF_CONF_DUMP_H

#include "common/conf/conf.h"

/* For people: a file that means the same configuration, each value below a comment with its origin and its default. */
void conf_dump_text(const struct conf *c, struct buf *b);

/* For programs: one line a value, "key TAB value TAB default TAB origin LF"; a list has a line for each item, or one with an empty value.
 * origin: "default", "command line", "FILE:LINE" or "host name". */
void conf_dump_table(const struct conf *c, struct buf *b);

/* Names of settings that differ between the two and only change with a restart, separated by ", "; nothing when there is none. */
void conf_dump_restarts(const struct conf *running, const struct conf *fresh, struct buf *b);

#endif
