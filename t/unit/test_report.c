/* report: the exact lines of the three styles, and that nobody can write a line or key of his own into the log. */
#include "t/unit/unit.h"

#include <stdio.h>

#include <jansson.h>

#include "common/base/log.h"
#include "worker/report.h"

/* Nothing but SPF was evaluated. */
#define NO_KV "dkim=- dkim_count=- domainkeys=- domainkeys_d=- domainkeys_why=- adsp=- adsp_why=- atps=-"
#define NO_JSON "\"dkim\":null,\"dkim_count\":null,\"domainkeys\":null,\"domainkeys_d\":null,\"domainkeys_why\":null,\"adsp\":null,\"adsp_why\":null," \
    "\"atps\":null,\"dkim_signatures\":[],\"dkim_left_out\":0}"

static struct report
plain(const struct verdict *v)
{
	struct report r = {
		.qid = SPAN("4Xq1abc"), .client_name = SPAN("mx.example"), .helo = SPAN("mx.example"), .mail_from = SPAN("<a@example.org>"),
		.verdict = v, .action = { .kind = ACTION_ACCEPT, .why = "none" }, .dns_asked = 3, .dns_wait_us = 11999,
		.total_us = 14000, .generation = 7,
	};

	assert_int_equal(ip_parse(SPAN("192.0.2.1"), &r.client), RC_OK);
	return r;
}

static struct verdict
passed(void)
{
	return (struct verdict){
		.mailfrom = {
			.is_evaluated = true, .identity = SPAN("a@example.org"),
			.outcome = { .result = SPF_PASS, .reason = SPF_R_MATCH, .mechanism = SPAN("ip4:192.0.2.0/24"), .at = SPAN("example.org") },
		},
		.helo = { .is_evaluated = true, .identity = SPAN("mx.example"), .outcome = { .result = SPF_NONE, .reason = SPF_R_NO_RECORD } },
	};
}

static void
expect(enum conf_log_style style, const struct report *r, const char *want)
{
	struct buf b = buf_heap(32 * KIB);

	report_print(&b, style, r);
	assert_true(buf_ok(&b));
	assert_span(buf_text(&b), want);
	buf_fini(&b);
}

static void
test_kv(void **state)
{
	struct verdict v = passed();
	struct report r = plain(&v);

	(void)state;
	expect(CONF_LOG_KV, &r, "4Xq1abc: ip=192.0.2.1 ptr=mx.example helo=mx.example mfrom=<a@example.org> from=- spf=pass spf_id=mailfrom "
	    "spf_domain=example.org spf_why=\"matched ip4:192.0.2.0/24\" spf_exp=- helo_spf=none dns=3/11ms ar_removed=0 action=accept reply=- "
	    "total=14ms cfg=7 " NO_KV "\n");
	v.mailfrom.outcome.explanation = SPAN("See http://example.jp/why spf=pass");
	expect(CONF_LOG_KV, &r, "4Xq1abc: ip=192.0.2.1 ptr=mx.example helo=mx.example mfrom=<a@example.org> from=- spf=pass spf_id=mailfrom "
	    "spf_domain=example.org spf_why=\"matched ip4:192.0.2.0/24\" spf_exp=\"See http://example.jp/why spf=pass\" helo_spf=none "
	    "dns=3/11ms ar_removed=0 action=accept reply=- total=14ms cfg=7 " NO_KV "\n");
	r.verdict = NULL;
	r.skip_why = "excluded";
	r.authres_removed = 2;
	expect(CONF_LOG_KV, &r, "4Xq1abc: ip=192.0.2.1 ptr=mx.example helo=mx.example mfrom=<a@example.org> from=- spf=skip spf_id=- "
	    "spf_domain=- spf_why=excluded spf_exp=- helo_spf=- dns=3/11ms ar_removed=2 action=accept reply=- total=14ms cfg=7 " NO_KV "\n");
	r = (struct report){ .action = { .kind = ACTION_TEMPFAIL, .code = "451", .xcode = "4.3.0", .text = "Try again later", .why = "limit" },
	    .dns_timeouts = 1, .dns_wait_us = 20000000, .dns_asked = 2 };
	expect(CONF_LOG_KV, &r, "-: ip=- ptr=- helo=- mfrom=- from=- spf=- spf_id=- spf_domain=- spf_why=- spf_exp=- helo_spf=- dns=2/20000ms/1timeout "
	    "ar_removed=0 action=tempfail/limit reply=\"451 4.3.0 Try again later\" total=0ms cfg=0 " NO_KV "\n");
}

/* Signatures: kv, JSON, ENMA's; what a sender writes stays a value. */
static void
test_signatures(void **state)
{
	struct dkim_signature many[40] = {
		{ .result = DKIM_PASS, .reason = DKIM_R_GOOD, .d = SPAN("example.org"), .s = SPAN("sel"), .a = SPAN("rsa-sha256"),
		    .i = SPAN("\"a b dkim2=pass\"@example.org"), .key_bits = 2048, .is_testing = true },
		{ .result = DKIM_PERMERROR, .reason = DKIM_R_SYNTAX, .detail = SPAN("b=") },
	};
	struct verdict_author author = { .domain = SPAN("example.org"), .written = SPAN("Example.org"), .local = SPAN("a") };
	struct verdict v = {
		.authors = &author, .author_count = 1, .from = FROM_GOOD, .is_dkim_evaluated = true, .dkim = many, .dkim_count = 2, .dkim_total = 2,
		.is_adsp_evaluated = true, .adsp = { .result = ADSP_DISCARD, .reason = ADSP_R_DISCARDABLE },
	};
	struct report r = plain(&v);
	char long_name[300];
	struct buf b = buf_heap(32 * KIB);

	(void)state;
	report_print(&b, CONF_LOG_KV, &r);
	assert_non_null(strstr(buf_text(&b).p, " from=example.org "));
	assert_non_null(strstr(buf_text(&b).p, " cfg=7 dkim=pass dkim_count=2 domainkeys=- domainkeys_d=- domainkeys_why=- adsp=discard "
	    "adsp_why=\"domain signs all mail and wants other mail discarded\" atps=- dkim1=pass dkim1_d=example.org dkim1_s=sel "
	    "dkim1_a=rsa-sha256 dkim1_i=\"\\x22a b dkim2=pass\\x22@example.org\" dkim1_bits=2048 dkim1_testing=yes dkim1_why=\"good signature\" "
	    "dkim2=permerror dkim2_d=- dkim2_s=- dkim2_a=- dkim2_i=- dkim2_bits=0 dkim2_testing=no dkim2_why=\"syntax error in signature: b=\"\n"));
	buf_clear(&b);
	report_print(&b, CONF_LOG_ENMA, &r);
	assert_non_null(strstr(buf_text(&b).p, "[4Xq1abc] [DKIM-auth] domain=-, selector=-, algorithm=-, identity=-, bits=0, testing=no, "
	    "score=permerror, why=syntax error in signature: b=\n[4Xq1abc] [DKIM-ADSP-auth] from=example.org, score=discard\n"));
	/* More than a line holds: the line ends well, and says how many are not in it. */
	memset(long_name, 'x', sizeof long_name);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = (struct dkim_signature){ .d = span_of(long_name, sizeof long_name), .i = span_of(long_name, sizeof long_name) };
	v.dkim_count = v.dkim_total = ARRAY_LEN(many);
	for (enum conf_log_style style = CONF_LOG_KV; style <= CONF_LOG_JSON; style++) {
		buf_clear(&b);
		report_print(&b, style, &r);
		assert_true(buf_ok(&b));
		if (style == CONF_LOG_ENMA)
			continue;
		assert_in_range(buf_text(&b).n, 6 * KIB, LOG_LINE_MAX - 256);
		assert_non_null(strstr(buf_text(&b).p, "dkim_left_out"));
		if (style == CONF_LOG_JSON) {
			json_t *j = json_loadb(buf_text(&b).p, buf_text(&b).n, 0, NULL);

			assert_non_null(j);
			assert_int_equal(json_array_size(json_object_get(j, "dkim_signatures")) +
			    (size_t)json_integer_value(json_object_get(j, "dkim_left_out")), ARRAY_LEN(many));
			json_decref(j);
		}
	}
	buf_fini(&b);
}

static void
test_kv_values(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "mx.example", "helo=mx.example " }, { "", "helo=\"\" " }, { "-", "helo=\"-\" " }, { "--", "helo=-- " }, { "a b", "helo=\"a b\" " },
		{ "a=b", "helo=\"a=b\" " }, { "a\"b", "helo=\"a\\x22b\" " }, { "a\\b", "helo=a\\x5cb " }, { "a\tb", "helo=a\\x09b " },
		{ "a\nb", "helo=a\\x0ab " }, { "a\x1b[0m", "helo=a\\x1b[0m " }, { "a\xff", "helo=\"a\\xff\" " },
		{ "\xe4\xbe\x8b.jp", "helo=\"\xe4\xbe\x8b.jp\" " }, { "a\xe2\x80\xa8" "b", "helo=\"a\\xe2\\x80\\xa8" "b\" " },
		{ "[192.0.2.1]", "helo=[192.0.2.1] " }, { "x spf=pass action=accept", "helo=\"x spf=pass action=accept\" " },
		{ "x\" spf=pass", "helo=\"x\\x22 spf=pass\" " }, { "x\n4Xq1abd: ip=192.0.2.9 spf=pass", "helo=\"x\\x0a4Xq1abd: ip=192.0.2.9 spf=pass\" " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct verdict v = passed();
		struct report r = plain(&v);
		struct buf b = buf_heap(32 * KIB);

		r.helo = exact(rows[i].in);
		report_print(&b, CONF_LOG_KV, &r);
		if (strstr(buf_text(&b).p, rows[i].want) == NULL)
			fail_msg("no %s in %s", rows[i].want, b.p);
		exact_free(r.helo);
		buf_fini(&b);
	}
}

static void
test_sender(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "<>", "mfrom=<> " }, { "<a@b>", "mfrom=<a@b> " }, { "a@b", "mfrom=<a@b> " }, { "", "mfrom=<> " }, { "<(any@legit>", "mfrom=<(any@legit> " },
		{ "<SRS0=x@b>", "mfrom=\"<SRS0=x@b>\" " }, { "<\"a b\"@c>", "mfrom=\"<\\x22a b\\x22@c>\" " }, { "<a", "mfrom=<<a> " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct report r = plain(NULL);
		struct buf b = buf_heap(32 * KIB);

		r.mail_from = exact(rows[i].in);
		report_print(&b, CONF_LOG_KV, &r);
		if (strstr(buf_text(&b).p, rows[i].want) == NULL)
			fail_msg("no %s in %s", rows[i].want, b.p);
		exact_free(r.mail_from);
		buf_fini(&b);
	}
}

static void
test_client_name(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "mx.example", " ptr=mx.example " }, { "[192.0.2.1]", " ptr=- " }, { "unknown", " ptr=- " }, { "", " ptr=- " }, { NULL, " ptr=- " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct report r = plain(NULL);
		struct buf b = buf_heap(32 * KIB);

		r.client_name = span_cstr(rows[i].in);
		report_print(&b, CONF_LOG_KV, &r);
		assert_non_null(strstr(buf_text(&b).p, rows[i].want));
		buf_fini(&b);
	}
}

static void
test_enma(void **state)
{
	struct verdict v = passed();
	struct report r = plain(&v);

	(void)state;
	v.helo.is_evaluated = false;
	r.helo = SPAN("example.jp");
	r.mail_from = SPAN("<u@example.jp>");
	r.qid = SPAN("m75AKEOh009630");
	assert_int_equal(ip_parse(SPAN("192.168.1.1"), &r.client), RC_OK);
	expect(CONF_LOG_ENMA, &r,
	    "[m75AKEOh009630] [SPF-auth] ipaddr=192.168.1.1, eval=smtp.mailfrom, helo=example.jp, envfrom=<u@example.jp>, score=pass\n");
	v.helo.is_evaluated = true;
	v.mailfrom.outcome.result = SPF_FAIL;
	v.mailfrom.outcome.explanation = SPAN("See http://example.jp/why, please");
	expect(CONF_LOG_ENMA, &r,
	    "[m75AKEOh009630] [SPF-auth] ipaddr=192.168.1.1, eval=smtp.mailfrom, helo=example.jp, envfrom=<u@example.jp>, score=fail\n"
	    "[m75AKEOh009630] [SPF-explanation] See http://example.jp/why, please\n"
	    "[m75AKEOh009630] [SPF-auth] ipaddr=192.168.1.1, eval=smtp.helo, helo=example.jp, envfrom=<u@example.jp>, score=none\n");
	r.hardfail = true;
	v.helo.is_evaluated = false;
	v.mailfrom.outcome.explanation = SPAN_NULL;
	r.mail_from = SPAN("<SRS0=x@example.jp>");
	expect(CONF_LOG_ENMA, &r,
	    "[m75AKEOh009630] [SPF-auth] ipaddr=192.168.1.1, eval=smtp.mailfrom, helo=example.jp, envfrom=<SRS0=x@example.jp>, score=hardfail\n");
}

static void
test_enma_other_lines(void **state)
{
	struct report r = plain(NULL);

	(void)state;
	expect(CONF_LOG_ENMA, &r, "");
	r.skip_why = "excluded";
	expect(CONF_LOG_ENMA, &r, "[4Xq1abc] [SPF-skip] ipaddr=192.0.2.1, why=excluded\n");
	r.client.is_set = false;
	r.skip_why = "local";
	r.action = (struct action){ .kind = ACTION_REJECT, .code = "554", .xcode = "5.7.0", .text = "Too many header fields", .why = "limit" };
	expect(CONF_LOG_ENMA, &r, "[4Xq1abc] [SPF-skip] ipaddr=-, why=local\n"
	    "[4Xq1abc] [action] action=reject, why=limit, reply=554 5.7.0 Too many header fields\n");
	r.skip_why = NULL;
	r.action = (struct action){ .kind = ACTION_ACCEPT, .why = "internal_error" };
	expect(CONF_LOG_ENMA, &r, "[4Xq1abc] [action] action=accept, why=internal_error, reply=-\n");
}

static void
test_enma_is_escaped(void **state)
{
	struct verdict v = passed();
	struct report r = plain(&v);

	(void)state;
	v.helo.is_evaluated = false;
	r.helo = SPAN("x, envfrom=<y>, score=pass\n[Q] [SPF-auth] z");
	r.mail_from = SPAN("<\"a, score=pass\"@b>");
	v.mailfrom.outcome.explanation = SPAN("a\r\n[Q] [SPF-auth] x\x1b[2J");
	expect(CONF_LOG_ENMA, &r, "[4Xq1abc] [SPF-auth] ipaddr=192.0.2.1, eval=smtp.mailfrom, "
	    "helo=x\\x2c\\x20envfrom=<y>\\x2c\\x20score=pass\\x0a[Q]\\x20[SPF-auth]\\x20z, envfrom=<\\x22a\\x2c\\x20score=pass\\x22@b>, score=pass\n"
	    "[4Xq1abc] [SPF-explanation] a\\x0d\\x0a[Q] [SPF-auth] x\\x1b[2J\n");
}

/* ---- json ---- */

static json_t *
load(const struct report *r)
{
	struct buf b = buf_heap(32 * KIB);
	json_error_t error;
	json_t *j;

	report_print(&b, CONF_LOG_JSON, r);
	assert_true(buf_ok(&b));
	assert_int_equal(span_find(buf_text(&b), '\n'), b.n - 1);
	j = json_loadb(b.p, b.n, JSON_REJECT_DUPLICATES, &error);
	if (j == NULL)
		fail_msg("%s in %s", error.text, b.p);
	buf_fini(&b);
	return j;
}

static const char *
text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static void
test_json(void **state)
{
	struct verdict v = passed();
	struct report r = plain(&v);
	json_t *j, *dns;

	(void)state;
	expect(CONF_LOG_JSON, &r, "{\"qid\":\"4Xq1abc\",\"ip\":\"192.0.2.1\",\"ptr\":\"mx.example\",\"helo\":\"mx.example\","
	    "\"mfrom\":\"<a@example.org>\",\"from\":null,\"spf\":\"pass\",\"spf_id\":\"mailfrom\",\"spf_domain\":\"example.org\","
	    "\"spf_why\":\"matched ip4:192.0.2.0/24\",\"spf_exp\":null,\"helo_spf\":\"none\",\"dns\":{\"asked\":3,\"ms\":11,\"timeouts\":0},"
	    "\"ar_removed\":0,\"action\":\"accept\",\"reply\":null,\"total\":14,\"cfg\":7," NO_JSON "\n");
	r.generation = UINT64_MAX >> 1;
	r.helo = SPAN_NULL;
	r.dns_timeouts = 2;
	j = load(&r);
	assert_true(json_is_null(json_object_get(j, "helo")));
	assert_int_equal(json_integer_value(json_object_get(j, "cfg")), INT64_MAX);
	dns = json_object_get(j, "dns");
	assert_int_equal(json_integer_value(json_object_get(dns, "timeouts")), 2);
	json_decref(j);
}

/* Every byte, alone and between others, in every text from outside. */
static void
test_json_of_every_byte(void **state)
{
	unsigned c;

	(void)state;
	for (c = 0; c < 256; c++) {
		char bytes[3] = { 'a', (char)c, 'z' }, hex[16];
		struct verdict v = passed();
		struct report r = plain(&v);
		json_t *j;

		r.qid = r.client_name = r.helo = r.mail_from = exact_n(bytes, sizeof(bytes));
		v.mailfrom.identity = v.mailfrom.outcome.mechanism = r.helo;
		j = load(&r);
		snprintf(hex, sizeof(hex), "a\\x%02xz", c);
		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			assert_string_equal(text_of(j, "helo"), hex);
		else
			assert_memory_equal(text_of(j, "helo"), bytes, 3);
		json_decref(j);
		exact_free(r.helo);
	}
}

static void
test_json_of_odd_text(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "", "" }, { "\xe4\xbe\x8b\xf0\x9f\x92\xa9", "\xe4\xbe\x8b\xf0\x9f\x92\xa9" }, { "\xe4\xbe", "\\xe4\\xbe" }, { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\",\"spf\":\"pass", "\\x22,\\x22spf\\x22:\\x22pass" }, { "\\", "\\x5c" }, { "\\u0000", "\\x5cu0000" }, { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct report r = plain(NULL);
		json_t *j;

		r.helo = exact(rows[i].in);
		j = load(&r);
		assert_string_equal(text_of(j, "helo"), rows[i].want);
		assert_true(json_is_null(json_object_get(j, "spf")));
		json_decref(j);
		exact_free(r.helo);
	}
}

/* ---- all styles ---- */

/* 64 KB in every text: the lines stay below the log's line limit, and values are capped with "...". */
static void
test_caps(void **state)
{
	static const char *const units[] = { "x", " ", "\"", "\xff", "\n", "\xe4\xbe\x8b", "," };
	char *big = xmalloc(64 * KIB);
	int style;
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_LEN(units); i++) {
		struct verdict v = passed();
		struct report r = plain(&v);

		for (j = 0; j < 64 * KIB; j++)
			big[j] = units[i][j % strlen(units[i])];
		r.qid = r.client_name = r.helo = r.mail_from = span_of(big, 64 * KIB);
		v.mailfrom.identity = v.helo.identity = v.mailfrom.outcome.mechanism = v.mailfrom.outcome.at = v.mailfrom.outcome.explanation = r.helo;
		for (style = CONF_LOG_KV; style <= CONF_LOG_JSON; style++) {
			struct buf b = buf_heap(32 * KIB);
			struct span rest, line;

			report_print(&b, (enum conf_log_style)style, &r);
			assert_true(buf_ok(&b));
			assert_non_null(strstr(buf_text(&b).p, "..."));
			for (rest = buf_text(&b); span_split(&rest, '\n', &line); )
				assert_in_range(line.n, 0, LOG_LINE_MAX - 200);
			buf_fini(&b);
		}
	}
	free(big);
}

static void
test_value_at_its_cap(void **state)
{
	char text[LOG_VALUE_MAX + 1], want[LOG_VALUE_MAX + 20];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (n = LOG_VALUE_MAX; n <= LOG_VALUE_MAX + 1; n++) {
		struct report r = plain(NULL);
		struct buf b = buf_heap(32 * KIB);

		r.helo = exact_n(text, n);
		snprintf(want, sizeof(want), " helo=%.*s%s ", LOG_VALUE_MAX, text, n > LOG_VALUE_MAX ? "..." : "");
		report_print(&b, CONF_LOG_KV, &r);
		assert_non_null(strstr(buf_text(&b).p, want));
		exact_free(r.helo);
		buf_fini(&b);
	}
}

static void
test_small_buffer_is_noticed(void **state)
{
	struct verdict v = passed();
	struct report r = plain(&v);
	int style;

	(void)state;
	for (style = CONF_LOG_KV; style <= CONF_LOG_JSON; style++) {
		struct buf b = buf_heap(50);

		report_print(&b, (enum conf_log_style)style, &r);
		assert_false(buf_ok(&b));
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kv),
		cmocka_unit_test(test_signatures), cmocka_unit_test(test_kv_values),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_client_name),
		cmocka_unit_test(test_enma),
		cmocka_unit_test(test_enma_other_lines),
		cmocka_unit_test(test_enma_is_escaped),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_json_of_every_byte),
		cmocka_unit_test(test_json_of_odd_text),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_value_at_its_cap),
		cmocka_unit_test(test_small_buffer_is_noticed),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
