/*
 * domainkeys_int - between the files of DomainKeys: what a signature says, who sent the message, what is hashed.
 */
#ifndef ENMA_AUTH_DOMAINKEYS_INT_H
#define ENMA_AUTH_DOMAINKEYS_INT_H

#include "common/auth/domainkeys.h"

struct domainkeys_sig {
	struct span d, s;               /* as written */
	struct span domain;             /* d in lower case */
	struct span b;                  /* decoded; the arena's */
	enum canon canon;
	struct span *h;                 /* names in h=; NULL: no h=, everything below is signed */
	size_t h_count;
	struct dns_name key_name;
};

/* DOMAINKEYS_R_GOOD, or what is wrong; what could be read is set. */
enum domainkeys_reason domainkeys_sig_parse(struct arena *a, struct span value, struct domainkeys_sig *out, const char **why_out);
/* The field of the header at index `field` is covered by the signature at index `at`. */
bool domainkeys_sig_covers(const struct domainkeys_sig *sig, const struct header_block *headers, size_t at, size_t field);
/* Hands the canonical form of what the signature at index `at` covers to the sink.  RC_OK; RC_LIMIT: the arena's ceiling. */
NODISCARD enum rc domainkeys_sig_header(struct arena *a, const struct domainkeys_sig *sig, const struct header_block *headers, size_t at,
                                        canon_sink_fn *sink, void *arg);

#endif
