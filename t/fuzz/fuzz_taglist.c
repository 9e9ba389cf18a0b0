/* fuzz_taglist - any text: the tags of a list that is accepted tell all of it, and reading what they say gives the same list again. */
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/mail/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_tag(const struct taglist *t, size_t i)
{
	struct tag tag = t->v[i];
	struct span rest = tag.value, item;
	size_t bytes = 0, items = 0;

	REQUIRE(tag.name.n > 0 && ascii_is_alpha((unsigned char)tag.name.p[0]) && tag.value.p != NULL);
	REQUIRE(tag.value.p >= t->text.p && tag.value.p + tag.value.n <= t->text.p + t->text.n);
	REQUIRE(span_trim(tag.value).n == tag.value.n && span_find(tag.value, ';') == tag.value.n);
	REQUIRE(taglist_find(t, tag.name) == i);
	while (taglist_item(&rest, &item)) {
		bytes += item.n;
		items++;
	}
	REQUIRE(items > 0 && bytes + items - 1 <= tag.value.n);
}

static void
check_again(const struct taglist *t)
{
	struct buf b = buf_heap(16 * MIB);
	struct taglist again;

	for (size_t i = 0; i < t->n; i++) {
		buf_span(&b, t->v[i].name);
		buf_byte(&b, '=');
		buf_span(&b, t->v[i].value);
		buf_byte(&b, ';');
	}
	REQUIRE(buf_ok(&b) && taglist_parse(buf_text(&b), &again, NULL) == RC_OK && again.n == t->n);
	for (size_t i = 0; i < t->n; i++)
		REQUIRE(span_eq(again.v[i].name, t->v[i].name) && span_eq(again.v[i].value, t->v[i].value));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *why = NULL;
	struct taglist t;
	enum rc rc = taglist_parse(span_of((const char *)data, size), &t, &why);

	REQUIRE((rc == RC_OK) == (why == NULL) && t.n <= TAGLIST_MAX);
	if (rc != RC_OK)
		return 0;
	REQUIRE(t.n > 0);
	for (size_t i = 0; i < t.n; i++)
		check_tag(&t, i);
	check_again(&t);
	return 0;
}
