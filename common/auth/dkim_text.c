/* dkim_text - names of results and reasons, and how a signature gets its own; see dkim.h and dkim_int.h. */
#include "common/auth/dkim_int.h"

static const struct {
	enum dkim_result result;
	const char *text;
} reasons[DKIM_REASON_COUNT] = {
#define DKIM_REASON_ROW(id, result, text) [DKIM_R_##id] = { result, text },
	DKIM_REASONS(DKIM_REASON_ROW)
#undef DKIM_REASON_ROW
};

const char *
dkim_result_name(enum dkim_result r)
{
	static const char *const names[] = {
		[DKIM_NONE] = "none", [DKIM_PASS] = "pass", [DKIM_FAIL] = "fail", [DKIM_POLICY] = "policy", [DKIM_NEUTRAL] = "neutral",
		[DKIM_TEMPERROR] = "temperror", [DKIM_PERMERROR] = "permerror",
	};

	return (size_t)r < ARRAY_LEN(names) ? names[r] : "?";
}

const char *
dkim_reason_text(enum dkim_reason r)
{
	return (size_t)r < DKIM_REASON_COUNT ? reasons[r].text : "?";
}

enum dkim_result
dkim_reason_result(enum dkim_reason r)
{
	return (size_t)r < DKIM_REASON_COUNT ? reasons[r].result : DKIM_PERMERROR;
}

void
dkim_end(struct dkim_signature *s, enum dkim_reason reason, const char *detail)
{
	s->reason = reason;
	s->result = dkim_reason_result(reason);
	s->detail = span_cstr(detail);
}
