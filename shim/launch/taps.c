/* The character device of a macvtap or an ipvtap: a frame that is written there leaves by the network device below it,
 * from whatever network. Over each that stands in /dev lies a device that can't be opened. Whether there can be one the
 * kernel's list of majors tells (/proc/devices, proc(5)), and only then is anything looked through. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../rules.h"
#include "launch.h"

/* As drivers/net/macvtap.c and drivers/net/ipvlan/ipvtap.c have them. */
static const char *const names[] = {"macvtap", "ipvtap"};

enum { KINDS = sizeof(names) / sizeof(names[0]) };

/* One a kind; 0: nobody has it. */
struct majors {
	unsigned of[KINDS];
};

/* A line is a number and a name; those of block devices come last. Not by sscanf: each run begins with this. */
static bool read_majors(struct majors *majors)
{
	char line[128], *name;
	FILE *devices = fopen("/proc/devices", "re");

	*majors = (struct majors){{0}};
	if (devices == NULL)
		return false;
	while (fgets(line, sizeof(line), devices) != NULL && strncmp(line, "Block", 5) != 0) {
		unsigned number = (unsigned)strtoul(line, &name, 10);

		name[strcspn(name, "\n")] = '\0';
		for (int i = 0; i < KINDS; i++)
			if (name[0] == ' ' && strcmp(name + 1, names[i]) == 0)
				majors->of[i] = number;
	}
	bool is_read = !ferror(devices);

	fclose(devices);
	errno = is_read ? 0 : EIO;
	return is_read;
}

static bool is_of(const struct majors *majors, dev_t device)
{
	for (int i = 0; i < KINDS; i++)
		if (majors->of[i] != 0 && majors->of[i] == major(device))
			return true;
	return false;
}

static bool cover_below(int folder, dev_t file_system, const struct majors *majors);

/* What a container has of its host's devices are mounts of their own. Folders that are, are not looked through: they
 * hold shared memory, terminals and queues. */
static bool is_of_concern(const struct stat *status, dev_t file_system, const struct majors *majors)
{
	return (S_ISCHR(status->st_mode) && is_of(majors, status->st_rdev)) ||
	       (S_ISDIR(status->st_mode) && status->st_dev == file_system);
}

/* Most are looked at by name alone: that is cheaper by half. */
static bool cover_entry(int folder, const char *name, dev_t file_system, const struct majors *majors)
{
	struct stat status;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT;
	if (!is_of_concern(&status, file_system, majors))
		return true;
	int file = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (file < 0)
		return errno == ENOENT;
	bool is_done = fstat(file, &status) == 0;

	if (is_done && is_of_concern(&status, file_system, majors))
		is_done = S_ISDIR(status.st_mode) ? cover_below(file, file_system, majors) : close_off(file);
	int error = errno;

	close(file);
	errno = error;
	return is_done;
}

static bool cover_each(DIR *entries, dev_t file_system, const struct majors *majors)
{
	struct dirent *entry;

	for (errno = 0; (entry = readdir(entries)) != NULL; errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    !cover_entry(dirfd(entries), entry->d_name, file_system, majors))
			return false;
	return errno == 0;
}

/* The tool has the same rights: through a folder that can't be searched no name leads on, and what is in one that can,
 * and can't be read, nobody here can say. */
static bool cover_below(int folder, dev_t file_system, const struct majors *majors)
{
	int within = openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (within < 0)
		return errno == EACCES || errno == ENOENT;
	close(within);
	int reading = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = reading < 0 ? NULL : fdopendir(reading);
	bool is_done = entries != NULL && cover_each(entries, file_system, majors);
	int error = errno;

	if (entries != NULL)
		closedir(entries);
	else if (reading >= 0)
		close(reading);
	errno = error;
	return is_done;
}

bool cover_taps(void)
{
	struct majors majors;
	struct stat status;

	if (IS_LEFT_OUT("taps"))
		return true;
	if (!read_majors(&majors))
		return false;
	if (majors.of[0] == 0 && majors.of[1] == 0)
		return true;
	int devices = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (devices < 0)
		return errno == ENOENT;
	bool is_done = fstat(devices, &status) == 0 && cover_below(devices, status.st_dev, &majors);
	int error = errno;

	close(devices);
	errno = error;
	return is_done;
}
