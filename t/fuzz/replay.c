/*
 * replay - runs a fuzz target without a fuzzer: once for every file, each from a heap block of exactly its size.
 *
 *	fuzz_x FILE...          these files
 *	fuzz_x                  every file below t/fuzz/corpus/x, and the empty input
 *
 * Prints TAP.  A target that finds something aborts, so the plan at the end stays unprinted; an empty corpus is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/defs.h"
#include "common/base/xalloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned done, failed;

static void
run_bytes(const char *name, const char *p, size_t n)
{
	uint8_t *exact = xmalloc(n);

	if (n > 0)
		memcpy(exact, p, n);
	fflush(stdout);         /* an abort must not lose what is already said */
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	printf("ok %u - %s (%zu bytes)\n", ++done, name, n);
}

static void
not_ok(const char *name, const char *reason)
{
	printf("not ok %u - %s: %s\n", ++done, name, reason);
	failed++;
}

static void
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = NULL, step[4096];
	size_t n = 0, got;

	if (f == NULL) {
		not_ok(path, strerror(errno));
		return;
	}
	while ((got = fread(step, 1, sizeof step, f)) > 0) {
		text = xrealloc(text, n + got, 1);
		memcpy(text + n, step, got);
		n += got;
	}
	if (ferror(f))
		not_ok(path, "read error");
	else
		run_bytes(path, text, n);
	fclose(f);
	free(text);
}

static void
run_folder(const char *path)
{
	struct dirent **entry = NULL;
	int i, n = scandir(path, &entry, NULL, alphasort);

	if (n < 0)
		not_ok(path, strerror(errno));
	for (i = 0; i < n; i++) {
		char *name = xasprintf("%s/%s", path, entry[i]->d_name);
		struct stat st;

		if (entry[i]->d_name[0] != '.' && stat(name, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				run_folder(name);
			else
				run_file(name);
		}
		free(name);
		free(entry[i]);
	}
	free(entry);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	char *corpus;
	int i;

	for (i = 1; i < argc; i++)
		run_file(argv[i]);
	if (argc == 1) {
		if (strncmp(name, "fuzz_", 5) == 0)
			name += 5;
		corpus = xasprintf("t/fuzz/corpus/%s", name);
		run_folder(corpus);
		if (done == 0)
			not_ok(corpus, "no seed");
		free(corpus);
		run_bytes("the empty input", "", 0);
	}
	printf("1..%u\n", done);
	return failed != 0;
}
