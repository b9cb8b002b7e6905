#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "aside.h"
#include "thread.h"

enum { BREAKS_OFF = SIGURG }; /* whose default is to do nothing: from anywhere else it does no harm */
enum { TOOL, HANDLE, DONE, FDS };

/* Of its thread and of who started it: the last one frees it. The descriptors are the thread's alone. */
struct exitpin_aside {
	pthread_t thread;
	int fds[FDS];
	int holders, error;
	bool is_broken_off;
	socklen_t size;
	struct sockaddr_un address;
};

static void release(struct exitpin_aside *aside)
{
	if (__atomic_sub_fetch(&aside->holders, 1, __ATOMIC_ACQ_REL) == 0)
		free(aside);
}

static void close_all(const int fds[FDS])
{
	for (int i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void nothing(int signo)
{
	(void)signo;
}

/* A signal with a handler, and without SA_RESTART, ends a call that waits. Who has one there already keeps it. */
static void prepare_to_break_off(void)
{
	const struct sigaction ours = {.sa_handler = nothing};
	struct sigaction before;

	if (sigaction(BREAKS_OFF, NULL, &before) == 0 && !(before.sa_flags & SA_SIGINFO) &&
	    (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN))
		sigaction(BREAKS_OFF, &ours, NULL);
}

static void *carry_out(void *given)
{
	struct exitpin_aside *aside = given;
	const struct sockaddr *address = (struct sockaddr *)&aside->address;
	const uint64_t one = 1;
	int error = EINTR; /* as after any other signal: we were stopped, and went on */
	sigset_t breaks_off;

	sigemptyset(&breaks_off);
	sigaddset(&breaks_off, BREAKS_OFF);
	pthread_sigmask(SIG_UNBLOCK, &breaks_off, NULL);
	while (error == EINTR && !__atomic_load_n(&aside->is_broken_off, __ATOMIC_ACQUIRE))
		error = connect(aside->fds[TOOL], address, aside->size) == 0 ? 0 : errno;
	__atomic_store_n(&aside->error, error == EINTR ? ECANCELED : error, __ATOMIC_RELEASE);
	while (write(aside->fds[DONE], &one, sizeof(one)) < 0 && errno == EINTR)
		;
	close_all(aside->fds);
	release(aside);
	return NULL;
}

/* Whether it could be copied, if there is one. */
static bool copy(int fd, int *copied)
{
	*copied = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 || *copied >= 0;
}

/* By its handle, which no other file can take the place of, or by its name. */
static void fill_in(struct exitpin_aside *aside, const void *name, size_t size)
{
	char *path = aside->address.sun_path;

	aside->address.sun_family = AF_UNIX;
	if (aside->fds[HANDLE] >= 0) {
		size = (size_t)snprintf(path, sizeof(aside->address.sun_path), "/proc/self/fd/%d", aside->fds[HANDLE]);
	} else {
		memcpy(path + 1, name, size); /* after a NUL */
		size++;
	}
	aside->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

struct exitpin_aside *exitpin_aside_start(int fd, int handle, const void *name, size_t size, int done)
{
	struct exitpin_aside *aside = calloc(1, sizeof(*aside));

	if (aside == NULL || (handle < 0 && size >= sizeof(aside->address.sun_path))) {
		free(aside);
		errno = aside == NULL ? ENOMEM : EINVAL;
		return NULL;
	}
	aside->holders = 2;
	aside->error = ECANCELED;
	aside->fds[HANDLE] = aside->fds[DONE] = -1;
	int error = 0;

	if (copy(fd, &aside->fds[TOOL]) && copy(handle, &aside->fds[HANDLE]) && copy(done, &aside->fds[DONE])) {
		fill_in(aside, name, size);
		prepare_to_break_off();
		error = exitpin_thread_start(&aside->thread, carry_out, aside);
		if (error == 0)
			return aside;
	} else {
		error = errno;
	}
	close_all(aside->fds);
	free(aside);
	errno = error;
	return NULL;
}

void exitpin_aside_break_off(struct exitpin_aside *aside)
{
	__atomic_store_n(&aside->is_broken_off, true, __ATOMIC_RELEASE);
	pthread_kill(aside->thread, BREAKS_OFF);
}

int exitpin_aside_end(struct exitpin_aside *aside)
{
	const int error = __atomic_load_n(&aside->error, __ATOMIC_ACQUIRE);

	exitpin_aside_break_off(aside);
	pthread_detach(aside->thread);
	release(aside);
	return error;
}
