/* Unix sockets: work that is handed to a program outside the run would leave without Tor, so whom they lead to is asked. */
#include <sys/un.h>

#include "preload.h"

/* As a report names it: an abstract one begins with @, a path that does is below ./; empty: none, which the kernel
 * refuses. False: it is longer than any. */
static bool read_name(const struct sockaddr *address, socklen_t size, char name[EXITPIN_NAME_MAX + 1])
{
	const char *path = ((const struct sockaddr_un *)address)->sun_path;
	const size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t length = size > start ? size - start : 0;

	if (length > sizeof(((struct sockaddr_un *)0)->sun_path))
		return false;
	if (length == 0 || path[0] != '\0')
		length = strnlen(path, length);
	if (length > 0 && path[0] == '@') {
		memcpy(name, "./", 2);
		name += 2;
	}
	memcpy(name, path, length);
	name[length] = '\0';
	if (length > 0 && name[0] == '\0') { /* an abstract name may hold any byte: those after a NUL don't count here */
		name[0] = '@';
		if (strlen(name) != length)
			return false;
	}
	return true;
}

int exitpin_unix_error(const struct sockaddr *address, socklen_t size)
{
	char name[EXITPIN_NAME_MAX + 1];
	struct exitpin_report report;
	struct exitpin_reply reply;

	if (!read_name(address, size, name))
		return EACCES;
	if (name[0] == '\0') /* the kernel refuses it */
		return 0;
	if (!exitpin_report_begin(&report, EXITPIN_UNIX) || !exitpin_exchange(&report, name, -1, &reply))
		return EACCES;
	return reply.answer.error;
}
