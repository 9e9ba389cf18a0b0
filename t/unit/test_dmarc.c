/* dmarc: the RFCs' examples, discovery, alignment, policy, temporary errors, several authors, limits, order of answers, lack of memory. */
#include "t/unit/dmarc_unit.h"

#include <unistd.h>

struct row {
	const char *what, *zone, *who, *spf, *dkim, *want;
};

static struct psl_list *list;           /* for rows of RFC 7489 */

static void
set_method(struct dmarc_query *query, enum dmarc_method method)
{
	query->method = method;
	query->psl = method == DMARC_PSL ? list : NULL;
}

static enum dmarc_result
check_once(const struct row *row, enum dmarc_method method, enum carry_order order)
{
	static struct dmarc_case c;
	struct dmarc_outcome out;
	char got[500];
	struct bed bed;

	bed_init(&bed, row->zone, DMARC_BUDGET);
	case_init(&c, row->who, row->spf, row->dkim);
	set_method(&c.query, method);
	out = case_run(&bed, &c.query, order);
	case_print(&out, got, sizeof got);
	assert_true(out.dkim_index == c.query.dkim_count || out.dkim == DMARC_ALIGNED_RELAXED || out.dkim == DMARC_ALIGNED_STRICT);
	if (strcmp(got, row->want) != 0)
		fail_msg("%s (order %d): %s, want %s", row->what, (int)order, got, row->want);
	bed_fini(&bed);
	return out.result;
}

/* With less memory or fewer questions a result stays what it is or becomes a temporary error. */
static void
check_less(const struct row *row, enum dmarc_method method, enum dmarc_result want, uint64_t fail_at, size_t budget, bool *is_same)
{
	static struct dmarc_case c;
	struct dmarc_outcome out;
	struct bed bed;

	bed_init(&bed, row->zone, budget);
	bed.arena.fail_at = fail_at;
	case_init(&c, row->who, row->spf, row->dkim);
	set_method(&c.query, method);
	out = case_run(&bed, &c.query, CARRY_ALL);
	*is_same = out.result == want;
	if (!*is_same && out.result != DMARC_TEMPERROR)
		fail_msg("%s: %s, want %s (allocation %llu, budget %zu)", row->what, dmarc_result_name(out.result), dmarc_result_name(want),
		    (unsigned long long)fail_at, budget);
	bed_fini(&bed);
}

static void
check_rows(const struct row *rows, size_t n, enum dmarc_method method)
{
	for (size_t i = 0; i < n; i++) {
		enum dmarc_result want = check_once(&rows[i], method, CARRY_ALL);
		bool is_same = false;

		(void)check_once(&rows[i], method, CARRY_FIRST);
		(void)check_once(&rows[i], method, CARRY_LAST);
		for (uint64_t at = 1; at <= 60; at++)
			check_less(&rows[i], method, want, at, DMARC_BUDGET, &is_same);
		for (size_t budget = 1; budget <= 60; budget++)
			check_less(&rows[i], method, want, 0, budget, &is_same);
		if (!is_same)
			fail_msg("%s: 60 questions are not enough", rows[i].what);
	}
}

#define EX D("example.com", "p=reject; aspf=r")
#define HERE "reject>reject>none p@example.com author org example.com "
#define LOST "fail reject>reject>reject p@example.com author org example.com spf none dkim none"

static void
test_alignment_examples(void **state)
{
	static const struct row rows[] = {
		{ "B.1.1 example 1", EX, "example.com", "pass:example.com", NULL, "pass " HERE "spf strict dkim none" },
		{ "B.1.1 example 2", EX, "example.com", "pass:child.example.com", NULL, "pass " HERE "spf relaxed dkim none" },
		{ "B.1.1 example 3", EX "child.example.com A 192.0.2.1", "child.example.com", "pass:example.net", NULL,
		  "fail reject>reject>reject p@example.com org org example.com spf none dkim none" },
		{ "B.1.2 example 1", EX, "example.com", NULL, "pass:example.com", "pass " HERE "spf none dkim strict#0" },
		{ "B.1.2 example 2", EX, "child.example.com", NULL, "pass:example.com",
		  "pass reject>reject>none p@example.com org org example.com spf none dkim relaxed#0" },
		{ "B.1.2 example 3", EX, "child.example.com", NULL, "pass:example.net",
		  "fail reject>reject>reject p@example.com org org example.com spf none dkim none" },
		{ "B.3.1", EX, "example.com", "pass:mail.example.com", "pass:example.com", "pass " HERE "spf relaxed dkim strict#0" },
		{ "4.4 table", D("example.com", "p=none"), "news.example.com", "pass:foo.example.net", "pass:foo.example.com",
		  "pass none>none>none p@example.com org org example.com spf none dkim relaxed#0" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(rows, ARRAY_LEN(rows), DMARC_PSL);
}

#define DEEP "a.b.c.d.e.f.g.h.i.j.k.example.com"
#define BANK D("bank.example", "p=reject; sp=quarantine; psd=y") D("giant.bank.example", "p=quarantine")

static void
test_walk_examples(void **state)
{
	static const struct row rows[] = {
		{ "B.4.1", D("example.com", "p=reject") D("signing.example.com", "p=none"), "example.com", "pass:example.com", "pass:signing.example.com",
		  "pass " HERE "spf strict dkim relaxed#0" },
		{ "B.4.2", D("example.com", "p=reject") D("signing.example.com", "p=none"), DEEP, "pass:example.com", "pass:signing.example.com",
		  "pass reject>reject>none p@example.com org org example.com spf relaxed dkim relaxed#0" },
		{ "B.4.3", BANK, "giant.bank.example", "pass:mail.giant.bank.example", "pass:mail.mega.bank.example",
		  "pass quarantine>quarantine>none p@giant.bank.example author org giant.bank.example spf relaxed dkim none" },
		{ "B.4.3, DKIM alone", BANK, "giant.bank.example", NULL, "pass:mail.mega.bank.example",
		  "fail quarantine>quarantine>quarantine p@giant.bank.example author org giant.bank.example spf none dkim none" },
		{ "B.4.3, the other bank", BANK "mail.mega.bank.example A 192.0.2.1", "mail.mega.bank.example", "pass:giant.bank.example", "pass:mega.bank.example",
		  "pass quarantine>quarantine>none sp@bank.example psd org mega.bank.example spf none dkim relaxed#0" },
		{ "PSD, and a record between the author and the organization", BANK D("x.mega.bank.example", "p=none") "a.x.mega.bank.example A 192.0.2.1", "a.x.mega.bank.example", NULL, NULL,
		  "fail quarantine>quarantine>quarantine sp@bank.example psd org mega.bank.example spf none dkim none" },
		{ "PSD itself", BANK, "bank.example", "pass:giant.bank.example", NULL,
		  "fail reject>reject>reject p@bank.example author org bank.example spf none dkim none" },
		{ "PSD is the immediate parent", D("bank.example", "p=reject; psd=y") "new.bank.example A 192.0.2.1", "new.bank.example", "pass:bank.example",
		  "pass:x.new.bank.example", "pass reject>reject>none p@bank.example psd org new.bank.example spf none dkim relaxed#0" },
		{ "4.10.2 first", D("mail.example.com", "p=reject") D("example.com", "p=none"), "a.mail.example.com", "pass:b.example.com", NULL,
		  "pass none>none>none p@example.com org org example.com spf relaxed dkim none" },
		{ "4.10.2 second: psd=n", D("mail.example.com", "p=reject; psd=n") D("example.com", "p=none"), "a.mail.example.com", "pass:b.example.com",
		  "pass:b.mail.example.com", "pass reject>reject>none p@mail.example.com org org mail.example.com spf none dkim relaxed#0" },
		{ "4.10.2 third: psd=y of com", D("com", "p=reject; psd=y"), "a.mail.example.com", "pass:other.com", "pass:x.example.com",
		  "pass reject>reject>none p@com psd org example.com spf none dkim relaxed#0" },
		{ "psd=n at the author", D("mail.example.com", "p=reject; psd=n") D("example.com", "p=none"), "mail.example.com", "pass:example.com", NULL,
		  "fail reject>reject>reject p@mail.example.com author org mail.example.com spf none dkim none" },
		{ "psd=n of the identifier", D("example.com", "p=reject") D("own.example.com", "p=none; psd=n"), "example.com", "pass:own.example.com",
		  "pass:x.own.example.com", LOST },
		{ "the parent has no record", D("a.example.com", "p=reject"), "a.example.com", "pass:example.com", "pass:b.example.com",
		  "fail reject>reject>reject p@a.example.com author org a.example.com spf none dkim none" },
		{ "a top-level domain without psd=", D("com", "p=none"), "example.com", "pass:other.com", NULL,
		  "pass none>none>none p@com org org com spf relaxed dkim none" },
		{ "8 labels: every name is asked", D("c.d.e.f.g.example.com", "p=reject; psd=n"), "b.c.d.e.f.g.example.com", NULL, NULL,
		  "fail reject>reject>reject p@c.d.e.f.g.example.com org org c.d.e.f.g.example.com spf none dkim none" },
		{ "9 labels: the name of 8 is not", D("b.c.d.e.f.g.example.com", "p=reject"), "a.b.c.d.e.f.g.example.com", NULL, NULL, "none (no record)" },
		{ "9 labels: the name of 7 is", D("c.d.e.f.g.example.com", "p=reject"), "a.b.c.d.e.f.g.example.com", NULL, NULL,
		  "fail reject>reject>reject p@c.d.e.f.g.example.com org org c.d.e.f.g.example.com spf none dkim none" },
		{ "9 labels: its own is", D("a.b.c.d.e.f.g.example.com", "p=reject"), "a.b.c.d.e.f.g.example.com", NULL, NULL,
		  "fail reject>reject>reject p@a.b.c.d.e.f.g.example.com author org a.b.c.d.e.f.g.example.com spf none dkim none" },
		{ "psd=y at the name of 7, author of 10", D("c.d.e.f.g.example.com", "p=reject; psd=y"), "z.a.b.c.d.e.f.g.example.com", NULL,
		  "pass:b.c.d.e.f.g.example.com", "pass reject>reject>none p@c.d.e.f.g.example.com psd org b.c.d.e.f.g.example.com spf none dkim relaxed#0" },
		{ "case and final dot", EX, "Example.COM.", "pass:MAIL.example.com.", "pass:EXAMPLE.com",
		  "pass reject>reject>none p@Example.COM author org Example.COM spf relaxed dkim strict#0" },
		{ "one label", D("localdomain", "p=reject"), "localdomain", "pass:localdomain", NULL,
		  "pass reject>reject>none p@localdomain author org localdomain spf strict dkim none" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
}

static void
test_discarded_records(void **state)
{
	static const struct row rows[] = {
		{ "none", "example.com A 192.0.2.1", "example.com", "pass:example.com", NULL, "none (no record)" },
		{ "other TXT", "_dmarc.example.com TXT \"v=spf1 -all\"", "example.com", "pass:example.com", NULL, "none (no record)" },
		{ "lower case", "_dmarc.example.com TXT \"v=dmarc1; p=reject\"", "example.com", NULL, NULL, "none (no record)" },
		{ "with others beside", EX "_dmarc.example.com TXT \"junk\"", "example.com", NULL, NULL, LOST },
		{ "strings joined", "_dmarc.example.com TXT \"v=DM\" \"ARC1; p=re\" \"ject\"", "example.com", NULL, NULL, LOST },
		{ "alias", "_dmarc.example.com CNAME d.example\nd.example TXT \"v=DMARC1; p=reject\"", "example.com", NULL, NULL, LOST },
		{ "two", EX EX D("example.com", "p=none"), "example.com", "pass:example.com", NULL, "none (several records)" },
		{ "two above", D("example.com", "p=reject") D("example.com", "p=none"), "a.example.com", NULL, NULL, "none (several records)" },
		{ "two of com are nobody's", D("com", "p=reject") D("com", "p=none"), "example.com", NULL, NULL, "none (no record)" },
		{ "invalid", D("example.com", "p=reject; p=reject"), "example.com", "pass:example.com", NULL, "permerror (syntax error in record)" },
		{ "no policy, no address", D("example.com", "p=junk"), "example.com", "pass:example.com", NULL, "none (record without a valid policy)" },
		{ "no policy, an address", D("example.com", "rua=mailto:a@b"), "example.com", NULL, NULL,
		  "fail none>none>none p@example.com author org example.com spf none dkim none" },
		{ "two: the walk goes on", D("a.example.com", "p=none") D("a.example.com", "p=none") EX, "a.example.com", NULL, NULL,
		  "fail reject>reject>reject p@example.com org org example.com spf none dkim none" },
		{ "invalid: the walk goes on", D("a.example.com", "p=none; p=none; psd=n") EX, "a.example.com", NULL, NULL,
		  "fail reject>reject>reject p@example.com org org example.com spf none dkim none" },
		{ "no policy at the author's: nothing else is used", D("a.example.com", "psd=u") EX, "a.example.com", NULL, NULL,
		  "none (record without a valid policy)" },
		{ "psd= counts without a policy", D("a.example.com", "psd=n") EX, "x.a.example.com", NULL, NULL, "none (record without a valid policy)" },
	};
	static const struct row old[] = {
		{ "two: discovery ends", D("a.example.com", "p=none") D("a.example.com", "p=none") EX, "a.example.com", NULL, NULL, "none (several records)" },
		{ "invalid: discovery ends", D("a.example.com", "p=none; p=none") EX, "a.example.com", NULL, NULL, "permerror (syntax error in record)" },
		{ "two above", EX EX D("example.com", "p=none"), "a.example.com", NULL, NULL, "none (several records)" },
		{ "nothing between", D("b.example.com", "p=reject"), "a.b.example.com", NULL, NULL, "none (no record)" },
		{ "nothing", "", "example.com", "pass:example.com", NULL, "none (no record)" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(old, ARRAY_LEN(old), DMARC_PSL);
}

#define SUB D("example.com", "p=none; sp=quarantine; np=reject")
#define IN_SUB "@example.com org org example.com spf none dkim none"

static void
test_policy(void **state)
{
	static const struct row rows[] = {
		{ "p", SUB, "example.com", NULL, NULL, "fail none>none>none p@example.com author org example.com spf none dkim none" },
		{ "sp", SUB "a.example.com A 192.0.2.1", "a.example.com", NULL, NULL, "fail quarantine>quarantine>quarantine sp" IN_SUB },
		{ "sp, only its MX", SUB "a.example.com MX 1 b.example.com", "a.example.com", NULL, NULL, "fail quarantine>quarantine>quarantine sp" IN_SUB },
		{ "sp, empty non-terminal", SUB "x.a.example.com A 192.0.2.1", "a.example.com", NULL, NULL,
		  "fail quarantine>quarantine>quarantine sp" IN_SUB },
		{ "np", SUB "a.example.com NXDOMAIN", "a.example.com", NULL, NULL, "fail reject>reject>reject np" IN_SUB },
		{ "np, deep", SUB "example.com NXDOMAIN", "x.y.z.example.com", NULL, NULL, "fail reject>reject>reject np" IN_SUB },
		{ "alias of nothing", SUB "a.example.com CNAME b.gone.example", "a.example.com", NULL, NULL, "fail reject>reject>reject np" IN_SUB },
		{ "alias", SUB "a.example.com CNAME b.example\nb.example A 192.0.2.1", "a.example.com", NULL, NULL,
		  "fail quarantine>quarantine>quarantine sp" IN_SUB },
		{ "existence unknown", SUB "a.example.com SERVFAIL", "a.example.com", NULL, NULL,
		  "temperror (DNS error) quarantine>quarantine>none sp" IN_SUB },
		{ "existence unknown, its own record", SUB "example.com SERVFAIL", "example.com", NULL, NULL,
		  "fail none>none>none p@example.com author org example.com spf none dkim none" },
		{ "existence unknown, no matter", D("example.com", "p=reject; np=reject") "a.example.com SERVFAIL", "a.example.com", NULL, NULL,
		  "fail reject>reject>reject p" IN_SUB },
		{ "existence unknown, passes", SUB "a.example.com SERVFAIL", "a.example.com", NULL, "pass:example.com",
		  "pass quarantine>quarantine>none sp@example.com org org example.com spf none dkim relaxed#0" },
		{ "np inherits sp", D("example.com", "p=none; sp=reject"), "gone.example.com", NULL, NULL, "fail reject>reject>reject sp" IN_SUB },
		{ "t=y, reject", D("example.com", "p=reject; t=y"), "example.com", NULL, NULL,
		  "fail reject>quarantine>quarantine p@example.com author org example.com spf none dkim none" },
		{ "t=y, quarantine", D("example.com", "p=quarantine; t=y"), "example.com", NULL, NULL,
		  "fail quarantine>none>none p@example.com author org example.com spf none dkim none" },
		{ "t=y, none", D("example.com", "p=none; t=y"), "example.com", NULL, NULL,
		  "fail none>none>none p@example.com author org example.com spf none dkim none" },
		{ "t=y, np", D("example.com", "p=none; np=reject; t=y"), "gone.example.com", NULL, NULL, "fail reject>quarantine>quarantine np" IN_SUB },
		{ "pct=0 is nothing", D("example.com", "p=reject; pct=0"), "example.com", NULL, NULL, LOST },
		{ "strict", D("example.com", "p=reject; adkim=s; aspf=s"), "example.com", "pass:a.example.com", "pass:b.example.com", LOST },
		{ "strict DKIM alone", D("example.com", "p=reject; adkim=s"), "example.com", "pass:a.example.com", "pass:b.example.com",
		  "pass " HERE "spf relaxed dkim none" },
		{ "strict, equal", D("example.com", "p=reject; adkim=s; aspf=s"), "example.com", "pass:example.com", "pass:b.example.com pass:example.com",
		  "pass " HERE "spf strict dkim strict#1" },
		{ "the same name below the record, strict", D("example.com", "p=reject; adkim=s"), "a.example.com", NULL, "pass:a.example.com",
		  "pass reject>reject>none p@example.com org org example.com spf none dkim strict#0" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
}

static void
test_identifiers(void **state)
{
	static const struct row rows[] = {
		{ "HELO never counts", EX, "example.com", "helo:example.com", NULL, LOST },
		{ "a null sender's does", EX, "example.com", "null:mx.example.com", NULL, "pass " HERE "spf relaxed dkim none" },
		{ "SPF without pass", EX, "example.com", "other:example.com", NULL, LOST },
		{ "DKIM without pass", EX, "example.com", NULL, "other:example.com", LOST },
		{ "no domain", EX, "example.com", "pass:", "pass:", LOST },
		{ "no name", EX, "example.com", "pass:a..example.com", "pass:'x.example.com", LOST },
		{ "ends alike", EX, "example.com", "pass:badexample.com", "pass:xexample.com", LOST },
		{ "best signature", EX, "example.com", NULL, "pass:example.net pass:a.example.com pass:b.example.com pass:example.com pass:example.com",
		  "pass " HERE "spf none dkim strict#3" },
		{ "a testing key counts", EX, "example.com", NULL, "test:example.com", "pass " HERE "spf none dkim strict#0" },
		{ "l= counts", EX, "example.com", NULL, "part:example.com", "pass " HERE "spf none dkim strict#0" },
		/* temporary errors */
		{ "SPF temperror", EX, "example.com", "temp:a.example.com", "pass:example.net", "temperror (temporary error of SPF) " HERE "spf none dkim none" },
		{ "SPF temperror elsewhere", EX, "example.com", "temp:example.net", NULL, LOST },
		{ "HELO temperror", EX, "example.com", "helo:example.com", "other:example.com", LOST },
		{ "DKIM temperror", EX, "example.com", "other:example.com", "temp:example.com", "temperror (temporary error of DKIM) " HERE "spf none dkim none" },
		{ "DKIM temperror elsewhere", EX, "example.com", NULL, "temp:example.net", LOST },
		{ "temperror, and a pass", EX, "example.com", "temp:example.com", "pass:example.com", "pass " HERE "spf none dkim strict#0" },
		{ "temperror under strict", D("example.com", "p=reject; adkim=s"), "example.com", NULL, "temp:a.example.com", LOST },
		{ "temperror without a record", "", "example.com", "temp:example.com", NULL, "none (no record)" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(rows, ARRAY_LEN(rows), DMARC_PSL);
}

static void
test_dns_failures(void **state)
{
	static const struct row rows[] = {
		{ "author's record", "_dmarc.example.com SERVFAIL", "example.com", "pass:example.com", NULL, "temperror (DNS error)" },
		{ "timeout", "_dmarc.example.com TIMEOUT", "example.com", NULL, NULL, "temperror (DNS error)" },
		{ "garbage", "_dmarc.example.com GARBAGE", "example.com", NULL, NULL, "temperror (DNS error)" },
		{ "above, no record yet", "_dmarc.com SERVFAIL", "example.com", "pass:example.com", NULL, "temperror (DNS error)" },
		{ "between", EX "_dmarc.a.example.com SERVFAIL", "b.a.example.com", "pass:example.com", NULL, "temperror (DNS error)" },
		{ "above the record, same name", EX "_dmarc.com SERVFAIL", "example.com", "pass:example.com", NULL,
		  "pass reject>reject>none p@example.com author org ? spf strict dkim none" },
		{ "above the record, another name", EX "_dmarc.com SERVFAIL", "example.com", "pass:a.example.com", NULL,
		  "temperror (DNS error) reject>reject>none p@example.com author org ? spf unknown dkim none" },
		{ "above the record, it does not matter", EX "_dmarc.com SERVFAIL", "example.com", "pass:example.net", NULL,
		  "fail reject>reject>reject p@example.com author org ? spf none dkim none" },
		{ "above the record, temperror", EX "_dmarc.com SERVFAIL", "example.com", NULL, "temp:a.example.com",
		  "temperror (temporary error of DKIM) reject>reject>none p@example.com author org ? spf none dkim none" },
		{ "above psd=n", D("example.com", "p=reject; psd=n") "_dmarc.com SERVFAIL", "example.com", NULL, NULL, LOST },
		{ "the identifier's", EX "_dmarc.a.example.com SERVFAIL", "example.com", "pass:a.example.com", NULL,
		  "temperror (DNS error) " HERE "spf unknown dkim none" },
		{ "the identifier's, another passes", EX "_dmarc.a.example.com SERVFAIL", "example.com", "pass:a.example.com", "pass:a.example.com pass:b.example.com",
		  "pass " HERE "spf unknown dkim relaxed#1" },
		{ "the signer's", EX "_dmarc.a.example.com SERVFAIL", "example.com", NULL, "pass:a.example.com",
		  "temperror (DNS error) " HERE "spf none dkim unknown" },
		{ "of a foreign identifier", EX "_dmarc.example.net SERVFAIL", "example.com", "pass:example.net", NULL, LOST },
	};
	static const struct row old[] = {
		{ "author's", "_dmarc.a.example.com SERVFAIL", "a.example.com", NULL, NULL, "temperror (DNS error)" },
		{ "organization's", "_dmarc.example.com SERVFAIL", "a.example.com", "pass:a.example.com", NULL, "temperror (DNS error)" },
		{ "organization's is not needed", D("a.example.com", "p=reject") "_dmarc.example.com SERVFAIL", "a.example.com", "pass:example.com", NULL,
		  "pass reject>reject>none p@a.example.com author org example.com spf relaxed dkim none" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_TREEWALK);
	check_rows(old, ARRAY_LEN(old), DMARC_PSL);
}

static void
test_public_suffixes(void **state)
{
	static const struct row rows[] = {
		{ "two steps only", D("b.example.com", "p=none") EX, "a.b.example.com", "pass:x.example.com", NULL,
		  "pass reject>reject>none p@example.com org org example.com spf relaxed dkim none" },
		{ "the parent has no record", D("a.example.com", "p=reject"), "a.example.com", "pass:example.com", "pass:b.example.com",
		  "pass reject>reject>none p@a.example.com author org example.com spf relaxed dkim relaxed#0" },
		{ "sp", D("example.com", "p=reject; sp=none"), "a.example.com", NULL, NULL, "fail none>none>none sp@example.com org org example.com spf none dkim none" },
		{ "np and psd are unknown", D("example.com", "p=reject; np=none; psd=y"), "gone.example.com", NULL, NULL,
		  "fail reject>reject>reject p@example.com org org example.com spf none dkim none" },
		{ "suffix of two labels", D("a.co.test", "p=reject"), "a.co.test", "pass:b.co.test", "pass:x.a.co.test",
		  "pass reject>reject>none p@a.co.test author org a.co.test spf none dkim relaxed#0" },
		{ "the suffix itself", D("co.test", "p=reject"), "co.test", "pass:a.co.test", NULL,
		  "fail reject>reject>reject p@co.test author org co.test spf none dkim none" },
		{ "the suffix has no say", D("co.test", "p=reject"), "a.co.test", NULL, NULL, "none (no record)" },
		{ "wildcard", D("b.a.wild", "p=reject"), "c.b.a.wild", "pass:x.a.wild", "pass:b.a.wild",
		  "pass reject>reject>none p@b.a.wild org org b.a.wild spf none dkim relaxed#0" },
		{ "exception", D("city.wild", "p=reject"), "a.city.wild", "pass:b.city.wild", NULL,
		  "pass reject>reject>none p@city.wild org org city.wild spf relaxed dkim none" },
		{ "a parent without a record is no bar", D("example.com", "p=reject"), "example.com", NULL, "pass:b.a.example.com",
		  "pass " HERE "spf none dkim relaxed#0" },
	};

	(void)state;
	check_rows(rows, ARRAY_LEN(rows), DMARC_PSL);
}

#define THREE D("a.test", "p=reject") D("b.test", "p=quarantine") D("c.test", "p=none") "_dmarc.f.test SERVFAIL\n" D("m.test", "p=none; p=none")

static void
test_several_authors(void **state)
{
	static const struct { const char *who, *spf, *result; size_t author; } rows[] = {
		{ "a.test,b.test,c.test", NULL, "fail", 0 }, { "c.test,b.test,a.test", NULL, "fail", 2 }, { "a.test,b.test", "pass:a.test", "fail", 1 },
		{ "a.test,n.test", "pass:a.test", "none", 1 }, { "n.test,a.test", "pass:a.test", "none", 0 }, { "a.test,a.test", "pass:a.test", "pass", 0 },
		{ "a.test,A.TEST.", "pass:a.test", "pass", 0 }, { "a.test,c.test", "pass:a.test", "fail", 1 },
		{ "c.test,f.test", NULL, "temperror", 1 }, { "f.test,b.test", NULL, "fail", 1 }, { "f.test,a.test", NULL, "fail", 1 },
		{ "a.test,", "pass:a.test", "permerror", 1 }, { ",c.test", NULL, "permerror", 0 }, { ",f.test", NULL, "temperror", 1 },
		{ "c.test,m.test", NULL, "permerror", 1 }, { "n.test,c.test", NULL, "fail", 1 },
	};
	static struct dmarc_case c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (enum carry_order order = CARRY_ALL; order <= CARRY_LAST; order++) {
			struct dmarc_outcome out;
			struct bed bed;

			bed_init(&bed, THREE, DMARC_BUDGET);
			case_init(&c, rows[i].who, rows[i].spf, NULL);
			out = case_run(&bed, &c.query, order);
			if (strcmp(dmarc_result_name(out.result), rows[i].result) != 0 || out.author != rows[i].author)
				fail_msg("%s, %s: %s by %zu", rows[i].who, rows[i].spf, dmarc_result_name(out.result), out.author);
			c.query.is_one_author_needed = true;
			out = case_run(&bed, &c.query, order);
			if (domain_eq(c.authors[0], c.authors[1]))
				assert_string_equal(dmarc_result_name(out.result), rows[i].result);
			else
				assert_int_equal(out.reason, DMARC_R_SEVERAL_AUTHORS);
			bed_fini(&bed);
		}
}

static void
test_number_of_authors(void **state)
{
	static struct dmarc_case c;
	static char names[1000][16];
	static const size_t counts[] = { 0, DMARC_AUTHORS_MAX, DMARC_AUTHORS_MAX + 1, 1000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		snprintf(names[i], sizeof names[i], "d%zu.test", i);
	for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
		struct dmarc_outcome out;
		struct bed bed;

		bed_init(&bed, "", DMARC_BUDGET);
		case_init(&c, NULL, NULL, NULL);
		for (size_t i = 0; i < counts[k]; i++)
			c.authors[i] = span_cstr(names[i]);
		/* The same domains again do not count. */
		for (size_t i = counts[k]; i < counts[k] + 50 && counts[k] > 0; i++)
			c.authors[i] = span_cstr(names[i % counts[k]]);
		c.query.author_count = counts[k] == 0 ? 0 : counts[k] + 50;
		out = case_run(&bed, &c.query, CARRY_ALL);
		assert_int_equal(out.reason, counts[k] == 0 ? DMARC_R_NO_AUTHOR : k == 1 ? DMARC_R_NO_RECORD : DMARC_R_MANY_AUTHORS);
		assert_int_equal(bed.asked, k == 1 ? 2 * DMARC_AUTHORS_MAX + 1 : 0);   /* each, its MX, and _dmarc.test */
		bed_fini(&bed);
	}
}

static void
test_names_of_authors(void **state)
{
#define L63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define LONG L63 "." L63 "." L63 "." "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmno.example"
	static const struct { const char *who; enum dmarc_reason want; } rows[] = {
		{ "[192.0.2.1]", DMARC_R_BAD_DOMAIN }, { "192.0.2.1", DMARC_R_BAD_DOMAIN }, { "a..b", DMARC_R_BAD_DOMAIN }, { ".", DMARC_R_BAD_DOMAIN },
		{ "legit'a.attack", DMARC_R_BAD_DOMAIN }, { "a b.example", DMARC_R_BAD_DOMAIN }, { LONG "." LONG, DMARC_R_BAD_DOMAIN },
		{ "xn--bcher-kva.example", DMARC_R_NOT_ALIGNED }, { LONG, DMARC_R_NOT_ALIGNED },
	};
	static struct dmarc_case c;

	(void)state;
	assert_true(strlen(LONG) <= 253 && strlen("_dmarc." LONG) > 253);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dmarc_outcome out;
		struct bed bed;

		bed_init(&bed, D("example", "p=reject"), DMARC_BUDGET);
		case_init(&c, rows[i].who, NULL, NULL);
		out = case_run(&bed, &c.query, CARRY_ALL);
		if (out.reason != rows[i].want)
			fail_msg("%s: %s", rows[i].who, dmarc_reason_text(out.reason));
		assert_true(out.reason != DMARC_R_BAD_DOMAIN || bed.asked == 0);
		bed_fini(&bed);
	}
}

/* The questions of one walk and of nothing else, all together. */
static void
check_long_author(unsigned labels, size_t asked)
{
	static struct dmarc_case c;
	char author[300] = "";
	struct dmarc_outcome out;
	struct bed bed;

	for (unsigned i = 0; i + 2 < labels; i++)
		snprintf(author + 2 * i, sizeof author - 2 * i, "a.");
	snprintf(author + 2 * (labels - 2), sizeof "example.com", "example.com");
	bed_init(&bed, EX, DMARC_BUDGET);
	case_init(&c, author, NULL, NULL);
	out = case_run(&bed, &c.query, CARRY_ALL);
	assert_int_equal(out.result, DMARC_FAIL);
	assert_int_equal(bed.rounds, 1);
	assert_int_equal(bed.asked, asked);
	bed_fini(&bed);
}

static void
test_questions(void **state)
{
	static struct dmarc_case c;
	struct dmarc_outcome out;
	struct bed bed;

	(void)state;
	check_long_author(7, 7 + 1);    /* and its existence */
	check_long_author(8, DMARC_WALK_MAX + 1);
	check_long_author(9, DMARC_WALK_MAX + 1);
	check_long_author(119, DMARC_WALK_MAX + 1);
	check_long_author(120, DMARC_WALK_MAX);         /* its own name is too long with "_dmarc." */

	/* Identifiers that can be aligned go along; foreign ones are never asked for. */
	bed_init(&bed, EX, DMARC_BUDGET);
	case_init(&c, "example.com", "pass:m.example.com", "pass:k.example.com pass:esp.test pass:other.com temp:esp2.test");
	out = case_run(&bed, &c.query, CARRY_ALL);
	assert_int_equal(out.result, DMARC_PASS);
	assert_int_equal(bed.rounds, 1);
	assert_int_equal(bed.asked, 5);        /* example.com and its MX, com, m, k */
	bed_fini(&bed);

	/* RFC 7489: two questions. */
	bed_init(&bed, EX, DMARC_BUDGET);
	case_init(&c, "a.b.example.com", "pass:m.example.com", "pass:k.example.com");
	set_method(&c.query, DMARC_PSL);
	out = case_run(&bed, &c.query, CARRY_ALL);
	assert_int_equal(out.result, DMARC_PASS);
	assert_int_equal(bed.rounds, 1);
	assert_int_equal(bed.asked, 2);
	bed_fini(&bed);
}

/* What may turn out not to be needed is asked only while less than half of the budget is used. */
static void
test_budget_is_spared(void **state)
{
	static const struct { enum dmarc_method method; size_t budget, asked; } rows[] = {
		{ DMARC_TREEWALK, 100, 12 }, { DMARC_TREEWALK, 24, 12 }, { DMARC_TREEWALK, 10, 5 }, { DMARC_TREEWALK, 2, 1 }, { DMARC_PSL, 3, 2 }, { DMARC_PSL, 2, 1 },
	};
	static struct dmarc_case c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dmarc_outcome out;
		struct bed bed;

		bed_init(&bed, EX, rows[i].budget);
		case_init(&c, "a.b.c.d.e.f.example.com", "pass:x.example.com", "pass:y.example.com pass:z.example.com");
		set_method(&c.query, rows[i].method);
		assert_int_equal(dmarc_check(&bed.questions, &c.query, &out), RC_WAIT);
		bed_carry(&bed, &bed.questions);
		assert_int_equal(bed.asked, rows[i].asked);
		bed_fini(&bed);
	}
}

/* n signatures, the last one aligned; others: domains that are different, below the organization, and not aligned (psd=n). */
static enum dmarc_result
run_signatures(size_t n, bool is_walked)
{
	static struct dmarc_case c;
	static char names[DMARC_UNIT_DKIM_MAX][40];
	struct dmarc_outcome out;
	struct buf zone = buf_heap(64 * KIB);
	struct bed bed;

	buf_str(&zone, EX);
	case_init(&c, "example.com", NULL, NULL);
	for (size_t i = 0; i + 1 < n; i++) {
		snprintf(names[i], sizeof names[i], is_walked ? "s%zu.example.com" : "s%zu.test", i);
		buf_fmt(&zone, "_dmarc.%s TXT \"v=DMARC1; p=none; psd=n\"\n", names[i]);
		c.dkim[i] = (struct dmarc_dkim){ .result = DMARC_AUTH_PASS, .domain = span_cstr(names[i]) };
	}
	c.dkim[n - 1] = (struct dmarc_dkim){ .result = DMARC_AUTH_PASS, .domain = SPAN("last.example.com") };
	c.query.dkim_count = n;
	bed_init(&bed, buf_text(&zone).p, DMARC_BUDGET);
	out = case_run(&bed, &c.query, CARRY_ALL);
	bed_fini(&bed);
	buf_fini(&zone);
	return out.result;
}

static void
test_number_of_signatures(void **state)
{
	(void)state;
	assert_int_equal(run_signatures(DMARC_SIGNATURES_MAX, false), DMARC_PASS);
	assert_int_equal(run_signatures(DMARC_SIGNATURES_MAX + 1, false), DMARC_FAIL);
	assert_int_equal(run_signatures(DMARC_WALKS_MAX, true), DMARC_PASS);
	assert_int_equal(run_signatures(DMARC_WALKS_MAX + 1, true), DMARC_FAIL);
}

/* Many signatures of one domain are one walk. */
static void
test_equal_signatures(void **state)
{
	static struct dmarc_case c;
	struct bed bed;

	(void)state;
	bed_init(&bed, EX D("own.example.com", "p=none; psd=n"), DMARC_BUDGET);
	case_init(&c, "example.com", NULL, NULL);
	for (size_t i = 0; i < 3 * DMARC_WALKS_MAX; i++)
		c.dkim[i] = (struct dmarc_dkim){ .result = DMARC_AUTH_PASS, .domain = SPAN("own.example.com") };
	c.dkim[3 * DMARC_WALKS_MAX] = (struct dmarc_dkim){ .result = DMARC_AUTH_PASS, .domain = SPAN("a.example.com") };
	c.query.dkim_count = 3 * DMARC_WALKS_MAX + 1;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).dkim_index, 3 * DMARC_WALKS_MAX);
	bed_fini(&bed);
}

static void
test_options(void **state)
{
	static struct dmarc_case c;
	struct bed bed;

	(void)state;
	bed_init(&bed, EX, DMARC_BUDGET);
	case_init(&c, "example.com", NULL, "test:example.com");
	c.query.ignores_unsigned_body = true;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).result, DMARC_PASS);
	c.query.ignores_testing_keys = true;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).result, DMARC_FAIL);
	case_init(&c, "example.com", NULL, "part:example.com");
	c.query.ignores_testing_keys = true;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).result, DMARC_PASS);
	c.query.ignores_unsigned_body = true;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).result, DMARC_FAIL);
	c.query.method = DMARC_PSL;
	assert_int_equal(case_run(&bed, &c.query, CARRY_ALL).reason, DMARC_R_NO_LIST);
	bed_fini(&bed);
}

/* RFC 7489 section 6.6.4. */
static void
test_pct(void **state)
{
	static const struct { const char *zone; unsigned draw; enum dmarc_policy want; } rows[] = {
		{ D("example.com", "p=reject; pct=25"), 24, DMARC_P_REJECT }, { D("example.com", "p=reject; pct=25"), 25, DMARC_P_QUARANTINE },
		{ D("example.com", "p=quarantine; pct=25"), 25, DMARC_P_NONE }, { D("example.com", "p=none; pct=0"), 0, DMARC_P_NONE },
		{ D("example.com", "p=reject; pct=0"), 0, DMARC_P_QUARANTINE }, { D("example.com", "p=reject; pct=100"), 99, DMARC_P_REJECT },
		{ D("example.com", "p=reject; pct=99"), 99, DMARC_P_QUARANTINE }, { D("example.com", "p=reject"), 99, DMARC_P_REJECT },
		{ D("example.com", "p=reject; pct=200"), 99, DMARC_P_REJECT },
	};
	static struct dmarc_case c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct dmarc_outcome out;
		struct bed bed;

		bed_init(&bed, rows[i].zone, DMARC_BUDGET);
		case_init(&c, "example.com", NULL, NULL);
		set_method(&c.query, DMARC_PSL);
		c.query.draw = rows[i].draw;
		out = case_run(&bed, &c.query, CARRY_ALL);
		assert_int_equal(out.result, DMARC_FAIL);
		assert_int_equal(out.disposition, rows[i].want);
		bed_fini(&bed);
	}
}

static void
test_org_domain(void **state)
{
	static const struct { const char *zone, *domain; enum dmarc_method method; enum rc rc; const char *want; } rows[] = {
		{ EX, "a.example.com", DMARC_TREEWALK, RC_OK, "example.com" }, { EX, "a.example.org", DMARC_TREEWALK, RC_OK, "a.example.org" },
		{ EX "_dmarc.com SERVFAIL", "a.example.com", DMARC_TREEWALK, RC_TEMP, "" }, { EX, "a..b", DMARC_TREEWALK, RC_SYNTAX, "" },
		{ "", "b.a.co.test", DMARC_PSL, RC_OK, "a.co.test" }, { "", "[192.0.2.1]", DMARC_PSL, RC_SYNTAX, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum dns_status status;
		struct span got;
		struct bed bed;
		enum rc rc;

		bed_init(&bed, rows[i].zone, DMARC_BUDGET);
		while ((rc = dmarc_org_domain(&bed.questions, rows[i].method, list, span_cstr(rows[i].domain), &got, &status)) == RC_WAIT)
			bed_carry(&bed, &bed.questions);
		assert_int_equal(rc, rows[i].rc);
		if (rc == RC_OK)
			assert_span(got, rows[i].want);
		else
			assert_null(got.p);
		assert_int_equal(status, rc == RC_TEMP ? DNS_SERVFAIL : DNS_OK);
		bed_fini(&bed);
	}
}

static int
open_list(void **state)
{
	static const char rules[] = "com\nnet\ntest\nco.test\n*.wild\n!city.wild\n";
	char path[] = "/tmp/test-dmarc-XXXXXX";
	int fd = mkstemp(path), rc;

	(void)state;
	if (fd < 0)
		return -1;
	rc = write(fd, rules, sizeof rules - 1) == (ssize_t)(sizeof rules - 1) && psl_list_open(path, &list) == RC_OK ? 0 : -1;
	close(fd);
	unlink(path);
	return rc;
}

static int
close_list(void **state)
{
	(void)state;
	psl_list_close(&list);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment_examples),
		cmocka_unit_test(test_walk_examples),
		cmocka_unit_test(test_discarded_records),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_identifiers),
		cmocka_unit_test(test_dns_failures),
		cmocka_unit_test(test_public_suffixes),
		cmocka_unit_test(test_several_authors),
		cmocka_unit_test(test_number_of_authors),
		cmocka_unit_test(test_names_of_authors),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_budget_is_spared),
		cmocka_unit_test(test_number_of_signatures),
		cmocka_unit_test(test_equal_signatures),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_pct),
		cmocka_unit_test(test_org_domain),
	};

	return cmocka_run_group_tests(tests, open_list, close_list);
}
