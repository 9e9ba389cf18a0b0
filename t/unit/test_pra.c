/* pra: which field is the Purported Responsible Address's (RFC 4407 section 2), rule by rule, and what a field must be. */
#include "t/unit/unit.h"

#include <stdio.h>
#include <time.h>

#include "common/auth/pra.h"
#include "common/mail/addr.h"

/* header: "Name: value" lines, topmost first; a line that begins with a blank goes on.  want: local|domain of PRA_FOUND. */
struct row {
	const char *what, *header;
	enum pra_status status;
	enum pra_field field;
	size_t index;
	const char *want;
};

static void
fill(struct header_block *h, struct arena *a, struct span text)
{
	size_t colon, end;

	header_init(h, a);
	for (; text.n > 0; text = span_from(text, end + 1)) {
		colon = span_find(text, ':');
		assert_true(colon < text.n);
		end = span_find(text, '\n');
		while (end + 1 < text.n && ascii_is_wsp((unsigned char)text.p[end + 1]))
			end += 1 + span_find(span_from(text, end + 1), '\n');
		if (end < colon)                /* a fold inside of the name */
			end = colon + span_find(span_from(text, colon), '\n');
		assert_int_equal(header_add(h, span_sub(text, 0, colon), span_sub(text, colon + 1, end - colon - 1), true), RC_OK);
	}
}

static void
check_row(const struct row *r)
{
	struct span text = exact(r->header);
	struct header_block h;
	struct pra pra;
	struct arena a;
	char got[1024] = "";

	arena_init(&a, KIB, MIB);
	fill(&h, &a, text);
	exact_free(text);
	pra_select(&a, &h, &pra);
	if (pra.status == PRA_FOUND)
		snprintf(got, sizeof got, "%.*s|%.*s", SPAN_ARGS(pra.local), SPAN_ARGS(pra.domain));
	if (pra.status != r->status || pra.field != r->field || strcmp(got, r->want != NULL ? r->want : "") != 0)
		fail_msg("%s: got \"%s\" (%s) field %d, want \"%s\" (%s) field %d", r->what, got, pra_status_text(pra.status), (int)pra.field,
		    r->want != NULL ? r->want : "", pra_status_text(r->status), (int)r->field);
	if (pra.index != (pra.field == PRA_NO_FIELD ? h.n : r->index))
		fail_msg("%s: index %zu", r->what, pra.index);
	if ((pra.why != NULL) != (pra.status == PRA_MALFORMED))
		fail_msg("%s: why", r->what);
	if (pra.status != PRA_FOUND && (!span_is_null(pra.local) || !span_is_null(pra.domain)))
		fail_msg("%s: an address although there is none", r->what);
	arena_fini(&a);
}

#define RS "Resent-Sender: rs@rs.example\n"
#define RF "Resent-From: rf@rf.example\n"
#define RCVD "Received: by mx.example\n"
#define RP "Return-Path: <p@example.org>\n"
#define S "Sender: s@s.example\n"
#define F "From: f@f.example\n"

/* Step 1: Resent-Sender, and the resent block it is in. */
static void
test_step1(void **state)
{
	static const struct row rows[] = {
		{ "all fields", RS RF S F, PRA_FOUND, PRA_RESENT_SENDER, 0, "rs|rs.example" },
		{ "lowest of all", F S RCVD RS, PRA_FOUND, PRA_RESENT_SENDER, 3, "rs|rs.example" },
		{ "the first of two", RS "Resent-Sender: other@example.org\n" F, PRA_FOUND, PRA_RESENT_SENDER, 0, "rs|rs.example" },
		{ "the first of two that is not empty", "Resent-Sender: \n" RS F, PRA_FOUND, PRA_RESENT_SENDER, 1, "rs|rs.example" },
		{ "below Resent-From, nothing between", RF RS F, PRA_FOUND, PRA_RESENT_SENDER, 1, "rs|rs.example" },
		{ "below Resent-From, other fields between", RF "Subject: x\nX-Received: y\nReceived-SPF: pass\n" RS F, PRA_FOUND, PRA_RESENT_SENDER,
		  4, "rs|rs.example" },
		{ "Received between", RF RCVD RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "Return-Path between", RF RP RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "Received far between", RF "A: b\n" RCVD "C: d\n" RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "both between", RF RP RCVD RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "Received above both", RP RCVD RF RS F, PRA_FOUND, PRA_RESENT_SENDER, 3, "rs|rs.example" },
		{ "Received below both", RF RS RCVD RP F, PRA_FOUND, PRA_RESENT_SENDER, 1, "rs|rs.example" },
		{ "Received between, the other way round", RS RCVD RF F, PRA_FOUND, PRA_RESENT_SENDER, 0, "rs|rs.example" },
		{ "empty Received between", RF "Received:  \n" RS F, PRA_FOUND, PRA_RESENT_SENDER, 2, "rs|rs.example" },
		{ "empty Resent-From above", "Resent-From:\n" RCVD RS F, PRA_FOUND, PRA_RESENT_SENDER, 2, "rs|rs.example" },
		{ "empty Resent-From above, one between", "Resent-From:\n" RCVD RF RS F, PRA_FOUND, PRA_RESENT_SENDER, 3, "rs|rs.example" },
		{ "two Resent-From, Received behind the first", RF RCVD "Resent-From: z@z.example\n" RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "two Resent-From, Received behind the second", RF "Resent-From: z@z.example\n" RCVD RS F, PRA_FOUND, PRA_RESENT_FROM, 0,
		  "rf|rf.example" },
		{ "the second Resent-Sender is in another block", RF RS RCVD "Resent-Sender: z@z.example\n" F, PRA_FOUND, PRA_RESENT_SENDER, 1,
		  "rs|rs.example" },
		{ "empty Resent-Sender in the first block", RF "Resent-Sender:\t\n" RCVD RS F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "malformed, Resent-From does not help", "Resent-Sender: nobody\n" RF S F, PRA_MALFORMED, PRA_RESENT_SENDER, 0, NULL },
		{ "a malformed Resent-From still divides", "Resent-From: nobody\n" RCVD RS F, PRA_MALFORMED, PRA_RESENT_FROM, 0, NULL },
		{ "two resent blocks", RCVD RS RF RCVD "Resent-Sender: y@y.example\nResent-From: z@z.example\n" RCVD F, PRA_FOUND, PRA_RESENT_SENDER, 1,
		  "rs|rs.example" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i]);
}

/* Steps 2 to 4, and 6. */
static void
test_steps(void **state)
{
	static const struct row rows[] = {
		{ "Resent-From", RCVD F S RF, PRA_FOUND, PRA_RESENT_FROM, 3, "rf|rf.example" },
		{ "the first of two Resent-From", RF "Resent-From: z@z.example\n" F, PRA_FOUND, PRA_RESENT_FROM, 0, "rf|rf.example" },
		{ "the first that is not empty", "Resent-From: \n \t\n" RF F, PRA_FOUND, PRA_RESENT_FROM, 1, "rf|rf.example" },
		{ "two Sender do not matter then", S S RF F F, PRA_FOUND, PRA_RESENT_FROM, 2, "rf|rf.example" },
		{ "malformed, Sender does not help", "Resent-From: a@b.example, c@d.example\n" S F, PRA_MANY_ADDRESSES, PRA_RESENT_FROM, 0, NULL },
		{ "Sender", F S, PRA_FOUND, PRA_SENDER, 1, "s|s.example" },
		{ "Sender alone", S, PRA_FOUND, PRA_SENDER, 0, "s|s.example" },
		{ "two From do not matter then", F F S, PRA_FOUND, PRA_SENDER, 2, "s|s.example" },
		{ "two Sender", S S F, PRA_MANY_SENDER, PRA_NO_FIELD, 0, NULL },
		{ "two different Sender", S "SENDER: z@z.example\n" F, PRA_MANY_SENDER, PRA_NO_FIELD, 0, NULL },
		{ "one of two Sender is empty", "Sender:\n" S "Sender: \t\n" F, PRA_FOUND, PRA_SENDER, 1, "s|s.example" },
		{ "malformed, From does not help", "Sender: me\n" F, PRA_MALFORMED, PRA_SENDER, 0, NULL },
		{ "empty Sender", "Sender: \n" F, PRA_FOUND, PRA_FROM, 1, "f|f.example" },
		{ "From", RCVD F "To: x@y\n", PRA_FOUND, PRA_FROM, 1, "f|f.example" },
		{ "two From", F F, PRA_MANY_FROM, PRA_NO_FIELD, 0, NULL },
		{ "one of two From is empty", "From: \n" F, PRA_FOUND, PRA_FROM, 1, "f|f.example" },
		{ "a From that is hidden", "From : a@hidden.example\n" F, PRA_MANY_FROM, PRA_NO_FIELD, 0, NULL },
		{ "a folded name", "From\n : a@hidden.example\n" F, PRA_MANY_FROM, PRA_NO_FIELD, 0, NULL },
		{ "names without case", "rESENT-fROM: A@Rf.EXAMPLE\n" F, PRA_FOUND, PRA_RESENT_FROM, 0, "A|rf.example" },
		{ "no From", RCVD "To: a@b.example\nResent-To: c@d.example\n", PRA_NO_SENDER, PRA_NO_FIELD, 0, NULL },
		{ "empty From", "From:\n", PRA_NO_SENDER, PRA_NO_FIELD, 0, NULL },
		{ "nothing", "", PRA_NO_SENDER, PRA_NO_FIELD, 0, NULL },
		{ "names that only begin alike", "From-X: a@b.example\nSenders: a@b.example\nResent-From-: a@b.example\n", PRA_NO_SENDER, PRA_NO_FIELD,
		  0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(&rows[i]);
}

/* Step 5: a single mailbox with a domain name. */
static void
test_mailbox(void **state)
{
	static const struct { const char *value; enum pra_status status; const char *want; } rows[] = {
		{ " a@b.example", PRA_FOUND, "a|b.example" },
		{ "a@b.example", PRA_FOUND, "a|b.example" },
		{ " \"A, B\" <a@B.Example.>", PRA_FOUND, "a|b.example" },
		{ " (c) a (d) @ (e)\n b.example (f)", PRA_FOUND, "a|b.example" },
		{ " <@x.example,@y.example:a@b.example>", PRA_FOUND, "a|b.example" },
		{ " \"a b\"@b.example", PRA_FOUND, "a b|b.example" },
		{ " \"\"@b.example", PRA_FOUND, "|b.example" },
		{ " a@localhost", PRA_FOUND, "a|localhost" },
		{ " a@b\xc3\xbc" "cher.example", PRA_FOUND, "a|xn--bcher-kva.example" },
		{ " j\xc3\xb6@b.example", PRA_FOUND, "j\xc3\xb6|b.example" },
		{ " a@b.example,", PRA_FOUND, "a|b.example" },
		{ " a@b.example, c@d.example", PRA_MANY_ADDRESSES, NULL },
		{ " a@b.example, a@b.example", PRA_MANY_ADDRESSES, NULL },
		{ " g: a@b.example;", PRA_GROUP, NULL },
		{ " g:;", PRA_NO_ADDRESS, NULL },
		{ " g: a@b.example;, c@d.example", PRA_MANY_ADDRESSES, NULL },
		{ " a@[192.0.2.1]", PRA_BAD_DOMAIN, NULL },
		{ " a@b..example", PRA_MALFORMED, NULL },
		{ " a@-b.example", PRA_BAD_DOMAIN, NULL },
		{ " a", PRA_MALFORMED, NULL },
		{ " a@", PRA_MALFORMED, NULL },
		{ " <>", PRA_MALFORMED, NULL },
		{ " @b.example", PRA_MALFORMED, NULL },
		{ " a@b@c.example", PRA_MALFORMED, NULL },
		{ " <a@b.example>c@d.example", PRA_MALFORMED, NULL },
		{ " a@b.example c@d.example", PRA_MALFORMED, NULL },
		{ " =?utf-8?q?a=40b.example?=", PRA_MALFORMED, NULL },
		{ " ()", PRA_MALFORMED, NULL },
		{ " \x0b", PRA_MALFORMED, NULL },
		{ " \x01", PRA_MALFORMED, NULL },
	};
	static const struct { const char *name; enum pra_field field; } names[] = {
		{ "Resent-Sender", PRA_RESENT_SENDER }, { "Resent-From", PRA_RESENT_FROM }, { "Sender", PRA_SENDER }, { "From", PRA_FROM },
	};
	char header[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			struct row r = { rows[i].value, header, rows[i].status, names[k].field, 0, rows[i].want };

			snprintf(header, sizeof header, "%s:%s\n", names[k].name, rows[i].value);
			check_row(&r);
		}
	}
}

/* A NUL is no white space: such a field counts, and is malformed. */
static void
test_nul(void **state)
{
	struct header_block h;
	struct arena a;
	struct pra pra;

	(void)state;
	arena_init(&a, KIB, MIB);
	header_init(&h, &a);
	assert_int_equal(header_add(&h, SPAN("Sender"), SPAN(" \0"), true), RC_OK);
	assert_int_equal(header_add(&h, SPAN("From"), SPAN(" a@b.example"), true), RC_OK);
	pra_select(&a, &h, &pra);
	assert_int_equal(pra.status, PRA_MALFORMED);
	assert_int_equal(pra.field, PRA_SENDER);
	arena_fini(&a);
}

/* A header that is not whole has no PRA, whatever is in it. */
static void
test_incomplete(void **state)
{
	struct header_block h;
	struct arena a;
	struct pra pra;

	(void)state;
	arena_init(&a, KIB, MIB);
	fill(&h, &a, SPAN(RS F));
	h.is_incomplete = true;
	pra_select(&a, &h, &pra);
	assert_int_equal(pra.status, PRA_INCOMPLETE);
	assert_int_equal(pra.field, PRA_NO_FIELD);
	assert_int_equal(pra.index, h.n);
	arena_fini(&a);
}

/* The field at its limit of bytes and one past. */
static void
test_field_limit(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		char *p = xmalloc(ADDR_FIELD_MAX + over);
		struct header_block h;
		struct arena a;
		struct pra pra;

		memset(p, ' ', ADDR_FIELD_MAX + over);
		memcpy(p, "a@b.example", 11);
		arena_init(&a, KIB, MIB);
		header_init(&h, &a);
		assert_int_equal(header_add(&h, SPAN("From"), span_of(p, ADDR_FIELD_MAX + over), true), RC_OK);
		free(p);
		pra_select(&a, &h, &pra);
		assert_int_equal(pra.status, over == 0 ? PRA_FOUND : PRA_MALFORMED);
		assert_true(over == 0 || strcmp(pra.why, "field is too long") == 0);
		arena_fini(&a);
	}
}

static double
seconds_of(struct header_block *h, struct pra *pra)
{
	struct timespec from, to;
	struct arena a;

	arena_init(&a, KIB, MIB);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	pra_select(&a, h, pra);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	/* The texts are not looked at any more. */
	arena_fini(&a);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* 100,000 fields of each pattern: one pass takes milliseconds; the bound leaves room for sanitizers and a busy machine. */
static void
test_many(void **state)
{
	enum { MANY = 100000 };
	static const struct { const char *cycle[4]; size_t n; const char *last; enum pra_status status; enum pra_field field; } rows[] = {
		{ { "Received" }, 1, "From", PRA_FOUND, PRA_FROM },
		{ { "Resent-From" }, 1, "Resent-Sender", PRA_FOUND, PRA_RESENT_SENDER },
		{ { "Resent-From", "Received" }, 2, "Resent-Sender", PRA_FOUND, PRA_RESENT_FROM },
		{ { "Resent-Sender", "Return-Path", "Resent-From", "Received" }, 4, "From", PRA_FOUND, PRA_RESENT_SENDER },
		{ { "Sender" }, 1, "From", PRA_MANY_SENDER, PRA_NO_FIELD },
		{ { "From" }, 1, "From", PRA_MANY_FROM, PRA_NO_FIELD },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct header_block h;
		struct arena a;
		struct pra pra;

		arena_init(&a, KIB, 64 * MIB);
		header_init(&h, &a);
		for (size_t k = 0; k < MANY; k++)
			assert_int_equal(header_add(&h, span_cstr(rows[i].cycle[k % rows[i].n]), SPAN(" a@b.example"), true), RC_OK);
		assert_int_equal(header_add(&h, span_cstr(rows[i].last), SPAN(" a@b.example"), true), RC_OK);
		assert_true(seconds_of(&h, &pra) < 2);
		assert_int_equal(pra.status, rows[i].status);
		assert_int_equal(pra.field, rows[i].field);
		arena_fini(&a);
	}
}

/* Every allocation in turn: the outcome is the same, or lack of memory. */
static void
test_faults(void **state)
{
	static const char *const headers[] = {
		"Resent-From: \"A \\\"B\\\" C\" <\"x y\"@B\xc3\xbc" "cher.example> (d)\n" RCVD RS F, F, "From: a@b.example, c@d.example\n", "From: a\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct arena fields;
		struct header_block h;
		struct pra want, pra;
		bool has_failed = true;
		uint64_t at = 0;

		arena_init(&fields, KIB, MIB);
		fill(&h, &fields, span_cstr(headers[i]));
		seconds_of(&h, &want);
		while (has_failed) {
			struct arena a;

			arena_init(&a, KIB, MIB);
			a.fail_at = ++at;
			pra_select(&a, &h, &pra);
			has_failed = a.count >= at;
			assert_int_equal(pra.field, want.field);
			assert_int_equal(pra.status, has_failed ? PRA_MEMORY : want.status);
			if (has_failed)
				assert_true(span_is_null(pra.local) && span_is_null(pra.domain) && pra.why == NULL);
			arena_fini(&a);
		}
		assert_true(at > 2 || want.status == PRA_MALFORMED);
		arena_fini(&fields);
	}
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(pra_field_name(PRA_RESENT_SENDER), "resent-sender");
	assert_string_equal(pra_field_name(PRA_RESENT_FROM), "resent-from");
	assert_string_equal(pra_field_name(PRA_SENDER), "sender");
	assert_string_equal(pra_field_name(PRA_FROM), "from");
	assert_null(pra_field_name(PRA_NO_FIELD));
	for (enum pra_status s = PRA_FOUND; s < PRA_STATUS_COUNT; s++)
		assert_string_not_equal(pra_status_text(s), "unknown");
	assert_string_equal(pra_status_text(PRA_STATUS_COUNT), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step1),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_field_limit),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("pra", tests, NULL, NULL);
}
