/* The three calls that can name a destination with the data. */
#include "preload.h"

/* Whether a message to this address, with these flags, may go: 0 or an errno. A datagram with any address is refused,
 * AF_UNSPEC too (the kernel takes it for AF_INET); TCP ignores an address, except with MSG_FASTOPEN, which would connect
 * past the connect hook. */
static int refusal(int fd, const void *address, socklen_t size, int flags)
{
	struct exitpin_kind kind;
	bool has_address = address != NULL && size > 0;

	if ((!has_address && !(flags & MSG_FASTOPEN)) || exitpin_kind_of(fd, &kind) < 0)
		return 0;
	if (exitpin_is_left_to_supervisor(&kind))
		return 0;
	if (kind.domain == AF_UNIX)
		return has_address ? exitpin_unix_error(address, size) : 0;
	int reason = exitpin_kind_reason(&kind);

	if (reason == EXITPIN_REASON_NONE)
		return exitpin_is_inet(&kind) && (flags & MSG_FASTOPEN) ? EOPNOTSUPP : 0;
	exitpin_deny_address(reason, address, has_address ? size : 0);
	return EACCES;
}

/* sendto(2).
 * Passes: what has no destination, netlink sockets, TCP, Unix sockets as connect. Refuses: EOPNOTSUPP for MSG_FASTOPEN, so that the tool
 *   falls back to connect; EACCES for datagrams to anywhere, with a note. Blocks as sendto does. */
EXPORT ssize_t sendto(int fd, const void *data, size_t data_size, int flags, const struct sockaddr *address,
		      socklen_t size)
{
	int error = refusal(fd, address, size, flags);

	return error != 0 ? fail(error) : result(sys_sendto(fd, data, data_size, flags, address, size));
}

/* sendmsg(2): as sendto. */
EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	int error = message != NULL ? refusal(fd, message->msg_name, message->msg_namelen, flags) : 0;

	return error != 0 ? fail(error) : result(sys_sendmsg(fd, message, flags));
}

/* sendmmsg(2): as sendto; one message that may not go keeps all of them. */
EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
	for (unsigned i = 0; messages != NULL && i < count; i++) {
		int error = refusal(fd, messages[i].msg_hdr.msg_name, messages[i].msg_hdr.msg_namelen, flags);

		if (error != 0)
			return fail(error);
	}
	return (int)result(sys_sendmmsg(fd, messages, count, flags));
}
