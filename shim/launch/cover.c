/* What is laid over what is not to be there for the tool, in our own mount namespace: a device that can't be opened, or
 * over a folder an empty one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kernel_abi.h"
#include "../rules.h"
#include "launch.h"

/* Some folder on the way may not be searched, by the rights that the tool will have, and is not ours to open: then no name
 * of what is in it leads there. Whatever else is in the way of a mount is none of the tool's connects. */
static bool is_out_of_reach(const char *path)
{
	char folder[PATH_MAX];
	struct stat status;
	int size = snprintf(folder, sizeof(folder), "%s", path);

	if (size < 1 || (size_t)size >= sizeof(folder))
		return false;
	for (char *end = folder; (end = strchr(end + 1, '/')) != NULL; *end = '/') {
		*end = '\0';
		if (access(folder, X_OK) != 0)
			return errno == EACCES && stat(folder, &status) == 0 && status.st_uid != getuid();
	}
	return false;
}

bool is_gone(const char *path, int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG ||
	       (error == EACCES && is_out_of_reach(path));
}

static bool cover_socket(int file)
{
	char place[32];

	snprintf(place, sizeof(place), "/proc/self/fd/%d", file);
	return mount("/dev/null", place, NULL, MS_BIND, NULL) == 0;
}

/* It went while we looked. Keeps errno. */
static bool is_unlinked(int file)
{
	struct stat status;
	int error = errno;
	bool is_it = error == ENOENT && fstat(file, &status) == 0 && status.st_nlink == 0;

	errno = error;
	return is_it;
}

/* /dev/null would swallow what is written: its device must not be opened there, and is at no time (EACCES). */
bool close_off(int file)
{
	const struct mount_attributes closed = {.set = MOUNT_NO_DEVICES};
	int cover = (int)syscall(SYS_open_tree, AT_FDCWD, "/dev/null", TREE_OF_ITS_OWN | O_CLOEXEC);

	if (cover < 0)
		return false;
	bool is_covered = syscall(MOUNT_SETATTR, cover, "", AT_EMPTY_PATH, &closed, sizeof(closed)) == 0 &&
			  syscall(SYS_move_mount, cover, "", file, "", MOVE_FROM_DESCRIPTOR | MOVE_TO_DESCRIPTOR) == 0;
	int error = errno;

	close(cover);
	errno = error;
	return is_covered || is_unlinked(file);
}

/* Who begins to listen there later is not seen either. */
static bool cover_folder(int file)
{
	const unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char place[32];

	snprintf(place, sizeof(place), "/proc/self/fd/%d", file);
	return mount("none", place, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0") == 0;
}

/* Over what was looked at, whatever its name leads to now. */
static bool cover_file(int file)
{
	struct stat status;

	if (fstat(file, &status) != 0)
		return false;
	if (S_ISSOCK(status.st_mode))
		return cover_socket(file) || is_unlinked(file);
	if (S_ISDIR(status.st_mode))
		return cover_folder(file) || is_unlinked(file);
	if (S_ISCHR(status.st_mode))
		return IS_LEFT_OUT("terminals") || close_off(file);
	return !S_ISFIFO(status.st_mode) || IS_LEFT_OUT("pipes") || close_off(file);
}

bool cover(const char *path)
{
	int file = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (file < 0)
		return is_gone(path, errno);
	bool is_covered = cover_file(file);
	int error = errno;

	close(file);
	errno = error;
	return is_covered;
}
