/* client HOST,PORT...: connects to each in turn, reads what the target says, and resets the connection, so that its source
 * port is free again at once. Every other time that is a disconnect, and the next connect is made on the same socket.
 * Prints one line for each: `ok` or the errno. */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int kept[2] = {-1, -1}; /* sockets that were disconnected: IPv4, IPv6 */

static int take(int family)
{
	int *const place = &kept[family == AF_INET6], fd = *place;

	*place = -1;
	return fd >= 0 ? fd : socket(family, SOCK_STREAM, 0);
}

static void reset(int fd, int family, bool is_kept)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (is_kept && kept[family == AF_INET6] < 0 && connect(fd, &none, sizeof(none)) == 0) {
		kept[family == AF_INET6] = fd;
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static int go(const char *host, const char *port, bool is_kept)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = strchr(host, ':') ? AF_INET6 : AF_INET};
	const struct timeval patience = {.tv_sec = strcmp(port, "80") == 0 ? 0 : 20, .tv_usec = 10000};
	struct addrinfo *found;
	char line[256];

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	const int family = found->ai_family, fd = take(family);
	int error = connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;

	freeaddrinfo(found);
	if (error == 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (recv(fd, line, sizeof(line), 0) < 0)
			line[0] = '\0';
	}
	reset(fd, family, is_kept);
	return error;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *comma = strrchr(argv[i], ',');

		if (comma == NULL)
			return 100;
		*comma = '\0';
		int error = go(argv[i], comma + 1, i % 2 == 1);

		printf("%s\n", error == 0 ? "ok" : error < 0 ? "no address" : strerror(error));
	}
	return 0;
}
