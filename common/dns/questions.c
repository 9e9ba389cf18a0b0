/* questions - what one message has asked DNS, and what it has learnt; see questions.h. */
#include "common/dns/questions.h"

#include "common/base/check.h"

enum { FIRST_ROOM = 8 };

/* For questions that are never asked or never answered.  The reference counted here is never given back. */
static struct dns_answer limit_answer = {
	.status = DNS_LIMIT, .why = "the message's budget of questions is spent", .refs = 1,
};
static struct dns_answer timeout_answer = {
	.status = DNS_TIMEOUT, .why = "no answer before the deadline", .refs = 1,
};

void
questions_init(struct questions *q, struct arena *a, size_t budget)
{
	*q = (struct questions){ .arena = a, .budget = budget };
}

static struct question *
find(const struct questions *q, const struct dns_name *name, uint16_t type)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->v[i]->type == type && dns_name_eq(&q->v[i]->name, name))
			return q->v[i];
	return NULL;
}

static void
drop_answer(void *arg)
{
	struct question *question = arg;

	dns_answer_unref(question->answer);
	question->answer = NULL;
}

static bool
make_room(struct questions *q)
{
	struct question **v;
	size_t room = q->room == 0 ? FIRST_ROOM : q->room * 2;

	if (q->n < q->room)
		return true;
	v = arena_array(q->arena, struct question *, room);
	if (v == NULL)
		return false;
	if (q->n > 0)
		memcpy(v, q->v, q->n * sizeof *v);
	q->v = v;
	q->room = room;
	return true;
}

/* False at the arena's ceiling. */
static bool
note(struct questions *q, const struct dns_name *name, uint16_t type)
{
	struct question *question;

	if (!make_room(q))
		return false;
	question = arena_new(q->arena, struct question);
	if (question == NULL || !arena_on_reset(q->arena, drop_answer, question))
		return false;
	question->name = *name;
	question->type = type;
	q->v[q->n++] = question;
	q->new_count++;
	return true;
}

const struct dns_answer *
questions_want(struct questions *q, const struct dns_name *name, uint16_t type, bool is_speculative)
{
	const struct question *known = find(q, name, type);

	if (known != NULL)
		return known->answer;
	if (q->is_over)
		return &timeout_answer;
	if (is_speculative && q->n >= q->budget - q->budget / 2)
		return NULL;
	if (q->n >= q->budget) {
		q->is_budget_spent = true;
		return &limit_answer;
	}
	return note(q, name, type) ? NULL : &limit_answer;
}

size_t
questions_next_new(const struct questions *q, size_t from)
{
	while (from < q->n && q->v[from]->state != QUESTION_NEW)
		from++;
	return MIN(from, q->n);
}

void
questions_mark_sent(struct questions *q, size_t index)
{
	if (FAILS_CHECK(index < q->n && q->v[index]->state == QUESTION_NEW))
		return;
	q->v[index]->state = QUESTION_SENT;
	q->new_count--;
	q->sent_count++;
}

void
questions_answer(struct questions *q, size_t index, const struct dns_answer *answer)
{
	struct question *question = index < q->n ? q->v[index] : NULL;

	/* A second answer, or one after the deadline: what the engines were told stays true. */
	if (question == NULL || answer == NULL || question->state == QUESTION_ANSWERED) {
		dns_answer_unref(answer);
		return;
	}
	*(question->state == QUESTION_NEW ? &q->new_count : &q->sent_count) -= 1;
	question->state = QUESTION_ANSWERED;
	question->answer = answer;
}

void
questions_close(struct questions *q)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->v[i]->state != QUESTION_ANSWERED)
			questions_answer(q, i, dns_answer_ref(&timeout_answer));
	q->is_over = true;
}
