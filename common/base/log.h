/*
 * log - severity, sinks, escaping.
 *
 * One line per call, whole or not at all.  Severities have a fixed meaning: debug; info; warn (the operator may act); error (the
 * operator must act); fatal (the environment's fault, the process ends); panic (our bug).
 *
 * Sinks: standard error, standard output, syslog(3) and a file, chosen by log_open().  Lines on the first two and in a file
 * begin with an RFC 3339 time stamp, the ident, role and pid; syslog adds its own.  Line output is one write(2) of at most
 * LOG_LINE_MAX bytes, so that lines of several processes never mix in a file opened with O_APPEND.
 *
 * Everything from outside must go through log_quote() (or be a number); it escapes control bytes, quotes, backslashes, invalid
 * UTF-8 and caps the length.  Thread-safe.  Repeats: log_limited() passes one line per place and second and counts the rest.
 */
#ifndef ENMA_BASE_LOG_H
#define ENMA_BASE_LOG_H

#include "common/base/buf.h"
#include "common/base/defs.h"
#include "common/base/span.h"

enum log_level { LOG_L_DEBUG, LOG_L_INFO, LOG_L_WARN, LOG_L_ERROR, LOG_L_FATAL, LOG_L_PANIC };
enum log_sink { LOG_TO_STDERR, LOG_TO_STDOUT, LOG_TO_SYSLOG, LOG_TO_FD };

enum {
	LOG_LINE_MAX = 8 * KIB,         /* longer lines are cut, with "..." */
	LOG_VALUE_MAX = 256,            /* default cap for one value from outside */
};

struct log_options {
	enum log_sink sink;
	enum log_level level;           /* lines below are dropped */
	const char *ident;              /* syslog.ident */
	int facility;                   /* LOG_LOCAL4 ... of <syslog.h> */
	const char *role;               /* "enma", "worker/3" ... */
	int fd;                         /* LOG_TO_FD: kept open by the caller; see log_switch_fd */
};

void log_open(const struct log_options *o);     /* strings are copied; may be called again */
void log_switch_fd(int fd);                     /* LOG_TO_FD: dup3 of fd over the current descriptor (log rotation) */
bool log_wants(enum log_level level);
/* The lowest level of ours that a mask "LOG_INFO and above" lets through; there is no notice here, so LOG_NOTICE means warn. */
enum log_level log_level_of_syslog(int priority);
const char *log_level_name(enum log_level level);       /* "debug" "info" "warn" "error" "fatal" "panic" */

void log_msg(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_debug(...) do { if (log_wants(LOG_L_DEBUG)) log_msg(LOG_L_DEBUG, __VA_ARGS__); } while (0)
#define log_info(...) log_msg(LOG_L_INFO, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_L_WARN, __VA_ARGS__)
#define log_error(...) log_msg(LOG_L_ERROR, __VA_ARGS__)
/* One finished line without formatting (the line of a message); raw: nothing of ours in front, neither time stamp nor severity
 * word, as consumers of JSON need.  In syslog such a line is always raw: syslog says who and when. */
void log_line(enum log_level level, struct span line, bool is_raw);

/* At most one line per second and place; the next one says how many were left out. */
struct log_gate { _Atomic int64_t next_ms; _Atomic uint32_t suppressed; };
bool log_gate_open(struct log_gate *g, uint32_t *suppressed_out);
bool log_gate_open_at(struct log_gate *g, int64_t now_ms, uint32_t *suppressed_out);    /* the same with the time given */
#define log_limited(level, fmt, ...) do { \
	static struct log_gate gate_; uint32_t left_; \
	if (log_gate_open(&gate_, &left_)) { \
		if (left_ > 0) log_msg(level, fmt " (%u more like this left out)", ##__VA_ARGS__, left_); \
		else log_msg(level, fmt, ##__VA_ARGS__); \
	} } while (0)

/* Appends s so that it is one harmless token: printable ASCII and valid UTF-8 as they are, everything else, '\\' and '"' as
 * \xHH; blanks kept; at most cap bytes of output, then "...".  C1 controls, line separators and the characters that turn the
 * direction of writing are escaped, too. */
void log_quote(struct buf *b, struct span s, size_t cap);
/* The same into a static per-thread ring of 8 texts, for use as a "%s" argument of log_*(). */
const char *log_str(struct span s);

#endif
