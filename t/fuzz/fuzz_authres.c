/*
 * fuzz_authres - any field value: parsing, recognition, and printing what came from outside.
 *
 * All three see the whole input.  What is printed must parse to the same, whatever the input was.
 */
#include "common/base/check.h"
#include "common/mail/authres.h"
#include "common/mail/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_lines(struct span value)
{
	struct span line;
	size_t extra = sizeof("Authentication-Results:") - 1, i;

	REQUIRE(value.n > 0 && value.p[0] == ' ');
	for (; span_split(&value, '\n', &line); extra = 0) {
		REQUIRE(line.n > 0 && line.n + extra <= AUTHRES_LINE_MAX);
		REQUIRE(line.p[0] == ' ' || line.p[0] == '\t');
		REQUIRE(span_trim(line).n > 0);
		for (i = 1; i < line.n; i++)
			REQUIRE((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
	}
}

static struct authres_parsed *
print_and_parse(struct arena *a, struct buf *b, struct span id, const struct authres_item *items, size_t n)
{
	struct authres_parsed *p;

	buf_clear(b);
	REQUIRE(authres_print(b, id, items, n) == RC_OK);
	check_lines(buf_text(b));
	REQUIRE(authres_parse(a, buf_text(b), &p) == RC_OK);
	REQUIRE(p->item_count == n);
	return p;
}

/* Printed once, a value is as harmless as it gets: printing what was read changes nothing any more. */
static void
check_round_trip(struct arena *a, struct span text)
{
	struct authres_item item = { .method = "spf", .result = "fail", .comment = text, .reason = text, .prop_count = 2 };
	struct authres_parsed *p, *again;
	struct buf b = buf_heap(64 * KIB);
	struct span value;
	int i;

	item.prop[0] = item.prop[1] = (struct authres_prop){ "smtp", "mailfrom", text };
	p = print_and_parse(a, &b, text, &item, 1);
	REQUIRE(p->item[0].prop_count == 2);
	REQUIRE(span_eq(p->id, p->item[0].prop[0].value) && span_eq(p->id, p->item[0].prop[1].value));
	REQUIRE(span_eq(p->id, p->item[0].reason));
	value = arena_copy(a, p->id);
	REQUIRE(!span_is_null(value) && value.n <= AUTHRES_VALUE_MAX);
	item.comment = item.reason = value;
	for (i = 0; i < 2; i++)
		item.prop[i].value = value;
	again = print_and_parse(a, &b, value, &item, 1);
	REQUIRE(span_eq(again->id, value) && span_eq(again->item[0].prop[1].value, value));
	buf_fini(&b);
}

static bool
is_plain(struct span s)
{
	struct scan scan = scan_of(s);
	struct span word;

	return scan_token(&scan, &word) == RC_OK && scan_at_end(&scan);
}

/* A field that is well-formed and has our identifier is recognised. */
static void
check_recognised(struct span text, const struct authres_parsed *p)
{
	struct authres_ids *ids;

	if (!is_plain(p->id))
		return;
	ids = authres_ids_create(p->id, NULL, 0);
	REQUIRE(authres_ids_claimed(ids, text));
	authres_ids_destroy(&ids);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span other = { "partner.example", 15 };
	static struct authres_ids *ids;
	struct span text = span_of((const char *)data, size);
	struct authres_parsed *p;
	struct arena a;
	enum rc rc;

	if (ids == NULL)
		ids = authres_ids_create(SPAN("mx.example.jp"), &other, 1);
	(void)authres_ids_claimed(ids, text);
	arena_init(&a, 4 * KIB, 1 * MIB);
	rc = authres_parse(&a, text, &p);
	REQUIRE(rc == RC_OK || rc == RC_SYNTAX || rc == RC_LIMIT);
	REQUIRE((rc == RC_OK) == (p != NULL));
	if (rc == RC_OK) {
		REQUIRE(p->item_count <= AUTHRES_ITEMS_MAX);
		check_recognised(text, p);
	}
	check_round_trip(&a, text);
	arena_fini(&a);
	return 0;
}
