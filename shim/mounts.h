/* A view of the file system of one's own. */
#ifndef EXITPIN_MOUNTS_H
#define EXITPIN_MOUNTS_H

#include <stdbool.h>

/* Moves this process, which must have one thread, into a mount namespace of its own, from which nothing spreads: as root,
 * or in a user namespace in which it stays who it is. False and errno. */
bool exitpin_own_mounts(void);

#endif
