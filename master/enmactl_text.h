/*
 * enmactl_text - words, numbers and JSON of answers: what enmactl's views share.
 */
#ifndef ENMA_MASTER_ENMACTL_TEXT_H
#define ENMA_MASTER_ENMACTL_TEXT_H

#include <jansson.h>

#include "common/base/span.h"

/* Takes the next word off *rest; empty when there is none. */
struct span text_word(struct span *rest);
/* -1: not a number. */
int64_t text_int(struct span s);

/* Never NULL. */
json_t *text_json(struct span s);
/* A number where the value is one. */
void text_json_put(json_t *object, struct span key, struct span value);
/* On standard output, and frees it. */
void text_json_print(json_t *j);
/* The same in one line: among the lines of a dump, too. */
void text_json_print_line(json_t *j);

/* "7s" "2m05s" "3h20m" "2d04h" */
void text_duration(char *out, size_t size, int64_t s);
/* "512 B" "1.5 KiB" */
void text_size(char *out, size_t size, uint64_t bytes);
/* "93.2%"; "-" of nothing. */
void text_percent(char *out, size_t size, uint64_t part, uint64_t whole);

#endif
