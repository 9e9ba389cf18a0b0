/* adsp - see adsp.h. */
#include "common/auth/adsp.h"

#include "common/base/buf.h"
#include "common/base/domain.h"
#include "common/mail/scan.h"
#include "common/mail/taglist.h"

static const struct {
	enum adsp_result result;
	const char *text;
} reasons[] = {
#define REASON_ROW(id, result, text) [ADSP_R_##id] = { result, text },
	ADSP_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *
adsp_result_name(enum adsp_result r)
{
	static const char *const names[] = {
		[ADSP_NONE] = "none", [ADSP_PASS] = "pass", [ADSP_UNKNOWN] = "unknown", [ADSP_FAIL] = "fail", [ADSP_DISCARD] = "discard",
		[ADSP_NXDOMAIN] = "nxdomain", [ADSP_TEMPERROR] = "temperror", [ADSP_PERMERROR] = "permerror",
	};

	return names[r];
}

const char *
adsp_reason_text(enum adsp_reason r)
{
	return reasons[r].text;
}

static enum rc
conclude(struct adsp_outcome *out, enum adsp_reason r)
{
	out->reason = r;
	out->result = reasons[r].result;
	return RC_OK;
}

/* ---- the record ---- */

/* RFC 4871's hyphenated-word: begins with a letter, does not end with '-'. */
static bool
is_hyphenated_word(struct span s)
{
	struct scan scan = scan_of(s);
	struct span word;

	return s.n > 0 && ascii_is_alpha((unsigned char)s.p[0]) && scan_keyword(&scan, &word) == RC_OK && scan_at_end(&scan);
}

static bool
has_line_end(struct span s)
{
	return span_find(s, '\r') < s.n || span_find(s, '\n') < s.n;
}

enum adsp_reason
adsp_record_parse(struct span record)
{
	struct taglist t;
	struct span value;

	/* Section 4.2.1: the first four bytes are "dkim", and white space is WSP, not FWS. */
	if (record.n > ADSP_RECORD_MAX || has_line_end(record) || !span_starts(record, SPAN("dkim")))
		return ADSP_R_BAD_RECORD;
	if (taglist_parse(record, &t, NULL) != RC_OK || taglist_find(&t, SPAN("dkim")) != 0)
		return ADSP_R_BAD_RECORD;
	value = t.v[0].value;
	if (span_eq_nocase(value, SPAN("all")))
		return ADSP_R_ALL;
	if (span_eq_nocase(value, SPAN("discardable")))
		return ADSP_R_DISCARDABLE;
	return is_hyphenated_word(value) ? ADSP_R_UNKNOWN : ADSP_R_BAD_RECORD;
}

static enum rc
use_records(const struct dns_answer *answer, struct adsp_outcome *out)
{
	if (answer->rr_count == 0)
		return conclude(out, ADSP_R_NO_RECORD);
	if (answer->rr_count > 1)
		return conclude(out, ADSP_R_MANY_RECORDS);
	return conclude(out, adsp_record_parse(answer->rr[0].text));
}

/* ---- one author ---- */

struct lookup_names {
	struct dns_name domain, practices;
	bool has_practices;             /* else the name would be too long to be published */
};

static enum adsp_reason
make_names(struct arena *a, struct span domain, struct lookup_names *out)
{
	static const struct span prefix = SPAN("_adsp._domainkey.");
	struct buf b = buf_in(a, DOMAIN_MAX + 1 + prefix.n);

	if (!domain_is_valid(domain, 1) || dns_name_from_text(domain, &out->domain) != RC_OK)
		return ADSP_R_BAD_DOMAIN;
	buf_span(&b, prefix);
	buf_span(&b, domain);
	if (!buf_ok(&b))
		return ADSP_R_MEMORY;
	out->has_practices = dns_name_from_text(buf_text(&b), &out->practices) == RC_OK;
	return ADSP_R_SIGNED;
}

static enum rc
dns_failed(struct adsp_outcome *out, const struct dns_answer *answer)
{
	out->dns_status = answer->status;
	return conclude(out, ADSP_R_DNS);
}

/* False: it is known that there is nothing, or not known at all. */
static bool
has_records(const struct dns_answer *answer)
{
	return answer->status == DNS_OK && answer->rr_count > 0;
}

static bool
is_nothing(const struct dns_answer *answer)
{
	return answer->status == DNS_NODATA || answer->status == DNS_OK;
}

/* Section 4.3, "Check Domain Scope".  RC_OK: the domain exists for mail; RC_NONE: *out says why it does not, or why that is not known. */
static enum rc
check_scope(struct questions *q, const struct dns_name *domain, struct adsp_outcome *out)
{
	static const uint16_t types[] = { DNS_MX, DNS_A, DNS_AAAA };
	const struct dns_answer *failed = NULL, *answer;
	bool waits = false;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		/* Addresses are asked along with MX, but decide only where that has no records. */
		answer = questions_want(q, domain, types[i], waits);
		if (answer == NULL) {
			waits = true;
			continue;
		}
		if (has_records(answer))
			return RC_OK;
		if (answer->status == DNS_NXDOMAIN) {
			conclude(out, ADSP_R_NO_DOMAIN);
			return RC_NONE;
		}
		if (!is_nothing(answer) && failed == NULL)
			failed = answer;
	}
	if (waits)
		return RC_WAIT;
	if (failed != NULL)
		dns_failed(out, failed);
	else
		conclude(out, ADSP_R_NO_MAIL_DOMAIN);
	return RC_NONE;
}

static enum rc
check_author(struct arena *a, struct questions *q, const struct adsp_author *author, struct adsp_outcome *out)
{
	const struct dns_answer *answer = NULL;
	struct lookup_names names;
	enum adsp_reason r;
	enum rc scope;

	if (author->is_signed)
		return conclude(out, ADSP_R_SIGNED);
	r = make_names(a, author->domain, &names);
	if (r != ADSP_R_SIGNED)
		return conclude(out, r);
	/* Both questions go out before either answer is looked at. */
	if (names.has_practices)
		answer = questions_want(q, &names.practices, DNS_TXT, false);
	scope = check_scope(q, &names.domain, out);
	if (scope != RC_OK)
		return scope == RC_NONE ? RC_OK : scope;
	if (!names.has_practices)
		return conclude(out, ADSP_R_NO_RECORD);
	if (answer == NULL)
		return RC_WAIT;
	switch (answer->status) {
	case DNS_OK:
		return use_records(answer, out);
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return conclude(out, ADSP_R_NO_RECORD);
	default:
		return dns_failed(out, answer);
	}
}

/* ---- all authors ---- */

static unsigned
strictness(enum adsp_result r)
{
	static const unsigned char rank[] = {
		[ADSP_PASS] = 0, [ADSP_NONE] = 1, [ADSP_UNKNOWN] = 2, [ADSP_PERMERROR] = 3, [ADSP_TEMPERROR] = 4, [ADSP_FAIL] = 5,
		[ADSP_NXDOMAIN] = 6, [ADSP_DISCARD] = 7,
	};

	return rank[r];
}

enum rc
adsp_check(struct arena *a, struct questions *q, const struct adsp_author *authors, size_t n, struct adsp_outcome *out)
{
	bool waits = false;

	*out = (struct adsp_outcome){ .author = n };
	if (n == 0 || n > ADSP_AUTHORS_MAX)
		return conclude(out, n == 0 ? ADSP_R_NO_AUTHOR : ADSP_R_MANY_AUTHORS);
	for (size_t i = 0; i < n; i++) {
		struct adsp_outcome one = { .author = i };

		if (check_author(a, q, &authors[i], &one) == RC_WAIT)
			waits = true;
		else if (out->author == n || strictness(one.result) > strictness(out->result))
			*out = one;
	}
	return waits ? RC_WAIT : RC_OK;
}
