#include <dirent.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "launch.h"

enum { MISC_MAJOR = 10 }; /* /dev/net/tun, kvm, fuse, uinput */

/* Unix sockets may stand on 0 to 2: that is how asyncio and shells give a tool its stdin. */
static bool is_socket_to_elsewhere(int fd)
{
	int domain;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

static bool is_harmless(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) ||
	       (S_ISCHR(status.st_mode) && major(status.st_rdev) != MISC_MAJOR);
}

static void close_harmful(int control)
{
	DIR *directory = opendir("/proc/self/fd");

	if (directory == NULL) {
		syscall(SYS_close_range, 3, control - 1, 0);
		syscall(SYS_close_range, control + 1, ~0U, 0);
		return;
	}
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		int fd = atoi(entry->d_name);

		if (fd > 2 && fd != control && fd != dirfd(directory) && !is_harmless(fd))
			close(fd);
	}
	closedir(directory);
}

bool close_inherited(int control, bool keep_files)
{
	for (int fd = 0; fd <= 2; fd++)
		if (is_socket_to_elsewhere(fd))
			return false;
	if (keep_files) {
		close_harmful(control);
		return true;
	}
	if (control > 3)
		syscall(SYS_close_range, 3, control - 1, 0);
	syscall(SYS_close_range, control + 1, ~0U, 0);
	return true;
}
