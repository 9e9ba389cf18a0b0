/* cache_entry_spf - CACHE_VALUE_DEF: results of SPF as value bytes; see cache_entry.h. */
#include "cache/cache_entry_int.h"
#include "cache/cache_key.h"

enum { COUNTER_MAX = UINT8_MAX };

static void
write_text(struct entry_writer *w, struct span s)
{
	if (!span_is_null(s) && s.n >= ENTRY_ABSENT) {
		w->failed = true;
		return;
	}
	entry_write_number(w, span_is_null(s) ? (uint64_t)ENTRY_ABSENT : s.n, 2);
	entry_write(w, s.p, s.n);
}

static struct span
read_text(struct entry_reader *r)
{
	size_t n = entry_read_number(r, 2);

	if (n == ENTRY_ABSENT || r->failed)
		return SPAN_NULL;
	return span_of((const char *)entry_read(r, n), n);
}

/* What ran out of the message's own means, or failed for now, is not a property of the domain. */
static bool
may_be_kept(const struct spf_outcome *o)
{
	return !o->depends_on_message && span_is_null(o->explanation) && o->result <= SPF_PERMERROR && o->result != SPF_TEMPERROR &&
	    o->reason <= SPF_R_MEMORY && o->reason != SPF_R_DNS_ERROR && o->reason != SPF_R_QUESTION_LIMIT && o->reason != SPF_R_MEMORY &&
	    o->lookups <= COUNTER_MAX && o->voids <= COUNTER_MAX;
}

enum rc
cache_entry_put_spf(struct span key, const struct spf_outcome *o, const struct cache_ttl_rules *rules, int64_t now_s, void *out,
                    size_t size, size_t *n_out)
{
	struct cache_entry_head h = {
		.kind = CACHE_RESULT, .status = (uint8_t)o->result, .rank = CACHE_RANK_INSECURE, .type = CACHE_R_SPF,
		.stored_s = now_s, .life_s = cache_ttl_result(rules, o->ttl_s),
	};
	struct entry_writer w;

	if (!may_be_kept(o) || h.life_s == 0 || now_s < 0)
		return RC_NONE;
	w = entry_begin(&h, out, size);
	entry_write_number(&w, o->reason, 1);
	entry_write_number(&w, o->lookups, 1);
	entry_write_number(&w, o->voids, 1);
	write_text(&w, o->mechanism);
	write_text(&w, o->at);
	write_text(&w, o->detail);
	return entry_end(&w, key, n_out);
}

/* Texts still point into the value. */
static enum rc
read_outcome(const struct cache_entry_head *h, struct entry_reader *r, struct spf_outcome *out)
{
	*out = (struct spf_outcome){ .result = (enum spf_result)h->status };
	out->reason = (enum spf_reason)entry_read_number(r, 1);
	out->lookups = (unsigned)entry_read_number(r, 1);
	out->voids = (unsigned)entry_read_number(r, 1);
	out->mechanism = read_text(r);
	out->at = read_text(r);
	out->detail = read_text(r);
	return !r->failed && r->left == 0 && may_be_kept(out) ? RC_OK : RC_SYNTAX;
}

enum rc
entry_check_spf(const struct cache_entry_head *h, struct entry_reader r)
{
	struct spf_outcome o;

	return read_outcome(h, &r, &o);
}

static bool
keep_text(struct arena *a, struct span *s)
{
	if (span_is_null(*s))
		return true;
	*s = arena_copy(a, *s);
	return !span_is_null(*s);
}

enum rc
cache_entry_get_spf(struct arena *a, struct span key, struct span value, int64_t now_s, struct spf_outcome *out)
{
	struct cache_entry_head h;
	struct entry_reader r;
	enum rc rc;

	if (entry_open(key, value, &h, &r) != RC_OK || h.kind != CACHE_RESULT || h.type != CACHE_R_SPF)
		return RC_SYNTAX;
	if ((rc = read_outcome(&h, &r, out)) != RC_OK)
		return rc;
	if (cache_ttl_age(h.stored_s, h.life_s, 0, false, now_s, &out->ttl_s) != CACHE_FRESH)
		return RC_NONE;
	return keep_text(a, &out->mechanism) && keep_text(a, &out->at) && keep_text(a, &out->detail) ? RC_OK : RC_LIMIT;
}
