#include "../hosts.h"
#include "names.h"
#include "preload.h"

struct search {
	const char *protocol;
	char *name;
	const char *wanted;
	uint16_t port;
};

static bool read_by_name(const char *line, size_t size, void *context)
{
	struct search *search = context;

	return exitpin_services_find_name(line, size, search->wanted, search->protocol, &search->port);
}

static bool read_by_port(const char *line, size_t size, void *context)
{
	struct search *search = context;

	return exitpin_services_find_port(line, size, search->port, search->protocol, search->name);
}

bool exitpin_find_service(const char *name, const char *protocol, uint16_t *port)
{
	struct search search = {.protocol = protocol, .wanted = name};
	bool is_found = exitpin_find_line("/etc/services", read_by_name, &search);

	*port = search.port;
	return is_found;
}

bool exitpin_name_service(uint16_t port, const char *protocol, char name[EXITPIN_NAME_MAX + 1])
{
	struct search search = {.protocol = protocol, .name = name, .port = port};

	return exitpin_find_line("/etc/services", read_by_port, &search);
}
