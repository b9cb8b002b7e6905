/* The source endpoint by which Tor's STREAM event and our report are joined. */
#include <netinet/in.h>

#include "preload.h"

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

long exitpin_bind_run_address(int fd, int domain, uint32_t *flags)
{
	const struct exitpin_config *config = exitpin_config();
	char address[EXITPIN_SOCKADDR_SIZE];

	if (config == NULL)
		return -ENETUNREACH;
	if (domain == AF_INET6)
		clear_v6only(fd, flags);
	clear_no_port(fd);
	size_t size = exitpin_endpoint_to_sockaddr(&config->source, (uint16_t)domain, address);

	return sys_bind(fd, address, (socklen_t)size);
}

/* Only bind tells whether a socket holds a port: after a connection was reset or disconnected, getsockname still names
 * one that the kernel has released and will not use again (a bind to port 0 does not lock it). */
long exitpin_bind_source(int fd, int domain, struct exitpin_endpoint *source, uint32_t *flags)
{
	struct exitpin_endpoint plain;
	long bound = exitpin_bind_run_address(fd, domain, flags);

	if (bound < 0 && bound != -EINVAL)
		return bound;
	long error = exitpin_read_source(fd, &plain, source);

	if (error < 0)
		return error;
	if (bound == -EINVAL && !exitpin_address_is_equal(&plain, &exitpin_config()->source))
		*flags |= EXITPIN_FLAG_BOUND;
	return plain.port != 0 ? 0 : -EADDRNOTAVAIL;
}
