/*
 * snapshot - one generation's configuration as bytes: the settings and every file that they name.
 *
 * The supervisor makes it once per generation, checks it, and hands it to each new worker in a sealed memfd; so all workers
 * of a generation run the same configuration, whatever happens to the files meanwhile.
 *
 * Format: "ENMASNAP1\n", then sections "conf <bytes>\n<bytes>" and "file <bytes> <path>\n<bytes>".  The conf section holds
 * "<origin file>\t<line>\t<key>: <value>" lines of what was set (defaults are not written).
 */
#ifndef ENMA_CONF_SNAPSHOT_H
#define ENMA_CONF_SNAPSHOT_H

#include "common/conf/conf.h"

struct snapshot;

enum { SNAPSHOT_RANGES_MAX = 1000000 };         /* ranges in all files of common.exclusion_addresses */

/* Reads all files that c names (resolver.zone, resolver.trust_anchor, files of common.exclusion_addresses).  Unreadable or too large
 * ones, and lines of the latter that are no ranges, become errors in *errors.  RC_OK, RC_TEMP, RC_SYNTAX; RC_LIMIT when out is full. */
NODISCARD enum rc snapshot_make(const struct conf *c, struct buf *out, struct conf_errors *errors);
/* Parses snapshot bytes (kept alive by the caller, e.g. an mmap).  RC_SYNTAX on any inconsistency. */
NODISCARD enum rc snapshot_read(struct span bytes, struct snapshot **out);
void snapshot_destroy(struct snapshot **s);
const struct conf *snapshot_conf(const struct snapshot *s);
/* Contents of a file named by a setting; absent span if it is not in the snapshot. */
struct span snapshot_file(const struct snapshot *s, const char *path);

#endif
