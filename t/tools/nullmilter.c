/*
 * nullmilter - a libmilter filter that does nothing but insert one header field: the floor of the benchmark.
 *
 * It negotiates what the daemon negotiates (no replies before the end of the message, leading spaces, no DATA, no
 * unknown commands), so the difference between the two is our own work, not the protocol's.  -w N forks N workers
 * that share one non-blocking listener; the parent restarts nothing, it waits for SIGTERM or the end of a worker.
 *
 *   nullmilter -p unix:PATH|inet:PORT@HOST|inet6:PORT@HOST [-w N] [--nobody] [--no-flags] [--like-enma] [--verdict V] [--eom-ms N] [--tempfail-connect N]
 *
 * It prints "ready PORT" (0 for unix) when the listener is open; port 0 takes a free one.  --verdict (continue, reject,
 * tempfail, discard) is the answer at end of message, --eom-ms a pause before it, --tempfail-connect N refuses every
 * Nth connection: what the load driver has to be able to tell apart.  --like-enma negotiates just what the daemon does: no
 * body, no recipients, and an answer to MAIL FROM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "t/tools/milteraddr.h"

#define BACKLOG		1024	/* the same in every process: libmilter calls listen(2) again */
#define WORKERS_MAX	64
#ifdef __SANITIZE_THREAD__
#define THREAD_STACK	(1024 * 1024)	/* pthread_create(3) fails with less: the sanitizer's own data lives there */
#else
#define THREAD_STACK	(256 * 1024)
#endif

static const char *opt_addr, *opt_verdict = "continue";
static int opt_workers, opt_eom_ms, opt_tempfail_connect;
static bool opt_nobody, opt_no_flags, opt_like_enma;
static atomic_uint connections;
static pid_t workers[WORKERS_MAX];
static volatile sig_atomic_t stop_signal;

static const unsigned long no_reply = SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR | SMFIP_NR_EOH |
    SMFIP_NR_BODY;

static sfsistat answer(void)
{
	return opt_no_flags ? SMFIS_CONTINUE : SMFIS_NOREPLY;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
    unsigned long *a, unsigned long *p, unsigned long *f2_out, unsigned long *f3_out)
{
	(void)ctx;
	(void)f0;
	(void)f2;
	(void)f3;
	*a = SMFIF_ADDHDRS | SMFIF_CHGHDRS;
	*p = 0;
	if (!opt_no_flags)
		*p = (SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_HDR_LEADSPC | no_reply) & f1;
	if (opt_nobody || opt_like_enma)
		*p |= SMFIP_NOBODY & f1;
	if (opt_like_enma)
		*p = (*p | (SMFIP_NORCPT & f1)) & ~(unsigned long)SMFIP_NR_MAIL;
	if (opt_tempfail_connect)
		*p &= ~(unsigned long)SMFIP_NR_CONN;
	*f2_out = *f3_out = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *addr)
{
	(void)ctx;
	(void)host;
	(void)addr;
	if (opt_tempfail_connect)
		return ++connections % (unsigned)opt_tempfail_connect == 0 ? SMFIS_TEMPFAIL : SMFIS_CONTINUE;
	return answer();
}

static sfsistat on_helo(SMFICTX *ctx, char *helo)
{
	(void)ctx;
	(void)helo;
	return answer();
}

static sfsistat on_envelope(SMFICTX *ctx, char **argv)
{
	(void)ctx;
	(void)argv;
	return opt_like_enma ? SMFIS_CONTINUE : answer();
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return answer();
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	(void)ctx;
	return answer();
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *p, size_t n)
{
	(void)ctx;
	(void)p;
	(void)n;
	return answer();
}

static sfsistat on_eom(SMFICTX *ctx)
{
	static char name[] = "Authentication-Results";
	static char value[] = " mx.load.example;\n\tspf=none smtp.helo=mail.example.org;\n"
	    "\tspf=none smtp.mailfrom=user@example.org (null filter, nothing was checked here)";

	if (opt_eom_ms > 0)
		nanosleep(&(struct timespec){ opt_eom_ms / 1000, opt_eom_ms % 1000 * 1000000L }, NULL);
	smfi_insheader(ctx, 0, name, value + opt_no_flags);
	switch (*opt_verdict) {
	case 'r': return SMFIS_REJECT;
	case 't': return SMFIS_TEMPFAIL;
	case 'd': return SMFIS_DISCARD;
	default: return SMFIS_CONTINUE;
	}
}

static sfsistat on_done(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "nullmilter: %s: %s\n", what, why);
	exit(2);
}

static int open_listener(unsigned *port)
{
	struct sockaddr_storage ss;
	socklen_t len;
	const char *why = milteraddr_parse(opt_addr, &ss, &len);
	int fd;

	if (why)
		die(opt_addr, why);
	if (ss.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&ss)->sun_path);
	if ((fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0)) < 0)
		die("socket", strerror(errno));
	if (ss.ss_family != AF_UNIX) {	/* accepted sockets inherit it */
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	}
	if (bind(fd, (struct sockaddr *)&ss, len) != 0 || listen(fd, BACKLOG) != 0)
		die(opt_addr, strerror(errno));
	len = sizeof ss;
	getsockname(fd, (struct sockaddr *)&ss, &len);
	*port = ss.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&ss)->sin_port) :
	    ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&ss)->sin6_port) : 0;
	return fd;
}

static int serve(int fd)
{
	static char name[] = "nullmilter";
	struct smfiDesc desc = {
		.xxfi_name = name, .xxfi_version = SMFI_VERSION, .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS,
		.xxfi_connect = on_connect, .xxfi_helo = on_helo, .xxfi_envfrom = on_envelope, .xxfi_envrcpt = on_envelope,
		.xxfi_header = on_header, .xxfi_eoh = on_eoh, .xxfi_body = on_body, .xxfi_eom = on_eom, .xxfi_abort = on_done,
		.xxfi_close = on_done, .xxfi_negotiate = on_negotiate };
	char conn[32];
	pthread_attr_t attr;

	snprintf(conn, sizeof conn, "fd:%d", fd);
	if (opt_nobody)
		desc.xxfi_body = NULL;
	smfi_setbacklog(BACKLOG);
	if (smfi_setconn(conn) != MI_SUCCESS || smfi_register(desc) != MI_SUCCESS)
		die(conn, "libmilter refuses it (this libmilter has no fd: sockets)");
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	pthread_setattr_default_np(&attr);
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}

static void on_stop(int sig)
{
	stop_signal = sig;
}

static int supervise(int fd)
{
	struct sigaction sa = { .sa_handler = on_stop };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	for (int i = 0; i < opt_workers; i++) {
		pid_t parent = getpid();

		if ((workers[i] = fork()) < 0)
			die("fork", strerror(errno));
		if (workers[i] > 0)
			continue;
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		_exit(serve(fd));
	}
	close(fd);
	/* A worker that dies stays dead; the others go on. */
	while (!stop_signal && (wait(NULL) > 0 || errno == EINTR))
		;
	for (int i = 0; i < opt_workers; i++)
		kill(workers[i], SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	return 0;
}

static void usage(void)
{
	fputs("usage: nullmilter -p ADDR [-w N] [--nobody] [--no-flags] [--like-enma] [--verdict continue|reject|tempfail|discard]\n"
	    "                  [--eom-ms N] [--tempfail-connect N]\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "nobody", 0, NULL, 'b' }, { "no-flags", 0, NULL, 'f' },
		{ "like-enma", 0, NULL, 'l' },
		{ "verdict", 1, NULL, 'v' }, { "eom-ms", 1, NULL, 'e' }, { "tempfail-connect", 1, NULL, 't' }, { NULL, 0, NULL, 0 } };
	struct rlimit rl;
	unsigned port;
	int o, fd;

	while ((o = getopt_long(argc, argv, "p:w:", options, NULL)) != -1) {
		switch (o) {
		case 'p': opt_addr = optarg; break;
		case 'w': opt_workers = (int)strtol(optarg, NULL, 10); break;
		case 'b': opt_nobody = true; break;
		case 'l': opt_like_enma = true; break;
		case 'f': opt_no_flags = true; break;
		case 'v': opt_verdict = optarg; break;
		case 'e': opt_eom_ms = (int)strtol(optarg, NULL, 10); break;
		case 't': opt_tempfail_connect = (int)strtol(optarg, NULL, 10); break;
		default: usage();
		}
	}
	if (opt_addr == NULL || opt_workers < 0 || opt_workers > WORKERS_MAX || opt_eom_ms < 0 || opt_tempfail_connect < 0)
		usage();
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
	fd = open_listener(&port);
	printf("ready %u\n", port);
	fflush(stdout);
	if (opt_workers)
		return supervise(fd);
	_exit(serve(fd));	/* libmilter's threads may still run: no exit handlers */
}
