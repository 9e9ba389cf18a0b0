/* conf_store - a struct conf from values and their places; see conf_int.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_int.h"

const char conf_command_line[] = "command line";

struct conf *
conf_create(void)
{
	struct conf *c = xcalloc(1, sizeof *c);

	c->origins = xcalloc(conf_row_count, sizeof *c->origins);
	return c;
}

static void
origin_clear(struct conf_origin *o)
{
	size_t i;

	for (i = 0; i < o->n; i++) {
		free(o->v[i].file);
		free(o->v[i].value);
	}
	free(o->v);
	*o = (struct conf_origin){ .is_final = o->is_final };
}

static void
origin_add(struct conf_origin *o, const char *file, unsigned line, struct span value)
{
	if (o->n == o->room) {
		o->room = MAX(o->room * 2, (size_t)1);
		o->v = xrealloc(o->v, o->room, sizeof *o->v);
	}
	o->v[o->n++] = (struct conf_place){ .file = xstrdup(file), .line = line, .value = xstrndup(value.p, value.n) };
}

void
conf_destroy(struct conf **conf)
{
	struct conf *c = *conf;
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < conf_row_count; i++) {
		conf_value_clear(c, &conf_rows[i]);
		origin_clear(&c->origins[i]);
	}
	free(c->origins);
	free(c);
	*conf = NULL;
}

bool
conf_has_control_byte(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char b = (unsigned char)s.p[i];

		if ((b < 0x20 && b != '\t') || b == 0x7f)
			return true;
	}
	return false;
}

static void
unknown_key(struct span key, const char *file, unsigned line, struct conf_errors *errors)
{
	const struct conf_row *guess = conf_row_guess(key);

	if (guess != NULL)
		conf_errors_add(errors, false, file, line, "unknown key \"%s\"; did you mean \"%s\"?", log_str(key), guess->name);
	else
		conf_errors_add(errors, false, file, line, "unknown key \"%s\"; enma.conf(5) lists all keys", log_str(key));
}

/* What a person may have meant differently; the value counts as it is. */
static void
warn_about(const struct conf_row *row, const struct conf_origin *o, struct span value, const char *file, unsigned line,
           struct conf_errors *errors)
{
	size_t hash = span_find(value, '#');

	if (row->type != CT_LIST && o->n > 0)
		conf_errors_add(errors, true, file, line, "%s is set twice; this one counts, not %s:%u", row->name, o->v[0].file, o->v[0].line);
	if (hash > 0 && hash < value.n && ascii_is_wsp((unsigned char)value.p[hash - 1]))
		conf_errors_add(errors, true, file, line, "%s: the '#' is part of the value; a comment needs a line of its own", row->name);
}

void
conf_set(struct conf *c, struct span key, struct span value, const char *file, unsigned line, bool is_checked, struct conf_errors *errors)
{
	const struct conf_row *row = conf_row_find(key);
	bool is_final = strcmp(file, conf_command_line) == 0;
	struct conf_origin *o;
	char why[FDIO_WHY_MAX];

	if (row == NULL) {
		unknown_key(key, file, line, errors);
		return;
	}
	if (conf_has_control_byte(value)) {
		conf_errors_add(errors, false, file, line, "%s: control character in the value", row->name);
		return;
	}
	o = &c->origins[row - conf_rows];
	if (is_final && (!o->is_final || row->type != CT_LIST)) {
		o->is_final = true;
		if (row->type == CT_LIST)
			conf_value_clear(c, row);
		origin_clear(o);
	}
	if (!conf_value_set(c, row, value, is_checked, why, sizeof why)) {
		conf_errors_add(errors, false, file, line, "%s: %s", row->name, why);
		return;
	}
	if (!is_final)
		warn_about(row, o, value, file, line, errors);
	if (row->type != CT_LIST)
		origin_clear(o);
	origin_add(o, file, line, value);
}

static void
default_identifier(struct conf *c)
{
	char host[HOST_NAME_MAX + 1];

	if (c->authresult_identifier[0] != '\0')
		return;
	if (gethostname(host, sizeof host) != 0 || host[0] == '\0')
		snprintf(host, sizeof host, "localhost");
	host[sizeof host - 1] = '\0';
	free(c->authresult_identifier);
	c->authresult_identifier = xstrdup(host);
}

void
conf_finish(struct conf *c)
{
	char why[FDIO_WHY_MAX];
	size_t i;

	for (i = 0; i < conf_row_count; i++) {
		if (c->origins[i].n == 0)
			REQUIRE(conf_value_set(c, &conf_rows[i], span_cstr(conf_rows[i].standard), false, why, sizeof why));
	}
	default_identifier(c);
}
