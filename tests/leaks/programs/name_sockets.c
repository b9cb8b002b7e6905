/* Datagram sockets for the port of names, by system calls past libc: what programs without hooks are given where a run has a
 * name server leads to that, and nowhere else. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vector.h"

/* A datagram socket for the port of names, as programs without hooks are given one where a run has a name server. */
static int names_socket(void)
{
	return (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0));
}

static struct sockaddr_in names_port(const struct aim *aim)
{
	struct sockaddr_in to = aim->in;

	to.sin_port = htons(53);
	return to;
}

static long send_mark(const struct aim *aim, int fd, const struct sockaddr_in *to)
{
	return syscall(SYS_sendto, fd, aim->mark, strlen(aim->mark), 0, to, to != NULL ? sizeof(*to) : 0);
}

/* Connects to the lab's name server, as a resolver would. */
static int connect_to_resolver(int fd)
{
	const struct sockaddr_in server = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0xc6336435u) /* 198.51.100.53 */};

	return (int)told("syscall connect", syscall(SYS_connect, fd, &server, sizeof(server)));
}

/* No query at all, to somebody who is no name server. */
static int names_payload(const struct aim *aim)
{
	const struct sockaddr_in to = names_port(aim);

	return sent("syscall sendto", send_mark(aim, names_socket(), &to));
}

static int names_connect(const struct aim *aim)
{
	const struct sockaddr_in to = names_port(aim);
	int fd = names_socket();

	if (told("syscall connect", syscall(SYS_connect, fd, &to, sizeof(to))) < 0)
		return DENIED;
	return sent("syscall sendto", send_mark(aim, fd, NULL));
}

/* Whoever has been let through to the resolver goes on to somebody else. */
static int names_then_sendto(const struct aim *aim)
{
	int fd = names_socket();

	connect_to_resolver(fd);
	return sent("syscall sendto", send_mark(aim, fd, &aim->in));
}

static int names_then_unspec(const struct aim *aim)
{
	struct sockaddr_in unnamed = aim->in;
	int fd = names_socket();

	connect_to_resolver(fd);
	unnamed.sin_family = AF_UNSPEC;
	return sent("syscall sendto", send_mark(aim, fd, &unnamed));
}

static int names_then_sendmsg(const struct aim *aim)
{
	struct iovec data = {(void *)aim->mark, strlen(aim->mark)};
	struct mmsghdr one = {
		.msg_hdr = {.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = &data, .msg_iovlen = 1}};
	int fd = names_socket();

	connect_to_resolver(fd);
	if (told("syscall sendmsg", syscall(SYS_sendmsg, fd, &one.msg_hdr, 0)) >= 0)
		return WORKED;
	return sent("syscall sendmmsg", syscall(SYS_sendmmsg, fd, &one, 1, 0));
}

static int names_then_connect(const struct aim *aim)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = names_socket();

	connect_to_resolver(fd);
	told("syscall connect", syscall(SYS_connect, fd, &none, sizeof(none)));
	if (told("syscall connect", syscall(SYS_connect, fd, &aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("syscall sendto", send_mark(aim, fd, NULL));
}

const struct vector name_socket_vectors[] = {
	{"names-payload", names_payload},
	{"names-connect", names_connect},
	{"names-then-sendto", names_then_sendto},
	{"names-then-unspec", names_then_unspec},
	{"names-then-sendmsg", names_then_sendmsg},
	{"names-then-connect", names_then_connect},
	{NULL, NULL},
};
