#include <netinet/in.h>

#include "names.h"
#include "preload.h"

/* 0 or EAI_OVERFLOW. */
static int copy(const char *text, char *out, socklen_t size)
{
	size_t length = strlen(text) + 1;

	if (length > size)
		return EAI_OVERFLOW;
	memcpy(out, text, length);
	return 0;
}

/* As the family has it: a v4-mapped address is shown as the IPv6 address that it is. */
static void write_number(const struct sockaddr *address, const struct exitpin_endpoint *endpoint, char *name)
{
	struct exitpin_endpoint shown = *endpoint;

	if (address->sa_family == AF_INET6) {
		shown.family = AF_INET6;
		memcpy(shown.address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	}
	exitpin_format_address(&shown, name);
}

static int write_host(const struct sockaddr *address, const struct exitpin_endpoint *endpoint, char *host,
		      socklen_t size, int flags)
{
	char name[EXITPIN_NAME_MAX + 1];
	int error = flags & NI_NUMERICHOST ? EAI_NONAME : exitpin_resolve_address(endpoint, name);

	if (error != 0 && flags & NI_NAMEREQD)
		return error;
	if (error != 0)
		write_number(address, endpoint, name);
	return copy(name, host, size);
}

static int write_service(uint16_t port, char *service, socklen_t size, int flags)
{
	char name[EXITPIN_NAME_MAX + 1];

	if (flags & NI_NUMERICSERV || !exitpin_name_service(port, flags & NI_DGRAM ? "udp" : "tcp", name))
		exitpin_format_decimal(port, name);
	return copy(name, service, size);
}

/* getnameinfo(3).
 * Answers numeric questions, this machine's own addresses and services by itself; asks the orchestrator for the name of
 *   any other address, and blocks for it. Without a name: the number, or with NI_NAMEREQD an error. */
EXPORT int getnameinfo(const struct sockaddr *restrict address, socklen_t size, char *restrict host, socklen_t host_size,
		       char *restrict service, socklen_t service_size, int flags)
{
	struct exitpin_endpoint endpoint;
	bool has_host = host != NULL && host_size > 0, has_service = service != NULL && service_size > 0;
	int saved = errno, error = 0;

	if (address == NULL || !exitpin_endpoint_from_sockaddr(address, size, &endpoint))
		return EAI_FAMILY;
	if (!has_host && !has_service)
		return EAI_NONAME;
	if (has_host)
		error = write_host(address, &endpoint, host, host_size, flags);
	if (error == 0 && has_service)
		error = write_service(endpoint.port, service, service_size, flags);
	errno = saved;
	return error;
}
