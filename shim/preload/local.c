/* Names that must not reach an exit: those that this machine knows by itself, and its own. */
#include "../hosts.h"
#include "names.h"
#include "preload.h"

struct search {
	const char *name;
	int family;
	struct exitpin_resolved *resolved;
};

static void add(const struct search *search, const struct exitpin_endpoint *endpoint)
{
	struct exitpin_resolved *resolved = search->resolved;

	if ((search->family == AF_UNSPEC || search->family == endpoint->family) && resolved->count < EXITPIN_RESOLVED_MAX)
		resolved->endpoints[resolved->count++] = *endpoint;
}

static bool read_hosts_line(const char *line, size_t size, void *context)
{
	const struct search *search = context;
	struct exitpin_endpoint endpoint;

	if (exitpin_hosts_find_name(line, size, search->name, &endpoint))
		add(search, &endpoint);
	return search->resolved->count == EXITPIN_RESOLVED_MAX;
}

static void add_loopback(const struct search *search)
{
	const struct exitpin_endpoint ipv6 = {.family = AF_INET6, .address = {[15] = 1}};
	const struct exitpin_endpoint ipv4 = {.family = AF_INET, .address = {127, 0, 0, 1}};

	add(search, &ipv6);
	add(search, &ipv4);
}

/* localhost and names under it (RFC 6761), and the name that uname(2) has. */
static bool is_own_name(const char *name)
{
	static const char localhost[] = "localhost";
	const size_t size = strlen(name), tail = sizeof(localhost) - 1;
	struct utsname names;

	if (size > 0 && name[size - 1] == '.' && size <= EXITPIN_NAME_MAX) {
		char without[EXITPIN_NAME_MAX + 1];

		memcpy(without, name, size - 1);
		without[size - 1] = '\0';
		return is_own_name(without);
	}
	if (size >= tail && exitpin_name_is_equal(name + size - tail, tail, localhost, tail) &&
	    (size == tail || name[size - tail - 1] == '.'))
		return true;
	return sys_uname(&names) == 0 && exitpin_name_is_equal(name, size, names.nodename, strlen(names.nodename));
}

/* A name in /etc/hosts is known, even if not in the family that is asked for: then it has no address there. */
bool exitpin_resolve_locally(const char *name, int family, struct exitpin_resolved *resolved)
{
	struct exitpin_resolved any = {.count = 0};
	const struct search search = {name, family, resolved};
	struct search all = {name, AF_UNSPEC, &any};

	resolved->count = 0;
	exitpin_find_line("/etc/hosts", read_hosts_line, &all);
	for (unsigned i = 0; i < any.count; i++)
		add(&search, &any.endpoints[i]);
	if (any.count == 0 && is_own_name(name)) {
		add_loopback(&search);
		return true;
	}
	return any.count > 0;
}

struct reverse_search {
	const struct exitpin_endpoint *endpoint;
	char *name;
};

static bool read_reverse_line(const char *line, size_t size, void *context)
{
	const struct reverse_search *search = context;

	return exitpin_hosts_find_address(line, size, search->endpoint, search->name);
}

bool exitpin_name_locally(const struct exitpin_endpoint *endpoint, char name[EXITPIN_NAME_MAX + 1])
{
	struct reverse_search search = {endpoint, name};

	if (exitpin_find_line("/etc/hosts", read_reverse_line, &search))
		return true;
	if (exitpin_endpoint_scope(endpoint) != EXITPIN_REASON_LOOPBACK)
		return false;
	memcpy(name, "localhost", sizeof("localhost"));
	return true;
}
