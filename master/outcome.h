/*
 * outcome - what came of a start, a check or a reload: an exit code and lines for people.
 */
#ifndef ENMA_MASTER_OUTCOME_H
#define ENMA_MASTER_OUTCOME_H

#include "common/base/buf.h"
#include "common/conf/conf.h"

struct outcome {
	int code;               /* 0 good; else of <sysexits.h>: the first that was given */
	struct buf lines;       /* one per error or warning, each ended by LF */
};

void outcome_init(struct outcome *o);
void outcome_fini(struct outcome *o);
void outcome_clear(struct outcome *o);
void outcome_forgive(struct outcome *o);        /* it turned out well after all; the lines stay */
/* code 0: a warning or a note, which does not make the outcome bad. */
void outcome_add(struct outcome *o, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* All of errors; code counts for those that are no warnings. */
void outcome_add_errors(struct outcome *o, int code, const struct conf_errors *errors);
/* Everything to the log, errors and warnings each in their severity. */
void outcome_log(const struct outcome *o);

#endif
