/*
 * fuzz_conf - any configuration file: messages are printable lines, and what is accepted means the same after it was printed.
 *
 * Host names are not resolved and wild cards match nothing here: a fuzzer must not ask the network or walk the disk.
 */
#include <glob.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/fdio.h"
#include "common/conf/conf_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
getaddrinfo(const char *node UNUSED, const char *service UNUSED, const struct addrinfo *hints UNUSED, struct addrinfo **out UNUSED)
{
	return EAI_NONAME;
}

int
glob(const char *pattern UNUSED, int flags UNUSED, int (*fn)(const char *path, int err) UNUSED, glob_t *out UNUSED)
{
	return GLOB_NOMATCH;
}

static struct conf *
load(struct span text)
{
	struct conf_errors errors;
	struct conf *c = NULL;
	struct buf b = buf_heap(4 * MIB);
	char path[64];
	enum rc rc;
	size_t i;
	int fd;

	REQUIRE(fdio_memfd_sealed("fuzz", text, &fd) == RC_OK);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = conf_load(path, NULL, 0, &c, &errors);
	REQUIRE((rc == RC_OK) == (c != NULL));
	REQUIRE(errors.n <= CONF_ERRORS_MAX);
	for (i = 0; i < errors.n; i++)
		conf_error_print(&b, &errors.v[i]);
	for (i = 0; i < b.n; i++)
		REQUIRE((unsigned char)b.p[i] >= 0x20 && b.p[i] != 0x7f);
	conf_errors_fini(&errors);
	fdio_close(&fd);
	buf_fini(&b);
	return c;
}

/* The table without its origins, and without the path of the file. */
static void
strip(struct span table, struct buf *out)
{
	struct span line;

	while (span_split(&table, '\n', &line)) {
		if (!span_starts(line, SPAN("milter.conffile\t")))
			buf_span(out, span_sub(line, 0, span_rfind(line, '\t')));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = load(span_of((const char *)data, size)), *again;
	struct buf text, table, first, second;

	if (c == NULL)
		return 0;
	text = buf_heap(64 * MIB);
	table = buf_heap(64 * MIB);
	first = buf_heap(64 * MIB);
	second = buf_heap(64 * MIB);
	conf_dump_text(c, &text);
	conf_dump_table(c, &table);
	strip(buf_text(&table), &first);
	again = load(buf_text(&text));
	REQUIRE(again != NULL);
	buf_clear(&table);
	conf_dump_table(again, &table);
	strip(buf_text(&table), &second);
	REQUIRE(span_eq(buf_text(&first), buf_text(&second)));
	conf_destroy(&c);
	conf_destroy(&again);
	buf_fini(&text);
	buf_fini(&table);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
