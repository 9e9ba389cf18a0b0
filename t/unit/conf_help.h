/*
 * conf_help - for tests that load configurations: a folder for files, loading with all messages as one text.
 */
#ifndef ENMA_T_CONF_HELP_H
#define ENMA_T_CONF_HELP_H

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/conf/conf.h"
#include "t/unit/unit.h"

static char folder[] = "/tmp/test_conf.XXXXXX";

UNUSED static int
make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) == NULL || chmod(folder, 0755) != 0;
}

UNUSED static int
remove_folder(void **state)
{
	char *cmd = xasprintf("chmod -R u+rwx %s && rm -rf %s", folder, folder);
	int rc = system(cmd);

	(void)state;
	free(cmd);
	return rc;
}

UNUSED static char *
path_of(const char *name)
{
	static char path[16][256];
	static unsigned at;
	char *p = path[at++ % 16];

	snprintf(p, sizeof path[0], "%s/%s", folder, name);
	return p;
}

UNUSED static char *
put_n(const char *name, const char *text, size_t n)
{
	char why[FDIO_WHY_MAX], *path = path_of(name);

	if (fdio_write_file(path, span_of(text, n), 0644, why, sizeof why) != RC_OK)
		fail_msg("%s", why);
	return path;
}

UNUSED static char *
put(const char *name, const char *text)
{
	return put_n(name, text, strlen(text));
}

/* All errors and warnings, one a line, with the folder left out; the next call overwrites it. */
UNUSED static const char *
messages_of(const struct conf_errors *errors)
{
	static char *text;
	struct buf b = buf_heap(MIB);
	char *p;
	size_t i, n = strlen(folder) + 1;

	for (i = 0; i < errors->n; i++) {
		conf_error_print(&b, &errors->v[i]);
		buf_byte(&b, '\n');
	}
	free(text);
	text = xstrdup(buf_text(&b).p);
	buf_fini(&b);
	while ((p = strstr(text, folder)) != NULL)
		memmove(p, p + n, strlen(p + n) + 1);
	return text;
}

/* Loads; *messages_out (may be NULL) gets messages_of(). */
UNUSED static enum rc
load(const char *path, const char *const *overrides, size_t n, struct conf **c, const char **messages_out)
{
	struct conf_errors errors;
	enum rc rc = conf_load(path, overrides, n, c, &errors);
	const char *text = messages_of(&errors);

	if (messages_out != NULL)
		*messages_out = text;
	assert_int_equal(rc == RC_OK, *c != NULL);
	conf_errors_fini(&errors);
	return rc;
}

/* Good settings in a file; fails the test when they are refused. */
UNUSED static struct conf *
load_text(const char *text)
{
	const char *messages;
	struct conf *c;

	if (load(put("good.conf", text), NULL, 0, &c, &messages) != RC_OK)
		fail_msg("%s", messages);
	return c;
}

/* The messages of a file that is refused. */
UNUSED static const char *
load_bad(const char *text)
{
	const char *messages;
	struct conf *c;

	assert_int_equal(load(put("bad.conf", text), NULL, 0, &c, &messages), RC_SYNTAX);
	return messages;
}

/* The warnings of a file that is accepted, without those about the host's own name. */
UNUSED static const char *
warnings_of(const char *text)
{
	static const char identifier[] = "authresult.identifier: mx.example.org\n";
	char *all = xasprintf("%s%s", text, strstr(text, "authresult.identifier:") ? "" : identifier);
	const char *messages;
	struct conf *c;

	if (load(put("warn.conf", all), NULL, 0, &c, &messages) != RC_OK)
		fail_msg("%s", messages);
	conf_destroy(&c);
	free(all);
	return messages;
}

#define assert_contains(text, want) do { \
	const char *text_ = (text), *want_ = (want); \
	if (strstr(text_, want_) == NULL) \
		fail_msg("\"%s\" is not in \"%s\"", want_, text_); \
	} while (0)

#endif
