/* report - the log line of a message; see report.h.  The grammar is documented in doc/LOG.md: it is an interface. */
#include "worker/report.h"

#include "common/base/log.h"

/* ---- values ---- */

enum pair_kind {
	PAIR_OUTSIDE,           /* text from outside, escaped and capped; absent: nothing */
	PAIR_WORD,              /* our own word; NULL: nothing */
	PAIR_NUMBER,
	PAIR_MS,                /* a number of milliseconds */
	PAIR_DNS,               /* questions, waiting time, timeouts of the report */
};

struct pair {
	const char *key;
	enum pair_kind kind;
	struct span text;
	const char *word;
	uint64_t number;
};

enum {
	PAIRS_MAX = 32,
	LINE_ROOM = 7 * KIB,    /* signatures that would make a line longer are left out: lines are cut at LOG_LINE_MAX, stamp and all */
};

/* One report in the order of its keys; own: scratch for texts that are put together. */
struct lines {
	const struct report *r;
	struct pair pair[PAIRS_MAX];
	size_t n;
	char ip[IP_TEXT_MAX];
	struct span sender;             /* in angle brackets; absent: none was given */
	struct span authors;            /* domains in From; absent: none */
	struct buf mail_from, from, why, action, reply, domainkeys_why, adsp_why;
};

static void
add(struct lines *l, const char *key, enum pair_kind kind, struct span text, const char *word, uint64_t number)
{
	if (l->n < ARRAY_LEN(l->pair))
		l->pair[l->n++] = (struct pair){ key, kind, text, word, number };
}

static void
add_outside(struct lines *l, const char *key, struct span text)
{
	add(l, key, PAIR_OUTSIDE, text, NULL, 0);
}

static void
add_word(struct lines *l, const char *key, const char *word)
{
	add(l, key, PAIR_WORD, SPAN_NULL, word, 0);
}

static const struct verdict_spf *
evaluated(const struct verdict_spf *v)
{
	return v != NULL && v->is_evaluated ? v : NULL;
}

static const struct verdict_spf *
mailfrom_of(const struct report *r)
{
	return r->verdict != NULL ? evaluated(&r->verdict->mailfrom) : NULL;
}

static const struct verdict_spf *
helo_of(const struct report *r)
{
	return r->verdict != NULL ? evaluated(&r->verdict->helo) : NULL;
}

static struct span
domain_of(struct span identity)
{
	size_t at = span_rfind(identity, '@');

	return at < identity.n ? span_from(identity, at + 1) : SPAN_NULL;
}

/* "<user@example.org>" whether the MTA gave the brackets or not. */
static struct span
bracketed(struct buf *b, struct span path)
{
	if (span_is_null(path))
		return SPAN_NULL;
	if (path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>')
		path = span_sub(path, 1, path.n - 2);
	buf_byte(b, '<');
	buf_span(b, span_sub(path, 0, LOG_VALUE_MAX + 1));
	buf_byte(b, '>');
	return buf_text(b);
}

/* What the MTA says when it knows no name is "[192.0.2.1]" or "unknown". */
static struct span
client_name(const struct report *r)
{
	if (r->client_name.n == 0 || r->client_name.p[0] == '[' || span_eq_nocase(r->client_name, SPAN("unknown")))
		return SPAN_NULL;
	return r->client_name;
}

static struct span
client_address(struct lines *l)
{
	return l->r->client.is_set ? span_of(l->ip, ip_print(&l->r->client, l->ip)) : SPAN_NULL;
}

/* ---- the pairs ---- */

static void
add_spf(struct lines *l)
{
	const struct report *r = l->r;
	const struct verdict_spf *v = mailfrom_of(r), *helo = helo_of(r);

	if (v != NULL) {
		verdict_why(&l->why, v);
		add_word(l, "spf", spf_result_name(v->outcome.result));
		add_word(l, "spf_id", "mailfrom");
		add_outside(l, "spf_domain", domain_of(v->identity));
		add_outside(l, "spf_why", buf_text(&l->why));
		add_outside(l, "spf_exp", v->outcome.explanation);
	} else {
		add_word(l, "spf", r->skip_why != NULL ? "skip" : NULL);
		add_word(l, "spf_id", NULL);
		add_word(l, "spf_domain", NULL);
		add_word(l, "spf_why", r->skip_why);
		add_word(l, "spf_exp", NULL);
	}
	add_word(l, "helo_spf", helo != NULL ? spf_result_name(helo->outcome.result) : NULL);
}

/* The domains of all authors, commas between them. */
static struct span
authors(struct lines *l)
{
	const struct verdict *v = l->r->verdict;

	if (v == NULL || v->author_count == 0)
		return SPAN_NULL;
	for (size_t i = 0; i < v->author_count && buf_text(&l->from).n <= LOG_VALUE_MAX; i++) {
		const struct verdict_author *a = &v->authors[i];

		if (i > 0)
			buf_byte(&l->from, ',');
		buf_span(&l->from, span_sub(span_is_null(a->domain) ? a->written : a->domain, 0, LOG_VALUE_MAX + 1));
	}
	return buf_text(&l->from);
}

static const char *
dkim_word(const struct verdict *v)
{
	return v != NULL && v->is_dkim_evaluated ? dkim_result_name(verdict_dkim_summary(v)) : NULL;
}

static void
add_dkim(struct lines *l)
{
	const struct verdict *v = l->r->verdict;

	add_word(l, "dkim", dkim_word(v));
	if (v != NULL && v->is_dkim_evaluated)
		add(l, "dkim_count", PAIR_NUMBER, SPAN_NULL, NULL, v->dkim_total);
	else
		add_word(l, "dkim_count", NULL);
}

static void
add_domainkeys(struct lines *l)
{
	const struct verdict *v = l->r->verdict;

	if (v == NULL || !v->is_domainkeys_evaluated) {
		add_word(l, "domainkeys", NULL);
		add_word(l, "domainkeys_d", NULL);
		add_word(l, "domainkeys_why", NULL);
		return;
	}
	verdict_domainkeys_why(&l->domainkeys_why, &v->domainkeys);
	add_word(l, "domainkeys", domainkeys_result_name(v->domainkeys.result));
	add_outside(l, "domainkeys_d", v->domainkeys.d);
	add_outside(l, "domainkeys_why", buf_text(&l->domainkeys_why));
}

static void
add_practices(struct lines *l)
{
	const struct verdict *v = l->r->verdict;
	bool is_evaluated = v != NULL && v->is_adsp_evaluated;

	if (is_evaluated)
		verdict_adsp_why(&l->adsp_why, &v->adsp);
	add_word(l, "adsp", is_evaluated ? adsp_result_name(v->adsp.result) : NULL);
	add_outside(l, "adsp_why", is_evaluated ? buf_text(&l->adsp_why) : SPAN_NULL);
	add_word(l, "atps", v != NULL && v->is_atps_evaluated ? atps_result_name(v->atps.result) : NULL);
}

static bool
has_cause(const struct action *a)
{
	return a->why != NULL && strcmp(a->why, "none") != 0;
}

static void
add_action(struct lines *l)
{
	const struct action *a = &l->r->action;

	buf_str(&l->action, action_name(a->kind));
	if (has_cause(a))
		buf_fmt(&l->action, "/%s", a->why);
	add_word(l, "action", buf_text(&l->action).p);
	if (a->code != NULL)
		buf_fmt(&l->reply, "%s %s %s", a->code, a->xcode != NULL ? a->xcode : "", a->text != NULL ? a->text : "");
	add_outside(l, "reply", a->code != NULL ? buf_text(&l->reply) : SPAN_NULL);
}

static void
collect(struct lines *l, const struct report *r)
{
	*l = (struct lines){ .r = r };
	l->mail_from = l->from = l->why = l->action = l->reply = l->domainkeys_why = l->adsp_why = buf_heap(4 * KIB);
	l->sender = bracketed(&l->mail_from, r->mail_from);
	add_outside(l, "ip", client_address(l));
	add_outside(l, "ptr", client_name(r));
	add_outside(l, "helo", r->helo);
	add_outside(l, "mfrom", l->sender);
	l->authors = authors(l);
	add_outside(l, "from", l->authors);
	add_spf(l);
	add(l, "dns", PAIR_DNS, SPAN_NULL, NULL, 0);
	if (r->dns_stale > 0)
		add(l, "dns_stale", PAIR_NUMBER, SPAN_NULL, NULL, r->dns_stale);
	add(l, "ar_removed", PAIR_NUMBER, SPAN_NULL, NULL, r->authres_removed);
	add_action(l);
	add(l, "total", PAIR_MS, SPAN_NULL, NULL, r->total_us / 1000);
	add(l, "cfg", PAIR_NUMBER, SPAN_NULL, NULL, r->generation);
	add_dkim(l);
	add_domainkeys(l);
	add_practices(l);
}

static void
release(struct lines *l)
{
	buf_fini(&l->mail_from);
	buf_fini(&l->from);
	buf_fini(&l->domainkeys_why);
	buf_fini(&l->adsp_why);
	buf_fini(&l->why);
	buf_fini(&l->action);
	buf_fini(&l->reply);
}

/* ---- signatures ---- */

/* What of a signature is shown, in this order. */
struct signature_texts {
	struct span d, s, a, i, why;
	struct buf why_buf;
};

static void
signature_texts(struct signature_texts *t, const struct dkim_signature *s)
{
	*t = (struct signature_texts){ .d = s->d, .s = s->s, .a = s->a, .i = s->i, .why_buf = buf_heap(4 * KIB) };
	buf_str(&t->why_buf, dkim_reason_text(s->reason));
	if (s->detail.n > 0) {
		buf_str(&t->why_buf, ": ");
		buf_span(&t->why_buf, span_sub(s->detail, 0, LOG_VALUE_MAX));
	}
	t->why = buf_text(&t->why_buf);
}

typedef void signature_printer(struct buf *b, const struct dkim_signature *s, size_t number);

/* As many as there is room for in a line that is begun; returns how many are left out. */
static size_t
print_signatures(struct buf *b, const struct report *r, signature_printer *print)
{
	const struct verdict *v = r->verdict;
	size_t room = LINE_ROOM - MIN((size_t)LINE_ROOM, buf_text(b).n), left = 0;

	for (size_t i = 0; v != NULL && i < v->dkim_count; i++) {
		struct buf one = buf_heap(8 * KIB);

		print(&one, &v->dkim[i], i);
		if (left == 0 && buf_ok(&one) && buf_text(&one).n <= room) {
			room -= buf_text(&one).n;
			buf_span(b, buf_text(&one));
		} else {
			left++;
		}
		buf_fini(&one);
	}
	return left;
}

/* ---- kv ---- */

/* A reader that splits at white space and at the first '=' must never find a key of the sender's making, nor take a value
 * for the "-" of nothing. */
static bool
needs_quotes(struct span s)
{
	size_t i;

	if (s.n == 0 || span_eq(s, SPAN("-")))
		return true;
	for (i = 0; i < MIN(s.n, (size_t)LOG_VALUE_MAX); i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == ' ' || c == '"' || c == '=' || c >= 0x80)
			return true;
	}
	return false;
}

static void
kv_outside(struct buf *b, struct span s)
{
	bool is_quoted = needs_quotes(s);

	if (span_is_null(s)) {
		buf_byte(b, '-');
		return;
	}
	if (is_quoted)
		buf_byte(b, '"');
	log_quote(b, s, LOG_VALUE_MAX);
	if (is_quoted)
		buf_byte(b, '"');
}

static void
kv_dns(struct buf *b, const struct report *r)
{
	buf_uint(b, r->dns_asked);
	buf_byte(b, '/');
	buf_uint(b, r->dns_wait_us / 1000);
	buf_str(b, "ms");
	if (r->dns_timeouts > 0)
		buf_fmt(b, "/%utimeout", r->dns_timeouts);
}

static void
kv_pair(struct buf *b, const struct report *r, const struct pair *p)
{
	buf_byte(b, ' ');
	buf_str(b, p->key);
	buf_byte(b, '=');
	switch (p->kind) {
	case PAIR_OUTSIDE:
		kv_outside(b, p->text);
		break;
	case PAIR_WORD:
		buf_str(b, p->word != NULL ? p->word : "-");
		break;
	case PAIR_NUMBER:
		buf_uint(b, p->number);
		break;
	case PAIR_MS:
		buf_uint(b, p->number);
		buf_str(b, "ms");
		break;
	case PAIR_DNS:
		kv_dns(b, r);
		break;
	}
}

static void
kv_named(struct buf *b, size_t number, const char *key, struct span value)
{
	buf_fmt(b, " dkim%zu%s=", number, key);
	kv_outside(b, value);
}

static void
kv_signature(struct buf *b, const struct dkim_signature *s, size_t index)
{
	struct signature_texts t;
	size_t number = index + 1;

	signature_texts(&t, s);
	buf_fmt(b, " dkim%zu=%s", number, dkim_result_name(s->result));
	kv_named(b, number, "_d", t.d);
	kv_named(b, number, "_s", t.s);
	kv_named(b, number, "_a", t.a);
	kv_named(b, number, "_i", t.i);
	buf_fmt(b, " dkim%zu_bits=%u dkim%zu_testing=%s", number, s->key_bits, number, s->is_testing ? "yes" : "no");
	kv_named(b, number, "_why", t.why);
	buf_fini(&t.why_buf);
}

static void
print_kv(struct buf *b, const struct report *r)
{
	struct lines l;
	size_t i, left;

	collect(&l, r);
	kv_outside(b, r->qid);
	buf_byte(b, ':');
	for (i = 0; i < l.n; i++)
		kv_pair(b, r, &l.pair[i]);
	left = print_signatures(b, r, kv_signature);
	if (left > 0)
		buf_fmt(b, " dkim_left_out=%zu", left);
	buf_byte(b, '\n');
	release(&l);
}

/* ---- JSON (RFC 8259) ---- */

/* log_quote() leaves valid UTF-8 without control characters and quotes; only its own backslashes are left to be escaped. */
static void
json_outside(struct buf *b, struct span s)
{
	struct buf text = buf_heap(LOG_VALUE_MAX + 8);
	struct span rest, piece;
	bool is_first = true;

	if (span_is_null(s)) {
		buf_str(b, "null");
		return;
	}
	log_quote(&text, s, LOG_VALUE_MAX);
	buf_byte(b, '"');
	for (rest = buf_text(&text); span_split(&rest, '\\', &piece); is_first = false) {
		if (!is_first)
			buf_str(b, "\\\\");
		buf_span(b, piece);
	}
	buf_byte(b, '"');
	buf_fini(&text);
}

static void
json_pair(struct buf *b, const struct report *r, const struct pair *p)
{
	buf_fmt(b, ",\"%s\":", p->key);
	switch (p->kind) {
	case PAIR_OUTSIDE:
		json_outside(b, p->text);
		break;
	case PAIR_WORD:
		json_outside(b, span_cstr(p->word));
		break;
	case PAIR_NUMBER:
	case PAIR_MS:
		buf_uint(b, p->number);
		break;
	case PAIR_DNS:
		buf_fmt(b, "{\"asked\":%u,\"ms\":%llu,\"timeouts\":%u}", r->dns_asked, (unsigned long long)(r->dns_wait_us / 1000),
		    r->dns_timeouts);
		break;
	}
}

static void
json_named(struct buf *b, const char *key, struct span value)
{
	buf_fmt(b, ",\"%s\":", key);
	json_outside(b, value);
}

static void
json_signature(struct buf *b, const struct dkim_signature *s, size_t index)
{
	struct signature_texts t;

	signature_texts(&t, s);
	buf_fmt(b, "%s{\"result\":\"%s\"", index > 0 ? "," : "", dkim_result_name(s->result));
	json_named(b, "d", t.d);
	json_named(b, "s", t.s);
	json_named(b, "a", t.a);
	json_named(b, "i", t.i);
	buf_fmt(b, ",\"bits\":%u,\"testing\":%s", s->key_bits, s->is_testing ? "true" : "false");
	json_named(b, "why", t.why);
	buf_byte(b, '}');
	buf_fini(&t.why_buf);
}

static void
print_json(struct buf *b, const struct report *r)
{
	struct lines l;
	size_t i, left;

	collect(&l, r);
	buf_str(b, "{\"qid\":");
	json_outside(b, r->qid);
	for (i = 0; i < l.n; i++)
		json_pair(b, r, &l.pair[i]);
	buf_str(b, ",\"dkim_signatures\":[");
	left = print_signatures(b, r, json_signature);
	buf_fmt(b, "],\"dkim_left_out\":%zu}\n", left);
	release(&l);
}

/* ---- ENMA 1.2 ---- */

/* Values stand between ", " and "=": blanks and commas are escaped like everything else that is not harmless. */
static void
enma_value(struct buf *b, struct span s)
{
	struct buf text = buf_heap(LOG_VALUE_MAX + 8);
	struct span rest;

	if (span_is_null(s)) {
		buf_byte(b, '-');
		return;
	}
	log_quote(&text, s, LOG_VALUE_MAX);
	for (rest = buf_text(&text); rest.n > 0; rest = span_from(rest, 1)) {
		if (rest.p[0] == ' ' || rest.p[0] == ',')
			buf_fmt(b, "\\x%02x", (unsigned)rest.p[0]);
		else
			buf_byte(b, rest.p[0]);
	}
	buf_fini(&text);
}

static void
enma_begin(struct buf *b, const struct report *r, const char *tag)
{
	buf_byte(b, '[');
	enma_value(b, r->qid);
	buf_fmt(b, "] [%s] ", tag);
}

static void
enma_identity(struct buf *b, struct lines *l, const struct verdict_spf *v, const char *name)
{
	const struct report *r = l->r;
	bool is_hardfail = r->hardfail && v->outcome.result == SPF_FAIL;

	enma_begin(b, r, "SPF-auth");
	buf_str(b, "ipaddr=");
	enma_value(b, client_address(l));
	buf_fmt(b, ", eval=smtp.%s, helo=", name);
	enma_value(b, r->helo);
	buf_str(b, ", envfrom=");
	enma_value(b, l->sender);
	buf_fmt(b, ", score=%s\n", is_hardfail ? "hardfail" : spf_result_name(v->outcome.result));
	if (v->outcome.explanation.n > 0) {
		enma_begin(b, r, "SPF-explanation");
		log_quote(b, v->outcome.explanation, LOG_VALUE_MAX);
		buf_byte(b, '\n');
	}
}

static void
enma_named(struct buf *b, const char *key, struct span value)
{
	buf_str(b, key);
	enma_value(b, value);
	buf_str(b, ", ");
}

static void
enma_signature(struct buf *b, const struct report *r, const struct dkim_signature *s)
{
	struct signature_texts t;

	signature_texts(&t, s);
	enma_begin(b, r, "DKIM-auth");
	enma_named(b, "domain=", t.d);
	enma_named(b, "selector=", t.s);
	enma_named(b, "algorithm=", t.a);
	enma_named(b, "identity=", t.i);
	buf_fmt(b, "bits=%u, testing=%s, score=%s, why=", s->key_bits, s->is_testing ? "yes" : "no", dkim_result_name(s->result));
	log_quote(b, t.why, LOG_VALUE_MAX);
	buf_byte(b, '\n');
	buf_fini(&t.why_buf);
}

static void
enma_message(struct buf *b, struct lines *l)
{
	const struct report *r = l->r;
	const struct verdict *v = r->verdict;

	if (v == NULL)
		return;
	for (size_t i = 0; i < v->dkim_count; i++)
		enma_signature(b, r, &v->dkim[i]);
	if (v->is_dkim_evaluated && v->dkim_count == 0) {
		enma_begin(b, r, "DKIM-auth");
		buf_fmt(b, "score=%s\n", dkim_word(v));
	}
	if (v->is_domainkeys_evaluated) {
		enma_begin(b, r, "DomainKeys-auth");
		enma_named(b, "domain=", v->domainkeys.d);
		buf_fmt(b, "score=%s\n", domainkeys_result_name(v->domainkeys.result));
	}
	if (v->is_adsp_evaluated) {
		enma_begin(b, r, "DKIM-ADSP-auth");
		enma_named(b, "from=", l->authors);
		buf_fmt(b, "score=%s\n", adsp_result_name(v->adsp.result));
	}
}

/* ENMA took no action and had no line for one; a refusal must not go unlogged. */
static void
enma_action(struct buf *b, struct lines *l)
{
	const struct action *a = &l->r->action;

	if (a->kind == ACTION_ACCEPT && !has_cause(a))
		return;
	enma_begin(b, l->r, "action");
	buf_fmt(b, "action=%s, why=%s, reply=", action_name(a->kind), a->why != NULL ? a->why : "none");
	if (a->code != NULL)
		log_quote(b, buf_text(&l->reply), LOG_VALUE_MAX);
	else
		buf_byte(b, '-');
	buf_byte(b, '\n');
}

static void
print_enma(struct buf *b, const struct report *r)
{
	const struct verdict_spf *mailfrom = mailfrom_of(r), *helo = helo_of(r);
	struct lines l;

	collect(&l, r);
	if (mailfrom != NULL)
		enma_identity(b, &l, mailfrom, "mailfrom");
	if (helo != NULL)
		enma_identity(b, &l, helo, "helo");
	if (mailfrom == NULL && helo == NULL && r->skip_why != NULL) {
		enma_begin(b, r, "SPF-skip");
		buf_str(b, "ipaddr=");
		enma_value(b, client_address(&l));
		buf_fmt(b, ", why=%s\n", r->skip_why);
	}
	enma_message(b, &l);
	enma_action(b, &l);
	release(&l);
}

void
report_print(struct buf *b, enum conf_log_style style, const struct report *r)
{
	switch (style) {
	case CONF_LOG_KV:
		print_kv(b, r);
		break;
	case CONF_LOG_ENMA:
		print_enma(b, r);
		break;
	case CONF_LOG_JSON:
		print_json(b, r);
		break;
	}
}
