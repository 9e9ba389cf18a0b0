/*
 * domainkeys - verification of DomainKeys signatures (RFC 4870) while the message streams through.
 *
 *	k = domainkeys_create(arena, &options, &headers);      at the end of the header; NULL: the arena's ceiling
 *	rc = domainkeys_run(k, &questions);                    names the key that is needed (RC_WAIT), so that it is on its way during the body
 *	if (domainkeys_wants_body(k))
 *		domainkeys_body(k, piece) ...;                 as it arrives, pieces of any size; constant memory
 *	domainkeys_body_end(k);
 *	rc = domainkeys_run(k, &questions);                    RC_WAIT: carry the questions and run again; RC_OK: the outcome is final
 *
 * One result per message.  The signature that counts is the topmost usable one (section 3.7.3): it parses, it is by the sender's domain or a parent of
 * it, it covers the field that names the sender; all others are ignored, and what it says is not repaired by another.  When none is usable the result is
 * the topmost one's.  A message without a good signature has its sender's domain asked for its policy (section 3.6), which never changes the result:
 * RFC 8601 has no word for it.
 *
 * The sender is the address in Sender, else the first one in From (section 3.1).  One thing is not as section 3.7.3 says: a Sender that the signature
 * does not cover (with h=, lists and forwarders add such) does not make it useless, the author in From counts then, and that is what is reported.
 * Several From or Sender fields have no sender.
 *
 * DomainKeys knows rsa-sha1 alone, so whoever turns it on accepts that.  The key's g= without v=DKIM1 is compared exactly (section 3.2.3), with it
 * as RFC 4871 has it, one '*' standing for any text; an empty one allows everybody.
 *
 * A pure engine: no clock, no log, no process.  One thread at a time.
 */
#ifndef ENMA_AUTH_DOMAINKEYS_H
#define ENMA_AUTH_DOMAINKEYS_H

#include "common/auth/dkim_keys.h"
#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/dns/questions.h"
#include "common/mail/canon.h"
#include "common/mail/header.h"

enum {
	DOMAINKEYS_SIGNATURES_MAX = 10, /* fields looked at, from the top; a usable one below them is not found */
	DOMAINKEYS_FIELD_MAX = 16 * KIB, /* bytes of a DomainKey-Signature's value; longer: permerror */
	DOMAINKEYS_H_NAMES_MAX = 250,   /* names in h=; more: permerror */
	DOMAINKEYS_POLICIES_MAX = 10,   /* TXT records at _domainkey.DOMAIN that are looked at */
};

enum domainkeys_result {
	DOMAINKEYS_NONE, DOMAINKEYS_PASS, DOMAINKEYS_FAIL, DOMAINKEYS_POLICY, DOMAINKEYS_NEUTRAL, DOMAINKEYS_TEMPERROR, DOMAINKEYS_PERMERROR,
};
const char *domainkeys_result_name(enum domainkeys_result r);   /* RFC 8601 section 2.7.1: as dkim's */

/* X(identifier, result, "short phrase") */
#define DOMAINKEYS_REASONS(X) \
	X(NO_SIGNATURE, DOMAINKEYS_NONE, "no signature") \
	X(GOOD, DOMAINKEYS_PASS, "good signature") \
	X(SIGNATURE, DOMAINKEYS_FAIL, "signature did not verify") \
	X(KEY_REVOKED, DOMAINKEYS_FAIL, "key was revoked") \
	X(SHORT_KEY, DOMAINKEYS_POLICY, "key is too short") \
	X(OTHER_DOMAIN, DOMAINKEYS_NEUTRAL, "not the sender's domain") \
	X(UNKNOWN_ALGORITHM, DOMAINKEYS_NEUTRAL, "unknown algorithm") \
	X(UNKNOWN_CANON, DOMAINKEYS_NEUTRAL, "unknown canonicalization") \
	X(UNKNOWN_QUERY, DOMAINKEYS_NEUTRAL, "unknown query method") \
	X(DNS, DOMAINKEYS_TEMPERROR, "key could not be looked up") \
	X(BOGUS, DOMAINKEYS_TEMPERROR, "key failed DNSSEC validation") \
	X(MEMORY, DOMAINKEYS_TEMPERROR, "message is too large to check") \
	X(INCOMPLETE, DOMAINKEYS_TEMPERROR, "header is incomplete") \
	X(SYNTAX, DOMAINKEYS_PERMERROR, "syntax error in signature") \
	X(MISSING_TAG, DOMAINKEYS_PERMERROR, "missing tag") \
	X(DOMAIN, DOMAINKEYS_PERMERROR, "bad d= or s=") \
	X(SENDER, DOMAINKEYS_PERMERROR, "no usable sender address") \
	X(SENDER_NOT_SIGNED, DOMAINKEYS_PERMERROR, "sender is not signed") \
	X(NO_KEY, DOMAINKEYS_PERMERROR, "no key") \
	X(KEY_SYNTAX, DOMAINKEYS_PERMERROR, "syntax error in key") \
	X(KEY_TYPE, DOMAINKEYS_PERMERROR, "key is of another type") \
	X(KEY_USE, DOMAINKEYS_PERMERROR, "key is not for this use") \
	X(KEY_SENDER, DOMAINKEYS_PERMERROR, "key does not allow this sender (g=)") \
	X(KEY_LENGTH, DOMAINKEYS_PERMERROR, "key is too long")
enum domainkeys_reason {
#define DOMAINKEYS_REASON_ENUM(id, result, text) DOMAINKEYS_R_##id,
	DOMAINKEYS_REASONS(DOMAINKEYS_REASON_ENUM)
#undef DOMAINKEYS_REASON_ENUM
	DOMAINKEYS_REASON_COUNT
};
const char *domainkeys_reason_text(enum domainkeys_reason r);
enum domainkeys_result domainkeys_reason_result(enum domainkeys_reason r);

/* What _domainkey.DOMAIN says (section 3.6). */
enum domainkeys_policy {
	DOMAINKEYS_POLICY_NOT_ASKED,    /* good signature, or nobody to ask */
	DOMAINKEYS_POLICY_UNPUBLISHED,  /* no record, or none that can be read: as o=~ */
	DOMAINKEYS_POLICY_SOME,         /* o=~: may sign some mail */
	DOMAINKEYS_POLICY_ALL,          /* o=-: signs all mail */
	DOMAINKEYS_POLICY_UNKNOWN,      /* could not be looked up */
};

struct domainkeys_options {
	unsigned min_rsa_bits;          /* keys below it are DOMAINKEYS_POLICY; RFC 4870 section 3.2.3: 512 is to be supported */
	struct dkim_keys *keys;         /* decoded keys of this process; NULL: none are kept */
};

struct domainkeys_outcome {
	enum domainkeys_result result;
	enum domainkeys_reason reason;
	struct span detail;             /* for people, constant text; absent: nothing to add */
	struct span d, s;               /* as in the signature: header.d and header.s; absent: not read */
	bool is_sender;                 /* the address stood in Sender: header.sender, else header.from */
	struct span local, domain;      /* of that address, domain in lower case, A-labels; absent: there is none */
	size_t field;                   /* index in the header block of the signature described; the block's n: none */
	enum canon canon;
	unsigned key_bits;              /* 0: no key was decoded */
	bool is_testing;                /* t=y in the key, or in the policy of a message without a good signature: never makes the result better */
	bool is_key_secure;             /* key came with DNSSEC */
	enum domainkeys_policy policy;
};

struct domainkeys;

/* Options and headers must live as long as the arena. */
NODISCARD struct domainkeys *domainkeys_create(struct arena *a, const struct domainkeys_options *o, const struct header_block *headers);
/* There is a usable signature. */
bool domainkeys_wants_body(const struct domainkeys *k);
void domainkeys_body(struct domainkeys *k, struct span piece);
void domainkeys_body_end(struct domainkeys *k);
/* The body will not come: DOMAINKEYS_R_MEMORY, if it was wanted. */
void domainkeys_body_lost(struct domainkeys *k);
/* RC_WAIT: an answer is missing (its question was noted), or the body has not ended; RC_OK: the outcome is final. */
NODISCARD enum rc domainkeys_run(struct domainkeys *k, struct questions *q);
const struct domainkeys_outcome *domainkeys_outcome(const struct domainkeys *k);

#endif
