#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel.h"
#include "kernel_abi.h"
#include "landlock.h"
#include "namespaces.h"

int exitpin_setns(int fd, int flags)
{
	return setns(fd, flags) == 0 ? 0 : errno;
}

int exitpin_unshare(int flags)
{
	return unshare(flags) == 0 ? 0 : errno;
}

int exitpin_mount(const char *source, const char *target, const char *kind, unsigned long flags, const char *options)
{
	return mount(source, target, kind, flags, options) == 0 ? 0 : errno;
}

int exitpin_set_death_signal(int signo)
{
	return prctl(PR_SET_PDEATHSIG, signo, 0, 0, 0) == 0 ? 0 : errno;
}

int exitpin_set_child_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : errno;
}

int exitpin_open_path(int directory, const char *path, uint64_t resolve)
{
	const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = resolve};
	long fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int exitpin_disconnect(int fd)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	int error = connect(fd, &none, sizeof(none)) == 0 ? 0 : errno, pending;
	socklen_t size = sizeof(pending);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size);
	return error;
}

/* What an attempt returns, 0 or an errno, made in a process of its own: namespaces and filters are a process's, for good. */
static int try_apart(int (*attempt)(void))
{
	int status = 0, error;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t child = fork();

	error = errno;
	if (child == 0)
		_exit(attempt());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (child < 0)
		return error;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
}

static int install_nothing(unsigned flags)
{
	const struct bpf_instruction pass = {.code = BPF_ANSWER, .operand = SECCOMP_PASS};
	const struct bpf_program program = {1, &pass};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return errno;
	return syscall(SYS_seccomp, SECCOMP_FILTER, flags, &program) >= 0 ? 0 : errno;
}

static int attempt_guard(void)
{
	int error = install_nothing(0);

	return error != 0 ? error : exitpin_landlock(false) ? 0 : errno;
}

static int attempt_listener(void)
{
	return install_nothing(SECCOMP_NEW_LISTENER | SECCOMP_WAIT_KILLABLE);
}

static int attempt_namespaces(void)
{
	return exitpin_own_namespaces(CLONE_NEWNET | CLONE_NEWIPC) ? 0 : errno;
}

int exitpin_try_guard(void)
{
	return try_apart(attempt_guard);
}

/* process_vm_readv is what containers refuse most. */
static bool can_read_memory(void)
{
	char from = 1, into = 0;
	const struct iovec theirs = {&from, 1}, ours = {&into, 1};

	return syscall(SYS_process_vm_readv, getpid(), &ours, 1, &theirs, 1, 0) == 1;
}

int exitpin_try_supervisor(void)
{
	struct seccomp_notif_sizes sizes;
	int us = -1, again = -1;
	bool is_here = syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0 &&
		       (us = (int)syscall(SYS_pidfd_open, getpid(), 0)) >= 0 &&
		       (again = (int)syscall(SYS_pidfd_getfd, us, us, 0)) >= 0 && can_read_memory();
	int error = is_here ? 0 : errno;

	if (us >= 0)
		close(us);
	if (again >= 0)
		close(again);
	return is_here ? try_apart(attempt_listener) : error;
}

bool exitpin_has_namespaces(void)
{
	return try_apart(attempt_namespaces) == 0;
}
