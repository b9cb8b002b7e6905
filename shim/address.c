#include <netinet/in.h>
#include <string.h>

#include "address.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void from_ipv6(const struct sockaddr_in6 *in6, struct exitpin_endpoint *endpoint)
{
	const uint8_t *address = in6->sin6_addr.s6_addr;
	bool is_mapped = memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0;

	endpoint->port = ntohs(in6->sin6_port);
	endpoint->family = is_mapped ? AF_INET : AF_INET6;
	memcpy(endpoint->address, is_mapped ? address + 12 : address, is_mapped ? 4 : 16);
}

bool exitpin_endpoint_from_sockaddr(const void *address, size_t size, struct exitpin_endpoint *endpoint)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	uint16_t family;

	memset(endpoint, 0, sizeof(*endpoint));
	if (size < sizeof(family))
		return false;
	memcpy(&family, address, sizeof(family));
	if (family == AF_INET && size >= sizeof(in)) {
		memcpy(&in, address, sizeof(in));
		endpoint->family = AF_INET;
		endpoint->port = ntohs(in.sin_port);
		memcpy(endpoint->address, &in.sin_addr, 4);
		return true;
	}
	if (family != AF_INET6 || size < offsetof(struct sockaddr_in6, sin6_scope_id))
		return false;
	memcpy(&in6, address, offsetof(struct sockaddr_in6, sin6_scope_id));
	from_ipv6(&in6, endpoint);
	return true;
}

size_t exitpin_endpoint_to_sockaddr(const struct exitpin_endpoint *endpoint, uint16_t family, void *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};

	if (family == AF_INET && endpoint->family == AF_INET) {
		memcpy(&in.sin_addr, endpoint->address, 4);
		memcpy(address, &in, sizeof(in));
		return sizeof(in);
	}
	if (family != AF_INET6)
		return 0;
	if (endpoint->family == AF_INET) {
		memcpy(&in6.sin6_addr, mapped_prefix, sizeof(mapped_prefix));
		memcpy(in6.sin6_addr.s6_addr + 12, endpoint->address, 4);
	} else {
		memcpy(&in6.sin6_addr, endpoint->address, 16);
	}
	memcpy(address, &in6, sizeof(in6));
	return sizeof(in6);
}

int exitpin_endpoint_scope(const struct exitpin_endpoint *endpoint)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};
	static const uint8_t zeros[15];
	const uint8_t *address = endpoint->address;

	if (endpoint->family == AF_INET) {
		if (address[0] == 127 || address[0] == 0)
			return EXITPIN_REASON_LOOPBACK;
		if ((address[0] & 0xf0) == 224 || memcmp(address, broadcast, 4) == 0)
			return EXITPIN_REASON_MULTICAST;
		return EXITPIN_REASON_NONE;
	}
	if (memcmp(address, zeros, 15) == 0 && address[15] <= 1)
		return EXITPIN_REASON_LOOPBACK;
	return address[0] == 0xff ? EXITPIN_REASON_MULTICAST : EXITPIN_REASON_NONE;
}

bool exitpin_address_is_equal(const struct exitpin_endpoint *one, const struct exitpin_endpoint *other)
{
	return one->family == other->family && memcmp(one->address, other->address, 16) == 0;
}
