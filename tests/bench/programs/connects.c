/* connects MODE ADDRESS PORT COUNT OUTPUT [SOCKS_PORT]
 * Connects COUNT times, one after the other; before each close it reads the line that the target greets with, and after
 * it rests for 12 to 20 ms: tor writes at most every 10 ms, so that a connect right after a close would measure the rest
 * of that time. Writes to OUTPUT how long each connection took to stand, in nanoseconds, a line each. MODE: `plain` calls connect() and nothing
 * else; `socks` speaks SOCKS 5 without authentication to 127.0.0.1:SOCKS_PORT itself. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		errx(2, "not an IPv4 address: %s", host);
	return address;
}

static void reach(int fd, const struct sockaddr_in *address)
{
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		err(1, "connect");
}

static void receive(int fd, unsigned char *buffer, size_t size)
{
	if (recv(fd, buffer, size, MSG_WAITALL) != (ssize_t)size)
		errx(1, "a short answer");
}

static void reach_by_socks(int fd, const struct sockaddr_in *proxy, const struct sockaddr_in *address)
{
	unsigned char request[10] = {5, 1, 0, 1}, answer[10];

	reach(fd, proxy);
	if (send(fd, "\5\1\0", 3, 0) != 3)
		err(1, "send");
	receive(fd, answer, 2);
	memcpy(request + 4, &address->sin_addr, 4);
	memcpy(request + 8, &address->sin_port, 2);
	if (send(fd, request, sizeof(request), 0) != sizeof(request))
		err(1, "send");
	receive(fd, answer, sizeof(answer));
	if (answer[1] != 0)
		errx(1, "SOCKS reply %d", answer[1]);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 6 || (strcmp(argv[1], "socks") == 0) != (argc == 7))
		errx(2, "usage: connects plain|socks ADDRESS PORT COUNT OUTPUT [SOCKS_PORT]");
	struct sockaddr_in target = address_of(argv[2], argv[3]);
	struct sockaddr_in proxy = address_of("127.0.0.1", argc == 7 ? argv[6] : "0");
	FILE *output = fopen(argv[5], "w");

	if (output == NULL)
		err(1, "%s", argv[5]);
	for (int left = atoi(argv[4]); left > 0; left--) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		long long start = now_ns();
		char letter = 0;

		if (argc == 7)
			reach_by_socks(fd, &proxy, &target);
		else
			reach(fd, &target);
		fprintf(output, "%lld\n", now_ns() - start);
		while (letter != '\n' && recv(fd, &letter, 1, 0) == 1)
			;
		close(fd);
		nanosleep(&(struct timespec){.tv_nsec = 12000000 + rand() % 8000000}, NULL);
	}
	return fclose(output) == 0 ? 0 : 1;
}
