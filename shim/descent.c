#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "descent.h"

enum { STEPS_MAX = 32, PARENT = 1, STARTED = 19 }; /* fields after the name in proc_pid_stat(5) */

/* The first bytes of a file of /proc, ended by NUL; how many, or -1 and errno. */
static ssize_t read_proc(int pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	ssize_t got = read(fd, text, size - 1);
	int error = errno;

	close(fd);
	errno = error;
	text[got > 0 ? got : 0] = '\0';
	return got;
}

/* The name, in brackets, may hold anything. */
static bool look_at(int pid, int *parent, unsigned long long *started)
{
	char text[1024];

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	char *field = strrchr(text, ')');

	for (int number = 0; field != NULL && number <= STARTED; number++) {
		field = strchr(field + 1, ' ');
		if (field != NULL && number == PARENT)
			*parent = atoi(field + 1);
		if (field != NULL && number == STARTED)
			*started = strtoull(field + 1, NULL, 10);
	}
	return field != NULL;
}

bool exitpin_descends(int pid, int root)
{
	unsigned long long before = UINT64_MAX, started;
	int parent;

	for (int step = 0; step < STEPS_MAX && pid > 1 && pid != getpid() && pid != root; step++) {
		if (!look_at(pid, &parent, &started) || started > before)
			return false; /* the parent is gone, and this is another */
		if (parent == root)
			return true;
		before = started;
		pid = parent;
	}
	return false;
}

int exitpin_process_of(int tid)
{
	char text[1024];
	ssize_t size = read_proc(tid, "status", text, sizeof(text));

	if (size < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	const char *line = strstr(text, "\nTgid:");

	return line != NULL ? atoi(line + strlen("\nTgid:")) : -ESRCH;
}
