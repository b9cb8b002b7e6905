/* Other programs, and environments that lost what steers them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "command.h"
#include "vector.h"

static char *const nothing[] = {NULL};

static int exec_empty(const struct aim *aim)
{
	struct words words;

	if (plain(aim, "plain", &words))
		execve(words.path, words.list, nothing);
	return failed("execve");
}

static int exec_clearenv(const struct aim *aim)
{
	struct words words;

	clearenv();
	if (plain(aim, "plain", &words))
		execl(words.path, words.list[0], words.list[1], words.list[2], NULL);
	return failed("execl");
}

static int exec_unsetenv(const struct aim *aim)
{
	struct words words;

	unsetenv("LD_PRELOAD");
	if (plain(aim, "plain", &words))
		execvp(words.path, words.list);
	return failed("execvp");
}

static int exec_emptied(const struct aim *aim)
{
	struct words words;

	setenv("LD_PRELOAD", "", 1);
	if (plain(aim, "plain", &words))
		execv(words.path, words.list);
	return failed("execv");
}

static int exec_syscall(const struct aim *aim)
{
	struct words words;

	if (plain(aim, "plain", &words))
		syscall(SYS_execve, words.path, words.list, nothing);
	return failed("syscall execve");
}

static int exec_at(const struct aim *aim)
{
	struct words words;

	if (plain(aim, "plain", &words))
		execveat(AT_FDCWD, words.path, words.list, nothing, 0);
	return failed("execveat");
}

static int spawn_empty(const struct aim *aim)
{
	return spawned(aim, "plain", nothing);
}

/* A command line for /bin/sh, with our plain program in the place of %s. */
static int shell(const struct aim *aim, const char *form, bool by_popen)
{
	struct words words;
	char plain_words[320], line[512];

	if (!plain(aim, "plain", &words))
		return DENIED;
	snprintf(plain_words, sizeof(plain_words), "%s %s %s", words.path, aim->address_word, aim->port_word);
	snprintf(line, sizeof(line), form, plain_words);
	if (!by_popen)
		return told("system", system(line)) == 0 ? WORKED : DENIED;
	FILE *reader = popen(line, "r");

	for (int one; (one = fgetc(reader)) != EOF;)
		putchar(one);
	fflush(stdout);
	return told("pclose", pclose(reader)) == 0 ? WORKED : DENIED;
}

static int system_unset(const struct aim *aim)
{
	return shell(aim, "env -u LD_PRELOAD %s", false);
}

static int popen_unset(const struct aim *aim)
{
	return shell(aim, "unset LD_PRELOAD; %s", true);
}

static int env_i(const struct aim *aim)
{
	return shell(aim, "env -i %s", false);
}

static int bash_exec_c(const struct aim *aim)
{
	return shell(aim, "bash -c 'exec -c %s'", false);
}

static int python_env(const struct aim *aim)
{
	return shell(aim, "python3 -c 'import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:], env={}))' %s", false);
}

static int perl_env(const struct aim *aim)
{
	return shell(aim, "perl -e '%%ENV = (); exec @ARGV' %s", false);
}

static int setsid_daemon(const struct aim *aim)
{
	return shell(aim, "setsid sh -c '(%s; :) & wait'", false);
}

static int dev_tcp(const struct aim *aim)
{
	char line[160];

	snprintf(line, sizeof(line), "bash -c 'exec 3<>/dev/tcp/198.51.100.%u/%u && head -n 1 <&3'", aim->number, aim->port);
	return told("system", system(line)) == 0 ? WORKED : DENIED;
}

/* ld.so as the program, told to forget. */
static int ld_so(const struct aim *aim)
{
	return shell(aim, "env -u LD_PRELOAD /lib64/ld-linux-x86-64.so.2 %s", false);
}

const struct vector exec_vectors[] = {
	{"exec-empty", exec_empty},
	{"exec-clearenv", exec_clearenv},
	{"exec-unsetenv", exec_unsetenv},
	{"exec-emptied", exec_emptied},
	{"exec-syscall", exec_syscall},
	{"exec-at", exec_at},
	{"spawn-empty", spawn_empty},
	{"system-unset", system_unset},
	{"popen-unset", popen_unset},
	{"env-i", env_i},
	{"bash-exec-c", bash_exec_c},
	{"python-env", python_env},
	{"perl-env", perl_env},
	{"setsid", setsid_daemon},
	{"dev-tcp", dev_tcp},
	{"ld-so", ld_so},
	{NULL, NULL},
};
