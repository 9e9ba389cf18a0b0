/*
 * dns_unbound - libunbound behind dns_source; see dns_unbound.h.  The one door to libunbound and libevent.
 *
 * One thread runs the event loop and is the only one that talks to contexts after the start.  Askers append to a queue and wake
 * the loop through an eventfd.  On the loop thread a request gets a job, the thing libunbound's callback is given.
 *
 * Giving up.  ub_cancel() is not used: it suppresses the callback while the query goes on all the same, so nobody could tell how
 * many queries are under way, and a sender of silent names could pile them up without a limit.  Instead the job lets go of its
 * request and stays counted until libunbound is done with it; the answer still goes into libunbound's cache.
 *
 * States of a request, changed under the lock:
 *	QUEUED -> STARTED -> IDLE               done
 *	QUEUED -> DROPPED                       cancelled before it was asked; on the list of cancels, the loop finishes it
 *	STARTED -> CANCELLING [-> ANSWERED]     on the list of cancels, the loop finishes it
 * cancel() leaves all but QUEUED and STARTED alone.  dns_req.own: where the queue points to a QUEUED request; the job of a
 * STARTED one.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <unbound-event.h>
#include <unbound.h>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/xalloc.h"
#include "common/dns/answer_int.h"
#include "common/dns/dns_unbound.h"
#include "common/dns/forwarders.h"

enum {
	STACK_SIZE = 4 * MIB,           /* contexts are made on this thread, too; only what is used costs memory */
	ANCHOR_LINE_MAX = 4 * KIB,
	CLASS_IN = 1,
	SEC_BOGUS = 1,
	SEC_SECURE = 2,
	STARTS_PER_TURN = 512,          /* then the network has its turn */
	CONTEXTS_MAX = 8,               /* with more at a time, questions wait until one of the former ones is done: 4 s at most when servers are silent */
};

enum state { IDLE, QUEUED, DROPPED, STARTED, CANCELLING, ANSWERED };

struct list {
	struct dns_req *first, **end;
};

/* libunbound's memory of answers is the context's, and cannot be emptied: a flush replaces the context. */
struct context {
	struct ub_ctx *ctx;
	size_t jobs;                    /* under way in it */
	bool is_used;                   /* something was asked: it may remember */
	struct context *next;
};

/* What a context is made from. */
struct recipe {
	struct forwarders forward;
	struct span trust_anchor;       /* heap */
	bool is_recursive;
};

struct unbound {
	struct dns_source source;       /* first: the casts rely on it */
	struct event_base *base;
	struct recipe recipe;
	/* Loop thread; the destroying one after it: */
	uint64_t flushes_seen;          /* of flushes_wanted */
	bool must_flush;                /* one that was seen could not be made yet */
	struct context *context;        /* the current one; its .next: former ones that have questions under way */
	struct event *wake_event, *beat_event;
	int wake_fd;
	pthread_t thread;
	bool is_started;
	struct job *jobs;               /* loop thread; the destroying one after it */
	size_t in_flight, in_flight_max;        /* how many they are */
	bool is_inside_ask;             /* loop thread: a callback comes from within ub_resolve_event() */
	pthread_mutex_t lock;           /* everything below, and dns_req.state and .next */
	struct list queue, cancels;
	size_t outstanding, outstanding_max;
	bool is_stopping;
	uint64_t flushes_wanted;
	void (*beat)(void *arg);
	void *beat_arg;
};

/* A query that libunbound works on. */
struct job {
	struct unbound *u;
	struct context *context;
	struct dns_req *req;            /* NULL: given up */
	struct job *before, *after;
};

_Static_assert(DNS_UNBOUND_SOCKETS == 1024, "see outgoing-range below");

/* The measured settings.  Essential ones protect all other names from one that never answers. */
static const struct { const char *name, *value; bool is_essential; } options[] = {
	/* A server's silence about two names would make every other name SERVFAIL for seconds: keep no memory of it. */
	{ "infra-host-ttl:", "0", true },
	/* Each retransmission discards the earlier answer; 50 ms after fast answers is far too soon for a recursing server. */
	{ "infra-cache-min-rtt:", "2000", true },
	/* With a first timeout of 2 s one retry is all that fits before a message's deadline. */
	{ "outbound-msg-retry:", "1", false },
	/* Sockets, and questions to work on, at one time; the default of 16 sockets is a queue.  A silent name holds a socket for 4 s, so
	 * DNS_UNBOUND_SOCKETS of them stand for 256 such names a second before others have to wait. */
	{ "outgoing-range:", "1024", true },
	{ "num-queries-per-thread:", "2048", true },
	/* No fragments (and no fragment attacks): larger answers come over TCP. */
	{ "edns-buffer-size:", "1232", true },
	/* The reverse zones of private networks belong to the operator's servers. */
	{ "unblock-lan-zones:", "yes", true },
};

/* Names that libunbound would answer by itself.  Whoever names a server wants that server's answers. */
static const char *const local_zones[] = {
	"localhost.", "127.in-addr.arpa.",
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
	"home.arpa.", "onion.", "test.", "invalid.", "resolver.arpa.", "service.arpa.",
};

/* ---- lists and the end of a request ---------------------------------------------------------- */

static void
list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void
list_append(struct list *l, struct dns_req *req)
{
	req->next = NULL;
	*l->end = req;
	l->end = &req->next;
}

static void
queue_append(struct list *queue, struct dns_req *req)
{
	req->own = queue->end;
	list_append(queue, req);
}

static void
queue_remove(struct list *queue, struct dns_req *req)
{
	struct dns_req **place = req->own;

	*place = req->next;
	if (req->next != NULL)
		req->next->own = place;
	else
		queue->end = place;
}

static struct dns_req *
list_take(struct list *l)
{
	struct dns_req *first = l->first;

	list_init(l);
	return first;
}

static void
wake(const struct unbound *u)
{
	ssize_t n;

	/* The counter cannot overflow, and a full one is awake anyway. */
	do
		n = write(u->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	while (n < 0 && errno == EINTR);
}

/* The request is in no list, and in a state that cancel() leaves alone.  The asker may free it inside done(). */
static void
finish(struct dns_req *req, struct dns_answer *a)
{
	const int64_t elapsed_us = clock_mono_us() - req->asked_us;

	a->elapsed_us = (uint32_t)MIN(MAX(elapsed_us, 0), (int64_t)UINT32_MAX);
	req->answer = a;
	req->done(req);
}

static struct job *
job_create(struct unbound *u, struct dns_req *req)
{
	struct job *job = xcalloc(1, sizeof *job);

	job->u = u;
	job->context = u->context;
	job->context->jobs++;
	job->context->is_used = true;
	job->req = req;
	job->after = u->jobs;
	if (u->jobs != NULL)
		u->jobs->before = job;
	u->jobs = job;
	u->in_flight++;
	req->own = job;
	return job;
}

static void
job_end(struct job *job)
{
	struct unbound *u = job->u;
	const bool was_full = u->in_flight-- == u->in_flight_max;
	/* The last question of a former context: it ends from the loop, not from inside its own callback. */
	const bool is_last = --job->context->jobs == 0 && job->context != u->context;
	bool must_wake;

	*(job->before != NULL ? &job->before->after : &u->jobs) = job->after;
	if (job->after != NULL)
		job->after->before = job->before;
	free(job);
	pthread_mutex_lock(&u->lock);
	u->outstanding--;
	must_wake = is_last || (was_full && u->queue.first != NULL);
	pthread_mutex_unlock(&u->lock);
	if (must_wake)
		wake(u);
}

/* ---- making a context ------------------------------------------------------------------------- */

/* RC_OK also when an unimportant option is not known here; then why says so. */
static enum rc
set_options(struct ub_ctx *ctx, char *why, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		int error = ub_ctx_set_option(ctx, options[i].name, options[i].value);

		if (error == 0)
			continue;
		snprintf(why, size, "libunbound %s does not take the option %s %s (%s)", ub_version(), options[i].name,
		    options[i].value, ub_strerror(error));
		if (options[i].is_essential)
			return RC_TEMP;
	}
	return RC_OK;
}

static enum rc
set_forwarders(struct ub_ctx *ctx, const struct forwarders *f, char *why, size_t size)
{
	for (size_t i = 0; i < f->n; i++) {
		int error = ub_ctx_set_fwd(ctx, f->v[i]);

		if (error != 0) {
			snprintf(why, size, "libunbound refuses the forwarder '%s': %s", f->v[i], ub_strerror(error));
			return RC_SYNTAX;
		}
	}
	return RC_OK;
}

/* The next line that is not blank or comment; what follows a ';' is comment too (RFC 5011 state in unbound's own files). */
static bool
next_anchor(struct span *rest, size_t *number, struct span *line_out)
{
	while (span_split(rest, '\n', line_out)) {
		++*number;
		*line_out = span_sub(*line_out, 0, span_find(*line_out, ';'));
		*line_out = span_trim(span_sub(*line_out, 0, span_find(*line_out, '#')));
		if (line_out->n > 0)
			return true;
	}
	return false;
}

static enum rc
add_anchor(struct ub_ctx *ctx, struct span line)
{
	char text[ANCHOR_LINE_MAX];

	if (line.n >= sizeof text || memchr(line.p, '\0', line.n) != NULL)
		return RC_SYNTAX;
	memcpy(text, line.p, line.n);
	text[line.n] = '\0';
	return ub_ctx_add_ta(ctx, text) == 0 ? RC_OK : RC_SYNTAX;
}

/* Makes libunbound look at everything it was given.  Only now are anchors parsed; after this no option can be set. */
static int
finalize(struct ub_ctx *ctx, bool is_recursive)
{
	int error = 0;

	if (is_recursive)
		return ub_ctx_zone_add(ctx, "localhost.", "static");    /* as it is by default */
	for (size_t i = 0; i < ARRAY_LEN(local_zones) && error == 0; i++)
		error = ub_ctx_zone_add(ctx, local_zones[i], "transparent");
	return error;
}

static enum rc
configure(struct ub_ctx *ctx, const struct recipe *r, char *why, size_t size)
{
	struct span rest = r->trust_anchor, line;
	size_t number = 0;
	int error;
	enum rc rc;

	/* Its own messages hold names from outside, unescaped; what matters comes back in answers. */
	(void)ub_ctx_debugout(ctx, NULL);
	if ((rc = set_options(ctx, why, size)) != RC_OK || (rc = set_forwarders(ctx, &r->forward, why, size)) != RC_OK)
		return rc;
	while (next_anchor(&rest, &number, &line))
		if ((rc = add_anchor(ctx, line)) != RC_OK)
			return rc;
	error = finalize(ctx, r->is_recursive);
	if (error != 0) {
		snprintf(why, size, "libunbound %s does not start: %s", ub_version(), ub_strerror(error));
		return RC_TEMP;
	}
	return RC_OK;
}

/* ---- on the loop thread ---------------------------------------------------------------------- */

/* "validation failure <NAME TYPE IN>: reason": the asker knows what was asked, and the reason would be cut off. */
static const char *
bogus_reason(const char *why)
{
	const char *colon = why != NULL ? strstr(why, ">: ") : NULL;

	return colon != NULL ? colon + 3 : why;
}

static struct dns_answer *
answer_of(const struct dns_req *req, int rcode, const void *packet, int len, int sec, const char *why_bogus)
{
	struct dns_answer *a;
	char why[32];

	if (rcode != 0 || packet == NULL || len <= 0) {
		/* Nothing of the packet counts when there is a code. */
		snprintf(why, sizeof why, rcode == 2 ? "SERVFAIL" : "rcode %d", rcode);
		return answer_status(DNS_SERVFAIL, 0, why);
	}
	if (sec == SEC_BOGUS)
		return answer_status(DNS_BOGUS, 0, bogus_reason(why_bogus));
	a = answer_decode(span_of(packet, (size_t)len), &req->name, req->type);
	a->is_secure = sec == SEC_SECURE;
	return a;
}

/*
 * A request that is on the list of cancels is finished from there: the list still points to it.  From IDLE on no cancel() can put it
 * there any more, so the look and the change are one step.
 */
static void
complete(struct unbound *u, struct dns_req *req, struct dns_answer *a)
{
	bool is_cancelling;

	pthread_mutex_lock(&u->lock);
	is_cancelling = req->state == CANCELLING;
	req->state = is_cancelling ? ANSWERED : IDLE;
	if (is_cancelling)
		req->answer = a;
	pthread_mutex_unlock(&u->lock);
	if (!is_cancelling)
		finish(req, a);
}

/* libunbound's callback: also from inside ub_resolve_event() and ub_ctx_delete(). */
static void
on_answer(void *arg, int rcode, void *packet, int len, int sec, char *why_bogus, int was_ratelimited)
{
	struct job *job = arg;
	struct unbound *u = job->u;
	struct dns_req *req = job->req;
	struct dns_answer *a;

	(void)was_ratelimited;
	job_end(job);
	if (req == NULL)
		return;
	a = answer_of(req, rcode, packet, len, sec, why_bogus);
	a->is_from_cache = u->is_inside_ask;
	complete(u, req, a);
}

static void
start(struct unbound *u, struct dns_req *req)
{
	struct buf name = buf_heap(4 * DNS_NAME_WIRE_MAX + 1);
	struct job *job = job_create(u, req);
	int error;

	dns_name_print(&name, &req->name);
	u->is_inside_ask = true;
	/* If this returns 0 the callback may already have run: neither job nor request is ours any more. */
	error = ub_resolve_event(u->context->ctx, buf_text(&name).p, req->type, CLASS_IN, job, on_answer, NULL);
	u->is_inside_ask = false;
	buf_fini(&name);
	if (error != 0) {
		job_end(job);
		complete(u, req, answer_status(DNS_SERVFAIL, 0, ub_strerror(error)));
	}
}

static void
finish_cancelled(struct unbound *u, struct dns_req *req)
{
	if (req->state == ANSWERED) {
		finish(req, (struct dns_answer *)(uintptr_t)req->answer);
		return;
	}
	if (req->state == CANCELLING) {
		((struct job *)req->own)->req = NULL;
	} else {
		pthread_mutex_lock(&u->lock);
		u->outstanding--;
		pthread_mutex_unlock(&u->lock);
	}
	finish(req, answer_status(DNS_CANCELLED, 0, NULL));
}

/* The next one of the queue, STARTED; NULL when it is empty. */
static struct dns_req *
next_queued(struct unbound *u)
{
	struct dns_req *req;

	pthread_mutex_lock(&u->lock);
	/* Answers are given in the middle of a turn, and then a flush and a question after it may come in the same turn: the next one's. */
	req = u->flushes_wanted == u->flushes_seen ? u->queue.first : NULL;
	if (req != NULL) {
		queue_remove(&u->queue, req);
		req->state = STARTED;
		req->own = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	return req;
}

static void
start_queued(struct unbound *u)
{
	for (int starts = 0; u->in_flight < u->in_flight_max; starts++) {
		struct dns_req *req;

		if (starts == STARTS_PER_TURN) {
			wake(u);
			return;
		}
		if ((req = next_queued(u)) == NULL)
			return;
		start(u, req);
	}
}

/* ---- flush: contexts come and go, on the loop thread ------------------------------------------- */

/* Ends former contexts that have nothing under way; returns how many are left. */
static size_t
sweep_contexts(struct unbound *u)
{
	struct context **place = &u->context->next, *c;
	size_t n = 0;

	while ((c = *place) != NULL) {
		if (c->jobs == 0) {
			*place = c->next;
			ub_ctx_delete(c->ctx);
			free(c);
			continue;
		}
		place = &c->next;
		n++;
	}
	return n;
}

static struct context *
context_create(struct event_base *base, const struct recipe *r, char *why, size_t size, enum rc *rc_out)
{
	struct context *c = xcalloc(1, sizeof *c);

	*rc_out = RC_TEMP;
	if ((c->ctx = ub_ctx_create_event(base)) == NULL) {
		snprintf(why, size, "libunbound %s was built without libevent (or there is no memory): its event interface is needed",
		    ub_version());
		free(c);
		return NULL;
	}
	if ((*rc_out = configure(c->ctx, r, why, size)) != RC_OK) {
		ub_ctx_delete(c->ctx);
		free(c);
		return NULL;
	}
	return c;
}

/* False: not now, and nothing may be asked until it is done.  A new context that cannot be made (no memory) is no reason to answer nothing: then
 * the old one stays in use, and the next turn tries again. */
static bool
flush_if_wanted(struct unbound *u)
{
	char why[256];
	struct context *fresh;
	size_t former = sweep_contexts(u);
	uint64_t wanted;
	enum rc rc;

	pthread_mutex_lock(&u->lock);
	wanted = u->flushes_wanted;
	pthread_mutex_unlock(&u->lock);
	if (wanted == u->flushes_seen && !u->must_flush)
		return true;
	if (u->context->jobs > 0 && former + 1 >= CONTEXTS_MAX)
		return false;
	u->flushes_seen = wanted;
	u->must_flush = false;
	if (!u->context->is_used)
		return true;
	if ((fresh = context_create(u->base, &u->recipe, why, sizeof why, &rc)) == NULL) {
		u->must_flush = true;
		return true;
	}
	fresh->next = u->context;
	u->context = fresh;
	(void)sweep_contexts(u);
	return true;
}

void
dns_unbound_flush(struct dns_source *src)
{
	struct unbound *u = (struct unbound *)src;

	pthread_mutex_lock(&u->lock);
	u->flushes_wanted++;
	pthread_mutex_unlock(&u->lock);
	wake(u);
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct unbound *u = arg;
	struct dns_req *cancels = NULL, *next;
	uint64_t count;
	bool is_stopping;

	(void)what;
	while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
		continue;
	pthread_mutex_lock(&u->lock);
	is_stopping = u->is_stopping;
	if (!is_stopping)
		cancels = list_take(&u->cancels);
	pthread_mutex_unlock(&u->lock);
	if (is_stopping) {
		event_base_loopbreak(u->base);
		return;
	}
	for (; cancels != NULL; cancels = next) {
		next = cancels->next;
		finish_cancelled(u, cancels);
	}
	if (flush_if_wanted(u))
		start_queued(u);
}

static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct unbound *u = arg;
	void (*beat)(void *arg);
	void *beat_arg;

	(void)fd;
	(void)what;
	pthread_mutex_lock(&u->lock);
	beat = u->beat;
	beat_arg = u->beat_arg;
	pthread_mutex_unlock(&u->lock);
	if (beat != NULL)
		beat(beat_arg);
}

static void *
run(void *arg)
{
	struct unbound *u = arg;

	(void)pthread_setname_np(pthread_self(), "dns");
	(void)event_base_loop(u->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

/* ---- for askers ------------------------------------------------------------------------------ */

/* Answers what cannot be taken on; a list by dns_req.next. */
static void
refuse(struct dns_req *req, const char *why)
{
	struct dns_req *next;

	for (; req != NULL; req = next) {
		next = req->next;
		finish(req, answer_status(DNS_SERVFAIL, 0, why));
	}
}

static void
unbound_ask(struct dns_source *src, struct dns_req **reqs, size_t n)
{
	struct unbound *u = (struct unbound *)src;
	const int64_t now_us = clock_mono_us();
	struct list refused;
	bool is_stopping, must_wake;

	list_init(&refused);
	pthread_mutex_lock(&u->lock);
	is_stopping = u->is_stopping;
	must_wake = u->queue.first == NULL;
	for (size_t i = 0; i < n; i++) {
		bool is_taken = !is_stopping && u->outstanding < u->outstanding_max;

		reqs[i]->source = src;
		reqs[i]->asked_us = now_us;
		reqs[i]->state = is_taken ? QUEUED : IDLE;
		u->outstanding += is_taken;
		if (is_taken)
			queue_append(&u->queue, reqs[i]);
		else
			list_append(&refused, reqs[i]);
	}
	must_wake = must_wake && u->queue.first != NULL;
	pthread_mutex_unlock(&u->lock);
	if (must_wake)
		wake(u);
	refuse(refused.first, is_stopping ? "the resolver is stopping" : "too many questions under way");
}

static void
unbound_cancel(struct dns_source *src, struct dns_req *req)
{
	struct unbound *u = (struct unbound *)src;
	bool may_cancel, must_wake;

	pthread_mutex_lock(&u->lock);
	/* at the end everything is finished without being asked */
	may_cancel = !u->is_stopping && (req->state == QUEUED || req->state == STARTED);
	must_wake = may_cancel && u->cancels.first == NULL;
	if (may_cancel) {
		if (req->state == QUEUED)
			queue_remove(&u->queue, req);
		req->state = req->state == QUEUED ? DROPPED : CANCELLING;
		list_append(&u->cancels, req);
	}
	pthread_mutex_unlock(&u->lock);
	if (must_wake)
		wake(u);
}

void
dns_unbound_on_beat(struct dns_source *src, void (*beat)(void *arg), void *arg)
{
	struct unbound *u = (struct unbound *)src;

	pthread_mutex_lock(&u->lock);
	u->beat = beat;
	u->beat_arg = arg;
	pthread_mutex_unlock(&u->lock);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
stop_loop(struct unbound *u)
{
	if (!u->is_started)
		return;
	pthread_mutex_lock(&u->lock);
	u->is_stopping = true;
	pthread_mutex_unlock(&u->lock);
	wake(u);
	pthread_join(u->thread, NULL);
}

/* The loop is gone and nothing new is taken on: every request is finished here, each from the one place that holds it. */
static void
finish_all(struct unbound *u)
{
	struct dns_req *req, *next;

	for (req = list_take(&u->cancels); req != NULL; req = next) {
		next = req->next;
		finish_cancelled(u, req);
	}
	for (struct job *job = u->jobs; job != NULL; job = job->after) {
		req = job->req;
		job->req = NULL;
		if (req != NULL)
			finish(req, answer_status(DNS_CANCELLED, 0, "the resolver is stopping"));
	}
	for (req = list_take(&u->queue); req != NULL; req = next) {
		next = req->next;
		finish(req, answer_status(DNS_CANCELLED, 0, "the resolver is stopping"));
	}
}

static void
unbound_destroy(struct dns_source *src)
{
	struct unbound *u = (struct unbound *)src;
	struct context *c;

	stop_loop(u);
	finish_all(u);
	for (c = u->context; c != NULL; c = c->next)
		ub_ctx_delete(c->ctx);          /* runs the callbacks that are left; their requests are gone */
	while (u->jobs != NULL)
		job_end(u->jobs);
	while ((c = u->context) != NULL) {
		u->context = c->next;
		free(c);
	}
	if (u->wake_event != NULL)
		event_free(u->wake_event);
	if (u->beat_event != NULL)
		event_free(u->beat_event);
	if (u->base != NULL)
		event_base_free(u->base);
	if (u->wake_fd >= 0)
		close(u->wake_fd);
	pthread_mutex_destroy(&u->lock);
	free((void *)(uintptr_t)u->recipe.trust_anchor.p);
	free(u);
}

/* ---- the start ------------------------------------------------------------------------------- */

/* libunbound does not say which anchor it dislikes: each is tried alone. */
static enum rc
check_anchor(struct span line)
{
	struct ub_ctx *ctx = ub_ctx_create();
	enum rc rc;

	if (ctx == NULL)
		return RC_TEMP;
	(void)ub_ctx_debugout(ctx, NULL);
	rc = add_anchor(ctx, line);
	if (rc == RC_OK && finalize(ctx, true) != 0)
		rc = RC_SYNTAX;
	ub_ctx_delete(ctx);
	return rc;
}

static enum rc
check_anchors(struct span text, char *why, size_t size)
{
	struct span line;
	size_t number = 0, count = 0;

	while (next_anchor(&text, &number, &line)) {
		enum rc rc = check_anchor(line);

		if (++count > DNS_UNBOUND_ANCHORS_MAX) {
			snprintf(why, size, "more than %d trust anchors", DNS_UNBOUND_ANCHORS_MAX);
			return RC_SYNTAX;
		}
		if (rc == RC_OK)
			continue;
		snprintf(why, size, rc == RC_TEMP ? "libunbound cannot make a context" :
		    "trust anchor, line %zu: not a DS or DNSKEY record", number);
		return rc;
	}
	return RC_OK;
}

static bool
create_loop(struct unbound *u)
{
	static const struct timeval second = { .tv_sec = 1 };

	u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	u->base = event_base_new();
	if (u->wake_fd < 0 || u->base == NULL)
		return false;
	u->wake_event = event_new(u->base, u->wake_fd, EV_READ | EV_PERSIST, on_wake, u);
	u->beat_event = event_new(u->base, -1, EV_PERSIST, on_beat, u);
	return u->wake_event != NULL && u->beat_event != NULL && event_add(u->wake_event, NULL) == 0 &&
	    event_add(u->beat_event, &second) == 0;
}

/* Signals belong to the process's other threads. */
static bool
start_thread(struct unbound *u)
{
	pthread_attr_t attr;
	sigset_t all, before;

	sigfillset(&all);
	if (pthread_attr_init(&attr) != 0)
		return false;
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	u->is_started = pthread_create(&u->thread, &attr, run, u) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return u->is_started;
}

static struct unbound *
unbound_new(const struct dns_unbound_options *o, const struct forwarders *f)
{
	struct unbound *u = xcalloc(1, sizeof *u);

	u->source = (struct dns_source){ .ask = unbound_ask, .cancel = unbound_cancel, .destroy = unbound_destroy };
	u->recipe.forward = *f;
	u->recipe.is_recursive = o->is_recursive;
	if (o->trust_anchor.n > 0)
		u->recipe.trust_anchor = span_of(xstrndup(o->trust_anchor.p, o->trust_anchor.n), o->trust_anchor.n);
	u->wake_fd = -1;
	u->outstanding_max = o->outstanding_max > 0 ? o->outstanding_max : DNS_UNBOUND_OUTSTANDING_MAX;
	u->in_flight_max = o->in_flight_max > 0 ? o->in_flight_max : DNS_UNBOUND_IN_FLIGHT_MAX;
	pthread_mutex_init(&u->lock, NULL);
	list_init(&u->queue);
	list_init(&u->cancels);
	return u;
}

enum rc
dns_unbound_check(const struct dns_unbound_options *o, char *why, size_t size)
{
	struct forwarders f;
	enum rc rc = forwarders_collect(o, &f, why, size);

	return rc != RC_OK ? rc : check_anchors(o->trust_anchor, why, size);
}

enum rc
dns_unbound_create(const struct dns_unbound_options *o, struct dns_source **out, char *why, size_t size)
{
	struct forwarders f;
	struct unbound *u;
	enum rc rc;

	*out = NULL;
	if ((rc = forwarders_collect(o, &f, why, size)) != RC_OK || (rc = check_anchors(o->trust_anchor, why, size)) != RC_OK)
		return rc;
	u = unbound_new(o, &f);
	rc = RC_TEMP;
	if (!create_loop(u)) {
		snprintf(why, size, "cannot make an event loop: %s", strerror(errno));
	} else if ((u->context = context_create(u->base, &u->recipe, why, size, &rc)) != NULL && !start_thread(u)) {
		snprintf(why, size, "cannot start the resolver's thread");
		rc = RC_TEMP;
	}
	if (rc != RC_OK) {
		unbound_destroy(&u->source);
		return rc;
	}
	*out = &u->source;
	return RC_OK;
}
