/* apply - carries out what policy decided; see apply.h. */
#include "worker/apply.h"

#include "common/base/buf.h"
#include "common/base/log.h"

enum {
	RECEIVED_SPF_MAX = 4 * KIB,
};

/* Values begin with the blank behind the colon; an MTA that adds one of its own gets the rest. */
static bool
insert(const struct mta *mta, const char *name, struct buf *value)
{
	struct span text;

	if (buf_done(value, &text) != RC_OK)
		return false;
	if (!mta->wants_leading_space && text.n > 0 && text.p[0] == ' ')
		text = span_from(text, 1);
	return mta->ops->insert_header(mta, 0, name, text.p) == RC_OK;
}

static bool
insert_received_spf(const struct session_env *env, const struct mta *mta, struct message *m, const struct verdict *v)
{
	struct buf b = buf_in(&m->arena, RECEIVED_SPF_MAX);

	if (!v->mailfrom.is_evaluated)
		return true;
	if (verdict_received_spf(&b, v, &m->facts.client, m->facts.helo, m->facts.sender.raw, env->receiver) != RC_OK)
		return false;
	return insert(mta, "Received-SPF", &b);
}

static bool
insert_authres(const struct session_env *env, const struct mta *mta, struct message *m, const struct verdict *v)
{
	struct buf b = buf_in(&m->arena, AUTHRES_FIELD_MAX);
	size_t room = verdict_item_room(v), n;
	struct authres_item *items = arena_array(&m->arena, struct authres_item, room);

	if (items == NULL)
		return false;
	n = verdict_items(v, env->conf->authresult_spf_hardfail, &m->arena, items, room);
	if (authres_print(&b, env->identifier, items, n) != RC_OK)
		return false;
	return insert(mta, "Authentication-Results", &b);
}

struct apply_outcome
apply_edits(const struct session_env *env, const struct mta *mta, struct message *m, const struct verdict *verdict)
{
	struct apply_outcome out = { 0 };

	for (const struct message_claim *c = m->claims; c != NULL; c = c->next) {
		if (mta->ops->delete_header(mta, c->name, c->index) != RC_OK) {
			out.has_failed = true;
			return out;
		}
		out.removed++;
	}
	if (verdict == NULL)
		return out;
	if (env->conf->spf_received_header && !insert_received_spf(env, mta, m, verdict))
		out.has_failed = true;
	else if (!insert_authres(env, mta, m, verdict))
		out.has_failed = true;
	return out;
}

enum session_answer
apply_reply(const struct mta *mta, const struct action *action)
{
	if (action->kind == ACTION_ACCEPT)
		return SESSION_CONTINUE;
	/* Without the code the MTA uses its own words for the same answer. */
	if (action->code != NULL && mta->ops->set_reply(mta, action->code, action->xcode, action->text) != RC_OK)
		log_limited(LOG_L_WARN, "the reply \"%s %s\" was not taken, the MTA words it itself", action->code, action->text);
	return action->kind == ACTION_REJECT ? SESSION_REJECT : SESSION_TEMPFAIL;
}
