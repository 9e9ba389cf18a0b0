/*
 * addr - the addresses in From, Sender and their Resent- forms (RFC 5322 section 3.4, with groups in From by RFC 6854 and UTF-8 by RFC 6532): one strict parser for
 * DMARC, ADSP, Sender ID's PRA and signing.
 *
 * Strict: what two readers could take for different addresses is refused, not guessed.  Comments, folds, quoted strings, groups and the obsolete
 * route are understood; a field that is not exactly a list of mailboxes and groups to its last byte is RC_SYNTAX with a reason, whatever could be made of
 * its beginning.
 *
 * Understood although RFC 5322 calls it obsolete or does not know it, because it changes no address: empty places between commas, white space around dots, dots
 * anywhere in a local part, one dot at the end of a domain, a dot in a name, a fold that is an LF without CR.  Refused although some grammar allows it: control
 * bytes, NUL, invalid UTF-8, and in addresses characters that are not seen or change the direction of text; quoted-pairs and other
 * than letters, digits, '.', ':' and '-' in address literals.  Encoded words are text of a name: never decoded, never an address.
 */
#ifndef ENMA_MAIL_ADDR_H
#define ENMA_MAIL_ADDR_H

#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	ADDR_FIELD_MAX = 64 * KIB,      /* bytes of a field's value; longer: RC_LIMIT */
	ADDR_LIST_MAX = 100,            /* mailboxes of a field; more: RC_LIMIT */
	ADDR_COMMENT_DEPTH = 32,        /* nested comments; deeper: RC_SYNTAX */
	ADDR_LOCAL_MAX = 256,           /* bytes of a local part, unquoted; RFC 5321 allows 64, longer ones exist; longer than this: RC_LIMIT */
};

struct addr_mailbox {
	struct span display;            /* display name with quotes and folds undone, encoded words as they are; absent: none */
	struct span local;              /* unquoted */
	struct span domain;             /* as written, comments and blanks removed; never empty; a literal has its brackets */
	struct span ascii_domain;       /* lower case, A-labels; absent: not a domain name of DNS (an address literal, bad labels) */
};

struct addr_list {
	struct addr_mailbox *v;
	size_t n;                       /* 0: only empty groups */
	bool has_groups;
};

/* value: of a header field, folds allowed; not needed after the call.  RC_OK; RC_SYNTAX or RC_LIMIT: *out is empty, *why_out is a short constant text and *at_out
 * the offset of the offence or of the element that holds it.  Linear in time and memory.  No mailbox at all is RC_SYNTAX, except in groups ("g:;"). */
extern const char addr_no_memory[];     /* *why_out of RC_LIMIT when it was the arena's ceiling, not the field */
NODISCARD enum rc addr_parse(struct arena *a, struct span value, struct addr_list *out, const char **why_out, size_t *at_out);

#endif
