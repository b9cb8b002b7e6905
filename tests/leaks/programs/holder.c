/* holder: a process of somebody else's, with a datagram socket. Prints its pid, the number of the socket, and where its
 * memory has destinations; sends a datagram to each that somebody has written there. Ends with its stdin. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One for each vector, so that none takes away what another one wrote. */
static volatile uint64_t errands[256];

static void carry_out(int fd, uint64_t what)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(what >> 32))};
	char mark[32];

	to.sin_addr.s_addr = htonl((uint32_t)what);
	snprintf(mark, sizeof(mark), "leak:%u;", (unsigned)(what & 0xff));
	/* Whoever took a copy of the socket may have left an error on it (ECONNREFUSED), which the next call is told. */
	for (int i = 0; i < 3 && sendto(fd, mark, strlen(mark), 0, (const struct sockaddr *)&to, sizeof(to)) < 0; i++)
		;
}

int main(void)
{
	struct pollfd owner = {.fd = 0, .events = POLLIN};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	printf("%d %d %lx\n", getpid(), fd, (unsigned long)(uintptr_t)errands);
	fflush(stdout);
	while (poll(&owner, 1, 20) == 0) {
		for (int i = 0; i < 256; i++) {
			uint64_t what = errands[i];

			errands[i] = 0;
			if (what != 0)
				carry_out(fd, what);
		}
	}
	return 0;
}
