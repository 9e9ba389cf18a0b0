/*
 * mechanisms - from settings to the options of the engines.  Made once per process, read by all its sessions.
 */
#ifndef ENMA_WORKER_MECHANISMS_H
#define ENMA_WORKER_MECHANISMS_H

#include "common/auth/dkim_keys.h"
#include "common/auth/eval.h"
#include "common/conf/conf.h"

enum {
	MECHANISMS_KEYS = 1024,         /* decoded keys that a process keeps, about 2 KiB each */
	/* RFC 4870 section 3.2.3: it is dead, and so are most keys of its time; whoever asks for it wants those.  dkim.min_rsa_bits is DKIM's. */
	MECHANISMS_DOMAINKEYS_BITS = 512,
};

struct mechanisms {
	struct eval_options eval;       /* points into this struct, which therefore must not move */
	struct dkim_options dkim;
	struct domainkeys_options domainkeys;
	struct dkim_keys *keys;
	struct span *must_be_signed;
};

/* conf must outlive *m. */
void mechanisms_init(struct mechanisms *m, const struct conf *conf);
void mechanisms_fini(struct mechanisms *m);
/* Does anything need the bodies of messages? */
bool mechanisms_want_body(const struct eval_options *o);

#endif
