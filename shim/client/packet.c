#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

bool send_packet(int connection, const struct exitpin_lease *lease, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} rights = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {(void *)lease, sizeof(*lease)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (fd >= 0) {
		memcpy(CMSG_DATA(&rights.align), &fd, sizeof(fd));
		message.msg_control = &rights;
		message.msg_controllen = sizeof(rights);
	}
	while ((sent = sendmsg(connection, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return sent == sizeof(*lease);
}

bool receive_packet(int connection, struct packet *packet)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(packet->fds))];
	} rights;
	struct iovec part = {&packet->lease, sizeof(packet->lease)};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof(rights)};
	ssize_t size;

	memset(packet->fds, -1, sizeof(packet->fds));
	/* a daemon that has not read all resets the connection, and the kernel tells that before what it had said, once */
	for (bool was_reset = false; (size = recvmsg(connection, &message, MSG_CMSG_CLOEXEC)) < 0;)
		if (errno == ECONNRESET && !was_reset)
			was_reset = true;
		else if (errno != EINTR)
			break;
	const struct cmsghdr *found = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	const size_t rights_size = found != NULL ? found->cmsg_len - CMSG_LEN(0) : 0;
	const bool fits = rights_size <= sizeof(packet->fds); /* the padding of a control message is room for one more */

	if (fits && found != NULL && found->cmsg_level == SOL_SOCKET && found->cmsg_type == SCM_RIGHTS)
		memcpy(packet->fds, CMSG_DATA(found), rights_size);
	return fits && size == sizeof(packet->lease) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	       packet->lease.magic == EXITPIN_MAGIC && packet->lease.version == EXITPIN_WIRE_VERSION;
}

char *read_whole(int file, size_t *size)
{
	struct stat found;

	if (file < 0 || fstat(file, &found) != 0 || !S_ISREG(found.st_mode))
		return NULL;
	char *text = malloc((size_t)found.st_size + 1);
	ssize_t more = 1;

	for (*size = 0; text != NULL && *size < (size_t)found.st_size && more > 0; *size += (size_t)more)
		more = pread(file, text + *size, (size_t)found.st_size - *size, (off_t)*size);
	if (text == NULL || more <= 0)
		return NULL;
	text[*size] = '\0';
	return text;
}

bool write_whole(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			text += written;
			size -= (size_t)written;
		}
	}
	return true;
}
