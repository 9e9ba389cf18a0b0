/*
 * gendocs - print the documents that are made from the table of settings.
 *
 *	gendocs sample          etc/enma.conf
 *	gendocs mdoc            the settings part of doc/enma.conf.5
 *	gendocs mdoc FILE       the same in another language: FILE has "key TAB text" lines, and lines that begin with '#'
 *
 * A text that FILE does not have, has twice, or has for a key that does not exist is an error.  scripts/gen-docs puts the documents in place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_docs.h"

enum { ENTRIES_MAX = 1000 };

struct entry {
	char *key, *text;
	unsigned line;
	bool is_used;
};

struct translation {
	struct conf_speech speech;      /* first: the callback casts back */
	const char *path;
	struct entry v[ENTRIES_MAX];
	size_t n;
	unsigned errors;
};

static struct entry *
find(struct translation *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->v[i].key, key) == 0)
			return &t->v[i];
	return NULL;
}

static void
complain(struct translation *t, unsigned line, const char *key, const char *what)
{
	if (line > 0)
		fprintf(stderr, "%s:%u: %s: %s\n", t->path, line, key, what);
	else
		fprintf(stderr, "%s: %s: %s\n", t->path, key, what);
	t->errors++;
}

static const char *
translate(struct conf_speech *speech, const char *key, const char *english)
{
	struct translation *t = (struct translation *)speech;
	struct entry *e = find(t, key);

	if (e != NULL) {
		e->is_used = true;
		return e->text;
	}
	complain(t, 0, key, "not translated");
	return english;
}

static void
take_line(struct translation *t, char *line, unsigned number)
{
	char *tab = strchr(line, '\t');

	line[strcspn(line, "\n")] = '\0';
	if (line[0] == '\0' || line[0] == '#')
		return;
	if (tab == NULL || tab == line || tab[1] == '\0') {
		complain(t, number, line, "want \"key TAB text\"");
		return;
	}
	*tab = '\0';
	if (find(t, line) != NULL)
		complain(t, number, line, "is there twice");
	else if (t->n == ENTRIES_MAX)
		complain(t, number, line, "one line too many");
	else
		t->v[t->n++] = (struct entry){ xstrdup(line), xstrdup(tab + 1), number, false };
}

static bool
read_translation(struct translation *t)
{
	FILE *f = fopen(t->path, "r");
	char *line = NULL;
	size_t size = 0;
	unsigned number = 0;

	if (f == NULL) {
		perror(t->path);
		return false;
	}
	while (getline(&line, &size, f) >= 0)
		take_line(t, line, ++number);
	free(line);
	fclose(f);
	return true;
}

static bool
print_translated(const char *path, struct buf *b)
{
	static struct translation t = { .speech.say = translate };

	t.path = path;
	if (!read_translation(&t))
		return false;
	conf_docs_mdoc(&t.speech, b);
	for (size_t i = 0; i < t.n; i++) {
		if (!t.v[i].is_used)
			complain(&t, t.v[i].line, t.v[i].key, "there is no such setting, group or phrase");
		free(t.v[i].key);
		free(t.v[i].text);
	}
	return t.errors == 0;
}

int
main(int argc, char **argv)
{
	struct buf b = buf_heap(4 * MIB);
	struct span text;
	int status = 1;
	bool is_good = true;

	if (argc == 2 && strcmp(argv[1], "sample") == 0)
		conf_docs_sample(&b);
	else if (argc == 2 && strcmp(argv[1], "mdoc") == 0)
		conf_docs_mdoc(NULL, &b);
	else if (argc == 3 && strcmp(argv[1], "mdoc") == 0)
		is_good = print_translated(argv[2], &b);
	else
		fprintf(stderr, "usage: gendocs sample | mdoc [FILE]\n");
	if (is_good && buf_done(&b, &text) == RC_OK && text.n > 0 && fdio_write_full(STDOUT_FILENO, text) == RC_OK)
		status = 0;
	buf_fini(&b);
	return status;
}
