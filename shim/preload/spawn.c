/* Calls that start programs from inside libc. Only libc can clone as it does, so the real ones are looked up, in a
 * constructor; a library that spawns before that gets EAGAIN. */
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>

#include "preload.h"

#include "exec.h"

/* The first is a pid, or what names a process instead. */
typedef int spawn_function(int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
			   char *const[], char *const[]);

extern char **environ;

static struct {
	spawn_function *posix_spawn, *posix_spawnp;
	spawn_function *pidfd_spawn, *pidfd_spawnp; /* ours, where the C library has none (before glibc 2.39) */
	int (*system)(const char *);
	FILE *(*popen)(const char *, const char *);
} real;

/* The child can't be another yet: nobody has waited for it. 0 or an errno. */
static int name_by_descriptor(int *process, int error, pid_t pid)
{
	long opened = error == 0 ? sys_call(SYS_pidfd_open, pid, 0, 0, 0, 0, 0) : -error;

	if (opened >= 0)
		*process = (int)opened;
	return opened < 0 ? (int)-opened : 0;
}

static int own_pidfd_spawn(int *process, const char *path, const posix_spawn_file_actions_t *actions,
			   const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	pid_t pid = -1;
	int error = real.posix_spawn(&pid, path, actions, attributes, argv, envp);

	return name_by_descriptor(process, error, pid);
}

static int own_pidfd_spawnp(int *process, const char *file, const posix_spawn_file_actions_t *actions,
			    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	pid_t pid = -1;
	int error = real.posix_spawnp(&pid, file, actions, attributes, argv, envp);

	return name_by_descriptor(process, error, pid);
}

__attribute__((constructor)) static void find_real(void)
{
	*(void **)&real.posix_spawn = dlsym(RTLD_NEXT, "posix_spawn");
	*(void **)&real.posix_spawnp = dlsym(RTLD_NEXT, "posix_spawnp");
	*(void **)&real.pidfd_spawn = dlsym(RTLD_NEXT, "pidfd_spawn");
	*(void **)&real.pidfd_spawnp = dlsym(RTLD_NEXT, "pidfd_spawnp");
	if (real.pidfd_spawn == NULL && real.posix_spawn != NULL)
		real.pidfd_spawn = own_pidfd_spawn;
	if (real.pidfd_spawnp == NULL && real.posix_spawnp != NULL)
		real.pidfd_spawnp = own_pidfd_spawnp;
	*(void **)&real.system = dlsym(RTLD_NEXT, "system");
	*(void **)&real.popen = dlsym(RTLD_NEXT, "popen");
}

static int spawn(spawn_function *real_spawn, int *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[], bool is_bare)
{
	char *pinned[exitpin_environment_size(envp)];
	char text[exitpin_environment_text(envp)];

	if (real_spawn == NULL)
		return EAGAIN;
	if (!exitpin_environment(envp, pinned, text, sizeof(text), is_bare))
		return EACCES;
	return real_spawn(pid, file, actions, attributes, argv, pinned);
}

static int spawn_file(spawn_function *real_spawn, int *pid, const char *path,
		      const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, char *const argv[],
		      char *const envp[])
{
	long outcome = exitpin_check_exec(AT_FDCWD, path, 0);

	return outcome < 0 ? (int)-outcome
			   : spawn(real_spawn, pid, path, actions, attributes, argv, envp, outcome == EXITPIN_BARE);
}

/* What exec would find: executable and loadable. */
static long attempt_check(const char *path, void *context)
{
	(void)context;
	long error = sys_call(SYS_faccessat, AT_FDCWD, (long)path, 1, 0, 0, 0);

	return error < 0 ? error : exitpin_check_exec(AT_FDCWD, path, 0);
}

static int spawn_found(spawn_function *real_spawn, int *pid, const char *file,
		       const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes, char *const argv[],
		       char *const envp[])
{
	long outcome = exitpin_search(file, attempt_check, NULL);

	return outcome < 0 ? (int)-outcome
			   : spawn(real_spawn, pid, file, actions, attributes, argv, envp, outcome == EXITPIN_BARE);
}

/* posix_spawn(3): refuses and puts back as execve; returns the errno. A path that is relative to a directory that the
 * file actions change to is not found here, and so not looked at. */
EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict actions, const posix_spawnattr_t *restrict attributes,
		       char *const argv[restrict], char *const envp[restrict])
{
	return spawn_file(real.posix_spawn, pid, path, actions, attributes, argv, envp);
}

/* posix_spawnp(3): as posix_spawn, found in PATH. */
EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *restrict actions,
			const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
			char *const envp[restrict])
{
	return spawn_found(real.posix_spawnp, pid, file, actions, attributes, argv, envp);
}

/* pidfd_spawn(3), pidfd_spawnp(3): as these. The process is named by a descriptor. */
EXPORT int pidfd_spawn(int *restrict process, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict actions, const posix_spawnattr_t *restrict attributes,
		       char *const argv[restrict], char *const envp[restrict])
{
	return spawn_file(real.pidfd_spawn, process, path, actions, attributes, argv, envp);
}

EXPORT int pidfd_spawnp(int *restrict process, const char *restrict file,
			const posix_spawn_file_actions_t *restrict actions,
			const posix_spawnattr_t *restrict attributes, char *const argv[restrict],
			char *const envp[restrict])
{
	return spawn_found(real.pidfd_spawnp, process, file, actions, attributes, argv, envp);
}

/* system and popen start a shell with this process's environment and nothing else, so the entries have to be in it. Like
 * setenv(3), not safe beside threads that read the environment; done only where the tool took them out. */
static bool pin_own_environment(void)
{
	size_t size = exitpin_environment_size(environ);
	char *pinned[size], text[exitpin_environment_text(environ)];

	if (!exitpin_environment(environ, pinned, text, sizeof(text), false))
		return false;
	const char *shim = getenv("EXITPIN_SHIM"), *preload = getenv("LD_PRELOAD");

	for (size_t i = 0; i + 1 < size && pinned[i] != NULL; i++) {
		const char *value = strchr(pinned[i], '=');

		if (strncmp(pinned[i], "LD_PRELOAD=", 11) == 0 && (preload == NULL || strcmp(value + 1, preload) != 0))
			setenv("LD_PRELOAD", value + 1, 1);
		else if (strncmp(pinned[i], "EXITPIN_SHIM=", 13) == 0 && (shim == NULL || strcmp(value + 1, shim) != 0))
			setenv("EXITPIN_SHIM", value + 1, 1);
	}
	return true;
}

/* system(3): the shell gets the shim, also where the tool has cleared its environment. -1 and EAGAIN without one. */
EXPORT int system(const char *command)
{
	if (real.system == NULL || (command != NULL && !pin_own_environment()))
		return fail(EAGAIN);
	return real.system(command);
}

/* popen(3): as system; NULL and EAGAIN. */
EXPORT FILE *popen(const char *command, const char *mode)
{
	if (real.popen == NULL || !pin_own_environment()) {
		errno = EAGAIN;
		return NULL;
	}
	return real.popen(command, mode);
}
