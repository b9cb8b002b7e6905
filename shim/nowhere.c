#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nowhere.h"
#include "sys.h"

enum { LOOPBACK_INDEX = 1, MAKE = EXITPIN_NOWHERE_FDS, MORE = 2 * EXITPIN_NOWHERE_BATCH };

/* What the child does stands in this process's memory, forked beside threads: system calls and nothing else. */

static bool bring_up(int control)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	return ioctl(control, SIOCSIFFLAGS, &loopback) == 0;
}

/* ip route add local default dev lo */
static bool take_every_address(int netlink, int family)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr device;
		int index;
	} request = {
		.header = {.nlmsg_len = sizeof(request), .nlmsg_type = RTM_NEWROUTE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK},
		.route = {.rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL},
		.device = {.rta_len = RTA_LENGTH(sizeof(int)), .rta_type = RTA_OIF},
		.index = LOOPBACK_INDEX,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} reply;

	return sys_sendto(netlink, &request, sizeof(request), 0, NULL, 0) == (long)sizeof(request) &&
	       recv(netlink, &reply, sizeof(reply), MSG_TRUNC) > 0 && reply.header.nlmsg_type == NLMSG_ERROR &&
	       reply.error.error == 0;
}

/* Takes datagrams for every address, tells for which, and may answer from it (IPv6 wants to be asked for that). */
static int name_server(int family)
{
	const int yes = 1;
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(EXITPIN_NOWHERE_PORT)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(EXITPIN_NOWHERE_PORT)};
	int fd = (int)sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is_done = family == AF_INET
			       ? sys_setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes)) == 0 &&
					 sys_bind(fd, &any4, sizeof(any4)) == 0
			       : sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) == 0 &&
					 sys_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes)) == 0 &&
					 sys_setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &yes, sizeof(yes)) == 0 &&
					 sys_bind(fd, &any6, sizeof(any6)) == 0;

	return is_done ? fd : -1;
}

static bool add_batch(int fds[2 * EXITPIN_NOWHERE_BATCH])
{
	for (int i = 0; i < 2 * EXITPIN_NOWHERE_BATCH; i++) {
		int family = i < EXITPIN_NOWHERE_BATCH ? AF_INET : AF_INET6;

		fds[i] = (int)sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0)
			return false;
	}
	return true;
}

static bool enter_new(int fds[MAKE])
{
	fds[0] = -1;
	if (unshare(CLONE_NEWNET) == 0) /* root */
		fds[0] = (int)sys_open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	else if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
		fds[0] = (int)sys_open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	else
		return false;
	fds[1] = (int)sys_open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return fds[0] >= 0 && fds[1] >= 0;
}

static bool make(int fds[MAKE])
{
	int netlink;

	if (!enter_new(fds))
		return false;
	netlink = (int)sys_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	fds[2] = (int)sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (netlink < 0 || !bring_up(fds[2]) || !take_every_address(netlink, AF_INET))
		return false;
	take_every_address(netlink, AF_INET6); /* a kernel may have no IPv6: then nobody asks over it */
	sys_close(netlink);
	sys_close(fds[2]);
	fds[2] = name_server(AF_INET);
	fds[3] = name_server(AF_INET6);
	if (fds[3] < 0)
		fds[3] = fds[2];
	return fds[2] >= 0 && add_batch(fds + 4);
}

static bool enter(int user_namespace, int network_namespace)
{
	setns(user_namespace, CLONE_NEWUSER); /* EINVAL: it is ours already */
	return setns(network_namespace, CLONE_NEWNET) == 0;
}

union rights {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MAKE * sizeof(int))];
};

static void send_all(int channel, const int *fds, size_t count, int error)
{
	union rights rights = {.align = {.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {&error, sizeof(error)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (error == 0) {
		memcpy(CMSG_DATA(&rights.align), fds, count * sizeof(int));
		message.msg_control = &rights;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	sys_sendmsg(channel, &message, MSG_NOSIGNAL);
}

/* 0 or an errno. */
static int receive_all(int channel, int *fds, size_t count)
{
	union rights rights;
	int error = EIO;
	struct iovec part = {&error, sizeof(error)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights,
				 .msg_controllen = sizeof(rights)};

	if (sys_recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != (long)sizeof(error) || error != 0)
		return error;
	if (message.msg_controllen < CMSG_LEN(count * sizeof(int)) || (message.msg_flags & MSG_CTRUNC))
		return EMFILE;
	memcpy(fds, CMSG_DATA(&rights.align), count * sizeof(int));
	return 0;
}

/* In a process of its own, since namespaces are a process's, and a process with threads can enter none. */
static int in_a_child(int user_namespace, int network_namespace, int *fds, size_t count)
{
	int channel[2], status;
	sigset_t all, before;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0)
		return errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();

	if (child == 0) {
		bool is_done = count == MAKE ? make(fds)
					     : enter(user_namespace, network_namespace) && add_batch(fds);

		send_all(channel[1], fds, count, is_done ? 0 : errno != 0 ? errno : EIO);
		sys_exit(0);
	}
	int error = child < 0 ? errno : 0;

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(channel[1]);
	if (error == 0) {
		error = receive_all(channel[0], fds, count);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(channel[0]);
	return error;
}

int exitpin_nowhere_make(int fds[EXITPIN_NOWHERE_FDS])
{
	return in_a_child(-1, -1, fds, MAKE);
}

int exitpin_nowhere_more(int user_namespace, int network_namespace, int fds[2 * EXITPIN_NOWHERE_BATCH])
{
	return in_a_child(user_namespace, network_namespace, fds, MORE);
}
