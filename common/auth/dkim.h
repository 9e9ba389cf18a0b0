/*
 * dkim - verification of DKIM signatures (RFC 6376, 8301, 8463, 8616) while the message streams through.
 *
 *	d = dkim_create(arena, &options, &headers, authors, author_count);     at the end of the header; NULL: the arena's ceiling
 *	rc = dkim_run(d, &questions, now);             names the keys that are needed (RC_WAIT), so that they are on their way during the body
 *	if (dkim_wants_body(d))
 *		dkim_body(d, piece) ...;               as it arrives, pieces of any size; bounded memory
 *	dkim_body_end(d);
 *	rc = dkim_run(d, &questions, now);             RC_OK: every signature has its result
 *
 * Every signature counts for itself: results, keys and hashes are never shared or inherited, only the work of canonicalizing and hashing equal
 * bodies is.  options.limit signatures are looked at: those whose d= is aligned with an author's domain first, then from the top; capped before
 * they are parsed.  The others are reported as DKIM_POLICY, DKIM_R_TOO_MANY.
 *
 * A pure engine: no clock, no log, no process.  One thread at a time.  Signatures that a sender chooses badly end as permerror or policy with a reason;
 * answers that are missing end as temperror.  A result is final only after dkim_body_end().
 */
#ifndef ENMA_AUTH_DKIM_H
#define ENMA_AUTH_DKIM_H

#include "common/base/arena.h"
#include "common/base/crypto.h"
#include "common/base/rc.h"
#include "common/dns/questions.h"
#include "common/mail/canon.h"
#include "common/mail/header.h"

enum {
	DKIM_LIMIT_MAX = 100,           /* upper end of dkim.signheader_limit */
	DKIM_FIELD_MAX = 64 * KIB,      /* bytes of a DKIM-Signature's value; longer: permerror (z= may be long) */
	DKIM_H_NAMES_MAX = 1000,        /* names in h=; more: permerror */
	DKIM_B_START_MIN = 8, DKIM_B_START_MAX = 16,    /* characters of b= that name a signature */
	DKIM_SIGNATURE_MAX = 1024,      /* bytes of b= decoded: CRYPTO_RSA_BITS_MAX / 8 */
	DKIM_KEY_RECORDS_MAX = 10,      /* TXT records at a selector that are tried */
	DKIM_KEY_RECORD_MAX = 16 * KIB, /* bytes of one */
};

enum dkim_result { DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR };
const char *dkim_result_name(enum dkim_result r);       /* RFC 8601 section 2.7.1 */

/* X(identifier, result, "short phrase"): why a signature has its result. */
#define DKIM_REASONS(X) \
	X(GOOD, DKIM_PASS, "good signature") \
	X(BODY_HASH, DKIM_FAIL, "body hash did not verify") \
	X(SIGNATURE, DKIM_FAIL, "signature did not verify") \
	X(KEY_REVOKED, DKIM_FAIL, "key was revoked") \
	X(TOO_MANY, DKIM_POLICY, "too many signatures") \
	X(SHORT_KEY, DKIM_POLICY, "key is too short") \
	X(SHA1, DKIM_POLICY, "rsa-sha1 is not accepted") \
	X(EXPIRED, DKIM_POLICY, "signature expired") \
	X(FUTURE, DKIM_POLICY, "signature from the future") \
	X(UNSIGNED_BODY, DKIM_POLICY, "a part of the body is not signed (l=)") \
	X(NOT_SIGNED, DKIM_POLICY, "a field that must be signed is not") \
	X(UNKNOWN_ALGORITHM, DKIM_NEUTRAL, "unknown algorithm") \
	X(UNKNOWN_QUERY, DKIM_NEUTRAL, "unknown query method") \
	X(DNS, DKIM_TEMPERROR, "key could not be looked up") \
	X(BOGUS, DKIM_TEMPERROR, "key failed DNSSEC validation") \
	X(MEMORY, DKIM_TEMPERROR, "message is too large to check") \
	X(INCOMPLETE, DKIM_TEMPERROR, "header is incomplete") \
	X(SYNTAX, DKIM_PERMERROR, "syntax error in signature") \
	X(VERSION, DKIM_PERMERROR, "unknown version") \
	X(MISSING_TAG, DKIM_PERMERROR, "missing tag") \
	X(DOMAIN, DKIM_PERMERROR, "bad d= or s=") \
	X(IDENTITY, DKIM_PERMERROR, "i= does not belong to d=") \
	X(FROM_NOT_SIGNED, DKIM_PERMERROR, "From is not signed") \
	X(TIMES, DKIM_PERMERROR, "x= is not later than t=") \
	X(BODY_LENGTH, DKIM_PERMERROR, "l= is longer than the body") \
	X(HASH_LENGTH, DKIM_PERMERROR, "bh= has the wrong length") \
	X(NO_KEY, DKIM_PERMERROR, "no key") \
	X(KEY_SYNTAX, DKIM_PERMERROR, "syntax error in key") \
	X(KEY_TYPE, DKIM_PERMERROR, "key is of another type") \
	X(KEY_HASH, DKIM_PERMERROR, "key does not allow this hash") \
	X(KEY_SERVICE, DKIM_PERMERROR, "key is not for email") \
	X(KEY_IDENTITY, DKIM_PERMERROR, "key does not allow this i= (t=s, g=)") \
	X(KEY_LENGTH, DKIM_PERMERROR, "key is too long")
enum dkim_reason {
#define DKIM_REASON_ENUM(id, result, text) DKIM_R_##id,
	DKIM_REASONS(DKIM_REASON_ENUM)
#undef DKIM_REASON_ENUM
	DKIM_REASON_COUNT
};
const char *dkim_reason_text(enum dkim_reason r);
enum dkim_result dkim_reason_result(enum dkim_reason r);

enum dkim_l_tag { DKIM_L_POLICY, DKIM_L_ACCEPT };

struct dkim_options {
	unsigned limit;                         /* signatures looked at, 1 .. DKIM_LIMIT_MAX */
	unsigned min_rsa_bits;                  /* 1024 */
	bool accept_sha1;
	bool accept_expired, accept_future;
	int64_t clock_skew_s;                   /* tolerance of x= and t= */
	enum dkim_l_tag l_tag;                  /* a signature whose l= leaves body unsigned: DKIM_R_UNSIGNED_BODY, or a pass with has_unsigned_body */
	bool rfc4871_compatible;                /* heed g= of keys, take keys without v= that have it */
	const struct span *must_be_signed;      /* field names beside From that h= must name if the message has them */
	size_t must_be_signed_count;
	struct dkim_keys *keys;                 /* decoded keys of this process (dkim_keys.h); NULL: none are kept */
};

struct dkim_signature {
	size_t field;                   /* index in the header block */
	enum dkim_result result;
	enum dkim_reason reason;
	struct span detail;             /* for people, printable: what exactly ("l=", "DNS timeout"); absent: nothing to add */
	struct span d, s, a;            /* as in the signature; absent when it could not be read or holds blanks */
	struct span i;                  /* decoded (dkim-quoted-printable); "@" d when it has none; absent when it does not belong to d */
	struct span b_start;            /* the first 8 characters of b= (RFC 6008; more if another signature begins alike, at most 16) */
	struct span domain;             /* d in lower case, A-labels; absent: unusable */
	struct span i_domain;           /* the same of i */
	enum crypto_hash_alg hash;
	enum crypto_key_kind kind;
	enum canon header_canon, body_canon;
	int64_t l, t, x;                /* -1: not given; values beyond int64_t are kept as INT64_MAX */
	unsigned key_bits;              /* 0: no key was decoded */
	bool is_parsed;
	bool is_testing;                /* key has t=y */
	bool is_key_secure;             /* key came with DNSSEC */
	bool is_author;                 /* d= is an author's domain, a parent, or a child of it */
	bool has_unsigned_body;         /* l= ends before the body does */
};

struct dkim;

/* Everything but now must live as long as d.  authors: domains of From, lower case, A-labels; for the order in which signatures are taken. */
NODISCARD struct dkim *dkim_create(struct arena *a, const struct dkim_options *o, const struct header_block *headers, const struct span *authors,
                                   size_t author_count);
/* There are signatures, and one of them needs the body to get its result. */
bool dkim_wants_body(const struct dkim *d);
void dkim_body(struct dkim *d, struct span piece);
void dkim_body_end(struct dkim *d);
/* The body will not come (the MTA was told to skip it although signatures wait for it never happens; a message over a limit): they become
 * DKIM_R_MEMORY. */
void dkim_body_lost(struct dkim *d);
/* RC_WAIT: keys are missing (questions were noted), or the body has not ended; RC_OK: all results are final. */
NODISCARD enum rc dkim_run(struct dkim *d, struct questions *q, int64_t now_s);
/* In the order of the header, from the top.  When the message has more than options.limit, one more is described, at the end: it stands for all that
 * were not looked at (DKIM_R_TOO_MANY; its field is the topmost of them).  *n_out: those described, at most options.limit + 1. */
const struct dkim_signature *dkim_signatures(const struct dkim *d, size_t *n_out);
/* All DKIM-Signature fields of the message. */
size_t dkim_signature_count(const struct dkim *d);

/* For enmacheck: what was hashed. */
struct dkim_show {
	void (*header)(void *arg, const struct dkim_signature *s, const char *p, size_t n);
	void (*body)(void *arg, enum canon c, const char *p, size_t n);
	void *arg;
};
/* Before the first dkim_run().  Bodies are shown as they come, each canonical form once; headers in dkim_run(), when a signature gets its result, whatever it is. */
void dkim_show(struct dkim *d, const struct dkim_show *show);
/* What the body hash of signature number `index` turned out to be and what bh= says; false: not known. */
bool dkim_body_digest(const struct dkim *d, size_t index, struct crypto_digest *out, struct span *claimed_out);

#endif
