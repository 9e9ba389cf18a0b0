/*
 * sockspec - the text of a socket address in settings.
 *
 *   inet:PORT[@HOST]   inet6:PORT[@HOST]   unix:PATH   local:PATH      then blank-separated options for unix sockets:
 *   perm=0660 owner=USER group=GROUP
 * HOST is an address or a name that resolves to one; left out it is the loopback address (never "any": write 0.0.0.0 or :: to mean it).
 * PORT 0 asks for a free port (tests).  PATH at most 107 bytes, absolute or relative to milter.chdir.
 */
#ifndef ENMA_CONF_SOCKSPEC_H
#define ENMA_CONF_SOCKSPEC_H

#include <sys/socket.h>

#include "common/base/defs.h"
#include "common/base/rc.h"

struct sockspec {
	int family;                     /* AF_INET, AF_INET6, AF_UNIX */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char path[108];                 /* AF_UNIX */
	int perm;                       /* -1: the setting milter.socket_mode */
	char owner[64], group[64];      /* "": the settings */
};

/* RC_OK; RC_SYNTAX with a one-line reason in why (size bytes). */
NODISCARD enum rc sockspec_parse(const char *text, struct sockspec *out, char *why, size_t size);

#endif
