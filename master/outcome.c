/* outcome - what came of a start, a check or a reload; see outcome.h. */
#include "master/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/log.h"

enum { OUTCOME_MAX = 256 * KIB };

static const char warning_mark[] = "warning: ";

void
outcome_init(struct outcome *o)
{
	*o = (struct outcome){ .lines = buf_heap(OUTCOME_MAX) };
}

void
outcome_fini(struct outcome *o)
{
	buf_fini(&o->lines);
}

void
outcome_clear(struct outcome *o)
{
	o->code = 0;
	buf_clear(&o->lines);
}

void
outcome_forgive(struct outcome *o)
{
	o->code = 0;
}

void
outcome_add(struct outcome *o, int code, const char *fmt, ...)
{
	char text[2 * KIB];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (code == 0)
		buf_str(&o->lines, warning_mark);
	else if (o->code == 0)
		o->code = code;
	buf_str(&o->lines, text);
	buf_byte(&o->lines, '\n');
}

void
outcome_add_errors(struct outcome *o, int code, const struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		struct buf line = buf_heap(16 * KIB);

		conf_error_print(&line, &errors->v[i]);         /* says "warning: " itself */
		buf_byte(&line, '\n');
		buf_span(&o->lines, buf_text(&line));
		buf_fini(&line);
		if (!errors->v[i].is_warning && o->code == 0)
			o->code = code;
	}
	if (errors->left_out > 0)
		outcome_add(o, code, "%zu more errors are not shown", errors->left_out);
}

void
outcome_log(const struct outcome *o)
{
	struct span rest = span_of(o->lines.p, o->lines.n), line;

	while (span_split(&rest, '\n', &line)) {
		if (line.n == 0)
			continue;
		if (span_starts(line, span_cstr(warning_mark)))
			log_warn("%.*s", SPAN_ARGS(span_from(line, strlen(warning_mark))));
		else
			log_error("%.*s", SPAN_ARGS(line));
	}
}
