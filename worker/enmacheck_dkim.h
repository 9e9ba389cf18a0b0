/*
 * enmacheck_dkim - what "enmacheck dkim" and "enmacheck key" share: a message file, remarks about keys, hypotheses about broken signatures.
 *
 *	enmacheck_mail.c        a message file with all its bytes
 *	enmacheck_dkim.c        evaluation, and what comes of it per signature
 *	enmacheck_dkim_text.c   the same for people
 *	enmacheck_dkim_json.c   the same for programs
 *	enmacheck_canon.c       what was hashed, on the terminal and in files
 *	enmacheck_guess_body.c  what could have happened to a body
 *	enmacheck_guess_lines.c what could have happened to its lines
 *	enmacheck_guess_mime.c  re-encodings and parts of a body
 *	enmacheck_guess_header.c        what could have happened to a header
 *	enmacheck_guess_blanks.c        what could have happened to its folds and blanks
 *	enmacheck_key.c         a key record
 *	enmacheck_key_look.c    mistakes in a key record
 *
 * Memory: the arena of the command.  One thread.
 */
#ifndef ENMA_WORKER_ENMACHECK_DKIM_H
#define ENMA_WORKER_ENMACHECK_DKIM_H

#include <stdio.h>

#include "common/auth/dkim.h"
#include "common/auth/dkim_key.h"
#include "common/auth/dkim_sig.h"
#include "worker/enmacheck.h"

enum {
	MAIL_FILE_MAX = 256 * MIB,      /* bytes of a message file */
	MAIL_HEADER_MAX = 16 * MIB,     /* of its header */
	DKIM_ARENA_MAX = 512 * MIB,
	REMARKS_MAX = 32,               /* about one thing */
	GUESSES_MAX = 8,                /* explanations of one signature */
	GUESS_BODY_MAX = 8 * MIB,       /* bytes of a body that is searched for explanations */
	GUESS_BODY_BUDGET = 512 * MIB,  /* bytes hashed in that search */
	GUESS_LINES_MAX = 100000,       /* line boundaries tried as the end of what was signed, from the end of the body */
	GUESS_HEADER_MAX = 256 * KIB,   /* bytes of a header that is searched */
	GUESS_FIELDS_MAX = 500,         /* and its fields */
	GUESS_SIGNATURES_MAX = 10,      /* failed signatures that are searched for explanations, from the top */
	GUESS_HEADER_TRIES = 2000,      /* signatures checked in that search */
	CANON_SHOWN_MAX = 1 * MIB,      /* bytes of one canonical form that are printed */
};

/* ---- remarks: printable texts ---- */

struct remark {
	bool is_problem;
	struct span text;
};
struct remarks {
	struct arena *arena;
	struct remark v[REMARKS_MAX];
	size_t n;
};
/* What comes from outside goes through log_str(). */
void remark(struct remarks *r, bool is_problem, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- a message file ---- */

struct mail_file {
	char *bytes, *own_body;         /* heap */
	struct header_block header;
	struct span body;               /* lines end in CRLF, unless the file mixes them */
	uint64_t crlf, lone_lf;         /* of the file */
	uint64_t body_lf, body_cr, nuls;        /* alone, in the body as it is taken */
	bool is_lf_file;                /* lines end in LF: taken as CRLF */
	bool has_mbox_line;
	bool has_end;                   /* an empty line ends the header */
};
/* 0 or an exit code, after saying why. */
NODISCARD int mail_read(struct mail_file *m, const char *file, struct arena *a);
void mail_fini(struct mail_file *m);
/* The value of the first field of that name, without blanks at its ends; absent: there is none. */
struct span mail_get(const struct mail_file *m, struct span name);

/* ---- a key ---- */

struct key_record {
	struct span text;
	struct dkim_key_record parsed;
	enum dkim_reason reason;        /* DKIM_R_GOOD: key is set */
	const char *why;                /* may be NULL */
	struct crypto_key *key;         /* the arena's */
	unsigned bits;
	struct remarks remarks;
};
struct key_report {
	struct dns_name name;
	const struct dns_answer *answer;
	struct key_record *v;
	size_t n;
	struct remarks remarks;         /* about the whole */
};
/* The answer; NULL: the arena's ceiling.  Waits. */
const struct dns_answer *check_ask(struct check *c, struct questions *q, const struct dns_name *name);
void key_examine(struct arena *a, unsigned min_bits, const struct dns_name *name, const struct dns_answer *answer, struct key_report *out);
/* enmacheck_key_look.c: remarks about the text of a record, the library's opinion of which is known. */
void key_look(struct key_record *r, unsigned min_bits, struct arena *a);
bool key_has_problems(const struct key_report *k);
void key_print(struct buf *b, const struct key_report *k, const char *indent);
/* "name", with the escapes of zone files. */
void key_print_name(struct buf *b, const struct key_report *k);
const char *key_kind_name(enum crypto_key_kind kind);

struct check_key {
	struct arena arena;
	struct questions questions;
	struct key_report report;
};

/* ---- hypotheses ---- */

struct guess {
	const char *id;                 /* for programs */
	struct span text;               /* for people, printable */
};
struct guesses {
	struct guess v[GUESSES_MAX];
	size_t n;
	unsigned tries;
	bool was_tried;
	bool is_good;                   /* headers: the signature is good for the header as it is */
	const char *untried_why;        /* NULL: nothing was left out */
};
void guess_add(struct guesses *g, struct arena *a, const char *id, const char *fmt, ...) PRINTF_LIKE(4, 5);

struct guess_body {
	struct arena *arena;
	const struct mail_file *mail;
	const struct dkim_signature *s;
	struct span claimed;            /* bh= */
	struct guesses *out;
	/* the search's own */
	struct crypto_hash *hash;
	char *scratch;
	size_t room;
	uint64_t left;                  /* of GUESS_BODY_BUDGET */
};
/* Tells what change to the body makes its hash the claimed one. */
void guess_body(struct guess_body *g);
/* Would this body have the hash?  Counts as a try. */
bool guess_body_fits(struct guess_body *g, struct span body, enum canon c, int64_t l);
/* 0: no; otherwise the number of lines at the end without which it fits, *first_out the first of them. */
uint64_t guess_body_tail(struct guess_body *g, struct span body, enum canon c, struct span *first_out);
/* At least n bytes, until the next call. */
char *guess_scratch(struct guess_body *g, size_t n);
/* Up to and with the next LF; without one the rest. */
size_t guess_line_length(struct span s);
void guess_lines(struct guess_body *g);
void guess_mime(struct guess_body *g);

struct guess_header {
	struct arena *arena;
	const struct mail_file *mail;
	const struct dkim_signature *s;
	const struct dkim_sig *sig;
	const struct key_report *key;
	struct guesses *out;
};
void guess_header(struct guess_header *g);

struct guess_blank {
	size_t (*fn)(char *to, struct span value);      /* writes at most value.n bytes; those written */
	const char *id, *text;
};
extern const struct guess_blank guess_blanks[];
extern const size_t guess_blank_count;

/* ---- what was hashed ---- */

struct canon_copy {
	struct buf text;                /* up to CANON_SHOWN_MAX */
	uint64_t bytes;
	FILE *file;                     /* NULL: none is written */
	const char *name;
};
void canon_copy_init(struct canon_copy *c);
void canon_copy_put(struct canon_copy *c, const char *p, size_t n);
void canon_copy_fini(struct canon_copy *c);
/* The files of --canon-dir; 0 or an exit code. */
NODISCARD int canon_open_files(struct check *c);
NODISCARD int canon_close_files(struct check *c);
/* Each line end visible, and what could not be seen or told apart escaped. */
void canon_print(struct buf *b, const struct canon_copy *c, const char *indent);

/* ---- the command ---- */

struct dkim_view {
	const struct dkim_signature *s; /* without the limits of the settings */
	enum dkim_result result;        /* with them: as enma sees it */
	enum dkim_reason reason;
	struct span detail;
	bool has_tags, has_sig;
	struct dkim_sig sig;
	bool has_digest;
	struct crypto_digest digest;
	struct span claimed;
	struct key_report *key;         /* NULL: not asked for */
	struct guesses body_guesses, header_guesses;
	struct remarks remarks;
	struct canon_copy canon;
};
struct check_dkim {
	struct arena arena;
	struct mail_file mail;
	struct questions questions;
	struct dkim *strict, *lax;      /* with the limits of the settings, and without */
	struct dkim_view *v;
	size_t n, total;
	struct canon_copy body[2];      /* simple, relaxed */
	struct remarks remarks;
};

#endif
