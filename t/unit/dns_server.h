/*
 * dns_server - for tests that talk DNS over the loopback: the test server as a child, and questions with a wait.
 *
 * A server dies with its test, whatever happens to the test: its standard input is a pipe that the test holds.
 */
#ifndef ENMA_T_UNIT_DNS_SERVER_H
#define ENMA_T_UNIT_DNS_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/dns/dns_unbound.h"
#include "t/unit/unit.h"

enum { FAR_MS = 60000 };                /* only a broken test waits so long */

/* ---- folders and the server ------------------------------------------------------------------ */

UNUSED static char *
temp_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *dir = xasprintf("%s/enma-dns-XXXXXX", base != NULL ? base : "/tmp");

	if (mkdtemp(dir) == NULL)
		fail_msg("mkdtemp: %s", strerror(errno));
	return dir;
}

UNUSED static void
write_file(const char *dir, const char *name, struct span text)
{
	char *path = xasprintf("%s/%s", dir, name);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
	assert_int_equal(fclose(file), 0);
	free(path);
}

UNUSED static void
remove_dir(char *dir)
{
	char *command = xasprintf("rm -rf '%s'", dir);

	assert_int_equal(system(command), 0);
	free(command);
	free(dir);
}

struct dns_server {
	char *dir;
	pid_t pid;
	int stdin_fd;
	int port;
	char forward[32];
};

UNUSED static int
read_port(int fd)
{
	char line[64];
	size_t n = 0;
	int port = 0;

	while (n + 1 < sizeof line && read(fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
	if (sscanf(line, "listening %d", &port) != 1)
		fail_msg("dnsd says: '%s'", line);
	return port;
}

UNUSED static struct dns_server
dns_server_start(struct span zone)
{
	const char *build = getenv("ENMA_BUILD");
	char *program = xasprintf("%s/t/dnsd", build != NULL ? build : "build");
	struct dns_server s = { .dir = temp_dir() };
	char *zone_path = xasprintf("%s/zone", s.dir), *control = xasprintf("%s/control", s.dir);
	int in[2], out[2];

	write_file(s.dir, "zone", zone);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl(program, program, "--stdin-eof", "--control", control, zone_path, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	s.stdin_fd = in[1];
	s.port = read_port(out[0]);
	close(out[0]);
	snprintf(s.forward, sizeof s.forward, "127.0.0.1@%d", s.port);
	free(program);
	free(zone_path);
	free(control);
	return s;
}

UNUSED static void
dns_server_stop(struct dns_server *s)
{
	int status;

	close(s->stdin_fd);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_int_equal(status, 0);
	remove_dir(s->dir);
}

/* The answer to one control command (heap). */
UNUSED static char *
dns_server_command(const struct dns_server *s, const char *command)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct buf b = buf_heap(4 * MIB);
	char part[4 * KIB], *text;
	ssize_t n;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/control", s->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	assert_int_equal(write(fd, command, strlen(command)), (ssize_t)strlen(command));
	assert_int_equal(write(fd, "\n", 1), 1);
	while ((n = read(fd, part, sizeof part)) > 0) {
		buf_span(&b, span_of(part, (size_t)n));
		if (span_ends_nocase(buf_text(&b), SPAN("\n.\n")))
			break;
	}
	close(fd);
	text = xstrdup(buf_text(&b).p);
	buf_fini(&b);
	return text;
}

/* How often a question ("NAME TYPE", or "total") reached the server. */
UNUSED static long
dns_server_count(const struct dns_server *s, const char *question)
{
	char *text = dns_server_command(s, "count"), *key = xasprintf(" %s\n", question), *at;
	long n = 0;

	if (strcmp(question, "total") == 0) {
		assert_int_equal(sscanf(text, "total %ld", &n), 1);
	} else if ((at = strstr(text, key)) != NULL) {
		while (at > text && at[-1] != '\n')
			at--;
		n = strtol(at, NULL, 10);
	}
	free(text);
	free(key);
	return n;
}

/* ---- questions ------------------------------------------------------------------------------- */

/* Counts what is done; several requests share one. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t done;
};

UNUSED static void
waiter_init(struct waiter *w)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	w->done = 0;
}

UNUSED static void
waiter_fini(struct waiter *w)
{
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
}

UNUSED static void
waiter_note(struct dns_req *req)
{
	struct waiter *w = req->arg;

	pthread_mutex_lock(&w->lock);
	w->done++;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* True when so many are done before the time is over. */
UNUSED static bool
waiter_wait(struct waiter *w, size_t count, int64_t ms)
{
	const struct timespec until = clock_mono_at(clock_mono_ms() + ms);
	bool is_done;
	int failed = 0;

	pthread_mutex_lock(&w->lock);
	while (w->done < count && failed == 0)
		failed = pthread_cond_timedwait(&w->changed, &w->lock, &until);
	is_done = w->done >= count;
	pthread_mutex_unlock(&w->lock);
	return is_done;
}

UNUSED static size_t
waiter_done(struct waiter *w)
{
	size_t n;

	pthread_mutex_lock(&w->lock);
	n = w->done;
	pthread_mutex_unlock(&w->lock);
	return n;
}

UNUSED static struct dns_req
req_of(const char *name, uint16_t type, struct waiter *w)
{
	struct dns_req req = { .type = type, .done = waiter_note, .arg = w };

	if (dns_name_from_text(span_cstr(name), &req.name) != RC_OK)
		fail_msg("not a name: %s", name);
	return req;
}

/* One question, and its answer (the caller's reference). */
UNUSED static const struct dns_answer *
ask_name(struct dns_source *src, const struct dns_name *name, uint16_t type)
{
	struct dns_req req = { .name = *name, .type = type, .done = waiter_note }, *reqs[] = { &req };
	struct waiter w;

	waiter_init(&w);
	req.arg = &w;
	src->ask(src, reqs, 1);
	if (!waiter_wait(&w, 1, FAR_MS))
		fail_msg("no answer at all");
	waiter_fini(&w);
	return req.answer;
}

UNUSED static const struct dns_answer *
ask(struct dns_source *src, const char *name, uint16_t type)
{
	struct dns_req req = req_of(name, type, NULL);

	return ask_name(src, &req.name, type);
}

/* Asks and checks what matters; a negative ttl_s is not compared. */
UNUSED static void
expect(struct dns_source *src, const char *name, uint16_t type, enum dns_status status, size_t count, int64_t ttl_s)
{
	const struct dns_answer *a = ask(src, name, type);

	if (a->status != status || a->rr_count != count || (ttl_s >= 0 && a->ttl_s != ttl_s))
		fail_msg("%s %s: %s (%s), %zu records, ttl %u", name, dns_type_name(type), dns_status_name(a->status), a->why,
		    a->rr_count, a->ttl_s);
	dns_answer_unref(a);
}

UNUSED static struct dns_source *
resolver_with(const struct dns_unbound_options *o)
{
	struct dns_source *src;
	char why[256];

	if (dns_unbound_create(o, &src, why, sizeof why) != RC_OK)
		fail_msg("%s", why);
	assert_string_equal(why, "");
	return src;
}

UNUSED static struct dns_source *
resolver_to(const struct dns_server *s)
{
	const char *forward = s->forward;

	return resolver_with(&(struct dns_unbound_options){ .forward = &forward, .forward_count = 1 });
}

#endif
