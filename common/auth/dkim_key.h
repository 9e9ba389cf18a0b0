/*
 * dkim_key - a key record (RFC 6376 section 3.6.1, RFC 8463) and what it permits.
 */
#ifndef ENMA_AUTH_DKIM_KEY_H
#define ENMA_AUTH_DKIM_KEY_H

#include "common/auth/dkim.h"

struct dkim_key_record {
	struct span g;                  /* absent: none */
	struct span p;                  /* as published; empty: revoked */
	struct span notes;              /* n= */
	enum crypto_key_kind kind;
	bool has_version;
	bool allows_sha1, allows_sha256;        /* h= */
	bool allows_email;              /* s= */
	bool is_testing, is_strict;     /* t=y, t=s */
};

/* DKIM_R_GOOD: *out is set (also for a revoked key, p is empty then); otherwise what is wrong. */
enum dkim_reason dkim_key_parse(struct span record, struct dkim_key_record *out, const char **why_out);
/* p= decoded to a key: base64, then spki.h or 32 raw bytes.  DKIM_R_GOOD: *out belongs to the caller. */
enum dkim_reason dkim_key_decode(struct arena *a, const struct dkim_key_record *r, struct crypto_key **out, const char **why_out);
/* May this key check this signature?  DKIM_R_GOOD or why not. */
enum dkim_reason dkim_key_permits(const struct dkim_key_record *r, const struct dkim_signature *s, const struct dkim_options *o);

#endif
