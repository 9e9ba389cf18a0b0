/*
 * dkim_int - what the files of the DKIM verifier share.
 *
 *	dkim_text.c     names of results and reasons
 *	dkim_sig.c      the text of a signature; dkim_identity.c who signed
 *	dkim_pick.c     which signatures are looked at
 *	dkim_names.c    the fields that signatures name, found without searching the header for each of them
 *	dkim_hash.c     the hash of the header
 *	dkim_body.c     the hashes of the body
 *	dkim_key.c      a key record; dkim_keys.c the decoded keys of this process; dkim_find.c from answer to keys
 *	dkim_steps.c    what a signature goes through
 *	dkim.c          life and order
 */
#ifndef ENMA_AUTH_DKIM_INT_H
#define ENMA_AUTH_DKIM_INT_H

#include "common/auth/dkim.h"
#include "common/auth/dkim_key.h"
#include "common/auth/dkim_sig.h"

enum { DKIM_NO_FIELD = UINT32_MAX };

/* ---- dkim_text.c: how a signature ends ---- */
/* Its result; detail may be NULL. */
void dkim_end(struct dkim_signature *s, enum dkim_reason reason, const char *detail);

/* ---- dkim_sig.c, dkim_identity.c: steps of reading a signature; RC_OK goes on ---- */
struct dkim_parse {
	struct arena *arena;
	struct span value;
	enum dkim_sig_flavour flavour;
	struct dkim_sig *sig;
	struct dkim_signature *out;
};
static inline bool dkim_is_fws(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
enum rc dkim_parse_refuse(struct dkim_parse *p, enum dkim_reason reason, const char *detail);
/* d= and s=: the domain and the name of the key. */
enum rc dkim_parse_domain(struct dkim_parse *p);
/* i=, behind d=. */
enum rc dkim_parse_identity(struct dkim_parse *p);

/* ---- dkim_pick.c ---- */
struct dkim_pick {
	size_t *fields;                 /* indexes in the header block, ascending; those to be looked at */
	size_t n;
	size_t total;
	size_t first_left;              /* the topmost one that is not picked; when total > n */
};
/* RC_LIMIT: the arena's ceiling. */
NODISCARD enum rc dkim_pick(struct arena *a, const struct header_block *h, const struct span *authors, size_t author_count, size_t limit,
                            struct dkim_pick *out);
/* An author's domain, a parent or a child of one. */
bool dkim_is_author(struct span domain, const struct span *authors, size_t author_count);

/* ---- dkim_names.c ---- */
/* For each name that some h= holds, the fields of that name from the bottom: taking them one after the other costs the same for the first and the
 * last, however long the header is. */
struct dkim_name;
struct dkim_names {
	struct dkim_name *slots;        /* open addressing, a power of two */
	size_t slot_count, n;
	uint32_t *up;                   /* for each field the next one of its name above it */
	uint32_t turn;                  /* names keep where they are in this turn */
};
/* Room for name_count names, not all distinct.  Then all h= are added, then the header. */
NODISCARD enum rc dkim_names_init(struct dkim_names *x, struct arena *a, size_t name_count);
void dkim_names_add(struct dkim_names *x, struct span h);
NODISCARD enum rc dkim_names_index(struct dkim_names *x, struct arena *a, const struct header_block *h);
/* Starts at the bottom again. */
void dkim_names_rewind(struct dkim_names *x);
/* The next field of that name from the bottom since the last rewind; DKIM_NO_FIELD: there are no more. */
uint32_t dkim_names_take(struct dkim_names *x, struct span name);

/* ---- dkim_hash.c ---- */
struct dkim_header_parts {
	const struct header_block *block;
	struct dkim_names *names;
	size_t own;                     /* the signature's own field: last, and never by its name */
	struct span h;
	size_t b_from, b_n;             /* the value of b= in it */
	enum canon canon;
};
/* What the signature is over (RFC 6376 section 3.7), piece by piece. */
void dkim_header_feed(const struct dkim_header_parts *p, canon_sink_fn *sink, void *arg);

/* ---- dkim_body.c ---- */
/* A digest that some signature needs: of the first l bytes, or of all. */
struct dkim_body_cut {
	uint64_t l;                     /* UINT64_MAX: all */
	struct crypto_digest digest;
	bool is_done;
};
/* One hash of one canonical form; all its signatures share it, whatever their l= is. */
struct dkim_body_stream {
	struct dkim_body *body;
	struct crypto_hash *hash;       /* NULL: not needed */
	enum crypto_hash_alg alg;
	struct dkim_body_cut *cuts;     /* ascending by l once the body has begun */
	size_t n, next;
	uint64_t fed;
};
struct dkim_body_form {
	struct canon_body canon;
	struct dkim_body_stream stream[2];      /* by hash algorithm */
	bool is_needed;
};
struct dkim_body {
	struct dkim_body_form form[2];  /* simple, relaxed */
	const struct dkim_show *show;
	bool has_begun, has_ended;
};
NODISCARD enum rc dkim_body_init(struct dkim_body *b, struct arena *a, size_t signature_count);
/* A signature needs this digest; l < 0: of all. */
void dkim_body_want(struct dkim_body *b, enum canon c, enum crypto_hash_alg alg, int64_t l);
void dkim_body_feed(struct dkim_body *b, struct span piece);
void dkim_body_finish(struct dkim_body *b);
/* After the end; bytes_out: of the whole canonical body.  NULL: l is longer than it. */
const struct crypto_digest *dkim_body_get(const struct dkim_body *b, enum canon c, enum crypto_hash_alg alg, int64_t l, uint64_t *bytes_out);

/* ---- dkim_find.c ---- */
struct dkim_found {
	struct {
		struct crypto_key *key;         /* references of the arena's */
		bool is_testing;
	} v[DKIM_KEY_RECORDS_MAX];
	size_t n;
};
/* DKIM_R_GOOD: found->n > 0 keys that may check the signature, the arena's.  Otherwise why there is none.  Sets what s tells about keys. */
enum dkim_reason dkim_find_keys(struct arena *a, const struct dkim_options *o, const struct dns_answer *answer, struct dkim_signature *s,
                                struct dkim_found *found, const char **why_out);

/* ---- dkim.c, dkim_steps.c ---- */
enum dkim_step {
	DKIM_STEP_TIMES,                /* the text is good */
	DKIM_STEP_KEY,
	DKIM_STEP_BODY,                 /* there are keys */
	DKIM_STEP_END,
};

struct dkim_attempt {
	enum dkim_step step;
	struct span b, bh, h, b_text;
	size_t h_count, b_from, b_n;
	struct dns_name key_name;
	struct dkim_found *found;
	bool was_shown;
};

struct dkim {
	struct arena *arena;
	const struct dkim_options *options;
	const struct header_block *headers;
	const struct dkim_show *show;
	struct dkim_signature *v;       /* of the picked ones, and one more when some are left */
	struct dkim_attempt *attempts;  /* of the picked ones */
	size_t n, described, total;
	struct dkim_names names;
	struct dkim_body body;
	struct crypto_hash *hash[2];    /* for headers, by algorithm */
};

/* Its result, for good; detail may be NULL. */
void dkim_finish(struct dkim *d, size_t i, enum dkim_reason reason, const char *detail);
/* Its key is looked up, to say what else is wrong with it; body and signature are not looked at (RFC 8301 section 3.1). */
bool dkim_is_refused_sha1(const struct dkim *d, size_t i);
/* As far as it goes with what is known. */
void dkim_advance(struct dkim *d, size_t i, struct questions *q, int64_t now_s);
/* What it is over. */
void dkim_feed_header(struct dkim *d, size_t i, canon_sink_fn *sink, void *arg);

#endif
