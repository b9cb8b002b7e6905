/* Linux calls that Python 3.11 lacks. Each returns 0 or an errno. */
#ifndef EXITPIN_KERNEL_H
#define EXITPIN_KERNEL_H

int exitpin_setns(int fd, int flags);
int exitpin_unshare(int flags);
int exitpin_set_child_subreaper(void);

/* connect(2) to AF_UNSPEC, and takes the error that this may leave pending (ECONNRESET), so that the next connection on
 * the socket does not get it. */
int exitpin_disconnect(int fd);

#endif
