#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../rules.h"
#include "launch.h"

enum { MEMORY_MAJOR = 1, OLD_MASTER_MAJOR = 2 }; /* Documentation/admin-guide/devices.txt */
enum { PIPES_WITHOUT_NAMES = 0x50495045 };       /* PIPEFS_MAGIC of linux/magic.h */

struct peer_name {
	char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

/* Who listens has a name, and who has connected to him sees it: an abstract one with @ here, and with those of its bytes
 * that stand before a NUL. False: it has none (an end of a pair, whoever has connected to us), or there is no peer. */
static bool read_peer(int fd, struct peer_name *name)
{
	struct sockaddr_un address = {0};
	socklen_t size = sizeof(address);

	*name = (struct peer_name){{0}};
	if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 || size <= offsetof(struct sockaddr_un, sun_path))
		return false;
	memcpy(name->text, address.sun_path, sizeof(address.sun_path));
	if (name->text[0] == '\0')
		name->text[0] = '@';
	return true;
}

/* By name, or by what a path leads to now. */
static bool is_same(const char *given, const char *name)
{
	struct stat one, other;

	if (strcmp(given, name) == 0)
		return true;
	return given[0] == '/' && name[0] == '/' && stat(given, &one) == 0 && stat(name, &other) == 0 &&
	       one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool is_given(const struct request *request, const char *name)
{
	for (unsigned i = 0; i < request->given_count; i++)
		if (is_same(request->given[i], name))
			return true;
	return false;
}

/* What a service prints goes there, and nothing comes back: also to one of a namespace (/run/systemd/journal.NAME). */
static bool is_journal(const char *name)
{
	static const char folder[] = "/run/systemd/journal";
	const char *rest = name + sizeof(folder) - 1;

	if (strncmp(name, folder, sizeof(folder) - 1) != 0 || (rest[0] != '/' && rest[0] != '.'))
		return false;
	const char *file = strchr(rest, '/');

	return file != NULL && strcmp(file, "/stdout") == 0;
}

/* Unix sockets may stand on 0 to 2: that is how asyncio, ssh and shells give a tool its stdin. But not those that lead to
 * a daemon, nor those whose datagrams go to any. */
static bool is_socket_to_elsewhere(const struct request *request, int fd)
{
	int domain, type;
	socklen_t size = sizeof(domain);
	struct peer_name name;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
		return false;
	if (domain != AF_UNIX)
		return true;
	if (IS_LEFT_OUT("named-peers"))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return true;
	return read_peer(fd, &name) && !is_given(request, name.text) && !(fd > 0 && is_journal(name.text));
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

/* A pipe without a name is no file: what a shell has put there is its own doing, as in curl -K <(...). */
static bool is_open_to_change_files(int fd)
{
	struct statfs system;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY)
		return false;
	return flags < 0 || fstatfs(fd, &system) != 0 || system.f_type != PIPES_WITHOUT_NAMES;
}

static bool is_harmless(int fd, bool read_only)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	if (S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode))
		return !read_only || !is_open_to_change_files(fd);
	return S_ISCHR(status.st_mode) && is_harmless_device(fd, status.st_rdev);
}

static bool close_all(int control)
{
	return (control == 3 || syscall(SYS_close_range, 3, control - 1, 0) == 0) &&
	       syscall(SYS_close_range, control + 1, ~0U, 0) == 0;
}

/* One by one. False: this did not see all of them, not even its own. */
static bool close_listed(const struct request *request)
{
	const bool read_only = request->read_only && !IS_LEFT_OUT("read-only");
	DIR *directory = opendir("/proc/self/fd");
	bool has_seen_itself = false;
	struct dirent *entry;

	if (directory == NULL)
		return false;
	for (errno = 0; (entry = readdir(directory)) != NULL; errno = 0) {
		int fd = atoi(entry->d_name);

		if (fd == dirfd(directory))
			has_seen_itself = true;
		else if (fd > 2 && fd != request->control && !(request->keep_files && is_harmless(fd, read_only)))
			close(fd);
	}
	bool is_whole = errno == 0 && has_seen_itself;

	closedir(directory);
	return is_whole;
}

bool close_inherited(const struct request *request)
{
	const int control = request->control;

	for (int fd = 0; fd <= 2; fd++)
		if (is_socket_to_elsewhere(request, fd))
			return false;
	if (request->keep_files)
		return close_listed(request) || close_all(control);
	/* close_range is missing before Linux 5.9, and forbidden in some containers */
	return close_all(control) || close_listed(request);
}
