/* Work that is handed to another process over a socket, and descriptors that come back. Who listens there
 * (errands.py) goes wherever a message says. The first word is the directory of its sockets. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "vector.h"

static socklen_t place(const struct aim *aim, const char *name, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", aim->extra[0], name);
	return sizeof(*address);
}

static int reach(const struct aim *aim, int type, const char *name)
{
	struct sockaddr_un address;
	socklen_t size = place(aim, name, &address);
	int fd = (int)told("socket", socket(AF_UNIX, type, 0));

	return told("connect", connect(fd, (const struct sockaddr *)&address, size)) < 0 ? -1 : fd;
}

/* Says something and waits for the answer. */
static int ask(int fd, const char *words)
{
	char answer[128];

	if (fd < 0 || told("send", send(fd, words, strlen(words), MSG_NOSIGNAL)) < 0)
		return DENIED;
	return told("recv", recv(fd, answer, sizeof(answer), 0)) > 0 ? WORKED : DENIED;
}

static int unix_stream(const struct aim *aim)
{
	return ask(reach(aim, SOCK_STREAM, "stream"), errand(aim));
}

static int unix_seqpacket(const struct aim *aim)
{
	return ask(reach(aim, SOCK_SEQPACKET, "seqpacket"), errand(aim));
}

static int unix_datagram(const struct aim *aim)
{
	struct sockaddr_un address;
	socklen_t size = place(aim, "datagram", &address);
	const char *words = errand(aim);
	int fd = (int)told("socket", socket(AF_UNIX, SOCK_DGRAM, 0));

	return sent("sendto", sendto(fd, words, strlen(words), 0, (const struct sockaddr *)&address, size));
}

/* Past the hooks. */
static int unix_syscall(const struct aim *aim)
{
	struct sockaddr_un address;
	socklen_t size = place(aim, "stream", &address);
	int fd = (int)told("socket", syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0));

	if (told("connect", syscall(SYS_connect, fd, &address, size)) < 0)
		return DENIED;
	return ask(fd, errand(aim));
}

static int unix_datagram_syscall(const struct aim *aim)
{
	struct sockaddr_un address;
	socklen_t size = place(aim, "datagram", &address);
	const char *words = errand(aim);
	int fd = (int)told("socket", syscall(SYS_socket, AF_UNIX, SOCK_DGRAM, 0));

	return sent("sendto", syscall(SYS_sendto, fd, words, strlen(words), 0, &address, size));
}

static int unix_abstract(const struct aim *aim)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int size = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", aim->extra[1]);
	int fd = (int)told("socket", socket(AF_UNIX, SOCK_STREAM, 0));

	if (told("connect", connect(fd, (const struct sockaddr *)&address,
				    (socklen_t)(sizeof(address.sun_family) + 1 + (size_t)size))) < 0)
		return DENIED;
	return ask(fd, errand(aim));
}

/* The forms in which resolver daemons are asked: nscd (binary), resolved over varlink, resolved over D-Bus. */
static int ask_resolver(const struct aim *aim, const char *form)
{
	char words[256];

	snprintf(words, sizeof(words), form, aim->name);
	return ask(reach(aim, SOCK_STREAM, "resolver"), words);
}

static int resolver_nscd(const struct aim *aim)
{
	struct {
		int32_t version, type, size;
		char name[40];
	} request = {2, 14 /* GETAI */, (int32_t)strlen(aim->name) + 1, ""};
	int fd = reach(aim, SOCK_STREAM, "resolver");
	char answer[128];

	memcpy(request.name, aim->name, sizeof(request.name));
	if (fd < 0 || told("send", send(fd, &request, 12 + (size_t)request.size, MSG_NOSIGNAL)) < 0)
		return DENIED;
	return told("recv", recv(fd, answer, sizeof(answer), 0)) > 0 ? WORKED : DENIED;
}

static int resolver_varlink(const struct aim *aim)
{
	return ask_resolver(aim, "{\"method\":\"io.systemd.Resolve.ResolveHostname\",\"parameters\":{\"name\":\"%s\"}}");
}

static int resolver_dbus(const struct aim *aim)
{
	return ask_resolver(aim, "org.freedesktop.resolve1.Manager ResolveHostname %s");
}

/* A descriptor from the giver, who is told which kind (empty: it knows). */
static int receive(int fd, const char *kind, bool by_recvmmsg)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control;
	char byte;
	struct iovec data = {&byte, 1};
	struct mmsghdr one = {
		.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)}};

	if (fd < 0 || (kind[0] != '\0' && told("send", send(fd, kind, strlen(kind), MSG_NOSIGNAL)) < 0))
		return -1;
	if (by_recvmmsg ? told("recvmmsg", recvmmsg(fd, &one, 1, 0, NULL)) < 0 : told("recvmsg", recvmsg(fd, &one.msg_hdr, 0)) < 0)
		return -1;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&one.msg_hdr);
	int passed = -1;

	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(&passed, CMSG_DATA(header), sizeof(passed));
	return (int)told("SCM_RIGHTS", passed);
}

static int use_datagram(const struct aim *aim, int fd)
{
	if (fd < 0)
		return DENIED;
	if (told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return sent("write", write(fd, aim->mark, strlen(aim->mark)));
}

static int rights_udp(const struct aim *aim)
{
	return use_datagram(aim, receive(reach(aim, SOCK_STREAM, "giver"), "udp\n", false));
}

static int rights_udp_recvmmsg(const struct aim *aim)
{
	return use_datagram(aim, receive(reach(aim, SOCK_STREAM, "giver"), "udp\n", true));
}

static int use_stream(const struct aim *aim, bool by_recvmmsg)
{
	int fd = receive(reach(aim, SOCK_STREAM, "giver"), "tcp\n", by_recvmmsg);

	return fd < 0 ? DENIED : converse(aim, fd);
}

static int rights_tcp(const struct aim *aim)
{
	return use_stream(aim, false);
}

static int rights_tcp_recvmmsg(const struct aim *aim)
{
	return use_stream(aim, true);
}

/* Five descriptors within the program: each is one new descriptor, and not a second one that nobody closes. */
static int rights_count(const struct aim *aim)
{
	int pair[2], last = -1;

	if (told("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) < 0)
		return DENIED;
	for (int i = 0; i < 5; i++) {
		union {
			char space[CMSG_SPACE(sizeof(int))];
			struct cmsghdr aligned;
		} control = {.aligned = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
		struct iovec data = {"x", 1};
		const struct msghdr message = {
			.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
		int passed = socket(AF_INET, SOCK_STREAM, 0);

		memcpy(CMSG_DATA(&control.aligned), &passed, sizeof(passed));
		if (told("sendmsg", sendmsg(pair[1], &message, 0)) < 0)
			return DENIED;
		close(passed);
		int fd = receive(pair[0], "", false);

		if (fd < 0 || (last >= 0 && fd != last))
			return say("another number"), DENIED;
		last = fd;
		close(fd);
	}
	return go(aim);
}

const struct vector unix_vectors[] = {
	{"unix-stream", unix_stream},
	{"unix-seqpacket", unix_seqpacket},
	{"unix-datagram", unix_datagram},
	{"unix-syscall", unix_syscall},
	{"unix-datagram-syscall", unix_datagram_syscall},
	{"unix-abstract", unix_abstract},
	{"resolver-nscd", resolver_nscd},
	{"resolver-varlink", resolver_varlink},
	{"resolver-dbus", resolver_dbus},
	{"rights-udp", rights_udp},
	{"rights-udp-recvmmsg", rights_udp_recvmmsg},
	{"rights-tcp", rights_tcp},
	{"rights-tcp-recvmmsg", rights_tcp_recvmmsg},
	{"rights-count", rights_count},
	{NULL, NULL},
};
