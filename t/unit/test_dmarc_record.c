/* dmarc_record: tags, their edges, both dialects, what costs a tag and what costs the record, report addresses. */
#include "t/unit/unit.h"

#include <stdio.h>

#include "common/base/buf.h"

#include "common/auth/dmarc.h"

#define V "v=DMARC1;"
#define RUA "rua=mailto:a@b.example"

/* One line that says all but addresses: "p/sp/np adkim aspf t psd fo pct ri", with '+' for is_monitored, '!' for no policy. */
static void
describe(const struct dmarc_record *r, char *out, size_t room)
{
	static const char psd[] = "uyn";

	snprintf(out, room, "%s%s/%s/%s %c%c %c %c %u %u %u", r->is_monitored ? "+" : r->has_policy ? "" : "!", dmarc_policy_name(r->p),
	    dmarc_policy_name(r->sp), dmarc_policy_name(r->np), r->is_adkim_strict ? 's' : 'r', r->is_aspf_strict ? 's' : 'r',
	    r->is_testing ? 'y' : 'n', psd[r->psd], r->fo, r->pct, r->ri_s);
}

struct row {
	const char *in;
	enum rc rc;
	const char *want;
};

static void
check_row(const char *in, size_t n, enum dmarc_method dialect, enum rc rc, const char *want)
{
	struct span s = exact_n(in, n);
	struct dmarc_record r;
	char got[200] = "";
	enum rc have = dmarc_record_parse(s, dialect, &r);

	if (have == RC_OK)
		describe(&r, got, sizeof got);
	exact_free(s);
	if (have != rc || (rc == RC_OK && strcmp(got, want) != 0))
		fail_msg("\"%s\" (%s): %s \"%s\", want %s \"%s\"", in, dmarc_method_name(dialect), rc_name(have), got, rc_name(rc), want);
}

static void
check_rows(const struct row *rows, size_t n, enum dmarc_method dialect)
{
	for (size_t i = 0; i < n; i++)
		check_row(rows[i].in, strlen(rows[i].in), dialect, rows[i].rc, rows[i].want);
}

static void
test_version(void **state)
{
	static const struct row rows[] = {
		{ "", RC_NONE, "" }, { "v", RC_NONE, "" }, { "v=", RC_NONE, "" }, { "DMARC1", RC_NONE, "" }, { ";v=DMARC1", RC_NONE, "" },
		{ " v=DMARC1; p=none", RC_NONE, "" }, { "\tv=DMARC1", RC_NONE, "" }, { "p=none; v=DMARC1", RC_NONE, "" },
		{ "v=dmarc1; p=none", RC_NONE, "" }, { "v=DMARC", RC_NONE, "" }, { "v=DMARC2; p=none", RC_NONE, "" }, { "v=DMARC10", RC_NONE, "" },
		{ "v=DMARC1 p=none", RC_NONE, "" }, { "v=DMARC1, p=none", RC_NONE, "" }, { "v=\nDMARC1; p=none", RC_NONE, "" },
		{ "v=spf1 -all", RC_NONE, "" }, { "v1=DMARC1", RC_NONE, "" }, { "v=\"DMARC1\"; p=none", RC_NONE, "" },
		{ "v=DMARC1", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ "v=DMARC1;p=none", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ "v = DMARC1 ; p=reject", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ "v\t=\tDMARC1\t;\tp\t=\treject\t;", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ "V=DMARC1; P=REJECT", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "v=DMARC1; p=none", RC_SYNTAX, "" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(rows, ARRAY_LEN(rows), DMARC_PSL);
}

static void
test_policies(void **state)
{
	static const struct row rows[] = {
		{ V "p=none", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=quarantine", RC_OK, "quarantine/quarantine/quarantine rr n u 1 100 86400" },
		{ V "p=reject;sp=quarantine", RC_OK, "reject/quarantine/quarantine rr n u 1 100 86400" },
		{ V "p=none;np=reject", RC_OK, "none/none/reject rr n u 1 100 86400" },
		{ V "p=none;sp=quarantine;np=reject", RC_OK, "none/quarantine/reject rr n u 1 100 86400" },
		{ V "np=none;sp=quarantine;" RUA ";p=reject", RC_OK, "reject/quarantine/none rr n u 1 100 86400" },   /* any order */
		{ V "p = Reject ; sp = NONE", RC_OK, "reject/none/none rr n u 1 100 86400" },
		/* section 4.10.1: no valid p=, invalid sp= or np= */
		{ V "sp=reject", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "sp=reject;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=unknown", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "p=unknown;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=reject x;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=reject;sp=x", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "p=reject;sp=x;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=reject;sp=;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=reject;np=x;" RUA, RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=reject;np=x;rua=nonsense", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "p=unknown;rua=,nonsense, https://r.example/x", RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=unknown;rua=\xff\r\n,mailto:a@b.example", RC_OK, "+none/none/none rr n u 1 100 86400" },
		{ V "p=unknown;rua=mailto:\xff@b.example", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "p=unknown;rua=mailto:,mailto:@x,mailto:x@", RC_OK, "!none/none/none rr n u 1 100 86400" },
		/* the same tag twice */
		{ V "p=none;p=reject", RC_SYNTAX, "" }, { V "p=none;p=none", RC_SYNTAX, "" }, { V "p=none;P=none", RC_SYNTAX, "" },
		{ V "p=none;x=1;x=1", RC_SYNTAX, "" }, { V "p=none;rua=;rua=", RC_SYNTAX, "" },
		/* junk costs itself alone */
		{ V "p=reject;junk", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V ";;p=reject;;; ;", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "=x;p=reject;1=2;a_b=3;=;a b=c", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;x=\xff\xfe;\xff=1;y=\x01\r\n", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pp=none;xp=none;sps=none", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
}

static void
test_other_tags(void **state)
{
	static const struct row rows[] = {
		{ V "p=none;adkim=s", RC_OK, "none/none/none sr n u 1 100 86400" }, { V "p=none;aspf=S", RC_OK, "none/none/none rs n u 1 100 86400" },
		{ V "p=none;adkim=r;aspf=r", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;adkim=strict;aspf=x", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=reject;t=y", RC_OK, "reject/reject/reject rr y u 1 100 86400" }, { V "p=none;t=Y", RC_OK, "none/none/none rr y u 1 100 86400" },
		{ V "p=none;t=n", RC_OK, "none/none/none rr n u 1 100 86400" }, { V "p=none;t=yes", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;psd=y", RC_OK, "none/none/none rr n y 1 100 86400" }, { V "p=none;psd=N", RC_OK, "none/none/none rr n n 1 100 86400" },
		{ V "p=none;psd=u", RC_OK, "none/none/none rr n u 1 100 86400" }, { V "p=none;psd=z", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;psd=", RC_OK, "none/none/none rr n u 1 100 86400" },
		/* removed from RFC 9989: unknown, whatever they hold */
		{ V "p=reject;pct=0;ri=1;rf=afrf", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pct=200", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		/* fo= is for ruf= alone */
		{ V "p=none;fo=1", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=1", RC_OK, "none/none/none rr n u 2 100 86400" },
		{ V "p=none;fo=1;ruf=mailto:a@b", RC_OK, "none/none/none rr n u 2 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=0:d:s", RC_OK, "none/none/none rr n u 13 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=S:1:D", RC_OK, "none/none/none rr n u 14 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=d", RC_OK, "none/none/none rr n u 4 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=0:1", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=d:d", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=1:", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=x", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=", RC_OK, "none/none/none rr n u 1 100 86400" },
		{ V "p=none;ruf=junk;fo=1", RC_OK, "none/none/none rr n u 1 100 86400" },
	};
	static const struct row old[] = {
		{ V "p=reject;sp=none;np=reject;t=y;psd=n", RC_OK, "reject/none/none rr n u 1 100 86400" },
		{ V "p=reject;np=junk", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;sp=junk", RC_OK, "!none/none/none rr n u 1 100 86400" },
		{ V "p=reject;pct=0", RC_OK, "reject/reject/reject rr n u 1 0 86400" },
		{ V "p=reject;pct=100", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pct=025", RC_OK, "reject/reject/reject rr n u 1 25 86400" },
		{ V "p=reject;pct=101", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pct=0025", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pct=-1", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;pct=", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=reject;ri=4294967295", RC_OK, "reject/reject/reject rr n u 1 100 4294967295" },
		{ V "p=reject;ri=4294967296", RC_OK, "reject/reject/reject rr n u 1 100 86400" },
		{ V "p=none;ruf=mailto:a@b;fo=0 : 1", RC_OK, "none/none/none rr n u 3 100 86400" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(old, ARRAY_LEN(old), DMARC_PSL);
}

static void
test_nul_bytes(void **state)
{
	static const char inside[] = V "p=reject;x=a\0b", policy[] = V "p=reject\0;" RUA, name[] = V "p\0=reject", version[] = "v=DMARC1\0;p=reject",
	    fo[] = V "p=none;ruf=mailto:a@b;fo=\0", uri[] = V "p=x;rua=mailto:a\0@b";

	(void)state;
	check_row(inside, sizeof inside - 1, DMARC_TREEWALK, RC_OK, "reject/reject/reject rr n u 1 100 86400");
	check_row(policy, sizeof policy - 1, DMARC_TREEWALK, RC_OK, "+none/none/none rr n u 1 100 86400");
	check_row(name, sizeof name - 1, DMARC_TREEWALK, RC_OK, "!none/none/none rr n u 1 100 86400");
	check_row(version, sizeof version - 1, DMARC_TREEWALK, RC_NONE, "");
	check_row(fo, sizeof fo - 1, DMARC_TREEWALK, RC_OK, "none/none/none rr n u 1 100 86400");
	check_row(uri, sizeof uri - 1, DMARC_TREEWALK, RC_OK, "!none/none/none rr n u 1 100 86400");
}

static void
test_length(void **state)
{
	static const char head[] = V "p=reject;x=";
	char *text = xmalloc(64 * KIB);

	(void)state;
	memset(text, 'x', 64 * KIB);
	memcpy(text, head, sizeof head - 1);
	check_row(text, DMARC_RECORD_MAX, DMARC_TREEWALK, RC_OK, "reject/reject/reject rr n u 1 100 86400");
	check_row(text, DMARC_RECORD_MAX + 1, DMARC_TREEWALK, RC_SYNTAX, "");
	check_row(text, 64 * KIB, DMARC_TREEWALK, RC_SYNTAX, "");
	memset(text, ';', 64 * KIB);
	memcpy(text, V "p=reject", sizeof V + 7);
	check_row(text, DMARC_RECORD_MAX, DMARC_TREEWALK, RC_OK, "reject/reject/reject rr n u 1 100 86400");
	memset(text, 'v', 64 * KIB);
	check_row(text, 64 * KIB, DMARC_TREEWALK, RC_NONE, "");
	free(text);
}

/* v, p and n unknown tags with names of letters. */
static void
check_tags(unsigned n, enum rc rc)
{
	struct buf b = buf_heap(DMARC_RECORD_MAX);
	struct span text;

	buf_str(&b, V "p=reject");
	for (unsigned i = 0; i < n; i++)
		buf_fmt(&b, ";%c%c%cx=1", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676);
	text = buf_text(&b);
	assert_true(buf_ok(&b));
	check_row(text.p, text.n, DMARC_TREEWALK, rc, "reject/reject/reject rr n u 1 100 86400");
	buf_fini(&b);
}

static void
test_number_of_tags(void **state)
{
	(void)state;
	check_tags(DMARC_TAGS_MAX - 2, RC_OK);
	check_tags(DMARC_TAGS_MAX - 1, RC_SYNTAX);
	check_tags(1000, RC_SYNTAX);
}

static void
test_addresses(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "mailto:a@b.example", "mailto:a@b.example/0" },
		{ "mailto:a@b,mailto:c@d", "mailto:a@b/0 mailto:c@d/0" }, { " mailto:a@b \t,\t mailto:c@d ", "mailto:a@b/0 mailto:c@d/0" },
		{ "mailto:a@b!10m", "mailto:a@b/10485760" }, { "mailto:a@b!10", "mailto:a@b/10" }, { "mailto:a@b!1K", "mailto:a@b/1024" },
		{ "mailto:a@b!1g", "mailto:a@b/1073741824" }, { "mailto:a@b!1t", "mailto:a@b/1099511627776" },
		{ "mailto:a@b!18446744073709551615", "mailto:a@b/18446744073709551615" }, { "mailto:a@b!18446744073709551616", "" },
		{ "mailto:a@b!16777215t", "mailto:a@b/18446742974197923840" }, { "mailto:a@b!16777216t", "" },
		{ "mailto:a@b!", "" }, { "mailto:a@b!k", "" }, { "mailto:a@b!1x", "" }, { "mailto:a@b!1!2", "" }, { "mailto:a@b!-1", "" },
		{ "MAILTO:a@b", "MAILTO:a@b/0" }, { "https://r.example/x?y=1#z", "https://r.example/x?y=1#z/0" }, { "x-y+z.1:a", "x-y+z.1:a/0" },
		{ "mailto:a%2Cb@c", "mailto:a%2Cb@c/0" }, { "mailto:a%2@c", "" }, { "mailto:a@c%", "" }, { "mailto:a@c%4", "" }, { "mailto:a@c%zz", "" },
		{ "", "" }, { ",", "" }, { ":", "" }, { "mailto", "" }, { "mailto:", "" }, { "a@b.example", "" }, { "1a:b", "" }, { "m_t:b", "" },
		{ "mailto:@b", "" }, { "mailto:a@", "" }, { "mailto:a b@c", "" }, { "mailto:a@b,,junk,mailto:<c@d>,mailto:e@f", "mailto:a@b/0 mailto:e@f/0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span s = exact(rows[i].in), rest = s;
		struct buf b = buf_heap(KIB);
		struct dmarc_uri uri;

		while (dmarc_uri_next(&rest, &uri)) {
			buf_str(&b, b.n > 0 ? " " : "");
			buf_span(&b, uri.uri);
			buf_fmt(&b, "/%llu", (unsigned long long)uri.size_max);
		}
		assert_span(buf_text(&b), rows[i].want);
		buf_fini(&b);
		exact_free(s);
	}
}

/* An address behind DMARC_URIS_MAX pieces is not looked for. */
static void
test_number_of_addresses(void **state)
{
	(void)state;
	for (unsigned commas = DMARC_URIS_MAX - 1; commas <= DMARC_URIS_MAX; commas++) {
		struct buf b = buf_heap(KIB);
		struct span text;

		buf_str(&b, V "rua=");
		for (unsigned i = 0; i < commas; i++)
			buf_byte(&b, ',');
		buf_str(&b, "mailto:a@b");
		text = buf_text(&b);
		check_row(text.p, text.n, DMARC_TREEWALK, RC_OK, commas < DMARC_URIS_MAX ? "+none/none/none rr n u 1 100 86400" :
		    "!none/none/none rr n u 1 100 86400");
		buf_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_other_tags),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_number_of_tags),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_number_of_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
