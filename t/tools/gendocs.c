/*
 * gendocs - print the documents that are made from the table of settings.
 *
 *	gendocs sample          etc/enma.conf
 *	gendocs mdoc            the settings part of doc/enma.conf.5
 *
 * scripts/gen-docs puts them in place.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fdio.h"
#include "common/conf/conf_dump.h"

int
main(int argc, char **argv)
{
	struct buf b = buf_heap(4 * MIB);
	struct span text;
	int status = 1;

	if (argc == 2 && strcmp(argv[1], "sample") == 0)
		conf_dump_sample(&b);
	else if (argc == 2 && strcmp(argv[1], "mdoc") == 0)
		conf_dump_mdoc(&b);
	else
		fprintf(stderr, "usage: gendocs sample | mdoc\n");
	if (buf_done(&b, &text) == RC_OK && text.n > 0 && fdio_write_full(STDOUT_FILENO, text) == RC_OK)
		status = 0;
	buf_fini(&b);
	return status;
}
