/*
 * dkim_keys - keys that this process has decoded, by the text of their p= (decoding takes longer than all look-ups of a message together).
 *
 * A bounded table with a lock for each of its parts; what was used longest ago in a part goes first.  It holds no names and no times: whether a key is published is
 * DNS's matter, each time.  Any thread.
 */
#ifndef ENMA_AUTH_DKIM_KEYS_H
#define ENMA_AUTH_DKIM_KEYS_H

#include "common/base/crypto.h"

struct dkim_keys;
NODISCARD struct dkim_keys *dkim_keys_create(size_t room);      /* never NULL */
void dkim_keys_destroy(struct dkim_keys **k);
/* A reference for the caller, or NULL. */
struct crypto_key *dkim_keys_get(struct dkim_keys *k, enum crypto_key_kind kind, struct span p);
void dkim_keys_put(struct dkim_keys *k, enum crypto_key_kind kind, struct span p, struct crypto_key *key);     /* takes a reference of its own */
void dkim_keys_flush(struct dkim_keys *k);

#endif
