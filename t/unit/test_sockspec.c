/* sockspec: every form, every refusal with a reason. */
#include "t/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/base/ip.h"
#include "common/conf/sockspec.h"

#define P97 "/23456789/23456789/23456789/23456789/23456789/23456789/23456789/23456789/23456789/23456789/234567"

static void
test_inet(void **state)
{
	static const struct { const char *text; int family; const char *ip; unsigned port; } rows[] = {
		{ "inet:10025@127.0.0.1", AF_INET, "127.0.0.1", 10025 },
		{ "inet:10025", AF_INET, "127.0.0.1", 10025 },          /* never "any" by omission */
		{ "inet:0@0.0.0.0", AF_INET, "0.0.0.0", 0 },
		{ "inet:65535@192.0.2.1", AF_INET, "192.0.2.1", 65535 },
		{ "INET:25@[127.0.0.1]", AF_INET, "127.0.0.1", 25 },
		{ " inet:25@127.0.0.1 ", AF_INET, "127.0.0.1", 25 },
		{ "inet:25@localhost", AF_INET, "127.0.0.1", 25 },
		{ "inet6:10025@::1", AF_INET6, "::1", 10025 },
		{ "inet6:10025@[::1]", AF_INET6, "::1", 10025 },
		{ "inet6:10025", AF_INET6, "::1", 10025 },
		{ "inet6:10025@::", AF_INET6, "::", 10025 },
		{ "inet6:10025@2001:db8::7", AF_INET6, "2001:db8::7", 10025 },
	};
	char why[256], text[IP_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockspec s;
		struct ip ip;
		unsigned port;

		if (sockspec_parse(rows[i].text, &s, why, sizeof why) != RC_OK)
			fail_msg("%s: %s", rows[i].text, why);
		assert_int_equal(s.family, rows[i].family);
		assert_int_equal(s.addr.ss_family, rows[i].family);
		assert_int_equal(s.addr_len, s.family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		ip = ip_from_sockaddr((struct sockaddr *)&s.addr);
		ip_print(&ip, text);
		assert_string_equal(text, rows[i].ip);
		port = ntohs(s.family == AF_INET ? ((struct sockaddr_in *)&s.addr)->sin_port : ((struct sockaddr_in6 *)&s.addr)->sin6_port);
		assert_int_equal(port, rows[i].port);
		assert_int_equal(s.perm, -1);
		assert_string_equal(s.path, "");
	}
}

static void
test_unix(void **state)
{
	static const struct { const char *text, *path; int perm; const char *owner, *group; } rows[] = {
		{ "unix:/run/enma/milter.sock", "/run/enma/milter.sock", -1, "", "" },
		{ "local:/run/enma/milter.sock", "/run/enma/milter.sock", -1, "", "" },
		{ "Unix:milter.sock", "milter.sock", -1, "", "" },
		{ "unix:/a perm=0660 owner=enma group=postfix", "/a", 0660, "enma", "postfix" },
		{ "unix:/a   group=postfix\tperm=0", "/a", 0, "", "postfix" },
		{ "unix:/a perm=777", "/a", 0777, "", "" },
		{ "unix:/a:b@c", "/a:b@c", -1, "", "" },
		{ "unix:" P97 "/2345678", P97 "/2345678", -1, "", "" },
	};
	char why[256];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct sockspec s;

		if (sockspec_parse(rows[i].text, &s, why, sizeof why) != RC_OK)
			fail_msg("%s: %s", rows[i].text, why);
		assert_int_equal(s.family, AF_UNIX);
		assert_string_equal(s.path, rows[i].path);
		assert_string_equal(((struct sockaddr_un *)&s.addr)->sun_path, rows[i].path);
		assert_int_equal(s.addr_len, offsetof(struct sockaddr_un, sun_path) + strlen(rows[i].path) + 1);
		assert_int_equal(s.perm, rows[i].perm);
		assert_string_equal(s.owner, rows[i].owner);
		assert_string_equal(s.group, rows[i].group);
	}
}

static void
test_path_limit(void **state)
{
	char text[5 + 109] = "unix:", why[256];
	struct sockspec s;

	(void)state;
	memset(text + 5, 'x', 108);
	text[5 + 107] = '\0';
	assert_int_equal(sockspec_parse(text, &s, why, sizeof why), RC_OK);
	assert_int_equal(strlen(s.path), 107);
	text[5 + 107] = 'x';
	text[5 + 108] = '\0';
	assert_int_equal(sockspec_parse(text, &s, why, sizeof why), RC_SYNTAX);
	assert_non_null(strstr(why, "108 bytes; the system allows 107"));
}

static void
test_refuses(void **state)
{
	static const struct { const char *text, *reason; } rows[] = {
		{ "", "is not inet:" }, { "10025@127.0.0.1", "is not inet:" }, { "/run/x.sock", "is not inet:" }, { "fd:3", "is not inet:" },
		{ "inet", "is not inet:" }, { "inet:", "port" }, { "inet:@127.0.0.1", "port" }, { "inet:smtp@127.0.0.1", "port" },
		{ "inet:65536@127.0.0.1", "0 to 65535" }, { "inet:-1@127.0.0.1", "port" }, { "inet:25@", "nothing behind '@'" },
		{ "inet:25@::1", "write inet6:" }, { "inet6:25@127.0.0.1", "write inet:" }, { "inet6:25@1::2::3", "not an IPv6 address" },
		{ "inet:25@127.0.0.1 perm=0660", "for unix: sockets" }, { "inet:25@no-such-host.invalid", "no-such-host.invalid" },
		{ "inet:25@a@b", "\"a@b\"" },
		{ "unix:", "missing" }, { "unix: ", "missing" }, { "unix:/run/", "ends with '/'" }, { "unix:/a b", "cannot contain blanks" },
		{ "unix:/a perm=", "octal" }, { "unix:/a perm=1000", "octal" }, { "unix:/a perm=8", "octal" }, { "unix:/a perm=rw", "octal" },
		{ "unix:/a perm=000777", "octal" }, { "unix:/a owner=", "owner=" }, { "unix:/a group=", "group=" }, { "unix:/a mode=0660", "perm=MODE" },
		{ "inet:25@\x1b[2J", "\\x1b" },
	};
	char why[256], longer[512];
	struct sockspec s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		why[0] = 0;
		if (sockspec_parse(rows[i].text, &s, why, sizeof why) != RC_SYNTAX || strstr(why, rows[i].reason) == NULL)
			fail_msg("\"%s\": \"%s\"", rows[i].text, why);
		assert_null(strchr(why, '\n'));
		/* A short buffer cuts the reason, nothing else. */
		assert_int_equal(sockspec_parse(rows[i].text, &s, why, 8), RC_SYNTAX);
		assert_int_equal(strlen(why), 7);
	}
	snprintf(longer, sizeof longer, "unix:/a owner=%063d", 1);
	assert_int_equal(sockspec_parse(longer, &s, why, sizeof why), RC_OK);
	snprintf(longer, sizeof longer, "unix:/a owner=%064d", 1);
	assert_int_equal(sockspec_parse(longer, &s, why, sizeof why), RC_SYNTAX);
	snprintf(longer, sizeof longer, "inet:1@%0256d", 1);
	assert_int_equal(sockspec_parse(longer, &s, why, sizeof why), RC_SYNTAX);
	assert_non_null(strstr(why, "longer than 255"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inet),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_path_limit),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
