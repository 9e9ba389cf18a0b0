/*
 * authres - the Authentication-Results field (RFC 8601): parse, recognise as ours, print.
 *
 * Printing is spoof-safe: a value from outside is emitted only as token, quoted-string or comment text with CR, LF, NUL, control bytes,
 * invalid UTF-8, '"', '\\' and parentheses made harmless.
 * owner: lead
 */
#ifndef ENMA_MAIL_AUTHRES_H
#define ENMA_MAIL_AUTHRES_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/rc.h"
#include "common/base/span.h"
#include "common/mail/fieldout.h"

enum {
	AUTHRES_LINE = FIELDOUT_LINE,           /* fold before this column where possible (header name included) */
	AUTHRES_LINE_MAX = FIELDOUT_LINE_MAX,   /* never longer (RFC 5322 section 2.1.1) */
	AUTHRES_VALUE_MAX = FIELDOUT_VALUE_MAX, /* one printed value; longer ones are cut and end in "..." */
	AUTHRES_FIELD_MAX = 8 * KIB,    /* printed field; items that do not fit are left out whole, and that is said in a comment */
	AUTHRES_PARSE_MAX = 64 * KIB,   /* longer fields are not parsed: RC_LIMIT */
	AUTHRES_ITEMS_MAX = 100,        /* results, and properties of one result, when parsing; more are RC_LIMIT */
	AUTHRES_VERSION_MAX = 65535,    /* version numbers when parsing; higher ones are RC_LIMIT */
	AUTHRES_COMMENT_DEPTH = 32,     /* nesting of comments when parsing; deeper is RC_LIMIT */
};

struct authres_prop {
	const char *ptype;              /* "smtp", "header", "policy" */
	const char *name;               /* "mailfrom" */
	struct span value;
};

struct authres_item {
	const char *method;             /* "spf" */
	const char *result;             /* "pass" */
	struct span comment;            /* behind the result in parentheses; absent: none */
	struct span reason;             /* reason="..."; absent: none */
	struct authres_prop prop[8];
	size_t prop_count;
};

/* The field's value for insertion below the name: begins with a blank, lines folded with LF and a tab (MTAs turn LF into CRLF);
 * identifier, then each item on a line of its own, "; none" when there are no items (RFC 8601 section 2.2).  id is printed as a token or
 * quoted-string.  ptype, name, method and result are our own words and printed as they are.  RC_LIMIT: b is full. */
NODISCARD enum rc authres_print(struct buf *b, struct span id, const struct authres_item *items, size_t n);

/* Appends s as one RFC 8601 pvalue: a token, a domain or dot-atom@domain as it is (the latter two also with UTF-8), else (IPv6
 * address, quoted local part, anything strange, anything cut) a quoted-string. */
void authres_print_value(struct buf *b, struct span s);

/* ---- parsing ---- */
struct authres_parsed_prop { struct span ptype, name, value; };
struct authres_parsed_item {
	struct span method, result, reason;
	uint64_t method_version;        /* 1 when not given */
	struct authres_parsed_prop *prop;
	size_t prop_count;
};
struct authres_parsed {
	struct span id;                 /* unquoted */
	uint64_t version;               /* 1 when not given */
	struct authres_parsed_item *item;
	size_t item_count;
};
/* value: all behind the colon, folded or not (CRLF or LF).  RC_OK, RC_SYNTAX, RC_LIMIT. */
NODISCARD enum rc authres_parse(struct arena *a, struct span value, struct authres_parsed **out);

/* ---- removal ---- */
/* Whose fields are forged here: our identifier, and the configured ones with every name below them. */
struct authres_ids;
/* id: exact match; others: exact or below.  IDN forms are compared as A-labels, case-insensitively, final dots ignored. */
NODISCARD struct authres_ids *authres_ids_create(struct span id, const struct span *others, size_t n);
void authres_ids_destroy(struct authres_ids **ids);
/* True when the field claims one of them.  Only the first word is read: comments, quoting, folding, control bytes, a version, a missing
 * semicolon are seen through; a word in a comment counts only for readers that get comments wrong ("(a\) mx.example.jp; ...) b;"), or
 * when the comment does not end.  "evil, mx.example" is not ours, nor is an encoded word.  Linear time; no limit that hostile text
 * could reach decides (a word that is too long for a name is nobody's). */
bool authres_ids_claimed(const struct authres_ids *ids, struct span value);

/* True for "Authentication-Results" in any case, with blanks or folding before the colon. */
bool authres_is_field_name(struct span name);

#endif
