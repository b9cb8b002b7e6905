/* Namespaces of one's own. */
#ifndef EXITPIN_NAMESPACES_H
#define EXITPIN_NAMESPACES_H

#include <stdbool.h>

/* Moves this process, which must have one thread, into a mount namespace of its own, from which nothing spreads, and into
 * those of the flags (CLONE_NEWNET, CLONE_NEWIPC): as root, or in a user namespace in which it stays who it is. False and
 * errno. */
bool exitpin_own_namespaces(int flags);

#endif
