#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nowhere.h"
#include "sys.h"

enum { USER, NETWORK, SERVER_V4, SERVER_V6, LOOPBACK_INDEX = 1, STACK_SIZE = 32768 };

/* What is done in another network is done by a child: namespaces are a process's, and a process with threads can enter no
 * user namespace. It shares our memory, of which nothing is copied, and our descriptors: what it opens is ours. The
 * calling thread waits until it is gone. System calls and nothing else in it. */
struct errand {
	long (*carry_out)(struct errand *errand); /* 0 or minus an errno */
	int user, network, family;
	int *fds;
	size_t count;
	volatile long result;
	_Alignas(16) char stack[STACK_SIZE];
};

static int child_main(void *given)
{
	struct errand *errand = given;

	errand->result = errand->carry_out(errand);
	sys_exit(0);
}

/* Signals are blocked, for a handler of ours must not run there. The child has no signal at its end, so that no wait for
 * children but ours, with __WCLONE, ever finds it. 0 or an errno. */
static int send_out(struct errand *errand, int namespaces)
{
	const int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES;
	int error = 0;
	sigset_t all, before;

	for (size_t i = 0; i < errand->count; i++)
		errand->fds[i] = -1;
	errand->result = -EIO; /* somebody killed it */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = clone(child_main, errand->stack + STACK_SIZE, flags | namespaces, errand);

	if (child < 0)
		error = errno;
	while (child > 0 && waitpid(child, NULL, __WCLONE) < 0 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		error = (int)-errand->result;
	for (size_t i = 0; i < errand->count && error != 0; i++)
		if (errand->fds[i] >= 0)
			close(errand->fds[i]);
	return error;
}

static long bring_up_loopback(void)
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	long control = sys_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (control < 0)
		return control;
	long error = sys_call(SYS_ioctl, control, SIOCSIFFLAGS, (long)&loopback, 0, 0, 0);

	sys_close((int)control);
	return error;
}

/* ip route add local default dev lo */
static long take_every_address(int family)
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
	} reply = {.error = {.error = -EIO}};
	struct iovec part = {&reply, sizeof(reply)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	long netlink = sys_socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (netlink < 0)
		return netlink;
	long error = sys_sendto((int)netlink, &request, sizeof(request), 0, NULL, 0);

	if (error >= 0)
		error = sys_recvmsg((int)netlink, &message, 0);
	sys_close((int)netlink);
	return error < 0 ? error : reply.error.error;
}

/* Takes datagrams for every address, tells for which, and may answer from it (IPv6 wants to be asked for that). */
static long serve(int fd, int family)
{
	const int yes = 1;
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6, .sin6_port = htons(EXITPIN_NOWHERE_PORT)};
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(EXITPIN_NOWHERE_PORT)};
	long error;

	if (family == AF_INET) {
		error = sys_setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes));
		return error < 0 ? error : sys_bind(fd, &any4, sizeof(any4));
	}
	error = sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (error >= 0)
		error = sys_setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
	if (error >= 0)
		error = sys_setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &yes, sizeof(yes));
	return error < 0 ? error : sys_bind(fd, &any6, sizeof(any6));
}

/* A descriptor, or minus an errno. */
static long name_server(int family)
{
	long fd = sys_socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	long error = fd < 0 ? fd : take_every_address(family);

	if (error >= 0)
		error = serve((int)fd, family);
	if (error < 0 && fd >= 0)
		sys_close((int)fd);
	return error < 0 ? error : fd;
}

static long make(struct errand *errand)
{
	int *fds = errand->fds;
	long error = bring_up_loopback();

	if (error < 0)
		return error;
	fds[USER] = (int)sys_open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	fds[NETWORK] = (int)sys_open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	fds[SERVER_V4] = (int)name_server(AF_INET);
	for (int i = USER; i <= SERVER_V4; i++)
		if (fds[i] < 0)
			return fds[i];
	fds[SERVER_V6] = (int)name_server(AF_INET6); /* a kernel may have no IPv6: then nobody asks over it */
	return 0;
}

static long make_batch(struct errand *errand)
{
	sys_call(SYS_setns, errand->user, CLONE_NEWUSER, 0, 0, 0, 0); /* EINVAL: it is ours already */
	long error = sys_call(SYS_setns, errand->network, CLONE_NEWNET, 0, 0, 0, 0);

	for (size_t i = 0; i < errand->count && error >= 0; i++)
		error = errand->fds[i] = (int)sys_socket(errand->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return error < 0 ? error : 0;
}

int exitpin_nowhere_make(int fds[EXITPIN_NOWHERE_FDS])
{
	struct errand errand = {.carry_out = make, .fds = fds, .count = EXITPIN_NOWHERE_FDS};
	int error = send_out(&errand, CLONE_NEWNET);

	return error == EPERM ? send_out(&errand, CLONE_NEWUSER | CLONE_NEWNET) : error;
}

int exitpin_nowhere_more(int user_namespace, int network_namespace, int family, int fds[EXITPIN_NOWHERE_BATCH])
{
	struct errand errand = {.carry_out = make_batch, .user = user_namespace, .network = network_namespace,
				.family = family, .fds = fds, .count = EXITPIN_NOWHERE_BATCH};

	return send_out(&errand, 0);
}
