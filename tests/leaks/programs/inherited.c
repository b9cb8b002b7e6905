/* Descriptors that somebody left open for us: sockets that are connected already, or can send anywhere. The first word says
 * which descriptor. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "vector.h"

static int given(const struct aim *aim)
{
	struct stat about;
	int fd = aim->extra[0] != NULL ? atoi(aim->extra[0]) : -1;

	told("fstat", fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode) ? 0 : -1);
	return fd;
}

static int inherited_send(const struct aim *aim)
{
	return sent("send", send(given(aim), aim->mark, strlen(aim->mark), MSG_NOSIGNAL));
}

static int inherited_write(const struct aim *aim)
{
	return sent("write", write(given(aim), aim->mark, strlen(aim->mark)));
}

static int inherited_sendto(const struct aim *aim)
{
	return sent("sendto", sendto(given(aim), aim->mark, strlen(aim->mark), 0, (const struct sockaddr *)&aim->in,
				     sizeof(aim->in)));
}

static int inherited_unspec(const struct aim *aim)
{
	struct sockaddr_in unnamed = aim->in;

	unnamed.sin_family = AF_UNSPEC;
	return sent("sendto", sendto(given(aim), aim->mark, strlen(aim->mark), 0, (const struct sockaddr *)&unnamed,
				     sizeof(unnamed)));
}

static int inherited_sendmsg(const struct aim *aim)
{
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	const struct msghdr message = {
		.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1};

	return sent("sendmsg", sendmsg(given(aim), &message, 0));
}

/* Whoever is at the other end does what it is told. */
static int inherited_errand(const struct aim *aim)
{
	char words[64], answer[64];
	int fd = given(aim);

	snprintf(words, sizeof(words), "CONNECT 198.51.100.%u %u\n", aim->number, aim->port);
	if (told("send", send(fd, words, strlen(words), MSG_NOSIGNAL)) < 0)
		return DENIED;
	return told("recv", recv(fd, answer, sizeof(answer), 0)) > 0 ? WORKED : DENIED;
}

/* The first that is written there: nothing is said before. */
static int stdout_errand(const struct aim *aim)
{
	char words[64], answer[64];
	int size = snprintf(words, sizeof(words), "CONNECT 198.51.100.%u %u\n", aim->number, aim->port);

	return send(1, words, (size_t)size, MSG_NOSIGNAL) == size && recv(1, answer, sizeof(answer), 0) > 0 ? WORKED : DENIED;
}

/* To whomever a datagram is addressed, past the hooks. The second word is the directory of daemons. */
static int stdin_datagram(const struct aim *aim)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char words[64];
	int fd = given(aim);

	snprintf(words, sizeof(words), "CONNECT 198.51.100.%u %u\n", aim->number, aim->port);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/datagram", aim->extra[1]);
	return sent("sendto", syscall(SYS_sendto, fd, words, strlen(words), 0, &address, sizeof(address)));
}

const struct vector inherited_vectors[] = {
	{"inherited-udp-send", inherited_send},
	{"inherited-udp-write", inherited_write},
	{"inherited-udp-sendto", inherited_sendto},
	{"inherited-udp-unspec", inherited_unspec},
	{"inherited-udp-sendmsg", inherited_sendmsg},
	{"inherited-tcp", inherited_send},
	{"inherited-unix", inherited_errand},
	{"stdin-udp", inherited_send},
	{"stdin-tcp", inherited_write},
	{"stdin-unix", inherited_errand},
	{"stdin-datagram", stdin_datagram},
	{"stdout-tcp", inherited_send},
	{"stdout-unix", stdout_errand},
	{NULL, NULL},
};
