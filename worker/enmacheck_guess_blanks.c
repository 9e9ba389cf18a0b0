/* enmacheck_guess_blanks - folds and blanks of header fields, as they may have been before; see enmacheck_dkim.h. */
#include "worker/enmacheck_dkim.h"

static bool
is_end(char c)
{
	return c == '\r' || c == '\n';
}

static size_t
undo_folds(char *to, struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (!is_end(s.p[i]))
			to[n++] = s.p[i];
	return n;
}

static size_t
undo_fold_tabs(char *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] == '\t' && i > 0 && s.p[i - 1] == '\n' ? ' ' : s.p[i];
	return s.n;
}

static size_t
undo_fold_blanks(char *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] == ' ' && i > 0 && s.p[i - 1] == '\n' ? '\t' : s.p[i];
	return s.n;
}

static size_t
undo_runs(char *to, struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (!is_end(s.p[i]) && !(ascii_is_wsp((unsigned char)s.p[i]) && n > 0 && to[n - 1] == ' '))
			to[n++] = ascii_is_wsp((unsigned char)s.p[i]) ? ' ' : s.p[i];
	return n;
}

static size_t
undo_tail_blanks(char *to, struct span s)
{
	size_t n = s.n;

	while (n > 0 && ascii_is_wsp((unsigned char)s.p[n - 1]))
		n--;
	memcpy(to, s.p, n);
	return n;
}

static size_t
undo_no_lead(char *to, struct span s)
{
	size_t skip = s.n > 0 && s.p[0] == ' ';

	memcpy(to, s.p + skip, s.n - skip);
	return s.n - skip;
}

/* Folds without any blank: what stood on two lines was one word. */
static size_t
undo_split_words(char *to, struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (is_end(s.p[i]))
			continue;
		if (ascii_is_wsp((unsigned char)s.p[i]) && i > 0 && s.p[i - 1] == '\n')
			continue;
		to[n++] = s.p[i];
	}
	return n;
}

const struct guess_blank guess_blanks[] = {
	{ undo_folds, "folded", "was folded into lines after signing" },
	{ undo_fold_tabs, "fold-tabs", "had blanks where folded lines now begin with tabs" },
	{ undo_fold_blanks, "fold-blanks", "had tabs where folded lines now begin with blanks" },
	{ undo_runs, "blanks", "had single blanks where there are folds, tabs or several blanks now" },
	{ undo_tail_blanks, "tail-blanks", "had no blanks at its end" },
	{ undo_no_lead, "leading-blank", "had no blank behind its colon" },
	{ undo_split_words, "split-word", "was folded in the middle of a word" },
};

const size_t guess_blank_count = ARRAY_LEN(guess_blanks);
