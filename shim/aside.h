/* A connect(2) to a Unix socket that may have to wait, in a thread of its own: whoever owns the socket, too, may make
 * any connect wait, and whoever starts this one, or has done with it, waits for nothing. Source: pthreads(7),
 * unix(7).
 *
 * What is waited for is broken off by a signal that is none of the real-time ones, as pthread_cancel(3) sends: those
 * are queued, of all processes of a user only so many, and a tool may have used that up; and it ends the process
 * where no library can be opened for want of descriptors. What even a signal does not end (a file system of the
 * user's own that does not answer) holds its own thread, and descriptors of its own. */
#ifndef EXITPIN_ASIDE_H
#define EXITPIN_ASIDE_H

#include <stddef.h>

struct exitpin_aside;

/* handle: of the socket to connect to, by O_PATH; -1: it has this abstract name. done: an eventfd, written to when it
 * is over. The descriptors are copied. NULL and errno. */
struct exitpin_aside *exitpin_aside_start(int fd, int handle, const void *name, size_t size, int done);

/* It is over soon, most likely; if not, this can be asked for again. */
void exitpin_aside_break_off(struct exitpin_aside *aside);

/* Breaks it off, if it is not over, and leaves it alone from now on. Its errno, 0 for none; ECANCELED: it was not
 * over, or had been broken off. */
int exitpin_aside_end(struct exitpin_aside *aside);

#endif
