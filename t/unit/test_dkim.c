/* dkim: every reason a signature can end with, named after what went wrong somewhere. */
#include "t/unit/dkim_unit.h"

#include "t/unit/dkim_maker.h"

#define HEADER "From: Joe <joe@example.org>\r\nTo: ann@example.net\r\nSubject: a  b\r\n\tc \r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
#define BODY "Hello  there \r\n\r\nBye\t\r\n\r\n\r\n"

enum which { RSA_1024, RSA_512, RSA_1023, RSA_2048, ED25519, KEYS };
static EVP_PKEY *key[KEYS];
static bool produced[DKIM_REASON_COUNT];

struct row {
	const char *name;
	struct maker m;
	enum which key;
	const char *record;             /* tags in front of p=; NULL: "v=DKIM1; " */
	enum dkim_reason want;
	void (*set)(struct dkim_options *o);
	const char *whole_record;       /* instead of record and p= */
	const char *header, *body;      /* as they arrive, when that is not as they were signed */
};

static void sha1(struct dkim_options *o) { o->accept_sha1 = true; }
static void expired(struct dkim_options *o) { o->accept_expired = true; }
static void future(struct dkim_options *o) { o->accept_future = true; }
static void skew(struct dkim_options *o) { o->clock_skew_s = 300; }
static void l_accept(struct dkim_options *o) { o->l_tag = DKIM_L_ACCEPT; }
static void compatible(struct dkim_options *o) { o->rfc4871_compatible = true; }
static void bits_1023(struct dkim_options *o) { o->min_rsa_bits = 1023; }
static void bits_2048(struct dkim_options *o) { o->min_rsa_bits = 2048; }
static const struct span must[] = { { "Subject", 7 }, { "Reply-To", 8 } };
static void must_sign(struct dkim_options *o) { o->must_be_signed = must; o->must_be_signed_count = ARRAY_LEN(must); }

#define R(reason) .want = DKIM_R_##reason

static const struct row rows[] = {
	{ .name = "relaxed/relaxed", R(GOOD) },
	{ .name = "simple/simple", .m = { .c = "simple/simple" }, R(GOOD) },
	{ .name = "simple/relaxed", .m = { .c = "simple/relaxed" }, R(GOOD) },
	{ .name = "relaxed/simple", .m = { .c = "relaxed/simple" }, R(GOOD) },
	{ .name = "M13: c=relaxed is relaxed/simple", .m = { .c = "relaxed" }, R(GOOD) },
	{ .name = "no c= is simple/simple", .m = { .c = "" }, R(GOOD) },
	{ .name = "ed25519", .m = { .a = "ed25519-sha256" }, .key = ED25519, .record = "v=DKIM1; k=ed25519; ", R(GOOD) },
	{ .name = "2048 bits", .key = RSA_2048, R(GOOD) },
	{ .name = "a field changed", .header = "From: Eve <eve@example.org>\r\nTo: ann@example.net\r\nSubject: a b c\r\n", R(SIGNATURE) },
	{ .name = "relaxed: folded another way", .header = "From: Joe <joe@example.org>\r\nTo:\tann@example.net\r\nSUBJECT:a\r\n b c\r\n", R(GOOD) },
	{ .name = "simple: folded another way", .m = { .c = "simple/simple" },
	  .header = "From: Joe <joe@example.org>\r\nTo: ann@example.net\r\nSubject: a  b c \r\n", R(SIGNATURE) },
	{ .name = "the body changed", .body = "Hello there\r\n\r\nbye\r\n", R(BODY_HASH) },
	{ .name = "relaxed: blanks of the body changed", .body = "Hello there\r\n\r\nBye\r\n", R(GOOD) },
	{ .name = "simple: blanks of the body changed", .m = { .c = "relaxed/simple" }, .body = "Hello there\r\n\r\nBye\r\n", R(BODY_HASH) },
	{ .name = "body and header changed: the body says it", .header = "From: Eve <eve@example.org>\r\n", .body = "x", R(BODY_HASH) },
	{ .name = "another's key", .key = RSA_2048, .m = { .b = "AAAA" }, R(SIGNATURE) },

	{ .name = "K1: d= twice", .m = { .extra = "d=other.example; " }, R(SYNTAX) },
	{ .name = "K1: p= twice in the key", .whole_record = "v=DKIM1; p=AAAA; p=AAAA", R(KEY_SYNTAX) },
	{ .name = "K2: p= empty", .whole_record = "v=DKIM1; p=", R(KEY_REVOKED) },
	{ .name = "K2: p= missing", .whole_record = "v=DKIM1; k=rsa", R(KEY_SYNTAX) },
	{ .name = "K2: p= cut short", .whole_record = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GN", R(KEY_SYNTAX) },
	{ .name = "K2: v=DKIM1 not first", .record = "k=rsa; v=DKIM1; ", R(KEY_SYNTAX) },
	{ .name = "K2: v=DKIM2", .record = "v=DKIM2; ", R(KEY_SYNTAX) },
	{ .name = "K2: unknown tags", .record = "v=DKIM1; q7=whatever; x_y=z; ", R(GOOD) },
	{ .name = "K2: no v=", .record = "", R(GOOD) },
	{ .name = "K4: k=ed25519 with a=rsa", .record = "v=DKIM1; k=ed25519; ", R(KEY_TYPE) },
	{ .name = "K4: rsa key with a=ed25519", .m = { .a = "ed25519-sha256" }, .key = ED25519, .record = "v=DKIM1; k=rsa; ", R(KEY_TYPE) },
	{ .name = "K4: unknown k=", .record = "v=DKIM1; k=dsa; ", R(KEY_TYPE) },
	{ .name = "K4: h=sha1 with rsa-sha256", .record = "v=DKIM1; h=sha1; ", R(KEY_HASH) },
	{ .name = "K4: h= names both", .record = "v=DKIM1; h=sha1 : sha256; ", R(GOOD) },
	{ .name = "K4: s=foo", .record = "v=DKIM1; s=foo; ", R(KEY_SERVICE) },
	{ .name = "K4: s=foo:email", .record = "v=DKIM1; s=foo : email; ", R(GOOD) },
	{ .name = "K4: s=*", .record = "v=DKIM1; s=*; ", R(GOOD) },
	{ .name = "K4: t=s with i= below d=", .m = { .extra = "i=joe@sub.example.org; " }, .record = "v=DKIM1; t=s; ", R(KEY_IDENTITY) },
	{ .name = "K4: t=s with i= at d=", .m = { .extra = "i=joe@Example.ORG; " }, .record = "v=DKIM1; t=y:s; ", R(GOOD) },
	{ .name = "K5: 512 bits", .key = RSA_512, R(SHORT_KEY) },
	{ .name = "K5: 1023 bits", .key = RSA_1023, R(SHORT_KEY) },
	{ .name = "K5: 1023 bits where they are enough", .key = RSA_1023, .set = bits_1023, R(GOOD) },
	{ .name = "K5: 1024 bits where they are not", .set = bits_2048, R(SHORT_KEY) },
	{ .name = "ed25519 is not short", .m = { .a = "ed25519-sha256" }, .key = ED25519, .record = "k=ed25519;", .set = bits_2048, R(GOOD) },
	{ .name = "K7: h= without From", .m = { .h = "to:subject" }, R(FROM_NOT_SIGNED) },
	{ .name = "K7: h= with From twice", .m = { .h = "from:from:to:subject" }, R(GOOD) },
	{ .name = "K7: h= with From twice, and there are two", .m = { .h = "from:from" },
	  .header = "From: Eve <eve@example.org>\r\nFrom: Joe <joe@example.org>\r\n", R(SIGNATURE) },
	{ .name = "h= with From once, and there are two: the lower one", .m = { .h = "from" },
	  .header = "From: Eve <eve@example.org>\r\nFrom: Joe <joe@example.org>\r\n", R(GOOD) },
	{ .name = "K7: h= names what is not there", .m = { .h = "from : x-nothing:to:subject:x-nothing" }, R(GOOD) },
	{ .name = "h= names what is there only now", .m = { .h = "from:cc" }, .header = "From: Joe <joe@example.org>\r\nCc: all\r\n", R(SIGNATURE) },
	{ .name = "h= names DKIM-Signature", .m = { .h = "from:dkim-signature:dkim-signature" }, R(GOOD) },
	{ .name = "K8: x= before t=", .m = { .extra = "t=1600000000; x=1500000000; " }, R(TIMES) },
	{ .name = "K8: x= equals t=", .m = { .extra = "t=1600000000; x=1600000000; " }, R(TIMES) },
	{ .name = "K8: x= in the past", .m = { .extra = "x=1699999999; " }, R(EXPIRED) },
	{ .name = "K8: x= now", .m = { .extra = "x=1700000000; " }, R(GOOD) },
	{ .name = "K8: x= in the past, taken", .m = { .extra = "x=5; " }, .set = expired, R(GOOD) },
	{ .name = "K8: x= past within the skew", .m = { .extra = "x=1699999700; " }, .set = skew, R(GOOD) },
	{ .name = "K8: x= past beyond the skew", .m = { .extra = "x=1699999699; " }, .set = skew, R(EXPIRED) },
	{ .name = "K8: t= in the future", .m = { .extra = "t=1700000001; " }, R(FUTURE) },
	{ .name = "K8: t= in the future, taken", .m = { .extra = "t=1800000000; " }, .set = future, R(GOOD) },
	{ .name = "K8: t= future within the skew", .m = { .extra = "t=1700000300; " }, .set = skew, R(GOOD) },
	{ .name = "K8: t= future beyond the skew", .m = { .extra = "t=1700000301; " }, .set = skew, R(FUTURE) },
	{ .name = "K8: x= of 30 digits", .m = { .extra = "x=999999999999999999999999999999; " }, R(GOOD) },
	{ .name = "K8: t= of 30 digits", .m = { .extra = "t=999999999999999999999999999999; " }, R(FUTURE) },
	{ .name = "K8: t= negative", .m = { .extra = "t=-1; " }, R(SYNTAX) },
	{ .name = "K8: t= empty", .m = { .extra = "t=; " }, R(SYNTAX) },
	{ .name = "K9: rsa-sha1", .m = { .a = "rsa-sha1" }, R(SHA1) },
	{ .name = "K9: rsa-sha1 with a wrong body", .m = { .a = "rsa-sha1" }, .body = "x", R(SHA1) },
	{ .name = "K9: rsa-sha1 where it is accepted", .m = { .a = "rsa-sha1" }, .set = sha1, R(GOOD) },
	{ .name = "K9: rsa-sha1, accepted, wrong body", .m = { .a = "rsa-sha1" }, .set = sha1, .body = "x", R(BODY_HASH) },
	{ .name = "K9: rsa-sha1, accepted, but not by the key", .m = { .a = "rsa-sha1" }, .set = sha1, .record = "v=DKIM1; h=sha256; ", R(KEY_HASH) },
	{ .name = "K9: unknown a=", .m = { .a = "rsa-sha512" }, R(UNKNOWN_ALGORITHM) },
	{ .name = "K9: ed25519-sha1", .m = { .a = "ed25519-sha1" }, R(UNKNOWN_ALGORITHM) },
	{ .name = "K10: i= elsewhere", .m = { .extra = "i=joe@example.com; " }, R(IDENTITY) },
	{ .name = "K10: i= ends like d=", .m = { .extra = "i=joe@badexample.org; " }, R(IDENTITY) },
	{ .name = "K10: i= above d=", .m = { .d = "sub.example.org", .extra = "i=joe@example.org; " }, R(IDENTITY) },
	{ .name = "K10: i= below d=", .m = { .extra = "i=joe@a.b.example.org; " }, R(GOOD) },
	{ .name = "K10: i= with a ';' in quotes", .m = { .extra = "i=\"a;b\"@example.org; " }, R(SYNTAX) },
	{ .name = "K10: i= with an encoded ';' in quotes", .m = { .extra = "i=\"a=3Bb\"@example.org; " }, R(GOOD) },
	{ .name = "K10: i= with an '@' in quotes", .m = { .extra = "i=\"x@evil.example\"@example.org; " }, R(GOOD) },
	{ .name = "K10: i= with a second '@'", .m = { .extra = "i=x@example.org@evil.example; " }, R(IDENTITY) },
	{ .name = "K10: i= without '@'", .m = { .extra = "i=example.org; " }, R(IDENTITY) },
	{ .name = "K10: i= with NUL", .m = { .extra = "i=a=00b@example.org; " }, R(IDENTITY) },
	{ .name = "K11: b= in many lines with blanks around it", .m = { .is_folded = true, .tail = ";" }, R(GOOD) },
	{ .name = "K11: b= in many lines, simple", .m = { .c = "simple/simple", .is_folded = true, .tail = "; z=From:x" }, R(GOOD) },
	{ .name = "K11: b= not last", .m = { .tail = "; x=1800000000; i=@example.org" }, R(GOOD) },
	{ .name = "K11: B= beside b=", .m = { .extra = "B=abc; bb=x; b2=y; " }, R(GOOD) },
	{ .name = "K15: d= of one label", .m = { .d = "org" }, R(DOMAIN) },

	{ .name = "no v=", .m = { .v = "" }, R(VERSION) },
	{ .name = "v=2", .m = { .v = "v=2; " }, R(VERSION) },
	{ .name = "no s=", .m = { .s = "x; s2=y; z=s" }, R(NO_KEY) },
	{ .name = "s= with blanks", .m = { .s = "a b" }, R(DOMAIN) },
	{ .name = "d= with an apostrophe", .m = { .d = "legit'a.attack.example" }, R(DOMAIN) },
	{ .name = "d= with a comment", .m = { .d = "example.org(a.attack" }, R(DOMAIN) },
	{ .name = "d= ends in a dot", .m = { .d = "example.org." }, R(DOMAIN) },
	{ .name = "d= in capitals", .m = { .d = "EXAMPLE.Org" }, R(GOOD) },
	{ .name = "bh= of 31 bytes", .m = { .bh = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==" }, R(HASH_LENGTH) },
	{ .name = "bh= is no base64", .m = { .bh = "AA!A" }, R(SYNTAX) },
	{ .name = "b= is no base64", .m = { .b = "A" }, R(SYNTAX) },
	{ .name = "M13: b= empty", .m = { .b = "" }, R(SYNTAX) },
	{ .name = "unknown q=", .m = { .extra = "q=http/xml; " }, R(UNKNOWN_QUERY) },
	{ .name = "q= with a known one", .m = { .extra = "q=http : dns/txt; " }, R(GOOD) },
	{ .name = "z= and RFC 6651's r=", .m = { .extra = "z=From:joe=20x|To:y; r=y; " }, R(GOOD) },
	{ .name = "l= of all", .m = { .extra = "l=20; ", .l = 20 }, R(GOOD) },
	{ .name = "l= of a part", .m = { .extra = "l=5; ", .l = 5 }, R(UNSIGNED_BODY) },
	{ .name = "l= of a part, accepted", .m = { .extra = "l=5; ", .l = 5 }, .set = l_accept, R(GOOD) },
	{ .name = "l= of a part, another behind it", .m = { .extra = "l=5; ", .l = 5 }, .set = l_accept, .body = "Hello you\r\n", R(GOOD) },
	{ .name = "l= of a part, another in it", .m = { .extra = "l=5; ", .l = 5 }, .set = l_accept, .body = "Hallo\r\n", R(BODY_HASH) },
	{ .name = "l=0", .m = { .extra = "l=0; ", .signs_empty_body = true }, R(UNSIGNED_BODY) },
	{ .name = "l= longer than the body", .m = { .extra = "l=21; " }, R(BODY_LENGTH) },
	{ .name = "l= of 76 digits", .m = { .extra = "l=9999999999999999999999999999999999999999999999999999999999999999999999999999; " }, R(BODY_LENGTH) },
	{ .name = "l= with a sign", .m = { .extra = "l=+5; " }, R(SYNTAX) },
	{ .name = "a field that must be signed is not", .m = { .h = "from:to" }, .set = must_sign, R(NOT_SIGNED) },
	{ .name = "what must be signed is, or is not there", .set = must_sign, R(GOOD) },
	{ .name = "g= is nothing to RFC 6376", .record = "v=DKIM1; g=ann; ", R(GOOD) },
	{ .name = "g= of another", .m = { .extra = "i=joe@example.org; " }, .record = "v=DKIM1; g=ann; ", .set = compatible, R(KEY_IDENTITY) },
	{ .name = "g= of nobody", .m = { .extra = "i=joe@example.org; " }, .record = "v=DKIM1; g=; ", .set = compatible, R(KEY_IDENTITY) },
	{ .name = "g= empty in a record of DomainKeys", .m = { .extra = "i=joe@example.org; " }, .record = "g=; ", .set = compatible, R(GOOD) },
	{ .name = "g= matches", .m = { .extra = "i=joe@example.org; " }, .record = "v=DKIM1; g=j*e; ", .set = compatible, R(GOOD) },
	{ .name = "M16: TXT of SPF", .whole_record = "v=spf1 -all", R(KEY_SYNTAX) },
	{ .name = "M16: TXT spf2.", .whole_record = "spf2.", R(KEY_SYNTAX) },
	{ .name = "empty TXT", .whole_record = "", R(KEY_SYNTAX) },
};

static char *
long_header(const struct row *r, char *own)
{
	return xasprintf("%s%s\r\n", own, r->header != NULL ? r->header : HEADER);
}

static enum dkim_reason
run_row(const struct row *r, size_t step, struct dkim_signature *out)
{
	struct maker m = r->m;
	struct dkim_unit u;
	char *own, *record, *message;
	const struct dkim_signature *v;
	size_t n;

	if (m.key == NULL)
		m.key = key[r->key];
	own = maker_sign(&m, SPAN(HEADER), SPAN(BODY));
	record = r->whole_record != NULL ? xstrdup(r->whole_record) : maker_record(MAKER_OR(r, record, "v=DKIM1; "), key[r->key]);
	message = long_header(r, own);
	dkim_unit_init(&u);
	u.step = step;
	if (r->set != NULL)
		r->set(&u.options);
	dkim_unit_key(&u, "sel._domainkey.example.org", record);
	(void)dkim_unit_header(&u, span_cstr(message));
	v = dkim_unit_run(&u, r->body != NULL ? span_cstr(r->body) : SPAN(BODY), &n);
	assert_int_equal(n, 1);
	*out = v[0];
	produced[v[0].reason] = true;
	if (v[0].result != dkim_reason_result(v[0].reason))
		fail_msg("%s: result and reason differ", r->name);
	dkim_unit_fini(&u);
	free(own);
	free(record);
	free(message);
	return out->reason;
}

static void
test_rows(void **state)
{
	static const size_t steps[] = { 0, 1, 3 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
			struct dkim_signature s;
			enum dkim_reason got = run_row(&rows[i], steps[j], &s);

			if (got != rows[i].want)
				fail_msg("%s: got %s", rows[i].name, dkim_reason_text(got));
		}
}

/* ---- one message with the usual signature, for tests that look closer ---- */

static void
prepare(struct dkim_unit *u, const struct maker *m, const char *record)
{
	struct maker made = *m;
	char *own, *text, *whole;

	if (made.key == NULL)
		made.key = key[RSA_1024];
	own = maker_sign(&made, SPAN(HEADER), SPAN(BODY));
	text = maker_record(record, made.key);
	whole = xasprintf("%s%s\r\n", own, HEADER);
	dkim_unit_init(u);
	dkim_unit_key(u, "sel._domainkey.example.org", text);
	(void)dkim_unit_header(u, span_cstr(whole));
	free(own);
	free(text);
	free(whole);
}

static enum dkim_reason
status_gives(enum dns_status status)
{
	struct dkim_unit u;
	size_t n;
	enum dkim_reason r;

	prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
	dkim_unit_status(&u, "sel._domainkey.example.org", status);
	r = dkim_unit_run(&u, SPAN(BODY), &n)[0].reason;
	produced[r] = true;
	dkim_unit_fini(&u);
	return r;
}

static void
test_dns(void **state)
{
	(void)state;
	assert_int_equal(status_gives(DNS_NXDOMAIN), DKIM_R_NO_KEY);
	assert_int_equal(status_gives(DNS_NODATA), DKIM_R_NO_KEY);
	assert_int_equal(status_gives(DNS_OK), DKIM_R_NO_KEY);
	assert_int_equal(status_gives(DNS_SERVFAIL), DKIM_R_DNS);
	assert_int_equal(status_gives(DNS_TIMEOUT), DKIM_R_DNS);
	assert_int_equal(status_gives(DNS_MALFORMED), DKIM_R_DNS);
	assert_int_equal(status_gives(DNS_LIMIT), DKIM_R_DNS);
	assert_int_equal(status_gives(DNS_CANCELLED), DKIM_R_DNS);
	assert_int_equal(status_gives(DNS_BOGUS), DKIM_R_BOGUS);        /* K14 */
}

static void
test_members(void **state)
{
	struct dkim_unit u;
	const struct dkim_signature *s;
	size_t n;

	(void)state;
	prepare(&u, &(struct maker){ .extra = "i=\"j=20o\"@x.EXAMPLE.org; t=1699999999; x=1700000009; l=20; ", .l = 20 }, "v=DKIM1; t=y; ");
	dkim_unit_author(&u, "mail.example.org");
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(s->result, DKIM_PASS);
	assert_span(s->d, "example.org");
	assert_span(s->s, "sel");
	assert_span(s->a, "rsa-sha256");
	assert_span(s->i, "\"j o\"@x.EXAMPLE.org");
	assert_span(s->i_domain, "x.example.org");
	assert_span(s->domain, "example.org");
	assert_int_equal(s->b_start.n, 8);
	assert_int_equal(s->l, 20);
	assert_int_equal(s->t, 1699999999);
	assert_int_equal(s->x, 1700000009);
	assert_int_equal(s->key_bits, 1024);
	assert_true(s->is_testing && s->is_author && s->is_parsed && !s->has_unsigned_body && !s->is_key_secure);
	dkim_unit_fini(&u);
}

static void
test_secure_key(void **state)
{
	struct dkim_unit u;
	char *record = maker_record("v=DKIM1; ", key[RSA_1024]);
	struct span text = span_cstr(record);
	const struct dkim_signature *s;
	size_t n;

	(void)state;
	prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
	dkim_unit_records(&u, "sel._domainkey.example.org", &text, 1, true);
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_true(s->result == DKIM_PASS && s->is_key_secure);
	dkim_unit_fini(&u);
	free(record);
}

/* K3: records in any order, one of which is the key. */
static void
test_several_records(void **state)
{
	char *good = maker_record("v=DKIM1; ", key[RSA_1024]), *other = maker_record("v=DKIM1; ", key[RSA_2048]);
	char *edges[] = { good, other };
	const struct span rest[] = { SPAN("v=spf1 -all"), SPAN(""), SPAN("v=DKIM1; p=") };

	(void)state;
	for (size_t at = 0; at < 5; at++) {
		struct span v[5];
		struct dkim_unit u;
		const struct dkim_signature *s;
		size_t n;

		for (size_t i = 0; i < 5; i++)
			v[(at + i) % 5] = i < 2 ? span_cstr(edges[i]) : rest[i - 2];
		prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
		dkim_unit_records(&u, "sel._domainkey.example.org", v, 5, false);
		s = dkim_unit_run(&u, SPAN(BODY), &n);
		assert_int_equal(s->result, DKIM_PASS);
		assert_int_equal(s->key_bits, 1024);
		dkim_unit_fini(&u);
	}
	free(good);
	free(other);
}

/* None is of use: the report does not depend on their order. */
static void
test_several_bad_records(void **state)
{
	const struct span v[][2] = { { SPAN("v=DKIM1; p="), SPAN("v=spf1 -all") }, { SPAN("v=spf1 -all"), SPAN("v=DKIM1; p=") } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct dkim_unit u;
		size_t n;

		prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
		dkim_unit_records(&u, "sel._domainkey.example.org", v[i], 2, false);
		assert_int_equal(dkim_unit_run(&u, SPAN(BODY), &n)->reason, DKIM_R_KEY_REVOKED);
		dkim_unit_fini(&u);
	}
}

/* The record that helps stands at the limit, and one past it. */
static void
test_record_limit(void **state)
{
	char *good = maker_record("v=DKIM1; ", key[RSA_1024]);
	struct span v[DKIM_KEY_RECORDS_MAX + 1];

	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		struct dkim_unit u;
		size_t n;

		for (size_t i = 0; i < ARRAY_LEN(v); i++)
			v[i] = SPAN("x");
		v[DKIM_KEY_RECORDS_MAX - 1 + extra] = span_cstr(good);
		prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
		dkim_unit_records(&u, "sel._domainkey.example.org", v, DKIM_KEY_RECORDS_MAX + extra, false);
		assert_int_equal(dkim_unit_run(&u, SPAN(BODY), &n)->reason, extra ? DKIM_R_KEY_SYNTAX : DKIM_R_GOOD);
		dkim_unit_fini(&u);
	}
	free(good);
}

static void
test_lost_and_incomplete(void **state)
{
	struct dkim_unit u;
	size_t n;

	(void)state;
	prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
	u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_WAIT);
	dkim_body(u.d, SPAN("Hello"));
	dkim_body_lost(u.d);
	assert_false(dkim_wants_body(u.d));
	assert_int_equal(dkim_run(u.d, &u.questions, u.now_s), RC_OK);
	assert_int_equal(dkim_signatures(u.d, &n)->reason, DKIM_R_MEMORY);
	produced[DKIM_R_MEMORY] = true;
	dkim_unit_fini(&u);

	prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
	u.headers.is_incomplete = true;
	assert_int_equal(dkim_unit_run(&u, SPAN(BODY), &n)->reason, DKIM_R_INCOMPLETE);
	produced[DKIM_R_INCOMPLETE] = true;
	dkim_unit_fini(&u);
}

/* U-labels (RFC 8616) in d=, s= and i=. */
static void
test_u_labels(void **state)
{
	struct maker m = { .key = key[RSA_1024], .d = "b\xc3\xbc" "cher.example", .s = "schl\xc3\xbcssel",
	                   .extra = "i=j\xc3\xb6@a.b\xc3\x9c" "cher.example; " };
	char *own = maker_sign(&m, SPAN(HEADER), SPAN(BODY)), *whole = xasprintf("%s%s\r\n", own, HEADER);
	char *record = maker_record("v=DKIM1; ", m.key);
	struct dkim_unit u;
	const struct dkim_signature *s;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	dkim_unit_author(&u, "xn--bcher-kva.example");
	dkim_unit_key(&u, "xn--schlssel-95a._domainkey.xn--bcher-kva.example", record);
	(void)dkim_unit_header(&u, span_cstr(whole));
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	if (s->result != DKIM_PASS)
		fail_msg("%s", dkim_reason_text(s->reason));
	assert_span(s->domain, "xn--bcher-kva.example");
	assert_span(s->i_domain, "a.xn--bcher-kva.example");
	assert_true(s->is_author);
	dkim_unit_fini(&u);
	free(own);
	free(whole);
	free(record);
}

/* Missing tags, one after the other: maker always writes them. */
static void
test_missing_tags(void **state)
{
	static const char *const values[] = {
		"v=1; b=AAAA; bh=AAAA; d=example.org; h=from; s=x", "v=1; a=rsa-sha256; bh=AAAA; d=example.org; h=from; s=x",
		"v=1; a=rsa-sha256; b=AAAA; d=example.org; h=from; s=x", "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; h=from; s=x",
		"v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=example.org; s=x", "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=example.org; h=from",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct dkim_unit u;
		size_t n;

		dkim_unit_init(&u);
		assert_int_equal(header_add(&u.headers, SPAN("DKIM-Signature"), span_cstr(values[i]), true), RC_OK);
		assert_int_equal(dkim_unit_run(&u, SPAN(BODY), &n)->reason, DKIM_R_MISSING_TAG);
		assert_int_equal(u.questions.n, 0);
		dkim_unit_fini(&u);
	}
	produced[DKIM_R_MISSING_TAG] = true;
}

/* A key of n random odd bits, of which nobody knows the private half. */
static char *
make_long_record(size_t bytes, const uint8_t *e, size_t e_n)
{
	size_t room = bytes + e_n + 64, at = room;
	uint8_t *der = xcalloc(1, room);
	char *p, *record;
	size_t len;

#define PUT_LENGTH(n) do { len = (n); if (len < 128) { der[--at] = (uint8_t)len; } else if (len < 256) { der[--at] = (uint8_t)len; der[--at] = 0x81; } \
	else { der[--at] = (uint8_t)len; der[--at] = (uint8_t)(len >> 8); der[--at] = 0x82; } } while (0)
	at -= e_n;
	memcpy(der + at, e, e_n);
	PUT_LENGTH(e_n);
	der[--at] = 2;
	at -= bytes;
	memset(der + at, 0xa5, bytes);
	der[--at] = 0;
	PUT_LENGTH(bytes + 1);
	der[--at] = 2;
	PUT_LENGTH(room - at);
	der[--at] = 0x30;
	p = maker_b64(der + at, room - at);
	record = xasprintf("v=DKIM1; p=%s", p);
	free(p);
	free(der);
	return record;
}

/* K5 at its upper end. */
static void
test_long_keys(void **state)
{
	static const uint8_t f4[] = { 1, 0, 1 }, one[] = { 1 }, even[] = { 4 };
	uint8_t huge[256];
	const struct {
		size_t bytes;
		const uint8_t *e;
		size_t e_n;
		enum dkim_reason want;
		unsigned bits;
	} keys[] = {
		{ 512, f4, 3, DKIM_R_SIGNATURE, 4096 }, { 1024, f4, 3, DKIM_R_SIGNATURE, 8192 }, { 1025, f4, 3, DKIM_R_KEY_LENGTH, 0 },
		{ 2048, f4, 3, DKIM_R_KEY_LENGTH, 0 }, { 65000, f4, 3, DKIM_R_KEY_SYNTAX, 0 }, { 128, one, 1, DKIM_R_KEY_SYNTAX, 0 },
		{ 128, even, 1, DKIM_R_KEY_SYNTAX, 0 }, { 128, huge, sizeof huge, DKIM_R_KEY_LENGTH, 0 },
	};

	(void)state;
	memset(huge, 0x55, sizeof huge);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char *record = make_long_record(keys[i].bytes, keys[i].e, keys[i].e_n);
		const struct dkim_signature *s;
		struct dkim_unit u;
		size_t n;

		prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
		dkim_unit_key(&u, "sel._domainkey.example.org", record);
		s = dkim_unit_run(&u, SPAN(BODY), &n);
		produced[s->reason] = true;
		if (s->reason != keys[i].want || s->key_bits != keys[i].bits)
			fail_msg("key %zu: %s, %u bits", i, dkim_reason_text(s->reason), s->key_bits);
		dkim_unit_fini(&u);
		free(record);
	}
}

/* A signature names nothing that is not asked for: the policy ones ask neither DNS nor for the body. */
static void
test_what_is_asked(void **state)
{
	static const struct {
		struct maker m;
		size_t questions;
		bool wants_body;
	} asked[] = {
		{ { .a = NULL }, 1, true }, { { .a = "rsa-sha1" }, 1, false }, { { .extra = "x=5; " }, 0, false }, { { .v = "" }, 0, false },
		{ { .h = "to" }, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		struct dkim_unit u;

		prepare(&u, &asked[i].m, "v=DKIM1; ");
		u.d = dkim_create(&u.arena, &u.options, &u.headers, NULL, 0);
		(void)!dkim_run(u.d, &u.questions, u.now_s);
		assert_int_equal(u.questions.n, asked[i].questions);
		assert_int_equal(dkim_wants_body(u.d), asked[i].wants_body);
		dkim_unit_fini(&u);
	}
}

static void
test_one_too_many(void **state)
{
	const struct dkim_signature *s;
	struct dkim_unit u;
	size_t n;

	(void)state;
	prepare(&u, &(struct maker){ .a = NULL }, "v=DKIM1; ");
	assert_int_equal(header_add(&u.headers, SPAN("DKIM-Signature"), SPAN("v=1"), true), RC_OK);
	u.options.limit = 1;
	s = dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 2);
	assert_int_equal(s[0].reason, DKIM_R_GOOD);
	assert_int_equal(s[1].reason, DKIM_R_TOO_MANY);
	assert_int_equal(s[1].field, u.headers.n - 1);
	produced[DKIM_R_TOO_MANY] = true;
	dkim_unit_fini(&u);
}

static void
test_no_signature(void **state)
{
	struct dkim_unit u;
	size_t n;

	(void)state;
	dkim_unit_init(&u);
	(void)dkim_unit_header(&u, SPAN(HEADER));
	(void)dkim_unit_run(&u, SPAN(BODY), &n);
	assert_int_equal(n, 0);
	assert_false(dkim_wants_body(u.d));
	assert_int_equal(dkim_signature_count(u.d), 0);
	dkim_unit_fini(&u);
}

/* Runs behind all others. */
static void
test_every_reason_was_produced(void **state)
{
	(void)state;
	for (size_t i = 0; i < DKIM_REASON_COUNT; i++)
		if (!produced[i])
			fail_msg("never: %s", dkim_reason_text((enum dkim_reason)i));
}

static int
setup(void **state)
{
	(void)state;
	key[RSA_1024] = maker_rsa(1024);
	key[RSA_512] = maker_rsa(512);
	key[RSA_1023] = maker_rsa(1023);
	key[RSA_2048] = maker_rsa(2048);
	key[ED25519] = maker_ed25519();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		EVP_PKEY_free(key[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_dns), cmocka_unit_test(test_members), cmocka_unit_test(test_secure_key),
		cmocka_unit_test(test_several_records), cmocka_unit_test(test_several_bad_records), cmocka_unit_test(test_record_limit),
		cmocka_unit_test(test_lost_and_incomplete), cmocka_unit_test(test_u_labels), cmocka_unit_test(test_missing_tags),
		cmocka_unit_test(test_long_keys), cmocka_unit_test(test_what_is_asked), cmocka_unit_test(test_one_too_many), cmocka_unit_test(test_no_signature),
		cmocka_unit_test(test_every_reason_was_produced),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
