/*
 * report - the one log line of a message, in the style of log.style.
 *
 * kv (default):  QID: ip=192.0.2.1 ptr=mx.example helo=mx.example mfrom=<a@example.org> from=- spf=pass spf_id=mailfrom
 *                spf_domain=example.org spf_why="matched ip4:192.0.2.0/24" spf_exp=- helo_spf=none dns=3/11ms ar_removed=0 action=accept
 *                reply=- total=14ms cfg=7 dkim=pass dkim_count=1 domainkeys=- domainkeys_d=- domainkeys_why=- adsp=- adsp_why=- atps=-
 *                dkim1=pass dkim1_d=example.org dkim1_s=sel dkim1_a=rsa-sha256 dkim1_i=@example.org dkim1_bits=2048 dkim1_testing=no
 *                dkim1_why="good signature"
 *   Fixed order, every key always there, "-" for nothing; doc/LOG.md has the grammar.  People grep it for years: an interface.
 *   An excluded message has spf=skip and the reason as spf_why; an action with a cause other than results has it behind a
 *   slash ("tempfail/limit"); timeouts follow dns ("3/20000ms/1timeout").  Signatures that would make the line too long are left out and counted
 *   (dkim_left_out).
 * enma:          "[QID] [SPF-auth] ipaddr=192.168.1.1, eval=smtp.mailfrom, helo=example.jp, envfrom=<u@example.jp>, score=pass", one
 *                line for each identity, "[SPF-explanation]" when there is one, "[SPF-skip]" for excluded clients, "[DKIM-auth]" for each
 *                signature, "[DKIM-ADSP-auth]", "[DomainKeys-auth]" and "[action]" (ours) when a message was not simply accepted.
 * json:          one object with the keys of kv and "qid"; null for nothing, dns an object, total a number (ms), dkim_signatures an array.
 * owner: lead
 */
#ifndef ENMA_WORKER_REPORT_H
#define ENMA_WORKER_REPORT_H

#include "common/auth/verdict.h"
#include "common/conf/conf.h"
#include "worker/policy.h"

struct report {
	struct span qid;                /* absent: the connection's own id is used */
	struct ip client;
	struct span client_name;        /* what the MTA knows; absent or "[addr]": none */
	struct span helo, mail_from;    /* as given */
	const struct verdict *verdict;  /* NULL: not evaluated */
	const char *skip_why;           /* NULL, or "excluded", "authenticated", "local" */
	struct action action;
	unsigned dns_asked, dns_timeouts, dns_stale;
	uint64_t dns_wait_us, total_us;
	unsigned authres_removed;
	uint64_t generation;
	bool hardfail;                  /* ENMA's word in ENMA's style */
};

/* Lines separated by '\n' (kv and json: one).  Everything from outside is escaped and capped.  The buffer's failure bit tells
 * if it did not fit. */
void report_print(struct buf *b, enum conf_log_style style, const struct report *r);

#endif
