/* Addresses and numbers as text. Pure. */
#ifndef EXITPIN_TEXT_H
#define EXITPIN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

enum { EXITPIN_ADDRESS_TEXT_SIZE = 46 };

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
