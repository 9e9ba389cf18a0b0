/* conf_table - every setting; see conf_table.h. */
#include "common/conf/conf_table.h"

#include <syslog.h>

#include "common/conf/conf_check.h"

/* The offset of field f; a compile error when the field is not of type T. */
#define FIELD(f, T) (offsetof(struct conf, f) + 0 * sizeof(char[_Generic(((struct conf *)0)->f, T: 1, default: -1)]))

#define BOOL(n, f, fl, d, h) { .name = n, .type = CT_BOOL, .flags = fl, .offset = FIELD(f, bool), .standard = d, .syntax = "yes | no", .help = h }
#define NUMERIC(t, n, f, fl, d, l, u, s, h) \
	{ .name = n, .type = t, .flags = fl, .offset = FIELD(f, int64_t), .standard = d, .lo = l, .hi = u, .syntax = s, .help = h }
#define NUMBER(n, f, fl, d, l, u, h) NUMERIC(CT_NUMBER, n, f, fl, d, l, u, "number", h)
#define SIZE(n, f, fl, d, l, u, h) NUMERIC(CT_SIZE, n, f, fl, d, l, u, "size", h)
#define TIME_S(n, f, fl, d, l, u, h) NUMERIC(CT_TIME_S, n, f, fl, d, l, u, "time", h)
#define TIME_MS(n, f, fl, d, l, u, h) NUMERIC(CT_TIME_MS, n, f, fl, d, l, u, "time", h)
#define MODE(n, f, fl, d, h) NUMERIC(CT_MODE, n, f, fl, d, 0, 0777, "octal", h)
#define WORD(n, f, T, fl, d, w, s, h) \
	{ .name = n, .type = CT_WORD, .flags = fl, .offset = FIELD(f, T), .standard = d, .words = w, .syntax = s, .help = h }
#define TEXT(n, f, fl, d, c, s, h) \
	{ .name = n, .type = CT_TEXT, .flags = fl, .offset = FIELD(f, char *), .standard = d, .check = c, .syntax = s, .help = h }
#define LIST(n, f, fl, d, c, s, h) \
	{ .name = n, .type = CT_LIST, .flags = fl, .offset = FIELD(f, struct conf_list), .standard = d, .check = c, .syntax = s, .help = h }

enum { TIB_BITS = 40 };

static const struct conf_word facilities[] = {
	{ "auth", LOG_AUTH }, { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON }, { "daemon", LOG_DAEMON }, { "ftp", LOG_FTP },
	{ "kern", LOG_KERN }, { "lpr", LOG_LPR }, { "mail", LOG_MAIL }, { "news", LOG_NEWS }, { "syslog", LOG_SYSLOG },
	{ "user", LOG_USER }, { "uucp", LOG_UUCP }, { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 },
	{ "local7", LOG_LOCAL7 }, { NULL, 0 },
};

static const struct conf_word severities[] = {
	{ "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "notice", LOG_NOTICE }, { "warning", LOG_WARNING }, { "warn", LOG_WARNING },
	{ "err", LOG_ERR }, { "error", LOG_ERR }, { "crit", LOG_CRIT }, { "alert", LOG_ALERT }, { "emerg", LOG_EMERG },
	{ "panic", LOG_EMERG }, { NULL, 0 },
};

static const struct conf_word log_styles[] = {
	{ "kv", CONF_LOG_KV }, { "enma", CONF_LOG_ENMA }, { "json", CONF_LOG_JSON }, { NULL, 0 },
};

static const struct conf_word handovers[] = {
	{ "auto", CONF_HANDOVER_AUTO }, { "fd", CONF_HANDOVER_FD }, { "dup", CONF_HANDOVER_DUP }, { NULL, 0 },
};

static const struct conf_word on_overload[] = {
	{ "tempfail", CONF_TEMPFAIL }, { "accept", CONF_ACCEPT }, { NULL, 0 },
};

static const struct conf_word on_trouble[] = {
	{ "accept", CONF_ACCEPT }, { "tempfail", CONF_TEMPFAIL }, { "reject", CONF_REJECT }, { NULL, 0 },
};

static const struct conf_word l_tags[] = {
	{ "policy", CONF_L_POLICY }, { "accept", CONF_L_ACCEPT }, { NULL, 0 },
};

const struct conf_group conf_groups[] = {
	{ "milter.", "The daemon and its milter sockets" },
	{ "authresult.", "The Authentication-Results field" },
	{ "common.", "Clients that are not evaluated" },
	{ "spf.", "SPF (RFC 7208)" },
	{ "resolver.", "DNS" },
	{ "syslog.", "Log: syslog" },
	{ "log.", "Log: target and style" },
	{ "worker.", "Worker processes" },
	{ "message.", "Limits of a message" },
	{ "control.", "The control socket of enmactl" },
	{ "cache.", "Cache" },
	{ "sidf.", "Sender ID (ENMA 1.2)" },
	{ "dkim.", "DKIM (RFC 6376)" },
	{ "domainkeys.", "DomainKeys (RFC 4870)" },
	{ "dkimadsp.", "DKIM ADSP (RFC 5617)" },
};
const size_t conf_group_count = ARRAY_LEN(conf_groups);

const struct conf_row conf_rows[] = {
	/* ---- milter ---- */
	LIST("milter.socket", milter_socket, CF_ENMA, "inet:10025@127.0.0.1", conf_check_socket, "SOCKET",
	    "Where the MTA connects: inet:PORT@HOST, inet6:PORT@HOST, unix:PATH or local:PATH. "
	    "Without @HOST it is the loopback address; write 0.0.0.0 or :: to listen on every address. "
	    "A unix: socket may be followed by perm=0660, owner=USER and group=GROUP. "
	    "Each line opens one more socket with its own group of workers."),
	TEXT("milter.user", milter_user, CF_ENMA | CF_RESTART, "", conf_check_user, "USER[:GROUP]",
	    "The user that every process but the supervisor runs as. "
	    "Empty: stay who you are."),
	TEXT("milter.pidfile", milter_pidfile, CF_ENMA | CF_RESTART, "/run/enma/enma.pid", conf_check_path, "PATH",
	    "File with the supervisor's process id. "
	    "Its folder is made when it is missing. "
	    "Empty: none. "
	    "ENMA 1.2 had /var/run/enma/enma.pid, which is the same place on today's systems."),
	TEXT("milter.chdir", milter_chdir, CF_ENMA | CF_RESTART, "/var/tmp", conf_check_path, "PATH",
	    "Working directory; core files end up here. "
	    "Empty: stay in the directory of the start."),
	TIME_S("milter.timeout", milter_timeout, CF_ENMA, "7210", 1, 604800,
	    "How long a worker waits for the MTA's next command before it closes the session."),
	NUMBER("milter.loglevel", milter_loglevel, CF_ENMA, "0", 0, 6,
	    "Debug level of libmilter itself; its lines go to syslog."),
	BOOL("milter.verbose", milter_verbose, CF_ENMA | CF_RESTART, "no",
	    "Print the configuration to standard error at start, as -v does."),
	TEXT("milter.conffile", milter_conffile, CF_ENMA | CF_RESTART, "", NULL, "PATH",
	    "The configuration file, as -c names it. "
	    "Only useful as -o milter.conffile=PATH; inside a file it has no effect."),
	BOOL("milter.postfix", milter_postfix, CF_ENMA | CF_OBSOLETE, "no",
	    "Told ENMA 1.2 to expect the queue id late. "
	    "The queue id is now taken whenever the MTA sends it."),
	BOOL("milter.sendmail813", milter_sendmail813, CF_ENMA | CF_OBSOLETE, "no",
	    "Told ENMA 1.2 how Sendmail passes the space in front of a header value. "
	    "This is now negotiated with the MTA."),
	NUMBER("milter.backlog", milter_backlog, 0, "1024", 1, 65535,
	    "Connections that the system queues for each socket while all workers are busy, see listen(2)."),
	MODE("milter.socket_mode", milter_socket_mode, 0, "0660",
	    "Permissions of unix: sockets that have no perm= of their own."),
	TEXT("milter.socket_owner", milter_socket_owner, 0, "", conf_check_user_name, "USER",
	    "Owner of unix: sockets that have no owner= of their own. "
	    "Empty: milter.user."),
	TEXT("milter.socket_group", milter_socket_group, 0, "", conf_check_user_name, "GROUP",
	    "Group of unix: sockets that have no group= of their own, usually the MTA's. "
	    "Empty: the group of milter.user."),
	WORD("milter.handover", milter_handover, enum conf_handover, 0, "auto", handovers, "auto | fd | dup",
	    "How libmilter is given the socket that all workers share: by its number (fd, a patch of Debian and others) or by "
	    "laying it over a private one (dup, works everywhere). "
	    "auto finds out."),

	/* ---- authresult ---- */
	TEXT("authresult.identifier", authresult_identifier, CF_ENMA, "", conf_check_identifier, "DOMAIN",
	    "The name that results are given under, and whose forged fields are removed (the authserv-id of RFC 8601). "
	    "All hosts of one site may share a name. "
	    "Empty: the host's name. "
	    "ENMA 1.2 had localhost, which any sender could know and use."),
	LIST("authresult.remove_identifiers", authresult_remove_identifiers, CF_COMMAS, "", conf_check_identifier, "DOMAIN, ...",
	    "Fields that claim to come from these names or from names below them are removed, too."),
	LIST("authresult.remove_fields", authresult_remove_fields, CF_COMMAS, "", conf_check_field_name, "NAME, ...",
	    "Further header fields that are removed whole, whoever wrote them, for example X-Authentication-Results."),
	BOOL("authresult.spf_hardfail", authresult_spf_hardfail, 0, "no",
	    "Write hardfail where RFC 8601 says fail, as ENMA 1.2 did."),

	/* ---- common ---- */
	LIST("common.exclusion_addresses", exclusion_addresses, CF_ENMA | CF_COMMAS, "127.0.0.1,::1", conf_check_range, "RANGE, ...",
	    "Clients whose mail is not evaluated: addresses, networks (192.0.2.0/24) and ranges (192.0.2.10-192.0.2.20). "
	    "An item that begins with / is a file with one of these a line. "
	    "Forged fields are removed for these clients, too. "
	    "Empty: nobody."),
	BOOL("common.exclude_authenticated", exclude_authenticated, 0, "no",
	    "Do not evaluate sessions that authenticated with SMTP AUTH."),

	/* ---- spf ---- */
	BOOL("spf.auth", spf_auth, CF_ENMA, "yes",
	    "Evaluate SPF."),
	BOOL("spf.explog", spf_explog, CF_ENMA, "yes",
	    "Fetch the explanation that a domain publishes for a fail. "
	    "It is logged, and becomes the reason in the Authentication-Results field."),
	BOOL("spf.check_helo", spf_check_helo, 0, "yes",
	    "Evaluate the HELO name on its own and report it as smtp.helo."),
	NUMBER("spf.void_lookup_limit", spf_void_limit, 0, "2", 0, 100,
	    "Queries without an answer that one evaluation may make before the result is permerror (RFC 7208 section 4.6.4)."),
	BOOL("spf.received_header", spf_received_header, 0, "no",
	    "Also write a Received-SPF field (RFC 7208 section 9.1)."),

	/* ---- resolver ---- */
	LIST("resolver.forward", resolver_forward, CF_COMMAS, "", conf_check_forward, "ADDRESS[@PORT], ...",
	    "Resolvers that answer all questions. "
	    "Empty: those of resolver.resolvconf."),
	TEXT("resolver.resolvconf", resolver_resolvconf, 0, "/etc/resolv.conf", conf_check_path, "PATH",
	    "The system's list of resolvers; used when resolver.forward is empty and resolver.recursive is no."),
	BOOL("resolver.recursive", resolver_recursive, 0, "no",
	    "Ask the authoritative servers from the root down instead of any resolver."),
	TIME_MS("resolver.deadline", resolver_deadline, 0, "20s", 100, 600000,
	    "How long all DNS questions of one message may take together; what is unanswered then is temperror. "
	    "Keep it below the time that the MTA waits for a milter (Postfix: milter_command_timeout, 30s)."),
	NUMBER("resolver.max_questions", resolver_max_questions, 0, "250", 10, 10000,
	    "DNS questions that one message may cause."),
	TEXT("resolver.trust_anchor", resolver_trust_anchor, 0, "", conf_check_path, "PATH",
	    "File with DS or DNSKEY records of the root; answers are then validated (DNSSEC). "
	    "Empty: no validation."),
	TEXT("resolver.zone", resolver_zone, 0, "", conf_check_path, "PATH",
	    "File of fixed answers that are looked at before any question is sent: pins, tests, demonstration. "
	    "Empty: none."),

	/* ---- syslog, log ---- */
	TEXT("syslog.ident", syslog_ident, CF_ENMA, "enma", conf_check_ident, "WORD",
	    "The name in front of every line."),
	WORD("syslog.facility", syslog_facility, int, CF_ENMA, "local4", facilities, "auth | daemon | mail | user | local0 ... local7 | ...",
	    "The facility of syslog(3)."),
	WORD("syslog.logmask", syslog_logmask, int, CF_ENMA, "info", severities, "debug | info | notice | warning | err | crit | alert | emerg",
	    "The least severity that is logged, whatever the target."),
	TEXT("log.target", log_target, 0, "auto", conf_check_log_target, "auto | syslog | stderr | stdout | file:PATH",
	    "Where lines go. "
	    "auto is standard error in the foreground and syslog otherwise. "
	    "A file is opened again on SIGUSR1, for rotation."),
	WORD("log.style", log_style, enum conf_log_style, 0, "kv", log_styles, "kv | enma | json",
	    "The line of a message: key=value words, lines as ENMA 1.2 wrote them, or one JSON object."),

	/* ---- worker ---- */
	NUMBER("worker.count", worker_count, 0, "0", 0, 256,
	    "Worker processes for each milter.socket. "
	    "0: as many as processors, at least 2 and at most 16."),
	NUMBER("worker.max_sessions", worker_max_sessions, 0, "1000", 1, 100000,
	    "SMTP sessions that one worker serves at once; more are answered by worker.on_overload."),
	WORD("worker.on_overload", worker_on_overload, enum conf_on_trouble, 0, "tempfail", on_overload, "tempfail | accept",
	    "What a session gets that no worker has room for: a temporary failure, or mail without a result."),
	WORD("worker.on_internal_error", worker_on_internal_error, enum conf_on_trouble, 0, "accept", on_trouble, "accept | tempfail | reject",
	    "What a message gets when enma itself fails. "
	    "accept reports temperror."),
	TIME_S("worker.drain_timeout", worker_drain_timeout, 0, "5m", 1, 86400,
	    "How long a worker that is replaced or stopped may finish its SMTP sessions."),
	NUMBER("worker.retire_sessions", worker_retire_sessions, 0, "0", 0, 1000000000,
	    "Replace a worker after about so many sessions. "
	    "0: never."),
	SIZE("worker.max_rss", worker_max_rss, 0, "0", 0, (int64_t)1 << TIB_BITS,
	    "Replace a worker whose resident memory grew over this, at least 16m. "
	    "0: never."),
	TIME_S("worker.stuck_timeout", worker_stuck_timeout, 0, "30s", 1, 3600,
	    "A worker that gave no sign of life for so long, or in which a session overran its deadline by so much, counts as stuck "
	    "and is replaced."),

	/* ---- message ---- */
	NUMBER("message.max_headers", message_max_headers, 0, "1000", 10, 100000,
	    "Header fields of one message."),
	SIZE("message.max_header_bytes", message_max_header_bytes, 0, "512k", 4 * KIB, 64 * MIB,
	    "Bytes of all header fields of one message."),
	WORD("message.on_limit", message_on_limit, enum conf_on_trouble, 0, "reject", on_trouble, "reject | tempfail | accept",
	    "What a message gets that is over a limit."),

	/* ---- control ---- */
	TEXT("control.socket", control_socket, CF_RESTART, "unix:/run/enma/control.sock", conf_check_control_socket, "unix:PATH",
	    "Where enmactl talks to the supervisor."),
	MODE("control.mode", control_mode, CF_RESTART, "0660",
	    "Permissions of the control socket."),
	TEXT("control.group", control_group, CF_RESTART, "", conf_check_user_name, "GROUP",
	    "Group of the control socket. "
	    "Empty: the group of milter.user."),

	/* ---- cache ---- */
	BOOL("cache.enabled", cache_enabled, 0, "yes",
	    "Keep DNS answers and results in a file that all workers share and that survives restarts and ordinary reboots. "
	    "Without it each worker remembers only what it has asked itself."),
	TEXT("cache.path", cache_path, 0, "/var/cache/enma/cache", conf_check_path, "PATH",
	    "The cache's files are called PATH.state, PATH.writer, PATH.FORMAT.NUMBER and PATH.FORMAT.NUMBER-lock. "
	    "Their folder is made when it is missing; it belongs to milter.user, and nobody else may write to it."),
	SIZE("cache.size", cache_size, 0, "256m", CONF_CACHE_SIZE_LEAST, (int64_t)4 << TIB_BITS,
	    "How large the cache may become, on disk and in the memory that the system uses for files. "
	    "An entry takes about 300 bytes. "
	    "When it fills up, what would end soonest goes first. "
	    "Another size begins a new, empty file."),
	TIME_S("cache.min_ttl", cache_min_ttl, 0, "5s", 0, 3600,
	    "Answers are kept at least this long, whatever their TTL."),
	TIME_S("cache.max_ttl", cache_max_ttl, 0, "1d", 1, 604800,
	    "Answers are kept at most this long, whatever their TTL."),
	TIME_S("cache.max_negative_ttl", cache_max_negative_ttl, 0, "1h", 1, 86400,
	    "That a name or a record does not exist is kept at most this long (RFC 2308). "
	    "Results are, too."),
	BOOL("cache.serve_stale", cache_serve_stale, 0, "no",
	    "When an answer cannot be had from the servers, or not within 1.8 seconds, use one that has expired (RFC 8767). "
	    "The log says how many (dns_stale=)."),
	TIME_S("cache.stale_ttl", cache_stale_ttl, 0, "1d", 1, 604800,
	    "With cache.serve_stale: for how long after their end answers may still be used."),
	BOOL("cache.results", cache_results, 0, "yes",
	    "Keep results, too: SPF for a client address and domain when it depends on nothing else."),
	BOOL("cache.nxdomain_cut", cache_nxdomain_cut, 0, "no",
	    "When a name does not exist, no name below it does (RFC 8020). "
	    "Some name servers wrongly deny names that have others below them; hence not the default."),

	/* ---- dkim ---- */
	BOOL("dkim.auth", dkim_auth, CF_ENMA, "yes",
	    "Verify DKIM signatures."),
	NUMBER("dkim.signheader_limit", dkim_signheader_limit, CF_ENMA, "10", 0, 100,
	    "DKIM-Signature fields that are verified: first those of the author's domain, then from the top. "
	    "0: as many as possible, 100."),
	BOOL("dkim.accept_expired_signature", dkim_accept_expired_signature, CF_ENMA, "no",
	    "Take signatures that are past their x= time. "
	    "Otherwise their result is policy."),
	BOOL("dkim.accept_future_signature", dkim_accept_future_signature, 0, "no",
	    "Take signatures whose t= time is still to come. "
	    "Otherwise their result is policy."),
	TIME_S("dkim.clock_skew", dkim_clock_skew, 0, "5m", 0, 86400,
	    "How far a signer's clock may differ from ours: x= and t= are taken with this tolerance."),
	NUMBER("dkim.min_rsa_bits", dkim_min_rsa_bits, 0, "1024", 512, 4096,
	    "Signatures with a shorter RSA key have the result policy (RFC 8301 section 3.2)."),
	BOOL("dkim.accept_sha1", dkim_accept_sha1, 0, "no",
	    "Verify signatures with rsa-sha1, too. "
	    "Otherwise their result is policy (RFC 8301 section 3.1)."),
	WORD("dkim.l_tag", dkim_l_tag, enum conf_l_tag, 0, "policy", l_tags, "policy | accept",
	    "What becomes of a good signature whose l= leaves a part of the body unsigned, to which anybody can have added: "
	    "policy (not a pass), or accept."),
	LIST("dkim.must_be_signed", dkim_must_be_signed, CF_COMMAS, "", conf_check_field_name, "NAME, ...",
	    "Header fields that a signature must cover, if the message has them, besides From; otherwise its result is policy. "
	    "For example Subject, To, Date."),
	BOOL("dkim.rfc4871_compatible", dkim_rfc4871_compatible, CF_ENMA, "no",
	    "Heed g= of keys, as RFC 4871 had it and RFC 6376 has not."),

	/* ---- domainkeys ---- */
	BOOL("domainkeys.auth", domainkeys_auth, 0, "no",
	    "Verify DomainKeys signatures, DKIM's predecessor. "
	    "They use rsa-sha1, and keys from 512 bits on are taken (RFC 4870), whatever the settings of DKIM."),

	/* ---- dkimadsp ---- */
	BOOL("dkimadsp.auth", dkimadsp_auth, CF_ENMA, "no",
	    "Evaluate DKIM ADSP. "
	    "Declared historic in 2013; ENMA 1.2 did it by default. "
	    "Needs dkim.auth."),
	BOOL("dkimadsp.atps", dkimadsp_atps, 0, "no",
	    "With dkimadsp.auth: heed signatures of third parties that the author's domain authorizes (ATPS, RFC 6541)."),

	/* ---- accepted, without effect in this version ---- */
	BOOL("sidf.auth", sidf_auth, CF_ENMA | CF_NOT_YET, "yes",
	    "Evaluate Sender ID (RFC 4406)."),
	BOOL("sidf.explog", sidf_explog, CF_ENMA | CF_NOT_YET, "yes",
	    "Log the explanation of a Sender ID fail."),
};
const size_t conf_row_count = ARRAY_LEN(conf_rows);

const struct conf_row *
conf_row_find(struct span name)
{
	size_t i;

	for (i = 0; i < conf_row_count; i++) {
		if (span_eq(name, span_cstr(conf_rows[i].name)))
			return &conf_rows[i];
	}
	return NULL;
}

/* ---- did you mean ---------------------------------------------------------------------------------------- */

enum { GUESS_MAX = 48 };

/* Levenshtein distance without regard to case; both at most GUESS_MAX bytes. */
static unsigned
edit_distance(struct span a, struct span b)
{
	unsigned row[GUESS_MAX + 1], diagonal, above;
	size_t i, j;

	for (j = 0; j <= b.n; j++)
		row[j] = (unsigned)j;
	for (i = 0; i < a.n; i++) {
		diagonal = row[0];
		row[0] = (unsigned)i + 1;
		for (j = 0; j < b.n; j++) {
			above = row[j + 1];
			diagonal += ascii_lower((unsigned char)a.p[i]) != ascii_lower((unsigned char)b.p[j]);
			row[j + 1] = MIN(diagonal, MIN(above, row[j]) + 1);
			diagonal = above;
		}
	}
	return row[b.n];
}

static struct span
last_part(struct span name)
{
	size_t dot = span_rfind(name, '.');

	return dot < name.n ? span_from(name, dot + 1) : name;
}

const struct conf_row *
conf_row_guess(struct span name)
{
	const struct conf_row *best = NULL;
	unsigned least = (unsigned)MAX(name.n / 4, (size_t)2) + 1, d;
	size_t i;

	if (name.n == 0 || name.n > GUESS_MAX)
		return NULL;
	for (i = 0; i < conf_row_count; i++) {
		d = edit_distance(name, span_cstr(conf_rows[i].name));
		if (d < least) {
			least = d;
			best = &conf_rows[i];
		}
	}
	/* The right word under the wrong group ("smtp.socket"), or without one ("socket"). */
	for (i = 0; i < conf_row_count && best == NULL; i++) {
		if (last_part(name).n > 3 && span_eq_nocase(last_part(name), last_part(span_cstr(conf_rows[i].name))))
			best = &conf_rows[i];
	}
	return best;
}
