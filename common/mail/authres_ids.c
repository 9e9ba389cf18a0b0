/*
 * authres_ids - does a field claim to be written by us?  See authres.h.
 *
 * What is removed must not depend on how strictly a later reader parses: a field that a reader could take for ours has to
 * go.  So this does not use the strict parser.  It looks for the first word before the first ';', treating every control byte as white
 * space and every other special as a separator, and it reads parentheses as RFC 5322 does and as a simple reader does, for whom
 * comments neither nest nor quote; if in both readings a comment does not end, without comments.  Each reading is one pass.
 */
#include <stdlib.h>

#include "common/base/domain.h"
#include "common/base/xalloc.h"
#include "common/mail/authres.h"
#include "common/mail/scan.h"

enum {
	/* UTF-8 of a name that can become DOMAIN_MAX bytes: longer words are nobody's identifier. */
	WORD_MAX = 4 * DOMAIN_MAX,
	/* Bound of the arena for one normalisation. */
	NORMALIZE_BYTES = 16 * KIB,
};

struct authres_ids {
	struct span id;                 /* normal form; heap */
	struct span *other;
	size_t other_count;
};

enum reading { READ_NESTED, READ_FLAT, READ_RAW };

struct word {
	char text[WORD_MAX];
	size_t n;
	bool is_too_long;
};

/* ---- the set ---- */

/* The normal form of a name; anything that is no name stays as it is (comparison ignores case). */
static struct span
normal_copy(struct span id)
{
	struct span trimmed = span_trim(id), normal;
	struct arena a;
	char *copy;

	arena_init(&a, 2 * KIB, NORMALIZE_BYTES);
	if (domain_normalize(&a, trimmed, &normal) != RC_OK)
		normal = trimmed;
	copy = xmalloc(normal.n + 1);
	if (normal.n > 0)
		memcpy(copy, normal.p, normal.n);
	normal.p = copy;
	arena_fini(&a);
	return normal;
}

struct authres_ids *
authres_ids_create(struct span id, const struct span *others, size_t n)
{
	struct authres_ids *ids = xcalloc(1, sizeof(*ids));
	size_t i;

	ids->id = normal_copy(id);
	ids->other = xcalloc(n + 1, sizeof(*ids->other));
	for (i = 0; i < n; i++)
		ids->other[i] = normal_copy(others[i]);
	ids->other_count = n;
	return ids;
}

void
authres_ids_destroy(struct authres_ids **ids)
{
	struct authres_ids *set = *ids;
	size_t i;

	if (set == NULL)
		return;
	for (i = 0; i < set->other_count; i++)
		free((void *)(uintptr_t)set->other[i].p);
	free(set->other);
	free((void *)(uintptr_t)set->id.p);
	free(set);
	*ids = NULL;
}

static bool
is_in_set(const struct authres_ids *ids, struct span name)
{
	size_t i;

	if (name.n > 0 && domain_eq(name, ids->id))
		return true;
	for (i = 0; i < ids->other_count; i++) {
		if (domain_is_at_or_below(name, ids->other[i]))
			return true;
	}
	return false;
}

static bool
is_ascii(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static bool
is_ours(const struct authres_ids *ids, const struct word *word)
{
	struct span name = span_trim(span_of(word->text, word->n)), normal;
	struct arena a;
	bool hit;

	if (word->is_too_long)
		return false;
	hit = is_in_set(ids, name);
	if (hit || is_ascii(name))
		return hit;
	arena_init(&a, 2 * KIB, NORMALIZE_BYTES);
	hit = domain_normalize(&a, name, &normal) == RC_OK && is_in_set(ids, normal);
	arena_fini(&a);
	return hit;
}

/* ---- the first word ---- */

static void
word_add(struct word *word, int c)
{
	if (word->n < sizeof(word->text))
		word->text[word->n++] = (char)c;
	else
		word->is_too_long = true;
}

static void
word_clear(struct word *word)
{
	word->n = 0;
	word->is_too_long = false;
}

/* One byte of a quoted-string.  Control bytes count as blanks; blanks at the ends do not count, however many there are. */
static void
word_add_quoted(struct word *word, int c)
{
	bool is_blank = c <= ' ' || c == 0x7f;

	if (!is_blank || (word->n > 0 && word->n < sizeof(word->text)))
		word_add(word, is_blank ? ' ' : c);
}

/* Reads past a comment whatever bytes it holds; false, and nothing is read, when it does not end. */
static bool
skip_comment(struct scan *s, enum reading reading)
{
	struct span rest = scan_rest(s);
	size_t start = s->at, depth = 0, end;

	if (reading == READ_FLAT) {
		end = span_find(rest, ')');
		if (end < rest.n)
			scan_skip(s, end + 1);
		return end < rest.n;
	}
	for (; !scan_at_end(s); scan_skip(s, 1)) {
		int c = scan_peek(s);

		if (c == '\\')
			scan_skip(s, 1);
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
	}
	if (!scan_byte(s, ')')) {
		s->at = start;
		return false;
	}
	return true;
}

/* Reads a quoted-string, whatever bytes it holds; false, and nothing is read, when it does not end. */
static bool
take_quoted(struct scan *s, struct word *word)
{
	size_t start = s->at;

	scan_skip(s, 1);
	while (!scan_at_end(s)) {
		if (scan_byte(s, '"'))
			return true;
		scan_byte(s, '\\');
		if (!scan_at_end(s))
			word_add_quoted(word, scan_peek(s));
		scan_skip(s, 1);
	}
	s->at = start;
	word_clear(word);
	return false;
}

static bool
is_word_byte(int c)
{
	return c >= 0x80 || scan_is_token(c);
}

static void
take_word(struct scan *s, struct word *word)
{
	for (; is_word_byte(scan_peek(s)); scan_skip(s, 1))
		word_add(word, scan_peek(s));
}

/* Reads up to the first word, which may be quoted.  RC_OK: *word; RC_NONE: there is none before ';' or the end; RC_SYNTAX: a comment
 * does not end. */
static enum rc
find_word(struct scan *s, enum reading reading, struct word *word)
{
	bool has_quotes = true;

	while (!scan_at_end(s) && scan_peek(s) != ';') {
		int c = scan_peek(s);

		if (c == '(' && reading != READ_RAW) {
			if (!skip_comment(s, reading))
				return RC_SYNTAX;
		} else if (c == '"' && has_quotes) {
			has_quotes = take_quoted(s, word);
			if (has_quotes && word->n > 0)
				return RC_OK;
		} else if (is_word_byte(c)) {
			take_word(s, word);
			return RC_OK;
		} else {
			scan_skip(s, 1);
		}
	}
	return RC_NONE;
}

/* A reader that deletes comments sees "mx.(c)example.jp" as one word. */
static void
take_glued(struct scan *s, enum reading reading, struct word *word)
{
	while (reading != READ_RAW && !word->is_too_long && scan_peek(s) == '(' && skip_comment(s, reading))
		take_word(s, word);
}

/* RC_OK: *claimed_out; RC_SYNTAX: this reading does not work out. */
static enum rc
read_claim(const struct authres_ids *ids, struct span value, enum reading reading, bool *claimed_out)
{
	struct scan s = scan_of(value);
	struct word word;
	enum rc rc;
	size_t first;

	word_clear(&word);
	rc = find_word(&s, reading, &word);
	if (rc == RC_SYNTAX)
		return RC_SYNTAX;
	*claimed_out = rc == RC_OK && is_ours(ids, &word);
	if (rc != RC_OK || *claimed_out)
		return RC_OK;
	first = word.n;
	take_glued(&s, reading, &word);
	*claimed_out = word.n > first && is_ours(ids, &word);
	return RC_OK;
}

bool
authres_ids_claimed(const struct authres_ids *ids, struct span value)
{
	bool nested = false, flat = false, raw = false;
	enum rc rc_nested = read_claim(ids, value, READ_NESTED, &nested);
	enum rc rc_flat;

	if (nested)
		return true;
	rc_flat = read_claim(ids, value, READ_FLAT, &flat);
	if (flat || rc_nested == RC_OK || rc_flat == RC_OK)
		return flat;
	return read_claim(ids, value, READ_RAW, &raw) == RC_OK && raw;
}
