/* plain NUMBER PORT: a stream to 198.51.100.NUMBER, in what every libc has. Built static, with musl, for 32 bits, with file
 * capabilities; `preinit` is this with main called before any constructor. Prints as vectors does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKED = 0, DENIED = 1, PATIENCE_MS = 8000 };

static int end(int result, const char *call)
{
	dprintf(1, "%s %d\nresult %s\n", call, result == WORKED ? 0 : errno, result == WORKED ? "worked" : "refused");
	return result;
}

static int go(unsigned number, unsigned port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char line[128];

	to.sin_addr.s_addr = htonl(0xc6336400u + number);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return end(DENIED, "socket");
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return end(DENIED, "connect");
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	snprintf(line, sizeof(line), "leak:%u;", number);
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		return end(DENIED, "send");
	ssize_t size = poll(&readable, 1, PATIENCE_MS) == 1 ? recv(fd, line, sizeof(line) - 1, 0) : -1;

	if (size <= 0)
		return end(DENIED, "recv");
	line[size] = '\0';
	dprintf(1, "greeted %s", line);
	return end(WORKED, "plain");
}

#ifdef PREINIT
static void before_all(int argc, char **argv)
{
	_exit(argc == 3 ? go((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2])) : 100);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **) = before_all;
#endif

int main(int argc, char **argv)
{
	return argc == 3 ? go((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2])) : 100;
}
