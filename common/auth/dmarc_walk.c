/* dmarc_walk - where records are looked for, and what they say about the organizational domain; see dmarc.h. */
#include "common/base/domain.h"

#include "common/auth/dmarc_int.h"

enum { SHORT_LABELS = 7 };      /* section 4.10 step 4 */

static const struct span prefix = SPAN("_dmarc.");

/* ---- names ---- */

struct span
dmarc_trim_dot(struct span name)
{
	return span_ends_nocase(name, SPAN(".")) ? span_sub(name, 0, name.n - 1) : name;
}

struct span
dmarc_last_labels(struct span name, unsigned count)
{
	for (size_t i = name.n; i > 0; i--)
		if (name.p[i - 1] == '.' && --count == 0)
			return span_from(name, i);
	return name;
}

/* ---- one name ---- */

/* NULL: it is under way, or (speculative) was not noted. */
static const struct dns_answer *
ask(struct questions *q, struct span name, bool is_speculative)
{
	static const struct dns_answer nothing = { .status = DNS_NXDOMAIN, .refs = 1 };
	char text[DOMAIN_MAX + 16];
	struct dns_name full;

	if (name.n > DOMAIN_MAX)
		return &nothing;
	memcpy(text, prefix.p, prefix.n);
	memcpy(text + prefix.n, name.p, name.n);
	/* Too long with the prefix: nobody can publish there. */
	if (dns_name_from_text(span_of(text, prefix.n + name.n), &full) != RC_OK)
		return &nothing;
	return questions_want(q, &full, DNS_TXT, is_speculative);
}

/* Section 4.10 step 2: what is no DMARC record does not count, and several discard each other. */
static enum dmarc_step_kind
read_records(const struct dns_answer *answer, enum dmarc_method dialect, struct dmarc_record *out)
{
	enum dmarc_step_kind kind = DMARC_STEP_NONE;
	struct dmarc_record record;

	for (size_t i = 0; i < answer->rr_count; i++) {
		enum rc rc = dmarc_record_parse(answer->rr[i].text, dialect, &record);

		if (rc == RC_NONE)
			continue;
		if (kind != DMARC_STEP_NONE)
			return DMARC_STEP_MANY;
		kind = rc == RC_OK ? DMARC_STEP_ONE : DMARC_STEP_BAD;
		*out = record;
	}
	return kind;
}

static const struct dmarc_step *
take_step(struct dmarc_walk *w, struct span name, const struct dns_answer *answer, enum dmarc_method dialect)
{
	struct dmarc_step *step = &w->steps[w->n++];

	step->name = name;
	switch (answer->status) {
	case DNS_OK:
		step->kind = read_records(answer, dialect, &step->record);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		step->kind = DMARC_STEP_NONE;
		break;
	default:
		step->kind = DMARC_STEP_FAILED;
		w->is_failed = true;
		w->dns_status = answer->status;
	}
	return step;
}

/* ---- RFC 9989 ---- */

/* Section 4.10.2: from the longest name to the shortest. */
static struct span
choose_org(const struct dmarc_walk *w)
{
	struct span org = w->start;

	for (size_t i = 0; i < w->n; i++) {
		const struct dmarc_step *step = &w->steps[i];

		if (step->kind != DMARC_STEP_ONE)
			continue;
		if (step->record.psd == DMARC_PSD_N)
			return step->name;
		if (step->record.psd == DMARC_PSD_Y && i > 0)
			return dmarc_last_labels(w->start, domain_label_count(step->name) + 1);
		org = step->name;
	}
	return org;
}

/* The name asked behind one of x labels: none when there are no labels left. */
static unsigned
next_label_count(unsigned x)
{
	return x > SHORT_LABELS ? SHORT_LABELS : x - 1;
}

enum rc
dmarc_tree_walk(struct questions *q, struct span domain, bool is_speculative, struct dmarc_walk *out)
{
	bool waits = false;

	*out = (struct dmarc_walk){ .start = dmarc_trim_dot(domain) };
	for (unsigned x = domain_label_count(out->start); x > 0; x = next_label_count(x)) {
		struct span name = dmarc_last_labels(out->start, x);
		/* All go out together, but only the first that is not known is sure to be needed. */
		const struct dns_answer *answer = ask(q, name, is_speculative || waits);
		const struct dmarc_step *step;

		waits |= answer == NULL;
		if (waits)
			continue;
		step = take_step(out, name, answer, DMARC_TREEWALK);
		if (step->kind == DMARC_STEP_FAILED)
			return RC_OK;
		if (step->kind == DMARC_STEP_ONE && step->record.psd != DMARC_PSD_U)
			break;
	}
	if (waits)
		return RC_WAIT;
	out->org = choose_org(out);
	return RC_OK;
}

/* ---- RFC 7489 ---- */

enum rc
dmarc_psl_walk(struct questions *q, const struct psl_list *psl, struct span domain, struct dmarc_walk *out)
{
	const struct dns_answer *own, *above;
	const struct dmarc_step *step;

	*out = (struct dmarc_walk){ .start = dmarc_trim_dot(domain) };
	out->org = psl_org_domain(psl, out->start);
	own = ask(q, out->start, false);
	above = out->org.n < out->start.n ? ask(q, out->org, own == NULL) : NULL;
	if (own == NULL)
		return RC_WAIT;
	step = take_step(out, out->start, own, DMARC_PSL);
	if (step->kind != DMARC_STEP_NONE || out->org.n == out->start.n)
		return RC_OK;
	if (above == NULL)
		return RC_WAIT;
	take_step(out, out->org, above, DMARC_PSL);
	return RC_OK;
}

/* ---- policy ---- */

/* What to say when there is no record: the first that was discarded, but a top-level domain's is nobody's. */
static enum dmarc_reason
why_none(const struct dmarc_walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (i > 0 && domain_label_count(w->steps[i].name) == 1)
			break;
		if (w->steps[i].kind == DMARC_STEP_MANY)
			return DMARC_R_MANY_RECORDS;
		if (w->steps[i].kind == DMARC_STEP_BAD)
			return DMARC_R_BAD_RECORD;
	}
	return DMARC_R_NO_RECORD;
}

/* Section 4.10.1: the author domain's record, else the organizational domain's, else the public suffix domain's. */
static const struct dmarc_step *
find_policy(const struct dmarc_walk *w, enum dmarc_place *place_out)
{
	*place_out = DMARC_AT_AUTHOR;
	if (w->n > 0 && w->steps[0].kind == DMARC_STEP_ONE)
		return &w->steps[0];
	if (w->is_failed)
		return NULL;
	*place_out = DMARC_AT_ORG;
	for (size_t i = 1; i < w->n; i++)
		if (w->steps[i].kind == DMARC_STEP_ONE && w->steps[i].name.n == w->org.n)
			return &w->steps[i];
	*place_out = DMARC_AT_PSD;
	for (size_t i = 1; i < w->n; i++)
		if (w->steps[i].kind == DMARC_STEP_ONE && w->steps[i].record.psd == DMARC_PSD_Y)
			return &w->steps[i];
	return NULL;
}

const struct dmarc_step *
dmarc_walk_policy(const struct dmarc_walk *w, enum dmarc_place *place_out, enum dmarc_reason *why_out)
{
	const struct dmarc_step *step = find_policy(w, place_out);

	if (step == NULL)
		*why_out = w->is_failed ? DMARC_R_DNS : why_none(w);
	else if (!step->record.has_policy)
		*why_out = DMARC_R_NO_POLICY;
	else
		return step;
	return NULL;
}
