#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

static const struct kind {
	const char *name;
	int flag;
} KINDS[] = {
	{"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},	 {"net", CLONE_NEWNET},
	{"pid", CLONE_NEWPID},	 {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC},
};
static const int FORWARDED[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP};

static int connect_to(const struct sockaddr_un *address)
{
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (connection >= 0 && connect(connection, (const struct sockaddr *)address, sizeof(*address)) != 0) {
		close(connection);
		return -1;
	}
	return connection;
}

/* Who listens, if it is the user that we are; 0: somebody else, or nobody that has a number here. */
static pid_t peer_of(int connection)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != geteuid())
		return 0;
	return peer.pid;
}

static ino_t identity(const char *process, const char *kind)
{
	char path[64];
	struct stat found;

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, kind);
	return stat(path, &found) == 0 ? found.st_ino : 0;
}

/* The namespaces of a process that are not ours, as flags of setns(2); -1: they can't be read. */
static int namespaces_elsewhere(pid_t pid)
{
	char process[16];
	int flags = 0;

	snprintf(process, sizeof(process), "%d", pid);
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		ino_t theirs = identity(process, KINDS[i].name);

		if (theirs == 0)
			return -1;
		if (theirs != identity("self", KINDS[i].name))
			flags |= KINDS[i].flag;
	}
	return flags;
}

/* With the working directory, as far as it is there. */
static bool enter(const struct place *place)
{
	char directory[PATH_MAX];
	bool has_directory = getcwd(directory, sizeof(directory)) != NULL;
	int process = (int)syscall(SYS_pidfd_open, place->daemon, 0);
	bool is_inside = has_directory && process >= 0 && setns(process, place->namespaces) == 0;

	close(process);
	if (is_inside && chdir(directory) != 0 && chdir("/") != 0)
		_exit(EXIT_FAILED);
	return is_inside;
}

static void block(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(FORWARDED) / sizeof(FORWARDED[0]); i++)
		sigaddset(&set, FORWARDED[i]);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, before);
}

/* Signals go on to the child, but for those that the terminal has sent it, too; it stops, we stop. Ends as it does. */
static _Noreturn void attend(pid_t child)
{
	sigset_t awaited;
	siginfo_t info;
	int status;

	sigprocmask(SIG_SETMASK, NULL, &awaited);
	for (;;) {
		int signo = sigwaitinfo(&awaited, &info);

		if (signo == SIGCONT)
			kill(child, SIGCONT);
		else if (signo > 0 && signo != SIGCHLD && info.si_code != SI_KERNEL)
			kill(child, signo);
		if (signo != SIGCHLD || waitpid(child, &status, WNOHANG | WUNTRACED) <= 0)
			continue;
		if (!WIFSTOPPED(status))
			break;
		raise(SIGSTOP);
		kill(child, SIGCONT);
	}
	take_back_terminal();
	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	if (WTERMSIG(status) == SIGKILL)
		fputs("exitpin: killed: the lab has ended, or somebody ended this process inside it.\n", stderr);
	_exit(128 + WTERMSIG(status));
}

int reach_daemon(const struct sockaddr_un *address, bool is_lab, struct place *place)
{
	int connection = connect_to(address);

	if (connection < 0)
		return -1;
	place->daemon = peer_of(connection);
	place->namespaces = place->daemon > 0 ? namespaces_elsewhere(place->daemon) : -1;
	if (place->namespaces == 0 || (place->namespaces > 0 && is_lab))
		return connection;
	close(connection);
	return -1;
}

bool go_there(const struct place *place)
{
	const pid_t parent = place->namespaces & CLONE_NEWPID ? 0 : getpid(); /* as the child sees us */
	sigset_t before;

	remember_terminal();
	if (place->namespaces != 0 && !enter(place))
		return false;
	signal(SIGCHLD, SIG_DFL); /* who ignores it is not told of its children */
	block(&before);
	pid_t child = fork();

	if (child > 0)
		attend(child);
	if (child < 0) {
		fprintf(stderr, "exitpin: no process can be made: %s.\n", strerror(errno));
		_exit(EXIT_FAILED);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
	return true;
}
