/* enmacheck_json - what the JSON of all commands is made of; only for worker/enmacheck*.c. */
#ifndef ENMA_WORKER_ENMACHECK_JSON_H
#define ENMA_WORKER_ENMACHECK_JSON_H

#include <jansson.h>

#include "worker/enmacheck.h"

/* Absent: null.  Bytes that are no UTF-8 come escaped as in the text output. */
json_t *check_json_text(struct span s);
/* Takes value. */
void check_json_set(json_t *o, const char *key, json_t *value);
/* Takes o. */
void check_json_print(json_t *o, struct buf *b);

#endif
