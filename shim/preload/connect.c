#include <netinet/in.h>

#include "preload.h"

/* What connect(2) itself would refuse before a packet is sent: 0 or minus an errno. Fills in where the tool wants to go. */
static long check_arguments(int fd, const struct exitpin_kind *kind, const struct sockaddr *address, socklen_t size,
			    struct exitpin_endpoint *destination)
{
	const socklen_t least = kind->domain == AF_INET ? sizeof(struct sockaddr_in)
							: offsetof(struct sockaddr_in6, sin6_scope_id);
	char ignored[EXITPIN_SOCKADDR_SIZE];
	socklen_t ignored_size = sizeof(ignored), option_size = sizeof(int);
	int is_listening = 0, is_v6only = 0;

	if (size < least)
		return -EINVAL;
	if (address->sa_family != kind->domain || !exitpin_endpoint_from_sockaddr(address, size, destination))
		return -EAFNOSUPPORT;
	sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &option_size);
	if (is_listening || sys_getpeername(fd, ignored, &ignored_size) == 0)
		return -EISCONN;
	option_size = sizeof(int);
	if (kind->domain == AF_INET6 && destination->family == AF_INET &&
	    sys_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_v6only, &option_size) == 0 && is_v6only)
		return -ENETUNREACH;
	return 0;
}

/* What a run may not reach: 0 or minus an errno, and a note. */
static long check_destination(int fd, const struct exitpin_endpoint *destination)
{
	char device[16] = "";
	socklen_t size = sizeof(device);
	int reason = exitpin_endpoint_scope(destination);

	if (reason == EXITPIN_REASON_NONE && sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0 &&
	    size > 0 && device[0] != '\0')
		reason = EXITPIN_REASON_DEVICE;
	if (reason == EXITPIN_REASON_NONE)
		return 0;
	exitpin_deny(reason, destination, NULL);
	return reason == EXITPIN_REASON_LOOPBACK ? -EACCES : -ENETUNREACH;
}

/* A socket on which SOCKS may have begun must not be left where the tool can write to it; nor may the reset of that
 * stream (ECONNRESET, pending) be taken for one of the next. */
static void disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int pending;
	socklen_t size = sizeof(pending);

	sys_connect(fd, &none, sizeof(none));
	sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size);
}

static long open_stream(int fd, const struct exitpin_kind *kind, struct exitpin_report *report)
{
	struct exitpin_reply reply;
	long error = exitpin_bind_source(fd, kind->domain, &report->source, &report->flags);

	if (error < 0)
		return error;
	if (sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
		report->flags |= EXITPIN_FLAG_NONBLOCK;
	if (!exitpin_exchange(report, NULL, fd, &reply))
		reply.answer.error = ENETUNREACH;
	if (reply.answer.error != 0 && reply.answer.error != EISCONN)
		disconnect(fd);
	return -reply.answer.error;
}

/* connect(2).
 * Passes: no address, AF_UNSPEC (disconnects), AF_UNIX; whatever a Unix or netlink socket asks.
 * Refuses: EACCES for anything that is not TCP and for this machine's own addresses; ENETUNREACH for multicast,
 *   broadcast and sockets bound to a device, and when the orchestrator is gone. Each with a note.
 * Else binds the socket on the run's address (a binding of the tool stays while it holds a port) and reports source, destination and the
 * socket itself. Blocks until the stream is open or has failed, also for O_NONBLOCK: then 0 instead of EINPROGRESS.
 * A socket whose connect failed is disconnected and may be connected again. */
EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct exitpin_kind kind;
	struct exitpin_report report;

	if (address == NULL || size < sizeof(address->sa_family) || address->sa_family == AF_UNSPEC ||
	    address->sa_family == AF_UNIX)
		return (int)result(sys_connect(fd, address, size));
	long error = exitpin_kind_of(fd, &kind);

	if (error < 0)
		return fail((int)-error);
	int reason = exitpin_kind_reason(&kind);

	if (reason != EXITPIN_REASON_NONE)
		return exitpin_deny_address(reason, address, size), fail(EACCES);
	if (!exitpin_is_inet(&kind))
		return (int)result(sys_connect(fd, address, size));
	if (!exitpin_report_begin(&report, EXITPIN_CONNECT))
		return fail(ENETUNREACH);
	error = check_arguments(fd, &kind, address, size, &report.destination);
	if (error == 0)
		error = check_destination(fd, &report.destination);
	return (int)result(error < 0 ? error : open_stream(fd, &kind, &report));
}

/* glibc exports connect under this name too. */
EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t size) __attribute__((alias("connect")));
