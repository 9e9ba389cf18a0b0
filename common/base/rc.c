/* rc - words for the outcome of an operation; see rc.h. */
#include "common/base/rc.h"

const char *
rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK: return "ok";
	case RC_NONE: return "none";
	case RC_SYNTAX: return "syntax";
	case RC_LIMIT: return "limit";
	case RC_TEMP: return "temp";
	case RC_WAIT: return "wait";
	case RC_FAULT: return "fault";
	}
	return "unknown";
}
