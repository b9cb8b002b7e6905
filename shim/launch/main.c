/* EXITPIN_SHIM=CONFIG
 * exitpin-launch --control FD --preload PATH [--foreground] [--keep-files]
 *                [--guard] [--notify [--netns]] [--alone] [--listen] [--hide PATH]... [--given SOCKET]...
 *                [--own-mounts] [--read-only [--write PATH]...]
 *                [--directory PATH] [--limit NAME=VALUE]... -- COMMAND ARGUMENT...
 * Starts one tool under the preload library and stays its parent until nothing of its tree is left. With --guard the
 * kernel refuses what the library misses; with --notify it hands each connect to the orchestrator (and guards as far as
 * it can), so that programs without the library are pinned, too; with --netns in a network without a device; with
 * --alone the memory and descriptors of other processes have to be out of its reach, guard or not; with --listen the tool
 * may listen; what is hidden it can't reach; what was given may be its standard input or output; with --own-mounts it
 * has mounts, message queues and shared memory of its own, though nothing is hidden; with --read-only (and --guard or
 * --notify) it may write where that is named, and nowhere else: PATH leads there without a link, or nothing starts.
 * What the library is told, the tool finds in the same variable: arguments could be read by every user here.
 * Exit status: 0 when a tool was started, however it ended (the EXITED notice says); 126, 127: nothing was started, as
 * the REFUSED notice says; 100: misused. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../program.h"
#include "launch.h"

static bool read_arguments(char **arguments, struct request *request)
{
	*request = (struct request){.control = -1, .shim = getenv("EXITPIN_SHIM")};
	for (; *arguments != NULL && strcmp(*arguments, "--") != 0; arguments++) {
		if (strcmp(*arguments, "--foreground") == 0)
			request->foreground = true;
		else if (strcmp(*arguments, "--keep-files") == 0)
			request->keep_files = true;
		else if (strcmp(*arguments, "--guard") == 0)
			request->guard = true;
		else if (strcmp(*arguments, "--notify") == 0)
			request->notify = true;
		else if (strcmp(*arguments, "--alone") == 0)
			request->alone = true;
		else if (strcmp(*arguments, "--netns") == 0)
			request->apart = true;
		else if (strcmp(*arguments, "--own-mounts") == 0)
			request->own_mounts = true;
		else if (strcmp(*arguments, "--read-only") == 0)
			request->read_only = true;
		else if (strcmp(*arguments, "--listen") == 0)
			request->may_listen = true;
		else if (arguments[1] == NULL)
			return false;
		else if (strcmp(*arguments, "--control") == 0)
			request->control = atoi(*++arguments);
		else if (strcmp(*arguments, "--preload") == 0)
			request->preload = *++arguments;
		else if (strcmp(*arguments, "--directory") == 0)
			request->directory = *++arguments;
		else if (strcmp(*arguments, "--hide") == 0 && request->hidden_count < HIDDEN_MAX)
			request->hidden[request->hidden_count++] = *++arguments;
		else if (strcmp(*arguments, "--given") == 0 && request->given_count < GIVEN_MAX)
			request->given[request->given_count++] = *++arguments;
		else if (strcmp(*arguments, "--write") == 0 && request->writable_count < WRITABLE_MAX)
			request->writable[request->writable_count++] = *++arguments;
		else if (strcmp(*arguments, "--limit") == 0 && limit_read(arguments[1], &request->limits))
			arguments++;
		else
			return false;
	}
	request->command = *arguments != NULL ? arguments + 1 : arguments;
	if (request->read_only && !request->guard && !request->notify)
		return false;
	return request->control > 2 && request->preload != NULL && request->shim != NULL && request->command[0] != NULL;
}

/* ld.so splits LD_PRELOAD at blanks and colons and ignores what it can't load: such a path would run the tool bare. */
static bool can_preload(const char *path)
{
	return path[0] == '/' && strpbrk(path, " :") == NULL && access(path, R_OK) == 0;
}

static int refuse(const struct request *request, int reason, int error)
{
	notify_refused(request->control, reason, error);
	return reason == EXITPIN_REASON_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* All signals by default, whatever our caller ignores (Python ignores SIGPIPE), so that the tool inherits that; but who
 * ignores SIGHUP wants all to go on when the terminal is gone (nohup). Those of the terminal stay blocked here: they are
 * the tool's, and the orchestrator gets them too and decides. In the child they wait for exec. */
static int prepare_signals(void)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	struct sigaction before;
	sigset_t blocked;

	sigemptyset(&blocked);
	if (sigaction(SIGHUP, NULL, &before) != 0 || before.sa_handler != SIG_IGN)
		sigaddset(&blocked, SIGHUP);
	for (int signo = 1; signo < NSIG; signo++)
		if (signo != SIGHUP || sigismember(&blocked, SIGHUP))
			sigaction(signo, &by_default, NULL);
	sigaddset(&blocked, SIGCHLD);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGQUIT);
	sigaddset(&blocked, SIGPIPE);
	return sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static bool is_without_hooks(int reason)
{
	return reason == EXITPIN_REASON_STATIC || reason == EXITPIN_REASON_LIBC;
}

static int launch(struct request *request)
{
	char found[PATH_MAX];
	int failure;

	if (!close_inherited(request))
		return refuse(request, EXITPIN_REASON_INHERITED, EACCES);
	if (!leave_group(request) || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return refuse(request, EXITPIN_REASON_NONE, errno);
	if (request->directory != NULL && chdir(request->directory) != 0)
		return refuse(request, EXITPIN_REASON_NOT_EXECUTABLE, errno);
	const char *path = find_command(request->command[0], found, sizeof(found));

	if (path == NULL)
		return refuse(request, errno == EACCES ? EXITPIN_REASON_NOT_EXECUTABLE : EXITPIN_REASON_NOT_FOUND, errno);
	int reason = exitpin_program_check(AT_FDCWD, path, 0);

	if (reason != EXITPIN_REASON_NONE && !(request->notify && is_without_hooks(reason)))
		return refuse(request, reason, EACCES);
	request->is_bare = reason == EXITPIN_REASON_LIBC;
	pid_t tool = start_tool(request, path, &failure);

	if (tool < 0)
		return refuse(request, EXITPIN_REASON_NONE, errno);
	return watch_tool(request, tool, failure) ? 0 : EXIT_NOT_EXECUTABLE;
}

int main(int argc, char **argv)
{
	struct request request;
	int type;
	socklen_t size = sizeof(type);

	if (argc < 1 || !read_arguments(argv + 1, &request) ||
	    getsockopt(request.control, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_SEQPACKET ||
	    fcntl(request.control, F_SETFD, FD_CLOEXEC) != 0) {
		fputs("usage: EXITPIN_SHIM=CONFIG exitpin-launch --control FD --preload PATH [--foreground] [--keep-files]"
		      " [--guard] [--notify [--netns]] [--alone] [--listen] [--hide PATH]... [--given SOCKET]..."
		      " [--own-mounts] [--read-only [--write PATH]...] [--directory PATH] [--limit NAME=VALUE]..."
		      " -- COMMAND ARGUMENT...\n",
		      stderr);
		return EXIT_MISUSED;
	}
	if (!can_preload(request.preload)) {
		notify_refused(request.control, EXITPIN_REASON_NONE, EINVAL);
		fputs("exitpin-launch: --preload must be a readable absolute path without blanks and colons\n", stderr);
		return EXIT_MISUSED;
	}
	if (prepare_signals() != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		notify_refused(request.control, EXITPIN_REASON_NONE, errno);
		return EXIT_NOT_EXECUTABLE;
	}
	return launch(&request);
}
