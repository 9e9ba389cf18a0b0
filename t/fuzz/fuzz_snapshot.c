/* fuzz_snapshot - any bytes where a snapshot is expected: refused, or a whole configuration whose files lie inside the bytes. */
#include <stdlib.h>

#include "common/base/check.h"
#include "common/conf/conf_dump.h"
#include "common/conf/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_file(const struct snapshot *s, const char *path, struct span bytes)
{
	struct span text = snapshot_file(s, path);

	REQUIRE(text.p == NULL || (text.p >= bytes.p && text.p + text.n <= bytes.p + bytes.n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of((const char *)data, size);
	struct buf b = buf_heap(64 * MIB);
	const struct conf *c;
	struct snapshot *s;
	enum rc rc = snapshot_read(bytes, &s);
	size_t i;

	REQUIRE((rc == RC_OK) == (s != NULL) && (rc == RC_OK || rc == RC_SYNTAX));
	if (s != NULL) {
		c = snapshot_conf(s);
		conf_dump_table(c, &b);
		check_file(s, c->resolver_zone, bytes);
		check_file(s, c->resolver_trust_anchor, bytes);
		for (i = 0; i < c->exclusion_addresses.n; i++)
			check_file(s, c->exclusion_addresses.v[i], bytes);
	}
	snapshot_destroy(&s);
	buf_fini(&b);
	return 0;
}
