/* What the programs share: each prints one `name=outcome` per call, outcome being OK, a value or the errno's name. */
#ifndef PROBE_H
#define PROBE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static inline void say(const char *what, long value)
{
	printf("%s=%s\n", what, value >= 0 ? "OK" : strerrorname_np(errno));
	fflush(stdout);
}

static inline struct sockaddr_in to4(const char *host, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, host, &address.sin_addr);
	return address;
}

static inline struct sockaddr_in6 to6(const char *host, int port)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

	inet_pton(AF_INET6, host, &address.sin6_addr);
	return address;
}

static inline int connect4(int fd, const char *host, int port)
{
	struct sockaddr_in address = to4(host, port);

	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static inline int connect6(int fd, const char *host, int port)
{
	struct sockaddr_in6 address = to6(host, port);

	return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static inline int tcp4(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static inline int tcp6(void)
{
	return socket(AF_INET6, SOCK_STREAM, 0);
}

/* Echoes one byte: the stream works. */
static inline void talk(const char *what, int fd)
{
	char byte = 'x', back = 0;
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	long done = send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && read(fd, &back, 1) == 1 && back == 'x' ? 0 : -1;

	fcntl(fd, F_SETFL, flags);
	say(what, done);
}

struct command {
	const char *name;
	void (*run)(void);
};

static inline int run_command(const struct command *commands, int argc, char **argv)
{
	for (; argc > 1 && commands->name != NULL; commands++)
		if (strcmp(commands->name, argv[1]) == 0)
			return commands->run(), 0;
	return 64;
}

#endif
