/* execs HOW PROGRAM: starts PROGRAM as HOW says, from an environment without the shim. */
#include <dlfcn.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/syscall.h>

#include "probe.h"

enum { BY_DESCRIPTOR = 3 }; /* P_PIDFD */

extern char **environ;

static void spawned(const char *what, int error, pid_t pid)
{
	int status = 0;

	if (error == 0)
		waitpid(pid, &status, 0);
	printf("%s=%s\n", what, error == 0 ? "OK" : strerrorname_np(error));
}

/* pidfd_spawn and pidfd_spawnp, which a C library may lack (glibc 2.39 has them). */
static void spawned_with_descriptor(const char *name, char *path, char *argv[], char *none[])
{
	int (*spawn)(int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
		     char *const[]);
	int process = -1;
	siginfo_t ended;

	*(void **)&spawn = dlsym(RTLD_DEFAULT, name);
	if (spawn == NULL)
		return;
	int error = spawn(&process, path, NULL, NULL, argv, none);

	if (error == 0)
		syscall(SYS_waitid, BY_DESCRIPTOR, process, &ended, WEXITED, NULL);
	printf("%s=%s\n", name, error == 0 ? "OK" : strerrorname_np(error));
	printf("cloexec=%d\n", fcntl(process, F_GETFD));
}

static void *vfork_and_exec(void *path)
{
	char *argv[] = {path, NULL}, *none[] = {NULL};
	int status = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		execvpe(path, argv, none);
		_exit(111);
	}
	waitpid(pid, &status, 0);
	printf("little=%d\n", status);
	return NULL;
}

/* On the least stack that a thread can have. */
static void with_little_stack(char *path)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	say("stack", pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)));
	pthread_create(&thread, &attributes, vfork_and_exec, path);
	pthread_join(thread, NULL);
}

static void start(const char *how, char *path)
{
	char *argv[] = {path, NULL}, *none[] = {NULL}, *other[] = {"LD_PRELOAD=/nonexistent.so", "A=1", NULL};
	char command[4096];
	pid_t pid = 0;

	snprintf(command, sizeof(command), "%s", path);
	if (strcmp(how, "execve") == 0)
		execve(path, argv, none);
	else if (strcmp(how, "execve_null") == 0)
		execve(path, argv, NULL);
	else if (strcmp(how, "execve_other") == 0)
		execve(path, argv, other);
	else if (strcmp(how, "execv") == 0)
		clearenv(), execv(path, argv);
	else if (strcmp(how, "execl") == 0)
		clearenv(), execl(path, path, (char *)NULL);
	else if (strcmp(how, "execle") == 0)
		execle(path, path, (char *)NULL, none);
	else if (strcmp(how, "execvp") == 0)
		unsetenv("LD_PRELOAD"), execvp(path, argv);
	else if (strcmp(how, "execlp") == 0)
		unsetenv("EXITPIN_SHIM"), execlp(path, path, (char *)NULL);
	else if (strcmp(how, "execvpe") == 0)
		execvpe(path, argv, none);
	else if (strcmp(how, "fexecve") == 0)
		fexecve(open(path, O_RDONLY), argv, none);
	else if (strcmp(how, "fexecve_path") == 0)
		fexecve(open(path, O_PATH), argv, none);
	else if (strcmp(how, "execveat") == 0)
		execveat(AT_FDCWD, path, argv, none, 0);
	else if (strcmp(how, "vfork") == 0) {
		if ((pid = vfork()) == 0) {
			execve(path, argv, none);
			_exit(111);
		}
		int status;

		waitpid(pid, &status, 0);
		printf("vfork=%d\n", WEXITSTATUS(status));
		return;
	} else if (strcmp(how, "spawn") == 0)
		return spawned(how, posix_spawn(&pid, path, NULL, NULL, argv, none), pid);
	else if (strcmp(how, "spawnp") == 0)
		return spawned(how, posix_spawnp(&pid, path, NULL, NULL, argv, none), pid);
	else if (strcmp(how, "little") == 0)
		return with_little_stack(path);
	else if (strncmp(how, "pidfd_", 6) == 0)
		return spawned_with_descriptor(how, path, argv, none);
	else if (strcmp(how, "system") == 0) {
		clearenv();
		printf("system=%d\n", WEXITSTATUS(system(command)));
		return;
	} else if (strcmp(how, "popen") == 0) {
		clearenv();
		printf("popen=%d\n", WEXITSTATUS(pclose(popen(command, "r"))));
		return;
	}
	say(how, -1);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		start(argv[1], argv[2]);
	return 0;
}
