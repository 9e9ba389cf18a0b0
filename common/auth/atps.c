/* atps - see atps.h. */
#include "common/auth/atps.h"

#include "common/base/b32.h"
#include "common/base/buf.h"
#include "common/base/crypto.h"
#include "common/base/domain.h"
#include "common/mail/taglist.h"

static const struct {
	enum atps_result result;
	const char *text;
} reasons[] = {
#define REASON_ROW(id, result, text) [ATPS_R_##id] = { result, text },
	ATPS_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *
atps_result_name(enum atps_result r)
{
	static const char *const names[] = {
		[ATPS_NONE] = "none", [ATPS_PASS] = "pass", [ATPS_FAIL] = "fail", [ATPS_TEMPERROR] = "temperror", [ATPS_PERMERROR] = "permerror",
	};

	return names[r];
}

const char *
atps_reason_text(enum atps_reason r)
{
	return reasons[r].text;
}

/* ---- the name ---- */

static void
put_lower(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_byte(b, (char)ascii_lower((unsigned char)s.p[i]));
}

/* What stands before "._atps."; false: no such hash. */
static bool
put_signer(struct arena *a, struct buf *b, struct span signer, struct span atpsh)
{
	struct buf lower = buf_in(a, DOMAIN_MAX + 1);
	struct crypto_digest digest;

	if (span_eq_nocase(atpsh, SPAN("none"))) {
		put_lower(b, signer);
		return true;
	}
	if (!span_eq_nocase(atpsh, SPAN("sha1")) && !span_eq_nocase(atpsh, SPAN("sha256")))
		return false;
	put_lower(&lower, signer);
	b->failed = b->failed || !buf_ok(&lower);
	crypto_hash_of(span_eq_nocase(atpsh, SPAN("sha1")) ? CRYPTO_SHA1 : CRYPTO_SHA256, buf_text(&lower), &digest);
	b32_encode(b, span_of((const char *)digest.b, digest.n));
	return true;
}

enum atps_reason
atps_query_name(struct arena *a, struct span signer, struct span atps, struct span atpsh, struct dns_name *out)
{
	struct buf b = buf_in(a, 2 * DOMAIN_MAX + sizeof "._atps.");

	if (!put_signer(a, &b, signer, atpsh))
		return ATPS_R_HASH;
	buf_str(&b, "._atps.");
	put_lower(&b, atps);
	if (!buf_ok(&b))
		return ATPS_R_MEMORY;
	return dns_name_from_text(buf_text(&b), out) == RC_OK ? ATPS_R_AUTHORIZED : ATPS_R_NAME;
}

/* ---- the record ---- */

bool
atps_record_is_valid(struct span record, struct span signer)
{
	struct taglist t;
	struct span d;

	if (record.n > ATPS_RECORD_MAX || taglist_parse(record, &t, NULL) != RC_OK || !span_eq(taglist_get(&t, SPAN("v")), SPAN("ATPS1")))
		return false;
	d = taglist_get(&t, SPAN("d"));
	return span_is_null(d) || domain_eq(d, signer);
}

static enum atps_reason
use_records(const struct dns_answer *answer, struct span signer)
{
	for (size_t i = 0; i < answer->rr_count; i++) {
		if (atps_record_is_valid(answer->rr[i].text, signer))
			return ATPS_R_AUTHORIZED;
	}
	return answer->rr_count > 0 ? ATPS_R_BAD_RECORD : ATPS_R_NOT_AUTHORIZED;
}

/* ---- one signature ---- */

static enum rc
conclude(struct atps_outcome *out, enum atps_reason r)
{
	out->reason = r;
	out->result = reasons[r].result;
	return RC_OK;
}

static bool
is_author(struct span domain, const struct atps_author *authors, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!span_is_null(authors[i].domain) && domain_eq(domain, authors[i].domain))
			return true;
	}
	return false;
}

static enum rc
check_signature(struct arena *a, struct questions *q, const struct atps_signature *sig, const struct atps_author *authors, size_t n,
                struct atps_outcome *out)
{
	const struct dns_answer *answer;
	struct dns_name name;
	enum atps_reason r;

	if (!domain_is_valid(sig->atps, 1) || !is_author(sig->atps, authors, n))
		return conclude(out, ATPS_R_OTHER_DOMAIN);
	r = atps_query_name(a, sig->domain, sig->atps, sig->atpsh, &name);
	if (r != ATPS_R_AUTHORIZED)
		return conclude(out, r);
	answer = questions_want(q, &name, DNS_TXT, false);
	if (answer == NULL)
		return RC_WAIT;
	switch (answer->status) {
	case DNS_OK:
		return conclude(out, use_records(answer, sig->domain));
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return conclude(out, ATPS_R_NOT_AUTHORIZED);
	default:
		out->dns_status = answer->status;
		return conclude(out, ATPS_R_DNS);
	}
}

/* ---- all signatures ---- */

static unsigned
rank(enum atps_result r)
{
	static const unsigned char ranks[] = {
		[ATPS_NONE] = 0, [ATPS_FAIL] = 1, [ATPS_PERMERROR] = 2, [ATPS_TEMPERROR] = 3, [ATPS_PASS] = 4,
	};

	return ranks[r];
}

static void
authorize(struct span domain, struct atps_author *authors, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!span_is_null(authors[i].domain) && domain_eq(domain, authors[i].domain))
			authors[i].is_authorized = true;
	}
}

enum rc
atps_check(struct arena *a, struct questions *q, const struct atps_signature *sigs, size_t n, struct atps_author *authors, size_t author_count,
           struct atps_outcome *out)
{
	size_t seen = 0;
	bool waits = false;

	*out = (struct atps_outcome){ .signature = n };
	for (size_t i = 0; i < author_count; i++)
		authors[i].is_authorized = false;
	for (size_t i = 0; i < n && seen < ATPS_SIGNATURES_MAX; i++) {
		struct atps_outcome one = { .signature = i };

		if (span_is_null(sigs[i].atps))
			continue;
		seen++;
		if (check_signature(a, q, &sigs[i], authors, author_count, &one) == RC_WAIT) {
			waits = true;
			continue;
		}
		if (one.result == ATPS_PASS)
			authorize(sigs[i].atps, authors, author_count);
		if (rank(one.result) > rank(out->result))
			*out = one;
	}
	return waits ? RC_WAIT : RC_OK;
}
