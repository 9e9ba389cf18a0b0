/* exclusion - common.exclusion_addresses as a set; see exclusion.h. */
#include "worker/exclusion.h"

#include <stdio.h>

#include "common/base/log.h"

static enum rc
add_range(struct ip_set *set, struct span range, const char *where, char *why, size_t size)
{
	const char *reason;

	if (ip_set_add(set, range, &reason) == RC_OK)
		return RC_OK;
	snprintf(why, size, "common.exclusion_addresses: %s\"%s\": %s", where, log_str(range), reason);
	return RC_SYNTAX;
}

static enum rc
add_file(struct ip_set *set, const struct snapshot *snapshot, const char *path, char *why, size_t size)
{
	struct span rest = snapshot_file(snapshot, path), line;
	char where[300];

	if (span_is_null(rest)) {
		snprintf(why, size, "common.exclusion_addresses: %s is not in the snapshot", path);
		return RC_SYNTAX;
	}
	snprintf(where, sizeof where, "%.250s: ", path);
	while (span_split(&rest, '\n', &line)) {
		line = span_trim(span_sub(line, 0, span_find(line, '#')));
		if (line.n > 0 && add_range(set, line, where, why, size) != RC_OK)
			return RC_SYNTAX;
	}
	return RC_OK;
}

static enum rc
add_item(struct ip_set *set, const struct snapshot *snapshot, struct span item, char *why, size_t size)
{
	char path[4096];

	if (item.n == 0)
		return RC_OK;
	if (item.p[0] != '/')
		return add_range(set, item, "", why, size);
	snprintf(path, sizeof path, "%.*s", SPAN_ARGS(item));
	return add_file(set, snapshot, path, why, size);
}

enum rc
exclusion_create(const struct snapshot *snapshot, struct ip_set **out, char *why, size_t size)
{
	const struct conf_list *list = &snapshot_conf(snapshot)->exclusion_addresses;
	struct ip_set *set = ip_set_create();
	struct span rest, item;

	for (size_t i = 0; i < list->n; i++) {
		rest = span_cstr(list->v[i]);
		while (span_split(&rest, ',', &item))
			if (add_item(set, snapshot, span_trim(item), why, size) != RC_OK) {
				ip_set_destroy(&set);
				return RC_SYNTAX;
			}
	}
	*out = set;
	return RC_OK;
}
