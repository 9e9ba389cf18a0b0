/*
 * path - the argument of MAIL FROM (RFC 5321 section 4.1.2, RFC 6531).
 *
 * An unparsable path is not the null path and never borrows another identity: its SPF result is "none".
 */
#ifndef ENMA_MAIL_PATH_H
#define ENMA_MAIL_PATH_H

#include "common/base/arena.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	PATH_MAX_BYTES = 1000,  /* of the text, angle brackets included; longer ones are PATH_INVALID */
};

enum path_kind {
	PATH_NULL,              /* <> */
	PATH_MAILBOX,           /* local and domain are set */
	PATH_BARE,              /* a local part alone ("root"): local submission; no domain */
	PATH_INVALID,
};

struct path {
	enum path_kind kind;
	struct span raw;        /* as given, angle brackets removed when both are there */
	struct span local;      /* quotes and quoted pairs removed (what %{l} means); UTF-8 kept */
	struct span domain;     /* as written (U-labels kept, case kept); address literal with brackets */
};

/* text: what the MTA passes, with or without angle brackets; a source route "<@a,@b:user@dom>" is dropped (RFC 5321 appendix C: must be
 * accepted, should be ignored).  NUL, control bytes, bad quoting, "a@b@c", blanks at the ends or several together outside quotes,
 * invalid UTF-8, a domain with other bytes than letters, digits, '-', '_' and UTF-8, an address literal
 * with other bytes than letters, digits, '.', ':' and '-': PATH_INVALID.  Whether a domain can exist
 * (length of labels, single labels) is not judged here.  Dots may stand anywhere in a local part: Japanese mobile carriers gave
 * out such addresses ("a..b.@carrier.example").  Empty text is the null path.  Over 64 bytes of local part or 320 bytes in all is
 * still parsed; over PATH_MAX_BYTES: PATH_INVALID.
 * text is borrowed and must live as long as the arena.  RC_OK or RC_LIMIT (arena; *out is PATH_INVALID). */
NODISCARD enum rc path_parse(struct arena *a, struct span text, struct path *out);

#endif
