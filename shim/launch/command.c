#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch.h"

static bool can_execute(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return false;
	if (S_ISREG(status.st_mode) && access(path, X_OK) == 0)
		return true;
	errno = EACCES;
	return false;
}

const char *find_command(const char *name, char *path, size_t size)
{
	const char *search = getenv("PATH");
	int error = ENOENT;

	if (strchr(name, '/') != NULL)
		return can_execute(name) ? name : NULL;
	if (search == NULL)
		search = "/usr/local/bin:/bin:/usr/bin";
	for (const char *next = search; name[0] != '\0' && next != NULL;) {
		const char *end = strchrnul(next, ':');
		int length = (int)(end - next);

		if ((size_t)snprintf(path, size, "%.*s%s%s", length, next, length > 0 ? "/" : "./", name) < size) {
			if (can_execute(path))
				return path;
			if (errno == EACCES)
				error = EACCES;
		}
		next = *end == ':' ? end + 1 : NULL;
	}
	errno = error;
	return NULL;
}
