/* dkim under load and in want: many signatures, many names, long headers, long bodies, no memory, any order of arrival. */
#include "t/unit/dkim_unit.h"

#include "t/unit/dkim_maker.h"

#include <time.h>

#define HEADER "From: Joe <joe@example.org>\r\nTo: ann@example.net\r\nSubject: hello\r\n"
#define BODY "one \r\n\r\ntwo  three\r\n\r\n"

static EVP_PKEY *rsa, *ed;

static void
add_field(struct dkim_unit *u, const char *name, const char *value)
{
	assert_int_equal(header_add(&u->headers, span_cstr(name), span_cstr(value), true), RC_OK);
}

static char *
sign(const char *d, const char *s, const char *c)
{
	return maker_sign(&(struct maker){ .key = rsa, .d = d, .s = s, .c = c }, SPAN(HEADER), SPAN(BODY));
}

/* ---- many signatures ---- */

/* K6: 199 signatures of strangers on top of the author's. */
static void
test_200_signatures(void **state)
{
	char *own = sign("example.org", "sel", NULL), *record = maker_record("", rsa);
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	dkim_unit_author(&u, "example.org");
	dkim_unit_key(&u, "sel._domainkey.example.org", record);
	for (size_t i = 0; i < 199; i++) {
		char *value = xasprintf(" v=1; a=rsa-sha256; d=s%zu.example.com; s=x; h=from; bh=AAAA; b=AAAA", i);

		add_field(&u, "DKIM-Signature", value);
		free(value);
	}
	(void)dkim_unit_header(&u, span_cstr(own));
	(void)dkim_unit_header(&u, SPAN(HEADER));
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 11);
	assert_int_equal(dkim_signature_count(u.d), 200);
	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(s[i].field, i);
		assert_int_equal(s[i].reason, DKIM_R_HASH_LENGTH);
	}
	assert_int_equal(s[9].field, 199);
	assert_int_equal(s[9].reason, DKIM_R_GOOD);
	assert_true(s[9].is_author);
	assert_int_equal(s[10].field, 9);
	assert_int_equal(s[10].reason, DKIM_R_TOO_MANY);
	assert_int_equal(u.questions.n, 1);
	dkim_unit_fini(&u);
	free(own);
	free(record);
}

/* At the limit and one past it. */
static void
test_limit(void **state)
{
	(void)state;
	for (size_t count = 10; count <= 11; count++) {
		const struct dkim_signature *s;
		struct dkim_unit u;
		size_t n;

		dkim_unit_init(&u);
		for (size_t i = 0; i < count; i++)
			add_field(&u, "dkim-signature", "x");
		s = dkim_unit_run(&u, SPAN(BODY), &n);
		assert_int_equal(n, count);
		assert_int_equal(s[9].reason, DKIM_R_SYNTAX);
		assert_int_equal(s[n - 1].reason, count > 10 ? DKIM_R_TOO_MANY : DKIM_R_SYNTAX);
		dkim_unit_fini(&u);
	}
}

/* A child, a parent and the author's domain itself go first; what only looks like it does not. */
static void
test_order(void **state)
{
	static const char *const domains[] = {
		"d=badexample.org", "d=example.org.attack.example", "D=example.org", "x=1; d = a.b.example.org", "d=org.example", "d=EXAMPLE.org",
	};
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	dkim_unit_author(&u, "mail.example.net");
	dkim_unit_author(&u, "b.example.org");
	u.options.limit = 3;
	for (size_t i = 0; i < ARRAY_LEN(domains); i++)
		add_field(&u, "DKIM-Signature", domains[i]);
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 4);
	assert_int_equal(s[0].field, 0);
	assert_int_equal(s[1].field, 3);
	assert_int_equal(s[2].field, 5);
	assert_int_equal(s[3].field, 1);
	dkim_unit_fini(&u);
}

/* K13: neither result is the other's. */
static void
test_no_result_is_inherited(void **state)
{
	char *good = sign("attack.example", "sel", NULL), *bad = sign("example.org", "sel", NULL), *record = maker_record("", rsa);
	EVP_PKEY *other_key = maker_rsa(1024);
	char *other = maker_record("", other_key);
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	dkim_unit_author(&u, "example.org");
	dkim_unit_key(&u, "sel._domainkey.attack.example", record);
	dkim_unit_key(&u, "sel._domainkey.example.org", other);
	(void)dkim_unit_header(&u, span_cstr(good));
	(void)dkim_unit_header(&u, span_cstr(bad));
	(void)dkim_unit_header(&u, SPAN(HEADER));
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 2);
	assert_true(s[0].reason == DKIM_R_GOOD && !s[0].is_author);
	assert_true(s[1].reason == DKIM_R_SIGNATURE && s[1].is_author);
	dkim_unit_fini(&u);
	free(good);
	free(bad);
	free(record);
	free(other);
	EVP_PKEY_free(other_key);
}

/* RFC 6008: what names a signature tells it from the others, as far as 16 characters can. */
static void
test_starts(void **state)
{
	static const struct {
		const char *b, *want;
	} rows[] = {
		{ "aaaaaaaaaaaaxAAA", "aaaaaaaaaaaax" }, { "aaaa aaaa aaaayAAA", "aaaaaaaaaaaay" }, { "bbbbbbbbbb", "bbbbbbbb" }, { "cccc", "cccc" },
		{ "ddddddddddddddddddddd1", "dddddddddddddddd" }, { "ddddddddddddddddddddd2", "dddddddddddddddd" },
	};
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *value = xasprintf("v=1; b=%s", rows[i].b);

		add_field(&u, "DKIM-Signature", value);
		free(value);
	}
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_span(s[i].b_start, rows[i].want);
	dkim_unit_fini(&u);
}

/* ---- many names, many fields ---- */

static enum dkim_reason
run_with_names(size_t count)
{
	struct buf h = buf_heap(4 * MIB);
	char *own, *record = maker_record("", rsa), *text;
	struct dkim_unit u;
	enum dkim_reason r;
	size_t n;

	buf_str(&h, "from");
	for (size_t i = 1; i < count; i++)
		buf_fmt(&h, ":%c%zu%s", (int)('a' + i % 26), i % 700, i % 50 == 0 ? "\r\n " : "");
	text = xstrndup(h.p, h.n);
	own = maker_sign(&(struct maker){ .key = rsa, .h = text }, SPAN(HEADER), SPAN(BODY));
	dkim_unit_init(&u);
	dkim_unit_key(&u, "sel._domainkey.example.org", record);
	(void)dkim_unit_header(&u, span_cstr(own));
	(void)dkim_unit_header(&u, SPAN(HEADER));
	r = dkim_unit_run(&u, SPAN(BODY), &n)->reason;
	dkim_unit_fini(&u);
	buf_fini(&h);
	free(own);
	free(record);
	free(text);
	return r;
}

/* K7 */
static void
test_many_names(void **state)
{
	(void)state;
	assert_int_equal(run_with_names(DKIM_H_NAMES_MAX), DKIM_R_GOOD);
	assert_int_equal(run_with_names(DKIM_H_NAMES_MAX + 1), DKIM_R_SYNTAX);
	assert_int_equal(run_with_names(10000), DKIM_R_SYNTAX);
}

/* M9 */
static void
test_long_z(void **state)
{
	static const struct {
		size_t bytes;
		enum dkim_reason want;
	} rows[] = { { 30000, DKIM_R_GOOD }, { 64000, DKIM_R_GOOD }, { 70000, DKIM_R_SYNTAX } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *z = xmalloc(rows[i].bytes + 5), *own, *record = maker_record("", rsa);
		struct dkim_unit u;
		size_t n;

		memset(z, 'z', rows[i].bytes + 4);
		memcpy(z, "z=", 2);
		memcpy(z + rows[i].bytes + 2, "; ", 3);
		own = maker_sign(&(struct maker){ .key = rsa, .extra = z }, SPAN(HEADER), SPAN(BODY));
		dkim_unit_init(&u);
		dkim_unit_key(&u, "sel._domainkey.example.org", record);
		(void)dkim_unit_header(&u, span_cstr(own));
		(void)dkim_unit_header(&u, SPAN(HEADER));
		assert_int_equal(dkim_unit_run(&u, SPAN(BODY), &n)->reason, rows[i].want);
		dkim_unit_fini(&u);
		free(z);
		free(own);
		free(record);
	}
}

static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* So many fields that h= names a thousand times; the time it takes, which says nothing alone. */
static int64_t
run_with_fields(size_t count)
{
	struct buf h = buf_heap(64 * KIB);
	struct dkim_unit u;
	char *value;
	int64_t before, took;
	char *record = maker_record("", rsa);
	size_t n;

	buf_str(&h, " v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA; h=from");
	for (size_t i = 1; i < DKIM_H_NAMES_MAX; i++)
		buf_fmt(&h, ":x-%zu", i % 100);
	value = xstrndup(h.p, h.n);
	dkim_unit_init(&u);
	dkim_unit_key(&u, "sel._domainkey.example.org", record);
	for (size_t i = 0; i < 10; i++)
		add_field(&u, "DKIM-Signature", value);
	add_field(&u, "From", " joe@example.org");
	for (size_t i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof name, "X-%zu", i % 1000);
		add_field(&u, name, " x");
	}
	before = cpu_ns();
	assert_int_equal(dkim_unit_run(&u, SPAN(""), &n)->reason, DKIM_R_SIGNATURE);
	took = cpu_ns() - before;
	dkim_unit_fini(&u);
	buf_fini(&h);
	free(value);
	free(record);
	return took;
}

/* Ten times the fields take ten times as long, not a hundred times. */
static void
test_many_fields(void **state)
{
	int64_t few = INT64_MAX, many = INT64_MAX;

	(void)state;
	for (int i = 0; i < 3; i++) {
		few = MIN(few, run_with_fields(10000));
		many = MIN(many, run_with_fields(100000));
	}
	if (many > 40 * few)
		fail_msg("10,000 fields: %lld ns, 100,000: %lld ns", (long long)few, (long long)many);
}

/* ---- a long body ---- */

/* 100 MB go through four hashes; nothing of them stays. */
static void
test_long_body(void **state)
{
	enum { PIECE = 64 * 1024, PIECES = 1600 };
	static char piece[PIECE];
	static const char *const canons[] = { "simple/simple", "relaxed/relaxed" };
	struct dkim_unit u;
	size_t before, n;

	(void)state;
	for (size_t i = 0; i < PIECE; i++)
		piece[i] = "The quick brown  fox \r\n"[i % 23];
	dkim_unit_init(&u);
	for (size_t i = 0; i < 2; i++) {
		char *own = sign("example.org", "sel", canons[i]), *record = maker_record("", rsa);

		dkim_unit_key(&u, "sel._domainkey.example.org", record);
		(void)dkim_unit_header(&u, span_cstr(own));
		free(own);
		free(record);
	}
	(void)dkim_unit_header(&u, SPAN(HEADER));
	u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
	dkim_unit_answer(&u, SIZE_MAX, false);
	before = u.arena.used;
	assert_true(before < 64 * KIB);
	for (size_t i = 0; i < PIECES; i++)
		dkim_body(u.d, span_of(piece, PIECE));
	dkim_body_end(u.d);
	assert_int_equal(u.arena.used, before);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
	assert_true(u.arena.used < before + 32 * KIB);
	assert_int_equal(dkim_signatures(u.d, &n)[0].reason, DKIM_R_BODY_HASH);
	dkim_unit_fini(&u);
}

/* ---- no memory ---- */

static char *message_with_both(void)
{
	struct maker m = { .key = rsa, .c = "relaxed/simple", .extra = "i=joe@example.org; l=4; ", .l = 4 };
	char *one = maker_sign(&m, SPAN(HEADER), SPAN(BODY)), *two, *out;

	m = (struct maker){ .key = ed, .a = "ed25519-sha256", .s = "ed" };
	two = maker_sign(&m, SPAN(HEADER), SPAN(BODY));
	out = xasprintf("%s%s%s\r\n", one, two, HEADER);
	free(one);
	free(two);
	return out;
}

static void
add_both_keys(struct dkim_unit *u)
{
	char *one = maker_record("v=DKIM1; ", rsa), *two = maker_record("v=DKIM1; k=ed25519; ", ed);

	dkim_unit_key(u, "sel._domainkey.example.org", one);
	dkim_unit_key(u, "ed._domainkey.example.org", two);
	free(one);
	free(two);
}

/* Every allocation fails once, with all behind it.  Nothing passes that was not checked, nothing is a fault of the sender. */
static void
test_arena_fails(void **state)
{
	char *message = message_with_both();
	size_t passes = 0, at;
	struct dkim_unit u;

	(void)state;
	dkim_unit_init(&u);
	u.options.l_tag = DKIM_L_ACCEPT;
	add_both_keys(&u);
	for (at = 1; at < 1000 && passes < 2; at++) {
		const struct dkim_signature *s;
		struct span body;
		size_t n;

		dkim_unit_again(&u);
		u.arena.fail_at = 0;
		body = dkim_unit_header(&u, span_cstr(message));
		(void)body;
		u.arena.count = 0;
		u.arena.fail_at = at;
		s = dkim_unit_run(&u, SPAN(BODY), &n);
		passes = 0;
		for (size_t i = 0; i < n; i++) {
			passes += s[i].result == DKIM_PASS;
			if (s[i].result != DKIM_PASS && s[i].result != DKIM_TEMPERROR)
				fail_msg("allocation %zu: %s", at, dkim_reason_text(s[i].reason));
		}
	}
	assert_int_equal(passes, 2);
	assert_true(at > 20);
	dkim_unit_fini(&u);
	free(message);
}

/* ---- any order ---- */

static void
test_body_in_pieces(void **state)
{
	char *message = message_with_both();
	struct dkim_unit u;

	(void)state;
	dkim_unit_init(&u);
	u.options.l_tag = DKIM_L_ACCEPT;
	add_both_keys(&u);
	for (size_t cut = 0; cut <= sizeof BODY - 1; cut++) {
		struct span head = exact_n(BODY, cut), tail = exact_n(BODY + cut, sizeof BODY - 1 - cut);
		size_t n;

		dkim_unit_again(&u);
		(void)dkim_unit_header(&u, span_cstr(message));
		u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
		assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
		dkim_unit_answer(&u, SIZE_MAX, false);
		dkim_body(u.d, head);
		dkim_body(u.d, tail);
		dkim_body_end(u.d);
		assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
		assert_int_equal(dkim_signatures(u.d, &n)[0].reason, DKIM_R_GOOD);
		assert_int_equal(dkim_signatures(u.d, &n)[1].reason, DKIM_R_GOOD);
		exact_free(head);
		exact_free(tail);
	}
	dkim_unit_fini(&u);
	free(message);
}

/* Answers and body in one of many orders: bit k of when says that one more answer comes behind step k. */
static void
run_in_order(struct dkim_unit *u, const char *message, struct span body, unsigned when, bool from_end)
{
	enum rc rc = RC_WAIT;

	dkim_unit_again(u);
	(void)dkim_unit_header(u, span_cstr(message));
	u->d = dkim_create(&u->arena, &u->options, &u->headers, NULL, 0);
	for (unsigned step = 0; step < 4; step++) {
		rc = dkim_run(u->d, &u->questions, u->now_s);
		if (when >> step & 1)
			dkim_unit_answer(u, 1, from_end);
		rc = dkim_run(u->d, &u->questions, u->now_s);
		if (step == 1)
			dkim_body(u->d, body);
		if (step == 2)
			dkim_body_end(u->d);
	}
	dkim_unit_answer(u, SIZE_MAX, from_end);
	rc = dkim_run(u->d, &u->questions, u->now_s);
	assert_int_equal(rc, RC_OK);
}

static void
test_any_order(void **state)
{
	static const char *const bodies[] = { BODY, "other", "" };
	char *message = message_with_both();
	struct dkim_unit u;

	(void)state;
	dkim_unit_init(&u);
	add_both_keys(&u);
	for (size_t b = 0; b < ARRAY_LEN(bodies); b++)
		for (size_t keys = 0; keys < 3; keys++) {
			enum dkim_reason want[2] = { DKIM_R_GOOD, DKIM_R_GOOD };

			if (keys == 1)
				dkim_unit_status(&u, "ed._domainkey.example.org", DNS_NXDOMAIN);
			else if (keys == 2)
				dkim_unit_key(&u, "ed._domainkey.example.org", "v=DKIM1; p=");
			for (unsigned when = 0; when < 32; when++) {
				const struct dkim_signature *s;
				size_t n;

				run_in_order(&u, message, span_cstr(bodies[b]), when / 2, when % 2);
				s = dkim_signatures(u.d, &n);
				for (size_t i = 0; i < 2; i++) {
					if (when == 0)
						want[i] = s[i].reason;
					assert_int_equal(s[i].reason, want[i]);
				}
			}
			add_both_keys(&u);
		}
	dkim_unit_fini(&u);
	free(message);
}

/* The deadline passes: what was not answered is a temperror, whether the body came before or after. */
static void
test_deadline(void **state)
{
	char *message = message_with_both();
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	add_both_keys(&u);
	(void)dkim_unit_header(&u, span_cstr(message));
	u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
	assert_int_equal(u.questions.n, 2);
	dkim_unit_answer(&u, 1, true);
	dkim_unit_body(&u, SPAN(BODY));
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
	questions_close(&u.questions);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
	assert_int_equal(dkim_signatures(u.d, &n)[0].reason, DKIM_R_DNS);
	assert_int_equal(dkim_signatures(u.d, &n)[1].reason, DKIM_R_GOOD);
	dkim_unit_fini(&u);
	free(message);
}

/* No budget for a question is no fault of the sender. */
static void
test_budget(void **state)
{
	char *message = message_with_both();
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	add_both_keys(&u);
	(void)dkim_unit_header(&u, span_cstr(message));
	u.questions.budget = 1;
	u.options.l_tag = DKIM_L_ACCEPT;
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(s[0].reason, DKIM_R_GOOD);
	assert_int_equal(s[1].reason, DKIM_R_DNS);
	dkim_unit_fini(&u);
	free(message);
}

static int
setup(void **state)
{
	(void)state;
	rsa = maker_rsa(1024);
	ed = maker_ed25519();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_200_signatures), cmocka_unit_test(test_limit), cmocka_unit_test(test_order),
		cmocka_unit_test(test_no_result_is_inherited), cmocka_unit_test(test_starts), cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_long_z), cmocka_unit_test(test_many_fields), cmocka_unit_test(test_long_body), cmocka_unit_test(test_arena_fails),
		cmocka_unit_test(test_body_in_pieces), cmocka_unit_test(test_any_order), cmocka_unit_test(test_deadline), cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
