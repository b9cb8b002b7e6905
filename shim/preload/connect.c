#include "preload.h"

/* A socket on which SOCKS may have begun must not be left where the tool can write to it; nor may the reset of that
 * stream (ECONNRESET, pending) be taken for one of the next. But what somebody else connects just now is his. */
static void disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int pending;
	socklen_t size = sizeof(pending);

	sys_connect(fd, &none, sizeof(none));
	sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size);
}

static long open_stream(int fd, struct exitpin_report *report)
{
	struct exitpin_reply reply;

	if (!exitpin_exchange(report, NULL, fd, &reply))
		reply.answer.error = ENETUNREACH;
	if (reply.answer.error != 0 && reply.answer.error != EISCONN && reply.answer.error != EALREADY)
		disconnect(fd);
	return -reply.answer.error;
}

/* connect(2).
 * Passes: no address, AF_UNSPEC (disconnects); whatever a netlink socket asks; Unix sockets of the run's own, and those
 *   that it was given.
 * Refuses: EACCES for anything else that is not TCP and for this machine's own addresses; ENETUNREACH for multicast,
 *   broadcast and sockets bound to a device, and when the orchestrator is gone or there is no room to ask it. Each
 *   with a note.
 * Else binds the socket on the run's address (a binding of the tool stays while it holds a port) and reports source, destination and the
 * socket itself. Blocks until the stream is open or has failed, also for O_NONBLOCK: then 0 instead of EINPROGRESS.
 * A socket whose connect failed is disconnected and may be connected again. */
EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct exitpin_kind kind;
	struct exitpin_report report;

	if (address == NULL || size < sizeof(address->sa_family) || address->sa_family == AF_UNSPEC)
		return (int)result(sys_connect(fd, address, size));
	long error = exitpin_kind_of(fd, &kind);

	if (error < 0)
		return fail((int)-error);
	if (exitpin_is_left_to_supervisor(&kind))
		return (int)result(sys_connect(fd, address, size));
	if (kind.domain == AF_UNIX && address->sa_family == AF_UNIX && (error = exitpin_unix_error(address, size)) != 0)
		return fail((int)error);
	int reason = exitpin_kind_reason(&kind);

	if (reason != EXITPIN_REASON_NONE)
		return exitpin_deny_address(reason, address, size), fail(EACCES);
	if (!exitpin_is_inet(&kind))
		return (int)result(sys_connect(fd, address, size));
	if (!exitpin_report_begin(&report, EXITPIN_CONNECT))
		return fail(ENETUNREACH);
	error = exitpin_steer(fd, &kind, address, size, &exitpin_config()->source, &report, &reason);
	if (reason != EXITPIN_REASON_NONE)
		exitpin_deny(reason, &report.destination, NULL);
	return (int)result(error < 0 ? error : open_stream(fd, &report));
}

/* glibc exports connect under this name too. */
EXPORT int __connect(int fd, const struct sockaddr *address, socklen_t size) __attribute__((alias("connect")));
