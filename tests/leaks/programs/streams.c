/* TCP, and what is like it: each way of opening a stream that libc offers. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vector.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
enum { FAMILY_SMC = 43 };

static int stream(void)
{
	return (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));
}

static int tcp6(const struct aim *aim)
{
	int fd = (int)told("socket", socket(AF_INET6, SOCK_STREAM, 0));

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in6, sizeof(aim->in6))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int v4mapped(const struct aim *aim)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(aim->port)};
	int fd = (int)told("socket", socket(AF_INET6, SOCK_STREAM, 0));

	mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
	memcpy(mapped.sin6_addr.s6_addr + 12, &aim->in.sin_addr, 4);
	if (told("connect", connect(fd, (const struct sockaddr *)&mapped, sizeof(mapped))) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int sendto_tfo(const struct aim *aim)
{
	int fd = stream();

	if (told("sendto", sendto(fd, aim->mark, strlen(aim->mark), MSG_FASTOPEN, (const struct sockaddr *)&aim->in,
				  sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

/* Takes the port of this vector, though an earlier run may have left it in TIME_WAIT. */
static int take_port(const struct aim *aim, int fd)
{
	const struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(20000 + aim->number))};
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return (int)told("bind", bind(fd, (const struct sockaddr *)&own, sizeof(own)));
}

static struct msghdr message_to(const struct aim *aim, struct iovec *data)
{
	*data = (struct iovec){(void *)aim->mark, strlen(aim->mark)};
	return (struct msghdr){
		.msg_name = (void *)&aim->in, .msg_namelen = sizeof(aim->in), .msg_iov = data, .msg_iovlen = 1};
}

static int sendmsg_tfo(const struct aim *aim)
{
	struct iovec data;
	const struct msghdr message = message_to(aim, &data);
	int fd = stream();

	if (told("sendmsg", sendmsg(fd, &message, MSG_FASTOPEN)) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int sendmmsg_tfo(const struct aim *aim)
{
	struct iovec data;
	struct mmsghdr one = {.msg_hdr = message_to(aim, &data)};
	int fd = stream();

	if (told("sendmmsg", sendmmsg(fd, &one, 1, MSG_FASTOPEN)) < 0)
		return DENIED;
	return converse(aim, fd);
}

static int tfo_connect(const struct aim *aim)
{
	const int on = 1;
	int fd = stream();

	told("setsockopt", setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	return connect_and_converse(aim, fd);
}

static int mptcp(const struct aim *aim)
{
	return connect_and_converse(aim, (int)told("socket", socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP)));
}

static int smc(const struct aim *aim)
{
	return connect_and_converse(aim, (int)told("socket", socket(FAMILY_SMC, SOCK_STREAM, 0)));
}

static int sctp(const struct aim *aim)
{
	return connect_and_converse(aim, (int)told("socket", socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP)));
}

/* An address with no other meaning than "wherever the kernel likes". */
static int bindsrc(const struct aim *aim)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = stream();

	told("bind", bind(fd, (const struct sockaddr *)&any, sizeof(any)));
	return connect_and_converse(aim, fd);
}

/* The address of the interface towards the wire. */
static int bindhost(const struct aim *aim)
{
	struct sockaddr_in host = {.sin_family = AF_INET};
	int fd = stream();

	inet_pton(AF_INET, "100.64.0.1", &host.sin_addr);
	told("bind", bind(fd, (const struct sockaddr *)&host, sizeof(host)));
	return connect_and_converse(aim, fd);
}

/* Two streams from one port, to two ports of the target. */
static int bindport2(const struct aim *aim)
{
	struct aim other = *aim;
	int first = stream(), second = stream();

	other.in.sin_port = htons((uint16_t)(aim->port + 50));
	take_port(aim, first);
	take_port(aim, second);
	if (told("connect", connect(first, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	int result = connect_and_converse(&other, second);

	return result == WORKED ? converse(aim, first) : result;
}

/* The port is a mark: a library that connects this socket to its proxy on loopback sends that out of the device. */
static int bindtodevice(const struct aim *aim)
{
	int fd = stream();

	told("setsockopt", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "wire", 4));
	take_port(aim, fd);
	return connect_and_converse(aim, fd);
}

static int unicast_if(const struct aim *aim)
{
	const int index = (int)htonl(2);
	int fd = stream();

	told("setsockopt", setsockopt(fd, IPPROTO_IP, 50 /* IP_UNICAST_IF */, &index, sizeof(index)));
	return connect_and_converse(aim, fd);
}

/* Disconnects, and connects again. */
static int unspec_then(const struct aim *aim)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = stream();

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0 ||
	    told("connect", connect(fd, &none, sizeof(none))) < 0)
		return DENIED;
	return connect_and_converse(aim, fd);
}

/* The second connect has to say EISCONN, and change nothing. */
static int connect_twice(const struct aim *aim)
{
	int fd = stream();

	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) == 0 || errno != EISCONN)
		return DENIED;
	return converse(aim, fd);
}

/* A listener that all interfaces reach. The neighbour on the wire tries to come in while we wait. */
static int listen_any(const struct aim *aim)
{
	int fd = stream();

	if (take_port(aim, fd) < 0 || told("listen", listen(fd, 4)) < 0)
		return DENIED;
	int accepted = (int)told("accept", accept(fd, NULL, NULL));

	return accepted < 0 ? DENIED : sent("send", send(accepted, aim->mark, strlen(aim->mark), MSG_NOSIGNAL));
}

const struct vector stream_vectors[] = {
	{"tcp4", go},
	{"tcp6", tcp6},
	{"v4mapped", v4mapped},
	{"sendto-tfo", sendto_tfo},
	{"sendmsg-tfo", sendmsg_tfo},
	{"sendmmsg-tfo", sendmmsg_tfo},
	{"tfo-connect", tfo_connect},
	{"mptcp", mptcp},
	{"smc", smc},
	{"sctp", sctp},
	{"bind-any", bindsrc},
	{"bind-host", bindhost},
	{"bind-port-twice", bindport2},
	{"bind-device", bindtodevice},
	{"unicast-if", unicast_if},
	{"unspec-then", unspec_then},
	{"connect-twice", connect_twice},
	{"listen-any", listen_any},
	{NULL, NULL},
};
