/* policy - from a verdict to an action; see policy.h. */
#include "worker/policy.h"

/* The replies of one kind of trouble. */
struct replies {
	struct action reject, tempfail;
};

static const struct replies on_limit = {
	.reject = {
		.kind = ACTION_REJECT, .code = "554", .xcode = "5.6.0", .text = "Message header has too many or too large fields",
		.why = "limit",
	},
	.tempfail = {
		.kind = ACTION_TEMPFAIL, .code = "451", .xcode = "4.7.1", .text = "Message header has too many or too large fields",
		.why = "limit",
	},
};

static const struct replies on_internal_error = {
	.reject = {
		.kind = ACTION_REJECT, .code = "554", .xcode = "5.3.0", .text = "Message could not be checked",
		.why = "internal_error",
	},
	.tempfail = {
		.kind = ACTION_TEMPFAIL, .code = "451", .xcode = "4.3.0", .text = "Message could not be checked, try again later",
		.why = "internal_error",
	},
};

const char *
action_name(enum action_kind k)
{
	switch (k) {
	case ACTION_ACCEPT:
		return "accept";
	case ACTION_REJECT:
		return "reject";
	case ACTION_TEMPFAIL:
		return "tempfail";
	}
	return "unknown";
}

/* why is kept for the log when the message goes on all the same. */
static struct action
choose(enum conf_on_trouble wish, const struct replies *replies)
{
	switch (wish) {
	case CONF_REJECT:
		return replies->reject;
	case CONF_TEMPFAIL:
		return replies->tempfail;
	case CONF_ACCEPT:
		break;
	}
	return (struct action){ .kind = ACTION_ACCEPT, .why = replies->reject.why };
}

/* The sterner of two wishes: reject before tempfail before accept. */
static unsigned
sternness(const struct action *a)
{
	return a->kind == ACTION_REJECT ? 2 : a->kind == ACTION_TEMPFAIL;
}

static struct action
decide_trouble(const struct conf *conf, const struct policy_facts *facts)
{
	struct action action = { .kind = ACTION_ACCEPT, .why = "none" }, other;

	if (facts->is_over_limit)
		action = choose(conf->message_on_limit, &on_limit);
	if (!facts->has_internal_error)
		return action;
	other = choose(conf->worker_on_internal_error, &on_internal_error);
	return facts->is_over_limit && sternness(&action) >= sternness(&other) ? action : other;
}

struct action
policy_decide(const struct conf *conf, const struct policy_facts *facts)
{
	struct action action = decide_trouble(conf, facts);

	return facts->cannot_be_cleaned && action.kind == ACTION_ACCEPT ? on_internal_error.tempfail : action;
}
