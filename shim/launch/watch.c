/* The life of a run: running -> ending (TERM sent, KILL at a deadline) -> nothing left. The orchestrator's death skips to
 * the deadline; so does an END order with no grace. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"

enum { SWEEP_GRACE_MS = 200, KILL_ROUND_MS = 5, COUNT_ROUND_MS = 100, REAP_MAX = 64 };

struct watch {
	const struct request *request;
	pid_t tool;
	int failure;
	bool has_exited, is_ending, is_orphan, is_refused, is_crowded, has_more;
	unsigned swept;
	int64_t deadline_ms, count_ms, kill_ms;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void end_tree(struct watch *watch, int64_t grace_ms)
{
	int64_t deadline_ms = now_ms() + grace_ms + (grace_ms > 0); /* the clock is cut to milliseconds: at least the grace */

	if (watch->is_ending) {
		if (deadline_ms < watch->deadline_ms)
			watch->deadline_ms = deadline_ms;
		return;
	}
	watch->is_ending = true;
	watch->deadline_ms = deadline_ms;
	unsigned count = signal_descendants(grace_ms > 0 ? SIGTERM : SIGKILL);

	watch->swept = count - (count > 0 && !watch->has_exited);
}

static bool is_job_control(int signo)
{
	return signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU || signo == SIGSTOP;
}

/* How the first process ended, or that it never became the tool. */
static void tell_exit(struct watch *watch, int status, const struct rusage *usage)
{
	struct start_failure failure;

	watch->has_exited = true;
	front_give_back_terminal();
	watch->is_refused = read(watch->failure, &failure, sizeof(failure)) == sizeof(failure);
	if (watch->is_refused)
		notify_refused(watch->request->control, failure.reason, failure.error);
	else
		notify_exited(watch->request->control, watch->tool, status, usage);
}

/* So many of those that have ended: a bomb of forks brings more than can be taken in one go. False: no child is left. */
static bool reap(struct watch *watch)
{
	struct rusage usage;
	int status, taken = 0;
	pid_t pid = 1;

	while (taken < REAP_MAX && (pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage)) > 0) {
		taken++;
		if (pid != watch->tool)
			continue;
		if (WIFSTOPPED(status)) {
			if (watch->request->foreground && !watch->is_ending && is_job_control(WSTOPSIG(status)))
				front_stop(watch->tool, WSTOPSIG(status));
			continue;
		}
		tell_exit(watch, status, &usage);
	}
	watch->has_more = pid > 0;
	return pid >= 0;
}

static void obey(struct watch *watch)
{
	struct exitpin_order order;
	int is_order;

	while ((is_order = read_order(watch->request->control, &order)) > 0) {
		if (order.kind == EXITPIN_ORDER_END)
			end_tree(watch, order.grace_ms);
		else if (order.kind == EXITPIN_ORDER_SIGNAL && !watch->has_exited && order.signo < NSIG)
			kill(-watch->tool, order.signo);
	}
	if (is_order < 0) {
		watch->is_orphan = true;
		end_tree(watch, 0);
	}
}

/* As if we had been killed: the orchestrator is told nothing more, and blames nobody else. */
static void hang_up(struct watch *watch)
{
	shutdown(watch->request->control, SHUT_RDWR);
	watch->is_orphan = true;
	end_tree(watch, 0);
}

static void read_signals(struct watch *watch, int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo != SIGCHLD && has_lost_front())
			hang_up(watch);
		else if (info.ssi_signo != SIGCHLD)
			end_tree(watch, SWEEP_GRACE_MS);
}

/* How many there may be is for the whole tree, and no limit of the kernel is: that one counts all of a user's. Now and
 * then, and before what the tool left is swept. */
static void count_tree(struct watch *watch)
{
	const struct limits *limits = &watch->request->limits;
	bool is_due = (watch->has_exited && !watch->is_ending) || now_ms() >= watch->count_ms;

	if (!limits->is_set[LIMIT_PROCESSES] || watch->is_crowded || !is_due)
		return;
	watch->count_ms = now_ms() + COUNT_ROUND_MS;
	int64_t allowed = limits->values[LIMIT_PROCESSES];

	if (allowed >= UINT32_MAX || count_descendants((unsigned)allowed + 1) <= allowed)
		return;
	watch->is_crowded = true;
	notify_crowded(watch->request->control);
	end_tree(watch, 0);
}

/* Again and again from the deadline on: what a round has not found is found by the next. Looking takes no more than a part
 * of the time: thousands of processes need it to die. */
static void kill_tree(struct watch *watch)
{
	int64_t began_ms = now_ms();

	if (!watch->is_ending || began_ms < watch->deadline_ms || began_ms < watch->kill_ms)
		return;
	signal_descendants(SIGKILL);
	watch->kill_ms = now_ms() + KILL_ROUND_MS + 4 * (now_ms() - began_ms);
}

static int timeout_ms(const struct watch *watch)
{
	if (watch->has_more)
		return 0;
	int longest = watch->request->limits.is_set[LIMIT_PROCESSES] ? COUNT_ROUND_MS : -1;

	if (!watch->is_ending)
		return longest;
	int64_t left = watch->deadline_ms - now_ms();

	if (left <= 0)
		return KILL_ROUND_MS;
	longest = longest < 0 ? 60000 : longest;
	return left < longest ? (int)left : longest;
}

bool watch_tool(const struct request *request, pid_t tool, int failure)
{
	struct watch watch = {.request = request, .tool = tool, .failure = failure};
	sigset_t handled;

	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGHUP);
	int signals = signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC);
	struct pollfd ready[2] = {{signals, POLLIN, 0}, {request->control, POLLIN, 0}};

	while (reap(&watch)) {
		count_tree(&watch);
		if (watch.has_exited && !watch.is_ending)
			end_tree(&watch, SWEEP_GRACE_MS);
		kill_tree(&watch);
		int count = wait_for(ready, watch.is_orphan ? 1 : 2, timeout_ms(&watch));

		if (count == 0)
			continue;
		if (count < 0 || ready[0].revents)
			read_signals(&watch, signals);
		if (!watch.is_orphan && (count < 0 || ready[1].revents))
			obey(&watch);
	}
	if (!watch.is_refused)
		notify_ended(request->control, watch.swept);
	return !watch.is_refused;
}
