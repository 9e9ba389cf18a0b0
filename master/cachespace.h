/*
 * cachespace - whether the shared cache, as large as it may become, fits where it is to be.
 *
 * The file is sparse and grows to cache.size, so a disk that is too small would show only days later, as writes that fail.  This is looked at when a
 * configuration is read: a size that the file system can never hold is a mistake; one that does not fit beside what is there
 * now is worth a warning.
 */
#ifndef ENMA_MASTER_CACHESPACE_H
#define ENMA_MASTER_CACHESPACE_H

#include "common/base/rc.h"
#include "common/conf/conf.h"
#include "master/outcome.h"

struct cachespace {
	uint64_t total;         /* bytes of the file system; 0: it does not say */
	uint64_t free;          /* of them, for users other than root */
	uint64_t own;           /* what files of the cache take there already */
};

enum cachespace_verdict { CACHESPACE_FITS, CACHESPACE_TIGHT, CACHESPACE_NEVER };

enum cachespace_verdict cachespace_judge(uint64_t size, const struct cachespace *s);

/* Looks at the folder that holds path, or at the nearest one above it that exists.  RC_NONE: that cannot be found out. */
NODISCARD enum rc cachespace_measure(const char *path, struct cachespace *out);

/* cache.size of c against the disk: an error or a warning in *outcome, each with both sizes and the remedy. */
void cachespace_check(const struct conf *c, struct outcome *outcome);

#endif
