/* Calls that no hook sees: what stops them is the kernel, or nothing. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "probe.h"

#define TARGET "198.51.100.7"

static int raw_socket(int family, int type, int protocol)
{
	return (int)syscall(SYS_socket, family, type, protocol);
}

static void sockets(void)
{
	say("udp", raw_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	say("udp6", raw_socket(AF_INET6, SOCK_DGRAM, 0));
	say("raw", raw_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	say("packet", raw_socket(AF_PACKET, SOCK_RAW, 0));
	say("mptcp", raw_socket(AF_INET, SOCK_STREAM, 262));
	say("vsock", raw_socket(AF_VSOCK, SOCK_STREAM, 0));
	say("audit", raw_socket(AF_NETLINK, SOCK_RAW, 9));
	say("routes", raw_socket(AF_NETLINK, SOCK_RAW, 0));
	say("tcp", raw_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP));
}

static void connects(void)
{
	const struct sockaddr_in outside = to4(TARGET, 80), nearby = to4("127.0.0.1", 9);

	say("outside", syscall(SYS_connect, raw_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), &outside, sizeof(outside)));
	say("loopback", syscall(SYS_connect, raw_socket(AF_INET, SOCK_STREAM, 0), &nearby, sizeof(nearby)));
}

static void fast_opens(void)
{
	const struct sockaddr_in outside = to4(TARGET, 80);
	struct iovec data = {"x", 1};
	struct mmsghdr message = {.msg_hdr = {.msg_name = (void *)&outside, .msg_namelen = sizeof(outside), .msg_iov = &data,
					      .msg_iovlen = 1}};
	const int flags = MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL;

	say("sendto", syscall(SYS_sendto, raw_socket(AF_INET, SOCK_STREAM, 0), "x", 1, flags, &outside, sizeof(outside)));
	say("sendmsg", syscall(SYS_sendmsg, raw_socket(AF_INET, SOCK_STREAM, 0), &message.msg_hdr, flags));
	say("sendmmsg", syscall(SYS_sendmmsg, raw_socket(AF_INET, SOCK_STREAM, 0), &message, 1, flags));
}

static void rings(void)
{
	struct io_uring_params params = {0};

	say("setup", syscall(SYS_io_uring_setup, 4, &params));
}

static void listeners(void)
{
	const struct sockaddr_in fixed = to4("127.0.0.1", 47999);

	say("fixed", syscall(SYS_bind, raw_socket(AF_INET, SOCK_STREAM, 0), &fixed, sizeof(fixed)));
	say("listen", syscall(SYS_listen, raw_socket(AF_INET, SOCK_STREAM, 0), 1));
}

static void unix_listener(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "@bypasses"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	address.sun_path[0] = '\0';
	say("bind", bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 9));
	say("listen", listen(fd, 1));
}

static void device(void)
{
	int fd = raw_socket(AF_INET, SOCK_STREAM, 0), index = 1;

	say("device", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	say("index", setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)));
	say("unicast", setsockopt(fd, IPPROTO_IP, IP_UNICAST_IF, &index, sizeof(index)));
}

static void keys(void)
{
	say("request", syscall(SYS_request_key, "user", "exitpin", "", 0));
}

/* A protocol on top of TCP (SMC) would connect by calls of its own. */
static void protocols(void)
{
	int fd = raw_socket(AF_INET, SOCK_STREAM, 0);

	say("ulp", setsockopt(fd, IPPROTO_TCP, 31 /* TCP_ULP */, "smc", 4));
}

static int joined(int fd, int level, int option, int family)
{
	struct group_req group = {.gr_interface = 1};
	struct group_source_req one = {.gsr_interface = 1};

	group.gr_group.ss_family = one.gsr_group.ss_family = one.gsr_source.ss_family = (sa_family_t)family;
	if (family == AF_INET)
		((struct sockaddr_in *)&group.gr_group)->sin_addr.s_addr = htonl(0xef010203u);
	else
		((struct sockaddr_in6 *)&group.gr_group)->sin6_addr.s6_addr[0] = 0xff;
	one.gsr_group = group.gr_group;
	return option == MCAST_JOIN_GROUP ? setsockopt(fd, level, option, &group, sizeof(group))
					  : setsockopt(fd, level, option, &one, sizeof(one));
}

/* A group that is joined is told to the neighbours, be the socket one of TCP; a route in the header leads elsewhere. */
static void options(void)
{
	int fd = raw_socket(AF_INET, SOCK_STREAM, 0), six = raw_socket(AF_INET6, SOCK_STREAM, 0), on = 1;
	const unsigned char route[] = {131, 7, 4, 198, 51, 100, 7, 0};

	say("tos", setsockopt(fd, IPPROTO_IP, IP_TOS, &on, sizeof(on)));
	say("v6only", setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)));
	say("route", setsockopt(fd, IPPROTO_IP, IP_OPTIONS, route, sizeof(route)));
	say("header", setsockopt(six, IPPROTO_IPV6, IPV6_RTHDR, route, sizeof(route)));
	say("join", joined(fd, IPPROTO_IP, MCAST_JOIN_GROUP, AF_INET));
	say("source", joined(fd, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, AF_INET));
	say("join6", joined(six, IPPROTO_IPV6, MCAST_JOIN_GROUP, AF_INET6));
	say("join4on6", joined(six, IPPROTO_IP, MCAST_JOIN_GROUP, AF_INET));
}

static void linger(void)
{
	struct linger one = {1, 1000};
	socklen_t size = sizeof(one);
	int fd = raw_socket(AF_INET, SOCK_STREAM, 0);

	say("set", setsockopt(fd, SOL_SOCKET, SO_LINGER, &one, sizeof(one)));
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &one, &size);
	printf("is=%d\n", one.l_onoff);
}

static void faults(void)
{
	say("ioctl", ioctl(open("/dev/null", O_RDWR), 0xaa00 /* USERFAULTFD_IOC_NEW */, 0));
}

static void others(void)
{
	say("own", setpriority(PRIO_PROCESS, 0, 19));
	say("parent", setpriority(PRIO_PROCESS, getppid(), 5));
	say("user", setpriority(PRIO_USER, 0, 5));
}

static void pairs(void)
{
	int ends[2];

	say("unix", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ends));
	say("tipc", syscall(SYS_socketpair, 30 /* AF_TIPC */, SOCK_STREAM, 0, ends));
	say("ip", syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, ends));
}

static void tunnels(void)
{
	say("attach", ioctl(open("/dev/null", O_RDWR), 0x400454ca /* TUNSETIFF */, NULL));
}

/* argv[2]: a process outside the run; argv[3]: the name of an abstract socket there. */
static char **given;

static void outside(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pid_t pid = atoi(given[0]);
	int process = (int)syscall(SYS_pidfd_open, pid, 0);

	strcpy(address.sun_path + 1, given[1]);
	say("signal", kill(pid, 0));
	say("ptrace", ptrace(PTRACE_SEIZE, pid, 0, 0));
	say("getfd", syscall(SYS_pidfd_getfd, process, 0, 0));
	say("abstract", syscall(SYS_connect, socket(AF_UNIX, SOCK_STREAM, 0), &address,
				offsetof(struct sockaddr_un, sun_path) + 1 + strlen(given[1])));
}

/* argv[2]: a folder, with a file in a folder of it. */
static void moves(void)
{
	chdir(given[0]);
	say("move", rename("one/file", "two/file"));
	say("link", link("two/file", "one/link"));
}

#ifdef __x86_64__
static void other_machine(void)
{
	int result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); /* getpid */
	printf("int80=%s\n", result == getpid() ? "OK" : "no");
	fflush(stdout);
}

static void other_abi(void)
{
	say("x32", syscall(0x40000000 | SYS_getpid));
}
#endif

static const struct command commands[] = {
	{"sockets", sockets}, {"connects", connects}, {"fast_opens", fast_opens}, {"rings", rings},
	{"listeners", listeners}, {"unix_listener", unix_listener}, {"device", device}, {"keys", keys},
	{"protocols", protocols}, {"options", options}, {"linger", linger},
	{"faults", faults}, {"others", others}, {"pairs", pairs}, {"tunnels", tunnels}, {"outside", outside},
	{"moves", moves},
#ifdef __x86_64__
	{"other_machine", other_machine}, {"other_abi", other_abi},
#endif
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	given = argv + 2;
	return run_command(commands, argc, argv);
}
