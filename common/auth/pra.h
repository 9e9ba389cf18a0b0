/*
 * pra - the Purported Responsible Address of a message (RFC 4407): who the header says has most recently caused it to be delivered.
 *
 * Which field is chosen (RFC 4407 section 2): the first Resent-Sender, unless a Resent-From stands above it with a Received or Return-Path in between; else
 * the first Resent-From; else the only Sender; else the only From.  Fields of nothing but white space are as if they were not there, in every rule.  Only the
 * chosen field is parsed.  The algorithm never goes on to another field: when the chosen one is malformed, or there are two of Sender or From, there
 * is no PRA.
 *
 * What is "hopelessly malformed" is local policy (section 2) and strict here: what addr.h refuses, more or less than one mailbox, a group, and a domain
 * that is none of DNS ("user@[192.0.2.1]").  Names of fields are equal as header_is() says: "From :" is a From.
 *
 * A pure function without state; the PRA is as truthful as the header.  The SUBMITTER of RFC 4405 is not looked at.
 */
#ifndef ENMA_AUTH_PRA_H
#define ENMA_AUTH_PRA_H

#include "common/base/arena.h"
#include "common/base/span.h"
#include "common/mail/header.h"

enum pra_field { PRA_RESENT_SENDER, PRA_RESENT_FROM, PRA_SENDER, PRA_FROM, PRA_NO_FIELD };
/* The field's name in lower case, as in the property header.<name> of Authentication-Results; NULL for PRA_NO_FIELD. */
const char *pra_field_name(enum pra_field f);

/* X(identifier, "short phrase") */
#define PRA_STATUSES(X) \
	X(FOUND, "address found") \
	X(NO_SENDER, "no field names a sender")                 /* nothing to choose from: also From is not there */ \
	X(MANY_SENDER, "more than one Sender field") \
	X(MANY_FROM, "more than one From field") \
	X(MALFORMED, "malformed address field")                 /* see .why */ \
	X(MANY_ADDRESSES, "more than one address") \
	X(NO_ADDRESS, "no address")                             /* an empty group */ \
	X(GROUP, "address in a group") \
	X(BAD_DOMAIN, "address without a domain name") \
	X(INCOMPLETE, "header is not complete")                 /* header_block.is_incomplete: what is missing might be the field */ \
	X(MEMORY, "no memory left")                             /* this and INCOMPLETE say nothing about the message */
enum pra_status {
#define PRA_STATUS_ENUM(id, text) PRA_##id,
	PRA_STATUSES(PRA_STATUS_ENUM)
#undef PRA_STATUS_ENUM
	PRA_STATUS_COUNT
};
const char *pra_status_text(enum pra_status s);

struct pra {
	enum pra_status status;
	enum pra_field field;           /* the chosen one, also when it is malformed; of MANY_SENDER and MANY_FROM: PRA_NO_FIELD */
	size_t index;                   /* of the chosen field in the header; h->n: none */
	/* Of PRA_FOUND, else absent; the arena's. */
	struct span local;              /* unquoted, perhaps empty, perhaps UTF-8 */
	struct span domain;             /* lower case, A-labels, no final dot; one label is possible */
	const char *why;                /* of PRA_MALFORMED: constant text of addr_parse(); else NULL */
};

/* h: in the order received; not needed after the call.  Linear in the header: 100,000 fields are one pass.  Memory: a few times the chosen field, which
 * ADDR_FIELD_MAX bounds. */
void pra_select(struct arena *a, const struct header_block *h, struct pra *out);

#endif
