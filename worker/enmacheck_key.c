/* enmacheck_key - fetching a key record and telling what it says; see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/clock.h"
#include "common/base/domain.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"

enum {
	REMARK_MAX = 2 * KIB,
	RECORD_SHOWN_MAX = 4 * KIB,
	KEY_ARENA_MAX = 16 * MIB,
	OTHER_NAMES = 3,                /* where a record is looked for that is not where it should be */
};

void
remark(struct remarks *r, bool is_problem, const char *fmt, ...)
{
	char text[REMARK_MAX];
	va_list args;

	if (r->n == REMARKS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	r->v[r->n].text = arena_copy(r->arena, span_cstr(text));
	r->v[r->n].is_problem = is_problem;
	r->n += r->v[r->n].text.p != NULL;
}

const char *
key_kind_name(enum crypto_key_kind kind)
{
	return kind == CRYPTO_RSA ? "RSA" : "Ed25519";
}

/* ---- DNS ---- */

const struct dns_answer *
check_ask(struct check *c, struct questions *q, const struct dns_name *name)
{
	int64_t deadline_ms = clock_mono_ms() + check_conf(c)->resolver_deadline;
	const struct dns_answer *answer;

	while ((answer = questions_want(q, name, DNS_TXT, false)) == NULL) {
		c->rounds++;
		lookup_send(c->message->lookup, q);
		if (lookup_wait(c->message->lookup, q, deadline_ms) == RC_OK)
			continue;
		c->has_timed_out = true;
		questions_close(q);
	}
	return answer;
}

/* ---- examination ---- */

static void
drop_key(void *key)
{
	crypto_key_unref(key);
}

static void
examine_record(struct key_record *r, unsigned min_bits, struct arena *a)
{
	r->remarks.arena = a;
	r->reason = dkim_key_parse(r->text, &r->parsed, &r->why);
	if (r->reason == DKIM_R_GOOD)
		r->reason = dkim_key_decode(a, &r->parsed, &r->key, &r->why);
	if (r->key != NULL && !arena_on_reset(a, drop_key, r->key)) {
		crypto_key_unref(r->key);
		r->key = NULL;
		r->reason = DKIM_R_MEMORY;
	}
	r->bits = r->key != NULL ? crypto_key_bits(r->key) : 0;
	key_look(r, min_bits, a);
}

static void
remark_status(struct key_report *k)
{
	const struct dns_answer *answer = k->answer;

	switch (answer->status) {
	case DNS_OK:
		break;
	case DNS_NXDOMAIN:
		remark(&k->remarks, true, "there is no such name: the key is not published, or at another name");
		break;
	case DNS_NODATA:
		remark(&k->remarks, true, "the name has no TXT record");
		break;
	case DNS_BOGUS:
		remark(&k->remarks, true, "the answer fails DNSSEC validation: validating resolvers will not see the key%s%s", answer->why[0] ? ": " : "",
		    log_str(span_cstr(answer->why)));
		break;
	default:
		remark(&k->remarks, true, "the key could not be looked up: %s%s%s", dns_status_name(answer->status), answer->why[0] ? ": " : "",
		    log_str(span_cstr(answer->why)));
	}
	if (answer->is_alias)
		remark(&k->remarks, false, "the name is an alias (CNAME) for another");
	if (answer->is_stale)
		remark(&k->remarks, false, "the answer has expired, a new one is not to be had");
}

void
key_examine(struct arena *a, unsigned min_bits, const struct dns_name *name, const struct dns_answer *answer, struct key_report *out)
{
	*out = (struct key_report){ .name = *name, .answer = answer, .remarks.arena = a };
	remark_status(out);
	if (answer->status != DNS_OK || answer->rr_count == 0)
		return;
	if (answer->rr_count > 1)
		remark(&out->remarks, true, "%zu TXT records where one should be: which one a verifier takes is undefined (RFC 6376 section 3.6.2.2)",
		    answer->rr_count);
	if (answer->rr_count > DKIM_KEY_RECORDS_MAX)
		remark(&out->remarks, true, "only the first %d records are looked at", DKIM_KEY_RECORDS_MAX);
	out->v = arena_array(a, struct key_record, MIN(answer->rr_count, (size_t)DKIM_KEY_RECORDS_MAX));
	for (size_t i = 0; out->v != NULL && i < MIN(answer->rr_count, (size_t)DKIM_KEY_RECORDS_MAX); i++) {
		out->v[i].text = answer->rr[i].text;
		examine_record(&out->v[i], min_bits, a);
		out->n++;
	}
}

static bool
has_problem(const struct remarks *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].is_problem)
			return true;
	return false;
}

bool
key_has_problems(const struct key_report *k)
{
	for (size_t i = 0; i < k->n; i++)
		if (has_problem(&k->v[i].remarks))
			return true;
	return has_problem(&k->remarks);
}

/* ---- printing ---- */

void
key_print_name(struct buf *b, const struct key_report *k)
{
	dns_name_print(b, &k->name);
}

static void
print_remarks(struct buf *b, const struct remarks *r, const char *indent)
{
	for (size_t i = 0; i < r->n; i++)
		buf_fmt(b, "%s%s %.*s\n", indent, r->v[i].is_problem ? "problem:" : "note:", SPAN_ARGS(r->v[i].text));
}

static void
print_flags(struct buf *b, const struct dkim_key_record *p)
{
	buf_str(b, p->is_testing ? "testing (t=y)" : "");
	buf_fmt(b, "%s%s", p->is_testing && p->is_strict ? ", " : "", p->is_strict ? "no subdomains in i= (t=s)" : "");
	buf_str(b, p->is_testing || p->is_strict ? "" : "none");
}

static void
print_record(struct buf *b, const struct key_record *r, const char *indent)
{
	buf_fmt(b, "%srecord: ", indent);
	log_quote(b, r->text, RECORD_SHOWN_MAX);
	buf_byte(b, '\n');
	if (r->key != NULL) {
		buf_fmt(b, "%skey: %s, %u bits; flags: ", indent, key_kind_name(r->parsed.kind), r->bits);
		print_flags(b, &r->parsed);
		buf_byte(b, '\n');
	}
	print_remarks(b, &r->remarks, indent);
}

void
key_print(struct buf *b, const struct key_report *k, const char *indent)
{
	const struct dns_answer *answer = k->answer;

	buf_fmt(b, "%sTXT ", indent);
	key_print_name(b, k);
	buf_fmt(b, ": %s, %zu record%s, ttl %u s, DNSSEC: %s\n", dns_status_name(answer->status), answer->rr_count, answer->rr_count == 1 ? "" : "s",
	    answer->ttl_s, answer->status == DNS_BOGUS ? "bogus" : answer->is_secure ? "secure" : "not secured");
	print_remarks(b, &k->remarks, indent);
	for (size_t i = 0; i < k->n; i++)
		print_record(b, &k->v[i], indent);
}

/* ---- the command ---- */

/* RC_SYNTAX: there can be no such name. */
static enum rc
make_name(struct arena *a, const char *selector, const char *middle, const char *domain, bool is_twice, struct dns_name *out)
{
	struct span plain;
	char *text = xasprintf("%s%s%s%s%s", selector, middle, domain, is_twice ? "." : "", is_twice ? domain : "");
	enum rc rc = domain_normalize(a, span_cstr(text), &plain);

	free(text);
	return rc == RC_OK ? dns_name_from_text(plain, out) : RC_SYNTAX;
}

/* What was published elsewhere by one of the usual mistakes? */
static void
look_elsewhere(struct check *c, struct check_key *x)
{
	static const struct {
		const char *middle;
		bool is_twice;
		const char *text;
	} places[OTHER_NAMES] = {
		{ "._domainkey.", true, "the domain is there twice (in a zone file a final dot is missing)" },
		{ ".", false, "\"_domainkey\" is missing" },
		{ ".domainkey.", false, "the underline of \"_domainkey\" is missing" },
	};
	struct dns_name name;

	for (size_t i = 0; i < OTHER_NAMES; i++) {
		const struct dns_answer *answer;
		struct buf b = buf_heap(4 * KIB);

		if (make_name(&x->arena, c->args->selector, places[i].middle, c->args->domain, places[i].is_twice, &name) != RC_OK)
			continue;
		answer = check_ask(c, &x->questions, &name);
		dns_name_print(&b, &name);
		if (answer->status == DNS_OK && answer->rr_count > 0 && span_find(answer->rr[0].text, '=') < answer->rr[0].text.n)
			remark(&x->report.remarks, true, "there is a record at %.*s: %s", SPAN_ARGS(buf_text(&b)), places[i].text);
		buf_fini(&b);
	}
}

int
check_key(struct check *c)
{
	struct check_key *x = xcalloc(1, sizeof *x);
	struct dns_name name;

	c->key = x;
	arena_init(&x->arena, 64 * KIB, KEY_ARENA_MAX);
	if (make_name(&x->arena, c->args->selector, "._domainkey.", c->args->domain, false, &name) != RC_OK) {
		fprintf(stderr, "enmacheck: no such name is possible in DNS: check selector and domain\n");
		return EX_USAGE;
	}
	questions_init(&x->questions, &x->arena, OTHER_NAMES + 1);
	key_examine(&x->arena, (unsigned)check_conf(c)->dkim_min_rsa_bits, &name, check_ask(c, &x->questions, &name), &x->report);
	if (x->report.answer->status == DNS_NXDOMAIN || x->report.answer->status == DNS_NODATA)
		look_elsewhere(c, x);
	return EX_OK;
}

int
check_key_code(const struct check *c)
{
	if (dns_status_is_temporary(c->key->report.answer->status) && c->key->report.answer->status != DNS_BOGUS)
		return EX_TEMPFAIL;
	return key_has_problems(&c->key->report) ? 1 : EX_OK;
}

void
check_key_fini(struct check *c)
{
	if (c->key == NULL)
		return;
	arena_fini(&c->key->arena);
	free(c->key);
}

void
check_print_key_text(const struct check *c, struct buf *b)
{
	const struct key_report *k = &c->key->report;

	key_print(b, k, "");
	buf_fmt(b, "%s\n", key_has_problems(k) ? "the key has problems" : "the key is good");
}
