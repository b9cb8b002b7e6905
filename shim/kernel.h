/* Linux calls that Python 3.11 lacks. Each returns 0 or an errno. */
#ifndef EXITPIN_KERNEL_H
#define EXITPIN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

int exitpin_setns(int fd, int flags);
int exitpin_unshare(int flags);
int exitpin_mount(const char *source, const char *target, const char *kind, unsigned long flags, const char *options);

/* prctl(2): PR_SET_PDEATHSIG (0: none), PR_SET_CHILD_SUBREAPER. */
int exitpin_set_death_signal(int signo);
int exitpin_set_child_subreaper(void);

/* openat2(2) with O_PATH and these RESOLVE_: a descriptor, or minus an errno. */
int exitpin_open_path(int directory, const char *path, uint64_t resolve);

/* connect(2) to AF_UNSPEC, and takes the error that this may leave pending (ECONNRESET), so that the next connection on
 * the socket does not get it. */
int exitpin_disconnect(int fd);

/* What the guard is made of, as far as the kernel has it, tried in a process of its own. */
int exitpin_try_guard(void);

/* The calls of a supervisor, tried on ourselves: a container may refuse what its kernel has. */
int exitpin_try_supervisor(void);

/* Whether a mount and a network namespace can be made here, by root or in a user namespace. */
bool exitpin_has_namespaces(void);

#endif
