/*
 * domainkeys: messages are signed here over canonical forms that are written out by hand, so that both the canonical form and the signature are
 * checked from outside; then everything that must not pass.
 */
#include "t/unit/spf_unit.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <time.h>

#include "common/auth/domainkeys.h"

enum { BUDGET = 100, BITS = 1024, TEXT_MAX = 4 * MIB };

static EVP_PKEY *key;
static char p_text[KIB], p_small[KIB];          /* p= of key; of a key of 512 bits */

/* ---- keys ---- */

static void
public_text(EVP_PKEY *k, char *to)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k, &der);

	assert_true(n > 0 && n < 700);
	EVP_EncodeBlock((unsigned char *)to, der, n);
	OPENSSL_free(der);
}

static int
make_keys(void **state)
{
	EVP_PKEY *small = EVP_RSA_gen(512);

	(void)state;
	key = EVP_RSA_gen(BITS);
	assert_true(key != NULL && small != NULL);
	public_text(key, p_text);
	public_text(small, p_small);
	EVP_PKEY_free(small);
	return 0;
}

static int
free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

/* base64 of the signature of text */
static void
sign(struct span text, char *to, size_t room)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned char sig[BITS / 8];
	size_t n = sizeof sig;

	assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha1(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(c, sig, &n, (const unsigned char *)text.p, text.n), 1);
	assert_true(room > n * 4 / 3 + 4);
	EVP_EncodeBlock((unsigned char *)to, sig, (int)n);
	EVP_MD_CTX_free(c);
}

/* ---- messages ---- */

/* text with $B, $P and $S replaced by a signature, the key's and the small key's p=. */
static struct span
expand(const char *text, const char *signature, struct buf *b)
{
	for (; *text != '\0'; text++) {
		if (text[0] != '$' || strchr("BPS", text[1]) == NULL)
			buf_byte(b, *text);
		else
			buf_str(b, *++text == 'B' ? signature : *text == 'P' ? p_text : p_small);
	}
	assert_true(buf_ok(b));
	return buf_text(b);
}

static bool
is_field_end(struct span s, size_t i)
{
	return i + 1 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n' && (i + 2 == s.n || !ascii_is_wsp((unsigned char)s.p[i + 2]));
}

/* Takes the fields off *message and leaves the body. */
static void
read_header(struct header_block *h, struct span *message)
{
	while (message->n > 0 && !span_starts(*message, SPAN("\r\n"))) {
		size_t colon = span_find(*message, ':'), end = 0;

		while (end < message->n && !is_field_end(*message, end))
			end++;
		assert_int_equal(header_add(h, span_sub(*message, 0, colon), span_sub(*message, colon + 1, end - colon - 1), true), RC_OK);
		*message = span_from(*message, end + 2);
	}
	*message = span_from(*message, 2);
}

struct check {
	struct bed bed;
	struct header_block headers;
	struct domainkeys_options options;
	struct domainkeys_outcome out;
	bool wanted_body;
};

static struct domainkeys *
start(struct check *c, struct span message, struct span *body_out)
{
	*body_out = message;
	header_init(&c->headers, &c->bed.arena);
	read_header(&c->headers, body_out);
	return domainkeys_create(&c->bed.arena, &c->options, &c->headers);
}

static void
finish(struct check *c, struct domainkeys *k, struct span body, size_t piece)
{
	c->wanted_body = domainkeys_wants_body(k);
	if (domainkeys_run(k, &c->bed.questions) == RC_WAIT)
		bed_carry(&c->bed, &c->bed.questions);
	for (; body.n > 0; body = span_from(body, piece)) {
		struct span copy = exact_n(body.p, MIN(piece, body.n));

		domainkeys_body(k, copy);
		exact_free(copy);
	}
	domainkeys_body_end(k);
	while (domainkeys_run(k, &c->bed.questions) == RC_WAIT) {
		assert_true(c->bed.questions.new_count > 0);
		bed_carry(&c->bed, &c->bed.questions);
	}
	c->out = *domainkeys_outcome(k);
}

static void
check_init(struct check *c, const char *zone)
{
	struct buf b = buf_heap(64 * KIB);

	*c = (struct check){ .options = { .min_rsa_bits = 512 } };
	expand(zone, "", &b);
	bed_init(&c->bed, buf_text(&b).p, BUDGET);
	buf_fini(&b);
}

#define ZONE "s._domainkey.example.org TXT \"p=$P\"\n"

/* Signs `canonical`, puts that into the message, and evaluates it with the body in pieces. */
static struct domainkeys_outcome
evaluate(struct check *c, const char *message, const char *canonical, const char *zone, size_t piece)
{
	struct buf b = buf_heap(TEXT_MAX);
	char signature[KIB];
	struct domainkeys *k;
	struct span body;

	sign(span_cstr(canonical), signature, sizeof signature);
	check_init(c, zone);
	k = start(c, expand(message, signature, &b), &body);
	assert_non_null(k);
	finish(c, k, body, piece);
	buf_fini(&b);
	return c->out;
}

static void
expect(const char *what, const struct domainkeys_outcome *out, enum domainkeys_reason want)
{
	if (out->reason != want || out->result != domainkeys_reason_result(want))
		fail_msg("%s: %s (%s, %.*s), want %s", what, domainkeys_result_name(out->result), domainkeys_reason_text(out->reason),
		    SPAN_ARGS(out->detail), domainkeys_reason_text(want));
}

/* ---- what is hashed ---- */

#define SIG(tags) "DomainKey-Signature: a=rsa-sha1; d=example.org; q=dns; s=s; " tags "; b=$B\r\n"
#define FROM "From: u@example.org\r\n"
#define NFROM "From:u@example.org\r\n"

static const struct canon_row { const char *what, *message, *canonical; } canon_rows[] = {
	{ "simple", "Received: above\r\n" SIG("c=simple") FROM "Subject:  x \r\n\tfold\r\n\r\nbody \r\n\r\nmore\r\n\r\n\r\n",
	  FROM "Subject:  x \r\n\tfold\r\n\r\nbody \r\n\r\nmore\r\n" },
	{ "nofws", "Received: above\r\n" SIG("c=nofws") FROM "Subject:  x \r\n\tfold\r\n\r\nbo dy \r\n \t\r\nmore\r\n \r\n\t\r\n",
	  NFROM "Subject:xfold\r\n\r\nbody\r\n\r\nmore\r\n" },
	{ "simple, no body", SIG("c=simple") FROM "\r\n", FROM },
	{ "simple, empty lines", SIG("c=simple") FROM "\r\n\r\n\r\n\r\n", FROM },
	{ "simple, blanks", SIG("c=simple") FROM "\r\n \r\n", FROM "\r\n \r\n" },
	{ "nofws, no body", SIG("c=nofws") FROM "\r\n", NFROM },
	{ "nofws, blanks", SIG("c=nofws") FROM "\r\n \r\n\t\r\n \r\n  ", NFROM },
	{ "nofws, nothing but CR and LF", SIG("c=nofws") FROM "\r\n\r\r\n\n\n \r", NFROM },
	{ "simple, a CR", SIG("c=simple") FROM "\r\n\r", FROM "\r\n\r\r\n" },
	{ "simple, begins with an empty line", SIG("c=simple") FROM "\r\n\r\nx\r\n", FROM "\r\n\r\nx\r\n" },
	{ "nofws, begins with an empty line", SIG("c=nofws") FROM "\r\n \r\nx\r\n", NFROM "\r\n\r\nx\r\n" },
	{ "simple, no line end", SIG("c=simple") FROM "\r\nx", FROM "\r\nx\r\n" },
	{ "nofws, no line end", SIG("c=nofws") FROM "\r\nx ", NFROM "\r\nx\r\n" },
	{ "simple, lone CR and LF", SIG("c=simple") FROM "\r\na\rb\nc\r\n", FROM "\r\na\rb\nc\r\n" },
	{ "nofws, lone CR and LF", SIG("c=nofws") FROM "\r\na\rb\nc\r\n", NFROM "\r\nabc\r\n" },
	{ "no blank behind the colon", SIG("c=simple") "From:u@example.org\r\nX:\r\n\r\n", NFROM "X:\r\n" },
	{ "blank before the colon", SIG("c=nofws; h=from:x") FROM "X : 1\r\n\r\n", NFROM "X:1\r\n" },
	{ "signature below another", SIG("c=simple") "DomainKey-Signature: old\r\n" FROM "\r\nx\r\n", "DomainKey-Signature: old\r\n" FROM "\r\nx\r\n" },
	{ "h=", SIG("c=simple; h=from") FROM "Subject: x\r\n\r\nx\r\n", FROM "\r\nx\r\n" },
	{ "h= has the order", SIG("c=simple; h=Subject:From") FROM "Subject: x\r\n\r\nx\r\n", "Subject: x\r\n" FROM "\r\nx\r\n" },
	{ "h= with white space and case", SIG("c=nofws; h= FROM :\r\n\t subject ") FROM "Subject: x\r\n\r\nx\r\n", NFROM "Subject:x\r\n\r\nx\r\n" },
	{ "h= names what is not there", SIG("c=simple; h=x:from:y") FROM "\r\nx\r\n", FROM "\r\nx\r\n" },
	{ "h= is about what is below", "A: 1\r\n" SIG("c=simple; h=a:from") FROM "A: 2\r\n\r\nx\r\n", "A: 2\r\n" FROM "\r\nx\r\n" },
	{ "h= once, several fields", SIG("c=simple; h=a:from") "A: 1\r\n" FROM "A: 2\r\nA: 3\r\n\r\nx\r\n", "A: 1\r\nA: 2\r\nA: 3\r\n" FROM "\r\nx\r\n" },
	{ "h= twice, several fields", SIG("c=simple; h=a:from:A") "A: 1\r\n" FROM "A: 2\r\nA: 3\r\n\r\nx\r\n",
	  "A: 1\r\nA: 2\r\n" FROM "A: 3\r\n\r\nx\r\n" },
	{ "h= as often as there are fields", SIG("c=simple; h=a:a:from:a") "A: 1\r\nA: 2\r\n" FROM "A: 3\r\n\r\nx\r\n",
	  "A: 1\r\nA: 2\r\n" FROM "A: 3\r\n\r\nx\r\n" },
	{ "h= oftener than there are fields", SIG("c=simple; h=a:a:from:a") "A: 1\r\nA: 2\r\n" FROM "\r\nx\r\n", "A: 1\r\n" FROM "A: 2\r\n\r\nx\r\n" },
	{ "h= much oftener", SIG("c=simple; h=a:a:from:a") FROM "A: 1\r\n\r\nx\r\n", FROM "A: 1\r\n\r\nx\r\n" },
	{ "8-bit text", SIG("c=nofws; h=from:x") FROM "X: \xe4\xbd\x90 \xff\r\n\r\n\xff \x80\r\n", NFROM "X:\xe4\xbd\x90\xff\r\n\r\n\xff\x80\r\n" },
};

static void
test_canonical_forms(void **state)
{
	static const size_t pieces[] = { 1, 2, 7, TEXT_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(canon_rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(pieces); j++) {
			const struct canon_row *r = &canon_rows[i];
			struct check c;
			struct domainkeys_outcome out = evaluate(&c, r->message, r->canonical, ZONE, pieces[j]);

			expect(r->what, &out, DOMAINKEYS_R_GOOD);
			assert_true(c.wanted_body);
			assert_int_equal(out.key_bits, BITS);
			assert_int_equal(out.policy, DOMAINKEYS_POLICY_NOT_ASKED);
			assert_int_equal(c.bed.questions.n, 1);
			assert_span(out.domain, "example.org");
			assert_span(out.d, "example.org");
			assert_span(out.s, "s");
			bed_fini(&c.bed);
		}
	}
}

/* Every byte that is signed counts. */
static void
test_changes(void **state)
{
	static const struct { const char *what, *message; bool is_good; } rows[] = {
		{ "as signed", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbody\r\n", true },
		{ "body", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbodY\r\n", false },
		{ "body longer", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbody\r\nx\r\n", false },
		{ "body gone", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\n", false },
		{ "blank in body", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbody \r\n", false },
		{ "field", SIG("c=simple; h=from:subject") FROM "Subject: y\r\n\r\nbody\r\n", false },
		{ "blank in field", SIG("c=simple; h=from:subject") FROM "Subject:  x\r\n\r\nbody\r\n", false },
		{ "case of a name", SIG("c=simple; h=from:subject") FROM "SUBJECT: x\r\n\r\nbody\r\n", false },
		{ "local part", SIG("c=simple; h=from:subject") "From: v@example.org\r\nSubject: x\r\n\r\nbody\r\n", false },
		{ "second field", SIG("c=simple; h=from:subject") FROM "Subject: x\r\nSubject: x\r\n\r\nbody\r\n", false },
		{ "second field above", "Subject: y\r\n" SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbody\r\n", true },
		{ "field that is not named", SIG("c=simple; h=from:subject") "X: y\r\n" FROM "Subject: x\r\n\r\nbody\r\n", true },
		{ "other canonicalization", SIG("c=nofws; h=from:subject") FROM "Subject: x\r\n\r\nbody\r\n", false },
		{ "empty lines at the end", SIG("c=simple; h=from:subject") FROM "Subject: x\r\n\r\nbody\r\n\r\n", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, rows[i].message, FROM "Subject: x\r\n\r\nbody\r\n", ZONE, 5);

		expect(rows[i].what, &out, rows[i].is_good ? DOMAINKEYS_R_GOOD : DOMAINKEYS_R_SIGNATURE);
		bed_fini(&c.bed);
	}
}

/* ---- signatures and senders ---- */

/* The canonical text is that of FROM with an empty body, with c=nofws and h=from; a row that says otherwise never comes so far. */
static void
test_signatures(void **state)
{
#define RAW(tags) "DomainKey-Signature: " tags "\r\n" FROM "\r\n"
	static const struct { const char *what, *message; enum domainkeys_reason want; } rows[] = {
		{ "good", RAW("a=rsa-sha1; c=nofws; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_GOOD },
		{ "a= has a default", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; b=$B;"), DOMAINKEYS_R_GOOD },
		{ "unknown tags", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; x=1; zz_1=2; b=$B"), DOMAINKEYS_R_GOOD },
		{ "folds", RAW("c=nofws;\r\n\td=example.org;\r\n h=from; q=dns; s=s;\r\n b=\r\n $B"), DOMAINKEYS_R_GOOD },
		{ "d= in capitals", RAW("c=nofws; d=EXAMPLE.Org.; h=from; q=dns; s=S; b=$B"), DOMAINKEYS_R_GOOD },
		{ "no b=", RAW("c=nofws; d=example.org; h=from; q=dns; s=s"), DOMAINKEYS_R_MISSING_TAG },
		{ "no c=", RAW("d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_MISSING_TAG },
		{ "no d=", RAW("c=nofws; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_MISSING_TAG },
		{ "no q=", RAW("c=nofws; d=example.org; h=from; s=s; b=$B"), DOMAINKEYS_R_MISSING_TAG },
		{ "no s=", RAW("c=nofws; d=example.org; h=from; q=dns; b=$B"), DOMAINKEYS_R_MISSING_TAG },
		{ "nothing", RAW(""), DOMAINKEYS_R_SYNTAX },
		{ "no tags", RAW("hello"), DOMAINKEYS_R_SYNTAX },
		{ "d= twice", RAW("c=nofws; d=example.org; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "8 bits", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; n=\xc3\xa4; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "control byte", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; n=\x01; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "b= empty", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; b="), DOMAINKEYS_R_SYNTAX },
		{ "b= not base64", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; b=$B*"), DOMAINKEYS_R_SYNTAX },
		{ "b= another", RAW("c=nofws; d=example.org; h=from; q=dns; s=s; b=AAAA"), DOMAINKEYS_R_SIGNATURE },
		{ "h= empty", RAW("c=nofws; d=example.org; h=; q=dns; s=s; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "h= with an empty name", RAW("c=nofws; d=example.org; h=from:; q=dns; s=s; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "h= with a bad name", RAW("c=nofws; d=example.org; h=from:a b; q=dns; s=s; b=$B"), DOMAINKEYS_R_SYNTAX },
		{ "h= without From", RAW("c=nofws; d=example.org; h=to; q=dns; s=s; b=$B"), DOMAINKEYS_R_SENDER_NOT_SIGNED },
		{ "a= unknown", RAW("a=rsa-sha256; c=nofws; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_ALGORITHM },
		{ "a= in capitals", RAW("a=RSA-SHA1; c=nofws; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_ALGORITHM },
		{ "c= unknown", RAW("c=relaxed; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_CANON },
		{ "c= of DKIM", RAW("c=simple/simple; d=example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_CANON },
		{ "q= unknown", RAW("c=nofws; d=example.org; h=from; q=bogus; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_QUERY },
		{ "q= of DKIM", RAW("c=nofws; d=example.org; h=from; q=dns/txt; s=s; b=$B"), DOMAINKEYS_R_UNKNOWN_QUERY },
		{ "d= empty", RAW("c=nofws; d=; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "d= single label", RAW("c=nofws; d=org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "d= single label, s= two", RAW("c=nofws; d=org; h=from; q=dns; s=s.x; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "d= is no name", RAW("c=nofws; d=example'.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "d= folded", RAW("c=nofws; d=example.\r\n org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "s= empty", RAW("c=nofws; d=example.org; h=from; q=dns; s=; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "s= with a blank", RAW("c=nofws; d=example.org; h=from; q=dns; s=s x; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "s= with an empty label", RAW("c=nofws; d=example.org; h=from; q=dns; s=s.; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "s= with '/'", RAW("c=nofws; d=example.org; h=from; q=dns; s=a/b; b=$B"), DOMAINKEYS_R_DOMAIN },
		{ "other domain", RAW("c=nofws; d=example.com; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_OTHER_DOMAIN },
		{ "child", RAW("c=nofws; d=sub.example.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_OTHER_DOMAIN },
		{ "no parent, only the same end", RAW("c=nofws; d=ample.org; h=from; q=dns; s=s; b=$B"), DOMAINKEYS_R_OTHER_DOMAIN },
		{ "other selector", RAW("c=nofws; d=example.org; h=from; q=dns; s=t; b=$B"), DOMAINKEYS_R_NO_KEY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, rows[i].message, NFROM, ZONE, 9);

		expect(rows[i].what, &out, rows[i].want);
		assert_int_equal(out.field, 0);
		bed_fini(&c.bed);
	}
}

/* The NUL of a selector ends up in no question. */
static void
test_nul_in_selector(void **state)
{
	static const char text[] = "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s._domainkey.attack.\0.any; b=AAAA\r\n" FROM "\r\n";
	struct domainkeys *k;
	struct span body;
	struct check c;

	(void)state;
	check_init(&c, "");
	k = start(&c, span_of(text, sizeof text - 1), &body);
	finish(&c, k, body, 9);
	assert_int_equal(c.out.result, DOMAINKEYS_PERMERROR);
	assert_int_equal(c.bed.questions.n, 1);         /* the policy */
	bed_fini(&c.bed);
}

static void
test_senders(void **state)
{
#define S(h) "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; h=" h "; b=$B\r\n"
	static const struct { const char *what, *message, *canonical; enum domainkeys_reason want; const char *local, *domain; bool is_sender; } rows[] = {
		{ "From", S("from") FROM "\r\n", NFROM, DOMAINKEYS_R_GOOD, "u", "example.org", false },
		{ "From below", S("from") "From: u@a.b.Example.ORG\r\n\r\n", "From:u@a.b.Example.ORG\r\n", DOMAINKEYS_R_GOOD, "u", "a.b.example.org", false },
		{ "first of From", S("from") "From: u@example.org, v@example.com\r\n\r\n", "From:u@example.org,v@example.com\r\n", DOMAINKEYS_R_GOOD,
		  "u", "example.org", false },
		{ "second of From", S("from") "From: v@example.com, u@example.org\r\n\r\n", "From:v@example.com,u@example.org\r\n",
		  DOMAINKEYS_R_OTHER_DOMAIN, "v", "example.com", false },
		{ "Sender", S("from:sender") "From: v@example.com\r\nSender: u@example.org\r\n\r\n", "From:v@example.com\r\nSender:u@example.org\r\n",
		  DOMAINKEYS_R_GOOD, "u", "example.org", true },
		{ "Sender alone is signed", S("sender") "From: v@example.com\r\nSender: u@example.org\r\n\r\n", "Sender:u@example.org\r\n", DOMAINKEYS_R_GOOD,
		  "u", "example.org", true },
		{ "Sender goes before From", S("from:sender") FROM "Sender: v@example.com\r\n\r\n", NFROM "Sender:v@example.com\r\n",
		  DOMAINKEYS_R_OTHER_DOMAIN, "v", "example.com", true },
		{ "Sender is not signed", S("from") FROM "Sender: v@example.com\r\n\r\n", NFROM, DOMAINKEYS_R_GOOD, "u", "example.org", false },
		{ "Sender above", "Sender: v@example.com\r\n" S("from:sender") FROM "\r\n", NFROM, DOMAINKEYS_R_GOOD, "u", "example.org", false },
		{ "Sender without address is not signed", S("from") FROM "Sender: evil doer\r\n\r\n", NFROM, DOMAINKEYS_R_GOOD, "u", "example.org", false },
		{ "Sender without address", S("from:sender") FROM "Sender: evil doer\r\n\r\n", NFROM "Sender:evildoer\r\n", DOMAINKEYS_R_SENDER,
		  "u", "example.org", false },
		{ "two Sender", S("from:sender") FROM "Sender: u@example.org\r\nSender: u@example.org\r\n\r\n", "", DOMAINKEYS_R_SENDER, "u",
		  "example.org", false },
		{ "no From", S("from:sender") "Sender: u@example.org\r\n\r\n", "Sender:u@example.org\r\n", DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "two From", S("from") FROM FROM "\r\n", NFROM NFROM, DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "a From above", FROM S("from") FROM "\r\n", NFROM, DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "From above", FROM S("from") "\r\n", "", DOMAINKEYS_R_SENDER_NOT_SIGNED, "u", "example.org", false },
		{ "From above, no h=", FROM "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=$B\r\n\r\n", "", DOMAINKEYS_R_SENDER_NOT_SIGNED,
		  "u", "example.org", false },
		{ "From is no address", S("from") "From: u\r\n\r\n", "From:u\r\n", DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "From is an empty group", S("from") "From: g:;\r\n\r\n", "From:g:;\r\n", DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "From has a literal", S("from") "From: u@[192.0.2.1]\r\n\r\n", "From:u@[192.0.2.1]\r\n", DOMAINKEYS_R_SENDER, NULL, NULL, false },
		{ "blank before the colon", S("from") "From : u@example.org\r\n\r\n", NFROM, DOMAINKEYS_R_GOOD, "u", "example.org", false },
		{ "two From, one has a blank", S("from") FROM "From : u@example.org\r\n\r\n", NFROM NFROM, DOMAINKEYS_R_SENDER, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, rows[i].message, rows[i].canonical, ZONE, 9);

		expect(rows[i].what, &out, rows[i].want);
		if (!span_eq(out.local, bed_span(rows[i].local)) || !span_eq(out.domain, bed_span(rows[i].domain)) || out.is_sender != rows[i].is_sender)
			fail_msg("%s: %.*s at %.*s, %d", rows[i].what, SPAN_ARGS(out.local), SPAN_ARGS(out.domain), out.is_sender);
		bed_fini(&c.bed);
	}
}

/* The topmost usable one counts, whatever becomes of it; the topmost one's reason when none is usable. */
static void
test_which_signature(void **state)
{
#define GOOD "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; h=from; b=$B\r\n"
#define WRONG "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; h=from; b=AAAA\r\n"
#define OTHER "DomainKey-Signature: c=nofws; d=example.com; q=dns; s=s; h=from; b=AAAA\r\n"
#define BROKEN "DomainKey-Signature: broken\r\n"
#define BROKEN_9 BROKEN BROKEN BROKEN BROKEN BROKEN BROKEN BROKEN BROKEN BROKEN
	static const struct { const char *what, *message; enum domainkeys_reason want; size_t field; } rows[] = {
		{ "none", FROM "\r\n", DOMAINKEYS_R_NO_SIGNATURE, 1 },
		{ "no header", "\r\n", DOMAINKEYS_R_NO_SIGNATURE, 0 },
		{ "good, then broken", GOOD BROKEN FROM "\r\n", DOMAINKEYS_R_GOOD, 0 },
		{ "broken, then good", BROKEN GOOD FROM "\r\n", DOMAINKEYS_R_GOOD, 1 },
		{ "other, then good", "X: y\r\n" OTHER GOOD FROM "\r\n", DOMAINKEYS_R_GOOD, 2 },
		{ "wrong, then good", WRONG GOOD FROM "\r\n", DOMAINKEYS_R_SIGNATURE, 0 },
		{ "broken, then other", BROKEN OTHER FROM "\r\n", DOMAINKEYS_R_SYNTAX, 0 },
		{ "other, then broken", OTHER BROKEN FROM "\r\n", DOMAINKEYS_R_OTHER_DOMAIN, 0 },
		{ "good is the tenth", BROKEN_9 GOOD FROM "\r\n", DOMAINKEYS_R_GOOD, 9 },
		{ "good is the eleventh", BROKEN_9 BROKEN GOOD FROM "\r\n", DOMAINKEYS_R_SYNTAX, 0 },
	};

	(void)state;
	assert_int_equal(DOMAINKEYS_SIGNATURES_MAX, 10);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, rows[i].message, NFROM, ZONE, 9);

		expect(rows[i].what, &out, rows[i].want);
		if (out.field != rows[i].field)
			fail_msg("%s: field %zu", rows[i].what, out.field);
		bed_fini(&c.bed);
	}
}

/* ---- keys ---- */

#define KEY "s._domainkey.example.org "

static void
test_keys(void **state)
{
	static const struct { const char *what, *zone; enum domainkeys_reason want; bool is_testing; } rows[] = {
		{ "p=", KEY "TXT \"p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "all tags", KEY "TXT \"g=u; k=rsa; n=a note; t=y; p=$P;\"", DOMAINKEYS_R_GOOD, true },
		{ "of DKIM", KEY "TXT \"v=DKIM1; k=rsa; s=email; h=sha1:sha256; p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "g= empty", KEY "TXT \"g=; p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "g= empty, of DKIM", KEY "TXT \"v=DKIM1; g=; p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "g= another", KEY "TXT \"g=v; p=$P\"", DOMAINKEYS_R_KEY_SENDER, false },
		{ "g= longer", KEY "TXT \"g=uu; p=$P\"", DOMAINKEYS_R_KEY_SENDER, false },
		{ "g= in capitals", KEY "TXT \"g=U; p=$P\"", DOMAINKEYS_R_KEY_SENDER, false },
		{ "g=* is a name", KEY "TXT \"g=*; p=$P\"", DOMAINKEYS_R_KEY_SENDER, false },
		{ "g=*, of DKIM", KEY "TXT \"v=DKIM1; g=*; p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "g=u*, of DKIM", KEY "TXT \"v=DKIM1; g=u*; p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "g=u*u, of DKIM", KEY "TXT \"v=DKIM1; g=u*u; p=$P\"", DOMAINKEYS_R_KEY_SENDER, false },
		{ "revoked", KEY "TXT \"t=y; p=\"", DOMAINKEYS_R_KEY_REVOKED, true },
		{ "no p=", KEY "TXT \"k=rsa\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "k= unknown", KEY "TXT \"k=foo; p=$P\"", DOMAINKEYS_R_KEY_TYPE, false },
		{ "k=ed25519", KEY "TXT \"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"", DOMAINKEYS_R_KEY_TYPE, false },
		{ "v= unknown", KEY "TXT \"v=DKIM3; p=$P\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "h=sha256", KEY "TXT \"v=DKIM1; h=sha256; p=$P\"", DOMAINKEYS_R_KEY_USE, false },
		{ "s=chat", KEY "TXT \"v=DKIM1; s=chat; p=$P\"", DOMAINKEYS_R_KEY_USE, false },
		{ "cut", KEY "TXT \"p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "not base64", KEY "TXT \"p=$P*\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "p= twice", KEY "TXT \"p=$P; p=$P\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "empty", KEY "TXT \"\"", DOMAINKEYS_R_KEY_SYNTAX, false },
		{ "another key", KEY "TXT \"p=$S\"", DOMAINKEYS_R_SIGNATURE, false },
		{ "no record", "", DOMAINKEYS_R_NO_KEY, false },
		{ "no such type", KEY "A 192.0.2.1", DOMAINKEYS_R_NO_KEY, false },
		{ "SERVFAIL", KEY "SERVFAIL", DOMAINKEYS_R_DNS, false },
		{ "TIMEOUT", KEY "TIMEOUT", DOMAINKEYS_R_DNS, false },
		{ "GARBAGE", KEY "GARBAGE", DOMAINKEYS_R_DNS, false },
		{ "alias", KEY "CNAME k.example\nk.example TXT \"p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "junk, then good", KEY "TXT \"junk\"\n" KEY "TXT \"p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "good, then junk", KEY "TXT \"p=$P\"\n" KEY "TXT \"junk\"", DOMAINKEYS_R_GOOD, false },
		{ "testing and another, then good", KEY "TXT \"t=y; p=$S\"\n" KEY "TXT \"p=$P\"", DOMAINKEYS_R_GOOD, false },
		{ "revoked, then junk", KEY "TXT \"t=y; p=\"\n" KEY "TXT \"junk\"", DOMAINKEYS_R_KEY_REVOKED, true },
		{ "parent's", "s._domainkey.org TXT \"p=$P\"", DOMAINKEYS_R_NO_KEY, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, GOOD FROM "\r\n", NFROM, rows[i].zone, 9);

		expect(rows[i].what, &out, rows[i].want);
		if (out.is_testing != rows[i].is_testing)
			fail_msg("%s: testing %d", rows[i].what, out.is_testing);
		bed_fini(&c.bed);
	}
}

static void
test_key_bits(void **state)
{
	static const struct { unsigned min; enum domainkeys_reason want; } rows[] = {
		{ 512, DOMAINKEYS_R_GOOD }, { BITS, DOMAINKEYS_R_GOOD }, { BITS + 1, DOMAINKEYS_R_SHORT_KEY },
	};
	struct dkim_keys *keys = dkim_keys_create(16);
	char signature[KIB];

	(void)state;
	sign(SPAN(NFROM), signature, sizeof signature);
	for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {      /* with kept keys and without */
		struct buf b = buf_heap(TEXT_MAX);
		struct domainkeys *k;
		struct span body;
		struct check c;

		check_init(&c, ZONE);
		c.options = (struct domainkeys_options){ .min_rsa_bits = rows[i / 2].min, .keys = i % 2 == 0 ? keys : NULL };
		k = start(&c, expand(GOOD FROM "\r\n", signature, &b), &body);
		finish(&c, k, body, 9);
		expect("bits", &c.out, rows[i / 2].want);
		assert_int_equal(c.out.key_bits, BITS);
		bed_fini(&c.bed);
		buf_fini(&b);
	}
	dkim_keys_destroy(&keys);
}

static const struct dns_answer *
answer_txt(struct span text, enum dns_status status, bool is_secure, struct dns_answer *a, struct dns_rr *rr)
{
	*rr = (struct dns_rr){ .ttl_s = 60, .text = text };
	*a = (struct dns_answer){ .status = status, .is_secure = is_secure, .rr_count = status == DNS_OK ? 1 : 0, .rr = rr, .refs = 100 };
	return a;
}

static void
test_dnssec(void **state)
{
	static const struct { enum dns_status status; bool is_secure; enum domainkeys_reason want; } rows[] = {
		{ DNS_OK, true, DOMAINKEYS_R_GOOD }, { DNS_OK, false, DOMAINKEYS_R_GOOD }, { DNS_BOGUS, false, DOMAINKEYS_R_BOGUS },
	};
	char signature[KIB];

	(void)state;
	sign(SPAN(NFROM), signature, sizeof signature);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = buf_heap(TEXT_MAX), record = buf_heap(KIB);
		struct dns_answer answer;
		struct domainkeys *k;
		struct dns_rr rr;
		struct span body;
		struct check c;

		check_init(&c, "");
		k = start(&c, expand(GOOD FROM "\r\n", signature, &b), &body);
		assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_WAIT);
		questions_mark_sent(&c.bed.questions, 0);
		questions_answer(&c.bed.questions, 0, answer_txt(expand("p=$P", "", &record), rows[i].status, rows[i].is_secure, &answer, &rr));
		finish(&c, k, body, 9);
		expect("dnssec", &c.out, rows[i].want);
		assert_int_equal(c.out.is_key_secure, rows[i].is_secure);
		bed_fini(&c.bed);
		buf_fini(&b);
		buf_fini(&record);
	}
}

/* ---- policy ---- */

#define POLICY "_domainkey.example.org "

static void
test_policies(void **state)
{
	static const struct { const char *what, *zone; enum domainkeys_policy want; bool is_testing; } rows[] = {
		{ "none", "", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "no TXT", POLICY "A 192.0.2.1", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "all", POLICY "TXT \"o=-\"", DOMAINKEYS_POLICY_ALL, false },
		{ "some", POLICY "TXT \"o=~\"", DOMAINKEYS_POLICY_SOME, false },
		{ "default", POLICY "TXT \"n=hello there\"", DOMAINKEYS_POLICY_SOME, false },
		{ "all tags", POLICY "TXT \"t=y; o=-; n=notes; r=a@example.org\"", DOMAINKEYS_POLICY_ALL, true },
		{ "testing", POLICY "TXT \"t=x:y\"", DOMAINKEYS_POLICY_SOME, true },
		{ "not testing", POLICY "TXT \"t=yes; o=-\"", DOMAINKEYS_POLICY_ALL, false },
		{ "o= unknown", POLICY "TXT \"o=!; t=y\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "o= empty", POLICY "TXT \"o=\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "o= twice", POLICY "TXT \"o=-; o=-\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "junk", POLICY "TXT \"junk\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "junk beside it", POLICY "TXT \"junk\"\n" POLICY "TXT \"o=-; t=y\"", DOMAINKEYS_POLICY_ALL, true },
		{ "two", POLICY "TXT \"o=-; t=y\"\n" POLICY "TXT \"o=-\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
		{ "SERVFAIL", POLICY "SERVFAIL", DOMAINKEYS_POLICY_UNKNOWN, false },
		{ "TIMEOUT", POLICY "TIMEOUT", DOMAINKEYS_POLICY_UNKNOWN, false },
		{ "parent's", "_domainkey.org TXT \"o=-\"", DOMAINKEYS_POLICY_UNPUBLISHED, false },
	};
	struct buf b = buf_heap(KIB);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct domainkeys_outcome out;
		struct check c;

		out = evaluate(&c, FROM "\r\nx\r\n", "", rows[i].zone, 9);
		expect(rows[i].what, &out, DOMAINKEYS_R_NO_SIGNATURE);          /* never changes the result */
		if (out.policy != rows[i].want || out.is_testing != rows[i].is_testing)
			fail_msg("%s: %d, testing %d", rows[i].what, out.policy, out.is_testing);
		assert_false(c.wanted_body);
		assert_int_equal(c.bed.questions.n, 1);
		bed_fini(&c.bed);
	}
	buf_fini(&b);
}

static void
test_whose_policy(void **state)
{
	static const struct { const char *what, *message; enum domainkeys_reason reason; enum domainkeys_policy want; } rows[] = {
		{ "From", FROM "\r\n", DOMAINKEYS_R_NO_SIGNATURE, DOMAINKEYS_POLICY_ALL },
		{ "Sender", FROM "Sender: v@b.example\r\n\r\n", DOMAINKEYS_R_NO_SIGNATURE, DOMAINKEYS_POLICY_SOME },
		{ "Sender without address", FROM "Sender: evil doer\r\n\r\n", DOMAINKEYS_R_NO_SIGNATURE, DOMAINKEYS_POLICY_ALL },
		{ "nobody", "Sender: v@b.example\r\n\r\n", DOMAINKEYS_R_NO_SIGNATURE, DOMAINKEYS_POLICY_NOT_ASKED },
		{ "two From", FROM FROM "\r\n", DOMAINKEYS_R_NO_SIGNATURE, DOMAINKEYS_POLICY_NOT_ASKED },
		{ "bad signature", WRONG FROM "\r\n", DOMAINKEYS_R_SIGNATURE, DOMAINKEYS_POLICY_ALL },
		{ "broken signature", BROKEN FROM "\r\n", DOMAINKEYS_R_SYNTAX, DOMAINKEYS_POLICY_ALL },
		{ "good signature", GOOD FROM "\r\n", DOMAINKEYS_R_GOOD, DOMAINKEYS_POLICY_NOT_ASKED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct check c;
		struct domainkeys_outcome out = evaluate(&c, rows[i].message, NFROM, ZONE POLICY "TXT \"o=-\"\n_domainkey.b.example TXT \"o=~\"", 9);

		expect(rows[i].what, &out, rows[i].reason);
		if (out.policy != rows[i].want)
			fail_msg("%s: %d", rows[i].what, out.policy);
		bed_fini(&c.bed);
	}
}

/* ---- order, limits, lack of memory ---- */

static void
test_order(void **state)
{
	struct buf b = buf_heap(TEXT_MAX);
	char signature[KIB];
	struct domainkeys *k;
	struct span body;
	struct check c;

	(void)state;
	sign(SPAN(NFROM "\r\nx\r\n"), signature, sizeof signature);
	check_init(&c, ZONE);
	k = start(&c, expand(GOOD FROM "\r\nx\r\n", signature, &b), &body);
	/* the key is asked before the body comes, the result waits for it */
	assert_true(domainkeys_wants_body(k));
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_WAIT);
	assert_int_equal(c.bed.questions.n, 1);
	bed_carry(&c.bed, &c.bed.questions);
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_WAIT);
	domainkeys_body(k, body);
	domainkeys_body_end(k);
	assert_false(domainkeys_wants_body(k));
	domainkeys_body(k, SPAN("too late"));
	domainkeys_body_end(k);
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_OK);
	expect("order", domainkeys_outcome(k), DOMAINKEYS_R_GOOD);
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_OK);
	expect("again", domainkeys_outcome(k), DOMAINKEYS_R_GOOD);
	bed_fini(&c.bed);
	buf_fini(&b);
}

static void
test_lost_body_deadline_and_incomplete_header(void **state)
{
	struct buf b = buf_heap(TEXT_MAX);
	struct span message = expand(GOOD FROM "\r\nx\r\n", "AAAA", &b), body;
	struct domainkeys *k;
	struct check c;

	(void)state;
	check_init(&c, ZONE);
	k = start(&c, message, &body);
	domainkeys_body(k, body);
	domainkeys_body_lost(k);
	assert_false(domainkeys_wants_body(k));
	finish(&c, k, body, 9);
	expect("lost", &c.out, DOMAINKEYS_R_MEMORY);
	bed_fini(&c.bed);

	check_init(&c, ZONE);
	k = start(&c, message, &body);
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_WAIT);
	domainkeys_body_end(k);
	questions_close(&c.bed.questions);
	assert_int_equal(domainkeys_run(k, &c.bed.questions), RC_OK);
	expect("deadline", domainkeys_outcome(k), DOMAINKEYS_R_DNS);
	assert_int_equal(domainkeys_outcome(k)->policy, DOMAINKEYS_POLICY_UNKNOWN);
	bed_fini(&c.bed);

	check_init(&c, ZONE);
	header_init(&c.headers, &c.bed.arena);
	body = message;
	read_header(&c.headers, &body);
	c.headers.is_incomplete = true;
	k = domainkeys_create(&c.bed.arena, &c.options, &c.headers);
	finish(&c, k, body, 9);
	expect("incomplete", &c.out, DOMAINKEYS_R_INCOMPLETE);
	assert_false(c.wanted_body);
	bed_fini(&c.bed);
	buf_fini(&b);
}

static enum domainkeys_reason
reason_of(const char *head, const char *each, size_t n, const char *tail, const char *canonical)
{
	struct buf b = buf_heap(TEXT_MAX);
	enum domainkeys_reason r;
	struct check c;

	buf_str(&b, head);
	for (size_t i = 0; i < n; i++)
		buf_str(&b, each);
	buf_str(&b, tail);
	r = evaluate(&c, buf_text(&b).p, canonical, ZONE, 9).reason;
	bed_fini(&c.bed);
	buf_fini(&b);
	return r;
}

static void
test_limits(void **state)
{
	static const char head[] = "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; h=from";
	static const char long_head[] = "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; h=from; b=AAAA; n=";
	size_t used = strlen(long_head) - strlen("DomainKey-Signature:");

	(void)state;
	assert_int_equal(reason_of(head, ":x", DOMAINKEYS_H_NAMES_MAX - 1, "; b=$B\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_GOOD);
	assert_int_equal(reason_of(head, ":x", DOMAINKEYS_H_NAMES_MAX, "; b=$B\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_SYNTAX);
	assert_int_equal(reason_of(long_head, "x", DOMAINKEYS_FIELD_MAX - used, "\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_SIGNATURE);
	assert_int_equal(reason_of(long_head, "x", DOMAINKEYS_FIELD_MAX + 1 - used, "\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_SYNTAX);
	/* 1024 bytes of signature are those of the longest key; one more */
	assert_int_equal(reason_of("DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=AA", "AAAA", 341, "\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_SYNTAX);
	assert_int_equal(reason_of("DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=AA==", "", 0, "\r\n" FROM "\r\n", NFROM), DOMAINKEYS_R_SIGNATURE);
	assert_int_equal(reason_of("DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=", "AAAA", 341, "AA==\r\n" FROM "\r\n", NFROM),
	    DOMAINKEYS_R_SIGNATURE);
	assert_int_equal(reason_of("DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=", "AAAA", 341, "AAA=\r\n" FROM "\r\n", NFROM),
	    DOMAINKEYS_R_SYNTAX);
}

/* Many fields and many names in h= are no product. */
static void
test_large_header(void **state)
{
	enum { FIELDS = 100000 };
	struct buf b = buf_heap(8 * MIB);
	struct timespec from, to;
	struct domainkeys *k;
	struct span body;
	struct check c;

	(void)state;
	buf_str(&b, "DomainKey-Signature: c=nofws; d=example.org; q=dns; s=s; b=AAAA; h=from");
	for (size_t i = 1; i < DOMAINKEYS_H_NAMES_MAX; i++)
		buf_fmt(&b, ":x-%zu", i % 200);
	buf_str(&b, "\r\n" FROM);
	for (size_t i = 0; i < FIELDS; i++)
		buf_fmt(&b, "X-%zu: y\r\n", i % 300);
	buf_str(&b, "\r\n");
	check_init(&c, ZONE);
	arena_fini(&c.bed.arena);
	arena_init(&c.bed.arena, 4 * KIB, 64 * MIB);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	k = start(&c, buf_text(&b), &body);
	finish(&c, k, body, 9);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	expect("large", &c.out, DOMAINKEYS_R_SIGNATURE);
	assert_true(to.tv_sec - from.tv_sec < 5);
	bed_fini(&c.bed);
	buf_fini(&b);
}

static void
test_arena_ceiling(void **state)
{
	static const char message[] = "DomainKey-Signature: broken\r\n" GOOD FROM "Sender: list@example.com\r\n\r\nx\r\n";
	struct buf b = buf_heap(TEXT_MAX);
	char signature[KIB];
	bool was_hit = true;
	struct span text;
	uint64_t fail_at, before, passes = 0;

	(void)state;
	sign(SPAN(NFROM "\r\nx\r\n"), signature, sizeof signature);
	text = expand(message, signature, &b);
	for (fail_at = 1; was_hit; fail_at++) {
		struct domainkeys *k;
		struct span body = text;
		struct check c;

		check_init(&c, ZONE);
		header_init(&c.headers, &c.bed.arena);
		read_header(&c.headers, &body);
		before = c.bed.arena.count;
		c.bed.arena.fail_at = before + fail_at;
		k = domainkeys_create(&c.bed.arena, &c.options, &c.headers);
		if (k != NULL)
			finish(&c, k, body, 9);
		was_hit = c.bed.arena.count >= before + fail_at;
		passes += k != NULL && c.out.result == DOMAINKEYS_PASS;
		if (!was_hit)
			expect("enough", &c.out, DOMAINKEYS_R_GOOD);
		else if (k != NULL && c.out.result != DOMAINKEYS_PASS && c.out.result != DOMAINKEYS_TEMPERROR && c.out.result != DOMAINKEYS_PERMERROR)
			fail_msg("allocation %u: %s", (unsigned)fail_at, domainkeys_result_name(c.out.result));
		bed_fini(&c.bed);
	}
	assert_true(fail_at > 10 && passes < fail_at / 2);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canonical_forms),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_nul_in_selector),
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_which_signature),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_key_bits),
		cmocka_unit_test(test_dnssec),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_whose_policy),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_lost_body_deadline_and_incomplete_header),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_large_header),
		cmocka_unit_test(test_arena_ceiling),
	};

	return cmocka_run_group_tests_name("domainkeys", tests, make_keys, free_keys);
}
