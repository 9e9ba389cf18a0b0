/*
 * log - severity, sinks, escaping; see log.h.
 *
 * The options live behind one mutex that is held while a prefix is written into the caller's line, never during output: the
 * descriptor's number does not change while lines are under way (log_switch_fd puts another file behind the same number).
 */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/utf8.h"

enum {
	NAME_MAX_LEN = 64,
	RING = 8,
};

static struct {
	pthread_mutex_t lock;
	enum log_sink sink;
	_Atomic int level;
	int fd;
	char ident[2][NAME_MAX_LEN];    /* openlog(3) keeps the pointer: the other one is written */
	unsigned which;
	char role[NAME_MAX_LEN];
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.sink = LOG_TO_STDERR,
	.level = LOG_L_INFO,
	.fd = STDERR_FILENO,
	.ident = { "enma" },
};

static const struct { const char *name; int priority; } levels[] = {
	[LOG_L_DEBUG] = { "debug", LOG_DEBUG },
	[LOG_L_INFO] = { "info", LOG_INFO },
	[LOG_L_WARN] = { "warn", LOG_WARNING },
	[LOG_L_ERROR] = { "error", LOG_ERR },
	[LOG_L_FATAL] = { "fatal", LOG_CRIT },
	[LOG_L_PANIC] = { "panic", LOG_ALERT },
};

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}

enum log_level
log_level_of_syslog(int priority)
{
	enum log_level level = LOG_L_DEBUG;

	while (level < LOG_L_PANIC && levels[level].priority > priority)
		level++;
	return level;
}

static void
broken_invariant(const char *text)
{
	struct span s = span_cstr(text), word = SPAN("panic: ");

	if (span_starts(s, word))
		s = span_from(s, word.n);
	log_msg(LOG_L_PANIC, "%.*s", SPAN_ARGS(s));
}

void
log_open(const struct log_options *o)
{
	char *ident;

	pthread_mutex_lock(&state.lock);
	state.which = !state.which;
	ident = state.ident[state.which];
	snprintf(ident, NAME_MAX_LEN, "%s", o->ident ? o->ident : "enma");
	snprintf(state.role, sizeof state.role, "%s", o->role ? o->role : "");
	state.sink = o->sink;
	state.fd = o->sink == LOG_TO_STDOUT ? STDOUT_FILENO : o->sink == LOG_TO_FD ? o->fd : STDERR_FILENO;
	atomic_store(&state.level, (int)o->level);
	if (o->sink == LOG_TO_SYSLOG)
		openlog(ident, LOG_PID | LOG_NDELAY, o->facility);
	pthread_mutex_unlock(&state.lock);
	check_sink = broken_invariant;
}

void
log_switch_fd(int fd)
{
	pthread_mutex_lock(&state.lock);
	if (state.sink == LOG_TO_FD && fd != state.fd)
		dup3(fd, state.fd, O_CLOEXEC);
	pthread_mutex_unlock(&state.lock);
}

bool
log_wants(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

/* ---- one line -------------------------------------------------------------------------------------------- */

struct line {
	char p[LOG_LINE_MAX];
	size_t n;               /* bytes of p in use, at most sizeof p - 1: the last byte is for the LF (or the NUL) */
	bool is_cut;
};

static void
line_add(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof l->p - 1 - l->n;

	l->is_cut |= n > room;
	n = MIN(n, room);
	if (n > 0)
		memcpy(l->p + l->n, p, n);
	l->n += n;
}

static void
line_str(struct line *l, const char *s)
{
	line_add(l, s, strlen(s));
}

/* 2024-02-29T23:59:59.123+09:00 */
static void
add_time(struct line *l)
{
	struct timespec now;
	struct tm tm;
	char text[64];
	long off;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &tm);
	off = tm.tm_gmtoff / 60;
	line_add(l, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm));
	snprintf(text, sizeof text, ".%03d%c%02d:%02d ", (int)(now.tv_nsec / 1000000), off < 0 ? '-' : '+',
	    (int)(labs(off) / 60), (int)(labs(off) % 60));
	line_str(l, text);
}

/* What stands in front of a line: everything; nothing where syslog adds time, ident and pid itself; nothing. */
enum prefix { PREFIX, PREFIX_UNLESS_SYSLOG, PREFIX_NONE };

/* Returns the sink and its descriptor as they are now. */
static enum log_sink
add_prefix(struct line *l, enum log_level level, enum prefix prefix, int *fd_out)
{
	enum log_sink sink;
	char pid[32];
	bool is_raw;

	pthread_mutex_lock(&state.lock);
	sink = state.sink;
	*fd_out = state.fd;
	is_raw = prefix == PREFIX_NONE || (prefix == PREFIX_UNLESS_SYSLOG && sink == LOG_TO_SYSLOG);
	if (!is_raw && sink != LOG_TO_SYSLOG) {
		add_time(l);
		line_str(l, state.ident[state.which]);
		line_add(l, " ", 1);
		line_str(l, state.role);
		snprintf(pid, sizeof pid, "[%ld]: ", (long)getpid());
		line_str(l, pid);
	} else if (!is_raw && state.role[0] != '\0') {
		line_str(l, state.role);
		line_str(l, ": ");
	}
	pthread_mutex_unlock(&state.lock);
	if (!is_raw) {
		line_str(l, levels[level].name);
		line_str(l, ": ");
	}
	return sink;
}

/* "..." in place of what does not fit, never in the middle of a UTF-8 sequence. */
static void
mark_cut(struct line *l)
{
	if (!l->is_cut)
		return;
	l->n = sizeof l->p - 1 - 3;
	while (l->n > 0 && ((unsigned char)l->p[l->n] & 0xc0) == 0x80)
		l->n--;
	memcpy(l->p + l->n, "...", 3);
	l->n += 3;
}

/* A line is one line whatever slipped through. */
static void
tame(struct line *l, size_t from)
{
	size_t i;

	for (i = from; i < l->n; i++) {
		if ((unsigned char)l->p[i] < 0x20 || l->p[i] == 0x7f)
			l->p[i] = '?';
	}
}

static void
emit(struct line *l, size_t text_at, enum log_level level, enum log_sink sink, int fd)
{
	ssize_t n;

	mark_cut(l);
	tame(l, text_at);
	if (sink == LOG_TO_SYSLOG) {
		l->p[l->n] = '\0';
		syslog(levels[level].priority, "%s", l->p);
		return;
	}
	l->p[l->n++] = '\n';
	do {
		n = write(fd, l->p, l->n);
	} while (n < 0 && errno == EINTR);
}

void
log_msg(enum log_level level, const char *fmt, ...)
{
	struct line l;
	enum log_sink sink;
	int fd, n, saved = errno;
	size_t text_at, room;
	va_list ap;

	if (!log_wants(level))
		return;
	l.n = 0;
	l.is_cut = false;
	sink = add_prefix(&l, level, PREFIX, &fd);
	text_at = l.n;
	room = sizeof l.p - 1 - l.n;
	errno = saved;          /* for "%m" */
	va_start(ap, fmt);
	n = vsnprintf(l.p + l.n, room + 1, fmt, ap);
	va_end(ap);
	if (n > 0) {
		l.is_cut = (size_t)n > room;
		l.n += MIN((size_t)n, room);
	}
	emit(&l, text_at, level, sink, fd);
	errno = saved;
}

void
log_line(enum log_level level, struct span text, bool is_raw)
{
	struct line l;
	enum log_sink sink;
	int fd, saved = errno;
	size_t text_at;

	if (!log_wants(level))
		return;
	l.n = 0;
	l.is_cut = false;
	sink = add_prefix(&l, level, is_raw ? PREFIX_NONE : PREFIX_UNLESS_SYSLOG, &fd);
	text_at = l.n;
	line_add(&l, text.p, text.n);
	emit(&l, text_at, level, sink, fd);
	errno = saved;
}

/* ---- repeats --------------------------------------------------------------------------------------------- */

bool
log_gate_open_at(struct log_gate *g, int64_t now_ms, uint32_t *suppressed_out)
{
	int64_t next = atomic_load(&g->next_ms);

	*suppressed_out = 0;
	if (now_ms < next || !atomic_compare_exchange_strong(&g->next_ms, &next, now_ms + 1000)) {
		atomic_fetch_add(&g->suppressed, 1);
		return false;
	}
	*suppressed_out = atomic_exchange(&g->suppressed, 0);
	return true;
}

bool
log_gate_open(struct log_gate *g, uint32_t *suppressed_out)
{
	return log_gate_open_at(g, clock_mono_ms(), suppressed_out);
}

/* ---- escaping -------------------------------------------------------------------------------------------- */

/* Not what our own syntax needs, and nothing that cannot be seen: zero-width and format characters, tags. */
static bool
is_harmless(uint32_t c)
{
	if (!utf8_is_showable(c) || c == '"' || c == '\\')
		return false;
	return !(c >= 0x200b && c <= 0x200d) && !(c >= 0x2060 && c <= 0x206f) && c != 0xfeff && !(c >= 0xfff9 && c <= 0xfffb) &&
	    !(c >= 0xe0000 && c <= 0xe0fff);
}

/* Takes one character (or one bad byte) off *rest and writes it, escaped where needed; 1..4 bytes. */
static size_t
quote_next(struct span *rest, char out[4])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char c = (unsigned char)rest->p[0];
	uint32_t cp;
	size_t n = utf8_first(*rest, &cp);

	if (n > 0 && is_harmless(cp)) {
		memcpy(out, rest->p, n);
		*rest = span_from(*rest, n);
		return n;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	*rest = span_from(*rest, 1);
	return 4;
}

void
log_quote(struct buf *b, struct span s, size_t cap)
{
	size_t used = 0, n;
	char token[4];

	while (s.n > 0) {
		n = quote_next(&s, token);
		if (n > cap - used) {
			buf_str(b, "...");
			return;
		}
		buf_span(b, span_of(token, n));
		used += n;
	}
}

const char *
log_str(struct span s)
{
	static _Thread_local char ring[RING][LOG_VALUE_MAX + sizeof "..."];
	static _Thread_local unsigned at;
	char *text = ring[at++ % RING], token[4];
	size_t used = 0, n;

	while (s.n > 0) {
		n = quote_next(&s, token);
		if (n > LOG_VALUE_MAX - used) {
			memcpy(text + used, "...", 3);
			used += 3;
			break;
		}
		memcpy(text + used, token, n);
		used += n;
	}
	text[used] = '\0';
	return text;
}
