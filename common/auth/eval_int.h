/*
 * eval_int - between the files of eval: eval.c has the envelope and the order of things, eval_message.c what needs the message.
 */
#ifndef ENMA_AUTH_EVAL_INT_H
#define ENMA_AUTH_EVAL_INT_H

#include "common/auth/eval.h"

/* RC_OK: nothing that needs the message is left to be done. */
NODISCARD enum rc eval_message_run(struct eval *e);
/* What has not come of the message will not come any more. */
void eval_message_lose(struct eval *e);

#endif
