/* Our caller and all that he started are killed at once by whoever kills his process group (kill -9 %1, timeout -k): then
 * nobody would be left to end the tool's tree. So the launcher has a group of its own. In the foreground a shell has to be
 * able to stop and continue it as a part of its job: there a process stays in that group, in front, which has the terminal
 * and does nothing else, and the launcher is a child of it that asks. When the one in front has died, nothing is asked. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"

enum wish { TAKE, GIVE_BACK, STOP };

struct request_in_front {
	enum wish wish;
	pid_t group;
	int signo;
};

static int front = -1;	/* whom we ask */
static int orders = -1; /* whose end, or whatever comes of it, we don't keep waiting */
static unsigned unanswered;

/* False: nobody asks any more. */
static bool fulfil(int behind)
{
	struct request_in_front asked;
	ssize_t size;

	while ((size = recv(behind, &asked, sizeof(asked), MSG_DONTWAIT)) < 0 && errno == EINTR)
		;
	if (size < 0 && errno == EAGAIN)
		return true;
	if (size != sizeof(asked))
		return false;
	if (asked.wish == TAKE)
		terminal_take(asked.group);
	else if (asked.wish == GIVE_BACK)
		terminal_give_back();
	else
		stop_with_the_tool(asked.group, asked.signo);
	return send(behind, &asked, 1, MSG_NOSIGNAL) == 1;
}

/* As the launcher ended. */
static _Noreturn void end_as(int status)
{
	sigset_t set;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(WTERMSIG(status));
	_exit(EXIT_NOT_EXECUTABLE);
}

/* What would end us is passed on: the launcher ends its tree first. */
static _Noreturn void stay_in_front(int behind, pid_t launcher)
{
	struct signalfd_siginfo info;
	sigset_t passed;
	int status = 0;

	sigemptyset(&passed);
	sigaddset(&passed, SIGTERM);
	sigaddset(&passed, SIGHUP);
	int signals = signalfd(-1, &passed, SFD_NONBLOCK | SFD_CLOEXEC);
	struct pollfd ready[2] = {{signals, POLLIN, 0}, {behind, POLLIN, 0}};

	do {
		wait_for(ready, 2, -1);
		while (read(signals, &info, sizeof(info)) == sizeof(info))
			kill(launcher, (int)info.ssi_signo);
	} while (fulfil(behind));
	while (waitpid(launcher, &status, 0) < 0 && errno == EINTR)
		;
	terminal_give_back();
	end_as(status);
}

static bool leave_someone_in_front(int control)
{
	const pid_t parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	pid_t child = fork();

	if (child < 0)
		return false;
	if (child > 0) {
		close(control);
		close(ends[1]);
		stay_in_front(ends[0], child);
	}
	close(ends[0]);
	front = ends[1];
	orders = control;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* it died before the line above */
		_exit(EXIT_NOT_EXECUTABLE);
	return true;
}

/* What the terminal sends a group stops it whole, and anybody of the tool may join ours and draw that upon it: who ends
 * the tree must go on. */
static void stay_awake(void)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTIN);
	sigaddset(&stops, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stops, NULL);
}

bool leave_group(const struct request *request)
{
	if (request->foreground && !leave_someone_in_front(request->control))
		return false;
	stay_awake();
	return setpgid(0, 0) == 0 || errno == EPERM; /* the leader of a session has one */
}

bool has_lost_front(void)
{
	char nothing;

	return front >= 0 && recv(front, &nothing, sizeof(nothing), MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Who is in front may be stopped, as long as somebody likes: the orchestrator is heard all the same. */
static void wait_for_answer(void)
{
	struct pollfd ready[2] = {{front, POLLIN, 0}, {orders, POLLIN, 0}};
	char done;

	while (unanswered > 0) {
		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return;
		ssize_t size = recv(front, &done, 1, MSG_DONTWAIT);

		if (size == 1)
			unanswered--;
		else if (size == 0 || ready[1].revents)
			return;
	}
}

static void ask(enum wish wish, pid_t group, int signo)
{
	const struct request_in_front asked = {wish, group, signo};

	if (front < 0 || send(front, &asked, sizeof(asked), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	unanswered++;
	wait_for_answer();
}

void front_take_terminal(pid_t group)
{
	ask(TAKE, group, 0);
}

void front_give_back_terminal(void)
{
	ask(GIVE_BACK, 0, 0);
}

void front_stop(pid_t group, int signo)
{
	ask(STOP, group, signo);
}
