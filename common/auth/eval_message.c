/*
 * eval_message - what needs the message: authors, DKIM, DomainKeys, ADSP and ATPS; see eval.h.
 *
 * The keys of all signatures and, where no signature can make them needless, the questions of ADSP go out together when the header has ended.
 */
#include "common/auth/eval_int.h"

#include "common/mail/taglist.h"

/* ---- authors ---- */

static enum verdict_from
keep_authors(struct verdict *v, struct arena *a, const struct addr_list *list)
{
	struct verdict_author *authors = arena_array(a, struct verdict_author, list->n);

	if (authors == NULL) {
		v->from_why = list->n == 0 ? "no address" : "no memory left";
		return FROM_BAD;
	}
	for (size_t i = 0; i < list->n; i++)
		authors[i] = (struct verdict_author){ .domain = list->v[i].ascii_domain, .written = list->v[i].domain, .local = list->v[i].local };
	v->authors = authors;
	v->author_count = list->n;
	return FROM_GOOD;
}

static enum verdict_from
read_from(struct eval *e)
{
	const struct header_block *h = e->headers;
	struct verdict *v = &e->verdict;
	struct addr_list list;
	size_t count, at;

	if (h->is_incomplete)           /* there may be another one */
		return FROM_NOT_SEEN;
	count = header_count(h, SPAN("From"));
	if (count != 1)
		return count == 0 ? FROM_MISSING : FROM_SEVERAL;
	if (addr_parse(e->arena, h->v[header_find_last(h, SPAN("From"), h->n)].value, &list, &v->from_why, &at) != RC_OK)
		return FROM_BAD;
	if (list.n == 0) {
		v->from_why = "no address";
		return FROM_BAD;
	}
	v->from_why = NULL;
	return keep_authors(v, e->arena, &list);
}

/* ---- beginning ---- */

static void
lose_dkim(struct eval *e, enum dkim_reason reason)
{
	e->verdict.is_dkim_lost = true;
	e->verdict.dkim_lost = reason;
	e->dkim_done = true;
}

static void
start_dkim(struct eval *e)
{
	struct verdict *v = &e->verdict;
	struct span *domains = arena_array(e->arena, struct span, v->author_count + 1);
	size_t n = 0;

	v->is_dkim_evaluated = true;
	for (size_t i = 0; i < v->author_count && domains != NULL; i++)
		if (!span_is_null(v->authors[i].domain))
			domains[n++] = v->authors[i].domain;
	if (domains != NULL)
		e->dkim = dkim_create(e->arena, e->options->dkim, e->headers, domains, n);
	if (e->dkim == NULL) {
		lose_dkim(e, DKIM_R_MEMORY);
		return;
	}
	v->dkim = dkim_signatures(e->dkim, &v->dkim_count);
	v->dkim_total = dkim_signature_count(e->dkim);
	/* What was left out may have been a signature. */
	if (v->dkim_total == 0 && e->headers->is_incomplete)
		lose_dkim(e, DKIM_R_INCOMPLETE);
}

static void
start_domainkeys(struct eval *e)
{
	struct verdict *v = &e->verdict;

	v->is_domainkeys_evaluated = true;
	e->domainkeys = domainkeys_create(e->arena, e->options->domainkeys, e->headers);
	if (e->domainkeys != NULL)
		return;
	v->domainkeys = (struct domainkeys_outcome){ .result = DOMAINKEYS_TEMPERROR, .reason = DOMAINKEYS_R_MEMORY, .field = e->headers->n };
	e->domainkeys_done = true;
}

static bool
wants_adsp(const struct eval *e)
{
	return e->options->adsp && e->options->dkim != NULL;
}

static void
start_adsp(struct eval *e)
{
	struct verdict *v = &e->verdict;

	v->is_adsp_evaluated = true;
	v->adsp = (struct adsp_outcome){ .result = ADSP_TEMPERROR, .reason = ADSP_R_MEMORY, .author = v->author_count };
	e->adsp_authors = arena_array(e->arena, struct adsp_author, v->author_count + 1);
	e->adsp_done = e->adsp_authors == NULL || v->from == FROM_NOT_SEEN || e->dkim == NULL;
}

bool
eval_needs_header(const struct eval *e)
{
	return e->options->dkim != NULL || e->options->domainkeys != NULL;
}

void
eval_header(struct eval *e, const struct header_block *headers)
{
	if (e->headers != NULL || !eval_needs_header(e))
		return;
	e->headers = headers;
	e->verdict.from = read_from(e);
	if (e->options->dkim != NULL)
		start_dkim(e);
	if (e->options->domainkeys != NULL)
		start_domainkeys(e);
	if (wants_adsp(e))
		start_adsp(e);
}

/* ---- the body ---- */

static bool
dkim_is_hungry(const struct eval *e)
{
	return e->dkim != NULL && !e->dkim_done && dkim_wants_body(e->dkim);
}

static bool
domainkeys_is_hungry(const struct eval *e)
{
	return e->domainkeys != NULL && !e->domainkeys_done && domainkeys_wants_body(e->domainkeys);
}

bool
eval_wants_body(const struct eval *e)
{
	return !e->is_ended && (dkim_is_hungry(e) || domainkeys_is_hungry(e));
}

void
eval_body(struct eval *e, struct span piece)
{
	if (e->is_ended)
		return;
	if (dkim_is_hungry(e))
		dkim_body(e->dkim, piece);
	if (domainkeys_is_hungry(e))
		domainkeys_body(e->domainkeys, piece);
}

void
eval_end(struct eval *e)
{
	if (e->is_ended)
		return;
	e->is_ended = true;
	if (e->dkim != NULL)
		dkim_body_end(e->dkim);
	if (e->domainkeys != NULL)
		domainkeys_body_end(e->domainkeys);
}

void
eval_message_lose(struct eval *e)
{
	static const struct header_block nothing = { .is_incomplete = true };

	if (e->is_ended)
		return;
	e->is_ended = true;
	eval_header(e, &nothing);
	if (e->dkim != NULL)
		dkim_body_lost(e->dkim);
	if (e->domainkeys != NULL)
		domainkeys_body_lost(e->domainkeys);
}

/* ---- ATPS ---- */

/* The good signatures that name somebody on whose behalf they were made. */
static size_t
find_delegates(struct eval *e, struct atps_signature *out)
{
	const struct verdict *v = &e->verdict;
	struct taglist *tags = arena_new(e->arena, struct taglist);
	size_t n = 0;

	for (size_t i = 0; i < v->dkim_count && tags != NULL; i++) {
		const struct dkim_signature *s = &v->dkim[i];

		if (s->result == DKIM_PASS && taglist_parse(e->headers->v[s->field].value, tags, NULL) == RC_OK)
			out[n++] = (struct atps_signature){ s->domain, taglist_get(tags, SPAN("atps")), taglist_get(tags, SPAN("atpsh")) };
	}
	return n;
}

/* Once, when DKIM's results are there. */
static bool
start_atps(struct eval *e)
{
	struct verdict *v = &e->verdict;

	v->is_atps_evaluated = true;
	v->atps = (struct atps_outcome){ .result = ATPS_TEMPERROR, .reason = ATPS_R_MEMORY };
	e->atps_authors = arena_array(e->arena, struct atps_author, v->author_count + 1);
	e->atps_signatures = arena_array(e->arena, struct atps_signature, v->dkim_count + 1);
	if (e->atps_authors == NULL || e->atps_signatures == NULL)
		return false;
	for (size_t i = 0; i < v->author_count; i++)
		e->atps_authors[i].domain = v->authors[i].domain;
	e->atps_count = find_delegates(e, e->atps_signatures);
	return true;
}

static enum rc
run_atps(struct eval *e)
{
	struct verdict *v = &e->verdict;
	enum rc rc;

	if (e->atps_done)
		return RC_OK;
	if (!v->is_atps_evaluated && !start_atps(e)) {
		e->atps_done = true;
		return RC_OK;
	}
	rc = atps_check(e->arena, &e->questions, e->atps_signatures, e->atps_count, e->atps_authors, v->author_count, &v->atps);
	e->atps_done = rc == RC_OK;
	return rc;
}

/* ---- ADSP ---- */

/* A signature of the author's own domain (RFC 5617 section 2.7) that is good, or still may turn out to be. */
static bool
has_signature(const struct eval *e, struct span domain)
{
	const struct verdict *v = &e->verdict;

	for (size_t i = 0; i < v->dkim_count && !span_is_null(domain); i++) {
		const struct dkim_signature *s = &v->dkim[i];

		if (span_eq(s->domain, domain) && (s->result == DKIM_PASS || (!e->dkim_done && s->result == DKIM_NONE)))
			return true;
	}
	return false;
}

static enum rc
run_adsp(struct eval *e)
{
	struct verdict *v = &e->verdict;
	enum rc rc;

	/* Whom a third party may sign for is only known when its signature is known to be good. */
	if (e->options->atps && (!e->dkim_done || run_atps(e) != RC_OK))
		return RC_WAIT;
	for (size_t i = 0; i < v->author_count; i++) {
		struct adsp_author *author = &e->adsp_authors[i];

		author->domain = v->authors[i].domain;
		author->is_signed = has_signature(e, author->domain) ||
		    (e->options->atps && e->atps_authors != NULL && e->atps_authors[i].is_authorized);
	}
	rc = adsp_check(e->arena, &e->questions, e->adsp_authors, v->author_count, &v->adsp);
	return e->dkim_done ? rc : RC_WAIT;
}

/* ---- all together ---- */

static void
read_domainkeys(struct eval *e)
{
	struct domainkeys_outcome *out = &e->verdict.domainkeys;

	*out = *domainkeys_outcome(e->domainkeys);
	/* What was left out may have been a signature. */
	if (out->result == DOMAINKEYS_NONE && e->headers->is_incomplete) {
		out->result = DOMAINKEYS_TEMPERROR;
		out->reason = DOMAINKEYS_R_INCOMPLETE;
	}
}

enum rc
eval_message_run(struct eval *e)
{
	const struct eval_options *o = e->options;

	if (!eval_needs_header(e))
		return RC_OK;
	if (e->headers == NULL)
		return RC_WAIT;
	if (o->dkim != NULL && !e->dkim_done)
		e->dkim_done = dkim_run(e->dkim, &e->questions, e->facts->now_s) == RC_OK;
	if (o->domainkeys != NULL && !e->domainkeys_done) {
		e->domainkeys_done = domainkeys_run(e->domainkeys, &e->questions) == RC_OK;
		read_domainkeys(e);
	}
	if (wants_adsp(e) && !e->adsp_done)
		e->adsp_done = run_adsp(e) == RC_OK;
	return (o->dkim == NULL || e->dkim_done) && (o->domainkeys == NULL || e->domainkeys_done) && (!wants_adsp(e) || e->adsp_done)
	    ? RC_OK : RC_WAIT;
}
