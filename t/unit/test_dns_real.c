/*
 * test_dns_real - the resolver against a server that is not ours (nsd): the same data by other hands, and zones signed with DNSSEC
 * (ldns-keygen, ldns-signzone).  Skipped where these programs are not installed.
 */
#include "t/unit/dns_server.h"

#include <arpa/inet.h>
#include <poll.h>

#include "t/tools/dnswire.h"

enum { START_MS = 10000 };

struct nsd {
	char *dir;
	pid_t pid;
	int port;
	char forward[32];
};

static bool
have(const char *program)
{
	char *command = xasprintf("PATH=$PATH:/usr/sbin command -v %s >/dev/null 2>&1", program);
	bool found = system(command) == 0;

	if (!found)
		print_message("# %s is not installed\n", program);
	free(command);
	return found;
}

/* A port that is free for both protocols right now. */
static int
free_port(void)
{
	for (int tries = 0; tries < 50; tries++) {
		struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof sin;
		int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool is_free = bind(udp, (struct sockaddr *)&sin, sizeof sin) == 0 &&
		    getsockname(udp, (struct sockaddr *)&sin, &len) == 0 && bind(tcp, (struct sockaddr *)&sin, sizeof sin) == 0;

		close(udp);
		close(tcp);
		if (is_free)
			return ntohs(sin.sin_port);
	}
	fail_msg("no free port");
	return 0;
}

/* True when the server answers a question within a moment. */
static bool
answers(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct dns_name root = { .n = 1 };
	static struct wire w;
	uint8_t back[KIB];
	bool is_up;

	wire_header(&w, 1, 0, 1, 0, 0, 0);
	wire_question(&w, &root, DNS_SOA);
	is_up = connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && send(fd, w.b, w.n, 0) > 0 && poll(&p, 1, 100) > 0 &&
	    recv(fd, back, sizeof back, 0) > 0;
	close(fd);
	return is_up;
}

static bool
nsd_is_up(struct nsd *n)
{
	for (int64_t until = clock_mono_ms() + START_MS; clock_mono_ms() < until; poll(NULL, 0, 20)) {
		if (answers(n->port))
			return true;
		if (waitpid(n->pid, NULL, WNOHANG) == n->pid)
			return false;
	}
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	return false;
}

/* Serves dir/ZONE for each zone of the list (with spaces between).  Takes dir. */
static struct nsd
nsd_start(char *dir, const char *zones)
{
	struct nsd n = { .dir = dir };

	for (int tries = 0; tries < 5; tries++) {
		struct buf conf = buf_heap(16 * KIB);
		struct span rest = span_cstr(zones), zone;
		char *path = xasprintf("%s/nsd.conf", dir);

		n.port = free_port();
		buf_fmt(&conf, "server:\n ip-address: 127.0.0.1@%d\n username: \"\"\n chroot: \"\"\n zonesdir: \"%s\"\n database: \"\"\n"
		    " pidfile: \"%s/nsd.pid\"\n xfrdfile: \"%s/xfrd\"\n xfrdir: \"%s\"\n zonelistfile: \"%s/zones\"\n logfile: \"%s/nsd.log\"\n"
		    " server-count: 1\nremote-control:\n control-enable: no\n", n.port, dir, dir, dir, dir, dir, dir);
		while (span_split(&rest, ' ', &zone))
			buf_fmt(&conf, "zone:\n name: \"%.*s\"\n zonefile: \"%.*s\"\n", SPAN_ARGS(zone), SPAN_ARGS(zone));
		write_file(dir, "nsd.conf", buf_text(&conf));
		buf_fini(&conf);
		n.pid = fork();
		assert_true(n.pid >= 0);
		if (n.pid == 0) {
			setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
			execlp("nsd", "nsd", "-d", "-c", path, (char *)NULL);
			_exit(127);
		}
		free(path);
		snprintf(n.forward, sizeof n.forward, "127.0.0.1@%d", n.port);
		if (nsd_is_up(&n))
			return n;
	}
	fail_msg("nsd does not start; see %s", dir);
	return n;
}

static void
nsd_stop(struct nsd *n)
{
	kill(n->pid, SIGTERM);
	assert_int_equal(waitpid(n->pid, NULL, 0), n->pid);
	remove_dir(n->dir);
}

#define SOA(zone) \
	"$ORIGIN " zone ".\n$TTL 300\n@ IN SOA ns." zone ". host." zone ". 1 3600 900 8640000 60\n@ IN NS ns." zone ".\n" \
	"ns IN A 127.0.0.1\n"

static void
test_same_data_from_nsd(void **state)
{
	struct buf zone = buf_heap(64 * KIB);
	const struct dns_answer *a;
	struct dns_source *src;
	const char *forward;
	struct nsd n;
	char *dir;

	(void)state;
	if (!have("nsd")) {
		print_message("skipped: nsd is not installed\n");
		skip();
	}
	dir = temp_dir();
	buf_str(&zone, SOA("example") "host 200 IN A 192.0.2.1\nhost 200 IN A 192.0.2.2\nhost IN AAAA 2001:db8::1\n"
	    "host IN MX 10 mail.host\nhost IN MX 20 host\nhost IN TXT \"v=spf1 \" \"-all\"\n"
	    "w 50 IN CNAME x\nx 90 IN CNAME host\n*.wild IN A 192.0.2.9\na\\.b IN TXT \"dot\"\nbig IN TXT");
	for (int i = 0; i < 40; i++) {
		buf_str(&zone, " \"");
		for (int k = 0; k < 255; k++)
			buf_byte(&zone, (char)('a' + k % 26));
		buf_str(&zone, "\"");
	}
	buf_str(&zone, "\n");
	write_file(dir, "example", buf_text(&zone));
	n = nsd_start(dir, "example");
	forward = n.forward;
	src = resolver_with(&(struct dns_unbound_options){ .forward = &forward, .forward_count = 1 });
	expect(src, "host.example", DNS_A, DNS_OK, 2, 200);
	expect(src, "host.example", DNS_AAAA, DNS_OK, 1, 300);
	expect(src, "w.example", DNS_MX, DNS_OK, 2, 50);
	expect(src, "deep.x.wild.example", DNS_A, DNS_OK, 1, 300);
	expect(src, "wild.example", DNS_A, DNS_NODATA, 0, 60);
	expect(src, "host.example", DNS_PTR, DNS_NODATA, 0, 60);
	expect(src, "nowhere.example", DNS_A, DNS_NXDOMAIN, 0, 60);
	expect(src, "elsewhere.test", DNS_A, DNS_SERVFAIL, 0, 0);       /* REFUSED */
	a = ask(src, "host.example", DNS_TXT);
	assert_span(a->rr[0].text, "v=spf1 -all");
	dns_answer_unref(a);
	a = ask(src, "host.example", DNS_MX);
	assert_int_equal(a->rr[0].name->n + a->rr[1].name->n, 19 + 14);  /* compressed on the wire */
	dns_answer_unref(a);
	a = ask_name(src, &(struct dns_name){ .n = 13, .w = "\3a.b\7example" }, DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	dns_answer_unref(a);
	a = ask(src, "big.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_int_equal(a->rr[0].text.n, 40 * 255);
	dns_answer_unref(a);
	src->destroy(src);
	nsd_stop(&n);
	buf_fini(&zone);
}

/* Makes a key, signs dir/ZONE with it, appends the DS record to the anchors. */
static void
sign(const char *dir, const char *zone, const char *dates, struct buf *anchors)
{
	char *command = xasprintf("cd '%s' && key=$(ldns-keygen -a ECDSAP256SHA256 -k %s) && "
	    "ldns-signzone %s -f signed %s \"$key\" && mv signed %s && cat \"$key.ds\" >>anchors", dir, zone, dates, zone, zone);
	char *path = xasprintf("%s/anchors", dir), text[4 * KIB];
	FILE *file;

	assert_int_equal(system(command), 0);
	file = fopen(path, "re");
	assert_non_null(file);
	buf_clear(anchors);
	buf_span(anchors, span_of(text, fread(text, 1, sizeof text, file)));
	fclose(file);
	free(command);
	free(path);
}

static void
test_dnssec(void **state)
{
	struct buf anchors = buf_heap(16 * KIB);
	const struct dns_answer *a;
	struct dns_source *src, *trusting;
	const char *forward;
	struct nsd n;
	char *dir, *forge;

	(void)state;
	if (!have("nsd") || !have("ldns-keygen") || !have("ldns-signzone")) {
		print_message("skipped: nsd and ldnsutils are not installed\n");
		skip();
	}
	dir = temp_dir();
	write_file(dir, "signed.example", SPAN(SOA("signed.example")
	    "good IN TXT \"v=spf1 -all\"\nbad IN TXT \"original\"\nalias IN CNAME good\nout IN CNAME x.plain.example.\n"));
	write_file(dir, "old.example", SPAN(SOA("old.example") "good IN TXT \"v=spf1 -all\"\n"));
	write_file(dir, "plain.example", SPAN(SOA("plain.example") "x IN TXT \"plain\"\n"));
	sign(dir, "signed.example", "", &anchors);
	sign(dir, "old.example", "-i 20190101 -e 20200101", &anchors);
	forge = xasprintf("sed -i s/original/forged/ '%s/signed.example'", dir);
	assert_int_equal(system(forge), 0);
	n = nsd_start(dir, "signed.example old.example plain.example");
	forward = n.forward;
	src = resolver_with(&(struct dns_unbound_options){ .forward = &forward, .forward_count = 1, .trust_anchor = buf_text(&anchors) });

	a = ask(src, "good.signed.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_true(a->is_secure);
	assert_int_equal(a->rr_count, 1);               /* the signature beside it is none of it */
	assert_span(a->rr[0].text, "v=spf1 -all");
	dns_answer_unref(a);
	a = ask(src, "good.signed.example", DNS_TXT);
	assert_true(a->is_secure && a->is_from_cache);
	dns_answer_unref(a);
	a = ask(src, "alias.signed.example", DNS_TXT);
	assert_true(a->status == DNS_OK && a->is_secure);
	dns_answer_unref(a);
	a = ask(src, "bad.signed.example", DNS_TXT);
	assert_int_equal(a->status, DNS_BOGUS);
	assert_int_equal(a->rr_count, 0);
	assert_non_null(strstr(a->why, "signature verification failed"));
	dns_answer_unref(a);
	a = ask(src, "good.old.example", DNS_TXT);
	assert_int_equal(a->status, DNS_BOGUS);
	assert_non_null(strstr(a->why, "signature expired"));
	dns_answer_unref(a);
	a = ask(src, "nowhere.signed.example", DNS_TXT);
	assert_true(a->status == DNS_NXDOMAIN && a->is_secure);
	assert_int_equal(a->ttl_s, 60);
	dns_answer_unref(a);
	a = ask(src, "good.signed.example", DNS_MX);
	assert_true(a->status == DNS_NODATA && a->is_secure);
	dns_answer_unref(a);
	a = ask(src, "x.plain.example", DNS_TXT);
	assert_true(a->status == DNS_OK && !a->is_secure);
	dns_answer_unref(a);
	/* secure to insecure: the whole is not secure */
	a = ask(src, "out.signed.example", DNS_TXT);
	assert_true(a->status == DNS_OK && !a->is_secure);
	dns_answer_unref(a);
	/* without an anchor nothing is judged */
	trusting = resolver_with(&(struct dns_unbound_options){ .forward = &forward, .forward_count = 1 });
	a = ask(trusting, "bad.signed.example", DNS_TXT);
	assert_int_equal(a->status, DNS_OK);
	assert_false(a->is_secure);
	assert_span(a->rr[0].text, "forged");
	dns_answer_unref(a);
	trusting->destroy(trusting);
	src->destroy(src);
	nsd_stop(&n);
	buf_fini(&anchors);
	free(forge);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_data_from_nsd), cmocka_unit_test(test_dnssec),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("dns_real", tests, NULL, NULL);
}
