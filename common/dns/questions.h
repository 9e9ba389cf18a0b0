/*
 * questions - what one message has asked DNS, and what it has learnt.
 *
 * Engines are plain functions that are run again from their start when answers arrive.  They call questions_want(); it returns the
 * answer if it is known, else notes the question and returns NULL.  When an engine has named all it can, it returns RC_WAIT; its
 * caller carries the new questions to a dns_source (lookup.h), fills in the answers, and runs it again.
 *
 * Equal questions are asked once per message, whoever asks.  One budget counts the distinct questions of a message across all
 * mechanisms; beyond it questions_want() answers DNS_LIMIT at once.  Speculative questions (that the engine may turn out not
 * to need) are only noted while less than half of the budget is used.
 *
 * Memory: the arena's.  References to answers are dropped when the arena is reset.  One thread at a time.
 * owner: lead
 */
#ifndef ENMA_DNS_QUESTIONS_H
#define ENMA_DNS_QUESTIONS_H

#include "common/dns/dns.h"

enum question_state { QUESTION_NEW, QUESTION_SENT, QUESTION_ANSWERED };

struct question {
	struct dns_name name;
	uint16_t type;
	enum question_state state;
	const struct dns_answer *answer;
};

struct questions {
	struct arena *arena;
	struct question **v;            /* pointers stay valid until the arena is reset */
	size_t n, room;
	size_t budget;
	size_t new_count, sent_count;   /* in these states */
	bool is_over;                   /* deadline passed: everything unanswered is DNS_TIMEOUT from now on */
	bool is_budget_spent;           /* a needed question was refused */
};

void questions_init(struct questions *q, struct arena *a, size_t budget);

/* The answer, or NULL: it is (now) under way.  is_speculative: NULL also when it was not noted.  At the arena's ceiling: an answer
 * DNS_LIMIT.  After questions_close(): DNS_TIMEOUT for everything not answered. */
const struct dns_answer *questions_want(struct questions *q, const struct dns_name *name, uint16_t type, bool is_speculative);

/* For the carrier: index of the next question in state NEW from *from on, or q->n. */
size_t questions_next_new(const struct questions *q, size_t from);
void questions_mark_sent(struct questions *q, size_t index);
/* Takes over the caller's reference to the answer. */
void questions_answer(struct questions *q, size_t index, const struct dns_answer *answer);
/* The deadline has passed: nothing is asked any more. */
void questions_close(struct questions *q);

#endif
