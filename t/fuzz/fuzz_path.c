/* fuzz_path - any argument of MAIL FROM: a path that is accepted holds nothing that an address may not hold. */
#include <string.h>

#include "common/base/check.h"
#include "common/base/domain.h"
#include "common/base/utf8.h"
#include "common/mail/path.h"
#include "common/mail/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(struct span s)
{
	uint32_t c;
	size_t n;

	for (; s.n > 0; s = span_from(s, n)) {
		n = utf8_first(s, &c);
		REQUIRE(n > 0 && c >= 0x20 && c != 0x7f);
	}
}

static void
check_mailbox(const struct path *p)
{
	struct span inside = p->domain;

	REQUIRE(p->domain.n > 0);
	if (inside.p[0] == '[')
		inside = span_sub(inside, 1, inside.n - 2);
	REQUIRE(span_find(inside, '@') == inside.n && span_find(inside, ' ') == inside.n);
	REQUIRE(span_find(inside, '"') == inside.n && span_find(inside, ';') == inside.n && span_find(inside, '\\') == inside.n);
	check_text(inside);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of((const char *)data, size);
	struct arena a;
	struct path p;

	arena_init(&a, 1 * KIB, 64 * KIB);
	REQUIRE(path_parse(&a, text, &p) == RC_OK);
	check_text(p.local);
	if (p.kind == PATH_MAILBOX)
		check_mailbox(&p);
	else
		REQUIRE(p.domain.p == NULL);
	if (p.kind == PATH_NULL)
		REQUIRE(size == 0 || (size == 2 && memcmp(data, "<>", 2) == 0));
	if (size > PATH_MAX_BYTES)
		REQUIRE(p.kind == PATH_INVALID);
	arena_fini(&a);
	return 0;
}
