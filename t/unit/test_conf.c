/* conf: the table, every key, every limit, files and includes, all errors at once. */
#include "t/unit/conf_help.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/wait.h>
#include <syslog.h>

#include "common/base/log.h"
#include "common/conf/conf_check.h"
#include "common/conf/conf_docs.h"
#include "common/conf/conf_dump.h"
#include "common/conf/conf_int.h"

/* ---- the table itself ------------------------------------------------------------------------------------ */

static void
test_defaults(void **state)
{
	struct conf *c;
	char host[256];

	(void)state;
	assert_int_equal(load(NULL, NULL, 0, &c, NULL), RC_OK);
	assert_int_equal(c->milter_socket.n, 1);
	assert_string_equal(c->milter_socket.v[0], "inet:10025@127.0.0.1");
	assert_string_equal(c->milter_user, "");
	assert_string_equal(c->milter_pidfile, "/run/enma/enma.pid");
	assert_string_equal(c->milter_chdir, "/var/tmp");
	assert_string_equal(c->milter_conffile, "");
	assert_int_equal(c->milter_timeout, 7210);
	assert_int_equal(c->milter_loglevel, 0);
	assert_false(c->milter_verbose || c->milter_sendmail813 || c->milter_postfix);
	assert_int_equal(c->milter_backlog, 1024);
	assert_int_equal(c->milter_socket_mode, 0660);
	assert_int_equal(c->milter_handover, CONF_HANDOVER_AUTO);
	assert_string_equal(c->syslog_ident, "enma");
	assert_int_equal(c->syslog_facility, LOG_LOCAL4);
	assert_int_equal(c->syslog_logmask, LOG_INFO);
	assert_string_equal(c->log_target, "auto");
	assert_int_equal(c->log_style, CONF_LOG_KV);
	assert_int_equal(c->exclusion_addresses.n, 2);
	assert_string_equal(c->exclusion_addresses.v[0], "127.0.0.1");
	assert_string_equal(c->exclusion_addresses.v[1], "::1");
	assert_true(c->spf_auth && c->spf_explog && c->spf_check_helo && c->sidf_auth && c->sidf_explog && c->dkim_auth);
	assert_false(c->exclude_authenticated || c->spf_received_header || c->dkim_accept_expired_signature || c->dkim_rfc4871_compatible);
	assert_false(c->dkim_accept_future_signature || c->dkim_accept_sha1 || c->domainkeys_auth || c->dkimadsp_auth || c->dkimadsp_atps);
	assert_int_equal(c->dkim_min_rsa_bits, 1024);
	assert_int_equal(c->dkim_clock_skew, 300);
	assert_int_equal(c->dkim_l_tag, CONF_L_POLICY);
	assert_int_equal(c->dkim_must_be_signed.n, 0);
	assert_int_equal(c->spf_void_limit, 2);
	assert_int_equal(c->dkim_signheader_limit, 10);
	gethostname(host, sizeof host);
	assert_string_equal(conf_identifier(c), host);          /* ENMA 1.2 had localhost */
	assert_false(c->authresult_spf_hardfail);
	assert_int_equal(c->authresult_remove_identifiers.n + c->authresult_remove_fields.n, 0);
	assert_int_equal(c->worker_count, 0);
	assert_int_equal(c->worker_max_sessions, 1000);
	assert_int_equal(c->worker_on_overload, CONF_TEMPFAIL);
	assert_int_equal(c->worker_on_internal_error, CONF_ACCEPT);
	assert_int_equal(c->worker_drain_timeout, 300);
	assert_int_equal(c->worker_retire_sessions, 0);
	assert_int_equal(c->worker_max_rss, 0);
	assert_int_equal(c->worker_stuck_timeout, 30);
	assert_string_equal(c->control_socket, "unix:/run/enma/control.sock");
	assert_int_equal(c->control_mode, 0660);
	assert_int_equal(c->resolver_forward.n, 0);
	assert_string_equal(c->resolver_resolvconf, "/etc/resolv.conf");
	assert_string_equal(c->resolver_zone, "");
	assert_string_equal(c->resolver_trust_anchor, "");
	assert_false(c->resolver_recursive);
	assert_int_equal(c->resolver_deadline, 20000);
	assert_int_equal(c->resolver_max_questions, 250);
	assert_int_equal(c->message_max_headers, 1000);
	assert_int_equal(c->message_max_header_bytes, 512 * KIB);
	assert_int_equal(c->message_on_limit, CONF_REJECT);
	assert_true(c->cache_enabled);
	assert_string_equal(c->cache_path, "/var/cache/enma/cache");
	assert_int_equal(c->cache_size, 256 * MIB);
	assert_int_equal(c->cache_min_ttl, 5);
	assert_int_equal(c->cache_max_ttl, 86400);
	assert_int_equal(c->cache_max_negative_ttl, 3600);
	assert_int_equal(c->cache_stale_ttl, 86400);
	assert_false(c->cache_serve_stale);
	assert_true(c->cache_results);
	assert_false(c->cache_nxdomain_cut);
	conf_destroy(&c);
	assert_null(c);
	conf_destroy(&c);
}

/* The sample file of ENMA 1.2.0 with every value changed; each key has an effect. */
static void
test_keys_of_enma(void **state)
{
	static const char text[] =
	    "milter.user: daemon\n"
	    "milter.pidfile: /var/run/enma/other.pid\n"
	    "milter.chdir: /var/spool\n"
	    "milter.socket: inet:10026@127.0.0.1\n"
	    "milter.timeout: 1800\n"
	    "milter.loglevel: 3\n"
	    "milter.sendmail813: true\n"
	    "milter.postfix: true\n"
	    "milter.verbose: true\n"
	    "syslog.ident: enma-mx\n"
	    "syslog.facility: mail\n"
	    "syslog.logmask: debug\n"
	    "common.exclusion_addresses: 127.0.0.1,::1,192.0.2.0/24\n"
	    "spf.auth: false\n"
	    "spf.explog: false\n"
	    "sidf.auth: false\n"
	    "sidf.explog: false\n"
	    "dkim.auth: false\n"
	    "dkim.signheader_limit: 5\n"
	    "dkim.accept_expired_signature: true\n"
	    "dkim.rfc4871_compatible: true\n"
	    "dkimadsp.auth: false\n"
	    "authresult.identifier: mx.example.org\n";
	char *over = xasprintf("milter.conffile=%s", put("enma.conf", text));
	const char *const overrides[] = { over };
	struct conf *c;
	size_t i, n = 0;

	(void)state;
	assert_int_equal(load("", overrides, 1, &c, NULL), RC_OK);
	assert_string_equal(c->milter_conffile, path_of("enma.conf"));
	assert_string_equal(c->milter_user, "daemon");
	assert_string_equal(c->milter_pidfile, "/var/run/enma/other.pid");
	assert_string_equal(c->milter_chdir, "/var/spool");
	assert_int_equal(c->milter_socket.n, 1);
	assert_string_equal(c->milter_socket.v[0], "inet:10026@127.0.0.1");
	assert_int_equal(c->milter_timeout, 1800);
	assert_int_equal(c->milter_loglevel, 3);
	assert_true(c->milter_sendmail813);
	assert_true(c->milter_postfix);
	assert_true(c->milter_verbose);
	assert_string_equal(c->syslog_ident, "enma-mx");
	assert_int_equal(c->syslog_facility, LOG_MAIL);
	assert_int_equal(c->syslog_logmask, LOG_DEBUG);
	assert_int_equal(c->exclusion_addresses.n, 3);
	assert_string_equal(c->exclusion_addresses.v[2], "192.0.2.0/24");
	assert_false(c->spf_auth);
	assert_false(c->spf_explog);
	assert_false(c->sidf_auth);
	assert_false(c->sidf_explog);
	assert_false(c->dkim_auth);
	assert_int_equal(c->dkim_signheader_limit, 5);
	assert_true(c->dkim_accept_expired_signature);
	assert_true(c->dkim_rfc4871_compatible);
	assert_false(c->dkimadsp_auth);
	assert_string_equal(c->authresult_identifier, "mx.example.org");
	for (i = 0; i < conf_row_count; i++)
		n += (conf_rows[i].flags & CF_ENMA) != 0;
	assert_int_equal(n, 24);
	conf_destroy(&c);
	free(over);
}

static void
test_table_is_sound(void **state)
{
	size_t r, s, g, in;

	(void)state;
	for (r = 0; r < conf_row_count; r++) {
		const struct conf_row *row = &conf_rows[r];
		size_t help = strlen(row->help);

		assert_ptr_equal(conf_row_find(span_cstr(row->name)), row);
		assert_true(help > 10 && row->help[help - 1] == '.' && row->help[0] != ' ' && row->syntax[0] != '\0');
		for (s = 0; s < r; s++)
			assert_string_not_equal(row->name, conf_rows[s].name);
		for (s = 0; s < r; s++)         /* two rows on one field */
			assert_int_not_equal(row->offset, conf_rows[s].offset);
		for (g = in = 0; g < conf_group_count; g++)
			in += span_starts(span_cstr(row->name), span_cstr(conf_groups[g].prefix));
		if (in != 1)
			fail_msg("%s is in %zu groups", row->name, in);
	}
}

/* ---- values ---------------------------------------------------------------------------------------------- */

/* -o key=value; the messages, or NULL when it is accepted. */
static const char *
try(const char *key, const char *value, struct conf **c_out)
{
	char *text = xasprintf("%s=%s", key, value);
	const char *overrides[] = { text }, *messages;
	struct conf *c;
	enum rc rc = load(NULL, overrides, 1, &c, &messages);

	if (c_out != NULL)
		*c_out = c;
	else
		conf_destroy(&c);
	free(text);
	return rc == RC_OK ? NULL : messages;
}

static void
number_text(const struct conf_row *row, int64_t v, char out[64])
{
	snprintf(out, 64, row->type == CT_MODE ? "%lo" : row->type == CT_TIME_MS ? "%ldms" : "%ld", (long)v);
}

/* Every number, size, time and mode: at both ends of its range, and one past. */
static void
test_every_range(void **state)
{
	size_t r, tested = 0;
	char text[64];

	(void)state;
	for (r = 0; r < conf_row_count; r++) {
		const struct conf_row *row = &conf_rows[r];
		struct conf *c;
		int64_t ends[2] = { row->lo, row->hi };
		size_t e;

		if (row->type != CT_NUMBER && row->type != CT_SIZE && row->type != CT_TIME_S && row->type != CT_TIME_MS && row->type != CT_MODE)
			continue;
		tested++;
		for (e = 0; e < 2; e++) {
			const char *messages;

			if (strcmp(row->name, "worker.max_rss") == 0 && e == 0)
				ends[e] = 16 * MIB;
			if (span_starts(span_cstr(row->name), SPAN("cache.max_")) && e == 0)
				ends[e] = 5;            /* cache.min_ttl; below it: test_cache_rules() */
			number_text(row, ends[e], text);
			messages = try(row->name, text, &c);
			if (messages != NULL)
				fail_msg("%s", messages);
			assert_int_equal(*(int64_t *)conf_field(c, row), ends[e]);
			conf_destroy(&c);
		}
		number_text(row, row->hi + 1, text);
		assert_contains(try(row->name, text, NULL), "is out of range; allowed: ");
		if (row->lo > 0) {
			number_text(row, row->lo - 1, text);
			assert_contains(try(row->name, text, NULL), "is out of range; allowed: ");
		}
		assert_contains(try(row->name, "", NULL), " is not a");
		assert_contains(try(row->name, "-1", NULL), " is not a");
		assert_contains(try(row->name, "9x", NULL), " is not a");
		assert_contains(try(row->name, "18446744073709551616", NULL), " is not a");
	}
	assert_in_range(tested, 15, 40);
}

static void
test_units(void **state)
{
	static const struct { const char *key, *text; int64_t want; } rows[] = {
		{ "worker.drain_timeout", "90", 90 }, { "worker.drain_timeout", "90s", 90 }, { "worker.drain_timeout", "2M", 120 },
		{ "worker.drain_timeout", "3 h", 10800 }, { "worker.drain_timeout", "1d", 86400 }, { "milter.timeout", "007", 7 },
		{ "resolver.deadline", "1500ms", 1500 }, { "resolver.deadline", "20", 20000 }, { "resolver.deadline", "20s", 20000 },
		{ "resolver.deadline", "1m", 60000 },
		{ "message.max_header_bytes", "8192", 8192 }, { "message.max_header_bytes", "8k", 8192 },
		{ "message.max_header_bytes", "1M", 1048576 }, { "worker.max_rss", "2g", 2147483648 },
		{ "milter.socket_mode", "600", 0600 }, { "milter.socket_mode", "0777", 0777 },
		{ "worker.drain_timeout", "1500ms", -1 }, { "worker.drain_timeout", "1.5h", -1 }, { "worker.drain_timeout", "s", -1 },
		{ "worker.drain_timeout", "1h30m", -1 }, { "worker.drain_timeout", "9223372036854775807d", -1 },
		{ "worker.drain_timeout", "9223372036854775808", -1 }, { "message.max_header_bytes", "8kb", -1 },
		{ "milter.socket_mode", "0888", -1 }, { "milter.socket_mode", "1000", -1 }, { "worker.count", "2k", -1 },
		{ "worker.count", "+2", -1 }, { "worker.count", "0x2", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *c;
		const char *messages = try(rows[i].key, rows[i].text, &c);

		if ((messages == NULL) != (rows[i].want >= 0))
			fail_msg("%s=%s: %s", rows[i].key, rows[i].text, messages ? messages : "accepted");
		if (c != NULL)
			assert_int_equal(*(int64_t *)conf_field(c, conf_row_find(span_cstr(rows[i].key))), rows[i].want);
		conf_destroy(&c);
	}
}

static void
test_words(void **state)
{
	static const char *const yes[] = { "yes", "true", "on", "1", "YES", "True", "oN" }, *const no[] = { "no", "false", "off", "0", "No", "OFF" };
	static const char *const neither[] = { "", "y", "n", "2", "yes please", "enabled", "-1" };
	static const struct { const char *name; int value; } masks[] = {
		{ "debug", LOG_DEBUG }, { "info", LOG_INFO }, { "notice", LOG_NOTICE }, { "warning", LOG_WARNING }, { "warn", LOG_WARNING },
		{ "err", LOG_ERR }, { "error", LOG_ERR }, { "crit", LOG_CRIT }, { "alert", LOG_ALERT }, { "emerg", LOG_EMERG }, { "INFO", LOG_INFO },
	}, facilities[] = {
		{ "auth", LOG_AUTH }, { "authpriv", LOG_AUTHPRIV }, { "cron", LOG_CRON }, { "daemon", LOG_DAEMON }, { "ftp", LOG_FTP },
		{ "kern", LOG_KERN }, { "lpr", LOG_LPR }, { "mail", LOG_MAIL }, { "news", LOG_NEWS }, { "syslog", LOG_SYSLOG },
		{ "user", LOG_USER }, { "uucp", LOG_UUCP }, { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
		{ "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 }, { "local6", LOG_LOCAL6 }, { "Local7", LOG_LOCAL7 },
	};
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(yes); i++) {
		assert_null(try("spf.received_header", yes[i], &c));
		assert_true(c->spf_received_header);
		conf_destroy(&c);
	}
	for (i = 0; i < ARRAY_LEN(no); i++) {
		assert_null(try("spf.auth", no[i], &c));
		assert_false(c->spf_auth);
		conf_destroy(&c);
	}
	for (i = 0; i < ARRAY_LEN(neither); i++)
		assert_contains(try("spf.auth", neither[i], NULL), "is not one of yes, no, true, false, on, off, 1, 0");
	for (i = 0; i < ARRAY_LEN(masks); i++) {
		assert_null(try("syslog.logmask", masks[i].name, &c));
		assert_int_equal(c->syslog_logmask, masks[i].value);
		conf_destroy(&c);
	}
	for (i = 0; i < ARRAY_LEN(facilities); i++) {
		assert_null(try("syslog.facility", facilities[i].name, &c));
		assert_int_equal(c->syslog_facility, facilities[i].value);
		conf_destroy(&c);
	}
	assert_contains(try("syslog.facility", "local8", NULL), "local7");
	assert_contains(try("log.style", "xml", NULL), "kv, enma, json");
	assert_contains(try("worker.on_overload", "reject", NULL), "tempfail, accept");
	assert_null(try("worker.on_internal_error", "reject", &c));
	assert_int_equal(c->worker_on_internal_error, CONF_REJECT);
	conf_destroy(&c);
	assert_null(try("message.on_limit", "accept", &c));
	assert_int_equal(c->message_on_limit, CONF_ACCEPT);
	conf_destroy(&c);
	assert_null(try("milter.handover", "dup", &c));
	assert_int_equal(c->milter_handover, CONF_HANDOVER_DUP);
	conf_destroy(&c);
	assert_null(try("log.style", "json", &c));
	assert_int_equal(c->log_style, CONF_LOG_JSON);
	conf_destroy(&c);
}

static void
test_text_checks(void **state)
{
	static const struct { const char *key, *value, *reason; } rows[] = {
		{ "milter.user", "", NULL }, { "milter.user", "daemon", NULL }, { "milter.user", "enma:postfix", NULL }, { "milter.user", "1000:1000", NULL },
		{ "milter.user", "a b", "USER or USER:GROUP" }, { "milter.user", ":mail", "USER" }, { "milter.user", "enma:", "USER" }, { "milter.user", "a:b:c", "USER" },
		{ "milter.socket_owner", "enma", NULL }, { "milter.socket_group", "a/b", "not the name" }, { "control.group", "", NULL },
		{ "milter.pidfile", "", NULL }, { "milter.pidfile", "enma.pid", "absolute" }, { "milter.chdir", "tmp", "absolute" },
		{ "resolver.zone", "zone", "absolute" }, { "resolver.trust_anchor", "/etc/root.key", NULL }, { "cache.path", "cache", "absolute" },
		{ "authresult.identifier", "mx.example.org", NULL }, { "authresult.identifier", "b\xc3\xbc" "cher.example", NULL },
		{ "authresult.identifier", "mx example", "not a domain name" }, { "authresult.identifier", "a;b", "not a domain name" },
		{ "authresult.identifier", "192.0.2.1", "not a domain name" },
		{ "authresult.remove_identifiers", "a.example, b.example", NULL }, { "authresult.remove_identifiers", "a.example, b..example", "b..example" },
		{ "authresult.remove_fields", "X-Authentication-Results, X-Spf", NULL }, { "authresult.remove_fields", "X-Spf:", "without a colon" },
		{ "authresult.remove_fields", "X Spf", "header field" },
		{ "common.exclusion_addresses", "", NULL }, { "common.exclusion_addresses", "192.0.2.0/24, 2001:db8::/32,,::1-::7", NULL },
		{ "common.exclusion_addresses", "/etc/enma/excluded", NULL }, { "common.exclusion_addresses", "192.0.2.0/33", "\"192.0.2.0/33\"" },
		{ "common.exclusion_addresses", "mail.example.org", "not an address" }, { "common.exclusion_addresses", "192.0.2.9-192.0.2.1", "backwards" },
		{ "resolver.forward", "127.0.0.1", NULL }, { "resolver.forward", "127.0.0.1@5353, ::1@53", NULL }, { "resolver.forward", "::1", NULL },
		{ "resolver.forward", "127.0.0.1:53", "ADDRESS@PORT" }, { "resolver.forward", "localhost", "ADDRESS" }, { "resolver.forward", "127.0.0.1@", "port" },
		{ "resolver.forward", "127.0.0.1@0", "1 to 65535" }, { "resolver.forward", "127.0.0.1@65535", NULL }, { "resolver.forward", "127.0.0.1@65536", "1 to 65535" },
		{ "syslog.ident", "enma-2", NULL }, { "syslog.ident", "", "1 to 63" }, { "syslog.ident", "a b", "one word" }, { "syslog.ident", "a[1]", "one word" },
		{ "log.target", "syslog", NULL }, { "log.target", "file:/var/log/enma.log", NULL }, { "log.target", "file:enma.log", "absolute" },
		{ "log.target", "/var/log/enma.log", "file:/PATH" }, { "log.target", "", "auto" },
		{ "control.socket", "unix:/run/x", NULL }, { "control.socket", "local:/run/x", NULL }, { "control.socket", "unix:x", "absolute" },
		{ "control.socket", "inet:1@127.0.0.1", "absolute" }, { "control.socket", "unix:/run/x perm=0600", "control.mode" },
		{ "milter.socket", "unix:/run/x perm=0600", NULL }, { "milter.socket", "10025", "inet:PORT" }, { "milter.socket", "", "is empty" },
	};
	char long_name[80];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		const char *messages = try(rows[i].key, rows[i].value, NULL);

		if ((messages == NULL) != (rows[i].reason == NULL))
			fail_msg("%s=%s: %s", rows[i].key, rows[i].value, messages ? messages : "accepted");
		if (messages != NULL) {
			assert_contains(messages, rows[i].reason);
			assert_contains(messages, "command line: ");
			assert_contains(messages, rows[i].key);
		}
	}
	memset(long_name, 'x', sizeof long_name);
	long_name[76] = '\0';
	assert_null(try("authresult.remove_fields", long_name, NULL));
	long_name[76] = 'x';
	long_name[77] = '\0';
	assert_contains(try("authresult.remove_fields", long_name, NULL), "more than 76");
	long_name[63] = '\0';
	assert_null(try("syslog.ident", long_name, NULL));
	assert_null(try("milter.user", long_name, NULL));
	long_name[63] = 'x';
	long_name[64] = '\0';
	assert_contains(try("syslog.ident", long_name, NULL), "1 to 63");
	assert_contains(try("milter.user", long_name, NULL), "USER");
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void
test_syntax(void **state)
{
	struct conf *c = load_text("\xef\xbb\xbf# a comment\r\n\r\n  milter.timeout :  60  \r\n\tspf.auth:no\n"
	    "#spf.explog: no\ncommon.exclusion_addresses:\nlog.target: file:/var/log/a:b\nsyslog.ident: last-line");

	(void)state;
	assert_int_equal(c->milter_timeout, 60);
	assert_false(c->spf_auth);
	assert_true(c->spf_explog);
	assert_int_equal(c->exclusion_addresses.n, 0);          /* nobody is excluded */
	assert_string_equal(c->log_target, "file:/var/log/a:b");
	assert_string_equal(c->syslog_ident, "last-line");
	conf_destroy(&c);
	c = load_text("");
	conf_destroy(&c);
	c = load_text("\n\n#\n");
	conf_destroy(&c);
}

static void
test_all_errors_at_once(void **state)
{
	static const char text[] =
	    "milter.sokcet: inet:1@127.0.0.1\n"                 /* 1 */
	    "\n"
	    "spf.auth: perhaps\n"                               /* 3 */
	    "milter.timeout = 60\n"                             /* 4 */
	    "milter.backlog: 0\n"                               /* 5 */
	    "include: sub/part.conf\n"                          /* 6 */
	    "syslog.ident: ok\n"
	    "no.such.setting.at.all: 1\n"                       /* 8 */
	    ": x\n"                                             /* 9 */
	    "worker.max_rss: 1m\n";                             /* 10 */
	const char *m, *const overrides[] = { "spf.auth=yes", "bad", "include=/x", "worker.count=many" };
	struct conf *c;

	(void)state;
	mkdir(path_of("sub"), 0755);
	put("sub/part.conf", "#\nlog.style: poem\n");
	assert_int_equal(load(put("many.conf", text), overrides, ARRAY_LEN(overrides), &c, &m), RC_SYNTAX);
	assert_contains(m, "many.conf:1: unknown key \"milter.sokcet\"; did you mean \"milter.socket\"?\n");
	assert_contains(m, "many.conf:3: spf.auth: \"perhaps\" is not one of");
	assert_contains(m, "many.conf:4: no ':' in \"milter.timeout = 60\"; a setting is \"key: value\"\n");
	assert_contains(m, "many.conf:5: milter.backlog: \"0\" is out of range; allowed: 1 to 65535\n");
	assert_contains(m, "sub/part.conf:2: log.style: \"poem\" is not one of kv, enma, json\n");
	assert_contains(m, "many.conf:8: unknown key \"no.such.setting.at.all\"; enma.conf(5)");
	assert_contains(m, "many.conf:9: unknown key \"\"");
	assert_contains(m, "many.conf:10: worker.max_rss: below 16m");
	assert_contains(m, "command line: -o \"bad\": want KEY=VALUE\n");
	assert_contains(m, "command line: -o include: ");
	assert_contains(m, "command line: worker.count: \"many\" is not a number from 0 to 256\n");
	assert_null(strstr(m, "syslog.ident"));
}

static void
test_did_you_mean(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "milter.scoket", "milter.socket" }, { "Milter.Socket", "milter.socket" }, { "milter_socket", "milter.socket" },
		{ "milter.pid", NULL }, { "milter.pidfiel", "milter.pidfile" }, { "spf.void_limit", NULL }, { "spf.void_lookups_limit", "spf.void_lookup_limit" },
		{ "common.exclusion_address", "common.exclusion_addresses" }, { "authresults.identifier", "authresult.identifier" },
		{ "identifier", "authresult.identifier" }, { "log.ident", "syslog.ident" }, { "dns.deadline", "resolver.deadline" },
		{ "", NULL }, { "x", NULL }, { "quite.different", NULL },
		{ "milter.socketmilter.socketmilter.socketmilter.soc", NULL },          /* 48 and 49 bytes: the longest that is compared */
		{ "milter.socketmilter.socketmilter.socketmilter.sock", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in);
		const struct conf_row *row = conf_row_guess(s);

		exact_free(s);
		if (strcmp(row ? row->name : "nothing", rows[i].want ? rows[i].want : "nothing") != 0)
			fail_msg("%s: %s", rows[i].in, row ? row->name : "nothing");
	}
}

static void
test_line_limits(void **state)
{
	char *text = xmalloc(CONF_LINE_MAX + 100);
	size_t head = strlen("log.target: file:/");
	const char *m;
	struct conf *c;

	(void)state;
	memset(text, 'x', CONF_LINE_MAX + 100);
	memcpy(text, "log.target: file:/", head);
	text[CONF_LINE_MAX] = '\0';
	c = load_text(text);
	assert_int_equal(strlen(c->log_target), CONF_LINE_MAX - strlen("log.target: "));
	conf_destroy(&c);
	text[CONF_LINE_MAX] = 'x';
	text[CONF_LINE_MAX + 1] = '\0';
	assert_contains(load_bad(text), "bad.conf:1: the line has 65537 bytes; at most 65536 are allowed");
	free(text);
	assert_int_equal(load(put_n("nul.conf", "#\nspf.auth: y\0es\n", 17), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "nul.conf:2: NUL byte in the line");
	assert_contains(load_bad("syslog.ident: a\x01z\n"), "bad.conf:1: syslog.ident: control character in the value");
	/* Also inside the reason of another module. */
	assert_int_equal(load(put("tab.conf", "include: /none/a\tb\n"), NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "tab.conf:1: include: cannot read /none/a?b: ");
	assert_contains(load_bad("spf\x1b[2J.auth: no\n"), "unknown key \"spf\\x1b[2J.auth\"");
	assert_contains(try("log.target", "file:/a\nspf.auth: no", NULL), "control character");
}

static void
test_error_limits(void **state)
{
	struct buf b = buf_heap(MIB);
	struct conf_errors errors;
	struct conf *c;
	size_t n, i;

	(void)state;
	for (n = CONF_ERRORS_MAX; n <= CONF_ERRORS_MAX + 1; n++) {
		buf_clear(&b);
		buf_str(&b, "authresult.identifier: mx.example.org\n");
		for (i = 0; i < n; i++)
			buf_str(&b, "x: y\n");
		assert_int_equal(conf_load(put("limit.conf", buf_text(&b).p), NULL, 0, &c, &errors), RC_SYNTAX);
		assert_int_equal(errors.n, CONF_ERRORS_MAX);
		assert_int_equal(errors.left_out, n - CONF_ERRORS_MAX);
		conf_errors_fini(&errors);
	}
	/* Warnings never hide an error. */
	buf_clear(&b);
	for (i = 0; i < CONF_ERRORS_MAX + 10; i++)
		buf_str(&b, "spf.auth: yes\n");
	buf_str(&b, "x: y\n");
	assert_int_equal(conf_load(put("limit.conf", buf_text(&b).p), NULL, 0, &c, &errors), RC_SYNTAX);
	assert_int_equal(errors.n, CONF_ERRORS_MAX);
	assert_contains(messages_of(&errors), "unknown key \"x\"");
	conf_errors_fini(&errors);
	buf_fini(&b);
}

static void
test_files_that_cannot_be_read(void **state)
{
	char *big = path_of("big.conf");
	const char *m;
	struct conf *c;
	int fd;

	(void)state;
	assert_int_equal(load(path_of("missing.conf"), NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "cannot read missing.conf: No such file");
	assert_int_equal(load(path_of("nowhere/x.conf"), NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "nowhere: No such file");
	assert_int_equal(load(folder, NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "is a directory, not a file");
	fd = open(big, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
	assert_int_equal(load(big, NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "big.conf is larger than the limit of 67108864 bytes");
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	/* Together with other errors, and with the line of the include. */
	assert_int_equal(load(put("inc.conf", "x: y\ninclude: missing.conf\n"), NULL, 0, &c, &m), RC_TEMP);
	assert_contains(m, "inc.conf:1: unknown key");
	assert_contains(m, "inc.conf:2: include: cannot read missing.conf: No such file");
	assert_int_equal(load("/dev/null", NULL, 0, &c, &m), RC_OK);
	conf_destroy(&c);
}

static void
as_nobody(const char *path)
{
	struct conf_errors errors;
	struct conf *c;

	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		_exit(10);
	if (conf_load(path, NULL, 0, &c, &errors) != RC_TEMP)
		_exit(11);
	_exit(strstr(messages_of(&errors), "may not enter the directory closed (mode 0000") == NULL ? 12 : 0);
}

static void
test_denied(void **state)
{
	char *path;
	int status;
	pid_t pid;

	(void)state;
	mkdir(path_of("closed"), 0755);
	path = put("closed/x.conf", "spf.auth: yes\n");
	assert_int_equal(chmod(path_of("closed"), 0), 0);
	pid = fork();
	if (pid == 0)
		as_nobody(path);
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- include --------------------------------------------------------------------------------------------- */

static void
test_include(void **state)
{
	const char *m;
	struct conf *c;

	(void)state;
	mkdir(path_of("conf.d"), 0755);
	mkdir(path_of("we[i]rd"), 0755);
	put("conf.d/10.conf", "syslog.ident: ten\nmilter.socket: inet:1@127.0.0.1\n");
	put("conf.d/20.conf", "syslog.ident: twenty\nmilter.socket: inet:2@127.0.0.1\n");
	put("conf.d/30.txt", "syslog.ident: thirty\n");
	c = load_text("include: conf.d/*.conf\nmilter.socket: inet:3@127.0.0.1\ninclude: conf.d/none*.conf\n");
	assert_string_equal(c->syslog_ident, "twenty");
	assert_int_equal(c->milter_socket.n, 3);
	assert_string_equal(c->milter_socket.v[0], "inet:1@127.0.0.1");
	assert_string_equal(c->milter_socket.v[2], "inet:3@127.0.0.1");
	conf_destroy(&c);
	/* Relative to the file that includes, whose folder's name is no pattern. */
	put("we[i]rd/a.conf", "include: b*.conf\n");
	put("we[i]rd/b1.conf", "syslog.ident: beside\n");
	c = load_text("include: we[i]rd/a.conf\n");
	conf_destroy(&c);
	assert_int_equal(load(path_of("we[i]rd/a.conf"), NULL, 0, &c, &m), RC_OK);
	assert_string_equal(c->syslog_ident, "beside");
	conf_destroy(&c);
	assert_contains(load_bad("include:\n"), "bad.conf:1: include: a path is missing");
	put("self.conf", "include: self.conf\n");
	assert_int_equal(load(path_of("self.conf"), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "self.conf:1: include: self.conf includes itself");
	put("loop-a.conf", "#\ninclude: loop-b.conf\n");
	put("loop-b.conf", "include: loop-a.conf\n");
	assert_int_equal(load(path_of("loop-a.conf"), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "loop-b.conf:1: include: loop-a.conf includes itself");
	/* A value refers to a part of the same file through another name: still itself. */
	assert_int_equal(symlink("link-a.conf", path_of("link-b.conf")), 0);
	put("link-a.conf", "include: link-b.conf\n");
	assert_int_equal(load(path_of("link-a.conf"), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "includes itself");
}

static void
test_include_limits(void **state)
{
	char name[64], text[256];
	const char *m;
	struct conf *c;
	int i;

	(void)state;
	/* A chain: the main file includes d10, that d9 ...; d1 is ten deep, d0 eleven. */
	for (i = 0; i <= 11; i++) {
		snprintf(name, sizeof name, "d%d.conf", i);
		snprintf(text, sizeof text, i == 0 ? "syslog.ident: deep\n" : "include: d%d.conf\n", i - 1);
		put(name, text);
	}
	assert_int_equal(load(path_of("d10.conf"), NULL, 0, &c, &m), RC_OK);
	assert_string_equal(c->syslog_ident, "deep");
	conf_destroy(&c);
	assert_int_equal(load(path_of("d11.conf"), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "d1.conf:1: include: more than 10 files deep");
	/* A thousand files in all: 999 includes of an empty file are fine. */
	put("empty.conf", "");
	for (i = 999; i <= 1000; i++) {
		struct buf b = buf_heap(MIB);
		int n;

		for (n = 0; n < i; n++)
			buf_str(&b, "include: empty.conf\n");
		assert_int_equal(load(put("wide.conf", buf_text(&b).p), NULL, 0, &c, &m), i == 999 ? RC_OK : RC_SYNTAX);
		if (i == 1000)
			assert_contains(m, "wide.conf:1000: include: more than 1000 files");
		conf_destroy(&c);
		buf_fini(&b);
	}
	/* Two includes in each of ten files would be a thousand files, thirty would never end. */
	for (i = 0; i <= 10; i++) {
		struct buf b = buf_heap(MIB);
		int n;

		snprintf(name, sizeof name, "bomb%d.conf", i);
		for (n = 0; n < 30 && i > 0; n++)
			buf_fmt(&b, "include: bomb%d.conf\n", i - 1);
		put(name, buf_text(&b).p);
		buf_fini(&b);
	}
	assert_int_equal(load(path_of("bomb10.conf"), NULL, 0, &c, &m), RC_SYNTAX);
	assert_contains(m, "more than 1000 files");
}

/* ---- precedence and origins ------------------------------------------------------------------------------ */

static void
test_precedence(void **state)
{
	static const char text[] =
	    "milter.timeout: 60\n"
	    "milter.socket: inet:1@127.0.0.1\n"
	    "milter.socket: inet:2@127.0.0.1\n"
	    "common.exclusion_addresses: 192.0.2.1\n"
	    "common.exclusion_addresses: 192.0.2.2, 192.0.2.3\n"
	    "resolver.forward: 127.0.0.1@5353\n";
	const char *const overrides[] = { "milter.timeout=70", "milter.timeout=80", "milter.socket=inet:3@127.0.0.1", " milter.socket = inet:4@127.0.0.1 ",
		"resolver.forward=" };
	char *path = put("prec.conf", text);
	struct conf *c;

	(void)state;
	assert_int_equal(load(path, NULL, 0, &c, NULL), RC_OK);
	assert_int_equal(c->milter_timeout, 60);
	assert_int_equal(c->milter_socket.n, 2);
	assert_int_equal(c->exclusion_addresses.n, 3);
	assert_string_equal(c->exclusion_addresses.v[2], "192.0.2.3");
	assert_string_equal(c->milter_conffile, path);
	conf_destroy(&c);
	assert_int_equal(load(path, overrides, ARRAY_LEN(overrides), &c, NULL), RC_OK);
	assert_int_equal(c->milter_timeout, 80);
	assert_int_equal(c->milter_socket.n, 2);
	assert_string_equal(c->milter_socket.v[0], "inet:3@127.0.0.1");
	assert_string_equal(c->milter_socket.v[1], "inet:4@127.0.0.1");
	assert_int_equal(c->exclusion_addresses.n, 3);
	assert_int_equal(c->resolver_forward.n, 0);
	conf_destroy(&c);
}

static void
test_path_is_kept_absolute(void **state)
{
	char here[PATH_MAX];
	struct conf *c;

	(void)state;
	put("rel.conf", "syslog.ident: rel\n");
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(load("rel.conf", NULL, 0, &c, NULL), RC_OK);
	assert_string_equal(c->milter_conffile, path_of("rel.conf"));
	assert_string_equal(c->syslog_ident, "rel");
	conf_destroy(&c);
	assert_int_equal(chdir(here), 0);
}

static void
test_warnings(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "spf.auth: yes\nspf.explog: no\n", "" },
		{ "spf.auth: yes\nspf.auth: no\n", "warn.conf:2: warning: spf.auth is set twice; this one counts, not warn.conf:1\n" },
		{ "milter.user: daemon # a user\n", NULL },
		{ "log.target: file:/var/log/x # y\n", "warn.conf:1: warning: log.target: the '#' is part of the value; a comment needs a line of its own\n" },
		{ "milter.conffile: /x\n", "warn.conf:1: warning: milter.conffile has no effect inside a file; use -c, or include:\n" },
		{ "milter.postfix: yes\n", "warn.conf:1: warning: milter.postfix is no longer needed and has no effect\n" },
		{ "milter.sendmail813: no\n", "warn.conf:1: warning: milter.sendmail813 is no longer needed and has no effect\n" },
		{ "sidf.auth: no\n", "warn.conf:1: warning: sidf.auth has no effect in this version\n" },
		{ "dkim.signheader_limit: 3\n", "" },
		{ "cache.path: /tmp/cache\ncache.enabled: no\n", "" },
		{ "resolver.deadline: 29999ms\n", "" },
		{ "resolver.deadline: 30s\n", "warn.conf:1: warning: resolver.deadline: Postfix gives up" },
		{ "resolver.recursive: yes\nresolver.forward: ::1\n", "warn.conf:2: warning: resolver.forward has no effect while" },
		{ "authresult.identifier: localhost\n", "warn.conf:1: warning: authresult.identifier: \"localhost\" is a name that every host has" },
		{ "authresult.identifier: mx\n", "warn.conf:1: warning: authresult.identifier: \"mx\" is not a full domain name" },
		{ "authresult.identifier: b\xc3\xbc" "cher.example\n", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].want == NULL) {
			assert_contains(load_bad(rows[i].text), "USER");
			continue;
		}
		if (rows[i].want[0] == '\0')
			assert_string_equal(warnings_of(rows[i].text), "");
		else
			assert_contains(warnings_of(rows[i].text), rows[i].want);
	}
	assert_null(conf_identifier_trouble("mx.example.org"));
	assert_null(conf_identifier_trouble("mx.example.org."));
	assert_non_null(conf_identifier_trouble("LOCALHOST"));
	assert_non_null(conf_identifier_trouble("localhost.localdomain"));
	assert_non_null(conf_identifier_trouble("a.localhost."));
	assert_non_null(conf_identifier_trouble("mx"));
	assert_non_null(conf_identifier_trouble(""));
	assert_non_null(conf_identifier_trouble("not a name"));
}

static void
test_rules(void **state)
{
	(void)state;
	assert_contains(load_bad("milter.socket: inet:7@127.0.0.1\nmilter.socket: inet:8\nmilter.socket: inet:7\n"),
	    "bad.conf:3: milter.socket: \"inet:7\" is there twice");
	assert_contains(load_bad("milter.socket: unix:/run/a perm=0600\nmilter.socket: local:/run/a\n"), "bad.conf:2: milter.socket: \"local:/run/a\" is there twice");
	assert_contains(load_bad("milter.socket: unix:/run/a\ncontrol.socket: unix:/run/a\n"), "bad.conf:1: milter.socket: \"unix:/run/a\" is also the control.socket");
	assert_contains(load_bad("milter.socket:\n"), "bad.conf:1: milter.socket is empty");
	assert_contains(load_bad("worker.max_rss: 16777215\n"), "bad.conf:1: worker.max_rss: below 16m");
	assert_string_equal(warnings_of("milter.socket: inet:0\nmilter.socket: inet:0\nmilter.socket: inet6:0\nworker.max_rss: 16m\n"), "");
}

static void
test_cache_rules(void **state)
{
	(void)state;
	/* At the limit and one past, from either side. */
	assert_string_equal(warnings_of("cache.max_ttl: 5\ncache.max_negative_ttl: 5\n"), "");
	assert_contains(load_bad("\ncache.max_ttl: 4\n"), "bad.conf:2: cache.max_ttl (4s) is less than cache.min_ttl (5s)\n");
	assert_contains(load_bad("cache.max_negative_ttl: 4\n"), "bad.conf:1: cache.max_negative_ttl (4s) is less than cache.min_ttl (5s)\n");
	assert_string_equal(warnings_of("cache.min_ttl: 1h\n"), "");
	assert_contains(load_bad("cache.max_negative_ttl: 30m\ncache.min_ttl: 1801\n"),
	    "bad.conf:1: cache.max_negative_ttl (1800s) is less than cache.min_ttl (1801s)\n");
	assert_contains(load_bad("cache.max_negative_ttl: 1h\ncache.max_ttl: 59m\ncache.min_ttl: 1h\n"), "bad.conf:2: cache.max_ttl (3540s)");
	assert_string_equal(warnings_of("cache.min_ttl: 0\ncache.max_ttl: 1\ncache.max_negative_ttl: 1\n"), "");
	/* An end of stale answers may wait for its switch; negative answers may outlive others: they are cut to both. */
	assert_string_equal(warnings_of("cache.serve_stale: no\ncache.stale_ttl: 7d\ncache.max_ttl: 10m\n"), "");
	assert_string_equal(warnings_of("cache.size: 16448k\n"), "");
	assert_contains(load_bad("cache.size: 17000000\n"), "bad.conf:1: cache.size is not a multiple of 64k; write 16576k\n");
	assert_contains(load_bad("cache.path:\n"), "bad.conf:1: cache.path is empty; cache.enabled: no turns the cache off");
	assert_string_equal(warnings_of("cache.path:\ncache.enabled: no\n"), "");
	assert_contains(load_bad("cache.path: /var/cache/enma/\n"), "such as /var/cache/enma/cache\n");
}

static void
test_cache_path_limit(void **state)
{
	char path[1024];
	const char *messages;

	(void)state;
	memset(path, 'a', sizeof path);
	path[0] = '/';
	path[900] = '\0';
	messages = try("cache.path", path, NULL);
	if (messages != NULL)
		fail_msg("%s", messages);
	path[900] = 'a';
	path[901] = '\0';
	assert_contains(try("cache.path", path, NULL), "cache.path has more than 900 bytes");
}

/* ---- dumps ----------------------------------------------------------------------------------------------- */

static void
test_dump(void **state)
{
	static const char text[] =
	    "authresult.identifier: mx.example.org\nmilter.socket: inet:1@127.0.0.1\n\nmilter.socket: unix:/run/a perm=0600\n"
	    "common.exclusion_addresses:\nworker.drain_timeout: 600\nresolver.deadline: 1500ms\nmessage.max_header_bytes: 1048576\n"
	    "milter.socket_mode: 600\nsyslog.logmask: warn\nauthresult.remove_identifiers: a.example\nauthresult.remove_identifiers: b.example\n";
	const char *const overrides[] = { "spf.auth=off" };
	struct buf b = buf_heap(MIB), again = buf_heap(MIB);
	struct conf *c, *d;
	const char *m;

	(void)state;
	assert_int_equal(load(put("dump.conf", text), overrides, 1, &c, NULL), RC_OK);
	conf_dump_table(c, &b);
	m = buf_text(&b).p;
	assert_contains(m, "\nspf.auth\tno\tyes\tcommand line\n");
	assert_contains(m, "\nspf.explog\tyes\tyes\tdefault\n");
	assert_contains(m, "milter.socket\tinet:1@127.0.0.1\tinet:10025@127.0.0.1\t");
	assert_contains(m, "dump.conf:2\nmilter.socket\tunix:/run/a perm=0600\t");
	assert_contains(m, "dump.conf:4\n");
	assert_contains(m, "common.exclusion_addresses\t\t127.0.0.1,::1\t");
	assert_contains(m, "worker.drain_timeout\t10m\t5m\t");
	assert_contains(m, "resolver.deadline\t1500ms\t20s\t");
	assert_contains(m, "message.max_header_bytes\t1m\t512k\t");
	assert_contains(m, "milter.socket_mode\t0600\t0660\t");
	assert_contains(m, "syslog.logmask\twarning\tinfo\t");
	assert_contains(m, "milter.timeout\t7210s\t7210\tdefault\n");
	buf_clear(&b);

	/* The text is a file that means the same. */
	conf_dump_text(c, &b);
	assert_contains(buf_text(&b).p, "dump.conf:2; default: inet:10025@127.0.0.1\nmilter.socket: inet:1@127.0.0.1\nmilter.socket: unix:/run/a perm=0600\n");
	assert_contains(buf_text(&b).p, "# command line; default: yes\nspf.auth: no\n");
	d = load_text(buf_text(&b).p);
	{
		struct buf x = buf_heap(MIB), y = buf_heap(MIB);
		size_t r, i;

		for (r = 0; r < conf_row_count; r++) {
			if (strcmp(conf_rows[r].name, "milter.conffile") == 0)
				continue;
			assert_int_equal(conf_value_count(c, &conf_rows[r]), conf_value_count(d, &conf_rows[r]));
			for (i = 0; i < conf_value_count(c, &conf_rows[r]); i++) {
				conf_value_print(c, &conf_rows[r], i, &x);
				conf_value_print(d, &conf_rows[r], i, &y);
			}
		}
		assert_string_equal(buf_text(&x).p, buf_text(&y).p);
		buf_fini(&x);
		buf_fini(&y);
	}
	/* What needs a restart. */
	conf_dump_restarts(c, d, &again);
	assert_string_equal(buf_text(&again).p, "milter.conffile");
	conf_destroy(&d);
	buf_clear(&again);
	d = load_text("control.mode: 0600\nmilter.user: nobody\nspf.auth: no\nmilter.backlog: 7\n");
	conf_dump_restarts(c, d, &again);
	assert_string_equal(buf_text(&again).p, "milter.user, milter.conffile, control.mode");
	conf_destroy(&c);
	conf_destroy(&d);
	buf_fini(&b);
	buf_fini(&again);
}

/* The sample as it is changes nothing; with every '#' of a setting removed, it is still accepted. */
static void
test_sample(void **state)
{
	struct buf sample = buf_heap(MIB), bare = buf_heap(MIB);
	struct span rest, line;
	struct conf_errors errors;
	struct conf *c;
	size_t r, settings = 0;

	(void)state;
	conf_docs_sample(&sample);
	c = load_text(buf_text(&sample).p);
	for (r = 0; r < conf_row_count; r++)
		assert_false(conf_is_set(c, &conf_rows[r]) && strcmp(conf_rows[r].name, "milter.conffile") != 0);
	conf_destroy(&c);
	rest = buf_text(&sample);
	while (span_split(&rest, '\n', &line)) {
		size_t colon = span_find(line, ':');

		assert_true(line.n <= 100);
		if (line.n < 2 || line.p[0] != '#' || colon == line.n || conf_row_find(span_sub(line, 1, colon - 1)) == NULL)
			continue;
		settings++;
		buf_span(&bare, span_from(line, 1));
		buf_byte(&bare, '\n');
	}
	assert_true(settings >= conf_row_count);
	/* The lines at its top appear again below, so the socket is there twice; nothing else is wrong. */
	assert_int_equal(conf_load(put("bare.conf", buf_text(&bare).p), NULL, 0, &c, &errors), RC_SYNTAX);
	for (r = 0; r < errors.n; r++) {
		if (!errors.v[r].is_warning)
			assert_contains(errors.v[r].text, "milter.socket: \"inet:10025@127.0.0.1\" is there twice");
	}
	conf_errors_fini(&errors);
	buf_fini(&sample);
	buf_fini(&bare);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_keys_of_enma),
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_every_range),
		cmocka_unit_test(test_units),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_text_checks),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_did_you_mean),
		cmocka_unit_test(test_line_limits),
		cmocka_unit_test(test_error_limits),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_include_limits),
		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_path_is_kept_absolute),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_cache_rules),
		cmocka_unit_test(test_cache_path_limit),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
