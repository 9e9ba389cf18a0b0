/* snapshot - one generation's configuration as bytes; see snapshot.h. */
#include "common/conf/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/fdio.h"
#include "common/base/ip.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_int.h"

enum {
	HEADER_MAX = 64 * KIB,          /* one section's header line */
	FILES_MAX = 10000,
};

static const char magic[] = "ENMASNAP1\n";

/* ---- making ---------------------------------------------------------------------------------------------- */

/* A path as one field of a line. */
static void
print_file_name(struct buf *b, const char *file)
{
	for (; *file != '\0'; file++)
		buf_byte(b, (unsigned char)*file < 0x20 ? '?' : *file);
}

static void
print_conf(const struct conf *c, struct buf *b)
{
	size_t r, i;

	for (r = 0; r < conf_row_count; r++) {
		const struct conf_origin *o = &c->origins[r];

		for (i = 0; i < o->n; i++) {
			print_file_name(b, o->v[i].file);
			buf_fmt(b, "\t%u\t%s: ", o->v[i].line, conf_rows[r].name);
			buf_str(b, o->v[i].value);
			buf_byte(b, '\n');
		}
	}
}

struct maker {
	const struct conf *c;
	struct buf *out;
	struct conf_errors *errors;
	struct ip_set *scratch;         /* ranges of files, to find out whether they are ranges */
	const char **done;              /* paths that are in */
	size_t done_count;
	enum rc rc;
};

static void
worsen(struct maker *m, enum rc rc)
{
	if (m->rc == RC_OK || rc == RC_TEMP)
		m->rc = rc;
}

/* Adds the ranges of a file, one a line; '#' begins a comment. */
static enum rc
add_ranges(struct ip_set *set, struct span text, const char *path, struct conf_errors *errors)
{
	struct span line;
	const char *why;
	unsigned number = 0;
	enum rc rc = RC_OK;

	while (span_split(&text, '\n', &line)) {
		number++;
		line = span_trim(span_sub(line, 0, span_find(line, '#')));
		if (line.n == 0)
			continue;
		if (ip_set_count(set) >= SNAPSHOT_RANGES_MAX) {
			conf_errors_add(errors, false, path, number, "more than %d ranges in common.exclusion_addresses", SNAPSHOT_RANGES_MAX);
			return RC_LIMIT;
		}
		if (ip_set_add(set, line, &why) != RC_OK) {
			conf_errors_add(errors, false, path, number, "\"%s\": %s", log_str(line), why);
			rc = RC_SYNTAX;
		}
	}
	return rc;
}

static bool
is_done(struct maker *m, const char *path)
{
	size_t i;

	for (i = 0; i < m->done_count; i++) {
		if (strcmp(m->done[i], path) == 0)
			return true;
	}
	m->done = xrealloc(m->done, m->done_count + 1, sizeof *m->done);
	m->done[m->done_count++] = path;
	return false;
}

static void
add_file(struct maker *m, const char *key, const char *path, bool is_ranges)
{
	const struct conf_origin *o = conf_origin_of(m->c, conf_row_find(span_cstr(key)));
	struct buf text;
	char why[FDIO_WHY_MAX];
	enum rc rc;

	if (is_done(m, path))
		return;
	if (m->done_count > FILES_MAX) {
		conf_errors_add(m->errors, false, NULL, 0, "%s: more than %d files", key, FILES_MAX);
		worsen(m, RC_SYNTAX);
		return;
	}
	text = buf_heap(CONF_FILE_MAX);
	if (fdio_read_file(path, CONF_FILE_MAX, &text, why, sizeof why) != RC_OK) {
		conf_errors_add(m->errors, false, o->n ? o->v[0].file : NULL, o->n ? o->v[0].line : 0, "%s: %s", key, why);
		worsen(m, RC_TEMP);
	} else {
		rc = is_ranges ? add_ranges(m->scratch, buf_text(&text), path, m->errors) : RC_OK;
		if (rc != RC_OK)
			worsen(m, RC_SYNTAX);
		buf_fmt(m->out, "file %zu ", text.n);
		buf_str(m->out, path);
		buf_byte(m->out, '\n');
		buf_span(m->out, buf_text(&text));
	}
	buf_fini(&text);
}

enum rc
snapshot_make(const struct conf *c, struct buf *out, struct conf_errors *errors)
{
	struct maker m = { .c = c, .out = out, .errors = errors, .scratch = ip_set_create(), .rc = RC_OK };
	struct buf text = buf_heap(CONF_FILE_MAX * 2ul);
	size_t i;

	print_conf(c, &text);
	buf_str(out, magic);
	buf_fmt(out, "conf %zu\n", text.n);
	buf_span(out, buf_text(&text));
	if (!buf_ok(&text))
		worsen(&m, RC_LIMIT);
	buf_fini(&text);
	if (c->resolver_zone[0] != '\0')
		add_file(&m, "resolver.zone", c->resolver_zone, false);
	if (c->resolver_trust_anchor[0] != '\0')
		add_file(&m, "resolver.trust_anchor", c->resolver_trust_anchor, false);
	for (i = 0; i < c->exclusion_addresses.n; i++) {
		if (c->exclusion_addresses.v[i][0] == '/')
			add_file(&m, "common.exclusion_addresses", c->exclusion_addresses.v[i], true);
	}
	if (m.rc == RC_OK && !buf_ok(out)) {
		conf_errors_add(errors, false, NULL, 0, "the files that the configuration names are larger than %zu bytes together", out->ceiling);
		m.rc = RC_LIMIT;
	}
	ip_set_destroy(&m.scratch);
	free(m.done);
	return m.rc;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

struct snapshot_item {
	struct span path, text;         /* in the caller's bytes */
};

struct snapshot {
	struct conf *conf;
	struct snapshot_item *file;
	size_t file_count;
};

/* "<file> TAB <line> TAB <key>: <value>" */
static bool
read_setting(struct conf *c, struct span line, struct conf_errors *errors)
{
	struct span file, number, key;
	uint64_t n;
	char *name;
	size_t colon;

	if (!span_split(&line, '\t', &file) || !span_split(&line, '\t', &number) || span_is_null(line))
		return false;
	colon = span_find(line, ':');
	key = span_sub(line, 0, colon);
	if (!span_to_uint(number, UINT32_MAX, &n) || colon == line.n || conf_row_find(key) == NULL || memchr(line.p, '\0', line.n) != NULL)
		return false;
	name = xstrndup(file.p, file.n);
	conf_set(c, key, span_trim(span_from(line, colon + 1)), name, (unsigned)n, true, errors);
	free(name);
	return true;
}

static bool
read_conf(struct conf *c, struct span text)
{
	struct conf_errors errors = { 0 };
	struct span line;
	bool is_good = true;

	while (is_good && span_split(&text, '\n', &line)) {
		if (line.n > 0)
			is_good = read_setting(c, line, &errors);
	}
	is_good = is_good && !conf_errors_has_error(&errors);
	conf_errors_fini(&errors);
	return is_good;
}

/* Takes "<kind> <bytes>[ <path>]\n<bytes>" off *rest. */
static bool
take_section(struct span *rest, struct span *kind, struct span *path, struct span *text)
{
	struct span header = span_sub(*rest, 0, span_find(span_sub(*rest, 0, HEADER_MAX), '\n')), number;
	uint64_t n;

	*rest = span_from(*rest, header.n);
	if (rest->n == 0 || rest->p[0] != '\n')
		return false;
	*rest = span_from(*rest, 1);
	*kind = SPAN_NULL;
	if (!span_split(&header, ' ', kind) || !span_split(&header, ' ', &number) || !span_to_uint(number, rest->n, &n))
		return false;
	*path = header;
	*text = span_sub(*rest, 0, (size_t)n);
	*rest = span_from(*rest, (size_t)n);
	return true;
}

static bool
read_sections(struct snapshot *s, struct span rest)
{
	struct span kind, path, text;

	if (!take_section(&rest, &kind, &path, &text) || !span_eq(kind, SPAN("conf")) || !span_is_null(path) || !read_conf(s->conf, text))
		return false;
	while (rest.n > 0) {
		if (!take_section(&rest, &kind, &path, &text) || !span_eq(kind, SPAN("file")) || path.n == 0 || s->file_count == FILES_MAX)
			return false;
		if ((s->file_count & (s->file_count - 1)) == 0)         /* room doubles at powers of two */
			s->file = xrealloc(s->file, MAX(s->file_count * 2, (size_t)1), sizeof *s->file);
		s->file[s->file_count++] = (struct snapshot_item){ path, text };
	}
	return true;
}

enum rc
snapshot_read(struct span bytes, struct snapshot **out)
{
	struct snapshot *s;

	*out = NULL;
	if (!span_starts(bytes, SPAN("ENMASNAP1\n")))
		return RC_SYNTAX;
	s = xcalloc(1, sizeof *s);
	s->conf = conf_create();
	if (!read_sections(s, span_from(bytes, sizeof magic - 1))) {
		snapshot_destroy(&s);
		return RC_SYNTAX;
	}
	conf_finish(s->conf);
	*out = s;
	return RC_OK;
}

void
snapshot_destroy(struct snapshot **s)
{
	if (*s == NULL)
		return;
	conf_destroy(&(*s)->conf);
	free((*s)->file);
	free(*s);
	*s = NULL;
}

const struct conf *
snapshot_conf(const struct snapshot *s)
{
	return s->conf;
}

struct span
snapshot_file(const struct snapshot *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->file_count; i++) {
		if (span_eq(s->file[i].path, span_cstr(path)))
			return s->file[i].text;
	}
	return SPAN_NULL;
}
