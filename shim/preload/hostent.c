/* The old calls, which answer with a struct hostent. */
#include <netinet/in.h>

#include "names.h"
#include "preload.h"

/* What a hostent points to, laid out in a caller's buffer. */
struct block {
	char *aliases[1];
	char *addresses[EXITPIN_RESOLVED_MAX + 1];
	char bytes[EXITPIN_RESOLVED_MAX][16];
	char name[EXITPIN_NAME_MAX + 1];
};

/* 0, or ERANGE: the buffer is too small. h_aliases is never NULL: getent would crash on it. */
static int write_entry(struct hostent *entry, char *buffer, size_t size, const char *name, int family,
		       const struct exitpin_resolved *resolved)
{
	size_t padding = -(uintptr_t)buffer % _Alignof(struct block);
	struct block *block = (struct block *)(buffer + padding);
	size_t length = strnlen(name, EXITPIN_NAME_MAX);

	if (size < padding + sizeof(*block))
		return ERANGE;
	memset(block, 0, sizeof(*block));
	memcpy(block->name, name, length);
	for (unsigned i = 0; i < resolved->count; i++) {
		memcpy(block->bytes[i], resolved->endpoints[i].address, 16);
		block->addresses[i] = block->bytes[i];
	}
	entry->h_name = block->name;
	entry->h_aliases = block->aliases;
	entry->h_addrtype = family;
	entry->h_length = family == AF_INET ? 4 : 16;
	entry->h_addr_list = block->addresses;
	return 0;
}

/* gethostbyname2_r(3).
 * AF_INET or AF_INET6 addresses of a name, as getaddrinfo finds them. Returns 0 or an errno value (ERANGE: a larger
 *   buffer, EAGAIN: with TRY_AGAIN in *error, EINVAL); *found is NULL if there is no answer. */
EXPORT int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict entry,
			    char *restrict buffer, size_t size, struct hostent **restrict found, int *restrict error)
{
	struct exitpin_resolved resolved = {.count = 0};

	*found = NULL;
	*error = NO_RECOVERY;
	if (family != AF_INET && family != AF_INET6)
		return EAFNOSUPPORT;
	int eai = exitpin_resolve(name, family, &resolved);

	*error = exitpin_h_errno(eai);
	if (eai != 0)
		return eai == EAI_AGAIN ? EAGAIN : 0;
	if (write_entry(entry, buffer, size, name, family, &resolved) != 0) {
		*error = NETDB_INTERNAL;
		return errno = ERANGE;
	}
	*error = 0;
	*found = entry;
	return 0;
}

/* gethostbyname_r(3): AF_INET. */
EXPORT int gethostbyname_r(const char *restrict name, struct hostent *restrict entry, char *restrict buffer,
			   size_t size, struct hostent **restrict found, int *restrict error)
{
	return gethostbyname2_r(name, AF_INET, entry, buffer, size, found, error);
}

/* gethostbyaddr_r(3).
 * The name of an address, as getnameinfo finds it. Returns and *found as above. */
EXPORT int gethostbyaddr_r(const void *restrict address, socklen_t length, int family, struct hostent *restrict entry,
			   char *restrict buffer, size_t size, struct hostent **restrict found, int *restrict error)
{
	struct exitpin_resolved resolved = {.count = 1, .endpoints = {{.family = (uint16_t)family}}};
	char name[EXITPIN_NAME_MAX + 1];

	*found = NULL;
	*error = NO_RECOVERY;
	if ((family != AF_INET || length != 4) && (family != AF_INET6 || length != 16))
		return EINVAL;
	memcpy(resolved.endpoints[0].address, address, length);
	int eai = exitpin_resolve_address(&resolved.endpoints[0], name);

	*error = exitpin_h_errno(eai);
	if (eai != 0)
		return eai == EAI_AGAIN ? EAGAIN : 0;
	if (write_entry(entry, buffer, size, name, family, &resolved) != 0) {
		*error = NETDB_INTERNAL;
		return errno = ERANGE;
	}
	*error = 0;
	*found = entry;
	return 0;
}

/* The calls without _r answer from one place, which the next call overwrites, as their man page says. */
static struct hostent shared_entry;
static char shared_buffer[sizeof(struct block) + _Alignof(struct block)];

/* gethostbyname2(3): NULL and h_errno if there is no answer. */
EXPORT struct hostent *gethostbyname2(const char *name, int family)
{
	struct hostent *found;
	int error;

	gethostbyname2_r(name, family, &shared_entry, shared_buffer, sizeof(shared_buffer), &found, &error);
	if (found == NULL)
		h_errno = error;
	return found;
}

/* gethostbyname(3): AF_INET. */
EXPORT struct hostent *gethostbyname(const char *name)
{
	return gethostbyname2(name, AF_INET);
}

/* gethostbyaddr(3): NULL and h_errno if there is no answer. */
EXPORT struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
	struct hostent *found;
	int error;

	gethostbyaddr_r(address, length, family, &shared_entry, shared_buffer, sizeof(shared_buffer), &found, &error);
	if (found == NULL)
		h_errno = error;
	return found;
}

/* gethostid(3): glibc would resolve this machine's name for it. What it says where that name is 127.0.1.1. */
EXPORT long gethostid(void)
{
	return 0x007f0101;
}
