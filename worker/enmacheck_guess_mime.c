/*
 * enmacheck_guess_mime - bodies that were re-encoded, wrapped, or got or lost a part after signing; see enmacheck_dkim.h.
 *
 * Only what stands on the way between signer and verifier in practice: a body of one part whose encoding was changed (RFC 2045 section 6), and the
 * outermost multipart (RFC 2046 section 5.1).
 */
#include "worker/enmacheck_dkim.h"

#include "common/base/b64.h"
#include "common/base/log.h"

enum {
	PARTS_MAX = 20,
	BOUNDARY_MAX = 70,              /* RFC 2046 section 5.1.1 */
	QP_LINE = 76, B64_LINE = 76,
};

/* ---- encodings ---- */

static int
hex_value(char c)
{
	if (ascii_is_digit((unsigned char)c))
		return c - '0';
	c = (char)ascii_lower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_soft_break(struct span s, size_t i)
{
	return span_starts(span_from(s, i), SPAN("=\r\n"));
}

static struct span
decode_qp(struct guess_body *g, struct span s)
{
	char *to = guess_scratch(g, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		bool has_hex = s.p[i] == '=' && s.n - i > 2 && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0;

		if (!has_hex && !is_soft_break(s, i)) {
			to[n++] = s.p[i];
			continue;
		}
		if (has_hex)
			to[n++] = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
		i += 2;
	}
	return span_of(to, n);
}

/* The bytes one character of a line needs; at its end blanks are encoded, too. */
static size_t
qp_char(char *to, struct span s, size_t i)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char c = (unsigned char)s.p[i];
	bool is_last = i + 1 == s.n || s.p[i + 1] == '\r';

	if ((ascii_is_print(c) && c != '=' && (c != ' ' || !is_last)) || (c == '\t' && !is_last)) {
		to[0] = (char)c;
		return 1;
	}
	to[0] = '=';
	to[1] = hex[c >> 4];
	to[2] = hex[c & 15];
	return 3;
}

static struct span
encode_qp(struct guess_body *g, struct span s)
{
	char *to = guess_scratch(g, s.n * 4 + 16), one[3];
	size_t n = 0, column = 0;

	for (size_t i = 0; i < s.n; i++) {
		size_t size;
		bool is_last;

		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n') {
			memcpy(to + n, "\r\n", 2);
			n += 2;
			i++;
			column = 0;
			continue;
		}
		size = qp_char(one, s, i);
		is_last = i + 1 == s.n || s.p[i + 1] == '\r';
		if (column + size > (size_t)QP_LINE - !is_last) {
			memcpy(to + n, "=\r\n", 3);
			n += 3;
			column = 0;
		}
		memcpy(to + n, one, size);
		n += size;
		column += size;
	}
	return span_of(to, n);
}

static struct span
encode_b64(struct guess_body *g, struct span s)
{
	struct buf line = buf_heap(2 * (size_t)GUESS_BODY_MAX);
	struct span text;
	char *to;
	size_t n = 0;

	b64_encode(&line, s);
	text = buf_text(&line);
	to = guess_scratch(g, text.n + text.n / B64_LINE * 2 + 4);
	for (size_t i = 0; i < text.n; i += B64_LINE) {
		struct span piece = span_sub(text, i, B64_LINE);

		memcpy(to + n, piece.p, piece.n);
		n += piece.n;
		memcpy(to + n, "\r\n", 2);
		n += 2;
	}
	buf_fini(&line);
	return span_of(to, n);
}

/* A body that now has another encoding; with_tail: or got lines at its end before. */
static void
try_form(struct guess_body *g, struct span body, const char *id, const char *text, bool with_tail)
{
	struct span first;
	uint64_t n;

	if (guess_body_fits(g, body, g->s->body_canon, g->s->l)) {
		guess_add(g->out, g->arena, id, "%s", text);
		return;
	}
	n = with_tail && g->s->l < 0 ? guess_body_tail(g, body, g->s->body_canon, &first) : 0;
	if (n > 0)
		guess_add(g->out, g->arena, id, "%s; and the last %llu line%s of the decoded text added, beginning with \"%s\"", text, (unsigned long long)n,
		    n == 1 ? " was" : "s were", log_str(first));
}

static void
try_encodings(struct guess_body *g)
{
	struct span encoding = mail_get(g->mail, SPAN("Content-Transfer-Encoding")), body = g->mail->body, decoded;

	if (span_eq_nocase(encoding, SPAN("quoted-printable"))) {
		try_form(g, decode_qp(g, body), "was-8bit", "the body was 7bit or 8bit when it was signed, and was re-encoded as quoted-printable", true);
	} else if (span_eq_nocase(encoding, SPAN("base64"))) {
		if (b64_decode(g->arena, body, GUESS_BODY_MAX, &decoded) == RC_OK)
			try_form(g, decoded, "was-8bit", "the body was 7bit or 8bit when it was signed, and was re-encoded as base64", true);
	} else {
		try_form(g, encode_qp(g, body), "was-quoted-printable", "the body was quoted-printable when it was signed, and was decoded", false);
		try_form(g, encode_b64(g, body), "was-base64", "the body was base64 when it was signed, and was decoded", false);
	}
}

/* ---- multipart ---- */

/* Each from its delimiter line on; the last one is the closing delimiter with what follows. */
struct parts {
	size_t start[PARTS_MAX + 1];
	size_t n;
};

/* The value of boundary=; absent: none. */
static struct span
find_boundary(struct span type)
{
	struct span value = SPAN_NULL;
	size_t n = 0;

	for (size_t i = 0; i + 9 <= type.n && span_is_null(value); i++)
		if (span_starts_nocase(span_from(type, i), SPAN("boundary=")))
			value = span_from(type, i + 9);
	if (value.n > 0 && value.p[0] == '"')
		return span_sub(value, 1, span_find(span_from(value, 1), '"'));
	while (n < value.n && value.p[n] > ' ' && value.p[n] != ';')
		n++;
	return span_is_null(value) ? value : span_sub(value, 0, n);
}

static bool
find_parts(struct span body, struct span boundary, struct parts *out)
{
	size_t i = 0;

	out->n = 0;
	while (i < body.n && out->n <= PARTS_MAX) {
		struct span line = span_sub(body, i, span_find(span_from(body, i), '\n') + 1);

		if (span_starts(line, SPAN("--")) && span_starts(span_from(line, 2), boundary)) {
			out->start[out->n++] = i;
			if (span_starts(span_from(line, 2 + boundary.n), SPAN("--")))
				return true;
		}
		i += line.n;
	}
	return false;
}

static void
try_without_part(struct guess_body *g, const struct parts *p, size_t part)
{
	struct span body = g->mail->body;
	char *to = guess_scratch(g, body.n);
	size_t from = p->start[part], end = p->start[part + 1];

	memcpy(to, body.p, from);
	memcpy(to + from, body.p + end, body.n - end);
	if (guess_body_fits(g, span_of(to, body.n - (end - from)), g->s->body_canon, g->s->l))
		guess_add(g->out, g->arena, "part-added", "part %zu of %zu (multipart) was added after signing, as a mailing list or a scanner does", part + 1, p->n - 1);
}

/* The first part is the whole body of before. */
static void
try_wrapped(struct guess_body *g, const struct parts *p)
{
	struct span part = span_sub(g->mail->body, p->start[0], p->start[1] - p->start[0]);
	const char *blank = memmem(part.p, part.n, "\r\n\r\n", 4);

	if (blank == NULL)
		return;
	/* a part without a header has its empty line right behind the delimiter */
	if (guess_body_fits(g, span_from(part, (size_t)(blank + 4 - part.p)), g->s->body_canon, g->s->l))
		guess_add(g->out, g->arena, "wrapped", "the body was wrapped into a multipart after signing: it is the first of now %zu parts", p->n - 1);
}

void
guess_mime(struct guess_body *g)
{
	struct span type = mail_get(g->mail, SPAN("Content-Type")), boundary;
	struct parts parts;

	if (!span_starts_nocase(type, SPAN("multipart/"))) {
		try_encodings(g);
		return;
	}
	boundary = find_boundary(type);
	if (boundary.n == 0 || boundary.n > BOUNDARY_MAX || !find_parts(g->mail->body, boundary, &parts) || parts.n < 2)
		return;
	for (size_t i = 0; i + 1 < parts.n; i++)
		try_without_part(g, &parts, i);
	try_wrapped(g, &parts);
}
