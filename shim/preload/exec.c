/* Programs that the tool becomes: each must load the shim, so each is looked at first, and gets it put back. */
#include <limits.h>
#include <stdarg.h>
#include <unistd.h>

#include "../program.h"
#include "preload.h"

#include "exec.h"

extern char **environ;

/* Such a program can be pinned all the same where the kernel hands its connects to a supervisor. */
static bool is_without_hooks(int reason)
{
	return reason == EXITPIN_REASON_STATIC || reason == EXITPIN_REASON_LIBC;
}

static bool is_supervised(void)
{
	const struct exitpin_config *config = exitpin_config();

	return config != NULL && config->is_supervised;
}

long exitpin_check_exec(int directory, const char *path, int flags)
{
	int reason = path != NULL ? exitpin_program_check(directory, path, flags) : EXITPIN_REASON_NONE;

	if (reason == EXITPIN_REASON_NONE)
		return 0;
	if (is_without_hooks(reason) && is_supervised())
		return reason == EXITPIN_REASON_LIBC ? EXITPIN_BARE : 0;
	exitpin_deny(reason, NULL, path);
	return -EACCES;
}

/* All the hooks end here. Returns only if it failed: minus an errno. */
static long execute(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
	char *pinned[exitpin_environment_size(envp)];
	char text[exitpin_environment_text(envp)];
	long outcome = exitpin_check_exec(directory, path, flags);

	if (outcome < 0)
		return outcome;
	if (!exitpin_environment(envp, pinned, text, sizeof(text), outcome == EXITPIN_BARE))
		return -EACCES;
	if (directory == AT_FDCWD && flags == 0)
		return sys_execve(path, argv, pinned);
	return sys_execveat(directory, path, argv, pinned, flags);
}

/* execve(2).
 * Refuses with a note: EACCES for a program into which the shim can't be loaded (static, setuid, of another class or
 *   libc). Else runs it with our two environment entries put back. Safe after vfork. */
EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)result(execute(AT_FDCWD, path, argv, envp, 0));
}

/* execveat(2): as execve. */
EXPORT int execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)result(execute(directory, path, argv, envp, flags));
}

/* fexecve(3): as execve. */
EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	return (int)result(execute(fd, "", argv, envp, AT_EMPTY_PATH));
}

/* execv(3): as execve, with this process's environment. */
EXPORT int execv(const char *path, char *const argv[])
{
	return (int)result(execute(AT_FDCWD, path, argv, environ, 0));
}

static const char *search_path(void)
{
	for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
		if (has_prefix(*entry, "PATH="))
			return *entry + 5;
	return "/bin:/usr/bin";
}

static bool is_no_such_file(long error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ESTALE || error == -ENODEV || error == -ETIMEDOUT;
}

/* `folder/file`; an empty folder is the current one. False: it does not fit. */
static bool join(const char *folder, size_t length, const char *file, char path[PATH_MAX])
{
	const size_t size = strlen(file);

	if (length + size + 2 > PATH_MAX)
		return false;
	memcpy(path, folder, length);
	path[length] = '/';
	memcpy(path + length + (length > 0), file, size + 1);
	return true;
}

long exitpin_search(const char *file, long (*attempt)(const char *path, void *context), void *context)
{
	char path[PATH_MAX];
	long error = -ENOENT;

	if (strchr(file, '/') != NULL)
		return attempt(file, context);
	if (file[0] == '\0')
		return -ENOENT;
	for (const char *next = search_path(), *end;; next = end + 1) {
		end = strchrnul(next, ':');
		long outcome = join(next, (size_t)(end - next), file, path) ? attempt(path, context) : -ENOENT;

		if (outcome == -EACCES)
			error = outcome;
		else if (!is_no_such_file(outcome))
			return outcome;
		if (*end == '\0')
			return error;
	}
}

struct program {
	char *const *argv;
	char *const *envp;
};

static long attempt_exec(const char *path, void *context)
{
	const struct program *program = context;
	size_t count = 0;
	long error = execute(AT_FDCWD, path, program->argv, program->envp, 0);

	if (error != -ENOEXEC)
		return error;
	while (program->argv[count] != NULL)
		count++;
	char *script[count + 3]; /* what the kernel does not know is a script for the shell */

	script[0] = (char *)"/bin/sh";
	script[1] = (char *)path;
	script[2] = NULL;
	if (count > 1)
		memcpy(script + 2, program->argv + 1, count * sizeof(*script));
	return execute(AT_FDCWD, script[0], script, program->envp, 0);
}

/* execvpe(3): as execve, found in PATH. */
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct program program = {argv, envp};

	return (int)result(exitpin_search(file, attempt_exec, &program));
}

/* execvp(3): as execvpe, with this process's environment. */
EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}
