/*
 * milteraddr - the addresses of milter sockets as MTAs and filters write them, for the test tools:
 * unix:PATH, local:PATH, inet:PORT@HOST, inet6:PORT@HOST (also inet:HOST:PORT, as Postfix writes it).
 */
#ifndef T_TOOLS_MILTERADDR_H
#define T_TOOLS_MILTERADDR_H

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* NULL, or what is wrong with the text. */
static inline const char *milteraddr_parse(const char *text, struct sockaddr_storage *ss, socklen_t *len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	char host[256], port[16];
	const char *at, *rest = strchr(text, ':');
	struct sockaddr_un *un = (struct sockaddr_un *)ss;
	int rc;

	memset(ss, 0, sizeof *ss);
	if (rest == NULL)
		return "expected unix:PATH, inet:PORT@HOST or inet6:PORT@HOST";
	rest++;
	if (strncmp(text, "unix:", 5) == 0 || strncmp(text, "local:", 6) == 0) {
		if (strlen(rest) == 0 || strlen(rest) >= sizeof un->sun_path)
			return "bad length of the socket's path";
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, rest, strlen(rest) + 1);
		*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(rest) + 1);
		return NULL;
	}
	if (strncmp(text, "inet:", 5) != 0 && strncmp(text, "inet6:", 6) != 0)
		return "unknown kind of socket";
	hints.ai_family = text[4] == '6' ? AF_INET6 : AF_INET;
	if ((at = strchr(rest, '@')) != NULL) {
		snprintf(port, sizeof port, "%.*s", (int)(at - rest), rest);
		snprintf(host, sizeof host, "%s", at + 1);
	} else if ((at = strrchr(rest, ':')) != NULL) {
		snprintf(host, sizeof host, "%.*s", (int)(at - rest), rest);
		snprintf(port, sizeof port, "%s", at + 1);
	} else {
		snprintf(port, sizeof port, "%s", rest);
		snprintf(host, sizeof host, "%s", text[4] == '6' ? "::1" : "127.0.0.1");
	}
	if ((rc = getaddrinfo(host, port, &hints, &ai)) != 0)
		return gai_strerror(rc);
	memcpy(ss, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return NULL;
}

#endif
