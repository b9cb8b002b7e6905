#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aside.h"
#include "thread.h"

struct exitpin_aside {
	pthread_t thread;
	int fd, done;
	volatile int error;
	size_t size;
	char address[EXITPIN_ASIDE_ADDRESS_MAX];
};

static void *carry_out(void *given)
{
	struct exitpin_aside *aside = given;
	const uint64_t one = 1;
	int error;

	do
		error = connect(aside->fd, (struct sockaddr *)aside->address, (socklen_t)aside->size) == 0 ? 0 : errno;
	while (error == EINTR); /* we were stopped, and went on */
	aside->error = error;
	while (write(aside->done, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

struct exitpin_aside *exitpin_aside_start(int fd, const void *address, size_t size, int done)
{
	struct exitpin_aside *aside = size <= EXITPIN_ASIDE_ADDRESS_MAX ? malloc(sizeof(*aside)) : NULL;

	if (aside == NULL) {
		errno = size <= EXITPIN_ASIDE_ADDRESS_MAX ? ENOMEM : EINVAL;
		return NULL;
	}
	aside->fd = fd;
	aside->done = done;
	aside->error = ECANCELED;
	aside->size = size;
	memcpy(aside->address, address, size);
	int error = exitpin_thread_start(&aside->thread, carry_out, aside);

	if (error == 0)
		return aside;
	free(aside);
	errno = error;
	return NULL;
}

int exitpin_aside_end(struct exitpin_aside *aside)
{
	pthread_cancel(aside->thread);
	pthread_join(aside->thread, NULL);
	int error = aside->error;

	free(aside);
	return error;
}
