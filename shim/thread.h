/* Threads of ours beside Python's. Source: pthreads(7). */
#ifndef EXITPIN_THREAD_H
#define EXITPIN_THREAD_H

#include <pthread.h>

/* With a small stack, and all signals blocked: none of ours is for it to handle. 0 or an errno. */
int exitpin_thread_start(pthread_t *thread, void *(*work)(void *), void *given);

#endif
