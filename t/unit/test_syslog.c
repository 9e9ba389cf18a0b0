/* log: the syslog sink, against a /dev/log of our own in a mount namespace of our own. */
#include "t/unit/unit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/log.h"

static int dev_log = -1;

/* False where this process may not have a /dev of its own. */
static bool
make_dev_log(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	struct timeval soon = { .tv_sec = 10 };

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("tmpfs", "/dev", "tmpfs", 0, NULL) != 0)
		return false;
	dev_log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(dev_log, (const struct sockaddr *)&a, sizeof a), 0);
	setsockopt(dev_log, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
	return true;
}

/* The next datagram: its priority, and whether it ends in "ident[pid]: text". */
static void
expect(int facility, int severity, const char *ident, const char *text)
{
	char got[LOG_LINE_MAX * 2], priority[16], tail[LOG_LINE_MAX];
	ssize_t n = recv(dev_log, got, sizeof got - 1, 0);

	assert_true(n > 0);
	got[n] = '\0';
	snprintf(priority, sizeof priority, "<%d>", facility | severity);
	snprintf(tail, sizeof tail, "%s[%d]: %s", ident, (int)getpid(), text);
	if (strncmp(got, priority, strlen(priority)) != 0)
		fail_msg("\"%s\" does not begin with %s", got, priority);
	if (strlen(got) < strlen(tail) || strcmp(got + strlen(got) - strlen(tail), tail) != 0)
		fail_msg("\"%s\" does not end in \"%s\"", got, tail);
}

static void
test_syslog(void **state)
{
	struct log_options o = { .sink = LOG_TO_SYSLOG, .level = LOG_L_INFO, .ident = "enma-test", .facility = LOG_LOCAL4, .role = "worker/1" };

	(void)state;
	if (!make_dev_log()) {
		print_message("skipped: only root may have a /dev of its own, and not everywhere\n");
		skip();
	}
	log_open(&o);
	log_info("hello");
	expect(LOG_LOCAL4, LOG_INFO, "enma-test", "worker/1: info: hello");
	log_warn("take %s", "care");
	expect(LOG_LOCAL4, LOG_WARNING, "enma-test", "worker/1: warn: take care");
	log_error("act");
	expect(LOG_LOCAL4, LOG_ERR, "enma-test", "worker/1: error: act");
	log_line(LOG_L_INFO, SPAN("4Xq1: ip=192.0.2.1 100%s"), false);
	expect(LOG_LOCAL4, LOG_INFO, "enma-test", "4Xq1: ip=192.0.2.1 100%s");

	o.level = LOG_L_WARN;
	o.facility = LOG_MAIL;
	o.ident = "other";
	log_open(&o);
	log_info("below the mask");
	log_warn("above it");
	expect(LOG_MAIL, LOG_WARNING, "other", "worker/1: warn: above it");
	o.sink = LOG_TO_STDERR;
	log_open(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_syslog) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
