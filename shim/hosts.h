/* Lines of hosts(5) and services(5), and host names: told from text alone. Pure. */
#ifndef EXITPIN_HOSTS_H
#define EXITPIN_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* 1 to 253 characters of letters, digits, '-' and '_', in labels of 1 to 63, a dot at the end allowed. */
bool exitpin_name_is_valid(const char *name, size_t size);

/* Letters compared without case; a dot at the end does not count. */
bool exitpin_name_is_equal(const char *name, size_t size, const char *other, size_t other_size);

/* The address of a hosts line that has the name. */
bool exitpin_hosts_find_name(const char *line, size_t size, const char *name, struct exitpin_endpoint *endpoint);

/* The first name of a hosts line with the address, its port aside; name holds EXITPIN_NAME_MAX + 1. */
bool exitpin_hosts_find_address(const char *line, size_t size, const struct exitpin_endpoint *endpoint, char *name);

/* The port of a services line with the name or alias; protocol "tcp", "udp" or NULL for either. */
bool exitpin_services_find_name(const char *line, size_t size, const char *name, const char *protocol, uint16_t *port);

/* The first name of a services line with the port; name holds EXITPIN_NAME_MAX + 1. */
bool exitpin_services_find_port(const char *line, size_t size, uint16_t port, const char *protocol, char *name);

#endif
