/*
 * enmacheck_dkim - evaluates the DKIM signatures of a message file, twice: with the limits of the settings, as enma does, and without them, so that
 * what is wrong with a signature is not hidden behind a limit; see enmacheck_dkim.h.
 */
#include "worker/enmacheck_dkim.h"

#include <stdlib.h>
#include <sysexits.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/mail/addr.h"

enum { NAMES_LOOKED_AT = 200 };         /* of h= */

/* ---- options ---- */

/* Without what is only policy. */
static void
fill_lax(struct dkim_options *lax)
{
	lax->limit = DKIM_LIMIT_MAX;
	lax->min_rsa_bits = CRYPTO_RSA_BITS_MIN;
	lax->accept_sha1 = lax->accept_expired = lax->accept_future = true;
	lax->l_tag = DKIM_L_ACCEPT;
	lax->must_be_signed_count = 0;
}

/* ---- what was hashed ---- */

static void
show_header(void *arg, const struct dkim_signature *s, const char *p, size_t n)
{
	struct check_dkim *x = arg;
	size_t count;
	const struct dkim_signature *first = dkim_signatures(x->lax, &count);

	if ((size_t)(s - first) < x->n)
		canon_copy_put(&x->v[s - first].canon, p, n);
}

static void
show_body(void *arg, enum canon c, const char *p, size_t n)
{
	struct check_dkim *x = arg;

	canon_copy_put(&x->body[c == CANON_RELAXED], p, n);
}

/* ---- evaluation ---- */

/* Domains of the authors, by which signatures are chosen. */
static size_t
find_authors(struct check_dkim *x, struct span **out)
{
	struct addr_list list;
	const char *why;
	size_t at, n = 0;

	for (size_t i = 0; i < x->mail.header.n; i++) {
		if (!header_is(&x->mail.header.v[i], SPAN("From")))
			continue;
		if (addr_parse(&x->arena, x->mail.header.v[i].value, &list, &why, &at) != RC_OK)
			break;
		*out = arena_array(&x->arena, struct span, list.n + 1);
		for (size_t k = 0; k < list.n && *out != NULL; k++)
			if (!span_is_null(list.v[k].ascii_domain))
				(*out)[n++] = list.v[k].ascii_domain;
		break;
	}
	return n;
}

static void
run(struct check *c, struct dkim *d)
{
	struct check_dkim *x = c->dkim;
	const struct conf *conf = check_conf(c);
	int64_t now_s = c->args->has_now ? c->args->now_s : clock_wall_s();
	int64_t deadline_ms = clock_mono_ms() + conf->resolver_deadline;

	dkim_body(d, x->mail.body);
	dkim_body_end(d);
	while (dkim_run(d, &x->questions, now_s) != RC_OK) {
		c->rounds += x->questions.new_count > 0;
		lookup_send(c->message->lookup, &x->questions);
		if (lookup_wait(c->message->lookup, &x->questions, deadline_ms) == RC_OK)
			continue;
		REQUIRE(!x->questions.is_over);         /* then every question has an answer */
		c->has_timed_out = true;
		questions_close(&x->questions);
	}
}

/* ---- one signature ---- */

static void
take_strict(const struct check_dkim *x, struct dkim_view *v)
{
	size_t count;
	const struct dkim_signature *s = dkim_signatures(x->strict, &count);

	v->result = dkim_reason_result(DKIM_R_TOO_MANY);
	v->reason = DKIM_R_TOO_MANY;
	for (size_t i = 0; i < count; i++) {
		if (s[i].field != v->s->field)
			continue;
		v->result = s[i].result;
		v->reason = s[i].reason;
		v->detail = s[i].detail;
	}
}

static void
read_tags(struct check_dkim *x, struct dkim_view *v)
{
	struct span value = x->mail.header.v[v->s->field].value;
	struct dkim_signature s = { 0 };
	const char *why;

	v->has_sig = dkim_sig_parse(&x->arena, value, DKIM_SIG_DKIM, &v->sig, &s) == RC_OK;
	v->has_tags = v->has_sig || (value.n <= DKIM_FIELD_MAX && taglist_parse(value, &v->sig.tags, &why) == RC_OK);
}

static void
examine_key(struct check *c, struct dkim_view *v)
{
	struct check_dkim *x = c->dkim;
	const struct dns_answer *answer;

	if (!v->has_sig)
		return;
	answer = check_ask(c, &x->questions, &v->sig.key_name);
	v->key = arena_new(&x->arena, struct key_report);
	if (v->key != NULL)
		key_examine(&x->arena, (unsigned)check_conf(c)->dkim_min_rsa_bits, &v->sig.key_name, answer, v->key);
}

static size_t
count_names(struct span h, struct span name)
{
	struct span other;
	size_t n = 0;

	while (taglist_item(&h, &other))
		n += span_eq_nocase(other, name);
	return n;
}

/* How many fields of that name h= asks for, how many there are. */
static void
look_at_names(struct check_dkim *x, struct dkim_view *v)
{
	struct span h = v->sig.h, rest = h, name;

	if (v->sig.h_count > NAMES_LOOKED_AT || x->mail.header.n > GUESS_FIELDS_MAX)
		return;
	while (taglist_item(&rest, &name)) {
		size_t wanted = count_names(h, name), there = header_count(&x->mail.header, name);
		size_t before = (size_t)(name.p - h.p);

		if ((before > 0 && count_names(span_sub(h, 0, before), name) > 0) || v->remarks.n + 2 >= REMARKS_MAX)
			continue;
		if (there == 0)
			remark(&v->remarks, false, "h= names %s, the message has no such field: it was not there when it was signed, or was taken away since",
			    log_str(name));
		else if (there > wanted && !span_eq_nocase(name, SPAN("DKIM-Signature")))
			remark(&v->remarks, false, "%zu fields %s are there, %zu of them signed: the lowest", there, log_str(name), wanted);
	}
}

static void
look_at_digest(struct check_dkim *x, size_t i)
{
	struct dkim_view *v = &x->v[i];

	v->has_digest = dkim_body_digest(x->lax, i, &v->digest, &v->claimed);
	if (v->s->l == 0)
		remark(&v->remarks, true, "l=0: no byte of the body is signed, anything can be put there");
	else if (v->s->has_unsigned_body)
		remark(&v->remarks, true, "l=%lld is less than the body has: what stands behind is not signed", (long long)v->s->l);
	if (v->result == v->s->result)
		return;
	if (v->s->result == DKIM_PASS)
		remark(&v->remarks, false, "apart from that the signature is good");
	else
		remark(&v->remarks, true, "apart from that: %s%s%.*s", dkim_reason_text(v->s->reason), v->s->detail.n > 0 ? ": " : "", SPAN_ARGS(v->s->detail));
}

static bool
search(struct check_dkim *x, struct dkim_view *v)
{
	struct guess_body body = { .arena = &x->arena, .mail = &x->mail, .s = v->s, .claimed = v->claimed, .out = &v->body_guesses };
	struct guess_header header = {
		.arena = &x->arena, .mail = &x->mail, .s = v->s, .sig = &v->sig, .key = v->key, .out = &v->header_guesses,
	};
	bool is_body_bad = v->has_sig && v->s->is_parsed && v->has_digest &&
	    (v->claimed.n != v->digest.n || memcmp(v->claimed.p, v->digest.b, v->digest.n) != 0);

	if (v->s->reason != DKIM_R_SIGNATURE && !is_body_bad)
		return false;
	if (is_body_bad)
		guess_body(&body);
	guess_header(&header);
	return true;
}

static void
describe(struct check *c)
{
	struct check_dkim *x = c->dkim;
	size_t searched = 0;

	for (size_t i = 0; i < x->n; i++) {
		struct dkim_view *v = &x->v[i];

		v->remarks.arena = &x->arena;
		take_strict(x, v);
		read_tags(x, v);
		examine_key(c, v);
		if (v->has_sig)
			look_at_names(x, v);
		look_at_digest(x, i);
		if (searched < GUESS_SIGNATURES_MAX)
			searched += search(x, v);
	}
}

/* ---- the message ---- */

static void
look_at_mail(struct check_dkim *x)
{
	const struct mail_file *m = &x->mail;
	struct remarks *r = &x->remarks;

	if (m->is_lf_file)
		remark(r, false, "the lines of the file end in LF; they are taken for CRLF, as they were on the wire");
	else if (m->lone_lf > 0)
		remark(r, true, "the file mixes line ends: %llu CRLF, %llu LF alone", (unsigned long long)m->crlf, (unsigned long long)m->lone_lf);
	if (m->has_mbox_line)
		remark(r, false, "the first line, \"From ...\" of an mbox file, is left out");
	if (!m->has_end)
		remark(r, true, m->body.n > 0 ? "no empty line ends the header: the body begins at the first line that is no field" :
		    "no empty line ends the header: there is no body");
	if (m->body_cr > 0)
		remark(r, true, "%llu CR without LF in the body: MTAs change or refuse them", (unsigned long long)m->body_cr);
	if (m->nuls > 0)
		remark(r, true, "%llu NUL bytes: MTAs take them away or end a line there", (unsigned long long)m->nuls);
	if (x->total == 0)
		remark(r, false, "there is no DKIM-Signature");
	if (x->total > x->n)
		remark(r, false, "%zu signatures are there, only %zu are looked at", x->total, x->n);
}

/* RC_LIMIT: the arena's ceiling. */
static enum rc
create(struct check *c, struct dkim_options *lax)
{
	struct check_dkim *x = c->dkim;
	struct span *authors = NULL;
	size_t author_count = find_authors(x, &authors);

	*lax = c->mechanisms.dkim;
	fill_lax(lax);
	x->strict = dkim_create(&x->arena, &c->mechanisms.dkim, &x->mail.header, authors, author_count);
	x->lax = dkim_create(&x->arena, lax, &x->mail.header, authors, author_count);
	if (x->strict == NULL || x->lax == NULL)
		return RC_LIMIT;
	dkim_signatures(x->lax, &x->n);
	x->n = MIN(x->n, (size_t)DKIM_LIMIT_MAX);
	x->total = dkim_signature_count(x->lax);
	x->v = arena_array(&x->arena, struct dkim_view, x->n + 1);
	return x->v != NULL ? RC_OK : RC_LIMIT;
}

int
check_dkim(struct check *c)
{
	struct check_dkim *x = c->dkim = xcalloc(1, sizeof *x);
	struct dkim_options lax;
	struct dkim_show show = { .header = show_header, .body = show_body, .arg = x };
	int code, closed;

	arena_init(&x->arena, 64 * KIB, DKIM_ARENA_MAX);
	x->remarks.arena = &x->arena;
	questions_init(&x->questions, &x->arena, 2 * DKIM_LIMIT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(x->body); i++)
		canon_copy_init(&x->body[i]);
	code = mail_read(&x->mail, c->args->file, &x->arena);
	if (code != EX_OK)
		return code;
	if (create(c, &lax) != RC_OK) {
		fprintf(stderr, "enmacheck: %s: the message is too large\n", c->args->file);
		return EX_DATAERR;
	}
	for (size_t i = 0; i < x->n; i++) {
		canon_copy_init(&x->v[i].canon);
		x->v[i].s = dkim_signatures(x->lax, &(size_t){ 0 }) + i;
	}
	code = canon_open_files(c);
	dkim_show(x->lax, &show);
	if (code == EX_OK) {
		run(c, x->strict);
		run(c, x->lax);
	}
	closed = canon_close_files(c);
	if (code != EX_OK || closed != EX_OK)
		return code != EX_OK ? code : closed;
	describe(c);
	look_at_mail(x);
	return EX_OK;
}

void
check_dkim_fini(struct check *c)
{
	struct check_dkim *x = c->dkim;

	if (x == NULL)
		return;
	for (size_t i = 0; i < x->n && x->v != NULL; i++)
		canon_copy_fini(&x->v[i].canon);
	for (size_t i = 0; i < ARRAY_LEN(x->body); i++)
		canon_copy_fini(&x->body[i]);
	mail_fini(&x->mail);
	arena_fini(&x->arena);
	free(x);
}
