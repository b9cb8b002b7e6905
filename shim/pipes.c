#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipes.h"

enum { WANTED = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_INO };

static bool look(int folder, const char *name, int flags, struct statx *status)
{
	return statx(folder, name, AT_STATX_DONT_SYNC | flags, WANTED, status) == 0;
}

/* The file system of the pipes that have no name. */
static bool find_nameless(struct statx *status)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return false;
	bool is_found = look(ends[0], "", AT_EMPTY_PATH, status);

	close(ends[0]);
	close(ends[1]);
	return is_found;
}

/* The mode of such a link has the rights with which it was opened. */
static bool is_read(int folder, const char *name)
{
	struct statx status;

	return look(folder, name, AT_SYMLINK_NOFOLLOW, &status) && (status.stx_mode & S_IRUSR);
}

int exitpin_named_pipes(const char *folder, struct exitpin_pipe *found, int max)
{
	struct statx nameless, status;
	int count = 0;
	DIR *directory = opendir(folder);

	if (directory == NULL || !find_nameless(&nameless)) {
		int error = errno;

		if (directory != NULL)
			closedir(directory);
		return -error;
	}
	for (struct dirent *entry; count < max && (entry = readdir(directory)) != NULL;) {
		if (entry->d_name[0] == '.' || !look(dirfd(directory), entry->d_name, 0, &status) || !S_ISFIFO(status.stx_mode))
			continue;
		if (status.stx_dev_major == nameless.stx_dev_major && status.stx_dev_minor == nameless.stx_dev_minor)
			continue;
		if (is_read(dirfd(directory), entry->d_name))
			found[count++] = (struct exitpin_pipe){atoi(entry->d_name), status.stx_dev_major, status.stx_dev_minor,
							       status.stx_nlink, status.stx_ino};
	}
	closedir(directory);
	return count;
}
