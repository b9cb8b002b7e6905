/* What is refused, or passes without the orchestrator. */
#include <sys/syscall.h>

#include "probe.h"

#define TARGET "198.51.100.7"
#define TARGET6 "2001:db8::7"

static void local_targets(void)
{
	say("loopback", connect4(tcp4(), "127.0.0.1", 9050));
	say("loopback_other", connect4(tcp4(), "127.9.9.9", 80));
	say("any", connect4(tcp4(), "0.0.0.0", 80));
	say("loopback6", connect6(tcp6(), "::1", 80));
	say("any6", connect6(tcp6(), "::", 80));
	say("mapped", connect6(tcp6(), "::ffff:127.0.0.1", 80));
	say("multicast", connect4(tcp4(), "224.0.0.1", 80));
	say("broadcast", connect4(tcp4(), "255.255.255.255", 80));
	say("multicast6", connect6(tcp6(), "ff02::1", 80));
}

static void natives(void)
{
	struct sockaddr_in in = to4(TARGET, 80);
	struct sockaddr_in6 in6 = to6(TARGET6, 80);
	int fds[2];

	pipe(fds);
	say("badfd", connect4(999, TARGET, 80));
	say("notsock", connect4(fds[0], TARGET, 80));
	say("short", connect(tcp4(), (struct sockaddr *)&in, 12));
	say("v6_on_v4", connect(tcp4(), (struct sockaddr *)&in6, sizeof(in6)));
	say("v4_on_v6", connect(tcp6(), (struct sockaddr *)&in, sizeof(in)));
	say("v4_on_v6_long", connect(tcp6(), (struct sockaddr *)&in, sizeof(in6)));
	say("unix_on_v4", connect(tcp4(), &(struct sockaddr){.sa_family = AF_UNIX}, 16));
	say("tiny", connect(tcp4(), (struct sockaddr *)&in, 1));
}

static void unix_passes(void)
{
	int pair[2];
	struct sockaddr gone = {.sa_family = AF_UNIX, .sa_data = "/nowhere"};

	say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	say("connect", connect(socket(AF_UNIX, SOCK_STREAM, 0), &gone, sizeof(gone)));
	say("sendto", sendto(pair[0], "x", 1, 0, NULL, 0));
	say("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
	say("pair4", socketpair(AF_INET, SOCK_STREAM, 0, pair));
}

static void sockets(void)
{
	say("udp", socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	say("udp6", socket(AF_INET6, SOCK_DGRAM, 0));
	say("icmp", socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	say("raw", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	say("mptcp", socket(AF_INET, SOCK_STREAM, 262));
	say("sctp", socket(AF_INET, SOCK_STREAM, 132));
	say("packet", socket(AF_PACKET, SOCK_RAW, 0));
	say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
	say("audit", socket(AF_NETLINK, SOCK_RAW, 9));
	say("tcp", socket(AF_INET, SOCK_STREAM, 6));
}

static void bound(void)
{
	struct sockaddr_in any = to4("0.0.0.0", 0), lo = to4("127.0.0.1", 0), fixed = to4("0.0.0.0", 8080);
	struct sockaddr_in own = to4("203.0.113.9", 0);
	struct sockaddr_in6 any6 = to6("::", 0);
	int fd = tcp4(), one = 1, fd6 = tcp6(), fd_own = tcp4();

	say("fixed", bind(tcp4(), (struct sockaddr *)&fixed, sizeof(fixed)));
	say("any", bind(fd, (struct sockaddr *)&any, sizeof(any)));
	say("twice", bind(fd, (struct sockaddr *)&lo, sizeof(lo)));
	say("connect", connect4(fd, TARGET, 80));
	setsockopt(fd6, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	say("any6", bind(fd6, (struct sockaddr *)&any6, sizeof(any6)));
	say("connect6", connect6(fd6, TARGET6, 80));
	say("own", bind(fd_own, (struct sockaddr *)&own, sizeof(own)));
	say("connect_own", connect4(fd_own, TARGET, 80));
	say("foreign", bind(tcp4(), (struct sockaddr *)&(struct sockaddr_in){AF_INET, 0, {0x01020304}, {0}}, sizeof(own)));
	say("listen", listen(tcp4(), 1));
	say("listen6", listen(fd6, 1));
	say("listen_unix", listen(socket(AF_UNIX, SOCK_STREAM, 0), 1));
}

static void device(void)
{
	int fd = tcp4();

	say("set", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
	say("connect", connect4(fd, TARGET, 80));
	say("clear", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
	say("again", connect4(fd, TARGET, 80));
}

static void fastopen(void)
{
	struct sockaddr_in to = to4(TARGET, 80);
	struct iovec part = {"x", 1};
	struct mmsghdr message = {.msg_hdr = {&to, sizeof(to), &part, 1, NULL, 0, 0}};

	say("sendto", sendto(tcp4(), "x", 1, MSG_FASTOPEN, (struct sockaddr *)&to, sizeof(to)));
	say("sendmsg", sendmsg(tcp4(), &message.msg_hdr, MSG_FASTOPEN));
	say("sendmmsg", sendmmsg(tcp4(), &message, 1, MSG_FASTOPEN));
	say("unconnected", sendto(tcp4(), "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to)));
}

/* A datagram socket that no hook saw being made. */
static void datagrams(void)
{
	struct sockaddr_in to = to4(TARGET, 53), unspec = to;
	struct iovec part = {"x", 1};
	struct mmsghdr message = {.msg_hdr = {&to, sizeof(to), &part, 1, NULL, 0, 0}};
	int fd = (int)syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);

	unspec.sin_family = AF_UNSPEC;
	say("sendto", sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	say("unspec", sendto(fd, "x", 1, 0, (struct sockaddr *)&unspec, sizeof(unspec)));
	say("sendmsg", sendmsg(fd, &message.msg_hdr, 0));
	say("sendmmsg", sendmmsg(fd, &message, 1, 0));
	say("connect", connect4(fd, TARGET, 53));
	say("bind", bind(fd, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(to)));
}

static const struct command commands[] = {
	{"local_targets", local_targets}, {"natives", natives}, {"unix_passes", unix_passes}, {"sockets", sockets},
	{"bound", bound}, {"device", device}, {"fastopen", fastopen}, {"datagrams", datagrams}, {NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_command(commands, argc, argv);
}
