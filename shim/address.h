/* Addresses: sockaddr and endpoint, and which of them a run may reach. Pure. */
#ifndef EXITPIN_ADDRESS_H
#define EXITPIN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum { EXITPIN_SOCKADDR_SIZE = 28 };

/* Reads a sockaddr_in or sockaddr_in6. A v4-mapped IPv6 address becomes plain IPv4. False: too short, or another family. */
bool exitpin_endpoint_from_sockaddr(const void *address, size_t size, struct exitpin_endpoint *endpoint);

/* Writes a sockaddr of the given family (IPv4 as v4-mapped where family is AF_INET6). Returns its size; 0: an IPv6
 * endpoint does not fit AF_INET. */
size_t exitpin_endpoint_to_sockaddr(const struct exitpin_endpoint *endpoint, uint16_t family, void *address);

/* EXITPIN_REASON_LOOPBACK (127/8, 0/8, ::1, ::), EXITPIN_REASON_MULTICAST (224/4, broadcast, ff00::/8), or NONE. */
int exitpin_endpoint_scope(const struct exitpin_endpoint *endpoint);

bool exitpin_address_is_equal(const struct exitpin_endpoint *one, const struct exitpin_endpoint *other);

#endif
