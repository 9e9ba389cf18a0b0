/* brake - how soon a worker that died may have a successor; see brake.h. */
#include "master/brake.h"

void
brake_init(struct brake *b, int64_t now_ms)
{
	*b = (struct brake){ .delay_ms = BRAKE_FIRST_MS, .tokens = BRAKE_TOKENS, .refilled_ms = now_ms };
}

void
brake_ready(struct brake *b)
{
	b->delay_ms = BRAKE_FIRST_MS;
}

static void
refill(struct brake *b, int64_t now_ms)
{
	int64_t due;

	if (now_ms < b->refilled_ms)    /* a clock that went backwards must not lock the slot */
		b->refilled_ms = now_ms;
	due = (now_ms - b->refilled_ms) / BRAKE_REFILL_MS;
	b->refilled_ms += due * BRAKE_REFILL_MS;
	b->tokens += due;
	if (b->tokens >= BRAKE_TOKENS) {
		b->tokens = BRAKE_TOKENS;
		b->refilled_ms = now_ms;        /* a full bucket starts its next token when the first one is taken */
	}
}

int64_t
brake_died(struct brake *b, bool was_ready, int64_t now_ms)
{
	int64_t wait = b->delay_ms;

	if (!was_ready) {
		b->delay_ms = MIN(b->delay_ms * 2, (int64_t)BRAKE_LAST_MS);
		return now_ms + wait;
	}
	refill(b, now_ms);
	if (b->tokens > 0) {
		b->tokens--;
		return now_ms;
	}
	/* The token that is due next is this successor's. */
	b->refilled_ms += BRAKE_REFILL_MS;
	return b->refilled_ms;
}
