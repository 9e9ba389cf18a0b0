/*
 * enmacheck_mail - a message file with all its bytes, as DKIM's hashes need it; see enmacheck_dkim.h.
 *
 * A file whose lines all end in LF is taken for one that was stored so, and each LF for a CRLF.  In any other file a CR or LF that stands alone in
 * the body is what it is, a byte.
 */
#include "worker/enmacheck_dkim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/xalloc.h"

enum { CHUNK = 1 * MIB };

static int
complain(const char *file, const char *what, int code)
{
	fprintf(stderr, "enmacheck: %s: %s\n", file, what);
	return code;
}

/* ---- reading ---- */

/* 0 or errno; EFBIG: longer than MAIL_FILE_MAX. */
static int
read_all(int fd, char **bytes_out, size_t *n_out)
{
	size_t n = 0, room = 0;
	ssize_t got = 1;

	*bytes_out = NULL;
	while (got != 0 && n <= MAIL_FILE_MAX) {
		if (room - n < CHUNK) {
			room = MAX(room * 2, (size_t)2 * CHUNK);
			*bytes_out = xrealloc(*bytes_out, room, 1);
		}
		got = read(fd, *bytes_out + n, CHUNK);
		if (got < 0 && errno != EINTR)
			return errno;
		n += got > 0 ? (size_t)got : 0;
	}
	*n_out = n;
	return n > MAIL_FILE_MAX ? EFBIG : 0;
}

static int
load(struct mail_file *m, const char *file, size_t *n_out)
{
	bool is_stdin = strcmp(file, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int error;

	if (fd < 0)
		return complain(file, strerror(errno), EX_NOINPUT);
	error = read_all(fd, &m->bytes, n_out);
	if (!is_stdin)
		close(fd);
	if (error == EFBIG)
		return complain(file, "longer than 256 MiB", EX_DATAERR);
	return error == 0 ? EX_OK : complain(file, strerror(error), EX_NOINPUT);
}

/* ---- the header ---- */

/* name ":", where blanks may stand before the colon (RFC 5322 section 4.5). */
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

/* Without its LF or CRLF, which is taken off *rest, too. */
static struct span
take_line(struct span *rest)
{
	size_t lf = span_find(*rest, '\n');
	struct span line = span_sub(*rest, 0, lf);

	*rest = span_from(*rest, lf + 1);
	if (lf > 0 && line.n > 0 && line.p[line.n - 1] == '\r' && line.p + line.n != rest->p)
		line.n--;
	return line;
}

/* From the line on: the whole field with its folds, without the last line end. */
static struct span
take_field(struct span *rest)
{
	struct span field = take_line(rest);

	while (rest->n > 0 && ascii_is_wsp((unsigned char)rest->p[0])) {
		struct span more = take_line(rest);

		field.n = (size_t)(more.p + more.n - field.p);
	}
	return field;
}

/* Fields up to the empty line, or to what is no field: that is where MTAs begin the body. */
static int
split_header(struct mail_file *m, struct span *rest, const char *file)
{
	size_t colon;

	if (span_starts(*rest, SPAN("From "))) {
		take_line(rest);
		m->has_mbox_line = true;
	}
	while (rest->n > 0) {
		struct span peek = *rest, line = take_line(&peek), field;

		if (line.n == 0) {
			*rest = peek;
			m->has_end = true;
			return EX_OK;
		}
		if (!is_field_start(line, &colon) || ascii_is_wsp((unsigned char)line.p[0]))
			return EX_OK;
		field = take_field(rest);
		if (m->header.bytes + field.n > MAIL_HEADER_MAX ||
		    header_add(&m->header, span_sub(field, 0, colon), span_from(field, colon + 1), true) != RC_OK)
			return complain(file, "the header is longer than 16 MiB", EX_DATAERR);
	}
	return EX_OK;
}

/* ---- line ends ---- */

static void
count_ends(struct span s, uint64_t *crlf, uint64_t *lone_lf, uint64_t *lone_cr)
{
	*crlf = *lone_lf = *lone_cr = 0;
	for (size_t i = 0; i < s.n; i++) {
		bool is_behind_cr = i > 0 && s.p[i - 1] == '\r';

		*lone_lf += s.p[i] == '\n' && !is_behind_cr;
		*crlf += s.p[i] == '\n' && is_behind_cr;
		*lone_cr += s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n');
	}
}

static void
lengthen_ends(struct mail_file *m, size_t lf)
{
	size_t n = 0;

	m->own_body = xcalloc(m->body.n + lf + 1, 1);
	for (size_t i = 0; i < m->body.n; i++) {
		if (m->body.p[i] == '\n')
			m->own_body[n++] = '\r';
		m->own_body[n++] = m->body.p[i];
	}
	m->body = span_of(m->own_body, n);
}

int
mail_read(struct mail_file *m, const char *file, struct arena *a)
{
	uint64_t crlf, lf, cr;
	struct span rest;
	size_t n = 0;
	int code;

	*m = (struct mail_file){ 0 };
	header_init(&m->header, a);
	code = load(m, file, &n);
	if (code != EX_OK)
		return code;
	rest = span_of(m->bytes, n);
	count_ends(rest, &m->crlf, &m->lone_lf, &cr);
	m->is_lf_file = m->crlf == 0 && m->lone_lf > 0;
	code = split_header(m, &rest, file);
	if (code != EX_OK)
		return code;
	m->body = rest;
	count_ends(rest, &crlf, &lf, &cr);
	if (m->is_lf_file)
		lengthen_ends(m, (size_t)lf);
	m->body_lf = m->is_lf_file ? 0 : lf;
	m->body_cr = cr;
	for (size_t i = 0; i < n; i++)
		m->nuls += m->bytes[i] == '\0';
	return EX_OK;
}

void
mail_fini(struct mail_file *m)
{
	free(m->bytes);
	free(m->own_body);
}

struct span
mail_get(const struct mail_file *m, struct span name)
{
	for (size_t i = 0; i < m->header.n; i++)
		if (header_is(&m->header.v[i], name))
			return span_trim(m->header.v[i].value);
	return SPAN_NULL;
}
