/* canon - see canon.h. */
#include "common/mail/canon.h"

enum {
	STEP = 16,                      /* bytes looked at together */
	LOWER_ROOM = 64,
	PACKED_ROOM = 512,
	LINE_ENDS = 32,                 /* in one constant */
};

/* Portable vectors: SSE2, NEON or whatever the compiler makes of them. */
typedef unsigned char bytes16 __attribute__((vector_size(STEP)));
typedef uint64_t words2 __attribute__((vector_size(STEP)));

#define CRLF_8 "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
static const char line_ends[] = CRLF_8 CRLF_8 CRLF_8 CRLF_8;
_Static_assert(sizeof line_ends == 2 * LINE_ENDS + 1, "LINE_ENDS");

const char *
canon_name(enum canon c)
{
	static const char *const names[] = { [CANON_SIMPLE] = "simple", [CANON_RELAXED] = "relaxed", [CANON_NOFWS] = "nofws" };

	return names[c];
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What neither ends a line nor is a blank, as far as one byte tells. */
static bool
is_plain(char c)
{
	return !is_blank(c) && c != '\r';
}

/* A table: the answer is added up without a branch. */
static const bool is_fws[256] = { [' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true };

/* ---- header fields ---- */

/* A text with a piece cut out of it: a, then b. */
struct text {
	struct span a, b;
	canon_sink_fn *sink;
	void *arg;
};

static size_t
text_len(const struct text *t)
{
	return t->a.n + t->b.n;
}

static char
text_at(const struct text *t, size_t i)
{
	return i < t->a.n ? t->a.p[i] : t->b.p[i - t->a.n];
}

static void
text_send(const struct text *t, size_t from, size_t to)
{
	if (from < t->a.n && from < to)
		t->sink(t->arg, t->a.p + from, MIN(to, t->a.n) - from);
	from = MAX(from, t->a.n);
	if (from < to)
		t->sink(t->arg, t->b.p + (from - t->a.n), to - from);
}

static bool
is_fold(const struct text *t, size_t i)
{
	return i + 2 < text_len(t) && text_at(t, i) == '\r' && text_at(t, i + 1) == '\n' && is_blank(text_at(t, i + 2));
}

/* The end of what goes out as it is from `from` on: plain bytes, and single blanks between such. */
static size_t
text_run(const struct text *t, size_t from)
{
	size_t n = text_len(t), i = from + 1;

	while (i < n && (is_plain(text_at(t, i)) || (text_at(t, i) == ' ' && i + 1 < n && is_plain(text_at(t, i + 1)))))
		i++;
	return i;
}

/* RFC 6376 section 3.4.2, of one side of the colon. */
static void
text_relaxed(const struct text *t)
{
	bool has_blanks = false, has_content = false;
	size_t i = 0, end;

	while (i < text_len(t)) {
		if (is_blank(text_at(t, i))) {
			has_blanks = true;
			i++;
			continue;
		}
		if (is_fold(t, i)) {
			i += 2;
			continue;
		}
		if (has_blanks && has_content)
			t->sink(t->arg, " ", 1);
		end = text_run(t, i);
		text_send(t, i, end);
		has_blanks = false;
		has_content = true;
		i = end;
	}
}

/* RFC 4870 section 3.4.2.2 */
static void
text_nofws(const struct text *t)
{
	size_t n = text_len(t), i = 0, from;

	while (i < n) {
		while (i < n && is_fws[(unsigned char)text_at(t, i)])
			i++;
		from = i;
		while (i < n && !is_fws[(unsigned char)text_at(t, i)])
			i++;
		text_send(t, from, i);
	}
}

static void
text_canon(enum canon c, const struct text *t)
{
	switch (c) {
	case CANON_SIMPLE:
		text_send(t, 0, text_len(t));
		break;
	case CANON_RELAXED:
		text_relaxed(t);
		break;
	case CANON_NOFWS:
		text_nofws(t);
		break;
	}
}

static void
lower_sink(void *arg, const char *p, size_t n)
{
	const struct text *to = arg;
	char lower[LOWER_ROOM];

	while (n > 0) {
		size_t part = MIN(n, sizeof lower);

		for (size_t i = 0; i < part; i++)
			lower[i] = (char)ascii_lower((unsigned char)p[i]);
		to->sink(to->arg, lower, part);
		p += part;
		n -= part;
	}
}

static void
canon_field(enum canon c, struct span name, const struct text *value, bool with_crlf)
{
	struct text to = *value;
	struct text before = { .a = name, .sink = value->sink, .arg = value->arg };

	if (c == CANON_RELAXED) {
		before.sink = lower_sink;
		before.arg = &to;
	}
	text_canon(c, &before);
	value->sink(value->arg, ":", 1);
	text_canon(c, value);
	if (with_crlf)
		value->sink(value->arg, "\r\n", 2);
}

void
canon_header(enum canon c, struct span name, struct span value, bool with_crlf, canon_sink_fn *sink, void *arg)
{
	struct text t = { .a = value, .sink = sink, .arg = arg };

	canon_field(c, name, &t, with_crlf);
}

void
canon_header_cut(enum canon c, struct span name, struct span value, size_t from, size_t n, canon_sink_fn *sink, void *arg)
{
	struct text t = { .a = span_sub(value, 0, from), .b = span_from(span_from(value, from), n), .sink = sink, .arg = arg };

	canon_field(c, name, &t, false);
}

/* ---- bodies ---- */

void
canon_body_init(struct canon_body *b, enum canon kind, canon_sink_fn *sink, void *arg)
{
	*b = (struct canon_body){ .kind = kind, .sink = sink, .arg = arg };
}

static void
send(struct canon_body *b, const char *p, size_t n)
{
	if (n == 0)
		return;
	b->out_bytes += n;
	b->sink(b->arg, p, n);
}

/* Content follows: what waited was not at the end. */
static void
send_waiting(struct canon_body *b)
{
	while (b->line_ends > 0) {
		size_t n = (size_t)MIN(b->line_ends, (uint64_t)LINE_ENDS);

		send(b, line_ends, 2 * n);
		b->line_ends -= n;
	}
	if (b->has_blanks)
		send(b, " ", 1);
	b->has_blanks = false;
}

/* The CR that waits stands alone. */
static void
lone_cr(struct canon_body *b)
{
	b->has_cr = false;
	if (b->kind == CANON_NOFWS)
		return;
	send_waiting(b);
	send(b, "\r", 1);
}

static void
line_end(struct canon_body *b)
{
	b->has_cr = b->has_blanks = false;
	b->line_ends++;
}

/* Only the end of a piece matters: everything before its last line ends goes out as it is. */
static void
feed_simple(struct canon_body *b, struct span s)
{
	bool ends_with_cr = s.n > 0 && s.p[s.n - 1] == '\r';
	uint64_t ends = 0;

	if (ends_with_cr)
		s.n--;
	for (; s.n >= 2 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\r'; s.n -= 2)
		ends++;
	if (s.n > 0) {
		send_waiting(b);
		send(b, s.p, s.n);
	}
	b->line_ends += ends;
	b->has_cr = ends_with_cr;
}

/* Whether `here` cannot go out as it is, for what stands behind it: a tab, a blank that is not single or may end its line. */
static bool
is_trouble(char here, char behind)
{
	return here == '\t' || (here == ' ' && !is_plain(behind));
}

static bytes16
load(const char *p)
{
	bytes16 v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* is_trouble() of STEP bytes from p on, a byte of ones for each that is; reads one byte behind them. */
static words2
trouble(const char *p)
{
	bytes16 here = load(p), behind = load(p + 1);
	bytes16 tab = (bytes16)(here == '\t'), blank = (bytes16)(here == ' ');
	bytes16 after_blank = (bytes16)(behind == ' ') | (bytes16)(behind == '\t') | (bytes16)(behind == '\r');

	return (words2)(tab | (blank & after_blank));
}

/* Index of the first byte of ones in w, which has one. */
static size_t
first_byte(uint64_t w)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(w) / 8;
#else
	return (size_t)__builtin_clzll(w) / 8;
#endif
}

/* The first place from i on that is_trouble(), or the last byte unless it is certainly content, or s.n. */
static size_t
find_trouble(struct span s, size_t i)
{
	for (; i + 2 * STEP < s.n; i += 2 * STEP) {
		words2 one = trouble(s.p + i), two = trouble(s.p + i + STEP), any = one | two;

		if ((any[0] | any[1]) == 0)
			continue;
		if (one[0] != 0)
			return i + first_byte(one[0]);
		if (one[1] != 0)
			return i + STEP / 2 + first_byte(one[1]);
		if (two[0] != 0)
			return i + STEP + first_byte(two[0]);
		return i + STEP + STEP / 2 + first_byte(two[1]);
	}
	while (i + 1 < s.n && !is_trouble(s.p[i], s.p[i + 1]))
		i++;
	return i + 1 == s.n && is_plain(s.p[i]) ? s.n : i;
}

/* The end of what may go out as it is from i on, where content is: at its end no line ends, and no CR that may begin one.  (No blank either: one
 * that something plain follows is not the last.) */
static size_t
relaxed_run(struct span s, size_t i)
{
	size_t end = find_trouble(s, i + 1);

	while (end > i + 2 && s.p[end - 1] == '\n' && s.p[end - 2] == '\r')
		end -= 2;
	return end > i + 1 && s.p[end - 1] == '\r' ? end - 1 : end;
}

/* The CR at i: a line end, a byte like others (false), or the last one of the piece, which must wait.  *i_io: behind what was taken. */
static bool
take_cr(struct canon_body *b, struct span s, size_t *i_io)
{
	if (*i_io + 1 == s.n) {
		b->has_cr = true;
		++*i_io;
		return true;
	}
	if (s.p[*i_io + 1] != '\n')
		return false;
	line_end(b);
	*i_io += 2;
	return true;
}

static void
feed_relaxed(struct canon_body *b, struct span s)
{
	size_t i = 0, end;

	while (i < s.n) {
		if (is_blank(s.p[i])) {
			b->has_blanks = true;
			while (++i < s.n && is_blank(s.p[i]))
				;
		} else if (s.p[i] != '\r' || !take_cr(b, s, &i)) {
			send_waiting(b);
			end = relaxed_run(s, i);
			send(b, s.p + i, end - i);
			i = end;
		}
	}
}

/* Words are short: without their blanks they are copied together, which costs less than a call for each. */
static void
send_nofws(struct canon_body *b, struct span s)
{
	char packed[PACKED_ROOM];

	while (s.n > 0) {
		size_t part = MIN(s.n, sizeof packed), n = 0;

		for (size_t i = 0; i < part; i++) {
			packed[n] = s.p[i];
			n += !is_fws[(unsigned char)s.p[i]];
		}
		if (n > 0) {
			send_waiting(b);
			send(b, packed, n);
		}
		s = span_from(s, part);
	}
}

static void
feed_nofws(struct canon_body *b, struct span s)
{
	size_t i = 0, n;

	while (i < s.n) {
		if (s.p[i] == '\r') {
			if (!take_cr(b, s, &i))
				i++;
			continue;
		}
		n = span_find(span_from(s, i), '\r');
		send_nofws(b, span_sub(s, i, n));
		i += n;
	}
}

void
canon_body_feed(struct canon_body *b, struct span piece)
{
	b->in_bytes += piece.n;
	if (b->has_cr && piece.n > 0 && piece.p[0] == '\n') {
		line_end(b);
		piece = span_from(piece, 1);
	} else if (b->has_cr && piece.n > 0) {
		lone_cr(b);
	}
	if (piece.n == 0)
		return;
	switch (b->kind) {
	case CANON_SIMPLE:
		feed_simple(b, piece);
		break;
	case CANON_RELAXED:
		feed_relaxed(b, piece);
		break;
	case CANON_NOFWS:
		feed_nofws(b, piece);
		break;
	}
}

bool
canon_body_is_empty(const struct canon_body *b)
{
	return b->out_bytes == 0 && (!b->has_cr || b->kind == CANON_NOFWS);
}

void
canon_body_end(struct canon_body *b)
{
	if (b->has_cr)
		lone_cr(b);
	if (b->out_bytes > 0 || b->kind == CANON_SIMPLE)
		send(b, "\r\n", 2);
}
