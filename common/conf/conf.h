/*
 * conf - every setting as a typed field, and the operations on settings.
 *
 * The table in conf_table.c is the one place that knows names, types, defaults, ranges, help and what a change needs;
 * from it come parsing, defaults (parsed from the same text that a user would write), `enmactl config`, the sample
 * file and the options part of enma.conf(5).
 *
 * Syntax (ENMA 1.2): "key: value" lines, '#' comment lines, blank lines.  "include: PATH" (relative to the file that
 * includes; a glob pattern; at most CONF_INCLUDE_DEPTH deep).  Precedence: command line > file > default.  A key that may
 * repeat adds a value each time; the first occurrence replaces the default, and values of the command line replace those
 * of the file.  A single-valued key given twice: the later one counts and a warning names both places.
 *
 * A struct conf is immutable once conf_load() or conf_snapshot_read() returned it, and may then be read by all threads.
 * owner: lead
 */
#ifndef ENMA_CONF_CONF_H
#define ENMA_CONF_CONF_H

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/rc.h"
#include "common/base/span.h"

enum {
	CONF_LINE_MAX = 64 * KIB,       /* one line; longer is an error */
	CONF_FILE_MAX = 64 * MIB,       /* one file, also of a file that a setting names */
	CONF_INCLUDE_DEPTH = 10,
	CONF_ERRORS_MAX = 100,          /* more are counted, not kept */
	/* Descriptors that a worker needs beside one for each session: 1,024 DNS sockets, log, snapshot, overload, libraries. */
	CONF_WORKER_FILES_SPARE = 1536,
	CONF_CACHE_SIZE_LEAST = 16 * MIB,       /* below it the map is dropped now and then: cache_db.h */
};

struct conf_list {
	char **v;
	size_t n;
};

enum conf_log_style { CONF_LOG_KV, CONF_LOG_ENMA, CONF_LOG_JSON };
enum conf_l_tag { CONF_L_POLICY, CONF_L_ACCEPT };
enum conf_handover { CONF_HANDOVER_AUTO, CONF_HANDOVER_FD, CONF_HANDOVER_DUP };
enum conf_on_trouble { CONF_TEMPFAIL, CONF_ACCEPT, CONF_REJECT };

struct conf {
	/* milter.*: ENMA's keys first */
	bool milter_verbose;            /* milter.verbose: print the configuration at start */
	char *milter_conffile;          /* milter.conffile */
	char *milter_user;              /* milter.user: "" = stay who you are; user or user:group */
	char *milter_pidfile;           /* milter.pidfile; "" = none */
	char *milter_chdir;             /* milter.chdir */
	struct conf_list milter_socket; /* milter.socket: sockspec.h, may repeat; default inet:10025@127.0.0.1 */
	int64_t milter_timeout;         /* milter.timeout: seconds, libmilter's I/O timeout, 7210 */
	int64_t milter_loglevel;        /* milter.loglevel: smfi_setdbg, 0..6 */
	bool milter_sendmail813;        /* obsolete, negotiated: accepted with a note */
	bool milter_postfix;            /* obsolete, automatic: accepted with a note */
	int64_t milter_backlog;         /* milter.backlog: listen(2), 1024 */
	int64_t milter_socket_mode;     /* milter.socket_mode: octal, unix sockets, 0660 */
	char *milter_socket_owner;      /* milter.socket_owner: "" = milter.user */
	char *milter_socket_group;      /* milter.socket_group: "" = milter.user's */
	enum conf_handover milter_handover;     /* milter.handover: auto | fd | dup */

	/* syslog.* (ENMA) and log.* */
	char *syslog_ident;             /* enma */
	int syslog_facility;            /* LOG_LOCAL4 */
	int syslog_logmask;             /* syslog.logmask: lowest severity that is logged, LOG_INFO */
	char *log_target;               /* log.target: auto | syslog | stderr | stdout | file:PATH */
	enum conf_log_style log_style;  /* log.style: kv | enma | json */

	/* common.* */
	struct conf_list exclusion_addresses;   /* common.exclusion_addresses: comma list, may repeat; an item that begins with
	                                         * '/' is a file with one range a line */
	bool exclude_authenticated;     /* common.exclude_authenticated */

	/* spf.*, sidf.*, dkim.*, dkimadsp.* */
	bool spf_auth;
	bool spf_explog;                /* log the explanation of a fail */
	bool spf_check_helo;            /* spf.check_helo: HELO identity on its own, true */
	int64_t spf_void_limit;         /* spf.void_lookup_limit: 2, 0..100 */
	bool spf_received_header;       /* spf.received_header: also write Received-SPF, false */
	bool sidf_auth, sidf_explog;                    /* accepted; not evaluated in this version: note at start */
	bool dkim_auth;                 /* yes */
	int64_t dkim_signheader_limit;  /* 10, 0..100; 0 = 100 */
	bool dkim_accept_expired_signature, dkim_accept_future_signature;
	int64_t dkim_clock_skew;        /* seconds, 5m */
	int64_t dkim_min_rsa_bits;      /* 1024, 512..4096 */
	bool dkim_accept_sha1, dkim_rfc4871_compatible;
	enum conf_l_tag dkim_l_tag;     /* policy | accept */
	struct conf_list dkim_must_be_signed;
	bool domainkeys_auth;           /* no */
	bool dkimadsp_auth;             /* no (ENMA: yes) */
	bool dkimadsp_atps;             /* no */

	/* authresult.* */
	char *authresult_identifier;            /* the setting, or the host's name; never empty after conf_load() */
	bool authresult_spf_hardfail;           /* authresult.spf_hardfail: ENMA's word for fail, false */
	struct conf_list authresult_remove_identifiers; /* fields that claim these or names below them are removed, too */
	struct conf_list authresult_remove_fields;      /* further field names that are removed whole */

	/* worker.* */
	int64_t worker_count;           /* per socket; 0 = cores, at least 2, at most 16 */
	int64_t worker_max_sessions;    /* at once, per worker, 1000 */
	enum conf_on_trouble worker_on_overload;        /* tempfail | accept */
	enum conf_on_trouble worker_on_internal_error;  /* accept (with temperror) | tempfail | reject */
	int64_t worker_drain_timeout;   /* seconds, 5m */
	int64_t worker_retire_sessions; /* replace a worker after about so many sessions; 0 = never */
	int64_t worker_max_rss;         /* bytes; replace a worker that grew over it; 0 = never */
	int64_t worker_stuck_timeout;   /* seconds without a beat, or in one phase beyond its deadline; 30 */

	/* control.* */
	char *control_socket;           /* unix:PATH */
	int64_t control_mode;           /* octal, 0660 */
	char *control_group;            /* "" = group of milter.user */

	/* resolver.* */
	struct conf_list resolver_forward;      /* ADDRESS[@PORT], may repeat */
	char *resolver_resolvconf;              /* used when no forwarder is given and not recursive: /etc/resolv.conf */
	bool resolver_recursive;                /* from the root */
	char *resolver_zone;                    /* file of fixed answers; "" = none */
	char *resolver_trust_anchor;            /* file; "" = no validation */
	int64_t resolver_deadline;              /* milliseconds per message; written as a time, 20s */
	int64_t resolver_max_questions;         /* per message, 250 */

	/* message.* */
	int64_t message_max_headers;            /* fields, 1000 */
	int64_t message_max_header_bytes;       /* 512k */
	enum conf_on_trouble message_on_limit;  /* reject | tempfail | accept */

	/* cache.* */
	bool cache_enabled;             /* yes */
	char *cache_path;               /* /var/cache/enma/cache */
	int64_t cache_size;             /* bytes of the map, 256m; CONF_CACHE_SIZE_LEAST to 4 TiB */
	int64_t cache_min_ttl;          /* seconds: 5 (0 to 1 h) */
	int64_t cache_max_ttl;          /* 1 day (1 s to 7 days) */
	int64_t cache_max_negative_ttl; /* 1 h (1 s to 1 day) */
	bool cache_serve_stale;         /* RFC 8767: no */
	int64_t cache_stale_ttl;        /* 1 day (1 s to 7 days) */
	bool cache_results;             /* keep results of mechanisms, too: yes */
	bool cache_nxdomain_cut;        /* RFC 8020: no */

	/* ---- not settings ---- */
	struct conf_origin *origins;    /* one per row of the table (conf_dump.c) */
};

struct conf_error {
	char *file;             /* "command line" or a path */
	unsigned line;          /* 0: none */
	char *text;             /* what is wrong and the remedy, one line */
	bool is_warning;
};
struct conf_errors {
	struct conf_error *v;
	size_t n, left_out;
};

/* path NULL or "": defaults and command line only.  overrides: "key=value" texts of -o.  All errors and warnings are collected
 * in *errors_out (always initialised; free with conf_errors_fini).  RC_OK when there is no error (warnings allowed): *conf_out is
 * the caller's.  RC_SYNTAX or RC_TEMP (a file that cannot be read) otherwise, *conf_out NULL.  Includes the cross-field rules
 * (conf_check). */
NODISCARD enum rc conf_load(const char *path, const char *const *overrides, size_t override_count, struct conf **conf_out,
                            struct conf_errors *errors_out);
/* The same, but what could be read is returned in any case, with defaults in place of what was wrong: to find a running enma although its file is
 * broken now, and to go on looking for errors. */
NODISCARD struct conf *conf_load_loosely(const char *path, const char *const *overrides, size_t override_count, struct conf_errors *errors_out);
void conf_destroy(struct conf **conf);
/* The name that results are given under: the setting, or the host's name (conf_load() warns when that is a poor one). */
static inline const char *conf_identifier(const struct conf *c) { return c->authresult_identifier; }
/* Workers for each socket: worker.count, or by the processors that this process may use. */
unsigned conf_workers(const struct conf *c);
void conf_errors_fini(struct conf_errors *errors);
/* "file:line: text" or "text"; for logs, -T and the control protocol. */
void conf_error_print(struct buf *b, const struct conf_error *e);

#endif
