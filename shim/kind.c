#include <linux/netlink.h>
#include <netinet/in.h>

#include "kind.h"
#include "sys.h"

static long get_option(int fd, int option, int *value)
{
	socklen_t size = sizeof(*value);

	return sys_getsockopt(fd, SOL_SOCKET, option, value, &size);
}

long exitpin_kind_of(int fd, struct exitpin_kind *kind)
{
	long error = get_option(fd, SO_DOMAIN, &kind->domain);

	if (error == 0)
		error = get_option(fd, SO_TYPE, &kind->type);
	if (error == 0)
		error = get_option(fd, SO_PROTOCOL, &kind->protocol);
	return error;
}

bool exitpin_is_inet(const struct exitpin_kind *kind)
{
	return kind->domain == AF_INET || kind->domain == AF_INET6;
}

bool exitpin_is_tcp(const struct exitpin_kind *kind)
{
	return exitpin_is_inet(kind) && kind->type == SOCK_STREAM &&
	       (kind->protocol == 0 || kind->protocol == IPPROTO_TCP);
}

int exitpin_kind_reason(const struct exitpin_kind *kind)
{
	if (kind->domain == AF_UNIX || (kind->domain == AF_NETLINK && kind->protocol == NETLINK_ROUTE) ||
	    exitpin_is_tcp(kind))
		return EXITPIN_REASON_NONE;
	if (kind->domain == AF_PACKET)
		return EXITPIN_REASON_RAW;
	if (!exitpin_is_inet(kind))
		return EXITPIN_REASON_FAMILY;
	if (kind->type == SOCK_STREAM)
		return EXITPIN_REASON_PROTOCOL;
	if (kind->type == SOCK_DGRAM && kind->protocol != IPPROTO_ICMP && kind->protocol != IPPROTO_ICMPV6)
		return EXITPIN_REASON_UDP;
	return EXITPIN_REASON_RAW;
}
