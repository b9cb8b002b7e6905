/* Children, signals and threads around a connect. All of it should work. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "vector.h"

static int stream(void)
{
	return (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));
}

/* The child of a vfork fails to exec and exits; then the parent connects. */
static int vfork_exit(const struct aim *aim)
{
	char *const words[] = {"/nowhere", NULL};
	pid_t child = vfork();

	if (child == 0) {
		execv(words[0], words);
		_exit(0);
	}
	return await(child) == WORKED ? go(aim) : DENIED;
}

static sigjmp_buf back;

static void jump(int signo)
{
	(void)signo;
	siglongjmp(back, 1);
}

/* As wget does with -T: an alarm whose handler jumps out of the call. The stream that follows must not suffer. */
static int alarm_longjmp(const struct aim *aim)
{
	const struct itimerval soon = {.it_value.tv_usec = 2000};
	const struct itimerval never = {0};
	int fd = stream();

	signal(SIGALRM, jump);
	if (sigsetjmp(back, 1) == 0) {
		setitimer(ITIMER_REAL, &soon, NULL);
		connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in));
	}
	setitimer(ITIMER_REAL, &never, NULL);
	close(fd);
	return go(aim);
}

static void ignore(int signo)
{
	(void)signo;
}

/* Signals that come while a connect waits, with SA_RESTART, as the Go runtime sends them. */
static int signal_restart(const struct aim *aim)
{
	const struct sigaction action = {.sa_handler = ignore, .sa_flags = SA_RESTART};
	const struct itimerval often = {{0, 2000}, {0, 2000}};
	const struct itimerval never = {0};
	int fd = stream();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	int result = (int)told("connect", connect(fd, (const struct sockaddr *)&aim->in, sizeof(aim->in)));

	setitimer(ITIMER_REAL, &never, NULL);
	return result < 0 ? DENIED : converse(aim, fd);
}

enum { THREADS = 8 };

static void *thread(void *context)
{
	return (void *)(intptr_t)go(context);
}

static int threads(const struct aim *aim)
{
	pthread_t all[THREADS];
	intptr_t result = WORKED;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&all[i], NULL, thread, (void *)aim);
	for (int i = 0; i < THREADS; i++) {
		void *one;

		pthread_join(all[i], &one);
		result |= (intptr_t)one;
	}
	return (int)result;
}

/* Forks while other threads connect: nothing may be held in the child. */
static int fork_in_threads(const struct aim *aim)
{
	pthread_t busy;
	void *one;

	pthread_create(&busy, NULL, thread, (void *)aim);
	pid_t child = fork();

	if (child == 0)
		_exit(go(aim));
	int result = await(child);

	pthread_join(busy, &one);
	return result | (int)(intptr_t)one;
}

const struct vector concurrency_vectors[] = {
	{"vfork-exit", vfork_exit},
	{"alarm-longjmp", alarm_longjmp},
	{"signal-restart", signal_restart},
	{"threads", threads},
	{"fork-in-threads", fork_in_threads},
	{NULL, NULL},
};
