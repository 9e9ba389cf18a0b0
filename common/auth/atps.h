/*
 * atps - Authorized Third-Party Signatures (RFC 6541): may this signer sign for that author?
 *
 * A signature that passed names in atps= the domain on whose behalf it was made, and in atpsh= how its own name is written in that domain's DNS.  If it is an
 * author's domain, HASH._atps.DOMAIN is asked; a valid record there makes the signature as good as the author's own (for adsp.h).
 *
 * A pure engine, as spf.h.
 */
#ifndef ENMA_AUTH_ATPS_H
#define ENMA_AUTH_ATPS_H

#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/questions.h"

enum {
	ATPS_SIGNATURES_MAX = 10,       /* signatures with atps= that are looked at; the others do not count */
	ATPS_RECORD_MAX = 16 * KIB,     /* bytes of a record; longer: not valid */
};

enum atps_result { ATPS_NONE, ATPS_PASS, ATPS_FAIL, ATPS_TEMPERROR, ATPS_PERMERROR };
const char *atps_result_name(enum atps_result r);       /* RFC 6541 section 8.3 */

/* X(identifier, result, "short phrase") */
#define ATPS_REASONS(X) \
	X(NO_SIGNATURE, ATPS_NONE, "no signature with atps=") \
	X(AUTHORIZED, ATPS_PASS, "signer is authorized") \
	X(OTHER_DOMAIN, ATPS_FAIL, "atps= is no author's domain") \
	X(HASH, ATPS_FAIL, "no atpsh= or an unknown one") \
	X(NOT_AUTHORIZED, ATPS_FAIL, "signer is not authorized") \
	X(BAD_RECORD, ATPS_FAIL, "no valid record") \
	X(DNS, ATPS_TEMPERROR, "DNS error") \
	X(MEMORY, ATPS_TEMPERROR, "no memory left") \
	X(NAME, ATPS_PERMERROR, "name is too long for DNS")
enum atps_reason {
#define ATPS_REASON_ENUM(id, result, text) ATPS_R_##id,
	ATPS_REASONS(ATPS_REASON_ENUM)
#undef ATPS_REASON_ENUM
	ATPS_REASON_COUNT
};
const char *atps_reason_text(enum atps_reason r);

/* A signature that passed. */
struct atps_signature {
	struct span domain;             /* d=, lower case, A-labels */
	struct span atps, atpsh;        /* values of its tags; absent: none */
};

struct atps_author {
	struct span domain;             /* lower case, A-labels; absent: not a name of DNS */
	bool is_authorized;             /* result: a signer is authorized for it; set at RC_OK */
};

struct atps_outcome {
	enum atps_result result;        /* pass, else temperror, else permerror, else fail, else none */
	enum atps_reason reason;
	size_t signature;               /* index of the one that decided; n: none did */
	enum dns_status dns_status;     /* of ATPS_R_DNS */
};

/* The name to ask (section 4.3).  ATPS_R_AUTHORIZED: *out is set; ATPS_R_HASH, ATPS_R_NAME or ATPS_R_MEMORY. */
enum atps_reason atps_query_name(struct arena *a, struct span signer, struct span atps, struct span atpsh, struct dns_name *out);
/* True: v=ATPS1, and no d= or the signer's (section 4.4). */
bool atps_record_is_valid(struct span record, struct span signer);

/* RC_OK: *out and authors[].is_authorized are final.  RC_WAIT: questions were noted, run again.  Never anything else. */
NODISCARD enum rc atps_check(struct arena *a, struct questions *q, const struct atps_signature *sigs, size_t n, struct atps_author *authors,
                             size_t author_count, struct atps_outcome *out);

#endif
