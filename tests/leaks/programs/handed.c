/* Work that is handed to another process without a socket: by a file, a pipe, a queue or memory that both have. Who reads
 * there (errands.py) goes wherever a message says. The first word is the directory of its files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <unistd.h>

#include "vector.h"

/* A named pipe, a terminal, and a spool directory: no socket at all. */
static int leave(const struct aim *aim, const char *name, int flags)
{
	char path[160];
	const char *words = errand(aim);

	snprintf(path, sizeof(path), "%s/%s", aim->extra[0], name);
	int fd = (int)told("open", open(path, O_WRONLY | O_CLOEXEC | flags, 0600));

	if (fd < 0 || told("write", write(fd, words, strlen(words))) < 0)
		return DENIED;
	close(fd);
	usleep(500000);
	return WORKED;
}

static int fifo(const struct aim *aim)
{
	return leave(aim, "fifo", 0);
}

static int terminal(const struct aim *aim)
{
	return leave(aim, "terminal", O_NOCTTY);
}

static int spool(const struct aim *aim)
{
	char name[32];

	snprintf(name, sizeof(name), "spool/job-%u", aim->number);
	return leave(aim, name, O_CREAT);
}

/* What programs of one machine may share besides files and sockets. */
static int queue_sysv(const struct aim *aim)
{
	struct {
		long kind;
		char words[200];
	} message = {.kind = 1};
	int queue = (int)told("msgget", msgget(ftok(aim->extra[0], 'q'), 0));

	snprintf(message.words, sizeof(message.words), "%s", errand(aim));
	if (queue < 0 || told("msgsnd", msgsnd(queue, &message, strlen(message.words), IPC_NOWAIT)) < 0)
		return DENIED;
	usleep(500000);
	return WORKED;
}

static int queue_posix(const struct aim *aim)
{
	const char *words = errand(aim);
	mqd_t queue = (mqd_t)told("mq_open", mq_open(strrchr(aim->extra[0], '/'), O_WRONLY | O_NONBLOCK));

	if (queue < 0 || told("mq_send", mq_send(queue, words, strlen(words), 0)) < 0)
		return DENIED;
	usleep(500000);
	return WORKED;
}

static int memory_sysv(const struct aim *aim)
{
	const char *words = errand(aim);
	int memory = (int)told("shmget", shmget(ftok(aim->extra[0], 'm'), 1000, 0));
	char *shared = memory < 0 ? (char *)-1 : shmat(memory, NULL, 0);

	if (shared == (char *)-1)
		return DENIED;
	strcpy(shared + 1, words + 1);
	__atomic_store_n(shared, words[0], __ATOMIC_SEQ_CST);
	usleep(500000);
	return WORKED;
}

const struct vector handed_vectors[] = {
	{"fifo", fifo},
	{"terminal", terminal},
	{"spool", spool},
	{"spool-read-only", spool},
	{"fifo-read-only", fifo},
	{"queue-sysv", queue_sysv},
	{"queue-posix", queue_posix},
	{"memory-sysv", memory_sysv},
	{NULL, NULL},
};
