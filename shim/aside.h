/* A connect(2) that may have to wait, in a thread of its own: whoever owns the socket, too, may make any connect wait, and
 * whoever starts this one waits for nothing. Source: pthreads(7), cancellation points. */
#ifndef EXITPIN_ASIDE_H
#define EXITPIN_ASIDE_H

#include <stddef.h>

enum { EXITPIN_ASIDE_ADDRESS_MAX = 128 };

struct exitpin_aside;

/* fd and done, an eventfd that is written to when it is over, stay open until it is ended. NULL and errno. */
struct exitpin_aside *exitpin_aside_start(int fd, const void *address, size_t size, int done);

/* Its errno, 0 for none; ECANCELED: it was not over, and is broken off. Then there is no such thread any more. */
int exitpin_aside_end(struct exitpin_aside *aside);

#endif
