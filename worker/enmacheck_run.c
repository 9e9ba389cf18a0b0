/* enmacheck_run - settings, resolver, evaluation and trace of enmacheck; see enmacheck.h. */
#include "worker/enmacheck.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/dns_fixture.h"
#include "worker/exclusion.h"
#include "worker/report.h"
#include "worker/resolver.h"

enum {
	OVERRIDES_MAX = 3,
	WHY_MAX = 512,
	TRACE_MAX = 64 * MIB,
	REPORT_MAX = 64 * KIB,
};

/* ---- trace ---- */

static void
trace_begin(struct spf_trace *hook)
{
	struct check_trace *t = hook->arg;

	arena_reset(&t->arena);
	t->n = 0;
	t->is_cut = false;
}

static void
trace_step(struct spf_trace *hook, unsigned depth, const char *kind, struct span text, struct span note)
{
	struct check_trace *t = hook->arg;
	struct check_step step = { .depth = depth, .kind = kind };

	step.text = arena_copy(&t->arena, text);
	step.note = arena_copy(&t->arena, note);
	if (t->n >= CHECK_STEPS_MAX || step.text.p == NULL || step.note.p == NULL) {
		t->is_cut = true;
		return;
	}
	if (t->n == t->room) {
		t->room = t->room == 0 ? 64 : t->room * 2;
		t->v = xrealloc(t->v, t->room, sizeof *t->v);
	}
	t->v[t->n++] = step;
}

static void
trace_init(struct check_trace *t)
{
	t->hook = (struct spf_trace){ .begin = trace_begin, .step = trace_step, .arg = t };
	arena_init(&t->arena, 16 * KIB, TRACE_MAX);
}

static void
trace_fini(struct check_trace *t)
{
	arena_fini(&t->arena);
	free(t->v);
}

/* ---- settings ---- */

const struct conf *
check_conf(const struct check *c)
{
	return snapshot_conf(c->snapshot);
}

static void
say_errors(const struct conf_errors *errors, bool wants_warnings)
{
	for (size_t i = 0; i < errors->n; i++) {
		struct buf b = buf_heap(64 * KIB);

		if (errors->v[i].is_warning && !wants_warnings)
			continue;
		conf_error_print(&b, &errors->v[i]);
		fprintf(stderr, "enmacheck: %.*s\n", SPAN_ARGS(buf_text(&b)));
		buf_fini(&b);
	}
}

static bool
is_all_from_command_line(const struct conf_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		if (!errors->v[i].is_warning && (errors->v[i].file == NULL || strcmp(errors->v[i].file, "command line") != 0))
			return false;
	return true;
}

/* Settings want absolute paths; people in a shell do not.  NULL for NULL. */
static char *
absolute(const char *path)
{
	char *here, *out;

	if (path == NULL || path[0] == '/')
		return path != NULL ? xstrdup(path) : NULL;
	here = getcwd(NULL, 0);
	out = xasprintf("%s/%s", here != NULL ? here : "", path);
	free(here);
	return out;
}

/* Arguments that are settings go through the settings' own checks. */
static int
load_conf(struct check *c)
{
	const struct check_args *a = c->args;
	char *zone = absolute(a->zone);
	const struct { const char *key, *value; } wishes[OVERRIDES_MAX] = {
		{ "resolver.forward", a->resolver }, { "resolver.zone", zone }, { "authresult.identifier", a->identifier },
	};
	char *overrides[OVERRIDES_MAX];
	struct conf_errors errors;
	size_t n = 0;
	enum rc rc;

	for (size_t i = 0; i < OVERRIDES_MAX; i++)
		if (wishes[i].value != NULL)
			overrides[n++] = xasprintf("%s=%s", wishes[i].key, wishes[i].value);
	rc = conf_load(a->config, (const char *const *)overrides, n, &c->conf, &errors);
	say_errors(&errors, a->config != NULL);
	if (rc == RC_OK)
		rc = snapshot_make(c->conf, &c->snapshot_bytes, &errors);
	if (rc != RC_OK && c->conf != NULL)
		say_errors(&errors, false);
	for (size_t i = 0; i < n; i++)
		free(overrides[i]);
	free(zone);
	n = is_all_from_command_line(&errors);
	conf_errors_fini(&errors);
	if (rc == RC_OK)
		rc = snapshot_read(buf_text(&c->snapshot_bytes), &c->snapshot);
	if (rc == RC_OK)
		return EX_OK;
	return rc == RC_TEMP ? EX_NOINPUT : n ? EX_USAGE : EX_CONFIG;
}

static void
find_ids(struct check *c)
{
	const struct conf *conf = check_conf(c);
	const struct conf_list *more = &conf->authresult_remove_identifiers;
	struct span *others = xcalloc(more->n + 1, sizeof *others);

	if (gethostname(c->host, sizeof c->host) != 0)
		snprintf(c->host, sizeof c->host, "localhost");
	c->host[sizeof c->host - 1] = '\0';
	c->identifier = span_cstr(conf->authresult_identifier[0] != '\0' ? conf->authresult_identifier : c->host);
	for (size_t i = 0; i < more->n; i++)
		others[i] = span_cstr(more->v[i]);
	c->ids = authres_ids_create(c->identifier, others, more->n);
	free(others);
}

/* ---- resolver ---- */

/* Parsed here also when another source stands behind it: so a mistake in the file has its own exit code. */
static int
read_zone(const struct check *c, struct zone **out)
{
	const char *path = check_conf(c)->resolver_zone;
	char *why = NULL;

	*out = NULL;
	if (path[0] == '\0' || zone_parse(snapshot_file(c->snapshot, path), out, &why) == RC_OK)
		return EX_OK;
	fprintf(stderr, "enmacheck: %s: %s\n", path, why);
	free(why);
	return EX_DATAERR;
}

static int
make_source(struct check *c)
{
	struct resolver resolver;
	struct zone *zone;
	char why[WHY_MAX] = "";
	int code = read_zone(c, &zone);

	if (code != EX_OK)
		return code;
	if (c->args->zone != NULL && c->args->resolver == NULL) {
		c->source = dns_fixture_create(zone, NULL);
		return EX_OK;
	}
	zone_destroy(&zone);
	if (resolver_create(c->snapshot, NULL, NULL, NULL, &resolver, why, sizeof why) == RC_OK) {
		c->source = resolver.answers;
		c->loop = resolver.loop;
		return EX_OK;
	}
	fprintf(stderr, "enmacheck: resolver: %s\n", why);
	return EX_TEMPFAIL;
}

/* ---- facts ---- */

static void
fill_facts(struct check *c)
{
	const struct check_args *a = c->args;
	struct message *m = c->message;
	struct eval_facts *f = &m->facts;

	f->client = a->client;
	f->helo = span_cstr(a->helo);
	f->receiver = span_cstr(c->host);
	f->now_s = a->has_now ? a->now_s : clock_wall_s();
	m->sender = span_cstr(a->from != NULL ? a->from : "<>");
	if (path_parse(&m->arena, m->sender, &f->sender) != RC_OK)
		m->has_internal_error = true;
	if (a->command == CHECK_MESSAGE && ip_set_has(c->exclusions, &f->client))
		m->skip_why = "excluded";
}

int
check_setup(struct check *c, const struct check_args *args)
{
	char why[WHY_MAX] = "";
	int code;

	*c = (struct check){ .args = args, .snapshot_bytes = buf_heap(CHECK_OUTPUT_MAX) };
	trace_init(&c->mailfrom_trace);
	trace_init(&c->helo_trace);
	code = load_conf(c);
	if (code != EX_OK)
		return code;
	find_ids(c);
	if (exclusion_create(c->snapshot, &c->exclusions, why, sizeof why) != RC_OK) {
		fprintf(stderr, "enmacheck: %s\n", why);
		return EX_CONFIG;
	}
	code = make_source(c);
	if (code != EX_OK)
		return code;
	mechanisms_init(&c->mechanisms, check_conf(c));
	c->pool = message_pool_create(c->source);
	c->message = message_take(c->pool);
	fill_facts(c);
	return EX_OK;
}

void
check_fini(struct check *c)
{
	check_dkim_fini(c);
	check_key_fini(c);
	if (c->pool != NULL)
		message_give(c->pool, c->message);
	message_pool_destroy(&c->pool);
	if (c->source != NULL && c->source != c->loop)
		c->source->destroy(c->source);
	if (c->loop != NULL)
		c->loop->destroy(c->loop);
	mechanisms_fini(&c->mechanisms);
	authres_ids_destroy(&c->ids);
	ip_set_destroy(&c->exclusions);
	snapshot_destroy(&c->snapshot);
	buf_fini(&c->snapshot_bytes);
	conf_destroy(&c->conf);
	trace_fini(&c->mailfrom_trace);
	trace_fini(&c->helo_trace);
	free(c->header.v);
	free(c->header.bytes);
	buf_fini(&c->header.body);
}

/* ---- evaluation ---- */

static void
run(struct check *c, const struct eval_options *options)
{
	const struct conf *conf = check_conf(c);
	struct message *m = c->message;
	struct eval *e = &m->eval;
	int64_t deadline_ms = clock_mono_ms() + conf->resolver_deadline;

	eval_init(e, &m->arena, &m->facts, options, (size_t)conf->resolver_max_questions);
	if (c->args->wants_trace) {
		e->trace_mailfrom = &c->mailfrom_trace.hook;
		e->trace_helo = &c->helo_trace.hook;
	}
	if (eval_needs_header(e)) {
		eval_header(e, &m->header);
		eval_body(e, buf_text(&c->header.body));
		eval_end(e);
	}
	while (eval_run(e) != RC_OK) {
		if (FAILS_CHECK(!c->has_timed_out)) {
			m->has_internal_error = true;
			return;
		}
		c->rounds += e->questions.new_count > 0;
		lookup_send(m->lookup, &e->questions);
		if (lookup_wait(m->lookup, &e->questions, deadline_ms) == RC_OK)
			continue;
		c->has_timed_out = true;
		eval_close(e);
	}
	m->has_verdict = true;
	c->verdict = &e->verdict;
}

static bool
make_fields(struct check *c)
{
	const struct conf *conf = check_conf(c);
	struct message *m = c->message;
	struct buf authres = buf_in(&m->arena, AUTHRES_FIELD_MAX), received = buf_in(&m->arena, AUTHRES_FIELD_MAX);
	size_t room = verdict_item_room(c->verdict), n;
	struct authres_item *items = arena_array(&m->arena, struct authres_item, room);

	if (items == NULL)
		return false;
	n = verdict_items(c->verdict, conf->authresult_spf_hardfail, &m->arena, items, room);
	if (authres_print(&authres, c->identifier, items, n) != RC_OK)
		return false;
	c->authres = buf_text(&authres);
	if (!conf->spf_received_header || !c->verdict->mailfrom.is_evaluated)
		return true;
	if (verdict_received_spf(&received, c->verdict, &m->facts.client, m->facts.helo, m->facts.sender.raw, m->facts.receiver) != RC_OK)
		return false;
	c->received_spf = buf_text(&received);
	return true;
}

/* As the session does: a message whose forged fields cannot all be removed does not pass. */
static struct action
decide(const struct check *c)
{
	const struct message *m = c->message;
	struct policy_facts facts = {
		.verdict = c->verdict, .is_over_limit = m->is_over_limit, .has_internal_error = m->has_internal_error,
		.cannot_be_cleaned = m->has_lost_claims,
	};

	return policy_decide(check_conf(c), &facts);
}

/* A message that does not go on is not edited. */
static void
forget_edits(struct check *c)
{
	c->authres = c->received_spf = SPAN_NULL;
	c->removed = 0;
	for (size_t i = 0; i < c->header.n; i++)
		c->header.v[i].is_removed = false;
}

int
check_evaluate(struct check *c)
{
	struct message *m = c->message;
	struct eval_options options = c->mechanisms.eval;

	m->begun_us = clock_mono_us();
	if (c->args->command != CHECK_MESSAGE) {
		options.spf = options.spf_explanation = true;
		options.dkim = NULL;
		options.domainkeys = NULL;
	}
	if (m->skip_why == NULL && !m->has_internal_error)
		run(c, &options);
	if (c->verdict != NULL && !make_fields(c))
		m->has_internal_error = true;
	c->action = decide(c);
	if (c->args->command == CHECK_MESSAGE && c->action.kind != ACTION_ACCEPT)
		forget_edits(c);
	c->elapsed_us = (uint64_t)(clock_mono_us() - m->begun_us);
	return EX_OK;
}

void
check_print_report(const struct check *c, struct buf *b)
{
	const struct message *m = c->message;
	struct lookup_stats dns = lookup_stats(m->lookup);
	struct report r = {
		.qid = SPAN("enmacheck"), .client = m->facts.client, .helo = m->facts.helo, .mail_from = m->sender, .verdict = c->verdict,
		.skip_why = m->skip_why, .action = c->action, .dns_asked = dns.asked, .dns_timeouts = dns.timeouts,
		.dns_wait_us = dns.wait_us, .total_us = c->elapsed_us, .authres_removed = c->removed,
		.hardfail = check_conf(c)->authresult_spf_hardfail,
	};
	struct buf line = buf_heap(REPORT_MAX);

	report_print(&line, check_conf(c)->log_style, &r);
	buf_span(b, span_trim(buf_text(&line)));
	buf_fini(&line);
}
