#include <stdlib.h>

#include "names.h"
#include "preload.h"

enum { KNOWN_FLAGS = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG |
		     AI_NUMERICSERV | 0x40 | 0x80 | 0x100 | 0x200 }; /* the last four: AI_IDN and its kin, deprecated */

/* The kinds of socket that an address is listed for, in glibc's order. */
static const struct kind {
	int type, protocol;
	const char *name;
} kinds[] = {
	{SOCK_STREAM, IPPROTO_TCP, "tcp"},
	{SOCK_DGRAM, IPPROTO_UDP, "udp"},
	{SOCK_RAW, 0, NULL},
};

static bool is_wanted(const struct kind *kind, const struct addrinfo *hints)
{
	return (hints->ai_socktype == 0 || hints->ai_socktype == kind->type) &&
	       (hints->ai_protocol == 0 || kind->protocol == 0 || hints->ai_protocol == kind->protocol);
}

/* The port of a service for this kind. 0 or an EAI_ code. */
static int find_port(const char *service, const struct kind *kind, const struct addrinfo *hints, uint16_t *port)
{
	uint32_t number;

	*port = 0;
	if (service == NULL || service[0] == '\0')
		return 0;
	if (exitpin_parse_decimal(service, strlen(service), 65535, &number)) {
		*port = (uint16_t)number;
		return 0;
	}
	if (hints->ai_flags & AI_NUMERICSERV)
		return EAI_NONAME;
	return kind->name != NULL && exitpin_find_service(service, kind->name, port) ? 0 : EAI_SERVICE;
}

/* One entry in one block of the heap, laid out as glibc does: it can be freed singly, here or there. */
static struct addrinfo *new_entry(const struct exitpin_endpoint *endpoint, uint16_t family, const struct kind *kind)
{
	struct {
		struct addrinfo info;
		struct sockaddr_storage address;
	} *block = malloc(sizeof(*block));

	if (block == NULL)
		return NULL;
	memset(block, 0, sizeof(*block));
	block->info.ai_family = family;
	block->info.ai_socktype = kind->type;
	block->info.ai_protocol = kind->protocol;
	block->info.ai_addr = (struct sockaddr *)&block->address;
	block->info.ai_addrlen = (socklen_t)exitpin_endpoint_to_sockaddr(endpoint, family, &block->address);
	return &block->info;
}

static int add_entries(struct addrinfo **tail, const struct exitpin_resolved *resolved, const char *service,
		       const struct addrinfo *hints)
{
	struct addrinfo **first = tail;
	int error = EAI_SERVICE;

	for (unsigned i = 0; i < resolved->count; i++) {
		struct exitpin_endpoint endpoint = resolved->endpoints[i];
		bool is_mapped = hints->ai_family == AF_INET6 && endpoint.family == AF_INET;

		for (const struct kind *kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++) {
			int missing = is_wanted(kind, hints) ? find_port(service, kind, hints, &endpoint.port) : EAI_SERVICE;

			if (missing == EAI_NONAME)
				error = missing;
			if (missing != 0)
				continue;
			*tail = new_entry(&endpoint, is_mapped ? AF_INET6 : endpoint.family, kind);
			if (*tail == NULL)
				return EAI_MEMORY;
			tail = &(*tail)->ai_next;
		}
	}
	return *first != NULL ? 0 : error;
}

/* No node: the wildcard, or loopback for those who would connect. */
static void no_node(const struct addrinfo *hints, struct exitpin_resolved *resolved)
{
	struct exitpin_endpoint ipv4 = {.family = AF_INET}, ipv6 = {.family = AF_INET6};

	if (!(hints->ai_flags & AI_PASSIVE)) {
		memcpy(ipv4.address, "\x7f\0\0\1", 4);
		ipv6.address[15] = 1;
	}
	resolved->count = 0;
	if (hints->ai_family != AF_INET)
		resolved->endpoints[resolved->count++] = ipv6;
	if (hints->ai_family != AF_INET6)
		resolved->endpoints[resolved->count++] = ipv4;
}

/* AI_ADDRCONFIG asks whether the machine has the family at all; what reaches the target is the exit's matter. */
static bool has_ipv6(void)
{
	long fd = sys_socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		sys_close((int)fd);
	return fd >= 0;
}

static int resolve_node(const char *node, const struct addrinfo *hints, struct exitpin_resolved *resolved)
{
	const bool may_map = hints->ai_family == AF_INET6 && (hints->ai_flags & AI_V4MAPPED);
	struct exitpin_endpoint literal;
	int family = hints->ai_family, error;

	if (exitpin_parse_address(node, strlen(node), &literal)) {
		resolved->endpoints[0] = literal;
		resolved->count = 1;
		return family == AF_UNSPEC || family == literal.family || (may_map && literal.family == AF_INET)
			       ? 0
			       : EAI_ADDRFAMILY;
	}
	if (hints->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	if ((hints->ai_flags & AI_ADDRCONFIG) && family == AF_UNSPEC && !has_ipv6())
		family = AF_INET;
	error = exitpin_resolve(node, family, resolved);
	if (may_map && error != 0 && error != EAI_AGAIN)
		error = exitpin_resolve(node, AF_INET, resolved);
	return error;
}

static int check_hints(const char *node, const char *service, const struct addrinfo *hints)
{
	if (node == NULL && service == NULL)
		return EAI_NONAME;
	if ((hints->ai_flags & ~KNOWN_FLAGS) || ((hints->ai_flags & AI_CANONNAME) && node == NULL))
		return EAI_BADFLAGS;
	if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET && hints->ai_family != AF_INET6)
		return EAI_FAMILY;
	for (const struct kind *kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++)
		if (is_wanted(kind, hints))
			return 0;
	return EAI_SOCKTYPE;
}

/* What glibc takes for nothing in particular. */
static const char *wanted(const char *text)
{
	return text != NULL && strcmp(text, "*") == 0 ? NULL : text;
}

/* getaddrinfo(3).
 * Answers by itself: literals of both families, before hints are looked at; this machine's own names and /etc/hosts;
 *   services from /etc/services. Asks the orchestrator for every other name, and blocks for it.
 * Returns EAI_AGAIN when the orchestrator is gone. No packet, no nscd, no NSS. Uses the heap for the result, as its
 *   callers expect. */
EXPORT int getaddrinfo(const char *restrict node, const char *restrict service, const struct addrinfo *restrict hints,
		       struct addrinfo **restrict list)
{
	const struct addrinfo no_hints = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG};
	struct exitpin_resolved resolved = {.count = 0};
	struct addrinfo *first = NULL;
	int saved = errno, error;

	hints = hints != NULL ? hints : &no_hints;
	node = wanted(node);
	service = wanted(service);
	error = check_hints(node, service, hints);
	if (error == 0 && node == NULL)
		no_node(hints, &resolved);
	else if (error == 0)
		error = resolve_node(node, hints, &resolved);
	if (error == 0)
		error = add_entries(&first, &resolved, service, hints);
	if (error == 0 && (hints->ai_flags & AI_CANONNAME) && (first->ai_canonname = strdup(node)) == NULL)
		error = EAI_MEMORY;
	if (error != 0)
		freeaddrinfo(first), first = NULL;
	else
		*list = first;
	errno = saved;
	return error;
}

/* freeaddrinfo(3): every entry is a block of its own, so any part of a list will do, glibc's lists as well. */
EXPORT void freeaddrinfo(struct addrinfo *list)
{
	while (list != NULL) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_canonname);
		free(list);
		list = next;
	}
}
