/* psl - see psl.h. */
#include <libpsl.h>
#include <stdlib.h>

#include "common/base/psl.h"

#include "common/base/domain.h"
#include "common/base/xalloc.h"

struct psl_list {
	psl_ctx_t *ctx;
};

static psl_ctx_t *
load(const char *path)
{
	psl_ctx_t *ctx = path != NULL ? psl_load_file(path) : psl_latest(NULL);

	/* psl_suffix_count() is -1 for compiled lists: those are not counted. */
	if (ctx != NULL && psl_suffix_count(ctx) == 0) {
		psl_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

enum rc
psl_list_open(const char *path, struct psl_list **out)
{
	psl_ctx_t *ctx = load(path);

	*out = NULL;
	if (ctx == NULL)
		return RC_NONE;
	*out = xmalloc(sizeof **out);
	(*out)->ctx = ctx;
	return RC_OK;
}

void
psl_list_close(struct psl_list **list)
{
	if (*list == NULL)
		return;
	psl_free((*list)->ctx);
	free(*list);
	*list = NULL;
}

struct span
psl_org_domain(const struct psl_list *list, struct span name)
{
	char text[DOMAIN_MAX + 2];
	const char *found;

	if (!domain_is_valid(name, 1))
		return SPAN_NULL;
	if (name.p[name.n - 1] == '.')
		name.n--;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	/* NULL: the name is a public suffix itself. */
	found = psl_registrable_domain(list->ctx, text);
	return found == NULL ? name : span_from(name, (size_t)(found - text));
}
