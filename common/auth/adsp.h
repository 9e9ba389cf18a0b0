/*
 * adsp - Author Domain Signing Practices (RFC 5617): what the domains in From say about mail without their signature.
 *
 * Whether a domain has signed is given: its DKIM signature passed (d= equal to the author's domain, section 2.7), or another domain's signature that it
 * authorized did (atps.h).  Such a domain is asked nothing.  For the others the practices record and the existence of the domain are asked together.
 *
 * Several authors are looked up each for itself (section 3); the result is the strictest one: discard, nxdomain, fail, temperror, permerror, unknown,
 * none, pass, so that a message passes only when all its authors' domains signed it.
 *
 * A pure engine, as spf.h: run it again from its start when RC_WAIT's questions are answered.
 */
#ifndef ENMA_AUTH_ADSP_H
#define ENMA_AUTH_ADSP_H

#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/questions.h"

enum {
	ADSP_AUTHORS_MAX = 10,          /* addresses in From; more: permerror, nothing is asked */
	ADSP_RECORD_MAX = 16 * KIB,     /* bytes of a record; longer: as if it were not there */
};

enum adsp_result { ADSP_NONE, ADSP_PASS, ADSP_UNKNOWN, ADSP_FAIL, ADSP_DISCARD, ADSP_NXDOMAIN, ADSP_TEMPERROR, ADSP_PERMERROR };
const char *adsp_result_name(enum adsp_result r);       /* RFC 5617 section 5.4 */

/* X(identifier, result, "short phrase") */
#define ADSP_REASONS(X) \
	X(SIGNED, ADSP_PASS, "author domain signature") \
	X(NO_RECORD, ADSP_NONE, "no record") \
	X(MANY_RECORDS, ADSP_NONE, "several records") \
	X(BAD_RECORD, ADSP_NONE, "syntax error in record") \
	X(UNKNOWN, ADSP_UNKNOWN, "domain may sign") \
	X(ALL, ADSP_FAIL, "domain signs all mail") \
	X(DISCARDABLE, ADSP_DISCARD, "domain signs all mail and wants other mail discarded") \
	X(NO_DOMAIN, ADSP_NXDOMAIN, "no such domain") \
	X(NO_MAIL_DOMAIN, ADSP_NXDOMAIN, "domain has no MX, A or AAAA") \
	X(DNS, ADSP_TEMPERROR, "DNS error") \
	X(MEMORY, ADSP_TEMPERROR, "no memory left") \
	X(NO_AUTHOR, ADSP_PERMERROR, "no author") \
	X(MANY_AUTHORS, ADSP_PERMERROR, "too many authors") \
	X(BAD_DOMAIN, ADSP_PERMERROR, "author's domain is none of DNS")
enum adsp_reason {
#define ADSP_REASON_ENUM(id, result, text) ADSP_R_##id,
	ADSP_REASONS(ADSP_REASON_ENUM)
#undef ADSP_REASON_ENUM
	ADSP_REASON_COUNT
};
const char *adsp_reason_text(enum adsp_reason r);

struct adsp_author {
	struct span domain;             /* lower case, A-labels; absent: not a name of DNS */
	bool is_signed;
};

struct adsp_outcome {
	enum adsp_result result;
	enum adsp_reason reason;
	size_t author;                  /* index of the one that decided; n: none did */
	enum dns_status dns_status;     /* of ADSP_R_DNS */
};

/* The practices in a record (section 4.2.1): ADSP_R_UNKNOWN (also for values of the future), ADSP_R_ALL, ADSP_R_DISCARDABLE, ADSP_R_BAD_RECORD. */
enum adsp_reason adsp_record_parse(struct span record);

/* RC_OK: *out is final.  RC_WAIT: questions were noted, run again.  Never anything else. */
NODISCARD enum rc adsp_check(struct arena *a, struct questions *q, const struct adsp_author *authors, size_t n, struct adsp_outcome *out);

#endif
