/* conf_parse - files and command line into a struct conf; see conf.h for the rules. */
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_check.h"
#include "common/conf/conf_int.h"

enum { FILES_MAX = 1000 };      /* all included files together: ten files that include each other's copies must end */

/* ---- files ----------------------------------------------------------------------------------------------- */

/* One file of the chain that is being read, innermost first. */
struct frame {
	const char *path;
	dev_t dev;
	ino_t ino;
	const struct frame *up;
	unsigned depth;
};

struct loader {
	struct conf *c;
	struct conf_errors *errors;
	size_t files, bytes;
	bool is_unreadable;
};

static void read_file(struct loader *l, const char *path, const struct frame *up, unsigned line);

/* An error that belongs to the include line of the outer file, or to no line at all for the main file. */
static void
cannot_read(struct loader *l, const struct frame *up, unsigned line, const char *why)
{
	l->is_unreadable = true;
	if (up != NULL)
		conf_errors_add(l->errors, false, up->path, line, "include: %s", why);
	else
		conf_errors_add(l->errors, false, NULL, 0, "%s", why);
}

/* The folder of the including file in front of a relative path; wild cards in the folder's own name mean themselves. */
static char *
beside(const char *file, struct span path, bool is_pattern)
{
	const char *slash = strrchr(file, '/'), *p;
	struct buf b = buf_heap(4 * CONF_LINE_MAX);
	char *joined;

	if (path.n > 0 && path.p[0] != '/' && slash != NULL) {
		for (p = file; p <= slash; p++) {
			if (is_pattern && strchr("*?[]\\", *p) != NULL)
				buf_byte(&b, '\\');
			buf_byte(&b, *p);
		}
	}
	buf_span(&b, path);
	joined = xstrdup(buf_text(&b).p);
	buf_fini(&b);
	return joined;
}

static void
include(struct loader *l, struct span value, const struct frame *f, unsigned line)
{
	bool is_pattern = span_find(value, '*') < value.n || span_find(value, '?') < value.n || span_find(value, '[') < value.n;
	char *path;
	glob_t g;
	size_t i;

	if (value.n == 0 || conf_has_control_byte(value)) {
		conf_errors_add(l->errors, false, f->path, line, "include: a path is missing");
		return;
	}
	path = beside(f->path, value, is_pattern);
	if (!is_pattern) {
		read_file(l, path, f, line);
	} else if (glob(path, 0, NULL, &g) == 0) {      /* no match is fine: conf.d may be empty */
		for (i = 0; i < g.gl_pathc; i++)
			read_file(l, g.gl_pathv[i], f, line);
		globfree(&g);
	}
	free(path);
}

static void
read_line(struct loader *l, struct span line, const struct frame *f, unsigned number)
{
	struct span key, value;
	size_t colon;

	if (line.n > CONF_LINE_MAX) {
		conf_errors_add(l->errors, false, f->path, number, "the line has %zu bytes; at most %d are allowed (a list may be continued by "
		    "repeating its key)", line.n, CONF_LINE_MAX);
		return;
	}
	if (memchr(line.p, '\0', line.n) != NULL) {
		conf_errors_add(l->errors, false, f->path, number, "NUL byte in the line");
		return;
	}
	line = span_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return;
	colon = span_find(line, ':');
	key = span_trim(span_sub(line, 0, colon));
	value = span_trim(span_from(line, colon + 1));
	if (colon == line.n)
		conf_errors_add(l->errors, false, f->path, number, "no ':' in \"%s\"; a setting is \"key: value\"", log_str(line));
	else if (span_eq(key, SPAN("include")))
		include(l, value, f, number);
	else if (span_eq(key, SPAN("milter.conffile")))
		conf_errors_add(l->errors, true, f->path, number, "milter.conffile has no effect inside a file; use -c, or include:");
	else
		conf_set(l->c, key, value, f->path, number, false, l->errors);
}

static void
read_lines(struct loader *l, struct span text, const struct frame *f)
{
	struct span line;
	unsigned number = 0;

	if (span_starts(text, SPAN("\xef\xbb\xbf")))    /* the mark that some editors write in front of UTF-8 */
		text = span_from(text, 3);
	while (span_split(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		read_line(l, line, f, ++number);
	}
}

/* True when path may be read here: neither too deep nor already open further out. */
static bool
may_descend(struct loader *l, struct frame *f, unsigned line)
{
	const struct frame *outer;
	struct stat st;

	if (f->depth > CONF_INCLUDE_DEPTH) {
		conf_errors_add(l->errors, false, f->up->path, line, "include: more than %d files deep", CONF_INCLUDE_DEPTH);
		return false;
	}
	if (++l->files > FILES_MAX) {
		if (l->files == FILES_MAX + 1)
			conf_errors_add(l->errors, false, f->up->path, line, "include: more than %d files in all", FILES_MAX);
		return false;
	}
	if (stat(f->path, &st) != 0)
		return true;            /* reading it gives the reason */
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	for (outer = f->up; outer != NULL; outer = outer->up) {
		if (outer->dev == f->dev && outer->ino == f->ino) {
			conf_errors_add(l->errors, false, f->up->path, line, "include: %s includes itself", log_str(span_cstr(f->path)));
			return false;
		}
	}
	return true;
}

static void
read_file(struct loader *l, const char *path, const struct frame *up, unsigned line)
{
	struct frame f = { .path = path, .up = up, .depth = up ? up->depth + 1 : 0 };
	struct buf text = buf_heap(CONF_FILE_MAX);
	char why[FDIO_WHY_MAX];

	if (may_descend(l, &f, line)) {
		if (fdio_read_file(path, CONF_FILE_MAX - l->bytes, &text, why, sizeof why) != RC_OK) {
			cannot_read(l, up, line, why);
		} else {
			l->bytes += text.n;
			read_lines(l, buf_text(&text), &f);
		}
	}
	buf_fini(&text);
}

/* ---- all together ---------------------------------------------------------------------------------------- */

static void
read_override(struct loader *l, const char *text)
{
	struct span s = span_cstr(text), key;
	size_t equals = span_find(s, '=');

	key = span_trim(span_sub(s, 0, equals));
	if (equals == s.n)
		conf_errors_add(l->errors, false, conf_command_line, 0, "-o \"%s\": want KEY=VALUE", log_str(s));
	else if (span_eq(key, SPAN("include")))
		conf_errors_add(l->errors, false, conf_command_line, 0, "-o include: only a file can include a file; use -c");
	else
		conf_set(l->c, key, span_trim(span_from(s, equals + 1)), conf_command_line, 0, false, l->errors);
}

/* The file to read: an -o milter.conffile=PATH says it, else the caller. */
static const char *
pick_path(const char *path, const struct conf *c)
{
	return c->milter_conffile != NULL && c->milter_conffile[0] != '\0' ? c->milter_conffile : path;
}

/* Where the file is, so that a later reload finds it from any directory. */
static void
keep_path(struct loader *l, const char *path)
{
	char *full = realpath(path, NULL);
	struct span value = span_cstr(full ? full : path);

	if (!conf_has_control_byte(value))
		conf_set(l->c, SPAN("milter.conffile"), value, conf_command_line, 0, false, l->errors);
	free(full);
}

/* Whatever could be read, checked; what was wrong is in l->errors. */
static void
load(struct loader *l, const char *path, const char *const *overrides, size_t override_count)
{
	struct span conffile = SPAN("milter.conffile=");
	size_t i;

	for (i = 0; i < override_count; i++) {
		if (span_starts(span_cstr(overrides[i]), conffile))
			read_override(l, overrides[i]);
	}
	path = pick_path(path, l->c);
	if (path != NULL && path[0] != '\0') {
		char *copy = xstrdup(path);     /* keep_path() replaces the text it may point to */

		read_file(l, copy, NULL, 0);
		keep_path(l, copy);
		free(copy);
	}
	for (i = 0; i < override_count; i++) {
		if (!span_starts(span_cstr(overrides[i]), conffile))
			read_override(l, overrides[i]);
	}
	conf_finish(l->c);
	conf_check(l->c, l->errors);
}

enum rc
conf_load(const char *path, const char *const *overrides, size_t override_count, struct conf **conf_out, struct conf_errors *errors_out)
{
	struct loader l = { .c = conf_create(), .errors = errors_out };

	*conf_out = NULL;
	*errors_out = (struct conf_errors){ 0 };
	load(&l, path, overrides, override_count);
	if (conf_errors_has_error(errors_out)) {
		conf_destroy(&l.c);
		return l.is_unreadable ? RC_TEMP : RC_SYNTAX;
	}
	*conf_out = l.c;
	return RC_OK;
}

struct conf *
conf_load_loosely(const char *path, const char *const *overrides, size_t override_count, struct conf_errors *errors_out)
{
	struct loader l = { .c = conf_create(), .errors = errors_out };

	*errors_out = (struct conf_errors){ 0 };
	load(&l, path, overrides, override_count);
	return l.c;
}
