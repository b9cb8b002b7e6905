/* tree HOW: leaves processes behind, or dies in some way. Writes `ready` when they stand. */
#include <signal.h>
#include <sys/prctl.h>

#include "probe.h"

static void wait_forever(void)
{
	for (;;)
		pause();
}

static void ready(void)
{
	printf("ready\n");
	fflush(stdout);
}

/* Each forks the next in a session of its own and dies; the last ignores TERM. */
static void daemonize(void)
{
	int told[2];
	char byte;

	pipe(told);
	if (fork() == 0) {
		setsid();
		if (fork() != 0)
			_exit(0);
		signal(SIGTERM, SIG_IGN);
		close(1), close(2);
		write(told[1], "x", 1);
		wait_forever();
	}
	wait(NULL);
	read(told[0], &byte, 1);
	ready();
}

static void orphans(void)
{
	for (int i = 0; i < 5; i++)
		if (fork() == 0) {
			if (i % 2)
				setsid();
			fork();
			close(1), close(2);
			wait_forever();
		}
	ready();
}

static void crowd(void)
{
	for (int i = 0; i < 1000; i++)
		if (fork() == 0) {
			close(1), close(2);
			wait_forever();
		}
}

static void stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	if (fork() == 0)
		wait_forever();
	ready();
	wait_forever();
}

static void on_interrupt(int signo)
{
	printf("signal %d\n", signo);
	exit(7);
}

static void handled(void)
{
	signal(SIGUSR1, on_interrupt);
	ready();
	wait_forever();
}

static void state(void)
{
	sigset_t mask;
	int blocked = 0, ignored = 0;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int signo = 1; signo < 65; signo++) {
		struct sigaction action;

		blocked += sigismember(&mask, signo) == 1;
		ignored += sigaction(signo, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
	}
	printf("blocked=%d ignored=%d leader=%d nnp=%d\n", blocked, ignored, getsid(0) == getpid(),
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("fd=%d\n", fd);
}

static void killed(void)
{
	raise(SIGKILL);
}

static void fails(void)
{
	exit(42);
}

static const struct command commands[] = {
	{"daemonize", daemonize}, {"orphans", orphans}, {"crowd", crowd},   {"stubborn", stubborn}, {"handled", handled},
	{"state", state},	  {"killed", killed},	{"fails", fails},   {NULL, NULL},
};

int main(int argc, char **argv)
{
	return run_command(commands, argc, argv);
}
