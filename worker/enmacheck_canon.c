/* enmacheck_canon - canonical forms, shown so that nothing in them is hidden; see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"

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
