/* Arguments that change between a check and its use, and supervisors that are killed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vector.h"

enum { RACE_MS = 700 };

/* Two things that look like one: an address that is now a Unix socket's and now ours, a descriptor likewise. */
static union {
	struct sockaddr_un local;
	struct sockaddr_in remote;
} shared;
static atomic_bool is_over;
static int shared_fd, local_fd, remote_fd;

static bool is_late(const struct timespec *began)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - began->tv_sec) * 1000 + (now.tv_nsec - began->tv_nsec) / 1000000 > RACE_MS;
}

static void *swap_family(void *unused)
{
	volatile sa_family_t *family = &shared.remote.sin_family;

	while (!is_over) {
		*family = AF_UNIX;
		*family = AF_INET;
	}
	return unused;
}

static void *swap_descriptor(void *unused)
{
	while (!is_over) {
		syscall(SYS_dup2, local_fd, shared_fd);
		syscall(SYS_dup2, remote_fd, shared_fd);
	}
	return unused;
}

/* Connects again and again while the other thread swaps, until somebody is reached or time is up. */
static int race(const struct aim *aim, void *(*swap)(void *), bool by_syscall)
{
	struct timespec began;
	pthread_t other;
	long result = -1, tries = 0;

	clock_gettime(CLOCK_MONOTONIC, &began);
	shared.remote = aim->in;
	local_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	remote_fd = (int)told("socket", socket(AF_INET, SOCK_STREAM, 0));
	shared_fd = dup(remote_fd);
	pthread_create(&other, NULL, swap, NULL);
	do {
		const struct sockaddr *address = (const struct sockaddr *)&shared;

		result = by_syscall ? syscall(SYS_connect, shared_fd, address, sizeof(aim->in))
				    : connect(shared_fd, address, sizeof(aim->in));
		tries++;
	} while (result < 0 && errno != EISCONN && !is_late(&began));
	is_over = true;
	pthread_join(other, NULL);
	told("tries", tries);
	return result == 0 ? converse(aim, remote_fd) : DENIED;
}

static int race_family(const struct aim *aim)
{
	return race(aim, swap_family, false);
}

static int race_family_syscall(const struct aim *aim)
{
	return race(aim, swap_family, true);
}

static int race_descriptor(const struct aim *aim)
{
	return race(aim, swap_descriptor, false);
}

static int race_descriptor_syscall(const struct aim *aim)
{
	return race(aim, swap_descriptor, true);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512] = "";
	pid_t parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0 && strrchr(text, ')') != NULL)
		sscanf(strrchr(text, ')') + 1, " %*c %d", &parent);
	close(fd);
	return parent;
}

/* Kills who watches over us, if anybody does: never anything but a run's launcher and its parent. */
static void kill_above(int levels)
{
	pid_t above = getenv("EXITPIN_RUN_ID") != NULL ? getpid() : 0;

	for (int i = 0; i < levels && above > 1; i++)
		above = parent_of(above);
	if (above > 1)
		told("kill", kill(above, SIGKILL));
	usleep(300000);
}

static int kill_launcher(const struct aim *aim)
{
	kill_above(1);
	return go(aim);
}

static int kill_orchestrator(const struct aim *aim)
{
	kill_above(2);
	return go(aim);
}

static int kill_orchestrator_syscall(const struct aim *aim)
{
	kill_above(2);
	int fd = (int)told("syscall socket", syscall(SYS_socket, AF_INET, SOCK_STREAM, 0));

	if (told("syscall connect", syscall(SYS_connect, fd, &aim->in, sizeof(aim->in))) < 0)
		return DENIED;
	return converse(aim, fd);
}

const struct vector race_vectors[] = {
	{"race-family", race_family},
	{"race-family-syscall", race_family_syscall},
	{"race-descriptor", race_descriptor},
	{"race-descriptor-syscall", race_descriptor_syscall},
	{"kill-launcher", kill_launcher},
	{"kill-orchestrator", kill_orchestrator},
	{"kill-orchestrator-syscall", kill_orchestrator_syscall},
	{NULL, NULL},
};
