/* Names and addresses, as the resolver hooks share them. */
#ifndef EXITPIN_NAMES_H
#define EXITPIN_NAMES_H

#include <netdb.h>

#include "../address.h"

enum { EXITPIN_RESOLVED_MAX = 8 };

struct exitpin_resolved {
	struct exitpin_endpoint endpoints[EXITPIN_RESOLVED_MAX];
	unsigned count;
};

/* lines.c: calls found(line, size, context) for each line of a file until it returns true; that is the result. */
typedef bool exitpin_line_reader(const char *line, size_t size, void *context);
bool exitpin_find_line(const char *path, exitpin_line_reader *found, void *context);

/* local.c: what this machine knows by itself, without any packet: /etc/hosts, localhost, its own name. */
bool exitpin_resolve_locally(const char *name, int family, struct exitpin_resolved *resolved);
bool exitpin_name_locally(const struct exitpin_endpoint *endpoint, char name[EXITPIN_NAME_MAX + 1]);

/* services.c: protocol is "tcp", "udp" or NULL; port in host order. */
bool exitpin_find_service(const char *name, const char *protocol, uint16_t *port);
bool exitpin_name_service(uint16_t port, const char *protocol, char name[EXITPIN_NAME_MAX + 1]);

/* resolve.c: literals, then what this machine knows, then the orchestrator. family: AF_UNSPEC, AF_INET, AF_INET6.
 * 0 or an EAI_ code. */
int exitpin_resolve(const char *name, int family, struct exitpin_resolved *resolved);

/* The name of an address: this machine's, or the orchestrator's. 0 or an EAI_ code. */
int exitpin_resolve_address(const struct exitpin_endpoint *endpoint, char name[EXITPIN_NAME_MAX + 1]);

/* The h_errno for an EAI_ code. */
int exitpin_h_errno(int eai);

#endif
