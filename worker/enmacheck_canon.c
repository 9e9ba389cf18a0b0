/* enmacheck_canon - canonical forms, shown so that nothing in them is hidden; see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/base/xalloc.h"

void
canon_copy_init(struct canon_copy *c)
{
	*c = (struct canon_copy){ .text = buf_heap(CANON_SHOWN_MAX) };
}

void
canon_copy_put(struct canon_copy *c, const char *p, size_t n)
{
	if (n == 0)
		return;
	if (c->file != NULL)
		fwrite(p, 1, n, c->file);
	if (c->text.n < CANON_SHOWN_MAX)
		buf_span(&c->text, span_of(p, MIN(n, CANON_SHOWN_MAX - c->text.n)));
	c->bytes += n;
}

void
canon_copy_fini(struct canon_copy *c)
{
	buf_fini(&c->text);
}

static bool
is_crlf(struct span s, size_t i)
{
	return i + 1 < s.n && s.p[i] == '\r' && s.p[i + 1] == '\n';
}

/* '<' is escaped where it could be taken for one of our marks. */
static void
print_byte(struct buf *b, struct span s, size_t i)
{
	unsigned char c = (unsigned char)s.p[i];
	bool is_mark = c == '<' && (span_starts(span_from(s, i), SPAN("<CRLF>")));

	if (ascii_is_print(c) && c != '\\' && !is_mark)
		buf_byte(b, (char)c);
	else
		buf_fmt(b, "\\x%02X", c);
}

void
canon_print(struct buf *b, const struct canon_copy *c, const char *indent)
{
	struct span s = span_of(c->text.p, c->text.n);
	bool is_start = true;

	for (size_t i = 0; i < s.n; i++) {
		if (is_start)
			buf_str(b, indent);
		is_start = is_crlf(s, i);
		if (is_start) {
			buf_str(b, "<CRLF>\n");
			i++;
		} else {
			print_byte(b, s, i);
		}
	}
	if (s.n > 0 && !is_start)
		buf_byte(b, '\n');
	if (s.n == 0)
		buf_fmt(b, "%s(nothing)\n", indent);
	if (c->bytes > s.n)
		buf_fmt(b, "%s... and %llu bytes more (--canon-dir writes all of them)\n", indent, (unsigned long long)(c->bytes - s.n));
}

/* ---- files of what was hashed ---- */

static int
complain(const char *path)
{
	fprintf(stderr, "enmacheck: %s: %s\n", path, strerror(errno));
	return EX_CANTCREAT;
}

static int
open_copy(const struct check *c, struct canon_copy *copy, const char *name, size_t number)
{
	char *path;

	if (c->args->canon_dir == NULL)
		return EX_OK;
	path = number > 0 ? xasprintf("%s/%s.%zu", c->args->canon_dir, name, number) : xasprintf("%s/%s", c->args->canon_dir, name);
	copy->file = fopen(path, "we");
	if (copy->file == NULL)
		complain(path);
	free(path);
	return copy->file != NULL ? EX_OK : EX_CANTCREAT;
}

static int
close_copy(const struct check *c, struct canon_copy *copy)
{
	bool has_failed = copy->file != NULL && ferror(copy->file);

	if (copy->file == NULL)
		return EX_OK;
	has_failed |= fclose(copy->file) != 0;
	copy->file = NULL;
	return has_failed ? complain(c->args->canon_dir) : EX_OK;
}

int
canon_open_files(struct check *c)
{
	struct check_dkim *x = c->dkim;
	int code = EX_OK;

	if (c->args->canon_dir != NULL && mkdir(c->args->canon_dir, 0777) != 0 && errno != EEXIST)
		return complain(c->args->canon_dir);
	for (size_t i = 0; i < x->n && code == EX_OK; i++)
		code = open_copy(c, &x->v[i].canon, "header", i + 1);
	for (size_t i = 0; i < ARRAY_LEN(x->body) && code == EX_OK && x->n > 0; i++)
		code = open_copy(c, &x->body[i], i == CANON_SIMPLE ? "body.simple" : "body.relaxed", 0);
	return code;
}

int
canon_close_files(struct check *c)
{
	struct check_dkim *x = c->dkim;
	int code = EX_OK, one;

	for (size_t i = 0; i < x->n; i++)
		if ((one = close_copy(c, &x->v[i].canon)) != EX_OK)
			code = one;
	for (size_t i = 0; i < ARRAY_LEN(x->body); i++)
		if ((one = close_copy(c, &x->body[i])) != EX_OK)
			code = one;
	return code;
}
