/* ctlproto - the request line of the control protocol; see ctlproto.h. */
#include "common/ipc/ctlproto.h"

static struct span
without_cr(struct span line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static bool
is_clean(struct span line)
{
	for (size_t i = 0; i < line.n; i++)
		if (!ascii_is_print((unsigned char)line.p[i]))
			return false;
	return true;
}

enum rc
ctl_request_parse(struct span line, struct ctl_request *out, const char **why_out)
{
	struct span rest = without_cr(line), word;

	*out = (struct ctl_request){ .command = SPAN_NULL };
	*why_out = "";
	if (rest.n > CTL_LINE_MAX) {
		*why_out = "the request line is too long";
		return RC_LIMIT;
	}
	if (!is_clean(rest)) {
		*why_out = "the request holds bytes outside printable ASCII";
		return RC_SYNTAX;
	}
	if (!span_split(&rest, ' ', &word) || !span_eq(word, SPAN("ENMA1"))) {
		*why_out = "the request does not begin with ENMA1 (another version of enmactl?)";
		return RC_SYNTAX;
	}
	while (span_split(&rest, ' ', &word)) {
		if (word.n == 0)
			continue;
		if (out->command.p == NULL)
			out->command = word;
		else if (out->arg_count < CTL_ARGS_MAX)
			out->arg[out->arg_count++] = word;
		else {
			*why_out = "the request has too many arguments";
			return RC_SYNTAX;
		}
	}
	if (out->command.p == NULL) {
		*why_out = "the request names no command";
		return RC_SYNTAX;
	}
	return RC_OK;
}
