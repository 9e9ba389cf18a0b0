/*
 * dkim_rfc: the signed messages that the standards print.
 *
 * RFC 6376's example holds to the byte only with what typesetting changed undone: six blanks in front of continued lines, one blank between the
 * sentences of the body.  Its bh= says so, and RFC 8463 has the same body.
 */
#include "t/unit/dkim_unit.h"

#define BODY "Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n"
#define FOLD "\r\n      "

static const char rfc6376_header[] =
    "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;"
    FOLD "c=simple/simple; q=dns/txt; i=joe@football.example.com;"
    FOLD "h=Received : From : To : Subject : Date : Message-ID;"
    FOLD "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;"
    FOLD "b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB"
    FOLD "4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut"
    FOLD "KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV"
    FOLD "4bmp/YzhwvcubU4=;\r\n"
    "Received: from client1.football.example.com  [192.0.2.1]"
    FOLD "by submitserver.example.com with SUBMISSION;"
    FOLD "Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n";

static const char rfc6376_key[] =
    "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od"
    "+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

static const char rfc8463_header[] =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
    " d=football.example.com; i=@football.example.com;\r\n"
    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\n"
    "To: Suzie Q <suzie@shopping.example.net>\r\n"
    "Subject: Is dinner ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
    "\r\n";

static const char rfc8463_ed25519[] = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
static const char rfc8463_rsa[] =
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
    "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

static void
test_rfc6376(void **state)
{
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	dkim_unit_key(&u, "brisbane._domainkey.example.com", rfc6376_key);
	(void)dkim_unit_header(&u, span_cstr(rfc6376_header));
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 1);
	assert_int_equal(s->reason, DKIM_R_GOOD);
	assert_span(s->i, "joe@football.example.com");
	assert_span(s->b_start, "AuUoFEfD");
	assert_int_equal(s->key_bits, 1024);
	assert_int_equal(s->header_canon, CANON_SIMPLE);
	dkim_unit_fini(&u);
}

static void
prepare_rfc8463(struct dkim_unit *u)
{
	dkim_unit_init(u);
	dkim_unit_key(u, "brisbane._domainkey.football.example.com", rfc8463_ed25519);
	dkim_unit_key(u, "test._domainkey.football.example.com", rfc8463_rsa);
	(void)dkim_unit_header(u, span_cstr(rfc8463_header));
}

static void
test_rfc8463(void **state)
{
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	prepare_rfc8463(&u);
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 2);
	assert_int_equal(s[0].reason, DKIM_R_GOOD);
	assert_int_equal(s[0].kind, CRYPTO_ED25519);
	assert_int_equal(s[0].t, 1528637909);
	assert_int_equal(s[1].reason, DKIM_R_GOOD);
	assert_int_equal(s[1].kind, CRYPTO_RSA);
	dkim_unit_fini(&u);
}

/* What one signature is says nothing about the other. */
static void
test_each_for_itself(void **state)
{
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	prepare_rfc8463(&u);
	dkim_unit_status(&u, "test._domainkey.football.example.com", DNS_NXDOMAIN);
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(s[0].reason, DKIM_R_GOOD);
	assert_int_equal(s[1].reason, DKIM_R_NO_KEY);
	dkim_unit_fini(&u);
}

/* One more From, one more Subject: both signatures name them twice. */
static void
test_oversigned(void **state)
{
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	prepare_rfc8463(&u);
	assert_int_equal(header_add(&u.headers, SPAN("Subject"), SPAN(" Pay me"), true), RC_OK);
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(s[0].reason, DKIM_R_SIGNATURE);
	assert_int_equal(s[1].reason, DKIM_R_SIGNATURE);
	dkim_unit_fini(&u);
}

struct shown {
	struct buf header, body;
	size_t signature;
};

static void
take_header(void *arg, const struct dkim_signature *s, const char *p, size_t n)
{
	struct shown *x = arg;

	if (s->kind == CRYPTO_RSA)
		buf_span(&x->header, span_of(p, n));
}

static void
take_body(void *arg, enum canon c, const char *p, size_t n)
{
	struct shown *x = arg;

	assert_int_equal(c, CANON_RELAXED);
	buf_span(&x->body, span_of(p, n));
}

/* What is shown is what was hashed, for a signature without a key too. */
static void
test_show(void **state)
{
	struct shown x = { buf_heap(64 * KIB), buf_heap(64 * KIB), 0 };
	const struct dkim_show show = { take_header, take_body, &x };
	struct crypto_digest digest, again;
	struct span claimed, text;
	struct dkim_unit u;

	(void)state;
	prepare_rfc8463(&u);
	dkim_unit_status(&u, "test._domainkey.football.example.com", DNS_NXDOMAIN);
	u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
	dkim_show(u.d, &show);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
	dkim_unit_answer(&u, SIZE_MAX, false);
	dkim_unit_body(&u, SPAN(BODY));
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
	assert_span(buf_text(&x.body), BODY);
	text = buf_text(&x.header);
	assert_true(span_starts(text, SPAN("from:Joe SixPack <joe@football.example.com>\r\nto:Suzie Q")));
	assert_true(span_ends_nocase(text, SPAN("bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=")));
	for (size_t i = 0; i < 2; i++) {
		assert_true(dkim_body_digest(u.d, i, &digest, &claimed));
		crypto_hash_of(CRYPTO_SHA256, SPAN(BODY), &again);
		assert_memory_equal(digest.b, again.b, 32);
		assert_int_equal(claimed.n, 32);
		assert_memory_equal(digest.b, claimed.p, 32);
	}
	assert_false(dkim_body_digest(u.d, 2, &digest, &claimed));
	buf_fini(&x.header);
	buf_fini(&x.body);
	dkim_unit_fini(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc6376), cmocka_unit_test(test_rfc8463), cmocka_unit_test(test_each_for_itself), cmocka_unit_test(test_oversigned),
		cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
