/* conf_errors - what is wrong with settings, collected; see conf.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/xalloc.h"
#include "common/conf/conf_int.h"

static void
entry_fini(struct conf_error *e)
{
	free(e->file);
	free(e->text);
}

/* Where the next entry goes; NULL when the list is full.  An error may take the place of the last warning. */
static struct conf_error *
entry_add(struct conf_errors *errors, bool is_warning)
{
	size_t i = errors->n;

	if (errors->v == NULL)
		errors->v = xcalloc(CONF_ERRORS_MAX, sizeof *errors->v);
	if (errors->n < CONF_ERRORS_MAX)
		return &errors->v[errors->n++];
	errors->left_out++;
	while (!is_warning && i-- > 0) {
		if (errors->v[i].is_warning) {
			entry_fini(&errors->v[i]);
			memmove(&errors->v[i], &errors->v[i + 1], (errors->n - i - 1) * sizeof *errors->v);
			return &errors->v[errors->n - 1];
		}
	}
	return NULL;
}

void
conf_errors_add(struct conf_errors *errors, bool is_warning, const char *file, unsigned line, const char *fmt, ...)
{
	struct conf_error *e = entry_add(errors, is_warning);
	char text[LOG_LINE_MAX / 2], *p;
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (p = text; *p != '\0'; p++) {       /* a path in a reason may hold tabs and worse */
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	*e = (struct conf_error){ .file = file ? xstrdup(file) : NULL, .line = line, .text = xstrdup(text), .is_warning = is_warning };
}

bool
conf_errors_has_error(const struct conf_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->n; i++) {
		if (!errors->v[i].is_warning)
			return true;
	}
	return false;
}

void
conf_errors_fini(struct conf_errors *errors)
{
	size_t i;

	for (i = 0; i < errors->n; i++)
		entry_fini(&errors->v[i]);
	free(errors->v);
	*errors = (struct conf_errors){ 0 };
}

void
conf_error_print(struct buf *b, const struct conf_error *e)
{
	if (e->file != NULL) {
		log_quote(b, span_cstr(e->file), 1024);
		if (e->line > 0)
			buf_fmt(b, ":%u", e->line);
		buf_str(b, ": ");
	}
	if (e->is_warning)
		buf_str(b, "warning: ");
	buf_str(b, e->text);
}
