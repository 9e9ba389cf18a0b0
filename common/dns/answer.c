/* answer - the life of an answer: one heap block, reference counted, never changed once given away; see dns.h. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"

const struct dns_answer *
dns_answer_ref(const struct dns_answer *a)
{
	/* The count is the one part of an answer that changes. */
	if (a != NULL)
		atomic_fetch_add_explicit(&((struct dns_answer *)(uintptr_t)a)->refs, 1, memory_order_relaxed);
	return a;
}

void
dns_answer_unref(const struct dns_answer *a)
{
	struct dns_answer *own = (struct dns_answer *)(uintptr_t)a;

	if (own != NULL && atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
		free(own);
}

size_t
answer_size(size_t rr_count, size_t name_count, size_t text_bytes)
{
	return sizeof(struct dns_answer) + rr_count * sizeof(struct dns_rr) + name_count * sizeof(struct dns_name) + text_bytes;
}

struct answer_make
answer_make(enum dns_status s, size_t rr_count, size_t name_count, size_t text_bytes)
{
	struct answer_make m = { .rr_left = rr_count, .names_left = name_count, .text_left = text_bytes };

	if (rr_count > DNS_ANSWER_RRS_MAX || name_count > 2 * DNS_ANSWER_RRS_MAX || text_bytes > DNS_ANSWER_BYTES_MAX ||
	    answer_size(rr_count, name_count, text_bytes) > DNS_ANSWER_BYTES_MAX)
		return m;
	m.a = xcalloc(1, answer_size(rr_count, name_count, text_bytes));
	m.a->status = s;
	m.a->rr = (struct dns_rr *)(m.a + 1);
	m.names = (struct dns_name *)(m.a->rr + rr_count);
	m.text = (char *)(m.names + name_count);
	m.a->refs = 1;
	return m;
}

struct dns_rr *
answer_make_rr(struct answer_make *m, uint32_t ttl_s)
{
	struct dns_rr *rr;

	REQUIRE(m->rr_left > 0);
	m->rr_left--;
	rr = &m->a->rr[m->a->rr_count++];
	rr->ttl_s = ttl_s;
	return rr;
}

struct dns_name *
answer_make_name(struct answer_make *m)
{
	REQUIRE(m->names_left > 0);
	m->names_left--;
	return m->names++;
}

char *
answer_make_text(struct answer_make *m, size_t n)
{
	char *p = m->text;

	REQUIRE(n <= m->text_left);
	m->text_left -= n;
	m->text += n;
	return p;
}

struct dns_answer *
answer_status(enum dns_status s, uint32_t ttl_s, const char *why)
{
	struct answer_make m = answer_make(s, 0, 0, 0);

	REQUIRE(m.a != NULL);
	m.a->ttl_s = ttl_s;
	snprintf(m.a->why, sizeof m.a->why, "%s", why != NULL ? why : "");
	return m.a;
}

const struct dns_answer *
dns_answer_status(enum dns_status s, uint32_t ttl_s, const char *why)
{
	return answer_status(s, ttl_s, why);
}
