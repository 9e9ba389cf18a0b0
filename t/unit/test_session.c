/* Sessions against a recorded MTA: every order of calls, what is edited, answered, counted; DNS from a zone or by hand. */
#include "t/unit/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/dns/dns_fixture.h"
#include "worker/session.h"

/* ---- an MTA that writes down what it is asked ------------------------------------------------------------ */

struct fake {
	char qid[32], login[32];
	char log[16384];                /* one line for each operation */
	size_t n;
	unsigned fail_deletes, progress, waits;
};

PRINTF_LIKE(2, 3)
static void
note(struct fake *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	f->n += (size_t)vsnprintf(f->log + f->n, sizeof f->log - f->n, fmt, ap);
	va_end(ap);
	assert_true(f->n < sizeof f->log);
}

static const char *
fake_symbol(const struct mta *mta, const char *name)
{
	const struct fake *f = mta->handle;

	if (strcmp(name, "i") == 0)
		return f->qid[0] != '\0' ? f->qid : NULL;
	if (strcmp(name, "{auth_authen}") == 0)
		return f->login[0] != '\0' ? f->login : NULL;
	return NULL;
}

static enum rc
fake_insert(const struct mta *mta, int index, const char *name, const char *value)
{
	struct fake *f = mta->handle;
	size_t at = f->n;

	note(f, "insert %d %s:%s\n", index, name, value);
	/* unfolded: LF and the blanks behind it are one blank */
	for (size_t i = at; i + 1 < f->n; i++)
		if (f->log[i] == '\n' || f->log[i] == '\t')
			f->log[i] = ' ';
	for (char *two; (two = strstr(f->log + at, "  ")) != NULL; f->n--)
		memmove(two, two + 1, strlen(two));
	/* without comments: their words are tested elsewhere */
	for (char *from; (from = strstr(f->log + at, " (")) != NULL;) {
		char *behind = strchr(from, ')') + 1;

		f->n -= (size_t)(behind - from);
		memmove(from, behind, strlen(behind) + 1);
	}
	return RC_OK;
}

static enum rc
fake_delete(const struct mta *mta, const char *name, int index)
{
	struct fake *f = mta->handle;

	if (f->fail_deletes > 0)
		return RC_TEMP;
	note(f, "delete %s %d\n", name, index);
	return RC_OK;
}

static enum rc
fake_reply(const struct mta *mta, const char *code, const char *xcode, const char *text)
{
	assert_null(strpbrk(text, "%\r\n"));
	note(mta->handle, "reply %s %s\n", code, xcode);
	return RC_OK;
}

static enum rc
fake_progress(const struct mta *mta)
{
	((struct fake *)mta->handle)->progress++;
	return RC_OK;
}

static void
fake_will_wait(const struct mta *mta)
{
	((struct fake *)mta->handle)->waits++;
}

static const struct mta_ops fake_ops = { fake_symbol, fake_insert, fake_delete, fake_reply, fake_progress, fake_will_wait };

/* ---- a DNS source that answers when told ----------------------------------------------------------------- */

struct held {
	struct dns_source source;
	pthread_mutex_t lock;
	struct dns_req *waiting[64];
	size_t n, asked, cancelled;
};

static void
held_ask(struct dns_source *source, struct dns_req **reqs, size_t n)
{
	struct held *h = (struct held *)source;

	pthread_mutex_lock(&h->lock);
	for (size_t i = 0; i < n; i++)
		h->waiting[h->n++] = reqs[i];
	h->asked += n;
	pthread_mutex_unlock(&h->lock);
}

static void
held_finish(struct held *h, size_t i, const struct dns_answer *answer)
{
	struct dns_req *req = h->waiting[i];

	h->waiting[i] = h->waiting[--h->n];
	req->answer = answer;
	req->done(req);
}

static void
held_cancel(struct dns_source *source, struct dns_req *req)
{
	struct held *h = (struct held *)source;

	for (size_t i = 0; i < h->n; i++)
		if (h->waiting[i] == req) {
			h->cancelled++;
			held_finish(h, i, dns_answer_status(DNS_CANCELLED, 0, ""));
			return;
		}
}

static void
held_destroy(struct dns_source *source UNUSED)
{
}

static struct held held = {
	.source = { held_ask, held_cancel, held_destroy }, .lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Everything that waits is answered from the zone now. */
static void
held_release(const struct zone *zone)
{
	while (held.n > 0) {
		const struct dns_answer *a = zone_answer(zone, &held.waiting[0]->name, held.waiting[0]->type);

		held_finish(&held, 0, a != NULL ? a : dns_answer_status(DNS_NXDOMAIN, 60, ""));
	}
}

/* ---- the surroundings ------------------------------------------------------------------------------------ */

static const char zone_text[] =
	"pass.example       TXT  \"v=spf1 ip4:192.0.2.0/24 -all\"\n"
	"fail.example       TXT  \"v=spf1 -all\"\n"
	"soft.example       TXT  \"v=spf1 ~all\"\n"
	"broken.example     TXT  \"v=spf1 nonsense:\"\n"
	"servfail.example   SERVFAIL\n"
	"mail.pass.example  TXT  \"v=spf1 a -all\"\n"
	"mail.pass.example  A    192.0.2.1\n"
	"deep.example       TXT  \"v=spf1 include:%{d1r}.d1.example -all\"\n"
	"deep.d1.example    TXT  \"v=spf1 include:%{d1r}.d2.example -all\"\n"
	"deep.d2.example    TXT  \"v=spf1 ip4:192.0.2.1 -all\"\n";

struct world {
	struct conf *conf;
	struct board *board;
	size_t board_size;
	struct zone *zone;
	struct dns_source *source;
	struct authres_ids *ids;
	struct ip_set *exclusions;
	struct session_env env;
	struct fake fake;
	struct session *s;
};

static struct zone *
make_zone(void)
{
	struct zone *zone;
	char *why;

	assert_int_equal(zone_parse(span_cstr(zone_text), &zone, &why), RC_OK);
	return zone;
}

static void
open_session(struct world *w)
{
	struct mta mta = { .ops = &fake_ops, .handle = &w->fake, .wants_leading_space = true };

	w->s = session_create(&w->env, &mta);
}

static struct world *
make_world(struct dns_source *source, size_t n, const char *const *settings)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct conf_errors errors;
	const char *why;
	int fd;

	assert_int_equal(conf_load(NULL, settings, n, &w->conf, &errors), RC_OK);
	conf_errors_fini(&errors);
	assert_int_equal(board_create(4, &fd, &w->board, &w->board_size), RC_OK);
	close(fd);
	w->zone = make_zone();
	w->source = source != NULL ? source : dns_fixture_create(make_zone(), NULL);
	w->ids = authres_ids_create(SPAN("mx.example.jp"), NULL, 0);
	w->exclusions = ip_set_create();
	assert_int_equal(ip_set_add(w->exclusions, SPAN("198.51.100.0/24"), &why), RC_OK);
	w->env = (struct session_env){
		.conf = w->conf, .board = w->board, .slots = slots_create(w->board, (size_t)w->conf->worker_max_sessions),
		.pool = message_pool_create(w->source), .exclusions = w->exclusions, .ids = w->ids,
		.identifier = SPAN("mx.example.jp"), .receiver = SPAN("mx.example.jp"), .generation = 7,
		.options = { .spf = true, .spf_helo = true, .spf_void_limit = 2 },
	};
	open_session(w);
	return w;
}

#define WORLD(...) make_world(NULL, sizeof (const char *[]){ "log.target=stderr", __VA_ARGS__ } / sizeof(char *), \
	(const char *[]){ "log.target=stderr", __VA_ARGS__ })
#define HELD_WORLD(...) make_world(&held.source, sizeof (const char *[]){ "log.target=stderr", __VA_ARGS__ } / sizeof(char *), \
	(const char *[]){ "log.target=stderr", __VA_ARGS__ })

static void
end_world(struct world *w)
{
	session_close(&w->s);
	assert_int_equal(slots_open(w->env.slots), 0);
	message_pool_destroy(&w->env.pool);
	slots_destroy(&w->env.slots);
	if (w->source != &held.source)
		w->source->destroy(w->source);
	zone_destroy(&w->zone);
	authres_ids_destroy(&w->ids);
	ip_set_destroy(&w->exclusions);
	conf_destroy(&w->conf);
	board_detach(&w->board, w->board_size);
	free(w);
}

static uint64_t
counter(const struct world *w, enum board_counter c)
{
	return atomic_load(&w->board->counter[c]);
}

/* ---- the MTA's part, with texts of exact size ------------------------------------------------------------ */

static enum session_answer
with_exact(enum session_answer (*call)(struct session *, struct span), struct session *s, const char *text)
{
	struct span t = exact(text);
	enum session_answer a = call(s, t);

	exact_free(t);
	return a;
}

static enum session_answer
connect_from(struct world *w, const char *ip)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (ip == NULL)
		return session_connect(w->s, SPAN("localhost"), NULL);
	if (inet_pton(AF_INET, ip, &in4.sin_addr) == 1)
		return session_connect(w->s, SPAN("client.example"), (const struct sockaddr *)&in4);
	assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
	return session_connect(w->s, SPAN("client.example"), (const struct sockaddr *)&in6);
}

static void
header(struct world *w, const char *name, const char *value)
{
	struct span n = exact(name), v = exact(value);

	assert_int_equal(session_header(w->s, n, v), SESSION_CONTINUE);
	exact_free(n);
	exact_free(v);
}

static enum session_answer
message_from(struct world *w, const char *sender)
{
	assert_int_equal(with_exact(session_mail, w->s, sender), SESSION_CONTINUE);
	header(w, "From", " a@b.example");
	assert_int_equal(session_eoh(w->s), SESSION_CONTINUE);
	return session_eom(w->s);
}

static void
begin(struct world *w)
{
	assert_int_equal(connect_from(w, "192.0.2.1"), SESSION_CONTINUE);
	assert_int_equal(with_exact(session_helo, w->s, "mail.pass.example"), SESSION_CONTINUE);
}

#define assert_log_has(w, text) do { \
	if (strstr((w)->fake.log, text) == NULL) \
		fail_msg("no \"%s\" in:\n%s", text, (w)->fake.log); \
	} while (0)
#define assert_log_lacks(w, text) do { \
	if (strstr((w)->fake.log, text) != NULL) \
		fail_msg("\"%s\" in:\n%s", text, (w)->fake.log); \
	} while (0)

static void
forget(struct world *w)
{
	w->fake.n = 0;
	w->fake.log[0] = '\0';
}

/* ---- tests ----------------------------------------------------------------------------------------------- */

static void
test_results(void **state UNUSED)
{
	static const struct { const char *sender, *want; enum board_counter count; } cases[] = {
		{ "<a@pass.example>", "spf=pass smtp.mailfrom=a@pass.example", BOARD_SPF_PASS },
		{ "<a@fail.example>", "spf=fail", BOARD_SPF_FAIL },
		{ "<a@soft.example>", "spf=softfail", BOARD_SPF_SOFTFAIL },
		{ "<a@none.example>", "spf=none", BOARD_SPF_NONE },
		{ "<a@broken.example>", "spf=permerror", BOARD_SPF_PERMERROR },
		{ "<a@servfail.example>", "spf=temperror", BOARD_SPF_TEMPERROR },
		{ "<>", "smtp.mailfrom=postmaster@mail.pass.example", BOARD_SPF_PASS },
		{ "<a(b@pass.example>", "spf=none", BOARD_SPF_NONE },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = WORLD("spf.check_helo=true");

		begin(w);
		assert_int_equal(message_from(w, cases[i].sender), SESSION_CONTINUE);
		assert_log_has(w, "insert 0 Authentication-Results: mx.example.jp;");
		assert_log_has(w, cases[i].want);
		assert_log_has(w, "spf=pass");          /* HELO's own */
		assert_log_has(w, "smtp.helo=mail.pass.example");
		assert_int_equal(counter(w, cases[i].count), 1);
		assert_int_equal(counter(w, BOARD_HELO_PASS), 1);
		assert_int_equal(counter(w, BOARD_MESSAGES), 1);
		assert_int_equal(counter(w, BOARD_ACTION_ACCEPT), 1);
		end_world(w);
	}
}

/* Questions whose names come from macros are asked one after another: several rounds at the end of the message. */
static void
test_several_rounds(void **state UNUSED)
{
	struct world *w = WORLD("spf.check_helo=true");

	begin(w);
	assert_int_equal(message_from(w, "<a@deep.example>"), SESSION_CONTINUE);
	assert_log_has(w, "smtp.mailfrom=a@deep.example");
	assert_log_lacks(w, "temperror");
	end_world(w);
}

static void
test_no_leading_space(void **state UNUSED)
{
	struct world *w = WORLD("spf.received_header=true");

	session_mta(w->s)->wants_leading_space = false;
	begin(w);
	assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
	assert_log_has(w, "insert 0 Authentication-Results:mx.example.jp;");
	assert_log_has(w, "insert 0 Received-SPF:pass");
	end_world(w);
}

static void
test_received_spf_below(void **state UNUSED)
{
	struct world *w = WORLD("spf.received_header=true");

	begin(w);
	assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
	assert_true(strncmp(w->fake.log, "insert 0 Received-SPF: pass", 27) == 0);
	assert_true(strstr(w->fake.log, "Authentication-Results:") > strstr(w->fake.log, "Received-SPF:"));
	end_world(w);
}

/* Eight fields; 2, 3 and 5 are forged: 5, 3, 2 go, in this order. */
static void
test_forged_fields(void **state UNUSED)
{
	struct world *w = WORLD("spf.check_helo=false");
	char value[64];

	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	for (int i = 1; i <= 8; i++) {
		const char *id = i == 2 ? "MX.example.JP" : i == 3 ? "\"mx.example.jp\"" : i == 5 ? "(c)\n mx.example.jp 1" : NULL;

		snprintf(value, sizeof value, id != NULL ? " %s; spf=pass" : " h%s%d.example; spf=pass", id != NULL ? id : "", i);
		header(w, i == 3 ? "AUTHENTICATION-RESULTS" : i == 5 ? "Authentication-Results " : "Authentication-Results", value);
		header(w, "Subject", " x");
	}
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_true(strncmp(w->fake.log, "delete Authentication-Results 5\ndelete Authentication-Results 3\n"
	    "delete Authentication-Results 2\ninsert 0 ", 3 * 32 + 9) == 0);
	assert_int_equal(counter(w, BOARD_AUTHRES_REMOVED), 3);
	assert_int_equal(counter(w, BOARD_AUTHRES_KEPT), 5);
	end_world(w);
}

static void
test_extra_fields(void **state UNUSED)
{
	struct world *w = WORLD("authresult.remove_fields=X-Spam-Result");

	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	header(w, "x-spam-result", " 1");
	header(w, "Authentication-Results", " mx.example.jp; none");
	header(w, "X-Spam-Result ", " 2");
	header(w, "X-Spam-Results", " 3");
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_log_has(w, "delete X-Spam-Result 2\ndelete Authentication-Results 1\ndelete X-Spam-Result 1\n");
	assert_log_lacks(w, "delete X-Spam-Result 3");
	end_world(w);
}

/* Forged fields go, nothing is inserted. */
static void
test_excluded(void **state UNUSED)
{
	struct world *w = WORLD("common.exclude_authenticated=true");

	assert_int_equal(connect_from(w, "::ffff:198.51.100.9"), SESSION_CONTINUE);
	with_exact(session_helo, w->s, "h.example");
	with_exact(session_mail, w->s, "<a@fail.example>");
	header(w, "Authentication-Results", " mx.example.jp; spf=pass");
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_string_equal(w->fake.log, "delete Authentication-Results 1\n");
	assert_int_equal(counter(w, BOARD_MESSAGES_EXCLUDED), 1);
	assert_int_equal(counter(w, BOARD_CONNECTIONS_EXCLUDED), 1);
	assert_int_equal(counter(w, BOARD_DNS_QUESTIONS), 0);
	end_world(w);
}

static void
test_authenticated(void **state UNUSED)
{
	struct world *w = WORLD("common.exclude_authenticated=true"), *v = WORLD("common.exclude_authenticated=false");

	begin(w);
	begin(v);
	snprintf(w->fake.login, sizeof w->fake.login, "user");
	snprintf(v->fake.login, sizeof v->fake.login, "user");
	assert_int_equal(message_from(w, "<a@fail.example>"), SESSION_CONTINUE);
	assert_int_equal(message_from(v, "<a@fail.example>"), SESSION_CONTINUE);
	assert_string_equal(w->fake.log, "");
	assert_log_has(v, "spf=fail");
	/* the next message of the same connection without a login */
	w->fake.login[0] = '\0';
	assert_int_equal(message_from(w, "<a@fail.example>"), SESSION_CONTINUE);
	assert_log_has(w, "spf=fail");
	end_world(w);
	end_world(v);
}

static void
test_local_submission(void **state UNUSED)
{
	static const struct { const char *ip, *helo, *sender; bool is_local; } cases[] = {
		{ NULL, NULL, "a@fail.example", true },
		{ "127.0.0.1", NULL, "<a@fail.example>", true },
		{ "::1", NULL, "<a@fail.example>", true },
		{ "127.0.0.1", "localhost", "a@fail.example", true },
		{ "127.0.0.1", "localhost", "<a@fail.example>", false },
		{ "127.0.0.1", "h.example", "a@fail.example", false },
		{ "192.0.2.1", NULL, "<a@fail.example>", false },
		{ "192.0.2.1", "localhost", "a@fail.example", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = WORLD("spf.check_helo=true");

		connect_from(w, cases[i].ip);
		if (cases[i].helo != NULL)
			with_exact(session_helo, w->s, cases[i].helo);
		assert_int_equal(message_from(w, cases[i].sender), SESSION_CONTINUE);
		assert_log_has(w, cases[i].is_local ? "spf=none" : "spf=fail");
		assert_int_equal(counter(w, BOARD_SPF_NONE), cases[i].is_local);
		end_world(w);
	}
}

/* Nothing of one message is seen in the next, however the first one ended. */
static void
test_nothing_leaks(void **state UNUSED)
{
	for (int stage = 0; stage < 6; stage++) {
		struct world *w = WORLD("message.max_headers=10");

		begin(w);
		snprintf(w->fake.qid, sizeof w->fake.qid, "FIRST");
		snprintf(w->fake.login, sizeof w->fake.login, "user");
		if (stage >= 1)
			with_exact(session_mail, w->s, "<evil@fail.example>");
		for (int i = 0; stage >= 2 && i < 12; i++)
			header(w, "Authentication-Results", " mx.example.jp; none");
		if (stage >= 3)
			session_eoh(w->s);
		if (stage == 4)
			session_eom(w->s);
		if (stage == 5)
			with_exact(session_helo, w->s, "mail.pass.example");
		session_abort(w->s);
		session_abort(w->s);
		assert_int_equal(counter(w, BOARD_MESSAGES_ABORTED), stage >= 1 && stage != 4);
		forget(w);
		w->fake.qid[0] = w->fake.login[0] = '\0';
		assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
		assert_log_lacks(w, "delete");
		assert_log_lacks(w, "evil");
		assert_log_has(w, "spf=pass");
		assert_int_equal(w->board->session[0].qid[0], '\0');
		end_world(w);
	}
}

static void
test_out_of_order(void **state UNUSED)
{
	struct world *w = WORLD("spf.check_helo=true");

	header(w, "Subject", " x");
	assert_int_equal(session_eoh(w->s), SESSION_CONTINUE);
	assert_int_equal(session_eom(w->s), SESSION_TEMPFAIL);          /* nothing was checked */
	begin(w);
	with_exact(session_mail, w->s, "<a@fail.example>");
	assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);        /* MAIL after MAIL */
	assert_log_lacks(w, "fail.example");
	assert_int_equal(counter(w, BOARD_MESSAGES_ABORTED), 1);
	/* a new connection in the same session */
	assert_int_equal(connect_from(w, "203.0.113.1"), SESSION_CONTINUE);
	forget(w);
	assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
	assert_log_has(w, "spf=fail");
	assert_log_lacks(w, "smtp.helo");
	end_world(w);
}

static void
test_many_messages_and_helos(void **state UNUSED)
{
	struct world *w = WORLD("spf.check_helo=true");

	begin(w);
	for (int i = 0; i < 200; i++) {
		forget(w);
		if (i % 3 == 0)
			with_exact(session_helo, w->s, i % 2 ? "mail.pass.example" : "fail.example");
		if (i % 7 == 0) {
			with_exact(session_mail, w->s, "<gone@fail.example>");
			session_abort(w->s);
		}
		assert_int_equal(message_from(w, i % 2 ? "<a@pass.example>" : "<a@fail.example>"), SESSION_CONTINUE);
		assert_log_has(w, i % 2 ? "spf=pass smtp.mailfrom=a@pass.example" : "smtp.mailfrom=a@fail.example");
	}
	assert_int_equal(counter(w, BOARD_MESSAGES), 200);
	end_world(w);
}

/* At the limit everything is as always; one past it the setting decides. */
static void
test_header_count_limit(void **state UNUSED)
{
	static const struct { const char *setting; enum session_answer want; enum board_counter count; } cases[] = {
		{ "message.on_limit=reject", SESSION_REJECT, BOARD_ACTION_REJECT },
		{ "message.on_limit=tempfail", SESSION_TEMPFAIL, BOARD_ACTION_TEMPFAIL },
		{ "message.on_limit=accept", SESSION_CONTINUE, BOARD_ACTION_ACCEPT },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int over = 0; over <= 1; over++) {
			struct world *w = WORLD("message.max_headers=10", cases[i].setting);

			begin(w);
			with_exact(session_mail, w->s, "<a@pass.example>");
			for (int n = 0; n < 9 + over; n++)
				header(w, "Subject", " x");
			header(w, "Authentication-Results", " mx.example.jp; none");
			assert_int_equal(session_eom(w->s), over ? cases[i].want : SESSION_CONTINUE);
			assert_int_equal(counter(w, BOARD_MESSAGES_OVER_LIMIT), over);
			assert_int_equal(counter(w, over ? cases[i].count : BOARD_ACTION_ACCEPT), 1);
			/* a forged field beyond the limit does not slip through */
			if (!over || cases[i].want == SESSION_CONTINUE)
				assert_log_has(w, "delete Authentication-Results 1");
			else
				assert_log_has(w, "reply ");
			end_world(w);
		}
}

static void
test_header_bytes_limit(void **state UNUSED)
{
	for (size_t over = 0; over <= 1; over++) {
		struct world *w = WORLD("message.max_header_bytes=4096", "message.on_limit=reject");
		size_t n = 4096 - strlen("Subject") - 3 + over;
		char *value = xcalloc(1, n + 1);

		memset(value, 'x', n);
		begin(w);
		with_exact(session_mail, w->s, "<a@pass.example>");
		header(w, "Subject", value);
		assert_int_equal(session_eom(w->s), over ? SESSION_REJECT : SESSION_CONTINUE);
		free(value);
		end_world(w);
	}
}

/* More forged fields than the arena can note: never accepted. */
static void
test_lost_claims(void **state UNUSED)
{
	struct world *w = WORLD("message.on_limit=accept");

	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	for (size_t i = 0; i < MESSAGE_ARENA_MAX / sizeof(struct message_claim) + 1; i++)
		session_header(w->s, SPAN("Authentication-Results"), SPAN(" mx.example.jp; none"));
	w->fake.fail_deletes = 1;       /* keep the record small */
	assert_int_equal(session_eom(w->s), SESSION_TEMPFAIL);
	end_world(w);
}

static void
test_failing_mta(void **state UNUSED)
{
	static const struct { const char *setting; enum session_answer want; } cases[] = {
		{ "worker.on_internal_error=accept", SESSION_TEMPFAIL },        /* not with a forged field in it */
		{ "worker.on_internal_error=tempfail", SESSION_TEMPFAIL },
		{ "worker.on_internal_error=reject", SESSION_REJECT },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = WORLD(cases[i].setting);

		begin(w);
		with_exact(session_mail, w->s, "<a@pass.example>");
		header(w, "Authentication-Results", " mx.example.jp; none");
		w->fake.fail_deletes = 1;
		assert_int_equal(session_eom(w->s), cases[i].want);
		assert_int_equal(counter(w, BOARD_INTERNAL_ERRORS), 1);
		assert_int_equal(counter(w, BOARD_AUTHRES_REMOVED), 0);
		/* the session goes on */
		w->fake.fail_deletes = 0;
		assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
		end_world(w);
	}
}

/* Five sessions where four are allowed. */
static void
test_overload(void **state UNUSED)
{
	static const struct { const char *setting; enum session_answer want; } cases[] = {
		{ "worker.on_overload=tempfail", SESSION_TEMPFAIL }, { "worker.on_overload=accept", SESSION_ACCEPT },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = WORLD("worker.max_sessions=4", cases[i].setting);
		struct session *first[4];

		first[0] = w->s;
		for (size_t k = 0; k < 4; k++) {
			if (k > 0)
				open_session(w);
			first[k] = w->s;
			assert_false(session_is_overload(w->s));
			assert_int_equal(connect_from(w, "192.0.2.1"), SESSION_CONTINUE);
		}
		open_session(w);
		assert_true(session_is_overload(w->s));
		assert_int_equal(connect_from(w, "192.0.2.1"), cases[i].want);
		assert_int_equal(slots_open(w->env.slots), 5);
		assert_int_equal(counter(w, BOARD_CONNECTIONS_OVERLOAD), 1);
		session_close(&w->s);
		session_close(&first[2]);
		open_session(w);
		assert_false(session_is_overload(w->s));
		for (size_t k = 0; k < 4; k++)
			session_close(&first[k]);
		end_world(w);
	}
}

static void
test_qid_on_board(void **state UNUSED)
{
	struct world *w = WORLD("spf.check_helo=true");

	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	assert_string_equal(w->board->session[0].qid, "");
	snprintf(w->fake.qid, sizeof w->fake.qid, "0123456789abcdefABCDEFGHIJ");
	session_eoh(w->s);
	assert_string_equal(w->board->session[0].qid, "0123456789abcdefABCDEFG");
	assert_int_equal(atomic_load(&w->board->session[0].in_callback), 0);
	session_eom(w->s);
	assert_string_equal(w->board->session[0].qid, "");
	assert_int_equal(atomic_load(&w->board->session[0].phase), BOARD_P_IDLE);
	session_close(&w->s);
	assert_int_equal(atomic_load(&w->board->session[0].phase), BOARD_P_FREE);
	end_world(w);
}

/* ---- slow DNS -------------------------------------------------------------------------------------------- */

static void *
release_soon(void *zone)
{
	for (int round = 0; round < 50; round++) {
		usleep(2000);
		pthread_mutex_lock(&held.lock);
		held_release(zone);
		pthread_mutex_unlock(&held.lock);
	}
	return NULL;
}

/* Questions are out when MAIL FROM returns; answers that come before the end of the header are used there. */
static void
test_questions_go_out_early(void **state UNUSED)
{
	struct world *w = HELD_WORLD("resolver.deadline=5s");
	size_t asked = held.asked;
	pthread_t thread;

	begin(w);
	with_exact(session_mail, w->s, "<a@deep.example>");
	assert_true(held.asked > asked);
	assert_true(held.n > 0);
	asked = held.asked;
	held_release(w->zone);
	session_eoh(w->s);
	assert_true(held.asked > asked);        /* one step further */
	assert_int_equal(pthread_create(&thread, NULL, release_soon, w->zone), 0);
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	pthread_join(thread, NULL);
	assert_log_has(w, "spf=pass smtp.mailfrom=a@deep.example");
	assert_int_equal(counter(w, BOARD_DNS_TIMEOUTS), 0);
	assert_in_range(w->fake.waits, 1, 3);
	end_world(w);
}

static void
test_deadline(void **state UNUSED)
{
	struct world *w = HELD_WORLD("resolver.deadline=1s");
	int64_t begun_ms = clock_mono_ms();

	begin(w);
	assert_int_equal(message_from(w, "<a@pass.example>"), SESSION_CONTINUE);
	assert_log_has(w, "spf=temperror");
	assert_in_range(clock_mono_ms() - begun_ms, 900, 10000);
	assert_true(counter(w, BOARD_DNS_TIMEOUTS) > 0);
	assert_int_equal(held.n, 0);            /* given up, not left behind */
	/* the next message is served */
	with_exact(session_mail, w->s, "<a@pass.example>");
	while (held.n > 0) {
		held_release(w->zone);
		session_eoh(w->s);
	}
	forget(w);
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_log_has(w, "spf=pass smtp.mailfrom=a@pass.example");
	end_world(w);
}

/* ---- bodies ---------------------------------------------------------------------------------------------- */

static const struct dkim_options dkim_options = { .limit = 10, .min_rsa_bits = 1024 };

static void
add_signatures(struct world *w, size_t n)
{
	char text[512];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof text, " v=1; a=rsa-sha256; c=%s; d=d%zu.example; s=sel; h=from:subject;\n\tbh=%s; b=%zuAAAA", i % 2 == 0 ?
		    "relaxed/relaxed" : "simple/simple", i, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", 1000 + i);
		header(w, "DKIM-Signature", text);
	}
	header(w, "From", " a@b.example");
}

static void
test_body_is_skipped(void **state UNUSED)
{
	struct world *w = WORLD("message.max_headers=10", "message.on_limit=accept");

	w->env.options.dkim = &dkim_options;
	begin(w);
	/* no message */
	assert_int_equal(with_exact(session_body, w->s, "x"), SESSION_SKIP);
	/* no signature */
	with_exact(session_mail, w->s, "<a@pass.example>");
	add_signatures(w, 0);
	session_eoh(w->s);
	assert_int_equal(with_exact(session_body, w->s, "x"), SESSION_SKIP);
	assert_int_equal(with_exact(session_body, w->s, "x"), SESSION_SKIP);
	session_eom(w->s);
	assert_log_has(w, "dkim=none");
	assert_int_equal(counter(w, BOARD_DKIM_NONE), 1);
	/* a header that is too long to be kept */
	with_exact(session_mail, w->s, "<a@pass.example>");
	add_signatures(w, 10);
	session_eoh(w->s);
	assert_int_equal(with_exact(session_body, w->s, "x"), SESSION_SKIP);
	session_eom(w->s);
	assert_log_has(w, "dkim=temperror");
	assert_int_equal(counter(w, BOARD_DKIM_TEMPERROR), 10);
	assert_int_equal(counter(w, BOARD_DKIM_SIGNATURES), 10);
	/* an excluded client */
	connect_from(w, "198.51.100.1");
	with_exact(session_mail, w->s, "<a@pass.example>");
	add_signatures(w, 1);
	session_eoh(w->s);
	assert_int_equal(with_exact(session_body, w->s, "x"), SESSION_SKIP);
	session_eom(w->s);
	/* ... and it is over with the message: the next one is evaluated */
	connect_from(w, "192.0.2.1");
	with_exact(session_helo, w->s, "mail.pass.example");
	with_exact(session_mail, w->s, "<a@pass.example>");
	add_signatures(w, 1);
	/* an MTA that leaves the end of the header out */
	forget(w);
	session_body(w->s, SPAN("x\r\n"));
	session_eom(w->s);
	assert_log_has(w, "dkim=permerror");
	end_world(w);
}

/* Without their keys signatures are temperror when the deadline comes, and nothing waits longer than that. */
static void
test_silent_keys(void **state UNUSED)
{
	struct world *w = HELD_WORLD("resolver.deadline=1s");
	int64_t begun = clock_mono_ms();

	w->env.options = (struct eval_options){ .dkim = &dkim_options };
	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	assert_int_equal(held.n, 0);
	add_signatures(w, 2);
	session_eoh(w->s);
	assert_int_equal(held.n, 2);            /* both keys are asked for before the body */
	assert_int_equal(with_exact(session_body, w->s, "x\r\n"), SESSION_CONTINUE);
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_in_range(clock_mono_ms() - begun, 0, 20000);
	assert_log_has(w, "dkim=temperror");
	assert_log_lacks(w, "dkim=p");
	held_release(w->zone);
	end_world(w);
}

static size_t
heap_bytes(void)
{
	struct mallinfo2 i = mallinfo2();

	return i.uordblks + i.hblkhd;
}

static size_t
resident_bytes(void)
{
	unsigned long long total, resident;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &total, &resident), 2);
	fclose(f);
	return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* The promise: a session needs less than this besides its header, however long the body. */
enum { SESSION_BYTES_MAX = 256 * KIB, BIG_BODY = 100 * MIB, PIECE = 65535 };

static void
test_big_body(void **state UNUSED)
{
	struct world *w = HELD_WORLD("resolver.deadline=5s");
	char *piece = xmalloc(PIECE);
	size_t before, resident, most = 0;

	for (size_t i = 0; i < PIECE; i++)
		piece[i] = i % 100 == 98 ? '\r' : i % 100 == 99 ? '\n' : i % 7 == 0 ? ' ' : (char)('a' + i % 26);
	w->env.options.dkim = &dkim_options;
	begin(w);
	before = heap_bytes();
	with_exact(session_mail, w->s, "<a@pass.example>");
	add_signatures(w, 10);
	session_eoh(w->s);
	assert_int_equal(session_body(w->s, span_of(piece, PIECE)), SESSION_CONTINUE);
	resident = resident_bytes();
	for (size_t n = 0; n < BIG_BODY; n += PIECE) {
		assert_int_equal(session_body(w->s, span_of(piece, PIECE)), SESSION_CONTINUE);
		most = MAX(most, heap_bytes());
	}
	/* Of the heap, as far as a sanitizer lets us see it, and of everything. */
	assert_true(most <= before + SESSION_BYTES_MAX);
	assert_true(resident_bytes() <= resident + SESSION_BYTES_MAX);
	held_release(w->zone);
	assert_int_equal(session_eom(w->s), SESSION_CONTINUE);
	assert_log_has(w, "dkim=permerror");
	free(piece);
	end_world(w);
}

/* The message is gone, its answers come later: cancelled at the abort, nothing is touched. */
static void
test_abort_with_questions(void **state UNUSED)
{
	struct world *w = HELD_WORLD("resolver.deadline=5s");

	begin(w);
	with_exact(session_mail, w->s, "<a@pass.example>");
	assert_true(held.n > 0);
	session_abort(w->s);
	held_release(w->zone);
	with_exact(session_mail, w->s, "<a@pass.example>");
	session_close(&w->s);
	held_release(w->zone);
	end_world(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_results), cmocka_unit_test(test_several_rounds), cmocka_unit_test(test_no_leading_space),
		cmocka_unit_test(test_received_spf_below), cmocka_unit_test(test_forged_fields),
		cmocka_unit_test(test_extra_fields), cmocka_unit_test(test_excluded), cmocka_unit_test(test_authenticated),
		cmocka_unit_test(test_local_submission), cmocka_unit_test(test_nothing_leaks),
		cmocka_unit_test(test_out_of_order), cmocka_unit_test(test_many_messages_and_helos),
		cmocka_unit_test(test_header_count_limit), cmocka_unit_test(test_header_bytes_limit),
		cmocka_unit_test(test_lost_claims), cmocka_unit_test(test_failing_mta), cmocka_unit_test(test_overload),
		cmocka_unit_test(test_qid_on_board), cmocka_unit_test(test_questions_go_out_early),
		cmocka_unit_test(test_deadline), cmocka_unit_test(test_abort_with_questions),
		cmocka_unit_test(test_body_is_skipped), cmocka_unit_test(test_silent_keys), cmocka_unit_test(test_big_body),
	};

	/* The lines of messages are made and thrown away. */
	log_open(&(struct log_options){ .sink = LOG_TO_FD, .level = LOG_L_INFO, .fd = open("/dev/null", O_WRONLY | O_CLOEXEC) });
	return cmocka_run_group_tests(tests, NULL, NULL);
}
