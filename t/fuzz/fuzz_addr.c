/* fuzz_addr - any address field: what is accepted holds nothing that an address may not hold, names itself when written out again, and needs the input no more. */
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/base/domain.h"
#include "common/base/utf8.h"
#include "common/base/xalloc.h"
#include "common/mail/addr.h"

enum { CEILING = 4 * MIB };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Valid UTF-8 without control characters. */
static void
check_text(struct span s, bool is_shown)
{
	uint32_t c;
	size_t n;

	for (; s.n > 0; s = span_from(s, n)) {
		n = utf8_first(s, &c);
		REQUIRE(n > 0 && (c >= 0x20 || c == '\t') && c != 0x7f);
		REQUIRE(!is_shown || c == '\t' || utf8_is_showable(c));
	}
}

static void
check_mailbox(const struct addr_mailbox *m)
{
	REQUIRE(!span_is_null(m->local) && m->local.n <= ADDR_LOCAL_MAX);
	REQUIRE(m->domain.n > 0 && m->domain.n <= ADDR_FIELD_MAX);
	check_text(m->display, false);
	check_text(m->local, true);
	check_text(m->domain, true);
	for (size_t i = 0; i < m->domain.n; i++)
		REQUIRE(strchr(" \t\"(),;<>@\\", m->domain.p[i]) == NULL);
	if (!span_is_null(m->ascii_domain)) {
		REQUIRE(m->domain.p[0] != '[' && domain_is_valid(m->ascii_domain, 1));
		REQUIRE(m->ascii_domain.p[m->ascii_domain.n - 1] != '.');
	}
}

static void
put_quoted(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(b, '\\');
		buf_byte(b, s.p[i]);
	}
	buf_byte(b, '"');
}

static void
check_again(struct arena *a, const struct addr_list *l)
{
	struct buf b = buf_heap(MIB);
	struct addr_list again;
	const char *why;
	size_t at;

	for (size_t i = 0; i < l->n; i++) {
		put_quoted(&b, l->v[i].local);
		buf_byte(&b, '@');
		buf_span(&b, l->v[i].domain);
		buf_byte(&b, ',');
	}
	if (l->n > 0 && b.n <= ADDR_FIELD_MAX) {
		REQUIRE(addr_parse(a, buf_text(&b), &again, &why, &at) == RC_OK && again.n == l->n);
		for (size_t i = 0; i < l->n; i++) {
			REQUIRE(span_eq(again.v[i].local, l->v[i].local) && span_eq(again.v[i].domain, l->v[i].domain));
			REQUIRE(span_eq(again.v[i].ascii_domain, l->v[i].ascii_domain));
		}
	}
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr_list l;
	const char *why;
	struct arena a;
	char *copy;
	size_t at;
	enum rc rc;

	if (size > 2 * ADDR_FIELD_MAX)
		return 0;
	copy = xmalloc(size);
	if (size > 0)
		memcpy(copy, data, size);
	arena_init(&a, 1 * KIB, CEILING);
	rc = addr_parse(&a, span_of(copy, size), &l, &why, &at);
	free(copy);
	REQUIRE(rc == RC_OK || ((rc == RC_SYNTAX || rc == RC_LIMIT) && l.n == 0 && why != NULL && at <= size));
	REQUIRE(size <= ADDR_FIELD_MAX || rc == RC_LIMIT);
	if (rc == RC_OK) {
		REQUIRE(l.n <= ADDR_LIST_MAX && (l.n > 0 || l.has_groups));
		for (size_t i = 0; i < l.n; i++)
			check_mailbox(&l.v[i]);
		check_again(&a, &l);
	}
	arena_fini(&a);
	return 0;
}
