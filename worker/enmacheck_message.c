/*
 * enmacheck_message - a message file as an MTA would hand it to a milter: its header, and its body if some mechanism wants it; see enmacheck.h.
 *
 * LF or CRLF; an mbox line "From " in front is skipped.  The header ends at the first empty line, or at a line that is neither a
 * field nor its continuation, as MTAs see it.
 */
#include "worker/enmacheck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/xalloc.h"

enum { CHUNK = 64 * KIB };

static int
complain(const char *file, const char *what)
{
	fprintf(stderr, "enmacheck: %s: %s\n", file, what);
	return EX_NOINPUT;
}

/* Is the end of the header within s? */
static bool
has_header_end(struct span s)
{
	return memmem(s.p, s.n, "\n\n", 2) != NULL || memmem(s.p, s.n, "\n\r\n", 3) != NULL;
}

/* Reads until the header is over, perhaps with a part of the body. */
static int
read_header(int fd, struct check_header *h, size_t *n_out)
{
	size_t n = 0, room = 0, seen;
	ssize_t got;

	do {
		if (room - n < CHUNK) {
			room = MAX(room * 2, (size_t)2 * CHUNK);
			h->bytes = xrealloc(h->bytes, room, 1);
		}
		got = read(fd, h->bytes + n, CHUNK);
		if (got < 0 && errno == EINTR)
			got = 0;
		else if (got <= 0)
			break;
		seen = n > 2 ? n - 2 : 0;
		n += (size_t)got;
		if (has_header_end(span_of(h->bytes + seen, n - seen)))
			break;
	} while (n < CHECK_HEADER_MAX);
	h->is_cut = n >= CHECK_HEADER_MAX;
	*n_out = n;
	return got < 0 ? errno : 0;
}

/* name ":" - the name is printable ASCII, blanks may stand before the colon (and are no part of it, RFC 5322 section 4.5). */
static bool
is_field_start(struct span line, size_t *colon_out)
{
	size_t colon = span_find(line, ':'), n = colon;

	if (colon == line.n)
		return false;
	while (n > 0 && ascii_is_wsp((unsigned char)line.p[n - 1]))
		n--;
	for (size_t i = 0; i < n; i++)
		if (line.p[i] <= ' ' || (unsigned char)line.p[i] >= 0x7f)
			return false;
	*colon_out = colon;
	return n > 0;
}

/* What stands behind the line that ends the header: behind an empty line, or from a line on that is no field. */
static struct span
rest_behind_header(struct span rest)
{
	struct span here = rest, line;
	size_t colon;
	bool is_first = true, has_field = false;

	while (span_split(&rest, '\n', &line)) {
		bool is_fold = has_field && line.n > 0 && ascii_is_wsp((unsigned char)line.p[0]);

		if (line.n == 0 || span_eq(line, SPAN("\r")))
			return rest;
		if (!(is_first && span_starts(line, SPAN("From "))) && !is_fold) {
			if (!is_field_start(line, &colon) || ascii_is_wsp((unsigned char)line.p[0]))
				return here;
			has_field = true;
		}
		is_first = false;
		here = rest;
	}
	return SPAN_NULL;
}

/* What is left of the file.  0 or errno. */
static int
read_body(int fd, struct check_header *h)
{
	char *chunk = xmalloc(CHUNK);
	ssize_t got = 1;

	while (got != 0 && buf_ok(&h->body)) {
		got = read(fd, chunk, CHUNK);
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			buf_span(&h->body, span_of(chunk, (size_t)got));
	}
	free(chunk);
	if (!buf_ok(&h->body))
		return EFBIG;
	return got < 0 && errno != EINTR ? errno : 0;
}

static int
load(const char *file, struct check_header *h, bool wants_body, size_t *n_out)
{
	bool is_stdin = strcmp(file, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error;

	if (fd < 0)
		return complain(file, strerror(errno));
	error = read_header(fd, h, n_out);
	if (error == 0 && wants_body && !h->is_cut) {
		buf_span(&h->body, rest_behind_header(span_of(h->bytes, *n_out)));
		error = read_body(fd, h);
	}
	if (!is_stdin)
		close(fd);
	if (error == EFBIG) {
		complain(file, "the body is longer than 256 MiB");
		return EX_DATAERR;
	}
	return error == 0 ? EX_OK : complain(file, strerror(error));
}

static void
add_field(struct check_header *h, struct span line, size_t colon)
{
	if (h->n == h->room) {
		h->room = h->room == 0 ? 64 : h->room * 2;
		h->v = xrealloc(h->v, h->room, sizeof *h->v);
	}
	h->v[h->n++] = (struct check_field){ .name = span_sub(line, 0, colon), .value = span_from(line, colon + 1) };
}

/* Drops CR before LF in place, so that a folded value is one span with LF inside. */
static size_t
drop_cr(char *p, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++)
		if (p[i] != '\r' || i + 1 >= n || p[i + 1] != '\n')
			p[to++] = p[i];
	return to;
}

static void
split_fields(struct check_header *h, struct span rest)
{
	struct span line;
	size_t colon, number = 0;

	while (span_split(&rest, '\n', &line) && line.n > 0) {
		struct check_field *last = h->n > 0 ? &h->v[h->n - 1] : NULL;

		if (number++ == 0 && span_starts(line, SPAN("From "))) {
			h->ignored++;
		} else if (last != NULL && ascii_is_wsp((unsigned char)line.p[0])) {
			last->value.n = (size_t)(line.p + line.n - last->value.p);
		} else if (is_field_start(line, &colon) && !ascii_is_wsp((unsigned char)line.p[0])) {
			add_field(h, line, colon);
		} else {
			if (last == NULL)
				h->ignored++;
			return;
		}
	}
}

/* Through libmilter nothing behind a NUL is seen. */
static struct span
as_c_string(struct span s)
{
	return span_sub(s, 0, span_find(s, '\0'));
}

/* A file without any CRLF was stored with other line ends than the wire has. */
static void
lengthen_ends(struct buf *body, bool is_lf_file)
{
	struct span s = buf_text(body);
	struct buf to = buf_heap(2 * (size_t)CHECK_BODY_MAX);

	if (!is_lf_file || memmem(s.p, s.n, "\r\n", 2) != NULL)
		return;
	while (s.n > 0) {
		size_t n = span_find(s, '\n');

		buf_span(&to, span_sub(s, 0, n));
		if (n < s.n)
			buf_span(&to, SPAN("\r\n"));
		s = span_from(s, n + 1);
	}
	buf_fini(body);
	*body = to;
}

int
check_read_message(struct check *c)
{
	struct check_header *h = &c->header;
	struct message *m = c->message;
	size_t n = 0;
	bool wants_body = mechanisms_want_body(&c->mechanisms.eval) && m->skip_why == NULL;
	int code;

	h->body = buf_heap(CHECK_BODY_MAX);
	code = load(c->args->file, h, wants_body, &n);
	if (code != EX_OK)
		return code;
	lengthen_ends(&h->body, n > 0 && memmem(h->bytes, n, "\r\n", 2) == NULL);
	if (wants_body)
		message_keep_headers(m, check_conf(c));
	if (h->is_cut)
		fprintf(stderr, "enmacheck: %s: only the first %d MiB of the header are looked at\n", c->args->file, CHECK_HEADER_MAX / MIB);
	split_fields(h, span_of(h->bytes, drop_cr(h->bytes, n)));
	for (size_t i = 0; i < h->n; i++) {
		struct check_field *f = &h->v[i];
		const struct message_claim *before = m->claims;

		message_see_header(m, check_conf(c), c->ids, as_c_string(f->name), as_c_string(f->value));
		message_keep_header(m, as_c_string(f->name), as_c_string(f->value), true);
		f->is_removed = m->claims != before;
		if (f->is_removed) {
			f->index = m->claims->index;
			c->removed++;
		}
	}
	return EX_OK;
}
