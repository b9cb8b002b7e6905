#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "launch.h"

enum { ENTRY_SIZE = 8192 };

static bool set_environment(const struct request *request)
{
	static char preload[ENTRY_SIZE];
	const char *before = getenv("LD_PRELOAD");
	bool has_before = before != NULL && before[0] != '\0';
	int size = snprintf(preload, sizeof(preload), "%s%s%s", request->preload, has_before ? ":" : "",
			    has_before ? before : "");

	if (size < 0 || (size_t)size >= sizeof(preload)) {
		errno = E2BIG;
		return false;
	}
	return request->is_bare || setenv("LD_PRELOAD", preload, 1) == 0; /* EXITPIN_SHIM is there */
}

/* A tool starts as from a shell, whatever its caller blocked: what the terminal sent since fork is delivered now. */
static void unblock_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A shell runs what the kernel does not know as a script; so does execvp(3). */
static void execute(const char *path, char **command)
{
	size_t count = 0;

	execv(path, command);
	if (errno != ENOEXEC)
		return;
	while (command[count] != NULL)
		count++;
	char *script[count + 2];

	script[0] = "/bin/sh";
	script[1] = (char *)path;
	memcpy(script + 2, command + 1, count * sizeof(*command));
	execv(script[0], script);
	errno = ENOEXEC;
}

/* errno, and why: the parent tells. */
static _Noreturn void fail(int failed, int reason)
{
	const struct start_failure failure = {reason, errno};

	while (write(failed, &failure, sizeof(failure)) < 0 && errno == EINTR)
		;
	_exit(EXIT_NOT_EXECUTABLE);
}

static void die_with(pid_t launcher)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != launcher) /* it died before the line above */
		_exit(EXIT_NOT_EXECUTABLE);
}

static _Noreturn void become_tool(const struct request *request, const char *path, pid_t launcher, const int go[2],
				  int failed)
{
	char byte;
	ssize_t told;

	close(go[1]);
	die_with(launcher);
	if (request->foreground)
		setpgid(0, 0);
	else
		setsid();
	while ((told = read(go[0], &byte, 1)) < 0 && errno == EINTR)
		;
	if (told != 1) /* it died before its word */
		_exit(EXIT_NOT_EXECUTABLE);
	unblock_signals();
	if (!set_environment(request) || !limits_apply(&request->limits))
		fail(failed, EXITPIN_REASON_NOT_EXECUTABLE);
	if (!hide(request))
		fail(failed, EXITPIN_REASON_CONTAINMENT);
	die_with(launcher); /* a new user namespace forgets it */
	if ((request->guard || request->notify) && !guard(request))
		fail(failed, EXITPIN_REASON_CONTAINMENT);
	execute(path, request->command);
	fail(failed, EXITPIN_REASON_NOT_EXECUTABLE);
}

pid_t start_tool(const struct request *request, const char *path, int *failure)
{
	pid_t launcher = getpid();
	int go[2], failed[2];
	char byte = 0;

	if (!prepare_tree() || pipe2(go, O_CLOEXEC) != 0 || pipe2(failed, O_CLOEXEC) != 0)
		return -1;
	pid_t tool = fork();

	if (tool < 0)
		return -1;
	if (tool == 0)
		become_tool(request, path, launcher, go, failed[1]);
	close(go[0]);
	close(failed[1]);
	if (request->foreground) {
		setpgid(tool, tool);
		front_take_terminal(tool);
	}
	notify_started(request->control, tool);
	while (write(go[1], &byte, 1) < 0 && errno == EINTR)
		;
	close(go[1]);
	*failure = failed[0];
	return tool;
}
