/* child - one child process; see child.h. */
#include "master/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "cache/cache_guard.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/ipc/procfd.h"
#include "master/sig.h"

/* Queue ids named in one log line; the others are counted. */
enum { WORK_LISTED_MAX = 20 };

static const char *const role_names[] = { [CHILD_WORKER] = "worker", [CHILD_CACHE] = "cache" };

enum rc
child_reserve(void)
{
	int fd;

	if (close_range(3, ~0u, 0) < 0)
		for (int i = 3; i < 1024; i++)
			close(i);
	/* 0 to 2 may be missing, too; then they are filled like the others. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < PROCFD_END - 1);
	if (fd < 0)
		return RC_TEMP;
	for (int i = 3; i < PROCFD_END; i++)
		(void)fdio_set_cloexec(i, true);
	return RC_OK;
}

/* The kernel should rather pick a worker than the supervisor, which keeps the sockets. */
static void
offer_to_oom_killer(void)
{
	char text[16];
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC), n;
	ssize_t got;

	if (fd < 0)
		return;
	got = read(fd, text, sizeof(text) - 1);
	if (got > 0) {
		text[got] = '\0';
		n = snprintf(text, sizeof(text), "%ld", MIN(strtol(text, NULL, 10) + 100, 1000L));
		(void)!pwrite(fd, text, (size_t)n, 0);
	}
	close(fd);
}

static void
put(int fd, int number)
{
	/* The reserved number itself is /dev/null; without a descriptor it stays that, but open across exec. */
	if (fd >= 0)
		(void)dup2(fd, number);
	else
		(void)fdio_set_cloexec(number, false);
}

static NORETURN void
become(const struct child_plan *plan, int status_fd, int board_fd)
{
	char generation[24], number[16], group[16], why[STATUS_TEXT_MAX];
	const char *argv[] = { "enma", "-x", role_names[plan->role], "-g", generation, "-n", number, "-G", group, NULL };

	setpgid(0, 0);
	sig_restore();
	offer_to_oom_killer();
	(void)dup2(PROCFD_STATUS, STDIN_FILENO);        /* still /dev/null */
	put(status_fd, PROCFD_STATUS);
	put(plan->conf_fd, PROCFD_CONF);
	put(board_fd, PROCFD_BOARD);
	put(plan->listen_fd, PROCFD_LISTEN);
	put(plan->log_fd, PROCFD_LOG);
	put(plan->feed_fd, PROCFD_FEED);
	put(plan->claims_fd, PROCFD_CLAIMS);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	snprintf(generation, sizeof(generation), "%llu", (unsigned long long)plan->generation);
	snprintf(number, sizeof(number), "%u", plan->number);
	snprintf(group, sizeof(group), "%u", plan->group);
	execv(plan->exe, (char *const *)(uintptr_t)argv);
	snprintf(why, sizeof(why), "cannot execute %s: %s", plan->exe, strerror(errno));
	(void)!status_send(PROCFD_STATUS, STATUS_FAILED, plan->generation, EX_UNAVAILABLE, why, -1);
	_exit(EX_TEMPFAIL);
}

static struct child *
new_child(const struct child_plan *plan, int64_t now_ms)
{
	struct child *c = xcalloc(1, sizeof(*c));

	c->role = plan->role;
	c->number = plan->number;
	c->group = plan->group;
	c->generation = plan->generation;
	c->session_count = plan->session_count;
	c->started_ms = c->beat_changed_ms = now_ms;
	c->status_fd = -1;
	if (c->role == CHILD_CACHE)
		snprintf(c->name, sizeof(c->name), "the cache process");
	else
		snprintf(c->name, sizeof(c->name), "worker %u", c->number);
	return c;
}

enum rc
child_spawn(const struct child_plan *plan, int64_t now_ms, struct child **out, char *why, size_t size)
{
	struct child *c = new_child(plan, now_ms);
	int pair[2] = { -1, -1 }, board_fd = -1;
	enum rc rc = RC_TEMP;

	*out = NULL;
	if (board_create(plan->session_count, &board_fd, &c->board, &c->board_size) != RC_OK) {
		snprintf(why, size, "cannot make shared memory for %s: %s", c->name, strerror(errno));
		goto cleanup;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		snprintf(why, size, "cannot make a socket pair for %s: %s", c->name, strerror(errno));
		goto cleanup;
	}
	c->pid = fork();
	if (c->pid == 0)
		become(plan, pair[1], board_fd);
	if (c->pid < 0) {
		snprintf(why, size, "cannot fork %s: %s", c->name, strerror(errno));
		goto cleanup;
	}
	(void)setpgid(c->pid, c->pid);          /* whoever is first */
	c->status_fd = pair[0];
	pair[0] = -1;
	*out = c;
	c = NULL;
	rc = RC_OK;
cleanup:
	fdio_close(&pair[0]);
	fdio_close(&pair[1]);
	fdio_close(&board_fd);
	child_destroy(&c);
	return rc;
}

void
child_destroy(struct child **c)
{
	if (*c == NULL)
		return;
	fdio_close(&(*c)->status_fd);
	board_detach(&(*c)->board, (*c)->board_size);
	free(*c);
	*c = NULL;
}

void
child_plan_signal(struct child *c, int sig, int64_t at_ms)
{
	c->next_signal = sig;
	c->signal_at_ms = at_ms;
}

unsigned
child_sessions(const struct child *c)
{
	uint32_t n = c->board ? atomic_load_explicit(&c->board->sessions, memory_order_relaxed) : 0;

	return MIN(n, (uint32_t)BOARD_SESSIONS_MAX);
}

bool
child_beats(struct child *c, int64_t now_ms)
{
	int64_t beat = atomic_load_explicit(&c->board->beat_ms, memory_order_relaxed);

	if (beat == c->beat)
		return false;
	c->beat = beat;
	c->beat_changed_ms = now_ms;
	return true;
}

void
child_print_work(const struct child *c, struct buf *out)
{
	unsigned listed = 0, more = 0;

	for (uint32_t i = 0; c->board != NULL && i < c->session_count; i++) {
		const struct board_session *s = &c->board->session[i];
		uint32_t phase = atomic_load_explicit(&s->phase, memory_order_relaxed);
		char qid[BOARD_QID_MAX];

		if (phase == BOARD_P_FREE || phase > BOARD_P_IDLE)
			continue;
		memcpy(qid, s->qid, sizeof(qid));       /* it may still be changing: look at one copy only */
		if (qid[0] == '\0')
			continue;
		if (listed == WORK_LISTED_MAX) {
			more++;
			continue;
		}
		buf_str(out, listed++ > 0 ? ", " : "");
		log_quote(out, span_of(qid, strnlen(qid, sizeof(qid))), 4 * BOARD_QID_MAX);
	}
	if (more > 0)
		buf_fmt(out, " and %u more", more);
}

static const char *
exit_meaning(int code)
{
	switch (code) {
	case EX_TEMPFAIL:
		return " (could not start)";
	case EX_CONFIG:
		return " (cannot work with this configuration)";
	case EX_SOFTWARE:
		return " (gave itself up)";
	case CACHE_GUARD_EXIT:
		return " (met a damaged cache file)";
	default:
		return "";
	}
}

void
child_print_end(int wait_status, struct buf *out)
{
	if (WIFSIGNALED(wait_status))
		buf_fmt(out, "was killed by signal %d (%s)%s", WTERMSIG(wait_status), sig_name(WTERMSIG(wait_status)),
		        WCOREDUMP(wait_status) ? ", core dumped" : "");
	else if (WEXITSTATUS(wait_status) == 0)
		buf_str(out, "has left");
	else
		buf_fmt(out, "ended with exit code %d%s", WEXITSTATUS(wait_status), exit_meaning(WEXITSTATUS(wait_status)));
}

const char *
child_state_name(const struct child *c)
{
	static const char *const names[] = { "STARTING", "READY", "RETIRING" };

	return c->is_stuck ? "STUCK" : names[c->state];
}
