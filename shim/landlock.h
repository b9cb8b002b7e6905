/* Landlock: what a process, and whatever comes of it, is kept from for good. */
#ifndef EXITPIN_LANDLOCK_H
#define EXITPIN_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

/* The ABI of Landlock; 0: the kernel has none, or it is switched off. */
int exitpin_landlock_abi(void);

/* Keeps this thread from the memory and descriptors of whoever is not of its own making; and from TCP, signals and
 * abstract Unix sockets, as far as the kernel knows rules for them. False and errno: it would not, or has none for TCP and
 * `with_network`. Wants no-new-privileges. */
bool exitpin_landlock(bool with_network);

/* Keeps this thread from changing what any file holds, and the names in any folder, but: at and below these paths, the
 * devices that keep nothing, terminals, and what standard output and error are open for. False and errno: it would not, or a
 * path is not there, or leads over a link (ELOOP). Wants no-new-privileges. */
bool exitpin_landlock_read_only(const char *const *writable, size_t count);

#endif
