/*
 * dmarc - whether an author's domain stands behind a message, and what its owner asks for when not (RFC 9989; RFC 7489).
 *
 * Two methods find an organizational domain, and the method is also the dialect of the record:
 *	DMARC_TREEWALK  RFC 9989: the names above a domain are asked, at most 8 (section 4.10).  Tags v p sp np adkim aspf fo rua ruf psd t.
 *	DMARC_PSL       RFC 7489: a public suffix list.  Tags v p sp adkim aspf fo rua ruf pct ri.
 * Tags of the other dialect are unknown tags: they are ignored.
 *
 * What is given are plain results: the author's domains, SPF's result for MAIL FROM, the results of DKIM signatures.  Nothing here knows the engines
 * that made them.
 *
 * Questions: all names of a walk, the existence of the author's domain (np=), and the walks of the identifiers that may be aligned are noted together in the
 * first run, as far as the message's budget is less than half used.  An identifier is walked only if it is at or below the
 * author's organizational domain: no other can share it.
 *
 * Choices where the RFCs leave room:
 *	- Tag names are compared without case, as the grammar has it.  The same tag twice makes the record invalid (RFC 6376 section 3.2).
 *	- p= may stand anywhere behind v=, in both dialects.
 *	- RFC 9989: several records at one name, and an invalid one, count as none there, and the walk goes on.  RFC 7489: discovery ends.  If nothing else is
 *	  found: several records are "none", an invalid one is "permerror".
 *	- The author's domain does not exist when a question for its MX ends in NXDOMAIN, also at the end of an alias (section 3.2.13 goes by the response code).
 *	- A name that "_dmarc." makes too long for DNS has no record.
 *	- Every failure of DNS is "temperror", also a permanent one: it is neither pass nor fail (RFC 9989 section 5.3.6).
 *	- SPF or DKIM with a temporary error for a domain that is aligned, or may be: "temperror", never "fail".
 *	- A pass needs no answers but those it rests on.
 *
 * Several author domains (RFC 9989 section 11.5): each is checked, and the strictest outcome counts: fail with reject, fail with quarantine, temperror,
 * permerror, fail with none, none, pass.  So a message passes only when all its authors' domains pass.
 *
 * A pure engine, as spf.h: run it again from its start when RC_WAIT's questions are answered.  Nothing is allocated but by questions.
 */
#ifndef ENMA_AUTH_DMARC_H
#define ENMA_AUTH_DMARC_H

#include "common/base/psl.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/dns/questions.h"

enum {
	DMARC_RECORD_MAX = 16 * KIB,    /* bytes of a record; longer: invalid */
	DMARC_TAGS_MAX = 64,            /* tags of a record, unknown ones included; more: invalid */
	DMARC_URIS_MAX = 20,            /* report addresses of one tag that are looked at */
	DMARC_WALK_MAX = 8,             /* names asked for one domain (RFC 9989 section 4.10) */
	DMARC_AUTHORS_MAX = 10,         /* distinct author domains; more: permerror, nothing is asked */
	DMARC_SIGNATURES_MAX = 100,     /* signatures that are looked at; the others do not count */
	DMARC_WALKS_MAX = 10,           /* distinct domains of signatures that are walked per author domain; the others are not aligned */
};

enum dmarc_method { DMARC_TREEWALK, DMARC_PSL };
const char *dmarc_method_name(enum dmarc_method m);     /* "treewalk", "psl": also RFC 9990's discovery_method */

/* ---- the record ---- */

enum dmarc_policy { DMARC_P_NONE, DMARC_P_QUARANTINE, DMARC_P_REJECT };         /* in order of strictness */
const char *dmarc_policy_name(enum dmarc_policy p);

enum dmarc_psd { DMARC_PSD_U, DMARC_PSD_Y, DMARC_PSD_N };

enum dmarc_fo { DMARC_FO_0 = 1, DMARC_FO_1 = 2, DMARC_FO_D = 4, DMARC_FO_S = 8 };       /* bits */

enum { DMARC_RI_DEFAULT = 86400, DMARC_PCT_DEFAULT = 100 };

struct dmarc_record {
	struct span text;               /* the record: all spans here point into it */
	enum dmarc_policy p, sp, np;    /* final: what a missing sp= or np= inherits is filled in */
	bool has_p, has_sp, has_np;     /* the tag was there with a value that is one */
	bool has_policy;                /* false: no valid p=, or an invalid sp= or np=, and no report address: DMARC is not applied (section 4.10.1) */
	bool is_monitored;              /* the same, but rua= holds an address: p, sp and np are none */
	bool is_adkim_strict, is_aspf_strict;
	bool is_testing;                /* t=y */
	enum dmarc_psd psd;
	unsigned fo;                    /* enum dmarc_fo; without ruf= the default */
	uint8_t pct;                    /* 0..100 */
	uint32_t ri_s;
	struct span rua, ruf;           /* values as they stand, for dmarc_uri_next(); absent when there is no such tag or no valid address in it */
};

/* RC_OK.  RC_NONE: no DMARC record (it does not begin with v=DMARC1).  RC_SYNTAX: one that is invalid as a whole (the same tag twice, DMARC_RECORD_MAX,
 * DMARC_TAGS_MAX).  Anything else wrong in it costs that tag only (section 4.8). */
NODISCARD enum rc dmarc_record_parse(struct span text, enum dmarc_method dialect, struct dmarc_record *out);

struct dmarc_uri {
	struct span uri;                /* without the size */
	uint64_t size_max;              /* bytes, of "!10m"; 0: none was given.  RFC 9989 section 4.8: to be ignored */
};
/* Takes the next valid address off the value of rua= or ruf=; what is none is passed over.  False: no more. */
bool dmarc_uri_next(struct span *rest, struct dmarc_uri *out);

/* ---- the check ---- */

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };
const char *dmarc_result_name(enum dmarc_result r);     /* RFC 9989 section 9.2 */

/* X(identifier, result, "short phrase") */
#define DMARC_REASONS(X) \
	X(ALIGNED, DMARC_PASS, "author domain is authenticated") \
	X(NOT_ALIGNED, DMARC_FAIL, "author domain is not authenticated") \
	X(NO_RECORD, DMARC_NONE, "no record") \
	X(MANY_RECORDS, DMARC_NONE, "several records") \
	X(NO_POLICY, DMARC_NONE, "record without a valid policy") \
	X(DNS, DMARC_TEMPERROR, "DNS error") \
	X(SPF, DMARC_TEMPERROR, "temporary error of SPF") \
	X(DKIM, DMARC_TEMPERROR, "temporary error of DKIM") \
	X(NO_LIST, DMARC_TEMPERROR, "no public suffix list") \
	X(BAD_RECORD, DMARC_PERMERROR, "syntax error in record") \
	X(NO_AUTHOR, DMARC_PERMERROR, "no author") \
	X(SEVERAL_AUTHORS, DMARC_PERMERROR, "several author domains") \
	X(MANY_AUTHORS, DMARC_PERMERROR, "too many author domains") \
	X(BAD_DOMAIN, DMARC_PERMERROR, "author's domain is none of DNS")
enum dmarc_reason {
#define DMARC_REASON_ENUM(id, result, text) DMARC_R_##id,
	DMARC_REASONS(DMARC_REASON_ENUM)
#undef DMARC_REASON_ENUM
	DMARC_REASON_COUNT
};
const char *dmarc_reason_text(enum dmarc_reason r);

/* What another mechanism found; "other": none, fail, softfail, neutral, policy, permerror. */
enum dmarc_auth { DMARC_AUTH_OTHER, DMARC_AUTH_PASS, DMARC_AUTH_TEMPERROR };

/* Which identity SPF checked.  A null sender's MAIL FROM identity is postmaster at the name in HELO (RFC 7208 section 2.4), and counts; the identity HELO
 * itself never does (RFC 9989 section 4.4.2). */
enum dmarc_spf_identity { DMARC_SPF_MAILFROM, DMARC_SPF_NULL_SENDER, DMARC_SPF_HELO };

struct dmarc_spf {
	enum dmarc_auth result;
	enum dmarc_spf_identity identity;
	struct span domain;             /* lower case, A-labels; absent: nothing that could be aligned */
};

struct dmarc_dkim {
	enum dmarc_auth result;
	struct span domain;             /* d= */
	bool is_testing;                /* the key has t=y */
	bool has_unsigned_body;         /* l= left a part of the body out */
};

struct dmarc_query {
	const struct span *authors;     /* domains in From: lower case, A-labels; absent: not a name of DNS.  Equal ones count once. */
	size_t author_count;
	struct dmarc_spf spf;
	const struct dmarc_dkim *dkim;
	size_t dkim_count;
	/* options */
	enum dmarc_method method;
	const struct psl_list *psl;     /* for DMARC_PSL */
	bool is_one_author_needed;      /* several author domains: permerror */
	bool ignores_testing_keys, ignores_unsigned_body;       /* such signatures do not count */
	unsigned draw;                  /* 0..99, by chance: pct= applies the policy when it is less (RFC 7489 section 6.6.4) */
};

enum dmarc_alignment { DMARC_NOT_ALIGNED, DMARC_ALIGNED_RELAXED, DMARC_ALIGNED_STRICT, DMARC_ALIGNMENT_UNKNOWN };      /* strict: the same name */

enum dmarc_place { DMARC_AT_AUTHOR, DMARC_AT_ORG, DMARC_AT_PSD };       /* where the record is */
enum dmarc_tag { DMARC_TAG_P, DMARC_TAG_SP, DMARC_TAG_NP };             /* whose policy applies; inherited: where it came from */
const char *dmarc_tag_name(enum dmarc_tag t);

struct dmarc_outcome {
	enum dmarc_result result;
	enum dmarc_reason reason;
	size_t author;                  /* index of the first with the domain that decided; author_count: none did */
	enum dns_status dns_status;     /* of DMARC_R_DNS */

	/* When a record was found (has_record), whatever the result: */
	bool has_record;
	struct dmarc_record record;     /* points into the answer: valid as long as the questions' arena */
	struct span record_domain;      /* where it is, without "_dmarc."; a part of the author's domain */
	enum dmarc_place place;
	enum dmarc_tag tag;
	bool is_nonexistent;            /* the author's domain is; looked at only if that makes a difference */
	enum dmarc_policy policy;       /* as published */
	enum dmarc_policy applied;      /* after t= or pct=: what policy.dmarc of Authentication-Results names */
	enum dmarc_policy disposition;  /* what the owner asks for this message: applied if the result is fail, else none */
	struct span org_domain;         /* of the author; absent: a failure of DNS left it open */
	enum dmarc_alignment spf;       /* of an SPF pass */
	enum dmarc_alignment dkim;      /* of the best signature that passed */
	size_t dkim_index;              /* which; dkim_count: none is aligned */
};

/* RC_OK: *out is final.  RC_WAIT: questions were noted, run again.  Never anything else. */
NODISCARD enum rc dmarc_check(struct questions *q, const struct dmarc_query *query, struct dmarc_outcome *out);

/* The organizational domain of a name by one method, for other uses (report addresses, local rules).  RC_OK: *out is set, a part of domain.  RC_WAIT.  RC_TEMP: a
 * failure of DNS (*status_out), or no list.  RC_SYNTAX: no name of DNS. */
NODISCARD enum rc dmarc_org_domain(struct questions *q, enum dmarc_method m, const struct psl_list *psl, struct span domain, struct span *out,
                                   enum dns_status *status_out);

#endif
