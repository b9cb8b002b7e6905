/* vectors NAME NUMBER PORT WORD...: goes to 198.51.100.NUMBER in the way of that name, and prints what each call returned.
 * The last line is `result worked` or `result refused`. Nobody judges by that alone: a sniffer has seen what left. */
#define _GNU_SOURCE
#include "vector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 8000 };

long told(const char *call, long result)
{
	const int saved = errno;

	if (result < 0)
		dprintf(1, "%s = -1 %s\n", call, strerrorname_np(saved));
	else
		dprintf(1, "%s = %ld\n", call, result);
	errno = saved;
	return result;
}

void say(const char *text)
{
	dprintf(1, "%s\n", text);
}

long told_raw(const char *call, long result)
{
	errno = result < 0 ? (int)-result : 0;
	return told(call, result < 0 ? -1 : result);
}

const char *errand(const struct aim *aim)
{
	static char words[64];

	snprintf(words, sizeof(words), "CONNECT 198.51.100.%u %u\n", aim->number, aim->port);
	return words;
}

int converse(const struct aim *aim, int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	char line[128];

	if (told("send", send(fd, aim->mark, strlen(aim->mark), MSG_NOSIGNAL)) < 0) {
		close(fd);
		return DENIED;
	}
	ssize_t size = poll(&readable, 1, PATIENCE_MS) == 1 ? recv(fd, line, sizeof(line) - 1, 0) : -1;

	told("recv", size);
	close(fd);
	if (size <= 0)
		return DENIED;
	line[size] = '\0';
	line[strcspn(line, "\n")] = '\0';
	dprintf(1, "greeted %s\n", line);
	return WORKED;
}

int connect_and_converse(const struct aim *aim, int fd)
{
	if (fd < 0)
		return DENIED;
	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0) {
		close(fd);
		return DENIED;
	}
	return converse(aim, fd);
}

int go(const struct aim *aim)
{
	return connect_and_converse(aim, (int)told("socket", socket(AF_INET, SOCK_STREAM, 0)));
}

int sent(const char *call, long result)
{
	return told(call, result) < 0 ? DENIED : WORKED;
}

int await(int pid)
{
	int status;

	if (told("fork", pid) < 0 || waitpid(pid, &status, 0) < 0)
		return DENIED;
	dprintf(1, "child %s %d\n", WIFEXITED(status) ? "exited" : "killed",
		WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? WORKED : DENIED;
}

bool program(const struct aim *aim, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", aim->directory, name);
	return access(path, X_OK) == 0;
}

static const struct vector *find(const char *name)
{
	const struct vector *const tables[] = {
		stream_vectors, descriptor_vectors, concurrency_vectors, datagram_vectors, syscall_vectors,
		name_socket_vectors, uring_vectors,
		exec_vectors, binary_vectors, name_vectors, resolver_vectors, inherited_vectors, unix_vectors, handed_vectors,
		intruder_vectors, family_vectors, loader_vectors, race_vectors,
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct vector *one = tables[i]; one->name != NULL; one++)
			if (strcmp(one->name, name) == 0)
				return one;
	return NULL;
}

int main(int argc, char **argv)
{
	static char self[256];
	struct aim aim = {0};
	const struct vector *vector = argc >= 4 ? find(argv[1]) : NULL;

	if (vector == NULL || readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		fputs("usage: vectors NAME NUMBER PORT WORD...\n", stderr);
		return MISUSED;
	}
	aim.number = (unsigned)atoi(argv[2]);
	aim.port = (uint16_t)atoi(argv[3]);
	aim.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(aim.port)};
	aim.in.sin_addr.s_addr = htonl(0xc6336400u + aim.number);
	aim.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(aim.port)};
	inet_pton(AF_INET6, "2001:db8:1::", &aim.in6.sin6_addr);
	aim.in6.sin6_addr.s6_addr[15] = (uint8_t)aim.number;
	snprintf(aim.mark, sizeof(aim.mark), "leak:%u;", aim.number);
	snprintf(aim.name, sizeof(aim.name), "198-51-100-%u.ip.test", aim.number);
	aim.address_word = argv[2];
	aim.port_word = argv[3];
	aim.extra = argv + 4;
	aim.directory = dirname(self);
	int result = vector->run(&aim);

	say(result == WORKED ? "result worked" : "result refused");
	return result;
}
