#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "address.h"
#include "steer.h"
#include "sys.h"

long exitpin_read_source(int fd, struct exitpin_endpoint *plain, struct exitpin_endpoint *source)
{
	char address[EXITPIN_SOCKADDR_SIZE];
	socklen_t size = sizeof(address);
	long error = sys_getsockname(fd, address, &size);

	if (error < 0)
		return error;
	if (!exitpin_endpoint_from_sockaddr(address, size, plain))
		return -EAFNOSUPPORT;
	*source = *plain;
	if (size == sizeof(struct sockaddr_in6)) { /* as the kernel has it: a v4-mapped address stays IPv6 */
		source->family = AF_INET6;
		memcpy(source->address, address + offsetof(struct sockaddr_in6, sin6_addr), 16);
	}
	return 0;
}

/* An IPv6 socket speaks to Tor over IPv4; that needs IPV6_V6ONLY clear, and only an unbound socket lets it be cleared. */
static void clear_v6only(int fd, uint32_t *flags)
{
	int value = 0;
	socklen_t size = sizeof(value);

	if (sys_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &size) < 0 || value == 0)
		return;
	*flags |= EXITPIN_FLAG_V6ONLY;
	value = 0;
	sys_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value));
}

/* With IP_BIND_ADDRESS_NO_PORT set, bind would leave the port 0 until connect, too late to report it. */
static void clear_no_port(int fd)
{
	const int no = 0;

	sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &no, sizeof(no));
}

long exitpin_bind_run_address(int fd, int domain, const struct exitpin_endpoint *run_address, uint32_t *flags)
{
	char address[EXITPIN_SOCKADDR_SIZE];

	if (domain == AF_INET6)
		clear_v6only(fd, flags);
	clear_no_port(fd);
	size_t size = exitpin_endpoint_to_sockaddr(run_address, (uint16_t)domain, address);

	return sys_bind(fd, address, (socklen_t)size);
}

/* Only bind tells whether a socket holds a port: after a connection was reset or disconnected, getsockname still names
 * one that the kernel has released and will not use again (a bind to port 0 does not lock it). */
static long bind_source(int fd, int domain, const struct exitpin_endpoint *run_address, struct exitpin_report *report)
{
	struct exitpin_endpoint plain;
	long bound = exitpin_bind_run_address(fd, domain, run_address, &report->flags);

	if (bound < 0 && bound != -EINVAL)
		return bound;
	long error = exitpin_read_source(fd, &plain, &report->source);

	if (error < 0)
		return error;
	if (bound == -EINVAL && !exitpin_address_is_equal(&plain, run_address))
		report->flags |= EXITPIN_FLAG_BOUND;
	return plain.port != 0 ? 0 : -EADDRNOTAVAIL;
}

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

/* What a run may not reach. */
static int destination_reason(int fd, const struct exitpin_endpoint *destination)
{
	char device[16] = "";
	socklen_t size = sizeof(device);
	int reason = exitpin_endpoint_scope(destination);

	if (reason == EXITPIN_REASON_NONE && sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == 0 &&
	    size > 0 && device[0] != '\0')
		reason = EXITPIN_REASON_DEVICE;
	return reason;
}

long exitpin_steer(int fd, const struct exitpin_kind *kind, const struct sockaddr *address, socklen_t size,
		   const struct exitpin_endpoint *run_address, struct exitpin_report *report, int *reason)
{
	long error = check_arguments(fd, kind, address, size, &report->destination);

	*reason = error == 0 ? destination_reason(fd, &report->destination) : EXITPIN_REASON_NONE;
	if (*reason != EXITPIN_REASON_NONE)
		return *reason == EXITPIN_REASON_LOOPBACK ? -EACCES : -ENETUNREACH;
	if (error == 0)
		error = bind_source(fd, kind->domain, run_address, report);
	if (error == 0 && (sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK))
		report->flags |= EXITPIN_FLAG_NONBLOCK;
	return error;
}
