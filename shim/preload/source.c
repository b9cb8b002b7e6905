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

long exitpin_bind_source(int fd, int domain, struct exitpin_endpoint *source, uint32_t *flags)
{
	const struct exitpin_config *config = exitpin_config();
	struct exitpin_endpoint plain;
	char address[EXITPIN_SOCKADDR_SIZE];
	const int no = 0;
	long error;

	if (config == NULL)
		return -ENETUNREACH;
	if (domain == AF_INET6)
		clear_v6only(fd, flags);
	error = exitpin_read_source(fd, &plain, source);
	if (error < 0)
		return error;
	if (plain.port != 0) { /* bound: by us before a connect that failed, or by the tool */
		if (!exitpin_address_is_equal(&plain, &config->source))
			*flags |= EXITPIN_FLAG_BOUND;
		return 0;
	}
	/* with this option set, bind would leave the port 0 until connect, too late to report it */
	sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &no, sizeof(no));
	size_t size = exitpin_endpoint_to_sockaddr(&config->source, (uint16_t)domain, address);

	error = sys_bind(fd, address, (socklen_t)size);
	if (error < 0)
		return error;
	error = exitpin_read_source(fd, &plain, source);
	return error < 0 || plain.port != 0 ? error : -EADDRNOTAVAIL;
}
