/* A child of the orchestrator, started without waiting for it.
 * posix_spawn(3) and vfork(2) hold up the caller until the child has called execve, and under load the scheduler takes
 * milliseconds to let it. This child, too, runs in our memory until then, but on a stack of its own, and we go on. */
#ifndef EXITPIN_CHILD_H
#define EXITPIN_CHILD_H

#include <stddef.h>

struct exitpin_child;

/* Starts strings[0] with fds[n] as descriptor n; no fds[n] may be below `fds_count`. `strings`: `arguments` and then
 * `variables` strings, each ended by NUL, `size` bytes in all. All signals are blocked in it: the launcher sets its own
 * mask. NULL and errno when it could not be made. */
struct exitpin_child *exitpin_child_start(const char *strings, size_t size, size_t arguments, size_t variables,
					  const int *fds, size_t fds_count);

int exitpin_child_pid(const struct exitpin_child *child);

/* Why execve failed; 0: it has not (yet). The child then ended with status 127. */
int exitpin_child_error(const struct exitpin_child *child);

/* At any time: a child that has not come to execve lives in this memory, and then it is left to it. */
void exitpin_child_free(struct exitpin_child *child);

#endif
