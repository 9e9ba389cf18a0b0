/* fuzz_status - any packet on the status pair: only a whole, well-formed frame is accepted. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/ipc/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct status_frame f;
	const char *why;
	int pair[2], fd;
	enum rc rc;

	if (size == 0 || size > 64 * KIB || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		return 0;
	if (send(pair[0], data, size, MSG_DONTWAIT) == (ssize_t)size) {
		rc = status_receive(pair[1], &f, &fd, &why);
		REQUIRE(fd == -1 && why != NULL);
		REQUIRE(rc == RC_OK || rc == RC_SYNTAX);
		if (rc == RC_OK) {
			REQUIRE(size == sizeof(f) && f.magic == STATUS_MAGIC && f.version == STATUS_VERSION);
			REQUIRE(strnlen(f.text, sizeof(f.text)) < sizeof(f.text));
		}
		REQUIRE(status_receive(pair[1], &f, &fd, &why) == RC_TEMP);
	}
	close(pair[0]);
	close(pair[1]);
	return 0;
}
