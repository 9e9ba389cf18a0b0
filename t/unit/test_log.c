/* log: escaping at its limits, one write a line, levels, the rate gate. */
#include "t/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/base/log.h"

static void
test_quote(void **state)
{
	static const struct { const char *in; size_t cap; const char *want; } rows[] = {
		{ "", 8, "" },
		{ "plain text", 100, "plain text" },
		{ "a\"b\\c", 100, "a\\x22b\\x5cc" },
		{ "a\r\nb\tc\x1b[0m\x7f", 100, "a\\x0d\\x0ab\\x09c\\x1b[0m\\x7f" },
		{ "b\xc3\xbc" "cher \xe4\xbe\x8b \xf0\x9f\x98\x80", 100, "b\xc3\xbc" "cher \xe4\xbe\x8b \xf0\x9f\x98\x80" },
		{ "\xff\xc3(\xe4\xbe", 100, "\\xff\\xc3(\\xe4\\xbe" },
		{ "\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf", 100, "\\xc0\\xaf\\xe0\\x80\\xaf\\xf0\\x80\\x80\\xaf" },        /* overlong */
		{ "\xed\xa0\x80\xf4\x90\x80\x80", 100, "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80" },      /* surrogate, over U+10FFFF */
		{ "\xc2\x85\xc2\x9b\xc2\xa0", 100, "\\xc2\\x85\\xc2\\x9b\xc2\xa0" },                 /* C1 controls; no-break space stays */
		{ "\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf", 100, "\\xe2\\x80\\xa8\\xe2\\x80\\xae\\xef\\xbb\\xbf" },
		{ "12345678", 8, "12345678" },
		{ "123456789", 8, "12345678..." },
		{ "12345678", 0, "..." },
		{ "1234567\n", 11, "1234567\\x0a" },
		{ "1234567\n", 10, "1234567..." },                                                   /* no half escape */
		{ "1234567\xc3\xbc", 9, "1234567\xc3\xbc" },
		{ "1234567\xc3\xbc", 8, "1234567..." },                                              /* no half character */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf b = buf_heap(1000);
		struct span s = exact(rows[i].in);

		log_quote(&b, s, rows[i].cap);
		assert_span(buf_text(&b), rows[i].want);
		exact_free(s);
		buf_fini(&b);
	}
}

static void
test_str(void **state)
{
	char long_text[LOG_VALUE_MAX + 2], want[LOG_VALUE_MAX + 8];
	const char *first;
	int i;

	(void)state;
	memset(long_text, 'x', sizeof long_text);
	memset(want, 'x', sizeof want);
	want[LOG_VALUE_MAX] = '\0';
	assert_string_equal(log_str(span_of(long_text, LOG_VALUE_MAX)), want);
	memcpy(want + LOG_VALUE_MAX, "...", 4);
	assert_string_equal(log_str(span_of(long_text, LOG_VALUE_MAX + 1)), want);
	assert_string_equal(log_str(SPAN_NULL), "");
	assert_string_equal(log_str(SPAN("a\0b")), "a\\x00b");
	memset(long_text, '\n', sizeof long_text);
	assert_int_equal(strlen(log_str(span_of(long_text, LOG_VALUE_MAX / 4))), LOG_VALUE_MAX);
	/* Eight texts live at once. */
	first = log_str(SPAN("first"));
	for (i = 0; i < 7; i++)
		assert_string_equal(log_str(SPAN("next")), "next");
	assert_string_equal(first, "first");
}

/* A socket that keeps message borders shows each write(2) by itself. */
static int sockets[2];

static void
open_to_socket(enum log_level level)
{
	struct log_options o = { .sink = LOG_TO_FD, .level = level, .ident = "enma", .role = "worker/3", .facility = LOG_LOCAL4 };

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets), 0);
	o.fd = sockets[0];
	log_open(&o);
}

static void
close_sockets(void)
{
	struct log_options o = { .sink = LOG_TO_STDERR, .level = LOG_L_INFO };

	log_open(&o);
	close(sockets[0]);
	close(sockets[1]);
}

/* Takes the next line; returns its length or 0 when there is none. */
static size_t
take(char line[2 * LOG_LINE_MAX])
{
	ssize_t n = recv(sockets[1], line, 2 * LOG_LINE_MAX - 1, MSG_DONTWAIT);

	line[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("\"%s\" does not match \"%s\"", text, pattern);
	regfree(&re);
}

#define STAMP "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}[+-][0-9]{2}:[0-9]{2} enma worker/3\\[[0-9]+\\]: "

static void
test_line_form(void **state)
{
	char line[2 * LOG_LINE_MAX];

	(void)state;
	open_to_socket(LOG_L_INFO);
	log_warn("value %d of %s", 7, log_str(SPAN("a\nb")));
	assert_true(take(line) > 0);
	assert_matches(line, STAMP "warn: value 7 of a\\\\x0ab\n$");
	log_line(LOG_L_INFO, SPAN("4Xq1: spf=pass"), false);
	assert_true(take(line) > 0);
	assert_matches(line, STAMP "info: 4Xq1: spf=pass\n$");
	log_line(LOG_L_INFO, SPAN("{\"spf\":\"pass\"}"), true);
	assert_true(take(line) > 0);
	assert_string_equal(line, "{\"spf\":\"pass\"}\n");
	/* Whatever slips through: one line stays one line. */
	log_error("a\nb%c%s", 0x1b, "\r\x7f");
	assert_true(take(line) > 0);
	assert_matches(line, STAMP "error: a\\?b\\?\\?\\?\n$");
	log_line(LOG_L_INFO, SPAN("x\0y\nz"), true);
	assert_int_equal(take(line), 6);
	assert_memory_equal(line, "x?y?z\n", 6);
	errno = EACCES;
	log_error("%m");
	assert_int_equal(errno, EACCES);
	assert_true(take(line) > 0);
	assert_non_null(strstr(line, "error: Permission denied\n"));
	assert_int_equal(take(line), 0);
	close_sockets();
}

static void
test_line_length(void **state)
{
	char line[2 * LOG_LINE_MAX], *text = xmalloc(3 * LOG_LINE_MAX);
	size_t n, prefix;

	(void)state;
	open_to_socket(LOG_L_INFO);
	memset(text, 'x', 3 * LOG_LINE_MAX);
	log_line(LOG_L_INFO, span_of(text, LOG_LINE_MAX - 1), true);            /* and the LF: just fits */
	assert_int_equal(take(line), LOG_LINE_MAX);
	assert_null(strstr(line, "..."));
	log_line(LOG_L_INFO, span_of(text, LOG_LINE_MAX), true);                /* one more */
	assert_int_equal(take(line), LOG_LINE_MAX);
	assert_string_equal(line + LOG_LINE_MAX - 5, "x...\n");
	log_msg(LOG_L_INFO, "%s", "");
	prefix = take(line) - 1;
	log_msg(LOG_L_INFO, "%.*s", (int)(LOG_LINE_MAX - 1 - prefix), text);
	assert_int_equal(take(line), LOG_LINE_MAX);
	assert_null(strstr(line, "..."));
	log_msg(LOG_L_INFO, "%.*s", (int)(LOG_LINE_MAX - prefix), text);
	assert_int_equal(take(line), LOG_LINE_MAX);
	assert_string_equal(line + LOG_LINE_MAX - 5, "x...\n");
	log_msg(LOG_L_INFO, "%.*s", 3 * LOG_LINE_MAX, text);
	assert_int_equal(take(line), LOG_LINE_MAX);
	assert_int_equal(take(line), 0);
	/* No half character before the dots. */
	for (n = 0; n + 1 < 3 * LOG_LINE_MAX; n += 2)
		memcpy(text + n, "\xc3\xbc", 2);
	for (n = 0; n < 2; n++) {
		size_t len;

		log_line(LOG_L_INFO, span_of(text + n, 2 * LOG_LINE_MAX), true);
		len = take(line);
		assert_string_equal(line + len - 6, "\xc3\xbc...\n");
	}
	free(text);
	close_sockets();
}

static void
test_levels(void **state)
{
	char line[2 * LOG_LINE_MAX];
	int level;

	(void)state;
	for (level = LOG_L_DEBUG; level <= LOG_L_PANIC; level++) {
		int at;

		open_to_socket((enum log_level)level);
		for (at = LOG_L_DEBUG; at <= LOG_L_PANIC; at++) {
			log_msg((enum log_level)at, "x");
			assert_int_equal(take(line) > 0, at >= level);
			assert_int_equal(log_wants((enum log_level)at), at >= level);
		}
		close_sockets();
	}
	assert_int_equal(log_level_of_syslog(LOG_DEBUG), LOG_L_DEBUG);
	assert_int_equal(log_level_of_syslog(LOG_INFO), LOG_L_INFO);
	assert_int_equal(log_level_of_syslog(LOG_NOTICE), LOG_L_WARN);
	assert_int_equal(log_level_of_syslog(LOG_WARNING), LOG_L_WARN);
	assert_int_equal(log_level_of_syslog(LOG_ERR), LOG_L_ERROR);
	assert_int_equal(log_level_of_syslog(LOG_CRIT), LOG_L_FATAL);
	assert_int_equal(log_level_of_syslog(LOG_EMERG), LOG_L_PANIC);
}

static void
test_check_goes_to_log(void **state)
{
	char line[2 * LOG_LINE_MAX];

	(void)state;
	open_to_socket(LOG_L_ERROR);
	check_report("a == b", "file.c", 12);
	assert_true(take(line) > 0);
	assert_matches(line, STAMP "panic: file.c:12: .*a == b\n$");
	close_sockets();
}

static void
test_gate(void **state)
{
	struct log_gate g = { 0 };
	uint32_t left;
	int i;

	(void)state;
	assert_true(log_gate_open_at(&g, 5000, &left));
	assert_int_equal(left, 0);
	for (i = 0; i < 7; i++)
		assert_false(log_gate_open_at(&g, 5000 + i, &left));
	assert_false(log_gate_open_at(&g, 5999, &left));
	assert_true(log_gate_open_at(&g, 6000, &left));
	assert_int_equal(left, 8);
	assert_true(log_gate_open_at(&g, 7001, &left));
	assert_int_equal(left, 0);
}

static void
test_limited(void **state)
{
	char line[2 * LOG_LINE_MAX];
	int i, lines = 0;

	(void)state;
	open_to_socket(LOG_L_INFO);
	for (i = 0; i < 1000; i++)
		log_limited(LOG_L_WARN, "again %d", 1);
	while (take(line) > 0)
		lines++;
	assert_in_range(lines, 1, 3);           /* a second or two may end in between */
	close_sockets();
}

/* Two writers, many lines, one file: no line is mixed with another. */
static void *
write_lines(void *arg)
{
	int i;

	for (i = 0; i < 2000; i++)
		log_info("%s", (const char *)arg);
	return NULL;
}

static void
test_threads_and_switch(void **state)
{
	struct log_options o = { .sink = LOG_TO_FD, .level = LOG_L_INFO, .ident = "enma", .role = "w" };
	char a[501], b[501], name[] = "/tmp/test_log.XXXXXX", other[] = "/tmp/test_log.XXXXXX", why[FDIO_WHY_MAX];
	struct buf text = buf_heap(16 * MIB);
	struct span rest, line;
	pthread_t t[2];
	int fd, fresh;
	size_t lines = 0;

	(void)state;
	memset(a, 'a', 500);
	memset(b, 'b', 500);
	a[500] = b[500] = '\0';
	close(mkstemp(name));
	fresh = mkostemp(other, O_CLOEXEC | O_APPEND);
	fd = open(name, O_WRONLY | O_APPEND | O_CLOEXEC);
	o.fd = fd;
	log_open(&o);
	assert_int_equal(pthread_create(&t[0], NULL, write_lines, a), 0);
	assert_int_equal(pthread_create(&t[1], NULL, write_lines, b), 0);
	log_switch_fd(fresh);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	log_info("last");
	assert_int_equal(fdio_read_file(name, 16 * MIB, &text, why, sizeof why), RC_OK);
	assert_int_equal(fdio_read_file(other, 16 * MIB, &text, why, sizeof why), RC_OK);
	rest = buf_text(&text);
	while (span_split(&rest, '\n', &line)) {
		struct span tail = span_from(line, line.n - MIN(line.n, (size_t)500));

		if (line.n == 0)
			continue;
		lines++;
		if (span_eq(tail, span_cstr(a)) || span_eq(tail, span_cstr(b)))
			continue;
		assert_true(span_ends_nocase(line, SPAN("info: last")));
	}
	assert_int_equal(lines, 4001);
	o.sink = LOG_TO_STDERR;
	log_open(&o);
	close(fd);
	close(fresh);
	unlink(name);
	unlink(other);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_str),
		cmocka_unit_test(test_line_form),
		cmocka_unit_test(test_line_length),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_check_goes_to_log),
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_limited),
		cmocka_unit_test(test_threads_and_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
