/* Programs that no preload library gets into: static, of another libc, of 32 bits, with capabilities, or with the library hidden. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "command.h"
#include "vector.h"

extern char **environ;

bool plain(const struct aim *aim, const char *name, struct words *words)
{
	if (!program(aim, name, words->path))
		return say("not built"), false;
	words->list[0] = words->path;
	words->list[1] = aim->address_word;
	words->list[2] = aim->port_word;
	words->list[3] = NULL;
	return true;
}

int failed(const char *call)
{
	told(call, -1);
	return DENIED;
}

int spawned(const struct aim *aim, const char *name, char *const envp[])
{
	struct words words;
	pid_t child = -1;

	if (!plain(aim, name, &words))
		return DENIED;
	errno = posix_spawn(&child, words.path, NULL, NULL, words.list, envp);
	if (errno != 0)
		return failed("posix_spawn");
	return await(child);
}

static int spawn_static(const struct aim *aim)
{
	return spawned(aim, "plain-static", environ);
}

static int exec_program(const struct aim *aim, const char *name)
{
	struct words words;

	if (plain(aim, name, &words))
		execve(words.path, words.list, environ);
	return failed("execve");
}

static int exec_static(const struct aim *aim)
{
	return exec_program(aim, "plain-static");
}

static int exec_musl_static(const struct aim *aim)
{
	return exec_program(aim, "plain-musl-static");
}

static int exec_musl(const struct aim *aim)
{
	return exec_program(aim, "plain-musl");
}

static int exec_m32(const struct aim *aim)
{
	return exec_program(aim, "plain-32");
}

static int exec_go(const struct aim *aim)
{
	return exec_program(aim, "plain-go");
}

static int execvp_static(const struct aim *aim)
{
	struct words words;

	if (plain(aim, "plain-static", &words))
		execvp(words.path, words.list);
	return failed("execvp");
}

static int fexecve_static(const struct aim *aim)
{
	struct words words;

	if (plain(aim, "plain-static", &words))
		fexecve(open(words.path, O_RDONLY | O_CLOEXEC), words.list, environ);
	return failed("fexecve");
}

/* A program that no file system has. */
static int memfd_static(const struct aim *aim)
{
	struct words words;
	int memory = (int)told("memfd_create", memfd_create("plain", MFD_CLOEXEC));
	char block[4096];

	if (!plain(aim, "plain-static", &words))
		return DENIED;
	int file = open(words.path, O_RDONLY | O_CLOEXEC);

	for (ssize_t size; (size = read(file, block, sizeof(block))) > 0;)
		if (write(memory, block, (size_t)size) != size)
			return failed("write");
	fexecve(memory, words.list, environ);
	return failed("fexecve");
}

static int system_static(const struct aim *aim)
{
	struct words words;
	char line[320];

	if (!plain(aim, "plain-static", &words))
		return DENIED;
	snprintf(line, sizeof(line), "%s %s %s", words.path, aim->address_word, aim->port_word);
	return told("system", system(line)) == 0 ? WORKED : DENIED;
}

/* Forks, since who has threads can't make a user namespace, and lets the child become uid 1000 in one of its own. */
static pid_t fork_apart(int namespaces)
{
	const uid_t uid = geteuid();
	pid_t child = fork();

	if (child != 0)
		return child;
	if (told("unshare", unshare(CLONE_NEWUSER | namespaces)) < 0)
		_exit(DENIED);
	int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);

	dprintf(map, "1000 %u 1\n", (unsigned)uid);
	close(map);
	return 0;
}

/* A process with capabilities from its file: ld.so ignores LD_PRELOAD. Root gains nothing by them, so we are nobody. */
static int exec_capabilities(const struct aim *aim)
{
	struct words words;

	if (!plain(aim, "plain-caps", &words))
		return DENIED;
	pid_t child = fork_apart(0);

	if (child == 0) {
		execvp(words.path, words.list);
		_exit(failed("execvp"));
	}
	return await(child);
}

/* The first library of LD_PRELOAD; empty: there is none. */
static void find_library(char library[512])
{
	const char *given = getenv("LD_PRELOAD");

	library[0] = '\0';
	if (given != NULL)
		snprintf(library, 512, "%.*s", (int)strcspn(given, " :"), given);
}

/* The library is no longer what stands at its path: ld.so says so and goes on. */
static int hidden_library(const struct aim *aim)
{
	char library[512];
	struct words words;

	find_library(library);
	if (!plain(aim, "plain", &words))
		return DENIED;
	pid_t child = fork_apart(CLONE_NEWNS);

	if (child == 0) {
		told("mount", mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
		if (library[0] == '/')
			told("mount", mount("/dev/null", library, NULL, MS_BIND, NULL));
		execve(words.path, words.list, environ);
		_exit(failed("execve"));
	}
	return await(child);
}

/* The library by a path with a blank in it, where ld.so splits LD_PRELOAD. */
static int spaced_library(const struct aim *aim)
{
	char library[512], path[300];
	struct words words;

	find_library(library);
	snprintf(path, sizeof(path), "%s/a library %d", aim->directory, getpid());
	if (library[0] == '/' && (told("symlink", symlink(library, path)) < 0 || setenv("LD_PRELOAD", path, 1) != 0))
		return DENIED;
	if (plain(aim, "plain", &words))
		execve(words.path, words.list, environ);
	return failed("execve");
}

const struct vector binary_vectors[] = {
	{"spawn-static", spawn_static},
	{"exec-static", exec_static},
	{"exec-musl-static", exec_musl_static},
	{"exec-musl", exec_musl},
	{"exec-m32", exec_m32},
	{"exec-go", exec_go},
	{"execvp-static", execvp_static},
	{"fexecve-static", fexecve_static},
	{"memfd-static", memfd_static},
	{"system-static", system_static},
	{"exec-capabilities", exec_capabilities},
	{"hidden-library", hidden_library},
	{"spaced-library", spaced_library},
	{NULL, NULL},
};
