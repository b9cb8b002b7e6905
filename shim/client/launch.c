#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client.h"

enum { CONTROL = 3, ABOVE = 16 };

static char *point(char **pointers, size_t count, char *string, const char *end)
{
	for (size_t i = 0; i < count; i++) {
		if (string >= end)
			return NULL;
		pointers[i] = string;
		string += strlen(string) + 1;
	}
	pointers[count] = NULL;
	return string;
}

/* Each is first copied above what is assigned to, so that no assignment destroys another. */
static bool place_descriptors(const struct packet *grant)
{
	int given[] = {grant->fds[2], grant->fds[3], grant->fds[4], grant->fds[1]}, high[CONTROL + 1];

	for (int fd = 0; fd <= CONTROL; fd++) {
		high[fd] = given[fd] >= 0 ? fcntl(given[fd], F_DUPFD_CLOEXEC, ABOVE) : -1;
		if (given[fd] >= 0 && high[fd] < 0)
			return false;
	}
	for (int fd = 0; fd <= CONTROL; fd++)
		if (high[fd] >= 0 && dup2(high[fd], fd) < 0)
			return false;
	return true;
}

pid_t start_launcher(const struct packet *grant, char *strings, size_t size)
{
	size_t arguments = grant->lease.arguments, variables = grant->lease.variables;
	char **pointers = size / 2 >= arguments / 2 ? calloc(arguments + variables + 2, sizeof(*pointers)) : NULL;
	pid_t client = getpid();

	if (pointers == NULL)
		return -1;
	char **environment = pointers + arguments + 1;
	char *rest = point(pointers, arguments, strings, strings + size);

	errno = EPROTO;
	if (rest == NULL || arguments == 0 || grant->fds[1] < 0 || !point(environment, variables, rest, strings + size))
		return -1;
	pid_t launcher = fork();

	if (launcher != 0)
		return launcher;
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* the launcher then ends its tree */
	if (getppid() == client && place_descriptors(grant))
		execve(pointers[0], pointers, environment);
	_exit(EXIT_FAILED);
}
