#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "launch.h"

enum { MEMORY_MAJOR = 1, OLD_MASTER_MAJOR = 2 }; /* Documentation/admin-guide/devices.txt */

/* Unix sockets may stand on 0 to 2: that is how asyncio and shells give a tool its stdin. */
static bool is_socket_to_elsewhere(int fd)
{
	int domain;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX;
}

/* Of devices those that only give and take bytes: null, zero, full, random and urandom, and terminals; but not their other
 * side, for who has that types into what somebody runs there. The rest may send (tun, macvtap, modems) or worse. */
static bool is_harmless_device(int fd, dev_t device)
{
	unsigned number = minor(device), terminal;

	if (major(device) == MEMORY_MAJOR)
		return number == 3 || number == 5 || (number >= 7 && number <= 9);
	return isatty(fd) && major(device) != OLD_MASTER_MAJOR && ioctl(fd, TIOCGPTN, &terminal) != 0;
}

static bool is_harmless(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) ||
	       (S_ISCHR(status.st_mode) && is_harmless_device(fd, status.st_rdev));
}

static bool close_all(int control)
{
	return (control == 3 || syscall(SYS_close_range, 3, control - 1, 0) == 0) &&
	       syscall(SYS_close_range, control + 1, ~0U, 0) == 0;
}

/* One by one. False: this did not see all of them, not even its own. */
static bool close_listed(int control, bool keep_files)
{
	DIR *directory = opendir("/proc/self/fd");
	bool has_seen_itself = false;
	struct dirent *entry;

	if (directory == NULL)
		return false;
	for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0) {
		int fd = atoi(entry->d_name);

		if (fd == dirfd(directory))
			has_seen_itself = true;
		else if (fd > 2 && fd != control && !(keep_files && is_harmless(fd)))
			close(fd);
	}
	bool is_whole = errno == 0 && has_seen_itself;

	closedir(directory);
	return is_whole;
}

bool close_inherited(int control, bool keep_files)
{
	for (int fd = 0; fd <= 2; fd++)
		if (is_socket_to_elsewhere(fd))
			return false;
	if (keep_files)
		return close_listed(control, true) || close_all(control);
	/* close_range is missing before Linux 5.9, and forbidden in some containers */
	return close_all(control) || close_listed(control, false);
}
