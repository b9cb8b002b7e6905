/* exitpin VERB ...: see client.h. What is run in Python is `exitpin-py`, which lies beside this file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

static const char IN_PYTHON[] = "exitpin-py";

/* What is opened next must not become a tool's input or output because our caller has closed some of 0 to 2. */
static void fill_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILED);
}

static int become_python(char **arguments)
{
	static char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - sizeof(IN_PYTHON));

	if (size <= 0) {
		fprintf(stderr, "exitpin: /proc can't be read: %s.\n", strerror(errno));
		return EXIT_NO_PYTHON;
	}
	path[size] = '\0';
	strcpy(strrchr(path, '/') + 1, IN_PYTHON);
	arguments[0] = path;
	sigset_t interrupt; /* the interpreter's start would tell of it in a traceback: main.py takes it when it is there */

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, NULL);
	execv(path, arguments);
	fprintf(stderr, "exitpin: %s can't be run: %s. Install exitpin anew.\n", path, strerror(errno));
	return EXIT_NO_PYTHON;
}

int main(int argc, char **argv)
{
	struct search search = {.is_named = false};
	struct place place;

	fill_standard_descriptors();
	if (argc > 2 && find_daemon(argv, &search)) {
		int connection = reach_daemon(&search, &place);

		if (connection < 0 && search.is_named) { /* whoever names one means it, and not some other tor */
			fprintf(stderr, "exitpin: no daemon of ours answers at EXITPIN_DAEMON (%s).\n", getenv("EXITPIN_DAEMON"));
			return EXIT_FAILED;
		}
		if (connection >= 0) {
			take_lease(connection, &place, argv);
			close(connection);
		}
	}
	static char *none[] = {"exitpin", NULL};

	return become_python(argc > 0 ? argv : none);
}
