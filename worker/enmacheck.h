/*
 * enmacheck - evaluate an identity or a message file with the worker's own engines and policy; the parts of the tool.
 *
 *	enmacheck.c             arguments, exit codes
 *	enmacheck_run.c         settings, resolver, evaluation, trace
 *	enmacheck_text.c        output for people
 *	enmacheck_message.c     reading a message file
 *	enmacheck_json.c        output for programs
 *
 * The parts of the commands dkim and key are told in enmacheck_dkim.h.
 */
#ifndef ENMA_WORKER_ENMACHECK_H
#define ENMA_WORKER_ENMACHECK_H

#include "common/conf/snapshot.h"
#include "worker/mechanisms.h"
#include "worker/message.h"
#include "worker/policy.h"

enum {
	CHECK_STEPS_MAX = 100000,       /* of one trace */
	CHECK_HEADER_MAX = 64 * MIB,    /* bytes of a message's header that are read */
	CHECK_BODY_MAX = 256 * MIB,     /* bytes of its body */
	CHECK_OUTPUT_MAX = 256 * MIB,
	CHECK_HOST_MAX = 256,
};

enum check_command { CHECK_SPF, CHECK_MESSAGE, CHECK_DKIM, CHECK_KEY };

struct check_args {
	enum check_command command;
	struct ip client;
	const char *helo, *from;        /* NULL: not given */
	const char *resolver, *zone, *identifier, *config;
	const char *file;               /* "-": standard input */
	const char *selector, *domain;  /* key */
	const char *canon_dir;          /* NULL: none */
	bool wants_trace, wants_json, wants_canon;
	bool has_now;
	int64_t now_s;
};

/* ---- trace ---- */

struct check_step {
	unsigned depth;
	const char *kind;
	struct span text, note;
};

/* Keeps the steps of the last pass. */
struct check_trace {
	struct spf_trace hook;
	struct arena arena;
	struct check_step *v;
	size_t n, room;
	bool is_cut;                    /* there were more */
};

/* ---- header fields of the file ---- */

struct check_field {
	struct span name, value;        /* value: all behind the colon, lines separated by LF */
	bool is_removed;
	int index;                      /* of a removed one: from 1, among the fields of that name */
};

struct check_header {
	char *bytes;
	struct check_field *v;
	size_t n, room;
	size_t ignored;                 /* lines in front that belong to no field */
	bool is_cut;                    /* longer than CHECK_HEADER_MAX */
	struct buf body;                /* lines end in CRLF, unless the file mixes them; empty when nobody wants it */
};

/* ---- one run ---- */

struct check {
	const struct check_args *args;
	struct conf *conf;              /* as loaded; snapshot holds the one that is used */
	struct buf snapshot_bytes;
	struct snapshot *snapshot;
	struct dns_source *source, *loop;
	struct authres_ids *ids;
	struct ip_set *exclusions;
	struct mechanisms mechanisms;
	struct message_pool *pool;
	struct message *message;
	struct check_trace mailfrom_trace, helo_trace;
	char host[CHECK_HOST_MAX];
	struct span identifier;
	unsigned rounds;                /* batches of questions */
	uint64_t elapsed_us;
	bool has_timed_out;
	/* results */
	const struct verdict *verdict;  /* NULL: skipped */
	struct action action;
	struct span authres, received_spf;      /* values to insert; absent: none */
	unsigned removed;
	struct check_header header;
	struct check_dkim *dkim;        /* enmacheck_dkim.h */
	struct check_key *key;
};

/* The settings in force. */
const struct conf *check_conf(const struct check *c);

/* Each returns 0 or an exit code of sysexits(3), after saying why on standard error. */
NODISCARD int check_setup(struct check *c, const struct check_args *args);
NODISCARD int check_read_message(struct check *c);      /* enmacheck_message.c */
NODISCARD int check_evaluate(struct check *c);
void check_fini(struct check *c);

NODISCARD int check_dkim(struct check *c);
NODISCARD int check_key(struct check *c);
int check_key_code(const struct check *c);              /* the exit code when all was printed */
void check_dkim_fini(struct check *c);
void check_key_fini(struct check *c);
void check_print_dkim_text(const struct check *c, struct buf *b);
void check_print_dkim_json(const struct check *c, struct buf *b);
void check_print_key_text(const struct check *c, struct buf *b);
void check_print_key_json(const struct check *c, struct buf *b);

void check_print_text(const struct check *c, struct buf *b);
void check_print_json(const struct check *c, struct buf *b);

/* The log line of the message, without a newline at its end. */
void check_print_report(const struct check *c, struct buf *b);

#endif
