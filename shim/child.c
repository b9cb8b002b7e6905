#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "sys.h"

enum { STACK_SIZE = 32768, FDS_MAX = 8 };

struct exitpin_child {
	_Alignas(16) char stack[STACK_SIZE];
	int pid;
	int lives_here; /* cleared by the kernel when the child has called execve or has ended */
	volatile int error;
	int fds[FDS_MAX];
	size_t fds_count;
	char **arguments;
	char **variables;
	char *pointers[];
};

/* In the parent's memory, beside the running parent, with its thread's errno and locks: system calls and nothing else. */
static int become(void *given)
{
	struct exitpin_child *child = given;
	long error = 0;

	for (size_t number = 0; number < child->fds_count && error >= 0; number++)
		error = sys_dup3(child->fds[number], (int)number, 0);
	if (error >= 0)
		error = sys_execve(child->arguments[0], child->arguments, child->variables);
	child->error = (int)-error;
	sys_exit(127);
}

static char *point(char **pointers, size_t count, char *string)
{
	for (size_t i = 0; i < count; i++) {
		pointers[i] = string;
		string += strlen(string) + 1;
	}
	pointers[count] = NULL;
	return string;
}

/* On a stack of its own, with all signals blocked: a handler of ours must not run there, in our memory. The pid, or -1
 * and errno. */
static int start(struct exitpin_child *child)
{
	const int flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int pid = clone(become, child->stack + STACK_SIZE, flags, child, NULL, NULL, &child->lives_here);
	int error = errno;

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

struct exitpin_child *exitpin_child_start(const char *strings, size_t size, size_t arguments, size_t variables,
					  const int *fds, size_t fds_count)
{
	const size_t pointers_size = (arguments + variables + 2) * sizeof(char *);
	struct exitpin_child *child = fds_count <= FDS_MAX ? malloc(sizeof(*child) + pointers_size + size) : NULL;

	if (child == NULL)
		return NULL;
	child->error = 0;
	child->lives_here = 1;
	child->fds_count = fds_count;
	memcpy(child->fds, fds, fds_count * sizeof(*fds));
	char *copy = memcpy((char *)child->pointers + pointers_size, strings, size);

	child->arguments = child->pointers;
	child->variables = child->pointers + arguments + 1;
	point(child->variables, variables, point(child->arguments, arguments, copy));
	child->pid = start(child);
	if (child->pid > 0)
		return child;
	int error = errno;

	free(child);
	errno = error;
	return NULL;
}

int exitpin_child_pid(const struct exitpin_child *child)
{
	return child->pid;
}

int exitpin_child_error(const struct exitpin_child *child)
{
	return child->error;
}

void exitpin_child_free(struct exitpin_child *child)
{
	if (__atomic_load_n(&child->lives_here, __ATOMIC_ACQUIRE) == 0)
		free(child);
}
