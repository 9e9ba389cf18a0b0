/* dkim_hash - what a signature is over: the fields of h= and its own (RFC 6376 sections 3.7 and 5.4.2); see dkim_int.h. */
#include "common/auth/dkim_int.h"
#include "common/mail/taglist.h"

/* The next field of that name from the bottom, never the signature's own: it was not there when it was made. */
static uint32_t
take_other(const struct dkim_header_parts *p, struct span name)
{
	uint32_t field = dkim_names_take(p->names, name);

	return field != p->own ? field : dkim_names_take(p->names, name);
}

void
dkim_header_feed(const struct dkim_header_parts *p, canon_sink_fn *sink, void *arg)
{
	const struct header_field *own = &p->block->v[p->own];
	struct span rest = p->h, name;

	dkim_names_rewind(p->names);
	while (taglist_item(&rest, &name)) {
		uint32_t field = take_other(p, name);

		/* A name without a field hashes as nothing: that is how signers forbid another one. */
		if (field != DKIM_NO_FIELD)
			canon_header(p->canon, p->block->v[field].name, p->block->v[field].value, true, sink, arg);
	}
	canon_header_cut(p->canon, own->name, own->value, p->b_from, p->b_n, sink, arg);
}
