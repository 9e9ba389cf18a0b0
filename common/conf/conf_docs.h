/*
 * conf_docs - the documents that are made from the rows of conf_table.c: the sample file, and the settings part of the manual.
 *
 * For documentation tools (t/tools/gendocs.c); scripts/gen-docs and t/docs.t keep etc/enma.conf, doc/enma.conf.5 and doc/ja/enma.conf.5 in step.
 */
#ifndef ENMA_CONF_CONF_DOCS_H
#define ENMA_CONF_CONF_DOCS_H

#include "common/base/buf.h"

void conf_docs_sample(struct buf *b);

/* Another language for the manual.  say() gives the text that stands for the English one, never NULL.  key: the name of a setting (its help),
 * the prefix of a group ("milter.", its title), or a phrase of the manual itself ("@default"; its capital words stay). */
struct conf_speech {
	const char *(*say)(struct conf_speech *speech, const char *key, const char *english);
};
/* The settings part of enma.conf(5); speech NULL: in English. */
void conf_docs_mdoc(struct conf_speech *speech, struct buf *b);

#endif
