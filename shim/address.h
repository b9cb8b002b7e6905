/* Addresses: sockaddr and endpoint, text and endpoint, and which of them a run may reach. Pure. */
#ifndef EXITPIN_ADDRESS_H
#define EXITPIN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum { EXITPIN_ADDRESS_TEXT_SIZE = 46, EXITPIN_SOCKADDR_SIZE = 28 };

/* Reads a sockaddr_in or sockaddr_in6. A v4-mapped IPv6 address becomes plain IPv4. False: too short, or another family. */
bool exitpin_endpoint_from_sockaddr(const void *address, size_t size, struct exitpin_endpoint *endpoint);

/* Writes a sockaddr of the given family (IPv4 as v4-mapped where family is AF_INET6). Returns its size; 0: an IPv6
 * endpoint does not fit AF_INET. */
size_t exitpin_endpoint_to_sockaddr(const struct exitpin_endpoint *endpoint, uint16_t family, void *address);

/* EXITPIN_REASON_LOOPBACK (127/8, 0/8, ::1, ::), EXITPIN_REASON_MULTICAST (224/4, broadcast, ff00::/8), or NONE. */
int exitpin_endpoint_scope(const struct exitpin_endpoint *endpoint);

bool exitpin_address_is_equal(const struct exitpin_endpoint *one, const struct exitpin_endpoint *other);

/* Dotted quad, four decimal parts without leading zeros (inet_pton's rule). */
bool exitpin_parse_quad(const char *text, size_t size, uint8_t address[4]);

/* One to four parts, each decimal, 0octal or 0xhex (inet_aton's rule, without its trailing blanks). */
bool exitpin_parse_ipv4(const char *text, size_t size, uint8_t address[4]);

/* RFC 4291 text, embedded IPv4 allowed, no scope (inet_pton's rule). */
bool exitpin_parse_ipv6(const char *text, size_t size, uint8_t address[16]);

/* Either of the last two; family says which it was, port is 0. */
bool exitpin_parse_address(const char *text, size_t size, struct exitpin_endpoint *endpoint);

/* Decimal without sign, at most the given limit. */
bool exitpin_parse_decimal(const char *text, size_t size, uint32_t limit, uint32_t *value);

/* As inet_ntop writes it. Returns the length without the NUL. */
size_t exitpin_format_address(const struct exitpin_endpoint *endpoint, char text[EXITPIN_ADDRESS_TEXT_SIZE]);

size_t exitpin_format_decimal(uint32_t value, char text[11]);

#endif
