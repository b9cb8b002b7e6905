/* The exec calls that list their arguments: gathered on the stack, then passed to the hooks that take them as an array. */
#include <stdarg.h>
#include <unistd.h>

#include "preload.h"

extern char **environ;

static size_t count_arguments(const char *first, va_list rest)
{
	size_t count = 1;

	while (first != NULL && va_arg(rest, const char *) != NULL)
		count++;
	return count;
}

static void gather(char *argv[], const char *first, va_list rest)
{
	argv[0] = (char *)first;
	for (size_t i = 0; argv[i] != NULL; i++)
		argv[i + 1] = va_arg(rest, char *);
}

/* execl(3): as execv. */
EXPORT int execl(const char *path, const char *first, ...)
{
	va_list rest;

	va_start(rest, first);
	char *argv[count_arguments(first, rest) + 1];

	va_end(rest);
	va_start(rest, first);
	gather(argv, first, rest);
	va_end(rest);
	return execv(path, argv);
}

/* execlp(3): as execvp. */
EXPORT int execlp(const char *file, const char *first, ...)
{
	va_list rest;

	va_start(rest, first);
	char *argv[count_arguments(first, rest) + 1];

	va_end(rest);
	va_start(rest, first);
	gather(argv, first, rest);
	va_end(rest);
	return execvp(file, argv);
}

/* execle(3): as execve; the environment stands after the NULL. */
EXPORT int execle(const char *path, const char *first, ...)
{
	va_list rest;

	va_start(rest, first);
	char *argv[count_arguments(first, rest) + 1];

	va_end(rest);
	va_start(rest, first);
	gather(argv, first, rest);
	char **envp = va_arg(rest, char **);

	va_end(rest);
	return execve(path, argv, envp);
}
