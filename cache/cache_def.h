/*
 * cache_def - sizes, kinds and rules that all files of the cache share.
 */
#ifndef ENMA_CACHE_CACHE_DEF_H
#define ENMA_CACHE_CACHE_DEF_H

#include "common/base/defs.h"

enum cache_kind { CACHE_DNS = 'D', CACHE_RESULT = 'R' };

enum {
	CACHE_FORMAT = 1,               /* of keys and values; part of the file's name */
	CACHE_KEY_MAX = 511,            /* LMDB's limit (mdb_env_get_maxkeysize); longer keys are not cached */
	CACHE_VALUE_MAX = 60 * KIB,     /* larger answers are not cached: an offer is one packet */
	CACHE_FAILURE_TTL_MAX_S = 30,   /* SERVFAIL, timeouts and other failures, whatever the settings say */
	CACHE_STALE_TTL_S = 30,         /* what a stale answer claims as its TTL (RFC 8767 section 4) */
	CACHE_TTL_MAX_S = 7 * 86400,    /* no setting may exceed it (RFC 8767 section 4) */
};

#endif
