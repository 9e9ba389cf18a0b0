/* domainkeys - which signature counts, its key, its result, the sender's policy; see domainkeys.h. */
#include "common/auth/domainkeys_int.h"

#include "common/auth/dkim_key.h"
#include "common/base/buf.h"
#include "common/base/crypto.h"
#include "common/base/domain.h"
#include "common/mail/addr.h"
#include "common/mail/taglist.h"

struct sender {
	bool is_there;
	size_t field;
	struct span local, domain;      /* domain: lower case, A-labels */
};

struct domainkeys {
	struct arena *arena;
	const struct domainkeys_options *options;
	const struct header_block *headers;
	struct sender from, sender;
	const struct sender *who;       /* whose policy counts, whom the result is about; NULL: nobody */
	struct domainkeys_sig sig;      /* the one that counts */
	struct crypto_hash *hash;       /* NULL: nothing to hash */
	struct canon_body body;
	struct crypto_digest digest;
	bool has_body_begun, has_body_ended;
	bool is_decided;                /* result and reason are set; only the policy may be missing */
	bool is_done;
	struct domainkeys_outcome out;
};

static const struct {
	enum domainkeys_result result;
	const char *text;
} reasons[] = {
#define REASON_ROW(id, result, text) [DOMAINKEYS_R_##id] = { result, text },
	DOMAINKEYS_REASONS(REASON_ROW)
#undef REASON_ROW
};

const char *
domainkeys_result_name(enum domainkeys_result r)
{
	static const char *const names[] = {
		[DOMAINKEYS_NONE] = "none", [DOMAINKEYS_PASS] = "pass", [DOMAINKEYS_FAIL] = "fail", [DOMAINKEYS_POLICY] = "policy",
		[DOMAINKEYS_NEUTRAL] = "neutral", [DOMAINKEYS_TEMPERROR] = "temperror", [DOMAINKEYS_PERMERROR] = "permerror",
	};

	return names[r];
}

const char *
domainkeys_reason_text(enum domainkeys_reason r)
{
	return reasons[r].text;
}

enum domainkeys_result
domainkeys_reason_result(enum domainkeys_reason r)
{
	return reasons[r].result;
}

static void
decide(struct domainkeys *k, enum domainkeys_reason r, const char *detail)
{
	k->out.reason = r;
	k->out.result = reasons[r].result;
	k->out.detail = span_cstr(detail);
	k->is_decided = true;
}

/* ---- who sent it ---- */

/* The first address of the only field of that name (section 3.1).  RC_LIMIT: the arena's ceiling or a field of absurd size. */
static enum rc
read_sender(struct domainkeys *k, struct span name, struct sender *out)
{
	const struct header_block *h = k->headers;
	size_t count = header_count(h, name), at;
	struct addr_list l;
	const char *why;
	enum rc rc;

	*out = (struct sender){ .field = header_find_last(h, name, h->n) };
	if (count != 1)
		return count == 0 ? RC_NONE : RC_SYNTAX;
	rc = addr_parse(k->arena, h->v[out->field].value, &l, &why, &at);
	if (rc != RC_OK)
		return rc;
	if (l.n == 0 || span_is_null(l.v[0].ascii_domain))
		return RC_SYNTAX;
	out->is_there = true;
	out->local = l.v[0].local;
	out->domain = l.v[0].ascii_domain;
	return RC_OK;
}

/* An unreadable From is no sender at all; an unreadable Sender leaves From. */
static void
read_senders(struct domainkeys *k)
{
	enum rc from = read_sender(k, SPAN("From"), &k->from);
	enum rc sender = read_sender(k, SPAN("Sender"), &k->sender);

	if (from == RC_OK)
		k->who = sender == RC_OK ? &k->sender : &k->from;
}

/* ---- which signature ---- */

/* Whom the signature at index `at` speaks of: Sender when there is one and it is covered, else From; NULL: *why_out says what is missing. */
static const struct sender *
signed_sender(const struct domainkeys *k, const struct domainkeys_sig *sig, size_t at, enum domainkeys_reason *why_out)
{
	const struct header_block *h = k->headers;

	*why_out = DOMAINKEYS_R_SENDER;
	if (!k->from.is_there)
		return NULL;
	if (k->sender.field < h->n && domainkeys_sig_covers(sig, h, at, k->sender.field))
		return k->sender.is_there ? &k->sender : NULL;
	*why_out = DOMAINKEYS_R_SENDER_NOT_SIGNED;
	return domainkeys_sig_covers(sig, h, at, k->from.field) ? &k->from : NULL;
}

static enum domainkeys_reason
judge(struct domainkeys *k, size_t at, struct domainkeys_sig *sig, const struct sender **who_out, const char **why_out)
{
	enum domainkeys_reason r = domainkeys_sig_parse(k->arena, k->headers->v[at].value, sig, why_out);

	*who_out = NULL;
	if (r != DOMAINKEYS_R_GOOD)
		return r;
	*who_out = signed_sender(k, sig, at, &r);
	if (*who_out == NULL)
		return r;
	return domain_is_at_or_below((*who_out)->domain, sig->domain) ? DOMAINKEYS_R_GOOD : DOMAINKEYS_R_OTHER_DOMAIN;
}

static void
describe(struct domainkeys *k, size_t at, const struct domainkeys_sig *sig, const struct sender *who)
{
	k->out.field = at;
	k->out.d = sig->d;
	k->out.s = sig->s;
	k->out.canon = sig->canon;
	if (who != NULL)
		k->who = who;
}

/* True: k->sig is the signature that counts; false: the outcome is decided. */
static bool
choose(struct domainkeys *k)
{
	size_t seen = 0;

	for (size_t i = 0; i < k->headers->n && seen < DOMAINKEYS_SIGNATURES_MAX; i++) {
		const struct sender *who;
		struct domainkeys_sig sig;
		enum domainkeys_reason r;
		const char *why = NULL;

		if (!header_is(&k->headers->v[i], SPAN("DomainKey-Signature")))
			continue;
		r = judge(k, i, &sig, &who, &why);
		if (seen++ == 0 || r == DOMAINKEYS_R_GOOD)
			describe(k, i, &sig, who);
		if (r == DOMAINKEYS_R_GOOD) {
			k->sig = sig;
			return true;
		}
		if (!k->is_decided)
			decide(k, r, why);
	}
	if (!k->is_decided)
		decide(k, DOMAINKEYS_R_NO_SIGNATURE, NULL);
	return false;
}

/* ---- hashing ---- */

static void
hash_sink(void *arg, const char *p, size_t n)
{
	struct domainkeys *k = arg;

	crypto_hash_update(k->hash, p, n);
}

/* The empty line between header and body is hashed only when the body has content (section 3.4.2.1). */
static void
body_sink(void *arg, const char *p, size_t n)
{
	struct domainkeys *k = arg;

	if (!k->has_body_begun)
		crypto_hash_update(k->hash, "\r\n", 2);
	k->has_body_begun = true;
	crypto_hash_update(k->hash, p, n);
}

static void
destroy_hash(void *arg)
{
	struct domainkeys *k = arg;

	crypto_hash_destroy(&k->hash);
}

static bool
begin_hash(struct domainkeys *k)
{
	if (!arena_on_reset(k->arena, destroy_hash, k))
		return false;
	k->hash = crypto_hash_create(CRYPTO_SHA1);
	canon_body_init(&k->body, k->sig.canon, body_sink, k);
	return domainkeys_sig_header(k->arena, &k->sig, k->headers, k->out.field, hash_sink, k) == RC_OK;
}

struct domainkeys *
domainkeys_create(struct arena *a, const struct domainkeys_options *o, const struct header_block *headers)
{
	struct domainkeys *k = arena_new(a, struct domainkeys);

	if (k == NULL)
		return NULL;
	k->arena = a;
	k->options = o;
	k->headers = headers;
	k->out.field = headers->n;
	read_senders(k);
	if (!choose(k))
		return k;
	k->is_decided = false;
	if (headers->is_incomplete)
		decide(k, DOMAINKEYS_R_INCOMPLETE, NULL);
	else if (!begin_hash(k))
		decide(k, DOMAINKEYS_R_MEMORY, NULL);
	else
		k->out.detail = SPAN_NULL;
	return k;
}

bool
domainkeys_wants_body(const struct domainkeys *k)
{
	return !k->is_decided && !k->has_body_ended;
}

void
domainkeys_body(struct domainkeys *k, struct span piece)
{
	if (domainkeys_wants_body(k))
		canon_body_feed(&k->body, piece);
}

void
domainkeys_body_end(struct domainkeys *k)
{
	if (!domainkeys_wants_body(k))
		return;
	if (!canon_body_is_empty(&k->body))
		canon_body_end(&k->body);
	crypto_hash_final(k->hash, &k->digest);
	k->has_body_ended = true;
}

void
domainkeys_body_lost(struct domainkeys *k)
{
	if (domainkeys_wants_body(k))
		decide(k, DOMAINKEYS_R_MEMORY, NULL);
}

/* ---- the key ---- */

/* before '*' behind */
static bool
matches_pattern(struct span text, struct span pattern)
{
	size_t star = span_find(pattern, '*');
	struct span behind = span_from(pattern, star + 1);

	if (star == pattern.n)
		return span_eq(text, pattern);
	return text.n >= pattern.n - 1 && span_starts(text, span_sub(pattern, 0, star)) && span_eq(span_from(text, text.n - behind.n), behind);
}

static bool
is_sender_allowed(const struct domainkeys *k, const struct dkim_key_record *r)
{
	if (r->g.n == 0)                /* absent or empty */
		return true;
	return r->has_version ? matches_pattern(k->who->local, r->g) : span_eq(k->who->local, r->g);
}

static enum domainkeys_reason
reason_of_dkim(enum dkim_reason r)
{
	switch (r) {
	case DKIM_R_GOOD: return DOMAINKEYS_R_GOOD;
	case DKIM_R_KEY_REVOKED: return DOMAINKEYS_R_KEY_REVOKED;
	case DKIM_R_KEY_TYPE: return DOMAINKEYS_R_KEY_TYPE;
	case DKIM_R_KEY_LENGTH: return DOMAINKEYS_R_KEY_LENGTH;
	case DKIM_R_KEY_SERVICE:
	case DKIM_R_KEY_HASH: return DOMAINKEYS_R_KEY_USE;
	case DKIM_R_MEMORY: return DOMAINKEYS_R_MEMORY;
	default: return DOMAINKEYS_R_KEY_SYNTAX;
	}
}

/* A reference for the caller. */
static enum domainkeys_reason
get_key(struct domainkeys *k, const struct dkim_key_record *r, struct crypto_key **out, const char **why_out)
{
	enum dkim_reason reason;

	*out = k->options->keys != NULL ? dkim_keys_get(k->options->keys, CRYPTO_RSA, r->p) : NULL;
	if (*out != NULL)
		return DOMAINKEYS_R_GOOD;
	reason = dkim_key_decode(k->arena, r, out, why_out);
	if (reason == DKIM_R_GOOD && k->options->keys != NULL)
		dkim_keys_put(k->options->keys, CRYPTO_RSA, r->p, *out);
	return reason_of_dkim(reason);
}

static enum domainkeys_reason
verify(struct domainkeys *k, const struct dkim_key_record *r, const char **why_out)
{
	enum domainkeys_reason reason;
	struct crypto_key *key = NULL;

	reason = get_key(k, r, &key, why_out);
	if (reason != DOMAINKEYS_R_GOOD)
		return reason;
	k->out.key_bits = crypto_key_bits(key);
	if (k->out.key_bits < k->options->min_rsa_bits)
		reason = DOMAINKEYS_R_SHORT_KEY;
	else if (!crypto_verify(key, CRYPTO_SHA1, &k->digest, k->sig.b))
		reason = DOMAINKEYS_R_SIGNATURE;
	crypto_key_unref(key);
	return reason;
}

static enum domainkeys_reason
try_record(struct domainkeys *k, struct span record, const char **why_out)
{
	struct dkim_key_record r;
	enum dkim_reason reason;

	*why_out = NULL;
	k->out.is_testing = false;
	k->out.key_bits = 0;
	if (record.n > DKIM_KEY_RECORD_MAX)
		return DOMAINKEYS_R_KEY_SYNTAX;
	reason = dkim_key_parse(record, &r, why_out);
	if (reason != DKIM_R_GOOD)
		return reason_of_dkim(reason);
	k->out.is_testing = r.is_testing;
	if (r.kind != CRYPTO_RSA)
		return DOMAINKEYS_R_KEY_TYPE;
	if (r.p.n == 0)
		return DOMAINKEYS_R_KEY_REVOKED;
	if (!r.allows_sha1 || !r.allows_email)
		return DOMAINKEYS_R_KEY_USE;
	if (!is_sender_allowed(k, &r))
		return DOMAINKEYS_R_KEY_SENDER;
	return verify(k, &r, why_out);
}

/* Several records have no order: the first good one counts, else the first. */
static void
try_records(struct domainkeys *k, const struct dns_answer *answer)
{
	struct domainkeys_outcome first = k->out;

	k->out.is_key_secure = answer->is_secure;
	for (size_t i = 0; i < MIN(answer->rr_count, (size_t)DKIM_KEY_RECORDS_MAX); i++) {
		const char *why;
		enum domainkeys_reason r = try_record(k, answer->rr[i].text, &why);

		decide(k, r, why);
		if (r == DOMAINKEYS_R_GOOD)
			return;
		if (i == 0)
			first = k->out;
	}
	k->out = first;
}

static void
use_answer(struct domainkeys *k, const struct dns_answer *answer)
{
	switch (answer->status) {
	case DNS_OK:
		if (answer->rr_count > 0)
			try_records(k, answer);
		else
			decide(k, DOMAINKEYS_R_NO_KEY, NULL);
		break;
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		decide(k, DOMAINKEYS_R_NO_KEY, NULL);
		break;
	case DNS_BOGUS:
		decide(k, DOMAINKEYS_R_BOGUS, NULL);
		break;
	default:
		decide(k, DOMAINKEYS_R_DNS, dns_status_name(answer->status));
		break;
	}
}

/* ---- the policy ---- */

static bool
has_flag(struct span flags, struct span flag)
{
	struct span item;

	while (taglist_item(&flags, &item)) {
		if (span_eq(item, flag))
			return true;
	}
	return false;
}

/* False: no policy record. */
static bool
read_policy(struct domainkeys *k, struct span record)
{
	struct taglist t;
	struct span o;

	if (record.n > DKIM_KEY_RECORD_MAX || taglist_parse(record, &t, NULL) != RC_OK)
		return false;
	o = taglist_get(&t, SPAN("o"));
	if (!span_is_null(o) && !span_eq(o, SPAN("-")) && !span_eq(o, SPAN("~")))
		return false;
	k->out.policy = span_eq(o, SPAN("-")) ? DOMAINKEYS_POLICY_ALL : DOMAINKEYS_POLICY_SOME;
	k->out.is_testing = k->out.is_testing || has_flag(taglist_get(&t, SPAN("t")), SPAN("y"));
	return true;
}

/* Of several readable records none can be told to be the right one: the defaults count. */
static void
use_policies(struct domainkeys *k, const struct dns_answer *answer)
{
	bool was_testing = k->out.is_testing;
	unsigned found = 0;

	k->out.policy = DOMAINKEYS_POLICY_UNPUBLISHED;
	if (answer->rr_count <= DOMAINKEYS_POLICIES_MAX) {
		for (size_t i = 0; i < answer->rr_count; i++)
			found += read_policy(k, answer->rr[i].text);
	}
	if (found > 1) {
		k->out.policy = DOMAINKEYS_POLICY_UNPUBLISHED;
		k->out.is_testing = was_testing;
	}
}

static enum rc
ask_policy(struct domainkeys *k, struct questions *q)
{
	struct buf b = buf_in(k->arena, DOMAIN_MAX + sizeof "_domainkey.");
	const struct dns_answer *answer;
	struct dns_name name;

	if (k->who == NULL)
		return RC_OK;
	k->out.policy = DOMAINKEYS_POLICY_UNKNOWN;
	buf_str(&b, "_domainkey.");
	buf_span(&b, k->who->domain);
	if (!buf_ok(&b))
		return RC_OK;
	if (dns_name_from_text(buf_text(&b), &name) != RC_OK) {
		k->out.policy = DOMAINKEYS_POLICY_UNPUBLISHED;          /* the name would be too long to be published */
		return RC_OK;
	}
	answer = questions_want(q, &name, DNS_TXT, false);
	if (answer == NULL)
		return RC_WAIT;
	if (answer->status == DNS_OK)
		use_policies(k, answer);
	else if (answer->status == DNS_NODATA || answer->status == DNS_NXDOMAIN)
		k->out.policy = DOMAINKEYS_POLICY_UNPUBLISHED;
	return RC_OK;
}

/* ---- all together ---- */

enum rc
domainkeys_run(struct domainkeys *k, struct questions *q)
{
	const struct dns_answer *answer;
	enum rc rc;

	if (k->is_done)
		return RC_OK;
	if (!k->is_decided) {
		answer = questions_want(q, &k->sig.key_name, DNS_TXT, false);
		if (answer == NULL || !k->has_body_ended)
			return RC_WAIT;
		use_answer(k, answer);
	}
	rc = k->out.result == DOMAINKEYS_PASS ? RC_OK : ask_policy(k, q);
	if (rc != RC_OK)
		return rc;
	if (k->who != NULL) {
		k->out.is_sender = k->who == &k->sender;
		k->out.local = k->who->local;
		k->out.domain = k->who->domain;
	}
	k->is_done = true;
	return RC_OK;
}

const struct domainkeys_outcome *
domainkeys_outcome(const struct domainkeys *k)
{
	return &k->out;
}
