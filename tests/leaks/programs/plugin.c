/* A shared object that calls connect. */
#include <sys/socket.h>

int plugin_connect(int fd, const struct sockaddr *address, socklen_t size);

int plugin_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return connect(fd, address, size);
}
